//! The open segments of recorded matches and tables, shared by all readers of a store.

use std::collections::HashMap;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

use super::merge::SlicedMerge;
use crate::engine::segment::{RecordSegment, RecordSegments, log_unusable};
use crate::engine::sql::{Incarnation, Manifest, NamedSegment, Store};
use crate::engine::write_retry::WriteRetry;
use crate::model::{Sequence, TableId};
use crate::platform::clock::Clock;
use crate::platform::fork::{self, Forks, Release, Side, hold};
use crate::platform::map::MapMode;
use crate::platform::mutex::try_lock;
use crate::platform::swap::Swap;

/// The records of a store: the log and its segments. Usable from any thread.
pub struct Records {
    pub(super) store: Arc<Store>,
    pub(super) clock: Arc<dyn Clock>,
    mode: MapMode,
    /// Bytes that the confirmed matches of all libraries may take.
    pub(super) matches_limit: u64,
    open: Swap<Arc<OpenSegments>>,
    /// Merges under way, the one of the smallest and newest segments last. Each write advances the last.
    pub(super) merging: Mutex<Vec<SlicedMerge>>,
    /// Number of [`Records::flush_removals`] calls.
    pub(super) flush_checks: AtomicU32,
    /// The unmerged records after a write of this process. Used under the writer's lock, so it is unlocked in a fork.
    pub(super) unmerged: Mutex<Option<(Incarnation, Sequence, usize)>>,
    /// Held while a thread rebuilds segments.
    pub(super) rebuilding: Mutex<()>,
    /// The segment in memory whose file cannot be written.
    pub(super) stand_in: Swap<Option<Arc<StandIn>>>,
    /// Schedule of retries for segments that cannot be written.
    pub(super) backoff: WriteRetry,
}

/// The segments that a manifest names, or their stand-in.
#[derive(Default)]
pub struct OpenSegments {
    pub incarnation: Incarnation,
    pub manifest: Manifest,
    /// In the order of the manifest.
    pub segments: Arc<RecordSegments>,
    pub(super) stand_in: Option<Arc<StandIn>>,
}

/// A segment in memory that stands in for those of a manifest.
pub(super) struct StandIn {
    pub incarnation: Incarnation,
    /// The manifest's last change.
    pub changed: Sequence,
    /// The change sequence up to which it has the records.
    pub upto: Sequence,
    pub segments: Arc<RecordSegments>,
    /// Entries and bytes of each table in it.
    pub counts: HashMap<TableId, [i64; 2]>,
}

/// Returns whether both are the same stand-in.
pub(super) fn same(one: Option<&Arc<StandIn>>, other: Option<&Arc<StandIn>>) -> bool {
    one.map(Arc::as_ptr) == other.map(Arc::as_ptr)
}

impl OpenSegments {
    /// Returns the change sequence up to which they have the records.
    #[must_use]
    pub fn upto(&self) -> Sequence {
        self.stand_in.as_ref().map_or(self.manifest.merged, |one| one.upto)
    }

    /// Returns the entries and bytes of a table in these segments. `named`: the store's counts for the manifest's
    /// segments.
    #[must_use]
    pub fn counts(&self, table: TableId, named: [i64; 2]) -> [i64; 2] {
        self.stand_in
            .as_ref()
            .map_or(named, |one| one.counts.get(&table).copied().unwrap_or_default())
    }

    /// Returns whether they must be rebuilt.
    #[inline]
    #[must_use]
    pub fn are_lost(&self) -> bool {
        self.segments.are_lost()
    }
}

impl Records {
    pub(crate) fn new(store: Arc<Store>, clock: Arc<dyn Clock>, no_mmap: bool, matches_limit: u64) -> Arc<Self> {
        let mode = store.folder().map_mode(no_mmap);
        let records = Arc::new(Self {
            store,
            clock,
            mode,
            matches_limit,
            open: Swap::new(Arc::default()),
            merging: Mutex::default(),
            flush_checks: AtomicU32::new(0),
            unmerged: Mutex::default(),
            rebuilding: Mutex::new(()),
            stand_in: Swap::new(None),
            backoff: WriteRetry::default(),
        });
        fork::watch(&records);
        records
    }

    /// Opens the segments of a manifest.
    ///
    /// Takes no lock. A write would take such a lock after the writer's lock, a fork before it, and both could wait for
    /// ever.
    #[must_use]
    pub fn open(&self, incarnation: Incarnation, manifest: Manifest) -> Arc<OpenSegments> {
        let before = self.open.read();
        let stand_in = self.stand_in_of(incarnation, manifest.changed);
        let is_same = before.incarnation == incarnation && before.manifest == manifest;
        if is_same && same(before.stand_in.as_ref(), stand_in.as_ref()) && !before.are_lost() {
            return Arc::clone(&before);
        }
        let segments = match &stand_in {
            Some(one) => Arc::clone(&one.segments),
            None => self.segments(&before, incarnation, &manifest),
        };
        drop(before);
        let open = Arc::new(OpenSegments {
            incarnation,
            manifest,
            segments,
            stand_in,
        });
        self.open.replace(Arc::clone(&open));
        open
    }

    /// Returns the change sequence up to which the segments of this manifest, or their stand-in, have the records.
    #[must_use]
    pub fn known_upto(&self, manifest: &Manifest) -> Sequence {
        self.stand_in_of(self.store.incarnation(), manifest.changed)
            .map_or(manifest.merged, |one| one.upto)
    }

    pub(super) fn stand_in_of(&self, incarnation: Incarnation, changed: Sequence) -> Option<Arc<StandIn>> {
        let stand_in = self.stand_in.read();
        let is_of = |one: &&Arc<StandIn>| one.incarnation == incarnation && one.changed == changed;
        stand_in.as_ref().filter(is_of).cloned()
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
        if let Some(known) = known.filter(|_| before.incarnation == incarnation && before.stand_in.is_none())
            && let Some(segment) = before.segments.list().get(known)
            && !segment.is_broken()
        {
            return Some(Arc::clone(segment));
        }
        let path = self.store.folder().segment(&named.name);
        match RecordSegment::open(&path, self.mode, self.store.segment_mac(&named.name)) {
            Ok(segment) => Some(Arc::new(segment)),
            Err(error) => {
                log_unusable("a segment of what hosts recorded", &path, &error);
                None
            }
        }
    }

    /// Returns whether it is time to try again to write the stand-in's file.
    #[must_use]
    pub fn is_retry_due(&self) -> bool {
        self.stand_in.read().is_some() && self.backoff.may_try(self.clock.now_ms())
    }

    pub(super) fn cannot_write(&self, error: &str, now_ms: i64) {
        log::warn!("a segment of what hosts recorded cannot be written, and is tried again later: {error}");
        self.backoff.failed(now_ms);
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
            self.stand_in.reset_after_fork(alone);
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
