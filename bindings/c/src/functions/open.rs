//! Opens and closes an index, and returns handles to libraries.

use std::ffi::{CStr, c_char};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use plexindex::error::{Status, check_length, invalid_argument_error};
use plexindex::model::Token;

use crate::constants as c;
use crate::guard::{self, Opened, guard, guard_slot, guard_value, opened};
use crate::options::{self, is_in_callback};
use crate::strings::{LONGEST_TOKEN, bytes, check_aligned};
use crate::types::{Buffer, Handle, LibraryHandle, OptionsRecord};

/// The crate's version, NUL-terminated.
const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// Returns the PLEXINDEX_ABI_VERSION of the header that this library was built with. Never fails.
#[unsafe(no_mangle)]
pub extern "C" fn plexindex_get_abi_version() -> u32 {
    guard_value(0, || c::PLEXINDEX_ABI_VERSION)
}

/// Returns this library's version, such as `0.1.0`, as a static NUL-terminated string; never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn plexindex_get_version() -> *const c_char {
    guard_value(c"".as_ptr(), || VERSION.as_ptr())
}

/// Returns a status name, such as `NOT_FOUND`, or else `UNKNOWN`, as a static NUL-terminated string; never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn plexindex_get_status_name(status: i32) -> *const c_char {
    guard_value(c"UNKNOWN".as_ptr(), || {
        Status::from_number(status).map_or(c"UNKNOWN", Status::c_name).as_ptr()
    })
}

/// Opens an index. Reads only the disk. Several handles and processes can open the same folder.
///
/// Returns PLEXINDEX_OK and sets `out_handle`, or sets it to NULL and returns an error: PLEXINDEX_INVALID_ARGUMENT or
/// PLEXINDEX_UNSUPPORTED for the options; PLEXINDEX_STORE or PLEXINDEX_STORE_FULL for the store.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_open(
    options: *const OptionsRecord,
    out_handle: *mut *mut Handle,
    error: *mut Buffer,
) -> i32 {
    guard_slot(error, out_handle, "out_handle", std::ptr::null_mut(), |slot| {
        // SAFETY: guaranteed by the caller.
        let options = unsafe { options::options(options) }?;
        let opened = Arc::clone(&options.handle_after_open);
        *slot = Opened::open(options)?.into_handle();
        opened.store(*slot, Ordering::Relaxed);
        Ok(Status::Ok)
    })
}

/// Replaces the token of an open index. Sends no request. Running calls keep using the old token; a watch reconnects.
///
/// With `options.user`, the index keeps its content. Otherwise, the index is empty until the server has accepted the
/// new token in a later call. The index then has the content stored for this token, or for the user in a JSON Web Token
/// (`thumbprint`, `username`). For any other token, the index starts empty.
///
/// `token`: as options.token; NULL and 0 for none. Returns PLEXINDEX_OK, PLEXINDEX_INVALID_ARGUMENT or PLEXINDEX_STORE.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_set_token(
    handle: *const Handle,
    token: *const c_char,
    token_length: usize,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: guaranteed by the caller.
        let (opened, token) = unsafe { (opened(handle)?, bytes(token, token_length, "token")?) };
        check_length("the token", token_length, LONGEST_TOKEN)?;
        let token = options::token_text(token, "the token")?;
        opened.index().set_token(Token::new(token))
    })
}

/// Closes an index: saves its counters and stops its threads. `handle` may be NULL. From this call on, no other thread
/// may use or close the handle, or use its libraries or tables; plexindex cannot detect such use.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_STORE if the index was closed but its counters could not be saved;
/// PLEXINDEX_INVALID_ARGUMENT, without closing the index, in a callback of this index or for an invalid `error`.
///
/// # Safety
/// `handle` must be NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_close(handle: *mut Handle, error: *mut Buffer) -> i32 {
    guard(error, || {
        if handle.is_null() {
            return Ok(());
        }
        check_aligned(handle.cast::<Opened>(), "handle")?;
        if is_in_callback(handle) {
            return invalid_argument_error(
                "cannot close the index from its own callback; return from the callback first",
            );
        }
        // SAFETY: guaranteed by the caller.
        unsafe { Opened::from_handle(handle) }.close()
    })
}

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
        let (opened, selector) = unsafe { (opened(handle)?, guard::selector(kind, selector, selector_length)?) };
        *slot = opened.library(&selector)?;
        Ok(Status::Ok)
    })
}
