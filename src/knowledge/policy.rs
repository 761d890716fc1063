//! The times of freshness: the host's options, the pauses of the server, and what a change token says.

use crate::model::{SourceState, TokenReliability};
use crate::options::{Options, Ttl};

/// Time after which plexindex asks again about a library that Plex was scanning, or whose item counts disagreed.
pub const PROVISIONAL_MS: i64 = 60_000;
/// Time after a scan during which items can still change.
pub const SETTLING_MS: i64 = 60_000;
/// Assumed number of rows per page of a full listing.
pub const PAGE_ROWS: u64 = 1_000;
/// Maximum clock correction, in either direction, that does not expire listings. Small clock corrections are frequent.
pub const CLOCK_TOLERANCE_MS: i64 = 60_000;
/// Time after a listing, per page of the listing, during which deltas can replace a new listing. Large listings are
/// expensive, so they are less frequent.
const LISTING_INTERVAL_PER_PAGE_MS: i64 = 15 * 60_000;

/// Time after the last page during which plexindex can resume an interrupted listing.
const RESUME_MS: i64 = 600_000;

/// How long answers from a listing are not stale, from the host's options.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub(crate) ttl: Ttl,
    pub(crate) max_age_ms: i64,
}

impl Policy {
    /// Creates the policy from the host's options: the TTL and the maximum age.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            ttl: options.library_ttl,
            max_age_ms: i64::try_from(options.max_age.as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// Returns the policy by which listings do not expire.
    #[must_use]
    pub fn without_ttl(self) -> Self {
        Self {
            ttl: Ttl::Forever,
            ..self
        }
    }

    /// Returns the TTL in milliseconds. The caller chooses the result for [`Ttl::Zero`] (`zero_ms`) and
    /// [`Ttl::Forever`] (`forever_ms`).
    pub(crate) fn ttl_ms(&self, zero_ms: i64, forever_ms: i64) -> i64 {
        match self.ttl {
            Ttl::For(ttl) => i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX),
            Ttl::Zero => zero_ms,
            Ttl::Forever => forever_ms,
        }
    }
}

/// Returns whether a pause of `pause_ms` that started at `start_ms` is over. Also returns `true` if no pause has
/// started (`None`), or if it started in the future, because the clock was set back.
#[must_use]
pub fn is_pause_over(start_ms: Option<i64>, pause_ms: i64, now_ms: i64) -> bool {
    start_ms.is_none_or(|start_ms| !(0..pause_ms).contains(&now_ms.saturating_sub(start_ms)))
}

/// Returns whether a listing is older than the option `max_age`. Also returns `true` for a listing from the future,
/// because the clock was set back and the age is unknown.
pub fn is_aged(listed_ms: i64, policy: &Policy, now_ms: i64) -> bool {
    !(-CLOCK_TOLERANCE_MS..policy.max_age_ms).contains(&now_ms.saturating_sub(listed_ms))
}

/// Returns the milliseconds since a listing was last known to be current (`checked_ms`), for answers; `None` if that
/// time is in the future, because the clock was set back.
#[must_use]
pub fn age_ms(checked_ms: i64, now_ms: i64) -> Option<i64> {
    let age = now_ms.saturating_sub(checked_ms);
    (age > -CLOCK_TOLERANCE_MS).then(|| age.max(0)) // small clock corrections count as age 0
}

/// Returns whether plexindex can resume an interrupted listing: its last page is recent, and the change token is still
/// the token from the start of the listing. `begun_at`: the library's state then. `probed`: its state now.
#[must_use]
pub fn may_resume(last_page_ms: i64, begun_at: &SourceState, probed: &SourceState, now_ms: i64) -> bool {
    (0..RESUME_MS).contains(&now_ms.saturating_sub(last_page_ms)) && begun_at.token == probed.token
}

/// Returns for how many milliseconds after a listing of this many items deltas can replace a new listing.
pub fn listing_interval_ms(items: u64, policy: &Policy) -> i64 {
    let pages = i64::try_from(items / PAGE_ROWS).unwrap_or(i64::MAX).saturating_add(1); // the last may be empty
    pages
        .saturating_mul(LISTING_INTERVAL_PER_PAGE_MS)
        .min(policy.max_age_ms)
}

/// Returns the first word of a change token, which changes only if the library's content changes. The rest of the token
/// can change although nothing has changed, for example after each scan.
fn content_of(token: &str) -> &str {
    token.split_once(' ').map_or(token, |(content, _)| content)
}

/// Returns whether the change token shows changes of the content at all; in some libraries, the value is always 0.
pub fn tells_content(token: &str) -> bool {
    content_of(token) != "0"
}

/// Returns whether a token that is a hint says that the library's content has changed since the listing.
#[must_use]
pub fn has_changed_content(listed_token: &str, probed: &SourceState) -> bool {
    probed.trust == TokenReliability::Hint && content_of(listed_token) != content_of(&probed.token)
}

/// Returns whether items can still change after a request in this state: a scan is running or ended less than a minute
/// ago. Always returns `false` for an exact token, which shows every later change.
#[must_use]
pub fn is_unsettled(state: &SourceState, now_ms: i64) -> bool {
    let since_scan_ms = now_ms.saturating_sub(state.scanned_ms);
    state.trust != TokenReliability::Exact && (state.busy || (0..SETTLING_MS).contains(&since_scan_ms))
}

/// Returns whether a listing has lost more than one item and more than 30 % of its items. A second listing must then
/// confirm the loss, because an unmounted disk can empty a listing.
#[must_use]
pub fn shrank_too_much(items_before: u64, items_now: u64) -> bool {
    items_now.saturating_add(1) < items_before && items_now.saturating_mul(10) < items_before.saturating_mul(7)
}
