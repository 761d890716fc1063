//! One slice at a time: who waits for that, how soon the next one may follow, and when none is read at all.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::InterruptHandle;

use crate::error::{Error, Result, Status};
use crate::platform::fork::{HeldLock, Release, hold};
use crate::platform::mutex::lock;

use super::super::contract::Bounds;

/// How long a slice may read before a pause.
const READ: Duration = Duration::from_millis(20);
/// For how long nothing is read then, beside a server that runs: it can begin its log anew only while there is no reader, and
/// until then each of its commits tries to put the log into the database.
const PAUSE: Duration = Duration::from_millis(15);
/// How often a waiting thread looks whether its call is over.
const POLL: Duration = Duration::from_millis(20);
/// After failures that took so long together the file is left alone,
const LOST: Duration = Duration::from_millis(250);
/// for this long,
const LEFT_ALONE_MS: i64 = 15_000;
/// or for this long where it has changed since.
const LEFT_ALONE_CHANGED_MS: i64 = 2_000;

/// The lock of slices. Waiting for it ends with the bounds of the call, and a fork waits for no slice that overruns.
#[derive(Default)]
pub struct SliceLock {
    state: Mutex<SliceState>,
    released: Condvar,
    /// Forks that wait, or are under way.
    forks: AtomicU32,
}

#[derive(Default)]
struct SliceState {
    is_taken: bool,
    running: Option<RunningSlice>,
    pace: Pace,
    failures: FileFailures,
}

/// A slice that runs. It ends by itself, but for one instruction of `SQLite`'s that may last in a damaged file: to count all
/// rows of a table. A thread that waits for the slice interrupts that.
pub struct RunningSlice {
    pub handle: InterruptHandle,
    /// When it must have ended.
    pub until: Instant,
    /// From when on a fork ends it.
    pub overrun: Instant,
}

impl SliceState {
    fn interrupt_overrun(&self, is_wanted_for_a_fork: bool) {
        let Some(running) = &self.running else { return };
        let end = if is_wanted_for_a_fork {
            running.overrun
        } else {
            running.until
        };
        if Instant::now() >= end {
            running.handle.interrupt();
        }
    }
}

/// The lock, held for a slice.
pub struct SliceGuard<'l>(&'l SliceLock);

impl SliceLock {
    /// Waits for the slices of other threads, and for forks.
    pub fn acquire(&self, bounds: &Bounds<'_>) -> Result<SliceGuard<'_>> {
        let mut state = lock(&self.state);
        while state.is_taken || self.is_wanted_for_a_fork() {
            check(bounds)?;
            state.interrupt_overrun(false);
            let time = bounds.left().map_or(POLL, |left| left.min(POLL));
            let waited = self.released.wait_timeout(state, time);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.is_taken = true;
        Ok(SliceGuard(self))
    }

    /// Ends a slice that takes longer than it may: called now and then by a thread that waits for it.
    pub fn interrupt_overrun(&self) {
        lock(&self.state).interrupt_overrun(false);
    }

    pub fn is_wanted_for_a_fork(&self) -> bool {
        self.forks.load(Ordering::Relaxed) > 0
    }

    /// Holds the lock through a fork. A slice that has overrun is interrupted for it, and begun again afterwards.
    pub fn hold(self: &Arc<Self>) -> Box<dyn Release> {
        self.forks.fetch_add(1, Ordering::Relaxed);
        let mut state = lock(&self.state);
        while state.is_taken {
            state.interrupt_overrun(true);
            let waited = self.released.wait_timeout(state, POLL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        // No slice begins while a fork wants the lock.
        drop(state);
        Box::new(HeldSlices {
            _state: hold(self, |slices| &slices.state),
            slices: Arc::clone(self),
        })
    }
}

/// The lock of slices while a process forks.
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
    /// For how long nothing is read now.
    pub fn pause(&self) -> Duration {
        lock(&self.0.state).pace.pause()
    }

    /// The slice runs from now on.
    pub fn runs(&mut self, running: RunningSlice) {
        lock(&self.0.state).running = Some(running);
    }

    /// A slice ended that was read beside a running server.
    pub fn read_beside_a_server(&mut self, took: Duration) {
        lock(&self.0.state).pace.add(took);
    }

    /// The file could not be read.
    pub fn failed(&mut self, error: &Error, took: Duration, stamp: Option<u64>, now_ms: i64) {
        lock(&self.0.state).failures.add(error, took, stamp, now_ms);
    }

    pub fn succeeded(&mut self) {
        lock(&self.0.state).failures = FileFailures::default();
    }

    /// The last failure, while the file is left alone for it.
    pub fn left_alone(&self, stamp: impl FnOnce() -> Option<u64>, now_ms: i64) -> Option<Error> {
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

/// Ends a call that is over before it reads.
pub fn check(bounds: &Bounds<'_>) -> Result<()> {
    if (bounds.aborted)() {
        return Err(Error::new(
            Status::Aborted,
            "the host stopped the reading of Plex's database",
        ));
    }
    if bounds.left().is_some_and(|left| left.is_zero()) {
        return Err(Error::new(
            Status::Timeout,
            "time is up: Plex's database is read by the next call",
        ));
    }
    Ok(())
}

/// How long was read beside a server that runs, one slice soon after the other, until when.
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
        if self.took > READ {
            self.took = Duration::ZERO;
            left
        } else {
            Duration::ZERO
        }
    }
}

/// Failures since the file was read last.
#[derive(Debug, Default)]
struct FileFailures {
    took: Duration,
    /// The last one, since the file is left alone: with what the files were like, and when that was.
    last: Option<(Error, Option<u64>, i64)>,
}

impl FileFailures {
    fn add(&mut self, error: &Error, took: Duration, stamp: Option<u64>, now_ms: i64) {
        self.took += took;
        if self.took >= LOST {
            self.last = Some((error.clone(), stamp, now_ms));
        }
    }

    fn last(&self, stamp: impl FnOnce() -> Option<u64>, now_ms: i64) -> Option<Error> {
        let (error, then, at_ms) = self.last.as_ref()?;
        let time = if stamp() == *then {
            LEFT_ALONE_MS
        } else {
            LEFT_ALONE_CHANGED_MS
        };
        // A clock that was set back does not make it last longer.
        (0..time)
            .contains(&now_ms.saturating_sub(*at_ms))
            .then(|| error.clone())
    }
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
