//! Compacts records: flushes the log's rows that are in no segment into a new segment, and merges segments of similar
//! size.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use rusqlite::ffi::{SQLITE_FULL, SQLITE_IOERR};

use super::merge::{
    FLUSH_RECORDS, MAX_WRITE_MERGE, MergeRules, MergeRun, SlicedMerge, count_to_absorb, next_merge_range,
};
use super::table_snapshot::{counts_of, to_record};
use super::tree::Records;
use crate::engine::current::OpenSegments;
use crate::engine::memtable::OwnedRecord;
use crate::engine::segment::{Record, RecordCursor, RecordSegmentBuilder, SegmentsLost, hash_of};
use crate::engine::sql::{NamedSegment, RecordRows, RecordTable, RecordTx, Sweeper, new_segment_name, touch_segment};
use crate::error::Result;
use crate::model::{SegmentName, TableId};
use crate::platform::deadline::Deadline;
use crate::platform::files;
use crate::platform::mutex::try_lock;
use crate::platform::open_files::text_of;

/// Number of records to merge for each record written, so that a merge finishes before the next merge is due.
pub(super) const PACE: usize = 24;
/// [`Records::flush_removals`] counts the rows that are in no segment on the first of every 32 calls.
const COUNT_EVERY: u32 = 32;

/// Maximum number of older matches that a flush evicts for each of its records.
const EVICTED: usize = 4;

/// Why a write stopped: a damaged segment, or an SQLite error.
pub(super) enum WriteError {
    SegmentsLost,
    Failed(rusqlite::Error),
}

impl From<SegmentsLost> for WriteError {
    fn from(_: SegmentsLost) -> Self {
        Self::SegmentsLost
    }
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

/// The records that are in no segment yet, and that a flush writes to a segment.
struct UnmergedRecords {
    /// The newest record for each name, sorted by table and name.
    newest: Vec<OwnedRecord>,
    /// Hosts' tables, and the tables of libraries' confirmed matches.
    tables: Vec<RecordTable>,
    /// Ids of the rows that the log no longer needs after the flush.
    dead_rows: Vec<i64>,
}

impl UnmergedRecords {
    /// Reads the records that are in no segment, and adds them to the counts of their tables.
    fn read(tx: &RecordTx<'_>, open: &OpenSegments) -> std::result::Result<Self, WriteError> {
        let rows = tx.take_unmerged(open.manifest.merged)?;
        let mut unmerged = Self {
            newest: Vec::with_capacity(rows.len()),
            tables: tx.log.active_tables()?,
            dead_rows: Vec::new(),
        };
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            // If the table was cleared, the row will be swept.
            if let Some(table) = unmerged.table_mut(row.table) {
                records.push(to_record(row, table.is_paths));
            }
        }
        records.sort_by(|a, b| a.key().cmp(&b.key())); // keeps the order of equal keys, so the newest comes last
        for record in records {
            if record.state.is_none() {
                // The log no longer needs the row, because the removal in the new segment hides older records.
                unmerged.dead_rows.push(record.row);
            }
            let replaced = unmerged.newest.pop_if(|older| older.key() == record.key());
            unmerged.dead_rows.extend(replaced.map(|older| older.row));
            unmerged.newest.push(record);
        }
        for index in 0..unmerged.newest.len() {
            let record = &unmerged.newest[index];
            let replaced = find_in_segments(open, record)?;
            let (table, new_counts) = (record.table, counts_of(Some(&record.borrow())));
            let replaced_value = replaced.filter(|record| record.state.is_some());
            unmerged.dead_rows.extend(replaced_value.map(|record| record.row));
            unmerged.add_counts(table, new_counts, counts_of(replaced.as_ref()));
        }
        Ok(unmerged)
    }

    /// Returns the table with this id; `None` if the table was cleared.
    fn table_mut(&mut self, id: TableId) -> Option<&mut RecordTable> {
        self.tables.iter_mut().find(|table| table.id == id)
    }

