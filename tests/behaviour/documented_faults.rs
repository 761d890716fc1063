//! docs/faults.md is true: each test that it names exists.

use std::fs;

fn repository(path: &str) -> String {
    let path = plexindex_tests::repository(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The tests in the last cell of a row, each with its file: `file`: `test`, `test`; `file`: `test`.
fn named(row: &str) -> Vec<(String, String)> {
    let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
    let files = cell.split("; ").filter_map(|part| part.split_once("`: `"));
    let tests = files.flat_map(|(file, tests)| tests.split("`, `").map(move |test| (file, test)));
    tests
        .map(|(file, test)| (file.trim_matches('`').to_owned(), test.trim_matches('`').to_owned()))
        .collect()
}

#[test]
fn each_test_that_is_named_exists() {
    let text = repository("docs/faults.md");
    let mut count = 0;
    for (file, test) in text.lines().filter(|line| line.starts_with("| ")).flat_map(named) {
        let content = repository(&file);
        let there = ["fn ", "def ", "int "]
            .iter()
            .any(|what| content.contains(&format!("{what}{test}(")));
        assert!(there, "{file} has no {test}");
        count += 1;
    }
    assert!(count > 50, "{count} tests");
}
