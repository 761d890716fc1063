//! Rebuilds record segments from the log.

use std::collections::HashMap;
use std::path::Path;

use super::compaction::segment_error;
use super::table_snapshot::{MAX_INLINE, entry_bytes};
use super::tree::Records;
use crate::engine::current::OpenSegments;
use crate::engine::segment::{Record, RecordSegmentBuilder, StoredValue};
use crate::engine::sql::{
    NamedSegment, RecordLog, RecordRow, RecordRows, RecordTable, RecordTx, Sweeper, new_segment_name,
};
use crate::error::Result;
use crate::model::{Sequence, TableId};
use crate::platform::deadline::Deadline;
use crate::platform::mutex::lock;

impl Records {
    /// Writes the whole log into one segment. Call this if segments are missing or damaged, or if a memtable cannot
    /// contain all rows that are in no segment. Does nothing if the list of segments has changed since the caller
    /// loaded `open`, because the new segments may be intact.
    ///
    /// # Errors
    /// Store errors.
    pub fn rebuild(&self, open: &OpenSegments, deadline: Deadline) -> Result<()> {
        let _rebuilding = lock(&self.rebuilding);
        let changed = RecordRows(&self.store).read_record_log(|log| Ok(log.manifest()?.changed))?;
        if (open.incarnation, open.manifest.changed) != (self.store.incarnation(), changed) {
            return Ok(());
        }
        if open.are_lost() {
            log::warn!("a segment of tables and confirmed matches is missing or damaged; rebuilding it");
        }
        RecordRows(&self.store).write_records(deadline, |tx| self.rebuild_in(tx, open))?;
        Sweeper(&self.store).sweep_segments();
        Ok(())
    }

    /// Replaces all segments with one new segment. Deletes replaced rows and removals from the log, because no older
    /// segment remains in which a removal must hide a record.
    fn rebuild_in(&self, tx: &RecordTx<'_>, open: &OpenSegments) -> rusqlite::Result<()> {
        let all = AllRecords::read(&tx.log)?;
        if (self.store.incarnation(), all.changed) != (open.incarnation, open.manifest.changed) {
            return Ok(()); // another process has changed the segments since the caller checked
        }
        let name = new_segment_name(tx.sequence());
        let path = self.store.folder().segment(&name);
        let builder = all.build_segment(&tx.log, &path)?;
        let records = builder.records();
        let result = builder.finish(&path, self.store.key().segment_mac(&name));
        result.map_err(|error| segment_error(&path, &error))?;
        tx.set_segments(&[NamedSegment { name, records }])?;
        for row in all.dead_rows() {
            tx.delete(row.id)?;
        }
        for (id, counts) in all.counts() {
            tx.set_segment_counts(id, counts)?;
        }
        Ok(())
    }
}

/// The log's rows, without values, sorted by table and name, and then from newest to oldest.
struct AllRecords {
    /// Change sequence of the last change to the list of segments or tables.
    changed: Sequence,
    /// Hosts' tables, and the tables of libraries' confirmed matches.
    tables: Vec<RecordTable>,
    rows: Vec<RecordRow>,
}

impl AllRecords {
    /// Reads all rows of the log, except rows of cleared tables.
    fn read(log: &RecordLog<'_>) -> rusqlite::Result<Self> {
        let collections = log.active_tables()?;
        let mut rows = log.rows_after(0, usize::MAX)?; // all rows
        rows.retain(|row| collections.iter().any(|collection| collection.id == row.table));
        rows.sort_by(|a, b| (a.table, &a.name, b.id).cmp(&(b.table, &b.name, a.id))); // largest id first
        Ok(Self {
            changed: log.manifest()?.changed,
            tables: collections,
            rows,
        })
    }

    /// Returns whether the row at `index` is the newest (first) row with its table and name, and has a value.
    fn is_live(&self, index: usize) -> bool {
        let key = |index: usize| (self.rows[index].table, &self.rows[index].name);
        self.rows[index].value.is_some() && (index == 0 || key(index - 1) != key(index))
    }

    /// Returns the rows that a lookup can find: the newest row for each name, unless it is a removal.
    fn live_rows(&self) -> impl Iterator<Item = &RecordRow> {
        (0..self.rows.len())
            .filter(|index| self.is_live(*index))
            .map(|index| &self.rows[index])
    }

    /// Returns the rows that a lookup never finds: replaced rows and removals.
    fn dead_rows(&self) -> impl Iterator<Item = &RecordRow> {
        (0..self.rows.len())
            .filter(|index| !self.is_live(*index))
            .map(|index| &self.rows[index])
    }

    /// Returns each table's number of entries (first) and their size in bytes (second).
    fn counts(&self) -> HashMap<TableId, [i64; 2]> {
        let zero = |collection: &RecordTable| (collection.id, [0; 2]);
        let mut counts: HashMap<TableId, [i64; 2]> = self.tables.iter().map(zero).collect();
        for row in self.live_rows() {
            let length = row.value.as_ref().map_or(0, |(_, length)| *length);
            let count = counts.entry(row.table).or_default();
            *count = [count[0] + 1, count[1] + entry_bytes(&row.name, length)];
        }
        counts
    }

    /// Writes the live rows to a new segment, which belongs at `path`. Its temporary file is in the same folder.
    fn build_segment(&self, log: &RecordLog<'_>, path: &Path) -> rusqlite::Result<RecordSegmentBuilder> {
        let is_of_paths = |table: TableId| {
            let mut collections = self.tables.iter();
            collections.any(|collection| collection.id == table && collection.is_paths)
        };
        let mut builder = RecordSegmentBuilder::new(path);
        for row in self.live_rows() {
            let (value, length) = log.row(row.id, MAX_INLINE)?.unwrap_or_default();
            let record = Record {
                table: row.table,
                is_path: is_of_paths(row.table),
                name: &row.name,
                row: row.id,
                state: Some(StoredValue {
                    value: value.as_deref(),
                    length,
                    expires_ms: row.expires_ms,
                }),
            };
            builder.push(&record).map_err(|error| segment_error(path, &error))?;
        }
        Ok(builder)
    }
}
