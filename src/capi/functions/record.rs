//! What the host knows: recorded matches, and what is not to be believed any more.

use std::ffi::c_char;

use crate::capi::guard::guard;
use crate::capi::handles::{self, opened};
use crate::capi::strings::{bytes, split_pairs, utf8};
use crate::capi::types::{Buffer, Handle, LibraryHandle};
use crate::platform::files;

/// Records that the item with this key has this path. A recorded match is stored, never expires, and answers first.
///
/// `library`: one library, not all. `path`: the file system's bytes. `key`: the item's key or rating key, UTF-8. A
/// rating key has at most 255 bytes; a longer one is PLEXINDEX_INVALID_ARGUMENT, here and wherever a key is given.
///
/// Returns PLEXINDEX_OK once the match is stored, for every process; PLEXINDEX_INVALID_ARGUMENT; PLEXINDEX_STORE or
/// PLEXINDEX_STORE_FULL; PLEXINDEX_LIBRARY_NOT_FOUND when the library is not known and the server cannot be asked.
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_record_match(
    library: *const LibraryHandle,
    path: *const c_char,
    path_length: usize,
    key: *const c_char,
    key_length: usize,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (library, path, key) = unsafe {
            (
                handles::library(library)?,
                bytes(path, path_length, "path")?,
                utf8(key, key_length, "key")?,
            )
        };
        library.record_pairs(&[(path, key)])
    })
}

/// plexindex_record_match() for many in one transaction: all are recorded, or none.
///
/// `paths`, `keys`: `count` of each, each followed by a NUL.
///
/// Returns what plexindex_record_match() returns.
///
/// # Safety
/// As plexindex_record_match().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_record_matches(
    library: *const LibraryHandle,
    paths: *const c_char,
    paths_length: usize,
    keys: *const c_char,
    keys_length: usize,
    count: usize,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (library, paths, keys) = unsafe {
            (
                handles::library(library)?,
                bytes(paths, paths_length, "paths")?,
                utf8(keys, keys_length, "keys")?,
            )
        };
        library.record_pairs(&split_pairs(paths, keys, count)?)
    })
}

/// Invalidates a path. Its recorded match is removed. An item that lists the path is not answered for it again until
/// one request has verified it.
///
/// Returns PLEXINDEX_OK, also for a path that is not known; PLEXINDEX_LIBRARY_NOT_FOUND until the server has accepted a new token,
/// as plexindex_notify(); an error of the arguments or of the store.
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle of an open index (all libraries are fine).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_invalidate_path(
    library: *const LibraryHandle,
    path: *const c_char,
    length: usize,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (library, path) = unsafe { (handles::library(library)?, bytes(path, length, "path")?) };
        library.invalidate_path(files::named(path))
    })
}

/// Invalidates an item, by its key or rating key: plexindex_invalidate_path() for all its paths. Call it when the
/// server answers 404 for an item.
///
/// Returns what plexindex_invalidate_path() returns.
///
/// # Safety
/// As plexindex_invalidate_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_invalidate_item(
    library: *const LibraryHandle,
    key: *const c_char,
    length: usize,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (library, key) = unsafe { (handles::library(library)?, utf8(key, length, "key")?) };
        library.invalidate_item(key)
    })
}

/// Invalidates a library, or all. The recorded matches are removed, and the next call that may ask the server fetches a
/// full listing. Until that is complete the old listing answers, marked PLEXINDEX_ANSWER_STALE. The call takes the same
/// time for a library of any size.
///
/// Returns what plexindex_invalidate_path() returns.
///
/// # Safety
/// `library` must be NULL or a handle of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_invalidate_library(library: *const LibraryHandle, error: *mut Buffer) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        unsafe { handles::library(library) }?.invalidate()
    })
}

/// plexindex_invalidate_library() for every library of this server and user.
///
/// # Safety
/// `handle` must be NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_invalidate_all(handle: *const Handle, error: *mut Buffer) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        unsafe { opened(handle) }?.index().invalidate_all()
    })
}

/// Removes all that the store holds of this server and user: listings, recorded matches, and all else. The client
/// identifier and the counters of the store's life stay. Where no server is named, that is the one whose answers are given: the
/// newest that the store holds.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_LIBRARY_NOT_FOUND until the server has accepted a new token, as plexindex_notify();
/// PLEXINDEX_STORE or PLEXINDEX_STORE_FULL.
///
/// # Safety
/// `handle` must be NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_clear(handle: *const Handle, error: *mut Buffer) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        unsafe { opened(handle) }?.index().clear()
    })
}
