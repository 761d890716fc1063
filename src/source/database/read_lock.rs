//! Serializes read transactions: the lock, the pauses between transactions, and the back-off after failures.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::InterruptHandle;

use crate::error::{Error, Result, Status};
use crate::platform::clock::Deadline;
use crate::platform::fork::{ForkLock, HeldLock, lock, lock_for_fork};

use super::super::contract::Bounds;

/// Total reading time after which a pause follows.
const MAX_READ_TIME: Duration = Duration::from_millis(20);
/// Length of a pause while the server is running. The server can restart its WAL only while no process is reading;
/// until then, its WAL grows, and each of its commits attempts a checkpoint.
const PAUSE: Duration = Duration::from_millis(15);
/// Interval at which a waiting thread checks its call's limits.
const POLL: Duration = Duration::from_millis(20);
/// Total time of failed read transactions after which plexindex suspends reads.
const MAX_FAILURE_TIME: Duration = Duration::from_millis(250);
/// How long reads stay suspended if the file is unchanged.
const SUSPENDED_MS: i64 = 15_000;
/// How long reads stay suspended if the file has changed since the failure.
const SUSPENDED_CHANGED_MS: i64 = 2_000;

/// The lock that every read transaction holds. A thread that waits for the lock respects its call's limits, and
/// interrupts a transaction that exceeds its time limit.
#[derive(Default)]
pub struct ReadLock {
    state: Mutex<ReadLockState>,
    released: Condvar,
    /// Number of forks that wait for the lock or hold it.
    forks: AtomicU32,
}

#[derive(Default)]
pub struct ReadLockState {
    is_locked: bool,
    /// The transaction of the thread that holds the lock, once the transaction has started. Other threads can interrupt
    /// it.
    pub running: Option<RunningTransaction>,
    pub pause_schedule: PauseSchedule,
    pub failures: FileFailures,
}

/// A running read transaction. Normally, a transaction ends by itself. But in a damaged file, a single SQLite
/// instruction may take very long; a waiting thread then interrupts the transaction.
pub struct RunningTransaction {
    /// Interrupts the transaction's current SQL statement.
    pub handle: InterruptHandle,
    /// Time from which any waiting thread may interrupt the transaction.
    pub end: Deadline,
    /// Time from which a fork may interrupt the transaction.
    pub target_end: Instant,
}

impl ReadLockState {
    /// Interrupts the running transaction if it has exceeded its time limit, or, for a waiting fork, its target
    /// duration.
    fn interrupt_overrun(&self, has_waiting_fork: bool) {
        let Some(running) = &self.running else { return };
        let end = if has_waiting_fork {
            Deadline::at(running.target_end)
        } else {
            running.end
        };
        if end.has_passed() {
            running.handle.interrupt();
        }
    }
}

/// The lock, held for one read transaction.
pub struct ReadGuard<'l>(&'l ReadLock);

impl ReadLock {
    /// Waits for forks and other threads' transactions, and takes the lock. Fails if the host aborts the call or its
    /// deadline passes.
    pub fn acquire(&self, bounds: &Bounds<'_>) -> Result<ReadGuard<'_>> {
        let mut state = lock(&self.state);
        while state.is_locked || self.has_waiting_fork() {
            check_bounds(bounds)?;
            state.interrupt_overrun(false);
            let waited = self.released.wait_timeout(state, bounds.deadline.wait(POLL));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.is_locked = true;
        Ok(ReadGuard(self))
    }

    /// Interrupts the running transaction if it has exceeded its time limit. Waiting threads call this function
    /// periodically, because a long SQLite instruction does not check the limit itself.
    pub fn interrupt_overrun(&self) {
        lock(&self.state).interrupt_overrun(false);
    }

    /// Returns whether a fork is waiting for the lock or holding it. Until the fork ends, no new transaction starts.
    pub fn has_waiting_fork(&self) -> bool {
        self.forks.load(Ordering::Relaxed) > 0
    }

    /// Takes the lock for a fork; dropping the returned value releases the lock. Interrupts a transaction that exceeds
    /// its target duration; the transaction runs again later.
    pub fn lock_for_fork(self: &Arc<Self>) -> Box<dyn ForkLock> {
        self.forks.fetch_add(1, Ordering::Relaxed);
        let mut state = lock(&self.state);
        while state.is_locked {
            state.interrupt_overrun(true);
            let waited = self.released.wait_timeout(state, POLL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        // No transaction starts between the next two statements, because `forks` is not 0.
        drop(state);
        Box::new(HeldReadLock {
            _state: lock_for_fork(self, |read_lock| &read_lock.state),
            read_lock: Arc::clone(self),
        })
    }
}

/// Holds the lock during a fork.
struct HeldReadLock {
    _state: HeldLock<ReadLock, ReadLockState>,
    read_lock: Arc<ReadLock>,
}

impl ForkLock for HeldReadLock {}

impl Drop for HeldReadLock {
    /// Records that the fork has ended, and wakes the threads that wait for the lock.
    fn drop(&mut self) {
        self.read_lock.forks.fetch_sub(1, Ordering::Relaxed);
        self.read_lock.released.notify_all();
    }
}

impl ReadGuard<'_> {
    /// Returns the state that belongs to the lock's holder. No other thread gets the lock, or learns that the holder
    /// has exceeded its time limit, until the returned value is dropped.
    pub fn state(&self) -> MutexGuard<'_, ReadLockState> {
        lock(&self.0.state)
    }
}

impl Drop for ReadGuard<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.is_locked = false;
        state.running = None;
        drop(state);
        self.0.released.notify_all();
    }
}

