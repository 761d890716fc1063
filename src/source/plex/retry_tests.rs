use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::errors::parse_retry_after;
use super::*;
use crate::platform::clock::Deadline;

/// A clock that advances with pauses only.
pub(in super::super) struct FakeClock {
    start: Instant,
    slept: Mutex<Duration>,
}

impl FakeClock {
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            slept: Mutex::default(),
        }
    }

    pub fn slept(&self) -> Duration {
        *self.slept.lock().unwrap()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Instant {
        self.start + self.slept()
    }

    fn now_ms(&self) -> i64 {
        784_111_777_000
    }

    fn sleep(&self, time: Duration) {
        assert!(time <= POLL, "a pause of {time:?} would see the host's wish too late");
        *self.slept.lock().unwrap() += time;
    }
}

fn transient(after: Option<Duration>) -> AttemptError {
    AttemptError::transient(Error::new(Status::Starting, "starting"), after)
}

/// Repeats a request that fails each time, for at most 30 s. Returns the error and the number of attempts.
fn failed(clock: &FakeClock, bounds: &Bounds<'_>, failure: impl Fn() -> AttemptError) -> (Error, u32) {
    let mut tries = 0;
    let result = run_with_retries(clock, Duration::from_secs(30), bounds, &"it", || {
        tries += 1;
        Err::<(), _>(failure())
    });
    (result.unwrap_err(), tries)
}

#[test]
fn succeeds_after_transient_failures() {
    // The pauses are 0.25 + 0.5 + 1 s, a quarter more or less; or what the server asks for.
    let seconds = Duration::from_secs;
    for (retry_for, failures, after, expected) in [
        (seconds(30), 3, None, 1.3..=2.2),
        (seconds(30), 1, Some(seconds(7)), 7.0..=7.0),
        (Duration::MAX, 1, Some(seconds(7)), 7.0..=7.0),
    ] {
        let (clock, mut tries) = (FakeClock::new(), 0);
        let answer = run_with_retries(&clock, retry_for, &Bounds::NONE, &"it", || {
            tries += 1;
            if tries <= failures {
                Err(transient(after))
            } else {
                Ok(tries)
            }
        });
        assert_eq!(answer, Ok(failures + 1));
        let slept = clock.slept().as_secs_f64();
        assert!(expected.contains(&slept), "{slept}");
    }
}

#[test]
fn gives_up_when_the_next_pause_does_not_fit() {
    let clock = FakeClock::new();
    let (error, tries) = failed(&clock, &Bounds::NONE, || transient(None));
    assert_eq!(error.status, Status::Starting);
    assert!(error.message.contains(&format!("tried {tries} times")), "{error}");
    assert!((6..=9).contains(&tries), "{tries}");
    assert!(clock.slept() < Duration::from_secs(30));
    let (error, _) = failed(&clock, &Bounds::NONE, || transient(Some(Duration::from_secs(3600))));
    assert!(error.message.contains("retry in 3600 s"), "{error}");
}

#[test]
fn a_deadline_bounds_the_pauses() {
    let clock = FakeClock::new();
    let bounds = |ms| Bounds {
        deadline: Deadline::at(clock.now() + Duration::from_millis(ms)),
        ..Bounds::NONE
    };
    let (error, _) = failed(&clock, &bounds(100), || transient(None));
    assert_eq!((error.status, clock.slept()), (Status::Starting, Duration::ZERO));
    let error = run_with_retries(&clock, Duration::ZERO, &bounds(0), &"the rows", || Ok(())).unwrap_err();
    assert_eq!(error.status, Status::Timeout);
    assert!(error.message.contains("the rows"), "{error}");
}

#[test]
fn final_failures_are_not_repeated() {
    let (error, tries) = failed(&FakeClock::new(), &Bounds::NONE, || transient(None).into_permanent());
    assert_eq!((tries, error.message.as_str()), (1, "starting"));
}

#[test]
fn the_host_can_stop_a_pause() {
    let (clock, asked) = (FakeClock::new(), AtomicU32::new(0));
    let bounds = Bounds {
        aborted: &|| asked.fetch_add(1, Ordering::Relaxed) >= 4,
        ..Bounds::NONE
    };
    let (error, _) = failed(&clock, &bounds, || transient(Some(Duration::from_secs(20))));
    assert_eq!(error.status, Status::Aborted);
    assert!(clock.slept() <= Duration::from_millis(150));
}

#[test]
fn pauses_grow_with_any_random_numbers() {
    for tries in 1..5 {
        assert!(backoff(tries, u32::MAX) < backoff(tries + 1, 0));
    }
    assert!(backoff(u32::MAX, u32::MAX) <= MAX_PAUSE.mul_f64(1.25));
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now = FakeClock::new().now_ms();
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    for (text, expected) in [
        (" 120 ", seconds(120)),
        ("Sun, 06 Nov 1994 08:49:47 GMT", seconds(10)),
        ("Sun, 06 Nov 1994 08:49:27 GMT", seconds(0)),
        // The obsolete date formats of HTTP.
        ("Sunday, 06-Nov-94 08:49:47 GMT", seconds(10)),
        ("Sun Nov  6 08:49:47 1994", seconds(10)),
        ("Thu, 29 Feb 2024 00:00:00 GMT", seconds(925_053_023)),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("Sun, 06 Foo 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 CET", None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
    ] {
        assert_eq!(parse_retry_after(text, now), expected, "{text}");
    }
}
