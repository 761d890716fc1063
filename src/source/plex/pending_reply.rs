//! Measures how long a reply has been pending.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counts the requests waiting for a reply's head, and the time since the last one arrived. Lock-free, since a fork
/// would wait for a lock.
pub(super) struct PendingReply {
    begun: Instant,
    requests: AtomicU32,
    /// Milliseconds after `begun`.
    since: AtomicU64,
}

/// Marks a request as waiting until dropped.
pub(super) struct PendingReplyGuard<'o>(&'o PendingReply);

impl PendingReply {
    pub fn new() -> Self {
        Self {
            begun: Instant::now(),
            requests: AtomicU32::new(0),
            since: AtomicU64::new(0),
        }
    }

    /// Marks a request as waiting.
    pub fn start(&self) -> PendingReplyGuard<'_> {
        if self.requests.fetch_add(1, Ordering::Relaxed) == 0 {
            self.restart();
        }
        PendingReplyGuard(self)
    }

    /// Returns the time since the last reply; `None` if no request is waiting.
    pub fn elapsed(&self) -> Option<Duration> {
        let since = Duration::from_millis(self.since.load(Ordering::Relaxed));
        (self.requests.load(Ordering::Relaxed) > 0).then(|| self.begun.elapsed().saturating_sub(since))
    }

    /// Resets the counter in the child of a fork, whose requests continue in the parent.
    pub fn reset(&self) {
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
        // The counter is 0 in the child of a fork.
        let one_less = |requests: u32| requests.checked_sub(1);
        let _ = self
            .0
            .requests
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
    }
}

#[cfg(test)]
#[path = "pending_reply_tests.rs"]
mod tests;
