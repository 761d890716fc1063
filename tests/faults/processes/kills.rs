//! Killed at any moment of whatever it does: recording, invalidating, clearing, refreshing, publishing, compacting, making
//! the version page. Each write whose call had returned is there, the one under way is there as a whole or not at all, and
//! a process that had the store open all along agrees with one that opens it then.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::support::index::{Index, QueryOptions, failpoint};
use plexindex::model::MatchKind;
use plexindex_standin::Standin;
use rusqlite::ffi::SQLITE_OK;

use crate::support::vfs::{self, Call};
use crate::support::worker::{Dice, Worker, assert_sound, choice, open_at, place, rounds, say, told};
use crate::support::{self, add, clock, movies, options, path_of};

/// Steps that are left until this process dies; 0: it does not.
static LEFT: AtomicU64 = AtomicU64::new(0);

fn step() {
    let last = LEFT.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if last == Ok(1) {
        vfs::die();
    }
}

fn of_sqlite(_: &Call<'_>) -> c_int {
    step();
    SQLITE_OK
}

#[allow(clippy::unnecessary_wraps)] // a failpoint may fail a step
fn of_ours(_: failpoint::FileStep<'_>) -> io::Result<()> {
    step();
    Ok(())
}

/// What a host does, in words: `record <first> <count>`, `forget <number>`, `clear`, `refresh`, `page <number>`.
fn an_act(dice: &mut Dice, next: &mut u64) -> String {
    let record = |next: &mut u64, count: u64| {
        let first = *next;
        *next += count;
        format!("record {first} {count}")
    };
    match dice.roll(16) {
        0..5 => record(next, 1),
        5 => record(next, 400),
        6 => record(next, 1_100), // compacts
        7..9 => format!("forget {}", dice.roll((*next).max(1))),
        9..13 => "refresh".to_owned(),
        13 => "clear".to_owned(),
        _ => {
            *next += 1;
            format!("page {}", *next - 1)
        }
    }
}

fn path(number: u64) -> String {
    format!("/host/{number}.mkv")
}

fn numbers(act: &str) -> Vec<u64> {
    act.split(' ')
        .skip(1)
        .map(|word| word.parse().expect("a number"))
        .collect()
}

/// In a worker: does one thing after the other, says each before and after it, and dies at a counted step or is killed.
pub fn act(words: &[&str]) {
    let number = |nth: usize| words[nth].parse::<u64>().expect("a number");
    let (seed, mut next, steps) = (number(3), number(4), number(5));
    let key = words[6];
    vfs::register(of_sqlite, true);
    failpoint::install(of_ours);
    say("ready");
    told();
    LEFT.store(steps, Ordering::SeqCst);
    let index = open_at(words);
    let library = index.library("Movies").expect("a handle");
    let record = |first: u64, count: u64| {
        let paths: Vec<String> = (first..first + count).map(path).collect();
        let pairs: Vec<(&[u8], &str)> = paths.iter().map(|path| (path.as_bytes(), key)).collect();
        library.record_matches(&pairs).expect("recorded");
    };
    let mut dice = Dice::new(seed);
    loop {
        let act = an_act(&mut dice, &mut next);
        say(&act);
        match (act.split(' ').next().expect("a word"), &numbers(&act)[..]) {
            ("record", [first, count]) => record(*first, *count),
            ("forget", [which]) => library.invalidate_path(path(*which).as_bytes()).expect("invalidated"),
            ("page", [which]) => {
                // On Windows a mapped page stays.
                let removed = std::fs::remove_file(Path::new(words[0]).join("plexindex-1.page"));
                assert!(removed.is_ok() || cfg!(windows), "{removed:?}");
                record(*which, 1);
            }
            ("refresh", _) => {
                index.refresh(&QueryOptions::default(), true).expect("listed");
            }
            _ => index.clear().expect("cleared"),
        }
        say("done");
    }
}

/// What is there, by number; absent numbers were never recorded.
type State = BTreeMap<u64, bool>;

fn apply(state: &mut State, act: &str) {
    match (act.split(' ').next().expect("a word"), &numbers(act)[..]) {
        ("record", [first, count]) => state.extend((*first..first + count).map(|number| (number, true))),
        ("page", [which]) => {
            state.insert(*which, true);
        }
        ("forget", [which]) => {
            state.insert(*which, false);
        }
        ("clear", _) => state.values_mut().for_each(|there| *there = false),
        _ => {}
    }
}

