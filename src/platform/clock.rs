//! The time of day, which tests can replace, and a coarse monotonic clock for lookups.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::system::clock as system;

/// A clock for the time of day. The clock must not run backwards by much, since ages are differences between its times.
pub trait Clock: Send + Sync {
    /// Returns the time in milliseconds since 1970.
    fn now_ms(&self) -> i64;

    /// Returns the time in milliseconds since 1970 at a third of the cost, but with a lag of a few milliseconds. An
    /// earlier time from [`Clock::now_ms`] can therefore be greater.
    fn coarse_now_ms(&self) -> i64 {
        self.now_ms()
    }

    /// Returns the time on the monotonic clock, for deadlines.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// Returns whether `moment`, a call's deadline on the monotonic clock, has passed. Tests can replace this method.
    fn has_passed(&self, moment: Instant) -> bool {
        self.now() >= moment
    }

    /// Sleeps for `time`. Callers split long pauses, so that they notice when the host aborts the call.
    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// The operating system's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    /// Returns the time of day in milliseconds since 1970; 0 for an earlier time.
    fn now_ms(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Returns the system's coarse time of day, or the precise time if the system has no coarse clock.
    #[inline]
    fn coarse_now_ms(&self) -> i64 {
        system::coarse_unix_ms().unwrap_or_else(|| self.now_ms())
    }
}

/// Sleeps until [`coarse_ms`] has advanced by `time` in all processes. If a test has frozen the clock, advances it
/// instead.
pub fn sleep_coarse(time: Duration) {
    #[cfg(feature = "testing")]
    if super::failpoints::advance_frozen(time) {
        return;
    }
    std::thread::sleep(time);
}

/// Returns the coarse monotonic clock's time in milliseconds; `u64::MAX` if the clock is unavailable. All
/// processes share this clock, which can lag by a few milliseconds. A call takes a few loads and no system call.
#[inline]
#[must_use]
pub fn coarse_ms() -> u64 {
    #[cfg(feature = "testing")]
    if let Some(frozen) = super::failpoints::frozen_ms() {
        return frozen;
    }
    system::coarse_ms()
}
