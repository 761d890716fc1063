//! A fast lookup never waits, whatever others do with the database; a write that waited too long says for whom.

use crate::support::index::Ask as _;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::processes::coherence::workers;
use crate::support::index::path as host_path;
use crate::support::worker::{Worker, database, place, say, told, writable};
use crate::support::{Scene, path_of};
use plexindex::error::{Error, Status};

/// In a worker: keeps all others from the database until it is told otherwise, as a process that recovers it does: it
/// holds the locks for that, and the head of the WAL's index says nothing. It has no connection of its own, so that closing
/// the file frees no lock of one.
pub fn recover(words: &[&str]) {
    let file = writable(Path::new(words[0]).join("plexindex-1.db-shm"));
    let mut head = [0; 96];
    file.read_exact_at(&mut head, 0).expect("its head");
    // For writing, for checkpoints, for recovery.
    let lock = |kind: i32| {
        // SAFETY: a struct of numbers.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        (lock.l_type, lock.l_start, lock.l_len) = (kind.try_into().expect("small"), 120, 3);
        // SAFETY: a plain call on a file that is open.
        let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLKW, &raw const lock) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    };
    lock(libc::F_WRLCK);
    file.write_all_at(&[0; 96], 0).expect("emptied");
    say("recovers");
    told();
    file.write_all_at(&head, 0).expect("restored");
    lock(libc::F_UNLCK);
    say("done");
    told();
}

#[test]
fn a_fast_lookup_does_not_wait_for_who_recovers_the_database() {
    let at = Scene::movies(20);
    let mut writer = workers(at.folder(), &at.server, [""]).pop().expect("one");
    let place = place(at.folder(), &at.server);
    let (_index, library) = at.opened();
    let (listed, key) = path_of(&at.server, 1, 5);
    let fast = |path: &str| library.fast(&path);
    assert_eq!(fast(&listed).as_deref(), Some(key.as_str()));
    assert_eq!(writer.ask(&format!("record /host/a.mkv|{key}")), "done");
    let mut other = Worker::start("recover", [&place[0]]);
    assert_eq!(other.hear(), "recovers");
    let begun = Instant::now();
    assert_eq!(fast("/host/a.mkv"), None, "what was written cannot be read now");
    assert_eq!(fast(&listed), None, "nor can it be told that this was not written");
    // A call that waits does so for ten seconds.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(other.ask("enough"), "done");
    assert_eq!(fast("/host/a.mkv").as_deref(), Some(key.as_str()));
    // And who can wait still does: nothing of the haste is left in the connection.
    other.end();
    assert_eq!(writer.ask(&format!("record /host/b.mkv|{key}")), "done");
    let mut other = Worker::start("recover", [&place[0]]);
    assert_eq!(other.hear(), "recovers");
    assert_eq!(fast("/host/b.mkv"), None);
    std::thread::scope(|scope| {
        let full = scope.spawn(|| library.query().matched("/host/b.mkv"));
        assert_eq!(other.ask("enough"), "done");
        let found = full.join().expect("no panic").expect("an answer");
        assert_eq!(found.key(), Some(key.clone()));
    });
    other.end();
    writer.end();
}

/// In a worker: holds the write lock, as a process does that is stopped inside a write.
pub fn hold(words: &[&str]) {
    let database = database(Path::new(words[0]));
    database.execute_batch("BEGIN IMMEDIATE").expect("the write lock");
    say("holds");
    told();
}

#[test]
fn a_write_that_waited_too_long_names_the_process_that_holds_the_lock() {
    let (at, index, library) = Scene::movies(20).and_listed();
    let (_, key) = path_of(&at.server, 1, 5);
    let folder = at.folder().display().to_string();
    let mut other = Worker::start("hold", [&folder]);
    assert_eq!(other.hear(), "holds");
    // SAFETY: a plain call; the worker is a child that was not waited for.
    let signal = |signal| unsafe { libc::kill(other.id().cast_signed(), signal) };
    assert_eq!(signal(libc::SIGSTOP), 0);
    let holder = format!("process {}", other.id());
    let expect = |error: &Error, status| {
        assert_eq!(error.status, status, "{error}");
        assert!(error.message.contains(&holder), "{error}");
        assert!(error.message.contains(&folder), "{error}");
    };
    let hurried = plexindex::Library::query(&library).timeout(Duration::from_millis(300));
    let recorded = hurried.record_match(host_path(b"/host/a.mkv"), &key);
    expect(&recorded.expect_err("locked"), Status::Timeout);
    std::thread::scope(|scope| {
        let patient = scope.spawn(|| library.record_match("/host/a.mkv", &key));
        // The other thread holds the connection that it waits with.
        std::thread::sleep(Duration::from_millis(50));
        let recorded = hurried.record_match(host_path(b"/host/b.mkv"), &key);
        expect(&recorded.expect_err("locked"), Status::Timeout);
        let recorded = patient.join().expect("no panic");
        expect(&recorded.expect_err("locked"), Status::Store);
    });
    assert_eq!(signal(libc::SIGCONT), 0);
    other.end();
    library.record("/host/a.mkv", &key);
    index.close().expect("closes");
}
