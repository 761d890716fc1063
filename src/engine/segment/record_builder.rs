//! Builds segments of records.

use std::io;
use std::path::Path;

use super::body::{SegmentWriter, too_large};
use super::layout::{BLOCK, FileKind, SegmentHead, match_of, put_varint};
use super::record_segment::{MAX_NUMBERS_SIZE, Record, STEP, record_hash};
use super::spool::reserve;
use super::table::{HashTableBuilder, upper};
use crate::matching::normal::form_tag;
use crate::model::Sequence;

/// Number of buckets of a hash table.
const BUCKETS: usize = 256;

/// Builds a segment from sorted records.
pub struct RecordSegmentBuilder {
    body: SegmentWriter,
    records: u64,
    /// Upper half of the hash and the record, in buckets by the upper bits: first those of `paths`, then of `keys`.
    slots: Vec<Vec<u64>>,
    order: Vec<u8>,
    head: SegmentHead,
    /// The hash table that is being written: its offset and its builder.
    table: Option<(usize, HashTableBuilder)>,
    /// The next bucket to write.
    bucket: usize,
}

impl RecordSegmentBuilder {
    /// Number of buckets of both tables. They are small, so that sorting one takes little time.
    pub const PARTS: usize = 2 * BUCKETS;

    /// A segment in a file beside `place`.
    #[must_use]
    pub fn new(place: &Path) -> Self {
        Self {
            body: SegmentWriter::new(place),
            records: 0,
            slots: vec![Vec::new(); Self::PARTS],
            order: Vec::new(),
            head: SegmentHead {
                kind: FileKind::Records,
                form: form_tag(),
                ..SegmentHead::default()
            },
            table: None,
            bucket: 0,
        }
    }

    /// Number of records.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Adds a record. Records must come in the order of [`Record::key`].
    ///
    /// # Errors
    /// Errors of the disk; no memory; a size of more than 16 GiB.
    pub fn push(&mut self, record: &Record<'_>) -> io::Result<()> {
        let at = self.body.position();
        let begin = at.next_multiple_of(4);
        let number = u32::try_from(begin / 4).map_err(|_| too_large())?;
        let value = record.state.and_then(|stored| stored.value).unwrap_or_default();
        let out = self
            .body
            .buffer_for(begin - at + record.name.len() + MAX_NUMBERS_SIZE + value.len())?;
        out.resize(out.len() + begin - at, 0);
        put_varint(out, record.name.len() as u64);
        out.extend_from_slice(record.name);
        put_varint(out, record.table.0.cast_unsigned() << 1 | u64::from(record.is_path));
        out.extend_from_slice(&record.row.to_le_bytes());
        match record.state {
            None => put_varint(out, 0),
            Some(stored) => {
                put_varint(out, stored.value.map_or(1, |value| value.len() as u64 + 2));
                put_varint(out, stored.expires_ms.map_or(0, |ms| ms.max(0).cast_unsigned() + 1));
                match stored.value {
                    Some(value) => out.extend_from_slice(value),
                    None => put_varint(out, stored.length),
                }
            }
        }
        self.body.flush_pieces()?;
        self.add_slot(0, record.hash(), number)?;
        if record.is_path
            && let Some((rating_key, _)) = match_of(value, Sequence::default())
        {
            self.add_slot(BUCKETS, record_hash(record.table, rating_key.as_bytes()), number)?;
        }
        if self.records.is_multiple_of(STEP) {
            reserve(&mut self.order, 4)?;
            self.order.extend_from_slice(&number.to_le_bytes());
        }
        self.records += 1;
        Ok(())
    }

    /// Adds a record to the buckets of a table.
    fn add_slot(&mut self, first: usize, hash: u64, number: u32) -> io::Result<()> {
        let bucket = &mut self.slots[first + usize::from(hash.to_be_bytes()[0])];
        reserve(bucket, 1)?;
        bucket.push(u64::from(upper(hash)) << 32 | u64::from(number));
        Ok(())
    }

    /// Adds the next bucket to its hash table. Returns whether there are more.
    ///
    /// # Errors
    /// As [`RecordSegmentBuilder::push`].
    pub fn index_some(&mut self) -> io::Result<bool> {
        if self.bucket == Self::PARTS {
            let begin = self.body.position();
            self.body.put(&self.order)?;
            self.head.order = self.body.end_part(begin, 4)?;
            return Ok(false);
        }
        if self.bucket == 0 {
            self.head.records = self.body.end_part(BLOCK, 1)?;
        }
        let (begin, mut table) = self.table.take().unwrap_or_else(|| {
            let entries = self.slots[self.bucket..][..BUCKETS].iter().map(Vec::len).sum();
            (self.body.position(), HashTableBuilder::new(entries))
        });
        let mut bucket = std::mem::take(&mut self.slots[self.bucket]);
        bucket.sort_unstable();
        for slot in bucket {
            let entry = u32::try_from(slot & 0xFFFF_FFFF).unwrap_or(0);
            table.put(slot & !0xFFFF_FFFF, entry, &mut self.body)?;
        }
        self.bucket += 1;
        if self.bucket.is_multiple_of(BUCKETS) {
            let homes = table.homes as u64;
            table.end(&mut self.body)?;
            let ended = (self.body.end_part(begin, 8)?, homes);
            if self.bucket == BUCKETS {
                (self.head.paths, self.head.path_homes) = ended;
            } else {
                (self.head.keys, self.head.key_homes) = ended;
            }
        } else {
            self.table = Some((begin, table));
        }
        Ok(true)
    }

    /// Writes the rest of the segment and renames it to `path`.
    ///
    /// # Errors
    /// Errors of the disk; there is no file of that name then.
    pub fn finish(mut self, path: &Path, name_mac: u64) -> io::Result<()> {
        if self.head.order.at == 0 {
            while self.index_some()? {}
        }
        self.head.items = self.records;
        self.head.name_mac = name_mac;
        self.body.finish(&mut self.head)?.persist(path)
    }
}
