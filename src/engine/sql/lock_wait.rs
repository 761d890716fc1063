//! Limits the time that calls wait for other threads and processes.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::platform::deadline::Deadline;
use crate::platform::mutex::{self, lock};

/// Maximum time that a write waits for another process to finish a write.
pub const BUSY: Duration = Duration::from_secs(10);

/// Locks a mutex. Waits until the deadline, but at most [`BUSY`], and then returns `None`. Without a deadline, waits
/// indefinitely.
pub fn lock_by<T>(deadline: Deadline, mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    if deadline == Deadline::NONE {
        return Some(lock(mutex));
    }
    mutex::lock_by(mutex, Instant::now() + deadline.wait(BUSY))
}
