//! Limits the size of pages, so that a slow server returns each page in time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::{Result, Status};

/// Minimum number of rows to request in a page, unless the caller wants fewer.
const MIN_PAGE_ROWS: u32 = 100;
/// Assumed time for a row before the first page, in nanoseconds.
const FIRST_ROW_NS: u64 = 1_000_000;

/// The time that the server needs for a row, in nanoseconds. A page may take half of the time that it has.
#[derive(Debug)]
pub(super) struct RowTime(AtomicU64);

impl Default for RowTime {
    fn default() -> Self {
        Self(AtomicU64::new(FIRST_ROW_NS))
    }
}

impl RowTime {
    /// Returns how many rows, at most `max_rows`, to request in a page that must arrive within `time`.
    pub fn rows_within(&self, max_rows: u32, time: Duration) -> u32 {
        let rows = time.as_nanos() / 2 / u128::from(self.0.load(Ordering::Relaxed).max(1));
        let rows = u32::try_from(rows).unwrap_or(u32::MAX).max(MIN_PAGE_ROWS);
        rows.min(max_rows)
    }

    /// Records how long a request for `size` rows took, which returned `rows`. After a timeout, the next page is ten times
    /// smaller, and then pages grow slowly, because larger ones may never arrive. Ignores pages that are not full, and
    /// timeouts of pages that cannot become smaller.
    pub fn note(&self, size: u32, took: Duration, rows: u64, result: &Result<()>) {
        let row_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX) / u64::from(size.max(1));
        let last_ns = self.0.load(Ordering::Relaxed);
        let row_ns = match result {
            Ok(()) if rows == u64::from(size) => row_ns.max(last_ns - last_ns / 5),
            // The time may have passed before the request.
            Err(error) if error.status == Status::Timeout && size > MIN_PAGE_ROWS => {
                row_ns.saturating_mul(5).max(last_ns)
            }
            _ => return,
        };
        self.0.store(row_ns, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    const MINUTE: Duration = Duration::from_secs(60);

    /// The sizes of pages from a server on which each row takes so long, and pages of more than `most` rows never arrive.
    fn sizes(row: Duration, most: u32, pages: usize) -> Vec<u32> {
        let time = RowTime::default();
        let request = |_| {
            let size = time.rows_within(1_000, MINUTE);
            let took = if size > most { MINUTE } else { row * size };
            if took < MINUTE {
                time.note(size, took, size.into(), &Ok(()));
            } else {
                time.note(size, MINUTE, 0, &Err(Error::new(Status::Timeout, "late")));
            }
            size
        };
        (0..pages).map(request).collect()
    }

    #[test]
    fn a_fast_server_gets_full_pages() {
        assert_eq!(sizes(Duration::from_millis(5), 1_000, 5), [1_000; 5]);
        let hurried = RowTime::default();
        assert_eq!(hurried.rows_within(1_000, Duration::from_millis(500)), 250);
        assert_eq!(hurried.rows_within(1_000, Duration::ZERO), MIN_PAGE_ROWS);
        assert_eq!(hurried.rows_within(7, Duration::ZERO), 7);
    }

    #[test]
    fn pages_of_a_slow_server_take_half_of_the_time() {
        let pages = sizes(Duration::from_millis(100), 1_000, 20);
        assert_eq!(pages[..2], [1_000, 100]);
        assert_eq!(pages[10..], [300; 10]);
    }

    #[test]
    fn pages_that_never_arrive_are_rarely_requested() {
        let pages = sizes(Duration::from_millis(1), 400, 100);
        let late = pages.iter().filter(|size| **size > 400).count();
        assert!(late < 12, "{late}: {pages:?}");
    }

    #[test]
    fn a_call_without_time_left_shows_nothing() {
        let time = RowTime::default();
        time.note(1_000, Duration::ZERO, 0, &Err(Error::new(Status::Timeout, "late")));
        assert_eq!(time.rows_within(1_000, Duration::from_millis(500)), 250);
    }
}
