//! docs/faults.md is true: each test that it names exists, and each count is what the test and `make check-deep` do.

use std::fs;

fn repository(path: &str) -> String {
    let path = plexindex_tests::repository(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of the tables: their cells.
fn rows() -> Vec<Vec<String>> {
    let text = repository("docs/faults.md");
    let lines = text.lines().filter(|line| line.starts_with("| "));
    let cells = lines.map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()));
    cells
        .map(Iterator::collect)
        .filter(|row: &Vec<String>| row.iter().any(|cell| cell.contains("`: `")))
        .collect()
}

/// File and test that a row names.
fn named(row: &[String]) -> (String, String) {
    let cell = row.iter().find(|cell| cell.contains("`: `")).expect("a test");
    let (file, test) = cell.trim_matches('`').split_once("`: `").expect("two names");
    (file.to_owned(), test.to_owned())
}

/// The text of a Rust function, if there is one.
fn function<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let from = text.find(&format!("fn {name}("))?;
    let to = text[from..].find("\n}").map_or(text.len(), |length| from + length);
    Some(&text[from..to])
}

/// The number behind these words.
fn number(text: &str, before: &str) -> Option<u64> {
    let (_, rest) = text.split_once(before)?;
    let rest = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
    rest.split(|c: char| !(c.is_ascii_digit() || c == '_'))
        .next()?
        .replace('_', "")
        .parse()
        .ok()
}

/// How many times as often the deep tests of its folder, or of its file, run a test.
fn times(file: &str, test: &str) -> Option<u64> {
    let (folder, _) = file.rsplit_once('/')?;
    let deep = match folder {
        "tests/behaviour" => repository(file),
        folder => repository(&format!("{folder}/deep.rs")),
    };
    let deep: String = deep.split_whitespace().collect();
    let calls = deep.split("deeply(").skip(1);
    let call = calls
        .filter_map(|call| call.split_once(')'))
        .find(|(call, _)| call.trim_end_matches(',').rsplit([':', ',']).next() == Some(test))?;
    call.0.split_once(',')?.0.replace('_', "").parse().ok()
}

#[test]
fn each_test_that_is_named_exists() {
    let rows = rows();
    assert!(rows.len() > 50, "{} rows", rows.len());
    for row in rows {
        let (file, test) = named(&row);
        let content = repository(&file);
        let there = ["fn ", "def ", "int "]
            .iter()
            .any(|what| content.contains(&format!("{what}{test}(")));
        assert!(there, "{file} has no {test}");
    }
}

#[test]
fn each_count_is_what_is_done() {
    let mut counted = 0;
    for row in rows() {
        let (file, test) = named(&row);
        let Some((quick, deep)) = row.last().and_then(|count| count.split_once(" / ")) else {
            continue;
        };
        if quick == "0" {
            continue; // deep only
        }
        let content = repository(&file);
        let body = function(&content, &test).expect("the test");
        // A test may only say how often another function does it.
        let done = number(body, "rounds(\"").or_else(|| number(&content, "rounds(\""));
        assert_eq!(done, quick.parse().ok(), "{test} in make test");
        let times = times(&file, &test).unwrap_or_else(|| panic!("{test} is not among the deep tests"));
        if deep != "all" {
            assert_eq!(
                done.map(|done| done * times),
                deep.parse().ok(),
                "{test} in make check-deep"
            );
        }
        counted += 1;
    }
    assert!(counted > 10, "{counted}");
}
