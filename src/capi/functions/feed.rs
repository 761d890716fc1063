//! The feed of changes.

use crate::capi::answer::write_json;
use crate::capi::constants as c;
use crate::capi::guard::{guard, guard_into};
use crate::capi::handles::opened;
use crate::capi::query;
use crate::capi::strings::check_page_limit;
use crate::capi::types::{Buffer, Handle, QueryRecord};
use crate::error::Status;

/// The feed: items that were added, removed, changed or moved since a cursor was given, in the order in which the
/// index learned it, from any process. Sends no request: plexindex_refresh() asks the server.
///
/// `query`: `library` is one library, or NULL for all; `text` is the cursor. With an empty cursor the page is empty
/// and its cursor is that of now; with PLEXINDEX_QUERY_FULL too, all items come first, as additions: that flag is
/// refused with a cursor. `limit`: items of a
/// page, 1 to 10,000. `out_json`: an object, UTF-8: `changes`, an array; `cursor`, for the next call; `more`, whether
/// the next call has something now. plexindex_get_cursor() reads these two. Pages that follow `more` end with the state
/// at the first of them, however fast others write.
///
/// A change has `change`, `library` (the title), `section` (its id), `path`, `from`, `from_key` and `item`. An item of
/// several files has a change for each file.
///
/// - `added`: the item has the file `path`; null for an item without a file.
/// - `removed`: the item no longer has the file `path`.
/// - `moved`: the file was `from` and is `path` now.
/// - `changed`: something else changed; `from` is a file that the item lost, or null.
/// - `list_again`: list the library again (PLEXINDEX_QUERY_FULL, in that library). It was listed for the first time,
///   came, went, or got another title or section id, or more than a fifth of it and more than 20 items changed. `item`
///   and `path` are null.
///
/// `item` is as plexindex_get_item_json() gives it: the present state, or the last one of a removed item. `from_key`
/// is the rating key that the item had before, when it got another one, else null. To keep the items of each file:
/// take the item (by `from_key`, else its key) away from `from` and `path`, then put it to `path` unless it was
/// removed.
///
/// A cursor is at most 200 bytes of ASCII and outlives processes. It belongs to one store, server and user, and to the
/// library if the query named one; a cursor of all libraries may be used for one of them. A reader that goes on with
/// its last cursor after a kill misses nothing and sees some changes twice. Changes are kept for 30 days and up to
/// some 64 MiB, and less where `size_limit` is reached.
///
/// Returns PLEXINDEX_OK, also for no changes; PLEXINDEX_LIST_AGAIN when the changes since the cursor are gone, or it
/// belongs elsewhere, or to a state that a power cut or a restored copy undid: begin with an empty cursor;
/// PLEXINDEX_INVALID_ARGUMENT for a text that is no cursor; PLEXINDEX_LIBRARY_NOT_FOUND while nothing was fetched;
/// PLEXINDEX_BUFFER_TOO_SMALL.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_list_changes_json(
    handle: *const Handle,
    query: *const QueryRecord,
    limit: usize,
    out_json: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_json, "out_json", |json| {
        // SAFETY: the caller's promise.
        let checked = unsafe { query::query(handle, query, c::PLEXINDEX_QUERY_FULL) }?;
        check_page_limit(limit)?;
        let page = checked
            .query
            .changes_page(checked.utf8("the cursor")?, checked.full(), limit)?;
        write_json(json, &page.to_json())
    })
}

/// Waits until the feed has something since a cursor, or until the server has to be asked first: a listing has
/// expired, or an event came. Then call plexindex_refresh() and plexindex_list_changes_json(). A handle returns for
/// the server at most once a second. Sends no request.
///
/// `query`: `library` and `text` as for plexindex_list_changes_json(), with a cursor. `deadline_ms` ends the wait.
/// `progress` is called every 200 ms, after a signal handler ran in this thread, and by plexindex_wake_waiting(): what
/// it returns ends the wait. With PLEXINDEX_QUERY_OFFLINE the call waits for changes only.
///
/// A commit of another process is seen within 100 ms; where processes do not share memory, on some network file
/// systems, within a second.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_NOT_YET when the deadline came first; PLEXINDEX_ABORTED when `progress` ended the
/// call; the errors of plexindex_list_changes_json().
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
        let checked = unsafe { query::query(handle, query, 0) }?;
        checked.query.wait_status(checked.utf8("the cursor")?)
    })
}

/// Makes each plexindex_wait_for_changes() of this handle call its `progress` within 50 ms. Any thread may call it, no
/// signal handler may. Without a waiting call it does nothing.
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
