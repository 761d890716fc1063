//! Hash tables of eight-byte slots, sorted by hash. A lookup jumps to a slot and reads a few slots from there, nearly
//! always in one cache line.
//!
//! The lower half of a slot contains the upper half of a hash; the upper half contains the number of an entry, which is
//! never 0. A free slot is zero. The home slot for a hash is the upper half of the hash, scaled to the number of home
//! slots. The builder fills slots in hash order. An entry goes to its home slot or, if that slot is taken, to the slot
//! after the previous entry. As a result, entries with equal hashes are adjacent, and a search ends at the first free
//! slot or greater hash. The table extends beyond the last home slot and never wraps around.

use std::io;

use super::checked_bytes::{CheckedBytes, ReadResult};
use super::layout::{BLOCK, SegmentPart};
use super::segment_writer::SegmentWriter;

/// Percentage of home slots in use. A higher load saves memory but makes searches longer.
const LOAD_PERCENT: usize = 85;

/// Returns the number of home slots for this number of entries. The entries then use [`LOAD_PERCENT`] of these slots.
pub fn home_slot_count(entries: usize) -> usize {
    (entries * 100).div_ceil(LOAD_PERCENT).max(1)
}

/// Builds a table from entries in hash order.
pub struct HashTableBuilder {
    pub homes: usize,
    slots_written: usize,
}

impl HashTableBuilder {
    pub fn new(entries: usize) -> Self {
        Self {
            homes: home_slot_count(entries),
            slots_written: 0,
        }
    }

    /// Writes an entry to its slot, after free slots for the gap before it. Hashes must come in ascending order.
    pub fn put(&mut self, hash: u64, entry: u32, body: &mut SegmentWriter) -> io::Result<()> {
        let slot_index = home_slot(hash, self.homes as u64).max(self.slots_written);
        let slot = u64::from(entry) << 32 | u64::from(upper(hash));
        let free_bytes = (slot_index - self.slots_written) * 8;
        let out = body.buffer_for(free_bytes + 8)?;
        out.resize(out.len() + free_bytes, 0);
        out.extend_from_slice(&slot.to_le_bytes());
        self.slots_written = slot_index + 1;
        body.flush_pieces()
    }

    /// Writes the free slots after the last entry, so that the table has all its home slots.
    pub fn end(self, body: &mut SegmentWriter) -> io::Result<()> {
        let free_bytes = self.homes.saturating_sub(self.slots_written) * 8;
        let out = body.buffer_for(free_bytes)?;
        out.resize(out.len() + free_bytes, 0);
        body.flush_pieces()
    }
}

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
    /// `true`. Compares only the hashes' upper halves. The first argument of `each` is the upper half of the entry's
    /// hash.
    pub fn for_each_from(
        &self,
        file: &CheckedBytes,
        hash: u64,
        mut each: impl FnMut(u32, u32) -> ReadResult<bool>,
    ) -> ReadResult<()> {
        let slots = self.part.len();
        let mut slot = home_slot(hash, self.homes);
        while slot < slots {
            let offset = self.part.element_offset(slot, 8);
            let in_block = slots_in_block(offset).clamp(1, slots - slot);
            for bytes in file.slice(offset, in_block * 8)?.as_chunks().0 {
                let [upper_hash, entry] = split_slot(u64::from_le_bytes(*bytes));
                if entry != 0 && upper_hash >= upper(hash) && each(upper_hash, entry)? {
                    return Ok(());
                }
            }
            slot += in_block;
        }
        Ok(())
    }

    /// Returns the first entry whose hash has the same upper half as `hash`, if any.
    #[inline]
    pub fn first(&self, file: &CheckedBytes, hash: u64) -> ReadResult<Option<u32>> {
        let mut first = None;
        self.find(file, hash, |entry| {
            first = Some(entry);
            Ok(true)
        })?;
        Ok(first)
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
        let mut slot = home_slot(hash, self.homes);
        let slots = self.part.len();
        while slot < slots {
            // Read only to the end of the block: few searches need the next block and its verification.
            let offset = self.part.element_offset(slot, 8);
            let in_block = slots_in_block(offset).clamp(1, slots - slot);
            for bytes in file.slice(offset, in_block * 8)?.as_chunks().0 {
                let [upper_hash, entry] = split_slot(u64::from_le_bytes(*bytes));
                // Entries with smaller hashes can extend into this slot.
                if upper_hash < searched && entry != 0 {
                    continue;
                }
                if entry == 0 || upper_hash > searched || each(entry)? {
                    return Ok(());
                }
            }
            slot += in_block;
        }
        Ok(())
    }
}
