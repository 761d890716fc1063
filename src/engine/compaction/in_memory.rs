//! Listing segments whose files can be neither opened nor written. Their content is built from the store once, and kept
//! in the memory of this process. Writing the files is retried with growing pauses.

use std::sync::{Arc, Mutex};

use crate::engine::segment::ListingSegment;
use crate::engine::sql::{Incarnation, LibraryRow};
use crate::engine::write_retry::WriteRetry;
use crate::model::{Generation, LibraryId, ListingName, Sequence};
use crate::platform::fork::{Release, hold};
use crate::platform::mutex::lock;

/// The segments in memory.
#[derive(Default)]
pub(super) struct InMemorySegments {
    segments: Mutex<Vec<InMemorySegment>>,
    /// Schedule of retries.
    pub backoff: WriteRetry,
}

/// A segment in memory instead of a file.
pub(super) struct InMemorySegment {
    pub library: LibraryId,
    /// The incarnation of the store that it was built from. A restored copy of the store has files with the same names.
    pub incarnation: Incarnation,
    /// Name in the database; `None` if it names no file yet.
    pub name: Option<ListingName>,
    pub generation: Generation,
    /// The change sequence up to which it is complete.
    pub upto: Sequence,
    pub segment: Arc<ListingSegment>,
}

impl InMemorySegment {
    /// Returns whether it replaces the file of this library's current listing.
    fn replaces_file_of(&self, row: &LibraryRow, incarnation: Incarnation) -> bool {
        (self.library, self.generation) == (row.id, row.generation)
            && self.incarnation == incarnation
            && self.name == row.segment
    }
}

impl InMemorySegments {
    /// Takes its lock for a fork.
    pub fn hold<O: 'static>(owner: &Arc<O>, within: fn(&O) -> &Self) -> Box<dyn Release> {
        Box::new(hold(owner, |owner| &within(owner).segments))
    }

    /// Returns the segment in memory of this library's listing.
    pub fn of(&self, row: &LibraryRow, incarnation: Incarnation) -> Option<Arc<ListingSegment>> {
        let segments = lock(&self.segments);
        let own = segments.iter().find(|one| one.replaces_file_of(row, incarnation));
        own.map(|one| Arc::clone(&one.segment))
    }

    /// Removes segments that belong to none of these libraries in their current state.
    pub fn prune(&self, rows: &[LibraryRow], incarnation: Incarnation) {
        lock(&self.segments).retain(|one| rows.iter().any(|row| one.replaces_file_of(row, incarnation)));
    }

    /// Raises a row's `segment_sequence` to that of its segment in memory, which may be newer than the file.
    pub fn raise(&self, row: &mut LibraryRow, incarnation: Incarnation) {
        for one in lock(&self.segments).iter() {
            if one.replaces_file_of(row, incarnation) {
                row.segment_sequence = row.segment_sequence.max(one.upto);
            }
        }
    }

    /// Returns whether this is one of the segments kept in memory.
    pub fn contains(&self, segment: &Arc<ListingSegment>) -> bool {
        lock(&self.segments)
            .iter()
            .any(|one| Arc::ptr_eq(&one.segment, segment))
    }

    /// Removes this library's segment, of any generation.
    pub fn forget(&self, library: LibraryId) {
        lock(&self.segments).retain(|one| one.library != library);
    }

    /// Adds a segment, replaces the library's previous one, and schedules the next attempt to write the files.
    pub fn insert(&self, one: InMemorySegment, now_ms: i64) {
        self.forget(one.library);
        lock(&self.segments).push(one);
        self.backoff.failed(now_ms);
    }

    /// Records an attempt to write the files: resets the backoff if no segment is left in memory, else extends it.
    pub fn record_attempt(&self, now_ms: i64) {
        if lock(&self.segments).is_empty() {
            self.backoff.succeeded();
        } else {
            self.backoff.failed(now_ms);
        }
    }
}
