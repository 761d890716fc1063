//! Disk walks that continue over several calls.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::disk::WalkProgress;
use crate::error::{Result, refuse};
use crate::platform::fork::{Release, hold};
use crate::platform::mutex::lock;

/// Maximum number of stored walks: a host may abandon walks.
const MAX_WALKS: usize = 64;
/// The number of the last walk in this process. Numbers are unique in the process, so a walk of another index is not
/// found.
static LAST_NUMBER: AtomicU64 = AtomicU64::new(0);

/// Unfinished walks, the most recently used last.
#[derive(Default)]
pub struct Walks(Mutex<WalkList>);

#[derive(Default)]
struct WalkList {
    walks: VecDeque<(u64, WalkProgress)>,
}

impl Walks {
    /// Its lock, held through a fork.
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
        let found = walks.walks.iter().position(|(known, _)| *known == number);
        let Some(walk) = found.and_then(|at| walks.walks.remove(at)) else {
            return refuse(format!(
                "walk {number} has ended, is in use, or was dropped; pass 0 to start a new one"
            ));
        };
        Ok(walk)
    }

    /// Stores an unfinished walk for the next call.
    pub fn store(&self, number: u64, progress: WalkProgress) {
        let mut walks = lock(&self.0);
        if walks.walks.len() >= MAX_WALKS {
            walks.walks.pop_front();
        }
        walks.walks.push_back((number, progress));
    }
}
