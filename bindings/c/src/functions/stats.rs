//! Statistics.

use std::ffi::c_char;
use std::mem::size_of;

use crate::guard::{guard, write_truncated};
use crate::handles::{Opened, opened};
use crate::strings::{struct_size, write_fields};
use crate::types::{Buffer, Handle, StatsRecord};
use plexindex::error::Result;
use plexindex::stats::micros;

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

/// Converts a string to a NUL-terminated array, truncated to fit.
fn to_c_array<const N: usize>(text: &str) -> [c_char; N] {
    let mut bytes = [0; N];
    // C code would not see the text after an interior NUL.
    write_truncated(&text.replace('\0', "\u{FFFD}"), &mut bytes);
    bytes.map(|byte| c_char::from_ne_bytes([byte]))
}
