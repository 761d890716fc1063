//! Decides when to ask the server, and for what. Pure: the caller passes in ages, change tokens, counts and the time.
//!
//! Each source states how reliable its change tokens are ([`Trust`]). `docs/design/freshness.md` explains the rules.

use std::time::Duration;

use crate::model::{Hint, PathSearch, SourceState, Trust};
use crate::options::{Options, Ttl};

/// Time to live of a provisional listing, which was fetched during a scan or has inconsistent counts.
pub const PROVISIONAL_MS: i64 = 60_000;
/// How long items may still change after the end of a scan.
pub const SETTLING_MS: i64 = 60_000;
/// How long an interrupted listing can be resumed.
const RESUME_MS: i64 = 600_000;

/// How long deltas may replace full listings, for each page of the library. So plexindex fetches expensive listings
/// less often.
const LISTING_INTERVAL_PER_PAGE_MS: i64 = 15 * 60_000;
/// Number of rows in a page of a full listing.
const PAGE_ROWS: u64 = 1_000;
/// Minimum interval between two searches or probes of a server for unlisted paths, in all processes together.
pub const ASK_AGAIN_MS: i64 = 30_000;
/// Replaces [`ASK_AGAIN_MS`] if the server refused the last connection or was starting: the server may be back soon,
/// and an attempt costs little.
pub const ASK_AWAY_AGAIN_MS: i64 = 5_000;
/// Maximum number of searches within [`ASK_AGAIN_MS`] for a library that was never fetched. After this number,
/// plexindex fetches the library.
pub const SEARCHES_UNFETCHED: u64 = 3;

/// Maximum clock correction, in either direction, that does not expire listings. Small corrections are frequent.
const CLOCK_TOLERANCE_MS: i64 = 60_000;

/// How long listings count as fresh.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    ttl: Ttl,
    max_age_ms: i64,
}

impl Policy {
    /// Returns the policy from the host's options.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            ttl: options.library_ttl,
            max_age_ms: i64::try_from(options.max_age.as_millis()).unwrap_or(i64::MAX),
        }
    }
}

impl Policy {
    /// Returns the maximum age at which a probe by another host replaces a probe of this host: the TTL.
    #[must_use]
    pub fn oldest_probe(&self) -> Duration {
        Duration::from_millis(self.ttl_ms(0, self.max_age_ms).unsigned_abs())
    }

    /// Returns the TTL in milliseconds: `zero_ms` for [`Ttl::Zero`], and `forever_ms` for [`Ttl::Forever`].
    fn ttl_ms(&self, zero_ms: i64, forever_ms: i64) -> i64 {
        match self.ttl {
            Ttl::For(ttl) => i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX),
            Ttl::Zero => zero_ms,
            Ttl::Forever => forever_ms,
        }
    }
}

/// The age of a listing, and the other facts that decide whether it is stale.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // independent facts, as stored
pub struct Age {
    /// The library has a listing.
    pub listed: bool,
    /// When the listing was completed, Unix ms.
    pub listed_ms: i64,
    /// When the listing was last known to be current, Unix ms.
    pub checked_ms: i64,
    /// The listing expires after [`PROVISIONAL_MS`].
    pub provisional: bool,
    /// The listing was invalidated.
    pub due: bool,
    /// A newer listing was so much shorter that a second listing must confirm it.
    pub held_back: bool,
    /// The listing's counts are inconsistent: rows may be missing.
    pub partial: bool,
    /// Number of listed items.
    pub items: u64,
    /// What events reported since the last probe.
    pub hint: Hint,
    /// The reliability of the change token, as the source last reported it.
    pub trust: Trust,
    /// The files of a local source show that the source changed after `checked_ms`.
    pub moved: bool,
}

/// The requests that make a library fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// No request: the library is fresh.
    Nothing,
    /// One request that shows whether anything changed.
    Probe,
    /// A delta: the items that were added or updated last.
    Delta,
    /// A full listing.
    Listing,
}

