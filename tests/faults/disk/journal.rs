//! What `SQLite` keeps beside the database, `-wal` and `-shm`, removed or replaced while processes have it open: no match
//! whose recording returned afterwards is lost, and all processes go on with the same store.

use std::ffi::c_int;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use plexindex_standin::Standin;

use super::broken::{answer, used};
use super::full::try_open;
use crate::support::vfs::{self, Call, Paths};
use crate::support::worker::{Worker, assert_sound, database, open_at, place, say, told, until};
use crate::support::{self, clock, movies, options, path_of};

fn hosts(folder: &Path, server: &Standin, count: usize) -> Vec<Worker> {
    let place = place(folder, server);
    let mut hosts: Vec<Worker> = (0..count)
        .map(|_| Worker::start("host", [&place[0], &place[1], &place[2]]))
        .collect();
    for host in &mut hosts {
        assert_eq!(host.hear(), "ready");
        assert_eq!(host.ask("open"), "done");
    }
    hosts
}

fn remove(folder: &Path, end: &str) {
    fs::remove_file(folder.join(format!("plexindex-1.db{end}"))).expect("removed");
}

/// Puts a copy in its place.
fn replace(folder: &Path, end: &str) {
    let place = folder.join(format!("plexindex-1.db{end}"));
    fs::copy(&place, folder.join("copy")).expect("copied");
    fs::rename(folder.join("copy"), place).expect("renamed");
}

type Trick = fn(&Path);

/// What may happen to these files.
const TRICKS: [(&str, Trick); 6] = [
    ("shm removed", |folder| remove(folder, "-shm")),
    ("shm replaced", |folder| replace(folder, "-shm")),
    ("wal removed", |folder| remove(folder, "-wal")),
    ("wal and shm removed", |folder| {
        remove(folder, "-wal");
        remove(folder, "-shm");
    }),
    ("wal replaced", |folder| replace(folder, "-wal")),
    ("wal and shm replaced", |folder| {
        replace(folder, "-wal");
        replace(folder, "-shm");
    }),
];

/// Each trick in a folder of its own, all at once: most of the time is spent waiting for processes.
fn with_each_trick(skip: &str, work: impl Fn(&str, Trick) + Sync) {
    std::thread::scope(|threads| {
        for (what, trick) in TRICKS.into_iter().filter(|(what, _)| *what != skip) {
            let work = &work;
            threads.spawn(move || work(what, trick));
        }
    });
}

/// Each host records so many, in turn; gives the paths.
fn record(hosts: &mut [Worker], key: &str, what: &str, rounds: usize) -> Vec<String> {
    let mut taken = Vec::new();
    for round in 0..rounds {
        for (number, host) in hosts.iter_mut().enumerate() {
            let path = format!("/host/{what}/{number}/{round}.mkv");
            assert_eq!(host.ask(&format!("record {path}|{key}")), "done", "{what}");
            taken.push(path);
        }
    }
    taken
}

fn assert_there(server: &Standin, folder: &Path, paths: &[String], key: &str, what: &str) {
    let index = support::open(options(server, folder), &clock());
    let library = index.library("Movies").expect("a handle");
    let lost: Vec<&String> = paths
        .iter()
        .filter(|path| answer(&library, path).expect("an answer") != *key)
        .collect();
    assert!(
        lost.is_empty(),
        "{what}: {} of {} lost: {:?}",
        lost.len(),
        paths.len(),
        lost.first()
    );
    index.close().expect("closes");
}

#[test]
fn nothing_acknowledged_is_lost_when_the_journal_is_removed_while_it_is_open() {
    let server = movies(10);
    let (_, key) = path_of(&server, 1, 3);
    with_each_trick("", |what, trick| {
        let folder = tempfile::tempdir().expect("a folder");
        used(&server, folder.path());
        let mut hosts = hosts(folder.path(), &server, 3);
        let mut taken = record(&mut hosts, &key, "before", 5);
        trick(folder.path());
        taken.extend(record(&mut hosts, &key, "after", 7));
        for host in &mut hosts {
            for path in &taken {
                assert_eq!(host.ask(&format!("look {path}")), key, "{what}: {path}");
            }
        }
        assert_there(&server, folder.path(), &taken, &key, what);
        hosts.into_iter().for_each(Worker::end);
        assert_there(&server, folder.path(), &taken, &key, what);
        assert_sound(folder.path());
    });
}

#[test]
fn who_comes_after_the_removal_and_who_was_there_before_go_on_with_one_store() {
    let server = movies(10);
    let (_, key) = path_of(&server, 1, 3);
    with_each_trick("wal removed", |what, trick| {
        let folder = tempfile::tempdir().expect("a folder");
        used(&server, folder.path());
        let mut all = hosts(folder.path(), &server, 2);
        record(&mut all, &key, "before", 3);
        trick(folder.path());
        let mut late = hosts(folder.path(), &server, 1);
        let mut taken = record(&mut late, &key, "late", 5);
        all.extend(late);
        taken.extend(record(&mut all, &key, "together", 5));
        for host in &mut all {
            for path in &taken {
                assert_eq!(host.ask(&format!("look {path}")), key, "{what}: {path}");
            }
        }
        all.into_iter().for_each(Worker::end);
        assert_there(&server, folder.path(), &taken, &key, what);
        assert_sound(folder.path());
    });
}

