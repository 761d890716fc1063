//! Read an answer.

use std::ffi::c_char;

use crate::answer::Written;
use crate::guard::guard_value;
use crate::types::{AnswerRecord, Buffer, ItemRecord, Text};

/// How many answers a block has: one for each query, in order. 0 for a buffer that holds no block.
///
/// This and the next four functions read a block that plexindex_match_path() and the like wrote. They check each
/// offset against `block`, the buffer as that call left it. What is not there is NULL or 0. Results lie in its memory.
///
/// # Safety
/// `block` must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_count_answers(block: *const Buffer) -> usize {
    guard_value(0, || {
        // SAFETY: the caller's promise.
        unsafe { Written::of(block) }.map_or(0, |block| block.count())
    })
}

/// The answer at this place of a block, from 0 on. NULL beyond the last one.
///
/// # Safety
/// `block` must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_answer(block: *const Buffer, place: usize) -> *const AnswerRecord {
    guard_value(std::ptr::null(), || {
        // SAFETY: the caller's promise.
        let block = unsafe { Written::of(block) };
        block.map_or(std::ptr::null(), |block| block.answer(place))
    })
}

/// The single item of an answer. NULL when there is none, as for an answer that is ambiguous.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_item(block: *const Buffer, answer: *const AnswerRecord) -> *const ItemRecord {
    guard_value(std::ptr::null(), || {
        // SAFETY: the caller's promise.
        match unsafe { (Written::of(block), copied(answer)) } {
            (Some(block), Some(answer)) => block.one(answer.item, 1, 0),
            _ => std::ptr::null(),
        }
    })
}

/// The candidate at this place of an answer, from 0 on, the best first. NULL beyond the last one.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_candidate(
    block: *const Buffer,
    answer: *const AnswerRecord,
    place: usize,
) -> *const ItemRecord {
    guard_value(std::ptr::null(), || {
        // SAFETY: the caller's promise.
        match unsafe { (Written::of(block), copied(answer)) } {
            (Some(block), Some(answer)) => block.one(answer.candidates, answer.candidates_count, place),
            _ => std::ptr::null(),
        }
    })
}

/// A text of a block, such as `&item->title`, NUL-terminated. NULL when there is none. An empty text is not NULL.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_text(block: *const Buffer, text: *const Text) -> *const c_char {
    guard_value(std::ptr::null(), || {
        // SAFETY: the caller's promise.
        match unsafe { (Written::of(block), copied(text)) } {
            (Some(block), Some(text)) => block.text(text),
            _ => std::ptr::null(),
        }
    })
}

/// No memory begins below this address: such a pointer is a field of a NULL struct, as `&item->path` without an item.
const LOWEST: usize = 4096;

/// A struct of the caller's, wherever it lies.
///
/// # Safety
/// `given` must be NULL, a field of a NULL struct, or valid.
unsafe fn copied<T: Copy>(given: *const T) -> Option<T> {
    // SAFETY: the caller's promise.
    (given.addr() >= LOWEST).then(|| unsafe { given.read_unaligned() })
}
