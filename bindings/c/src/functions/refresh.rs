//! Refresh.

use crate::constants as c;
use crate::guard::guard;
use crate::query;
use crate::types::{Buffer, Handle, QueryRecord};
use plexindex::error::{abridged, refuse};
use plexindex::inside::RefreshReason;

/// Brings the query's library, or all, up to date, as a match with an expired listing does. Sends no request for fresh
/// listings; with PLEXINDEX_QUERY_PROBE one for all. PLEXINDEX_QUERY_FULL always fetches a full listing. Verifies up to
/// 256 invalidated items, 64 per request. `text` must be empty.
///
/// plexindex holds back a listing that has lost more than 30 % of its items, since a disk may not be mounted. The call
/// then returns PLEXINDEX_OK, logs a warning, and the old listing answers with PLEXINDEX_ANSWER_STALE, whatever its
/// `age_ms`. The next listing, at least a minute later, counts whatever its size; PLEXINDEX_QUERY_FULL counts at once.
///
/// Returns PLEXINDEX_OK if the library is up to date; PLEXINDEX_NOT_YET if the deadline passed: the next call
/// continues; PLEXINDEX_NEEDS_WARM if nothing arrived until then; PLEXINDEX_TIMEOUT if no library was known either.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_refresh(
    handle: *const Handle,
    query: *const QueryRecord,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let checked = unsafe { query::query(handle, query, c::PLEXINDEX_QUERY_FULL | c::PLEXINDEX_QUERY_PROBE) }?;
        if !checked.text.is_empty() {
            return refuse(format!(
                "query.text is '{}', but plexindex_refresh() takes no text; set query.library instead",
                abridged(checked.text)
            ));
        }
        match (checked.is_full(), checked.is_probe()) {
            (true, _) => checked.query.refresh_as("refresh", RefreshReason::Full),
            (false, true) => checked.query.refresh_as("check", RefreshReason::Now),
            (false, false) => checked.query.refresh_as("refresh", RefreshReason::Due),
        }
    })
}
