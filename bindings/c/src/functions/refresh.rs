//! Refresh.

use crate::constants as c;
use crate::guard::guard;
use crate::query;
use crate::types::{Buffer, Handle, QueryRecord};
use plexindex::error::{invalid_argument_error, truncate_for_message};
use plexindex::inside::RefreshReason;

/// Brings the query's library, or all libraries, up to date, like a match with an expired listing. Sends no request for
/// fresh listings; with PLEXINDEX_QUERY_PROBE, sends one request for all libraries. PLEXINDEX_QUERY_FULL always fetches
/// a full listing. Verifies up to 256 invalidated items, 64 per request. `text` must be empty.
///
/// plexindex holds back a listing that has lost more than 30 % of its items, since a disk may be unmounted. The call
/// then logs a warning and returns PLEXINDEX_NOT_YET, and the old listing answers with PLEXINDEX_ANSWER_STALE. plexindex
/// accepts the next listing of any size at least a minute later, or at once with PLEXINDEX_QUERY_FULL.
///
/// Returns PLEXINDEX_OK if answers are then fresh; PLEXINDEX_NOT_YET if they are not, or if the timeout passed, and the
/// next call continues; PLEXINDEX_NEEDS_WARM if no data arrived; or PLEXINDEX_TIMEOUT if no library is known.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open, and the query's library must belong to `handle`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_refresh(
    handle: *const Handle,
    query: *const QueryRecord,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: guaranteed by the caller.
        let checked = unsafe { query::query(handle, query, c::PLEXINDEX_QUERY_FULL | c::PLEXINDEX_QUERY_PROBE) }?;
        if !checked.text.is_empty() {
            return invalid_argument_error(format!(
                "query.text is '{}', but plexindex_refresh() requires an empty text; set query.library instead",
                truncate_for_message(checked.text)
            ));
        }
        checked.check_no_size()?;
        match (checked.is_full(), checked.is_probe()) {
            (true, _) => checked.query.refresh_as("refresh", RefreshReason::Full),
            (false, true) => checked.query.refresh_as("check", RefreshReason::Check),
            (false, false) => checked.query.refresh_as("refresh", RefreshReason::Due),
        }
    })
}
