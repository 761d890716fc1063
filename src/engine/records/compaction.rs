//! Compaction of records: unmerged rows of the log become a segment, and segments of like size are merged.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use rusqlite::ffi::{SQLITE_FULL, SQLITE_IOERR};

use super::merge::{AT_ONCE, MergeRules, MergeRun, SMALLEST, SlicedMerge, count_to_absorb, next_merge_range};
use super::table_snapshot::{LONG, counted, owned};
use super::tree::Records;
use crate::engine::current::OpenSegments;
use crate::engine::memtable::OwnedRecord;
use crate::engine::segment::{Record, RecordCursor, RecordSegmentBuilder, SegmentsLost};
use crate::engine::sql::{Collection, NamedSegment, RecordRows, RecordTx, StoreFolder, Sweeper};
use crate::error::Result;
use crate::model::{SegmentName, TableId};
use crate::platform::deadline::Deadline;
use crate::platform::files;
use crate::platform::mutex::{lock, try_lock};
use crate::platform::open_files::text_of;

/// Records merged for each record written, so that a merge ends before the next one is due.
pub(super) const PACE: usize = 32;
/// [`Records::flush_removals`] counts the unmerged removals in the first call of a process, and then once in this many
/// calls.
const COUNT_EVERY: u32 = 32;
/// The first flush of a process sweeps files, and then one in this many: the replaced files of a minute may be many.
const SWEEP_EVERY: u32 = 32;

/// Why a write stopped: a damaged segment, or an error of `SQLite`.
pub(super) enum WriteStopped {
    SegmentsLost,
    Failed(rusqlite::Error),
}

impl From<SegmentsLost> for WriteStopped {
    fn from(_: SegmentsLost) -> Self {
        Self::SegmentsLost
    }
}

impl From<rusqlite::Error> for WriteStopped {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

/// The unmerged records by name, and the rows of the log that are dead once a segment has these records.
struct UnmergedRecords {
    newest: BTreeMap<(TableId, Vec<u8>), OwnedRecord>,
    collections: Vec<Collection>,
    dead: Vec<i64>,
}

impl UnmergedRecords {
    /// Reads the unmerged records and counts them into their tables.
    fn read(tx: &RecordTx<'_>, open: &OpenSegments) -> std::result::Result<Self, WriteStopped> {
        let mut unmerged = Self {
            newest: BTreeMap::new(),
            collections: tx.log.collections()?,
            dead: Vec::new(),
        };
        for row in tx.log.rows_since(open.manifest.merged, LONG)? {
            let Some(is_path) = unmerged.collection(row.table).map(|one| one.is_paths) else {
                continue; // its table was cleared, and will be swept
            };
            unmerged.replace(open, owned(row, is_path))?;
        }
        Ok(unmerged)
    }

    fn collection(&mut self, table: TableId) -> Option<&mut Collection> {
        self.collections.iter_mut().find(|one| one.id == table)
    }

    /// Inserts a record, which replaces the one of the same name.
    fn replace(&mut self, open: &OpenSegments, record: OwnedRecord) -> std::result::Result<(), WriteStopped> {
        let table = record.table;
        if record.state.is_none() {
            // The new segment keeps the removal, which hides older segments' records.
            self.dead.push(record.row);
        }
        let new_counts = counted(Some(&record.borrow()));
        let old_counts = match self.newest.entry((record.table, record.name.to_vec())) {
            Entry::Occupied(mut newest) => {
                let before = newest.insert(record);
                if before.state.is_some() {
                    self.dead.push(before.row);
                }
                counted(Some(&before.borrow()))
            }
            Entry::Vacant(vacant) => {
                let borrowed = record.borrow();
                let hash = borrowed.hash();
                let first = open.segments.first(hash);
                let before = open.segments.find(borrowed.key(), hash, first)?;
                self.dead
                    .extend(before.filter(|before| before.state.is_some()).map(|before| before.row));
                let old_counts = counted(before.as_ref());
                vacant.insert(record);
                old_counts
            }
        };
        if let Some(collection) = self.collection(table) {
            let counts = collection.counts;
            collection.counts = [
                counts[0] + new_counts[0] - old_counts[0],
                counts[1] + new_counts[1] - old_counts[1],
            ];
        }
        Ok(())
    }

    /// Evicts the oldest confirmed matches until all take at most `limit` bytes.
    fn evict(&mut self, tx: &RecordTx<'_>, open: &OpenSegments, limit: u64) -> std::result::Result<(), WriteStopped> {
        if self.match_bytes() <= limit {
            return Ok(());
        }
        tx.oldest_matches(|row| {
            // The log has no merged row that was replaced.
            let unmerged = self.newest.get(&(row.table, row.name.clone()));
            self.dead.push(row.id);
            if unmerged.is_none_or(|newest| newest.row == row.id) {
                let removal = OwnedRecord {
                    table: row.table,
                    is_path: true,
                    name: row.name.into(),
                    row: tx.next_row(),
                    state: None,
                };
                self.replace(open, removal)?;
            }
            Ok::<_, WriteStopped>(self.match_bytes() > limit)
        })
    }

