//! Decides when to ask the server, and for what. Pure: ages, tokens, counts and the time are passed in.
//!
//! Each source states how far its change tokens can be trusted ([`Trust`]); `docs/design/freshness.md` has the
//! consequences.

use std::time::Duration;

use crate::model::{Change, Hint, PathSearch, Trust};
use crate::options::{Options, Ttl};

/// Time to live of a provisional listing: made during a scan, or with counts that disagree.
pub const PROVISIONAL_MS: i64 = 60_000;
/// How long after a scan its items may still change.
pub const SETTLING_MS: i64 = 60_000;
/// How long an interrupted listing can be resumed.
const RESUME_MS: i64 = 600_000;

/// How long deltas may replace full listings, per page of the library: the more a listing costs, the rarer it is made.
const LISTING_EACH_MS: i64 = 15 * 60_000;
/// Rows of a page of a full listing.
const PAGE_ROWS: u64 = 1_000;
/// Minimum interval between two searches or probes of a server because of a path that is not listed, over all
/// processes.
pub const ASK_AGAIN_MS: i64 = 30_000;
/// The same after the server refused the connection, or said that it is starting: it may be back soon, and to ask it
/// again costs little.
pub const ASK_AWAY_AGAIN_MS: i64 = 5_000;
/// Most searches of a server within [`ASK_AGAIN_MS`] for a library that was never fetched. After these the library is
/// fetched.
pub const SEARCHES_UNFETCHED: u64 = 3;

/// A clock that is set back by at most this does not expire listings: such corrections are frequent.
const STEP_MS: i64 = 60_000;

/// How long listings count as fresh.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    ttl: Ttl,
    max_age_ms: i64,
}

impl Policy {
    /// The policy that the host chose.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            ttl: options.library_ttl,
            max_age_ms: i64::try_from(options.max_age.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

impl Policy {
    /// How old a probe may be that another host made.
    #[must_use]
    pub fn oldest_probe(&self) -> Duration {
        Duration::from_millis(self.ttl_ms(0, self.max_age_ms).unsigned_abs())
    }

    /// Returns the TTL in milliseconds. `at_once` and `never` are returned for the variants without a duration.
    fn ttl_ms(&self, at_once: i64, never: i64) -> i64 {
        match self.ttl {
            Ttl::For(ttl) => i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX),
            Ttl::Zero => at_once,
            Ttl::Forever => never,
        }
    }
}

/// The age of a listing, and all else that decides whether it is stale.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // independent facts, as stored
pub struct Age {
    /// The library has a listing.
    pub listed: bool,
    /// When it was completed, Unix ms.
    pub listed_ms: i64,
    /// When it was last seen to be current, Unix ms.
    pub checked_ms: i64,
    /// It expires early: see [`PROVISIONAL_MS`].
    pub provisional: bool,
    /// It was invalidated.
    pub due: bool,
    /// A newer listing was so much smaller that a second one must confirm it.
    pub held_back: bool,
    /// Its counts disagree: rows may be missing.
    pub partial: bool,
    /// Number of its items.
    pub items: u64,
    /// Pending event since then.
    pub hint: Hint,
    /// How reliable an equal change token is, as the source last reported.
    pub trust: Trust,
    /// A local source has changed since, as a look at its files shows.
    pub moved: bool,
}

/// The requests that make a library fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it is fresh.
    Nothing,
    /// One request that shows whether anything changed.
    Probe,
    /// A delta: one page of the newest added items, one of the newest updated.
    Delta,
    /// A full listing.
    Listing,
}

