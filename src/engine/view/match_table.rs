//! A library's confirmed matches, as far as this process knows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::memtable::{Known, KnownRecord, LoadAfter, NewRecord, RecordMemory};
use crate::engine::record_rows::StoredMatch;
use crate::engine::segment::{put_varint, read_varint};
use crate::engine::sql::SEQUENCE_BITS;
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

/// A normal form, and all matches of paths with this form.
pub type FormMatches = (Vec<u8>, Vec<StoredMatch>);

/// In place of a path's length: the path is the record's key. No path is empty.
const PATH_IS_KEY: u64 = 0;
/// The bits of a change sequence that records contain.
const LOW_BITS: u64 = (1 << SEQUENCE_BITS) - 1;

impl MatchTable {
    /// Creates a table with what `memory` knows.
    pub fn new(table: TableId, memory: Arc<RecordMemory>) -> Self {
        Self { table, memory }
    }

    /// Adds all matches of the table, which were read at a change sequence.
    pub fn load_all(&self, matches: Vec<StoredMatch>, sequence: Sequence) {
        let mut forms: BTreeMap<Vec<u8>, Vec<StoredMatch>> = BTreeMap::new();
        for stored in matches {
            forms.entry(normal_form(&stored.path)).or_default().push(stored);
        }
        let forms: Vec<FormMatches> = forms.into_iter().collect();
        self.load(sequence, &LoadAfter(None), &forms, None);
    }

    /// Adds the matches of forms, each with all of them. `read_at`: the change sequence at which they were read. Returns
    /// `false` if a later commit may have changed them.
    pub fn put(&self, read_at: Sequence, forms: &[FormMatches]) -> bool {
        let encoded = encode(forms);
        self.memory.put(read_at, new_records(forms, &encoded))
    }

    /// Adds the next matches in the order of their forms, as [`RecordMemory::load`] does.
    pub fn load(&self, read_at: Sequence, after: &LoadAfter, forms: &[FormMatches], last: Option<&[u8]>) {
        let encoded = encode(forms);
        self.memory.load(read_at, after, new_records(forms, &encoded), last);
    }

    /// Returns whether the database need not be asked about a path.
    pub fn knows(&self, path: &NormalPath<'_>) -> bool {
        self.memory.knows(path.form(), path.hash())
    }

    /// Calls `each` for each match whose path has this normal form. Returns `false` if they are not known.
    pub fn each<'m>(&'m self, path: &NormalPath<'_>, mut each: impl FnMut(RecordedMatch<'m>)) -> bool {
        let known = self.memory.find(path.form(), path.hash());
        if let Known::Record(record) = known {
            self.matches_in(record).for_each(&mut each);
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
        let mut matches = self.matches_in(record);
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

    /// Iterates over the matches in a record.
    fn matches_in<'m>(&self, record: KnownRecord<'m>) -> impl Iterator<Item = RecordedMatch<'m>> + use<'m> {
        let mut rest = record.payload.unwrap_or_default();
        // All sequences of a database have the same upper bits.
        let upper_bits = self.memory.newest() & !LOW_BITS;
        std::iter::from_fn(move || {
            let sequence = upper_bits | take_varint(&mut rest)?;
            let key_length = take_varint(&mut rest)?;
            let path_length = take_varint(&mut rest)?;
            let (rating_key, tail) = rest.split_at_checked(usize::try_from(key_length).ok()?)?;
            let (path, tail) = match path_length {
                PATH_IS_KEY => (record.key, tail),
                length => tail.split_at_checked(usize::try_from(length).ok()?)?,
            };
            rest = tail;
            Some(RecordedMatch {
                rating_key: std::str::from_utf8(rating_key).ok()?,
                path,
                sequence,
            })
        })
    }
}

/// Reads a number from the beginning of `bytes`, and removes it.
fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let (number, used) = read_varint(bytes)?;
    *bytes = bytes.get(used..)?;
    Some(number)
}

/// Returns for each form how its only path is spelled, if the path takes the place of the form, and the encoded matches.
fn encode(forms: &[FormMatches]) -> Vec<(Option<&[u8]>, Vec<u8>)> {
    let encoded = forms.iter().map(|(form, matches)| {
        // A path that only differs in case takes the place of its form.
        let spelling = match &matches[..] {
            // A form that is not folded may have other entries that differ only in case.
            [only] if only.path.eq_ignore_ascii_case(form) && !form.iter().any(u8::is_ascii_uppercase) => {
                Some(&only.path[..])
            }
            _ => None,
        };
        let mut payload = Vec::new();
        for stored in matches {
            let path: &[u8] = if spelling.is_some() { b"" } else { &stored.path };
            let path_length = if spelling.is_some() {
                PATH_IS_KEY
            } else {
                path.len() as u64
            };
            put_varint(&mut payload, stored.sequence.0 & LOW_BITS);
            put_varint(&mut payload, stored.rating_key.len() as u64);
            put_varint(&mut payload, path_length);
            payload.extend_from_slice(stored.rating_key.as_bytes());
            payload.extend_from_slice(path);
        }
        (spelling, payload)
    });
    encoded.collect()
}

/// Returns the records of encoded matches.
fn new_records<'r>(
    forms: &'r [FormMatches],
    encoded: &'r [(Option<&'r [u8]>, Vec<u8>)],
) -> impl Iterator<Item = NewRecord<'r>> {
    forms
        .iter()
        .zip(encoded)
        .map(|((form, _), (spelling, payload))| NewRecord {
            spelling: *spelling,
            ..NewRecord::new(form, Some(&payload[..]).filter(|payload| !payload.is_empty()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::memtable::StoreMemories;
    use crate::engine::record_rows::RecordTime;

    /// A process can keep as many matches as a large library has files.
    #[test]
    fn a_match_takes_at_most_48_bytes_beside_its_path_and_key() {
        let table = MatchTable::new(TableId(1), StoreMemories::default().matches.memory(TableId(1)));
        let (mut after, mut content) = (None, 0);
        // 57,344 fill an array of slots, so that the last one makes a larger array.
        for first in (0..57_345).step_by(512) {
            let forms = (first..57_345.min(first + 512)).map(|number| {
                let path = format!("/Media/Films/A Film with a Title ({number:07})/A Film.mkv").into_bytes();
                let stored = StoredMatch {
                    sequence: Sequence(5 << SEQUENCE_BITS | number),
                    path: path.clone(),
                    rating_key: number.to_string(),
                    at: RecordTime::NEVER,
                };
                content += path.len() + stored.rating_key.len();
                (normal_form(&path), vec![stored])
            });
            let forms: Vec<FormMatches> = forms.collect();
            let last = forms.last().map(|(form, _)| form.clone());
            table.load(Sequence(6 << SEQUENCE_BITS), &LoadAfter(after), &forms, last.as_deref());
            after = last;
        }
        let beside = (table.memory.bytes() - content) / 57_345;
        assert!((30..=48).contains(&beside), "{beside}");
    }
}
