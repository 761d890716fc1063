//! Libraries.

use std::ffi::c_char;

use crate::guard::guard;
use crate::handles::opened;
use crate::query;
use crate::strings::out;
use crate::types::{Buffer, Handle, LibraryHandle};
use plexindex::error::Status;

/// Gives a handle for one library, or for all. Sends no request. A library that the store does not know is no error:
/// the first call that uses the handle asks the server for it.
///
/// `kind`: PLEXINDEX_SELECT_*. `selector`: the title, section id or uuid, UTF-8; NULL and 0 with PLEXINDEX_SELECT_ALL.
/// `out_library`: the handle, or NULL after an error. It lasts as long as the index. The same selector gives the same
/// handle. An index gives out 1,024 handles at most for names that no known library has.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_LIBRARY_AMBIGUOUS for a title of two known libraries; PLEXINDEX_INVALID_ARGUMENT.
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
    guard(error, || {
        // SAFETY: the caller's promise.
        let slot = unsafe { out(out_library, "out_library") }?;
        *slot = std::ptr::null();
        // SAFETY: the caller's promise.
        let (opened, selector) = unsafe { (opened(handle)?, query::selector(kind, selector, selector_length)?) };
        *slot = opened.library(selector)?;
        Ok(Status::Ok)
    })
}
