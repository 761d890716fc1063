//! The exported functions, in the order of the header. Comments are written for C readers.

use std::ffi::{CStr, c_char, c_void};

use super::answer::{recount_log_lines, write_answer, write_answers, write_text};
use super::constants as c;
use super::edit;
use super::guard::{guard, guard_value, last_error_message};
use super::input::{self, Opened, bytes, library, opened, out};
use super::log_ring;
use super::types::{Buffer, Edit, EditReport, Handle, LibraryHandle, LogFn, Options, Query, Stats};
use crate::error::{Error, Status};
use crate::platform::thread::lent;

/// The crate's version, NUL-terminated.
const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// The ABI version of this library, PLEXINDEX_ABI_VERSION of the header it was built with. Never fails.
#[unsafe(no_mangle)]
pub extern "C" fn plexindex_abi_version() -> u32 {
    guard_value(0, || c::PLEXINDEX_ABI_VERSION)
}

/// The version of this library, such as `0.1.0`: static, NUL-terminated, never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn plexindex_version() -> *const c_char {
    guard_value(c"".as_ptr(), || VERSION.as_ptr())
}

/// The name of a status without its prefix, such as `NOT_FOUND`: static, NUL-terminated; `UNKNOWN` for a number that
/// this version does not know. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn plexindex_status_name(status: i32) -> *const c_char {
    guard_value(c"UNKNOWN".as_ptr(), || {
        Status::from_number(status).map_or(c"UNKNOWN", Status::c_name).as_ptr()
    })
}

/// What went wrong in this thread's last plexindex call that returned an error (a status from 100 on): names the input
/// and the remedy. UTF-8, NUL-terminated, never NULL, empty when nothing went wrong yet. The text belongs to the
/// thread and is valid until its next plexindex call. Longer texts end in `…`.
#[unsafe(no_mangle)]
pub extern "C" fn plexindex_last_error_message() -> *const c_char {
    guard_value(c"".as_ptr(), last_error_message)
}

/// Opens an index. Touches the disk only: no request is sent.
///
/// `options`: see plexindex_options; read during the call only. `out_handle`: receives the handle on PLEXINDEX_OK and
/// NULL otherwise.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_NULL_POINTER; PLEXINDEX_INVALID_ARGUMENT or PLEXINDEX_UNSUPPORTED for options that
/// are refused; PLEXINDEX_STORE or PLEXINDEX_STORE_FULL when the store cannot be opened or made. The same folder may be
/// opened several times and by several processes at once.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_open(options: *const Options, out_handle: *mut *mut Handle) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let slot = unsafe { out(out_handle, "out_handle") }?;
        *slot = std::ptr::null_mut();
        // SAFETY: the caller's promise.
        let options = unsafe { input::options(options) }?;
        *slot = Opened::open(options)?.into_handle();
        Ok(Status::Ok)
    })
}

/// Closes an index and writes its counters; no thread of the library runs afterwards. NULL is fine. No other thread may
/// be in a call with the handle or its library handles, and none may begin one: both are invalid from now on, and the
/// library cannot detect their use.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_STORE when the counters could not be written (the index is closed all the same).
///
/// # Safety
/// `handle` must be NULL or come from plexindex_open() and not be closed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_close(handle: *mut Handle) -> i32 {
    guard(|| {
        if handle.is_null() {
            return Ok(Status::Ok);
        }
        // SAFETY: the caller's promise.
        unsafe { Opened::from_handle(handle) }.close()?;
        Ok(Status::Ok)
    })
}

/// A handle for a library, or for all of them. Fetches nothing: a library that the store does not know yet is looked
/// for when it is first asked.
///
/// `kind`: PLEXINDEX_SELECT_*. `selector`, `length`: the title, section id or uuid, UTF-8; NULL and 0 with
/// PLEXINDEX_SELECT_ALL. `out_library`: receives the handle; the same one for the same selector. It lasts as long as the
/// index: for names that no known library has, 1,024 are given out at most.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_LIBRARY_AMBIGUOUS when two known libraries share the title (the message lists
/// their ids); PLEXINDEX_INVALID_ARGUMENT, also for one name too many; PLEXINDEX_NULL_POINTER.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_library(
    handle: *const Handle,
    kind: i32,
    selector: *const c_char,
    length: usize,
    out_library: *mut *const LibraryHandle,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, slot) = unsafe { (opened(handle)?, out(out_library, "out_library")?) };
        *slot = std::ptr::null();
        // SAFETY: the caller's promise.
        let selector = unsafe { input::selector(kind, selector, length) }?;
        *slot = opened.library(selector)?;
        Ok(Status::Ok)
    })
}

