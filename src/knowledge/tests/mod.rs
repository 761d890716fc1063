//! An explorer: runs through all interleavings of a few requests, changes of the server, marks, kills, evictions and
//! compactions, and checks after each step that
//!
//! - P1: while nothing is marked, a value never goes back to an older one,
//! - P2: while nothing is marked, a value is at least as new as the last thing that is known to have changed,
//! - P3: a mark stays until something that was asked for later has shown what it is about,
//! - L: once all requests have ended, the requests that `need` asks for end too, and then nothing is marked or old.

mod server;
mod store;
mod tables;
mod world;

use std::collections::HashSet;
use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::Xxh3Default;

use super::*;
use crate::model::{SourceState, TokenReliability};
use server::{Change, Shape};
use world::{Action, Kind, Mark, P1, P2, P3, Setup, World};

/// What an exploration found.
#[derive(Debug)]
struct Exploration {
    states: usize,
    failure: Option<(&'static str, Vec<Action>)>,
}

/// Visits every state, nearest first, so that a failure comes with its shortest history.
fn explore<R: FreshnessRules>(setup: &Setup) -> Exploration {
    let mut seen = HashSet::new();
    let mut history: Vec<(usize, Option<Action>)> = vec![(0, None)];
    let mut level = vec![(0, World::new(setup))];
    while !level.is_empty() {
        let mut next = Vec::new();
        for (number, world) in level {
            let broken = world.broken_property::<R>();
            let broken = broken.or_else(|| world.is_quiet().then(|| world.broken_liveness::<R>()).flatten());
            if let Some(property) = broken {
                return Exploration {
                    states: history.len(),
                    failure: Some((property, path_to(&history, number))),
                };
            }
            for action in world.actions() {
                let mut after = world.clone();
                after.act::<R>(action);
                let mut hasher = Xxh3Default::new();
                after.hash(&mut hasher);
                if seen.insert(hasher.finish()) {
                    history.push((number, Some(action)));
                    next.push((history.len() - 1, after));
                }
            }
        }
        level = next;
    }
    Exploration {
        states: history.len(),
        failure: None,
    }
}

fn path_to(history: &[(usize, Option<Action>)], mut number: usize) -> Vec<Action> {
    let mut path = Vec::new();
    while let (before, Some(action)) = history[number] {
        path.push(action);
        number = before;
    }
    path.reverse();
    path
}

/// Whether to run for long: `make check-deep`.
fn is_deep() -> bool {
    std::env::var_os("PLEXINDEX_TEST_DEEP").is_some()
}

/// Explores each of the setups, and prints the number of their states.
fn expect_no_failure(name: &str, setups: &[Setup]) {
    let mut states = 0;
    for setup in setups {
        let found = explore::<StandardRules>(setup);
        assert!(found.failure.is_none(), "{setup:?}: {:#?}", found.failure);
        states += found.states;
    }
    println!("{name}: {states} states of {} setups", setups.len());
}

const KINDS: [Kind; 5] = [Kind::Item(0), Kind::Search(0), Kind::Probe, Kind::Delta, Kind::Listing];
const WAYS: &[Change] = &[Change::Told, Change::Late, Change::Hidden, Change::Silent];
const MARKS: &[Mark] = &[Mark::Event, Mark::Changed, Mark::Item(0), Mark::Library];

/// These requests, one change and one mark.
fn setup(kinds: &[Kind]) -> Setup {
    Setup {
        kinds: kinds.to_vec(),
        changes: 1,
        ways: WAYS,
        keys: &[0],
        mark_count: 1,
        marks: MARKS,
        kills: 0,
        upheavals: 0,
        shape: Shape::Counting,
        trust: TokenReliability::Hint,
    }
}

/// The setups with each pair of requests.
fn pairs(change: impl Fn(&mut Setup)) -> Vec<Setup> {
    let mut setups = Vec::new();
    for (index, first) in KINDS.iter().enumerate() {
        for second in &KINDS[index..] {
            let mut setup = setup(&[*first, *second]);
            change(&mut setup);
            setups.push(setup);
        }
    }
    setups
}

#[test]
fn two_requests_of_each_kind() {
    let setups = pairs(|setup| {
        if is_deep() {
            setup.changes = 2;
        } else if setup.kinds[1] == Kind::Listing {
            setup.ways = &[Change::Told, Change::Silent];
        }
    });
    expect_no_failure("two requests", &setups);
}

/// Without `Hidden`: a delta that shows one change explains the token, whatever else has changed.
#[test]
fn two_items_change() {
    let setups = pairs(|setup| {
        (setup.changes, setup.keys) = (2, &[0, 1]);
        if is_deep() {
            setup.ways = &[Change::Told, Change::Late, Change::Silent];
        } else {
            (setup.ways, setup.mark_count) = (&[Change::Told, Change::Silent], 0);
        }
    });
    expect_no_failure("two items", &setups);
}

#[test]
fn two_marks() {
    let setups = pairs(|setup| {
        setup.mark_count = 2;
        if !is_deep() {
            (setup.changes, setup.marks) = (0, &[Mark::Event, Mark::Item(0)]);
        }
    });
    expect_no_failure("two marks", &setups);
}

#[test]
fn an_item_goes_and_comes_back() {
    let setups = pairs(|setup| {
        (setup.shape, setup.ways) = (Shape::Toggling, &[Change::Told, Change::Late, Change::Silent]);
        (setup.changes, setup.mark_count) = if is_deep() { (3, 1) } else { (2, 0) };
    });
    expect_no_failure("an item comes back", &setups);
    let mut three = setup(&[Kind::Item(0); 3]);
    (three.shape, three.changes, three.mark_count) = (Shape::Toggling, 2, 0);
    three.ways = &[Change::Told];
    expect_no_failure("an item comes back, three requests", &[three]);
}

#[test]
fn two_items_exchange_their_files() {
    let setups = pairs(|setup| {
        (setup.shape, setup.keys, setup.ways) = (Shape::Swapping, &[0, 1], &[Change::Told, Change::Silent]);
        setup.marks = &[Mark::Path(0)];
        if is_deep() {
            (setup.changes, setup.marks) = (2, &[Mark::Path(0), Mark::Path(1)]);
        }
    });
    expect_no_failure("exchanged files", &setups);
}

#[test]
fn processes_are_killed() {
    let setups = pairs(|setup| {
        setup.kills = 1;
        if !is_deep() {
            (setup.ways, setup.marks) = (&[Change::Told], &[Mark::Item(0)]);
        }
    });
    expect_no_failure("kills", &setups);
}

#[test]
fn listings_are_evicted_and_compacted() {
    let setups = pairs(|setup| {
        (setup.upheavals, setup.shape, setup.changes) = (1, Shape::Toggling, 2);
        if is_deep() {
            setup.ways = &[Change::Told, Change::Late, Change::Silent];
        } else {
            (setup.ways, setup.mark_count) = (&[Change::Told], 0);
        }
    });
    expect_no_failure("evictions and compactions", &setups);
    let mut delta = setup(&[Kind::Delta, Kind::Listing]);
    (delta.upheavals, delta.ways, delta.marks) = (1, &[Change::Told], &[Mark::Changed]);
    expect_no_failure("a delta of an evicted listing", &[delta]);
}

#[test]
fn tokens_are_exact() {
    let setups = pairs(|setup| {
        (setup.trust, setup.ways) = (TokenReliability::Exact, &[Change::Told]);
        if is_deep() {
            setup.changes = 2;
        } else {
            setup.marks = &[Mark::Changed, Mark::Library];
        }
    });
    expect_no_failure("exact tokens", &setups);
}

#[test]
fn three_requests_of_each_kind() {
    let mut setups = Vec::new();
    for pair in pairs(|_| {}) {
        let last = KINDS.iter().position(|kind| *kind == pair.kinds[1]).expect("a kind");
        for third in &KINDS[last..] {
            let mut setup = pair.clone();
            setup.kinds.push(*third);
            if is_deep() {
                setup.ways = &[Change::Told, Change::Silent];
                setup.marks = &[Mark::Changed, Mark::Item(0), Mark::Library];
            } else {
                (setup.ways, setup.mark_count) = (&[Change::Told], 0);
            }
            // Listings have the most states.
            let [first, second] = [pair.kinds[0], pair.kinds[1]];
            if is_deep() || *third != Kind::Listing || first != second && second != Kind::Listing {
                setups.push(setup);
            }
        }
    }
    expect_no_failure("three requests", &setups);
}

/// The properties that the explorer finds broken, if the rules are those of `R`.
fn broken_by<R: FreshnessRules>() -> Vec<&'static str> {
    let setups = pairs(|setup| (setup.ways, setup.marks) = (&[Change::Told], &[Mark::Event, Mark::Item(0)]));
    let failures = setups.iter().filter_map(|setup| explore::<R>(setup).failure);
    let mut broken: Vec<_> = failures.map(|(property, _)| property).collect();
    broken.sort_unstable();
    broken.dedup();
    broken
}

