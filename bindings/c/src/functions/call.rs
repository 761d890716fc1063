//! Methods by name.

use std::ffi::{CStr, CString, c_char};

use crate::guard::{guard_slot, guard_value};
use crate::handles::opened;
use crate::methods::{self, Caller};
use crate::query::Limits;
use crate::strings::{bytes, null_error};
use crate::types::{Buffer, CallOptionsRecord, Handle};

/// Calls a method by name, with a request and an answer in JSON. docs/methods.md describes the methods, and
/// plexindex.schema.json is their JSON Schema.
///
/// `handle`: may be NULL for `versions`, `log.set_level` and `paths.compare`. `method`: the name, NUL-terminated.
/// `request`: a JSON object in UTF-8, at most 64 MiB; NULL and 0 for an empty object. Unknown fields are errors.
/// `options`: may be NULL. `out_json`: the answer, a NUL-terminated JSON object in UTF-8; free it with
/// plexindex_free(). NULL after an error.
///
/// Answers omit unknown values. Ignore fields that you do not know. A path or table name is a string, or `{"bytes":
/// "<Base64>"}` if it is not UTF-8. Keys and cursors are strings. You can use the cursor of a page more than once to
/// get the next page. Returns the method's status, or PLEXINDEX_INVALID_ARGUMENT for an unknown method or field.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_call(
    handle: *const Handle,
    method: *const c_char,
    request: *const c_char,
    request_length: usize,
    options: *const CallOptionsRecord,
    out_json: *mut *mut c_char,
    error: *mut Buffer,
) -> i32 {
    guard_slot(error, out_json, "out_json", std::ptr::null_mut(), |slot| {
        if method.is_null() {
            return Err(null_error("method"));
        }
        // SAFETY: guaranteed by the caller.
        let (method, request, limits) = unsafe {
            (
                CStr::from_ptr(method).to_bytes(),
                bytes(request, request_length, "request")?,
                Limits::from_options(handle, options)?,
            )
        };
        // SAFETY: guaranteed by the caller.
        let opened = unsafe { (!handle.is_null()).then(|| opened(handle)).transpose() }?;
        let caller = Caller { opened, limits };
        let (json, status) = methods::call(&caller, method, request)?;
        // JSON escapes NUL characters, so the answer contains none.
        *slot = CString::new(json).unwrap_or_default().into_raw();
        Ok(status)
    })
}

/// Frees an answer of plexindex_call(). `json` may be NULL.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
#[allow(clippy::semicolon_if_nothing_returned)] // a test requires that the body is one call of the guard
pub unsafe extern "C" fn plexindex_free(json: *mut c_char) {
    guard_value((), || {
        if !json.is_null() {
            // SAFETY: guaranteed by the caller.
            drop(unsafe { CString::from_raw(json) });
        }
    })
}
