//! Disk walks that span several calls.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::disk::WalkProgress;
use crate::error::{Result, invalid_argument_error};
use crate::platform::fork::{ForkLock, lock_for_fork};
use crate::platform::mutex::lock;

/// Maximum number of stored walks, since a host may abandon walks.
const MAX_WALKS: usize = 64;
/// The number of the newest walk. Numbers are unique in the process, so that a host cannot continue a different index's
/// walk.
static LAST_NUMBER: AtomicU64 = AtomicU64::new(0);

/// Unfinished walks and their numbers, in the order of their last use.
#[derive(Default)]
pub struct Walks(Mutex<VecDeque<(u64, WalkProgress)>>);

impl Walks {
    /// Acquires the lock before a fork, so that no other thread holds it when the child is created. Dropping the
    /// returned value releases the lock. `within` returns the field of `owner` that contains the lock.
    pub fn lock_for_fork<O: 'static>(owner: &Arc<O>, within: fn(&O) -> &Self) -> Box<dyn ForkLock> {
        Box::new(lock_for_fork(owner, |owner| &within(owner).0))
    }

    /// Removes the walk with this number from the list and returns it, so that no other call can use the walk until
    /// [`Walks::store`]. The number 0 starts a new walk.
    ///
    /// # Errors
    /// Returns [`crate::error::Status::InvalidArgument`] if the number is unknown.
    pub fn take(&self, number: u64) -> Result<(u64, WalkProgress)> {
        let mut walks = lock(&self.0);
        if number == 0 {
            return Ok((LAST_NUMBER.fetch_add(1, Ordering::Relaxed) + 1, WalkProgress::default()));
        }
        let index = walks.iter().position(|(walk_number, _)| *walk_number == number);
        let Some(walk) = index.and_then(|index| walks.remove(index)) else {
            return invalid_argument_error(format!(
                "walk {number} has ended, is in use, or was dropped: pass 0 to start a new one"
            ));
        };
        Ok(walk)
    }

    /// Stores an unfinished walk for the next call. Beyond [`MAX_WALKS`], drops the least recently used walk.
    pub fn store(&self, number: u64, progress: WalkProgress) {
        let mut walks = lock(&self.0);
        if walks.len() >= MAX_WALKS {
            walks.pop_front();
        }
        walks.push_back((number, progress));
    }
}
