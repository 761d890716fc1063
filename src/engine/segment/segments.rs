//! The segments of records of a store: immutable, the newest first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use once_cell::race::OnceBox;

use super::filter::Filter;
use super::records::{FirstRecord, Record, RecordSegment};
use super::table::upper;
use crate::model::TableId;

/// So many records are put into the filter when segments are opened; more only once lookups are many.
const FEW: usize = 1 << 16;
/// So many lookups.
const MANY: usize = 4_096;

/// Segments, the newest first: of two records of a name the first that is found counts.
#[derive(Default)]
pub struct RecordSegments {
    list: Vec<Arc<RecordSegment>>,
    /// What the segments but the oldest may have; it may have more.
    filter: OnceBox<Arc<Filter>>,
    /// Lookups without a filter.
    lookups: AtomicUsize,
    lost: AtomicBool,
}

/// A check of a segment failed, or one is missing: they have to be made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentsLost;

impl RecordSegments {
    /// Puts them together.
    #[must_use]
    pub fn new(list: Vec<Arc<RecordSegment>>) -> Self {
        Self::after(list, &Self::default())
    }

    /// The same where some were open `before`: a filter goes on with those that are new.
    #[must_use]
    pub fn after(list: Vec<Arc<RecordSegment>>, before: &Self) -> Self {
        let segments = Self {
            list,
            ..Self::default()
        };
        let is_known = |one: &Arc<RecordSegment>| before.newer().iter().any(|known| Arc::ptr_eq(one, known));
        let newer = segments.newer().iter();
        let new: Vec<Arc<RecordSegment>> = newer.filter(|one| !is_known(one)).cloned().collect();
        let known = before.filter.get().filter(|filter| !filter.is_too_small(count(&new)));
        if let Some(filter) = known
            && add(filter, &new)
        {
            let _ = segments.filter.set(Box::new(Arc::clone(filter)));
        } else if count(segments.newer()) <= FEW {
            segments.make_filter();
        }
        segments
    }

    /// All but the oldest, the largest.
    fn newer(&self) -> &[Arc<RecordSegment>] {
        self.list.split_last().map_or(&[], |(_, newer)| newer)
    }

    #[cold]
    fn make_filter(&self) {
        let newer = self.newer();
        let filter = Arc::new(Filter::new(count(newer)));
        if newer.len() > 1 && add(&filter, newer) {
            let _ = self.filter.set(Box::new(filter)); // another thread may have been faster
        }
    }

    /// The segments that may have records of a hash, with their places: the oldest, or all.
    #[inline]
    fn with(&self, hash: u64) -> (usize, &[Arc<RecordSegment>]) {
        if let Some(filter) = self.filter.get() {
            let begin = if filter.may_have(upper(hash)) {
                0
            } else {
                self.list.len().saturating_sub(1)
            };
            return (begin, &self.list[begin..]);
        }
        if self.list.len() > 2 && self.lookups.fetch_add(1, Ordering::Relaxed) == MANY {
            self.make_filter();
        }
        (0, &self.list)
    }

    /// In the place of segments that cannot be opened.
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

    /// Whether they have to be made anew.
    #[inline]
    #[must_use]
    pub fn are_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Notes that they have to be made anew.
    #[cold]
    pub fn set_lost(&self) -> SegmentsLost {
        self.lost.store(true, Ordering::Release);
        SegmentsLost
    }

    /// Brings what a lookup of this hash reads first into the cache; gives where the oldest segment, the largest, has it.
    #[inline]
    #[must_use]
    pub fn first(&self, hash: u64) -> FirstRecord {
        let Some((oldest, newer)) = self.with(hash).1.split_last() else {
            return FirstRecord::NONE;
        };
        for segment in newer {
            segment.prefetch(hash);
        }
        oldest.first(hash)
    }

    /// Brings the slots of a hash into the cache.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        match (self.filter.get(), self.list.last()) {
            (Some(filter), Some(oldest)) => {
                filter.prefetch(upper(hash));
                oldest.prefetch(hash);
            }
            _ => self.list.iter().for_each(|segment| segment.prefetch(hash)),
        }
    }

    /// The newest record of a name. `first`: what [`RecordSegments::first`] gave.
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
        let Some((oldest, newer)) = self.with(hash).1.split_last() else {
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

    /// Hands the records of a hash to `each`, the newest first, with segment and number, until it says that it has enough.
    /// Others may be among them.
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
        let (begin, segments) = self.with(hash);
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

    /// The record of a segment and a number that [`RecordSegments::of_hash`] gave.
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

/// Adds what segments have; `false`: one is damaged.
fn add(filter: &Filter, segments: &[Arc<RecordSegment>]) -> bool {
    segments
        .iter()
        .all(|segment| segment.uppers(|upper| filter.add(upper)).is_ok())
}
