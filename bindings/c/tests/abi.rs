//! The C ABI is what the sources, the header and the shared object all say: three lists that must not drift apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::mem::{offset_of, size_of};
use std::path::Path;
use std::process::Command;

use plexindex::error::Status;
use plexindex_abi::types;
use serde_json::Value;

use crate::compile;

const HEADER: &str = "plexindex.h";

const HELPERS: &str = "// Helpers.";

/// Names of helpers: functions and types that only C has.
fn helpers() -> BTreeSet<String> {
    let header = committed(HEADER);
    let helpers = header.split_once(HELPERS).expect("the header has helpers").1;
    let words = helpers.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words
        .filter(|word| word.starts_with("plexindex_"))
        .map(str::to_owned)
        .collect()
}

fn committed(name: &str) -> String {
    fs::read_to_string(compile::repository(&format!("include/{name}"))).expect("it is committed")
}

/// Part of what plexindex.json says of the header.
fn described(part: &str) -> Value {
    let mut description: Value = serde_json::from_str(&committed("plexindex.json")).expect("JSON");
    description[part].take()
}

/// The names of a part's entries.
fn names(part: &str) -> BTreeSet<String> {
    match described(part) {
        Value::Object(entries) => entries.into_iter().map(|(name, _)| name).collect(),
        list => serde_json::from_value(list).expect("names"),
    }
}

/// The constants that begin with a prefix, without it, and the statuses; with their numbers.
fn numbers(part: &str, prefix: &str) -> BTreeMap<String, i32> {
    let all: BTreeMap<String, i32> = serde_json::from_value(described(part)).expect("numbers");
    let own = all
        .iter()
        .filter_map(|(name, number)| Some((name.strip_prefix(prefix)?.to_owned(), *number)));
    own.collect()
}

/// Structs with their fields.
fn structs() -> BTreeMap<String, Vec<String>> {
    let name_of = |field: &Value| field["name"].as_str().expect("a name").to_owned();
    let fields_of = |one: &Value| one["fields"].as_array().expect("a list").iter().map(name_of).collect();
    let described = described("structs");
    let all = described.as_object().expect("structs").iter();
    all.map(|(name, one)| (name.clone(), fields_of(one))).collect()
}

/// The header, and what bindings are made from.
#[test]
fn what_build_rs_makes_is_committed() {
    for name in [HEADER, "plexindex.json"] {
        let generated = fs::read_to_string(Path::new(env!("OUT_DIR")).join(name))
            .expect("build.rs generated no header: its warning in the output of cargo says why");
        assert!(
            generated == committed(name),
            "include/{name} differs from what bindings/c/src says: run `make header` and commit it"
        );
    }
}

#[test]
fn no_line_of_the_header_is_longer_than_120_columns() {
    let text = committed(HEADER);
    let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 120).collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// Comments name functions, constants, fields and types: all of them exist, and `sizeof` is taken of types.
