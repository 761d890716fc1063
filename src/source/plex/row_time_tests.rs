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
