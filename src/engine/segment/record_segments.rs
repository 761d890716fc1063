//! The record segments of a store, newest first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::filter::BloomFilter;
use super::hash_table::upper;
use super::record_segment::{FirstRecord, Record, RecordSegment};
use crate::model::TableId;

/// A list of record segments, newest first. A newer record replaces older records with the same name.
#[derive(Default)]
pub struct RecordSegments {
    list: Vec<Arc<RecordSegment>>,
    /// The hashes in all segments except the oldest. May also contain hashes of earlier segments.
    filter: Option<Arc<BloomFilter>>,
    lost: AtomicBool,
}

/// The error for a damaged or missing segment. plexindex must then rebuild all segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentsLost;

impl RecordSegments {
    /// Creates a list of segments, newest first. If the `previous` list's filter is large enough, extends that filter,
    /// so that this function reads only new segments.
    #[must_use]
    pub fn with_filter_from(list: Vec<Arc<RecordSegment>>, previous: &Self) -> Self {
        let mut segments = Self {
            list,
            ..Self::default()
        };
        let newer = segments.newer();
        let in_filter = |segment: &&Arc<RecordSegment>| previous.newer().iter().any(|old| Arc::ptr_eq(segment, old));
        let unfiltered: Vec<Arc<RecordSegment>> = newer.iter().filter(|segment| !in_filter(segment)).cloned().collect();
        // Extend the old filter, or create one if there are several newer segments.
        let old_filter = previous
            .filter
            .as_ref()
            .filter(|filter| !filter.is_too_small(count_records(&unfiltered)));
        let extended = old_filter.filter(|filter| add_hashes(filter, &unfiltered)).cloned();
        segments.filter = extended.or_else(|| {
            let filter = BloomFilter::new(count_records(newer));
            (newer.len() > 1 && add_hashes(&filter, newer)).then(|| Arc::new(filter))
        });
        segments
    }

    /// Returns all segments except the oldest, which is the largest.
    fn newer(&self) -> &[Arc<RecordSegment>] {
        self.list.split_last().map_or(&[], |(_, newer)| newer)
    }

    /// Returns the segments that may contain a hash, and the index of the first of them. The filter covers all segments
    /// except the oldest, so these are either all segments or only the oldest.
    #[inline]
    fn candidates(&self, hash: u64) -> (usize, &[Arc<RecordSegment>]) {
        let begin = match &self.filter {
            Some(filter) if !filter.may_have(upper(hash)) => self.list.len().saturating_sub(1),
            _ => 0,
        };
        (begin, &self.list[begin..])
    }

    /// Creates an empty list that is marked as lost, because the segments cannot be opened.
    #[must_use]
    pub fn lost() -> Self {
        let segments = Self::default();
        segments.set_lost();
        segments
    }

    #[must_use]
    pub fn list(&self) -> &[Arc<RecordSegment>] {
        &self.list
    }

    /// Returns whether a segment is missing or damaged. If so, plexindex must rebuild all segments.
    #[inline]
    #[must_use]
    pub fn are_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Marks the segments as lost, so that plexindex rebuilds them, and returns the error for the caller to return.
    #[cold]
    pub fn set_lost(&self) -> SegmentsLost {
        self.lost.store(true, Ordering::Release);
        SegmentsLost
    }

    /// Returns the first record with this hash in the oldest and largest segment, if any. Prefetches the memory for
    /// lookups in the newer segments.
    #[inline]
    #[must_use]
    pub fn first(&self, hash: u64) -> FirstRecord {
        let Some((oldest, newer)) = self.candidates(hash).1.split_last() else {
            return FirstRecord::NONE;
        };
        for segment in newer {
            segment.prefetch(hash);
        }
        oldest.first(hash)
    }

    /// Prefetches the filter word and the hash table slots for a hash.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        match (&self.filter, self.list.last()) {
            (Some(filter), Some(oldest)) => {
                filter.prefetch(upper(hash));
                oldest.prefetch(hash);
            }
            _ => self.list.iter().for_each(|segment| segment.prefetch(hash)),
        }
    }

    /// Returns the newest record with this table and name, if any. `hash` is the name's hash, and `first` is the first
    /// record with this hash in the oldest segment.
    ///
    /// # Errors
    /// Fails with [`SegmentsLost`] if a segment is missing or damaged.
    #[inline]
    pub fn find(
        &self,
        key: (TableId, &[u8]),
        hash: u64,
        first: FirstRecord,
    ) -> Result<Option<Record<'_>>, SegmentsLost> {
        if self.are_lost() {
            return Err(SegmentsLost);
        }
        let Some((oldest, newer)) = self.candidates(hash).1.split_last() else {
            return Ok(None);
        };
        for segment in newer {
            match segment.find(key, hash, segment.first(hash)) {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(_) => return Err(self.set_lost()),
            }
        }
        oldest.find(key, hash, first).map_err(|_| self.set_lost())
    }

    /// Calls `each` with every record with this hash, newest segment first, until `each` returns `true`. The first
    /// argument of `each` is the index of the segment and the number of the record. The records can include false
    /// positives, because segments store only the upper half of a hash.
    ///
    /// # Errors
    /// Fails with [`SegmentsLost`] if a segment is missing or damaged.
    #[inline]
    pub fn for_each_with_hash<'s>(
        &'s self,
        hash: u64,
        mut each: impl FnMut((usize, u32), Record<'s>) -> bool,
    ) -> Result<(), SegmentsLost> {
        if self.are_lost() {
            return Err(SegmentsLost);
        }
        let mut is_done = false;
        let (begin, segments) = self.candidates(hash);
        for (index, segment) in (begin..).zip(segments) {
            let read = segment.for_each_with_hash(hash, |number, record| {
                is_done = each((index, number), record);
                is_done
            });
            read.map_err(|_| self.set_lost())?;
            if is_done {
                break;
            }
        }
        Ok(())
    }

    /// Returns the record at a position: the index of the segment and the number of the record. If the segment is
    /// damaged, returns `None` and marks the segments as lost.
    #[must_use]
    pub fn record(&self, (index, number): (usize, u32)) -> Option<Record<'_>> {
        let record = self.list.get(index)?.record(number);
        record.map_err(|_| self.set_lost()).ok()
    }
}

fn count_records(segments: &[Arc<RecordSegment>]) -> usize {
    let records = segments.iter().map(|segment| segment.records()).sum::<u64>();
    usize::try_from(records).unwrap_or(usize::MAX)
}

/// Adds the hashes in these segments to a filter. Returns `false` if a segment is damaged.
fn add_hashes(filter: &BloomFilter, segments: &[Arc<RecordSegment>]) -> bool {
    segments
        .iter()
        .all(|segment| segment.for_each_upper(|upper| filter.add(upper)).is_ok())
}
