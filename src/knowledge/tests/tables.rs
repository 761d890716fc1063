//! What a library needs in each state, and what the replies say that the explorer does not send.

use std::time::Duration;

use super::super::*;
use crate::model::SourceState;
use crate::model::TokenReliability::{self, Exact, Hint};
use crate::options::{Options, Ttl};

const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;
/// When the library was listed: long after the last scan.
const LISTED: i64 = 1_000 * HOUR;

fn policy(ttl: Ttl) -> Policy {
    Policy::new(&Options {
        library_ttl: ttl,
        ..Options::default()
    })
}

fn hourly() -> Policy {
    policy(Ttl::For(Duration::from_secs(3600)))
}

fn at(now_ms: i64) -> Moment {
    Moment {
        now_ms,
        ..Moment::default()
    }
}

fn state(token: &str, trust: TokenReliability) -> SourceState {
    SourceState {
        token: token.to_owned(),
        trust,
        ..SourceState::default()
    }
}

fn interval(asked: u64, came: u64) -> Interval {
    Interval {
        asked: Ticket(asked),
        came: Ticket(came),
    }
}

/// A library with 100 items, whose token was `10 20`.
fn listed(trust: TokenReliability) -> Knowledge {
    Knowledge {
        probed: Some(ProbedState {
            state: state("10 20", trust),
            interval: interval(1, 2),
        }),
        base: interval(3, 4),
        listing: Some(ListingState {
            listed_ms: LISTED,
            checked_ms: LISTED,
            token: "10 20".to_owned(),
            synced: Ticket(3),
            cursor: String::new(),
            items: 100,
            syncs: Vec::new(),
        }),
    }
}

fn probed(trust: TokenReliability, token: &str) -> Knowledge {
    let mut knowledge = listed(trust);
    knowledge.probed = Some(ProbedState {
        state: state(token, trust),
        interval: interval(5, 6),
    });
    knowledge
}

fn library(cause: Cause) -> Doubt {
    Doubt {
        scope: DoubtScope::Library,
        cause,
        raised: Ticket(8),
        raised_ms: LISTED,
    }
}

/// What is needed and whether answers are stale.
fn status(knowledge: &Knowledge, doubts: &[Doubt], policy: &Policy, now_ms: i64) -> (Option<Need>, bool) {
    let moment = at(now_ms);
    (
        need(knowledge, doubts, policy, &moment),
        is_stale::<StandardRules>(knowledge, doubts, policy, &moment),
    )
}

/// Items that a test names; the others are listed, without a change.
#[derive(Default)]
struct Films(Vec<(String, StoredItem<u8>)>);

impl ItemStore<u8> for Films {
    fn get(&self, rating_key: &str) -> StoredItem<u8> {
        let single = self.0.iter().find(|(key, _)| key == rating_key);
        single.map_or(
            StoredItem {
                value: Some(0),
                interval: interval(3, 4),
                is_single: false,
            },
            |(_, item)| item.clone(),
        )
    }

    fn singles(&self) -> Vec<(String, StoredItem<u8>)> {
        self.0.clone()
    }

    /// An item with the value 7 has the file of the film 2.
    fn rivals(&self, rating_key: &str, value: &u8) -> Vec<String> {
        let is_rival = *value == 7 && rating_key != "2";
        is_rival.then(|| "2".to_owned()).into_iter().collect()
    }
}

fn folded(
    knowledge: &Knowledge,
    doubts: &[Doubt],
    observation: &Observation<'_, u8>,
    (asked, came): (u64, u64),
    now_ms: i64,
) -> Effects<u8> {
    let films = Films::default();
    fold::<StandardRules, u8>(knowledge, doubts, &films, observation, interval(asked, came), now_ms)
}

/// Folds a listing of so many items.
fn relisted(knowledge: &Knowledge, doubts: &[Doubt], asked: u64, count: u64, now_ms: i64) -> Effects<u8> {
    let request = knowledge.begin(Ticket(asked), now_ms).expect("probed");
    let listing = Observation::Listing {
        request: &request,
        listed: &|_| (Some(0), interval(asked, asked + 1)),
        count,
        is_whole: true,
        may_shrink: false,
        cursor: "",
    };
    folded(knowledge, doubts, &listing, (asked, asked + 1), now_ms)
}

