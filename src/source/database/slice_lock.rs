//! Serialises slices: the lock, the pauses between slices, and the back-off after failures.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::InterruptHandle;

use crate::error::{Error, Result, Status};
use crate::platform::deadline::Deadline;
use crate::platform::fork::{HeldLock, Release, hold};
use crate::platform::mutex::lock;

use super::super::contract::Bounds;

/// Total reading time after which a pause follows.
const MAX_READ: Duration = Duration::from_millis(20);
/// Length of a pause while the server is running. It can restart its WAL only without readers; until then each of its
/// commits attempts a checkpoint.
const PAUSE: Duration = Duration::from_millis(15);
/// Interval at which a waiting thread checks the bounds of its call.
const POLL: Duration = Duration::from_millis(20);
/// Total time of failed slices after which reads are suspended.
const MAX_FAILURE_TIME: Duration = Duration::from_millis(250);
/// How long reads stay suspended while the file is unchanged.
const SUSPENDED_MS: i64 = 15_000;
/// How long reads stay suspended if the file has changed since the failure.
const SUSPENDED_CHANGED_MS: i64 = 2_000;

/// The lock that slices hold. Waiting for it respects the bounds of the call; a fork interrupts a slice that overruns.
#[derive(Default)]
pub struct SliceLock {
    state: Mutex<SliceState>,
    released: Condvar,
    /// Number of forks waiting or in progress.
    forks: AtomicU32,
}

#[derive(Default)]
struct SliceState {
    is_taken: bool,
    running: Option<RunningSlice>,
    pace: Pace,
    failures: FileFailures,
}

/// A running slice. It normally ends by itself, but a single instruction of `SQLite`, such as counting all rows of a
/// table, may take long in a damaged file. A thread that waits for the slice interrupts it then.
pub struct RunningSlice {
    pub handle: InterruptHandle,
    /// When any waiting thread may interrupt it.
    pub end: Deadline,
    /// When a fork may interrupt it.
    pub overrun: Instant,
}

impl SliceState {
    fn interrupt_overrun(&self, has_waiting_fork: bool) {
        let Some(running) = &self.running else { return };
        let end = if has_waiting_fork {
            Deadline::at(running.overrun)
        } else {
            running.end
        };
        if end.has_passed() {
            running.handle.interrupt();
        }
    }
}

/// Holds the lock for a slice.
pub struct SliceGuard<'l>(&'l SliceLock);

