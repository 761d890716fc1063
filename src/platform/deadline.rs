//! The deadline of a call, and the length of its waits for locks.

use std::time::{Duration, Instant};

/// The moment by which a call must have ended, and the longest single wait until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    moment: Option<Instant>,
    longest_wait: Option<Duration>,
}

impl Deadline {
    /// No deadline: each operation uses its own longest wait.
    pub const NONE: Self = Self {
        moment: None,
        longest_wait: None,
    };

    /// Creates a deadline at this moment.
    #[must_use]
    pub const fn at(moment: Instant) -> Self {
        Self {
            moment: Some(moment),
            ..Self::NONE
        }
    }

    /// Creates a deadline this long from now; no deadline if that is beyond the range of the clock.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self {
            moment: Instant::now().checked_add(time),
            ..Self::NONE
        }
    }

    /// Returns the same deadline, with single waits of at most this time, for operations that are not worth a longer
    /// wait.
    #[must_use]
    pub fn at_most(self, wait: Duration) -> Self {
        self.earliest(Self {
            longest_wait: Some(wait),
            ..Self::NONE
        })
    }

    /// Returns the earlier moment and the shorter waits of two deadlines.
    #[must_use]
    pub fn earliest(self, other: Self) -> Self {
        Self {
            moment: least(self.moment, other.moment),
            longest_wait: least(self.longest_wait, other.longest_wait),
        }
    }

    /// Returns the same deadline with half of the time that is left.
    #[must_use]
    pub fn half(self) -> Self {
        Self {
            moment: self.left().map(|left| Instant::now() + left / 2),
            ..self
        }
    }

    /// Returns the moment; `None` without one.
    #[must_use]
    pub fn moment(self) -> Option<Instant> {
        self.moment
    }

    /// Returns whether there is a moment.
    #[must_use]
    pub fn is_set(self) -> bool {
        self.moment.is_some()
    }

    /// Returns the time left; `None` without a moment, zero when it has passed.
    #[must_use]
    pub fn left(self) -> Option<Duration> {
        self.moment
            .map(|moment| moment.saturating_duration_since(Instant::now()))
    }

    /// Returns whether the moment has passed.
    #[must_use]
    pub fn has_passed(self) -> bool {
        self.moment.is_some_and(|moment| moment <= Instant::now())
    }

    /// Returns how long a wait that begins now may take, at most `longest`.
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
#[path = "deadline_tests.rs"]
mod tests;
