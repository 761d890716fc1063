//! Keeps the snapshot current: adds newer commits to it, or replaces it.

use std::sync::Arc;
use std::time::Instant;

use super::data::Snapshot;
use super::live::LiveSnapshot;
use crate::engine::memtable::{MEMTABLE_CAPACITY, MemtableChange};
use crate::engine::sql::{Incarnation, LibraryRows, LoggedChange, LoggedKind, RecordRows, StoreStates};
use crate::error::Result;
use crate::model::{LibraryId, Sequence, ViewId};
use crate::platform::deadline::Deadline;
use crate::platform::swap::Guard;
use crate::stats::Activity;

/// Maximum number of changes from one of this process's writes that are added to the snapshot directly. After a larger
/// write, the next catch-up reads the changes from the database.
const MAX_APPLIED: usize = 1024;
/// When a memtable is full and at least this many records are in no segment, plexindex rebuilds the record segments.
const MANY_UNMERGED: usize = MEMTABLE_CAPACITY / 2;

/// A change that this thread has written: library, kind, path and rating key.
pub type OwnChange<'c> = (LibraryId, LoggedKind, &'c [u8], &'c str);

impl LiveSnapshot {
    /// Updates the snapshot, or waits for a thread that is updating it. The deadline applies to writes: if a memtable
    /// cannot contain all changes, this call writes the changes to a segment.
    pub fn catch_up(&self, deadline: Deadline) -> Result<()> {
        self.snapshot
            .read_current(|_| true, || self.catch_up_locked(Some(deadline)))?;
        Ok(())
    }

    /// Adds to the snapshot the changes that this thread has just committed, without reading them from the database.
    /// `own`: the changes in the commit with this incarnation and change sequence. Does nothing if the snapshot lacks
    /// any other commit; the next catch-up then reads all changes.
    pub fn apply_committed(
        &self,
        view_id: ViewId,
        (incarnation, sequence): (Incarnation, Sequence),
        own: &[OwnChange<'_>],
    ) {
        let _catching_up = self.snapshot.lock();
        let snapshot = self.snapshot.read();
        let is_next = snapshot.view_id == Some(view_id) && self.snapshot.lacks_only(&snapshot, incarnation, sequence);
        if !is_next || own.len() > MAX_APPLIED {
            return;
        }
        for (library, kind, path, rating_key) in own {
            let change = LoggedChange {
                library: *library,
                kind: *kind,
                path: path.to_vec(),
                rating_key: (*rating_key).to_owned(),
                sequence,
                ..LoggedChange::default()
            };
            if !self.apply(&snapshot, &change) {
                return; // the memtable is full; the next catch-up applies all changes (again, without effect)
            }
        }
        snapshot.advance_to(sequence);
    }

    /// Reads the commits since the snapshot. Without a `deadline`, fails rather than wait long for the database. The
    /// caller must have locked `catching_up`.
    fn catch_up_locked(&self, deadline: Option<Deadline>) -> Result<()> {
        let snapshot = self.snapshot.read();
        let (since, incarnation) = (snapshot.sequence(), snapshot.open.incarnation);
        let (sequence, changes) =
            StoreStates(&self.store).changes(snapshot.view_id, since, incarnation, deadline.is_some())?;
        if changes.is_some_and(|changes| changes.iter().all(|change| self.apply(&snapshot, change))) {
            snapshot.advance_to(sequence);
            return Ok(());
        }
        drop(snapshot);
        self.reload_locked(deadline)
    }

    /// Reloads the snapshot from the database.
    pub fn reload(&self, deadline: Deadline) -> Result<()> {
        let _catching_up = self.snapshot.lock();
        self.reload_locked(Some(deadline))
    }

    /// Reloads the snapshot from the database. The caller must have locked `snapshot.catching_up`. Writes changes that
    /// do not fit into memtables to segments. Without a `deadline`, fails if this needs a write or a long wait.
    pub(super) fn reload_locked(&self, deadline: Option<Deadline>) -> Result<()> {
        for attempt in 0.. {
            let load_start = Instant::now();
            let (snapshot, full_libraries) = self.load(deadline.is_some())?;
            self.counters.add_time(Activity::ListingSegment, load_start.elapsed());
            self.counters.add_time(Activity::NotMatching, load_start.elapsed());
            // Use a snapshot with all changes; after two attempts, also one without some changes.
            let (Some(view_id), false, true) = (snapshot.view_id, full_libraries.is_empty(), attempt < 2) else {
                self.snapshot.replace(snapshot);
                break;
            };
            // Write the changes to segments, which the next attempt loads.
            let deadline = deadline.ok_or_else(|| self.store.locked_error())?;
            let segments = Arc::clone(&snapshot.open);
            // Changes to items also fill memtables, so rebuild the record segments only if many records are in no
            // segment.
            let unmerged = RecordRows(&self.store)
                .read_record_log(|log| log.count_since(segments.manifest.merged, MANY_UNMERGED))?;
            if unmerged == MANY_UNMERGED {
                self.records.rebuild(&segments, deadline)?;
            }
            for row in full_libraries {
                self.listings.compact_full_memtable(view_id, &row, deadline)?;
                // A segment cannot contain invalidations, so these still fill the memtable. One request for a full
                // listing replaces them.
                if attempt > 0 {
                    LibraryRows(&self.store).invalidate_all_paths(view_id, row.id, deadline)?;
                }
            }
        }
        Ok(())
    }

    /// Adds a change to the snapshot. Returns `false` if the caller must reload the snapshot instead: the change is not
    /// to a single match or item, or the memtable is full.
    pub(super) fn apply(&self, snapshot: &Snapshot, change: &LoggedChange) -> bool {
        let Some(index) = snapshot.rows.iter().position(|row| row.id == change.library) else {
            // Ignore changes to the content of a library that is not in the snapshot.
            return change.kind != LoggedKind::Library;
        };
        let (path, rating_key) = (change.path.clone(), change.rating_key.clone());
        let memtable_change = match change.kind {
            LoggedKind::Library => return false,
            LoggedKind::MatchRecorded => MemtableChange::Matched {
                path,
                rating_key,
                sequence: change.sequence.0,
            },
            LoggedKind::MatchRemoved => MemtableChange::Forgotten { path },
            LoggedKind::UnverifiedPath => MemtableChange::UnverifiedPath { path },
            LoggedKind::UnverifiedItem => MemtableChange::UnverifiedItem { rating_key },
            LoggedKind::VerifiedPath => MemtableChange::VerifiedPath { path },
            LoggedKind::VerifiedItem => MemtableChange::VerifiedItem { rating_key },
            LoggedKind::Removed => MemtableChange::Removed { rating_key },
            LoggedKind::Added => {
                let Some(item) = change.item.clone() else { return false };
                let sequence = change.sequence.0;
                MemtableChange::Added { item, sequence }
            }
        };
        snapshot.views[index]
            .memtable
            .push(memtable_change, &self.mappings)
            .is_ok()
    }

    /// Returns a current snapshot; `None` if the caller would have to wait, or if a segment is missing, because a
    /// lookup without the segments of confirmed matches could return a wrong item.
    #[inline]
    pub fn try_current(&self) -> Option<Guard<'_, Snapshot>> {
        let (snapshot, ()) = self.snapshot.try_read_current(|_| (), || self.catch_up_locked(None))?;
        (!snapshot.is_incomplete).then_some(snapshot)
    }
}
