//! Record segments: records by exact name. All kinds of segments have the same header, checksums and hash tables.
//!
//! | part | content |
//! |---|---|
//! | records | the records, sorted by table and name |
//! | paths | hash table from names to records ([`super::hash_table`]) |
//! | keys | hash table from rating keys to confirmed matches |
//! | order | the number of every [`STEP`]th record, for binary searches by name |
//!
//! A record begins at a multiple of four bytes, so that 32-bit numbers can address 16 GiB. A record has these fields:
//!
//! | field | present |
//! |---|---|
//! | length of the name (varint), name | always |
//! | twice the table's id, plus 1 for [`Record::is_path`] (varint); row (8 bytes); [`Record::hash`] (4 bytes) | always |
//! | state (varint): 0 for a removal, 1 for a long value, otherwise the value's length plus 2 | always |
//! | 0 for no expiry, otherwise its Unix ms plus 1 (varint) | unless removed |
//! | the value, or the length of a long value (varint) | unless removed |

use std::path::Path;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::checked_bytes::{CheckedBytes, ReadResult, bisect};
use super::fields::RecordReader;
use super::hash_table::HashTable;
use super::layout::{BLOCK, FileKind, LONGEST_VARINT, SegmentHeader, offset_of, u32_at, u64_at};
use super::read::unusable_segment;
use crate::error::Result;
use crate::matching::NormalPath;
use crate::model::TableId;
use crate::platform::map::{FileBytes, MapMode};

/// The part `order` has one element for this number of records.
pub(super) const STEP: u64 = 16;
/// Maximum size of a record without its name and its value, in bytes.
pub(super) const MAX_NUMBERS_SIZE: usize = 4 * LONGEST_VARINT + 12;
/// State of a removal.
pub(super) const STATE_REMOVED: u64 = 0;
/// State of a value that is too long for segments.
pub(super) const STATE_LONG: u64 = 1;
/// State of an empty value. The state of a longer value is this number plus the value's length.
pub(super) const STATE_EMPTY: u64 = 2;

/// A record in a table: an entry's value, or the entry's removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'r> {
    pub table: TableId,
    /// Whether the name is a path, as for confirmed matches. If so, lookups use the hash of the path's normal form.
    pub is_path: bool,
    pub name: &'r [u8],
    /// Upper half of the hash under which lookups find the record ([`hash_of`]), so that a merge need not compute it.
    pub hash: u32,
    /// The row id in the record log.
    pub row: i64,
    /// The value; `None` if the entry was removed.
    pub state: Option<StoredValue<'r>>,
}

/// A value in a segment or memtable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredValue<'r> {
    /// The bytes; `None` for a long value, which only the database contains.
    pub value: Option<&'r [u8]>,
    /// Length of the value in bytes.
    pub length: u64,
    /// Time of expiry in Unix ms; `None` for never.
    pub expires_ms: Option<i64>,
}

impl Record<'_> {
    /// Returns the sort key: the table and the name.
    #[must_use]
    pub fn key(&self) -> (TableId, &[u8]) {
        (self.table, self.name)
    }
}

/// Returns the hash under which lookups find a name in a table. `is_path`: whether the name is a path.
#[must_use]
pub fn hash_of(table: TableId, is_path: bool, name: &[u8]) -> u64 {
    if is_path {
        NormalPath::with(name, |path| path_hash(table, path.hash()))
    } else {
        record_hash(table, name)
    }
}

/// Returns the hash of a name in a table. The table's id is the seed, so that equal names in different tables have
/// different hashes.
#[inline]
#[must_use]
pub fn record_hash(table: TableId, name: &[u8]) -> u64 {
    xxh3_64_with_seed(name, table.0.cast_unsigned())
}

/// A multiplier that mixes bits well: 2^64 divided by the golden ratio.
pub(super) const HASH_MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// Returns the hash of a path in a table of paths, whose names are paths. `normalized` is the hash of the path's normal
/// form, which the caller already has.
#[inline]
#[must_use]
pub fn path_hash(table: TableId, normalized: u64) -> u64 {
    normalized ^ table.0.cast_unsigned().wrapping_mul(HASH_MULTIPLIER)
}

/// The first record with a given hash in a segment, if any; or the error of a failed check.
#[derive(Clone, Copy)]
pub struct FirstRecord(ReadResult<Option<u32>>);

impl FirstRecord {
    /// The result for an empty list of segments.
    pub const NONE: Self = Self(Ok(None));
}

/// Number of cache lines to prefetch for a record. Few records span more.
const PREFETCHED_LINES: usize = 3;
const CACHE_LINE: usize = 64;

