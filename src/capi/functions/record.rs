//! What the host knows: recorded matches, and what is not to be believed any more.

use std::ffi::c_char;

use crate::capi::guard::guard;
use crate::capi::handles::{self, opened};
use crate::capi::strings::{bytes, split_pairs, utf8};
use crate::capi::types::{Handle, LibraryHandle};
use crate::error::Status;

/// Confirms that the item with this key has this path. A confirmed match has no expiry; it answers first.
///
/// `library`: one library, not all. `path`: the file system's bytes. `key`: the item's key or rating key.
///
/// Returns PLEXINDEX_OK once the match is stored, for every process; PLEXINDEX_INVALID_ARGUMENT; PLEXINDEX_STORE…;
/// PLEXINDEX_LIBRARY_NOT_FOUND when the library is not known and cannot be asked for.
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
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (library, path, key) = unsafe {
            (
                handles::library(library)?,
                bytes(path, path_length, "path")?,
                utf8(key, key_length, "key")?,
            )
        };
        library.record_matches(&[(path, key)])?;
        Ok(Status::Ok)
    })
}

/// plexindex_record_match() for many in one transaction: all or none.
///
/// `paths`, `keys`: `count` of each, each followed by a NUL.
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
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (library, paths, keys) = unsafe {
            (
                handles::library(library)?,
                bytes(paths, paths_length, "paths")?,
                utf8(keys, keys_length, "keys")?,
            )
        };
        library.record_matches(&split_pairs(paths, keys, count)?)?;
        Ok(Status::Ok)
    })
}

/// Invalidates a path: its confirmed match goes, and its listed row is not answered again before one request has
/// confirmed the item. A path that is not known is fine.
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle of an open index (all libraries are fine).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_invalidate_path(
    library: *const LibraryHandle,
    path: *const c_char,
    length: usize,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (library, path) = unsafe { (handles::library(library)?, bytes(path, length, "path")?) };
        library.invalidate_path(path)?;
        Ok(Status::Ok)
    })
}

/// Invalidates an item, by its key or rating key: as plexindex_invalidate_path() for all its paths. What to call when the
/// server answered 404 for it.
///
/// # Safety
/// As plexindex_invalidate_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_invalidate_item(
    library: *const LibraryHandle,
    key: *const c_char,
    length: usize,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (library, key) = unsafe { (handles::library(library)?, utf8(key, length, "key")?) };
        library.invalidate_item(key)?;
        Ok(Status::Ok)
    })
}

/// Invalidates a library, or all: its confirmed matches go, and a full listing is due now; until it came, the old one
/// answers, marked stale. Takes the same time whatever the size.
///
/// # Safety
/// `library` must be NULL or a handle of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_invalidate_library(library: *const LibraryHandle) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { handles::library(library) }?.invalidate()?;
        Ok(Status::Ok)
    })
}

/// plexindex_invalidate_library() for every library of the store's server and user.
///
/// # Safety
/// `handle` must be NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_invalidate_all(handle: *const Handle) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { opened(handle) }?.index().invalidate_all()?;
        Ok(Status::Ok)
    })
}

/// Empties the store of this server and user: listings, matches, everything but the client identifier and the
/// counters of the store's life.
///
/// # Safety
/// `handle` must be NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_clear(handle: *const Handle) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { opened(handle) }?.index().clear()?;
        Ok(Status::Ok)
    })
}
