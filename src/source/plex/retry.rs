//! Retries transient failures with growing pauses, within the time allowed.

use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant, SystemTime};

use crate::error::{Error, Result, Status};

use super::super::contract::Bounds;

/// The clock of retries; tests replace it.
pub trait Pause: Send + Sync {
    /// Current time for budgets and deadlines.
    fn now(&self) -> Instant;

    /// Current date, for dates in `Retry-After`.
    fn date(&self) -> SystemTime;

    /// Sleeps. Callers split pauses into slices of at most 50 ms.
    fn sleep(&self, time: Duration);
}

/// The real clock.
pub(super) struct RealPause;

impl Pause for RealPause {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn date(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// The failure of one attempt.
#[derive(Debug)]
pub(super) struct AttemptError {
    pub error: Error,
    /// The failure is transient.
    pub is_transient: bool,
    /// Delay that the server requests before a retry.
    retry_after: Option<Duration>,
    /// The server refuses the request as it is (400 or 500).
    pub is_refusal: bool,
}

impl AttemptError {
    pub fn transient(error: Error, retry_after: Option<Duration>) -> Self {
        Self {
            error,
            is_transient: true,
            retry_after,
            is_refusal: false,
        }
    }

    /// Marks the failure as a refusal.
    pub fn into_refusal(self) -> Self {
        Self {
            is_refusal: true,
            ..self
        }
    }

    /// Marks the failure as permanent.
    pub fn permanent(self) -> Self {
        Self {
            is_transient: false,
            ..self
        }
    }
}

impl From<Error> for AttemptError {
    fn from(error: Error) -> Self {
        Self::transient(error, None).permanent()
    }
}

/// Longest slice of a pause: the delay until an abort is noticed.
const SLICE: Duration = Duration::from_millis(50);

/// The first pause, before jitter.
const FIRST: Duration = Duration::from_millis(250);

/// The longest pause, unless the server requests more, before jitter.
const LONGEST: Duration = Duration::from_secs(8);

/// Runs `attempt` until it succeeds, fails permanently, or no time is left for another pause. The time ends `retry_for`
/// after the start, or at the deadline. Then returns the last failure with the number of attempts.
///
/// # Errors
/// The failure of the attempt; [`Status::Aborted`]; [`Status::Timeout`] if the deadline passed before an attempt.
pub(super) fn run<T>(
    pause: &dyn Pause,
    retry_for: Duration,
    bounds: &Bounds<'_>,
    what: &dyn std::fmt::Display,
    mut attempt: impl FnMut() -> std::result::Result<T, AttemptError>,
) -> Result<T> {
    let end = earliest(pause.now().checked_add(retry_for), bounds.deadline.moment());
    let mut tries = 0_u32;
    loop {
        check(pause, bounds, what)?;
        tries += 1;
        let (error, retry_after) = match attempt() {
            Ok(value) => return Ok(value),
            Err(_) if (bounds.aborted)() => return Err(aborted(what)),
            Err(failure) if failure.is_transient => (failure.error, failure.retry_after),
            Err(failure) => return Err(with_attempts(failure.error, tries)),
        };
        let wait = retry_after.unwrap_or_default().max(backoff(tries, random()));
        let fits = pause
            .now()
            .checked_add(wait)
            .is_some_and(|at| end.is_none_or(|end| at < end));
        if !fits {
            return Err(match retry_after {
                Some(retry_after) if retry_after > wait.min(LONGEST) => with_attempts(error, tries)
                    .while_doing(&format!("the server asks for a retry in {} s", retry_after.as_secs())),
                _ => with_attempts(error, tries),
            });
        }
        // Warns at the first retry, and not only after the last.
        let level = if tries == 1 {
            log::Level::Warn
        } else {
            log::Level::Debug
        };
        log::log!(level, "{error}; trying again in {} ms", wait.as_millis());
        sleep(pause, wait, bounds, what)?;
    }
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Sleeps in slices; fails as soon as the call is aborted or its time is up.
fn sleep(pause: &dyn Pause, time: Duration, bounds: &Bounds<'_>, what: &dyn std::fmt::Display) -> Result<()> {
    let mut left = time;
    while !left.is_zero() {
        check(pause, bounds, what)?;
        let slice = left.min(SLICE);
        pause.sleep(slice);
        left -= slice;
    }
    Ok(())
}

/// Fails if the call was aborted or its time is up.
pub(super) fn check(pause: &dyn Pause, bounds: &Bounds<'_>, what: &dyn std::fmt::Display) -> Result<()> {
    if (bounds.aborted)() {
        return Err(aborted(what));
    }
    if bounds.deadline.moment().is_some_and(|moment| pause.now() >= moment) {
        return Err(Error::new(
            Status::Timeout,
            format!("the deadline passed before requesting {what}: allow more time (zero allows no request)"),
        ));
    }
    Ok(())
}

/// Creates the error of a call that the host aborted.
pub(super) fn aborted(what: &dyn std::fmt::Display) -> Error {
    Error::new(Status::Aborted, format!("the host stopped the request for {what}"))
}

fn with_attempts(mut error: Error, tries: u32) -> Error {
    if tries > 1 {
        error.message = format!("{} (tried {tries} times)", error.message);
    }
    error
}

/// Returns the pause after `tries` attempts: doubling up to the longest, with 25 % jitter by `random`, so that many
/// processes do not return in step. Each pause is longer than the one before.
fn backoff(tries: u32, random: u32) -> Duration {
    let plain = FIRST
        .saturating_mul(1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX))
        .min(LONGEST);
    plain.mul_f64(0.75 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

/// Returns a random number; std seeds its hash tables with it.
fn random() -> u32 {
    let hash = std::hash::RandomState::new().build_hasher().finish();
    u32::try_from(hash >> 32).unwrap_or_default()
}

/// Parses `Retry-After`: seconds or a date.
pub(super) fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
#[path = "retry_tests.rs"]
pub(super) mod tests;
