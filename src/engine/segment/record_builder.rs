//! Builds record segments.

use std::io;
use std::path::Path;

use super::hash_table::{HashTableBuilder, upper};
use super::layout::{BLOCK, FileKind, SegmentHeader, put_varint, read_varint};
use super::record_segment::{MAX_NUMBERS_SIZE, Record, STATE_EMPTY, STATE_LONG, STATE_REMOVED, STEP, record_hash};
use super::segment_writer::{SegmentWriter, too_large};
use super::spool::reserve;

/// Number of buckets per hash table: one for each value of a hash's upper byte.
const BUCKETS: usize = 256;
/// Size of most records and their slots in both hash tables, in bytes.
const USUAL_SIZE: usize = 192;
/// Index of each hash table's first bucket. The first table contains names, the second rating keys.
const PATH_BUCKETS: usize = 0;
const KEY_BUCKETS: usize = BUCKETS;

/// Builds a record segment from sorted records.
pub struct RecordSegmentBuilder {
    body: SegmentWriter,
    records: u64,
    /// The unsorted slots of both hash tables, in buckets by the upper byte of the hash. The upper half of a slot is
    /// the upper half of a hash; the lower half is the number of a record.
    buckets: Vec<Vec<u64>>,
    /// Number of slots for which a full bucket reserves memory.
    bucket_room: usize,
    /// The number of every [`STEP`]th record.
    order: Vec<u8>,
    head: SegmentHeader,
    /// The unfinished hash table: its offset and its builder.
    table: Option<(usize, HashTableBuilder)>,
    next_bucket: usize,
}

impl RecordSegmentBuilder {
    /// Number of buckets in both hash tables. [`RecordSegmentBuilder::write_next_bucket`] writes one bucket per call.
    pub const ALL_BUCKETS: usize = 2 * BUCKETS;

    /// Creates a builder with a temporary file beside `place`, for about `records` records.
    #[must_use]
    pub fn new(place: &Path, records: u64) -> Self {
        let expected = usize::try_from(records).unwrap_or(0);
        let mut body = SegmentWriter::new(place);
        body.expect(expected.saturating_mul(USUAL_SIZE));
        Self {
            body,
            records: 0,
            buckets: vec![Vec::new(); Self::ALL_BUCKETS],
            // Hashes spread evenly, so most buckets need no more than a quarter above the average.
            bucket_room: expected * 5 / (4 * BUCKETS) + 4,
            order: Vec::new(),
            head: SegmentHeader {
                kind: FileKind::Records,
                ..SegmentHeader::default()
            },
            table: None,
            next_bucket: 0,
        }
    }

    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Adds a record. Records must come in ascending order of [`Record::key`].
    ///
    /// # Errors
    /// Fails on an I/O error, if there is too little memory, or if the segment would exceed 16 GiB.
    pub fn push(&mut self, record: &Record<'_>) -> io::Result<()> {
        let position = self.body.position();
        let value_length = record.state.and_then(|stored| stored.value).map_or(0, <[u8]>::len);
        let out = self
            .body
            .buffer_for(record.name.len() + MAX_NUMBERS_SIZE + value_length + 3)?;
        // Write the fields in the order that `record_segment` documents.
        put_varint(out, record.name.len() as u64);
        out.extend_from_slice(record.name);
        put_varint(out, record.table.0.cast_unsigned() << 1 | u64::from(record.is_path));
        out.extend_from_slice(&record.row.to_le_bytes());
        out.extend_from_slice(&record.hash.to_le_bytes());
        match record.state {
            None => put_varint(out, STATE_REMOVED),
            Some(stored) => {
                let state = stored
                    .value
                    .map_or(STATE_LONG, |value| value.len() as u64 + STATE_EMPTY);
                put_varint(out, state);
                put_varint(out, stored.expires_ms.map_or(0, |ms| ms.max(0).cast_unsigned() + 1));
                match stored.value {
                    Some(value) => out.extend_from_slice(value),
                    None => put_varint(out, stored.length),
                }
            }
        }
        out.resize(out.len().next_multiple_of(4), 0); // the next record's number is its position divided by four
        self.add_to_tables(record, position)
    }

