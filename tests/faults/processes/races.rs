//! Many processes with many threads do everything at once on one folder: nothing acknowledged is lost, nothing comes
//! back, no call waits for ever.

use std::path::Path;
use std::sync::Mutex;

use crate::support::index::{Index, Library, QueryOptions};
use plexindex::error::Status;
use plexindex_standin::Standin;

use crate::support::worker::{Dice, Worker, assert_sound, choice, open_at, place, rounds, say, told};
use crate::support::{self, clock, movies, options, path_of};

/// Nanoseconds on a clock that all processes share.
#[cfg(unix)]
fn now() -> u64 {
    // SAFETY: the struct is plain data that the call fills in.
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        assert_eq!(libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time), 0);
        time
    };
    u64::try_from(time.tv_sec).expect("after boot") * 1_000_000_000 + u64::try_from(time.tv_nsec).expect("positive")
}

/// The same in steps of this machine.
#[cfg(windows)]
fn now() -> u64 {
    // SAFETY: as the system declares it.
    unsafe extern "system" {
        fn QueryPerformanceCounter(steps: *mut i64) -> i32;
    }
    let mut steps = 0;
    // SAFETY: the call fills in the number.
    assert_ne!(unsafe { QueryPerformanceCounter(&raw mut steps) }, 0);
    steps.cast_unsigned()
}

/// A call that returned: what it did, and from when to when.
#[derive(Debug)]
struct Done {
    what: What,
    from: u64,
    to: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    /// The path's match was confirmed.
    Recorded(String),
    /// The path was invalidated.
    Forgotten(String),
    /// Everything was.
    Cleared,
}

impl Done {
    fn timed<T>(what: What, call: impl FnOnce() -> T) -> (Self, T) {
        let from = now();
        let value = call();
        let done = Self { what, from, to: now() };
        (done, value)
    }

    fn to_words(&self) -> String {
        let (verb, path) = match &self.what {
            What::Recorded(path) => ("recorded", path.as_str()),
            What::Forgotten(path) => ("forgotten", path.as_str()),
            What::Cleared => ("cleared", ""),
        };
        format!("{verb}|{path}|{}|{}", self.from, self.to)
    }

    fn from_words(words: &str) -> Self {
        let parts: Vec<&str> = words.split('|').collect();
        let [verb, path, from, to] = parts[..] else {
            panic!("a worker failed: {words}");
        };
        Self {
            what: match verb {
                "recorded" => What::Recorded(path.to_owned()),
                "forgotten" => What::Forgotten(path.to_owned()),
                _ => What::Cleared,
            },
            from: from.parse().expect("a time"),
            to: to.parse().expect("a time"),
        }
    }
}

fn answer(index: &Index, library: &Library, path: &str) -> Option<String> {
    let offline = QueryOptions {
        offline: true,
        ..library.query()
    };
    match index.match_path(&offline, path.as_bytes()) {
        Ok(found) => found.item.map(|item| item.item.rating_key),
        // Cleared: not even the library is known.
        Err(error) if error.status == Status::NotFetched => None,
        Err(error) => panic!("{error}"),
    }
}

/// One thread's share. `clears`: it may clear everything too, so that only the end tells who was right.
fn share(index: &Index, words: &[&str], name: &str, dice: &mut Dice) -> Vec<Done> {
    let key = words[3];
    let steps: u64 = words[6].parse().expect("a number");
    let clears = words[7] == "clears";
    let library = index.library("Movies").expect("a handle");
    let mut done: Vec<Done> = Vec::new();
    let mut own: Vec<String> = Vec::new();
    for step in 0..steps {
        let path = format!("/{name}/{step}.mkv");
        if step % 20 == 0 {
            say("alive");
        }
        match dice.roll(100) {
            0..60 => {
                let (call, result) = Done::timed(What::Recorded(path.clone()), || {
                    library.record_matches(&[(path.as_bytes(), key)])
                });
                result.expect("recorded");
                done.push(call);
                own.push(path);
            }
            60..75 if !own.is_empty() => {
                let path = &own[usize::try_from(dice.roll(own.len() as u64)).expect("small")];
                let seen = answer(index, &library, path);
                assert!(
                    clears || seen.as_deref() == Some(key),
                    "{path} was confirmed, and answers {seen:?}"
                );
                let lookup = library.lookup_key(path.as_bytes(), str::to_owned);
                assert!(lookup.is_none() || lookup.as_deref() == Some(key));
            }
            75..82 => {
                let other = open_at(words);
                let library = other.library("Movies").expect("a handle");
                let (call, result) = Done::timed(What::Recorded(path.clone()), || {
                    library.record_matches(&[(path.as_bytes(), key)])
                });
                result.expect("recorded");
                done.push(call);
                own.push(path);
                other.close().expect("closes");
            }
            82..90 if !own.is_empty() => {
                let place = usize::try_from(dice.roll(own.len() as u64)).expect("small");
                let path = own.swap_remove(place);
                let (call, result) = Done::timed(What::Forgotten(path.clone()), || {
                    library.invalidate_path(path.as_bytes())
                });
                result.expect("invalidated");
                assert_eq!(answer(index, &library, &path), None, "{path} was invalidated");
                done.push(call);
            }
            90..94 => drop(index.stats().expect("statistics")),
            94..96 => match index.refresh(&library.query(), true) {
                Ok(status) => assert_eq!(status, Status::Ok),
                Err(error) => assert!(clears && error.message.contains("cleared"), "{error}"),
            },
            96..98 if clears => {
                let (call, result) = Done::timed(What::Cleared, || index.clear());
                result.expect("cleared");
                done.push(call);
            }
            98 if clears => {
                let (call, result) = Done::timed(What::Cleared, || index.invalidate_all());
                result.expect("invalidated");
                done.push(call);
            }
            _ => {}
        }
    }
    done
}