/// The fast path: the key (`/library/metadata/<rating key>`) of the item with this path, if that is known in a fast_lookup, with
/// high confidence: what plexindex_match_path() would give with PLEXINDEX_CONFIDENCE_HIGH.
///
/// `path`: the file system's bytes, NUL-terminated.
///
/// Returns the key, NUL-terminated; it belongs to the thread and is valid until this thread's next plexindex call.
/// NULL for 'not known to a fast lookup': nothing known, ambiguous, low confidence, invalidated, or a change that this
/// process must read first; ask plexindex_match_path(). NULL arguments give NULL.
/// It never blocks, never fetches and never calls back; a warm one takes no lock, allocates nothing and makes no system
/// call, but for a look twice a second whether the store is still there. An expired listing still answers here: only
/// plexindex_match_path() renews it.
///
/// # Safety
/// `library` must be NULL or a handle of an open index; `path` NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_lookup_key(library: *const LibraryHandle, path: *const c_char) -> *const c_char {
    guard_value(std::ptr::null(), || {
        // SAFETY: the caller's promise.
        unsafe { input::lookup_key(library, path) }
    })
}

/// plexindex_lookup_key() for many paths in one crossing.
///
/// `paths`: `count` paths one after the other, each followed by a NUL, `length` bytes in all. `keys`: receives as many
/// keys in the same order, each followed by a NUL; an empty one says 'not known to a fast lookup'.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_BUFFER_TOO_SMALL; PLEXINDEX_NULL_POINTER; PLEXINDEX_INVALID_ARGUMENT when `paths` does not
/// hold exactly `count` NULs or does not end with one.
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_lookup_keys(
    library: *const LibraryHandle,
    paths: *const c_char,
    length: usize,
    count: usize,
    keys: *mut Buffer,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (library, paths, keys) = unsafe {
            (
                self::library(library)?,
                bytes(paths, length, "paths")?,
                out(keys, "keys")?,
            )
        };
        input::lookup_keys(library, paths, count, keys)
    })
}

/// The full answer for one path: climbs the ladder, and asks the server where that is needed and allowed.
///
/// `query`: see plexindex_query. `answer`: receives a block: plexindex_answers, one plexindex_answer, and what they point to.
///
/// Returns the answer's status (PLEXINDEX_OK, PLEXINDEX_NOT_FOUND, PLEXINDEX_AMBIGUOUS, PLEXINDEX_NOT_YET,
/// PLEXINDEX_NEEDS_WARM), each with the block written; PLEXINDEX_BUFFER_TOO_SMALL; any error: when the library was
/// never fetched and cannot be, that is the server's error.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open, and the query's library one of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_match_path(handle: *const Handle, query: *const Query, answer: *mut Buffer) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, query, answer) = unsafe { (opened(handle)?, input::query(query)?, out(answer, "answer")?) };
        let path = query.text;
        let status = opened
            .index()
            .match_path_with(&query.options(), path, |found| write_answer(answer, found))?;
        recount_log_lines(answer)?;
        Ok(status)
    })
}

/// plexindex_match_path() for many paths: one block with `count` answers, in order, each with its own status.
///
/// `query`: `text` holds `count` paths one after the other, each followed by a NUL.
///
/// Returns PLEXINDEX_OK with the block written, whatever the answers' statuses; PLEXINDEX_BUFFER_TOO_SMALL (the answers
/// are not kept: enlarge and call again); PLEXINDEX_INVALID_ARGUMENT; an error that concerns all of them.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_match_paths(
    handle: *const Handle,
    query: *const Query,
    count: usize,
    answers: *mut Buffer,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, query, answers) = unsafe { (opened(handle)?, input::query(query)?, out(answers, "answers")?) };
        let paths = input::split(query.text, count, "query.text")?;
        write_answers(answers, count, |block| {
            opened
                .index()
                .match_paths_with(&query.options(), &paths, |found| block.answer(found))
        })?;
        recount_log_lines(answers)?;
        Ok(Status::Ok)
    })
}

