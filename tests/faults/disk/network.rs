//! File systems whose processes share no memory, or that have no locks, as on a network: the store works there, says so in
//! one line, and one that is moved there or back goes on.

use std::io;
use std::path::Path;

use crate::support::index::failpoint;
use plexindex_standin::Standin;
use rusqlite::ffi::SQLITE_OK;

use super::broken::{answer, use_it, used};
use crate::support::vfs;
use crate::support::worker::{Worker, assert_sound, database, options_at, say, told};
use crate::support::{Scene, clock, movies, open, path_of};

fn no_locks(step: failpoint::FileStep<'_>) -> io::Result<()> {
    match step {
        failpoint::FileStep::Lock => Err(io::Error::from_raw_os_error(vfs::SYSTEM_ERRORS[4])),
        _ => Ok(()),
    }
}

/// In a worker: uses a store, new or moved there, on a disk that is as on a network.
pub fn on_a_network(words: &[&str]) {
    crate::support::warnings::keep();
    failpoint::simulate_network(true);
    vfs::register(|_| SQLITE_OK, false);
    failpoint::install(no_locks);
    let index = open(options_at(words), &clock());
    let library = index.movies();
    assert_eq!(answer(&library, words[3]).expect("an answer"), words[4]);
    library.record("/host/there.mkv", words[4]);
    say("open");
    while let Some(path) = told() {
        say(&answer(&library, &path).expect("an answer"));
    }
    index.close().expect("closes");
    let lines = crate::support::warnings::so_far();
    assert_eq!(lines.len(), words[5].parse::<usize>().expect("a number"), "{lines:?}");
}

fn go_there(server: &Standin, folder: &Path, lines: &str) -> Worker {
    let (path, key) = path_of(server, 1, 3);
    let mut worker = Worker::at("on a network", folder, server, &[&path, &key, lines]);
    assert_eq!(worker.hear(), "open");
    worker
}

#[test]
fn a_store_works_without_shared_memory_and_without_locks() {
    let server = movies(60);
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("new");
    let mut first = go_there(&server, &folder, "1");
    // Another process on the same machine, which made nothing and has nothing to say.
    let mut second = go_there(&server, &folder, "0");
    let (_, key) = path_of(&server, 1, 3);
    for worker in [&mut first, &mut second] {
        assert_eq!(worker.ask("/host/there.mkv"), key);
    }
    first.end();
    second.end();
    assert!(!folder.join("plexindex-1.page").exists(), "nothing is mapped there");
    assert_sound(&folder);
}

#[test]
fn a_store_that_is_moved_to_a_network_and_back_goes_on() {
    let at = Scene::movies(150);
    used(&at.server, at.folder());
    let mode = || -> String {
        database(at.folder())
            .query_row("PRAGMA journal_mode", [], |row| row.get(0))
            .expect("a mode")
    };
    assert_eq!(mode(), "wal");
    let mut there = go_there(&at.server, at.folder(), "1");
    let (_, key) = path_of(&at.server, 1, 3);
    assert_eq!(there.ask("/host/1200.mkv"), key);
    there.end();
    assert_ne!(mode(), "wal");
    assert_sound(at.folder());
    let (index, library) = at.opened();
    for path in ["/host/1200.mkv", "/host/there.mkv"] {
        assert_eq!(answer(&library, path).expect("an answer"), key);
    }
    index.close().expect("closes");
    assert_eq!(use_it(&at.server, at.folder(), "moved back").expect("it opens"), 0);
    assert_eq!(mode(), "wal");
}