pub struct RecordSegment {
    file: CheckedBytes,
    names: HashTable,
    keys: HashTable,
    head: SegmentHeader,
}

/// A position between two records of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordCursor(usize);

impl RecordCursor {
    /// The position before the first record.
    pub const BEGIN: Self = Self(BLOCK);
}

impl RecordSegment {
    /// Opens the segment at `path`. `mode` says whether to map the file or to read it into memory. `name_mac` is the
    /// keyed hash of the segment's name. The file must contain the same hash, so that a renamed file is rejected.
    ///
    /// # Errors
    /// Fails with [`crate::error::Status::Store`] if the file is missing or unusable. plexindex must then rebuild the
    /// segment.
    pub fn open(path: &Path, mode: MapMode, name_mac: u64) -> Result<Self> {
        let bytes = FileBytes::open(path, mode).map_err(|error| unusable_segment(path, &error.to_string()))?;
        Self::new(bytes, name_mac).map_err(|why| unusable_segment(path, why))
    }

    /// Creates a segment from its file's bytes, and verifies the header. On failure, returns the reason.
    pub(super) fn new(bytes: FileBytes, name_mac: u64) -> std::result::Result<Self, &'static str> {
        let head = SegmentHeader::decode(&bytes, &[FileKind::Records])?;
        if head.name_mac != name_mac {
            return Err("the file was renamed or belongs to another store");
        }
        Ok(Self {
            names: HashTable::new(head.paths, head.path_homes),
            keys: HashTable::new(head.keys, head.key_homes),
            file: CheckedBytes::new(bytes, &head)?,
            head,
        })
    }

    /// Returns whether a check has failed since the segment was opened.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.file.is_broken()
    }

    /// Returns the number of records, including removals.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.head.items
    }

    /// Prefetches the hash table slot for this hash, so that the loads for several segments overlap.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        self.file.prefetch(self.names.search_offset(hash));
    }

    /// Calls `each` with the upper half of every record's hash, to fill a filter.
    ///
    /// # Errors
    /// Fails if the segment is damaged.
    pub fn for_each_upper(&self, mut each: impl FnMut(u32)) -> ReadResult<()> {
        self.names.for_each_from(&self.file, 0, |upper, _| {
            each(upper);
            Ok(false)
        })
    }

    /// Finds the first record with this hash, and prefetches the record, so that the caller can first look elsewhere,
    /// and then read the record.
    #[inline]
    #[must_use]
    pub fn first(&self, hash: u64) -> FirstRecord {
        let first = self.names.first(&self.file, hash);
        if let Ok(Some(number)) = first {
            for line in 0..PREFETCHED_LINES {
                self.file.prefetch(offset_of(number).saturating_add(line * CACHE_LINE));
            }
        }
        FirstRecord(first)
    }

    /// Returns the record with this table and name, if any. `hash` is the name's hash, and `first` is the first record
    /// with this hash.
    ///
    /// # Errors
    /// Fails if the segment is damaged.
    #[inline]
    pub fn find(&self, key: (TableId, &[u8]), hash: u64, first: FirstRecord) -> ReadResult<Option<Record<'_>>> {
        let Some(number) = first.0? else {
            return Ok(None);
        };
        match self.record_if_named(number, key)? {
            Some(record) => Ok(Some(record)),
            None => self.find_further(key, hash),
        }
    }

    /// Finds the record with this table and name among all records with the hash. This search is necessary only if the
    /// first of these records has a different name.
    #[cold]
    #[inline(never)]
    fn find_further(&self, key: (TableId, &[u8]), hash: u64) -> ReadResult<Option<Record<'_>>> {
        let mut found = None;
        self.names.find(&self.file, hash, |number| {
            found = self.record_if_named(number, key)?;
            Ok(found.is_some())
        })?;
        Ok(found)
    }

    /// Calls `each` with the number and content of every record with this hash, until `each` returns `true`. The
    /// records can include false positives, because the segment stores only the upper half of a hash.
    ///
    /// # Errors
    /// Fails if the segment is damaged.
    #[inline]
    pub fn for_each_with_hash<'s>(
        &'s self,
        hash: u64,
        mut each: impl FnMut(u32, Record<'s>) -> bool,
    ) -> ReadResult<()> {
        self.names.find(&self.file, hash, |number| {
            let (record, _) = self.record_at(offset_of(number))?;
            Ok(each(number, record))
        })
    }

    /// Calls `each` with an item's confirmed matches. `hash` is the hash of the item's rating key. The matches can
    /// include false positives.
    ///
    /// # Errors
    /// Fails if the segment is damaged.
    pub fn for_each_match_of_item<'s>(&'s self, hash: u64, mut each: impl FnMut(Record<'s>)) -> ReadResult<()> {
        self.keys.find(&self.file, hash, |number| {
            each(self.record(number)?);
            Ok(false)
        })
    }

    /// Returns the record with this number: its offset divided by four.
    ///
    /// # Errors
    /// Fails if the segment is damaged.
    pub fn record(&self, number: u32) -> ReadResult<Record<'_>> {
        Ok(self.record_at(offset_of(number))?.0)
    }

    /// Returns the record with this number; `None` if the record has a different table or name.
    #[inline]
    fn record_if_named(&self, number: u32, (table, name): (TableId, &[u8])) -> ReadResult<Option<Record<'_>>> {
        let mut reader = RecordReader::new(&self.file, offset_of(number));
        // Compare the name before decoding the other fields.
        let record_name = reader.bytes()?;
        if record_name != name {
            return Ok(None);
        }
        let (record, _) = read_after_name(reader, record_name)?;
        Ok((record.table == table).then_some(record))
    }

    /// Returns the record at this offset, and the offset of the next record.
    fn record_at(&self, offset: usize) -> ReadResult<(Record<'_>, usize)> {
        let mut reader = RecordReader::new(&self.file, offset);
        let name = reader.bytes()?;
        read_after_name(reader, name)
    }

    /// Returns the next record after a cursor, and the cursor after this record. `None` at the end of the segment.
    ///
    /// # Errors
    /// Fails if the segment is damaged.
    pub fn next(&self, cursor: RecordCursor) -> ReadResult<Option<(Record<'_>, RecordCursor)>> {
        let end = self.head.records.element_offset(self.head.records.len(), 1);
        if cursor.0 >= end {
            return Ok(None);
        }
        let (record, next) = self.record_at(cursor.0)?;
        Ok(Some((record, RecordCursor(next))))
    }

    /// Returns the encoded record between the cursors before and after it, for [`super::RecordSegmentBuilder::copy`].
    ///
    /// # Errors
    /// Fails if the segment is damaged.
    pub fn encoded(&self, before: RecordCursor, after: RecordCursor) -> ReadResult<&[u8]> {
        self.file.slice(before.0, after.0.saturating_sub(before.0))
    }

    /// Returns the cursor before the first record whose sort key is equal to or greater than `key`.
    ///
    /// # Errors
    /// Fails if the segment is damaged.
    pub fn seek(&self, key: (TableId, &[u8])) -> ReadResult<RecordCursor> {
        let order = self.head.order;
        let cursor_in_order = |index: usize| {
            let bytes = self.file.slice(order.element_offset(index, 4), 4)?;
            Ok(RecordCursor(offset_of(u32_at(bytes, 0))))
        };
        // Find the last record in the part `order` that is less than `key`, and scan from there.
        let count = usize::try_from(self.head.items.div_ceil(STEP)).unwrap_or(usize::MAX);
        let is_less = |index: usize| Ok(self.record_at(cursor_in_order(index)?.0)?.0.key() < key);
        let mut cursor = match bisect(0..count, is_less)? {
            0 => RecordCursor::BEGIN,
            first_greater => cursor_in_order(first_greater - 1)?,
        };
        while let Some((record, next)) = self.next(cursor)? {
            if record.key() >= key {
                break;
            }
            cursor = next;
        }
        Ok(cursor)
    }
}

