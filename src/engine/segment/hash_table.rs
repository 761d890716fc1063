//! The hash tables that find entries, and the indexes by GUID, title and size.
//!
//! A hash table has slots of eight bytes, sorted by hash. A lookup jumps to a slot and reads a few slots from there,
//! nearly always in one cache line.
//!
//! The lower half of a slot contains the upper half of a hash; the upper half contains the number of an entry, which is
//! never 0. A free slot is zero. The home slot for a hash is the upper half of the hash, scaled to the number of home
//! slots. The builder fills slots in hash order. An entry goes to its home slot or, if that slot is taken, to the slot
//! after the previous entry. As a result, entries with equal hashes are adjacent, and a search ends at the first free
//! slot or greater hash. The table extends beyond the last home slot and never wraps around.
//!
//! Different names, texts or sizes can have the same hash, so the caller must compare what it finds.
//!
//! The indexes of a listing's items by GUID and title, and of its files by size, are in files beside the segment. The
//! first query that needs an index builds it, because most hosts never make such a query. An index is a hash table.

use std::io;
use std::path::Path;
use std::sync::Mutex;

use once_cell::race::OnceBox;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::layout::{BLOCK, CheckedBytes, FileKind, ReadResult, SegmentHeader, SegmentPart, SegmentWriter};
use super::sorter::PairSorter;
use crate::platform::files;
use crate::platform::map::{FileBytes, MapMode};

/// Percentage of home slots in use. A higher load saves memory but makes searches longer.
const LOAD_PERCENT: usize = 85;
/// A free slot.
const FREE: [u8; 8] = [0; 8];

/// Returns the upper half of a hash. Slots store only this half.
pub fn upper(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or(u32::MAX)
}

/// Returns the two halves of a slot: the upper half of the hash, and the entry.
#[inline]
fn split_slot(slot: u64) -> [u32; 2] {
    [slot & 0xFFFF_FFFF, slot >> 32].map(|half| u32::try_from(half).unwrap_or(u32::MAX))
}

/// Returns the slot index where a search for a hash begins, among `homes` home slots; out of bounds in a damaged table.
#[inline]
fn home_slot(hash: u64, homes: u64) -> usize {
    usize::try_from((hash >> 32).wrapping_mul(homes) >> 32).unwrap_or(usize::MAX)
}

/// Returns the number of slots between this offset and the end of the block.
#[inline]
fn slots_in_block(offset: usize) -> usize {
    (BLOCK - offset % BLOCK) / 8
}

#[derive(Clone, Copy, Debug)]
pub struct HashTable {
    part: SegmentPart,
    homes: u64,
}

impl HashTable {
    pub fn new(part: SegmentPart, homes: u64) -> Self {
        Self { part, homes }
    }

    /// Returns the file offset where the search for this hash begins, for prefetching.
    #[inline]
    pub fn search_offset(&self, hash: u64) -> usize {
        self.part.element_offset(home_slot(hash, self.homes), 8)
    }

    /// Calls `each` in hash order with every entry whose hash is equal to or greater than `hash`, until `each` returns
    /// `true`. Compares only the hashes' upper halves.
    pub fn for_each_from(
        &self,
        file: &CheckedBytes,
        hash: u64,
        mut each: impl FnMut(u32) -> ReadResult<bool>,
    ) -> ReadResult<()> {
        self.scan(file, hash, |upper_hash, entry| {
            Ok(entry != 0 && upper_hash >= upper(hash) && each(entry)?)
        })
    }

    /// Returns the entry whose hash has the same upper half as `hash`; `None` if there is none, or if there are several.
    #[inline]
    pub fn only(&self, file: &CheckedBytes, hash: u64) -> ReadResult<Option<u32>> {
        let (mut only, mut has_other) = (None, false);
        self.find(file, hash, |entry| {
            has_other = only.replace(entry).is_some();
            Ok(has_other)
        })?;
        Ok(only.filter(|_| !has_other))
    }

