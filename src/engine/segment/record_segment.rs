//! A segment of records by exact name. Head, checksums and hash table are those of every segment.
//!
//! | part | what |
//! |---|---|
//! | records | in the order of table and name |
//! | paths | hash table over the names' hashes: [`super::table`] |
//! | keys | hash table over the items of confirmed matches |
//! | order | every [`STEP`]th record, for bisection by name |
//!
//! A record begins at a multiple of four bytes:
//!
//! | field | when |
//! |---|---|
//! | length of the name (varint), the name, the table and [`Record::is_path`] (varint), row (8 bytes) | always |
//! | state (varint): 0 removed, 1 a long value, else the value's length plus two | always |
//! | expiry, Unix ms plus one (varint), or 0; the value, or for a long value its length (varint) | not removed |

use std::path::Path;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::bytes::{CheckedBytes, Read};
use super::layout::{BLOCK, FileKind, LONGEST_VARINT, SegmentHead, offset_of, u32_at, u64_at, varint};
use super::read::refuse;
use super::table::HashTable;
use crate::error::Result;
use crate::matching::Normal;
use crate::matching::normal::form_tag;
use crate::model::TableId;
use crate::platform::map::{FileBytes, MapMode};

/// Interval of the records in the part `order`.
pub(super) const STEP: u64 = 16;
/// Maximum size of a record's numbers in bytes.
pub(super) const MAX_NUMBERS_SIZE: usize = 4 * LONGEST_VARINT + 8;

/// A record of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'r> {
    /// The table.
    pub table: TableId,
    /// The name is a path: it is found by the hash of its normal form.
    pub is_path: bool,
    /// The entry's name.
    pub name: &'r [u8],
    /// The row of the store that it was read from.
    pub row: i64,
    /// The value; `None` if the entry was removed.
    pub state: Option<Stored<'r>>,
}

/// A value as segments and memtables have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'r> {
    /// The bytes; `None` for a long value, which only the store has.
    pub value: Option<&'r [u8]>,
    /// Its length.
    pub length: u64,
    /// When it expires, Unix ms.
    pub expires_ms: Option<i64>,
}

impl Record<'_> {
    /// Table and name, the sort key.
    #[must_use]
    pub fn key(&self) -> (TableId, &[u8]) {
        (self.table, self.name)
    }

    /// The hash for lookups.
    #[must_use]
    pub fn hash(&self) -> u64 {
        if self.is_path {
            Normal::with(self.name, |path| path_hash(self.table, path.hash()))
        } else {
            record_hash(self.table, self.name)
        }
    }
}

/// The hash of a name in a table.
#[inline]
#[must_use]
pub fn record_hash(table: TableId, name: &[u8]) -> u64 {
    xxh3_64_with_seed(name, table.0.cast_unsigned())
}

