//! A store that cannot be written: another process holds its write lock. Old answers stand in, and deadlines hold.
//! `faults::processes::waiting` names that process.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::Scene;
use crate::support::index::Ask as _;
use crate::support::index::path as host_path;
use crate::support::worker::until;
use crate::support::{HOUR_MS, add, path_of, requests};
use plexindex::error::{Error, Status};
use plexindex::model::Reason;

/// A call that waits for the lock as long as it may does so for ten seconds.
const IN_TIME: Duration = Duration::from_secs(5);
/// So long waits even a call without time left.
const SHORTEST_WAIT: Duration = Duration::from_millis(200);

/// Keeps all others from writing, as a process does that hangs within a transaction.
fn hold(folder: &Path) -> rusqlite::Connection {
    let other = rusqlite::Connection::open(folder.join("plexindex-1.db")).expect("the database opens");
    other.busy_timeout(Duration::from_secs(10)).expect("patience");
    other
        .execute_batch("PRAGMA foreign_keys = OFF")
        .expect("as in the store");
    other.execute_batch("BEGIN IMMEDIATE").expect("the write lock");
    other
}

#[test]
fn an_expired_answer_stands_in_while_another_process_keeps_the_write_lock() {
    let (at, index, library) = Scene::movies(6_000).and_opened();
    let (path, key) = path_of(&at.server, 1, 7);
    library.ask(&path);
    at.clock.advance_ms(HOUR_MS);
    let other = hold(at.folder());
    at.server.reset();
    let begun = Instant::now();
    for _ in 0..5 {
        let old = library.ask(&path);
        assert_eq!((old.status, old.stale), (Status::Ok, true), "{}", old.message);
        assert_eq!(old.key(), Some(key.clone()));
    }
    assert_eq!(requests(&at.server)[5], 0, "no reply could be stored");
    let missing = library.ask("/data/movies/none.mkv");
    assert_eq!(missing.status, Status::NotFound);
    assert!(missing.message.contains("locked"), "{}", missing.message);
    let stats = index.counts();
    assert!(stats.last_failure.is_some_and(|failure| failure.contains("locked")));
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    // And when it lets go, all is well again.
    drop(other);
    at.clock.advance_ms(16_000);
    let fresh = library.ask(path);
    assert_eq!((fresh.status, fresh.stale), (Status::Ok, false), "{}", fresh.message);
    assert_eq!(index.counts().last_failure, None);
}

#[test]
fn a_timeout_ends_every_wait_for_the_write_lock() {
    let (at, _index, library) = Scene::movies(300).and_opened();
    let (path, key) = path_of(&at.server, 1, 7);
    let hurried = || library.query().timeout(Duration::from_millis(300));
    let timed = |what: &str, call: &dyn Fn() -> Result<Status, Error>| {
        let begun = Instant::now();
        let outcome = call().map_err(|error| error.status);
        assert!(begun.elapsed() < IN_TIME, "{what}: {:?}", begun.elapsed());
        outcome
    };
    let ask = |path: &str| hurried().matched(path).map(|found| found.status);
    let record = || {
        let query = plexindex::Library::query(&library).timeout(Duration::from_millis(300));
        query.record_match(host_path(b"/host/a.mkv"), &key).map(|()| Status::Ok)
    };
    // Nothing is known yet.
    let other = hold(at.folder());
    assert_eq!(timed("match", &|| ask(&path)), Ok(Status::NotYet));
    assert_eq!(timed("refresh", &|| hurried().refreshed(false)), Err(Status::Timeout));
    let libraries = || hurried().libraries().map(|_| Status::Ok);
    assert_eq!(timed("libraries", &libraries), Err(Status::Timeout));
    assert_eq!(timed("record", &record), Err(Status::Timeout));
    drop(other);
    library.ask(&path);
    // An item that was invalidated, a path that is new, an expired listing.
    let (_, invalid) = path_of(&at.server, 1, 9);
    library.invalidate_item(&invalid).expect("invalidated");
    add(&at.server, &["/data/movies/new.mkv"]);
    at.clock.advance_ms(HOUR_MS);
    let other = hold(at.folder());
    assert_eq!(timed("match", &|| ask(&path)), Ok(Status::Ok));
    assert_eq!(timed("new", &|| ask("/data/movies/new.mkv")), Ok(Status::NotYet));
    for full in [false, true] {
        assert_eq!(timed("refresh", &|| hurried().refreshed(full)), Ok(Status::NotYet));
    }
    assert_eq!(timed("check", &|| hurried().checked()), Ok(Status::NotYet));
    let server = || hurried().server().map(|_| Status::Ok);
    assert_eq!(timed("server", &server), Err(Status::Timeout));
    assert_eq!(timed("record", &record), Err(Status::Timeout));
    let cursor = library.query().cursor();
    let wait = || hurried().wait_for_changes(&cursor).map(|_| Status::Ok);
    timed("wait", &wait).expect("an outcome");
    // A thread that waits for that lock without a timeout does not hold up one that has a timeout.
    std::thread::scope(|scope| {
        let patient = scope.spawn(|| library.record_match("/host/a.mkv", key.as_str()));
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(timed("refresh", &|| hurried().refreshed(true)), Ok(Status::NotYet));
        drop(other);
        patient.join().expect("no panic").expect("recorded, in time");
    });
}

