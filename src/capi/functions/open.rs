//! Version, errors, and an index from its opening to its closing.

use std::ffi::{CStr, c_char};

use crate::capi::constants as c;
use crate::capi::guard::{guard, guard_value, last_error_message};
use crate::capi::handles::{Opened, opened};
use crate::capi::options;
use crate::capi::strings::{aligned, bytes, out};
use crate::capi::types::{Buffer, Handle, OptionsRecord};
use crate::error::Status;
use crate::model::Token;

/// The crate's version, NUL-terminated.
const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// The ABI version of this library: PLEXINDEX_ABI_VERSION of the header that it was built with. Never fails.
#[unsafe(no_mangle)]
pub extern "C" fn plexindex_abi_version() -> u32 {
    guard_value(0, || c::PLEXINDEX_ABI_VERSION)
}

/// The version of this library, such as `0.1.0`: static, NUL-terminated, never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn plexindex_version() -> *const c_char {
    guard_value(c"".as_ptr(), || VERSION.as_ptr())
}

/// The name of a status without its prefix, such as `NOT_FOUND`. A number that this version does not know gives
/// `UNKNOWN`. Static, NUL-terminated, never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn plexindex_status_name(status: i32) -> *const c_char {
    guard_value(c"UNKNOWN".as_ptr(), || {
        Status::from_number(status).map_or(c"UNKNOWN", Status::c_name).as_ptr()
    })
}

/// The text of this thread's last error: a status from 100 on. It names the input and the remedy. UTF-8,
/// NUL-terminated, never NULL, and empty before the first error. It belongs to the thread and is valid until
/// the thread's next call that fails; no other call ends it. A text that is too long ends in `…`. Where calls are made on
/// threads that the runtime chooses, give each call a buffer of its own instead: the argument `error` (plexindex_buffer).
#[unsafe(no_mangle)]
pub extern "C" fn plexindex_last_error_message() -> *const c_char {
    guard_value(c"".as_ptr(), last_error_message)
}

/// Opens an index. Reads the disk only and sends no request. Several handles and several processes may have the same
/// folder open.
///
/// `options`: see plexindex_options; read during the call only. `out_handle`: receives the handle on PLEXINDEX_OK, and
/// NULL otherwise.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_NULL_POINTER; PLEXINDEX_INVALID_ARGUMENT or PLEXINDEX_UNSUPPORTED for options that
/// are refused; PLEXINDEX_STORE or PLEXINDEX_STORE_FULL when the store cannot be opened or made.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_open(
    options: *const OptionsRecord,
    out_handle: *mut *mut Handle,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let slot = unsafe { out(out_handle, "out_handle") }?;
        *slot = std::ptr::null_mut();
        // SAFETY: the caller's promise.
        let options = unsafe { options::options(options) }?;
        *slot = Opened::open(options)?.into_handle();
        Ok(Status::Ok)
    })
}

/// Replaces the token of an open index. Sends no request. Calls that are under way go on with the token that they began with.
/// A watch connects again with the new one. A failure that was remembered is forgotten.
///
/// With `options.user` all that the index holds stays, and answers at once.
///
/// Without it the index answers nothing until the server has accepted the new token. The next call that may send a request finds
/// that out. Until then plexindex_changes_json() and plexindex_notify() give PLEXINDEX_LIBRARY_NOT_FOUND ('the server has not
/// accepted the token yet').
///
/// Once the server has accepted it, the index holds again what it held for this same token, or for the same user: a JSON Web
/// Token names its user by its key pair and its name (`thumbprint`, `username`). Cursors of the feed hold, too. For any other
/// token the index begins anew: libraries are listed again, and plexindex_changes_json() gives PLEXINDEX_LIST_AGAIN for earlier
/// cursors.
///
/// `token`, `length`: as options.token; NULL and 0 for none. Read during the call only.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_INVALID_ARGUMENT for a text that cannot be a token; PLEXINDEX_NULL_POINTER; PLEXINDEX_STORE.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_set_token(
    handle: *const Handle,
    token: *const c_char,
    length: usize,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (opened, token) = unsafe { (opened(handle)?, bytes(token, length, "token")?) };
        let token = options::token_text(token, "the token")?;
        opened.index().set_token(Token::new(token))
    })
}

/// Closes an index. Its counters are written, and no thread of the library runs afterwards. NULL is fine.
///
/// The handle and its library handles are invalid from the start of this call on, and the library cannot detect their
/// use: no other thread may be in a call with them, and none may begin one.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_STORE when the counters could not be written. The index is closed all the same, unless
/// `error` was refused.
///
/// # Safety
/// `handle` must be NULL or come from plexindex_open() and not be closed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_close(handle: *mut Handle, error: *mut Buffer) -> i32 {
    guard(error, || {
        if handle.is_null() {
            return Ok(());
        }
        aligned(handle.cast::<Opened>(), "handle")?;
        // SAFETY: the caller's promise.
        unsafe { Opened::from_handle(handle) }.close()
    })
}
