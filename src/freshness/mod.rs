//! When to ask the server, and what: pure decisions over clocks and counts. The time is passed in.
//!
//! What Plex's clocks are worth, and so why these rules: `docs/design.md`, 'Freshness'.

use crate::model::{Clocks, Hint, PathSearch};
use crate::options::{Options, Ttl};

/// How long a listing lives that was made during a scan, or did not agree with itself.
pub const PROVISIONAL_MS: i64 = 60_000;
/// How long after a scan items go on settling.
pub const SETTLING_S: i64 = 60;
/// After how long a listing that was cut off is not taken up again.
const RESUME_MS: i64 = 600_000;

/// For each page of a library, how long positive deltas may stand in for a full listing: what a listing costs decides
/// how often it is made.
const LISTING_EACH_MS: i64 = 15 * 60_000;
/// Rows of a page of a full listing.
const PAGE_ROWS: u64 = 1_000;
/// A server is asked about a path that is not listed no more often than this, across processes.
pub const LOOK_AGAIN_MS: i64 = 30_000;
/// Point questions to a server within [`LOOK_AGAIN_MS`] while a library was never fetched: then the listing is better.
pub const COLD_QUESTIONS: u64 = 3;

/// A clock that is set back by no more than this makes no listing old: clocks are put right by such steps all the time.
const STEP_MS: i64 = 60_000;

/// How long listings count as fresh.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    ttl: Ttl,
    max_age_ms: i64,
}

impl Policy {
    /// As the host chose.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            ttl: options.library_ttl,
            max_age_ms: i64::try_from(options.max_age.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

/// What is known of a listing's age.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // independent facts, as stored
pub struct Age {
    /// There is one.
    pub listed: bool,
    /// When it was completed, Unix ms.
    pub listed_ms: i64,
    /// When it was last seen to be current, Unix ms.
    pub checked_ms: i64,
    /// It lives shortly.
    pub provisional: bool,
    /// It was invalidated.
    pub due: bool,
    /// A newer one was so much smaller that a second one has to agree first.
    pub held_back: bool,
    /// It disagreed with itself: rows may be missing.
    pub partial: bool,
    /// Its items.
    pub items: u64,
    /// What an event said of it since.
    pub hint: Hint,
}

/// What a library needs before it may answer as fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it is fresh.
    Nothing,
    /// One request tells whether anything moved.
    Probe,
    /// What is new: a page newest added, a page newest updated.
    Delta,
    /// A full listing.
    Listing,
}

/// What a library of this age needs now.
#[must_use]
pub fn need(age: &Age, policy: &Policy, now_ms: i64) -> Need {
    if !age.listed {
        return Need::Listing;
    }
    if age.held_back {
        // Asking again at once would find the same disk missing.
        let since = now_ms.saturating_sub(age.checked_ms);
        return if (0..PROVISIONAL_MS).contains(&since) {
            Need::Nothing
        } else {
            Need::Listing
        };
    }
    if age.due {
        return Need::Listing;
    }
    if policy.ttl != Ttl::Never && is_aged(age, policy, now_ms) {
        return Need::Listing;
    }
    if age.hint != Hint::None {
        return Need::Probe;
    }
    let lives = match policy.ttl {
        Ttl::Never if !age.provisional => return Need::Nothing,
        _ if age.provisional => PROVISIONAL_MS,
        Ttl::AtOnce | Ttl::Never => 0,
        Ttl::For(ttl) => i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX),
    };
    // A clock that was set back makes ages negative: then ask.
    if (0..lives).contains(&now_ms.saturating_sub(age.checked_ms)) {
        return Need::Nothing;
    }
    Need::Probe
}

/// What a library needs now that a probe showed its clocks.
#[must_use]
pub fn need_when_probed(age: &Age, listed: &Clocks, shown: &Clocks, policy: &Policy, now_ms: i64) -> Need {
    let since_listed = now_ms.saturating_sub(age.listed_ms);
    let aged = policy.ttl != Ttl::Never && is_aged(age, policy, now_ms);
    if !age.listed || age.due || age.held_back || age.partial || aged || since_listed < 0 {
        Need::Listing
    } else if is_current(age, listed, shown, policy, now_ms) {
        Need::Nothing
    } else if since_listed >= listing_due_ms(age.items, policy) {
        Need::Listing
    } else {
        Need::Delta
    }
}