/// Folds a delta that shows no item.
fn delta(knowledge: &Knowledge, doubts: &[Doubt], asked: u64, now_ms: i64) -> Effects<u8> {
    let request = knowledge.begin(Ticket(asked), now_ms).expect("probed");
    let changes = Observation::Changes {
        request: &request,
        items: &[],
        is_resized: false,
        cursor: "",
    };
    folded(knowledge, doubts, &changes, (asked, asked + 1), now_ms)
}

fn causes(effects: &Effects<u8>) -> Vec<Cause> {
    effects.raise.iter().map(|doubt| doubt.cause).collect()
}

#[test]
fn a_listing_is_fresh_for_the_ttl_then_probed_then_listed_again() {
    let (knowledge, policy) = (listed(Hint), hourly());
    let status = |after_ms| status(&knowledge, &[], &policy, LISTED + after_ms);
    assert_eq!(status(HOUR - 1), (None, false));
    assert_eq!(status(HOUR), (Some(Need::Probe), true));
    assert_eq!(status(24 * HOUR), (Some(Need::Listing), true));
    assert_eq!(status(-1), (Some(Need::Probe), true), "the clock was set back");
    assert_eq!(
        status(-MINUTE),
        (Some(Need::Probe), true),
        "a small step expires no listing"
    );
    assert_eq!(status(-MINUTE - 1), (Some(Need::Listing), true));
}

#[test]
fn the_ttl_is_zero_or_endless() {
    let knowledge = listed(Hint);
    assert_eq!(
        status(&knowledge, &[], &policy(Ttl::Zero), LISTED),
        (Some(Need::Probe), true)
    );
    assert_eq!(
        status(&knowledge, &[], &policy(Ttl::Forever), 2 * LISTED),
        (None, false)
    );
    let unlisted = Knowledge {
        listing: None,
        ..knowledge
    };
    assert_eq!(
        status(&unlisted, &[], &policy(Ttl::Forever), LISTED),
        (Some(Need::Listing), true)
    );
}

#[test]
fn only_the_content_of_a_hint_marks_but_each_difference_costs_a_delta() {
    let policy = hourly();
    let status = |trust, token: &str| status(&probed(trust, token), &[], &policy, LISTED + 1);
    assert_eq!(status(Hint, "11 20"), (Some(Need::Changes), true));
    assert_eq!(
        status(Hint, "9 20"),
        (Some(Need::Listing), true),
        "a backup was restored"
    );
    assert_eq!(status(Hint, "10 21"), (Some(Need::Changes), false));
    assert_eq!(status(Exact, "10 21"), (Some(Need::Changes), true));
    assert_eq!(status(Exact, "10 20~"), (Some(Need::Changes), false));
}

#[test]
fn a_changed_local_file_needs_a_probe() {
    let moment = Moment {
        source_changed: true,
        ..at(LISTED + 1)
    };
    let knowledge = listed(Exact);
    assert_eq!(need(&knowledge, &[], &hourly(), &moment), Some(Need::Probe));
    assert!(is_stale::<StandardRules>(&knowledge, &[], &hourly(), &moment));
    assert_eq!(need(&knowledge, &[], &policy(Ttl::Forever), &moment), None);
}

#[test]
fn a_delta_is_enough_until_the_interval_is_over() {
    let policy = hourly();
    let need_at = |trust, token: &str, items, after_ms| {
        let mut knowledge = probed(trust, token);
        knowledge.listing.as_mut().expect("listed").items = items;
        need(&knowledge, &[], &policy, &at(LISTED + after_ms)).expect("a change")
    };
    let quarter = 15 * MINUTE;
    assert_eq!(need_at(Hint, "11 20", 2_500, 3 * quarter - 1), Need::Changes);
    assert_eq!(need_at(Hint, "11 20", 2_500, 3 * quarter), Need::Listing);
    assert_eq!(
        need_at(Hint, "10 21", 2_500, 3 * quarter),
        Need::Changes,
        "a scan alone"
    );
    assert_eq!(
        need_at(Hint, "0 21", 2_500, 3 * quarter),
        Need::Listing,
        "its content is never told"
    );
    assert_eq!(
        need_at(Hint, "10 21", 999, quarter),
        Need::Listing,
        "a delta costs as much"
    );
    assert_eq!(
        need_at(Exact, "11 20", 2_500, 24 * HOUR),
        Need::Changes,
        "a delta has all changes"
    );
}

