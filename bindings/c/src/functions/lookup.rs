//! Lookups and matches by path, and the parts of their answers.

use std::ffi::{CStr, c_char};

use plexindex::Library;
use plexindex::error::{Result, Status};
use plexindex::inside::Answer;
use plexindex::model::Confidence;

use crate::answer::{
    BlockReader, buffer_memory, check_memory, check_memory_for, recount_log_lines, too_small_error, write_answer,
    write_answers,
};
use crate::constants as c;
use crate::guard::{guard_into, guard_value, store_thread_key};
use crate::handles;
use crate::strings::{bytes, split_strings};
use crate::types::{AnswerRecord, Buffer, FileRecord, Handle, ItemRecord, LibraryHandle, QueryRecord, Text};

/// Fast lookup: returns the key (`/library/metadata/<rating key>`) of the item with this path, if available at once
/// with PLEXINDEX_CONFIDENCE_HIGH; for several episodes, the first episode's key. `path`: NUL-terminated bytes.
///
/// The key is NUL-terminated, and valid until this thread's next fast lookup (plexindex_lookup_key(),
/// plexindex_table_lookup()) on any handle. Returns NULL if no answer is available at once, or for a NULL argument:
/// then call plexindex_match_path().
///
/// Sends no request and calls no callback. If nothing has changed since the last lookup, and what hosts recorded for
/// the path is in memory, takes no lock, allocates nothing and makes no system call, except to check twice a second
/// whether the store still exists. Otherwise reads the store for at most about 200 ms. Expired listings also answer.
///
/// # Safety
/// `library` must be NULL or a handle to a library of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_lookup_key(library: *const LibraryHandle, path: *const c_char) -> *const c_char {
    guard_value(std::ptr::null(), || {
        // SAFETY: guaranteed by the caller.
        unsafe { lookup_key(library, path) }
    })
}

/// Returns the keys for many paths, from fast lookups. `paths`: `count` paths, each followed by a NUL. `out_keys`: the
/// keys in the same order, each followed by a NUL. An empty key means that no answer is available at once.
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle to a library of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_lookup_keys(
    library: *const LibraryHandle,
    paths: *const c_char,
    paths_length: usize,
    count: usize,
    out_keys: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_keys, "out_keys", |keys| {
        // SAFETY: guaranteed by the caller.
        let (library, paths) = unsafe { (handles::library(library)?, bytes(paths, paths_length, "paths")?) };
        lookup_keys(library, paths, count, keys)
    })
}

/// Returns the key of the item with this path, in this thread's memory; NULL if no answer is available at once. A
/// separate function, since the body of an exported function is one call of the guard.
///
/// # Safety
/// `handle` must be NULL or a handle to a library of an open index; `path` must be NULL or end in a NUL.
#[inline]
unsafe fn lookup_key(handle: *const LibraryHandle, path: *const c_char) -> *const c_char {
    let handle = handle.cast::<Library>();
    if !handle.is_aligned() {
        return std::ptr::null();
    }
    // SAFETY: guaranteed by the caller.
    let library = unsafe { handle.as_ref() };
    let (Some(library), false) = (library, path.is_null()) else {
        return std::ptr::null();
    };
    // SAFETY: guaranteed by the caller.
    let path = unsafe { CStr::from_ptr(path) }.to_bytes();
    library
        .lookup_rating_key_of(path, |rating_key| store_thread_key([library.key_prefix(), rating_key]))
        .unwrap_or(std::ptr::null())
}

