//! The version page, or the whole store, is removed while processes use it: what is written afterwards is seen all the
//! same.

use std::fs;
use std::time::{Duration, Instant};

use crate::processes::coherence::{assert_sees, look, workers};
use crate::support::worker::Worker;
use crate::support::{Scene, clock, copy_files, movies, open, options, path_of};

/// Longer than a process may believe what it mapped of a store that was removed, on a busy machine.
const BOUND: Duration = Duration::from_secs(5);

/// Asserts that a process gives `expected` within the bound.
fn assert_soon_sees(worker: &mut Worker, path: &str, expected: &str, what: &str) {
    let begun = Instant::now();
    loop {
        let seen = worker.ask(&format!("both {path}"));
        if seen.split_once(' ').is_some_and(|(_, full)| full == expected) {
            assert_sees(worker, path, expected, what);
            return;
        }
        assert!(begun.elapsed() < BOUND, "{what}: still {seen}, not {expected}");
    }
}

#[test]
fn no_write_is_missed_because_the_page_was_removed() {
    let at = Scene::movies(20);
    let [mut reader] = workers(at.folder(), &at.server, [""]).try_into().ok().expect("one");
    let (listed, key) = path_of(&at.server, 1, 5);
    let (_, other) = path_of(&at.server, 1, 6);
    assert_sees(&mut reader, &listed, &key, "at first");
    fs::remove_file(at.folder().join("plexindex-1.page")).expect("removed");
    assert_sees(&mut reader, &listed, &key, "nothing was written");
    // A process that never had the page that the reader has.
    let (_index, library) = at.opened();
    library.record("/host/a.mkv", &other);
    assert_sees(&mut reader, "/host/a.mkv", &other, "recorded by another process");
    library.invalidate_path(&listed).expect("invalidated");
    assert_sees(&mut reader, &listed, "Unconfirmed", "invalidated by another process");
    // And it is told of what follows without asking the database each time.
    library.record("/host/a.mkv", &key);
    assert_eq!(reader.ask("both /host/a.mkv"), format!("{key} {key}"));
    assert_eq!(reader.ask(&format!("record /host/a.mkv|{other}")), "done");
    assert_eq!(library.lookup_key(b"/host/a.mkv", |found| *found == other), Some(true));
    reader.end();
}

#[test]
fn the_first_write_is_not_missed_because_the_page_was_removed() {
    let (at, _reader, seen) = Scene::movies(20).and_opened();
    assert_eq!(seen.fast("/host/a.mkv"), None);
    fs::remove_file(at.folder().join("plexindex-1.page")).expect("removed");
    // One that never had the page that the reader has, and makes one at once: nothing was ever written.
    let (_writer, told) = at.opened();
    let (_, key) = path_of(&at.server, 1, 6);
    told.record("/host/a.mkv", &key);
    assert_eq!(look(&seen, "/host/a.mkv"), format!("{key} {key}"));
}

/// One that has no connection open takes what has the name now for what it had open.
#[test]
fn a_copy_that_was_put_back_is_what_a_process_answers_from_that_forked() {
    let server = movies(20);
    let root = tempfile::tempdir().expect("a folder");
    let [folder, copy, aside] = ["store", "copy", "aside"].map(|name| root.path().join(name));
    fs::create_dir(&folder).expect("made");
    let [before, after, other] = [5, 6, 7].map(|number| path_of(&server, 1, number).1);
    let mut reader = workers(&folder, &server, [""]).pop().expect("one");
    copy_files(&folder, &copy);
    assert_eq!(reader.ask(&format!("record /host/a.mkv|{before}")), "done");
    assert_sees(&mut reader, "/host/a.mkv", &before, "at first");
    assert_eq!(reader.ask("fork"), "done");
    fs::rename(&folder, &aside).expect("renamed");
    fs::rename(&copy, &folder).expect("renamed");
    // As many commits as the reader saw, and one more.
    let index = open(options(&server, &folder), &clock());
    let library = index.movies();
    library.record("/host/a.mkv", &after);
    library.record("/host/b.mkv", &other);
    assert_soon_sees(&mut reader, "/host/b.mkv", &other, "in the copy");
    assert_sees(&mut reader, "/host/a.mkv", &after, "in the copy");
    reader.end();
}

#[test]
fn a_process_that_cannot_map_the_page_is_heard_all_the_same() {
    let at = Scene::movies(20);
    let [mut reader, other] = workers(at.folder(), &at.server, [""; 2]).try_into().ok().expect("two");
    other.end();
    let (listed, key) = path_of(&at.server, 1, 5);
    assert_sees(&mut reader, &listed, &key, "at first");
    let page = at.folder().join("plexindex-1.page");
    let mut starved = at.worker("coherence", &[]);
    assert_eq!(starved.hear(), "ready");
    assert_eq!(starved.ask(&format!("record /host/first.mkv|{key}")), "done");
    assert_eq!(starved.ask("starve"), "done");
    // The others make another page, and it may open no more files.
    fs::remove_file(&page).expect("removed");
    let mut late = at.worker("coherence", &[]);
    assert_eq!(late.hear(), "ready");
    assert_sees(&mut late, &listed, &key, "before");
    for round in 0..2 {
        let path = format!("/host/{round}.mkv");
        assert_eq!(starved.ask(&format!("record {path}|{key}")), "done");
        assert_sees(&mut late, &path, &key, "recorded without a page");
        assert_sees(&mut reader, &path, &key, "recorded without a page");
    }
    assert_eq!(starved.ask(&format!("invalidate {listed}")), "done");
    for worker in [&mut late, &mut reader] {
        assert_sees(worker, &listed, "Unconfirmed", "invalidated without a page");
    }
    // Who can make a page makes one, and all goes on.
    assert_eq!(late.ask(&format!("record {listed}|{key}")), "done");
    for worker in [&mut starved, &mut reader] {
        assert_sees(worker, &listed, &key, "recorded with a page");
    }
    for worker in [starved, late, reader] {
        worker.end();
    }
}
