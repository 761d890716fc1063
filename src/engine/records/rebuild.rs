//! Rebuilds record segments from the log.

use std::collections::HashMap;
use std::mem;
use std::path::PathBuf;
use std::time::Duration;

use super::compaction::segment_error;
use super::table_snapshot::entry_bytes;
use super::tree::Records;
use crate::engine::current::OpenSegments;
use crate::engine::segment::{Record, RecordSegmentBuilder, StoredValue, hash_of, upper};
use crate::engine::sql::{
    MAX_INLINE, Manifest, NamedSegment, RecordLog, RecordRow, RecordRows, RecordTable, RecordTx, Sweeper,
    last_position_of, new_segment_name,
};
use crate::error::Result;
use crate::model::{Sequence, TableId};
use crate::platform::deadline::Deadline;
use crate::platform::lock::FileLock;

/// Number of rows that one step of a rebuild reads or writes, so that other readers and writers do not wait long.
const ROWS_PER_STEP: usize = 4_096;
/// Maximum time to wait while another process rebuilds the segments, which may be suspended.
const MAX_WAIT: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 10_000 });

impl Records {
    /// Writes the whole log into one segment. Call this if segments are missing or damaged, or if a memtable cannot
    /// contain all rows that are in no segment. Does nothing if the list of segments has changed since the caller
    /// loaded `open`, because the new segments may be intact.
    ///
    /// Holds the write lock only to store the segment. If another process changes the list of segments meanwhile, the
    /// next rebuild holds the write lock from the start.
    ///
    /// # Errors
    /// Store errors.
    pub fn rebuild(&self, open: &OpenSegments, deadline: Deadline) -> Result<()> {
        let mut was_overtaken = self.store.lock_by(deadline, &self.rebuilding)?;
        let lock_path = self.store.folder().lock_path("rebuild");
        let wait = deadline.earliest(Deadline::after(MAX_WAIT));
        let _lock_or_timeout = FileLock::acquire(&lock_path, wait, &|| false);
        let begin = |log: &RecordLog<'_>| {
            let manifest = log.manifest()?;
            let is_current =
                (self.store.database_number(), manifest.changed) == (open.database_number, open.manifest.changed);
            let path = self.store.folder().segment(&new_segment_name(log.sequence));
            is_current.then(|| Rebuild::new(log, manifest, path)).transpose()
        };
        let records = RecordRows(&self.store);
        let Some(mut rebuild) = records.read_record_log(begin)? else {
            return Ok(());
        };
        if open.are_lost() {
            log::warn!(
                "rebuilding the segments of tables and confirmed matches in {} from the database",
                self.store.folder().path().display()
            );
        }
        let holds_lock = mem::take(&mut *was_overtaken);
        while !holds_lock && records.read_record_log(|log| rebuild.step(log))? {}
        let mut finished = Some(rebuild);
        let is_stored = records.write_records(deadline, |tx| {
            let mut rebuild = finished.take();
            if holds_lock {
                rebuild = begin(&tx.log)?;
                while let Some(rebuild) = &mut rebuild
                    && rebuild.step(&tx.log)?
                {}
            }
            match rebuild {
                Some(rebuild)
                    if self.store.database_number() == open.database_number && rebuild.is_current(&tx.log)? =>
                {
                    self.store_rebuilt(tx, rebuild).map(|()| true)
                }
                _ => Ok(false),
            }
        })?;
        *was_overtaken = !is_stored;
        Sweeper(&self.store).sweep_segments();
        Ok(())
    }

    /// Replaces all segments with the rebuilt segment. In the same transaction, deletes the log's rows that are no
    /// longer needed: replaced rows, which would be current again without the rows that replaced them, and removals,
    /// because no older segment remains in which a removal must hide a record.
    pub(super) fn store_rebuilt(&self, tx: &RecordTx<'_>, rebuild: Rebuild) -> rusqlite::Result<()> {
        let name = new_segment_name(tx.sequence());
        let path = self.store.folder().segment(&name);
        let records = rebuild.builder.records();
        let result = rebuild.builder.finish(&path, self.store.key().segment_mac(&name));
        result.map_err(|error| segment_error(&path, &error))?;
        tx.set_segments(&[NamedSegment { name, records }], rebuild.sequence)?;
        for (id, counts) in rebuild.counts {
            tx.set_segment_counts(id, counts)?;
        }
        rebuild.dead_rows.iter().try_for_each(|row| tx.delete(*row))
    }
}

