//! Converts the caller's pointers to Rust values: checks for NULL, alignment, lengths and sizes, and splits lists. Writes
//! bytes to the caller's buffers.

use std::ffi::c_char;
use std::mem::{align_of, size_of};

use super::types::{Buffer, Bytes};
use plexindex::error::{
    Error, Result, Status, check_length, invalid_argument_error, truncate_for_message, try_with_capacity,
};
use plexindex::inside::MAX_PATH;
use plexindex::model::LONGEST_KEY;
pub use plexindex::options::LONGEST_TEXT;

/// Length of a string in bytes above which plexindex does not read the string.
const MAX_COPIED: usize = 1 << 20;
pub const LONGEST_TOKEN: usize = 65_536; // bytes

/// Fails with the status `Unsupported`, for fields or flags that this version does not know. `text`: the message.
pub fn unsupported<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::new(Status::Unsupported, text))
}

/// Checks that a struct's reserved field is 0. `what` is the struct's name for the error message.
pub fn check_reserved(reserved: u32, what: &str) -> Result<()> {
    if reserved == 0 {
        return Ok(());
    }
    unsupported(format!("{what}.reserved must be 0, not {reserved}"))
}

/// Fails if a struct has flags that are not in `known`, or a reserved field that is not 0. `what` is the struct's name.
pub fn check_flags(flags: u32, reserved: u32, known: u32, what: &str) -> Result<()> {
    if flags & !known == 0 && reserved == 0 {
        return Ok(());
    }
    unsupported(format!(
        "{what}.flags is {flags:#x} and reserved is {reserved}; use only the flags {known:#x}, and set reserved to 0"
    ))
}

/// Returns the error for a NULL pointer in the argument `what`.
pub fn null_error(what: &str) -> Error {
    Error::new(Status::NullPointer, format!("{what} is NULL"))
}

/// Fails if a pointer is not aligned, as a Rust reference must be. `what` is the argument's name, for the message.
pub fn check_aligned<T>(place: *const T, what: &str) -> Result<()> {
    if place.is_aligned() {
        return Ok(());
    }
    invalid_argument_error(format!(
        "the pointer {what} is not aligned to {} bytes; use memory from malloc, and handles that plexindex returned",
        align_of::<T>()
    ))
}

/// Converts a pointer to a reference; a NULL or misaligned pointer is an error. `what` is the argument's name.
///
/// # Safety
/// `place` must be NULL, misaligned, or point to a `T`.
pub unsafe fn required<'h, T>(place: *const T, what: &str) -> Result<&'h T> {
    check_aligned(place, what)?;
    // SAFETY: guaranteed by the caller.
    unsafe { place.as_ref() }.ok_or_else(|| null_error(what))
}

/// Converts an output pointer to a reference; a NULL or misaligned pointer is an error. `what` is the argument's name.
///
/// # Safety
/// `place` must be NULL, misaligned, or point to a writable value.
pub unsafe fn output<'h, T>(place: *mut T, what: &str) -> Result<&'h mut T> {
    check_aligned(place, what)?;
    // SAFETY: guaranteed by the caller.
    unsafe { place.as_mut() }.ok_or_else(|| null_error(what))
}

/// Rejects a number of items per page that is 0 or above 10,000.
pub fn check_page_limit(limit: usize) -> Result<()> {
    if (1..=10_000).contains(&limit) {
        return Ok(());
    }
    invalid_argument_error(format!("limit must be from 1 to 10000, not {limit}"))
}

/// Returns the bytes at a pointer. NULL with length 0 returns an empty slice. `what` is the argument's name for error
/// messages.
///
/// # Safety
/// `data` must be NULL or point to `length` bytes.
pub unsafe fn bytes<'h>(data: *const c_char, length: usize, what: &str) -> Result<&'h [u8]> {
    if data.is_null() {
        return if length == 0 { Ok(&[]) } else { Err(null_error(what)) };
    }
    if length > isize::MAX.unsigned_abs() {
        return invalid_argument_error(format!(
            "the length of {what} is {length}, which is larger than any memory"
        ));
    }
    // SAFETY: guaranteed by the caller.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), length) })
}

