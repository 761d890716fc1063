//! The index of a listing's items by GUID and title: a file beside the segment, built at the first such question, since
//! most hosts never ask. It is a hash table over GUIDs and folded titles. Hits are candidates; the items are compared.

use std::io;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::checked_bytes::{CheckedBytes, Read};
use super::hash_table::HashTable;
use super::layout::{FileKind, SegmentHead};
use super::parts::put_keys;
use super::segment_writer::SegmentWriter;
use super::sorter::PairSorter;
use crate::platform::files;
use crate::platform::map::{FileBytes, MapMode};

/// An open index.
pub struct ItemIndex {
    file: CheckedBytes,
    table: HashTable,
}

impl ItemIndex {
    /// Opens the index at `path`. `None` if it is damaged, or was made with another `name_mac`.
    pub fn open(path: &Path, mode: MapMode, name_mac: u64) -> io::Result<Option<Self>> {
        Ok(Self::of(FileBytes::open(path, mode)?, name_mac))
    }

    /// Returns the index in these bytes; `None` as for [`Self::open`].
    fn of(bytes: FileBytes, name_mac: u64) -> Option<Self> {
        let head = SegmentHead::decode(&bytes).ok();
        let ours = head.filter(|head| head.kind == FileKind::Index && head.name_mac == name_mac);
        ours.and_then(|head| {
            Some(Self {
                table: HashTable::new(head.keys, head.key_homes),
                file: CheckedBytes::new(bytes, &head).ok()?,
            })
        })
    }

    /// Writes the index to `path`, and opens it through its handle: another process may evict the library, and remove
    /// the file, at any moment. `hashes`: those of all GUIDs and folded titles, each with the first entry of its item.
    pub fn write(hashes: PairSorter, path: &Path, mode: MapMode, name_mac: u64) -> io::Result<Self> {
        let mut body = SegmentWriter::new(path);
        let mut head = SegmentHead {
            kind: FileKind::Index,
            name_mac,
            ..SegmentHead::default()
        };
        put_keys(hashes, &mut head, &mut body)?;
        let written = body.finish(&mut head)?;
        let file = written.handle()?;
        let _ = files::remove(path); // the old file is damaged, or belongs to an earlier segment
        written.persist(path)?;
        Self::of(FileBytes::of(file, mode)?, name_mac).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Returns the first entries of the items that may have this text, in the order in which they were listed.
    pub fn find(&self, text: &str) -> Read<Vec<u32>> {
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
