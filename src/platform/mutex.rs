//! Locks among threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::clock::coarse_ms;

/// The longest that [`ShortLock`] waits.
const LONGEST: Duration = Duration::from_millis(200);
/// For how long it waits no more after that was in vain.
const REST_MS: u64 = 5_000;
/// How often it tries.
const TRY: Duration = Duration::from_micros(50);

/// Locks, however long that takes. A panic of the thread that held it does not spread to this one: the handle stays usable.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks if no thread has it locked now; see [`lock`].
pub fn try_lock<T: ?Sized>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Locks that are waited for as long as a thread takes that reads, but no longer: the holder may wait itself, for another
/// process. Where that was in vain, none is waited for again for a while.
#[derive(Default)]
pub struct ShortLock {
    rests_until_ms: AtomicU64,
}

impl ShortLock {
    /// Locks; `None` where another thread keeps it locked.
    pub fn lock<'m, T: ?Sized>(&self, mutex: &'m Mutex<T>) -> Option<MutexGuard<'m, T>> {
        let mut begun = None;
        loop {
            let locked = try_lock(mutex);
            if locked.is_some() || coarse_ms() < self.rests_until_ms.load(Ordering::Relaxed) {
                return locked;
            }
            if begun.get_or_insert_with(Instant::now).elapsed() >= LONGEST {
                let until = coarse_ms().saturating_add(REST_MS);
                self.rests_until_ms.store(until, Ordering::Relaxed);
                return None;
            }
            std::thread::sleep(TRY);
        }
    }
}

#[cfg(test)]
#[path = "mutex_tests.rs"]
mod tests;
