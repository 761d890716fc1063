//! Libraries.

use std::ffi::c_char;

use crate::guard::guard_slot;
use crate::handles::opened;
use crate::query;
use crate::types::{Buffer, Handle, LibraryHandle};
use plexindex::error::Status;

/// Returns a handle to one library, or to all libraries. Sends no request. If the store does not know the library,
/// the first call that uses the handle asks the server for the library.
///
/// `kind`: PLEXINDEX_SELECT_*. `selector`: the title, section id or uuid in UTF-8; NULL and 0 for PLEXINDEX_SELECT_ALL.
/// `out_library`: the handle, valid as long as the index; NULL after an error. The same selector always returns the
/// same handle. An index has at most 1,024 handles for unknown names.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_LIBRARY_AMBIGUOUS if two known libraries have the title; PLEXINDEX_INVALID_ARGUMENT.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_library(
    handle: *const Handle,
    kind: i32,
    selector: *const c_char,
    selector_length: usize,
    out_library: *mut *const LibraryHandle,
    error: *mut Buffer,
) -> i32 {
    guard_slot(error, out_library, "out_library", std::ptr::null(), |slot| {
        // SAFETY: guaranteed by the caller.
        let (opened, selector) = unsafe { (opened(handle)?, query::selector(kind, selector, selector_length)?) };
        *slot = opened.library(&selector)?;
        Ok(Status::Ok)
    })
}
