//! Load for a minute: processes with many threads read at full speed while one refreshes a large library in a loop and
//! others record and invalidate. No call fails, every answer is checked, and how long lookups took is told.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::index::QueryOptions;

use crate::support::worker::{Dice, Worker, assert_sound, choice, open_at, place, say, told};
use crate::support::{add, movies, path_of};

/// What is being recorded and invalidated: each by one process, a path a number.
fn own(process: u64, number: u64) -> String {
    format!("/host/{process}/{number}.mkv")
}

/// How many took how long: 16 steps to each doubling of nanoseconds.
const STEPS: usize = 1_024;

fn step_of(nanoseconds: u64) -> usize {
    if nanoseconds < 16 {
        return usize::try_from(nanoseconds).expect("small");
    }
    let doublings = nanoseconds.ilog2();
    let within = (nanoseconds >> (doublings - 4)) & 15;
    (usize::try_from(doublings).expect("small") - 3) * 16 + usize::try_from(within).expect("small")
}

/// The longest that belongs to a step.
fn end_of(step: usize) -> u64 {
    if step < 16 {
        return step as u64;
    }
    let (doublings, within) = (step / 16 + 3, step as u64 % 16);
    ((16 + within + 1) << (doublings - 4)) - 1
}

/// In a worker: reads with so many threads until it is told to stop; says how many lookups and how long they took.
pub fn read(words: &[&str]) {
    let known: Vec<(&str, &str)> = words[4].split('|').filter_map(|pair| pair.split_once('=')).collect();
    let index = open_at(words);
    let library = index.library("Movies").expect("a handle");
    let stop = AtomicBool::new(false);
    let (misses, times) = (AtomicU64::new(0), [const { AtomicU64::new(0) }; STEPS]);
    say("ready");
    told();
    std::thread::scope(|threads| {
        for thread in 0..words[3].parse::<u64>().expect("a number") {
            let (library, known, stop, times, misses) = (&library, &known, &stop, &times, &misses);
            threads.spawn(move || {
                let mut dice = Dice::new(thread);
                while !stop.load(Ordering::Relaxed) {
                    let (path, key) = known[usize::try_from(dice.roll(known.len() as u64)).expect("small")];
                    let begun = Instant::now();
                    let found = library.lookup_key(path.as_bytes(), |found| found == key);
                    let took = u64::try_from(begun.elapsed().as_nanos()).expect("short");
                    times[step_of(took)].fetch_add(1, Ordering::Relaxed);
                    assert_ne!(found, Some(false), "a wrong answer for {path}");
                    misses.fetch_add(u64::from(found.is_none()), Ordering::Relaxed);
                    // Now and then the full answer, of a listed path and of one that others record and forget.
                    if dice.roll(500) == 0 {
                        let found = library.match_path(path.as_bytes()).expect("an answer");
                        assert_eq!(found.item.expect("an item").item.rating_key, key, "{path}");
                        let theirs = own(dice.roll(2), dice.roll(50));
                        let found = library.match_path(theirs.as_bytes()).expect("an answer");
                        assert!(
                            found.item.is_none_or(|item| item.item.rating_key == known[0].1),
                            "{theirs}"
                        );
                    }
                }
            });
        }
        told();
        stop.store(true, Ordering::Relaxed);
    });
    index.close().expect("closes");
    let words: Vec<String> = times
        .iter()
        .map(|count| count.load(Ordering::Relaxed).to_string())
        .collect();
    say(&format!("{} {}", misses.into_inner(), words.join(",")));
    told();
}

/// In a worker: records and invalidates its own paths until it is told to stop, and sees at once what it did.
pub fn write(words: &[&str]) {
    let process: u64 = words[3].parse().expect("a number");
    let index = open_at(words);
    let library = index.library("Movies").expect("a handle");
    say("ready");
    told();
    let stop = AtomicBool::new(false);
    let mut writes = 0;
    std::thread::scope(|threads| {
        threads.spawn(|| {
            told();
            stop.store(true, Ordering::Relaxed);
        });
        while !stop.load(Ordering::Relaxed) {
            let path = own(process, writes % 50);
            library
                .record_matches(&[(path.as_bytes(), words[4])])
                .expect("recorded");
            let found = library.match_path(path.as_bytes()).expect("an answer");
            assert_eq!(found.item.expect("an item").item.rating_key, words[4], "{path}");
            if writes % 3 == 0 {
                library.invalidate_path(path.as_bytes()).expect("invalidated");
                let fast = library.lookup_key(path.as_bytes(), str::to_owned);
                assert_eq!(fast, None, "{path} was invalidated");
            }
            writes += 1;
        }
    });
    index.close().expect("closes");
    say(&writes.to_string());
    told();
}

