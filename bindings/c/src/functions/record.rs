//! Recording and invalidation.

use std::ffi::c_char;

use crate::constants as c;
use crate::guard::{self, guard, opened, with_deadline};
use crate::strings::{bytes, check_block_length, check_flags, check_key_length, path_bytes, split_pairs, utf8};
use crate::types::{Buffer, Handle, LibraryHandle};
use plexindex::inside::path_from_bytes;

/// Records that the item with this key has this path. plexindex stores the match, which never expires and overrides
/// other matches. The item may be newer than the listing. While a complete listing lacks the item, queries ignore the
/// match, and their message says so.
///
/// `library`: one library, not all libraries. `path`: bytes as in the file system. `key`: `/library/metadata/` and the
/// item's rating key, or only the rating key, 1 to 255 digits. In all functions, other keys are invalid.
///
/// Returns PLEXINDEX_OK once the match is stored for all processes; PLEXINDEX_TIMEOUT, without recording, if that takes
/// longer than `timeout_ms` (as in plexindex_query). Asks the server only if the store does not know the library, so
/// also returns other server errors and PLEXINDEX_LIBRARY_NOT_FOUND. No callback can end this call: without a timeout,
/// it fails after `options.retry_ms` without a connection, or `options.read_timeout_ms` without data.
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle to a library of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_record_match(
    library: *const LibraryHandle,
    path: *const c_char,
    path_length: usize,
    key: *const c_char,
    key_length: usize,
    timeout_ms: i64,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        check_key_length(key_length)?;
        // SAFETY: guaranteed by the caller.
        let (library, path, key) = unsafe {
            (
                guard::library(library)?,
                path_bytes(path, path_length, "path")?,
                utf8(key, key_length, "key")?,
            )
        };
        with_deadline(library.query(), timeout_ms, "timeout_ms")?.record_pairs(&[(path, key)])
    })
}

/// Records many matches like plexindex_record_match(): all or none. `paths`, `keys`: `count` strings, each with a NUL.
///
/// `flags`: 0, or PLEXINDEX_RECORD_THROUGH to return only once the shared database has the matches, like the method
/// `sharing`. PLEXINDEX_TIMEOUT can then mean that this host has stored the matches and delivers them later.
/// PLEXINDEX_INVALID_ARGUMENT then means that nothing was recorded: the index does not share, or a path is in no
/// library folder and under no mapping, so that no other host could use the match.
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle to a library of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_record_matches(
    library: *const LibraryHandle,
    paths: *const c_char,
    paths_length: usize,
    keys: *const c_char,
    keys_length: usize,
    count: usize,
    flags: u32,
    timeout_ms: i64,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        check_block_length(keys_length, count, "keys")?;
        // SAFETY: guaranteed by the caller.
        let (library, paths, keys) = unsafe {
            (
                guard::library(library)?,
                bytes(paths, paths_length, "paths")?,
                utf8(keys, keys_length, "keys")?,
            )
        };
        check_flags(flags, 0, c::PLEXINDEX_RECORD_THROUGH, "record_matches")?;
        let mut query = with_deadline(library.query(), timeout_ms, "timeout_ms")?;
        if flags & c::PLEXINDEX_RECORD_THROUGH != 0 {
            query = query.through();
        }
        query.record_pairs(&split_pairs(paths, keys, count)?)
    })
}

/// Invalidates a path in one library or in all, and removes its recorded match. If an item lists the path, plexindex
/// verifies the item with one request before it returns the item for this path again. Running calls can still return
/// the old answer.
///
/// Returns PLEXINDEX_OK, even for an unknown path; PLEXINDEX_NOT_FETCHED until the server has accepted a new token; or
/// an error for an argument or the store.
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle to a library of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_invalidate_path(
    library: *const LibraryHandle,
    path: *const c_char,
    path_length: usize,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: guaranteed by the caller.
        let (library, path) = unsafe { (guard::library(library)?, path_bytes(path, path_length, "path")?) };
        library.invalidate_path(path_from_bytes(path))
    })
}

/// Invalidates an item by its key or rating key, for example after the server returned 404, and removes its recorded
/// matches. plexindex verifies the item with one request before it returns it again; until then, answers are stale.
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle to a library of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_invalidate_item(
    library: *const LibraryHandle,
    key: *const c_char,
    key_length: usize,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        check_key_length(key_length)?;
        // SAFETY: guaranteed by the caller.
        let (library, key) = unsafe { (guard::library(library)?, utf8(key, key_length, "key")?) };
        library.invalidate_item(key)
    })
}

/// Invalidates one library or all libraries, and removes their recorded matches. The next call that can ask the server
/// fetches a full listing; until then, the old listing answers with PLEXINDEX_ANSWER_STALE. The time needed does not
/// depend on the library's size. Returns the same statuses as plexindex_invalidate_path().
///
/// # Safety
/// `library` must be NULL or a handle to a library of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_invalidate_library(library: *const LibraryHandle, error: *mut Buffer) -> i32 {
    guard(error, || {
        // SAFETY: guaranteed by the caller.
        unsafe { guard::library(library) }?.invalidate()
    })
}

/// Removes everything stored for this server and user, except the client identifier and lifetime counters. Without a
/// server URL, clears the newest server in the store. Returns the same statuses as plexindex_invalidate_path().
///
/// # Safety
/// `handle` must be NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_clear(handle: *const Handle, error: *mut Buffer) -> i32 {
    guard(error, || {
        // SAFETY: guaranteed by the caller.
        unsafe { opened(handle) }?.index().clear()
    })
}