    /// Stores the result of a flush: names the segments in the manifest, deletes dead rows, and updates the counts.
    fn store_merged(&self, tx: &RecordTx<'_>, segments: &[NamedSegment]) -> rusqlite::Result<()> {
        tx.name_segments(segments)?;
        for row in &self.dead {
            tx.delete(*row)?;
        }
        for one in &self.collections {
            tx.count(one.id, one.counts)?;
        }
        Ok(())
    }

    /// Returns the bytes of all confirmed matches.
    fn match_bytes(&self) -> u64 {
        let matches = self.collections.iter().filter(|one| one.is_paths);
        u64::try_from(matches.map(|one| one.counts[1]).sum::<i64>()).unwrap_or(0)
    }
}

/// The error of a segment that cannot be written. It rolls back the write that needs it.
pub(super) fn not_written(path: &Path, error: &io::Error) -> rusqlite::Error {
    let code = if files::is_full(error) {
        SQLITE_FULL
    } else {
        SQLITE_IOERR
    };
    let text = format!("the segment {} cannot be written: {}", path.display(), text_of(error));
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(text))
}

impl Records {
    /// Flushes the unmerged records into a segment if there are many. `written`: number of records of this write.
    pub fn flush_when_many(&self, tx: &RecordTx<'_>, written: usize) -> rusqlite::Result<bool> {
        if !self.are_many(tx, written)? {
            return Ok(false);
        }
        match self.flush(tx) {
            Ok(()) => Ok(true),
            // The log has every record; the next reader rebuilds the segments.
            Err(WriteStopped::SegmentsLost) => Ok(false),
            Err(WriteStopped::Failed(error)) => Err(error),
        }
    }

    /// Returns whether there are enough unmerged records, of tables and matches together, for a flush. `written`:
    /// number of records of this write.
    pub(super) fn are_many(&self, tx: &RecordTx<'_>, written: usize) -> rusqlite::Result<bool> {
        // Counting reads each row, so the count is cached after each write of this process.
        let mut cached = lock(&self.unmerged);
        let incarnation = self.store.incarnation();
        let unmerged = match *cached {
            Some((of, at, count)) if of == incarnation && at.next() == tx.sequence() => count + written,
            _ => tx.log.count_since(tx.log.manifest()?.merged, SMALLEST + 1)?,
        };
        let are_many = unmerged > SMALLEST;
        *cached = (!are_many).then_some((incarnation, tx.sequence(), unmerged));
        Ok(are_many)
    }

