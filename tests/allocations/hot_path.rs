//! What a warm hit costs beside time: nothing allocated, and no system call but for a check of four names twice a second.

#![allow(unsafe_code)] // a call that marks

#[cfg(unix)]
use std::process::Command;

use crate::allocations;
use crate::support::index::{Library, Selector};
use crate::support::{KEEP, Scene};
use plexindex::error::Status;
use plexindex::tables::{Op, Table};

/// A warm index, its libraries, and the paths and keys of its items.
struct Warm {
    _index: crate::support::index::Index,
    one: Library,
    all: Library,
    /// What the host keeps: the same paths and keys.
    kept: Table,
    paths: Vec<(String, String)>,
    _at: Scene,
}

fn warm() -> Warm {
    let at = Scene::movies(2_000);
    let index = at.open();
    let one = index.movies();
    let all = index.select(Selector::All).expect("a handle");
    let paths = at.server.paths(1).into_iter();
    let paths = paths.filter_map(|(key, path)| Some((path?, key.to_string())));
    let paths: Vec<(String, String)> = paths.collect();
    let kept = index.tables().table(b"Movies", true).expect("a table");
    let ops: Vec<Op<'_>> = paths
        .iter()
        .map(|(path, key)| Op::Put(&kept, path.as_bytes(), key.as_bytes()))
        .collect();
    index.tables().write(&ops, &KEEP).expect("stored, and compacted");
    kept.put(b"since", b"1", &KEEP).expect("stored");
    one.ask(&paths[0].0);
    one.record("/host/confirmed.mkv", "1001");
    one.ask("/host/confirmed.mkv");
    kept.get(b"since", 9, &mut |_| {}).expect("asked");
    Warm {
        _index: index,
        one,
        all,
        kept,
        paths,
        _at: at,
    }
}

/// Every kind of hit, once for each path.
fn hits(warm: &Warm) {
    hits_of(warm, &warm.paths);
}

fn hits_of(warm: &Warm, paths: &[(String, String)]) {
    for (path, key) in paths {
        let found = warm.kept.lookup(path.as_bytes(), |found| found == key.as_bytes());
        assert_eq!(found, Some(true));
        for library in [&warm.one, &warm.all] {
            assert_eq!(library.lookup_key(path.as_bytes(), |found| found == key), Some(true));
            let question = library.query();
            question
                .match_path_with(path.as_bytes(), |answer| {
                    assert_eq!(answer.status, Status::Ok);
                    assert_eq!(answer.item().map(|found| found.item.rating_key), Some(key.as_str()));
                    Ok(())
                })
                .expect("an answer");
        }
    }
    assert!(warm.one.lookup_key(b"/host/confirmed.mkv", |_| ()).is_some());
    assert!(warm.one.lookup_key(b"/nowhere/at all.mkv", |_| ()).is_none());
    assert!(warm.kept.lookup(b"SINCE", |_| ()).is_some());
    assert!(warm.kept.lookup(b"/nowhere/at all.mkv", |_| ()).is_none());
}

#[test]
fn a_hit_allocates_nothing() {
    let warm = warm();
    hits(&warm); // thread-locals of the platform are made with the first
    let parts = warm.paths.chunks(warm.paths.len() / ROUNDS);
    let allocate = parts.filter(|part| allocations(|| hits_of(&warm, part)) > 0).count();
    // On Windows a check of the names copies them into UTF-16.
    let checked = if cfg!(windows) { ROUNDS / 4 } else { 0 };
    assert!((0..=checked).contains(&allocate), "{allocate} parts");
}

/// How many parts the hits are made in: a check of the names falls into few of them.
const ROUNDS: usize = 20;

/// Run by the next test under strace: says where the hits begin and end by closing descriptors that are none.
#[cfg(unix)]
#[test]
#[ignore = "a part of the next test"]
fn worker() {
    if std::env::var_os("PLEXINDEX_TEST_WORKER").is_none() {
        return;
    }
    let warm = warm();
    hits(&warm);
    let mark = |number| {
        // SAFETY: closing a descriptor that is not open changes nothing; the call itself is the mark.
        unsafe { libc::close(number) };
    };
    for some in warm.paths.chunks(warm.paths.len().div_ceil(ROUNDS)) {
        mark(1_000_001);
        hits_of(&warm, some);
        mark(1_000_002);
    }
}

#[cfg(unix)]
#[test]
fn a_hit_makes_no_system_call() {
    let Ok(found) = Command::new("strace").arg("-V").output() else {
        eprintln!("skipped: strace is not installed");
        return;
    };
    assert!(found.status.success());
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("calls");
    let run = Command::new("strace")
        .args(["-f", "-q", "-o"])
        .arg(&log)
        .arg(std::env::current_exe().expect("this program"))
        .args([
            "--ignored",
            "--exact",
            "hot_path::worker",
            "--test-threads=1",
            "--nocapture",
        ])
        .env("PLEXINDEX_TEST_WORKER", "1")
        .output()
        .expect("strace runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let calls = std::fs::read_to_string(&log).expect("a log");
    let of_mark = |line: &&str| line.contains("close(1000001)");
    let first = calls.lines().find(of_mark).expect("a mark");
    let thread = first.split_whitespace().next().expect("a thread's number");
    let own: Vec<&str> = calls
        .lines()
        .filter(|line| line.split_whitespace().next() == Some(thread))
        .skip_while(|line| !of_mark(line))
        .collect();
    let rounds: Vec<Vec<&str>> = own
        .split(|line| line.contains("close(1000001)"))
        .skip(1)
        .map(|round| {
            let during = round.iter().take_while(|line| !line.contains("close(1000002)"));
            during.copied().collect()
        })
        .collect();
    assert_eq!(rounds.len(), ROUNDS);
    let checks = |line: &&str| {
        line.contains("stat")
            && [
                "plexindex-1.page",
                "plexindex-1.db\"",
                "plexindex-1.db-wal\"",
                "plexindex-1.db-shm\"",
            ]
            .iter()
            .any(|name| line.contains(name))
    };
    for call in rounds.iter().flatten() {
        assert!(checks(call), "a system call: {call}");
    }
    let without = rounds.iter().filter(|round| round.is_empty()).count();
    assert!(without * 2 >= ROUNDS, "the names are checked too often: {rounds:?}");
}
