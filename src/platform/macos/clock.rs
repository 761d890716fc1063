//! The clocks of macOS, which has no coarse ones.

use super::super::unix::clock::{read, read_ms};

/// Returns `None`: macOS has no coarse time of day.
pub fn coarse_unix_ms() -> Option<i64> {
    None
}

/// Returns the monotonic clock in milliseconds.
pub fn coarse_ms() -> u64 {
    read_ms(libc::CLOCK_MONOTONIC)
}
