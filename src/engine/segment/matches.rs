//! A library's confirmed matches in record segments. Each match is a record whose name is the path as the host passed
//! it.

use std::sync::Arc;

use super::layout::decode_match;
use super::record_segment::{Record, path_hash, record_hash};
use super::record_segments::{RecordSegments, SegmentsLost};
use crate::matching::NormalPath;
use crate::model::{Sequence, TableId};

pub struct Matches {
    segments: Arc<RecordSegments>,
    table: TableId,
    pub count: u64,
    /// Any change sequence of the store. Its upper half completes the change sequences in match records.
    any_sequence: Sequence,
}

/// A confirmed match's position: the index of its segment, and the number of its record.
pub type RecordPosition = (usize, u32);

/// A path's confirmed match, if a fast lookup can determine it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SingleMatch<'m> {
    /// No path with the same normal form has a confirmed match.
    None,
    /// The confirmed match's rating key. No other path with the same normal form has a confirmed match.
    Match(&'m str),
    /// The caller must examine the confirmed matches of all paths with the same normal form.
    NeedsFullLookup,
}

impl Matches {
    /// Creates a reader for the `count` matches in a table. `any_sequence` is any change sequence of the store.
    #[must_use]
    pub fn new(segments: Arc<RecordSegments>, table: TableId, count: u64, any_sequence: Sequence) -> Self {
        Self {
            segments,
            table,
            count,
            any_sequence,
        }
    }

    /// Returns whether a segment is missing or damaged. If so, plexindex must rebuild all segments.
    #[inline]
    #[must_use]
    pub fn are_lost(&self) -> bool {
        self.segments.are_lost()
    }

    /// Prefetches the memory for a lookup of the path whose normal form has this hash.
    #[inline]
    pub fn prefetch(&self, form_hash: u64) {
        self.segments.prefetch(path_hash(self.table, form_hash));
    }

    /// Returns a path's confirmed match if a fast lookup can determine it: if all records with the hash have this path.
    /// `form_hash` is the hash of the path's normal form.
    #[inline]
    #[must_use]
    pub fn unique_hit(&self, path: &[u8], form_hash: u64) -> SingleMatch<'_> {
        let mut newest: Option<Record<'_>> = None;
        let mut has_others = false;
        let read = self
            .segments
            .for_each_with_hash(path_hash(self.table, form_hash), |_, record| {
                if record.table == self.table && record.name == path {
                    // Records come newest first, so the first one is current.
                    newest = newest.or(Some(record));
                } else {
                    has_others = true;
                }
                has_others
            });
        if read.is_err() || has_others {
            return SingleMatch::NeedsFullLookup;
        }
        match newest {
            Some(record) => self
                .decode_record(&record)
                .map_or(SingleMatch::None, |(key, _)| SingleMatch::Match(key)),
            None => SingleMatch::None,
        }
    }

    /// Returns whether exactly this path has a confirmed match.
    ///
    /// # Errors
    /// Fails with [`SegmentsLost`] if a segment is missing or damaged.
    pub fn has(&self, path: &[u8]) -> Result<bool, SegmentsLost> {
        NormalPath::with(path, |normal| {
            let hash = path_hash(self.table, normal.hash());
            let record = self
                .segments
                .find((self.table, path), hash, self.segments.first(hash))?;
            Ok(record.is_some_and(|record| record.state.is_some()))
        })
    }

    /// Calls `each` with the position and the path of every match whose path has the same normal form as `path`.
    pub fn for_each_match(&self, path: &NormalPath<'_>, mut each: impl FnMut(RecordPosition, &[u8])) {
        let hash = path_hash(self.table, path.hash());
        // Only the newest record of a path is valid.
        let is_newest = |record: &Record<'_>| {
            let newest = self.segments.find(record.key(), hash, self.segments.first(hash));
            newest.is_ok_and(|newest| newest.is_some_and(|newest| newest.row == record.row))
        };
        let _damage_is_marked: Result<(), SegmentsLost> = self.segments.for_each_with_hash(hash, |position, record| {
            let is_of_path =
                || record.name == path.raw() || NormalPath::with(record.name, |name| name.form() == path.form());
            if record.table == self.table && record.state.is_some() && is_of_path() && is_newest(&record) {
                each(position, record.name);
            }
            false
        });
    }

    /// Calls `each` with all paths that a host recorded for an item, even if newer records have replaced these matches.
    /// The caller checks whether each match is still current.
    pub fn for_each_path_of_item<'m>(&'m self, rating_key: &str, mut each: impl FnMut(&'m [u8])) {
        let hash = record_hash(self.table, rating_key.as_bytes());
        for segment in self.segments.list() {
            let read = segment.for_each_match_of_item(hash, |record| {
                if record.table == self.table && self.decode_record(&record).is_some_and(|(key, _)| key == rating_key) {
                    each(record.name);
                }
            });
            if read.is_err() {
                self.segments.set_lost();
            }
        }
    }

    /// Returns the rating key, path and change sequence of the match at a position from [`Matches::for_each_match`];
    /// `None` if the segment is damaged.
    #[must_use]
    pub fn get(&self, place: RecordPosition) -> Option<(&str, &[u8], Sequence)> {
        let record = self.segments.record(place)?;
        let (rating_key, recorded_at) = self.decode_record(&record)?;
        Some((rating_key, record.name, recorded_at))
    }

    /// Decodes the rating key and the change sequence in a match record; `None` if the record is a removal or damaged.
    fn decode_record<'m>(&self, record: &Record<'m>) -> Option<(&'m str, Sequence)> {
        decode_match(record.state?.value?, self.any_sequence)
    }
}
