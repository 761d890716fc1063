//! When to ask the server, and what: pure decisions over ages, tokens and counts. The time is passed in.
//!
//! What a source's change tokens are worth, it says itself ([`Trust`]); what follows from that stands in `docs/design.md`,
//! 'Freshness'.

use crate::model::{Change, Hint, PathSearch, Trust};
use crate::options::{Options, Ttl};

/// How long a listing lives that was made during a scan, or did not agree with itself.
pub const PROVISIONAL_MS: i64 = 60_000;
/// How long after a scan items go on settling.
pub const SETTLING_MS: i64 = 60_000;
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

/// How long listings are trusted.
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
    /// What an equal token is worth, as the source said last.
    pub trust: Trust,
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
    if policy.ttl != Ttl::Never && is_too_old(age, policy, now_ms) {
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

/// What a library needs whose listing was made at the token `listed`, now that a probe shows `shown`. With `told_all` set the
/// source tells all changes, and deltas stand in for a listing for ever.
#[must_use]
pub fn need_when_probed(age: &Age, listed: &str, shown: &Change, told_all: bool, policy: &Policy, now_ms: i64) -> Need {
    let since_listed = now_ms.saturating_sub(age.listed_ms);
    let too_old = (policy.ttl != Ttl::Never && is_too_old(age, policy, now_ms))
        || (since_listed < 0 && shown.trust != Trust::Exact);
    if !age.listed || age.due || age.held_back || age.partial || too_old {
        Need::Listing
    } else if is_current(age, listed, shown, policy, now_ms) {
        Need::Nothing
    } else if told_all {
        Need::Delta
    } else if since_listed >= listing_due_ms(age.items, policy) {
        Need::Listing
    } else {
        Need::Delta
    }
}

/// Whether a listing is so old that another one is due whatever the source says. Never where a probe tells for sure whether
/// anything changed.
fn is_too_old(age: &Age, policy: &Policy, now_ms: i64) -> bool {
    age.trust != Trust::Exact && is_aged(age, policy, now_ms)
}

/// Whether `max_age` is over. A listing of the future was made while the clock was ahead: nobody knows how old it is.
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

/// Whether a probe that shows `shown` proves a listing made at the token `listed` to be current.
#[must_use]
pub fn is_current(age: &Age, listed: &str, shown: &Change, policy: &Policy, now_ms: i64) -> bool {
    let believable = match shown.trust {
        Trust::Useless => false,
        Trust::Hint => age.hint != Hint::Changed && !shown.busy && !is_aged(age, policy, now_ms),
        Trust::Exact => true,
    };
    believable && age.listed && !age.due && !age.provisional && !age.held_back && listed == shown.token
}

/// Whether a listing that begins in this state can be no more than provisional: a scan runs, or ended just now, and items go
/// on settling. A token that is exact would move with them.
#[must_use]
pub fn unsettled(change: &Change, now_ms: i64) -> bool {
    let since = now_ms.saturating_sub(change.scanned_ms);
    change.trust != Trust::Exact && (change.busy || (0..SETTLING_MS).contains(&since))
}

/// Whether a listing that began in the state `before` and ended in `after` is the state that it shows.
#[must_use]
pub fn is_settled(before: &Change, begun_ms: i64, after: &Change) -> bool {
    let moving = after.busy && after.trust != Trust::Exact;
    !unsettled(before, begun_ms) && !moving && before.token == after.token
}

/// Whether a listing that was cut off may be taken up where it stopped.
#[must_use]
pub fn may_resume(touched_ms: i64, begun_at: &Change, shown: &Change, now_ms: i64) -> bool {
    (0..RESUME_MS).contains(&now_ms.saturating_sub(touched_ms)) && begun_at.token == shown.token
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
            trust: Trust::Hint,
            ..Age::default()
        }
    }

    /// A state that shows this token, which is a hint.
    fn shows(token: &str) -> Change {
        Change {
            token: token.to_owned(),
            trust: Trust::Hint,
            ..Change::default()
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
        let (shown, age) = (shows("a"), listed_at(239 * HOUR));
        assert_eq!(need(&age, &policy, 0), Need::Listing, "the clock was ahead");
        assert!(!is_current(&age, "a", &shown, &policy, 0));
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
        assert!(is_current(&listed_at(STEP_MS), "a", &shown, &policy, 0));
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
        assert!(!is_current(&age, "a", &shows("a"), &policy, 0));
    }

    #[test]
    fn a_hint_asks_for_a_probe_and_a_change_is_not_disproved_by_one() {
        let policy = policy(Ttl::Never);
        let shown = shows("a");
        let hinted = |hint| Age { hint, ..listed_at(0) };
        assert_eq!(need(&hinted(Hint::None), &policy, 1), Need::Nothing);
        assert_eq!(need(&hinted(Hint::Probe), &policy, 1), Need::Probe);
        assert_eq!(need(&hinted(Hint::Changed), &policy, 1), Need::Probe);
        assert!(is_stale(&hinted(Hint::Probe), &policy, 1));
        assert!(is_current(&hinted(Hint::Probe), "a", &shown, &policy, 1));
        assert!(!is_current(&hinted(Hint::Changed), "a", &shown, &policy, 1));
    }

    #[test]
    fn a_token_proves_what_it_is_worth() {
        let policy = policy(Ttl::Never);
        let current = |shown: &Change| is_current(&listed_at(0), "a", shown, &policy, 1);
        let with = |token: &str, trust| Change { trust, ..shows(token) };
        let busy = |change: Change| Change { busy: true, ..change };
        assert!(current(&shows("a")));
        assert!(!current(&shows("b")));
        assert!(!current(&busy(shows("a"))), "what is being scanned is about to change");
        assert!(current(&with("a", Trust::Exact)));
        assert!(
            current(&busy(with("a", Trust::Exact))),
            "it will move when something changes"
        );
        assert!(!current(&with("b", Trust::Exact)));
        assert!(!current(&with("a", Trust::Useless)));
        // An event says that items changed: a hint lags, what is exact knows better.
        let told = Age {
            hint: Hint::Changed,
            ..listed_at(0)
        };
        assert!(!is_current(&told, "a", &shows("a"), &policy, 1));
        assert!(is_current(&told, "a", &with("a", Trust::Exact), &policy, 1));
    }

    #[test]
    fn an_exact_token_outlives_every_age() {
        let policy = policy(Ttl::For(Duration::from_secs(3600)));
        let exact = Age {
            trust: Trust::Exact,
            items: 100_000,
            ..listed_at(0)
        };
        let shown = |token: &str| Change {
            trust: Trust::Exact,
            ..shows(token)
        };
        let late = 1_000 * HOUR;
        assert_eq!(need(&exact, &policy, late), Need::Probe);
        assert!(is_current(&exact, "a", &shown("a"), &policy, late));
        let needs = |shown: &Change, told_all| need_when_probed(&exact, "a", shown, told_all, &policy, late);
        assert_eq!(needs(&shown("a"), false), Need::Nothing);
        assert_eq!(needs(&shown("b"), true), Need::Delta, "all changes are told");
        assert_eq!(needs(&shown("b"), false), Need::Listing, "most changes are told");
        let useless = Age {
            trust: Trust::Useless,
            checked_ms: late,
            ..exact
        };
        assert_eq!(need(&useless, &policy, late), Need::Listing, "max_age is over");
    }

    #[test]
    fn what_a_probe_leads_to_depends_on_the_size_of_the_library() {
        let policy = policy(Ttl::For(Duration::from_secs(3600)));
        let (listed, moved) = (shows("a"), shows("b"));
        let needs = |items, shown: &Change, now_ms| {
            let age = Age { items, ..listed_at(0) };
            need_when_probed(&age, "a", shown, false, &policy, now_ms)
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
        assert_eq!(
            need_when_probed(&partial, "a", &listed, false, &policy, 1),
            Need::Listing
        );
        let provisional = Age {
            partial: false,
            ..partial
        };
        assert_eq!(
            need_when_probed(&provisional, "a", &listed, false, &policy, 1),
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
    fn scans_leave_a_minute_in_which_items_settle() {
        let at = |scanned_ms| Change {
            scanned_ms,
            ..shows("a")
        };
        assert!(unsettled(&at(1_000_000), 1_059_999));
        assert!(!unsettled(&at(1_000_000), 1_060_000));
        assert!(
            !unsettled(&at(2_000_000), 1_000_000),
            "a server's clock that is ahead is no scan"
        );
        let (before, now) = (at(1_000_000), 1_060_000);
        let settled = |after: &Change| is_settled(&before, now, after);
        assert!(settled(&before));
        assert!(!is_settled(&before, 1_059_999, &before));
        assert!(!settled(&shows("b")));
        let busy = Change {
            busy: true,
            ..before.clone()
        };
        assert!(!settled(&busy) && unsettled(&busy, now));
        let exact = Change {
            trust: Trust::Exact,
            ..busy
        };
        assert!(is_settled(&exact, 1_059_999, &exact), "its token would have moved");
    }

    #[test]
    fn a_third_less_is_doubtful() {
        assert!(shrank_too_much(100, 69));
        assert!(!shrank_too_much(100, 70));
        assert!(shrank_too_much(1, 0));
        assert!(!shrank_too_much(0, 0));
    }
}