/// Reads the fields after a record's name. Also returns the offset of the next record.
#[inline]
fn read_after_name<'s>(mut reader: RecordReader<'s>, name: &'s [u8]) -> ReadResult<(Record<'s>, usize)> {
    let table = reader.varint()?;
    let row_and_hash = reader.take(12)?;
    let stored_state = reader.varint()?;
    let mut state = None;
    if stored_state != STATE_REMOVED {
        let expires = reader.varint()?;
        let (value, length) = if stored_state == STATE_LONG {
            (None, reader.varint()?) // the segment does not contain the value
        } else {
            let length = stored_state - STATE_EMPTY;
            (
                Some(reader.take(usize::try_from(length).unwrap_or(usize::MAX))?),
                length,
            )
        };
        state = Some(StoredValue {
            value,
            length,
            expires_ms: expires.checked_sub(1).map(|ms| i64::try_from(ms).unwrap_or(i64::MAX)),
        });
    }
    let record = Record {
        table: TableId((table >> 1).cast_signed()),
        is_path: table & 1 == 1,
        name,
        hash: u32_at(row_and_hash, 8),
        row: u64_at(row_and_hash, 0).cast_signed(),
        state,
    };
    Ok((record, reader.at.next_multiple_of(4)))
}

#[cfg(test)]
#[path = "record_segment_tests.rs"]
mod tests;
