//! Items and folders.

use std::ffi::c_char;

use crate::answer::{check_memory, recount_log_lines, write_answer, write_answers, write_folder, write_json};
use crate::constants as c;
use crate::guard::guard_into;
use crate::handles;
use crate::query;
use crate::strings::{check_page_limit, out, path_bytes, utf8};
use crate::types::{Buffer, Handle, LibraryHandle, QueryRecord};
use plexindex::error::{Result, Status, refuse};
use plexindex::inside::{Answer, FileFilter};

/// The items of a library as the store has them, one page a call. Sends no request.
///
/// `library`: one library, not all. `cursor`: 0 for the first page; the call moves it to the next one. `limit`: items
/// of a page, 1 to 10,000. `out_page`: a block with one answer whose candidates are the items.
///
/// Returns the answer's status: PLEXINDEX_OK with items, PLEXINDEX_NOT_FOUND after the last page. Returns
/// PLEXINDEX_BUFFER_TOO_SMALL with the cursor as it was; PLEXINDEX_INVALID_ARGUMENT; PLEXINDEX_NOT_FETCHED when
/// the store does not have the listing: it was never fetched, or was removed for the limit on the folder, between two
/// pages perhaps.
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_list_items(
    library: *const LibraryHandle,
    cursor: *mut i64,
    limit: usize,
    out_page: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_page, "out_page", |page| {
        // SAFETY: the caller's promise.
        let (library, cursor) = unsafe { (handles::library(library)?, out(cursor, "cursor")?) };
        check_page_limit(limit)?;
        if *cursor < 0 {
            return refuse(format!("cursor is {cursor}: give 0, or what the last call left there"));
        }
        let items = library.items_page(*cursor, limit)?;
        let of = library.known();
        write_answers(page, 1, |block| {
            block.items(library.key_prefix(), of.as_ref(), items.iter().map(|(_, item)| item));
            Ok(())
        })?;
        let Some((last, _)) = items.last() else {
            return Ok(Status::NotFound);
        };
        *cursor = *last;
        Ok(Status::Ok)
    })
}

/// One item of a library, or of any, as the store has it, with all its files and external ids, as JSON. Sends no
/// request.
///
/// `key`: the item's key or rating key. `out_json`: an object, UTF-8: `key`, `rating_key`, `kind` (Plex's word),
/// `title`, `year`, `show_title`, `show_rating_key`, `show_guid`, `season` and `episode` (-1 for none), `guid`, `guids`
/// and `paths`.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND when no listing holds the item; PLEXINDEX_BUFFER_TOO_SMALL;
/// PLEXINDEX_INVALID_ARGUMENT when `key` is no key; PLEXINDEX_NOT_FETCHED when the store does not have the
/// listing, as plexindex_list_items().
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_item_json(
    library: *const LibraryHandle,
    key: *const c_char,
    key_length: usize,
    out_json: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_json, "out_json", |json| {
        // SAFETY: the caller's promise.
        let (library, key) = unsafe { (handles::library(library)?, utf8(key, key_length, "key")?) };
        match library.item(key)? {
            Some(item) => write_json(json, &item.to_json()),
            None => Ok(Status::NotFound),
        }
    })
}

