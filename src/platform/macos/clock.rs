//! The clocks of macOS, which has no coarse ones.

use super::super::unix::clock::{read, read_ms};

pub fn coarse_unix_ms() -> Option<i64> {
    None
}

pub fn coarse_ms() -> u64 {
    read_ms(libc::CLOCK_MONOTONIC)
}