/// Fails if the host has aborted the call, or if the call's deadline has passed.
pub fn check_bounds(bounds: &Bounds<'_>) -> Result<()> {
    if (bounds.aborted)() {
        return Err(Error::new(
            Status::Aborted,
            "cannot read Plex's database: the host stopped the call",
        ));
    }
    if bounds.deadline.has_passed() {
        return Err(Error::new(
            Status::Timeout,
            "cannot read Plex's database: the timeout passed; allow more time",
        ));
    }
    Ok(())
}

/// Reading time since the last pause, while the server is running.
#[derive(Debug, Default)]
pub struct PauseSchedule {
    read_time: Duration,
    last_read_end: Option<Instant>,
}

impl PauseSchedule {
    /// Adds a read transaction that has just ended, and how long it ran.
    pub fn add(&mut self, duration: Duration) {
        self.read_time += duration;
        self.last_read_end = Some(Instant::now());
    }

    /// Returns how long to pause now: zero until the reading time exceeds [`MAX_READ_TIME`], and then [`PAUSE`], minus
    /// the time since the last transaction.
    pub fn next_pause(&mut self) -> Duration {
        let remaining = self
            .last_read_end
            .map_or(Duration::ZERO, |end| PAUSE.saturating_sub(end.elapsed()));
        // The server has had a full pause since the last transaction.
        if remaining.is_zero() {
            self.read_time = Duration::ZERO;
        }
        if self.read_time > MAX_READ_TIME {
            self.read_time = Duration::ZERO;
            remaining
        } else {
            Duration::ZERO
        }
    }
}

/// Failures since the last successful read transaction.
#[derive(Debug, Default)]
pub struct FileFailures {
    /// Total time of the failed transactions.
    total_time: Duration,
    /// The failure that suspends reads, the hash of the files' state at that time, and the time in Unix ms.
    suspension: Option<(Error, Option<u64>, i64)>,
}

impl FileFailures {
    /// Adds a failed transaction. Suspends reads when the failures have taken [`MAX_FAILURE_TIME`] in total. `stamp` is
    /// a hash of the files' state.
    pub fn add(&mut self, error: &Error, duration: Duration, stamp: Option<u64>, now_ms: i64) {
        self.total_time += duration;
        if self.total_time >= MAX_FAILURE_TIME {
            self.suspension = Some((error.clone(), stamp, now_ms));
        }
    }

    /// Returns the failure that suspends reads now; `None` if reads may run. A changed hash (`stamp`) shortens the
    /// suspension, because the server may have repaired the file.
    pub fn suspending_failure(&self, stamp: impl FnOnce() -> Option<u64>, now_ms: i64) -> Option<Error> {
        let (error, failure_stamp, failed_ms) = self.suspension.as_ref()?;
        let limit_ms = if stamp() == *failure_stamp {
            SUSPENDED_MS
        } else {
            SUSPENDED_CHANGED_MS
        };
        let age_ms = now_ms.saturating_sub(*failed_ms);
        // A negative age means that the clock was set back. Reads then resume at once.
        (0..limit_ms).contains(&age_ms).then(|| error.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_suspended_after_slow_failures() {
        let mut failures = FileFailures::default();
        let error = Error::new(Status::ServerError, "not in time");
        let last =
            |failures: &FileFailures, stamp: u64, now_ms: i64| failures.suspending_failure(|| Some(stamp), now_ms);
        failures.add(&error, MAX_FAILURE_TIME / 2, Some(1), 1_000);
        assert_eq!(last(&failures, 1, 1_001), None);
        failures.add(&error, MAX_FAILURE_TIME / 2, Some(1), 2_000);
        for (stamp, now_ms, is_left) in [
            (1, 2_000, true),
            (1, 2_000 + SUSPENDED_MS - 1, true),
            (1, 2_000 + SUSPENDED_MS, false),
            (2, 2_000 + SUSPENDED_CHANGED_MS - 1, true),
            (2, 2_000 + SUSPENDED_CHANGED_MS, false),
            (1, 1_999, false),
        ] {
            assert_eq!(last(&failures, stamp, now_ms).is_some(), is_left, "{stamp} {now_ms}");
        }
        // The next failure suspends reads again at once.
        failures.add(&error, Duration::ZERO, Some(1), 20_000);
        assert_eq!(last(&failures, 1, 20_001), Some(error));
    }
}
