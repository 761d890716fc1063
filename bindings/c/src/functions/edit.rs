//! Edits.

use crate::edit;
use crate::guard::guard;
use crate::types::{Buffer, EditRecord, EditReportRecord};

/// Gives many items the same values, with one request for each hundred items of a type. Sends no request when the edit
/// has no items or changes, or when one of the items does not exist. The first failed request ends the call. Before an
/// edited item is answered again, one request verifies it. Recorded matches stay. No function ends this call: give a
/// deadline. Without one a request ends when the server is silent for `options.read_timeout_ms`.
///
/// `out_report`: may be NULL. It is filled in also when the call fails, unless an argument was refused.
///
/// Returns PLEXINDEX_OK when all items were edited; PLEXINDEX_INVALID_ARGUMENT for an edit that is refused;
/// PLEXINDEX_NOT_ON_SERVER when items do not exist; PLEXINDEX_OFFLINE; PLEXINDEX_TIMEOUT when the deadline came first;
/// the server's error, with its answer in the text.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_edit_items(
    edit: *const EditRecord,
    out_report: *mut EditReportRecord,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        unsafe { edit::run(&edit::edit(edit)?, out_report) }
    })
}
