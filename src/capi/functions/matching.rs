//! Full answers.

use crate::capi::answer::{recount_log_lines, write_answer, write_answers};
use crate::capi::guard::guard;
use crate::capi::handles::opened;
use crate::capi::query;
use crate::capi::strings::{out, split};
use crate::capi::types::{Buffer, Handle, Query};
use crate::error::Status;

/// The full answer for one path: climbs the ladder, and asks the server where that is needed and allowed.
///
/// `query`: see plexindex_query. `answer`: receives a block: plexindex_answers, one plexindex_answer, and what they point to.
///
/// Returns the answer's status (PLEXINDEX_OK, PLEXINDEX_NOT_FOUND, PLEXINDEX_AMBIGUOUS, PLEXINDEX_NOT_YET,
/// PLEXINDEX_NEEDS_WARM), each with the block written; PLEXINDEX_BUFFER_TOO_SMALL; any error: when the library was
/// never fetched and cannot be, that is the server's error.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open, and the query's library one of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_match_path(handle: *const Handle, query: *const Query, answer: *mut Buffer) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, query, answer) = unsafe { (opened(handle)?, query::query(query)?, out(answer, "answer")?) };
        let path = query.text;
        let status = opened
            .index()
            .match_path_with(&query.options(), path, |found| write_answer(answer, found))?;
        recount_log_lines(answer)?;
        Ok(status)
    })
}

/// plexindex_match_path() for many paths: one block with `count` answers, in order, each with its own status.
///
/// `query`: `text` holds `count` paths one after the other, each followed by a NUL.
///
/// Returns PLEXINDEX_OK with the block written, whatever the answers' statuses; PLEXINDEX_BUFFER_TOO_SMALL (the answers
/// are not kept: enlarge and call again); PLEXINDEX_INVALID_ARGUMENT; an error that concerns all of them.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_match_paths(
    handle: *const Handle,
    query: *const Query,
    count: usize,
    answers: *mut Buffer,
) -> i32 {
    guard(|| {
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

/// The items with this GUID (`plex://…`, `imdb://tt…`, `tmdb://…`, `tvdb://…`, or a legacy agent's); a show's GUID
/// gives its episodes. Answered from the index; a library that is cold or expired is fetched first, as by
/// plexindex_match_path(). One item: PLEXINDEX_OK; several: PLEXINDEX_AMBIGUOUS with all candidates up to the limit.
///
/// Returns, and writes, as plexindex_match_path(); the GUID is `text` of the query.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_match_guid(handle: *const Handle, query: *const Query, answer: *mut Buffer) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, query, answer) = unsafe { (opened(handle)?, query::query(query)?, out(answer, "answer")?) };
        let guid = query.utf8("GUID")?;
        let status = opened
            .index()
            .match_guid_with(&query.options(), guid, |found| write_answer(answer, found))?;
        recount_log_lines(answer)?;
        Ok(status)
    })
}

/// The items with this title, compared without case, accents and punctuation; when there are none, those that have all
/// its words. A show's title gives its episodes. Answered from the index, as plexindex_match_guid().
///
/// Returns, and writes, as plexindex_match_path(); the title is `text` of the query, UTF-8.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_search_title(
    handle: *const Handle,
    query: *const Query,
    answer: *mut Buffer,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, query, answer) = unsafe { (opened(handle)?, query::query(query)?, out(answer, "answer")?) };
        let title = query.utf8("title")?;
        let status = opened
            .index()
            .search_title_with(&query.options(), title, |found| write_answer(answer, found))?;
        recount_log_lines(answer)?;
        Ok(status)
    })
}
