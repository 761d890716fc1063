//! A store that cannot be written: another process holds its write lock. Old answers stand in, and deadlines hold.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::Scene;
use crate::support::index::QueryOptions;
use crate::support::worker::until;
use crate::support::{HOUR_MS, add, path_of, requests};
use plexindex::error::Status;

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
    let at = Scene::movies(6_000);
    let (index, library) = at.opened();
    let (path, key) = path_of(&at.server, 1, 7);
    library.match_path(path.as_bytes()).expect("listed");
    at.clock.advance_ms(HOUR_MS);
    let other = hold(at.folder());
    at.server.reset();
    let begun = Instant::now();
    for _ in 0..5 {
        let old = library.ask(&path);
        assert_eq!((old.status, old.stale), (Status::Ok, true), "{}", old.message);
        assert_eq!(old.key(), Some(key.clone()));
    }
    assert_eq!(requests(&at.server)[5], 1, "it is tried once in a while");
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
fn a_deadline_ends_the_waiting_for_anothers_write_lock() {
    let at = Scene::movies(300);
    let (index, library) = at.opened();
    let hurried = || library.query().within(Duration::from_millis(200));
    let (path, key) = path_of(&at.server, 1, 7);
    // Nothing is known yet.
    let other = hold(at.folder());
    let begun = Instant::now();
    let error = index
        .match_path(&hurried(), path.as_bytes())
        .expect_err("nothing can be kept");
    assert_eq!(error.status, Status::Store, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    drop(other);
    library.match_path(path.as_bytes()).expect("listed");
    // An item that was invalidated, a path that is new, an expired listing, a refresh.
    library.invalidate_item(&key).expect("invalidated");
    add(&at.server, &["/data/movies/new.mkv"]);
    at.clock.advance_ms(HOUR_MS);
    let other = hold(at.folder());
    let begun = Instant::now();
    let unsure = index.ask(&hurried(), path);
    assert_eq!(unsure.status, Status::NotFound);
    index.ask(&hurried(), "/data/movies/new.mkv");
    let known = path_of(&at.server, 1, 8).0;
    assert!(index.ask(&hurried(), known).stale);
    let error = index.refresh(&hurried(), false).expect_err("it cannot be written");
    assert_eq!(error.status, Status::Store, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(other);
    // A thread of the same process that waits for that lock without a deadline does not hold up one that has a deadline.
    let other = hold(at.folder());
    std::thread::scope(|scope| {
        let patient = scope.spawn(|| library.record_matches(&[(b"/host/a.mkv", key.as_str())]));
        std::thread::sleep(Duration::from_millis(50));
        let begun = Instant::now();
        let question = QueryOptions::default().within(Duration::from_millis(200));
        index.refresh(&question, true).expect_err("it cannot be written");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        drop(other);
        patient.join().expect("no panic").expect("recorded, in time");
    });
}

#[test]
fn a_watch_is_stopped_while_another_process_keeps_the_write_lock() {
    let at = Scene::movies(300);
    let index = at.open();
    index.list();
    index.watch_start().expect("watches");
    until("it listens", || at.server.listeners() == 1);
    let other = hold(at.folder());
    add(&at.server, &["/data/movies/new.mkv"]);
    until("it heard", || index.counts().events > 0);
    let begun = Instant::now();
    index.watch_stop();
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    drop(other);
}
