//! One fetch at a time: among threads a lock with a time-out, among processes a file lock that dies with its holder.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::error::Result;
use crate::platform::lock::FileLock;
use crate::source::Bounds;
use crate::store::Folder;

/// The fetches under way in this process, by what they fetch.
///
/// `parking_lot`, for its locks can be waited for with a deadline. They are taken on the library's own threads only:
/// waiting leaves a thread-local with a destructor behind.
#[derive(Default)]
pub struct Flights {
    pub(super) by_name: Mutex<HashMap<String, Arc<parking_lot::Mutex<()>>>>,
}

impl Flights {
    /// Runs `work` when nobody else fetches `what`; `None` when the bounds end first.
    ///
    /// # Errors
    /// What `work` gives.
    pub fn alone<T>(
        &self,
        folder: &Folder,
        what: &str,
        bounds: Bounds<'_>,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        let lock = Arc::clone(
            self.by_name
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(what.to_owned())
                .or_default(),
        );
        let Some(_alone_here) = wait(&lock, bounds) else {
            return Ok(None);
        };
        let path = folder.fetch_lock(what);
        let _alone_anywhere = match FileLock::acquire(&path, bounds.deadline, bounds.aborted) {
            Ok(Some(lock)) => Some(lock),
            Ok(None) => return Ok(None),
            Err(error) => {
                // No locks on this file system: then processes may fetch twice, which costs requests, not truth.
                log::debug!("no file lock on {}: {error}", path.display());
                None
            }
        };
        work().map(Some)
    }

    /// In a child the fetching threads of the parent do not exist.
    pub fn reset_after_fork(&self) {
        if let Ok(mut by_name) = self.by_name.try_lock() {
            by_name.clear();
        }
    }
}

fn wait<'l>(lock: &'l parking_lot::Mutex<()>, bounds: Bounds<'_>) -> Option<parking_lot::MutexGuard<'l, ()>> {
    const LOOK_UP: std::time::Duration = std::time::Duration::from_millis(20);
    loop {
        let until = Instant::now() + LOOK_UP;
        let until = bounds.deadline.map_or(until, |deadline| until.min(deadline));
        if let Some(guard) = lock.try_lock_until(until) {
            return Some(guard);
        }
        if (bounds.aborted)() || bounds.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return None;
        }
    }
}