/// Whether this handle sees the matches of these numbers, and answers everything rightly.
fn sees(index: &Index, server: &Standin, numbers: &[u64], key: &str, what: &str) -> Vec<bool> {
    let library = index.library("Movies").expect("a handle");
    for nth in [0, 7, 59] {
        let (path, key) = path_of(server, 1, nth);
        let found = library
            .match_path(path.as_bytes())
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(found.item.map(|item| item.item.rating_key), Some(key), "{what}: {path}");
    }
    let see = |number: &u64| {
        let path = path(*number);
        let fast = library.lookup_key(path.as_bytes(), |found| found == key);
        let found = index
            .match_path(&support::offline(&library), path.as_bytes())
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let there = found.match_kind == MatchKind::Confirmed;
        assert!(
            fast.is_none() || fast == Some(true) && there,
            "{what}: {path}: {fast:?}, {there}"
        );
        there
    };
    numbers.iter().map(see).collect()
}

#[test]
pub fn a_kill_at_any_moment_loses_nothing_acknowledged() {
    let seed = choice("PLEXINDEX_SEED", 1);
    println!("seed {seed}");
    let mut dice = Dice::new(seed);
    let server = movies(60);
    let folder = tempfile::tempdir().expect("a folder");
    let place = place(folder.path(), &server);
    let (_, key) = path_of(&server, 1, 3);
    let open = || support::open(options(&server, folder.path()), &clock());
    let mut index = open();
    let mut state = State::new();
    let mut next = 0;
    let mut met: BTreeMap<String, u32> = BTreeMap::new();
    for round in 0..rounds("PLEXINDEX_ANY_KILLS", 12) {
        // Half of them at a counted step, half at any instruction.
        let steps = if round % 2 == 0 { 1 + dice.roll(600) } else { 0 };
        let words = [round + seed * 1_000_000, next, steps].map(|number| number.to_string());
        let mut worker = Worker::start(
            "act",
            [&place[0], &place[1], &place[2], &words[0], &words[1], &words[2], &key],
        );
        assert_eq!(worker.hear(), "ready");
        add(&server, &[format!("/data/movies/New {round}/New {round}.mkv")]);
        worker.tell("go");
        let mut heard = Vec::new();
        if steps == 0 {
            heard.push(worker.hear());
            // No wait for anything: the moment is what is drawn, so that it may be between any two instructions. Those of
            // interest, before and after each write, are counted in the other half.
            std::thread::sleep(Duration::from_micros(dice.roll(40_000)));
            heard.extend(worker.kill());
        } else {
            heard.extend(std::iter::from_fn(|| worker.next()));
        }
        let mut under_way: Option<String> = None;
        for said in heard {
            match (said.as_str(), under_way.take()) {
                ("done", act) => apply(&mut state, &act.expect("begun")),
                (_, _) => under_way = Some(said),
            }
        }
        let what = format!(
            "seed {seed}, round {round}, killed in '{}'",
            under_way.as_deref().unwrap_or("-")
        );
        let mut either = state.clone();
        if let Some(act) = &under_way {
            *met.entry(act.split(' ').next().unwrap_or_default().to_owned())
                .or_default() += 1;
            apply(&mut either, act);
        }
        next = either.keys().last().map_or(next, |last| next.max(last + 1));
        // The newest, and some of the rest.
        let all: Vec<u64> = either.keys().copied().collect();
        let numbers: Vec<u64> = (0..all.len())
            .filter(|nth| nth + 30 > all.len() || dice.roll(all.len() as u64) < 60)
            .map(|nth| all[nth])
            .collect();
        let of = |state: &State| -> Vec<bool> {
            let there = |number| state.get(number).copied().unwrap_or(false);
            numbers.iter().map(there).collect()
        };
        let fresh = open();
        let found = sees(&fresh, &server, &numbers, &key, &what);
        assert!(
            found == of(&state) || found == of(&either),
            "{what}: {numbers:?}: {found:?}"
        );
        assert_eq!(
            sees(&index, &server, &numbers, &key, &what),
            found,
            "{what}: the one that had it open"
        );
        // What was under way is known now, as a whole.
        if found == of(&either) {
            state = either;
        }
        fresh.close().expect("closes");
        if round % 8 == 7 {
            index.close().expect("closes");
            assert_sound(folder.path());
            index = open();
        }
    }
    index.close().expect("closes");
    assert_sound(folder.path());
    println!("killed in {met:?}");
}