    /// Adds a record's counts to those of its table, and subtracts the counts of the record that it replaces.
    fn add_counts(&mut self, table: TableId, new_counts: [i64; 2], old_counts: [i64; 2]) {
        if let Some(table) = self.table_mut(table) {
            let counts = table.counts;
            table.counts = [0, 1].map(|index| counts[index] + new_counts[index] - old_counts[index]);
        }
    }

    /// Evicts the oldest confirmed matches until the total size of all matches is at most `limit` bytes. Besides its own
    /// matches, a flush evicts at most [`EVICTED`] for each record, so that it is short even if the limit was lowered.
    fn evict(&mut self, tx: &RecordTx<'_>, open: &OpenSegments, limit: u64) -> std::result::Result<(), WriteError> {
        if self.match_bytes() <= limit {
            return Ok(());
        }
        let (mut removals, max_removals) = (Vec::new(), EVICTED * self.newest.len());
        tx.oldest_matches(|row| {
            self.dead_rows.push(row.id);
            let removal = OwnedRecord {
                table: row.table,
                is_path: true,
                hash: hash_of(row.table, true, &row.name),
                name: row.name.into(),
                row: tx.next_row_id(),
                state: None,
            };
            // A row without a newer record in this flush contains the current match, because flushes and rebuilds
            // delete replaced rows.
            match self.newest.binary_search_by(|newest| newest.key().cmp(&removal.key())) {
                Ok(index) if self.newest[index].row == row.id => {
                    let old_counts = counts_of(Some(&self.newest[index].borrow()));
                    self.newest[index] = removal;
                    self.add_counts(row.table, [0; 2], old_counts);
                }
                Ok(_) => {} // a newer record has replaced the match
                Err(_) => {
                    let old_counts = counts_of(find_in_segments(open, &removal)?.as_ref());
                    removals.push(removal);
                    self.add_counts(row.table, [0; 2], old_counts);
                }
            }
            Ok::<_, WriteError>(self.match_bytes() > limit && removals.len() < max_removals) // whether to continue
        })?;
        self.newest.append(&mut removals);
        self.newest.sort_by(|a, b| a.key().cmp(&b.key()));
        Ok(())
    }

    /// Stores the result of a flush: updates the manifest and the counts, and deletes dead rows.
    fn store_merged(&self, tx: &RecordTx<'_>, segments: &[NamedSegment]) -> rusqlite::Result<()> {
        tx.set_segments(segments, tx.sequence())?;
        for row in &self.dead_rows {
            tx.delete(*row)?;
        }
        for table in &self.tables {
            tx.set_segment_counts(table.id, table.counts)?;
        }
        Ok(())
    }

    /// Returns the total size of all confirmed matches in bytes.
    fn match_bytes(&self) -> u64 {
        let matches = self.tables.iter().filter(|table| table.is_paths);
        u64::try_from(matches.map(|table| table.counts[1]).sum::<i64>()).unwrap_or(0)
    }
}

/// Returns the record in the segments that a new record replaces, if any.
fn find_in_segments<'o>(
    open: &'o OpenSegments,
    record: &OwnedRecord,
) -> std::result::Result<Option<Record<'o>>, SegmentsLost> {
    open.segments
        .find(record.key(), record.hash, open.segments.first(record.hash))
}

/// Returns whether a flush is due: more than [`FLUSH_RECORDS`] records of tables and matches are in no segment.
pub(super) fn must_flush(tx: &RecordTx<'_>) -> rusqlite::Result<bool> {
    Ok(tx.count_unmerged(FLUSH_RECORDS)? > FLUSH_RECORDS)
}

/// Returns the error for a segment that cannot be written. A write that returns this error rolls its transaction back.
pub(super) fn segment_error(path: &Path, error: &io::Error) -> rusqlite::Error {
    let code = if files::is_full(error) {
        SQLITE_FULL
    } else {
        SQLITE_IOERR
    };
    let text = format!("cannot write the segment {}: {}", path.display(), text_of(error));
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(text))
}

impl Records {
    /// If more than [`FLUSH_RECORDS`] of the log's records are in no segment, flushes them into a segment. Returns
    /// whether it did.
    pub fn flush_if_due(&self, tx: &RecordTx<'_>) -> rusqlite::Result<bool> {
        if !must_flush(tx)? {
            return Ok(false);
        }
        match self.flush(tx) {
            Ok(()) => Ok(true),
            // The log contains every record, and the next reader rebuilds the segments.
            Err(WriteError::SegmentsLost) => Ok(false),
            Err(WriteError::Failed(error)) => Err(error),
        }
    }

