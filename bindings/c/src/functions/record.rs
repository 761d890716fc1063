//! Record and invalidate.

use std::ffi::c_char;

use crate::constants as c;
use crate::guard::guard;
use crate::handles::{self, opened};
use crate::query::within;
use crate::strings::{bytes, check_flags, path_bytes, split_pairs, utf8};
use crate::types::{Buffer, Handle, LibraryHandle};
use plexindex::inside::named;

/// Records that the item with this key has this path. A recorded match is stored, never expires, and answers first. The
/// item need not be listed, since it may be newer than the listing. While a complete listing lacks it, the match does
/// not answer, and the message of a query says so.
///
/// `library`: one library, not all. `path`: the file system's bytes. `key`: the item's key, `/library/metadata/` and its
/// rating key, or the rating key alone: 1 to 255 digits. Anything else is refused, here and wherever a key is given.
///
/// Returns PLEXINDEX_OK once the match is stored, for every process. The server is asked only for a library that the
/// store does not know, until `deadline_ms` (as plexindex_query.deadline_ms) passes: then PLEXINDEX_TIMEOUT, and nothing
/// is recorded. Its other errors and PLEXINDEX_LIBRARY_NOT_FOUND may come too. No function ends this call: without a
/// deadline it ends when the server was away for `options.retry_ms`, or silent for `options.read_timeout_ms`.
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
    deadline_ms: i64,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (library, path, key) = unsafe {
            (
                handles::library(library)?,
                path_bytes(path, path_length, "path")?,
                utf8(key, key_length, "key")?,
            )
        };
        within(library.query(), deadline_ms, "deadline_ms")?.record_pairs(&[(path, key)])
    })
}

/// plexindex_record_match() for many: all are recorded, or none. `paths`, `keys`: `count`, each followed by a NUL.
///
/// `flags`: 0, or PLEXINDEX_RECORD_THROUGH: the call returns once the log that hosts share has the matches, as
/// the method `sharing` can. PLEXINDEX_TIMEOUT may then say that they are stored in this folder, and delivered
/// later. PLEXINDEX_INVALID_ARGUMENT says that nothing is recorded, because the index does not share, or because no
/// other host could use a path: it is in no folder of the library and under no mapping.
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
    flags: u32,
    deadline_ms: i64,
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
        check_flags(flags, 0, c::PLEXINDEX_RECORD_THROUGH, "record_matches")?;
        let mut query = within(library.query(), deadline_ms, "deadline_ms")?;
        if flags & c::PLEXINDEX_RECORD_THROUGH != 0 {
            query = query.through();
        }
        query.record_pairs(&split_pairs(paths, keys, count)?)
    })
}

/// Invalidates a path, in one library or all. Its recorded match is removed. If an item lists the path, one request
/// verifies that item before it answers for the path again. Calls that began before may still answer as before.
///
/// Returns PLEXINDEX_OK, also for a path that is not known; PLEXINDEX_NOT_FETCHED until the server has accepted
/// a new token; an error of the arguments or of the store.
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_invalidate_path(
    library: *const LibraryHandle,
    path: *const c_char,
    path_length: usize,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (library, path) = unsafe { (handles::library(library)?, path_bytes(path, path_length, "path")?) };
        library.invalidate_path(named(path))
    })
}

/// plexindex_invalidate_path() for all paths of an item, by its key or rating key: for a 404 of the server.
///
/// # Safety
/// As plexindex_invalidate_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_invalidate_item(
    library: *const LibraryHandle,
    key: *const c_char,
    key_length: usize,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (library, key) = unsafe { (handles::library(library)?, utf8(key, key_length, "key")?) };
        library.invalidate_item(key)
    })
}

/// Invalidates a library, or all. Recorded matches are removed, and the next call that may ask the server fetches a
/// full listing. Until that is complete the old listing answers, marked PLEXINDEX_ANSWER_STALE. The call takes the
/// same time for a library of any size. Returns what plexindex_invalidate_path() returns.
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

/// Removes all that the store holds of this server and user. The client identifier and the counters of the store's life
/// stay. Without a server URL that is the newest server in the store. Returns what plexindex_invalidate_path() returns.
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
