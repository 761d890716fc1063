//! Events.

use std::ffi::c_char;

use crate::guard::guard;
use crate::handles::opened;
use crate::strings::bytes;
use crate::types::{Buffer, Handle};
use plexindex::error::Status;

/// Stores an event that the host received, so that the next query about the changed library asks the server. Sends no
/// request. `body`: the JSON of a webhook (the field `payload` of Plex's request), the whole multipart form with that
/// field, or the text of a notification: a WebSocket message, or the `data` of an event from the event stream.
///
/// Returns PLEXINDEX_OK once the event is stored for all processes, or if there is nothing to store: the event reports
/// no change or is from another server (`Server.uuid` of a webhook), or no library is known. Until the server has
/// accepted a new token, stores nothing and returns PLEXINDEX_NOT_FETCHED: call plexindex_refresh() with
/// PLEXINDEX_QUERY_PROBE, then this function again. Any other body is PLEXINDEX_INVALID_ARGUMENT.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_notify(
    handle: *const Handle,
    body: *const c_char,
    body_length: usize,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: guaranteed by the caller.
        let (opened, body) = unsafe { (opened(handle)?, bytes(body, body_length, "body")?) };
        opened.index().notify(body).map(drop)
    })
}

/// Makes each waiting `changes.wait` on this handle call its `progress` within 50 ms. Do not call in a signal handler.
///
/// # Safety
/// `handle` must be NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_wake_waiting(handle: *const Handle, error: *mut Buffer) -> i32 {
    guard(error, || {
        // SAFETY: guaranteed by the caller.
        unsafe { opened(handle) }?.index().wake_waiting();
        Ok(Status::Ok)
    })
}
