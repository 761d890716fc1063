//! Full answers for paths.

use crate::answer::{check_memory, check_memory_for, recount_log_lines, write_answer, write_answers};
use crate::guard::guard_into;
use crate::query;
use crate::strings::split_strings;
use crate::types::{Buffer, Handle, QueryRecord};
use plexindex::error::Status;
use plexindex::inside::Answer;

/// Returns the full answer for one path. Tries each PLEXINDEX_MATCH_* in turn, and sends requests if necessary and
/// allowed. `out_answer`: a block with plexindex_answers, one plexindex_answer, and the data that they refer to. Writes
/// the block and returns PLEXINDEX_OK, PLEXINDEX_NOT_FOUND, PLEXINDEX_AMBIGUOUS, PLEXINDEX_NOT_YET or
/// PLEXINDEX_NEEDS_WARM. Writes no block on PLEXINDEX_BUFFER_TOO_SMALL or on other errors. If a library was never
/// fetched and cannot be fetched now, returns the server's error.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open, and the query's library must belong to `handle`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_match_path(
    handle: *const Handle,
    query: *const QueryRecord,
    out_answer: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_answer, "out_answer", |answer| {
        // SAFETY: guaranteed by the caller.
        let checked = unsafe { query::query(handle, query, query::MATCHING_FLAGS) }?;
        check_memory(answer)?;
        let write = |found: &Answer<'_>| write_answer(answer, checked.wants_files(), found);
        if checked.is_at_once() {
            return checked.query.match_path_at_once_with(checked.text, write);
        }
        let status = checked.query.match_path_with(checked.text, write)?;
        recount_log_lines(answer)?;
        Ok(status)
    })
}

/// Returns the full answers for many paths in one block: `count` answers in order, each with its own status. Sends
/// requests if necessary and allowed. `query.text` contains `count` paths, each followed by a NUL.
///
/// Returns PLEXINDEX_OK after writing the block; an error that concerns all paths; or PLEXINDEX_BUFFER_TOO_SMALL,
/// before any work if the buffer has less than 384 bytes per path plus the length of `text`.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open, and the query's library must belong to `handle`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_match_paths(
    handle: *const Handle,
    query: *const QueryRecord,
    count: usize,
    out_answers: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_answers, "out_answers", |answers| {
        // SAFETY: guaranteed by the caller.
        let checked = unsafe { query::query(handle, query, query::MATCHING_FLAGS) }?;
        checked.check_no_size()?;
        let paths = split_strings(checked.text, count, "query.text")?;
        // A call that can ask the server must not fail afterwards because the buffer is too small.
        if checked.may_ask() {
            check_memory_for(answers, count, checked.text.len())?;
        }
        write_answers(answers, count, checked.wants_files(), |block| {
            if !checked.is_at_once() {
                let mut written = Ok(());
                checked.query.match_paths_with(&paths, |found| {
                    if written.is_ok() {
                        written = block.append_answer(found);
                    }
                })?;
                return written;
            }
            let mut write = |found: &Answer<'_>| block.append_answer(found);
            paths
                .iter()
                .try_for_each(|path| checked.query.match_path_at_once_with(path, &mut write))
        })?;
        recount_log_lines(answers)?;
        Ok(Status::Ok)
    })
}
