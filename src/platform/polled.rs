//! For systems that cannot wait for a word of shared memory: the caller polls instead.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Returns `false`: the caller has to poll.
pub fn wait(_: &AtomicU64, _: u64, _: Duration) -> bool {
    false
}

/// Does nothing, since waiters poll.
pub fn wake(_: &AtomicU64) {}
