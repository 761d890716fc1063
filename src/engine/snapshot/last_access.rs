//! When each library was last used: the order in which the size limit evicts them.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// The store notes a library's use at most this often.
const STORE_INTERVAL_MS: i64 = 3_600_000;

/// When a library was last used.
#[derive(Debug, Default)]
pub struct LastAccess {
    /// Set by fast lookups, which read no clock; cleared by the next call that reads one.
    touched: AtomicBool,
    /// The last use, Unix ms.
    ms: AtomicI64,
    /// The last use that the store knows, Unix ms.
    noted: AtomicI64,
}

impl LastAccess {
    /// Creates an entry with the later of the store's time and the time that this handle knew.
    pub fn new(stored_ms: i64, known: Option<&Self>) -> Self {
        let ms = known.map_or(0, |known| known.ms.load(Ordering::Relaxed));
        let noted = known.map_or(0, |known| known.noted.load(Ordering::Relaxed));
        Self {
            touched: AtomicBool::new(known.is_some_and(|known| known.touched.load(Ordering::Relaxed))),
            ms: AtomicI64::new(ms.max(stored_ms)),
            noted: AtomicI64::new(noted.max(stored_ms)),
        }
    }

    /// Stores that a fast lookup used the library. Writes once only, because a cache line that every thread writes
    /// would slow down all threads.
    #[inline]
    pub fn touch(&self) {
        if !self.touched.load(Ordering::Relaxed) {
            self.touched.store(true, Ordering::Relaxed);
        }
    }

    /// Stores a use at this time. Writes at most once a millisecond, for the same reason.
    pub fn set_used(&self, now_ms: i64) {
        if self.ms.load(Ordering::Relaxed) != now_ms {
            self.ms.store(now_ms, Ordering::Relaxed);
        }
    }

    /// Returns whether a fast lookup used the library since the last call of this function.
    pub fn was_touched(&self) -> bool {
        self.touched.load(Ordering::Relaxed) && self.touched.swap(false, Ordering::Relaxed)
    }

    /// Returns the last use if it should be stored: with `exactly`, whenever the store's time is older.
    pub fn time_to_store(&self, exactly: bool) -> Option<i64> {
        let (ms, noted) = (self.ms.load(Ordering::Relaxed), self.noted.load(Ordering::Relaxed));
        let is_due = ms != noted && (exactly || !(0..STORE_INTERVAL_MS).contains(&ms.saturating_sub(noted)));
        is_due.then_some(ms)
    }

    /// Returns whether the store's time is recent enough.
    pub fn is_stored_recently(&self, now_ms: i64) -> bool {
        (0..STORE_INTERVAL_MS).contains(&now_ms.saturating_sub(self.noted.load(Ordering::Relaxed)))
    }

    /// Stores that the store has this time.
    pub fn mark_stored(&self, ms: i64) {
        self.noted.store(ms, Ordering::Relaxed);
    }
}
