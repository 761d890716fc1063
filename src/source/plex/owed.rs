//! For how long the server has owed an answer.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Whether requests wait for the head of an answer, and since when none came. No lock: a fork would wait for it.
pub(super) struct PendingReply {
    begun: Instant,
    requests: AtomicU32,
    /// Milliseconds after `begun`.
    since: AtomicU64,
}

/// Until it is dropped, a request waits.
pub(super) struct PendingReplyGuard<'o>(&'o PendingReply);

impl PendingReply {
    pub fn new() -> Self {
        Self {
            begun: Instant::now(),
            requests: AtomicU32::new(0),
            since: AtomicU64::new(0),
        }
    }

    /// A request is sent.
    pub fn begin(&self) -> PendingReplyGuard<'_> {
        if self.requests.fetch_add(1, Ordering::Relaxed) == 0 {
            self.restart();
        }
        PendingReplyGuard(self)
    }

    /// For how long nothing came; `None` while nothing is asked.
    pub fn lasts(&self) -> Option<Duration> {
        let since = Duration::from_millis(self.since.load(Ordering::Relaxed));
        (self.requests.load(Ordering::Relaxed) > 0).then(|| self.begun.elapsed().saturating_sub(since))
    }

    /// In the child of a fork: what waited goes on in the parent only.
    pub fn forget(&self) {
        self.requests.store(0, Ordering::Relaxed);
    }

    fn restart(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.store(now, Ordering::Relaxed);
    }
}

impl Drop for PendingReplyGuard<'_> {
    fn drop(&mut self) {
        self.0.restart();
        // A child of a fork has forgotten it.
        let one_less = |requests: u32| requests.checked_sub(1);
        let _ = self
            .0
            .requests
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
    }
}

#[cfg(test)]
#[path = "owed_tests.rs"]
mod tests;