/// Returns what a library of this age needs now.
#[must_use]
pub fn need(age: &Age, policy: &Policy, now_ms: i64) -> Need {
    if !age.listed {
        return Need::Listing;
    }
    if age.held_back {
        // Not at once: the disk is probably still unmounted.
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
    if policy.ttl != Ttl::Forever && is_too_old(age, policy, now_ms) {
        return Need::Listing;
    }
    if age.hint != Hint::None || (age.moved && policy.ttl != Ttl::Forever) {
        return Need::Probe;
    }
    if policy.ttl == Ttl::Forever && !age.provisional {
        return Need::Nothing;
    }
    let lives = if age.provisional {
        PROVISIONAL_MS
    } else {
        policy.ttl_ms(0, 0)
    };
    // A clock that was set back makes ages negative: ask the server then.
    if (0..lives).contains(&now_ms.saturating_sub(age.checked_ms)) {
        return Need::Nothing;
    }
    Need::Probe
}

/// Returns what a library needs after a probe shows `shown`; its listing was made at the token `listed`. With
/// `reports_all` the source reports all changes, so deltas replace listings for ever.
#[must_use]
pub fn need_when_probed(
    age: &Age,
    listed: &str,
    shown: &Change,
    reports_all: bool,
    policy: &Policy,
    now_ms: i64,
) -> Need {
    let since_listed = now_ms.saturating_sub(age.listed_ms);
    let too_old = (policy.ttl != Ttl::Forever && is_too_old(age, policy, now_ms))
        || (since_listed < 0 && shown.trust != Trust::Exact);
    if !age.listed || age.due || age.held_back || age.partial || too_old {
        Need::Listing
    } else if is_current(age, listed, shown, policy, now_ms) {
        Need::Nothing
    } else if reports_all {
        Need::Delta
    } else if shown.trust == Trust::Exact || since_listed >= listing_due_ms(age.items, policy) {
        // Listings of an exact source never expire: an item that a delta missed would stay wrong for ever.
        Need::Listing
    } else {
        Need::Delta
    }
}

/// Returns whether a listing is so old that a new one is due, whatever the token says. Never for a source whose token
/// proves that nothing changed.
fn is_too_old(age: &Age, policy: &Policy, now_ms: i64) -> bool {
    age.trust != Trust::Exact && is_aged(age, policy, now_ms)
}

/// Returns whether the listing is older than `max_age`. A listing in the future was made before the clock was set back:
/// its age is unknown.
fn is_aged(age: &Age, policy: &Policy, now_ms: i64) -> bool {
    !(-STEP_MS..policy.max_age_ms).contains(&now_ms.saturating_sub(age.listed_ms))
}

/// Milliseconds since a listing was last seen to be current. `None` if that is in the future: the clock was set back
/// since then.
#[must_use]
pub fn age_ms(checked_ms: i64, now_ms: i64) -> Option<i64> {
    let age = now_ms.saturating_sub(checked_ms);
    (age > -STEP_MS).then(|| age.max(0))
}

/// How long deltas may replace a full listing of this many items.
fn listing_due_ms(items: u64, policy: &Policy) -> i64 {
    let pages = i64::try_from(items / PAGE_ROWS).unwrap_or(i64::MAX).saturating_add(1);
    pages.saturating_mul(LISTING_EACH_MS).min(policy.max_age_ms)
}

/// Returns whether a path that the server did not have may be searched again: first after half a minute, and at the
/// latest when the listing expires. The pause is the time between the first and the last search, so it doubles.
#[must_use]
pub fn may_ask_again(search: Option<&PathSearch>, policy: &Policy, now_ms: i64) -> bool {
    let Some(search) = search else {
        return true;
    };
    let longest = policy.ttl_ms(ASK_AGAIN_MS, policy.max_age_ms);
    let pause = (search.last_ms - search.first_ms).clamp(ASK_AGAIN_MS, longest.max(ASK_AGAIN_MS));
    // If the clock was set back to before the last search, the pause is over.
    !(0..pause).contains(&now_ms.saturating_sub(search.last_ms))
}

/// Returns whether a path may be searched, if the last search for any path was at `last_ms`.
#[must_use]
pub fn may_ask_for_a_path(last_ms: Option<i64>, now_ms: i64) -> bool {
    is_over(last_ms, ASK_AGAIN_MS, now_ms)
}

/// Returns whether a pause that began at `last_ms` is over; without a beginning, and if the clock was set back, it is.
#[must_use]
pub fn is_over(last_ms: Option<i64>, pause_ms: i64, now_ms: i64) -> bool {
    last_ms.is_none_or(|last| !(0..pause_ms).contains(&now_ms.saturating_sub(last)))
}

/// Returns whether the result of a path search is still valid, so that no request is necessary.
#[must_use]
pub fn is_remembered(search: Option<&PathSearch>, policy: &Policy, now_ms: i64) -> bool {
    let lives = policy.ttl_ms(0, i64::MAX);
    search.is_some_and(|search| search.found && (0..lives).contains(&now_ms.saturating_sub(search.last_ms)))
}

/// Returns whether answers from a listing of this age must be marked as stale.
#[must_use]
pub fn is_stale(age: &Age, policy: &Policy, now_ms: i64) -> bool {
    age.held_back || need(age, policy, now_ms) != Need::Nothing
}

/// Returns whether a probe that shows `shown` proves that a listing made at the token `listed` is current.
#[must_use]
pub fn is_current(age: &Age, listed: &str, shown: &Change, policy: &Policy, now_ms: i64) -> bool {
    let believable = match shown.trust {
        Trust::Useless => false,
        Trust::Hint => age.hint != Hint::Changed && !shown.busy && !is_aged(age, policy, now_ms),
        Trust::Exact => true,
    };
    believable && age.listed && !age.due && !age.provisional && !age.held_back && listed == shown.token
}

/// Returns whether a listing that begins in this state will be provisional: a scan is running or has just ended, so
/// items may still change. Never with an exact token, which changes with each of them.
#[must_use]
pub fn is_unsettled(change: &Change, now_ms: i64) -> bool {
    let since = now_ms.saturating_sub(change.scanned_ms);
    change.trust != Trust::Exact && (change.busy || (0..SETTLING_MS).contains(&since))
}

/// Returns whether nothing changed while a listing was made, from the state `before` to the state `after`.
#[must_use]
pub fn is_settled(before: &Change, begun_ms: i64, after: &Change) -> bool {
    let moving = after.busy && after.trust != Trust::Exact;
    !is_unsettled(before, begun_ms) && !moving && before.token == after.token
}

/// Returns whether an interrupted listing can be resumed.
#[must_use]
pub fn may_resume(touched_ms: i64, begun_at: &Change, shown: &Change, now_ms: i64) -> bool {
    (0..RESUME_MS).contains(&now_ms.saturating_sub(touched_ms)) && begun_at.token == shown.token
}

/// Returns whether a listing is so much smaller than the last one that a second one must confirm it: an unmounted disk
/// empties listings.
#[must_use]
pub fn shrank_too_much(items_before: u64, items_now: u64) -> bool {
    items_now.saturating_mul(10) < items_before.saturating_mul(7)
}

#[cfg(test)]
#[path = "freshness_tests.rs"]
mod tests;
