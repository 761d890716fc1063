//! The feed of changes.

use std::path::PathBuf;

use crate::answer::write_bytes;
use crate::constants as c;
use crate::guard::{guard, guard_into};
use crate::handles::opened;
use crate::query;
use crate::strings::check_page_limit;
use crate::types::{Buffer, Handle, QueryRecord};
use plexindex::error::Status;
use plexindex::inside::ChangePage;

/// The feed: the items that were added, removed, changed or moved after a cursor, oldest first, whichever process
/// learned of it. Sends no request: plexindex_refresh() asks the server.
///
/// `query`: `library` is one library, or NULL for all; `text` is the cursor. With an empty cursor the page is empty
/// and its cursor is that of now; or, with PLEXINDEX_QUERY_FULL, the pages list all items as additions first. That flag
/// is refused with a cursor. `limit`: items of a page, 1 to 10,000. `out_page`: texts, each followed by a NUL: the
/// cursor for the next call; `more` or nothing; then eight for each change, in the order of plexindex_change, an absent
/// one empty. plexindex_get_next_change() and plexindex_get_cursor() read them.
///
/// The next call has something now if the page has `more`. A reader that calls until a page has none then has the state
/// of the time of its first call. Commits that come meanwhile are for the call after that, so the reader comes to an
/// end however fast others write.
///
/// A change concerns one file of one item: an item of several files has a change for each. Its kinds:
///
/// - `added`: the item has the file `path`.
/// - `removed`: the item no longer has the file `path`.
/// - `moved`: the file was `from` and is `path` now.
/// - `changed`: something else changed; `from` is a file that the item lost, or absent.
/// - `list_again`: the library has to be listed again. It was listed for the first time, came, went, or got another
///   title or section id, or more than a fifth of it and more than 20 items changed.
///
/// A host that keeps pairs of a file and a rating key applies each change in two steps. First it removes the pairs of
/// `path` and of `from` with the key `from_key`, or `rating_key` where that is absent. Then, unless the kind is
/// `removed`, it adds the pair of `path` and `rating_key`. After `list_again`, and after the status
/// PLEXINDEX_LIST_AGAIN, it empties its map and begins anew, with an empty cursor and PLEXINDEX_QUERY_FULL. Then it
/// stores map and cursor together. The example feed.c does all this.
///
/// A cursor is at most 200 bytes of ASCII and outlives processes. It belongs to one store, server and user, and to the
/// library if the query named one; a cursor of all libraries may be used for one of them. A reader that goes on with
/// its last cursor after a kill misses nothing and sees some changes twice. Changes are kept up to some 64 MiB,
/// and less where `size_limit` is reached.
///
/// Returns PLEXINDEX_OK, also for no changes; PLEXINDEX_LIST_AGAIN when the changes since the cursor are gone, or it
/// belongs elsewhere, or to a state that a power cut or a restored copy undid: begin with an empty cursor;
/// PLEXINDEX_INVALID_ARGUMENT for a text that is no cursor; PLEXINDEX_NOT_FETCHED while nothing was fetched, or
/// PLEXINDEX_UNAUTHORIZED if the server refused the token; PLEXINDEX_BUFFER_TOO_SMALL.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_list_changes(
    handle: *const Handle,
    query: *const QueryRecord,
    limit: usize,
    out_page: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_page, "out_page", |out| {
        // SAFETY: the caller's promise.
        let checked = unsafe { query::query(handle, query, c::PLEXINDEX_QUERY_FULL) }?;
        check_page_limit(limit)?;
        let page = checked
            .query
            .changes_page(checked.utf8("the cursor")?, checked.full(), limit)?;
        write_bytes(out, &texts_of(&page))
    })
}

/// The texts of a page, each followed by a NUL, in the order that the header states. Sources refuse texts that hold a
/// NUL, and JSON escapes it.
fn texts_of(page: &ChangePage) -> Vec<u8> {
    let mut texts = Vec::new();
    let mut add = |text: &[u8]| {
        texts.extend_from_slice(text);
        texts.push(0);
    };
    add(page.cursor.as_bytes());
    add(if page.more { b"more" } else { b"" });
    for change in &page.changes {
        let item = change.item.as_ref();
        add(change.kind.name().as_bytes());
        add(change.library_title.as_bytes());
        add(change.section.as_bytes());
        add(bytes_of(change.path.as_ref()));
        add(bytes_of(change.from.as_ref()));
        add(item.map_or("", |item| &item.rating_key).as_bytes());
        add(change.from_key.as_deref().unwrap_or_default().as_bytes());
        let json = item.map(|item| item.to_json().to_string());
        add(json.unwrap_or_default().as_bytes());
    }
    texts
}

/// The bytes of a path; none for an absent one.
fn bytes_of(path: Option<&PathBuf>) -> &[u8] {
    path.map_or(&[], |path| path.as_os_str().as_encoded_bytes())
}

/// Waits until the feed has a change after a cursor, or until a refresh is due, because a listing has expired or an
/// event came (plexindex_watch_start()). Then call plexindex_refresh() and plexindex_list_changes(). A due refresh ends
/// no more than one wait of a handle in a second, also when refreshing fails. Sends no request.
///
/// `query`: `library` and `text` as for plexindex_list_changes(), with a cursor. `deadline_ms` ends the wait.
/// `progress` is called every 200 ms, after a signal handler ran in this thread, and by plexindex_wake_waiting(): what
/// it returns ends the wait. With PLEXINDEX_QUERY_OFFLINE the call waits for changes only.
///
/// A commit of another process is seen within 100 ms; where processes do not share memory, on some network file
/// systems, within a second.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_NOT_YET when the deadline came first; PLEXINDEX_ABORTED when `progress` ended the
/// call; the errors of plexindex_list_changes().
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
