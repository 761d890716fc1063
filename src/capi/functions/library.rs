//! Handles of libraries.

use std::ffi::c_char;

use crate::capi::guard::guard;
use crate::capi::handles::opened;
use crate::capi::query;
use crate::capi::strings::out;
use crate::capi::types::{Handle, LibraryHandle};
use crate::error::Status;

/// A handle for a library, or for all of them. Fetches nothing: a library that the store does not know yet is looked
/// for when it is first asked.
///
/// `kind`: PLEXINDEX_SELECT_*. `selector`, `length`: the title, section id or uuid, UTF-8; NULL and 0 with
/// PLEXINDEX_SELECT_ALL. `out_library`: receives the handle; the same one for the same selector. It lasts as long as the
/// index: for names that no known library has, 1,024 are given out at most.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_LIBRARY_AMBIGUOUS when two known libraries share the title (the message lists
/// their ids); PLEXINDEX_INVALID_ARGUMENT, also for one name too many; PLEXINDEX_NULL_POINTER.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_library(
    handle: *const Handle,
    kind: i32,
    selector: *const c_char,
    length: usize,
    out_library: *mut *const LibraryHandle,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, slot) = unsafe { (opened(handle)?, out(out_library, "out_library")?) };
        *slot = std::ptr::null();
        // SAFETY: the caller's promise.
        let selector = unsafe { query::selector(kind, selector, length) }?;
        *slot = opened.library(selector)?;
        Ok(Status::Ok)
    })
}
