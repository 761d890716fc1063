//! One fetch at a time. Threads share a lock with a time-out. Processes share a file lock, which ends with its holder.
//! Where the file system has no locks, two processes may fetch the same.

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

/// The fetches under way in this process, by what they fetch.
///
/// `parking_lot`, because its locks have a deadline. They are locked on the library's own threads only: waiting leaves
/// a thread-local with a destructor behind.
#[derive(Default)]
pub struct SingleFlight {
    by_name: Mutex<HashMap<String, Arc<parking_lot::Mutex<()>>>>,
}

impl SingleFlight {
    /// Its locks, held through a fork.
    pub fn hold<O: 'static>(owner: &Arc<O>, within: fn(&O) -> &Self) -> Box<dyn Release> {
        Box::new(hold(owner, |owner| &within(owner).by_name))
    }

    /// Runs `work` while no other thread or process fetches `what`; returns `None` if the bounds end first.
    ///
    /// # Errors
    /// Errors of `work`.
    pub fn single_flight<T>(
        &self,
        store: &Store,
        what: &str,
        bounds: Bounds<'_>,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        let thread_lock = Arc::clone(lock(&self.by_name).entry(what.to_owned()).or_default());
        let Some(_among_threads) = wait(&thread_lock, bounds) else {
            return Ok(None);
        };
        let path = store.folder().fetch_lock(what);
        let _among_processes = match FileLock::acquire(&path, bounds.deadline, bounds.aborted) {
            Ok(Some(lock)) => Some(lock),
            Ok(None) => return Ok(None),
            Err(error) => {
                log::debug!(
                    "cannot lock {}: other processes may fetch the same: {error}",
                    path.display()
                );
                None
            }
        };
        work().map(Some)
    }

    /// Resets all locks in the child of a fork: the parent's fetching threads do not exist there.
    pub fn reset_after_fork(&self) {
        if let Ok(mut by_name) = self.by_name.try_lock() {
            by_name.clear();
        }
    }
}

fn wait<'l>(lock: &'l parking_lot::Mutex<()>, bounds: Bounds<'_>) -> Option<parking_lot::MutexGuard<'l, ()>> {
    loop {
        if let Some(guard) = lock.try_lock_for(bounds.deadline.wait(POLL)) {
            return Some(guard);
        }
        if (bounds.aborted)() || bounds.deadline.has_passed() {
            return None;
        }
    }
}
