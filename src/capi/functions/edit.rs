//! Batch edits.

use crate::capi::edit;
use crate::capi::guard::guard;
use crate::capi::handles::opened;
use crate::capi::types::{Buffer, EditRecord, EditReportRecord, Handle};

/// Gives many items the same values, with one request for each hundred items of a type. No request is sent for an edit
/// without items or without changes, or when one of the items does not exist. The first request that fails is the last
/// one. Before an edited item is answered again, one request verifies it. Recorded matches stay.
///
/// `edit`: see plexindex_edit; read during the call only. `report`: see plexindex_edit_report; may be NULL. It is
/// filled in also when the call fails, unless an argument was refused.
///
/// Returns PLEXINDEX_OK when all items were edited; PLEXINDEX_INVALID_ARGUMENT for an edit that is refused;
/// PLEXINDEX_NOT_ON_SERVER when items do not exist; PLEXINDEX_OFFLINE; PLEXINDEX_TIMEOUT when the deadline came first;
/// the server's error, with its answer in the message.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open, and the edit's library one of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_edit_items(
    handle: *const Handle,
    edit: *const EditRecord,
    report: *mut EditReportRecord,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        unsafe {
            opened(handle)?;
            edit::run(&edit::edit(edit)?, report)
        }
    })
}
