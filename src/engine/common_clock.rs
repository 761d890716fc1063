//! The common clock of the hosts that share records: that of the shared database.
//!
//! A host knows the difference from its own time of day. But the time of day can be set, also while the host is connected,
//! so a process applies the difference once, and then counts the time that passes.

use std::sync::atomic::{AtomicI64, Ordering};

use super::record_rows::{LAST_SET_US, RecordTime};
use crate::platform::clock::{steady, unix_us};

/// The common clock, as a process knows it. Two threads that set it at once both set it to now.
pub struct CommonClock {
    /// What was added to the time of day when the clock was set, in µs; [`i64::MIN`] before.
    difference: AtomicI64,
    /// What to add to the steady clock, in µs.
    offset: AtomicI64,
    /// The least time in µs: later than all known rows.
    least: AtomicI64,
}

impl Default for CommonClock {
    fn default() -> Self {
        Self {
            difference: AtomicI64::new(i64::MIN),
            offset: AtomicI64::default(),
            least: AtomicI64::new(i64::MIN),
        }
    }
}

impl CommonClock {
    /// Sets the clock. `difference_us`: what to add to the time of day.
    pub fn set(&self, difference_us: i64) {
        self.set_from(difference_us, unix_us(), steady_us());
    }

    fn set_from(&self, difference_us: i64, unix_us: i64, steady_us: i64) {
        let common_us = unix_us.saturating_add(difference_us).clamp(0, LAST_SET_US);
        self.offset
            .store(common_us.saturating_sub(steady_us), Ordering::Relaxed);
        self.difference.store(difference_us, Ordering::Relaxed);
    }

    /// Continues after a row, unless the clock is past it. What this host records from now on is later, even if the host no
    /// longer has the row.
    pub fn continue_after(&self, row: RecordTime) {
        self.least.fetch_max(row.us().saturating_add(1), Ordering::Relaxed);
    }

    /// Returns the common time in µs since 1970. `difference_us`: as the store has it now, since another process may have
    /// set it.
    pub fn now_us(&self, difference_us: i64) -> i64 {
        self.at(difference_us, unix_us(), steady_us())
    }

    fn at(&self, difference_us: i64, unix_us: i64, steady_us: i64) -> i64 {
        if self.difference.load(Ordering::Relaxed) != difference_us {
            self.set_from(difference_us, unix_us, steady_us);
        }
        let least_us = self.least.load(Ordering::Relaxed).saturating_sub(steady_us);
        let offset_us = self.offset.fetch_max(least_us, Ordering::Relaxed).max(least_us);
        offset_us.saturating_add(steady_us)
    }
}

fn steady_us() -> i64 {
    i64::try_from(steady().as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;
    const HOUR: i64 = DAY / 24;
    const NOW: i64 = 20_000 * DAY;

    /// Returns a clock that was set at [`NOW`], when the steady clock was at 5, and the time of day a day behind.
    fn set() -> CommonClock {
        let clock = CommonClock::default();
        clock.set_from(DAY, NOW - DAY, 5);
        clock
    }

    #[test]
    fn a_time_of_day_that_is_set_changes_nothing() {
        for set_to in [NOW - DAY, NOW, NOW + 95 * 365 * DAY, 0] {
            assert_eq!(set().at(DAY, set_to, 5 + HOUR), NOW + HOUR, "{set_to}");
        }
        // Another process has found that it is right now.
        let clock = set();
        let later = [5, 9].map(|later| clock.at(0, NOW + HOUR + later, 5 + HOUR + later));
        assert_eq!(later, [NOW + HOUR + 5, NOW + HOUR + 9]);
    }

    #[test]
    fn the_clock_continues_after_the_latest_row() {
        let clock = set();
        clock.continue_after(RecordTime::at_us(NOW));
        assert_eq!(clock.at(DAY, 0, 5 + HOUR), NOW + HOUR, "it is past it");
        clock.continue_after(RecordTime::at_us(NOW + 2 * DAY));
        let later = [HOUR, 2 * HOUR].map(|later| clock.at(DAY, 0, 5 + later));
        assert_eq!(later, [NOW + 2 * DAY + 1, NOW + 2 * DAY + 1 + HOUR]);
        assert_eq!(clock.at(0, 0, 5), NOW + 2 * DAY + 1, "also if it is set");
    }

    #[test]
    fn a_record_of_the_far_future_is_one_that_the_database_takes() {
        let clock = CommonClock::default();
        let mut at = RecordTime::NEVER;
        for later in [0, HOUR, 2 * HOUR] {
            let next = RecordTime::of_host(clock.at(0, 60_000 * DAY + later, later), -1, RecordTime::NEVER);
            assert!(next > at && next.0 < 9_000_000_000_000_000_000, "{next:?}");
            at = next;
        }
        assert!(RecordTime::of_host(0, -1, RecordTime(i64::MAX)).0 < 9_000_000_000_000_000_000);
    }

    #[test]
    fn a_clock_that_was_never_set_is_the_time_of_day() {
        let [before, now, after] = [unix_us(), CommonClock::default().now_us(0), unix_us()];
        assert!((before..=after).contains(&now), "{before} {now} {after}");
    }
}
