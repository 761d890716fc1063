//! Reads POSIX clocks.

/// Returns a clock's time in milliseconds; `u64::MAX` if the clock is unavailable.
#[inline]
pub fn read_ms(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills in a local struct.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return u64::MAX;
    }
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)] // their types differ by platform; neither is negative
    let (seconds, nanoseconds) = (time.tv_sec as u64, time.tv_nsec as u64);
    seconds * 1000 + nanoseconds / 1_000_000
}
