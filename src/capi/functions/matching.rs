//! Full answers.

use std::ffi::c_char;

use crate::capi::answer::{recount_log_lines, write_answer, write_answers, write_folder};
use crate::capi::guard::guard;
use crate::capi::handles;
use crate::capi::query;
use crate::capi::strings::{bytes, out, split};
use crate::capi::types::{Buffer, Handle, LibraryHandle, QueryRecord};
use crate::error::{Result, Status, refuse};
use crate::query::{Answer, Which};

/// The full answer for one path. Climbs the ladder of PLEXINDEX_RUNG_*, and sends requests where they are needed and
/// allowed.
///
/// `query`: see plexindex_query. `answer`: receives a block: plexindex_answers, one plexindex_answer, and what they
/// point to.
///
/// Returns the answer's status, with the block written: PLEXINDEX_OK, PLEXINDEX_NOT_FOUND, PLEXINDEX_AMBIGUOUS,
/// PLEXINDEX_NOT_YET or PLEXINDEX_NEEDS_WARM. Returns PLEXINDEX_BUFFER_TOO_SMALL, or an error, without a block. When
/// the library was never fetched and cannot be fetched now, that is the server's error.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open, and the query's library one of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_match_path(
    handle: *const Handle,
    query: *const QueryRecord,
    answer: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (asked, answer) = unsafe { (query::query(handle, query)?, out(answer, "answer")?) };
        let write = |found: &Answer<'_>| write_answer(answer, found);
        if asked.at_once() {
            return asked.query.match_path_at_once(asked.text, write);
        }
        let status = asked.query.match_path_with(asked.text, write)?;
        recount_log_lines(answer)?;
        Ok(status)
    })
}

/// plexindex_match_path() for many paths: one block with `count` answers, in order, each with its own status.
///
/// `query`: `text` holds `count` paths, each followed by a NUL.
///
/// Returns PLEXINDEX_OK with the block written, whatever the answers' statuses; PLEXINDEX_BUFFER_TOO_SMALL;
/// PLEXINDEX_INVALID_ARGUMENT; an error that concerns all paths. After PLEXINDEX_BUFFER_TOO_SMALL the answers are lost:
/// enlarge the buffer and call again.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_match_paths(
    handle: *const Handle,
    query: *const QueryRecord,
    count: usize,
    answers: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (asked, answers) = unsafe { (query::query(handle, query)?, out(answers, "answers")?) };
        let paths = split(asked.text, count, "query.text")?;
        write_answers(answers, count, |block| {
            asked.query.match_paths_with(&paths, |found| block.answer(found))
        })?;
        recount_log_lines(answers)?;
        Ok(Status::Ok)
    })
}

/// Which show, season, artist, album or item a folder is: the deepest one that all listed files below it share.
///
/// `query`: `text` is the path of the folder; separators at its end do not count. `answer`: as for plexindex_match_path(),
/// with `items`, `files` and `kind`. The item is the show or artist, or the season or album if all files below are of one,
/// with its key, title and GUID; the show of a season is told as that of an episode. Of hidden seasons the server tells no
/// key: the item is the show then, with the `season`. What has no show is itself the item, if it is the only one. Where several
/// are below, as in a library's own folder, the candidates are the first 16 of them. `path` of an item is the folder, as the
/// server spells it; of one of several the file or folder in which it lies there.
///
/// The rungs are those of files: PLEXINDEX_RUNG_EXACT for a folder of listed files, PLEXINDEX_RUNG_MAPPED, and the end of
/// the path with two components or one. That a folder's end is the same is of high confidence only with
/// PLEXINDEX_REASON_ONLY_ROOT_DIFFERS. Without an item: PLEXINDEX_REASON_EMPTY, _NOT_LISTED, _NOT_FETCHED, _NO_LOCATION, or
/// what several candidates have.
///
/// The index answers. A library that was never fetched, or whose listing has expired, is fetched first, as by
/// plexindex_match_path(). With a deadline a library that was never fetched is asked first for one file below the folder,
/// which is looked for on this machine: if the server has it, and the folder, or the one that it is a season or disc of, is
/// called as its show, artist, album or film, that is the answer, with 0 for `items` and `files`. A disk that does not answer may
/// take longer than the deadline. From Plex's database all that is below the folder is read at once, with or without a deadline,
/// and answers as after a listing. Returns what plexindex_match_path() returns.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_match_folder(
    handle: *const Handle,
    query: *const QueryRecord,
    answer: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (asked, answer) = unsafe { (query::query(handle, query)?, out(answer, "answer")?) };
        let write = |found: &Answer<'_>, folder| write_folder(answer, found, folder);
        if asked.at_once() {
            return asked.query.match_folder_at_once(asked.text, write);
        }
        let status = asked.query.match_folder_with(asked.text, write)?;
        recount_log_lines(answer)?;
        Ok(status)
    })
}

