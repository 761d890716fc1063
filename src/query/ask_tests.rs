//! The order of the steps, by a table and by random walks.

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
    fn next(&self, asked: &mut Asked) -> Result<Step> {
        let facts = Facts {
            may_ask: self.may_ask,
            identity: self.identity,
            lost: self.lost,
            verifies_first: self.path,
        };
        asked.next(&facts, |step| {
            self.costly.set(self.costly.get() + u32::from(step != Step::Verify));
            Ok(match step {
                Step::Rebuild => self.lost,
                Step::Verify => self.unverified,
                Step::SearchUnfetched => self.unfetched,
                Step::Refresh => self.stale,
                Step::Probe | Step::Search => self.missing,
                Step::Answer => self.settled,
            })
        })
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

/// All steps while these facts hold; an error ends them too.
fn steps(asked: &mut Asked, facts: &Stated) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Ok(step) = facts.next(asked) {
        steps.push(step);
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
    let all = Stated {
        unverified: true,
        unfetched: true,
        stale: true,
        missing: true,
        ..calm()
    };
    let table: Vec<(&str, Stated, Vec<Step>)> = vec![
        ("nothing to do", calm(), vec![Answer]),
        (
            "lost segments: an error after three attempts",
            Stated { lost: true, ..calm() },
            vec![Rebuild, Rebuild, Rebuild],
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
            vec![SearchUnfetched, Answer],
        ),
        ("stale", Stated { stale: true, ..calm() }, vec![Refresh, Answer]),
        (
            "not listed",
            Stated {
                missing: true,
                ..calm()
            },
            vec![Probe, Search, Answer],
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
    for (what, facts, expected) in table {
        assert_eq!(steps(&mut Asked::default(), &facts), expected, "{what}");
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
    let mut failed = Asked {
        failure: Some(Error::new(Status::Connect, "no")),
        ..Asked::default()
    };
    assert_eq!(steps(&mut failed, &facts), [Step::Refresh, Step::Answer]);
    let mut late = Asked {
        timeout_status: Some(Status::NotYet),
        ..Asked::default()
    };
    let searched = Stated {
        unfetched: false,
        unverified: false,
        ..facts
    };
    assert_eq!(steps(&mut late, &searched), [Step::Refresh, Step::Answer]);
}

#[test]
fn libraries_of_another_server_are_refreshed_too() {
    let mut asked = Asked::default();
    for (identity, expected) in [
        (None, true),
        (Some(IdentityId(1)), true),
        (Some(IdentityId(1)), false),
        (Some(IdentityId(2)), true),
        (Some(IdentityId(3)), false),
    ] {
        let facts = Stated {
            stale: true,
            identity,
            ..calm()
        };
        let step = facts.next(&mut asked).unwrap();
        assert_eq!(step == Step::Refresh, expected, "{identity:?}");
    }
}

#[test]
fn libraries_are_requested_once_and_only_if_unknown() {
    let (all, one) = (Some(Scope::All), Some(Scope::One(0)));
    for (scope, any) in [(None, false), (None, true), (all, false)] {
        // A server without libraries is an answer.
        let again = if scope == all { ListStep::GoOn } else { ListStep::Refuse };
        let mut asked = Asked::default();
        let what = format!("{scope:?}, others: {any}");
        assert_eq!(asked.list_step(scope, any, false), ListStep::Refuse, "{what}, offline");
        assert_eq!(asked.list_step(scope, any, true), ListStep::Ask, "{what}");
        assert_eq!(asked.list_step(scope, any, true), again, "{what}, again");
    }
    let mut asked = Asked::default();
    assert_eq!(asked.list_step(all, true, true), ListStep::GoOn);
    assert_eq!(asked.list_step(one, true, true), ListStep::GoOn);
    asked.timeout_status = Some(Status::NeedsWarm);
    assert_eq!(
        asked.list_step(None, false, true),
        ListStep::GoOn,
        "the answer says that the deadline came"
    );
    assert_eq!(asked.list_step(None, true, false), ListStep::Refuse);
}

#[test]
fn an_answer_that_needs_no_server_reads_nothing_more() {
    let offline = Stated {
        may_ask: false,
        ..calm()
    };
    assert_eq!(offline.next(&mut Asked::default()).unwrap(), Step::Answer);
    assert_eq!(offline.costly.get(), 0);
    let settled = Stated {
        settled: true,
        ..calm()
    };
    assert_eq!(settled.next(&mut Asked::default()).unwrap(), Step::Answer);
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
        let mut asked = Asked::default();
        let (path, may_ask) = (random() % 2 == 0, random() % 8 != 0);
        let mut taken: Vec<Step> = Vec::new();
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
            let failed = asked.failure.is_some();
            let step = match facts.next(&mut asked) {
                Ok(Step::Answer) | Err(_) => break,
                Ok(step) => step,
            };
            let times = taken.iter().filter(|one| **one == step).count();
            match step {
                Step::Rebuild => assert!(times < MAX_REBUILDS as usize, "walk {walk}: {taken:?}"),
                Step::Refresh => {
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
                    let search = matches!(step, Step::SearchUnfetched | Step::Probe | Step::Search);
                    assert!(!(search && failed), "walk {walk}: {step:?} after a failure");
                }
            }
            assert!(may_ask || step == Step::Rebuild, "walk {walk}: {step:?} without leave");
            if step == Step::Search {
                assert!(taken.contains(&Step::Probe), "walk {walk}: searched without a probe");
            }
            taken.push(step);
            match random() % 10 {
                0 => asked.failure = Some(Error::new(Status::Connect, "no")),
                1 => asked.timeout_status = Some(Status::NotYet),
                _ => {}
            }
        }
        longest = longest.max(taken.len());
    }
    assert!((6..=11).contains(&longest), "{longest} steps");
}