/// Answers which show, season, artist, album or item a folder is: the deepest one that all listed files below it
/// share.
///
/// `query`: `text` is the path of the folder; separators at its end do not count. `out_answer`: as for
/// plexindex_match_path(), with `items`, `files` and `kind`. The item's `path` is the folder, as the server spells it.
///
/// - All files below are of one season or album: that is the item. Where the server gives no key for a season (it
///   hides seasons), the item is the show, with `season` set.
/// - All files below are of one show or artist: that is the item.
/// - One film or other item without a show lies below: that is the item.
/// - Several lie below, as in a library's own folder: the first 16 are the candidates, each with the file or folder in
///   which it lies there.
///
/// The kinds of match are those of files. A folder that is found by its end has high confidence only with
/// PLEXINDEX_REASON_ONLY_ROOT_DIFFERS. Without an item the reason is PLEXINDEX_REASON_EMPTY, _NOT_LISTED,
/// _NOT_FETCHED, _NO_LOCATION, or that of several candidates.
///
/// A library that was never fetched, or whose listing has expired, is fetched first: PLEXINDEX_NOT_YET if the deadline
/// passes meanwhile. Plex's database needs no listing: all below the folder is read at once.
///
/// Returns what plexindex_match_path() returns.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_match_folder(
    handle: *const Handle,
    query: *const QueryRecord,
    out_answer: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_answer, "out_answer", |answer| {
        // SAFETY: the caller's promise.
        let checked = unsafe { query::query(handle, query, c::PLEXINDEX_QUERY_AT_ONCE) }?;
        check_memory(answer)?;
        let write = |found: &Answer<'_>, folder| write_folder(answer, found, folder);
        if checked.at_once() {
            return checked.query.match_folder_at_once_with(checked.text, write);
        }
        let status = checked.query.match_folder_with(checked.text, write)?;
        recount_log_lines(answer)?;
        Ok(status)
    })
}

/// The items with files below a folder, one page a call, in the order of their paths. Sends no request.
///
/// `library`: a handle of one library, or of all. `path`: the folder, found as by plexindex_match_folder(); one that is
/// found by its end counts with PLEXINDEX_CONFIDENCE_HIGH only. `after`: the `path` of the last candidate of the page
/// before; NULL and 0 for the first page. Give a copy of it: PLEXINDEX_BUFFER_TOO_SMALL overwrites the page before.
/// `limit`: files of a page, 1 to 10,000. A page has more where its last file is of several items. `out_page`: a block
/// with one answer whose candidates are the items, once for each of their files below the folder, with that file as
/// `path`.
///
/// A change between two pages moves no file that was not changed itself: none comes twice, none is missed.
///
/// Returns the answer's status: PLEXINDEX_OK with items, PLEXINDEX_NOT_FOUND after the last page. Returns
/// PLEXINDEX_BUFFER_TOO_SMALL; PLEXINDEX_INVALID_ARGUMENT; PLEXINDEX_NOT_FETCHED when the library was never
/// fetched, or was removed for the limit on the folder.
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_list_items_below(
    library: *const LibraryHandle,
    path: *const c_char,
    path_length: usize,
    after: *const c_char,
    after_length: usize,
    limit: usize,
    out_page: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_page, "out_page", |page| {
        // SAFETY: the caller's promise.
        let library = unsafe { handles::library(library) }?;
        // SAFETY: as above.
        let FolderPage { path, after } = unsafe { page_of(path, path_length, after, after_length, limit) }?;
        library.items_below_with(path, after.as_deref(), limit, FileFilter::All, |found, _| {
            write_answer(page, found)
        })
    })
}

/// A page of the files below a folder: the folder, and the path behind which it begins. That is a copy, since it may lie
/// in the buffer of the page before, which this page overwrites.
pub struct FolderPage<'h> {
    /// The folder.
    pub path: &'h [u8],
    /// Where it begins.
    pub after: Option<Vec<u8>>,
}

/// Checks the arguments of a call for such a page.
///
/// # Errors
/// If a text is too long or no valid path, or the limit is out of range.
///
/// # Safety
/// Each text has as many bytes as its length says, or is NULL with length 0.
pub unsafe fn page_of<'h>(
    path: *const c_char,
    path_length: usize,
    after: *const c_char,
    after_length: usize,
    limit: usize,
) -> Result<FolderPage<'h>> {
    // SAFETY: the caller's promise.
    let (path, after) = unsafe {
        (
            path_bytes(path, path_length, "path")?,
            path_bytes(after, after_length, "after")?,
        )
    };
    check_page_limit(limit)?;
    Ok(FolderPage {
        path,
        after: (!after.is_empty()).then(|| after.to_vec()),
    })
}
