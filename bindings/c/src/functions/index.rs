//! Functions of the index as a whole: refresh, statistics, log, methods by name, and events.

use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::size_of;

use plexindex::error::{Error, Result, Status, invalid_argument_error, truncate_for_message};
use plexindex::inside::{RefreshReason, call_host};
use plexindex::stats::micros;

use crate::constants as c;
use crate::guard::{self, Limits, Opened, guard, guard_slot, guard_value, opened, write_truncated};
use crate::log_ring::{self, LogLine};
use crate::methods::{self, Caller};
use crate::strings::{bytes, null_error, struct_size, write_fields};
use crate::types::{Buffer, CallOptionsRecord, Handle, LogFn, QueryRecord, StatsRecord};

/// Brings the query's library, or all libraries, up to date, like a match with an expired listing. Sends no request for
/// fresh listings; with PLEXINDEX_QUERY_PROBE, sends one request for all libraries. PLEXINDEX_QUERY_FULL always fetches
/// a full listing. Verifies up to 256 invalidated items, 100 per request. `text` must be empty.
///
/// plexindex holds back a listing that has lost more than 30 % of its items, since a disk may be unmounted. The call
/// then logs a warning and returns PLEXINDEX_NOT_YET, and the old listing answers with PLEXINDEX_ANSWER_STALE. plexindex
/// accepts the next listing of any size at least a minute later, or at once with PLEXINDEX_QUERY_FULL.
///
/// Returns PLEXINDEX_OK if answers are then fresh; PLEXINDEX_NOT_YET if they are not, or if the timeout passed, and the
/// next call continues; PLEXINDEX_NEEDS_WARM if no data arrived; or PLEXINDEX_TIMEOUT if no library is known.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open, and the query's library must belong to `handle`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_refresh(
    handle: *const Handle,
    query: *const QueryRecord,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: guaranteed by the caller.
        let checked = unsafe { guard::query(handle, query, c::PLEXINDEX_QUERY_FULL | c::PLEXINDEX_QUERY_PROBE) }?;
        if !checked.text.is_empty() {
            return invalid_argument_error(format!(
                "query.text is '{}', but plexindex_refresh() requires an empty text; set query.library instead",
                truncate_for_message(checked.text)
            ));
        }
        checked.check_no_size()?;
        match (
            checked.has(c::PLEXINDEX_QUERY_FULL),
            checked.has(c::PLEXINDEX_QUERY_PROBE),
        ) {
            (true, _) => checked.query.refresh_as("refresh", RefreshReason::Full),
            (false, true) => checked.query.refresh_as("check", RefreshReason::Check),
            (false, false) => checked.query.refresh_as("refresh", RefreshReason::Due),
        }
    })
}

/// Fills in the statistics. Set `size` in `out_stats` first.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_get_stats(
    handle: *const Handle,
    out_stats: *mut StatsRecord,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: guaranteed by the caller.
        unsafe { write_stats(opened(handle)?, out_stats) }
    })
}

/// Writes an index's statistics to those fields that the caller's struct has; an older struct has fewer.
///
/// # Safety
/// `place` must be NULL or point to statistics whose size the caller has set.
unsafe fn write_stats(opened: &Opened, place: *mut StatsRecord) -> Result<()> {
    // SAFETY: guaranteed by the caller.
    let size = unsafe { struct_size(place, size_of::<usize>(), "out_stats") }?;
    let counted = opened.index().stats()?;
    let stats = StatsRecord {
        size,
        answers: with_room(&counted.answers),
        lookup_misses: counted.lookup_misses,
        stale_answers: counted.stale_answers,
        requests: with_room(&counted.requests),
        bytes_received: counted.bytes_received,
        store_requests: counted.store_requests,
        store_answers: counted.store_answers,
        listings: counted.listings,
        network_us: micros(counted.network),
        store_us: micros(counted.storing),
        segment_us: micros(counted.indexing),
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
        last_failure: to_c_array(counted.last_failure.as_deref().unwrap_or_default()),
    };
    // SAFETY: guaranteed by the caller.
    unsafe { write_fields(&stats, place, size) };
    Ok(())
}

/// Copies counts to an array that has room for more of them.
fn with_room<const N: usize>(counts: &[u64]) -> [u64; N] {
    std::array::from_fn(|index| counts.get(index).copied().unwrap_or(0))
}

/// Converts a string to a NUL-terminated array, truncated to fit.
fn to_c_array<const N: usize>(text: &str) -> [c_char; N] {
    let mut bytes = [0; N];
    // C code would not see the text after an interior NUL.
    write_truncated(&text.replace('\0', "\u{FFFD}"), &mut bytes);
    bytes.map(|byte| c_char::from_ne_bytes([byte]))
}

