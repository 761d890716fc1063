//! Waits for the write lock, while another thread or process writes.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::platform::deadline::Deadline;
use crate::platform::mutex::{self, lock};

/// Maximum wait of a write for another process's write.
pub const BUSY: Duration = Duration::from_secs(10);

/// Locks a mutex; `None` if the deadline passes first. Without a deadline, waits for ever.
pub fn lock_by<T>(deadline: Deadline, mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    if deadline == Deadline::NONE {
        return Some(lock(mutex));
    }
    mutex::lock_by(mutex, Instant::now() + deadline.wait(BUSY))
}
