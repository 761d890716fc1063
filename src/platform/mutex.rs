//! Locks between threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::clock::coarse_ms;

/// Longest wait of [`ShortLock`].
const MAX_WAIT: Duration = Duration::from_millis(200);
/// After a wait has reached [`MAX_WAIT`], calls do not wait for this time.
const NO_WAIT_MS: u64 = 5_000;
/// Interval between attempts.
const RETRY_INTERVAL: Duration = Duration::from_micros(50);

/// Locks a mutex and ignores poisoning, so that a panic in one call leaves the handle usable.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks a mutex if it is free now; see [`lock`].
pub fn try_lock<T: ?Sized>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Locks a mutex by this moment; `None` if another thread holds it for longer. For locks that are held for some
/// milliseconds, since it looks again and again.
pub fn lock_by<T: ?Sized>(mutex: &Mutex<T>, moment: Instant) -> Option<MutexGuard<'_, T>> {
    loop {
        let locked = try_lock(mutex);
        if locked.is_some() || Instant::now() >= moment {
            return locked;
        }
        std::thread::sleep(RETRY_INTERVAL);
    }
}

/// Locks mutexes with a short timeout: enough for a reader to finish, but not for a holder that waits for another
/// process. After a timeout, it does not wait again for a while.
#[derive(Default)]
pub struct ShortLock {
    no_wait_until_ms: AtomicU64,
}

impl ShortLock {
    /// Locks a mutex; `None` if another thread holds it for too long.
    pub fn lock<'m, T: ?Sized>(&self, mutex: &'m Mutex<T>) -> Option<MutexGuard<'m, T>> {
        let mut begun = None;
        loop {
            let locked = try_lock(mutex);
            if locked.is_some() || coarse_ms() < self.no_wait_until_ms.load(Ordering::Relaxed) {
                return locked;
            }
            if begun.get_or_insert_with(Instant::now).elapsed() >= MAX_WAIT {
                let until = coarse_ms().saturating_add(NO_WAIT_MS);
                self.no_wait_until_ms.store(until, Ordering::Relaxed);
                return None;
            }
            std::thread::sleep(RETRY_INTERVAL);
        }
    }
}

#[cfg(test)]
#[path = "mutex_tests.rs"]
mod tests;