/// A rebuild in steps: first reads the log's rows, without values, then writes the live rows with their values to a
/// segment. Leaves out rows of later writes, which stay in no segment until the next flush.
pub(super) struct Rebuild {
    manifest: Manifest,
    /// Change sequence of the last write whose rows the segment contains.
    sequence: Sequence,
    /// Hosts' tables, and the tables of libraries' confirmed matches.
    tables: Vec<RecordTable>,
    /// Id of the row read last.
    last_row: i64,
    rows: Vec<RecordRow>,
    /// The live rows that are still to be written, in descending order; `None` until all rows are read.
    live_rows: Option<Vec<RecordRow>>,
    dead_rows: Vec<i64>,
    /// Each table's number of entries (first) and their size in bytes (second).
    counts: HashMap<TableId, [i64; 2]>,
    builder: RecordSegmentBuilder,
    path: PathBuf,
}

impl Rebuild {
    /// Starts a rebuild of the records in a log. `path`: a path in the folder of the temporary file.
    pub fn new(log: &RecordLog<'_>, manifest: Manifest, path: PathBuf) -> rusqlite::Result<Self> {
        let tables = log.active_tables()?;
        Ok(Self {
            manifest,
            sequence: log.sequence,
            counts: tables.iter().map(|table| (table.id, [0; 2])).collect(),
            tables,
            last_row: 0,
            rows: Vec::new(),
            live_rows: None,
            dead_rows: Vec::new(),
            builder: RecordSegmentBuilder::new(&path, 0),
            path,
        })
    }

    /// Returns whether the manifest still has the same segments. Other writes may have added rows and tables.
    pub fn is_current(&self, log: &RecordLog<'_>) -> rusqlite::Result<bool> {
        let manifest = log.manifest()?;
        Ok((manifest.merged, manifest.segments) == (self.manifest.merged, self.manifest.segments.clone()))
    }

    /// Continues the rebuild. Returns whether work remains.
    pub fn step(&mut self, log: &RecordLog<'_>) -> rusqlite::Result<bool> {
        let Some(live_rows) = &mut self.live_rows else {
            self.read_rows(log)?;
            return Ok(true);
        };
        let next = live_rows.split_off(live_rows.len().saturating_sub(ROWS_PER_STEP));
        if next.is_empty() {
            // The hash tables follow the last record.
            let has_more = self.builder.write_next_bucket();
            return has_more.map_err(|error| segment_error(&self.path, &error));
        }
        next.iter().rev().try_for_each(|row| self.write_row(log, row))?;
        Ok(true)
    }

    /// Reads the next rows of the log. After the last row, separates live rows from dead rows. A lookup finds the
    /// newest row for each name, unless the row is a removal.
    fn read_rows(&mut self, log: &RecordLog<'_>) -> rusqlite::Result<()> {
        let mut rows = log.rows_after(self.last_row, ROWS_PER_STEP)?;
        rows.retain(|row| row.id <= last_position_of(self.sequence));
        let is_end = rows.len() < ROWS_PER_STEP;
        self.last_row = rows.last().map_or(self.last_row, |row| row.id);
        rows.retain(|row| self.counts.contains_key(&row.table));
        self.rows.append(&mut rows);
        if !is_end {
            return Ok(());
        }
        let mut rows = mem::take(&mut self.rows);
        rows.sort_by(|a, b| (b.table, &b.name, a.id).cmp(&(a.table, &a.name, b.id))); // largest id last
        let mut live_rows: Vec<RecordRow> = Vec::new();
        for row in rows {
            if let Some(older) = live_rows.pop_if(|older| (older.table, &older.name) == (row.table, &row.name)) {
                self.dead_rows.push(older.id);
            }
            live_rows.push(row);
        }
        let removals = live_rows.extract_if(.., |row| row.value.is_none());
        self.dead_rows.extend(removals.map(|row| row.id));
        self.live_rows = Some(live_rows);
        Ok(())
    }

    /// Writes a row to the segment, unless a later write has replaced and deleted the row.
    fn write_row(&mut self, log: &RecordLog<'_>, row: &RecordRow) -> rusqlite::Result<()> {
        let Some((value, length)) = log.row(row.id, MAX_INLINE)? else {
            return Ok(());
        };
        let is_of_table = |table: &&RecordTable| table.id == row.table;
        let is_path = self.tables.iter().find(is_of_table).is_some_and(|table| table.is_paths);
        let record = Record {
            table: row.table,
            is_path,
            name: &row.name,
            hash: upper(hash_of(row.table, is_path, &row.name)),
            row: row.id,
            state: Some(StoredValue {
                value: value.as_deref(),
                length,
                expires_ms: row.expires_ms,
            }),
        };
        let count = self.counts.entry(row.table).or_default();
        *count = [count[0] + 1, count[1] + entry_bytes(&row.name, length)];
        let pushed = self.builder.push(&record);
        pushed.map_err(|error| segment_error(&self.path, &error))
    }
}
