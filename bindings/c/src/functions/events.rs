//! Events.

use std::ffi::c_char;

use crate::guard::guard;
use crate::handles::opened;
use crate::strings::bytes;
use crate::types::{Buffer, Handle};
use plexindex::error::Status;
use plexindex::inside::DebounceIntervals;

/// Listens to the server's events on a thread of the library, until plexindex_watch_stop() or plexindex_close(). An
/// event makes the next query about the library ask the server; the thread itself asks for nothing. A lost connection
/// is made again after 1 to 60 seconds, and the next queries ask what changed in between. The log says whether the
/// server can be reached. A second call changes nothing. The child of a fork does not listen until it calls this
/// itself.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_OFFLINE when there is no server to listen to; PLEXINDEX_STORE when no thread can be
/// started.
///
/// # Safety
/// `handle` must be NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_watch_start(handle: *const Handle, error: *mut Buffer) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        unsafe { opened(handle) }?
            .index()
            .watch_start(DebounceIntervals::default())
    })
}

/// Ends plexindex_watch_start(). The thread has ended when the call returns: within a second, or later while the
/// system resolves a host name. Without a watch the call does nothing.
///
/// # Safety
/// `handle` must be NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_watch_stop(handle: *const Handle, error: *mut Buffer) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        unsafe { opened(handle) }?.index().watch_stop();
        Ok(Status::Ok)
    })
}

/// Passes on an event that the host received itself. The next query about what it names asks the server. Sends no
/// request.
///
/// `body`: a webhook's JSON (the field `payload` of Plex's request), the whole multipart form with that field, or the
/// text of a notification from the server's WebSocket or event stream.
///
/// Returns PLEXINDEX_OK once the event is stored, for every process, and for an event that needs no storing: it names
/// no change, is of another server (`Server.uuid` of a webhook), or the index knows no library.
/// PLEXINDEX_NOT_FETCHED until the server has accepted a new token: the event is not stored; call
/// plexindex_refresh() with PLEXINDEX_QUERY_PROBE, then call this again. PLEXINDEX_INVALID_ARGUMENT for any other
/// body; PLEXINDEX_STORE or PLEXINDEX_STORE_FULL.
///
/// # Safety
/// `handle` must be NULL or open; `body` NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_notify(
    handle: *const Handle,
    body: *const c_char,
    body_length: usize,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (opened, body) = unsafe { (opened(handle)?, bytes(body, body_length, "body")?) };
        opened.index().notify(body).map(drop)
    })
}
