//! A host that forks: both sides go on with the index that was open, and neither loses what the other commits.

pub mod opening;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::support::Scene;
use crate::support::index::{Ask as _, Index};
use plexindex::error::Status;
use plexindex_standin::{Fault, Kind};

use crate::support::worker::{assert_sound, fork, open_at, options_at, rounds, say, told, until, wait_for};
use crate::support::{clock, path_of, try_open};

/// In a worker: ends it where a child has failed.
fn expect_well(number: u64, code: i32) {
    if code != 0 {
        say(&format!("child {number} ended with {code}"));
        std::process::exit(1);
    }
}

/// The rating key of a path, or why there is none.
fn key_of(index: &Index, path: &str, offline: bool) -> String {
    let answer = || {
        let library = index.library("Movies")?;
        let question = library.query().timeout(Duration::from_secs(15));
        (if offline { question.offline() } else { question }).matched(path)
    };
    match answer() {
        Ok(found) => found.item.map_or(found.message, |item| item.rating_key),
        Err(error) => error.message,
    }
}

/// Says what went wrong in a child, past the locks of the standard library: a thread that the child does not have may hold
/// them. Gives the code to end with.
fn told_past_locks(done: Result<(), String>) -> i32 {
    let Err(what) = done else { return 0 };
    let line = format!("\n\u{1}in a child: {what}\n");
    // SAFETY: writes bytes that are there.
    unsafe { libc::write(1, line.as_ptr().cast(), line.len()) };
    1
}

/// Forks while another thread fetches; the child does nothing, for long.
pub fn fetching(words: &[&str]) {
    let index = Arc::new(open_at(words));
    say("open");
    let fetch = {
        let (index, path) = (Arc::clone(&index), words[3].to_owned());
        std::thread::spawn(move || match index.query().refreshed(true) {
            Ok(_) => key_of(&index, &path, true),
            Err(error) => error.message,
        })
    };
    assert_eq!(told().as_deref(), Some("fork"));
    let child = fork(|| {
        told();
        0
    });
    say("forked");
    say(&fetch.join().expect("no panic"));
    assert_eq!(told(), None);
    assert_eq!(wait_for(child), 0);
}

#[test]
fn a_child_keeps_no_lock_of_the_fetch_that_its_parent_was_at() {
    let at = Scene::movies(300);
    let (path, key) = path_of(&at.server, 1, 3);
    at.server.fault(Fault::delay(300).on(Kind::Listing));
    let mut worker = at.worker("fork while fetching", &[&path]);
    assert_eq!(worker.hear(), "open");
    until("it fetches", || at.server.stats().of(Kind::Listing) == 1);
    assert_eq!(worker.ask("fork"), "forked");
    assert_eq!(worker.hear(), key);
    // The child lives, and another process wants to fetch.
    let (_index, library) = at.opened();
    let in_time = library.query().timeout(Duration::from_secs(5));
    assert_eq!(in_time.refreshed(true).expect("listed"), Status::Ok);
    worker.end();
}

/// Forks, and then only looks up: the child first, then the parent.
pub fn looking_up(words: &[&str]) {
    let index = Arc::new(open_at(words));
    let library = index.movies();
    assert_eq!(key_of(&index, words[3], false), words[4]);
    assert_eq!(wait_for(fork(|| 0)), 0);
    let look = || {
        let path = told().expect("a path");
        let key = library.fast(&path);
        say(key.as_deref().unwrap_or("nothing"));
    };
    let child = fork(|| {
        say("forked");
        look();
        look();
        0
    });
    assert_eq!(wait_for(child), 0);
    (0..4).for_each(|_| look());
}

#[test]
fn fast_lookups_after_a_fork_see_what_other_processes_record() {
    let at = Scene::movies(120);
    let (path, key) = path_of(&at.server, 1, 3);
    let (_index, library) = at.opened();
    let mut worker = at.worker("fork and look up", &[&path, &key]);
    assert_eq!(worker.hear(), "forked");
    for who in ["child", "parent", "parent again"] {
        // First one match, then more than a process adds to its snapshot one by one.
        for count in [1, 600] {
            let path = |number: usize| format!("/host/{who}/{count}/{number}.mkv");
            let paths: Vec<String> = (0..count).map(path).collect();
            library.record_all(&paths, &key);
            assert_eq!(worker.ask(&paths[0]), key, "{who}, {count}");
        }
    }
    worker.end();
}

/// Counts answers, and forks children that tell the store what they counted.
pub fn counting(words: &[&str]) {
    let index = Arc::new(open_at(words));
    let path = words[3];
    let answers: u64 = 100;
    for _ in 0..answers {
        key_of(&index, path, false);
    }
    for number in 1..=3_u64 {
        let code = wait_for(fork(|| {
            key_of(&index, path, true);
            match index.stats() {
                Ok(stats) => i32::from(stats.store_answers != number),
                Err(_) => 2,
            }
        }));
        expect_well(number, code);
    }
    say(&index.counts().store_answers.to_string());
}

#[test]
fn what_a_parent_counted_is_counted_once() {
    let at = Scene::movies(120);
    let (path, _) = path_of(&at.server, 1, 3);
    // The listing's own end writes the counters: it is over before.
    let (index, _) = at.listed();
    index.close().expect("closes");
    let mut worker = at.worker("fork and count", &[&path]);
    assert_eq!(worker.hear(), "103");
    worker.end();
}
