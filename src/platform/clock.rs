//! The time of day, which tests can replace, a coarse monotonic clock for lookups, and the deadlines of calls.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::system;

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
        unix_us() / 1_000
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

/// Returns the time of day in µs since 1970; 0 for an earlier time.
#[must_use]
pub fn unix_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Returns the time on a clock that nobody sets; zero if it is unavailable. It also runs while the machine sleeps, unlike
/// [`Instant`] on some systems.
#[must_use]
pub fn steady() -> Duration {
    system::steady()
}

/// Time that even a call without time left waits for other threads and for the store, which rarely keep it waiting.
pub const SHORTEST_WAIT: Duration = Duration::from_millis(200);

/// The moment by which a call must return, and the maximum length of a single wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    moment: Option<Instant>,
    longest_wait: Option<Duration>,
}

impl Deadline {
    /// No deadline: each operation uses its own maximum wait.
    pub const NONE: Self = Self {
        moment: None,
        longest_wait: None,
    };

    /// Creates a deadline at `moment`, without a limit for single waits.
    #[must_use]
    pub const fn at(moment: Instant) -> Self {
        Self {
            moment: Some(moment),
            ..Self::NONE
        }
    }

    /// Creates a deadline that passes after `time`; no deadline if `time` exceeds the clock's range.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self {
            moment: Instant::now().checked_add(time),
            ..Self::NONE
        }
    }

    /// Returns the same deadline, but limits single waits to `wait`, for operations that do not justify a longer wait.
    #[must_use]
    pub fn at_most(self, wait: Duration) -> Self {
        self.earliest(Self {
            longest_wait: Some(wait),
            ..Self::NONE
        })
    }

    /// Returns the same deadline, but not before [`SHORTEST_WAIT`] from now.
    #[must_use]
    pub fn at_least_shortest(self) -> Self {
        Self {
            moment: self.moment.map(|moment| moment.max(Instant::now() + SHORTEST_WAIT)),
            ..self
        }
    }

    /// Combines two deadlines: returns the earlier moment and the shorter limit for a single wait.
    #[must_use]
    pub fn earliest(self, other: Self) -> Self {
        Self {
            moment: least(self.moment, other.moment),
            longest_wait: least(self.longest_wait, other.longest_wait),
        }
    }

    /// Returns a deadline with half of the remaining time, so that the other half remains for the caller's next step.
    /// The limit for a single wait stays the same.
    #[must_use]
    pub fn half(self) -> Self {
        Self {
            moment: self.left().map(|left| Instant::now() + left / 2),
            ..self
        }
    }

    /// Returns the moment at which the deadline passes; `None` if there is no deadline.
    #[must_use]
    pub fn moment(self) -> Option<Instant> {
        self.moment
    }

    /// Returns whether there is a deadline.
    #[must_use]
    pub fn is_set(self) -> bool {
        self.moment.is_some()
    }

    /// Returns the remaining time; zero if the deadline has passed, `None` if there is no deadline.
    #[must_use]
    pub fn left(self) -> Option<Duration> {
        self.moment
            .map(|moment| moment.saturating_duration_since(Instant::now()))
    }

    /// Returns whether the deadline has passed.
    #[must_use]
    pub fn has_passed(self) -> bool {
        self.moment.is_some_and(|moment| moment <= Instant::now())
    }

    /// Returns the maximum length of a wait that starts now, which is at most `longest`.
    #[must_use]
    pub fn wait(self, longest: Duration) -> Duration {
        let longest = self.longest_wait.map_or(longest, |wait| wait.min(longest));
        self.left().map_or(longest, |left| left.min(longest))
    }
}

/// Returns the smaller of two limits; `None` if neither is set.
fn least<T: Ord>(first: Option<T>, second: Option<T>) -> Option<T> {
    first.into_iter().chain(second).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_earlier_moment_and_the_shorter_wait_count() {
        let (soon, late) = (Deadline::after(SECOND), Deadline::after(HOUR));
        assert_eq!(soon.earliest(late), late.earliest(soon));
        assert_eq!(soon.earliest(late), soon);
        assert_eq!(Deadline::NONE.earliest(soon), soon);
        assert_eq!(soon.at_most(HOUR).at_most(SECOND), soon.at_most(SECOND));
        assert!(late.half().left().is_some_and(|left| left <= HOUR / 2));
    }

    #[test]
    fn a_wait_is_bounded_by_moment_limit_and_own_maximum() {
        assert_eq!(Deadline::NONE.wait(HOUR), HOUR);
        assert_eq!(Deadline::NONE.at_most(SECOND).wait(HOUR), SECOND);
        assert_eq!(Deadline::after(HOUR).at_most(HOUR).wait(SECOND), SECOND);
        assert!(Deadline::after(SECOND).at_most(HOUR).wait(HOUR) <= SECOND);
        assert_eq!(Deadline::after(Duration::ZERO).wait(HOUR), Duration::ZERO);
        assert!(!Deadline::after(Duration::ZERO).at_least_shortest().has_passed());
        assert_eq!(Deadline::NONE.at_least_shortest(), Deadline::NONE);
    }

    #[test]
    fn only_a_deadline_with_a_moment_passes() {
        let waits = Deadline::NONE.at_most(Duration::ZERO);
        assert!(!waits.has_passed() && !waits.is_set() && waits.left().is_none());
        assert!(Deadline::after(Duration::ZERO).has_passed());
        assert_eq!(Deadline::after(Duration::MAX), Deadline::NONE, "beyond the clock");
    }
}
