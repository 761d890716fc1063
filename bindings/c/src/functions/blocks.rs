//! Answer blocks.

use std::ffi::c_char;

use crate::answer::BlockReader;
use crate::guard::guard_value;
use crate::types::{AnswerRecord, Buffer, FileRecord, ItemRecord, Text};

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

/// Returns an answer's single item; NULL if the answer is ambiguous or has no item.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_item(block: *const Buffer, answer: *const AnswerRecord) -> *const ItemRecord {
    guard_value(std::ptr::null(), || {
        // SAFETY: guaranteed by the caller.
        match unsafe { (BlockReader::of(block), read_struct(answer)) } {
            (Some(block), Some(answer)) => block.element(answer.item, 1, 0), // an array of one item
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
mod tests;
