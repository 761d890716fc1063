//! The segments of records of a store: immutable, the newest first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::records::{FirstRecord, Record, RecordSegment};
use crate::model::TableId;

/// Segments, the newest first: of two records of a name the first that is found counts.
#[derive(Default)]
pub struct RecordSegments {
    list: Vec<Arc<RecordSegment>>,
    lost: AtomicBool,
}

/// A check of a segment failed, or one is missing: they have to be made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

impl RecordSegments {
    /// Puts them together.
    #[must_use]
    pub fn new(list: Vec<Arc<RecordSegment>>) -> Self {
        Self {
            list,
            lost: AtomicBool::new(false),
        }
    }

    /// In the place of segments that cannot be opened.
    #[must_use]
    pub fn lost() -> Self {
        Self {
            list: Vec::new(),
            lost: AtomicBool::new(true),
        }
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
    pub fn set_lost(&self) -> Lost {
        self.lost.store(true, Ordering::Release);
        Lost
    }

    /// Brings what a lookup of this hash reads first into the cache; gives where the oldest segment, the largest, has it.
    #[inline]
    #[must_use]
    pub fn first(&self, hash: u64) -> FirstRecord {
        let Some((oldest, newer)) = self.list.split_last() else {
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
        for segment in &self.list {
            segment.prefetch(hash);
        }
    }

    /// The newest record of a name. `first`: what [`RecordSegments::first`] gave.
    ///
    /// # Errors
    /// [`Lost`].
    #[inline]
    pub fn find(&self, key: (TableId, &[u8]), hash: u64, first: FirstRecord) -> Result<Option<Record<'_>>, Lost> {
        if self.are_lost() {
            return Err(Lost);
        }
        let Some((oldest, newer)) = self.list.split_last() else {
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
    /// [`Lost`].
    #[inline]
    pub fn of_hash<'s>(
        &'s self,
        hash: u64,
        mut each: impl FnMut((usize, u32), Record<'s>) -> bool,
    ) -> Result<(), Lost> {
        if self.are_lost() {
            return Err(Lost);
        }
        let mut enough = false;
        for (at, segment) in self.list.iter().enumerate() {
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
