//! When to ask the server, and what: pure decisions over ages, tokens and counts. The time is passed in.
//!
//! Each source states how far its change tokens can be trusted ([`Trust`]); `docs/design/freshness.md` has the consequences.

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
pub const ASK_AGAIN_MS: i64 = 30_000;
/// How often a server is searched within [`ASK_AGAIN_MS`] while a library was never fetched: then the listing is better.
pub const SEARCHES_UNFETCHED: u64 = 3;

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

impl Policy {
    /// Returns the TTL in milliseconds. `at_once` and `never` are returned for the variants without a duration.
    fn ttl_ms(&self, at_once: i64, never: i64) -> i64 {
        match self.ttl {
            Ttl::For(ttl) => i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX),
            Ttl::AtOnce => at_once,
            Ttl::Never => never,
        }
    }
}

/// The age of a listing, and what else decides whether it is stale.
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
    /// Pending event since then.
    pub hint: Hint,
    /// How much an equal token proves, as the source reported last.
    pub trust: Trust,
    /// The source may have changed since: it says so itself, without being asked.
    pub moved: bool,
}

/// The requests that make a library fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it is fresh.
    Nothing,
    /// One request tells whether anything moved.
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
    if age.hint != Hint::None || (age.moved && policy.ttl != Ttl::Never) {
        return Need::Probe;
    }
    if policy.ttl == Ttl::Never && !age.provisional {
        return Need::Nothing;
    }
    let lives = if age.provisional {
        PROVISIONAL_MS
    } else {
        policy.ttl_ms(0, 0)
    };
    // A clock that was set back makes ages negative: then ask.
    if (0..lives).contains(&now_ms.saturating_sub(age.checked_ms)) {
        return Need::Nothing;
    }
    Need::Probe
}

/// Returns what a library needs: its listing was made at the token `listed`, and a probe shows `shown`. With `told_all` the
/// source reports all changes, and deltas replace listings for ever.
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
    } else if shown.trust == Trust::Exact || since_listed >= listing_due_ms(age.items, policy) {
        // Listings of an exact source never expire: an item that a delta missed would stay wrong for ever.
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
    let most = policy.ttl_ms(ASK_AGAIN_MS, policy.max_age_ms);
    let pause = (asked.last_ms - asked.first_ms).clamp(ASK_AGAIN_MS, most.max(ASK_AGAIN_MS));
    !(0..pause).contains(&now_ms.saturating_sub(asked.last_ms))
}

/// Whether a server may be asked about some path that is not listed, having been asked about one at `last_ms`.
#[must_use]
pub fn may_ask_for_a_path(last_ms: Option<i64>, now_ms: i64) -> bool {
    last_ms.is_none_or(|last| !(0..ASK_AGAIN_MS).contains(&now_ms.saturating_sub(last)))
}

/// Whether what a path search found is still to be answered without asking again.
#[must_use]
pub fn is_remembered(asked: Option<&PathSearch>, policy: &Policy, now_ms: i64) -> bool {
    let lives = policy.ttl_ms(0, i64::MAX);
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
pub fn is_unsettled(change: &Change, now_ms: i64) -> bool {
    let since = now_ms.saturating_sub(change.scanned_ms);
    change.trust != Trust::Exact && (change.busy || (0..SETTLING_MS).contains(&since))
}

/// Whether a listing that began in the state `before` and ended in `after` is the state that it shows.
#[must_use]
pub fn is_settled(before: &Change, begun_ms: i64, after: &Change) -> bool {
    let moving = after.busy && after.trust != Trust::Exact;
    !is_unsettled(before, begun_ms) && !moving && before.token == after.token
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
#[path = "freshness_tests.rs"]
mod tests;
