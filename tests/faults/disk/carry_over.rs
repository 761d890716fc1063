//! A store of the format before is carried over on a bad disk: each write fails, the disk is full at each point, or the
//! process is killed at each step. Nothing is lost, nothing is left, and the next try ends it.

use std::ffi::c_int;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::index::failpoint;
use plexindex::error::{Error, Status};
use plexindex_standin::Standin;
use rusqlite::ffi::{SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_OK, SQLITE_READONLY};

use super::broken::{answer, copy, used};
use super::full::{fill, mount, try_open, with_mount};
use super::open::KEEP;
use crate::support::vfs::{self, Call};
use crate::support::worker::{Worker, assert_sound, database, rounds, say, told};
use crate::support::{clock, movies, open, options, path_of};

/// What goes wrong: `SQLite`'s code, and the operating system's.
const CAUSES: [(c_int, c_int); 3] = [
    (SQLITE_FULL, vfs::SYSTEM_ERRORS[0]),
    (SQLITE_IOERR_WRITE, vfs::SYSTEM_ERRORS[2]),
    (SQLITE_READONLY, vfs::SYSTEM_ERRORS[3]),
];

/// Steps so far; the first and the last that go wrong; and how: a cause, or a kill.
static DONE: AtomicU64 = AtomicU64::new(0);
static FROM: AtomicU64 = AtomicU64::new(u64::MAX);
static UPTO: AtomicU64 = AtomicU64::new(u64::MAX);
static HOW: AtomicU64 = AtomicU64::new(0);
const KILL: u64 = 9;

fn fails() -> Option<(c_int, c_int)> {
    let now = DONE.fetch_add(1, Ordering::SeqCst);
    if !(FROM.load(Ordering::SeqCst)..=UPTO.load(Ordering::SeqCst)).contains(&now) {
        return None;
    }
    let how = HOW.load(Ordering::SeqCst);
    if how == KILL {
        vfs::die();
    }
    Some(CAUSES[usize::try_from(how).expect("small")])
}

fn of_sqlite(call: &Call<'_>) -> c_int {
    match call {
        Call::Read { .. } | Call::Lock { .. } | Call::Open { made: false, .. } => SQLITE_OK,
        _ => fails().map_or(SQLITE_OK, |(code, _)| code),
    }
}

fn of_ours(step: failpoint::FileStep<'_>) -> io::Result<()> {
    match step {
        failpoint::FileStep::Lock => Ok(()),
        _ => fails().map_or(Ok(()), |(_, code)| Err(io::Error::from_raw_os_error(code))),
    }
}

/// Makes steps go wrong from now on.
fn set(how: u64, from: u64, upto: u64) {
    DONE.store(0, Ordering::SeqCst);
    HOW.store(how, Ordering::SeqCst);
    FROM.store(from, Ordering::SeqCst);
    UPTO.store(upto, Ordering::SeqCst);
}

/// A folder of format 2: with a listing, matches and a table. Its last commits are in its log.
pub fn of_format_2(server: &Standin, folder: &Path) {
    let made = folder.with_extension("made");
    used(server, &made);
    let index = open(options(server, &made), &clock());
    let table = index.tables().table(b"own", false).expect("a table");
    table.put(b"name", b"value", &KEEP).expect("stored");
    index.close().expect("closes");
    let (_, own) = path_of(server, 1, 3);
    let connection = database(&made);
    connection
        .execute_batch(&format!(
            "PRAGMA wal_autocheckpoint = 0; ALTER TABLE records RENAME TO r; ALTER TABLE tables RENAME TO t;
             CREATE TABLE tables (id INTEGER PRIMARY KEY AUTOINCREMENT, name BLOB UNIQUE, entries INTEGER NOT NULL DEFAULT 0,
             bytes INTEGER NOT NULL DEFAULT 0, loose INTEGER NOT NULL DEFAULT 0, image TEXT NOT NULL DEFAULT '',
             compacted INTEGER NOT NULL DEFAULT 0, changed INTEGER NOT NULL) STRICT;
             CREATE TABLE entries (in_table INTEGER NOT NULL REFERENCES tables (id), name BLOB NOT NULL, expires_ms INTEGER,
             sequence INTEGER NOT NULL, value BLOB, PRIMARY KEY (in_table, name)) STRICT;
             INSERT INTO tables (id, name, changed) SELECT id, name, 0 FROM t WHERE name IS NOT NULL;
             INSERT INTO entries SELECT in_table, name, expires_ms, (SELECT sequence FROM store), value FROM r
             WHERE in_table IN (SELECT id FROM tables);
             CREATE TABLE matches (library INTEGER NOT NULL REFERENCES libraries (id), path BLOB NOT NULL,
             rating_key TEXT NOT NULL, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (library, path))
             STRICT, WITHOUT ROWID;
             INSERT INTO matches SELECT t.library, a.name, '{own}', 0, (SELECT sequence FROM store) FROM r a
             JOIN t ON t.id = a.in_table AND t.library IS NOT NULL WHERE a.value IS NOT NULL
             AND a.id = (SELECT max(id) FROM r WHERE r.in_table = a.in_table AND r.name = a.name);
             DROP TABLE r; DROP TABLE t;
             ALTER TABLE store ADD COLUMN folded INTEGER NOT NULL DEFAULT 0; UPDATE store SET folded = sequence;
             ALTER TABLE libraries ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE libraries ADD COLUMN epoch_seq INTEGER NOT NULL DEFAULT 0; PRAGMA user_version = 9"
        ))
        .expect("as it was");
    // As a killed process leaves it.
    fs::create_dir_all(folder).expect("made");
    for entry in fs::read_dir(&made).expect("the folder").flatten() {
        let name = entry
            .file_name()
            .to_string_lossy()
            .replace("plexindex-3", "plexindex-2");
        if !name.ends_with("-shm") {
            fs::copy(entry.path(), folder.join(name)).expect("copied");
        }
    }
    // The store keeps its number. With a page of that store nobody waits until others have noticed that it is gone.
    fs::copy(folder.join("plexindex-2.page"), folder.join("plexindex-3.page")).expect("copied");
    let log = fs::metadata(folder.join("plexindex-2.db-wal")).expect("a log").len();
    assert!(log > 4_096, "{log}");
}