/// The table of the causes: what each needs, whether it marks at once, and when it is due.
#[test]
fn each_cause_says_what_it_needs_and_when() {
    let policy = policy(Ttl::Forever);
    for (cause, needed, is_marked_at_once, due_ms) in [
        (Cause::Invalidated, Need::Listing, true, 0),
        (Cause::Overlap, Need::Probe, true, 0),
        (Cause::Event, Need::Probe, true, 0),
        (Cause::Changed, Need::Changes, true, 0),
        (Cause::Differs, Need::Changes, true, MINUTE),
        (Cause::News, Need::Probe, false, MINUTE),
        (Cause::Scan, Need::Changes, false, MINUTE),
        (Cause::Partial, Need::Listing, true, MINUTE),
        (Cause::Unsettled, Need::Changes, true, MINUTE),
        (Cause::HeldBack, Need::Listing, true, MINUTE),
        (Cause::EmptyList, Need::Probe, true, MINUTE),
        (Cause::Unexplained, Need::Listing, true, 15 * MINUTE),
    ] {
        let doubts = [library(cause)];
        let status = |after_ms| status(&listed(Hint), &doubts, &policy, LISTED + after_ms);
        if due_ms > 0 {
            assert_eq!(status(due_ms - 1), (None, is_marked_at_once), "{cause:?}");
        }
        let needed = match needed {
            // The library is small, and was not listed for a while.
            Need::Changes if due_ms >= 15 * MINUTE => Need::Listing,
            needed => needed,
        };
        assert_eq!(status(due_ms), (Some(needed), true), "{cause:?}");
        assert!(status(-1).1, "{cause:?}: the clock was set back");
    }
    for cause in [Cause::Invalidated, Cause::Overlap, Cause::Rival] {
        let item = Doubt {
            scope: DoubtScope::Item("1".to_owned()),
            ..library(cause)
        };
        assert_eq!(
            status(&listed(Hint), &[item], &policy, LISTED),
            (Some(Need::Item), true),
            "{cause:?}"
        );
    }
}

#[test]
fn the_most_urgent_need_comes_first() {
    let policy = policy(Ttl::Forever);
    let item = Doubt {
        scope: DoubtScope::Item("1".to_owned()),
        ..library(Cause::Invalidated)
    };
    let mut doubts = vec![
        item,
        library(Cause::Changed),
        library(Cause::Event),
        library(Cause::Invalidated),
    ];
    for expected in [Need::Listing, Need::Probe, Need::Changes, Need::Item] {
        assert_eq!(need(&listed(Hint), &doubts, &policy, &at(LISTED)), Some(expected));
        doubts.pop();
    }
}

#[test]
fn a_path_that_was_called_wrong_needs_no_request() {
    let path = Doubt {
        scope: DoubtScope::Path(b"/a".to_vec()),
        ..library(Cause::Invalidated)
    };
    assert_eq!(need(&listed(Hint), &[path], &policy(Ttl::Forever), &at(LISTED)), None);
}

#[test]
fn a_listing_that_lost_too_much_waits_for_a_second_one() {
    let (knowledge, policy) = (listed(Hint), hourly());
    let first = relisted(&knowledge, &[], 10, 69, LISTED + MINUTE);
    assert!(!first.publishes);
    assert_eq!((&first.knowledge, causes(&first)), (&knowledge, vec![Cause::HeldBack]));
    let held = first.raise;
    // Meanwhile, other requests would find the same, except those for single items.
    let mut doubts = held.clone();
    doubts.extend([library(Cause::Changed), library(Cause::Event)]);
    assert_eq!(
        status(&knowledge, &doubts, &policy, LISTED + 2 * MINUTE - 1),
        (None, true)
    );
    assert_eq!(
        status(&knowledge, &held, &policy, LISTED + 2 * MINUTE),
        (Some(Need::Listing), true)
    );
    // Neither a listing that is too early, nor one that began before, confirms it.
    assert!(!relisted(&knowledge, &held, 12, 69, LISTED + 2 * MINUTE - 1).publishes);
    assert!(!relisted(&knowledge, &held, 11, 69, LISTED + 2 * MINUTE).publishes);
    let second = relisted(&knowledge, &held, 12, 69, LISTED + 2 * MINUTE);
    assert!(second.publishes);
    assert_eq!((&second.end, causes(&second)), (&held, vec![]));
    // A listing that lost nothing needs no second one.
    let whole = relisted(&knowledge, &held, 12, 70, LISTED + MINUTE);
    assert_eq!((whole.publishes, &whole.end), (true, &held));
}

