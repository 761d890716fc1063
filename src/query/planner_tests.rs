//! The planner, by a table and by random walks.

use std::cell::Cell;

use super::*;
use crate::model::IdentityId;

/// Facts that a test sets.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // each is one fact
struct Stated {
    may_ask: bool,
    identity: Option<IdentityId>,
    lost: bool,
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
    fn cost(&self, fact: bool) -> bool {
        self.costly.set(self.costly.get() + 1);
        fact
    }
}

impl Facts for Stated {
    fn may_ask(&self) -> bool {
        self.may_ask
    }
    fn identity(&self) -> Option<IdentityId> {
        self.identity
    }
    fn lost(&self) -> bool {
        self.lost
    }
    fn verifies_first(&self) -> bool {
        self.path
    }
    fn unverified(&self) -> Result<bool> {
        Ok(self.unverified)
    }
    fn settled(&self, _: bool) -> Result<bool> {
        Ok(self.cost(self.settled))
    }
    fn unfetched(&self) -> bool {
        self.cost(self.unfetched)
    }
    fn stale(&self) -> bool {
        self.cost(self.stale)
    }
    fn missing(&self) -> bool {
        self.cost(self.missing)
    }
}

/// Facts of a path in a library of identity 7 when no step is needed and requests are allowed.
fn calm() -> Stated {
    Stated {
        may_ask: true,
        identity: Some(IdentityId(7)),
        path: true,
        ..Stated::default()
    }
}

/// All steps while these facts hold.
fn steps(state: &mut QueryState, facts: &Stated) -> Vec<QueryStep> {
    let mut steps = Vec::new();
    loop {
        let step = state.next(facts).unwrap();
        steps.push(step);
        assert!(steps.len() < 20, "it does not end: {steps:?}");
        if matches!(step, QueryStep::Answer | QueryStep::GiveUp) {
            return steps;
        }
    }
}

