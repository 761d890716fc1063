//! A commit that returned is seen by every lookup that starts afterwards, in every process.

use std::path::Path;

use crate::support::index::{Ask as _, Library};
use plexindex_standin::Standin;

use crate::disk::open::obey;
use crate::support::worker::{Worker, hear_all, options_at, read_at, rounds, writable, write_at};
use crate::support::{self, Scene, path_of};

/// A host that has an index open before it is told to.
pub fn opened(words: &[&str]) {
    let mut options = options_at(words);
    options.no_mmap = words.get(3) == Some(&"no_mmap");
    let index = support::open(options, &support::clock());
    obey(words, Some(index));
}

/// What both doors say: the fast path's key or `?`, and the full answer's key or its reason.
pub fn look(library: &Library, path: &str) -> String {
    let lookup = library.fast(&path);
    let full = library.query().offline().answer(path).key_or_reason();
    format!("{} {full}", lookup.as_deref().unwrap_or("?"))
}

/// Several workers on a store with one fetched library.
pub fn workers<const N: usize>(folder: &Path, server: &Standin, more: [&str; N]) -> Vec<Worker> {
    let index = support::open(support::options(server, folder), &support::clock());
    let library = index.movies();
    let (path, _) = path_of(server, 1, 0);
    library.ask(&path);
    index.close().expect("closes");
    let start = |more: &str| Worker::at("coherence", folder, server, &[more]);
    let mut workers: Vec<Worker> = more.map(start).into();
    hear_all(&mut workers, "ready");
    workers
}

/// Asserts that a process answers so at once: a lookup may know nothing, but nothing else than that. Returns whether it
/// knew.
pub fn assert_sees(worker: &mut Worker, path: &str, expected: &str, what: &str) -> bool {
    let seen = worker.ask(&format!("both {path}"));
    let (lookup, full) = seen.split_once(' ').expect("two answers");
    assert_eq!(full, expected, "{what}");
    assert!(lookup == "?" || lookup == expected, "{what}: {lookup} in a fast lookup");
    lookup == expected
}

/// The same of every worker but `writer`. Returns how many lookups knew.
fn assert_all_see(workers: &mut [Worker], writer: usize, path: &str, expected: &str, what: &str) -> usize {
    let others = workers.iter_mut().enumerate().filter(|(number, _)| *number != writer);
    let sees = |(number, worker): (usize, &mut Worker)| {
        let what = format!("{what}: worker {number} after worker {writer}'s commit");
        assert_sees(worker, path, expected, &what)
    };
    others.map(sees).filter(|knew| *knew).count()
}

/// Rating keys of the library: a match answers while its item is listed.
fn keys(server: &Standin) -> Vec<String> {
    server.paths(1).into_iter().map(|(key, _)| key.to_string()).collect()
}

fn commits_are_seen(rounds: u64, more: [&str; 3]) {
    let at = Scene::movies(300);
    let mut workers = workers(at.folder(), &at.server, more);
    let (listed, listed_key) = path_of(&at.server, 1, 5);
    let keys = keys(&at.server);
    let mut lookups = 0;
    let mut recorded = 0;
    for round in 0..rounds {
        let writer = usize::try_from(round % 3).expect("small");
        // Few paths, so that most writes change an answer that is known.
        let path = format!("/host/{}.mkv", round % 7);
        let what = format!("round {round}");
        if round % 10 == 9 {
            assert_eq!(workers[writer].ask(&format!("invalidate {path}")), "done");
            assert_all_see(&mut workers, writer, &path, "NoLocation", &what);
        } else {
            let key = &keys[usize::try_from(round).expect("small") % keys.len()];
            assert_eq!(workers[writer].ask(&format!("record {path}|{key}")), "done");
            lookups += assert_all_see(&mut workers, writer, &path, key, &what);
            recorded += 2;
        }
        if round % 50 == 49 {
            assert_eq!(workers[writer].ask(&format!("invalidate {listed}")), "done");
            assert_all_see(&mut workers, writer, &listed, "Unconfirmed", &what);
            let other = (writer + 1) % 3;
            assert_eq!(workers[other].ask(&format!("record {listed}|{listed_key}")), "done");
            assert_all_see(&mut workers, other, &listed, &listed_key, &what);
        }
    }
    // Most lookups know: it is the memtable that makes them, not the full answer behind them.
    assert!(lookups * 10 >= recorded * 9, "{lookups} of {recorded} lookups knew");
    workers.into_iter().for_each(Worker::end);
}

#[test]
fn what_one_process_commits_all_others_see() {
    commits_are_seen(rounds("PLEXINDEX_COHERENCE_ROUNDS", 1_000, 20), ["", "", ""]);
}

#[test]
fn a_process_that_maps_nothing_tells_those_that_do() {
    commits_are_seen(60, ["no_mmap", "", ""]);
}

#[test]
fn a_process_that_closes_takes_nothing_from_those_that_stay() {
    let at = Scene::movies(20);
    let mut workers = workers(at.folder(), &at.server, [""; 2]);
    let keys = keys(&at.server);
    for (round, key) in keys.iter().take(5).enumerate() {
        // All that stays open is what this worker has; the last to close takes itself for the only one.
        workers.truncate(1);
        let path = format!("/host/{round}.mkv");
        let index = at.open();
        index.counts();
        index.close().expect("closes");
        assert_eq!(workers[0].ask(&format!("record {path}|{key}")), "done");
        let mut late = at.worker("coherence", &[]);
        assert_eq!(late.hear(), "ready");
        let seen = late.ask(&format!("both {path}"));
        assert_eq!(seen, format!("{key} {key}"));
        late.end();
    }
}

#[test]
fn counters_that_lie_cost_time_and_no_truth() {
    let at = Scene::movies(20);
    let mut workers = workers(at.folder(), &at.server, [""; 3]);
    let keys = keys(&at.server);
    assert_eq!(workers[0].ask(&format!("record /host/a.mkv|{}", keys[0])), "done");
    let page = writable(at.folder().join("plexindex-1.page"));
    let read = |at: u64| {
        let mut word = [0; 8];
        read_at(&page, &mut word, at * 8);
        u64::from_ne_bytes(word)
    };
    let (mut turn, now, all) = (0, read(17), u64::MAX);
    let (near, far) = (now + 3, now + 9);
    for (pending, done) in [(0, 0), (all, all), (near, near), (0, far), (far, 0), (1, 1)] {
        write_at(&page, &pending.to_ne_bytes(), 16 * 8);
        write_at(&page, &done.to_ne_bytes(), 17 * 8);
        assert_all_see(&mut workers, 9, "/host/a.mkv", &keys[turn % 20], "lies");
        for _ in 0..5 {
            turn += 1;
            let (writer, key) = (turn % 3, &keys[turn % 20]);
            assert_eq!(workers[writer].ask(&format!("record /host/a.mkv|{key}")), "done");
            assert_all_see(&mut workers, writer, "/host/a.mkv", key, "lies");
        }
    }
    // Who opens next sets them right: a lookup does not ask the database any more.
    let index = at.open();
    let sequence = index.counts().sequence;
    assert_eq!((read(16), read(17)), (sequence, sequence));
}
