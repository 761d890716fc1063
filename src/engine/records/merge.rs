//! Compaction: sorted runs of records merged into one segment.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::engine::segment::{Record, RecordCursor, RecordSegment, RecordSegmentBuilder};
use crate::engine::sql::Incarnation;
use crate::model::{SegmentName, TableId};

/// Segments of like size that are merged into one.
const FANOUT: usize = 4;
/// Records of the smallest segments.
pub const SMALLEST: usize = 512;
/// Most records that a write merges at once; a larger merge runs in slices.
const AT_ONCE: u64 = 8_192;
/// This many segments of like size are merged at once, whatever their size. Otherwise hosts that exit before a merge in
/// slices ends would accumulate segments.
const TOO_MANY: usize = 12;

/// Returns the size class: each class has four times the records of the one before.
fn size_class(records: u64) -> u32 {
    (records.max(1).div_ceil(SMALLEST as u64)).ilog2() / 2
}

/// Returns how many of the newest segments a flush of `records` records absorbs. It absorbs segments of like size once
/// there are [`FANOUT`] of them. Larger merges than [`AT_ONCE`] wait until there are [`TOO_MANY`].
pub fn count_to_absorb(records: u64, segments: &[u64]) -> usize {
    let (mut sum, mut absorbed) = (records, 0);
    loop {
        let like_size = count_up_to_class(size_class(sum), &segments[absorbed..]);
        let added: u64 = segments[absorbed..absorbed + like_size].iter().sum();
        let fits = sum + added <= AT_ONCE;
        if like_size + 1 < FANOUT || !fits && like_size + 1 < TOO_MANY {
            return absorbed;
        }
        sum += added;
        absorbed += like_size;
    }
}

/// Returns neighbours to merge in slices: the first index, and their number.
pub fn next_merge_range(segments: &[u64]) -> Option<(usize, usize)> {
    (0..segments.len()).find_map(|at| {
        let like_size = 1 + count_up_to_class(size_class(segments[at]), &segments[at + 1..]);
        (like_size >= FANOUT).then_some((at, like_size))
    })
}

/// Returns how many of the first segments are at most of this size class.
fn count_up_to_class(class: u32, segments: &[u64]) -> usize {
    segments
        .iter()
        .take_while(|records| size_class(**records) <= class)
        .count()
}

/// A sorted run of records.
pub enum MergeRun<'r> {
    /// In memory.
    Sorted(std::iter::Peekable<std::vec::IntoIter<Record<'r>>>),
    /// A segment, from a cursor on.
    Segment(&'r RecordSegment, RecordCursor),
}

impl<'r> MergeRun<'r> {
    fn peek(&mut self) -> io::Result<Option<Record<'r>>> {
        match self {
            Self::Sorted(records) => Ok(records.peek().copied()),
            Self::Segment(segment, cursor) => {
                let next = segment.next(*cursor).map_err(|_| damaged())?;
                Ok(next.map(|(record, _)| record))
            }
        }
    }

    fn skip(&mut self) -> io::Result<()> {
        match self {
            Self::Sorted(records) => drop(records.next()),
            Self::Segment(segment, cursor) => {
                if let Some((_, next)) = segment.next(*cursor).map_err(|_| damaged())? {
                    *cursor = next;
                }
            }
        }
        Ok(())
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
        for _ in 0..most {
            let mut smallest: Option<Record<'_>> = None;
            for run in runs.iter_mut() {
                if let Some(record) = run.peek()?
                    && smallest.is_none_or(|smallest| record.key() < smallest.key())
                {
                    smallest = Some(record);
                }
            }
            let Some(record) = smallest else {
                return Ok(false);
            };
            for run in runs.iter_mut() {
                if run.peek()?.is_some_and(|other| other.key() == record.key()) {
                    run.skip()?;
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
                .map(|(_, segment)| (Arc::clone(&segment), RecordCursor::BEGIN))
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
