//! Measures how long a reply has been pending.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counts the requests that wait for the head of their reply, and measures the time since the last reply. Has no lock,
/// because a fork would have to wait for it.
pub(super) struct PendingReply {
    created: Instant,
    requests: AtomicU32,
    /// When the oldest waiting request was sent, or the last reply arrived, in ms since `created`.
    waiting_since_ms: AtomicU64,
}

/// Marks a request as waiting until dropped.
pub(super) struct PendingReplyGuard<'o>(&'o PendingReply);

impl PendingReply {
    pub fn new() -> Self {
        Self {
            created: Instant::now(),
            requests: AtomicU32::new(0),
            waiting_since_ms: AtomicU64::new(0),
        }
    }

    /// Marks a request as waiting.
    pub fn start(&self) -> PendingReplyGuard<'_> {
        if self.requests.fetch_add(1, Ordering::Relaxed) == 0 {
            self.restart_wait();
        }
        PendingReplyGuard(self)
    }

    /// Returns the time since the last reply; `None` if no request is waiting.
    pub fn elapsed(&self) -> Option<Duration> {
        let waiting_since_ms = Duration::from_millis(self.waiting_since_ms.load(Ordering::Relaxed));
        (self.requests.load(Ordering::Relaxed) > 0).then(|| self.created.elapsed().saturating_sub(waiting_since_ms))
    }

    /// Resets the counter in the child of a fork, whose requests continue in the parent.
    pub fn reset(&self) {
        self.requests.store(0, Ordering::Relaxed);
    }

    fn restart_wait(&self) {
        let now = u64::try_from(self.created.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.waiting_since_ms.store(now, Ordering::Relaxed);
    }
}

impl Drop for PendingReplyGuard<'_> {
    fn drop(&mut self) {
        self.0.restart_wait();
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
