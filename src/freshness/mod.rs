//! Decides when to send which request to the server. These functions do no I/O: callers pass ages, change tokens,
//! counts and the time.
//!
//! Each source states how reliable its change tokens are ([`TokenReliability`]). `docs/design/freshness.md` explains
//! the rules.

mod questions;

pub use questions::{
    DOWN_SERVER_INTERVAL_MS, MAX_UNFETCHED_SEARCHES, PATH_REQUEST_INTERVAL_MS, PathQuestion, RequestBudget,
    may_search_again, path_question, was_found_recently,
};

use crate::knowledge::{CLOCK_TOLERANCE_MS, PAGE_ROWS, is_aged, listing_interval_ms, tells_content};
pub use crate::knowledge::{
    PROVISIONAL_MS, Policy, SETTLING_MS, has_changed_content, is_pause_over, is_unsettled, shrank_too_much,
};
use crate::model::{Hint, SourceState, TokenReliability};
use crate::options::Ttl;

/// Time after the last page during which plexindex can resume an interrupted listing.
const RESUME_MS: i64 = 600_000;

/// The age of a listing, and other facts that determine whether the listing is stale.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // independent facts, as stored
pub struct Age {
    /// Whether the library has a listing.
    pub listed: bool,
    /// Time at which the listing was completed, in Unix ms.
    pub listed_ms: i64,
    /// Time at which the listing was last known to be current, in Unix ms.
    pub checked_ms: i64,
    /// Whether the listing expires after [`PROVISIONAL_MS`].
    pub provisional: bool,
    /// Whether an invalidation requires a full listing of the library.
    pub due: bool,
    /// Whether plexindex is holding back a newer, much shorter listing until a second listing confirms it.
    pub held_back: bool,
    /// Whether the library's content has changed in a way that no delta has shown, so that answers may be wrong.
    pub unexplained: bool,
    /// The same during a scan, or shortly after it, when a later delta can still show the change.
    pub unsettled: bool,
    /// Whether the listing's item counts disagree, so that rows may be missing.
    pub partial: bool,
    pub items: u64,
    /// Changes that events have reported since the last probe.
    pub hint: Hint,
    /// Reliability of the change token, as last reported by the source.
    pub trust: TokenReliability,
    /// Whether a local source's files have changed since `checked_ms`.
    pub source_changed: bool,
}

/// The kind of request that makes a library fresh, so that answers from it are not stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeededRequest {
    /// No request: the library is fresh.
    Nothing,
    /// A probe: one request that shows whether the library has changed.
    Probe,
    /// A delta: requests for the items that were added or updated recently.
    Delta,
    /// A full listing.
    Listing,
}

/// Returns the request that a library needs now, before any probe, so that answers from it are not stale;
/// [`NeededRequest::Nothing`] if they are not.
#[must_use]
pub fn needed_request(age: &Age, policy: &Policy, now_ms: i64) -> NeededRequest {
    if !age.listed {
        return NeededRequest::Listing;
    }
    if age.held_back {
        // The second listing is delayed, because the server's disk is probably still unmounted.
        let since_check_ms = now_ms.saturating_sub(age.checked_ms);
        return if (0..PROVISIONAL_MS).contains(&since_check_ms) {
            NeededRequest::Nothing
        } else {
            NeededRequest::Listing
        };
    }
    if age.due || needs_explanation(age, policy, now_ms) {
        return NeededRequest::Listing;
    }
    if policy.ttl != Ttl::Forever && is_too_old(age, policy, now_ms) {
        return NeededRequest::Listing;
    }
    if age.hint != Hint::None || (age.source_changed && policy.ttl != Ttl::Forever) {
        return NeededRequest::Probe;
    }
    if policy.ttl == Ttl::Forever && !age.provisional {
        return NeededRequest::Nothing;
    }
    // A provisional listing needs an early probe, even if other listings never expire.
    let ttl_ms = if age.provisional {
        PROVISIONAL_MS
    } else {
        policy.ttl_ms(0, 0)
    };
    // If the clock was set back, the age is negative and unknown, so a probe is necessary.
    if (0..ttl_ms).contains(&now_ms.saturating_sub(age.checked_ms)) {
        return NeededRequest::Nothing;
    }
    NeededRequest::Probe
}