#[test]
fn a_call_without_time_left_waits_for_threads_that_are_soon_done() {
    let (at, _index, library) = Scene::movies(300).and_listed();
    let (path, key) = path_of(&at.server, 1, 7);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (library, key, is_over) = (&library, &key, &is_over);
            scope.spawn(move || {
                for number in (0..).take_while(|_| !is_over.load(Ordering::Relaxed)) {
                    library.record(format!("/host/{thread}/{}.mkv", number % 100), key);
                }
            });
        }
        let at_once = library.query().timeout(Duration::ZERO);
        let query = plexindex::Library::query(&library).timeout(Duration::ZERO);
        let record = || query.record_match(host_path(b"/host/at once.mkv"), &key);
        let ask = || at_once.matched(&path).map(|found| found.status);
        let mut late = 0;
        for _ in 0..1_000 {
            for call in [&|| record().map(|()| Status::Ok), &ask as &dyn Fn() -> _] {
                let begun = Instant::now();
                let outcome = call();
                // A thread that the machine lets wait keeps others waiting, and a call that gives up has waited.
                let is_late = outcome != Ok(Status::Ok);
                late += u32::from(is_late);
                if is_late && begun.elapsed() < SHORTEST_WAIT || late > 100 {
                    is_over.store(true, Ordering::Relaxed);
                    panic!("{outcome:?} after {:?}, {late} so far", begun.elapsed());
                }
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_local_lock_is_no_failure_of_the_server() {
    let (at, _index, library) = Scene::movies(300).and_listed();
    let (path, _) = path_of(&at.server, 1, 7);
    at.clock.advance_ms(HOUR_MS);
    let other = hold(at.folder());
    let hurried = library.query().always_ask().timeout(Duration::from_millis(200));
    let old = hurried.answer(&path);
    assert_eq!((old.status, old.stale), (Status::Ok, true), "{}", old.message);
    let missing = hurried.answer("/data/movies/none.mkv");
    assert_eq!(
        (missing.status, missing.stale),
        (Status::NotYet, true),
        "{}",
        missing.message
    );
    assert_eq!(missing.reason, Reason::NotListed, "{}", missing.message);
    // No reply could be stored, so the server is not asked.
    at.server.reset();
    assert!(hurried.answer(&path).stale);
    assert_eq!(requests(&at.server), [0; 6]);
    // As soon as the lock is free, the next calls ask the server again.
    drop(other);
    let fresh = library.ask(&path);
    assert_eq!((fresh.status, fresh.stale), (Status::Ok, false), "{}", fresh.message);
    let missing = library.ask("/data/movies/none.mkv");
    assert_eq!(
        (missing.status, missing.stale),
        (Status::NotFound, false),
        "{}",
        missing.message
    );
    assert_eq!(missing.reason, Reason::NotListed, "{}", missing.message);
}

#[test]
fn a_watch_is_stopped_while_another_process_keeps_the_write_lock() {
    let (at, index, _) = Scene::movies(300).and_listed();
    index.watch_start(<_>::default()).expect("watches");
    until("it listens", || at.server.listeners() == 1);
    let other = hold(at.folder());
    add(&at.server, &["/data/movies/new.mkv"]);
    until("it heard", || index.counts().events > 0);
    let begun = Instant::now();
    index.watch_stop();
    assert!(begun.elapsed() < IN_TIME, "{:?}", begun.elapsed());
    drop(other);
}
