//! Loads snapshots, and reuses the segments of the previous snapshot.

use std::sync::Arc;

use super::data::{Snapshot, SnapshotLibraries, is_usable};
use super::live::LiveSnapshot;
use crate::engine::current::{OpenSegments, SnapshotOf};
use crate::engine::memtable::MEMTABLE_CAPACITY;
use crate::engine::segment::Matches;
use crate::engine::sql::{LibraryRow, LoggedChange, StoreState, StoreStates};
use crate::engine::view::{LibraryProperties, LibrarySnapshot};
use crate::error::Result;
use crate::model::Sequence;

impl LiveSnapshot {
    /// Loads a snapshot from the database. Also returns the libraries whose memtables cannot contain all changes, so
    /// that the caller writes the changes to segments. If not `patient`, fails rather than wait long for the database.
    pub(super) fn load(&self, patient: bool) -> Result<(Snapshot, Vec<LibraryRow>)> {
        let last_snapshot = self.snapshot.read();
        let (view_id, state) = StoreStates(&self.store).state_at((self.endpoint)().as_ref(), patient)?;
        let StoreState {
            sequence,
            incarnation,
            libraries,
            manifest,
            changes,
        } = state;
        let segments = self.records.open(incarnation, manifest);
        let views = libraries
            .iter()
            .map(|row| {
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
        LibrarySnapshot::new(properties, &self.mappings, segment, matches)
    }
}
