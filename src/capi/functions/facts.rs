//! What the index holds and did.

use std::ffi::c_char;

use crate::api::{LibraryInfo, Proposal};
use crate::capi::answer::{write_answers, write_json, write_nothing};
use crate::capi::guard::guard;
use crate::capi::handles::{self, Opened, opened};
use crate::capi::query;
use crate::capi::strings::{fill, out, size_given, utf8};
use crate::capi::types::{Buffer, Handle, LibraryHandle, QueryRecord, StatsRecord};
use crate::error::{Result, Status, refuse};
use crate::stats::micros;

/// The items of a library as the store has them, one page a call. Sends no request.
///
/// `library`: one library, not all. `cursor`: 0 for the first page; the call moves it to the next one. `limit`: the
/// most items of a page, 1 to 10,000. `page`: receives a block with one answer whose candidates are the items.
///
/// Returns the answer's status: PLEXINDEX_OK with items, PLEXINDEX_NOT_FOUND after the last page. Returns
/// PLEXINDEX_BUFFER_TOO_SMALL with the cursor as it was; PLEXINDEX_INVALID_ARGUMENT; PLEXINDEX_LIBRARY_NOT_FOUND when
/// the library is not in the store, or its listing is not: it was never fetched (plexindex_refresh() does that), or was
/// removed for the limit on the folder, between two pages perhaps.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open, and `library` one of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_items(
    handle: *const Handle,
    library: *const LibraryHandle,
    cursor: *mut i64,
    limit: usize,
    page: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (library, cursor, page) = unsafe {
            opened(handle)?;
            (handles::library(library)?, out(cursor, "cursor")?, out(page, "page")?)
        };
        if limit == 0 || limit > 10_000 {
            return refuse(format!("limit is {limit}: give 1 to 10000"));
        }
        let items = library.items_page(*cursor, limit)?;
        let of = library.known();
        write_answers(page, 1, |block| {
            block.items(library.key_prefix(), of.as_ref(), items.iter().map(|(_, item)| item));
            Ok(())
        })?;
        let Some((last, _)) = items.last() else {
            return Ok(Status::NotFound);
        };
        *cursor = *last;
        Ok(Status::Ok)
    })
}

/// One item of a library, or of any, as the store has it, with all its files and external ids. Sends no request.
///
/// `key`: the item's key or rating key. `json`: receives a JSON object, UTF-8:
/// `{"key","rating_key","kind","title","year","show_title","show_rating_key","season","episode","guid","guids","paths"}`.
/// `kind` is Plex's word. `season` and `episode` are -1 for none.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND when no listing holds the item; PLEXINDEX_BUFFER_TOO_SMALL;
/// PLEXINDEX_INVALID_ARGUMENT when `key` is no key.
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_item_json(
    library: *const LibraryHandle,
    key: *const c_char,
    key_length: usize,
    json: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (library, key, json) = unsafe {
            (
                handles::library(library)?,
                utf8(key, key_length, "key")?,
                out(json, "json")?,
            )
        };
        match library.item(key)? {
            Some(item) => write_json(json, &item.to_json()),
            None => Ok(write_nothing(json)),
        }
    })
}

/// The libraries, as JSON, UTF-8:
/// `[{"section","uuid","title","kind","locations","items","age_ms","fresh","generation"}]`. A request is sent only when
/// no library is known and the query allows it. `library` and `text` of the query are not used. For a library that has
/// no uuid of its own on the server, `uuid` is `section:` and the section id.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_libraries_json(
    handle: *const Handle,
    query: *const QueryRecord,
    json: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (asked, json) = unsafe { (query::query(handle, query)?, out(json, "json")?) };
        let libraries: Vec<_> = asked.query.libraries()?.iter().map(LibraryInfo::to_json).collect();
        write_json(json, &libraries)
    })
}