    /// After a removal of matches, flushes the log if many of its rows are in no segment, because each new process
    /// would otherwise have to read these rows. Checks only some calls, because counting reads every row.
    ///
    /// # Errors
    /// Store errors.
    pub fn flush_removals(&self, deadline: Deadline) -> Result<()> {
        let earlier_calls = self.flush_checks.fetch_add(1, Ordering::Relaxed);
        if !earlier_calls.is_multiple_of(COUNT_EVERY) {
            return Ok(());
        }
        let unmerged = RecordRows(&self.store)
            .read_record_log(|log| log.count_since(log.manifest()?.merged, FLUSH_RECORDS + 1))?;
        if unmerged > FLUSH_RECORDS {
            let has_flushed = RecordRows(&self.store).write_records(deadline, |tx| self.flush_if_due(tx))?;
            self.advance_merges(unmerged, has_flushed, deadline);
        }
        Ok(())
    }

    /// Merges the records that are in no segment with the newest small segments into a new segment in the manifest.
    pub(super) fn flush(&self, tx: &RecordTx<'_>) -> std::result::Result<(), WriteError> {
        let open = self.open(self.store.database_number(), tx.log.manifest()?);
        if open.are_lost() {
            return Err(WriteError::SegmentsLost);
        }
        let mut unmerged = UnmergedRecords::read(tx, &open)?;
        unmerged.evict(tx, &open, self.matches_limit)?;
        // Select the newest small segments, which the new segment will replace.
        let list = open.segments.list();
        let sizes: Vec<u64> = list.iter().map(|segment| segment.records()).collect();
        let absorbed_count = count_to_absorb(unmerged.newest.len() as u64, &sizes);
        let tables: Vec<TableId> = unmerged.tables.iter().map(|table| table.id).collect();
        let rules = MergeRules {
            tables: &tables,
            includes_oldest: absorbed_count == list.len(),
        };
        // Merge the new records, which are the newest run, with these segments.
        let sorted: Vec<Record<'_>> = unmerged.newest.iter().map(OwnedRecord::borrow).collect();
        let mut runs = vec![MergeRun::Sorted(&sorted)];
        let absorbed_segments = list[..absorbed_count].iter();
        runs.extend(absorbed_segments.map(|segment| MergeRun::Segment(segment, RecordCursor::BEGIN)));
        let name = new_segment_name(tx.sequence());
        let path = self.store.folder().segment(&name);
        let max_records = unmerged.newest.len() as u64 + sizes[..absorbed_count].iter().sum::<u64>();
        let mut builder = RecordSegmentBuilder::new(&path, max_records);
        let result = rules.merge_slice(&mut runs, &mut builder, usize::MAX);
        if list.iter().any(|segment| segment.is_broken()) {
            // The merge found a checksum that differs.
            return Err(open.segments.set_lost().into());
        }
        let records = builder.records();
        let result = result.and_then(|_| match records {
            0 => Ok(()),
            _ => builder.finish(&path, self.store.key().segment_mac(&name)),
        });
        result.map_err(|error| segment_error(&path, &error))?;
        let (replaced, kept) = open.manifest.segments.split_at(absorbed_count);
        let new = (records > 0).then_some(NamedSegment { name, records });
        let segments: Vec<NamedSegment> = new.into_iter().chain(kept.iter().copied()).collect();
        self.touch(replaced.iter().map(|segment| &segment.name));
        unmerged.store_merged(tx, &segments)?;
        // A host that only writes records has no other occasion to remove old files.
        Sweeper(&self.store).sweep_in_write(tx, &open.manifest.segments);
        Ok(())
    }