/// Returns the bytes of a path or mapping. Fails if it is longer than a path may be. `what` is the argument's name.
///
/// # Safety
/// `data` must be NULL or point to `length` bytes.
pub unsafe fn path_bytes<'h>(data: *const c_char, length: usize, what: &str) -> Result<&'h [u8]> {
    check_length(what, length, MAX_PATH)?;
    // SAFETY: guaranteed by the caller.
    unsafe { bytes(data, length, what) }
}

/// Returns the UTF-8 string at a pointer. `what` is the argument's name for error messages.
///
/// # Safety
/// `data` must be NULL or point to `length` bytes.
pub unsafe fn utf8<'h>(data: *const c_char, length: usize, what: &str) -> Result<&'h str> {
    // SAFETY: guaranteed by the caller.
    decode_utf8(unsafe { bytes(data, length, what) }?, what)
}

/// Converts bytes to a UTF-8 string. `what` is the argument's name for the error message.
pub fn decode_utf8<'h>(bytes: &'h [u8], what: &str) -> Result<&'h str> {
    std::str::from_utf8(bytes)
        .or_else(|_| invalid_argument_error(format!("{what} is not UTF-8: '{}'", truncate_for_message(bytes))))
}

/// Returns the size of the caller's struct, which is the struct's first field. `min_size` is the struct's size in the
/// first version of the header, and `what` is the argument's name for error messages.
///
/// # Safety
/// `given` must be NULL or valid.
pub unsafe fn struct_size<T>(given: *const T, min_size: usize, what: &str) -> Result<usize> {
    if given.is_null() {
        return Err(null_error(what));
    }
    // SAFETY: every version of the struct starts with this field.
    let size = unsafe { given.cast::<usize>().read_unaligned() };
    // The size of each version is a multiple of the struct's alignment. A size of more than 1 MiB means that the caller
    // did not set the field.
    if size < min_size || size > 1 << 20 || !size.is_multiple_of(align_of::<T>()) {
        return invalid_argument_error(format!("{what}.size is {size}; set it to sizeof the struct"));
    }
    Ok(size)
}

/// Copies the caller's struct, which starts with its size and can be of any version. Fields that the caller's struct
/// lacks become zero, and fields that this version does not know must be zero. `min_size` is the struct's size in the
/// first version of the header, and `what` is the struct's name for error messages.
///
/// # Safety
/// `given` must be NULL or valid.
pub unsafe fn copy_struct<T: Copy>(given: *const T, min_size: usize, what: &str) -> Result<T> {
    let known = size_of::<T>();
    // SAFETY: guaranteed by the caller.
    let size = unsafe { struct_size(given, min_size, what) }?;
    // SAFETY: the caller guarantees that `size` bytes are valid. `T` contains only integers, pointers and nullable
    // functions, for which zero is a valid value.
    unsafe {
        let given_bytes = std::slice::from_raw_parts(given.cast::<u8>(), size);
        if given_bytes.iter().skip(known).any(|byte| *byte != 0) {
            return unsupported(format!(
                "{what} has {size} bytes, but this version supports only {known}, and a newer field is set; use a \
                 newer library, or set newer fields to 0"
            ));
        }
        let mut copy = std::mem::MaybeUninit::<T>::zeroed();
        std::ptr::copy_nonoverlapping(given.cast::<u8>(), copy.as_mut_ptr().cast(), size.min(known));
        Ok(copy.assume_init())
    }
}

/// Writes to the caller's struct `place` those fields of `filled` that fit into its `size` bytes: an older struct has
/// fewer fields. Leaves fields of a newer struct, which this version does not know, unchanged.
///
/// # Safety
/// `place` must be valid for `size` bytes.
pub unsafe fn write_fields<T: Copy>(filled: &T, place: *mut T, size: usize) {
    // SAFETY: the caller's struct has `size` bytes, and the copy has the size of the smaller struct.
    unsafe {
        std::ptr::copy_nonoverlapping(
            std::ptr::from_ref(filled).cast::<u8>(),
            place.cast::<u8>(),
            size.min(size_of::<T>()),
        );
    }
}