/// Whether `max_age` is over. A listing of the future was made while the clock was ahead: its age is unknown.
fn is_aged(age: &Age, policy: &Policy, now_ms: i64) -> bool {
    !(-STEP_MS..policy.max_age_ms).contains(&now_ms.saturating_sub(age.listed_ms))
}

/// For how long deltas may stand in for a full listing of so many items.
fn listing_due_ms(items: u64, policy: &Policy) -> i64 {
    let pages = i64::try_from(items / PAGE_ROWS).unwrap_or(i64::MAX).saturating_add(1);
    pages.saturating_mul(LISTING_EACH_MS).min(policy.max_age_ms)
}

/// Whether the server may be asked about a path again that it did not have: after half a minute, then after twice as
/// long each time, and at the latest when the listing's time to live is over.
#[must_use]
pub fn may_ask_again(asked: Option<&PathSearch>, policy: &Policy, now_ms: i64) -> bool {
    let Some(asked) = asked else {
        return true;
    };
    let most = match policy.ttl {
        Ttl::For(ttl) => i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX),
        Ttl::AtOnce => LOOK_AGAIN_MS,
        Ttl::Never => policy.max_age_ms,
    };
    let pause = (asked.last_ms - asked.first_ms).clamp(LOOK_AGAIN_MS, most.max(LOOK_AGAIN_MS));
    !(0..pause).contains(&now_ms.saturating_sub(asked.last_ms))
}

/// Whether a server may be asked about some path that is not listed, having been asked about one at `last_ms`.
#[must_use]
pub fn may_look(last_ms: Option<i64>, now_ms: i64) -> bool {
    last_ms.is_none_or(|last| !(0..LOOK_AGAIN_MS).contains(&now_ms.saturating_sub(last)))
}

/// Whether what a path search found is still to be answered without asking again.
#[must_use]
pub fn is_remembered(asked: Option<&PathSearch>, policy: &Policy, now_ms: i64) -> bool {
    let lives = match policy.ttl {
        Ttl::For(ttl) => i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX),
        Ttl::AtOnce => 0,
        Ttl::Never => i64::MAX,
    };
    asked.is_some_and(|asked| asked.found && (0..lives).contains(&now_ms.saturating_sub(asked.last_ms)))
}

/// Whether answers from a listing of this age are to be marked as stale.
#[must_use]
pub fn is_stale(age: &Age, policy: &Policy, now_ms: i64) -> bool {
    age.held_back || need(age, policy, now_ms) != Need::Nothing
}

/// Whether a probe that shows `shown` proves a listing made at `listed` to be current.
#[must_use]
pub fn is_current(age: &Age, listed: &Clocks, shown: &Clocks, policy: &Policy, now_ms: i64) -> bool {
    age.listed
        && !age.due
        && !age.provisional
        && !age.held_back
        && age.hint != Hint::Changed
        && !shown.refreshing
        && !is_aged(age, policy, now_ms)
        && agree(listed, shown)
}

/// Whether nothing moved between two probes.
#[must_use]
pub fn agree(before: &Clocks, after: &Clocks) -> bool {
    before.content_changed_at == after.content_changed_at && before.scanned_at == after.scanned_at
}

/// Whether a listing that begins at these clocks can be no more than provisional.
#[must_use]
pub fn unsettled(clocks: &Clocks, now_ms: i64) -> bool {
    clocks.refreshing || (0..SETTLING_S).contains(&(now_ms / 1000 - clocks.scanned_at))
}

/// Whether a listing that was cut off may be taken up where it stopped.
#[must_use]
pub fn may_resume(touched_ms: i64, begun_at: &Clocks, shown: &Clocks, now_ms: i64) -> bool {
    (0..RESUME_MS).contains(&now_ms.saturating_sub(touched_ms)) && agree(begun_at, shown)
}

