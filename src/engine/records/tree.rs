//! The open segments that contain confirmed matches and tables. All readers of a store share them.

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

use super::merge::SlicedMerge;
use crate::engine::current::OpenSegments;
use crate::engine::segment::{RecordSegment, RecordSegments, log_unusable};
use crate::engine::sql::{DatabaseNumber, Manifest, NamedSegment, Store};
use crate::platform::fork::{self, ForkAware, ForkLock, Side, lock_for_fork};
use crate::platform::mutex::try_lock;
use crate::platform::swap::SwapCell;

/// A store's records: the log and its segments. Any thread can use them.
pub struct Records {
    pub(super) store: Arc<Store>,
    /// Maximum total size of all confirmed matches in bytes.
    pub(super) matches_limit: u64,
    open: SwapCell<Arc<OpenSegments>>,
    /// Running merges, with the smallest and newest segments last. Each write advances the last merge.
    pub(super) merging: Mutex<Vec<SlicedMerge>>,
    /// Number of calls to [`Records::flush_removals`], of which only some count the log's rows.
    pub(super) flush_checks: AtomicU32,
    /// Locked while a thread rebuilds segments. Whether another process overtook the last rebuild, so that the next
    /// rebuild holds the write lock from the start.
    pub(super) rebuilding: Mutex<bool>,
}

impl Records {
    /// Creates a store's records, still without segments. `matches_limit`: the maximum total size of all confirmed
    /// matches in bytes.
    pub(crate) fn new(store: Arc<Store>, matches_limit: u64) -> Arc<Self> {
        let records = Arc::new(Self {
            store,
            matches_limit,
            open: SwapCell::new(Arc::default()),
            merging: Mutex::default(),
            flush_checks: AtomicU32::new(0),
            rebuilding: Mutex::default(),
        });
        fork::register_component(&records);
        records
    }

    /// Opens the segments in a manifest, and reuses segments that are already open. If a segment is missing or damaged,
    /// the result contains no segments and is marked as lost.
    ///
    /// Two threads can open the same segments at the same time. A mutex could deadlock here, because a write would lock
    /// the mutex after the database's write lock, but a fork would lock the mutex first.
    #[must_use]
    pub fn open(&self, database_number: DatabaseNumber, manifest: Manifest) -> Arc<OpenSegments> {
        let previous = self.open.read();
        if previous.database_number == database_number && previous.manifest == manifest && !previous.are_lost() {
            return Arc::clone(&previous);
        }
        let segments = self.open_segments(&previous, database_number, &manifest);
        drop(previous);
        let open = Arc::new(OpenSegments {
            database_number,
            manifest,
            segments,
        });
        self.open.replace(Arc::clone(&open));
        open
    }

    /// Opens all segments in a manifest. If a segment is missing or damaged, returns an empty list that is marked as
    /// lost. `previous`: the open segments to reuse.
    fn open_segments(
        &self,
        previous: &OpenSegments,
        database_number: DatabaseNumber,
        manifest: &Manifest,
    ) -> Arc<RecordSegments> {
        let list: Option<Vec<_>> = manifest
            .segments
            .iter()
            .map(|named| self.open_segment(named, previous, database_number))
            .collect();
        Arc::new(list.map_or_else(RecordSegments::lost, |list| {
            RecordSegments::with_filter_from(list, &previous.segments)
        }))
    }

    /// Returns a segment of the manifest: from `previous` if it is already open there, otherwise from its file. Returns
    /// `None` if the file is missing or damaged.
    fn open_segment(
        &self,
        named: &NamedSegment,
        previous: &OpenSegments,
        database_number: DatabaseNumber,
    ) -> Option<Arc<RecordSegment>> {
        let mut open_segments = previous.manifest.segments.iter();
        let open_index = open_segments.position(|open| open.name == named.name);
        if let Some(index) = open_index.filter(|_| previous.database_number == database_number)
            && let Some(segment) = previous.segments.list().get(index)
            && !segment.is_broken()
        {
            return Some(Arc::clone(segment));
        }
        let path = self.store.folder().segment(&named.name);
        match RecordSegment::open(&path, self.store.map_mode(), self.store.key().segment_mac(&named.name)) {
            Ok(segment) => Some(Arc::new(segment)),
            Err(error) => {
                log_unusable(&path, &error);
                None
            }
        }
    }
}

impl ForkAware for Records {
    /// Takes the locks for rebuilds and merges, so that no rebuild or merge is running during the fork.
    fn before(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        vec![
            Box::new(lock_for_fork(&self, |records| &records.rebuilding)),
            Box::new(lock_for_fork(&self, |records| &records.merging)),
        ]
    }

    /// In the child, forgets which segments the parent's other threads were reading, and abandons the parent's merges.
    fn after(&self, side: &Side) {
        if let Side::Child(alone) = side {
            self.open.reset_after_fork(alone);
            // Dropping the merges would remove their files, which the parent is still writing.
            if let Some(mut merging) = try_lock(&self.merging) {
                std::mem::forget(std::mem::take(&mut *merging));
            }
        }
    }
}

impl Drop for Records {
    /// Unregisters the records, so that later forks do not lock them.
    fn drop(&mut self) {
        fork::remove_dropped_components();
    }
}
