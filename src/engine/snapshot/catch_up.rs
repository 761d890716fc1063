//! Keeps the snapshot current: adds newer commits in place, or reads the whole state again.

use std::sync::Arc;
use std::time::Instant;

use super::data::Snapshot;
use super::live::LiveSnapshot;
use crate::engine::memtable::{MEMTABLE_CAPACITY, MemtableChange};
use crate::engine::sql::{Incarnation, LibraryRows, LoggedChange, LoggedKind, RecordRows, StoreStates};
use crate::error::Result;
use crate::model::{IdentityId, LibraryId, Sequence};
use crate::platform::deadline::Deadline;
use crate::platform::swap::Guard;
use crate::stats::Spent;

/// Maximum number of changes of one write that are added to the snapshot in place. The matches of larger writes are
/// read again as segments.
const MAX_APPLIED: usize = 1024;
/// When a memtable is full and at least this many records are unmerged, plexindex rebuilds the records into a segment.
const MANY_UNMERGED: usize = MEMTABLE_CAPACITY / 2;

/// A change of this thread: its library, kind, path and rating key.
pub type OwnChange<'c> = (LibraryId, LoggedKind, &'c [u8], &'c str);

impl LiveSnapshot {
    /// Brings the snapshot up to date, or waits for a thread that is doing so. The deadline applies to writes: if there
    /// are more changes than a memtable holds, they are written into a segment.
    pub fn catch_up(&self, deadline: Deadline) -> Result<()> {
        let read_newer = || self.catch_up_locked(Some(deadline));
        self.snapshot
            .settled(|snapshot| self.is_settled(snapshot), read_newer)?;
        Ok(())
    }

    /// Adds what this thread has just written to the snapshot, without reading it from the database. Does nothing if
    /// anything else was committed since the snapshot. The next catch-up then reads these changes too.
    pub fn apply_own(
        &self,
        identity: IdentityId,
        (incarnation, sequence): (Incarnation, Sequence),
        own: &[OwnChange<'_>],
    ) {
        let _catching_up = self.snapshot.lock();
        let snapshot = self.snapshot.read();
        let follows = snapshot.identity == Some(identity) && self.snapshot.lacks_only(&snapshot, incarnation, sequence);
        if !follows || own.len() > MAX_APPLIED {
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
                return; // the memtable is full: the next catch-up adds all of them again, without effect
            }
        }
        snapshot.advance_to(sequence);
    }

    /// Reads the commits since the snapshot. Without a `deadline` it fails instead of waiting for more than a moment.
    /// The caller holds `catching_up`.
    fn catch_up_locked(&self, deadline: Option<Deadline>) -> Result<()> {
        let can_wait = deadline.is_some();
        let snapshot = self.snapshot.read();
        let (since, incarnation) = (snapshot.sequence(), snapshot.open.incarnation);
        let (sequence, changes) = StoreStates(&self.store).changes(snapshot.identity, since, incarnation, can_wait)?;
        // The freshness of libraries changed: a caller that can wait reads the whole state again.
        let must_reload =
            |changes: &Vec<LoggedChange>| can_wait && changes.iter().any(|change| change.kind == LoggedKind::Freshness);
        if let Some(changes) = changes.filter(|changes| !must_reload(changes))
            && self.apply_all(&snapshot, &changes, can_wait)
        {
            snapshot.advance_to(sequence);
            return Ok(());
        }
        drop(snapshot);
        self.reload_locked(deadline)
    }

    /// Adds changes to the snapshot in place. Returns `false` if that is impossible: the snapshot must be read again.
    fn apply_all(&self, snapshot: &Snapshot, changes: &[LoggedChange], can_wait: bool) -> bool {
        let mut applied = true;
        for change in changes {
            if change.kind == LoggedKind::Freshness {
                snapshot.set_outdated();
                continue;
            }
            applied = applied && self.apply(snapshot, change);
        }
        applied && !(can_wait && snapshot.is_outdated())
    }

    /// Reads the whole state again.
    pub fn reload(&self, deadline: Deadline) -> Result<()> {
        let _catching_up = self.snapshot.lock();
        self.reload_locked(Some(deadline))
    }

    /// Reads the whole state again. The caller holds `catching_up`. Changes that do not fit into memtables become
    /// segments. Without a `deadline` it fails if it had to write them, or to wait for more than a moment.
    pub(super) fn reload_locked(&self, deadline: Option<Deadline>) -> Result<()> {
        for attempt in 0.. {
            let begun = Instant::now();
            let (snapshot, full) = self.load(deadline.is_some())?;
            self.counters.add_time(Spent::ListingSegment, begun.elapsed());
            self.counters.add_time(Spent::Away, begun.elapsed());
            let (Some(identity), false, true) = (snapshot.identity, full.is_empty(), attempt < 2) else {
                self.snapshot.replace(snapshot);
                break;
            };
            // More changes than a memtable holds: write them into segments, then read again. This snapshot lacks some
            // of them, so no lookup gets it.
            let deadline = deadline.ok_or_else(|| self.store.locked_error())?;
            let open = Arc::clone(&snapshot.open);
            // Changes of items fill memtables too, so rebuild the records only if many are unmerged.
            let unmerged =
                RecordRows(&self.store).read_records(|log| log.count_since(open.manifest.merged, MANY_UNMERGED))?;
            if unmerged == MANY_UNMERGED {
                self.records.rebuild(&open, deadline)?;
            }
            for row in full {
                self.listings.compact_full_memtable(identity, &row, deadline)?;
                if attempt > 0 {
                    LibraryRows(&self.store).invalidate_all_paths(identity, row.id, deadline)?;
                }
            }
        }
        Ok(())
    }

    /// Adds a change to the snapshot in place. Returns `false` if that is impossible: the snapshot must be read again.
    pub(super) fn apply(&self, snapshot: &Snapshot, change: &LoggedChange) -> bool {
        let Some(index) = snapshot.rows.iter().position(|row| row.id == change.library) else {
            // The library is not in the snapshot.
            return !matches!(change.kind, LoggedKind::Library | LoggedKind::Freshness);
        };
        let (path, rating_key) = (change.path.clone(), change.rating_key.clone());
        let memtable_change = match change.kind {
            LoggedKind::Library | LoggedKind::Freshness => return false,
            LoggedKind::Matched => MemtableChange::Matched {
                path,
                rating_key,
                sequence: change.sequence.0,
            },
            LoggedKind::Forgotten => MemtableChange::Forgotten { path },
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

    /// Returns whether the snapshot shows every commit, and the freshness in its rows is up to date.
    pub fn is_settled(&self, snapshot: &Snapshot) -> bool {
        self.snapshot.shows_all(snapshot) && !snapshot.is_outdated()
    }

    /// Returns a current snapshot; `None` if the caller would have to wait, or if a segment is missing: without the
    /// segments of matches, a lookup could return a wrong item.
    #[inline]
    pub fn whole(&self) -> Option<Guard<'_, Snapshot>> {
        let (snapshot, ()) = self.snapshot.at_once(|_| (), || self.catch_up_locked(None))?;
        (!snapshot.incomplete).then_some(snapshot)
    }
}
