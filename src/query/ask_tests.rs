//! The order of the steps, by a table and by random walks.

use std::cell::Cell;

use super::*;
use crate::error::Error;
use crate::model::ViewId;
use crate::sync::SearchCause;

/// Facts that a test sets.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // each is one fact
struct Stated {
    may_ask: bool,
    view_id: Option<ViewId>,
    libraries: usize,
    needs_rebuild: bool,
    path: bool,
    unverified: bool,
    settled: bool,
    unfetched: bool,
    stale: bool,
    missing: bool,
    /// Number of reads of facts that may cost a read of the store.
    costly: Cell<u32>,
}

impl Stated {
    fn next_step(&self, state: &mut QueryState) -> Result<Step> {
        let conditions = StepConditions {
            may_send_requests: self.may_ask,
            view_id: self.view_id,
            libraries: self.libraries,
            needs_rebuild: self.needs_rebuild,
            verifies_first: self.path,
        };
        state.next_step(&conditions, |step| {
            self.costly.set(self.costly.get() + u32::from(step != Step::Verify));
            Ok(match step {
                Step::Rebuild => self.needs_rebuild,
                Step::Verify => self.unverified,
                Step::SearchUnfetched => self.unfetched,
                Step::Refresh => self.stale,
                Step::Ask | Step::Search(_) | Step::List => self.missing,
                Step::Answer => self.settled,
            })
        })
    }
}

/// Facts of a path in a library of identity 7 when no step is needed and requests are allowed.
fn calm() -> Stated {
    Stated {
        may_ask: true,
        view_id: Some(ViewId(7)),
        path: true,
        ..Stated::default()
    }
}

/// [`calm`], except that these facts are true.
macro_rules! stated {
    ($($fact:ident),*) => { Stated { $($fact: true,)* ..calm() } };
}

/// All steps while these facts hold; an error ends them too.
fn steps(state: &mut QueryState, conditions: &Stated) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Ok(step) = conditions.next_step(state) {
        steps.push(step);
        state.search = (step == Step::Ask).then_some(SearchCause::Unlisted);
        assert!(steps.len() < 20, "it does not end: {steps:?}");
        if step == Step::Answer {
            break;
        }
    }
    steps
}

#[test]
fn each_fact_leads_to_its_steps() {
    use Step::*;
    let all = stated!(unverified, unfetched, stale, missing);
    let table: Vec<(&str, Stated, Vec<Step>)> = vec![
        ("nothing to do", calm(), vec![Answer]),
        (
            "lost segments: an error after three attempts",
            stated!(needs_rebuild),
            vec![Rebuild, Rebuild, Rebuild],
        ),
        ("invalidated", stated!(unverified), vec![Verify, Answer]),
        (
            "never fetched, little time",
            stated!(unfetched),
            vec![SearchUnfetched, Answer],
        ),
        ("stale", stated!(stale), vec![Refresh, Answer]),
        (
            "not listed",
            stated!(missing),
            vec![Ask, Search(SearchCause::Unlisted), Answer],
        ),
        (
            "not listed where no identity is known",
            Stated {
                view_id: None,
                ..stated!(missing, unfetched)
            },
            vec![Answer],
        ),
        (
            "stale before the first contact",
            Stated {
                view_id: None,
                ..stated!(stale)
            },
            vec![Refresh, Answer],
        ),
        (
            "all at once: what was verified is not searched for as well",
            all.clone(),
            vec![Verify, SearchUnfetched, Refresh, Answer],
        ),
        (
            "all at once, by GUID or title: verified when all is fresh",
            Stated {
                path: false,
                missing: false,
                ..all.clone()
            },
            vec![SearchUnfetched, Refresh, Verify, Answer],
        ),
        (
            "settled",
            Stated {
                settled: true,
                unverified: false,
                ..all.clone()
            },
            vec![Answer],
        ),
        (
            "the server may not be asked",
            Stated { may_ask: false, ..all },
            vec![Answer],
        ),
    ];
    for (what, conditions, expected) in table {
        assert_eq!(steps(&mut QueryState::default(), &conditions), expected, "{what}");
    }
}

#[test]
fn after_a_failure_or_the_deadline_fewer_requests_are_sent() {
    let conditions = Stated {
        unfetched: true,
        stale: true,
        missing: true,
        unverified: true,
        path: false,
        ..calm()
    };
    let mut failed = QueryState {
        failure: Some(Error::new(Status::Connect, "no")),
        ..QueryState::default()
    };
    assert_eq!(steps(&mut failed, &conditions), [Step::Refresh, Step::Answer]);
    let mut late = QueryState {
        timeout_status: Some(Status::NotYet),
        ..QueryState::default()
    };
    let searched = Stated {
        unfetched: false,
        unverified: false,
        ..conditions
    };
    assert_eq!(steps(&mut late, &searched), [Step::Refresh, Step::Answer]);
}

#[test]
fn a_listing_that_was_skipped_follows_the_search() {
    use Step::*;
    let missing = stated!(missing);
    let skipped = || QueryState {
        unlisted: vec![crate::model::LibraryId(1)],
        ..QueryState::default()
    };
    let expected = [Ask, Search(SearchCause::Unlisted), List, Answer];
    assert_eq!(steps(&mut skipped(), &missing), expected);
    assert_eq!(steps(&mut skipped(), &calm()), [Answer], "the path was found");
    let mut postponed = QueryState {
        is_postponed: true,
        ..skipped()
    };
    assert_eq!(steps(&mut postponed, &missing), [Answer], "the limit is reached");
}

