//! A process is killed while it migrates a store, or cannot write.

use std::collections::BTreeSet;
use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::support::index::{Index, freeze_coarse_clock};
use crate::support::vfs::{self, Call};
use crate::support::worker::{Worker, assert_sound, database, is_deep, say};
use crate::support::{copy_files, copy_of, files_in, movies, store_of, store_options};
use plexindex::error::Status;
use plexindex::options::Options;
use rusqlite::ffi::{SQLITE_FULL, SQLITE_OK};

use super::full::{mount_read_only, with_mount};

/// Formats with a log of records, which the migration moves: without and with a log of changes.
const FORMATS: [i64; 2] = [7, 10];
const AT_ONCE: usize = 8;

/// The folder of the store, and where its copies go.
static FOLDERS: OnceLock<[PathBuf; 2]> = OnceLock::new();
/// Copies so far.
static COPIES: AtomicU64 = AtomicU64::new(0);
/// Writes for which the disk has room.
static ROOM: AtomicU64 = AtomicU64::new(u64::MAX);

/// Copies the folder before each write: this is what a kill leaves there.
fn copy_before_writes(call: &Call<'_>) -> c_int {
    let [folder, copies] = FOLDERS.get().expect("set");
    if matches!(call, Call::Write { .. } | Call::Truncate { .. } | Call::Delete { .. }) {
        let copy = copies.join(COPIES.fetch_add(1, Ordering::SeqCst).to_string());
        copy_files(folder, &copy);
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

fn write_while_there_is_room(call: &Call<'_>) -> c_int {
    let take = |left: u64| left.checked_sub(1);
    match call {
        Call::Write { .. } if ROOM.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_err() => SQLITE_FULL,
        _ => SQLITE_OK,
    }
}

/// In a worker: the disk is full from every so-manieth write of a migration on, until there is room again.
pub fn on_a_full_disk(words: &[&str]) {
    let step: usize = words[0].parse().expect("a number");
    vfs::register(write_while_there_is_room, true);
    for format in FORMATS {
        for room in (0..).step_by(step) {
            let folder = store_of(format);
            ROOM.store(room, Ordering::SeqCst);
            let opened = Index::open(options(folder.path())).map(drop);
            ROOM.store(u64::MAX, Ordering::SeqCst);
            complete(folder.path(), format);
            let Err(error) = opened else { break };
            assert_eq!(error.status, Status::StoreFull, "{error}");
            say("alive");
        }
    }
    say("done");
}

/// In a worker: nothing can be written in the folder of an older store.
pub fn where_nothing_can_be_written(words: &[&str]) {
    let folder = Path::new(words[0]);
    if !mount_read_only(folder) {
        return;
    }
    say("ready");
    let error = Index::open(options(folder)).expect_err("refused");
    assert!(error.message.contains("cannot write to the store"), "{error}");
    say("done");
}

fn options(folder: &Path) -> Options {
    Options {
        offline: true,
        ..store_options(folder)
    }
}

fn version(folder: &Path) -> i64 {
    let version = database(folder).query_row("PRAGMA user_version", [], |row| row.get(0));
    version.expect("a version")
}

/// The next process completes the migration, and finds all that was recorded.
fn complete(copy: &Path, format: i64) {
    // A new version page waits until other processes have noticed that the old one is gone. There are none here.
    freeze_coarse_clock(0);
    let index = Index::open(options(copy)).expect("opens");
    let table = index.tables().table(b"Notes", false).expect("a table");
    let entry = |name: &[u8]| table.lookup(name, |value| String::from_utf8(value.to_vec()).expect("text"));
    assert_eq!(entry(b"entry 7").as_deref(), Some("value 7"));
    assert_eq!(index.movies().fast("/mnt/1.mkv").as_deref(), Some("1002"));
    let cursor = entry(b"end").expect("a cursor");
    let page = index.query().changes_page(&cursor, false, 10);
    if format < 10 {
        assert_eq!(
            page.expect_err("its libraries are listed again").status,
            Status::ListAgain
        );
    } else {
        assert_eq!(page.expect("it continues").changes, []);
    }
    drop(index);
    assert_sound(copy);
    assert!(!copy.join("plexindex-1.db.broken").exists());
}

#[test]
fn a_migration_that_is_killed_before_any_write_is_completed_by_the_next_process() {
    for format in FORMATS {
        let (folder, copies) = (store_of(format), tempfile::tempdir().expect("a folder"));
        let words = [folder.path(), copies.path()].map(|path| path.display().to_string());
        Worker::start("migration", [&words[0], &words[1]]).done();
        let current = version(folder.path());
        let (left, versions) = (Mutex::new(files_in(copies.path())), Mutex::new(BTreeSet::new()));
        // Several at a time: each waits for the disk.
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while let Some(copy) = { left.lock().expect("no panic").pop() } {
                        let before = version(copy_of(&copy).path());
                        versions.lock().expect("no panic").insert(before);
                        complete(&copy, format);
                        assert_eq!(version(&copy), current);
                    }
                });
            }
        });
        let versions = versions.into_inner().expect("no panic");
        assert_eq!(versions, BTreeSet::from([format, current]));
    }
}

#[test]
fn a_migration_that_finds_no_room_is_completed_when_there_is_some() {
    let step = if is_deep() { "1" } else { "16" };
    let mut worker = Worker::start("migration on a full disk", [step]);
    let mut refused = 0;
    while worker.hear() == "alive" {
        refused += 1;
    }
    println!("every {step}: {refused} refused");
    assert!(refused >= FORMATS.len());
    worker.end();
}

#[test]
fn an_older_store_that_can_only_be_read_is_migrated_once_it_can_be_written() {
    let (server, folder) = (movies(1), store_of(FORMATS[0]));
    if let Some(worker) = with_mount("migration read-only", folder.path(), &server, &[]) {
        worker.done();
        complete(folder.path(), FORMATS[0]);
    }
}
