//! Replaces the futex functions on systems that cannot wait for a word in shared memory. The caller polls instead.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Returns `false`, so that the caller polls.
pub fn wait(_: &AtomicU64, _: u64, _: Duration) -> bool {
    false
}

/// Does nothing, since waiters poll.
pub fn wake(_: &AtomicU64) {}
