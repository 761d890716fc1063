//! Locks between threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::clock::coarse_ms;
use super::deadline::SHORTEST_WAIT;

/// Time after a timeout during which [`ShortWait`] does not wait at all, in ms.
const NO_WAIT_MS: u64 = 5_000;
/// Interval between attempts to lock a mutex.
const RETRY_INTERVAL: Duration = Duration::from_micros(50);

/// Locks a mutex and ignores poisoning, so that a panic in one call leaves the handle usable.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks a mutex if it is free now; otherwise returns `None`. Ignores poisoning by an earlier panic.
pub fn try_lock<T: ?Sized>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Locks a mutex; `None` if another thread still holds the mutex at `moment`. Polls, so use this function only for
/// locks that threads hold for milliseconds.
pub fn lock_by<T: ?Sized>(mutex: &Mutex<T>, moment: Instant) -> Option<MutexGuard<'_, T>> {
    loop {
        let locked = try_lock(mutex);
        if locked.is_some() || Instant::now() >= moment {
            return locked;
        }
        std::thread::sleep(RETRY_INTERVAL);
    }
}

/// A short timeout for locks, which is long enough for a reader to finish, but does not wait for a process that hangs.
/// For some seconds after a timeout, calls do not wait at all.
#[derive(Default)]
pub struct ShortWait {
    no_wait_until_ms: AtomicU64,
}

impl ShortWait {
    /// Returns the maximum time to wait for a lock now, which is zero for some seconds after a timeout.
    pub fn current_timeout(&self) -> Duration {
        if coarse_ms() < self.no_wait_until_ms.load(Ordering::Relaxed) {
            Duration::ZERO
        } else {
            SHORTEST_WAIT
        }
    }

    /// Records that a wait of length `patience` timed out, so that the next calls do not wait.
    pub fn note_timeout(&self, patience: Duration) {
        if !patience.is_zero() {
            let until = coarse_ms().saturating_add(NO_WAIT_MS);
            self.no_wait_until_ms.store(until, Ordering::Relaxed);
        }
    }

    /// Locks a mutex; `None` if another thread still holds the mutex after the current timeout.
    pub fn lock<'m, T: ?Sized>(&self, mutex: &'m Mutex<T>) -> Option<MutexGuard<'m, T>> {
        let timeout = self.current_timeout();
        let locked = lock_by(mutex, Instant::now() + timeout);
        if locked.is_none() {
            self.note_timeout(timeout);
        }
        locked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_lock_waits_in_vain_only_once() {
        let (short, mutex) = (ShortWait::default(), Mutex::new(()));
        let (begun, held) = (std::sync::Barrier::new(2), lock(&mutex));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| {
                begun.wait();
                short.lock(&mutex).is_some()
            });
            begun.wait();
            drop(held);
            assert!(waits.join().expect("no panic"));
        });
        let _held = lock(&mutex);
        assert!(short.lock(&mutex).is_none(), "kept for ever");
        assert!(short.no_wait_until_ms.load(Ordering::Relaxed) > coarse_ms());
        assert!(short.lock(&mutex).is_none(), "at once");
    }
}
