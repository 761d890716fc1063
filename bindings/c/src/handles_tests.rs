#![cfg_attr(windows, allow(dead_code, unused_imports))]

use std::time::Duration;

use super::*;
use crate::for_tests::{hostile, is_true_in_child};
use plexindex::error::Status;
use plexindex::options;

/// Opens an index without silencing panics, which would hide messages of other tests.
fn opened_in(folder: &std::path::Path) -> Opened {
    let options = options::Options {
        cache_dir: folder.to_owned(),
        ..options::Options::default()
    };
    Opened::wrap(Index::open(options).expect("opens"))
}

#[test]
fn handles_for_unknown_libraries_are_limited() {
    let folder = tempfile::tempdir().expect("a folder");
    let opened = Opened::wrap(hostile(folder.path()));
    let ask = |number: usize| opened.library(&Selector::Any(format!("Name {number}")));
    for number in 0..MAX_UNKNOWN {
        ask(number).expect("a handle");
    }
    let error = ask(MAX_UNKNOWN).expect_err("one too many");
    assert_eq!(error.status, Status::InvalidArgument);
    assert!(error.message.contains("Name 1024"), "{error}");
    // Existing handles stay valid, and known libraries always get one.
    assert_eq!(ask(0).expect("the same"), ask(0).expect("the same"));
    let movies = opened.index().library("Movies").expect("a handle");
    movies.match_path("/a").expect("listed");
    opened.library(&Selector::Any("Movies".to_owned())).expect("a handle");
    opened.library(&Selector::All).expect("a handle");
    opened.close().expect("closes");
}

#[cfg(unix)]
#[test]
fn a_child_gets_handles_though_a_thread_got_its_first_at_the_fork() {
    let folder = tempfile::tempdir().expect("a folder");
    let opened = opened_in(folder.path());
    let (say, said) = std::sync::mpsc::channel();
    let libraries = Arc::clone(&opened.libraries);
    let busy = std::thread::spawn(move || {
        let _known = libraries.values.lock();
        say.send(()).expect("heard");
        std::thread::sleep(Duration::from_millis(100));
    });
    said.recv().expect("it is held");
    assert!(is_true_in_child(|| opened.library(&Selector::All).is_ok()));
    busy.join().expect("no panic");
    opened.close().expect("closes");
}
