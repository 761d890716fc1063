//! Waiting for the write lock: for another process's transaction, or for another thread's.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::platform::deadline::Deadline;
use crate::platform::mutex::{lock, try_lock};

/// Longest wait of a write for a write of another process.
pub const BUSY: Duration = Duration::from_secs(10);

/// Interval between attempts to take a lock that another thread holds.
const RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// Locks a mutex; `None` if the deadline passes first.
pub fn lock_by<T>(deadline: Deadline, mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    if deadline == Deadline::NONE {
        return Some(lock(mutex));
    }
    let end = Instant::now() + deadline.wait(BUSY);
    loop {
        let locked = try_lock(mutex);
        if locked.is_some() || Instant::now() >= end {
            return locked;
        }
        std::thread::sleep(RETRY_INTERVAL);
    }
}