    /// Updates the modification times of replaced segment files, so that sweeps keep the files for another minute.
    fn touch<'n>(&self, replaced: impl Iterator<Item = &'n SegmentName>) {
        replaced.for_each(|name| touch_segment(&self.store.folder().segment(name)));
    }

    /// Advances the running merges after a write of `written` records, and starts a merge if one is due. `has_flushed`:
    /// whether the write created a segment.
    ///
    /// A merge of small segments interrupts a merge of large segments, because the large merge takes a long time. A
    /// large write finishes all due merges, so that later small writes stay fast.
    pub fn advance_merges(&self, written: usize, has_flushed: bool, deadline: Deadline) {
        let Some(mut merging) = try_lock(&self.merging) else {
            return; // another thread is advancing the merges
        };
        if has_flushed {
            self.begin_merge(&mut merging);
        }
        while let Some(merge) = merging.last_mut() {
            match merge.step(PACE * written.max(1)) {
                Ok(true) => {} // the next write continues the merge
                Ok(false) => {
                    if let Some(merge) = merging.pop()
                        && let Err(error) = self.end_merge(merge, deadline)
                    {
                        log::debug!("cannot merge segments: {error}; a write will retry");
                        return;
                    }
                    self.begin_merge(&mut merging);
                }
                Err(error) => {
                    merging.clear();
                    log::warn!("cannot merge segments of tables and confirmed matches: {error}; a write will retry");
                }
            }
            // Later writes continue the merge, unless this write was large.
            if written as u64 <= MAX_WRITE_MERGE {
                return;
            }
        }
    }

    /// Starts the next due merge, if any, and appends it to the running merges.
    fn begin_merge(&self, running: &mut Vec<SlicedMerge>) {
        running.extend(self.next_merge(running));
    }

    /// Returns a due merge; `None` if none is due. Merges only segments that are newer than all segments in running
    /// merges, so that no two merges share a segment.
    fn next_merge(&self, running: &[SlicedMerge]) -> Option<SlicedMerge> {
        let database_number = self.store.database_number();
        let state =
            RecordRows(&self.store).read_record_log(|log| Ok((log.manifest()?, log.active_tables()?, log.sequence)));
        let (manifest, tables, sequence) = state.ok()?;
        let open = self.open(database_number, manifest);
        if open.are_lost() {
            return None;
        }
        let list = open.segments.list();
        let in_manifest = &open.manifest.segments;
        // Only the segments before the newest segment of the last, newest merge are free.
        let newest_merging = running.last().and_then(|merge| merge.names.first());
        let free_count =
            newest_merging.and_then(|newest| in_manifest.iter().position(|segment| segment.name == *newest));
        let sizes: Vec<u64> = list[..free_count.unwrap_or(list.len())]
            .iter()
            .map(|segment| segment.records())
            .collect();
        let (start, count) = next_merge_range(&sizes)?;
        let range = start..start + count;
        let names = in_manifest[range.clone()].iter().map(|segment| segment.name);
        let path_in_folder = self.store.folder().segment(&new_segment_name(sequence));
        Some(SlicedMerge::new(
            database_number,
            names.zip(list[range.clone()].iter().cloned()).collect(),
            tables.iter().map(|table| table.id).collect(),
            range.end == list.len(), // whether the merge includes the oldest segment
            &path_in_folder,
        ))
    }

    /// Stores the merged segment, and puts it in place of its inputs in the manifest. Discards it if the manifest no
    /// longer lists the inputs, or if the database was replaced.
    fn end_merge(&self, merge: SlicedMerge, deadline: Deadline) -> Result<()> {
        let (database_number, names) = (merge.database_number, merge.names.clone());
        let mut builder = Some(merge.into_builder());
        RecordRows(&self.store).write_records(deadline, |tx| {
            let Some(builder) = builder
                .take()
                .filter(|_| self.store.database_number() == database_number)
            else {
                return Ok(());
            };
            let name = new_segment_name(tx.sequence());
            let new = NamedSegment {
                name,
                records: builder.records(),
            };
            if !tx.replace_segments(&names, new)? {
                return Ok(());
            }
            self.touch(names.iter());
            let path = self.store.folder().segment(&name);
            let result = builder.finish(&path, self.store.key().segment_mac(&name));
            result.map_err(|error| segment_error(&path, &error))
        })
    }
}

#[cfg(test)]
#[path = "compaction_tests.rs"]
mod tests;
