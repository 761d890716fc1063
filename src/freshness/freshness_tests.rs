//! The requests for each state, as a table.

use super::NeededRequest::{Delta, Listing, Nothing, Probe};
use super::*;
use crate::model::PathSearch;
use crate::model::TokenReliability::{Exact, Hint as Hinted, Useless};
use crate::options::Options;
use std::time::Duration;

const HOUR: i64 = 3_600_000;

fn policy(ttl: Ttl) -> Policy {
    Policy::new(&Options {
        library_ttl: ttl,
        ..Options::default()
    })
}

fn hourly() -> Policy {
    policy(Ttl::For(Duration::from_secs(3600)))
}

fn listed_at(ms: i64) -> Age {
    Age {
        listed: true,
        listed_ms: ms,
        checked_ms: ms,
        trust: Hinted,
        ..Age::default()
    }
}

/// A state that shows this token, which is a hint.
fn shows(token: &str) -> SourceState {
    SourceState {
        token: token.to_owned(),
        trust: Hinted,
        ..SourceState::default()
    }
}

#[test]
fn a_listing_is_fresh_for_its_ttl_then_probed_then_listed_again() {
    let policy = hourly();
    let age = listed_at(0);
    assert_eq!(needed_request(&age, &policy, HOUR - 1), Nothing);
    assert_eq!(needed_request(&age, &policy, HOUR), Probe);
    assert_eq!(needed_request(&age, &policy, 24 * HOUR), Listing);
    assert_eq!(needed_request(&age, &policy, -1), Probe, "the clock was set back");
}

#[test]
fn a_listing_in_the_future_is_stale() {
    let policy = hourly();
    let (shown, age) = (shows("a"), listed_at(239 * HOUR));
    assert_eq!(needed_request(&age, &policy, 0), Listing, "the clock was ahead");
    assert!(!is_current(&age, "a", &shown, &policy, 0));
    // Checked after the clock was set right.
    let checked = Age { checked_ms: 0, ..age };
    assert_eq!(needed_request(&checked, &policy, 1), Listing);
    // A small step of the clock does not expire the listing.
    assert_eq!(
        needed_request(
            &Age {
                checked_ms: 0,
                ..listed_at(CLOCK_TOLERANCE_MS)
            },
            &policy,
            0
        ),
        Nothing
    );
    assert!(is_current(&listed_at(CLOCK_TOLERANCE_MS), "a", &shown, &policy, 0));
}

#[test]
fn ttl_at_once_never_and_invalidated() {
    let age = listed_at(0);
    assert_eq!(needed_request(&age, &policy(Ttl::Zero), 0), Probe);
    assert_eq!(needed_request(&age, &policy(Ttl::Forever), 1000 * HOUR), Nothing);
    let due = Age { due: true, ..age };
    assert_eq!(needed_request(&due, &policy(Ttl::Forever), 0), Listing);
    assert_eq!(needed_request(&Age::default(), &policy(Ttl::Forever), 0), Listing);
}

#[test]
fn a_provisional_listing_lives_a_minute() {
    let age = Age {
        provisional: true,
        ..listed_at(0)
    };
    let policy = policy(Ttl::Forever);
    assert_eq!(needed_request(&age, &policy, PROVISIONAL_MS - 1), Nothing);
    assert_eq!(needed_request(&age, &policy, PROVISIONAL_MS), Probe);
    assert!(!is_current(&age, "a", &shows("a"), &policy, 0));
}

#[test]
fn an_equal_token_settles_a_probe_hint_but_not_a_change_hint() {
    let policy = policy(Ttl::Forever);
    let shown = shows("a");
    let hinted = |hint| Age { hint, ..listed_at(0) };
    assert_eq!(needed_request(&hinted(Hint::None), &policy, 1), Nothing);
    assert_eq!(needed_request(&hinted(Hint::Probe), &policy, 1), Probe);
    assert_eq!(needed_request(&hinted(Hint::Changed), &policy, 1), Probe);
    assert!(is_stale(&hinted(Hint::Probe), &policy, 1));
    assert!(is_current(&hinted(Hint::Probe), "a", &shown, &policy, 1));
    assert!(!is_current(&hinted(Hint::Changed), "a", &shown, &policy, 1));
}