#[test]
fn two_indexes_of_one_process_go_on_too() {
    let server = movies(10);
    let (_, key) = path_of(&server, 1, 3);
    with_each_trick("", |what, trick| {
        let folder = tempfile::tempdir().expect("a folder");
        used(&server, folder.path());
        let open = || support::open(options(&server, folder.path()), &clock());
        let (first, second) = (open(), open());
        let libraries = [&first, &second].map(|index| index.library("Movies").expect("a handle"));
        let mut taken = Vec::new();
        for round in 0..8 {
            if round == 3 {
                trick(folder.path());
            }
            for (number, library) in libraries.iter().enumerate() {
                let path = format!("/host/{number}/{round}.mkv");
                library
                    .record_matches(&[(path.as_bytes(), &key)])
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
                taken.push(path);
            }
        }
        for library in &libraries {
            for path in &taken {
                assert_eq!(answer(library, path).expect("an answer"), key, "{what}: {path}");
            }
        }
        drop(libraries);
        first.close().expect("closes");
        second.close().expect("closes");
        assert_there(&server, folder.path(), &taken, &key, what);
        assert_sound(folder.path());
    });
}

#[test]
fn an_answer_from_memory_is_not_that_of_a_log_that_was_lost() {
    let server = movies(10);
    let (_, key) = path_of(&server, 1, 3);
    let folder = tempfile::tempdir().expect("a folder");
    used(&server, folder.path());
    let sequence = || -> i64 {
        let read = database(folder.path()).query_row(
            "SELECT max(store.sequence, max(changes.sequence), (store.sequence & ~0xFFFFFFFFF) | \
             (coalesce((SELECT max(id) FROM records), 0) >> 27)) FROM store, changes",
            [],
            |row| row.get(0),
        );
        read.expect("a sequence")
    };
    let mut hosts = hosts(folder.path(), &server, 1);
    record(&mut hosts, &key, "before", 5);
    let known = sequence();
    remove(folder.path(), "-wal");
    remove(folder.path(), "-shm");
    // Who comes now goes on from an older state, and comes to the same sequence by other changes.
    let index = support::open(options(&server, folder.path()), &clock());
    let library = index.library("Movies").expect("a handle");
    let mut taken = 0;
    while sequence() < known {
        let path = format!("/host/late/{taken}.mkv");
        library.record_matches(&[(path.as_bytes(), &key)]).expect("recorded");
        taken += 1;
    }
    assert!(taken > 0 && sequence() == known, "{taken}");
    until("what was committed is seen", || {
        hosts[0].ask("look /host/late/0.mkv") == key
    });
    hosts.into_iter().for_each(Worker::end);
}

#[test]
fn a_write_ahead_log_that_was_removed_is_named() {
    let server = movies(10);
    let (_, key) = path_of(&server, 1, 3);
    let folder = tempfile::tempdir().expect("a folder");
    used(&server, folder.path());
    let mut hosts = hosts(folder.path(), &server, 1);
    let taken = record(&mut hosts, &key, "before", 5);
    remove(folder.path(), "-wal");
    let error = try_open(options(&server, folder.path()))
        .map(drop)
        .expect_err("it is gone");
    assert!(error.message.contains("plexindex-1.db-wal"), "{error}");
    assert!(error.message.contains("removed"), "{error}");
    assert!(!error.message.contains("failing disk"), "{error}");
    // Who has it open saves what it holds, with the next call that needs the database.
    record(&mut hosts, &key, "after", 1);
    assert_there(&server, folder.path(), &taken, &key, "after the next call");
    hosts.into_iter().for_each(Worker::end);
    assert_there(&server, folder.path(), &taken, &key, "at the end");
    assert_sound(folder.path());
}

