//! Keeping up with the server: refreshes, watches, and events from elsewhere.

use std::ffi::c_char;

use crate::capi::guard::guard;
use crate::capi::handles::opened;
use crate::capi::query;
use crate::capi::strings::bytes;
use crate::capi::types::{Buffer, Handle, QueryRecord};
use crate::error::Status;
use crate::events::DebounceIntervals;
use crate::sync::RefreshReason;

/// Brings the query's library, or all, up to date now. A match does the same by itself when a listing has expired. With
/// PLEXINDEX_QUERY_FULL a full listing is fetched in any case; with PLEXINDEX_QUERY_PROBE the server is asked whether
/// anything changed in any case, with one request for all libraries. Items that were invalidated, by an event for one, are
/// asked for, 64 with a request and 256 at most. `text` of the query is not used.
///
/// Returns PLEXINDEX_OK when the library is up to date; PLEXINDEX_NOT_YET when the deadline came first;
/// PLEXINDEX_ABORTED; the server's error. After PLEXINDEX_NOT_YET the next call goes on where this one stopped.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_refresh(
    handle: *const Handle,
    query: *const QueryRecord,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let asked = unsafe { query::query(handle, query) }?;
        match (asked.full(), asked.probe()) {
            (true, _) => asked.query.refresh_as("refresh", RefreshReason::Full),
            (false, true) => asked.query.refresh_as("check", RefreshReason::Now),
            (false, false) => asked.query.refresh_as("refresh", RefreshReason::Due),
        }
    })
}

/// Begins to listen to the server's events, on a thread of the library's own, until plexindex_watch_stop() or
/// plexindex_close(). An event makes the next query about the library ask the server; the thread itself asks for
/// nothing. Calling it again changes nothing.
///
/// A lost connection is made again after a pause of 1 to 60 seconds. What may have changed in between is asked for by
/// the next queries. The log says whether the server can be reached.
///
/// The child of a fork does not listen; it may begin to.
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

/// Ends what plexindex_watch_start() began. The thread has ended when the call returns: within a second, or later while
/// the system resolves a host name. Without a watch the call does nothing.
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

/// Tells the index of an event that the host received itself. The next query about what it names asks the server. Sends
/// no request.
///
/// `body`, `length`: a webhook's JSON (the field `payload` of what Plex sends), the whole multipart form with that
/// field, or the text of a notification from the server's WebSocket or event stream.
///
/// Returns PLEXINDEX_OK once the event is stored, for every process; also where nothing has to be stored: for an event that names
/// no change or is of another server (`Server.uuid` of a webhook), and while the index knows no library.
/// PLEXINDEX_LIBRARY_NOT_FOUND until the server has accepted a new token, of plexindex_set_token() or of an index that was opened
/// where another one was used before: the event is not stored.
/// Call plexindex_refresh() with PLEXINDEX_QUERY_PROBE, or ask a question, and then call this again. PLEXINDEX_INVALID_ARGUMENT
/// for any other body; PLEXINDEX_NULL_POINTER; PLEXINDEX_STORE or PLEXINDEX_STORE_FULL.
///
/// # Safety
/// `handle` must be NULL or open; `body` NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_notify(
    handle: *const Handle,
    body: *const c_char,
    length: usize,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (opened, body) = unsafe { (opened(handle)?, bytes(body, length, "body")?) };
        opened.index().notify(body)
    })
}