impl SliceLock {
    /// Waits for other threads' slices and for forks, and takes the lock.
    pub fn acquire(&self, bounds: &Bounds<'_>) -> Result<SliceGuard<'_>> {
        let mut state = lock(&self.state);
        while state.is_taken || self.has_waiting_fork() {
            check(bounds)?;
            state.interrupt_overrun(false);
            let waited = self.released.wait_timeout(state, bounds.deadline.wait(POLL));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.is_taken = true;
        Ok(SliceGuard(self))
    }

    /// Interrupts a slice that overruns. Called periodically by a thread that waits for it.
    pub fn interrupt_overrun(&self) {
        lock(&self.state).interrupt_overrun(false);
    }

    pub fn has_waiting_fork(&self) -> bool {
        self.forks.load(Ordering::Relaxed) > 0
    }

    /// Takes the lock for a fork. A slice that overruns is interrupted and restarted afterwards.
    pub fn hold(self: &Arc<Self>) -> Box<dyn Release> {
        self.forks.fetch_add(1, Ordering::Relaxed);
        let mut state = lock(&self.state);
        while state.is_taken {
            state.interrupt_overrun(true);
            let waited = self.released.wait_timeout(state, POLL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        // No slice starts while a fork wants the lock.
        drop(state);
        Box::new(HeldSlices {
            _state: hold(self, |slices| &slices.state),
            slices: Arc::clone(self),
        })
    }
}

/// Holds the lock during a fork.
struct HeldSlices {
    _state: HeldLock<SliceLock, SliceState>,
    slices: Arc<SliceLock>,
}

impl Release for HeldSlices {}

impl Drop for HeldSlices {
    fn drop(&mut self) {
        self.slices.forks.fetch_sub(1, Ordering::Relaxed);
        self.slices.released.notify_all();
    }
}

impl SliceGuard<'_> {
    /// Returns how long to pause before the next slice.
    pub fn pause(&self) -> Duration {
        lock(&self.0.state).pace.pause()
    }

    /// Registers the running slice, so that others can interrupt it.
    pub fn set_running(&mut self, running: RunningSlice) {
        lock(&self.0.state).running = Some(running);
    }

    /// Records a slice that was read while the server is running.
    pub fn add_read_time(&mut self, took: Duration) {
        lock(&self.0.state).pace.add(took);
    }

    /// Records a failure.
    pub fn add_failure(&mut self, error: &Error, took: Duration, stamp: Option<u64>, now_ms: i64) {
        lock(&self.0.state).failures.add(error, took, stamp, now_ms);
    }

    pub fn reset_failures(&mut self) {
        lock(&self.0.state).failures = FileFailures::default();
    }

    /// Returns the last failure while reads are suspended for it.
    pub fn suspended_by(&self, stamp: impl FnOnce() -> Option<u64>, now_ms: i64) -> Option<Error> {
        let state = lock(&self.0.state);
        state.failures.last(stamp, now_ms)
    }
}

impl Drop for SliceGuard<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.is_taken = false;
        state.running = None;
        drop(state);
        self.0.released.notify_all();
    }
}

/// Fails if the call was aborted or its time is up.
pub fn check(bounds: &Bounds<'_>) -> Result<()> {
    if (bounds.aborted)() {
        return Err(Error::new(
            Status::Aborted,
            "the host stopped the reading of Plex's database",
        ));
    }
    if bounds.deadline.has_passed() {
        return Err(Error::new(
            Status::Timeout,
            "the deadline passed: the next call reads Plex's database",
        ));
    }
    Ok(())
}

/// Reading time since the last pause, while the server is running.
#[derive(Debug, Default)]
struct Pace {
    took: Duration,
    ended: Option<Instant>,
}

impl Pace {
    fn add(&mut self, took: Duration) {
        self.took += took;
        self.ended = Some(Instant::now());
    }

    fn pause(&mut self) -> Duration {
        let left = self
            .ended
            .map_or(Duration::ZERO, |ended| PAUSE.saturating_sub(ended.elapsed()));
        if left.is_zero() {
            self.took = Duration::ZERO;
        }
        if self.took > MAX_READ {
            self.took = Duration::ZERO;
            left
        } else {
            Duration::ZERO
        }
    }
}

/// Failures since the last successful slice.
#[derive(Debug, Default)]
struct FileFailures {
    took: Duration,
    /// The failure for which reads are suspended, the state of the files, and the time (Unix ms).
    last: Option<(Error, Option<u64>, i64)>,
}

impl FileFailures {
    fn add(&mut self, error: &Error, took: Duration, stamp: Option<u64>, now_ms: i64) {
        self.took += took;
        if self.took >= MAX_FAILURE_TIME {
            self.last = Some((error.clone(), stamp, now_ms));
        }
    }

    fn last(&self, stamp: impl FnOnce() -> Option<u64>, now_ms: i64) -> Option<Error> {
        let (error, then, at_ms) = self.last.as_ref()?;
        let time = if stamp() == *then {
            SUSPENDED_MS
        } else {
            SUSPENDED_CHANGED_MS
        };
        // If the clock was set back, reads resume at once.
        (0..time)
            .contains(&now_ms.saturating_sub(*at_ms))
            .then(|| error.clone())
    }
}

#[cfg(test)]
#[path = "slice_lock_tests.rs"]
mod tests;