impl Bytes {
    /// Returns the bytes. `what` is their name for error messages.
    ///
    /// # Safety
    /// `data` must be NULL or point to `length` bytes.
    pub(super) unsafe fn get<'h>(self, what: &str) -> Result<&'h [u8]> {
        // SAFETY: guaranteed by the caller.
        unsafe { bytes(self.data, self.length, what) }
    }

    /// Returns the bytes like [`path_bytes`].
    ///
    /// # Safety
    /// `data` must be NULL or point to `length` bytes.
    pub(super) unsafe fn path<'h>(self, what: &str) -> Result<&'h [u8]> {
        // SAFETY: guaranteed by the caller.
        unsafe { path_bytes(self.data, self.length, what) }
    }

    /// Returns the UTF-8 string; `None` if it is empty. `what` is its name for error messages.
    ///
    /// # Safety
    /// `data` must be NULL or point to `length` bytes.
    pub(super) unsafe fn text(self, what: &str) -> Result<Option<String>> {
        check_length(what, self.length, LONGEST_TEXT)?;
        // SAFETY: guaranteed by the caller.
        let text = unsafe { utf8(self.data, self.length, what) }?;
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }
}

/// Fails if a block of `count` strings is certainly shorter than `length`, before the block is read: such a length is
/// often an uninitialized variable. `what` is the block's name for error messages.
pub fn check_block_length(length: usize, count: usize, what: &str) -> Result<()> {
    check_length(what, length, count.saturating_mul(MAX_COPIED).max(MAX_COPIED))
}

/// Fails if a rating key is certainly shorter than `length`, before the key is read. The index checks keys exactly.
pub fn check_key_length(length: usize) -> Result<()> {
    if length <= MAX_COPIED {
        return Ok(());
    }
    invalid_argument_error(format!(
        "key is {length} bytes long; a rating key has at most {LONGEST_KEY} bytes"
    ))
}

/// Splits a block of `count` strings, each followed by a NUL, and returns the strings without NULs, in order. `what` is
/// the block's name for error messages.
pub fn split_strings<'h>(block: &'h [u8], count: usize, what: &str) -> Result<Vec<&'h [u8]>> {
    check_block_length(block.len(), count, what)?;
    if block.last().is_some_and(|last| *last != 0) {
        return invalid_argument_error(format!("{what}: the last string does not end in a NUL; append a NUL"));
    }
    let nul_count = memchr::memchr_iter(0, block).count();
    if nul_count != count {
        return invalid_argument_error(format!(
            "{what} contains {nul_count} strings, but count is {count}; pass the number of NULs as count"
        ));
    }
    let mut strings: Vec<&[u8]> = try_with_capacity(nul_count, what)?;
    let mut begin = 0;
    strings.extend(memchr::memchr_iter(0, block).map(|end| &block[std::mem::replace(&mut begin, end + 1)..end]));
    Ok(strings)
}

/// Splits two blocks of `count` strings, each followed by a NUL, and returns the pairs of a path and its key, in order.
pub fn split_pairs<'h>(paths: &'h [u8], keys: &'h str, count: usize) -> Result<Vec<(&'h [u8], &'h str)>> {
    let paths = split_strings(paths, count, "paths")?;
    let keys = split_strings(keys.as_bytes(), count, "keys")?;
    let mut pairs = try_with_capacity(count, "matches")?;
    for (path, key) in paths.into_iter().zip(keys) {
        pairs.push((path, decode_utf8(key, "a key")?));
    }
    Ok(pairs)
}

/// Returns a buffer's memory. Fails for a NULL pointer with a capacity. `what` is the pointer's name, for the message.
pub fn buffer_memory<'b>(buffer: &'b mut Buffer, what: &str) -> Result<&'b mut [u8]> {
    if buffer.data.is_null() {
        if buffer.capacity > 0 {
            return Err(Error::new(
                Status::NullPointer,
                format!("{what} is NULL, but its capacity is {}", buffer.capacity),
            ));
        }
        return Ok(&mut []);
    }
    let capacity = buffer.capacity.min(isize::MAX.unsigned_abs());
    // SAFETY: the caller guarantees that `capacity` bytes are valid during the call.
    Ok(unsafe { std::slice::from_raw_parts_mut(buffer.data.cast(), capacity) })
}

