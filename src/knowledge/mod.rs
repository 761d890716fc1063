//! What plexindex knows about a library, and which request it needs next. These functions do no I/O: callers pass the
//! stored rows, the time, and a ticket for each request.
//!
//! Requests overlap: a reply can arrive after the reply to a later request, and neither order says which of the two the
//! server sent first. A [`Ticket`] before each request, from the counter that also numbers the commits, bounds when the
//! server can have sent the reply ([`Interval`]). Everything that is stored follows from three rules
//! ([`FreshnessRules`]):
//!
//! 1. **Value.** A reply replaces what is stored if the request began after the stored reply had come, and counts for
//!    nothing if it came before the request for the stored reply began. If the two overlap and differ, the later request
//!    counts, and the item is doubted.
//! 2. **Doubt.** A [`Doubt`] ends only by an observation of its own [`DoubtScope`] that shows what its [`Cause`] needs,
//!    and whose request began after the doubt was raised.
//! 3. **Fresh.** An answer is fresh if no doubt marks it, the token that the server last showed is equivalent to the
//!    token up to which the store has all changes, and that was checked within the TTL.
//!
//! The table of causes in `docs/design/freshness.md` says what each doubt needs, when that is due, and what it marks.
//!
//! A doubt about an item is about answers with this item; `Differs` is about all answers. After the minute, a delta that
//! does not show its item, or a probe with the listing's token, replaces it by `Unexplained`. A doubt about a path
//! withholds the items that were requested before it was raised, and marks the answers that lack them. A probe with an
//! exact token also shows what a delta does. An eviction keeps the doubts.
//!
//! | file | contains |
//! |---|---|
//! | `model` | what is known, what a request observes, the three rules, and the times: options, pauses, change tokens |
//! | `decisions` | [`fold`], the only function that changes what is known, [`need`], [`is_stale`] and [`path_question`] |
//!
//! The test is an explorer (`tests`), which runs through all interleavings of a few requests.

mod decisions;
mod model;

pub use decisions::{
    DOWN_SERVER_INTERVAL_MS, MAX_UNFETCHED_SEARCHES, Moment, PATH_REQUEST_INTERVAL_MS, PathQuestion, RequestBudget,
    fold, is_stale, may_search_again, need, path_question, was_found_recently, was_missed_recently,
};
pub use model::{
    CLOCK_TOLERANCE_MS, Cause, Doubt, DoubtScope, Effects, FileTickets, Interval, ItemStore, Knowledge, ListingState,
    Need, Observation, PROVISIONAL_MS, Policy, StandardRules, StoredItem, SyncRequest, Ticket, age_ms,
    is_older_content, is_pause_over, may_resume, shrank_too_much, tells_content,
};
#[cfg(test)]
pub use model::{FreshnessRules, Order, ProbedState};

#[cfg(test)]
mod tests;