#[test]
fn an_equal_token_proves_as_much_as_its_trust() {
    let policy = policy(Ttl::Forever);
    let current = |shown: &SourceState| is_current(&listed_at(0), "a", shown, &policy, 1);
    let with = |token: &str, trust| SourceState { trust, ..shows(token) };
    let busy = |change: SourceState| SourceState { busy: true, ..change };
    assert!(current(&shows("a")));
    assert!(!current(&shows("b")));
    assert!(!current(&busy(shows("a"))), "what is being scanned is about to change");
    assert!(current(&with("a", Exact)));
    assert!(current(&busy(with("a", Exact))), "it will move when something changes");
    assert!(!current(&with("b", Exact)));
    assert!(!current(&with("a", Useless)));
    // An event reported a change: an equal token that is only a hint does not disprove it, an exact one does.
    let changed = Age {
        hint: Hint::Changed,
        ..listed_at(0)
    };
    assert!(!is_current(&changed, "a", &shows("a"), &policy, 1));
    assert!(is_current(&changed, "a", &with("a", Exact), &policy, 1));
}

#[test]
fn an_exact_token_outlives_every_age() {
    let policy = hourly();
    let exact = Age {
        trust: Exact,
        items: 100_000,
        ..listed_at(0)
    };
    let shown = |token: &str| SourceState {
        trust: Exact,
        ..shows(token)
    };
    let late = 1_000 * HOUR;
    assert_eq!(needed_request(&exact, &policy, late), Probe);
    assert!(is_current(&exact, "a", &shown("a"), &policy, late));
    let needs =
        |shown: &SourceState, reports_all| needed_request_after_probe(&exact, "a", shown, reports_all, &policy, late);
    assert_eq!(needs(&shown("a"), false), Nothing);
    assert_eq!(needs(&shown("b"), true), Delta, "all changes are told");
    assert_eq!(needs(&shown("b"), false), Listing, "most changes are told");
    let useless = Age {
        trust: Useless,
        checked_ms: late,
        ..exact
    };
    assert_eq!(needed_request(&useless, &policy, late), Listing, "max_age is over");
}

#[test]
fn the_need_after_a_probe_depends_on_library_size() {
    let policy = hourly();
    let (listed, moved) = (shows("a"), shows("b"));
    let needs = |items, shown: &SourceState, now_ms| {
        let age = Age { items, ..listed_at(0) };
        needed_request_after_probe(&age, "a", shown, false, &policy, now_ms)
    };
    assert_eq!(needs(100_000, &listed, HOUR), Nothing);
    assert_eq!(needs(100_000, &moved, HOUR), Delta);
    assert_eq!(
        needs(100_000, &moved, 24 * HOUR),
        Listing,
        "at the latest after max_age"
    );
    assert_eq!(needs(100_000, &listed, 24 * HOUR), Listing);
    assert_eq!(needs(3_000, &moved, HOUR), Listing, "four pages are due after an hour");
    assert_eq!(needs(4_000, &moved, HOUR), Delta);
    assert_eq!(needs(100_000, &listed, -1), Listing, "the clock was set back");
    let partial = Age {
        partial: true,
        provisional: true,
        items: 100_000,
        ..listed_at(0)
    };
    assert_eq!(
        needed_request_after_probe(&partial, "a", &listed, false, &policy, 1),
        Listing
    );
    let provisional = Age {
        partial: false,
        ..partial
    };
    assert_eq!(
        needed_request_after_probe(&provisional, "a", &listed, false, &policy, 1),
        Delta,
        "what settled after a scan is new"
    );
}

#[test]
fn a_missing_path_is_searched_ever_more_rarely() {
    let policy = hourly();
    let asked = |first_ms, last_ms| PathSearch {
        first_ms,
        last_ms,
        found: false,
    };
    let may = |asked: PathSearch, now_ms| may_search_again(Some(&asked), &policy, now_ms);
    assert!(may_search_again(None, &policy, 0));
    assert!(!may(asked(0, 0), PATH_REQUEST_INTERVAL_MS - 1));
    assert!(may(asked(0, 0), PATH_REQUEST_INTERVAL_MS));
    assert!(!may(asked(0, 600_000), 1_199_999));
    assert!(may(asked(0, 600_000), 1_200_000));
    assert!(may(asked(0, 100 * HOUR), 101 * HOUR), "at least once an hour");
    assert!(may(asked(0, 600_000), 0), "the clock was set back");
}