/// Asks the server who it is and which libraries it shows, whatever the store has. For finding out what is wrong. Takes
/// two requests, three at the first contact, and stores what they tell. The first one carries no token, so
/// PLEXINDEX_UNAUTHORIZED says that the server was reached.
///
/// `json`: receives `{"machine_identifier","version","answered_us","libraries","database_aside"}`, UTF-8. The last is null,
/// or says why Plex's database was put aside, so that the server is asked in its place. `library` and `text` of the query
/// are not used.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_OFFLINE; the server's error.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_server_json(
    handle: *const Handle,
    query: *const QueryRecord,
    json: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (asked, json) = unsafe { (query::query(handle, query)?, out(json, "json")?) };
        write_json(json, &asked.query.server()?)
    })
}

/// What kind of place the store is in, as JSON, UTF-8: `{"folder","file_system","journal","shares_memory",
/// "counter_page","locks","locks_error","disk_bytes","free_bytes"}`. `locks` is tested on a file that is removed again.
/// `file_system` and `free_bytes` are null where the system does not tell. Sends no request.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_store_json(handle: *const Handle, json: *mut Buffer, error: *mut Buffer) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (opened, json) = unsafe { (opened(handle)?, out(json, "json")?) };
        write_json(json, &opened.index().store()?)
    })
}

/// Mappings that seem to be missing, the best first, as JSON, UTF-8: `[{"from","to","matched","of"}]`. This handle
/// found `of` paths by their end or file name; `matched` of them would be listed if the host's folder `from` were the
/// server's folder `to` (PLEXINDEX_MAPPING_HOST_PREFIX). The first 500 such answers count. Folders are given in full,
/// also with PLEXINDEX_OPEN_OBFUSCATE_PATHS.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_proposals_json(handle: *const Handle, json: *mut Buffer, error: *mut Buffer) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (opened, json) = unsafe { (opened(handle)?, out(json, "json")?) };
        // Folders that are not UTF-8 are left out: JSON has no words for them.
        let is_text = |one: &Proposal| one.from.to_str().is_some() && one.to.to_str().is_some();
        let proposals: Vec<_> = opened.index().proposals().into_iter().filter(is_text).collect();
        write_json(json, &proposals)
    })
}

/// Fills in the statistics. `stats`: its `size` must be set.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_stats(handle: *const Handle, stats: *mut StatsRecord, error: *mut Buffer) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        unsafe { write_stats(opened(handle)?, stats) }
    })
}

/// The statistics as a JSON object with named counts, UTF-8.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_stats_json(handle: *const Handle, json: *mut Buffer, error: *mut Buffer) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (opened, json) = unsafe { (opened(handle)?, out(json, "json")?) };
        write_json(json, &opened.index().stats()?)
    })
}

/// # Safety
/// `place` must be NULL or point to statistics whose size is set.
unsafe fn write_stats(opened: &Opened, place: *mut StatsRecord) -> Result<()> {
    // SAFETY: the caller's promise.
    let size = unsafe { size_given(place, "stats") }?;
    let counted = opened.index().stats()?;
    let stats = StatsRecord {
        size,
        answers: counted.answers,
        lookup_misses: counted.lookup_misses,
        stale_answers: counted.stale_answers,
        requests: counted.requests,
        bytes_received: counted.bytes_received,
        store_requests: counted.store_requests,
        store_answers: counted.store_answers,
        listings: counted.listings,
        network_us: micros(counted.network),
        store_us: micros(counted.storing),
        image_us: micros(counted.indexing),
        items: counted.items,
        matches: counted.matches,
        libraries: counted.libraries,
        disk_bytes: counted.disk_bytes,
        sequence: counted.sequence,
        events: counted.events,
        hints: counted.hints,
        parse_us: micros(counted.parsing),
        wait_us: micros(counted.waiting),
        match_us: micros(counted.matching),
        calls: counted.calls,
        calls_us: micros(counted.calling),
        slow_calls: counted.slow_calls,
        failures: counted.failures,
        size_limit: counted.size_limit.unwrap_or(0),
        over_limit: counted.over_limit,
        evictions: counted.evictions,
    };
    // SAFETY: the caller's promise.
    unsafe { fill(&stats, place, size) };
    Ok(())
}