/// Passes the waiting log lines to `receive`, oldest first, on this thread. Call this function once a second, or when
/// plexindex_answers.log_lines is not 0. At most 256 lines wait per process; beyond that, the oldest lines are lost,
/// and a line reports their number. Before you unload the library, call this function last to free the lines.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_drain_log(receive: Option<LogFn>, user: *mut c_void, error: *mut Buffer) -> i32 {
    guard(error, || {
        let receive = receive.ok_or_else(|| Error::new(Status::NullPointer, "receive is NULL; pass a function"))?;
        // SAFETY: the types differ only in "unwind": the host may end its thread in the callback, see `call_host`.
        let receive: unsafe extern "C-unwind" fn(*mut c_void, i32, *const c_char, usize) =
            unsafe { std::mem::transmute(receive) };
        for LogLine { level, text } in log_ring::drain() {
            // C code would not see the text after an interior NUL.
            let text = text.replace('\0', "\u{FFFD}") + "\0";
            // SAFETY: guaranteed by the caller; the text outlives the call.
            call_host(|| unsafe { receive(user, level, text.as_ptr().cast(), text.len() - 1) });
        }
        Ok(Status::Ok)
    })
}

/// Calls a method by name, with a request and an answer in JSON. docs/methods.md describes the methods, and
/// plexindex.schema.json is their JSON Schema.
///
/// `handle`: may be NULL for `versions`, `log.set_level` and `paths.compare`. `method`: the name, NUL-terminated.
/// `request`: a JSON object in UTF-8, at most 64 MiB; NULL and 0 for an empty object. Unknown fields are errors.
/// `options`: may be NULL. `out_json`: the answer, a NUL-terminated JSON object in UTF-8; free it with
/// plexindex_free(). NULL after an error.
///
/// Answers omit unknown values. Ignore fields that you do not know. A path or table name is a string, or `{"bytes":
/// "<Base64>"}` if it is not UTF-8. Keys and cursors are strings. You can use the cursor of a page more than once to
/// get the next page. Returns the method's status, or PLEXINDEX_INVALID_ARGUMENT for an unknown method or field.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_call(
    handle: *const Handle,
    method: *const c_char,
    request: *const c_char,
    request_length: usize,
    options: *const CallOptionsRecord,
    out_json: *mut *mut c_char,
    error: *mut Buffer,
) -> i32 {
    guard_slot(error, out_json, "out_json", std::ptr::null_mut(), |slot| {
        if method.is_null() {
            return Err(null_error("method"));
        }
        // SAFETY: guaranteed by the caller.
        let (method, request, limits) = unsafe {
            (
                CStr::from_ptr(method).to_bytes(),
                bytes(request, request_length, "request")?,
                Limits::from_options(handle, options)?,
            )
        };
        // SAFETY: guaranteed by the caller.
        let opened = unsafe { (!handle.is_null()).then(|| opened(handle)).transpose() }?;
        let caller = Caller { opened, limits };
        let (json, status) = methods::call(&caller, method, request)?;
        // JSON escapes NUL characters, so the answer contains none.
        *slot = CString::new(json).unwrap_or_default().into_raw();
        Ok(status)
    })
}

/// Frees an answer of plexindex_call(). `json` may be NULL.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
#[allow(clippy::semicolon_if_nothing_returned)] // a test requires that the body is one call of the guard
pub unsafe extern "C" fn plexindex_free(json: *mut c_char) {
    guard_value((), || {
        if !json.is_null() {
            // SAFETY: guaranteed by the caller.
            drop(unsafe { CString::from_raw(json) });
        }
    })
}

/// Stores an event that the host received, so that the next query about the changed library asks the server. Sends no
/// request. `body`: Plex's webhook (the JSON in its field `payload`, or the whole multipart form) or notification (a
/// WebSocket message, or the `data` of an event), or Sonarr's or Radarr's webhook, whose paths the mappings translate.
///
/// Returns PLEXINDEX_OK once the event is stored for all processes, or if there is nothing to store: the event reports
/// no change, or is of another server (`Server.uuid`), or its files are in no library's folder. Until the server has
/// accepted a new token, stores nothing and returns PLEXINDEX_NOT_FETCHED: call plexindex_refresh() with
/// PLEXINDEX_QUERY_PROBE, then this function again. Any other body is PLEXINDEX_INVALID_ARGUMENT.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_notify(
    handle: *const Handle,
    body: *const c_char,
    body_length: usize,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: guaranteed by the caller.
        let (opened, body) = unsafe { (opened(handle)?, bytes(body, body_length, "body")?) };
        opened.index().notify(body).map(drop)
    })
}

/// Makes each waiting `changes.wait` on this handle call its `progress` within 50 ms. Do not call in a signal handler.
///
/// # Safety
/// `handle` must be NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_wake_waiting(handle: *const Handle, error: *mut Buffer) -> i32 {
    guard(error, || {
        // SAFETY: guaranteed by the caller.
        unsafe { opened(handle) }?.index().wake_waiting();
        Ok(Status::Ok)
    })
}