/// Returns a buffer's memory for a block. Fails for memory not aligned to 8 bytes.
pub fn aligned_memory(buffer: &mut Buffer) -> Result<&mut [u8]> {
    if buffer.data.align_offset(align_of::<u64>()) != 0 {
        return Err(Error::new(
            Status::InvalidArgument,
            "the buffer is not aligned to 8 bytes; use memory from malloc",
        ));
    }
    buffer_memory(buffer, "the buffer's data")
}

/// Creates the error for a buffer that has `capacity` bytes but needs `needed` bytes.
pub fn too_small_error(needed: usize, capacity: usize) -> Error {
    Error::new(
        Status::BufferTooSmall,
        format!("the buffer has {capacity} bytes, but the answer needs {needed}; enlarge the buffer and call again"),
    )
}

/// Writes bytes and a NUL to the buffer. The buffer's `length` does not count the NUL.
pub fn write_bytes(buffer: &mut Buffer, text: &[u8]) -> Result<Status> {
    let room = aligned_memory(buffer)?;
    if text.len() >= room.len() {
        return set_needed_size(buffer, text.len());
    }
    room[..text.len()].copy_from_slice(text);
    room[text.len()] = 0;
    buffer.length = text.len();
    Ok(Status::Ok)
}

/// Sets the buffer's length to the needed size, which is `length` bytes and a NUL, and returns the error for a buffer
/// that is too small.
pub fn set_needed_size(buffer: &mut Buffer, length: usize) -> Result<Status> {
    buffer.length = length + 1;
    Err(too_small_error(buffer.length, buffer.capacity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::for_tests::buffer;

    #[test]
    fn a_text_ends_in_a_nul_and_nothing_is_written_behind_the_memory() {
        let written = |capacity: usize| {
            let mut memory = [0x5A5A_5A5A_5A5A_5A5A_u64; 2];
            let mut buffer = buffer(memory.as_mut_ptr(), capacity);
            let status = write_bytes(&mut buffer, b"abc").map_err(|error| error.status);
            (status, buffer.length, memory[0].to_ne_bytes())
        };
        assert_eq!(written(4), (Ok(Status::Ok), 3, *b"abc\0ZZZZ"));
        assert_eq!(written(3), (Err(Status::BufferTooSmall), 4, *b"ZZZZZZZZ"));
        // The struct of an older header.
        let mut place = [b'Z'; 8];
        // SAFETY: all of it is there.
        unsafe { write_fields(b"abcdefgh", &raw mut place, 3) };
        assert_eq!(place, *b"abcZZZZZ");
    }

    #[test]
    fn a_struct_of_any_version_is_read_as_far_as_it_is_known() {
        // Its size, and two more fields; then those of a newer header.
        type Known = [usize; 3];
        let copied = |size: usize, newer: [usize; 3]| {
            let given = [[size, 1, 2], newer];
            // SAFETY: sizes beyond its own are refused.
            unsafe { copy_struct::<Known>(given.as_ptr(), 2 * size_of::<usize>(), "options") }
        };
        let whole = size_of::<Known>();
        let older = 2 * size_of::<usize>();
        assert_eq!(copied(older, [0; 3]).map(|known| known[1..] == [1, 0]), Ok(true));
        assert_eq!(copied(whole, [9; 3]).map(|known| known[1..] == [1, 2]), Ok(true));
        assert_eq!(copied(2 * whole, [0; 3]).map(|known| known[1..] == [1, 2]), Ok(true));
        for newer in [[1, 0, 0], [0, 0, 1]] {
            let error = copied(2 * whole, newer).expect_err("a newer field is set");
            assert_eq!(error.status, Status::Unsupported);
            assert!(error.message.contains("options"), "{error}");
        }
        for size in [0, 1, older - 1, older + 1, 1 << 21, usize::MAX] {
            let error = copied(size, [0; 3]).expect_err("not set");
            assert_eq!(error.status, Status::InvalidArgument);
            assert!(error.message.contains(&format!("options.size is {size};")), "{error}");
            assert!(error.message.contains("sizeof"), "{error}");
        }
    }
}