/// Writes the keys for all paths, as far as they fit, each followed by a NUL, and sets the length of the buffer `keys`
/// to the needed size. An empty key stands for a miss. `paths`: `count` paths, each followed by a NUL.
fn lookup_keys(library: &Library, paths: &[u8], count: usize, keys: &mut Buffer) -> Result<Status> {
    let paths = split_strings(paths, count, "paths")?;
    let room = buffer_memory(keys, "keys.data")?;
    let prefix = library.key_prefix();
    let mut used = 0;
    library.lookup_rating_keys(paths.into_iter(), |rating_key| {
        // Omits a key with a NUL, which would shift all later keys. Only an older store can contain such a key.
        let (head, tail) = match rating_key.filter(|key| !key.is_empty() && !key.as_bytes().contains(&0)) {
            Some(rating_key) => (prefix.as_bytes(), rating_key.as_bytes()),
            None => (&[][..], &[][..]),
        };
        let length = head.len() + tail.len();
        if let Some(target) = room.get_mut(used..=used + length) {
            target[..head.len()].copy_from_slice(head);
            target[head.len()..length].copy_from_slice(tail);
            target[length] = 0;
        }
        used += length + 1;
    });
    keys.length = used;
    if used > keys.capacity {
        return Err(too_small_error(used, keys.capacity));
    }
    Ok(Status::Ok)
}

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
        let checked = unsafe { handles::query(handle, query, handles::MATCHING_FLAGS) }?;
        check_memory(answer)?;
        let write = |found: &Answer<'_>| write_answer(answer, checked.has(c::PLEXINDEX_QUERY_FILE), found);
        if checked.has(c::PLEXINDEX_QUERY_AT_ONCE) {
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
        let checked = unsafe { handles::query(handle, query, handles::MATCHING_FLAGS) }?;
        checked.check_no_size()?;
        let paths = split_strings(checked.text, count, "query.text")?;
        // A call that can ask the server must not fail afterwards because the buffer is too small.
        if !checked.has(c::PLEXINDEX_QUERY_AT_ONCE | c::PLEXINDEX_QUERY_OFFLINE) {
            check_memory_for(answers, count, checked.text.len())?;
        }
        write_answers(answers, count, checked.has(c::PLEXINDEX_QUERY_FILE), |block| {
            if !checked.has(c::PLEXINDEX_QUERY_AT_ONCE) {
                let mut written = Ok(());
                checked.query.match_paths_with(&paths, |index, found| {
                    if index == 0 {
                        written = Ok(());
                        block.restart(count);
                    }
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

/// Returns the number of answers in a block, one per path in order; 0 if the buffer contains no block.
/// This and the next five functions read an unchanged block from plexindex_match_path() or plexindex_match_paths().
/// They check all offsets, and return NULL or 0 for missing data. The returned pointers point into the block.
///
/// # Safety
/// `block` must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_count_answers(block: *const Buffer) -> usize {
    guard_value(0, || {
        // SAFETY: guaranteed by the caller.
        unsafe { BlockReader::of(block) }.map_or(0, |block| block.count())
    })
}

/// Returns the answer at this index, starting at 0; NULL beyond the last answer.
///
/// # Safety
/// `block` must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_answer(block: *const Buffer, index: usize) -> *const AnswerRecord {
    guard_value(std::ptr::null(), || {
        // SAFETY: guaranteed by the caller.
        let block = unsafe { BlockReader::of(block) };
        block.map_or(std::ptr::null(), |block| block.answer(index))
    })
}

/// Returns a single item with high confidence; otherwise NULL. With low confidence, candidate 0 may be another work.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_sure_item(
    block: *const Buffer,
    answer: *const AnswerRecord,
) -> *const ItemRecord {
    guard_value(std::ptr::null(), || {
        // SAFETY: guaranteed by the caller.
        match unsafe { (BlockReader::of(block), read_struct(answer)) } {
            (Some(block), Some(answer)) if answer.confidence == Confidence::High as u8 => {
                block.element(answer.item, 1, 0) // an array of one item
            }
            _ => std::ptr::null(),
        }
    })
}

/// Returns the candidate at this index, starting at 0 with the best; NULL beyond the last candidate.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_candidate(
    block: *const Buffer,
    answer: *const AnswerRecord,
    index: usize,
) -> *const ItemRecord {
    guard_value(std::ptr::null(), || {
        // SAFETY: guaranteed by the caller.
        match unsafe { (BlockReader::of(block), read_struct(answer)) } {
            (Some(block), Some(answer)) => block.element(answer.candidates, answer.candidates_count, index),
            _ => std::ptr::null(),
        }
    })
}

/// Returns an item's matching file; NULL if the query lacked PLEXINDEX_QUERY_FILE, or the listing has no such file.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_file(block: *const Buffer, item: *const ItemRecord) -> *const FileRecord {
    guard_value(std::ptr::null(), || {
        // SAFETY: guaranteed by the caller.
        match unsafe { (BlockReader::of(block), read_struct(item)) } {
            (Some(block), Some(item)) => block.element(item.file, 1, 0), // an array of one file
            _ => std::ptr::null(),
        }
    })
}

/// Returns a NUL-terminated string from a block, such as `&item->title`; NULL if missing. An empty string is not NULL.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_text(block: *const Buffer, text: *const Text) -> *const c_char {
    guard_value(std::ptr::null(), || {
        // SAFETY: guaranteed by the caller.
        match unsafe { (BlockReader::of(block), read_struct(text)) } {
            (Some(block), Some(text)) => block.text(text),
            _ => std::ptr::null(),
        }
    })
}

/// Lowest address of valid memory; below it are fields of a NULL struct, such as `&item->path` without an item.
const MIN_ADDRESS: usize = 4096;

/// Copies the caller's struct, which may be misaligned. Returns `None` for NULL and for the address of a field in a
/// NULL struct.
///
/// # Safety
/// `given` must be NULL, a field of a NULL struct, or valid.
unsafe fn read_struct<T: Copy>(given: *const T) -> Option<T> {
    // SAFETY: guaranteed by the caller.
    (given.addr() >= MIN_ADDRESS).then(|| unsafe { given.read_unaligned() })
}

#[cfg(test)]
#[path = "blocks_tests.rs"]
mod blocks_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::for_tests::{buffer, hostile};

    #[test]
    fn a_key_with_a_nul_shifts_no_other_answer() {
        let folder = tempfile::tempdir().unwrap();
        let index = hostile(folder.path());
        let library = index.library("Movies").unwrap();
        let asked = |path: &str| library.match_path(path).unwrap().candidates[0].rating_key.clone();
        assert_eq!((asked("/a"), asked("/c")), ("1".into(), "4".into()));

        let mut room = [0_u8; 256];
        let mut keys = buffer(room.as_mut_ptr(), room.len());
        assert_eq!(lookup_keys(&library, b"/a\0/b\0/c\0", 3, &mut keys), Ok(Status::Ok));
        let length = keys.length;
        assert_eq!(&room[..length], b"/library/metadata/1\0\0/library/metadata/4\0");
    }

    #[test]
    fn a_block_without_its_last_nul_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let library = hostile(folder.path()).library("Movies").unwrap();
        let mut keys = buffer::<u8>(std::ptr::null_mut(), 0);
        // It has one NUL, as `count` says.
        let block = b"/a\0/b";
        let refused = lookup_keys(&library, block, 1, &mut keys).map_err(|error| error.status);
        assert_eq!(refused, Err(Status::InvalidArgument));
        let refused = crate::strings::split_strings(block, 1, "paths").map_err(|error| error.status);
        assert_eq!(refused, Err(Status::InvalidArgument));
    }
}
