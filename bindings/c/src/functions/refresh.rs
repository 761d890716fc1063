//! Refresh.

use crate::constants as c;
use crate::guard::guard;
use crate::query;
use crate::types::{Buffer, Handle, QueryRecord};
use plexindex::error::{abridged, refuse};
use plexindex::inside::RefreshReason;

/// Brings the query's library, or all, up to date, as a match does when a listing has expired. Fresh listings cost no
/// request; with PLEXINDEX_QUERY_PROBE the server is asked once for all. PLEXINDEX_QUERY_FULL fetches a full listing in
/// any case. Up to 256 invalidated items are verified, 64 with a request. `text` must be empty.
///
/// A listing that has lost more than 30 % of its items is held back, since a disk may not be mounted: the call returns
/// PLEXINDEX_OK, the log has a warning, and the old listing answers with PLEXINDEX_ANSWER_STALE, whatever `age_ms` is.
/// The next listing, a minute later or more, counts whatever its size. PLEXINDEX_QUERY_FULL believes it at once.
///
/// Returns PLEXINDEX_OK when the library is up to date; PLEXINDEX_NOT_YET when the deadline came first: the next call
/// continues; PLEXINDEX_NEEDS_WARM when nothing came until then; PLEXINDEX_TIMEOUT when no library was known either.
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
                "query.text is '{}', but plexindex_refresh() takes no text: give the library in query.library",
                abridged(checked.text)
            ));
        }
        match (checked.full(), checked.probe()) {
            (true, _) => checked.query.refresh_as("refresh", RefreshReason::Full),
            (false, true) => checked.query.refresh_as("check", RefreshReason::Now),
            (false, false) => checked.query.refresh_as("refresh", RefreshReason::Due),
        }
    })
}