/// The hash of a path in a table of paths, from that of its normal form.
#[inline]
#[must_use]
pub fn path_hash(table: TableId, form: u64) -> u64 {
    form ^ table.0.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The first record of a hash in a segment, if any; or a failed check.
#[derive(Clone, Copy)]
pub struct FirstRecord(Read<Option<u32>>);

impl FirstRecord {
    /// No record.
    pub const NONE: Self = Self(Ok(None));
}

/// An open segment of records.
pub struct RecordSegment {
    file: CheckedBytes,
    names: HashTable,
    keys: HashTable,
    head: SegmentHead,
}

/// A position between two records of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordCursor(usize);

impl RecordCursor {
    /// Before the first record.
    pub const BEGIN: Self = Self(BLOCK);
}

impl RecordSegment {
    /// Opens the segment at `path`, as [`super::ListingSegment::open`] does.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`] if it must be rebuilt.
    pub fn open(path: &Path, mode: MapMode, name_mac: u64) -> Result<Self> {
        let bytes = FileBytes::open(path, mode).map_err(|error| refuse(path, &error.to_string()))?;
        Self::new(bytes, name_mac).map_err(|why| refuse(path, why))
    }

    pub(super) fn new(bytes: FileBytes, name_mac: u64) -> std::result::Result<Self, &'static str> {
        let head = SegmentHead::decode(&bytes)?;
        if head.kind != FileKind::Records || head.name_mac != name_mac {
            return Err("it belongs to another name or to another store");
        }
        if head.form != form_tag() {
            return Err("paths were normalized in another way when it was made");
        }
        Ok(Self {
            names: HashTable::new(head.paths, head.path_homes),
            keys: HashTable::new(head.keys, head.key_homes),
            file: CheckedBytes::new(bytes, &head)?,
            head,
        })
    }

    /// Returns whether a check failed.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.file.is_broken()
    }

    /// Number of records, including removals.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.head.items
    }

    /// Prefetches the slot of a hash.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        self.file.prefetch(self.names.at(hash));
    }

    /// Calls `each` with the upper half of each record's hash.
    ///
    /// # Errors
    /// As [`RecordSegment::find`].
    pub fn for_each_upper(&self, mut each: impl FnMut(u32)) -> Read<()> {
        self.names.for_each_from(&self.file, 0, |upper, _| {
            each(upper);
            Ok(false)
        })
    }

    /// Finds the first record of this hash, and prefetches it.
    #[inline]
    #[must_use]
    pub fn first(&self, hash: u64) -> FirstRecord {
        let first = self.names.first(&self.file, hash);
        if let Ok(Some(number)) = first {
            // Names and values are rarely longer.
            for line in 0..3 {
                self.file.prefetch(offset_of(number).saturating_add(line * 64));
            }
        }
        FirstRecord(first)
    }

    /// The record of this name. `first`: the result of [`RecordSegment::first`].
    ///
    /// # Errors
    /// A check failed.
    #[inline]
    pub fn find(&self, key: (TableId, &[u8]), hash: u64, first: FirstRecord) -> Read<Option<Record<'_>>> {
        let Some(number) = first.0? else {
            return Ok(None);
        };
        match self.named(number, key)? {
            Some(record) => Ok(Some(record)),
            None => self.find_further(key, hash),
        }
    }

    /// As [`RecordSegment::find`], if the first record of the hash has another name.
    #[cold]
    #[inline(never)]
    fn find_further(&self, key: (TableId, &[u8]), hash: u64) -> Read<Option<Record<'_>>> {
        let mut found = None;
        self.names.find(&self.file, hash, |number| {
            found = self.named(number, key)?;
            Ok(found.is_some())
        })?;
        Ok(found)
    }

    /// Calls `each` with each record of this hash and its number, until it returns `true`. Records of other hashes may
    /// be among them.
    ///
    /// # Errors
    /// As [`RecordSegment::find`].
    #[inline]
    pub fn of_hash<'s>(&'s self, hash: u64, mut each: impl FnMut(u32, Record<'s>) -> bool) -> Read<()> {
        self.names.find(&self.file, hash, |number| {
            let (record, _) = self.record_at(offset_of(number))?;
            Ok(each(number, record))
        })
    }

    /// Calls `each` with the confirmed matches of an item, by the hash of its rating key. Others may be among them.
    ///
    /// # Errors
    /// As [`RecordSegment::find`].
    pub fn of_item<'s>(&'s self, hash: u64, mut each: impl FnMut(Record<'s>)) -> Read<()> {
        self.keys.find(&self.file, hash, |number| {
            each(self.record(number)?);
            Ok(false)
        })
    }

    /// The record of a number from [`RecordSegment::of_hash`].
    ///
    /// # Errors
    /// As [`RecordSegment::find`].
    pub fn record(&self, number: u32) -> Read<Record<'_>> {
        Ok(self.record_at(offset_of(number))?.0)
    }

    /// The record, if it has this name.
    #[inline]
    fn named(&self, number: u32, (table, name): (TableId, &[u8])) -> Read<Option<Record<'_>>> {
        let at = offset_of(number);
        let bytes = self.file.up_to(at, name.len() + MAX_NUMBERS_SIZE)?;
        let (length, begin) = varint(bytes).ok_or_else(|| self.file.fail())?;
        if length != name.len() as u64 || bytes.get(begin..begin + name.len()) != Some(name) {
            return Ok(None);
        }
        let (record, _) = self.rest(at, &bytes[begin..begin + name.len()], begin + name.len())?;
        Ok((record.table == table).then_some(record))
    }

    /// The record at this offset, and the next one's offset.
    fn record_at(&self, at: usize) -> Read<(Record<'_>, usize)> {
        let bytes = self.file.up_to(at, LONGEST_VARINT)?;
        let (length, used) = varint(bytes).ok_or_else(|| self.file.fail())?;
        let length = usize::try_from(length).map_err(|_| self.file.fail())?;
        let name = self.file.slice(at + used, length)?;
        self.rest(at, name, used + length)
    }

    /// Reads the fields after the name, which begin `used` bytes after the record's offset. Also returns the next
    /// record's offset.
    #[inline]
    fn rest<'s>(&'s self, at: usize, name: &'s [u8], used: usize) -> Read<(Record<'s>, usize)> {
        let begin = at + used;
        let bytes = self.file.up_to(begin, MAX_NUMBERS_SIZE)?;
        let broken = || self.file.fail();
        let (table, table_length) = varint(bytes).ok_or_else(broken)?;
        let row = u64_at(bytes.get(..table_length + 8).ok_or_else(broken)?, table_length).cast_signed();
        let mut used = table_length + 8;
        let mut number = || {
            let (number, length) = varint(bytes.get(used..)?)?;
            used += length;
            Some(number)
        };
        let kind = number().ok_or_else(broken)?;
        let mut state = None;
        if kind > 0 {
            let expires = number().ok_or_else(broken)?;
            let length = if kind == 1 {
                number().ok_or_else(broken)?
            } else {
                kind - 2
            };
            let value = if kind == 1 { 0 } else { length };
            let value = self
                .file
                .slice(begin + used, usize::try_from(value).map_err(|_| broken())?)?;
            used += value.len();
            state = Some(Stored {
                value: (kind > 1).then_some(value),
                length,
                expires_ms: expires.checked_sub(1).map(|ms| i64::try_from(ms).unwrap_or(i64::MAX)),
            });
        }
        let record = Record {
            table: TableId((table >> 1).cast_signed()),
            is_path: table & 1 == 1,
            name,
            row,
            state,
        };
        let end = begin + used;
        Ok((record, end.next_multiple_of(4)))
    }

    /// The next record after a cursor, and the cursor after it; `None` at the end.
    ///
    /// # Errors
    /// As [`RecordSegment::find`].
    pub fn next(&self, cursor: RecordCursor) -> Read<Option<(Record<'_>, RecordCursor)>> {
        let end = self.head.records.byte(self.head.records.len(), 1);
        if cursor.0 >= end {
            return Ok(None);
        }
        let (record, next) = self.record_at(cursor.0)?;
        Ok(Some((record, RecordCursor(next))))
    }

    /// The cursor before the first record whose key is at least this one.
    ///
    /// # Errors
    /// As [`RecordSegment::find`].
    pub fn seek(&self, key: (TableId, &[u8])) -> Read<RecordCursor> {
        let places = self.head.order;
        let place = |index: usize| {
            let bytes = self.file.slice(places.byte(index, 4), 4)?;
            Ok(RecordCursor(offset_of(u32_at(bytes, 0))))
        };
        let (mut low, mut high) = (0, usize::try_from(self.head.items.div_ceil(STEP)).unwrap_or(usize::MAX));
        while low < high {
            let middle = low.midpoint(high);
            let (record, _) = self.record_at(place(middle)?.0)?;
            if record.key() < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let mut cursor = if low == 0 { RecordCursor::BEGIN } else { place(low - 1)? };
        while let Some((record, next)) = self.next(cursor)? {
            if record.key() >= key {
                break;
            }
            cursor = next;
        }
        Ok(cursor)
    }
}

#[cfg(test)]
#[path = "record_segment_tests.rs"]
mod tests;
