//! Full answers.

use crate::capi::answer::{recount_log_lines, write_answer, write_answers};
use crate::capi::guard::guard;
use crate::capi::handles::opened;
use crate::capi::query;
use crate::capi::strings::{out, split};
use crate::capi::types::{Buffer, Handle, Query};
use crate::error::Status;

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
    query: *const Query,
    answer: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (opened, query, answer) = unsafe { (opened(handle)?, query::query(query)?, out(answer, "answer")?) };
        let path = query.text;
        let (index, options) = (opened.index(), query.options());
        if query.at_once() {
            return index.match_path_at_once(&options, path, |found| write_answer(answer, found));
        }
        let status = index.match_path_with(&options, path, |found| write_answer(answer, found))?;
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
    query: *const Query,
    count: usize,
    answers: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (opened, query, answers) = unsafe { (opened(handle)?, query::query(query)?, out(answers, "answers")?) };
        let paths = split(query.text, count, "query.text")?;
        write_answers(answers, count, |block| {
            opened
                .index()
                .match_paths_with(&query.options(), &paths, |found| block.answer(found))
        })?;
        recount_log_lines(answers)?;
        Ok(Status::Ok)
    })
}

/// The items with this GUID: `plex://…`, `imdb://tt…`, `tmdb://…`, `tvdb://…`, or that of a legacy agent. The GUID of a
/// show gives its episodes. One item is PLEXINDEX_OK, several are PLEXINDEX_AMBIGUOUS.
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
    query: *const Query,
    answer: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (opened, query, answer) = unsafe { (opened(handle)?, query::query(query)?, out(answer, "answer")?) };
        let guid = query.utf8("the GUID")?;
        let status = opened
            .index()
            .match_guid_with(&query.options(), guid, |found| write_answer(answer, found))?;
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
    query: *const Query,
    answer: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (opened, query, answer) = unsafe { (opened(handle)?, query::query(query)?, out(answer, "answer")?) };
        let title = query.utf8("the title")?;
        let status = opened
            .index()
            .search_title_with(&query.options(), title, |found| write_answer(answer, found))?;
        recount_log_lines(answer)?;
        Ok(status)
    })
}
