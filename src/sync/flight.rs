//! Lets only one thread of one process fetch at a time. Threads share a lock with a time-out. Processes share a file
//! lock, which the system releases when a process ends. On a file system without locks, two processes may fetch the
//! same library.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::engine::Store;
use crate::error::Result;
use crate::platform::fork::{Release, hold};
use crate::platform::lock::FileLock;
use crate::platform::mutex::lock;
use crate::source::Bounds;

/// Interval at which a waiting thread checks whether it must stop.
const POLL: Duration = Duration::from_millis(20);

/// The running fetches of this process, by name.
///
/// Uses `parking_lot`, whose locks have a time-out. Only the library's own threads wait for these locks, since waiting
/// creates a thread-local with a destructor.
#[derive(Default)]
pub struct SingleFlight {
    by_name: Mutex<HashMap<String, Arc<parking_lot::Mutex<()>>>>,
}

impl SingleFlight {
    /// Takes the lock of this struct for a fork, and holds it until the returned value is dropped. `part` returns this
    /// struct from its owner.
    pub fn hold<O: 'static>(owner: &Arc<O>, part: fn(&O) -> &Self) -> Box<dyn Release> {
        Box::new(hold(owner, |owner| &part(owner).by_name))
    }

    /// Runs `work` while no other thread or process runs work with this name. Returns `None` if the bounds end before
    /// the other work does.
    ///
    /// # Errors
    /// Errors of `work`.
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
        let path = store.folder().fetch_lock(name);
        let _process_guard = match FileLock::acquire(&path, bounds.deadline, bounds.aborted) {
            Ok(Some(lock)) => Some(lock),
            Ok(None) => return Ok(None),
            Err(error) => {
                log::debug!(
                    "cannot lock {}: {error}; other processes may fetch the same library",
                    path.display()
                );
                None
            }
        };
        work().map(Some)
    }

    /// Resets all locks in the child of a fork, where the threads that held them do not exist.
    pub fn reset_after_fork(&self) {
        if let Ok(mut by_name) = self.by_name.try_lock() {
            by_name.clear();
        }
    }
}

/// Takes a lock; `None` if the bounds end first.
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
