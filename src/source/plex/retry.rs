//! Retries transient failures with growing pauses, within the time allowed.

use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant, SystemTime};

use crate::error::{Error, Result, Status};

use super::super::contract::Bounds;

/// The clock of retries, which tests replace.
pub trait RetryClock: Send + Sync {
    /// Returns the current time, for time limits and deadlines.
    fn now(&self) -> Instant;

    /// Returns the current date, for dates in `Retry-After`.
    fn date(&self) -> SystemTime;

    /// Sleeps for this time. Callers split long pauses, so that they notice an abort.
    fn sleep(&self, time: Duration);
}

pub(super) struct SystemClock;

impl RetryClock for SystemClock {
    /// Returns the time of the system's monotonic clock.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// Returns the date of the system's clock.
    fn date(&self) -> SystemTime {
        SystemTime::now()
    }

    /// Puts the calling thread to sleep.
    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// The failure of one attempt.
#[derive(Debug)]
pub(super) struct AttemptError {
    pub error: Error,
    /// Whether a retry may succeed.
    pub is_transient: bool,
    /// Delay before a retry that the server requested.
    retry_after: Option<Duration>,
    /// Whether the server may have rejected an argument: it responded with status 400 or 500.
    pub is_refusal: bool,
}

impl AttemptError {
    /// Creates a failure after which a retry may succeed.
    pub fn transient(error: Error, retry_after: Option<Duration>) -> Self {
        Self {
            error,
            is_transient: true,
            retry_after,
            is_refusal: false,
        }
    }

    /// Marks the failure as caused by an argument, so that the caller tries fewer arguments.
    pub fn into_refusal(self) -> Self {
        Self {
            is_refusal: true,
            ..self
        }
    }

    /// Marks the failure as permanent: a retry would repeat it.
    pub fn into_permanent(self) -> Self {
        Self {
            is_transient: false,
            ..self
        }
    }
}

impl From<Error> for AttemptError {
    /// Creates a failure that a retry would repeat.
    fn from(error: Error) -> Self {
        Self::transient(error, None).into_permanent()
    }
}

/// Maximum delay until a pause notices an abort.
const POLL: Duration = Duration::from_millis(50);

/// The first pause, before jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause before jitter, unless the server requests a longer pause.
const MAX_PAUSE: Duration = Duration::from_secs(8);

/// Runs `attempt` until it succeeds, fails permanently, or no time remains for another pause. The time ends `retry_for`
/// after the start, or at the deadline. `label` names the request in errors. Adds the number of attempts to the last
/// error.
///
/// # Errors
/// The last failure; [`Status::Aborted`]; [`Status::Timeout`] if the deadline passed before an attempt.
pub(super) fn run<T>(
    clock: &dyn RetryClock,
    retry_for: Duration,
    bounds: &Bounds<'_>,
    label: &dyn std::fmt::Display,
    mut attempt: impl FnMut() -> std::result::Result<T, AttemptError>,
) -> Result<T> {
    let limits = [clock.now().checked_add(retry_for), bounds.deadline.moment()];
    let end = limits.into_iter().flatten().min();
    let mut attempts = 0_u32;
    loop {
        check_bounds(clock, bounds, label)?;
        attempts += 1;
        let (error, retry_after) = match attempt() {
            Ok(value) => return Ok(value),
            Err(_) if (bounds.aborted)() => return Err(aborted(label)),
            Err(failure) if failure.is_transient => (failure.error, failure.retry_after),
            Err(failure) => return Err(with_attempts(failure.error, attempts)),
        };
        let pause = retry_after.unwrap_or_default().max(backoff(attempts, random()));
        let next_attempt = clock.now().checked_add(pause);
        let has_time = next_attempt.is_some_and(|time| end.is_none_or(|end| time < end));
        if !has_time {
            return Err(match retry_after {
                Some(retry_after) if retry_after > MAX_PAUSE => with_attempts(error, attempts)
                    .while_doing(&format!("the server requests a retry in {} s", retry_after.as_secs())),
                _ => with_attempts(error, attempts),
            });
        }
        // Warns at the first retry, so that a user can see why the call takes long.
        let level = if attempts == 1 {
            log::Level::Warn
        } else {
            log::Level::Debug
        };
        log::log!(level, "{error}; retrying in {} ms", pause.as_millis());
        sleep(clock, pause, bounds, label)?;
    }
}

/// Sleeps for `pause`. Fails as soon as the host aborts the call or its deadline passes.
fn sleep(clock: &dyn RetryClock, pause: Duration, bounds: &Bounds<'_>, label: &dyn std::fmt::Display) -> Result<()> {
    let mut remaining = pause;
    while !remaining.is_zero() {
        check_bounds(clock, bounds, label)?;
        let slice = remaining.min(POLL);
        clock.sleep(slice);
        remaining -= slice;
    }
    Ok(())
}

/// Fails if the host aborted the call or its deadline passed. `label` names the request in the error.
fn check_bounds(clock: &dyn RetryClock, bounds: &Bounds<'_>, label: &dyn std::fmt::Display) -> Result<()> {
    if (bounds.aborted)() {
        return Err(aborted(label));
    }
    if bounds.deadline.moment().is_some_and(|moment| clock.now() >= moment) {
        return Err(Error::new(
            Status::Timeout,
            format!("cannot {label}: the deadline passed before the request; allow more time"),
        ));
    }
    Ok(())
}

/// Creates the error of a call that the host aborted.
pub(super) fn aborted(label: &dyn std::fmt::Display) -> Error {
    Error::new(Status::Aborted, format!("cannot {label}: the host stopped the call"))
}

/// Adds the number of attempts to the message, if there were several.
fn with_attempts(mut error: Error, attempts: u32) -> Error {
    if attempts > 1 {
        error.message = format!("{} (tried {attempts} times)", error.message);
    }
    error
}

/// Returns the pause after this number of attempts. Pauses double up to [`MAX_PAUSE`]. `random`, any 32-bit number,
/// changes a pause by up to 25 %, so that processes that failed together do not retry together.
fn backoff(attempts: u32, random: u32) -> Duration {
    let pause = FIRST_PAUSE
        .saturating_mul(1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX))
        .min(MAX_PAUSE);
    pause.mul_f64(0.75 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

/// Returns a random number, from the random seed of std's hash tables.
fn random() -> u32 {
    let hash = std::hash::RandomState::new().build_hasher().finish();
    u32::try_from(hash >> 32).unwrap_or_default()
}

/// Parses the header `Retry-After`, which has seconds or a date, and returns the time to wait.
pub(super) fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
#[path = "retry_tests.rs"]
pub(super) mod tests;
