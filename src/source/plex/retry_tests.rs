use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::platform::deadline::Deadline;

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

impl RetryClock for FakeClock {
    fn now(&self) -> Instant {
        self.start + self.slept()
    }

    fn date(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    fn sleep(&self, time: Duration) {
        assert!(time <= POLL, "a pause of {time:?} would see the host's wish too late");
        *self.slept.lock().unwrap() += time;
    }
}

fn transient(after: Option<Duration>) -> AttemptError {
    AttemptError::transient(Error::new(Status::Starting, "starting"), after)
}

#[test]
fn succeeds_after_transient_failures() {
    let pause = FakeClock::new();
    let mut tries = 0;
    let answer = run_with_retries(&pause, Duration::from_secs(30), &Bounds::NONE, &"it", || {
        tries += 1;
        if tries < 4 { Err(transient(None)) } else { Ok(tries) }
    });
    assert_eq!(answer, Ok(4));
    // 0.25 + 0.5 + 1 s, a quarter more or less.
    let slept = pause.slept().as_secs_f64();
    assert!((1.3..2.2).contains(&slept), "{slept}");
}

#[test]
fn gives_up_when_the_next_pause_does_not_fit() {
    let pause = FakeClock::new();
    let mut tries = 0;
    let error = run_with_retries(&pause, Duration::from_secs(30), &Bounds::NONE, &"it", || {
        tries += 1;
        Err::<(), _>(transient(None))
    })
    .unwrap_err();
    assert_eq!(error.status, Status::Starting);
    assert!(error.message.contains(&format!("tried {tries} times")), "{error}");
    assert!((6..=9).contains(&tries), "{tries}");
    assert!(pause.slept() < Duration::from_secs(30));
}

#[test]
fn a_deadline_bounds_the_pauses() {
    let pause = FakeClock::new();
    let bounds = Bounds {
        deadline: Deadline::at(pause.now() + Duration::from_millis(100)),
        ..Bounds::NONE
    };
    let error = run_with_retries(&pause, Duration::from_secs(30), &bounds, &"it", || {
        Err::<(), _>(transient(None))
    })
    .unwrap_err();
    assert_eq!(error.status, Status::Starting);
    assert_eq!(pause.slept(), Duration::ZERO);

    let late = Bounds {
        deadline: Deadline::at(pause.now()),
        ..Bounds::NONE
    };
    let error = run_with_retries(&pause, Duration::ZERO, &late, &"the rows", || Ok(())).unwrap_err();
    assert_eq!(error.status, Status::Timeout);
    assert!(error.message.contains("the rows"), "{error}");
}

#[test]
fn final_failures_are_not_repeated() {
    let mut tries = 0;
    let error = run_with_retries(&FakeClock::new(), Duration::MAX, &Bounds::NONE, &"it", || {
        tries += 1;
        Err::<(), _>(transient(None).into_permanent())
    })
    .unwrap_err();
    assert_eq!((tries, error.message.as_str()), (1, "starting"));
}

#[test]
fn the_host_can_stop_a_pause() {
    let pause = FakeClock::new();
    let asked = AtomicU32::new(0);
    let bounds = Bounds {
        aborted: &|| asked.fetch_add(1, Ordering::Relaxed) >= 4,
        ..Bounds::NONE
    };
    let error = run_with_retries(&pause, Duration::from_secs(30), &bounds, &"it", || {
        Err::<(), _>(transient(Some(Duration::from_secs(20))))
    })
    .unwrap_err();
    assert_eq!(error.status, Status::Aborted);
    assert!(pause.slept() <= Duration::from_millis(150));
}

#[test]
fn the_servers_retry_after_is_honoured() {
    let pause = FakeClock::new();
    let mut tries = 0;
    let answer = run_with_retries(&pause, Duration::from_secs(30), &Bounds::NONE, &"it", || {
        tries += 1;
        if tries == 1 {
            Err(transient(Some(Duration::from_secs(7))))
        } else {
            Ok(())
        }
    });
    assert_eq!(answer, Ok(()));
    assert_eq!(pause.slept(), Duration::from_secs(7));

    let error = run_with_retries(&pause, Duration::from_secs(30), &Bounds::NONE, &"it", || {
        Err::<(), _>(transient(Some(Duration::from_secs(3600))))
    })
    .unwrap_err();
    assert!(error.message.contains("retry in 3600 s"), "{error}");
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
    let now = FakeClock::new().date();
    assert_eq!(parse_retry_after(" 120 ", now), Some(Duration::from_secs(120)));
    assert_eq!(
        parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now),
        Some(Duration::from_secs(10))
    );
    assert_eq!(
        parse_retry_after("Sun, 06 Nov 1994 08:49:27 GMT", now),
        Some(Duration::ZERO)
    );
    // The obsolete date formats of HTTP.
    for old in ["Sunday, 06-Nov-94 08:49:47 GMT", "Sun Nov  6 08:49:47 1994"] {
        assert_eq!(parse_retry_after(old, now), Some(Duration::from_secs(10)), "{old}");
    }
    assert_eq!(
        parse_retry_after("Thu, 29 Feb 2024 00:00:00 GMT", SystemTime::UNIX_EPOCH),
        Some(Duration::from_secs(1_709_164_800))
    );
    for odd in [
        "",
        "soon",
        "-1",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 99 Nov 1994 08:49:37 GMT",
    ] {
        assert_eq!(parse_retry_after(odd, now), None, "{odd}");
    }
}