#[test]
fn no_search_follows_a_question_that_needs_none() {
    let missing = stated!(missing);
    let mut state = QueryState::default();
    assert_eq!(missing.next_step(&mut state).unwrap(), Step::Ask);
    assert_eq!(missing.next_step(&mut state).unwrap(), Step::Answer);
}

#[test]
fn libraries_of_another_server_and_new_ones_are_refreshed_too() {
    let mut state = QueryState::default();
    for (view_id, libraries, expected) in [
        (None, 0, true),
        (Some(ViewId(1)), 1, true),
        (Some(ViewId(1)), 1, false),
        (Some(ViewId(1)), 2, true), // a new library
        (Some(ViewId(2)), 2, false),
    ] {
        let conditions = Stated {
            view_id,
            libraries,
            ..stated!(stale)
        };
        let step = conditions.next_step(&mut state).unwrap();
        assert_eq!(step == Step::Refresh, expected, "{view_id:?}");
    }
}

#[test]
fn libraries_are_requested_once_and_only_if_unknown() {
    let (all, one) = (Some(Scope::All), Some(Scope::One(0)));
    for (scope, any) in [(None, false), (None, true), (all, false)] {
        // A server without libraries is an answer.
        let again = if scope == all {
            LibraryStep::Continue
        } else {
            LibraryStep::Fail
        };
        let mut state = QueryState::default();
        let what = format!("{scope:?}, others: {any}");
        assert_eq!(
            state.library_step(scope, any, false),
            LibraryStep::Fail,
            "{what}, offline"
        );
        assert_eq!(state.library_step(scope, any, true), LibraryStep::Fetch, "{what}");
        assert_eq!(state.library_step(scope, any, true), again, "{what}, again");
    }
    let mut state = QueryState::default();
    assert_eq!(state.library_step(all, true, true), LibraryStep::Continue);
    assert_eq!(state.library_step(one, true, true), LibraryStep::Continue);
    state.timeout_status = Some(Status::NeedsWarm);
    assert_eq!(
        state.library_step(None, false, true),
        LibraryStep::Continue,
        "the answer says that the deadline came"
    );
    assert_eq!(state.library_step(None, true, false), LibraryStep::Fail);
}

#[test]
fn an_answer_that_needs_no_server_reads_nothing_more() {
    let offline = Stated {
        may_ask: false,
        ..calm()
    };
    assert_eq!(offline.next_step(&mut QueryState::default()).unwrap(), Step::Answer);
    assert_eq!(offline.costly.get(), 0);
    let settled = stated!(settled);
    assert_eq!(settled.next_step(&mut QueryState::default()).unwrap(), Step::Answer);
    assert_eq!(settled.costly.get(), 1);
}

/// Whatever facts change between two steps, and whatever fails: a query ends, repeats no request, and sends none where
/// it may not.
#[test]
fn every_random_walk_ends_without_repeated_steps() {
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut longest = 0;
    for walk in 0..50_000 {
        let mut state = QueryState::default();
        let (path, may_ask) = (random() % 2 == 0, random() % 8 != 0);
        let mut taken: Vec<Step> = Vec::new();
        let mut refreshed = None;
        loop {
            let bits = random();
            let bit = |nth: u32| bits >> nth & 1 == 1;
            let conditions = Stated {
                may_ask,
                view_id: (bits >> 20 & 3 != 0).then(|| ViewId((bits >> 24 & 3).cast_signed())),
                libraries: 0,
                needs_rebuild: !bit(28) && !bit(29),
                path,
                unverified: bit(1),
                settled: !bit(32) && !bit(33) && !bit(34),
                unfetched: bit(2),
                stale: bit(3),
                missing: bit(4),
                costly: Cell::new(0),
            };
            let failed = state.failure.is_some();
            let step = match conditions.next_step(&mut state) {
                Ok(Step::Answer) | Err(_) => break,
                Ok(step) => step,
            };
            let times = taken.iter().filter(|one| **one == step).count();
            match step {
                Step::Rebuild => assert!(times < MAX_REBUILDS as usize, "walk {walk}: {taken:?}"),
                Step::Refresh => {
                    assert_ne!(
                        refreshed,
                        Some(conditions.view_id.unwrap_or_default()),
                        "walk {walk}: {taken:?}"
                    );
                    assert!(times < MAX_REFRESHES as usize, "walk {walk}: {taken:?}");
                    refreshed = Some(conditions.view_id.unwrap_or_default());
                }
                step => {
                    assert_eq!(times, 0, "walk {walk}: {step:?} twice: {taken:?}");
                    let search = matches!(step, Step::SearchUnfetched | Step::Ask | Step::Search(_) | Step::List);
                    assert!(!(search && failed), "walk {walk}: {step:?} after a failure");
                }
            }
            assert!(may_ask || step == Step::Rebuild, "walk {walk}: {step:?} without leave");
            if matches!(step, Step::Search(_)) {
                assert!(taken.contains(&Step::Ask), "walk {walk}: searched without a question");
            }
            state.search = (step == Step::Ask && bit(35)).then_some(SearchCause::Changed);
            taken.push(step);
            match random() % 10 {
                0 => state.failure = Some(Error::new(Status::Connect, "no")),
                1 => state.timeout_status = Some(Status::NotYet),
                2 => state.unlisted.push(crate::model::LibraryId(1)),
                3 => state.is_postponed = true,
                _ => {}
            }
        }
        longest = longest.max(taken.len());
    }
    assert!((6..=15).contains(&longest), "{longest} steps");
}