    /// Calls `each` with every entry whose hash has the same upper half as `hash`, until `each` returns `true`.
    #[inline(always)]
    #[allow(clippy::inline_always)] // saves a tenth of a lookup, as measured
    pub fn find(
        &self,
        file: &CheckedBytes,
        hash: u64,
        mut each: impl FnMut(u32) -> ReadResult<bool>,
    ) -> ReadResult<()> {
        let searched = upper(hash);
        self.scan(file, hash, |upper_hash, entry| {
            // Entries with smaller hashes can extend into the first slots.
            if upper_hash < searched && entry != 0 {
                return Ok(false);
            }
            Ok(entry == 0 || upper_hash > searched || each(entry)?)
        })
    }

    /// Calls `each` with the upper half of the hash and the entry of every slot from the home slot of `hash` on, until
    /// `each` returns `true`. The entry of a free slot is 0.
    #[inline(always)]
    #[allow(clippy::inline_always)] // as for `find`
    fn scan(
        &self,
        file: &CheckedBytes,
        hash: u64,
        mut each: impl FnMut(u32, u32) -> ReadResult<bool>,
    ) -> ReadResult<()> {
        let mut slot = home_slot(hash, self.homes);
        let slots = self.part.len();
        while slot < slots {
            // Read only to the end of the block: few searches need the next block and its verification.
            let offset = self.part.element_offset(slot, 8);
            let in_block = slots_in_block(offset).clamp(1, slots - slot);
            for bytes in file.slice(offset, in_block * 8)?.as_chunks().0 {
                let [upper_hash, entry] = split_slot(u64::from_le_bytes(*bytes));
                if each(upper_hash, entry)? {
                    return Ok(());
                }
            }
            slot += in_block;
        }
        Ok(())
    }
}

/// Seeds of the hashes by which the table of names finds the first path in a folder, by the folder's name, and the items
/// of a show, by the show's rating key. Hashes of file names have no seed.
const FOLDER: u64 = 1;
const SHOW: u64 = 2;

/// Returns the hash of a folder's name, which is in normal form.
pub fn folder_hash(name: &[u8]) -> u64 {
    xxh3_64_with_seed(name, FOLDER)
}

/// Returns the hash of the rating key of a show or artist.
pub fn show_hash(rating_key: &str) -> u64 {
    xxh3_64_with_seed(rating_key.as_bytes(), SHOW)
}

/// Sorts pairs of a hash and an entry, and writes them as a hash table. Returns the table's part and its number of home
/// slots.
pub fn put_table(pairs: PairSorter, body: &mut SegmentWriter) -> io::Result<(SegmentPart, u64)> {
    let homes = (pairs.len() * 100).div_ceil(LOAD_PERCENT).max(1);
    let (begin, mut written) = (body.position(), 0);
    pairs.for_each_sorted(|hash, entry| {
        let slot = home_slot(hash, homes as u64).max(written);
        (written..slot).try_for_each(|_| body.put(&FREE))?;
        written = slot + 1;
        body.put(&(u64::from(entry) << 32 | u64::from(upper(hash))).to_le_bytes())
    })?;
    // The table has all its home slots.
    (written..homes).try_for_each(|_| body.put(&FREE))?;
    Ok((body.end_part(begin, 8)?, homes as u64))
}

/// By what an index finds items or their files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexKey {
    /// GUIDs and folded titles.
    Text,
    /// The sizes of files.
    Size,
}

impl IndexKey {
    /// Returns what the name of the index file has after that of the segment.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Text => ".index",
            Self::Size => ".sizes",
        }
    }
}

/// An index beside a segment, which the first question that needs it opens or builds.
#[derive(Default)]
pub struct IndexSlot {
    pub built: OnceBox<ItemIndex>,
    /// What calls have read whose deadlines passed before the index was built.
    pub partial: Mutex<Option<PartialIndex>>,
}

/// An index that is not built yet.
pub struct PartialIndex {
    /// The process that has begun.
    pub process: u32,
    /// The file offset of the next item.
    pub offset: usize,
    pub hashes: PairSorter,
}

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
        let head = SegmentHeader::decode(&bytes, FileKind::Index).ok();
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
        (head.keys, head.key_homes) = put_table(hashes, &mut body)?;
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