    /// Adds a record of another segment, which contains the record as `encoded` ([`RecordSegment::encoded`]). Otherwise
    /// the same as [`Self::push`].
    ///
    /// [`RecordSegment::encoded`]: super::record_segment::RecordSegment::encoded
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn copy(&mut self, record: &Record<'_>, encoded: &[u8]) -> io::Result<()> {
        let position = self.body.position();
        self.body.buffer_for(encoded.len())?.extend_from_slice(encoded);
        self.add_to_tables(record, position)
    }

    /// Adds the record at this position to the hash tables and to `order`.
    fn add_to_tables(&mut self, record: &Record<'_>, position: usize) -> io::Result<()> {
        self.body.flush_pieces()?;
        let number = u32::try_from(position / 4).map_err(|_| too_large())?;
        // Lookups find every record by name, and confirmed matches also by rating key.
        self.add_slot(PATH_BUCKETS, record.hash, number)?;
        let value = record.state.and_then(|stored| stored.value).unwrap_or_default();
        if record.is_path
            && let Some((_, length)) = read_varint(value)
        {
            let hash = record_hash(record.table, &value[length..]); // the rating key follows the change sequence
            self.add_slot(KEY_BUCKETS, upper(hash), number)?;
        }
        // Binary searches by name use every 16th record.
        if self.records.is_multiple_of(STEP) {
            reserve(&mut self.order, 4)?;
            self.order.extend_from_slice(&number.to_le_bytes());
        }
        self.records += 1;
        Ok(())
    }

    /// Adds a record to a hash table's buckets. `first_bucket` is the index of the table's first bucket, and `hash` is
    /// the upper half of the hash.
    fn add_slot(&mut self, first_bucket: usize, hash: u32, number: u32) -> io::Result<()> {
        let upper_byte = hash.to_be_bytes()[0];
        let bucket = &mut self.buckets[first_bucket + usize::from(upper_byte)];
        if bucket.len() == bucket.capacity() {
            reserve(bucket, self.bucket_room)?;
        }
        bucket.push(u64::from(hash) << 32 | u64::from(number));
        Ok(())
    }

    /// Sorts the next bucket and writes it to its hash table. Returns whether work remains. The caller calls this
    /// function after the last record, and can spread the calls over several writes.
    ///
    /// # Errors
    /// Fails on an I/O error, or if there is too little memory.
    pub fn write_next_bucket(&mut self) -> io::Result<bool> {
        // After the last bucket, only `order` remains.
        if self.next_bucket == Self::ALL_BUCKETS {
            let begin = self.body.position();
            self.body.put(&self.order)?;
            self.head.order = self.body.end_part(begin, 4)?;
            return Ok(false);
        }
        if self.next_bucket == 0 {
            self.head.records = self.body.end_part(BLOCK, 1)?;
        }
        // The first bucket of a hash table begins the table.
        let (begin, mut table) = self.table.take().unwrap_or_else(|| {
            let entries = self.buckets[self.next_bucket..][..BUCKETS].iter().map(Vec::len).sum();
            (self.body.position(), HashTableBuilder::new(entries))
        });
        let mut bucket = std::mem::take(&mut self.buckets[self.next_bucket]);
        bucket.sort_unstable();
        for slot in bucket {
            let number = u32::try_from(slot & 0xFFFF_FFFF).unwrap_or(0);
            table.put(slot & !0xFFFF_FFFF, number, &mut self.body)?; // only the hash's upper half matters
        }
        self.next_bucket += 1;
        // The last bucket of a hash table ends the table.
        if self.next_bucket.is_multiple_of(BUCKETS) {
            let homes = table.homes as u64;
            table.end(&mut self.body)?;
            let part_and_homes = (self.body.end_part(begin, 8)?, homes);
            if self.next_bucket == KEY_BUCKETS {
                (self.head.paths, self.head.path_homes) = part_and_homes;
            } else {
                (self.head.keys, self.head.key_homes) = part_and_homes;
            }
        } else {
            self.table = Some((begin, table));
        }
        Ok(true)
    }

    /// Writes the remaining parts of the segment, and renames the file to `path`. `name_mac` is the keyed hash of the
    /// segment's name, by which readers detect a renamed file.
    ///
    /// # Errors
    /// Fails on an I/O error, without creating a file at `path`.
    pub fn finish(mut self, path: &Path, name_mac: u64) -> io::Result<()> {
        // The caller may have written all buckets already.
        if self.head.order.at == 0 {
            while self.write_next_bucket()? {}
        }
        self.head.items = self.records;
        self.head.name_mac = name_mac;
        self.body.finish(&mut self.head)?.persist(path)
    }
}
