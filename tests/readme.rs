//! The Rust example of README.md is `examples/match.rs`, and does what it says.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::{movies, path_of};

fn repository(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("it is in the repository")
}

#[test]
fn the_readme_shows_the_example() {
    const BEGIN: &str = "<!-- examples/match.rs -->\n```rust\n";
    let readme = repository("README.md");
    let shown = readme
        .split_once(BEGIN)
        .and_then(|(_, rest)| rest.split_once("```\n<!-- end -->"));
    assert_eq!(
        shown.map(|(shown, _)| shown),
        Some(&*repository("examples/match.rs")),
        "copy examples/match.rs into README.md"
    );
}

#[test]
fn the_example_finds_a_file() {
    // Beside the tests' own folder; `cargo test` builds it with them.
    let tests = std::env::current_exe().expect("this program");
    let example = tests
        .ancestors()
        .nth(2)
        .expect("the build folder")
        .join("examples/match");
    let server = movies(20);
    let folder = tempfile::tempdir().expect("a folder");
    let (path, key) = path_of(&server, 1, 3);
    let run = |file: &str| {
        let folder = folder.path().to_str().expect("text");
        let done = Command::new(&example)
            .args([&server.url(), &server.token(), folder, "Movies", file])
            .output()
            .expect("`cargo test` has built the example");
        String::from_utf8(done.stdout).expect("text")
    };
    assert!(run(&path).starts_with(&format!("/library/metadata/{key}: ")));
    assert!(run("/nowhere/x.mkv").starts_with("NOT_FOUND: "));
}