#[test]
fn comments_name_what_exists() {
    let (helpers, functions, structs) = (helpers(), names("functions"), structs());
    let mut names: BTreeSet<String> = ["opaque", "callbacks", "structs", "functions", "constants", "statuses"]
        .into_iter()
        .flat_map(names)
        .chain(helpers.clone())
        .collect();
    names.insert("plexindex_status".to_owned());
    let header = committed(HEADER);
    let declared = header.split_once(HELPERS).expect("the header has helpers").0;
    let mut wrong = Vec::new();
    for line in declared.lines() {
        let Some((_, comment)) = line.split_once("//") else {
            continue;
        };
        for (at, _) in comment
            .match_indices("plexindex_")
            .chain(comment.match_indices("PLEXINDEX_"))
        {
            let rest = &comment[at..];
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            let right = if after.starts_with('*') {
                names.iter().any(|known| known.starts_with(name))
            } else if comment[..at].ends_with("sizeof(") {
                structs.contains_key(name)
            } else if after.starts_with("()") {
                functions.contains(name) || helpers.contains(name)
            } else if let (Some(fields), Some(field)) = (structs.get(name), after.strip_prefix('.')) {
                let field: String = field
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                field.is_empty() || fields.contains(&field)
            } else {
                names.contains(name)
            };
            if !right {
                wrong.push(format!("{name} in `{}`", comment.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "comments name what the header has not: {wrong:#?}");
}

#[test]
fn the_header_compiles_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    for (standard, name) in [
        ("c99", "alone.c"),
        ("c11", "alone.c"),
        ("c17", "alone.c"),
        ("c++11", "alone.cpp"),
        ("c++17", "alone.cpp"),
    ] {
        if standard.starts_with("c++") && compile::lacks(compile::CPP) {
            continue;
        }
        let source = folder.path().join(name);
        // Twice: the include guard.
        fs::write(
            &source,
            "#include \"plexindex.h\"\n#include \"plexindex.h\"\nint not_empty;\n",
        )
        .expect("a file");
        compile::compile(standard, &source, &folder.path().join("alone.o"), &["-c"]);
    }
}

/// Compiles and runs a C program made of these statements; gives what it prints.
fn printed_by(statements: &str, link: bool) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("print.c");
    let program = folder.path().join("print");
    let text =
        format!("#include \"plexindex.h\"\n#include <stdio.h>\nint main(void)\n{{\n{statements}    return 0;\n}}\n");
    fs::write(&source, text).expect("a file");
    let link = if link { compile::link_arguments() } else { Vec::new() };
    let link: Vec<&str> = link.iter().map(String::as_str).collect();
    compile::compile("c11", &source, &program, &link);
    let output = compile::run(&mut Command::new(&program), "CC");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// `name number` for each size and offset: as Rust sees them.
macro_rules! layouts {
    ($($name:ident = $rust:ident { $($field:ident),* $(,)? })*) => {
        [$((
            stringify!($name),
            size_of::<types::$rust>(),
            vec![$((stringify!($field), offset_of!(types::$rust, $field))),*],
        )),*]
    };
}

#[test]
fn c_and_rust_agree_on_every_layout() {
    let rust = layouts! {
        plexindex_bytes = Bytes { data, length }
        plexindex_mapping = MappingRecord { kind, reserved, from, to }
        plexindex_options = OptionsRecord {
            size, cache_dir, server_url, token, user, ca_file, library_ttl_ms, max_age_ms, timeout_ms,
            connect_timeout_ms, read_timeout_ms, retry_ms, matches_limit, flags, page_size, log_level, reserved,
            mappings, mappings_count, slow_ms, size_limit, database, renew_token, renew_token_user, shared,
            stale_answer_timeout_ms,
        }
        plexindex_query = QueryRecord {
            size, library, text, timeout_ms, flags, reserved, progress, progress_user, file_size,
        }
        plexindex_progress = ProgressRecord { size, library, items, total, elapsed_ms }
        plexindex_buffer = Buffer { data, capacity, length }
        plexindex_text = Text { offset, length }
        plexindex_answers = Answers { size, answer_size, item_size, count, first, log_lines, file_size, reserved }
        plexindex_answer = AnswerRecord {
            status, match_kind, confidence, reason, flags, item, candidates, candidates_count, candidates_total, message,
            age_ms,
        }
        plexindex_item = ItemRecord {
            key, rating_key, title, guid, show_title, show_rating_key, show_guid, path, section, library_title, kind,
            year, season, episode, flags, file,
        }
        plexindex_file = FileRecord {
            size_bytes, part_id, media_id, duration_ms, part, parts, version, versions, resolution, container, flags,
            reserved,
        }
        plexindex_stats = StatsRecord {
            size, answers, lookup_misses, stale_answers, requests, bytes_received, store_requests, store_answers,
            listings, network_us, store_us, segment_us, items, matches, libraries, disk_bytes, sequence, events,
            hints, parse_us, wait_us, match_us, calls, calls_us, slow_calls, failures,
            size_limit, over_limit, evictions, last_failure,
        }
        plexindex_call_options = CallOptionsRecord { size, timeout_ms, progress, progress_user }
        plexindex_table_op = TableOp { kind, reserved, table, name, value }
    };
    let mut expected = BTreeSet::new();
    for (name, size, fields) in rust {
        expected.insert(format!("{name} {size}"));
        for (field, offset) in fields {
            expected.insert(format!("{name}.{field} {offset}"));
        }
    }
    let mut statements = String::new();
    for (name, fields) in structs() {
        writeln!(statements, "    printf(\"{name} %zu\\n\", sizeof({name}));").expect("a string grows");
        for field in fields {
            writeln!(
                statements,
                "    printf(\"{name}.{field} %zu\\n\", offsetof({name}, {field}));"
            )
            .expect("a string grows");
        }
    }
    let printed = printed_by(&statements, false);
    let seen: BTreeSet<String> = printed.lines().map(str::to_owned).collect();
    assert_eq!(seen, expected);
}

/// The enum of the header, the table of the crate and `plexindex_get_status_name` are one list.
#[test]
fn every_status_has_its_name() {
    let declared = numbers("statuses", "PLEXINDEX_");
    let table: BTreeMap<String, i32> = Status::ALL
        .into_iter()
        .map(|status| (status.name().to_owned(), status as i32))
        .collect();
    assert_eq!(declared, table);
    let mut statements = String::new();
    for number in declared.values().copied().chain([-1, 99, i32::MAX]) {
        writeln!(statements, "    puts(plexindex_get_status_name({number}));").expect("a string grows");
    }
    let printed = printed_by(&statements, true);
    let expected: Vec<&str> = declared.keys().map(String::as_str).chain(["UNKNOWN"; 3]).collect();
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
}

/// The C++ binding has a way to each function, status and constant.
#[test]
fn the_cpp_binding_reaches_everything() {
    let binding = fs::read_to_string(compile::repository("bindings/cpp/plexindex.hpp")).expect("readable");
    let words: BTreeSet<&str> = binding
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    let names = ["functions", "constants", "statuses"].into_iter().flat_map(names);
    // Statistics are C's struct, and its counts have C's names.
    let own = |name: &String| !name.starts_with("PLEXINDEX_REQUEST_");
    let missing: Vec<String> = names
        .filter(own)
        .filter(|name| !words.contains(name.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "bindings/cpp/plexindex.hpp names none of these: {missing:?}"
    );
}

/// No panic may cross the boundary: the whole body of whatever is exported is one call of a guard.
#[test]
fn every_exported_function_is_guarded() {
    let mut guarded = BTreeSet::new();
    for entry in fs::read_dir(compile::repository("bindings/c/src/functions")).expect("a folder") {
        let source = fs::read_to_string(entry.expect("an entry").path()).expect("a source");
        for function in source.split("#[unsafe(no_mangle)]\n").skip(1) {
            let name = function
                .split_once("fn ")
                .and_then(|(_, rest)| rest.split_once('('))
                .expect("a name")
                .0;
            let body = function
                .split_once(" {\n")
                .and_then(|(_, rest)| rest.split_once("\n}\n"))
                .expect("a body")
                .0;
            // Each other line of the body belongs to the call.
            let mut lines = body
                .lines()
                .filter(|line| !line.starts_with("     ") && !line.trim().starts_with("})"));
            let call = lines.next().unwrap_or_default();
            assert!(
                call.starts_with("    guard") && lines.next().is_none(),
                "{name}: one call of a guard"
            );
            guarded.insert(name.to_owned());
        }
    }
    assert_eq!(guarded, names("functions"));
}

/// The dynamic symbols of the shared object: the header's functions, nothing more and nothing less.
#[test]
fn the_shared_object_exports_the_header() {
    if compile::lacks(("NM", "nm")) {
        return;
    }
    let mut nm = Command::new("nm");
    if cfg!(target_os = "macos") {
        nm.arg("-gU");
    } else {
        nm.args(["-D", "--defined-only"]);
    }
    let output = compile::run(nm.arg(compile::library()), "PATH");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let symbols: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next_back())
        .map(|name| if cfg!(target_os = "macos") { &name[1..] } else { name })
        .map(str::to_owned)
        .collect();
    let functions = names("functions");
    assert!(functions.iter().all(|name| name.starts_with("plexindex_")));
    assert_eq!(symbols, functions);
}
