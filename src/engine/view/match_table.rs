//! A library's confirmed matches, as far as this process knows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::memtable::{Known, KnownRecord, NewRecord, RecordMemory};
use crate::engine::record_rows::StoredMatch;
use crate::matching::NormalPath;
use crate::matching::normal::normal_form;
use crate::model::{Sequence, TableId};

/// The matches of a library in memory. The key of a record is a path's normal form, and its payload has the matches of all
/// paths with this form.
pub struct MatchTable {
    pub table: TableId,
    pub memory: Arc<RecordMemory>,
}

/// A confirmed match in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedMatch<'m> {
    pub rating_key: &'m str,
    /// The path as the host passed it.
    pub path: &'m [u8],
    /// The change sequence at which the match was recorded.
    pub sequence: u64,
}

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

/// In place of a path's length: the path is the record's key.
const PATH_IS_KEY: u32 = u32::MAX;

impl MatchTable {
    /// Creates a table of which nothing is known, or what `memory` knows.
    pub fn new(table: TableId, memory: Arc<RecordMemory>) -> Self {
        Self { table, memory }
    }

    /// Creates a table with all of its matches, which were read at a change sequence.
    pub fn with_all(table: TableId, matches: Vec<StoredMatch>, sequence: Sequence) -> Self {
        let mut forms: BTreeMap<Vec<u8>, Vec<StoredMatch>> = BTreeMap::new();
        for stored in matches {
            forms.entry(normal_form(&stored.path)).or_default().push(stored);
        }
        let memory = RecordMemory::default();
        put(
            &memory,
            sequence,
            forms.iter().map(|(form, matches)| (&form[..], &matches[..])),
        );
        memory.set_complete();
        Self::new(table, Arc::new(memory))
    }

    /// Returns whether the database need not be asked about a path.
    pub fn knows(&self, path: &NormalPath<'_>) -> bool {
        self.memory.knows(path.form(), path.hash())
    }

    /// Calls `each` for each match whose path has this normal form. Returns `false` if they are not known.
    pub fn each<'m>(&'m self, path: &NormalPath<'_>, mut each: impl FnMut(RecordedMatch<'m>)) -> bool {
        let known = self.memory.find(path.form(), path.hash());
        if let Known::Record(record) = known {
            matches_in(record).for_each(&mut each);
        }
        known != Known::Unknown
    }

    /// Returns a path's confirmed match if a fast lookup can determine it: if its form has no other one. `form`, `hash`:
    /// the path's normal form and its hash.
    #[inline]
    pub fn unique(&self, path: &[u8], form: &[u8], hash: u64) -> SingleMatch<'_> {
        let record = match self.memory.find(form, hash) {
            Known::Absent => return SingleMatch::None,
            Known::Unknown => return SingleMatch::NeedsFullLookup,
            Known::Record(record) => record,
        };
        let mut matches = matches_in(record);
        match (matches.next(), matches.next()) {
            (None, _) => SingleMatch::None,
            (Some(only), None) if only.path == path => SingleMatch::Match(only.rating_key),
            _ => SingleMatch::NeedsFullLookup,
        }
    }

    /// Returns the change sequence at which the newest match of a path with this form was recorded, or the newest one with
    /// the item `rating_key`; 0 if none is known.
    pub fn newest(&self, path: &NormalPath<'_>, rating_key: Option<&str>) -> u64 {
        let mut newest = 0;
        self.each(path, |recorded| {
            if rating_key.is_none_or(|key| key == recorded.rating_key) {
                newest = newest.max(recorded.sequence);
            }
        });
        newest
    }
}

/// Adds the matches of forms, each with all of them, as they were read at a change sequence.
pub fn put<'p>(memory: &RecordMemory, sequence: Sequence, forms: impl Iterator<Item = (&'p [u8], &'p [StoredMatch])>) {
    let encoded = forms.map(|(form, matches)| {
        let mut payload = Vec::new();
        // A path that only differs in case takes the place of its form.
        let spelling = match matches {
            // A form that is not folded may have other entries that differ only in case.
            [only] if only.path.eq_ignore_ascii_case(form) && !form.iter().any(u8::is_ascii_uppercase) => {
                Some(&only.path[..])
            }
            _ => None,
        };
        for stored in matches {
            let path_length = u32::try_from(stored.path.len()).unwrap_or(PATH_IS_KEY);
            let path_length = if spelling.is_some() { PATH_IS_KEY } else { path_length };
            let key_length = u32::try_from(stored.rating_key.len()).unwrap_or(0);
            payload.extend_from_slice(&stored.sequence.0.to_le_bytes());
            payload.extend_from_slice(&key_length.to_le_bytes());
            payload.extend_from_slice(&path_length.to_le_bytes());
            payload.extend_from_slice(stored.rating_key.as_bytes());
            payload.extend_from_slice(if spelling.is_some() { b"" } else { &stored.path });
        }
        (form, spelling, payload)
    });
    let encoded: Vec<_> = encoded.collect();
    let records = encoded.iter().map(|(form, spelling, payload)| NewRecord {
        spelling: *spelling,
        ..NewRecord::new(form, Some(&payload[..]).filter(|payload| !payload.is_empty()))
    });
    memory.put(sequence, records);
}

/// Iterates over the matches in a record.
fn matches_in(record: KnownRecord<'_>) -> impl Iterator<Item = RecordedMatch<'_>> {
    let mut rest = record.payload.unwrap_or_default();
    std::iter::from_fn(move || {
        let (sequence, tail) = rest.split_first_chunk::<8>()?;
        let (key_length, tail) = tail.split_first_chunk::<4>()?;
        let (path_length, tail) = tail.split_first_chunk::<4>()?;
        let (rating_key, tail) = tail.split_at_checked(u32::from_le_bytes(*key_length) as usize)?;
        let path_length = u32::from_le_bytes(*path_length);
        let (path, tail) = match path_length {
            PATH_IS_KEY => (record.key, tail),
            length => tail.split_at_checked(length as usize)?,
        };
        rest = tail;
        Some(RecordedMatch {
            rating_key: std::str::from_utf8(rating_key).ok()?,
            path,
            sequence: u64::from_le_bytes(*sequence),
        })
    })
}
