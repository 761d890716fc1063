//! The record segments of a store, the newest first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::filter::Filter;
use super::record_segment::{FirstRecord, Record, RecordSegment};
use super::table::upper;
use crate::model::TableId;

/// Segments, the newest first. The first record found for a name counts.
#[derive(Default)]
pub struct RecordSegments {
    list: Vec<Arc<RecordSegment>>,
    /// The hashes in all segments but the oldest, and maybe of segments that are gone.
    filter: Option<Arc<Filter>>,
    lost: AtomicBool,
}

/// A segment is damaged or missing: they must be rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentsLost;

impl RecordSegments {
    /// Combines segments, the newest first, and extends the filter of those open `before`.
    #[must_use]
    pub fn after(list: Vec<Arc<RecordSegment>>, before: &Self) -> Self {
        let mut segments = Self {
            list,
            ..Self::default()
        };
        let newer = segments.newer();
        let is_known = |one: &Arc<RecordSegment>| before.newer().iter().any(|known| Arc::ptr_eq(one, known));
        let new: Vec<Arc<RecordSegment>> = newer.iter().filter(|one| !is_known(one)).cloned().collect();
        let known = before
            .filter
            .as_ref()
            .filter(|filter| !filter.is_too_small(count(&new)));
        let extended = known.filter(|filter| add_hashes(filter, &new)).cloned();
        segments.filter = extended.or_else(|| {
            let filter = Filter::new(count(newer));
            (newer.len() > 1 && add_hashes(&filter, newer)).then(|| Arc::new(filter))
        });
        segments
    }

    /// All but the oldest, the largest.
    fn newer(&self) -> &[Arc<RecordSegment>] {
        self.list.split_last().map_or(&[], |(_, newer)| newer)
    }

    /// Returns the segments that may have a hash, all or only the oldest; and the index of the first one.
    #[inline]
    fn candidates(&self, hash: u64) -> (usize, &[Arc<RecordSegment>]) {
        let begin = match &self.filter {
            Some(filter) if !filter.may_have(upper(hash)) => self.list.len().saturating_sub(1),
            _ => 0,
        };
        (begin, &self.list[begin..])
    }

    /// Creates a list in place of segments that cannot be opened.
    #[must_use]
    pub fn lost() -> Self {
        let segments = Self::default();
        segments.set_lost();
        segments
    }

    /// The segments.
    #[must_use]
    pub fn list(&self) -> &[Arc<RecordSegment>] {
        &self.list
    }

    /// Returns whether they must be rebuilt.
    #[inline]
    #[must_use]
    pub fn are_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Marks them as lost.
    #[cold]
    pub fn set_lost(&self) -> SegmentsLost {
        self.lost.store(true, Ordering::Release);
        SegmentsLost
    }

    /// Prefetches the memory of a lookup, and looks up the hash in the oldest segment, the largest.
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

    /// Prefetches the slots of a hash.
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

    /// The newest record of a name. `first`: the result of [`RecordSegments::first`].
    ///
    /// # Errors
    /// [`SegmentsLost`].
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

    /// Calls `each` with the records of a hash, the newest first, with segment and number, until it returns `true`.
    /// Records of other hashes may be among them.
    ///
    /// # Errors
    /// [`SegmentsLost`].
    #[inline]
    pub fn of_hash<'s>(
        &'s self,
        hash: u64,
        mut each: impl FnMut((usize, u32), Record<'s>) -> bool,
    ) -> Result<(), SegmentsLost> {
        if self.are_lost() {
            return Err(SegmentsLost);
        }
        let mut enough = false;
        let (begin, segments) = self.candidates(hash);
        for (at, segment) in (begin..).zip(segments) {
            let read = segment.of_hash(hash, |number, record| {
                enough = each((at, number), record);
                enough
            });
            read.map_err(|_| self.set_lost())?;
            if enough {
                break;
            }
        }
        Ok(())
    }

    /// The record of a segment and number from [`RecordSegments::of_hash`].
    #[must_use]
    pub fn record(&self, (at, number): (usize, u32)) -> Option<Record<'_>> {
        let record = self.list.get(at)?.record(number);
        record.map_err(|_| self.set_lost()).ok()
    }
}

fn count(segments: &[Arc<RecordSegment>]) -> usize {
    let records = segments.iter().map(|one| one.records()).sum::<u64>();
    usize::try_from(records).unwrap_or(usize::MAX)
}

/// Adds the hashes of segments. Returns `false` if one is damaged.
fn add_hashes(filter: &Filter, segments: &[Arc<RecordSegment>]) -> bool {
    segments
        .iter()
        .all(|segment| segment.for_each_upper(|upper| filter.add(upper)).is_ok())
}
