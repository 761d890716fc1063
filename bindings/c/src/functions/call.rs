//! Everything else, by name.

use std::ffi::{CStr, CString, c_char};

use crate::door::{self, Caller};
use crate::guard::{guard, guard_value};
use crate::handles::opened;
use crate::query::Limits;
use crate::strings::{bytes, null, out};
use crate::types::{Buffer, CallOptionsRecord, Handle};
use plexindex::error::Status;

/// Calls a method by its name, with a request and an answer in JSON. docs/methods.md describes each method;
/// plexindex.schema.json is the same for programs.
///
/// `handle`: may be NULL for `versions` and `paths.compare`. `method`: its name, NUL-terminated, such as "items.list".
/// `request`: a JSON object, UTF-8; NULL and 0 for an empty one. A field that the method does not know is refused.
/// `options`: the limits of the call; may be NULL. `out_json`: the answer, a JSON object, UTF-8 and NUL-terminated. It is
/// yours: give it to plexindex_free(). NULL after an error, but for the method `edit`, which says how far it came. Ignore
/// fields that you do not know: later versions may add some.
///
/// A field that is not known is absent. A path or a name of a table is a string, or `{"bytes": "<Base64>"}` where it is not
/// UTF-8. Keys and cursors are strings. With the cursor of a page you get the next page, as often as you ask.
///
/// Returns PLEXINDEX_OK and other statuses as the method says; PLEXINDEX_INVALID_ARGUMENT for a method or a request that this
/// version does not know.
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
        let caller = Caller {
            // SAFETY: as above.
            opened: if handle.is_null() {
                None
            } else {
                Some(unsafe { opened(handle) }?)
            },
            limits,
        };
        let (json, status): (Vec<u8>, plexindex::error::Result<Status>) = door::call(&caller, method, request)?;
        // JSON writes a NUL as an escape.
        *slot = CString::new(json).unwrap_or_default().into_raw();
        status
    })
}

/// Frees an answer of plexindex_call(). NULL is fine.
///
/// # Safety
/// `json` must be NULL, or come from plexindex_call() and not be used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_free(json: *mut c_char) {
    guard_value((), || {
        if !json.is_null() {
            // SAFETY: the caller's promise.
            drop(unsafe { CString::from_raw(json) });
        }
    });
}
