//! Keeps the folder within its size limit without evicting libraries that running calls use.

use super::reading_state::IndexReader;
use crate::engine::LibraryRow;
use crate::model::{Generation, LibraryId};
use crate::platform::deadline::Deadline;
use crate::platform::mutex::lock;

/// The libraries that a call uses (pinned libraries). This process does not evict them until the call returns.
pub struct EvictionPin<'r> {
    reading: &'r IndexReader,
    libraries: Vec<LibraryId>,
}

impl EvictionPin<'_> {
    /// Pins a library, so that this process does not evict it.
    pub fn pin(&mut self, library: LibraryId) {
        if !self.libraries.contains(&library) {
            self.libraries.push(library);
            lock(&self.reading.pinned).push(library);
        }
    }
}

impl Drop for EvictionPin<'_> {
    /// Unpins the libraries. This process can then evict them, unless other calls use them.
    fn drop(&mut self) {
        if self.libraries.is_empty() {
            return;
        }
        let mut pinned = lock(&self.reading.pinned);
        for library in &self.libraries {
            if let Some(index) = pinned.iter().position(|id| id == library) {
                pinned.swap_remove(index);
            }
        }
    }
}

impl IndexReader {
    /// Creates a pin without libraries, for a call that starts.
    pub fn eviction_pin(&self) -> EvictionPin<'_> {
        EvictionPin {
            reading: self,
            libraries: Vec::new(),
        }
    }

    /// Evicts libraries that no running call uses, until the folder is within its size limit, or until the deadline.
    pub fn keep_within_limit(&self, deadline: Deadline) {
        self.limit
            .enforce(deadline, &|library| lock(&self.pinned).contains(&library));
    }

    /// Returns whether plexindex evicted the library because of the size limit. Evicted libraries have a negative
    /// generation.
    pub fn is_evicted(&self, row: &LibraryRow) -> bool {
        // A listing whose segment was lost also has a negative generation, but is due.
        self.limit.bytes().is_some() && row.generation < Generation::default() && !row.due
    }
}
