//! When to ask the server about an unlisted path, which may be new.
//!
//! - plexindex asks about every path about which it has never asked.
//! - A question begins with a probe, which answers for all paths that were missed before the question began, so the
//!   paths of a batch and simultaneous calls share one.
//! - If the library has changed, plexindex fetches the changes, and then searches for the path; also as long as a change
//!   is unexplained. Until a search that began after the change succeeds, the question stays open. If the library has
//!   not changed, one search every 30 s is enough, for files that Plex renamed without changing a token.
//! - plexindex asks about the same path again after 30 s, and again; then it doubles this pause each time. A change of the
//!   library, or a doubt that tells of one, ends the pause.
//! - The requests that find nothing have a budget, which all processes share. While the budget is exhausted, plexindex
//!   asks no question, and marks the answer as stale.

use super::model::{Policy, is_pause_over};
use crate::model::PathSearch;

/// Minimum pause between two questions or searches for the same path.
pub const PATH_REQUEST_INTERVAL_MS: i64 = 30_000;
/// Pause, instead of `PATH_REQUEST_INTERVAL_MS`, after the server refused a connection or was starting. This pause is
/// short because the server may be back soon, and an attempt costs little.
pub const DOWN_SERVER_INTERVAL_MS: i64 = 5_000;
/// Maximum number of searches within `PATH_REQUEST_INTERVAL_MS` for a library that was never fetched. Instead of
/// sending more searches, plexindex fetches the library.
pub const MAX_UNFETCHED_SEARCHES: u64 = 3;
/// Number of fruitless requests that plexindex may send at once.
const BURST: i64 = 20;
/// Interval at which the budget grows by one request.
const REFILL_MS: i64 = 8_000;
/// Maximum number of requests that one question costs, in case other threads sent requests at the same time.
const MAX_COST: u64 = 5;

/// What to do about an unlisted path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathQuestion {
    /// Ask the server.
    #[default]
    Ask,
    /// Do not ask: a probe since the call started is the answer.
    Probed,
    /// Do not ask: the answer to an earlier question is still valid.
    Answered,
    /// Do not ask now, because plexindex has sent too many fruitless requests, for this path or for all. The path may
    /// be new.
    Postponed,
}

/// Returns what to do about an unlisted path. `earlier`: the earlier questions about the path, which are no answer if a
/// search must still follow (`found`); `None` if there was none. `has_news`: whether the library has changed since the
/// last question about the path, or was doubted so ([`Doubt::is_news`](super::Doubt::is_news)).
#[must_use]
pub fn path_question(
    earlier: Option<&PathSearch>,
    has_news: bool,
    budget: RequestBudget,
    policy: &Policy,
    now_ms: i64,
) -> PathQuestion {
    let earlier = earlier.filter(|question| !question.found);
    let last_ms = earlier.map(|question| question.last_ms);
    if has_news {
        PathQuestion::Ask
    } else if !is_pause_over(last_ms, PATH_REQUEST_INTERVAL_MS, now_ms) {
        PathQuestion::Answered
    } else if may_search_again(earlier, policy, now_ms) && budget.has_room(now_ms) {
        PathQuestion::Ask
    } else {
        PathQuestion::Postponed // the path may be new by now, and the answer says so
    }
}

/// The budget for fruitless requests: a token bucket, stored as the time at which the bucket is full again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestBudget {
    /// Time at which the budget is whole again, in Unix ms.
    pub whole_ms: i64,
}

impl RequestBudget {
    /// Returns whether the budget allows another question.
    #[must_use]
    pub fn has_room(self, now_ms: i64) -> bool {
        self.whole_ms.saturating_sub(now_ms) < BURST * REFILL_MS
    }

    /// Returns the budget after `requests` more requests.
    #[must_use]
    pub fn spend(self, requests: u64, now_ms: i64) -> Self {
        let cost_ms = i64::try_from(requests.min(MAX_COST)).unwrap_or(0) * REFILL_MS;
        Self {
            whole_ms: self.whole_ms.max(now_ms) + cost_ms,
        }
    }

    /// Returns the budget after `requests` requests turned out to be fruitful.
    #[must_use]
    pub fn refund(self, requests: u64) -> Self {
        let cost_ms = i64::try_from(requests.min(MAX_COST)).unwrap_or(0) * REFILL_MS;
        Self {
            whole_ms: self.whole_ms.saturating_sub(cost_ms),
        }
    }
}

/// Returns whether plexindex may search for the same path again. `search`: the earlier searches for the path; `None` if
/// there was none. A pause equals the time between the first and the last search, so each is about twice as long as the
/// one before. A pause lasts at least `PATH_REQUEST_INTERVAL_MS`, and at most the TTL.
#[must_use]
pub fn may_search_again(search: Option<&PathSearch>, policy: &Policy, now_ms: i64) -> bool {
    let Some(search) = search else {
        return true;
    };
    let max_pause_ms = policy.ttl_ms(PATH_REQUEST_INTERVAL_MS, policy.max_age_ms);
    let pause_ms =
        (search.last_ms - search.first_ms).clamp(PATH_REQUEST_INTERVAL_MS, max_pause_ms.max(PATH_REQUEST_INTERVAL_MS));
    is_pause_over(Some(search.last_ms), pause_ms, now_ms)
}

/// Returns whether the last search did not find the path, and was less than a TTL ago.
#[must_use]
pub fn was_missed_recently(search: Option<&PathSearch>, policy: &Policy, now_ms: i64) -> bool {
    let ttl_ms = policy.ttl_ms(i64::MAX, i64::MAX);
    search.is_some_and(|search| !search.found && (0..ttl_ms).contains(&now_ms.saturating_sub(search.last_ms)))
}

/// Returns whether the last search found the path, and was so recent that plexindex can answer without a new request.
#[must_use]
pub fn was_found_recently(search: Option<&PathSearch>, policy: &Policy, now_ms: i64) -> bool {
    let ttl_ms = policy.ttl_ms(0, i64::MAX); // TTL of zero: never recent; forever: always
    search.is_some_and(|search| search.found && (0..ttl_ms).contains(&now_ms.saturating_sub(search.last_ms)))
}