/// The items with this GUID (`plex://…`, `imdb://tt…`, `tmdb://…`, `tvdb://…`, or a legacy agent's); a show's GUID
/// gives its episodes. Answered from the index; a library that is cold or expired is fetched first, as by
/// plexindex_match_path(). One item: PLEXINDEX_OK; several: PLEXINDEX_AMBIGUOUS with all candidates up to the limit.
///
/// Returns, and writes, as plexindex_match_path(); the GUID is `text` of the query.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_match_guid(handle: *const Handle, query: *const Query, answer: *mut Buffer) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, query, answer) = unsafe { (opened(handle)?, input::query(query)?, out(answer, "answer")?) };
        let guid = query.utf8("GUID")?;
        let status = opened
            .index()
            .match_guid_with(&query.options(), guid, |found| write_answer(answer, found))?;
        recount_log_lines(answer)?;
        Ok(status)
    })
}

/// The items with this title, compared without case, accents and punctuation; when there are none, those that have all
/// its words. A show's title gives its episodes. Answered from the index, as plexindex_match_guid().
///
/// Returns, and writes, as plexindex_match_path(); the title is `text` of the query, UTF-8.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_search_title(
    handle: *const Handle,
    query: *const Query,
    answer: *mut Buffer,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, query, answer) = unsafe { (opened(handle)?, input::query(query)?, out(answer, "answer")?) };
        let title = query.utf8("title")?;
        let status = opened
            .index()
            .search_title_with(&query.options(), title, |found| write_answer(answer, found))?;
        recount_log_lines(answer)?;
        Ok(status)
    })
}

/// The items of a library as the store has them, a page a call. Asks nobody.
///
/// `library`: one library, not all. `cursor`: 0 to begin; moved behind the last item of the page. `limit`: how many items
/// at most, 1 to 10,000. `page`: receives a block with one answer whose candidates are the items; the answer's
/// status is PLEXINDEX_OK with items, and PLEXINDEX_NOT_FOUND when there are no more.
///
/// Returns the answer's status; PLEXINDEX_BUFFER_TOO_SMALL, with the cursor as it was; PLEXINDEX_INVALID_ARGUMENT;
/// PLEXINDEX_LIBRARY_NOT_FOUND when the library is not in the store.
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
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, library, cursor, page) = unsafe {
            (
                opened(handle)?,
                self::library(library)?,
                out(cursor, "cursor")?,
                out(page, "page")?,
            )
        };
        if limit == 0 || limit > 10_000 {
            return Err(Error::new(
                Status::InvalidArgument,
                format!("limit is {limit}: give 1 to 10000"),
            ));
        }
        let items = opened.index().items(library, *cursor, limit)?;
        write_answers(page, 1, |block| {
            block.items(items.iter().map(|(_, item)| item));
            Ok(())
        })?;
        let Some((last, _)) = items.last() else {
            return Ok(Status::NotFound);
        };
        *cursor = *last;
        Ok(Status::Ok)
    })
}

/// One item of a library, or of any, as the store has it, with all its files and external ids, as a JSON object, UTF-8:
/// `{"key","rating_key","kind","title","year","show_title","show_rating_key","season","episode","guid","guids","paths"}`; `kind`
/// is Plex's word, season and episode are -1 for none. Asks nobody.
///
/// `key`: the item's key or rating key.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_NOT_FOUND when no listing holds it; PLEXINDEX_BUFFER_TOO_SMALL;
/// PLEXINDEX_INVALID_ARGUMENT for what is no key.
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_item_json(
    library: *const LibraryHandle,
    key: *const c_char,
    key_length: usize,
    json: *mut Buffer,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (library, key, json) = unsafe {
            (
                self::library(library)?,
                input::utf8(key, key_length, "key")?,
                out(json, "json")?,
            )
        };
        match library.item(key)? {
            Some(item) => write_text(json, &item.to_json()),
            None => Ok(Status::NotFound),
        }
    })
}

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
                self::library(library)?,
                bytes(path, path_length, "path")?,
                input::utf8(key, key_length, "key")?,
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
                self::library(library)?,
                bytes(paths, paths_length, "paths")?,
                input::utf8(keys, keys_length, "keys")?,
            )
        };
        library.record_matches(&input::split_pairs(paths, keys, count)?)?;
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
        let (library, path) = unsafe { (self::library(library)?, bytes(path, length, "path")?) };
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
        let (library, key) = unsafe { (self::library(library)?, input::utf8(key, length, "key")?) };
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
        unsafe { self::library(library) }?.invalidate()?;
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

