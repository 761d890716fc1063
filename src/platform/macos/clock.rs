//! The clocks, which have no coarse form.

use super::super::unix::clock::{read, read_ms};

pub fn coarse_unix_ms() -> Option<i64> {
    None
}

pub fn coarse_ms() -> u64 {
    read_ms(libc::CLOCK_MONOTONIC)
}

pub fn file_clock() -> (i64, i64) {
    read(libc::CLOCK_REALTIME)
}

pub fn coarse_file_clock() -> Option<(i64, i64)> {
    None
}
