//! Trying again what fails in a way that passes, with growing pauses, within the time allowed.

use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant, SystemTime};

use crate::error::{Error, Result, Status};

use super::super::contract::Bounds;

/// The clock of retries, so that tests need not wait.
pub trait Pause: Send + Sync {
    /// Now, for budgets and deadlines.
    fn now(&self) -> Instant;

    /// Now, for servers that name a date to come back at.
    fn date(&self) -> SystemTime;

    /// Waits. Pauses arrive in slices of at most 50 ms.
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

/// How an attempt failed.
#[derive(Debug)]
pub(super) struct AttemptError {
    pub error: Error,
    /// It may not repeat itself.
    pub passes: bool,
    /// After how long the server asks to come back.
    retry_after: Option<Duration>,
    /// The server does not take the question as it was put (400 or 500).
    pub is_refusal: bool,
}

impl AttemptError {
    pub fn passing(error: Error, retry_after: Option<Duration>) -> Self {
        Self {
            error,
            passes: true,
            retry_after,
            is_refusal: false,
        }
    }

    /// The same failure as a refusal of the question.
    pub fn refusal(self) -> Self {
        Self {
            is_refusal: true,
            ..self
        }
    }

    /// The same failure, not to be tried again.
    pub fn last(self) -> Self {
        Self { passes: false, ..self }
    }
}

impl From<Error> for AttemptError {
    fn from(error: Error) -> Self {
        Self::passing(error, None).last()
    }
}

/// The longest slice of a pause: how late the wish to stop may be seen.
const SLICE: Duration = Duration::from_millis(50);

/// The first pause, before jitter.
const FIRST: Duration = Duration::from_millis(250);

/// The longest pause of our own choice, before jitter.
const LONGEST: Duration = Duration::from_secs(8);

/// Runs `attempt` until it succeeds, fails for good, or no time is left for another pause: until `retry_for` after
/// the start, and the deadline. Then the last failure is the answer, and says how often it was tried.
///
/// # Errors
/// What the attempt failed with; [`Status::Aborted`]; [`Status::Timeout`] when the deadline has passed before an
/// attempt.
pub(super) fn run<T>(
    pause: &dyn Pause,
    retry_for: Duration,
    bounds: &Bounds<'_>,
    what: &dyn std::fmt::Display,
    mut attempt: impl FnMut() -> std::result::Result<T, AttemptError>,
) -> Result<T> {
    let started = pause.now();
    let end = match (started.checked_add(retry_for), bounds.deadline) {
        (Some(end), Some(deadline)) => Some(end.min(deadline)),
        (end, deadline) => end.or(deadline),
    };
    let mut tries = 0_u32;
    loop {
        check(pause, bounds, what)?;
        tries += 1;
        let (error, asked) = match attempt() {
            Ok(value) => return Ok(value),
            Err(_) if (bounds.aborted)() => return Err(aborted(what)),
            Err(failure) if failure.passes => (failure.error, failure.retry_after),
            Err(failure) => return Err(tried(failure.error, tries)),
        };
        let wait = asked.unwrap_or_default().max(backoff(tries, random()));
        let fits = pause
            .now()
            .checked_add(wait)
            .is_some_and(|at| end.is_none_or(|end| at < end));
        if !fits {
            return Err(match asked {
                Some(asked) if asked > wait.min(LONGEST) => {
                    tried(error, tries).while_doing(&format!("the server asks to come back in {} s", asked.as_secs()))
                }
                _ => tried(error, tries),
            });
        }
        // Said when it begins, and not only when all the time was spent.
        let level = if tries == 1 {
            log::Level::Warn
        } else {
            log::Level::Debug
        };
        log::log!(level, "{error}; trying again in {} ms", wait.as_millis());
        let mut left = wait;
        while !left.is_zero() {
            check(pause, bounds, what)?;
            let slice = left.min(SLICE);
            pause.sleep(slice);
            left -= slice;
        }
    }
}

/// Ends a call that is no longer wanted, or whose time is up.
pub(super) fn check(pause: &dyn Pause, bounds: &Bounds<'_>, what: &dyn std::fmt::Display) -> Result<()> {
    if (bounds.aborted)() {
        return Err(aborted(what));
    }
    if bounds.deadline.is_some_and(|deadline| pause.now() >= deadline) {
        return Err(Error::new(
            Status::Timeout,
            format!("time is up before {what} could be asked for: allow a later deadline"),
        ));
    }
    Ok(())
}

/// The error of a call that the host aborted.
pub(super) fn aborted(what: &dyn std::fmt::Display) -> Error {
    Error::new(Status::Aborted, format!("stopped by the host while asking for {what}"))
}

fn tried(mut error: Error, tries: u32) -> Error {
    if tries > 1 {
        error.message = format!("{} (tried {tries} times)", error.message);
    }
    error
}

/// The pause after so many tries: doubling, up to the longest, a quarter more or less by `random`, so that many
/// processes that lost the same server do not come back in step. Still each is longer than the one before it.
fn backoff(tries: u32, random: u32) -> Duration {
    let plain = FIRST
        .saturating_mul(1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX))
        .min(LONGEST);
    plain.mul_f64(0.75 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

/// A number that differs between calls and processes; std seeds its hash tables with it.
fn random() -> u32 {
    let hash = std::hash::RandomState::new().build_hasher().finish();
    u32::try_from(hash >> 32).unwrap_or_default()
}

/// Reads `Retry-After`: seconds, or a date.
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