/// Returns the request that a library needs after a probe: none if the probe proved that the listing is current.
/// `listed_token`: the listing's change token. `probed`: the state that the probe returned. `reports_all`: whether the
/// source's deltas contain every change, so that a delta can always replace a listing.
#[must_use]
pub fn needed_request_after_probe(
    age: &Age,
    listed_token: &str,
    probed: &SourceState,
    reports_all: bool,
    policy: &Policy,
    now_ms: i64,
) -> NeededRequest {
    let since_listed_ms = now_ms.saturating_sub(age.listed_ms);
    let is_expired = (policy.ttl != Ttl::Forever && is_too_old(age, policy, now_ms))
        || (since_listed_ms < 0 && probed.trust != TokenReliability::Exact);
    if !age.listed || age.due || age.held_back || age.partial || is_expired || needs_explanation(age, policy, now_ms) {
        NeededRequest::Listing
    } else if is_current(age, listed_token, probed, policy, now_ms) {
        NeededRequest::Nothing
    } else if reports_all {
        NeededRequest::Delta
    } else if probed.trust == TokenReliability::Exact {
        // Listings with an exact token never expire, so an item that a delta missed would stay wrong forever.
        NeededRequest::Listing
    } else if since_listed_ms >= listing_interval_ms(age.items, policy)
        && (age.items < PAGE_ROWS || has_changed_content(listed_token, probed) || !tells_content(&probed.token))
    {
        // Every scan changes the rest of the token, so a scan alone needs no full listing, unless a delta costs as
        // much.
        NeededRequest::Listing
    } else {
        NeededRequest::Delta
    }
}

/// Returns whether a full listing must explain a change of the library's content, and the last listing is old enough.
fn needs_explanation(age: &Age, policy: &Policy, now_ms: i64) -> bool {
    let since_listed_ms = now_ms.saturating_sub(age.listed_ms);
    age.unexplained && !(0..listing_interval_ms(age.items, policy)).contains(&since_listed_ms)
}

/// Returns whether a listing is so old that the library needs a new listing even if the change token is equal. A
/// listing with an exact token is never too old, because an equal token then proves that nothing has changed.
fn is_too_old(age: &Age, policy: &Policy, now_ms: i64) -> bool {
    age.trust != TokenReliability::Exact && is_aged(age.listed_ms, policy, now_ms)
}

/// Returns the milliseconds since a listing was last known to be current (`checked_ms`), for answers; `None` if that
/// time is in the future, because the clock was set back.
#[must_use]
pub fn age_ms(checked_ms: i64, now_ms: i64) -> Option<i64> {
    let age = now_ms.saturating_sub(checked_ms);
    (age > -CLOCK_TOLERANCE_MS).then(|| age.max(0)) // small clock corrections count as age 0
}

/// Returns whether answers from a listing of this age are stale. While rows may be missing, while plexindex holds back
/// a newer listing, or does not know what has changed, answers are always stale.
#[must_use]
pub fn is_stale(age: &Age, policy: &Policy, now_ms: i64) -> bool {
    age.partial
        || age.held_back
        || age.unexplained
        || age.unsettled
        || needed_request(age, policy, now_ms) != NeededRequest::Nothing
}

/// Returns whether a probe proves that a listing is current. `listed_token`: the listing's change token. `probed`: the
/// state that the probe returned.
#[must_use]
pub fn is_current(age: &Age, listed_token: &str, probed: &SourceState, policy: &Policy, now_ms: i64) -> bool {
    // A token that is only a hint can miss changes, so an event, a scan or a high age makes it unreliable.
    let is_token_reliable = match probed.trust {
        TokenReliability::Useless => false,
        TokenReliability::Hint => age.hint != Hint::Changed && !probed.busy && !is_aged(age.listed_ms, policy, now_ms),
        TokenReliability::Exact => true,
    };
    is_token_reliable && age.listed && !age.due && !age.provisional && !age.held_back && listed_token == probed.token
}

/// Returns whether a library remained unchanged while plexindex fetched its listing. `before`: the library's state at
/// the start of the listing, at `begun_ms`. `after`: the library's state at the end of the listing.
#[must_use]
pub fn was_unchanged_during_listing(before: &SourceState, begun_ms: i64, after: &SourceState) -> bool {
    let is_scanning = after.busy && after.trust != TokenReliability::Exact;
    !is_unsettled(before, begun_ms) && !is_scanning && before.token == after.token
}

/// Returns whether plexindex can resume an interrupted listing: its last page is recent, and the change token is still
/// the token from the start of the listing. `begun_at`: the library's state then. `probed`: its state now.
#[must_use]
pub fn may_resume(last_page_ms: i64, begun_at: &SourceState, probed: &SourceState, now_ms: i64) -> bool {
    (0..RESUME_MS).contains(&now_ms.saturating_sub(last_page_ms)) && begun_at.token == probed.token
}

#[cfg(test)]
#[path = "freshness_tests.rs"]
mod tests;