/// Brings the query's library, or all, up to date now: what a match does by itself when a listing has expired. `text`
/// is not used. With PLEXINDEX_QUERY_FULL a full listing is fetched whatever the clocks say.
///
/// Returns PLEXINDEX_OK when it is up to date; PLEXINDEX_NOT_YET when the deadline came first (call again: it goes on);
/// PLEXINDEX_ABORTED; the server's error.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_refresh(handle: *const Handle, query: *const Query) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, query) = unsafe { (opened(handle)?, input::query(query)?) };
        opened.index().refresh(&query.options(), query.full())
    })
}

/// Gives many items the same values: one request to the server for each hundred items of a type. Nothing is sent for an
/// edit without items or without changes, nor when one of the items does not exist. After a request that failed no other
/// is sent. Items that were edited are asked for once before they are answered again; matches that were recorded stay.
///
/// `edit`: see plexindex_edit; read during the call only. `report`: see plexindex_edit_report; may be NULL. It is filled in
/// by every call that gets as far as to look at the items, errors included.
///
/// Returns PLEXINDEX_OK when all items were edited; PLEXINDEX_INVALID_ARGUMENT for an edit that is refused;
/// PLEXINDEX_NOT_ON_SERVER when items do not exist; PLEXINDEX_OFFLINE; PLEXINDEX_TIMEOUT when the deadline came first; the
/// server's error, with its answer in the message.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open, and the edit's library one of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_edit_items(
    handle: *const Handle,
    edit: *const Edit,
    report: *mut EditReport,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { edit::run(opened(handle)?.index(), &edit::edit(edit)?, report) }?;
        Ok(Status::Ok)
    })
}

/// Listens to the server's events from now on, on a thread of the library's own, until plexindex_watch_stop() or
/// plexindex_close(). What they say changed is looked at again by the next query about it; the thread itself asks for
/// nothing. A lost connection is made again, after pauses of 1 to 60 seconds, and what may have been missed is looked at
/// again too. Whether the server can be reached shows in the log. Calling it again changes nothing.
///
/// The child of a fork does not watch; it may begin to.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_OFFLINE without a server to listen to; PLEXINDEX_STORE when no thread can be started.
///
/// # Safety
/// `handle` must be NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_watch_start(handle: *const Handle) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { opened(handle) }?.index().watch_start()?;
        Ok(Status::Ok)
    })
}

/// Ends what plexindex_watch_start() began, within a second, but for the resolving of a name: afterwards that thread does
/// not run any more. When nothing is watched nothing happens.
///
/// # Safety
/// `handle` must be NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_watch_stop(handle: *const Handle) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { opened(handle) }?.index().watch_stop();
        Ok(Status::Ok)
    })
}

/// Tells the index of an event that the host received itself: what it says changed is looked at again by the next query
/// about it. Asks nobody.
///
/// `body`, `length`: a webhook's JSON (the field `payload` of what Plex sends), the whole multipart form with that field,
/// or the text of a notification as it comes from the server's WebSocket or event stream.
///
/// Returns PLEXINDEX_OK once that is stored, for every process, also for events that tell of nothing;
/// PLEXINDEX_INVALID_ARGUMENT for a body that is none of these; PLEXINDEX_NULL_POINTER; PLEXINDEX_STORE…
///
/// # Safety
/// `handle` must be NULL or open; `body` NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_notify(handle: *const Handle, body: *const c_char, length: usize) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, body) = unsafe { (opened(handle)?, bytes(body, length, "body")?) };
        opened.index().notify(body)?;
        Ok(Status::Ok)
    })
}

