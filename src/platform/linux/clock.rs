//! The coarse clocks, which a process reads without a system call.

use super::super::unix::clock::{read, read_ms};

#[inline]
pub fn coarse_unix_ms() -> Option<i64> {
    i64::try_from(read_ms(libc::CLOCK_REALTIME_COARSE)).ok()
}

#[inline]
pub fn coarse_ms() -> u64 {
    read_ms(libc::CLOCK_MONOTONIC_COARSE)
}

pub fn file_clock() -> (i64, i64) {
    read(libc::CLOCK_REALTIME_COARSE)
}

#[cfg(target_pointer_width = "64")]
pub fn coarse_file_clock() -> Option<(i64, i64)> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills in a struct of ours.
    let done = unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_REALTIME_COARSE, &raw mut time) };
    (done == 0).then_some((time.tv_sec, time.tv_nsec))
}

/// The call takes another struct there.
#[cfg(not(target_pointer_width = "64"))]
pub fn coarse_file_clock() -> Option<(i64, i64)> {
    None
}
