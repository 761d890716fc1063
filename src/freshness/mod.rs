//! When to ask the server, and what: pure decisions over clocks and counts. The time is passed in.
//!
//! What Plex's clocks are worth, and so why these rules: `docs/design.md`, 'Freshness'.

use crate::model::{Clocks, Hint};
use crate::options::{Options, Ttl};

/// How long a listing lives that was made during a scan, or did not agree with itself.
pub const PROVISIONAL_MS: i64 = 60_000;
/// How long after a scan items go on settling.
pub const SETTLING_S: i64 = 60;
/// After how long a listing that was cut off is not taken up again.
const RESUME_MS: i64 = 600_000;

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
    pub doubted: bool,
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
    /// A full listing.
    Listing,
}

/// What a library of this age needs now.
#[must_use]
pub fn need(age: &Age, policy: &Policy, now_ms: i64) -> Need {
    if !age.listed {
        return Need::Listing;
    }
    if age.doubted {
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
    if policy.ttl != Ttl::Never && now_ms.saturating_sub(age.listed_ms) >= policy.max_age_ms {
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

/// Whether answers from a listing of this age are to be marked as stale.
#[must_use]
pub fn is_stale(age: &Age, policy: &Policy, now_ms: i64) -> bool {
    age.doubted || need(age, policy, now_ms) != Need::Nothing
}

/// Whether a probe that shows `shown` proves a listing made at `listed` to be current.
#[must_use]
pub fn is_current(age: &Age, listed: &Clocks, shown: &Clocks, policy: &Policy, now_ms: i64) -> bool {
    age.listed
        && !age.due
        && !age.provisional
        && !age.doubted
        && age.hint != Hint::Changed
        && !shown.refreshing
        && now_ms.saturating_sub(age.listed_ms) < policy.max_age_ms
        && agree(listed, shown)
}

/// Whether nothing moved between two looks at the clocks.
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
pub fn is_doubtful(items_before: u64, items_now: u64) -> bool {
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
    fn scans_leave_a_minute_of_doubt() {
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
    fn a_third_less_is_doubtful() {
        assert!(is_doubtful(100, 69));
        assert!(!is_doubtful(100, 70));
        assert!(is_doubtful(1, 0));
        assert!(!is_doubtful(0, 0));
    }
}