/// In a worker: lists all of it whenever it is told to.
pub fn refresh(words: &[&str]) {
    let index = open_at(words);
    say("ready");
    while let Some(_go) = told() {
        index.refresh(&QueryOptions::default(), true).expect("listed");
        say("listed");
    }
    index.close().expect("closes");
}

#[test]
#[ignore = "deep: a minute and a half"]
fn readers_are_right_and_quick_while_others_write() {
    let items = choice("PLEXINDEX_LOAD_ITEMS", 100_000);
    let seconds = choice("PLEXINDEX_LOAD_SECONDS", 60);
    let server = movies(u32::try_from(items).expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let place = place(folder.path(), &server);
    let known: Vec<String> = (0..200)
        .map(|nth| path_of(&server, 1, nth * (usize::try_from(items).expect("small") / 200)))
        .map(|(path, key)| format!("{path}={key}"))
        .collect();
    let first = known[0].split_once('=').expect("a pair").1.to_owned();
    let known = known.join("|");
    let start = |role: &str, more: &[&str]| {
        let words: Vec<&str> = place.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let mut worker = Worker::start_with(role, &words);
        assert_eq!(worker.hear(), "ready");
        worker
    };
    {
        let index = open_at(&[&place[0], &place[1], &place[2]]);
        index.refresh(&QueryOptions::default(), true).expect("listed");
        index.close().expect("closes");
    }
    let mut readers: Vec<Worker> = (0..8).map(|_| start("load: read", &["8", &known])).collect();
    let mut refresher = start("load: refresh", &[]);
    let mut others = ["0", "1"].map(|process| start("load: write", &[process, &first]));
    for worker in readers.iter_mut().chain(&mut others) {
        worker.tell("go");
    }
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut listings = 0;
    let begin = |refresher: &mut Worker, listings: u64| {
        // Each listing has something to publish.
        add(&server, &[format!("/data/movies/New {listings}/New {listings}.mkv")]);
        refresher.tell("go");
    };
    begin(&mut refresher, 0);
    while refresher.hears_by(end) {
        listings += 1;
        begin(&mut refresher, listings);
    }
    for worker in readers.iter_mut().chain(&mut others) {
        worker.tell("stop");
    }
    let (mut misses, mut times) = (0, vec![0_u64; STEPS]);
    for worker in &mut readers {
        let said = worker.hear();
        let (not_at_once, counts) = said.split_once(' ').expect("two words");
        misses += not_at_once.parse::<u64>().expect("a number");
        for (step, count) in counts.split(',').enumerate() {
            times[step] += count.parse::<u64>().expect("a number");
        }
    }
    assert_eq!(refresher.hear(), "listed");
    listings += 1;
    let [a, b] = others.each_mut().map(Worker::hear);
    readers
        .into_iter()
        .chain(others)
        .chain([refresher])
        .for_each(Worker::end);
    let lookups: u64 = times.iter().sum();
    // In microseconds, for so many of a thousand.
    let at = |part: u64| {
        let mut left = lookups * part / 1_000;
        let step = times.iter().position(|count| {
            let there = *count > left;
            left = left.saturating_sub(*count);
            there
        });
        let last = times.iter().rposition(|count| *count > 0).expect("some");
        f64::from(u32::try_from(end_of(step.unwrap_or(last))).unwrap_or(u32::MAX)) / 1_000.0
    };
    println!(
        "{lookups} lookups of {items} items in {seconds} s, {misses} of them not at once; {listings} listings, {a} and {b} \
         recorded; of the lookups, in µs: p50 {:.1}, p99 {:.1}, p99.9 {:.1}, longest {:.0}",
        at(500),
        at(990),
        at(999),
        at(1_000)
    );
    assert!(lookups > 0 && listings > 0);
    assert_sound(folder.path());
}
