//! Disk walks that continue over several calls.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::disk::WalkProgress;
use crate::error::{Result, refuse};
use crate::platform::fork::{Release, hold};
use crate::platform::mutex::lock;

/// Most walks stored: a host may abandon one without notice.
const KEPT: usize = 64;
/// The last number of a walk. Of the process: a number of another index is then no walk of this one.
static LAST: AtomicU64 = AtomicU64::new(0);

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

    /// Takes the walk with this number, so that no other call can use it until [`Walks::keep`]; 0 begins one.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`] for one that is not remembered.
    pub fn take(&self, number: u64) -> Result<(u64, WalkProgress)> {
        let mut kept = lock(&self.0);
        if number == 0 {
            return Ok((LAST.fetch_add(1, Ordering::Relaxed) + 1, WalkProgress::default()));
        }
        let found = kept.walks.iter().position(|(known, _)| *known == number);
        let Some(walk) = found.and_then(|at| kept.walks.remove(at)) else {
            return refuse(format!(
                "walk {number} is over, another call goes on with it, or {KEPT} others went on since: begin one with 0"
            ));
        };
        Ok(walk)
    }

    /// Stores an unfinished walk for the next call.
    pub fn keep(&self, number: u64, progress: WalkProgress) {
        let mut kept = lock(&self.0);
        if kept.walks.len() >= KEPT {
            kept.walks.pop_front();
        }
        kept.walks.push_back((number, progress));
    }
}
