//! The index of a listing's items by GUID and title, in a file beside the segment. The first query by GUID or title
//! builds the index, because most hosts never make such a query. The index is a hash table of GUIDs and folded titles.
//! Different texts can have the same hash, so the caller must compare the items it finds.

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
    /// the library and remove the file at any moment. `hashes` contains the hashes of all GUIDs and folded titles, each
    /// with the first entry of its item. `name_mac` identifies the segment.
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

    /// Returns the first entries of the items with this GUID or folded title, in listing order. The items can include
    /// false positives, because this function compares only hashes.
    pub fn find(&self, text: &str) -> ReadResult<Vec<u32>> {
        let mut firsts = Vec::new();
        self.table.find(&self.file, Self::hash(text), |first| {
            firsts.push(first);
            Ok(false)
        })?;
        firsts.sort_unstable();
        firsts.dedup();
        Ok(firsts)
    }

    /// Returns the hash of a GUID or of a folded title.
    pub fn hash(text: &str) -> u64 {
        xxh3_64(text.as_bytes())
    }
}