#[test]
fn the_host_and_an_exact_source_may_empty_a_library() {
    let knowledge = listed(Hint);
    let request = knowledge.begin(Ticket(10), LISTED).expect("probed");
    let emptied = Observation::Listing {
        request: &request,
        listed: &|_| (None, interval(10, 11)),
        count: 0,
        is_whole: false,
        may_shrink: true,
        cursor: "",
    };
    let effects = folded(&knowledge, &[], &emptied, (10, 11), LISTED);
    assert_eq!((effects.publishes, causes(&effects)), (true, vec![Cause::Partial]));
}

#[test]
fn what_was_scanned_is_asked_for_a_minute_later_however_often_it_is_seen() {
    let busy = SourceState {
        busy: true,
        ..state("10 20", Hint)
    };
    let knowledge = listed(Hint);
    let effects = folded(&knowledge, &[], &Observation::State(&busy), (10, 11), LISTED + MINUTE);
    assert_eq!(causes(&effects), [Cause::Scan]);
    let mut scan = effects.raise[0].clone();
    let again = folded(
        &effects.knowledge,
        &[scan.clone()],
        &Observation::State(&busy),
        (12, 13),
        LISTED + 90_000,
    );
    scan.merge(&again.raise[0]);
    assert_eq!((scan.raised, scan.raised_ms), (Ticket(13), LISTED + MINUTE));
    // The delta ends it; while the scan runs, another one follows.
    let delta = delta(&again.knowledge, &[scan.clone()], 14, LISTED + 2 * MINUTE);
    assert_eq!((delta.end.clone(), causes(&delta)), (vec![scan], vec![Cause::Scan]));
    // A listing, too, if it began during a scan.
    assert_eq!(causes(&relisted(&again.knowledge, &[], 14, 100, LISTED)), [Cause::Scan]);
    // An exact token shows every later change.
    let busy = SourceState { trust: Exact, ..busy };
    assert_eq!(
        causes(&folded(
            &listed(Exact),
            &[],
            &Observation::State(&busy),
            (10, 11),
            LISTED
        )),
        []
    );
}

#[test]
fn a_change_that_no_delta_shows_is_marked_until_a_listing() {
    let changed = probed(Hint, "11 20");
    let effects = delta(&changed, &[], 10, LISTED + MINUTE);
    assert_eq!(causes(&effects), [Cause::Unexplained]);
    assert_eq!(
        effects.knowledge.listing.as_ref().map(|listing| &*listing.token),
        Some("11 20")
    );
    // A scan is no change of the content.
    assert_eq!(causes(&delta(&probed(Hint, "10 21"), &[], 10, LISTED)), []);
    // During a scan, a later delta may still show it.
    let mut scanned = changed.clone();
    scanned.probed.as_mut().expect("probed").state.busy = true;
    let during = delta(&scanned, &[], 10, LISTED);
    assert_eq!(causes(&during), [Cause::Unsettled]);
    let mut settled = during.knowledge;
    settled.probed.as_mut().expect("probed").state.busy = false;
    let after = delta(&settled, &during.raise, 12, LISTED + MINUTE);
    assert_eq!(
        (after.end.clone(), causes(&after)),
        (during.raise, vec![Cause::Unexplained])
    );
}

#[test]
fn an_item_that_a_search_brought_explains_a_change() {
    let found = StoredItem {
        value: Some(1),
        interval: interval(7, 8),
        is_single: true,
    };
    let knowledge = probed(Hint, "11 20");
    assert!(!knowledge.had_at_last_sync(&found));
    let films = Films(vec![("1".to_owned(), found)]);
    let request = knowledge.begin(Ticket(10), LISTED).expect("probed");
    let changes = Observation::Changes {
        request: &request,
        items: &[("1".to_owned(), Some(1))],
        is_resized: false,
        cursor: "",
    };
    let effects = fold::<StandardRules, u8>(&knowledge, &[], &films, &changes, interval(10, 11), LISTED);
    assert_eq!(causes(&effects), []);
    // The delta itself, and what came before it, are known to the next one.
    let after = &effects.knowledge;
    for (asked, came, is_known) in [(10, 11, true), (7, 8, true), (7, 11, false), (12, 13, false)] {
        let stored = StoredItem {
            value: Some(1),
            interval: interval(asked, came),
            is_single: true,
        };
        assert_eq!(after.had_at_last_sync(&stored), is_known, "{asked} {came}");
    }
}

