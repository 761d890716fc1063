//! The feed of changes: read, and waited for.

use crate::capi::answer::write_json;
use crate::capi::guard::guard;
use crate::capi::handles::opened;
use crate::capi::query;
use crate::capi::strings::out;
use crate::capi::types::{Buffer, Handle, QueryRecord};
use crate::error::{Status, refuse};

/// What was added, removed, changed and moved since a cursor was given, in the order in which the index learned it. Sends no
/// request: plexindex_refresh() asks the server. Every listing, change, event and verification of any process counts.
///
/// `query`: `library` is one library, or NULL for all. `text` is the cursor, empty to begin: then the page is empty and its
/// cursor is that of now; with PLEXINDEX_QUERY_FULL all items come as additions first. `limit`: how many items a page tells
/// of, 1 to 10,000. `json`: receives an object, UTF-8: `{"changes":[…],"token","more"}`. `token` is the cursor for the next call.
/// `more` says that this next call has something now. Calls that follow `more` end with what was there at the first of them, however
/// fast others write: what came since is told from the last cursor on. A change is `{"change","library","section","path","from","from_key","item"}`:
///
/// - `change` is `added`, `removed`, `changed`, `moved` or `list_again`. The last one says that the library has to be listed
///   again (PLEXINDEX_QUERY_FULL, in that library): it was listed for the first time, came or went, got another title or
///   section id, or a listing changed more than a fifth of it and more than 20 items. `item` and `path` are null then.
/// - `library` and `section` are the title and the section id. `path` is the file as the server spells it: each file of an item
///   has a change. `from` is where the file was that moved; with `changed` another file, which the item has lost; else null.
///   `path` is null where an item has no file.
/// - `item` is as plexindex_item_json() gives it: as it is since, or was when it went. An item that got another key is known by
///   its GUID: `from_key` is the rating key before, else null.
/// - Who keeps the items of each file takes the item (by `from_key`, else its key) away from `from` and from `path`, and
///   puts it to `path` unless it was removed. A file may be of several items.
///
/// A cursor is at most 200 bytes of ASCII without NUL, and outlives processes. It is of one store, server and user, and of the
/// library if one was named: one of all libraries may be asked of a single one, and becomes a cursor of that. Readers cost
/// nothing while they do not read. After a kill a reader that goes on with the last cursor that it kept misses nothing, and
/// sees again what it read since. Changes are kept for 30 days and in some 64 MiB, and go before listings where `size_limit`
/// is reached.
///
/// Returns PLEXINDEX_OK, also for no changes; PLEXINDEX_LIST_AGAIN when what changed since is not known any more, or the cursor
/// is of another store, server, user or library, or of what a power cut or a restored copy undid: begin anew with
/// PLEXINDEX_QUERY_FULL; PLEXINDEX_INVALID_ARGUMENT for a text that is no cursor; PLEXINDEX_LIBRARY_NOT_FOUND while nothing was
/// ever fetched, and until the server has accepted a new token; PLEXINDEX_BUFFER_TOO_SMALL.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_changes_json(
    handle: *const Handle,
    query: *const QueryRecord,
    limit: usize,
    json: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (asked, json) = unsafe { (query::query(handle, query)?, out(json, "json")?) };
        if limit == 0 || limit > 10_000 {
            return refuse(format!("limit is {limit}: give 1 to 10000"));
        }
        let page = asked
            .query
            .changes_page(asked.utf8("the cursor")?, asked.full(), limit)?;
        write_json(json, &page.to_json())
    })
}

/// Waits until plexindex_changes_json() has something since a cursor was given, by whatever process, or until the server has to
/// be asked before that is known: a listing has expired, or an event said that something changed. Then call
/// plexindex_refresh() and plexindex_changes_json(). A handle says so once a second at most, whatever the server does. Sends no
/// request itself.
///
/// `query`: `library` and `text` as for plexindex_changes_json(), `text` not empty. `deadline_ms` ends the wait. `progress` is
/// called every 200 ms, soon after the handler of a signal ran in this thread, and by plexindex_wake_waiting(), with no library
/// and no items: by what it sees there any thread ends the wait. With PLEXINDEX_QUERY_OFFLINE the server never has to be asked.
///
/// A commit of another process is seen within 100 ms: on Linux it ends the wait, elsewhere shared memory is looked at. Where
/// processes do not share memory (some network file systems) the database is asked once a second instead.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_NOT_YET when the deadline came first; PLEXINDEX_ABORTED when `progress` ended the call;
/// PLEXINDEX_LIST_AGAIN and the others of plexindex_changes_json().
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_wait_for_changes(
    handle: *const Handle,
    query: *const QueryRecord,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let asked = unsafe { query::query(handle, query) }?;
        asked.query.wait_status(asked.utf8("the cursor")?)
    })
}

/// Makes each plexindex_wait_for_changes() that is under way on this handle call its `progress` now, within 50 ms: set what
/// that looks at, then call this, and the wait ends. Where no call waits it does nothing. Any thread may call it, no signal
/// handler may.
///
/// # Safety
/// `handle` must be NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_wake_waiting(handle: *const Handle, error: *mut Buffer) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        unsafe { opened(handle) }?.index().wake_waiting();
        Ok(Status::Ok)
    })
}
