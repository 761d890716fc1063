//! Segments that can be neither opened nor written. What they would hold is made from the store once, and kept in the
//! memory of this process; the file is tried again after a while, then after twice as long each time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use crate::engine::segment::ListingSegment;
use crate::engine::sql::{Incarnation, LibraryRow};
use crate::model::{Generation, LibraryId, ListingName, Sequence};
use crate::platform::fork::{Release, hold};
use crate::platform::mutex::lock;

/// When a file that could not be written is tried again.
const FIRST_MS: i64 = 60_000;
/// At the latest.
const LAST_MS: i64 = 3_600_000;

/// What stands in for segments.
pub(super) struct StandInSegments {
    segments: Mutex<Vec<StandInSegment>>,
    /// When the files are tried again, Unix ms.
    due_ms: AtomicI64,
    wait_ms: AtomicI64,
}

/// A segment in the place of a file.
pub(super) struct StandInSegment {
    pub library: LibraryId,
    /// What it was made from: a copy of the store that is put back has files of the same names.
    pub incarnation: Incarnation,
    /// As the database has it; `None` when it names no file yet.
    pub name: Option<ListingName>,
    pub generation: Generation,
    /// The change sequence up to which it knows everything.
    pub upto: Sequence,
    pub segment: Arc<ListingSegment>,
}

impl Default for StandInSegments {
    fn default() -> Self {
        Self {
            segments: Mutex::new(Vec::new()),
            due_ms: AtomicI64::new(i64::MAX),
            wait_ms: AtomicI64::new(FIRST_MS),
        }
    }
}

impl StandInSegment {
    /// Whether it stands in for a file of this library as it is now.
    fn is_of(&self, row: &LibraryRow, incarnation: Incarnation) -> bool {
        (self.library, self.generation) == (row.id, row.generation)
            && self.incarnation == incarnation
            && self.name == row.segment
    }
}

impl StandInSegments {
    /// Locked through a fork.
    pub fn hold<O: 'static>(owner: &Arc<O>, within: fn(&O) -> &Self) -> Box<dyn Release> {
        Box::new(hold(owner, |owner| &within(owner).segments))
    }

    /// What stands in for this library's file.
    pub fn of(&self, row: &LibraryRow, incarnation: Incarnation) -> Option<Arc<ListingSegment>> {
        let segments = lock(&self.segments);
        let own = segments.iter().find(|one| one.is_of(row, incarnation));
        own.map(|one| Arc::clone(&one.segment))
    }

    /// Forgets what no library of these has a use for.
    pub fn prune(&self, rows: &[LibraryRow], incarnation: Incarnation) {
        lock(&self.segments).retain(|one| rows.iter().any(|row| one.is_of(row, incarnation)));
    }

    /// Says of a library what these segments know of it beyond its files.
    pub fn raise(&self, row: &mut LibraryRow, incarnation: Incarnation) {
        for one in lock(&self.segments).iter() {
            if one.is_of(row, incarnation) {
                row.segment_sequence = row.segment_sequence.max(one.upto);
            }
        }
    }

    /// Whether files are to be tried again.
    pub fn is_due(&self, now_ms: impl FnOnce() -> i64) -> bool {
        let due = self.due_ms.load(Ordering::Relaxed);
        due != i64::MAX && now_ms() >= due
    }

    /// Whether this segment stands in for a file that is still to be tried.
    pub fn holds(&self, segment: &Arc<ListingSegment>) -> bool {
        lock(&self.segments)
            .iter()
            .any(|one| Arc::ptr_eq(&one.segment, segment))
    }

    /// Forgets what stands in for this library's file, of whatever generation.
    pub fn forget(&self, library: LibraryId) {
        lock(&self.segments).retain(|one| one.library != library);
    }

    /// Takes one in; the files are tried again in a while, if that is not so already.
    pub fn keep(&self, one: StandInSegment, now_ms: i64) {
        self.forget(one.library);
        lock(&self.segments).push(one);
        let due = now_ms.saturating_add(self.wait_ms.load(Ordering::Relaxed));
        self.due_ms.fetch_min(due, Ordering::Relaxed);
    }

    /// After files were tried: when they are tried the next time.
    pub fn tried(&self, now_ms: i64) {
        let due = if lock(&self.segments).is_empty() {
            self.wait_ms.store(FIRST_MS, Ordering::Relaxed);
            i64::MAX
        } else {
            let wait = self.wait_ms.load(Ordering::Relaxed);
            self.wait_ms.store((wait * 2).min(LAST_MS), Ordering::Relaxed);
            now_ms.saturating_add(wait)
        };
        self.due_ms.store(due, Ordering::Relaxed);
    }
}
