//! A host that forks: both sides go on with the index that was open, and neither loses what the other commits.

pub mod opening;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::Scene;
use crate::support::index::{Deadline, Index, QueryOptions};
use plexindex::error::{Error, Status};
use plexindex::source::Source;
use plexindex::source::plex::PlexHttp;
use plexindex_standin::{Action, Fault, Kind};

use crate::support::worker::{Worker, assert_sound, open_at, options_at, place, rounds, say, told, until};
use crate::support::{clock, path_of};

/// Forks; the child does `work` and ends with what it gives. Gives the child's process id.
pub fn fork(work: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs `work` and ends at once, whatever happens; nothing that it inherits is dropped.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0, "forked");
        if child == 0 {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(99);
            libc::_exit(code);
        }
        child
    }
}

/// What a child ended with; kills one that hangs.
pub fn wait_for(child: i32) -> i32 {
    let begun = Instant::now();
    loop {
        let mut state = 0;
        // SAFETY: plain calls on a child of our own.
        let ended = unsafe { libc::waitpid(child, &raw mut state, libc::WNOHANG) };
        if ended == child {
            return if libc::WIFEXITED(state) {
                libc::WEXITSTATUS(state)
            } else {
                -1
            };
        }
        if begun.elapsed() > Duration::from_secs(20) {
            // SAFETY: as above.
            unsafe { libc::kill(child, libc::SIGKILL) };
            return -2;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The rating key of a path, or why there is none.
fn key_of(index: &Index, path: &str, offline: bool) -> String {
    let answer = || {
        let library = index.library("Movies")?;
        let question = QueryOptions {
            offline,
            deadline: Deadline::In(Duration::from_secs(15)),
            ..library.query()
        };
        index.match_path(&question, path.as_bytes())
    };
    match answer() {
        Ok(found) => found.item.map_or(found.message, |item| item.item.rating_key),
        Err(error) => error.message,
    }
}

/// What a child does; the error says what went wrong.
fn child(index: &Index, number: u64, path: &str, key: &str) -> Result<(), String> {
    let same = |what: &str, found: String| {
        if found == key {
            Ok(())
        } else {
            Err(format!("{what}: {found}"))
        }
    };
    let done = |what: &str, result: Result<(), Error>| result.map_err(|error| format!("{what}: {error}"));
    let own = format!("/child/{number}.mkv");
    let library = index.library("Movies").map_err(|error| error.message)?;
    same("a listed path", key_of(index, path, true))?;
    done("recording", library.record_matches(&[(own.as_bytes(), key)]))?;
    same("its own match", key_of(index, &own, true))?;
    if library.lookup_key(own.as_bytes(), |found| found == key) == Some(false) {
        return Err("a lookup knew better".to_owned());
    }
    // It speaks to the server over connections of its own, and may fetch.
    let in_time = library.query().within(Duration::from_secs(15));
    if number.is_multiple_of(4) {
        match index.refresh(&in_time, true) {
            Ok(Status::Ok) => {}
            other => return Err(format!("refreshing: {other:?}")),
        }
    }
    done("statistics", index.stats().map(|_| ()))
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

/// Forks again and again while other threads are at it.
pub fn busy(words: &[&str]) {
    let index = Arc::new(open_at(words));
    let (path, key) = (words[3], words[4]);
    assert_eq!(key_of(&index, path, false), key);
    let stop = AtomicBool::new(false);
    let recorded = AtomicU64::new(0);
    let forks: u64 = words[5].parse().expect("a number");
    let going = || !stop.load(Ordering::SeqCst);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let library = index.library("Movies").expect("a handle");
            while going() {
                let number = recorded.load(Ordering::SeqCst);
                let path = format!("/parent/{number}.mkv");
                library.record(path, key);
                recorded.store(number + 1, Ordering::SeqCst);
            }
        });
        scope.spawn(|| {
            let library = index.library("Movies").expect("a handle");
            while going() {
                let lookup = library.lookup_key(path.as_bytes(), |found| found == key);
                assert_ne!(lookup, Some(false));
                assert_eq!(key_of(&index, path, true), key);
            }
        });
        scope.spawn(|| {
            while going() {
                index.stats().expect("statistics");
            }
        });
        scope.spawn(|| {
            let library = index.library("Movies").expect("a handle");
            while going() {
                let status = index.refresh(&library.query(), true).expect("listed");
                assert_eq!(status, Status::Ok);
            }
        });
        // A host may fork from two threads at once.
        scope.spawn(|| {
            while going() {
                let pid = fork(|| {
                    let found = key_of(&index, path, true);
                    told_past_locks(if found == key { Ok(()) } else { Err(found) })
                });
                if wait_for(pid) != 0 {
                    say("a child of the other thread failed");
                    std::process::exit(1);
                }
            }
        });
        for number in 0..forks {
            let pid = fork(|| told_past_locks(child(&index, number, path, key)));
            let code = wait_for(pid);
            let own = format!("/child/{number}.mkv");
            let seen = key_of(&index, &own, true);
            if code != 0 || seen != key {
                say(&format!(
                    "child {number} ended with {code}, and its parent sees: {seen}"
                ));
                std::process::exit(1);
            }
            if number % 25 == 24 {
                say("going on"); // a deep run on a busy machine takes more than a minute
            }
        }
        stop.store(true, Ordering::SeqCst);
    });
    Arc::into_inner(index).expect("the last one").close().expect("closes");
    say(&recorded.load(Ordering::SeqCst).to_string());
    told();
}

