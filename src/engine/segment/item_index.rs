//! The indexes of a listing's items by GUID and title, and of its files by size, in files beside the segment. The first
//! query that needs an index builds it, because most hosts never make such a query. An index is a hash table. Different
//! texts or sizes can have the same hash, so the caller must compare what it finds.

use std::io;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::checked_bytes::{CheckedBytes, ReadResult};
use super::hash_table::HashTable;
use super::layout::{FileKind, SegmentHeader};
use super::parts::put_keys;
use super::segment_writer::SegmentWriter;
use super::sorter::PairSorter;
use crate::platform::files;
use crate::platform::map::{FileBytes, MapMode};

pub struct ItemIndex {
    file: CheckedBytes,
    table: HashTable,
}

impl ItemIndex {
    /// Opens the index at `path`; `None` if the file is damaged or belongs to a segment with a different `name_mac`.
    /// `mode` says whether to map the file or to read it into memory.
    pub fn open(path: &Path, mode: MapMode, name_mac: u64) -> io::Result<Option<Self>> {
        Ok(Self::of(FileBytes::open(path, mode)?, name_mac))
    }

    /// Creates an index from its file's bytes; `None` if the file is damaged or belongs to a segment with a different
    /// `name_mac`.
    fn of(bytes: FileBytes, name_mac: u64) -> Option<Self> {
        let head = SegmentHeader::decode(&bytes, &[FileKind::Index]).ok();
        let matching_head = head.filter(|head| head.name_mac == name_mac);
        matching_head.and_then(|head| {
            Some(Self {
                table: HashTable::new(head.keys, head.key_homes),
                file: CheckedBytes::new(bytes, &head).ok()?,
            })
        })
    }

    /// Writes the index to `path`, and opens it through the written file's handle, because another process may evict
    /// the library and remove the file at any moment. `hashes` contains the hashes of all texts or sizes, each with an
    /// entry. `name_mac` identifies the segment.
    pub fn write(hashes: PairSorter, path: &Path, mode: MapMode, name_mac: u64) -> io::Result<Self> {
        let mut body = SegmentWriter::new(path);
        let mut head = SegmentHeader {
            kind: FileKind::Index,
            name_mac,
            ..SegmentHeader::default()
        };
        put_keys(hashes, &mut head, &mut body)?;
        let written = body.finish(&mut head)?;
        let file = written.handle()?;
        let _ = files::remove(path); // the old file is damaged, or belongs to an earlier segment
        written.persist(path)?;
        Self::of(FileBytes::from_file(file, mode)?, name_mac).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Returns the entries with this hash, in listing order, and others whose hashes have the same upper half.
    pub fn find(&self, hash: u64) -> ReadResult<Vec<u32>> {
        let mut entries = Vec::new();
        self.find_each(hash, |entry| {
            entries.push(entry);
            Ok(false)
        })?;
        entries.sort_unstable();
        entries.dedup();
        Ok(entries)
    }

    /// Passes the entries with this hash, and others whose hashes have the same upper half, to `each`, in any order, until
    /// it returns `true`.
    pub fn find_each(&self, hash: u64, each: impl FnMut(u32) -> ReadResult<bool>) -> ReadResult<()> {
        self.table.find(&self.file, hash, each)
    }

    /// Returns the hash of a GUID or of a folded title.
    pub fn hash(text: &str) -> u64 {
        xxh3_64(text.as_bytes())
    }

    /// Returns the hash of a file's size.
    pub fn hash_of_size(size: u64) -> u64 {
        xxh3_64(&size.to_le_bytes())
    }
}
