//! Keeping up with the server: refreshes, watches, and events from elsewhere.

use std::ffi::c_char;

use crate::capi::guard::guard;
use crate::capi::handles::opened;
use crate::capi::query;
use crate::capi::strings::bytes;
use crate::capi::types::{Handle, Query};
use crate::error::Status;

/// Brings the query's library, or all, up to date now: what a match does by itself when a listing has expired. `text`
/// is not used. With PLEXINDEX_QUERY_FULL a full listing is fetched whatever the clocks say.
///
/// Returns PLEXINDEX_OK when it is up to date; PLEXINDEX_NOT_YET when the deadline came first (call again: it goes on);
/// PLEXINDEX_ABORTED; the server's error.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_refresh(handle: *const Handle, query: *const Query) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, query) = unsafe { (opened(handle)?, query::query(query)?) };
        opened.index().refresh(&query.options(), query.full())
    })
}

/// Listens to the server's events from now on, on a thread of the library's own, until plexindex_watch_stop() or
/// plexindex_close(). What they say changed is looked at again by the next query about it; the thread itself asks for
/// nothing. A lost connection is made again, after pauses of 1 to 60 seconds, and what may have been missed is looked at
/// again too. Whether the server can be reached shows in the log. Calling it again changes nothing.
///
/// The child of a fork does not watch; it may begin to.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_OFFLINE without a server to listen to; PLEXINDEX_STORE when no thread can be started.
///
/// # Safety
/// `handle` must be NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_watch_start(handle: *const Handle) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { opened(handle) }?.index().watch_start()?;
        Ok(Status::Ok)
    })
}

/// Ends what plexindex_watch_start() began, within a second, but for the resolving of a name: afterwards that thread does
/// not run any more. When nothing is watched nothing happens.
///
/// # Safety
/// `handle` must be NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_watch_stop(handle: *const Handle) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { opened(handle) }?.index().watch_stop();
        Ok(Status::Ok)
    })
}

/// Tells the index of an event that the host received itself: what it says changed is looked at again by the next query
/// about it. Asks nobody.
///
/// `body`, `length`: a webhook's JSON (the field `payload` of what Plex sends), the whole multipart form with that field,
/// or the text of a notification as it comes from the server's WebSocket or event stream.
///
/// Returns PLEXINDEX_OK once that is stored, for every process, also for events that tell of nothing;
/// PLEXINDEX_INVALID_ARGUMENT for a body that is none of these; PLEXINDEX_NULL_POINTER; PLEXINDEX_STORE…
///
/// # Safety
/// `handle` must be NULL or open; `body` NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_notify(handle: *const Handle, body: *const c_char, length: usize) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, body) = unsafe { (opened(handle)?, bytes(body, length, "body")?) };
        opened.index().notify(body)?;
        Ok(Status::Ok)
    })
}