/// What a worker that pauses waits for: `None` until it is told.
struct Pause {
    /// Where, once: at a call of this kind on the file whose name ends so.
    at: Option<(bool, &'static str)>,
    files: Paths,
    folder: String,
}

static PAUSE: Mutex<Option<Pause>> = Mutex::new(None);

/// Pauses before the first write to the log, or before the first read once there is an index of the log.
fn pauses(call: &Call<'_>) -> c_int {
    let mut locked = PAUSE.lock().expect("no panic");
    let pause = locked.as_mut().expect("set before");
    let is_it = match (call, pause.at) {
        (Call::Open { file, path, .. }, _) => {
            pause.files.opened(*file, path);
            false
        }
        (Call::Write { file, .. }, Some((true, end))) => pause.files.of(*file).to_string_lossy().ends_with(end),
        (Call::Read { .. }, Some((false, end))) => {
            Path::new(&pause.folder).join(format!("plexindex-1.db{end}")).exists()
        }
        _ => false,
    };
    if is_it {
        pause.at = None;
        drop(locked);
        say("pausing");
        assert_eq!(told().as_deref(), Some("go on"));
    }
    rusqlite::ffi::SQLITE_OK
}

/// Opens a store and records in it, and pauses while it does one of both.
pub fn pausing(words: &[&str]) {
    let at = |at| Pause {
        at,
        files: Paths::default(),
        folder: words[0].to_owned(),
    };
    let (opening, key) = (words[3] == "opening", words[4]);
    *PAUSE.lock().expect("no panic") = Some(at(opening.then_some((false, "-shm"))));
    vfs::register(pauses, true);
    let index = open_at(words);
    say("open");
    let library = index.library("Movies").expect("a handle");
    while let Some(path) = told() {
        let number = path.strip_suffix("/0.mkv");
        if !opening && number.is_some() {
            PAUSE.lock().expect("no panic").as_mut().expect("set").at = Some((true, "-wal"));
        }
        let done = library.record_matches(&[(path.as_bytes(), key)]);
        say(&done.map_or_else(|error| error.message, |()| "done".to_owned()));
    }
}

/// While it pauses another one may come to an end, or wait for it.
const WHILE: Duration = Duration::from_millis(300);

#[test]
fn a_write_that_is_under_way_when_the_journal_goes_takes_nothing_from_those_who_come_after() {
    let server = movies(10);
    let (_, key) = path_of(&server, 1, 3);
    // A copy of the log lacks what the index of it has: calls say so.
    with_each_trick("wal replaced", |what, trick| {
        let folder = tempfile::tempdir().expect("a folder");
        used(&server, folder.path());
        let mut others = hosts(folder.path(), &server, 1);
        let place = place(folder.path(), &server);
        let mut paused = Worker::start("pausing", [&place[0], &place[1], &place[2], "writing", &key]);
        assert_eq!(paused.hear(), "open");
        let mut taken = record(&mut others, &key, "before", 3);
        for number in [1, 2, 0] {
            let path = format!("/paused/{number}.mkv");
            paused.tell(&path);
            taken.push(path);
            assert_eq!(paused.hear(), if number == 0 { "pausing" } else { "done" }, "{what}");
        }
        trick(folder.path());
        let path = "/host/meanwhile.mkv";
        others[0].tell(&format!("record {path}|{key}"));
        taken.push(path.to_owned());
        let was_done = others[0].hears_by(Instant::now() + WHILE);
        assert_eq!(paused.ask("go on"), "done", "{what}");
        assert!(was_done || others[0].hear() == "done", "{what}");
        for path in &taken {
            assert_eq!(others[0].ask(&format!("look {path}")), key, "{what}: {path}");
        }
        taken.extend(record(&mut others, &key, "after", 3));
        assert_eq!(paused.ask("/paused/3.mkv"), "done", "{what}");
        taken.push("/paused/3.mkv".to_owned());
        assert_there(&server, folder.path(), &taken, &key, what);
        paused.end();
        others.into_iter().for_each(Worker::end);
        assert_there(&server, folder.path(), &taken, &key, what);
        assert_sound(folder.path());
    });
}

#[test]
fn a_journal_that_is_replaced_while_it_is_opened_is_noticed() {
    let server = movies(10);
    let (_, key) = path_of(&server, 1, 3);
    with_each_trick("wal removed", |what, trick| {
        let folder = tempfile::tempdir().expect("a folder");
        used(&server, folder.path());
        let place = place(folder.path(), &server);
        remove(folder.path(), "-shm");
        let mut first = Worker::start("pausing", [&place[0], &place[1], &place[2], "opening", &key]);
        assert_eq!(first.hear(), "pausing");
        trick(folder.path());
        let mut other = Worker::start("host", [&place[0], &place[1], &place[2]]);
        assert_eq!(other.hear(), "ready");
        other.tell("open");
        let was_done = other.hears_by(Instant::now() + WHILE);
        assert_eq!(first.ask("go on"), "open", "{what}");
        assert!(was_done || other.hear() == "done", "{what}");
        let mut others = [other];
        let mut taken = Vec::new();
        for number in 1..6 {
            taken.extend(record(&mut others, &key, &format!("{number}"), 1));
            let path = format!("/paused/{number}.mkv");
            assert_eq!(first.ask(&path), "done", "{what}");
            taken.push(path);
        }
        for path in &taken {
            assert_eq!(others[0].ask(&format!("look {path}")), key, "{what}: {path}");
        }
        first.end();
        others.into_iter().for_each(Worker::end);
        assert_there(&server, folder.path(), &taken, &key, what);
        assert_sound(folder.path());
    });
}