#[test]
pub fn parent_and_child_both_go_on_and_lose_nothing() {
    let at = Scene::movies(120);
    let place = place(at.folder(), &at.server);
    let (path, key) = path_of(&at.server, 1, 3);
    let forks = rounds("PLEXINDEX_FORKS", 25);
    let words = [&place[0], &place[1], &place[2], &path, &key, &forks.to_string()];
    let mut worker = Worker::start("fork", words.map(String::as_str));
    let mut said = worker.hear();
    while said == "going on" {
        said = worker.hear();
    }
    let recorded: u64 = said.parse().unwrap_or_else(|_| panic!("{said}"));
    assert!(recorded > 0);
    let index = at.open();
    for number in 0..forks {
        assert_eq!(key_of(&index, &format!("/child/{number}.mkv"), true), *key);
    }
    for number in 0..recorded {
        assert_eq!(key_of(&index, &format!("/parent/{number}.mkv"), true), *key);
    }
    index.close().expect("closes");
    worker.end();
    assert_sound(at.folder());
}

/// Forks while another thread fetches; the child does nothing, for long.
pub fn fetching(words: &[&str]) {
    let index = Arc::new(open_at(words));
    say("open");
    let fetch = {
        let (index, path) = (Arc::clone(&index), words[3].to_owned());
        std::thread::spawn(move || match index.refresh(&QueryOptions::default(), true) {
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
    at.server.fault(Fault::new(Action::Delay { ms: 300 }).on(Kind::Listing));
    let mut worker = at.worker("fork while fetching", &[&path]);
    assert_eq!(worker.hear(), "open");
    until("it fetches", || at.server.stats().of(Kind::Listing) == 1);
    assert_eq!(worker.ask("fork"), "forked");
    assert_eq!(worker.hear(), key);
    // The child lives, and another process wants to fetch.
    let (index, library) = at.opened();
    let in_time = library.query().within(Duration::from_secs(5));
    assert_eq!(index.refresh(&in_time, true).expect("listed"), Status::Ok);
    worker.end();
}

/// Forks, and then only looks up: the child first, then the parent.
pub fn looking_up(words: &[&str]) {
    let index = Arc::new(open_at(words));
    let library = index.library("Movies").expect("a handle");
    assert_eq!(key_of(&index, words[3], false), words[4]);
    assert_eq!(wait_for(fork(|| 0)), 0);
    let look = || {
        let path = told().expect("a path");
        let key = library.lookup_key(path.as_bytes(), str::to_owned);
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
    // Once from the database, once from the state file.
    for round in 0..2 {
        let mut worker = at.worker("fork and look up", &[&path, &key]);
        assert_eq!(worker.hear(), "forked");
        for who in ["child", "parent", "parent again"] {
            // First one match, then so many that a segment is made of them.
            for count in [1, 600] {
                let path = |number: usize| format!("/host/{round}/{who}/{count}/{number}.mkv");
                let paths: Vec<String> = (0..count).map(path).collect();
                let pairs: Vec<(&[u8], &str)> = paths.iter().map(|path| (path.as_bytes(), &*key)).collect();
                library.record_matches(&pairs).expect("recorded");
                assert_eq!(worker.ask(&paths[0]), key, "{who}, {count}");
            }
        }
        worker.end();
    }
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
        if code != 0 {
            say(&format!("child {number} ended with {code}"));
            std::process::exit(1);
        }
    }
    say(&index.stats().expect("statistics").store_answers.to_string());
}

#[test]
fn what_a_parent_counted_is_counted_once() {
    let at = Scene::movies(120);
    let (path, _) = path_of(&at.server, 1, 3);
    // The listing's own end writes the counters: it is over before.
    let index = at.open();
    index.refresh(&QueryOptions::default(), true).expect("listed");
    index.close().expect("closes");
    let mut worker = at.worker("fork and count", &[&path]);
    assert_eq!(worker.hear(), "103");
    worker.end();
}
