//! What a host does before the power fails, and what must be there afterwards.

use super::*;
use crate::support::index::Ask as _;

/// One thing that is done to confirmed matches, in one transaction.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// So many paths at once, in a folder of their own.
    Record(usize),
    /// The first path that this step recorded goes.
    Forget(usize),
    Clear,
}

pub const STEPS: [Step; 26] = [
    Step::Record(1),
    Step::Record(1),
    Step::Record(300),
    Step::Forget(0),
    Step::Record(900),
    Step::Record(1),
    Step::Record(1),
    Step::Forget(2),
    Step::Record(1),
    Step::Record(700),
    Step::Record(1),
    Step::Forget(4),
    Step::Record(1),
    Step::Clear,
    Step::Record(1),
    Step::Record(1),
    Step::Record(40),
    Step::Forget(15),
    Step::Record(1),
    Step::Record(1_200),
    Step::Record(1),
    Step::Forget(16),
    Step::Record(1),
    Step::Record(1),
    Step::Record(1),
    Step::Record(1),
];

pub fn path(step: usize, nth: usize) -> String {
    format!("/host/{step}/{nth}.mkv")
}

/// Which paths are looked at: the first and the last of each step that records.
pub fn looked_at() -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    for (number, step) in STEPS.iter().enumerate() {
        if let Step::Record(count) = step {
            all.push((number, 0));
            if *count > 1 {
                all.push((number, count - 1));
            }
        }
    }
    all
}

/// What is there after so many steps.
pub fn after(steps: usize) -> Vec<bool> {
    looked_at()
        .iter()
        .map(|(number, nth)| {
            let goes = |later: &Step| {
                matches!(later, Step::Clear) || *nth == 0 && matches!(later, Step::Forget(of) if of == number)
            };
            *number < steps && !STEPS[number + 1..steps.max(number + 1)].iter().any(goes)
        })
        .collect()
}

/// How many of the first `done` steps no power cut takes, if what is for other hosts is forced to the disk: emptying the
/// folder is for none.
pub fn forced(done: usize) -> usize {
    let is_told = |number: &usize| !matches!(STEPS[number - 1], Step::Clear);
    (1..=done).rev().find(is_told).unwrap_or(0)
}

/// How many steps are there.
pub fn check(folder: &Path, server: &Standin, key: &str, may_be: std::ops::RangeInclusive<usize>, what: &str) -> usize {
    let index = open(options(server, folder), &clock());
    let library = index.movies();
    for nth in [0, 3, 70, 149] {
        let (path, key) = path_of(server, 1, nth);
        assert_eq!(library.ask(&path).key(), Some(key), "{what}: {path}");
    }
    let seen: Vec<bool> = looked_at()
        .iter()
        .map(|(number, nth)| {
            let path = path(*number, *nth);
            let found = offline(&library).answer(&path);
            let is_there = found.match_kind == MatchKind::Confirmed;
            let fast = library.lookup_key(path.as_bytes(), |found| found == key);
            let is_right = fast.is_none() || fast == Some(true) && is_there;
            assert!(is_right, "{what}: {path}: {fast:?}");
            is_there
        })
        .collect();
    library.record("/host/last.mkv", key);
    index.close().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_sound(folder);
    let there = may_be.clone().find(|steps| after(*steps) == seen);
    there.unwrap_or_else(|| {
        let any: Vec<usize> = (0..=STEPS.len()).filter(|steps| after(*steps) == seen).collect();
        panic!("{what}: there may be {may_be:?} steps, and it is as after {any:?}: {seen:?}")
    })
}
