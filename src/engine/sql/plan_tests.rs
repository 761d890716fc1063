//! No statement of the store reads a whole table or sorts rows, unless it is listed here with a reason.
//!
//! Statements that are one literal are found in the sources. Statements composed at run time are recorded when unit
//! tests of the store prepare them with `prepare_cached`, in a process of their own. A literal that is part of no
//! recorded statement fails too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;

use super::Store;
use super::for_tests::{Films, STATEMENTS_FILE, film};

/// Allowed steps of plans: a part of the statement (empty for any), the step, and the reason.
const ALLOWED: &str = r"
 | SCAN meta | the table has one row
ORDER BY id DESC LIMIT 1 | SCAN entries | the newest row
ORDER BY id DESC LIMIT 1 | SCAN matches | the newest row
removed ORDER BY id LIMIT ?1 | SCAN removed | the oldest rows, about as many as were added
ORDER BY id DESC LIMIT 1 | SCAN removed | the newest row
SELECT coalesce(sum( | SCAN matches | the newest row is damaged
SELECT coalesce(sum( | SCAN entries | the newest row is damaged
s.machine_identifier FROM libraries | SCAN t USING COVERING INDEX tables_library | a row for each library
SELECT count(*) FROM entries | SEARCH entries USING COVERING INDEX entries_name (in_table=?) | they are counted
FROM entries WHERE in_table = ?1 LIMIT ?2 | SEARCH entries USING INDEX entries_name (in_table=?) | as many as asked for
UPDATE tables SET (size | SEARCH entries USING INDEX entries_name (in_table=?) | once, for a limit on an older table
FROM outbox | SCAN outbox | what waited for an earlier version is read once
SELECT 1 FROM shared | SCAN shared | a row for each user
WHERE l.view_id = ?1 ORDER BY l.id | USE TEMP B-TREE FOR ORDER BY | a row for each library
AND generation > 0 ORDER BY id LIMIT 1 | USE TEMP B-TREE FOR ORDER BY | a row for each library
views | SCAN views | a row for each user
FROM endpoints WHERE view_id | SCAN endpoints | a row for each address and user
LEFT JOIN endpoints e | SCAN e LEFT-JOIN | a row for each address and user
FROM endpoints mine | SCAN mine | a row for each address and user
v.changed DESC | USE TEMP B-TREE FOR ORDER BY | a row for each user of a server
DELETE FROM doubts WHERE library IN | SEARCH doubts USING PRIMARY KEY (library=?) | they go with their library
FROM shows WHERE library | SEARCH shows USING PRIMARY KEY (library=?) | all shows of a library are meant
FROM doubts WHERE library = ?1 | SEARCH doubts USING PRIMARY KEY (library=?) | few; all of a library's are meant
cause <> 9 AND library = ?1 | SEARCH doubts USING PRIMARY KEY (library=?) | few; all of a library's are meant
 | SEARCH overlay USING PRIMARY KEY (library=?) | few: items that replies brought since the listing
DELETE FROM path_searches | SCAN path_searches | asked about lately; when some are old, or a library goes
";

/// The first words of statements that have a plan.
const VERBS: [&str; 6] = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "REPLACE"];

fn verb_of(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// The SQL literals of this folder: those that begin a statement, and others with a parameter. In tests or in other
/// code.
fn texts(of_tests: bool) -> Vec<String> {
    let literal = Regex::new(r#""((?:[^"\\]|\\.|\\\n)*)""#).expect("a pattern");
    let line_end = Regex::new(r"\\\n\s*").expect("a pattern");
    let parameter = Regex::new(r"\?[0-9]").expect("a pattern");
    let mut texts = Vec::new();
    for file in files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/sql"))) {
        let code = fs::read_to_string(&file).expect("read");
        let name = file.file_name().expect("a file").to_string_lossy();
        if name == "migrations.rs" {
            continue; // runs once, on tables of an older format
        }
        let is_test = ["_tests.rs", "for_tests.rs"].iter().any(|end| name.ends_with(end));
        let (own, inline) = code.split_at(code.find("\nmod tests {").unwrap_or(code.len()));
        let code = match (of_tests, is_test) {
            (true, true) | (false, false) => own,
            (true, false) => inline,
            (false, true) => "",
        };
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code: String = lines.flat_map(|line| [line, "\n"]).collect();
        let found = literal
            .captures_iter(&code)
            .map(|found| line_end.replace_all(&found[1], "").into_owned());
        texts.extend(
            found.filter(|text| VERBS.contains(&verb_of(text)) && text.contains(' ') || parameter.is_match(text)),
        );
    }
    texts
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .expect("read")
        .map(|entry| entry.expect("read").path());
    let mut files = Vec::new();
    for path in entries {
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false if path.extension().is_some_and(|end| end == "rs") => files.push(path),
            false => {}
        }
    }
    files
}

/// A pattern for the statements made from a literal: formatted parts may be anything.
fn pattern(text: &str) -> Regex {
    let formatted = Regex::new(r"\{[^}]*\}").expect("a pattern");
    let parts: Vec<String> = formatted.split(text).map(regex::escape).collect();
    let first = if VERBS.contains(&verb_of(text)) { "^" } else { "" };
    Regex::new(&format!("(?s){first}{}", parts.join(".*"))).expect("a pattern")
}

/// Returns whether a literal is a complete statement.
fn is_whole(store: &Store, text: &str) -> bool {
    store
        .read(|connection| Ok(connection.prepare(text).is_ok()))
        .expect("read")
}

/// The expensive steps of a statement's plan: those that read a whole table or library, or sort.
fn dear_steps(store: &Store, statement: &str) -> Vec<String> {
    let dear = Regex::new(
        r"^SCAN |TEMP B-TREE|AUTOMATIC|USING (COVERING )?(INDEX (changes_item|entries_name)|PRIMARY KEY) \((library|in_table)=\?\)",
    );
    let dear = dear.expect("a pattern");
    let mut steps: Vec<String> = Vec::new();
    let explained = store.read(|connection| {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}"))?;
        let mut rows = plan.raw_query();
        while let Some(row) = rows.next()? {
            steps.push(row.get("detail")?);
        }
        Ok(())
    });
    explained.unwrap_or_else(|error| panic!("{statement}: {error}"));
    // These are not tables.
    let free = |step: &str| {
        step.starts_with("SCAN CONSTANT ROW") || step.starts_with("SCAN pragma_") || step.ends_with("VALUES CLAUSE")
    };
    steps
        .into_iter()
        .filter(|step| dear.is_match(step) && !free(step))
        .collect()
}

/// The statements that the unit tests of the store run.
fn recorded() -> BTreeSet<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("statements");
    let program = std::env::current_exe().expect("this program");
    let ran = Command::new(program)
        .arg("engine::sql::")
        .env(STATEMENTS_FILE, &file)
        .output()
        .expect("run");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    let lines = fs::read_to_string(&file).expect("read");
    lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("a text"))
        .collect()
}

#[test]
fn no_statement_scans_or_sorts_without_a_reason() {
    if std::env::var_os(STATEMENTS_FILE).is_some() {
        return; // the process that is recorded
    }
    let films = Films::with(&(0..200).map(film).collect::<Vec<_>>());
    let store = &films.store;

    let mut ran = recorded();
    let own: Vec<(String, Regex)> = texts(false)
        .into_iter()
        .map(|text| (text.clone(), pattern(&text)))
        .collect();
    let of_tests: Vec<Regex> = texts(true).iter().map(|text| pattern(text)).collect();
    let mut wrong = Vec::new();
    for (text, pattern) in &own {
        if is_whole(store, text) {
            ran.insert(text.clone());
        } else if !ran.iter().any(|statement| pattern.is_match(statement)) {
            wrong.push(format!("no unit test of the store prepares what has this text: {text}"));
        }
    }
    let allowed: Vec<[&str; 2]> = ALLOWED
        .lines()
        .skip(1)
        .map(|line| {
            let [part, step, _] = line.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
                panic!("three columns: {line}");
            };
            [part, step]
        })
        .collect();
    let mut used = BTreeSet::new();
    for statement in &ran {
        if !VERBS.contains(&verb_of(statement)) {
            continue;
        }
        if !own.iter().any(|(_, pattern)| pattern.is_match(statement)) {
            if !of_tests.iter().any(|pattern| pattern.is_match(statement)) {
                wrong.push(format!("neither the code nor a test has the text of: {statement}"));
            }
            continue;
        }
        for step in dear_steps(store, statement) {
            let allows = |[part, allowed]: &[&str; 2]| statement.contains(part) && *allowed == step;
            match allowed.iter().position(allows) {
                Some(at) => _ = used.insert(at),
                None => wrong.push(format!("{step}: {statement}")),
            }
        }
    }
    for (at, [part, step]) in allowed.iter().enumerate() {
        if !used.contains(&at) {
            wrong.push(format!("named, and in no plan: {step} of '{part}'"));
        }
    }
    assert!(wrong.is_empty(), "{} found:\n{}", wrong.len(), wrong.join("\n"));
}
