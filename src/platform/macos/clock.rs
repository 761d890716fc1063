//! The clocks of macOS, which has no coarse clocks.

use super::super::unix::clock::read_ms;

/// Returns `None`, since macOS has no coarse clock for the time of day.
pub fn coarse_unix_ms() -> Option<i64> {
    None
}

/// Returns the monotonic clock's time in milliseconds.
pub fn coarse_ms() -> u64 {
    read_ms(libc::CLOCK_MONOTONIC)
}
