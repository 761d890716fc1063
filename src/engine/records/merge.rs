//! Selects the segments to merge, and merges sorted runs of records into one segment.

use std::cmp::Ordering;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::engine::segment::{Record, RecordCursor, RecordSegment, RecordSegmentBuilder};
use crate::engine::sql::DatabaseNumber;
use crate::model::{SegmentName, TableId};

/// Maximum ratio of an older segment's record count to the record count of a merge that includes the segment. Segment
/// sizes therefore grow by at least this factor with age. A larger ratio copies each record more often; a smaller ratio
/// leaves more segments to search.
const RATIO: u64 = 2;
/// Number of records that are in no segment, above which a write flushes the log.
pub const FLUSH_RECORDS: usize = 1_024;
/// Maximum number of records that one write merges. Larger merges run in slices.
pub const MAX_WRITE_MERGE: u64 = 8_192;
/// If there are this many segments, a flush merges without a size limit, because segments would accumulate if every
/// host exited before a merge in slices finished.
const MAX_SEGMENTS: usize = 24;

/// Returns how many of the newest segments a flush merges with its `records` new records into one segment. `segments`:
/// the record count of each segment, from newest to oldest.
pub fn count_to_absorb(records: u64, segments: &[u64]) -> usize {
    let max_records = if segments.len() < MAX_SEGMENTS {
        MAX_WRITE_MERGE
    } else {
        u64::MAX
    };
    count_to_merge(records, segments, max_records)
}

/// Returns which adjacent segments to merge in slices, as first index and count; `None` if no merge is due. `segments`:
/// the record count of each segment, from newest to oldest. Leaves out the newest segments while together they are so
/// small that a flush can merge with them, because such a flush would make a running merge of them useless.
pub fn next_merge_range(segments: &[u64]) -> Option<(usize, usize)> {
    let mut sum = 0;
    let first_kept = segments.iter().position(|count| {
        sum += count;
        sum >= MAX_WRITE_MERGE
    });
    (first_kept?..segments.len()).find_map(|index| {
        let older = count_to_merge(segments[index], &segments[index + 1..], u64::MAX);
        (older > 0).then_some((index, older + 1))
    })
}

/// Returns how many of the `older` segments (record counts, newest first) to merge with `records` newer records, up to
/// `max_records` in total. Stops at a segment with more than [`RATIO`] times all newer records, to save copying it.
fn count_to_merge(records: u64, older: &[u64], max_records: u64) -> usize {
    let mut sum = records;
    let is_included = |count: &&u64| {
        let is_due = **count <= RATIO * sum && sum + **count <= max_records;
        sum += **count;
        is_due
    };
    older.iter().take_while(is_included).count()
}

/// A run: records of one merge input, sorted by table and name.
#[derive(Clone, Copy)]
pub enum MergeRun<'r> {
    Sorted(&'r [Record<'r>]),
    /// A segment's records from a cursor on.
    Segment(&'r RecordSegment, RecordCursor),
}

impl<'r> MergeRun<'r> {
    /// Returns the first record and the rest of the run; `None` for an empty run.
    fn split_first(self) -> io::Result<Option<(Record<'r>, Self)>> {
        Ok(match self {
            Self::Sorted(records) => records.split_first().map(|(first, rest)| (*first, Self::Sorted(rest))),
            Self::Segment(segment, cursor) => {
                let next = segment.next(cursor).map_err(|_| damaged())?;
                next.map(|(record, next_cursor)| (record, Self::Segment(segment, next_cursor)))
            }
        })
    }
}

/// Returns the error that stops a merge when a segment is damaged.
fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "a segment of tables and confirmed matches is damaged",
    )
}

/// The rules for dropping records in a merge.
pub struct MergeRules<'m> {
    /// Existing tables. A merge drops records of all other tables.
    pub tables: &'m [TableId],
    /// Whether the merge includes the oldest segment, and therefore drops removals, which hide no older records.
    pub includes_oldest: bool,
}