/// Returns the request that makes a library of this age fresh now.
#[must_use]
pub fn need(age: &Age, policy: &Policy, now_ms: i64) -> Need {
    if !age.listed {
        return Need::Listing;
    }
    if age.held_back {
        // Waits before the second listing, since the server's disk is probably still unmounted.
        let since_check_ms = now_ms.saturating_sub(age.checked_ms);
        return if (0..PROVISIONAL_MS).contains(&since_check_ms) {
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
    let ttl_ms = if age.provisional {
        PROVISIONAL_MS
    } else {
        policy.ttl_ms(0, 0)
    };
    // After the clock was set back, ages are negative: then ask the server.
    if (0..ttl_ms).contains(&now_ms.saturating_sub(age.checked_ms)) {
        return Need::Nothing;
    }
    Need::Probe
}

/// Returns the request that a library needs after a probe. `listed_token` is the change token of the listing, and
/// `probed` the state that the probe returned. With `reports_all`, the source reports all changes, so deltas always
/// replace listings.
#[must_use]
pub fn need_when_probed(
    age: &Age,
    listed_token: &str,
    probed: &SourceState,
    reports_all: bool,
    policy: &Policy,
    now_ms: i64,
) -> Need {
    let since_listed_ms = now_ms.saturating_sub(age.listed_ms);
    let is_expired = (policy.ttl != Ttl::Forever && is_too_old(age, policy, now_ms))
        || (since_listed_ms < 0 && probed.trust != Trust::Exact);
    if !age.listed || age.due || age.held_back || age.partial || is_expired {
        Need::Listing
    } else if is_current(age, listed_token, probed, policy, now_ms) {
        Need::Nothing
    } else if reports_all {
        Need::Delta
    } else if probed.trust == Trust::Exact || since_listed_ms >= listing_interval_ms(age.items, policy) {
        // Listings of an exact source never expire, so an item that a delta missed would stay wrong for ever.
        Need::Listing
    } else {
        Need::Delta
    }
}

/// Returns whether a listing is so old that a new one is due even if the token is equal. A listing with an exact token
/// is never too old, since an equal token proves that nothing changed.
fn is_too_old(age: &Age, policy: &Policy, now_ms: i64) -> bool {
    age.trust != Trust::Exact && is_aged(age, policy, now_ms)
}

/// Returns whether the listing is older than `max_age`. Also `true` for a time in the future, since the age is unknown
/// after the clock was set back.
fn is_aged(age: &Age, policy: &Policy, now_ms: i64) -> bool {
    !(-CLOCK_TOLERANCE_MS..policy.max_age_ms).contains(&now_ms.saturating_sub(age.listed_ms))
}

/// Returns the milliseconds since a listing was last known to be current, for answers. `None` if that time is in the
/// future, because the clock was set back.
#[must_use]
pub fn age_ms(checked_ms: i64, now_ms: i64) -> Option<i64> {
    let age = now_ms.saturating_sub(checked_ms);
    (age > -CLOCK_TOLERANCE_MS).then(|| age.max(0))
}

/// Returns how long deltas may replace a full listing of this many items.
fn listing_interval_ms(items: u64, policy: &Policy) -> i64 {
    let pages = i64::try_from(items / PAGE_ROWS).unwrap_or(i64::MAX).saturating_add(1);
    pages
        .saturating_mul(LISTING_INTERVAL_PER_PAGE_MS)
        .min(policy.max_age_ms)
}

/// Returns whether to search again for a path, after the searches in `search`. The pause between searches begins with
/// half a minute and is at most the TTL. This pause equals the time between the first and the last search, so it
/// doubles with each search.
#[must_use]
pub fn may_ask_again(search: Option<&PathSearch>, policy: &Policy, now_ms: i64) -> bool {
    let Some(search) = search else {
        return true;
    };
    let max_pause_ms = policy.ttl_ms(ASK_AGAIN_MS, policy.max_age_ms);
    let pause_ms = (search.last_ms - search.first_ms).clamp(ASK_AGAIN_MS, max_pause_ms.max(ASK_AGAIN_MS));
    is_over(Some(search.last_ms), pause_ms, now_ms)
}

/// Returns whether plexindex may search for an unlisted path now, if the last search for any path was at `last_ms`.
#[must_use]
pub fn may_ask_for_a_path(last_ms: Option<i64>, now_ms: i64) -> bool {
    is_over(last_ms, ASK_AGAIN_MS, now_ms)
}

/// Returns whether a pause is over. Also `true` if the pause never began (`None`) or the clock was set back.
#[must_use]
pub fn is_over(start_ms: Option<i64>, pause_ms: i64, now_ms: i64) -> bool {
    start_ms.is_none_or(|start_ms| !(0..pause_ms).contains(&now_ms.saturating_sub(start_ms)))
}

/// Returns whether the last search for a path found it so recently that no request is necessary.
#[must_use]
pub fn is_remembered(search: Option<&PathSearch>, policy: &Policy, now_ms: i64) -> bool {
    let ttl_ms = policy.ttl_ms(0, i64::MAX);
    search.is_some_and(|search| search.found && (0..ttl_ms).contains(&now_ms.saturating_sub(search.last_ms)))
}

/// Returns whether answers from a listing of this age are stale.
#[must_use]
pub fn is_stale(age: &Age, policy: &Policy, now_ms: i64) -> bool {
    age.held_back || need(age, policy, now_ms) != Need::Nothing
}

/// Returns whether a probe proves that the listing is current. `listed_token` is the change token of the listing, and
/// `probed` the state that the probe returned.
#[must_use]
pub fn is_current(age: &Age, listed_token: &str, probed: &SourceState, policy: &Policy, now_ms: i64) -> bool {
    let is_token_reliable = match probed.trust {
        Trust::Useless => false,
        Trust::Hint => age.hint != Hint::Changed && !probed.busy && !is_aged(age, policy, now_ms),
        Trust::Exact => true,
    };
    is_token_reliable && age.listed && !age.due && !age.provisional && !age.held_back && listed_token == probed.token
}

/// Returns whether a listing that begins in this state is provisional: a scan is running or has just ended, so items
/// may still change. A listing with an exact token is never provisional, since the token changes with every item.
#[must_use]
pub fn is_unsettled(change: &SourceState, now_ms: i64) -> bool {
    let since_scan_ms = now_ms.saturating_sub(change.scanned_ms);
    change.trust != Trust::Exact && (change.busy || (0..SETTLING_MS).contains(&since_scan_ms))
}

/// Returns whether the library did not change while its listing was fetched. `before` and `after` are its states at the
/// begin, at `begun_ms`, and at the end.
#[must_use]
pub fn is_settled(before: &SourceState, begun_ms: i64, after: &SourceState) -> bool {
    let is_scanning = after.busy && after.trust != Trust::Exact;
    !is_unsettled(before, begun_ms) && !is_scanning && before.token == after.token
}

/// Returns whether an interrupted listing can be resumed: its last page is recent, and the change token has not changed
/// since the listing began (`begun_at`).
#[must_use]
pub fn may_resume(last_page_ms: i64, begun_at: &SourceState, probed: &SourceState, now_ms: i64) -> bool {
    (0..RESUME_MS).contains(&now_ms.saturating_sub(last_page_ms)) && begun_at.token == probed.token
}

/// Returns whether a listing lost more than 30 % of its items, so that a second listing must confirm it. An unmounted
/// disk empties listings.
#[must_use]
pub fn shrank_too_much(items_before: u64, items_now: u64) -> bool {
    items_now.saturating_mul(10) < items_before.saturating_mul(7)
}

#[cfg(test)]
#[path = "freshness_tests.rs"]
mod tests;
