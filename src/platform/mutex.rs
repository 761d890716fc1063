//! Locks between threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::clock::coarse_ms;

/// Longest wait of [`ShortWait`].
const MAX_WAIT: Duration = Duration::from_millis(200);
/// After a wait has reached [`MAX_WAIT`], calls do not wait for this time.
const NO_WAIT_MS: u64 = 5_000;
/// Interval between attempts.
const RETRY_INTERVAL: Duration = Duration::from_micros(50);

/// Locks a mutex and ignores poisoning, so that a panic in one call leaves the handle usable.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks a mutex if it is free now, and ignores poisoning, as [`lock`] does.
pub fn try_lock<T: ?Sized>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Locks a mutex by this moment; `None` if another thread holds it for longer. Polls, so use it only for locks that are
/// held for milliseconds.
pub fn lock_by<T: ?Sized>(mutex: &Mutex<T>, moment: Instant) -> Option<MutexGuard<'_, T>> {
    loop {
        let locked = try_lock(mutex);
        if locked.is_some() || Instant::now() >= moment {
            return locked;
        }
        std::thread::sleep(RETRY_INTERVAL);
    }
}

/// A short timeout for locks, long enough for a reader to finish but not for a process that hangs. After a timeout,
/// calls do not wait at all for a while.
#[derive(Default)]
pub struct ShortWait {
    no_wait_until_ms: AtomicU64,
}

impl ShortWait {
    /// Returns how long to wait for a lock now: zero for a while after a timeout.
    pub fn patience(&self) -> Duration {
        if coarse_ms() < self.no_wait_until_ms.load(Ordering::Relaxed) {
            Duration::ZERO
        } else {
            MAX_WAIT
        }
    }

    /// Notes that a wait of this length timed out, so that the next calls do not wait.
    pub fn gave_up(&self, patience: Duration) {
        if !patience.is_zero() {
            let until = coarse_ms().saturating_add(NO_WAIT_MS);
            self.no_wait_until_ms.store(until, Ordering::Relaxed);
        }
    }

    /// Locks a mutex; `None` if another thread holds it for too long.
    pub fn lock<'m, T: ?Sized>(&self, mutex: &'m Mutex<T>) -> Option<MutexGuard<'m, T>> {
        let patience = self.patience();
        let locked = lock_by(mutex, Instant::now() + patience);
        if locked.is_none() {
            self.gave_up(patience);
        }
        locked
    }
}

#[cfg(test)]
#[path = "mutex_tests.rs"]
mod tests;