impl MergeRules<'_> {
    /// Merges the next records of `runs`, at most `max_records` different keys, into the segment `builder`, and
    /// advances the runs. The newest run is first. Returns `false` once no records remain.
    pub fn merge_slice(
        &self,
        runs: &mut [MergeRun<'_>],
        builder: &mut RecordSegmentBuilder,
        max_records: usize,
    ) -> io::Result<bool> {
        // Each run's first record, and the run behind it.
        let mut heads = runs
            .iter()
            .map(|run| run.split_first())
            .collect::<io::Result<Vec<_>>>()?;
        for _ in 0..max_records {
            // The merge takes the record with the smallest key and, of equal keys, the record from the newest run.
            let mut smallest: Option<usize> = None;
            for index in 0..heads.len() {
                let Some((record, remaining_run)) = &heads[index] else {
                    continue;
                };
                let smaller = smallest.and_then(|smallest| heads[smallest].as_ref());
                match smaller.map(|(smaller, _)| record.key().cmp(&smaller.key())) {
                    None | Some(Ordering::Less) => smallest = Some(index),
                    Some(Ordering::Equal) => {
                        runs[index] = *remaining_run;
                        heads[index] = remaining_run.split_first()?;
                    }
                    Some(Ordering::Greater) => {}
                }
            }
            let Some((index, (record, remaining_run))) = smallest.and_then(|index| Some((index, heads[index]?))) else {
                return Ok(false);
            };
            // A removal (no state) hides older records. If there are no older segments, it is not needed.
            let is_dead = record.state.is_none() && self.includes_oldest || !self.tables.contains(&record.table);
            match (runs[index], remaining_run) {
                _ if is_dead => {}
                (MergeRun::Segment(segment, before), MergeRun::Segment(_, after)) => {
                    let encoded = segment.encoded(before, after).map_err(|_| damaged())?;
                    builder.copy(&record, encoded)?;
                }
                _ => builder.push(&record)?,
            }
            runs[index] = remaining_run;
            heads[index] = remaining_run.split_first()?;
        }
        Ok(true)
    }
}

/// A merge of segments in slices. The new file has a temporary name until the merge finishes.
pub struct SlicedMerge {
    pub database_number: DatabaseNumber,
    /// Names of the segments to merge, which are adjacent in the manifest, from newest to oldest.
    pub names: Vec<SegmentName>,
    inputs: Vec<(Arc<RecordSegment>, RecordCursor)>,
    tables: Vec<TableId>,
    includes_oldest: bool,
    builder: RecordSegmentBuilder,
    /// Whether records remain to be merged. After the last record, the merge builds the hash tables.
    has_records: bool,
}

impl SlicedMerge {
    /// Starts a merge of `inputs`, newest first. `tables`: the existing tables. `includes_oldest`: whether `inputs`
    /// includes the oldest segment. `path_in_folder`: a path in the folder of the temporary file.
    pub fn new(
        database_number: DatabaseNumber,
        inputs: Vec<(SegmentName, Arc<RecordSegment>)>,
        tables: Vec<TableId>,
        includes_oldest: bool,
        path_in_folder: &Path,
    ) -> Self {
        Self {
            database_number,
            names: inputs.iter().map(|(name, _)| *name).collect(),
            builder: RecordSegmentBuilder::new(
                path_in_folder,
                inputs.iter().map(|(_, segment)| segment.records()).sum(),
            ),
            inputs: inputs
                .into_iter()
                .map(|(_, segment)| (segment, RecordCursor::BEGIN))
                .collect(),
            tables,
            includes_oldest,
            has_records: true,
        }
    }

    /// Continues the merge: merges at most `max_records` records or, after the last record, adds about as many to the
    /// segment's hash tables. Returns whether work remains.
    pub fn step(&mut self, max_records: usize) -> io::Result<bool> {
        if !self.has_records {
            // Each of the `ALL_BUCKETS` buckets contains about the same number of records.
            let bucket_count = max_records * RecordSegmentBuilder::ALL_BUCKETS
                / usize::try_from(self.builder.records().max(1)).unwrap_or(usize::MAX);
            for _ in 0..bucket_count.max(1) {
                if !self.builder.write_next_bucket()? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        let mut runs: Vec<MergeRun<'_>> = self
            .inputs
            .iter()
            .map(|(segment, cursor)| MergeRun::Segment(segment, *cursor))
            .collect();
        let rules = MergeRules {
            tables: &self.tables,
            includes_oldest: self.includes_oldest,
        };
        self.has_records = rules.merge_slice(&mut runs, &mut self.builder, max_records)?;
        let new_cursors: Vec<RecordCursor> = runs
            .iter()
            .filter_map(|run| match run {
                MergeRun::Segment(_, cursor) => Some(*cursor),
                MergeRun::Sorted(_) => None,
            })
            .collect();
        for ((_, cursor), new_cursor) in self.inputs.iter_mut().zip(new_cursors) {
            *cursor = new_cursor;
        }
        Ok(true)
    }

    /// Returns the builder with the merged segment, so that the caller can store the segment under its final name.
    pub fn into_builder(self) -> RecordSegmentBuilder {
        self.builder
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
