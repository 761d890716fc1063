//! Rebuilds the segments of records from the log.

use std::collections::HashMap;
use std::path::Path;

use super::compaction::not_written;
use super::table_snapshot::{LONG, size_of};
use super::tree::Records;
use crate::engine::current::OpenSegments;
use crate::engine::segment::{Record, RecordSegmentBuilder, Stored};
use crate::engine::sql::{Collection, NamedSegment, RecordLog, RecordRow, RecordRows, RecordTx, StoreFolder, Sweeper};
use crate::error::Result;
use crate::model::{Sequence, TableId};
use crate::platform::deadline::Deadline;
use crate::platform::mutex::lock;

impl Records {
    /// Writes the whole log into one segment. Needed if segments are missing or damaged, or if the log has more
    /// unmerged rows than a memtable holds.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn rebuild(&self, known: &OpenSegments, deadline: Deadline) -> Result<()> {
        let _rebuilding = lock(&self.rebuilding);
        let changed = RecordRows(&self.store).read_records(|log| Ok(log.manifest()?.changed))?;
        // Another thread or process may have made it.
        if (known.incarnation, known.manifest.changed) != (self.store.incarnation(), changed) {
            return Ok(());
        }
        if known.are_lost() {
            log::warn!("the index of what hosts recorded is missing or damaged; it is made anew");
        }
        RecordRows(&self.store).write_records(deadline, |tx| self.rebuild_in(tx, known))?;
        Sweeper(&self.store).sweep_segments();
        Ok(())
    }

    /// Writes the whole log into one segment file, unless incarnation or manifest are others than those known.
    fn rebuild_in(&self, tx: &RecordTx<'_>, known: &OpenSegments) -> rusqlite::Result<()> {
        let all = AllRecords::read(&tx.log)?;
        if (self.store.incarnation(), all.changed) != (known.incarnation, known.manifest.changed) {
            return Ok(());
        }
        let name = StoreFolder::new_segment_name(tx.sequence());
        let path = self.store.folder().segment(&name);
        let builder = all.segment(&tx.log, &path)?;
        let records = builder.records();
        let finished = builder.finish(&path, self.store.key().segment_mac(&name));
        finished.map_err(|error| not_written(&path, &error))?;
        tx.name_segments(&[NamedSegment { name, records }])?;
        for row in all.dead() {
            tx.delete(row.id)?;
        }
        for (id, counts) in all.counts() {
            tx.count(id, counts)?;
        }
        Ok(())
    }
}

/// The whole log without its values, by name, the newest row of each name first.
struct AllRecords {
    changed: Sequence,
    collections: Vec<Collection>,
    rows: Vec<RecordRow>,
}

impl AllRecords {
    fn read(log: &RecordLog<'_>) -> rusqlite::Result<Self> {
        let collections = log.collections()?;
        let mut rows = log.rows_after(0, usize::MAX)?;
        rows.retain(|row| collections.iter().any(|one| one.id == row.table));
        rows.sort_by(|a, b| (a.table, &a.name, b.id).cmp(&(b.table, &b.name, a.id)));
        Ok(Self {
            changed: log.manifest()?.changed,
            collections,
            rows,
        })
    }

    /// Returns whether a row is the newest of its name and has a value.
    fn is_live(&self, at: usize) -> bool {
        let key = |at: usize| (self.rows[at].table, &self.rows[at].name);
        self.rows[at].value.is_some() && (at == 0 || key(at - 1) != key(at))
    }

    fn live(&self) -> impl Iterator<Item = &RecordRow> {
        (0..self.rows.len())
            .filter(|at| self.is_live(*at))
            .map(|at| &self.rows[at])
    }

    /// Replaced rows, and removals.
    fn dead(&self) -> impl Iterator<Item = &RecordRow> {
        (0..self.rows.len())
            .filter(|at| !self.is_live(*at))
            .map(|at| &self.rows[at])
    }

    /// Entries and bytes of each table.
    fn counts(&self) -> HashMap<TableId, [i64; 2]> {
        let mut counts: HashMap<TableId, [i64; 2]> = self.collections.iter().map(|one| (one.id, [0; 2])).collect();
        for row in self.live() {
            let length = row.value.as_ref().map_or(0, |(_, length)| *length);
            let count = counts.entry(row.table).or_default();
            *count = [count[0] + 1, count[1] + size_of(&row.name, length)];
        }
        counts
    }

    /// Builds a segment from the live rows, beside `path`.
    fn segment(&self, log: &RecordLog<'_>, path: &Path) -> rusqlite::Result<RecordSegmentBuilder> {
        let mut builder = RecordSegmentBuilder::new(path);
        for row in self.live() {
            let (value, length) = log.row(row.id, LONG)?.unwrap_or_default();
            let record = Record {
                table: row.table,
                is_path: self.collections.iter().any(|one| one.id == row.table && one.is_paths),
                name: &row.name,
                row: row.id,
                state: Some(Stored {
                    value: value.as_deref(),
                    length,
                    expires_ms: row.expires_ms,
                }),
            };
            builder.push(&record).map_err(|error| not_written(path, &error))?;
        }
        Ok(builder)
    }
}