/// Waits for the word, lets its threads loose, and says what they did.
pub fn race(words: &[&str]) {
    let index = open_at(words);
    let number: u64 = words[4].parse().expect("a number");
    let threads: u64 = words[5].parse().expect("a number");
    say("ready");
    told();
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (index, done) = (&index, &done);
            scope.spawn(move || {
                let mut dice = Dice::new(number * 1_000 + thread);
                let share = share(index, words, &format!("{number}-{thread}"), &mut dice);
                done.lock().expect("no panic").extend(share);
            });
        }
    });
    index.close().expect("closes");
    for call in done.into_inner().expect("no panic") {
        say(&call.to_words());
    }
    say("end");
    told();
}

fn let_loose(server: &Standin, folder: &Path, clears: &str) -> Vec<Done> {
    let place = place(folder, server);
    let processes = choice("PLEXINDEX_RACE_PROCESSES", 8);
    let threads = choice("PLEXINDEX_RACE_THREADS", 2).to_string();
    let steps = rounds("PLEXINDEX_RACE_STEPS", 60).to_string();
    let (_, key) = path_of(server, 1, 3);
    let mut workers: Vec<Worker> = (0..processes)
        .map(|number| {
            let number = number.to_string();
            Worker::start(
                "race",
                [&place[0], &place[1], &place[2], &key, &number, &threads, &steps, clears],
            )
        })
        .collect();
    for worker in &mut workers {
        assert_eq!(worker.hear(), "ready");
    }
    for worker in &mut workers {
        worker.tell("go");
    }
    let mut done = Vec::new();
    for mut worker in workers {
        loop {
            match worker.hear().as_str() {
                "alive" => {}
                "end" => break,
                words => done.push(Done::from_words(words)),
            }
        }
        worker.end();
    }
    done
}

/// What must be true of a path after all that was done: `None` when it could be either.
fn verdict(path: &str, done: &[Done]) -> Option<bool> {
    let about = |what: What| done.iter().filter(move |call| call.what == what);
    let recorded = about(What::Recorded(path.to_owned())).next().expect("recorded");
    // A path is recorded once and forgotten at most once, later, by the same thread.
    if about(What::Forgotten(path.to_owned())).next().is_some() {
        return Some(false);
    }
    if about(What::Cleared).any(|clear| clear.from > recorded.to) {
        return Some(false);
    }
    about(What::Cleared)
        .all(|clear| clear.to < recorded.from)
        .then_some(true)
}

fn assert_all_true(server: &Standin, folder: &Path, done: &[Done]) -> [usize; 3] {
    let index = support::open(options(server, folder), &clock());
    let library = index.library("Movies").expect("a handle");
    let (path, key) = path_of(server, 1, 3);
    let key = key.as_str();
    let mut counts = [0; 3];
    for call in done {
        let What::Recorded(path) = &call.what else { continue };
        let seen = answer(&index, &library, path);
        match verdict(path, done) {
            Some(true) => assert_eq!(
                seen.as_deref(),
                Some(key),
                "{path} was acknowledged, and is lost: {call:?}"
            ),
            Some(false) => assert_eq!(seen, None, "{path} came back: {call:?}"),
            None => {}
        }
        counts[verdict(path, done).map_or(2, usize::from)] += 1;
    }
    let found = library.match_path(path.as_bytes()).expect("an answer");
    assert_eq!(found.item.expect("an item").item.rating_key, key);
    index.close().expect("closes");
    assert_sound(folder);
    counts
}

#[test]
pub fn what_is_confirmed_after_a_clear_is_there_and_what_was_before_is_not() {
    let server = movies(60);
    let folder = tempfile::tempdir().expect("a folder");
    let done = let_loose(&server, folder.path(), "clears");
    let [gone, _, _] = assert_all_true(&server, folder.path(), &done);
    assert!(gone > 0);
    let clears = done.iter().filter(|call| call.what == What::Cleared).count();
    assert!(clears > 1, "{clears}");
}