#[test]
fn a_path_is_asked_about_once_in_its_pause_unless_an_event_comes() {
    let policy = hourly();
    let whole = RequestBudget::default();
    let empty = whole.spend(5, 0).spend(5, 0).spend(5, 0).spend(5, 0);
    let asked = PathSearch {
        first_ms: 0,
        last_ms: 0,
        found: false,
    };
    let ask =
        |earlier: Option<&PathSearch>, event, budget, now_ms| path_question(earlier, event, budget, &policy, now_ms);
    assert_eq!(ask(None, false, whole, 1), PathQuestion::Ask, "never asked");
    assert_eq!(ask(Some(&asked), false, whole, 29_999), PathQuestion::Answered);
    assert_eq!(ask(Some(&asked), false, whole, 30_000), PathQuestion::Ask);
    assert_eq!(ask(Some(&asked), true, whole, 1), PathQuestion::Ask, "an event");
    assert_eq!(
        ask(None, false, empty, 1),
        PathQuestion::Ask,
        "a part of a request is a request"
    );
    assert_eq!(ask(None, false, empty.spend(1, 0), 1), PathQuestion::Postponed);
    assert_eq!(ask(None, true, empty.spend(1, 0), 1), PathQuestion::Ask, "an event");
}

#[test]
fn the_budget_allows_a_hundred_requests_in_500_s() {
    for cost in 1..=5 {
        let (mut budget, mut sent) = (RequestBudget::default(), 0);
        for now_ms in (0..500_000).step_by(50) {
            if budget.has_room(now_ms) {
                budget = budget.spend(cost, now_ms);
                sent += cost;
            }
        }
        assert!((60..=90).contains(&sent), "{sent} requests, {cost} at once");
    }
    // Requests that find their path are free.
    let mut budget = RequestBudget::default();
    for _ in 0..100 {
        assert!(budget.has_room(0));
        budget = budget.spend(3, 0).refund(3);
    }
}

#[test]
fn items_settle_for_a_minute_after_a_scan() {
    let at = |scanned_ms| SourceState {
        scanned_ms,
        ..shows("a")
    };
    assert!(is_unsettled(&at(1_000_000), 1_059_999));
    assert!(!is_unsettled(&at(1_000_000), 1_060_000));
    assert!(
        !is_unsettled(&at(2_000_000), 1_000_000),
        "a server's clock that is ahead is no scan"
    );
    let (before, now) = (at(1_000_000), 1_060_000);
    let settled = |after: &SourceState| was_unchanged_during_listing(&before, now, after);
    assert!(settled(&before));
    assert!(!was_unchanged_during_listing(&before, 1_059_999, &before));
    assert!(!settled(&shows("b")));
    let busy = SourceState {
        busy: true,
        ..before.clone()
    };
    assert!(!settled(&busy) && is_unsettled(&busy, now));
    let exact = SourceState { trust: Exact, ..busy };
    assert!(
        was_unchanged_during_listing(&exact, 1_059_999, &exact),
        "its token would have moved"
    );
}

#[test]
fn a_listing_a_third_smaller_is_held_back() {
    assert!(shrank_too_much(100, 69));
    assert!(!shrank_too_much(100, 70));
    assert!(shrank_too_much(2, 0));
    assert!(!shrank_too_much(0, 0));
    // One item can go from a library of any size.
    assert!(!shrank_too_much(1, 0) && !shrank_too_much(2, 1) && !shrank_too_much(3, 2));
}

#[test]
fn a_change_that_no_delta_explains_means_a_listing_once_an_interval() {
    let policy = hourly();
    let age = Age {
        unexplained: true,
        items: 6_000,
        checked_ms: 104 * 60_000,
        ..listed_at(0)
    };
    let at = |minute: i64| needed_request(&age, &policy, minute * 60_000);
    assert_eq!((at(104), at(105)), (Nothing, Listing));
    assert!(is_stale(&age, &policy, 104 * 60_000));
    let probed = |minute: i64| needed_request_after_probe(&age, "7 1", &shows("7 1"), false, &policy, minute * 60_000);
    assert_eq!((probed(104), probed(105)), (Nothing, Listing));
    // While a scan can still show the change, a delta is enough, but answers are stale.
    let unsettled = Age {
        unexplained: false,
        unsettled: true,
        ..age
    };
    assert_eq!(needed_request(&unsettled, &policy, 105 * 60_000), Nothing);
    assert!(is_stale(&unsettled, &policy, 104 * 60_000));
}

#[test]
fn a_scan_alone_means_no_listing() {
    let policy = hourly();
    let after = |items, listed: &str, shown: &str| {
        let age = Age { items, ..listed_at(0) };
        needed_request_after_probe(&age, listed, &shows(shown), false, &policy, 5 * HOUR)
    };
    assert_eq!(after(6_000, "7 1", "7 2"), Delta);
    assert_eq!(after(6_000, "7 1", "8 2"), Listing);
    // A page costs no more than a delta, and a counter that is always 0 tells nothing.
    assert_eq!(after(600, "7 1", "7 2"), Listing);
    assert_eq!(after(6_000, "0 1", "0 2"), Listing);
    assert!(!has_changed_content("7 1", &shows("7 2")) && has_changed_content("7 1", &shows("8 1")));
}
