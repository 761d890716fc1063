//! Ensures that only one thread in one process fetches a library at a time. Threads use a lock with a timeout.
//! Processes use a file lock, which the operating system releases when a process exits. On a file system without locks,
//! two processes can fetch the same library at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::engine::Store;
use crate::error::Result;
use crate::platform::fork::lock;
use crate::platform::lock::FileLock;
use crate::source::Bounds;

/// Interval at which a waiting thread checks whether to stop waiting.
const POLL: Duration = Duration::from_millis(20);

/// The locks for this process's running fetches, by name.
///
/// Uses `parking_lot`, because its locks support timeouts. Only plexindex's own threads wait for these locks: a waiting
/// thread gets a thread-local variable with a destructor, which on a host's thread would prevent unloading plexindex.
#[derive(Default)]
pub struct SingleFlight {
    pub(super) by_name: Mutex<HashMap<String, Arc<parking_lot::Mutex<()>>>>,
}

impl SingleFlight {
    /// Runs `work` as soon as no other thread or process runs work with this name. Returns `None`, and does not run
    /// `work`, if the wait exceeds `bounds`.
    ///
    /// # Errors
    /// Errors from `work`.
    pub fn single_flight<T>(
        &self,
        store: &Store,
        name: &str,
        bounds: Bounds<'_>,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        let thread_lock = Arc::clone(lock(&self.by_name).entry(name.to_owned()).or_default());
        let Some(_thread_guard) = lock_within(&thread_lock, bounds) else {
            return Ok(None);
        };
        let path = store.folder().lock_path(name);
        let _process_guard = match FileLock::acquire(&path, bounds.deadline, bounds.aborted) {
            Ok(Some(lock)) => Some(lock),
            Ok(None) => return Ok(None),
            Err(error) => {
                log::debug!(
                    "cannot lock {}: {error}; another process may fetch the same library",
                    path.display()
                );
                None
            }
        };
        work().map(Some)
    }

    /// In the child after a fork, releases all locks, because the threads that held them do not exist there.
    pub fn reset_after_fork(&self) {
        if let Ok(mut by_name) = self.by_name.try_lock() {
            by_name.clear();
        }
    }
}

/// Takes a lock; `None` if the wait exceeds `bounds`. Wakes up from time to time, because the host may abort the call.
fn lock_within<'l>(lock: &'l parking_lot::Mutex<()>, bounds: Bounds<'_>) -> Option<parking_lot::MutexGuard<'l, ()>> {
    loop {
        if let Some(guard) = lock.try_lock_for(bounds.deadline.wait(POLL)) {
            return Some(guard);
        }
        if (bounds.aborted)() || bounds.deadline.has_passed() {
            return None;
        }
    }
}
