//! Schedules retries after a failure: the first after a minute, each further one after twice the time, up to an hour.

use std::sync::atomic::{AtomicI64, Ordering};

const FIRST_MS: i64 = 60_000;
const LONGEST_MS: i64 = 3_600_000;
/// The value of `due_ms` without a failure.
const NEVER: i64 = i64::MAX;

/// Exponential backoff for segments that cannot be written. All threads may use it without a lock.
pub struct WriteRetry {
    /// When the next attempt is due, Unix ms.
    due_ms: AtomicI64,
    wait_ms: AtomicI64,
}

impl Default for WriteRetry {
    fn default() -> Self {
        Self {
            due_ms: AtomicI64::new(NEVER),
            wait_ms: AtomicI64::new(FIRST_MS),
        }
    }
}

impl WriteRetry {
    /// Returns whether an attempt failed and the next one is due.
    pub fn is_due(&self, now_ms: impl FnOnce() -> i64) -> bool {
        let due_ms = self.due_ms.load(Ordering::Relaxed);
        due_ms != NEVER && now_ms() >= due_ms
    }

    /// Returns whether an attempt is allowed now: nothing failed, or the retry is due.
    pub fn may_try(&self, now_ms: i64) -> bool {
        self.due_ms.load(Ordering::Relaxed) == NEVER || self.is_due(|| now_ms)
    }

    /// Records a failure. Several failures of one attempt count as one.
    pub fn failed(&self, now_ms: i64) {
        if self.may_try(now_ms) {
            let wait_ms = self.wait_ms.load(Ordering::Relaxed);
            self.due_ms.store(now_ms.saturating_add(wait_ms), Ordering::Relaxed);
            self.wait_ms.store((2 * wait_ms).min(LONGEST_MS), Ordering::Relaxed);
        }
    }

    /// Records a success, or that no attempt is needed any more.
    pub fn succeeded(&self) {
        self.due_ms.store(NEVER, Ordering::Relaxed);
        self.wait_ms.store(FIRST_MS, Ordering::Relaxed);
    }
}
