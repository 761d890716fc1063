//! A call's deadline, and the limit for each of the call's waits.

use std::time::{Duration, Instant};

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
