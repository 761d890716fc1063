//! A simulation: many handles and users on one folder, servers that change, fail and lie, processes that are killed, files
//! that vanish; and a model that knows what every answer may be.
//!
//! `model.rs` is the model, `world.rs` the steps, `calls.rs` the calls of hosts and what is checked of each, `trouble.rs` what
//! happens while hosts have the folder open, `readers.rs` those who follow the feed, `net.rs` the clock, the servers and the kills, `disk.rs` the disk, the log, and
//! what happened how often. A seed repeats exactly: `PLEXINDEX_SEED=N cargo test -p plexindex-tests --test simulation one_seed`.
#![allow(clippy::cast_possible_truncation)] // small numbers of our own
#![allow(clippy::case_sensitive_file_extension_comparisons)] // the names are our own
#![allow(clippy::similar_names)] // said and seed, path and paths
#![allow(clippy::unnecessary_wraps)] // each step may fail
#![allow(clippy::too_many_arguments)] // what a host told, whole
#![allow(unsafe_code)] // fork has no safe door

mod concurrent;
mod disk;
mod found;
mod model;
mod net;
mod world;

use plexindex_tests as support;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use support::number;
use world::{Failure, Step, run, steps_of};

/// Steps of a run.
const STEPS: usize = 200;
/// Seeds that are run each time.
const FIXED: u64 = 6;

/// For as long as this is held: histories share a disk and a clock.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a history; a panic is a failure like others. One at a time.
fn attempt(seed: u64, steps: &[Step]) -> Result<String, Failure> {
    let _alone = alone();
    std::panic::catch_unwind(|| run(seed, steps)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let what = format!("a panic: {}", text.unwrap_or_default());
        let (step, log) = (steps.len(), String::new());
        Err(Failure { step, what, log })
    })
}

/// Leaves out steps, as long as it still fails: halves first, then quarters, and so on.
fn shrink(seed: u64, steps: &[Step], first: Failure) -> (Vec<Step>, Failure) {
    let mut steps = steps[..steps.len().min(first.step + 1)].to_vec();
    let mut failure = first;
    let begun = Instant::now();
    let mut chunk = steps.len().div_ceil(2);
    loop {
        let mut at = 0;
        while at < steps.len() && begun.elapsed() < Duration::from_secs(20) {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + chunk).min(steps.len()));
            match attempt(seed, &fewer) {
                Err(other) => {
                    fewer.truncate(other.step + 1);
                    (steps, failure) = (fewer, other);
                }
                Ok(_) => at += chunk,
            }
        }
        if chunk <= 1 {
            return (steps, failure);
        }
        chunk = chunk.div_ceil(2);
    }
}

/// Runs a seed, and says what to know of it when it fails.
fn check(seed: u64) {
    let steps = steps_of(seed, STEPS);
    let Err(failure) = attempt(seed, &steps) else {
        return;
    };
    let (what, step) = (failure.what.clone(), failure.step);
    let (fewer, last) = shrink(seed, &steps, failure);
    panic!(
        "seed {seed}, step {step}: {what}\n\nIn {} steps:\n{}{}\n\nRepeat it: PLEXINDEX_SEED={seed} cargo test -p plexindex-tests --test \
         simulation one_seed",
        fewer.len(),
        last.log,
        last.what
    );
}

#[test]
fn a_few_histories() {
    let begun = Instant::now();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let mut fresh = now.map_or(1, |time| time.as_secs());
    (0..FIXED).for_each(check);
    let mut ran = FIXED as usize;
    while begun.elapsed() < Duration::from_secs(3) {
        println!("seed {fresh}");
        check(fresh);
        fresh += 1;
        ran += 1;
    }
    println!("{ran} histories, {} steps\n{}", ran * STEPS, disk::counted());
}

#[test]
#[ignore = "deep: an hour"]
fn histories_for_long() {
    let first = number("PLEXINDEX_SEED").unwrap_or(1_000);
    let count = number("PLEXINDEX_SEEDS").unwrap_or(number("PLEXINDEX_DEPTH").unwrap_or(10) * 2_000);
    let begun = Instant::now();
    let mut failed: u64 = 0;
    for seed in first..first + count {
        let steps = steps_of(seed, STEPS);
        if let Err(failure) = attempt(seed, &steps) {
            failed += 1;
            let what = failure.what.lines().next().unwrap_or("");
            println!("seed {seed}, step {}: {what}", failure.step);
        }
        let ran = seed - first + 1;
        let enough = number("PLEXINDEX_FOUND").is_some_and(|most| failed >= most);
        if ran.is_multiple_of(500) || ran == count || enough {
            println!(
                "{ran} histories, {} steps, {failed} failed, {:.0} s",
                ran * STEPS as u64,
                begun.elapsed().as_secs_f64()
            );
        }
        if enough {
            break;
        }
    }
    print!("{}", disk::counted());
    assert_eq!(failed, 0, "run one with PLEXINDEX_SEED=N and one_seed");
}

#[test]
fn hosts_at_once() {
    println!("{} writes were acknowledged", concurrent::check(1, 6));
}

#[test]
#[ignore = "deep: half an hour"]
fn hosts_at_once_for_long() {
    let seeds = 0..number("PLEXINDEX_DEPTH").unwrap_or(10) * 10;
    let writes: usize = seeds.map(|seed| concurrent::check(seed, 30)).sum();
    println!("{writes} writes were acknowledged");
}

#[test]
#[ignore = "played by the other tests, as another process"]
fn worker() {
    support::worker::play(&[&[("host", concurrent::host)]]);
}

#[test]
fn one_seed() {
    if let Some(seed) = number("PLEXINDEX_SEED") {
        check(seed);
    }
}

#[test]
fn a_history_replays_exactly() {
    for seed in 0..2 {
        let steps = steps_of(seed, STEPS);
        let [one, other] = [0, 1].map(|_| attempt(seed, &steps).unwrap_or_else(|failure| failure.log));
        for (one, other) in one.lines().zip(other.lines()) {
            assert_eq!(one, other, "seed {seed}");
        }
        assert_eq!(one.lines().count(), other.lines().count());
    }
}

/// The lines that a patch takes away or leaves stand in the files that it names, hunk by hunk.
#[test]
fn the_mutants_apply() {
    let root = plexindex_tests::repository("");
    let mut patches = 0;
    for entry in std::fs::read_dir(root.join("tests/simulation/mutants")).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|end| end != "patch") {
            continue;
        }
        patches += 1;
        let patch = std::fs::read_to_string(&path).expect("a patch");
        for part in patch.split("diff --git ").skip(1) {
            let name = (part.lines().find_map(|line| line.strip_prefix("+++ b/"))).expect("a file's name");
            let file = std::fs::read_to_string(root.join(name)).expect("the file");
            for hunk in part.split("\n@@ ").skip(1) {
                let lines = hunk.lines().skip(1).filter(|line| !line.starts_with('+'));
                let old: Vec<&str> = lines.map(|line| line.get(1..).unwrap_or("")).collect();
                assert!(file.contains(&old.join("\n")), "{}: {name}", path.display());
            }
        }
        // `run.sh` names the defect by the first two words of the file's name.
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let short = name.splitn(3, '-').take(2).collect::<Vec<_>>().join("-");
        let asks = format!("crate::mutant::is(\"{short}\")");
        assert!(patch.contains(&asks), "{name} brings nothing back");
    }
    assert!(patches > 0);
}
