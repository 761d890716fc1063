//! Loads snapshots, and reuses parts of the previous snapshot.

use std::sync::Arc;

use super::data::{Snapshot, SnapshotLibraries, is_usable};
use super::live::LiveSnapshot;
use crate::engine::current::{OpenSegments, SnapshotOf};
use crate::engine::memtable::MEMTABLE_CAPACITY;
use crate::engine::segment::Matches;
use crate::engine::sql::{LibraryRow, LoggedChange, Manifest, StoreState, StoreStates};
use crate::engine::view::{LibraryProperties, LibrarySnapshot};
use crate::error::Result;
use crate::model::Sequence;

impl LiveSnapshot {
    /// Loads a snapshot from the database. Also returns the libraries whose memtables cannot contain all changes, so
    /// that the caller writes the changes to segments. If not `patient`, fails rather than wait long for the database.
    pub(super) fn load(&self, patient: bool) -> Result<(Snapshot, Vec<LibraryRow>)> {
        let loaded = self.load_once(true, patient)?; // `true`: keeps memtables
        if loaded.1.is_empty() {
            return Ok(loaded);
        }
        // A kept memtable may be full of replaced changes. A new memtable contains only the last change to each item.
        self.load_once(false, patient) // `false`: creates memtables
    }

    /// Loads a snapshot from the database. If `keeps_memtables`, a library whose segments have not changed keeps its
    /// memtable, and plexindex reads only newer changes. Also returns the libraries whose memtables cannot contain all
    /// changes. If not `patient`, fails rather than wait long for the database.
    fn load_once(&self, keeps_memtables: bool, patient: bool) -> Result<(Snapshot, Vec<LibraryRow>)> {
        let last_snapshot = self.snapshot.read();
        // Tells the database reader up to which change sequence a library's memtable is complete.
        let known_upto = |row: &LibraryRow, manifest: &Manifest| {
            let is_same = keeps_memtables
                && last_snapshot.open.incarnation == self.store.incarnation()
                && last_snapshot.open.manifest == *manifest
                && last_snapshot.reusable_library(row).is_some();
            is_same.then(|| last_snapshot.sequence())
        };
        let (view_id, state) = StoreStates(&self.store).state_at((self.endpoint)().as_ref(), &known_upto, patient)?;
        let StoreState {
            sequence,
            incarnation,
            libraries,
            manifest,
            changes,
            continued,
        } = state;
        let segments = self.records.open(incarnation, manifest);
        // If plexindex has opened the record segments again, memtables over the old ones are not usable.
        if !continued.is_empty() && !Arc::ptr_eq(&segments, &last_snapshot.open) {
            drop(last_snapshot);
            return self.load_once(false, patient); // `false`: creates memtables
        }
        // Reuse each library whose segments have not changed, and open the segments of the other libraries.
        let views = libraries
            .iter()
            .map(|row| {
                if continued.contains(&row.id)
                    && let Some(view) = last_snapshot.reusable_library(row)
                {
                    return Arc::clone(view);
                }
                let last_library = last_snapshot
                    .rows
                    .iter()
                    .position(|old| old.id == row.id && last_snapshot.open.incarnation == incarnation)
                    .map(|index| (&last_snapshot.rows[index], &*last_snapshot.views[index]));
                Arc::new(self.load_library(row, last_library, &segments, sequence))
            })
            .collect::<Vec<Arc<LibrarySnapshot>>>();
        let lacks_segment =
            |(row, view): (&LibraryRow, &Arc<LibrarySnapshot>)| row.generation.is_fetched() && view.segment.is_none();
        let is_incomplete = segments.are_lost() || libraries.iter().zip(&views).any(lacks_segment);
        let part = SnapshotLibraries {
            is_incomplete,
            view_id,
            rows: libraries,
            views,
        };
        let snapshot = SnapshotOf::after(&last_snapshot, sequence, segments, part);
        let full_libraries = self.add_changes(&snapshot, &changes);
        Ok((snapshot, full_libraries))
    }

    /// Adds changes to a new snapshot. Returns the libraries whose changes the caller must write to segments, because
    /// the memtable is full, or because there are more changes than a memtable can contain.
    fn add_changes(&self, snapshot: &Snapshot, changes: &[LoggedChange]) -> Vec<LibraryRow> {
        let mut full_libraries: Vec<LibraryRow> = Vec::new();
        for change in changes {
            if !self.apply(snapshot, change)
                && let Some(row) = snapshot.rows.iter().find(|row| row.id == change.library)
                && full_libraries.iter().all(|full| full.id != row.id)
            {
                full_libraries.push(row.clone());
            }
        }
        // Write a library with more changes than a memtable can contain to a segment in any case.
        let change_count = |row: &&LibraryRow| changes.iter().filter(|change| change.library == row.id).count();
        let many = snapshot.rows.iter().filter(|row| change_count(row) > MEMTABLE_CAPACITY);
        full_libraries.extend(
            many.filter(|row| full_libraries.iter().all(|full| full.id != row.id))
                .cloned()
                .collect::<Vec<_>>(),
        );
        full_libraries
    }

    /// Creates a library's part of a new snapshot, with an empty memtable. `known`: the library in the last snapshot,
    /// whose unchanged segment is reused. `open`: the record segments, which contain confirmed matches. `now`: the
    /// store's current change sequence.
    fn load_library(
        &self,
        row: &LibraryRow,
        known: Option<(&LibraryRow, &LibrarySnapshot)>,
        open: &OpenSegments,
        now: Sequence,
    ) -> LibrarySnapshot {
        let segment = match known {
            Some((old, view)) if old.segment == row.segment && is_usable(view.segment.as_ref()) => view.segment.clone(),
            _ => self.listings.open(row),
        };
        // Lookups skip the record segments if these have no confirmed matches of the library, unless a segment is lost.
        let matches = row.matches.and_then(|table| {
            let count = row.merged_matches;
            (count > 0 || open.are_lost()).then(|| Matches::new(Arc::clone(&open.segments), table, count, now))
        });
        let properties = LibraryProperties {
            uuid: row.library.uuid.clone(),
            kind: row.library.kind,
            locations: row.library.locations.clone(),
            listed_at: row.listed_sequence.0,
            fetched: row.generation.is_fetched(),
        };
        LibrarySnapshot::new(properties, &self.mappings, segment, matches, Arc::default())
    }
}
