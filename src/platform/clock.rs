//! The time of day as a dependency that tests replace, and a coarse monotonic clock for lookups.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::system::clock as system;

/// A clock with the time of day. It must not run backwards by much, since ages are differences of its times.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> i64;

    /// As [`Clock::now_ms`], at a third of the cost, but up to some milliseconds late. So times of the precise clock
    /// may lie in its future.
    fn coarse_now_ms(&self) -> i64 {
        self.now_ms()
    }

    /// Returns whether this moment has passed on the monotonic clock, which bounds the duration of calls.
    fn has_come(&self, moment: Instant) -> bool {
        Instant::now() >= moment
    }
}

/// The operating system's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    #[inline]
    fn coarse_now_ms(&self) -> i64 {
        system::coarse_unix_ms().unwrap_or_else(|| self.now_ms())
    }
}

/// Value of `coarse_ms` while frozen; 0 while it runs.
static FROZEN_MS: AtomicU64 = AtomicU64::new(0);

/// Freezes `coarse_ms` in this process, and advances it by `and_add_ms`. For simulations, which must use their
/// folders alone, since the clocks of other processes run on.
pub fn freeze_coarse_clock(and_add_ms: u64) {
    let _ = FROZEN_MS.compare_exchange(0, system::coarse_ms(), Ordering::Relaxed, Ordering::Relaxed);
    FROZEN_MS.fetch_add(and_add_ms, Ordering::Relaxed);
}

/// Returns whether [`coarse_ms`] is frozen.
pub(super) fn is_frozen() -> bool {
    FROZEN_MS.load(Ordering::Relaxed) != 0
}

/// Waits until [`coarse_ms`] has advanced by `time` in all processes. Advances it instead if it is frozen.
pub fn wait_coarse(time: Duration) {
    if is_frozen() {
        freeze_coarse_clock(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    } else {
        std::thread::sleep(time);
    }
}

/// Milliseconds of the coarse monotonic clock, which is the same in all processes and may lag by some milliseconds.
/// Costs a few loads and no system call. `u64::MAX` if unavailable.
#[inline]
#[must_use]
pub fn coarse_ms() -> u64 {
    match FROZEN_MS.load(Ordering::Relaxed) {
        0 => system::coarse_ms(),
        frozen => frozen,
    }
}

/// A clock that only [`ManualClock::advance_ms`] moves, for tests of expiry.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Creates a clock with this time.
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        Self(AtomicI64::new(now_ms))
    }

    /// Moves the clock forwards, or backwards.
    pub fn advance_ms(&self, by: i64) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}
