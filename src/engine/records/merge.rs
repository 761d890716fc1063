//! Compaction: sorted runs of records merged into one segment.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::engine::segment::{Record, RecordCursor, RecordSegment, RecordSegmentBuilder};
use crate::engine::sql::Incarnation;
use crate::model::{SegmentName, TableId};

/// A merge takes an older segment along if that has at most this many times the merged records. So each segment has
/// more than this many times the records of all newer ones, unless a merge is under way.
const RATIO: u64 = 8;
/// Records of the smallest segments.
pub const SMALLEST: usize = 512;
/// Most records that a small write merges at once; a larger merge runs in slices.
pub const AT_ONCE: u64 = 8_192;
/// With this many segments a write merges at once, whatever their size. Otherwise hosts that exit before a merge in
/// slices ends would accumulate segments.
const TOO_MANY: usize = 12;

/// Returns how many of the newest segments a flush of `records` records absorbs.
pub fn count_to_absorb(records: u64, segments: &[u64]) -> usize {
    let most = if segments.len() < TOO_MANY { AT_ONCE } else { u64::MAX };
    count_to_merge(records, segments, most)
}

/// Returns neighbours to merge in slices: the first index, and their number. The newest segment still grows by flushes,
/// unless a large write made it.
pub fn next_merge_range(segments: &[u64]) -> Option<(usize, usize)> {
    let is_grown = |at: &usize| *at > 0 || segments[0] > AT_ONCE;
    (0..segments.len()).filter(is_grown).find_map(|at| {
        let older = count_to_merge(segments[at], &segments[at + 1..], u64::MAX);
        (older > 0).then_some((at, older + 1))
    })
}

/// Returns how many of the older segments are merged with `records` records, into at most `most`.
fn count_to_merge(records: u64, older: &[u64], most: u64) -> usize {
    let mut sum = records;
    let is_merged = |segment: &&u64| {
        let is_due = **segment <= RATIO * sum && sum + **segment <= most;
        sum += **segment;
        is_due
    };
    older.iter().take_while(is_merged).count()
}

/// A sorted run of records.
#[derive(Clone, Copy)]
pub enum MergeRun<'r> {
    /// In memory.
    Sorted(&'r [Record<'r>]),
    /// A segment, from a cursor on.
    Segment(&'r RecordSegment, RecordCursor),
}

impl<'r> MergeRun<'r> {
    /// The first record, and the run after it.
    fn split_first(self) -> io::Result<Option<(Record<'r>, Self)>> {
        Ok(match self {
            Self::Sorted(records) => records.split_first().map(|(first, rest)| (*first, Self::Sorted(rest))),
            Self::Segment(segment, cursor) => {
                let next = segment.next(cursor).map_err(|_| damaged())?;
                next.map(|(record, after)| (record, Self::Segment(segment, after)))
            }
        })
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a segment of records is damaged")
}

/// The rules for dropping records in a merge.
pub struct MergeRules<'m> {
    /// The existing tables; records of others are dropped.
    pub tables: &'m [TableId],
    /// The oldest segment is among the runs: removals are dropped.
    pub is_last: bool,
}

impl MergeRules<'_> {
    /// Merges at most `most` records of the runs, the newest first, into the segment. Returns whether records are left.
    pub fn merge_slice(
        &self,
        runs: &mut [MergeRun<'_>],
        into: &mut RecordSegmentBuilder,
        most: usize,
    ) -> io::Result<bool> {
        let mut heads = runs
            .iter()
            .map(|run| run.split_first())
            .collect::<io::Result<Vec<_>>>()?;
        for _ in 0..most {
            let firsts = heads.iter().flatten().map(|(record, _)| *record);
            let Some(record) = firsts.reduce(|a, b| if b.key() < a.key() { b } else { a }) else {
                return Ok(false);
            };
            for (run, head) in runs.iter_mut().zip(&mut heads) {
                if let Some((other, rest)) = *head
                    && other.key() == record.key()
                {
                    *run = rest;
                    *head = rest.split_first()?;
                }
            }
            let is_dead = record.state.is_none() && self.is_last || !self.tables.contains(&record.table);
            if !is_dead {
                into.push(&record)?;
            }
        }
        Ok(true)
    }
}

/// A merge of segments in slices. Its file is temporary until it is whole.
pub struct SlicedMerge {
    pub incarnation: Incarnation,
    /// Neighbours in the manifest, the newest first.
    pub names: Vec<SegmentName>,
    inputs: Vec<(Arc<RecordSegment>, RecordCursor)>,
    tables: Vec<TableId>,
    is_last: bool,
    builder: RecordSegmentBuilder,
    has_records: bool,
}

impl SlicedMerge {
    /// Starts a merge of `inputs`. Its temporary file is created beside the path `place`.
    pub fn new(
        incarnation: Incarnation,
        inputs: Vec<(SegmentName, Arc<RecordSegment>)>,
        tables: Vec<TableId>,
        is_last: bool,
        place: &Path,
    ) -> Self {
        Self {
            incarnation,
            names: inputs.iter().map(|(name, _)| *name).collect(),
            inputs: inputs
                .into_iter()
                .map(|(_, segment)| (segment, RecordCursor::BEGIN))
                .collect(),
            tables,
            is_last,
            builder: RecordSegmentBuilder::new(place),
            has_records: true,
        }
    }

    /// Merges at most `most` records. Returns whether there is more to do.
    pub fn step(&mut self, most: usize) -> io::Result<bool> {
        if !self.has_records {
            // All records are merged: index as many of them.
            let parts = most * RecordSegmentBuilder::PARTS
                / usize::try_from(self.builder.records().max(1)).unwrap_or(usize::MAX);
            for _ in 0..parts.max(1) {
                if !self.builder.index_some()? {
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
        let merging = MergeRules {
            tables: &self.tables,
            is_last: self.is_last,
        };
        self.has_records = merging.merge_slice(&mut runs, &mut self.builder, most)?;
        let cursors: Vec<RecordCursor> = runs
            .iter()
            .filter_map(|run| match run {
                MergeRun::Segment(_, cursor) => Some(*cursor),
                MergeRun::Sorted(_) => None,
            })
            .collect();
        for ((_, cursor), now) in self.inputs.iter_mut().zip(cursors) {
            *cursor = now;
        }
        Ok(true)
    }

    /// Returns the merged segment.
    pub fn into_builder(self) -> RecordSegmentBuilder {
        self.builder
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
