//! The time of day, injected: nothing above asks the operating system for it. And a clock for lookups that is not.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the time of day. Must not run backwards by much: ages are differences.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> i64;

    /// The same for a third of the price, some milliseconds behind at times. What a precise clock wrote may lie ahead of it.
    fn coarse_now_ms(&self) -> i64 {
        self.now_ms()
    }

    /// Whether this moment has come by the clock that only goes forward, which bounds what a call takes.
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

    #[cfg(target_os = "linux")]
    #[inline]
    fn coarse_now_ms(&self) -> i64 {
        let now = read_ms(libc::CLOCK_REALTIME_COARSE);
        i64::try_from(now).unwrap_or_else(|_| self.now_ms())
    }
}

/// What [`coarse_ms`] shows while it is held; 0 while it runs.
static HELD_MS: AtomicU64 = AtomicU64::new(0);

/// From now on the clock of lookups stands still in this process and is moved by this function only: for simulations. They
/// must be alone with their folders, since the clocks of other processes run on.
pub fn hold_coarse(and_add_ms: u64) {
    let _ = HELD_MS.compare_exchange(0, system_coarse_ms(), Ordering::Relaxed, Ordering::Relaxed);
    HELD_MS.fetch_add(and_add_ms, Ordering::Relaxed);
}

/// Whether it stands still.
pub(super) fn is_held() -> bool {
    HELD_MS.load(Ordering::Relaxed) != 0
}

/// Waits until [`coarse_ms`] shows so much more in all processes. Where it is held, it is moved instead.
pub fn wait_coarse(time: Duration) {
    if is_held() {
        hold_coarse(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    } else {
        std::thread::sleep(time);
    }
}

/// Milliseconds of a clock that only goes forward, the same in all processes, some behind at times: it costs a few loads
/// and no system call. `u64::MAX` without one.
#[inline]
#[must_use]
pub fn coarse_ms() -> u64 {
    match HELD_MS.load(Ordering::Relaxed) {
        0 => system_coarse_ms(),
        held => held,
    }
}

/// Seconds and nanoseconds of the clock by which Linux's own file systems note changes; none of them is behind it.
#[must_use]
pub fn file_clock() -> (i64, i64) {
    #[cfg(target_os = "linux")]
    const CLOCK: libc::clockid_t = libc::CLOCK_REALTIME_COARSE;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_REALTIME;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills in a struct of ours.
    if unsafe { libc::clock_gettime(CLOCK, &raw mut time) } != 0 {
        return (0, 0);
    }
    #[allow(clippy::unnecessary_cast)] // their types differ by platform
    (time.tv_sec as i64, time.tv_nsec as i64)
}

#[inline]
fn system_coarse_ms() -> u64 {
    #[cfg(target_os = "linux")]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC_COARSE;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
    read_ms(CLOCK)
}

/// What a clock of the operating system shows; `u64::MAX` without one.
#[inline]
fn read_ms(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills in a struct of ours.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return u64::MAX;
    }
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)] // their types differ by platform; neither is negative
    let (seconds, nanoseconds) = (time.tv_sec as u64, time.tv_nsec as u64);
    seconds * 1000 + nanoseconds / 1_000_000
}

/// A clock that stands still until it is moved: for tests of what expires.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows this time.
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        Self(AtomicI64::new(now_ms))
    }

    /// Moves it on (or back).
    pub fn advance_ms(&self, by: i64) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}
