//! Locks among threads.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, however long that takes. A panic of the thread that held it does not spread to this one: the handle stays usable.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