/// The libraries as JSON: `[{"section","uuid","title","kind","locations","items","age_ms","fresh","generation"}]`,
/// UTF-8. Known ones are not asked for again; when none is known and the query allows it, the server is asked.
/// `library` and `text` of the query are not used. A library that the server shows without a uuid of its own has `section:`
/// and its section id there.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_libraries_json(
    handle: *const Handle,
    query: *const Query,
    json: *mut Buffer,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, query, json) = unsafe { (opened(handle)?, input::query(query)?, out(json, "json")?) };
        let text = opened.index().libraries_json(&query.options())?;
        write_text(json, &text)
    })
}

/// Fills in the statistics. `stats`: its `size` must be set.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_stats(handle: *const Handle, stats: *mut Stats) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        unsafe { input::write_stats(opened(handle)?, stats) }?;
        Ok(Status::Ok)
    })
}

/// The statistics as a JSON object with named counts, UTF-8.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_stats_json(handle: *const Handle, json: *mut Buffer) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, json) = unsafe { (opened(handle)?, out(json, "json")?) };
        write_text(json, &opened.index().stats()?.to_json())
    })
}

/// Asks the server who it is and which libraries it shows, whatever is known: for finding out what is wrong. Two
/// requests, three at the first contact; what they tell is stored. The first one needs no token, so PLEXINDEX_UNAUTHORIZED
/// says that the server was reached. JSON: `{"machine_identifier","version","answered_us","libraries"}`, UTF-8.
/// `library` and `text` of the query are not used.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_OFFLINE; the server's error.
///
/// # Safety
/// As plexindex_match_path().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_server_json(handle: *const Handle, query: *const Query, json: *mut Buffer) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, query, json) = unsafe { (opened(handle)?, input::query(query)?, out(json, "json")?) };
        let text = opened.index().server_json(&query.options())?;
        write_text(json, &text)
    })
}

/// What kind of place the store is in, as JSON, UTF-8: `{"folder","file_system","journal","shares_memory",
/// "counter_page","locks","locks_error","disk_bytes","free_bytes"}`. `locks` is tried, with a file that is removed again;
/// `file_system` and `free_bytes` are null where the system does not say. Asks nobody.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_store_json(handle: *const Handle, json: *mut Buffer) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, json) = unsafe { (opened(handle)?, out(json, "json")?) };
        write_text(json, &opened.index().store_json()?)
    })
}

/// Mappings that seem to be missing, the best first, as JSON, UTF-8: `[{"from","to","matched","of"}]`: `matched` of `of`
/// paths that this handle found by their end or file name would be listed if the host's folder `from` were the server's
/// folder `to` (PLEXINDEX_MAPPING_HOST_PREFIX). The first 500 such answers are remembered. Never obfuscated.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_proposals_json(handle: *const Handle, json: *mut Buffer) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (opened, json) = unsafe { (opened(handle)?, out(json, "json")?) };
        write_text(json, &opened.index().proposals_json())
    })
}

/// Hands the log lines that wait, oldest first, to `receive` on this thread. The ring holds 256 lines for the whole
/// process; when it overflows the oldest go, and a line says how many. A host that unloads the library calls this after
/// its last plexindex_close(): lines that nobody took are memory that nobody frees.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_NULL_POINTER without `receive`.
///
/// # Safety
/// `receive` must be a function of that type that does not unwind, but for the end of its thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_drain_log(receive: Option<LogFn>, user: *mut c_void) -> i32 {
    guard(|| {
        let receive = receive.ok_or_else(|| Error::new(Status::NullPointer, "receive is NULL: give a function"))?;
        // SAFETY: the same but for its frame, which the host may unwind when it ends its thread: see `lent`.
        let receive: unsafe extern "C-unwind" fn(*mut c_void, i32, *const c_char, usize) =
            unsafe { std::mem::transmute(receive) };
        for line in log_ring::drain() {
            // SAFETY: the caller's promise; the line outlives the call.
            lent(|| unsafe { receive(user, line.level, line.text.as_ptr().cast(), line.text.len()) });
        }
        Ok(Status::Ok)
    })
}
