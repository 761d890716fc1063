//! A process is killed while it migrates a store.

use std::collections::BTreeSet;
use std::ffi::c_int;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::support::index::Index;
use crate::support::index::QueryOptions;
use crate::support::vfs::{self, Call};
use crate::support::worker::{Worker, assert_sound, database, say};
use crate::support::{copy_of, files_in, store_of};
use plexindex::model::Token;
use plexindex::options::Options;
use rusqlite::ffi::SQLITE_OK;

/// A format with a log of records, which the migration moves.
const FORMAT: i64 = 10;
const AT_ONCE: usize = 8;

/// The folder of the store, and where its copies go.
static FOLDERS: OnceLock<[PathBuf; 2]> = OnceLock::new();
/// Copies so far.
static COPIES: AtomicU64 = AtomicU64::new(0);

/// Copies the folder before each write: this is what a kill leaves there.
fn copy_before_writes(call: &Call<'_>) -> c_int {
    let [folder, copies] = FOLDERS.get().expect("set");
    if matches!(call, Call::Write { .. } | Call::Truncate { .. } | Call::Delete { .. }) {
        let copy = copies.join(COPIES.fetch_add(1, Ordering::SeqCst).to_string());
        fs::create_dir(&copy).expect("made");
        for entry in fs::read_dir(folder).expect("the folder").flatten() {
            fs::copy(entry.path(), copy.join(entry.file_name())).expect("copied");
        }
    }
    SQLITE_OK
}

/// In a worker: migrates the store in a folder.
pub fn migration(words: &[&str]) {
    FOLDERS.set([words[0].into(), words[1].into()]).expect("set once");
    vfs::register(copy_before_writes, true);
    drop(Index::open(Options::new(words[0])).expect("opens"));
    say("done");
}

/// The options with which the store was made: see `tests/behaviour/upgrade.rs`.
fn options(folder: &Path) -> Options {
    Options {
        server_url: Some("http://127.0.0.1:32499".to_owned()),
        token: Token::new("a-token-of-stores"),
        offline: true,
        ..Options::new(folder)
    }
}

fn version(folder: &Path) -> i64 {
    let version = database(folder).query_row("PRAGMA user_version", [], |row| row.get(0));
    version.expect("a version")
}

/// The next process completes the migration, and finds all that was recorded.
fn complete(copy: &Path) {
    let index = Index::open(options(copy)).expect("opens");
    let table = index.tables().table(b"Notes", false).expect("a table");
    let entry = |name: &[u8]| table.lookup(name, |value| String::from_utf8(value.to_vec()).expect("text"));
    assert_eq!(entry(b"entry 7").as_deref(), Some("value 7"));
    assert_eq!(index.movies().fast("/mnt/1.mkv").as_deref(), Some("1002"));
    let cursor = entry(b"end").expect("a cursor");
    let page = index.changes(&QueryOptions::default(), &cursor, false, 10);
    assert_eq!(page.expect("it continues").changes, []);
    drop(index);
    assert_sound(copy);
    assert!(!copy.join("plexindex-1.db.broken").exists());
}

#[test]
fn a_migration_that_is_killed_before_any_write_is_completed_by_the_next_process() {
    let (folder, copies) = (store_of(FORMAT), tempfile::tempdir().expect("a folder"));
    let words = [folder.path(), copies.path()].map(|path| path.display().to_string());
    let mut worker = Worker::start("migration", [&words[0], &words[1]]);
    assert_eq!(worker.hear(), "done");
    worker.end();
    let current = version(folder.path());
    let (left, versions) = (Mutex::new(files_in(copies.path())), Mutex::new(BTreeSet::new()));
    // Several at a time: each waits for the disk.
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(copy) = { left.lock().expect("no panic").pop() } {
                    let before = version(copy_of(&copy).path());
                    versions.lock().expect("no panic").insert(before);
                    complete(&copy);
                    assert_eq!(version(&copy), current);
                }
            });
        }
    });
    assert_eq!(
        versions.into_inner().expect("no panic"),
        BTreeSet::from([FORMAT, current])
    );
}
