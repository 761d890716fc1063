//! What lookups and builds allocate, counted by the allocator: for each thread, so that tests may run beside each other.

#![allow(unsafe_code)] // an allocator that counts

mod hot_path;
mod lookup_alloc;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use plexindex_tests as support;

/// Counts what this thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

fn count(bytes: usize) {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    LIVE.set(LIVE.get() + bytes.cast_signed() as i64);
    PEAK.set(PEAK.get().max(LIVE.get()));
}

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size().cast_signed() as i64);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `work` allocates.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// The most bytes that `work` has allocated at a time.
fn peak(work: impl FnOnce()) -> i64 {
    let before = LIVE.get();
    PEAK.set(before);
    work();
    PEAK.get() - before
}