/// Whether a listing is so much smaller than the last one that a second one has to agree: a disk that is not mounted
/// empties listings.
#[must_use]
pub fn shrank_too_much(items_before: u64, items_now: u64) -> bool {
    items_now.saturating_mul(10) < items_before.saturating_mul(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const HOUR: i64 = 3_600_000;

    fn policy(ttl: Ttl) -> Policy {
        Policy::new(&Options {
            library_ttl: ttl,
            ..Options::default()
        })
    }

    fn listed_at(ms: i64) -> Age {
        Age {
            listed: true,
            listed_ms: ms,
            checked_ms: ms,
            ..Age::default()
        }
    }

    #[test]
    fn a_listing_is_fresh_for_its_ttl_then_probed_then_listed_again() {
        let policy = policy(Ttl::For(Duration::from_secs(3600)));
        let age = listed_at(0);
        assert_eq!(need(&age, &policy, HOUR - 1), Need::Nothing);
        assert_eq!(need(&age, &policy, HOUR), Need::Probe);
        assert_eq!(need(&age, &policy, 24 * HOUR), Need::Listing);
        assert_eq!(need(&age, &policy, -1), Need::Probe, "the clock was set back");
    }

    #[test]
    fn a_listing_of_the_future_is_older_than_any_age() {
        let policy = policy(Ttl::For(Duration::from_secs(3600)));
        let (clocks, age) = (Clocks::default(), listed_at(239 * HOUR));
        assert_eq!(need(&age, &policy, 0), Need::Listing, "the clock was ahead");
        assert!(!is_current(&age, &clocks, &clocks, &policy, 0));
        // Looked at since, by the right clock.
        let checked = Age { checked_ms: 0, ..age };
        assert_eq!(need(&checked, &policy, 1), Need::Listing);
        // A small step costs no listing.
        assert_eq!(
            need(
                &Age {
                    checked_ms: 0,
                    ..listed_at(STEP_MS)
                },
                &policy,
                0
            ),
            Need::Nothing
        );
        assert!(is_current(&listed_at(STEP_MS), &clocks, &clocks, &policy, 0));
    }

    #[test]
    fn at_once_never_and_due() {
        let age = listed_at(0);
        assert_eq!(need(&age, &policy(Ttl::AtOnce), 0), Need::Probe);
        assert_eq!(need(&age, &policy(Ttl::Never), 1000 * HOUR), Need::Nothing);
        let due = Age { due: true, ..age };
        assert_eq!(need(&due, &policy(Ttl::Never), 0), Need::Listing);
        assert_eq!(need(&Age::default(), &policy(Ttl::Never), 0), Need::Listing);
    }

    #[test]
    fn a_provisional_listing_lives_a_minute() {
        let age = Age {
            provisional: true,
            ..listed_at(0)
        };
        let policy = policy(Ttl::Never);
        assert_eq!(need(&age, &policy, PROVISIONAL_MS - 1), Need::Nothing);
        assert_eq!(need(&age, &policy, PROVISIONAL_MS), Need::Probe);
        assert!(!is_current(&age, &Clocks::default(), &Clocks::default(), &policy, 0));
    }

    #[test]
    fn a_hint_asks_for_a_probe_and_a_change_is_not_disproved_by_one() {
        let policy = policy(Ttl::Never);
        let clocks = Clocks::default();
        let hinted = |hint| Age { hint, ..listed_at(0) };
        assert_eq!(need(&hinted(Hint::None), &policy, 1), Need::Nothing);
        assert_eq!(need(&hinted(Hint::Probe), &policy, 1), Need::Probe);
        assert_eq!(need(&hinted(Hint::Changed), &policy, 1), Need::Probe);
        assert!(is_stale(&hinted(Hint::Probe), &policy, 1));
        assert!(is_current(&hinted(Hint::Probe), &clocks, &clocks, &policy, 1));
        assert!(!is_current(&hinted(Hint::Changed), &clocks, &clocks, &policy, 1));
    }

    #[test]
    fn any_clock_that_moves_counts_also_backwards() {
        let policy = policy(Ttl::Never);
        let listed = Clocks {
            content_changed_at: 10,
            scanned_at: 20,
            ..Clocks::default()
        };
        let current = |shown: Clocks| is_current(&listed_at(0), &listed, &shown, &policy, 1);
        assert!(current(Clocks {
            updated_at: 99,
            ..listed
        }));
        assert!(!current(Clocks {
            content_changed_at: 9,
            ..listed
        }));
        assert!(!current(Clocks {
            scanned_at: 21,
            ..listed
        }));
        assert!(!current(Clocks {
            refreshing: true,
            ..listed
        }));
    }

    #[test]
    fn what_a_probe_leads_to_depends_on_the_size_of_the_library() {
        let policy = policy(Ttl::For(Duration::from_secs(3600)));
        let (listed, moved) = (
            Clocks::default(),
            Clocks {
                content_changed_at: 1,
                scanned_at: -100_000,
                ..Clocks::default()
            },
        );
        let needs = |items, shown: &Clocks, now_ms| {
            let age = Age { items, ..listed_at(0) };
            need_when_probed(&age, &listed, shown, &policy, now_ms)
        };
        assert_eq!(needs(100_000, &listed, HOUR), Need::Nothing);
        assert_eq!(needs(100_000, &moved, HOUR), Need::Delta);
        assert_eq!(
            needs(100_000, &moved, 24 * HOUR),
            Need::Listing,
            "at the latest after max_age"
        );
        assert_eq!(needs(100_000, &listed, 24 * HOUR), Need::Listing);
        assert_eq!(
            needs(3_000, &moved, HOUR),
            Need::Listing,
            "four pages are due after an hour"
        );
        assert_eq!(needs(4_000, &moved, HOUR), Need::Delta);
        assert_eq!(needs(100_000, &listed, -1), Need::Listing, "the clock was set back");
        let partial = Age {
            partial: true,
            provisional: true,
            items: 100_000,
            ..listed_at(0)
        };
        assert_eq!(need_when_probed(&partial, &listed, &listed, &policy, 1), Need::Listing);
        let provisional = Age {
            partial: false,
            ..partial
        };
        assert_eq!(
            need_when_probed(&provisional, &listed, &listed, &policy, 1),
            Need::Delta,
            "what settled after a scan is new"
        );
    }

    #[test]
    fn a_path_that_is_nowhere_is_asked_about_ever_more_rarely() {
        let policy = policy(Ttl::For(Duration::from_secs(3600)));
        let asked = |first_ms, last_ms| PathSearch {
            first_ms,
            last_ms,
            found: false,
        };
        let may = |asked: PathSearch, now_ms| may_ask_again(Some(&asked), &policy, now_ms);
        assert!(may_ask_again(None, &policy, 0));
        assert!(!may(asked(0, 0), LOOK_AGAIN_MS - 1));
        assert!(may(asked(0, 0), LOOK_AGAIN_MS));
        assert!(!may(asked(0, 600_000), 1_199_999));
        assert!(may(asked(0, 600_000), 1_200_000));
        assert!(may(asked(0, 100 * HOUR), 101 * HOUR), "at least once an hour");
        assert!(may(asked(0, 600_000), 0), "the clock was set back");
    }

    #[test]
    fn scans_leave_a_minute_of_uncertainty() {
        let at = |scanned_at| Clocks {
            scanned_at,
            ..Clocks::default()
        };
        assert!(unsettled(&at(1_000), 1_059_999));
        assert!(!unsettled(&at(1_000), 1_060_000));
        assert!(
            !unsettled(&at(2_000), 1_000_000),
            "a server's clock that is ahead is no scan"
        );
    }

    #[test]
    fn a_third_less_is_held_back() {
        assert!(shrank_too_much(100, 69));
        assert!(!shrank_too_much(100, 70));
        assert!(shrank_too_much(1, 0));
        assert!(!shrank_too_much(0, 0));
    }
}
