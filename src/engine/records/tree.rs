//! The open segments of recorded matches and tables, shared by all readers of a store.

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

use super::merge::SlicedMerge;
use crate::engine::current::OpenSegments;
use crate::engine::segment::{RecordSegment, RecordSegments, log_unusable};
use crate::engine::sql::{Incarnation, Manifest, NamedSegment, Store};
use crate::model::Sequence;
use crate::platform::fork::{self, Forks, Release, Side, hold};
use crate::platform::map::MapMode;
use crate::platform::mutex::try_lock;
use crate::platform::swap::Swap;

/// The records of a store: the log and its segments. Usable from any thread.
pub struct Records {
    pub(super) store: Arc<Store>,
    mode: MapMode,
    /// Bytes that the confirmed matches of all libraries may take.
    pub(super) matches_limit: u64,
    open: Swap<Arc<OpenSegments>>,
    /// Merges under way, the one of the smallest and newest segments last. Each write advances the last.
    pub(super) merging: Mutex<Vec<SlicedMerge>>,
    /// Number of [`Records::flush_removals`] calls.
    pub(super) flush_checks: AtomicU32,
    /// Number of flushes of this process.
    pub(super) flushes: AtomicU32,
    /// The unmerged records after a write of this process. Used under the writer's lock, so it is unlocked in a fork.
    pub(super) unmerged: Mutex<Option<(Incarnation, Sequence, usize)>>,
    /// Held while a thread rebuilds segments.
    pub(super) rebuilding: Mutex<()>,
}

impl Records {
    pub(crate) fn new(store: Arc<Store>, no_mmap: bool, matches_limit: u64) -> Arc<Self> {
        let mode = store.folder().map_mode(no_mmap);
        let records = Arc::new(Self {
            store,
            mode,
            matches_limit,
            open: Swap::new(Arc::default()),
            merging: Mutex::default(),
            flush_checks: AtomicU32::new(0),
            flushes: AtomicU32::new(0),
            unmerged: Mutex::default(),
            rebuilding: Mutex::new(()),
        });
        fork::watch(&records);
        records
    }

    /// Opens the segments of a manifest.
    ///
    /// No mutex keeps two threads from opening the same segments: a write would take it after the writer's lock, a fork
    /// before that, and both could wait for ever.
    #[must_use]
    pub fn open(&self, incarnation: Incarnation, manifest: Manifest) -> Arc<OpenSegments> {
        let before = self.open.read();
        if before.incarnation == incarnation && before.manifest == manifest && !before.are_lost() {
            return Arc::clone(&before);
        }
        let segments = self.segments(&before, incarnation, &manifest);
        drop(before);
        let open = Arc::new(OpenSegments {
            incarnation,
            manifest,
            segments,
        });
        self.open.replace(Arc::clone(&open));
        open
    }

    fn segments(&self, before: &OpenSegments, incarnation: Incarnation, manifest: &Manifest) -> Arc<RecordSegments> {
        let opened: Option<Vec<_>> = manifest
            .segments
            .iter()
            .map(|named| self.segment(named, before, incarnation))
            .collect();
        Arc::new(opened.map_or_else(RecordSegments::lost, |list| {
            RecordSegments::after(list, &before.segments)
        }))
    }

    /// Opens a segment of the manifest.
    fn segment(
        &self,
        named: &NamedSegment,
        before: &OpenSegments,
        incarnation: Incarnation,
    ) -> Option<Arc<RecordSegment>> {
        let known = before.manifest.segments.iter().position(|one| one.name == named.name);
        if let Some(known) = known.filter(|_| before.incarnation == incarnation)
            && let Some(segment) = before.segments.list().get(known)
            && !segment.is_broken()
        {
            return Some(Arc::clone(segment));
        }
        let path = self.store.folder().segment(&named.name);
        match RecordSegment::open(&path, self.mode, self.store.key().segment_mac(&named.name)) {
            Ok(segment) => Some(Arc::new(segment)),
            Err(error) => {
                log_unusable("a segment of what hosts recorded", &path, &error);
                None
            }
        }
    }
}

impl Forks for Records {
    fn before(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        vec![
            Box::new(hold(&self, |all| &all.rebuilding)),
            Box::new(hold(&self, |all| &all.merging)),
        ]
    }

    fn after(&self, side: &Side) {
        if let Side::Child(alone) = side {
            self.open.reset_after_fork(alone);
            // The files of these merges belong to the parent: do not remove them.
            if let Some(mut merging) = try_lock(&self.merging) {
                std::mem::forget(std::mem::take(&mut *merging));
            }
        }
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        fork::forget_closed_handles();
    }
}