/// Asserts that everything was carried over, and nothing else is there.
pub fn assert_carried_over(server: &Standin, sample: &Path, folder: &Path, what: &str) {
    server.reset();
    let index = try_open(options(server, folder)).unwrap_or_else(|error| panic!("{what}: {error}"));
    let library = index.library("Movies").expect("a handle");
    let (path, key) = path_of(server, 1, 3);
    for (path, key) in [
        (&*path, &key),
        ("/host/2.mkv", &key),
        ("/host/1499.mkv", &key),
        ("/host/1.mkv", &"NoLocation".to_owned()),
    ] {
        let found = answer(&library, path).unwrap_or_else(|error| panic!("{what}: {path}: {error}"));
        assert_eq!(&found, key, "{what}: {path}");
    }
    let table = index.tables().table(b"own", false).expect("a table");
    let mut value = Vec::new();
    let length = table.get(b"name", 9, &mut |bytes| value = bytes.to_vec());
    assert_eq!((length.expect("read"), &*value), (Some(5), &b"value"[..]), "{what}");
    index.close().expect("closes");
    assert_eq!(server.stats().total, 0, "{what}: asked again");
    let client = |folder: &Path| fs::read(folder.join("plexindex-client-id")).expect("an identifier");
    assert_eq!(client(folder), client(sample), "{what}");
    assert_eq!(left(folder), Vec::<String>::new(), "{what}");
    assert_sound(folder);
}

/// The files that do not belong to the new store.
fn left(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("the folder").flatten();
    let mut names: Vec<String> = names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| {
            name.starts_with("plexindex-2") || [".new", ".broken", ".carried"].iter().any(|end| name.contains(end))
        })
        .collect();
    names.sort();
    names
}

/// Removes temporary files, which are swept when they are ten minutes old.
pub fn sweep(folder: &Path) {
    for name in left(folder)
        .iter()
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "new"))
    {
        fs::remove_file(folder.join(name)).expect("removed");
    }
}

fn assert_told(error: &Error, folder: &Path, is_full: bool, what: &str) {
    let wanted = if is_full { Status::StoreFull } else { Status::Store };
    assert_eq!(error.status, wanted, "{what}: {error}");
    let folder = folder.display().to_string();
    assert!(error.message.contains(&folder), "{what}: names no folder: {error}");
}

