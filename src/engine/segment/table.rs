//! Hash tables of eight-byte slots, ordered by hash. A lookup jumps to a slot and walks a few slots on, nearly always
//! in one cache line.
//!
//! A slot has the hash's upper 32 bits and an entry; 0 is a free slot. The home of a hash is its upper half scaled to
//! the number of homes. Slots are filled in the order of hashes, each at its home or after its predecessor. So equal
//! hashes are neighbours, and a walk ends at the first greater hash. The table extends beyond the last home and never
//! wraps around.

use std::io;

use super::body::SegmentWriter;
use super::bytes::{CheckedBytes, Read};
use super::layout::{BLOCK, SegmentPart};

/// Used home slots in percent.
const LOAD_PERCENT: usize = 85;

/// The number of homes of a table with `entries` entries.
pub fn homes(entries: usize) -> usize {
    (entries * 100).div_ceil(LOAD_PERCENT).max(1)
}

/// Builds a table from entries in the order of their hashes.
pub struct HashTableBuilder {
    pub homes: usize,
    slots_written: usize,
}

impl HashTableBuilder {
    /// A builder for `entries` entries.
    pub fn new(entries: usize) -> Self {
        Self {
            homes: homes(entries),
            slots_written: 0,
        }
    }

    /// Appends the slots up to this entry's.
    pub fn put(&mut self, hash: u64, entry: u32, body: &mut SegmentWriter) -> io::Result<()> {
        let at = home_slot(hash, self.homes as u64).max(self.slots_written);
        self.put_free(at, body)?;
        let slot = u64::from(entry) << 32 | u64::from(upper(hash));
        self.slots_written = at + 1;
        body.put(&slot.to_le_bytes())
    }

    /// Appends the free slots after the last entry.
    pub fn end(mut self, body: &mut SegmentWriter) -> io::Result<()> {
        self.put_free(self.homes, body)
    }

    /// Appends free slots up to a slot.
    fn put_free(&mut self, until: usize, body: &mut SegmentWriter) -> io::Result<()> {
        while self.slots_written < until {
            self.slots_written += 1;
            body.put(&[0; 8])?;
        }
        Ok(())
    }
}

/// The upper half of a hash, which slots store.
pub fn upper(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or(u32::MAX)
}

/// The hash's half in a slot, and the entry.
#[inline]
fn split_slot(slot: u64) -> [u32; 2] {
    [slot & 0xFFFF_FFFF, slot >> 32].map(|half| u32::try_from(half).unwrap_or(u32::MAX))
}

/// Returns the slot where a search begins. In a damaged table it may be out of bounds; reads check the bounds.
#[inline]
fn home_slot(hash: u64, homes: u64) -> usize {
    usize::try_from((hash >> 32).wrapping_mul(homes) >> 32).unwrap_or(usize::MAX)
}

/// A table in a segment.
#[derive(Clone, Copy, Debug)]
pub struct HashTable {
    part: SegmentPart,
    homes: u64,
}

impl HashTable {
    /// Reads the table in this part of the file.
    pub fn new(part: SegmentPart, homes: u64) -> Self {
        Self { part, homes }
    }

    /// The offset where a search for this hash begins.
    #[inline]
    pub fn at(&self, hash: u64) -> usize {
        self.part.byte(home_slot(hash, self.homes), 8)
    }

    /// Calls `each` with the upper halves of the hashes from this one on, in their order, and their entries, until it
    /// returns `true`.
    pub fn for_each_from(
        &self,
        file: &CheckedBytes,
        hash: u64,
        mut each: impl FnMut(u32, u32) -> Read<bool>,
    ) -> Read<()> {
        let slots = self.part.len();
        let mut slot = home_slot(hash, self.homes);
        while slot < slots {
            let at = self.part.byte(slot, 8);
            let here = ((BLOCK - at % BLOCK) / 8).clamp(1, slots - slot);
            for bytes in file.slice(at, here * 8)?.as_chunks().0 {
                let [upper_hash, entry] = split_slot(u64::from_le_bytes(*bytes));
                if entry != 0 && upper_hash >= upper(hash) && each(upper_hash, entry)? {
                    return Ok(());
                }
            }
            slot += here;
        }
        Ok(())
    }

    /// The first entry whose hash has this upper half.
    #[inline]
    pub fn first(&self, file: &CheckedBytes, hash: u64) -> Read<Option<u32>> {
        let mut first = None;
        self.find(file, hash, |entry| {
            first = Some(entry);
            Ok(true)
        })?;
        Ok(first)
    }

    /// Calls `each` with each entry whose hash has this upper half, until it returns `true`.
    #[inline(always)]
    #[allow(clippy::inline_always)] // measured: a tenth of a lookup
    pub fn find(&self, file: &CheckedBytes, hash: u64, mut each: impl FnMut(u32) -> Read<bool>) -> Read<()> {
        let wanted = upper(hash);
        let mut slot = home_slot(hash, self.homes);
        let slots = self.part.len();
        while slot < slots {
            // Read to the end of the block at most: the next block may be unverified, and is rarely needed.
            let at = self.part.byte(slot, 8);
            let here = ((BLOCK - at % BLOCK) / 8).clamp(1, slots - slot);
            for bytes in file.slice(at, here * 8)?.as_chunks().0 {
                let [upper_hash, entry] = split_slot(u64::from_le_bytes(*bytes));
                // One comparison suffices for most slots: the hash of a free slot is 0, less than any other.
                if upper_hash < wanted && entry != 0 {
                    continue;
                }
                if entry == 0 || upper_hash > wanted || each(entry)? {
                    return Ok(());
                }
            }
            slot += here;
        }
        Ok(())
    }
}
