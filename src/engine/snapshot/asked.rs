//! When a library was asked for last: what a limit on the folder goes by.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// How often it is noted in the store that a library is asked for.
const NOTED_MS: i64 = 3_600_000;

/// When a library was asked for.
#[derive(Debug, Default)]
pub struct LastAccess {
    /// By a fast lookup, which reads no clock, since the last call that does.
    touched: AtomicBool,
    /// The last time, Unix ms.
    ms: AtomicI64,
    /// What the store says of that.
    noted: AtomicI64,
}

impl LastAccess {
    /// What the store says, or this handle knew before.
    pub fn new(stored_ms: i64, known: Option<&Self>) -> Self {
        let ms = known.map_or(0, |known| known.ms.load(Ordering::Relaxed));
        let noted = known.map_or(0, |known| known.noted.load(Ordering::Relaxed));
        Self {
            touched: AtomicBool::new(known.is_some_and(|known| known.touched.load(Ordering::Relaxed))),
            ms: AtomicI64::new(ms.max(stored_ms)),
            noted: AtomicI64::new(noted.max(stored_ms)),
        }
    }

    /// A fast lookup asks. Stores once only: a line of memory that all threads write would be slow for all.
    #[inline]
    pub fn touch(&self) {
        if !self.touched.load(Ordering::Relaxed) {
            self.touched.store(true, Ordering::Relaxed);
        }
    }

    /// A call asks that reads the clock. Stores once a millisecond, for the same reason.
    pub fn at(&self, now_ms: i64) {
        if self.ms.load(Ordering::Relaxed) != now_ms {
            self.ms.store(now_ms, Ordering::Relaxed);
        }
    }

    /// Whether a fast lookup asked since this was called last.
    pub fn was_touched(&self) -> bool {
        self.touched.load(Ordering::Relaxed) && self.touched.swap(false, Ordering::Relaxed)
    }

    /// What the store is to be told; `exactly`: whenever it knows less.
    pub fn due(&self, exactly: bool) -> Option<i64> {
        let (ms, noted) = (self.ms.load(Ordering::Relaxed), self.noted.load(Ordering::Relaxed));
        let is_due = ms != noted && (exactly || !(0..NOTED_MS).contains(&ms.saturating_sub(noted)));
        is_due.then_some(ms)
    }

    /// Whether the store need not be told that a call asks now.
    pub fn is_noted(&self, now_ms: i64) -> bool {
        (0..NOTED_MS).contains(&now_ms.saturating_sub(self.noted.load(Ordering::Relaxed)))
    }

    /// The store was told.
    pub fn noted(&self, ms: i64) {
        self.noted.store(ms, Ordering::Relaxed);
    }
}