#[test]
fn an_item_that_a_search_brought_tells_nothing_of_the_rest_of_the_library() {
    let doubts = [Cause::Unexplained, Cause::Unsettled, Cause::Changed, Cause::Invalidated].map(library);
    let found = Observation::Items {
        items: &[("1".to_owned(), Some(1))],
        are_doubted: false,
    };
    let effects = folded(&probed(Hint, "11 20"), &doubts, &found, (10, 11), LISTED + MINUTE);
    assert_eq!(effects.end, []);
    // A listing does.
    let relisted = relisted(&effects.knowledge, &doubts, 12, 100, LISTED + MINUTE);
    assert_eq!(relisted.end, doubts);
}

#[test]
fn an_item_with_the_file_of_another_makes_that_one_doubtful() {
    let knowledge = listed(Hint);
    let fetched = |items: &[(String, Option<u8>)]| {
        let items = Observation::Items {
            items,
            are_doubted: true,
        };
        folded(&knowledge, &[], &items, (10, 11), LISTED)
    };
    let one = ("1".to_owned(), Some(7));
    let effects = fetched(std::slice::from_ref(&one));
    assert_eq!(effects.raise.len(), 1);
    assert_eq!(
        (&effects.raise[0].scope, effects.raise[0].cause),
        (&DoubtScope::Item("2".to_owned()), Cause::Rival)
    );
    assert_eq!(
        causes(&fetched(&[one, ("2".to_owned(), Some(3))])),
        [],
        "the same reply shows the other"
    );
}

#[test]
fn a_reply_about_a_library_without_a_listing_is_stored() {
    let mut knowledge = listed(Hint);
    knowledge.discard_listing(Ticket(9));
    let items = Observation::Items {
        items: &[("1".to_owned(), Some(1))],
        are_doubted: false,
    };
    let effects = folded(&knowledge, &[], &items, (10, 11), LISTED);
    assert_eq!((effects.put.len(), causes(&effects)), (1, vec![]));
    // A delta has nothing to extend.
    let request = knowledge.begin(Ticket(12), LISTED).expect("probed");
    let changes = Observation::Changes {
        request: &request,
        items: &[("1".to_owned(), Some(1))],
        is_resized: false,
        cursor: "",
    };
    assert_eq!(folded(&knowledge, &[], &changes, (12, 13), LISTED).put, []);
    assert_eq!(Knowledge::default().begin(Ticket(1), LISTED), None);
}

/// Whatever the server's clock says: a scan of an hour ago, as this host's clock has it.
#[test]
fn a_scan_of_which_only_its_second_tells_is_followed_by_a_second_look() {
    let after_delta = |listed: &str, token: &str| {
        let mut knowledge = probed(Hint, token);
        knowledge.probed.as_mut().expect("probed").state.scanned_ms = LISTED - HOUR;
        knowledge.listing.as_mut().expect("listed").token = listed.to_owned();
        causes(&delta(&knowledge, &[], 10, LISTED + HOUR))
    };
    assert_eq!(after_delta("0 20", "0 21"), [Cause::Scan]);
    assert_eq!(after_delta("0 21", "0 21"), []);
    assert_eq!(
        after_delta("10 20", "10 21"),
        [],
        "the content's count tells of changes"
    );
}

#[test]
fn a_reply_had_come_when_the_next_delta_or_listing_was_stored() {
    let came_by = |knowledge: &Knowledge, asked| knowledge.came_by_ms(Ticket(asked)).expect("listed") - LISTED;
    // The store of an earlier version, which has been checked since.
    let mut knowledge = listed(Hint);
    knowledge.listing.as_mut().expect("listed").checked_ms += HOUR;
    assert_eq!([3, 4].map(|asked| came_by(&knowledge, asked)), [0, HOUR]);
    for minute in 0..20_u64 {
        let (asked, now_ms) = (10 + 2 * minute, LISTED + MINUTE * minute.cast_signed());
        knowledge = delta(&knowledge, &[], asked, now_ms).knowledge;
    }
    knowledge.listing.as_mut().expect("listed").checked_ms = LISTED + HOUR;
    // What came before those that are known came before the first of these; what came after them, before the last check.
    let minutes = [0, 18, 20, 29, 30, 49, 50].map(|asked| came_by(&knowledge, asked) / MINUTE);
    assert_eq!(minutes, [4, 4, 5, 9, 10, 19, 60]);
}
