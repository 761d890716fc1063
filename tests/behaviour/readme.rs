//! The example of docs/rust.md is `examples/match_file.rs`; it and its neighbours do what they say. `make docs`
//! checks the links between documents.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{movies, path_of};
use plexindex::{Index, Options, Token};
use plexindex_standin::{Action, Fault, LibraryKind, LibrarySpec, Standin};

fn repository(file: &str) -> String {
    fs::read_to_string(plexindex_tests::repository(file)).expect("it is in the repository")
}

#[test]
fn the_readme_shows_the_example() {
    const BEGIN: &str = "<!-- examples/match_file.rs -->\n```rust\n";
    let readme = repository("docs/rust.md");
    let shown = readme
        .split_once(BEGIN)
        .and_then(|(_, rest)| rest.split_once("```\n<!-- end -->"));
    let shown = shown.map(|(shown, _)| shown);
    assert_eq!(
        shown,
        Some(&*repository("examples/match_file.rs")),
        "copy it into docs/rust.md"
    );
}

/// Starts an example with a server, a folder, and what else it is given.
fn start(example: &str, server: &Standin, folder: &Path, more: &[&str]) -> Child {
    // Beside the tests' own folder; `--workspace` builds it with them.
    let tests = std::env::current_exe().expect("this program");
    let program: PathBuf = tests.ancestors().nth(2).expect("the build folder").join("examples");
    Command::new(program.join(example))
        .args([&server.url(), &server.token()])
        .arg(folder)
        .arg("Movies")
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("an example: `cargo build --examples --features unstable-source` first")
}

/// What an example printed.
fn run(example: &str, server: &Standin, more: &[&str], input: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let mut running = start(example, server, folder.path(), more);
    let mut to = running.stdin.take().expect("a pipe");
    to.write_all(input).expect("it reads");
    drop(to);
    let done = running.wait_with_output().expect("it ends");
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).expect("text")
}

/// The block of commands and what they print is what they print.
#[test]
fn the_readme_shows_what_the_example_prints() {
    let readme = repository("docs/rust.md");
    let (_, rest) = readme
        .split_once("<!-- tests/behaviour/readme.rs -->\n```text\n")
        .expect("the block");
    let (block, _) = rest.split_once("```\n<!-- end -->").expect("its end");
    // As `make standin` serves them, but fewer.
    let server = Standin::builder()
        .library(LibrarySpec::new(LibraryKind::Movie, 20))
        .serve();
    let mut commands = 0;
    for command in block.split("$ ").skip(1) {
        let mut parts = command.split('\'');
        let (file, shown) = (
            parts.nth(1).expect("a file"),
            &command[command.rfind(".mkv'\n").unwrap_or(0)..],
        );
        let shown = shown.split_once('\n').expect("what it prints").1;
        assert_eq!(run("match_file", &server, &[file], b""), shown);
        commands += 1;
    }
    assert_eq!(commands, 2);
}

#[test]
fn the_example_of_a_batch_takes_any_bytes() {
    let server = movies(20);
    let (path, key) = path_of(&server, 1, 3);
    let input = [path.as_bytes(), b"\n\n/nowhere/\xff.mkv\n"].concat();
    let told = run("match_batch", &server, &[], &input);
    let lines: Vec<&str> = told.lines().collect();
    let ending = format!("(/library/metadata/{key})");
    assert!(lines[0].ends_with(&ending), "{told}");
    assert!(lines[1].contains("the path is empty"), "{told}");
    assert!(lines[2].ends_with(": not sure, 0 candidates"), "{told}");
    assert!(lines[3].ends_with("requests were sent"), "{told}");
}

#[test]
fn the_example_of_watching_answers_each_line() {
    let server = movies(20);
    let (path, key) = path_of(&server, 1, 3);
    let told = run("watch", &server, &[&path], b"\n\n");
    let ending = format!(": /library/metadata/{key}\n");
    assert_eq!(told.matches(&ending).count(), 2, "{told}");
}

#[test]
fn the_example_of_a_service_answers_each_path_and_ends() {
    let server = movies(20);
    let (path, key) = path_of(&server, 1, 3);
    let input = format!("{path}\n\n{path}\n/nowhere/x.mkv\n");
    let told = run("service", &server, &[], input.as_bytes());
    let found = told
        .lines()
        .filter(|line| line.ends_with(&format!(": /library/metadata/{key}")));
    assert_eq!(found.count(), 2, "{told}");
    assert!(told.contains(": the path is empty"), "{told}");
    let none = "/nowhere/x.mkv: none: no library has a folder above";
    assert!(told.contains(none), "{told}");
    run("service", &server, &[], b"quit\n");
}

/// A library that is not there yet, a token that is refused, and a store that is cleared.
#[test]
fn the_feed_of_the_service_survives_what_fails() {
    let server = Standin::builder().serve();
    let folder = tempfile::tempdir().expect("a folder");
    let mut running = start("service", &server, folder.path(), &[]);
    let mut errors = BufReader::new(running.stderr.take().expect("a pipe")).lines();
    let mut fails = |why: &str| {
        let line = errors.find(|line| line.as_ref().is_ok_and(|line| line.contains(why)));
        assert!(line.is_some(), "the feed ended without {why}");
    };
    fails("'Movies'");
    let refusal = Action::status(401);
    server.fault(Fault::new(refusal).times(0));
    fails("a new token is needed");
    server.clear_faults();
    let added = server.change(|state| state.add_library(LibrarySpec::new(LibraryKind::Movie, 20)));
    added.expect("a library");
    let printed = BufReader::new(running.stdout.take().expect("a pipe")).lines();
    let mut items = printed.filter(|line| line.as_ref().is_ok_and(|line| line.starts_with("added: ")));
    assert_eq!(items.by_ref().take(20).count(), 20);
    let other = Index::open(Options {
        server_url: Some(server.url()),
        token: Token::new(&server.token()),
        ..Options::new(folder.path())
    });
    other.and_then(|index| index.clear()).expect("cleared");
    assert_eq!(items.take(20).count(), 20, "it begins anew");
    drop(running.stdin.take());
    assert!(running.wait().expect("it ends").success());
}

/// Else they lead nowhere on the page of the package.
#[test]
fn the_package_has_what_its_readme_links_to() {
    let manifest = repository("Cargo.toml");
    let (_, rest) = manifest.split_once("\ninclude = [").expect("a list");
    let included: Vec<&str> = rest[..rest.find(']').expect("its end")]
        .split('"')
        .skip(1)
        .step_by(2)
        .collect();
    let is_included = |file: &str| {
        included.iter().any(|pattern| match pattern[1..].split_once('*') {
            Some((begin, end)) => file.starts_with(begin) && file.ends_with(end),
            None => Path::new(file).starts_with(&pattern[1..]),
        })
    };
    let text = repository("README.md");
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for target in targets.filter(|target| !target.contains("://")) {
        let file = target.split('#').next().unwrap_or_default();
        assert!(is_included(file), "include {file} in Cargo.toml");
    }
}