/// The items with files below a folder, one page a call, in the order of their paths. Sends no request.
///
/// `library`: one, or all of them. `path`: the folder. `after`: the `path` of the last candidate of the page before; NULL and
/// 0 for the first page. `limit`: how many files a page has, 1 to 10,000. `page`: receives a block with one answer whose
/// candidates are the items, each with one of its files below the folder as `path`: an item of several files comes with
/// each. A page has more than `limit` where the last file is of several items.
///
/// A change between two pages moves no file that was not changed itself: none comes twice, none is missed. The folder is
/// found as by plexindex_match_folder(); one that is found by its end counts with PLEXINDEX_CONFIDENCE_HIGH only.
///
/// Returns the answer's status: PLEXINDEX_OK with items, PLEXINDEX_NOT_FOUND after the last page. Returns
/// PLEXINDEX_BUFFER_TOO_SMALL; PLEXINDEX_INVALID_ARGUMENT; PLEXINDEX_LIBRARY_NOT_FOUND when the library was never fetched
/// (plexindex_refresh() does that), or was removed for the limit on the folder.
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_items_below(
    library: *const LibraryHandle,
    path: *const c_char,
    path_length: usize,
    after: *const c_char,
    after_length: usize,
    limit: usize,
    page: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let library = unsafe { handles::library(library) }?;
        // SAFETY: as above.
        let FolderPage { path, after, page } = unsafe { page_of(path, path_length, after, after_length, page, limit) }?;
        library.items_below_with(path, after, limit, Which::All, |found, _| write_answer(page, found))
    })
}

/// The items with this GUID: `plex://…`, `imdb://tt…`, `tmdb://…`, `tvdb://…`, or that of a legacy agent. The GUID of a
/// show or season gives its episodes, that of an artist or album its tracks; the message names it with its key. One item is
/// PLEXINDEX_OK, several are PLEXINDEX_AMBIGUOUS: at most 16 of them are given, with the count of all.
///
/// `query`: `text` is the GUID. `answer`: as for plexindex_match_path().
///
/// The index answers. A library that was never fetched, or whose listing has expired, is fetched first, as by
/// plexindex_match_path(). Returns what plexindex_match_path() returns.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_match_guid(
    handle: *const Handle,
    query: *const QueryRecord,
    answer: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (asked, answer) = unsafe { (query::query(handle, query)?, out(answer, "answer")?) };
        let guid = asked.utf8("the GUID")?;
        let status = asked.query.match_guid_with(guid, |found| write_answer(answer, found))?;
        recount_log_lines(answer)?;
        Ok(status)
    })
}

/// The items with this title. Case, accents and punctuation do not count. When no item has the title, the items whose
/// titles hold all its words. The title of a show gives its episodes.
///
/// `query`: `text` is the title, UTF-8. `answer`: as for plexindex_match_path().
///
/// The index answers, as for plexindex_match_guid(). Returns what plexindex_match_path() returns.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_search_title(
    handle: *const Handle,
    query: *const QueryRecord,
    answer: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (asked, answer) = unsafe { (query::query(handle, query)?, out(answer, "answer")?) };
        let title = asked.utf8("the title")?;
        let status = asked
            .query
            .search_title_with(title, |found| write_answer(answer, found))?;
        recount_log_lines(answer)?;
        Ok(status)
    })
}

/// A page of the files below a folder: the folder, the path behind which it begins, and where it is written.
pub struct FolderPage<'h> {
    pub path: &'h [u8],
    pub after: Option<&'h [u8]>,
    pub page: &'h mut Buffer,
}

/// Checks the arguments of a call for such a page.
///
/// # Safety
/// Each text has as many bytes as its length says, or is NULL with length 0. `page` is NULL, or a buffer that nothing
/// else uses during the call.
pub unsafe fn page_of<'h>(
    path: *const c_char,
    path_length: usize,
    after: *const c_char,
    after_length: usize,
    page: *mut Buffer,
    limit: usize,
) -> Result<FolderPage<'h>> {
    // SAFETY: the caller's promise.
    let (path, after, page) = unsafe {
        (
            bytes(path, path_length, "path")?,
            bytes(after, after_length, "after")?,
            out(page, "page")?,
        )
    };
    if limit == 0 || limit > 10_000 {
        return refuse(format!("limit is {limit}: give 1 to 10000"));
    }
    Ok(FolderPage {
        path,
        after: Some(after).filter(|after| !after.is_empty()),
        page,
    })
}
