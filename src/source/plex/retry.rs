//! Retries transient failures with growing pauses, within a time limit.

use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, UNIX_EPOCH};

use crate::error::{Error, Result, Status};
use crate::platform::clock::Clock;

use super::super::contract::Bounds;

/// The failure of one attempt.
#[derive(Debug)]
pub(super) struct AttemptError {
    pub error: Error,
    /// Whether a retry may succeed.
    pub is_transient: bool,
    /// Delay that the server requested before a retry.
    pub retry_after: Option<Duration>,
    /// What the server may have rejected; `None` if the failure has a different cause.
    pub refusal: Option<Refusal>,
}

/// What a server may have rejected, according to the status of its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// An argument, or the length of the URL (400, 414, 500).
    Arguments,
    /// The access to the library (403, 404). Some proxies use these statuses to reject an argument.
    Access,
}

impl AttemptError {
    /// Creates a failure after which a retry may succeed.
    pub fn transient(error: Error, retry_after: Option<Duration>) -> Self {
        Self {
            error,
            is_transient: true,
            retry_after,
            refusal: None,
        }
    }

    /// Records that an argument may have caused the failure, so that the caller retries with fewer arguments.
    pub fn into_refusal(self, refusal: Refusal) -> Self {
        Self {
            refusal: Some(refusal),
            ..self
        }
    }

    /// Marks the failure as permanent: a retry would fail in the same way.
    pub fn into_permanent(self) -> Self {
        Self {
            is_transient: false,
            ..self
        }
    }
}

impl From<Error> for AttemptError {
    /// Creates a failure after which a retry would fail in the same way.
    fn from(error: Error) -> Self {
        Self::transient(error, None).into_permanent()
    }
}

/// Interval at which a pause checks whether the host has aborted the call.
const POLL: Duration = Duration::from_millis(50);
/// First pause, before jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Maximum pause before jitter, unless the server requests a longer pause.
const MAX_PAUSE: Duration = Duration::from_secs(8);

/// Runs `attempt` until it succeeds or fails permanently, or until too little time is left for another pause. The time
/// limit is `retry_for`, or the deadline if that is earlier. Errors contain `label`, the request's purpose. Adds the
/// number of attempts to the last error.
///
/// # Errors
/// The last failure; [`Status::Aborted`]; [`Status::Timeout`] if the deadline passed before an attempt.
pub(super) fn run_with_retries<T>(
    clock: &dyn Clock,
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
            Err(_) if (bounds.aborted)() => return Err(aborted_error(label)),
            Err(failure) if failure.is_transient => (failure.error, failure.retry_after),
            Err(failure) => return Err(with_attempts(failure.error, attempts)),
        };
        // Pauses for at least the time that the server requested. Fails if the pause would not end in time.
        let pause = retry_after.unwrap_or_default().max(backoff(attempts, random()));
        let next_attempt = clock.now().checked_add(pause);
        let has_time = next_attempt.is_some_and(|time| end.is_none_or(|end| time < end));
        if !has_time {
            return Err(match retry_after {
                Some(retry_after) if retry_after > MAX_PAUSE => with_attempts(error, attempts)
                    .with_operation(&format!("the server requests a retry in {} s", retry_after.as_secs())),
                _ => with_attempts(error, attempts),
            });
        }
        // Warns at the first retry, so that a user can see why the call takes so long.
        let level = if attempts == 1 {
            log::Level::Warn
        } else {
            log::Level::Debug
        };
        log::log!(level, "{error}; retrying in {} ms", pause.as_millis());
        sleep(clock, pause, bounds, label)?;
    }
}

/// Sleeps for `pause`. Fails as soon as the host aborts the call or the deadline passes.
fn sleep(clock: &dyn Clock, pause: Duration, bounds: &Bounds<'_>, label: &dyn std::fmt::Display) -> Result<()> {
    let mut remaining = pause;
    while !remaining.is_zero() {
        check_bounds(clock, bounds, label)?;
        let step = remaining.min(POLL);
        clock.sleep(step);
        remaining -= step;
    }
    Ok(())
}

/// Fails if the host has aborted the call or the deadline has passed. `label` is the request's purpose.
fn check_bounds(clock: &dyn Clock, bounds: &Bounds<'_>, label: &dyn std::fmt::Display) -> Result<()> {
    if (bounds.aborted)() {
        return Err(aborted_error(label));
    }
    if bounds.deadline.moment().is_some_and(|moment| clock.has_passed(moment)) {
        return Err(Error::new(
            Status::Timeout,
            format!("cannot {label}: the timeout passed before the request; allow more time"),
        ));
    }
    Ok(())
}

/// Creates the error for a call that the host has aborted. `label` is the request's purpose.
pub(super) fn aborted_error(label: &dyn std::fmt::Display) -> Error {
    Error::new(Status::Aborted, format!("cannot {label}: the host stopped the call"))
}

/// Adds the number of attempts to the message if there were several attempts.
fn with_attempts(mut error: Error, attempts: u32) -> Error {
    if attempts > 1 {
        error.message = format!("{} (tried {attempts} times)", error.message);
    }
    error
}

/// Returns the pause after this number of attempts. Each pause is twice as long as the one before, up to [`MAX_PAUSE`].
/// `random`, which may be any number, changes the pause by up to 25 %, so that processes that failed together do not
/// retry together.
fn backoff(attempts: u32, random: u32) -> Duration {
    let pause = FIRST_PAUSE
        .saturating_mul(1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX))
        .min(MAX_PAUSE);
    pause.mul_f64(0.75 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

/// Returns a random number, derived from the random seed of std's hash tables.
fn random() -> u32 {
    let hash = std::hash::RandomState::new().build_hasher().finish();
    u32::try_from(hash >> 32).unwrap_or_default()
}

/// Parses the header `Retry-After`, seconds or a date. Returns the time to wait; `None` if the header is invalid.
pub(super) fn parse_retry_after(text: &str, now_ms: i64) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms).unwrap_or_default());
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
#[path = "retry_tests.rs"]
pub(super) mod tests;