/// Today's order, by the begin of requests.
struct OrderOfBegin;

impl FreshnessRules for OrderOfBegin {
    fn order(stored: Interval, reply: Interval) -> Order {
        if reply.asked > stored.asked {
            Order::Later
        } else {
            Order::Earlier
        }
    }
}

#[test]
fn the_explorer_sees_a_value_go_back() {
    assert_eq!(broken_by::<OrderOfBegin>(), [P1, P2]);
    let found = explore::<OrderOfBegin>(&setup(&[Kind::Item(0), Kind::Item(0)]));
    let (property, history) = found.failure.expect("a failure");
    assert_eq!((property, history.len()), (P1, 7), "{history:?}");
}

/// A doubt ends when its scope is observed, whenever the request began.
struct AnyReplyEnds;

impl FreshnessRules for AnyReplyEnds {
    fn ends(doubt: &Doubt, shown: &[Need], _: Ticket) -> bool {
        shown.contains(&doubt.needs())
    }
}

/// A doubt ends when its scope is observed later, whatever the observation shows.
struct AnyRequestEnds;

impl FreshnessRules for AnyRequestEnds {
    fn ends(doubt: &Doubt, _: &[Need], asked: Ticket) -> bool {
        asked > doubt.raised
    }
}

#[test]
fn the_explorer_sees_a_mark_get_lost() {
    assert!(broken_by::<AnyReplyEnds>().contains(&P3));
    assert!(broken_by::<AnyRequestEnds>().contains(&P3));
}

/// The token that the server last showed counts for nothing.
struct TokensAreIgnored;

impl FreshnessRules for TokensAreIgnored {
    fn is_equivalent(_: &SourceState, _: &str) -> bool {
        true
    }
}

#[test]
fn the_explorer_sees_a_known_change_without_a_mark() {
    assert!(broken_by::<TokensAreIgnored>().contains(&P2));
}