/// In a worker: each step fails in turn, alone or with all that follow; then a process is killed at each step.
pub fn carried_over(words: &[&str]) {
    let (root, rounds) = (Path::new(words[0]), words[1].parse::<u64>().expect("a number"));
    vfs::register(of_sqlite, true);
    failpoint::install(of_ours);
    let server = movies(20);
    let sample = root.join("sample");
    of_format_2(&server, &sample);
    let another = root.join("another");
    of_format_2(&server, &another);
    let folder = root.join("cache");
    let again = || {
        let _ = fs::remove_dir_all(&folder);
        copy(&sample, &folder);
    };
    again();
    set(0, u64::MAX, u64::MAX);
    drop(try_open(options(&server, &folder)).expect("opens"));
    let in_all = DONE.load(Ordering::SeqCst);
    assert_carried_over(&server, &sample, &folder, "as usual");
    let mut failed = 0;
    for round in 0..rounds.min(6) * in_all {
        // Each step, each time in another of six ways.
        let (step, way) = (round % in_all, round + round / in_all);
        let (cause, code) = (way % 3, CAUSES[usize::try_from(way % 3).expect("small")].1);
        let upto = if way % 6 < 3 { step } else { u64::MAX };
        again();
        let what = format!("steps {step} to {upto} of {in_all} fail with {code}");
        set(cause, step, upto);
        let opened = try_open(options(&server, &folder)).map(drop);
        set(0, u64::MAX, u64::MAX);
        if let Err(error) = opened {
            assert_told(&error, &folder, code == vfs::SYSTEM_ERRORS[0], &what);
            failed += 1;
        }
        assert_carried_over(&server, &sample, &folder, &what);
        say("alive");
    }
    let mut others = 0;
    for step in 0..in_all {
        again();
        set(KILL, step, step);
        // SAFETY: the child opens the index and ends at once.
        let child = unsafe { libc::fork() };
        if child == 0 {
            drop(try_open(options(&server, &folder)));
            // SAFETY: as above.
            unsafe { libc::_exit(1) };
        }
        let mut ended = 0;
        // SAFETY: our own child.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut ended, 0) }, child);
        set(0, u64::MAX, u64::MAX);
        sweep(&folder);
        let what = format!("killed at step {step} of {in_all}");
        let of_another = folder.join("plexindex-2.db");
        if !left(&folder).is_empty() && !of_another.exists() {
            // A process with the earlier version of the library goes on with a store of its own.
            for name in left(&folder).iter().filter(|name| name.starts_with("plexindex-2")) {
                fs::remove_file(folder.join(name)).expect("removed");
            }
            for end in ["", "-wal"] {
                let name = format!("plexindex-2.db{end}");
                fs::copy(another.join(&name), folder.join(name)).expect("copied");
            }
            drop(try_open(options(&server, &folder)).unwrap_or_else(|error| panic!("{what}: {error}")));
            fs::remove_file(&of_another).unwrap_or_else(|error| panic!("{what}: {error}"));
            others += 1;
            for name in left(&folder) {
                fs::remove_file(folder.join(name)).expect("removed");
            }
        }
        assert_carried_over(&server, &sample, &folder, &what);
        say("alive");
    }
    assert!(others > 5, "{others}");
    say(&format!("{in_all} steps, {failed} calls failed"));
    told();
}

#[test]
pub fn a_store_is_carried_over_whatever_fails_or_kills() {
    let rounds = rounds("PLEXINDEX_CARRY_OVERS", 1).to_string();
    let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()); // in memory it waits for no disk
    let root = root.expect("a folder");
    let root_name = root.path().canonicalize().expect("a folder").display().to_string();
    let mut worker = Worker::start("carried over", [&root_name, &rounds]);
    let said = std::iter::from_fn(|| worker.next()).find(|said| said != "alive");
    println!("{}", said.expect("how it went"));
    worker.end();
}

/// In a worker: a small disk of its own has more room each time, until the store is carried over.
pub fn carried_over_full(words: &[&str]) {
    let root = Path::new(words[0]);
    let server = movies(20);
    let sample = root.join("sample");
    of_format_2(&server, &sample);
    let folder = root.join("cache");
    fs::create_dir(&folder).expect("made");
    if !mount("tmpfs", &folder, 0, "size=6m,mode=700") {
        return;
    }
    say("ready");
    let mut failed = 0;
    for room in 0.. {
        for entry in fs::read_dir(&folder).expect("the folder").flatten() {
            fs::remove_file(entry.path()).expect("removed");
        }
        copy(&sample, &folder);
        fill(&folder, room * 4_096);
        let opened = try_open(options(&server, &folder)).map(drop);
        let what = format!("with {room} pages");
        if let Err(error) = &opened {
            assert_told(error, &folder, true, &what);
            assert!(error.message.contains("free some space"), "{error}");
            failed += 1;
        }
        fs::remove_file(folder.join("ballast")).expect("removed");
        assert_carried_over(&server, &sample, &folder, &what);
        say("alive");
        if opened.is_ok() {
            break;
        }
    }
    say(&format!("{failed} calls failed"));
    told();
}

#[test]
fn a_store_is_carried_over_once_there_is_room() {
    let root = tempfile::tempdir().expect("a folder");
    let root_name = root.path().canonicalize().expect("a folder").display().to_string();
    let Some(mut worker) = with_mount("carried over, full", &[&root_name]) else {
        return;
    };
    let said = std::iter::from_fn(|| worker.next()).find(|said| said != "alive");
    println!("{}", said.expect("how it went"));
    worker.end();
}
