//! Disk walks that continue over several calls.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::disk::WalkProgress;
use crate::error::{Result, refuse};
use crate::platform::fork::{Release, hold};
use crate::platform::mutex::lock;

/// Maximum number of stored walks, since a host may abandon walks.
const MAX_WALKS: usize = 64;
/// The number of the last walk. Numbers are unique in the process, so that a host cannot continue the walk of another
/// index by mistake.
static LAST_NUMBER: AtomicU64 = AtomicU64::new(0);

/// Unfinished walks and their numbers, the most recently used last.
#[derive(Default)]
pub struct Walks(Mutex<VecDeque<(u64, WalkProgress)>>);

impl Walks {
    /// Takes the lock for a fork, and holds it until the returned value is dropped. `within` returns this value from
    /// its owner.
    pub fn hold<O: 'static>(owner: &Arc<O>, within: fn(&O) -> &Self) -> Box<dyn Release> {
        Box::new(hold(owner, |owner| &within(owner).0))
    }

    /// Takes the walk with this number out of the list, so that no other call can use it until [`Walks::store`]. 0
    /// begins a new walk.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`] for an unknown number.
    pub fn take(&self, number: u64) -> Result<(u64, WalkProgress)> {
        let mut walks = lock(&self.0);
        if number == 0 {
            return Ok((LAST_NUMBER.fetch_add(1, Ordering::Relaxed) + 1, WalkProgress::default()));
        }
        let index = walks.iter().position(|(walk_number, _)| *walk_number == number);
        let Some(walk) = index.and_then(|index| walks.remove(index)) else {
            return refuse(format!(
                "walk {number} has ended, is in use, or was dropped: pass 0 to start a new one"
            ));
        };
        Ok(walk)
    }

    /// Stores an unfinished walk for the next call. Beyond [`MAX_WALKS`], drops the walk that was used least recently.
    pub fn store(&self, number: u64, progress: WalkProgress) {
        let mut walks = lock(&self.0);
        if walks.len() >= MAX_WALKS {
            walks.pop_front();
        }
        walks.push_back((number, progress));
    }
}
