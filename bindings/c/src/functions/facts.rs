//! Facts as JSON, and the version of `SQLite`.

use std::ffi::c_char;

use crate::answer::{check_memory, write_json};
use crate::guard::{guard_into, guard_value};
use crate::handles::opened;
use crate::query;
use crate::strings::{bytes, split};
use crate::types::{Buffer, Handle, QueryRecord};
use plexindex::Proposal;
use plexindex::inside::SQLITE_VERSION;
use plexindex::inside::named;

/// The libraries as a JSON array, UTF-8. Each has `section`, `uuid` (`section:` and the section id where the server
/// gives none), `title`, `kind`, `locations`, `items`, `age_ms`, `fresh` and `generation`. Sends a request only when
/// no library is known and the query allows it. `library` and `text` of the query are not used.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_list_libraries_json(
    handle: *const Handle,
    query: *const QueryRecord,
    out_json: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_json, "out_json", |json| {
        // SAFETY: the caller's promise.
        let checked = unsafe { query::query(handle, query, 0) }?;
        check_memory(json)?;
        write_json(json, &checked.query.libraries()?)
    })
}

/// Asks the server who it is and which libraries it shows, whatever the store has, to find out what is wrong. Takes
/// two requests, three at the first contact, and stores their answers. The first one carries no token, so
/// PLEXINDEX_UNAUTHORIZED says that the server was reached. `library` and `text` of the query are not used.
///
/// `out_json`: an object, UTF-8: `machine_identifier`, `version`, `answered_us`, `libraries`.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_OFFLINE; the server's error.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_check_server_json(
    handle: *const Handle,
    query: *const QueryRecord,
    out_json: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_json, "out_json", |json| {
        // SAFETY: the caller's promise.
        let checked = unsafe { query::query(handle, query, 0) }?;
        check_memory(json)?;
        write_json(json, &checked.query.server()?)
    })
}

/// Describes the place where the store is, as a JSON object, UTF-8: `folder`, `file_system`, `journal`,
/// `shares_memory`, `counter_page`, `locks`, `locks_error`, `disk_bytes` and `free_bytes`. The call tests `locks` on a
/// file that it removes again. `file_system` and `free_bytes` are null where the system does not say. Sends no
/// request.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_store_json(
    handle: *const Handle,
    out_json: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_json, "out_json", |json| {
        // SAFETY: the caller's promise.
        let opened = unsafe { opened(handle) }?;
        write_json(json, &opened.index().store()?)
    })
}

/// Proposes mappings that seem to be missing, the best first, as a JSON array, UTF-8. Each has `from`, `to`, `matched`
/// and `of`: this handle found `of` paths by their end or file name, and `matched` of them would be listed if the
/// host's folder `from` were the server's folder `to` (PLEXINDEX_MAPPING_HOST_PREFIX). The first 500 such answers
/// count. Folders are given in full, also with PLEXINDEX_OPEN_OBFUSCATE_PATHS. Sends no request.
///
/// `paths`: `count` paths, each followed by a NUL; NULL, 0 and 0 for none. With paths these count, and not earlier
/// answers. Each proposal is tried on the paths that those before it leave unlisted, and has `gain`: how many of them it
/// has listed. At most five are given, and none for a few paths of many.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_propose_mappings_json(
    handle: *const Handle,
    paths: *const c_char,
    paths_length: usize,
    count: usize,
    out_json: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_json, "out_json", |json| {
        // SAFETY: the caller's promise.
        let (opened, paths) = unsafe { (opened(handle)?, bytes(paths, paths_length, "paths")?) };
        let proposals = match split(paths, count, "paths")?.as_slice() {
            [] => opened.index().proposals(),
            paths => opened.index().try_proposals(paths.iter().map(|path| named(*path)))?,
        };
        // Folders that are not UTF-8 are left out: JSON has no words for them.
        let is_text = |one: &Proposal| one.from.to_str().is_some() && one.to.to_str().is_some();
        let proposals: Vec<_> = proposals.into_iter().filter(is_text).collect();
        write_json(json, &proposals)
    })
}

/// The version of the `SQLite` that is part of this library, such as `3.50.4`: static, NUL-terminated, never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn plexindex_get_sqlite_version() -> *const c_char {
    guard_value(c"".as_ptr(), || SQLITE_VERSION.as_ptr())
}
