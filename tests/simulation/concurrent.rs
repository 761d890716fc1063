//! Processes and threads at once, some of them killed at any instruction, some of them forked: the seed gives the plan, not
//! the schedule. Each says what it is about to do and what was acknowledged; that log is checked afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::index::Ask as _;
use plexindex::error::Status;
use plexindex_standin::Standin;

use crate::support::{clock, movies, open, options};
#[cfg(unix)]
use plexindex_tests::worker::MARK;
use plexindex_tests::worker::{Dice, Worker, assert_sound, open_at, place, say, told};

/// Threads of a process, and processes.
const THREADS: u64 = 2;
const PROCESSES: u64 = 3;
/// Host paths of a thread.
const PATHS: u64 = 8;

/// What the parent knows of a path: what it may be.
type Log = BTreeMap<String, Vec<Option<String>>>;

fn host_path(thread: u64, number: u64) -> String {
    format!("/host/{thread}/{number}.mkv")
}

/// A host: its words are the place, its number, a seed, and a round.
pub fn host(words: &[&str]) {
    let number = |at: usize| words[at].parse::<u64>().expect("a number");
    let (me, seed) = (number(3), number(4));
    let known: Vec<(&str, &str)> = words[5..].chunks(2).map(|pair| (pair[0], pair[1])).collect();
    let index = open_at(words);
    // Says it before anything is printed: a kill may follow at any instruction.
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string().replace('\n', " ");
        say(&format!("failed: {text}"));
        eprintln!("{text}");
        std::process::abort();
    }));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (index, known) = (&index, &known);
            scope.spawn(move || work(index, me * THREADS + thread, seed, known));
        }
        while told().is_some() {}
        std::process::exit(0);
    });
}

fn work(index: &crate::support::index::Index, me: u64, seed: u64, known: &[(&str, &str)]) {
    let mut dice = Dice::new(seed.wrapping_mul(31).wrapping_add(me));
    let films = index.movies();
    loop {
        let (path, key) = known[dice.roll(known.len() as u64) as usize];
        let own = host_path(me, dice.roll(PATHS));
        match dice.roll(12) {
            0..4 => {
                let found = films.ask(path);
                let got = found.item.as_ref().map(|item| item.rating_key.as_str());
                assert!(
                    got == Some(key) || found.status == Status::NotFound,
                    "{path}: {found:?}"
                );
            }
            4..6 => {
                let got = films.fast(&path);
                assert!(got.is_none_or(|got| got == key), "a fast lookup of {path}");
            }
            6..9 => {
                say(&format!("begins {own} {key}"));
                // One time in eight so many at once that a segment is made of them.
                let count = if dice.roll(8) == 0 { 1_100 } else { 0 };
                let more: Vec<String> = (0..count).map(|number| format!("/more/{me}/{number}.mkv")).collect();
                let paths = std::iter::once(&own).chain(&more);
                films.record_matches(paths.map(|path| (path, key))).expect("recorded");
                say(&format!("done {own} {key}"));
                // No other host writes to this path.
                let got = films.fast(&own);
                assert!(got.is_none_or(|got| got == key), "what was recorded: {own}");
            }
            9 => {
                say(&format!("begins {own} -"));
                films.invalidate_path(&own).expect("invalidated");
                say(&format!("done {own} -"));
                assert!(films.lookup_key(own.as_bytes(), |_| ()).is_none(), "invalidated: {own}");
            }
            10 => drop(index.query().refreshed(dice.roll(4) == 0).expect("refreshed")),
            #[cfg(unix)]
            _ => fork(index, path, key),
            #[cfg(windows)]
            _ => {}
        }
    }
}

/// A child reads what its parent reads, records a match of its own, and ends.
#[cfg(unix)]
fn fork(index: &crate::support::index::Index, path: &str, key: &str) {
    let child = plexindex_tests::worker::fork(|| {
        let offline = index.query().offline();
        let found = offline.matched(path);
        let right = match &found {
            Ok(found) => found.item.as_ref().is_none_or(|item| item.rating_key == key),
            // Before the first listing.
            Err(error) => error.status == Status::NotFetched,
        } && records(index, key);
        if !right {
            // Without the lock on the output, which another thread may have held at the fork.
            let text = format!("{MARK}failed: a child's answer for {path}, not {key}: {found:?}\n");
            // SAFETY: writes bytes of ours.
            unsafe { libc::write(1, text.as_ptr().cast(), text.len()) };
        }
        i32::from(!right)
    });
    assert_eq!(
        plexindex_tests::worker::wait_for(child),
        0,
        "a child answered wrong, or died"
    );
}

/// Whether a child's match is there at once.
#[cfg(unix)]
fn records(index: &crate::support::index::Index, key: &str) -> bool {
    let Ok(films) = index.library("Movies") else {
        return false;
    };
    let own = format!("/child/{}.mkv", std::process::id());
    let is_recorded = films.record_match(&own, key).is_ok();
    let found = films.query().offline().matched(&own);
    // Another host's refresh may show an empty library meanwhile.
    is_recorded && found.is_ok_and(|found| found.item.is_some_and(|item| item.rating_key == key))
}

/// Takes in what a host said.
fn note(log: &mut Log, said: &str) {
    assert!(!said.starts_with("failed"), "a host found something wrong: {said}");
    let words: Vec<&str> = said.split(' ').collect();
    let [what, path, key] = words[..] else { return };
    let value = (key != "-").then(|| key.to_owned());
    let may_be = log.entry(path.to_owned()).or_insert_with(|| vec![None]);
    if what == "begins" {
        may_be.push(value);
    } else {
        *may_be = vec![value];
    }
}

/// Plays a plan, and checks its log.
pub fn check(seed: u64, kills: u64) -> usize {
    let server: Standin = movies(60);
    let folder = tempfile::tempdir().expect("a folder");
    let at = place(folder.path(), &server);
    let known = server.paths(1).into_iter();
    let known = known.filter_map(|(key, path)| Some([path?, key.to_string()]));
    let known: Vec<String> = known.take(20).flatten().collect();
    let mut dice = Dice::new(seed);
    let mut log = Log::new();
    let mut acknowledged = 0;
    let start = |number: u64, round: u64| {
        let mut words: Vec<String> = at.to_vec();
        words.extend([number.to_string(), (seed * 1_000 + round).to_string()]);
        words.extend(known.clone());
        Worker::start_with("host", &words)
    };
    let mut hosts: Vec<Worker> = (0..PROCESSES).map(|number| start(number, 0)).collect();
    for round in 1..=kills {
        let victim = dice.roll(PROCESSES) as usize;
        // Until it works, and then to some instruction of what it does next.
        for _ in 0..=dice.roll(20) {
            let said = hosts[victim].hear();
            acknowledged += usize::from(said.starts_with("done"));
            note(&mut log, &said);
        }
        std::thread::sleep(Duration::from_micros(dice.roll(5_000)));
        let next = start(victim as u64, round);
        for said in std::mem::replace(&mut hosts[victim], next).kill() {
            acknowledged += usize::from(said.starts_with("done"));
            note(&mut log, &said);
        }
    }
    for host in hosts {
        for said in host.kill() {
            acknowledged += usize::from(said.starts_with("done"));
            note(&mut log, &said);
        }
    }
    let index = open(options(&server, folder.path()), &clock());
    let films = index.movies();
    let offline = films.query().offline();
    for (path, may_be) in &log {
        let found = offline.answer(path);
        let got = found.key();
        assert!(may_be.contains(&got), "seed {seed}: {path}: {got:?}, {may_be:?}");
    }
    index.close().expect("closes");
    assert_sound(folder.path());
    acknowledged
}