    /// Flushes the log if it has many unmerged removals. Without this only the next write of a record flushes, and
    /// until then each new process reads them all.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn flush_removals(&self, deadline: Deadline) -> Result<()> {
        // Counting reads every row, so it is done once in `COUNT_EVERY` calls.
        if !self
            .flush_checks
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(COUNT_EVERY)
        {
            return Ok(());
        }
        let unmerged =
            RecordRows(&self.store).read_records(|log| log.count_since(log.manifest()?.merged, SMALLEST + 1))?;
        if unmerged > SMALLEST {
            let has_flushed = RecordRows(&self.store).write_records(deadline, |tx| self.flush_when_many(tx, 0))?;
            self.merge_some(unmerged, has_flushed, deadline);
        }
        Ok(())
    }

    /// Writes the unmerged records into a segment, and names it in the manifest.
    pub(super) fn flush(&self, tx: &RecordTx<'_>) -> std::result::Result<(), WriteStopped> {
        let open = self.open(self.store.incarnation(), tx.log.manifest()?);
        if open.are_lost() {
            return Err(WriteStopped::SegmentsLost);
        }
        let mut unmerged = UnmergedRecords::read(tx, &open)?;
        unmerged.evict(tx, &open, self.matches_limit)?;
        let list = open.segments.list();
        let sizes: Vec<u64> = list.iter().map(|segment| segment.records()).collect();
        let absorbed = count_to_absorb(unmerged.newest.len() as u64, &sizes);
        let tables: Vec<TableId> = unmerged.collections.iter().map(|one| one.id).collect();
        let merging = MergeRules {
            tables: &tables,
            is_last: absorbed == list.len(),
        };
        let sorted: Vec<Record<'_>> = unmerged.newest.values().map(OwnedRecord::borrow).collect();
        let mut runs = vec![MergeRun::Sorted(&sorted)];
        let merged = list[..absorbed].iter();
        runs.extend(merged.map(|segment| MergeRun::Segment(segment, RecordCursor::BEGIN)));
        let name = StoreFolder::new_segment_name(tx.sequence());
        let path = self.store.folder().segment(&name);
        let mut builder = RecordSegmentBuilder::new(&path);
        let merged = merging.merge_slice(&mut runs, &mut builder, usize::MAX);
        if list.iter().any(|segment| segment.is_broken()) {
            return Err(open.segments.set_lost().into());
        }
        let records = builder.records();
        let written = merged.and_then(|_| match records {
            0 => Ok(()),
            _ => builder.finish(&path, self.store.key().segment_mac(&name)),
        });
        written.map_err(|error| not_written(&path, &error))?;
        let (merged, kept) = open.manifest.segments.split_at(absorbed);
        let new = (records > 0).then_some(NamedSegment { name, records });
        let segments: Vec<NamedSegment> = new.into_iter().chain(kept.iter().copied()).collect();
        self.touch(merged.iter().map(|one| &one.name));
        unmerged.store_merged(tx, &segments)?;
        Ok(())
    }

    /// Keeps the files of segments that are being replaced for a minute.
    fn touch<'n>(&self, replaced: impl Iterator<Item = &'n SegmentName>) {
        replaced.for_each(|name| StoreFolder::touch(&self.store.folder().segment(name)));
    }

    /// Advances the current merge by one slice, after a write of `written` records. Starts a merge if segments are due. A
    /// merge of small segments interrupts a merge of large ones, which takes long. A large write merges all that is due,
    /// so that no later write pays for it. `has_flushed`: the write made a segment.
    pub fn merge_some(&self, written: usize, has_flushed: bool, deadline: Deadline) {
        let Some(mut merging) = try_lock(&self.merging) else {
            return;
        };
        if has_flushed {
            // A host that only records sweeps nowhere else.
            if self.flushes.fetch_add(1, Ordering::Relaxed).is_multiple_of(SWEEP_EVERY) {
                Sweeper(&self.store).sweep_segments();
            }
            self.begin_merge(&mut merging);
        }
        while let Some(merge) = merging.last_mut() {
            match merge.step(PACE * written.max(1)) {
                Ok(true) => {} // the next write continues it
                Ok(false) => {
                    if let Some(done) = merging.pop()
                        && let Err(error) = self.end_merge(done, deadline)
                    {
                        log::debug!("segments are merged later: {error}");
                        return;
                    }
                    self.begin_merge(&mut merging);
                }
                Err(error) => {
                    merging.clear();
                    log::warn!("segments of what hosts recorded are merged later: {error}");
                }
            }
            if written as u64 <= AT_ONCE {
                return;
            }
        }
    }

    fn begin_merge(&self, under_way: &mut Vec<SlicedMerge>) {
        under_way.extend(self.next_merge(under_way));
    }

    /// Returns the next merge, of segments newer than those of the merges under way.
    fn next_merge(&self, under_way: &[SlicedMerge]) -> Option<SlicedMerge> {
        let incarnation = self.store.incarnation();
        let read = RecordRows(&self.store).read_records(|log| Ok((log.manifest()?, log.collections()?, log.sequence)));
        let (manifest, collections, sequence) = read.ok()?;
        let open = self.open(incarnation, manifest);
        if open.are_lost() {
            return None;
        }
        let list = open.segments.list();
        let in_manifest = &open.manifest.segments;
        let newest_merging = under_way.last().and_then(|merge| merge.names.first());
        let free = newest_merging.and_then(|newest| in_manifest.iter().position(|one| one.name == *newest));
        let sizes: Vec<u64> = list[..free.unwrap_or(list.len())]
            .iter()
            .map(|segment| segment.records())
            .collect();
        let (at, count) = next_merge_range(&sizes)?;
        let names = in_manifest[at..at + count].iter().map(|one| one.name);
        let place = self.store.folder().segment(&StoreFolder::new_segment_name(sequence));
        Some(SlicedMerge::new(
            incarnation,
            names.zip(list[at..at + count].iter().cloned()).collect(),
            collections.iter().map(|one| one.id).collect(),
            at + count == list.len(),
            &place,
        ))
    }

    /// Replaces the inputs of a merge by its result in the manifest, if the manifest still names them.
    fn end_merge(&self, merge: SlicedMerge, deadline: Deadline) -> Result<()> {
        let (incarnation, names) = (merge.incarnation, merge.names.clone());
        let mut made = Some(merge.into_builder());
        RecordRows(&self.store).write_records(deadline, |tx| {
            let Some(builder) = made.take().filter(|_| self.store.incarnation() == incarnation) else {
                return Ok(());
            };
            let name = StoreFolder::new_segment_name(tx.sequence());
            let new = NamedSegment {
                name,
                records: builder.records(),
            };
            if !tx.replace_segments(&names, new)? {
                return Ok(());
            }
            self.touch(names.iter());
            let path = self.store.folder().segment(&name);
            let finished = builder.finish(&path, self.store.key().segment_mac(&name));
            finished.map_err(|error| not_written(&path, &error))
        })
    }
}
