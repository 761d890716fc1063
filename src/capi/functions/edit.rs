//! Batch edits.

use crate::capi::edit;
use crate::capi::guard::guard;
use crate::capi::handles::opened;
use crate::capi::types::{Edit, EditReport, Handle};
use crate::error::Status;

/// Gives many items the same values: one request to the server for each hundred items of a type. Nothing is sent for an
/// edit without items or without changes, nor when one of the items does not exist. After a request that failed no other
/// is sent. Items that were edited are asked for once before they are answered again; matches that were recorded stay.
///
/// `edit`: see plexindex_edit; read during the call only. `report`: see plexindex_edit_report; may be NULL. It is filled in
/// by every call that gets as far as to look at the items, errors included.
///
/// Returns PLEXINDEX_OK when all items were edited; PLEXINDEX_INVALID_ARGUMENT for an edit that is refused;
/// PLEXINDEX_NOT_ON_SERVER when items do not exist; PLEXINDEX_OFFLINE; PLEXINDEX_TIMEOUT when the deadline came first; the
/// server's error, with its answer in the message.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open, and the edit's library one of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_edit_items(
    handle: *const Handle,
    edit: *const Edit,
    report: *mut EditReport,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { edit::run(opened(handle)?.index(), &edit::edit(edit)?, report) }?;
        Ok(Status::Ok)
    })
}
