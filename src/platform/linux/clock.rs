//! The kernel's coarse clocks, which a process reads without a system call.

use super::super::unix::clock::read_ms;

/// Returns the coarse time of day in milliseconds since 1970.
#[inline]
pub fn coarse_unix_ms() -> Option<i64> {
    i64::try_from(read_ms(libc::CLOCK_REALTIME_COARSE)).ok()
}

/// Returns the coarse monotonic clock in milliseconds.
#[inline]
pub fn coarse_ms() -> u64 {
    read_ms(libc::CLOCK_MONOTONIC_COARSE)
}