#[test]
fn each_fact_leads_to_its_steps() {
    use QueryStep::*;
    let all = Stated {
        unverified: true,
        unfetched: true,
        stale: true,
        missing: true,
        ..calm()
    };
    let table: Vec<(&str, Stated, Vec<QueryStep>)> = vec![
        ("nothing to do", calm(), vec![Answer]),
        (
            "lost segments",
            Stated { lost: true, ..calm() },
            vec![Rebuild, Rebuild, Rebuild, GiveUp],
        ),
        (
            "invalidated",
            Stated {
                unverified: true,
                ..calm()
            },
            vec![Verify, Answer],
        ),
        (
            "never fetched, little time",
            Stated {
                unfetched: true,
                ..calm()
            },
            vec![SearchUnfetched(IdentityId(7)), Answer],
        ),
        ("stale", Stated { stale: true, ..calm() }, vec![Refresh, Answer]),
        (
            "not listed",
            Stated {
                missing: true,
                ..calm()
            },
            vec![Probe(IdentityId(7)), Search(IdentityId(7)), Answer],
        ),
        (
            "not listed where no identity is known",
            Stated {
                missing: true,
                unfetched: true,
                identity: None,
                ..calm()
            },
            vec![Answer],
        ),
        (
            "stale before the first contact",
            Stated {
                stale: true,
                identity: None,
                ..calm()
            },
            vec![Refresh, Answer],
        ),
        (
            "all at once: what was verified is not searched for as well",
            all.clone(),
            vec![Verify, SearchUnfetched(IdentityId(7)), Refresh, Answer],
        ),
        (
            "all at once, by GUID or title: verified when all is fresh",
            Stated {
                path: false,
                missing: false,
                ..all.clone()
            },
            vec![SearchUnfetched(IdentityId(7)), Refresh, Verify, Answer],
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
    for (what, facts, expected) in table {
        assert_eq!(steps(&mut QueryState::default(), &facts), expected, "{what}");
    }
}

#[test]
fn after_a_failure_or_the_deadline_fewer_requests_are_sent() {
    let facts = Stated {
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
    assert_eq!(steps(&mut failed, &facts), [QueryStep::Refresh, QueryStep::Answer]);
    let mut late = QueryState {
        timeout_status: Some(Status::NotYet),
        ..QueryState::default()
    };
    let searched = Stated {
        unfetched: false,
        unverified: false,
        ..facts
    };
    assert_eq!(steps(&mut late, &searched), [QueryStep::Refresh, QueryStep::Answer]);
}

#[test]
fn libraries_of_another_server_are_refreshed_too() {
    let mut state = QueryState::default();
    for (identity, expected) in [
        (None, true),
        (Some(IdentityId(1)), true),
        (Some(IdentityId(1)), false),
        (Some(IdentityId(2)), true),
        (Some(IdentityId(3)), false),
    ] {
        let step = state
            .next(&Stated {
                stale: true,
                identity,
                ..calm()
            })
            .unwrap();
        assert_eq!(step == QueryStep::Refresh, expected, "{identity:?}");
    }
}

#[test]
fn libraries_are_requested_once_and_only_if_unknown() {
    let unknown = |others| KnownLibraries::Unknown { others };
    for libraries in [unknown(false), unknown(true), KnownLibraries::None] {
        // A server without libraries is an answer.
        let again = if libraries == KnownLibraries::None {
            ListStep::GoOn
        } else {
            ListStep::Refuse
        };
        let mut state = QueryState::default();
        assert_eq!(
            state.list_step(libraries, false),
            ListStep::Refuse,
            "{libraries:?}, offline"
        );
        assert_eq!(state.list_step(libraries, true), ListStep::Ask, "{libraries:?}");
        assert_eq!(state.list_step(libraries, true), again, "{libraries:?}, again");
    }
    let mut state = QueryState::default();
    assert_eq!(state.list_step(KnownLibraries::Known, true), ListStep::GoOn);
    state.timeout_status = Some(Status::NeedsWarm);
    assert_eq!(
        state.list_step(unknown(false), true),
        ListStep::GoOn,
        "the answer says that the deadline came"
    );
    assert_eq!(state.list_step(unknown(true), false), ListStep::Refuse);
}

#[test]
fn an_answer_that_needs_no_server_reads_nothing_more() {
    let offline = Stated {
        may_ask: false,
        ..calm()
    };
    assert_eq!(QueryState::default().next(&offline).unwrap(), QueryStep::Answer);
    assert_eq!(offline.costly.get(), 0);
    let settled = Stated {
        settled: true,
        ..calm()
    };
    assert_eq!(QueryState::default().next(&settled).unwrap(), QueryStep::Answer);
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
        let mut taken: Vec<QueryStep> = Vec::new();
        let mut refreshed = None;
        loop {
            let bits = random();
            let bit = |nth: u32| bits >> nth & 1 == 1;
            let facts = Stated {
                may_ask,
                identity: (bits >> 20 & 3 != 0).then(|| IdentityId((bits >> 24 & 3).cast_signed())),
                lost: !bit(28) && !bit(29),
                path,
                unverified: bit(1),
                settled: !bit(32) && !bit(33) && !bit(34),
                unfetched: bit(2),
                stale: bit(3),
                missing: bit(4),
                costly: Cell::new(0),
            };
            let failed = state.failure.is_some();
            let step = state.next(&facts).unwrap();
            if matches!(step, QueryStep::Answer | QueryStep::GiveUp) {
                break;
            }
            let kind = std::mem::discriminant(&step);
            let times = taken.iter().filter(|one| std::mem::discriminant(*one) == kind).count();
            match step {
                QueryStep::Rebuild => assert!(times < MAX_REBUILDS as usize, "walk {walk}: {taken:?}"),
                QueryStep::Refresh => {
                    assert_ne!(
                        refreshed,
                        Some(facts.identity.unwrap_or_default()),
                        "walk {walk}: {taken:?}"
                    );
                    assert!(times < MAX_REFRESHES as usize, "walk {walk}: {taken:?}");
                    refreshed = Some(facts.identity.unwrap_or_default());
                }
                step => {
                    assert_eq!(times, 0, "walk {walk}: {step:?} twice: {taken:?}");
                    let search = matches!(
                        step,
                        QueryStep::SearchUnfetched(_) | QueryStep::Probe(_) | QueryStep::Search(_)
                    );
                    assert!(!(search && failed), "walk {walk}: {step:?} after a failure");
                }
            }
            assert!(
                may_ask || step == QueryStep::Rebuild,
                "walk {walk}: {step:?} without leave"
            );
            if step == (QueryStep::Search(facts.identity.unwrap_or_default())) {
                assert!(
                    taken.iter().any(|one| matches!(one, QueryStep::Probe(_))),
                    "walk {walk}: searched without a probe"
                );
            }
            taken.push(step);
            match random() % 10 {
                0 => state.failure = Some(Error::new(Status::Connect, "no")),
                1 => state.timeout_status = Some(Status::NotYet),
                _ => {}
            }
        }
        longest = longest.max(taken.len());
    }
    assert!((6..=11).contains(&longest), "{longest} steps");
}
