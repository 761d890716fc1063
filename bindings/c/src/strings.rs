//! Converts pointers of the caller to Rust values: checks NULL, alignment, lengths and sizes, and splits lists of
//! strings.

use std::ffi::c_char;
use std::mem::{align_of, size_of};

use super::types::Bytes;
use plexindex::error::{Error, Result, Status, abridged, check_length, refuse, room};
use plexindex::inside::MAX_PATH;
pub use plexindex::options::LONGEST_TEXT;

/// Maximum length of a token in bytes.
pub const LONGEST_TOKEN: usize = 65_536;
/// Maximum length of an edited field's name or value in bytes.
pub const LONGEST_FIELD: usize = 65_536;

/// Returns the error for fields or flags that this version does not know.
pub fn unsupported<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::new(Status::Unsupported, text))
}

/// Checks that a struct's reserved field is 0. `what` is the struct's name for the error text.
pub fn check_reserved(reserved: u32, what: &str) -> Result<()> {
    if reserved == 0 {
        return Ok(());
    }
    unsupported(format!("{what}.reserved is {reserved}; must be 0"))
}

/// Checks that a struct has only flags of `known`, and that its reserved field is 0. `what` is the struct's name for
/// the error text.
pub fn check_flags(flags: u32, reserved: u32, known: u32, what: &str) -> Result<()> {
    if flags & !known == 0 && reserved == 0 {
        return Ok(());
    }
    unsupported(format!(
        "{what}.flags is {flags:#x} and reserved is {reserved}; use only the flags {known:#x}, and 0 as reserved"
    ))
}

/// Returns the error for a NULL pointer in the argument `what`.
pub fn null(what: &str) -> Error {
    Error::new(Status::NullPointer, format!("{what} is NULL"))
}

/// Checks the alignment of a pointer, without which it must not become a reference.
pub fn aligned<T>(place: *const T, what: &str) -> Result<()> {
    if place.is_aligned() {
        return Ok(());
    }
    refuse(format!(
        "the pointer {what} is not aligned to {} bytes; use memory from malloc, and handles that plexindex returned",
        align_of::<T>()
    ))
}

/// Converts a pointer to a reference; a NULL or misaligned pointer is an error. `what` is the argument's name.
///
/// # Safety
/// `place` must be NULL, misaligned, or point to a `T`.
pub unsafe fn required<'h, T>(place: *const T, what: &str) -> Result<&'h T> {
    aligned(place, what)?;
    // SAFETY: the caller's promise.
    unsafe { place.as_ref() }.ok_or_else(|| null(what))
}

/// Converts the pointer of an output to a reference; a NULL or misaligned pointer is an error. `what` is the argument's
/// name.
///
/// # Safety
/// `place` must be NULL, misaligned, or point to a value that may be written.
pub unsafe fn out<'h, T>(place: *mut T, what: &str) -> Result<&'h mut T> {
    aligned(place, what)?;
    // SAFETY: the caller's promise.
    unsafe { place.as_mut() }.ok_or_else(|| null(what))
}

/// Rejects a number of items per page that is 0 or above 10,000.
pub fn check_page_limit(limit: usize) -> Result<()> {
    if (1..=10_000).contains(&limit) {
        return Ok(());
    }
    refuse(format!("limit is {limit}; must be 1 to 10000"))
}

/// Returns the bytes at a pointer. NULL with the length 0 gives an empty slice.
///
/// # Safety
/// `data` must be NULL or point to `length` bytes.
pub unsafe fn bytes<'h>(data: *const c_char, length: usize, what: &str) -> Result<&'h [u8]> {
    if data.is_null() {
        return if length == 0 { Ok(&[]) } else { Err(null(what)) };
    }
    if length > isize::MAX.unsigned_abs() {
        return refuse(format!("the length of {what} is {length}, larger than any memory"));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), length) })
}

/// Returns the bytes of a path. Rejects a path that is too long to copy; later code rejects other long paths with an
/// error that shows the path.
///
/// # Safety
/// As [`bytes`].
pub unsafe fn path_bytes<'h>(data: *const c_char, length: usize, what: &str) -> Result<&'h [u8]> {
    const MAX_COPIED: usize = 1 << 20;
    if length > MAX_COPIED {
        check_length(what, length, MAX_PATH)?;
    }
    // SAFETY: the caller's promise.
    unsafe { bytes(data, length, what) }
}

/// Returns the UTF-8 text at a pointer.
///
/// # Safety
/// As [`bytes`].
pub unsafe fn utf8<'h>(data: *const c_char, length: usize, what: &str) -> Result<&'h str> {
    // SAFETY: the caller's promise.
    decoded(unsafe { bytes(data, length, what) }?, what)
}

