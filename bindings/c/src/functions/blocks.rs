//! Reads a block of answers.

use std::ffi::c_char;

use crate::answer::Written;
use crate::guard::guard_value;
use crate::types::{AnswerRecord, Buffer, ItemRecord, Text};

/// Returns the number of answers in a block: one per path, in order. 0 if the buffer has no block.
///
/// This and the next four functions read a block of plexindex_match_path() or plexindex_match_paths(). They check each
/// offset against `block`, which must be as that call left it. What is missing is NULL or 0. Results point into it.
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

/// Returns the answer with this index, from 0; NULL beyond the last one.
///
/// # Safety
/// `block` must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_answer(block: *const Buffer, index: usize) -> *const AnswerRecord {
    guard_value(std::ptr::null(), || {
        // SAFETY: the caller's promise.
        let block = unsafe { Written::of(block) };
        block.map_or(std::ptr::null(), |block| block.answer(index))
    })
}

/// Returns the single item of an answer; NULL if there is none, as in an ambiguous answer.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_item(block: *const Buffer, answer: *const AnswerRecord) -> *const ItemRecord {
    guard_value(std::ptr::null(), || {
        // SAFETY: the caller's promise.
        match unsafe { (Written::of(block), copied(answer)) } {
            (Some(block), Some(answer)) => block.element(answer.item, 1, 0),
            _ => std::ptr::null(),
        }
    })
}

/// Returns the candidate with this index, from 0, best first; NULL beyond the last one.
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
        // SAFETY: the caller's promise.
        match unsafe { (Written::of(block), copied(answer)) } {
            (Some(block), Some(answer)) => block.element(answer.candidates, answer.candidates_count, index),
            _ => std::ptr::null(),
        }
    })
}

/// Returns a text of a block, such as `&item->title`, NUL-terminated; NULL if there is none. An empty text is not NULL.
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
