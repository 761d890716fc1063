//! What the paths of one call share, so that they share the server's replies.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::matching::path_search::file_name;
use crate::model::LibraryId;
use crate::platform::mutex::lock;

/// What the paths of a batch share.
#[derive(Default)]
pub struct Batch(Mutex<BatchState>);

#[derive(Default)]
pub(super) struct BatchState {
    /// Hashes of the folders in which plexindex has searched for a path.
    searched_folders: HashSet<u64>,
    /// Questions that the batch's probe has answered, and that are not recorded yet.
    pub questions: Vec<(LibraryId, u64)>,
    /// Whether the server has changed libraries since the batch started.
    pub has_changed: bool,
    /// Time that the batch has waited for the server.
    waited: Duration,
}

impl Batch {
    pub(super) fn state(&self) -> MutexGuard<'_, BatchState> {
        lock(&self.0)
    }

    /// Records a search in the folder of the path `raw`. Returns whether it is the batch's first search there: one is
    /// enough for a library that has changed.
    pub(super) fn is_first_in_folder(&self, raw: &[u8]) -> bool {
        let folder = &raw[..raw.len() - file_name(raw).map_or(0, str::len).min(raw.len())];
        self.state().searched_folders.insert(xxh3_64(folder))
    }

    /// Returns the time that the batch has waited for the server.
    pub fn waited(&self) -> Duration {
        self.state().waited
    }

    /// Adds a wait for the server.
    pub fn add_wait(&self, time: Duration) {
        self.state().waited += time;
    }
}
