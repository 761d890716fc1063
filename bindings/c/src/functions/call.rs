//! Calls methods by name.

use std::ffi::{CStr, CString, c_char};

use crate::door::{self, Caller};
use crate::guard::{guard, guard_value};
use crate::handles::opened;
use crate::query::Limits;
use crate::strings::{bytes, null, out};
use crate::types::{Buffer, CallOptionsRecord, Handle};

/// Calls a method by its name, with a request and an answer in JSON. docs/methods.md describes the methods;
/// plexindex.schema.json is their JSON Schema.
///
/// `handle`: may be NULL for `versions` and `paths.compare`. `method`: the name, NUL-terminated, such as `items.list`.
/// `request`: a JSON object in UTF-8, at most 64 MiB; NULL and 0 for an empty one. Unknown fields are errors.
/// `options`: may be NULL. `out_json`: the answer, a JSON object in UTF-8, NUL-terminated; release it with
/// plexindex_free(). It is NULL after an error, except for `edit`, which reports how far it came.
///
/// Unknown values are absent. Ignore unknown fields. A path or table name is a string, or `{"bytes": "<Base64>"}` if it
/// is not UTF-8. Keys and cursors are strings. The cursor of a page returns the next page, as often as you ask. Returns
/// the status of the method; PLEXINDEX_INVALID_ARGUMENT for an unknown method or field.
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
    guard(error, || {
        // SAFETY: the caller's promise.
        let slot = unsafe { out(out_json, "out_json") }?;
        *slot = std::ptr::null_mut();
        if method.is_null() {
            return Err(null("method"));
        }
        // SAFETY: as above, for all of these.
        let (method, request, limits) = unsafe {
            (
                CStr::from_ptr(method).to_bytes(),
                bytes(request, request_length, "request")?,
                Limits::of_call(handle, options)?,
            )
        };
        // SAFETY: as above.
        let opened = unsafe { (!handle.is_null()).then(|| opened(handle)).transpose() }?;
        let caller = Caller { opened, limits };
        let (json, status) = door::call(&caller, method, request)?;
        // JSON writes a NUL as an escape.
        *slot = CString::new(json).unwrap_or_default().into_raw();
        status
    })
}

/// Releases an answer of plexindex_call(). NULL is fine.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
#[allow(clippy::semicolon_if_nothing_returned)] // its body is one call of the guard, as a test wants it
pub unsafe extern "C" fn plexindex_free(json: *mut c_char) {
    guard_value((), || {
        if !json.is_null() {
            // SAFETY: the caller's promise.
            drop(unsafe { CString::from_raw(json) });
        }
    })
}