/// Returns the bytes as UTF-8 text. `what` is the argument's name for the error text.
pub fn decoded<'h>(bytes: &'h [u8], what: &str) -> Result<&'h str> {
    std::str::from_utf8(bytes).or_else(|_| refuse(format!("{what} is not UTF-8: '{}'", abridged(bytes))))
}

/// Returns the size of the caller's struct, which is its first field. `least` is the size of the struct in the first
/// version of the header.
///
/// # Safety
/// `given` must be NULL or valid.
pub unsafe fn size_given<T>(given: *const T, least: usize, what: &str) -> Result<usize> {
    if given.is_null() {
        return Err(null(what));
    }
    // SAFETY: every version of the struct has the first field.
    let size = unsafe { given.cast::<usize>().read_unaligned() };
    // No struct of any version ends within a field.
    if size < least || size > 1 << 20 || !size.is_multiple_of(align_of::<T>()) {
        return refuse(format!("{what}.size is {size}; set it to sizeof the struct"));
    }
    Ok(size)
}

/// Copies the caller's struct of any version, which begins with its size. Fields that the caller's struct lacks become
/// zero, and fields that this version does not know must be zero.
///
/// # Safety
/// As [`size_given`].
pub unsafe fn sized<T: Copy>(given: *const T, least: usize, what: &str) -> Result<T> {
    let known = size_of::<T>();
    // SAFETY: the caller's promise.
    let size = unsafe { size_given(given, least, what) }?;
    // SAFETY: the caller says that `size` bytes are there; only structs of integers, pointers and nullable functions
    // come here, for which all bytes zero is a value.
    unsafe {
        let beyond = std::slice::from_raw_parts(given.cast::<u8>(), size);
        if beyond.iter().skip(known).any(|byte| *byte != 0) {
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

/// Writes those fields of `filled` that the caller's struct of `size` bytes has. Fields that only a newer header has
/// remain unchanged.
///
/// # Safety
/// `place` must be valid for `size` bytes.
pub unsafe fn fill<T: Copy>(filled: &T, place: *mut T, size: usize) {
    // SAFETY: the caller's struct has `size` bytes, and the copy ends with the smaller struct.
    unsafe {
        std::ptr::copy_nonoverlapping(
            std::ptr::from_ref(filled).cast::<u8>(),
            place.cast::<u8>(),
            size.min(size_of::<T>()),
        );
    }
}

impl Bytes {
    /// Returns the bytes.
    ///
    /// # Safety
    /// As [`bytes`].
    pub(super) unsafe fn get<'h>(self, what: &str) -> Result<&'h [u8]> {
        // SAFETY: the caller's promise.
        unsafe { bytes(self.data, self.length, what) }
    }

    /// Returns a path or mapping, up to the maximum length of a path.
    ///
    /// # Safety
    /// As [`bytes`].
    pub(super) unsafe fn path<'h>(self, what: &str) -> Result<&'h [u8]> {
        check_length(what, self.length, MAX_PATH)?;
        // SAFETY: the caller's promise.
        unsafe { bytes(self.data, self.length, what) }
    }

    /// Returns the text; `None` if it is absent.
    ///
    /// # Safety
    /// As [`bytes`].
    pub(super) unsafe fn text(self, what: &str) -> Result<Option<String>> {
        check_length(what, self.length, LONGEST_TEXT)?;
        // SAFETY: the caller's promise.
        let text = unsafe { utf8(self.data, self.length, what) }?;
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }
}

/// Splits a block of `count` strings, each followed by a NUL. `what` names the strings for the error text.
pub fn split<'h>(block: &'h [u8], count: usize, what: &str) -> Result<Vec<&'h [u8]>> {
    if block.last().is_some_and(|last| *last != 0) {
        return refuse(format!("{what}: the last string does not end in a NUL; append a NUL"));
    }
    let found = memchr::memchr_iter(0, block).count();
    if found != count {
        return refuse(format!(
            "{what}: found {found}, but count is {count}; pass the number of NULs as count"
        ));
    }
    let mut strings: Vec<&[u8]> = room(found, what)?;
    strings.extend(block.split(|byte| *byte == 0).take(found));
    Ok(strings)
}

/// Splits two blocks of `count` strings into pairs of a path and a key.
pub fn split_pairs<'h>(paths: &'h [u8], keys: &'h str, count: usize) -> Result<Vec<(&'h [u8], &'h str)>> {
    let paths = split(paths, count, "paths")?;
    let keys = split(keys.as_bytes(), count, "keys")?;
    let mut pairs = room(count, "matches")?;
    for (path, key) in paths.into_iter().zip(keys) {
        pairs.push((path, decoded(key, "a key")?));
    }
    Ok(pairs)
}
