//! Hash tables of eight-byte slots, ordered by hash: a look-up is one jump and a short walk, nearly always in one cache line.
//!
//! A slot has the hash's upper 32 bits and an entry; an entry is never 0, so a slot of 0 is free. The home of a hash is its
//! upper half scaled to the number of homes, and slots are filled in order of the hashes, each at its home or behind its
//! predecessor. So the table is sorted but for the gaps: equal hashes are neighbours, and a walk ends at the first greater
//! one. It may reach beyond the last home, but never wraps around.

use std::io;

use super::body::SegmentWriter;
use super::bytes::{CheckedBytes, Read};
use super::layout::{BLOCK, SegmentPart};

/// Slots in a hundred that are taken.
const LOAD: usize = 85;

/// How many homes a table of so many entries has.
pub fn homes(entries: usize) -> usize {
    (entries * 100).div_ceil(LOAD).max(1)
}

/// Makes the slots of a table, from hashes and entries in order of the hashes.
pub struct HashTableBuilder {
    homes: usize,
    made: usize,
}

impl HashTableBuilder {
    /// Of a table of so many entries.
    pub fn new(entries: usize) -> Self {
        Self {
            homes: homes(entries),
            made: 0,
        }
    }

    /// Appends the slots up to this entry's.
    pub fn put(&mut self, hash: u64, entry: u32, body: &mut SegmentWriter) -> io::Result<()> {
        let at = home(hash, self.homes as u64).max(self.made);
        self.free(at, body)?;
        let slot = u64::from(entry) << 32 | u64::from(upper(hash));
        self.made = at + 1;
        body.put(&slot.to_le_bytes())
    }

    /// Appends those behind the last one.
    pub fn end(mut self, body: &mut SegmentWriter) -> io::Result<()> {
        self.free(self.homes, body)
    }

    fn free(&mut self, until: usize, body: &mut SegmentWriter) -> io::Result<()> {
        while self.made < until {
            self.made += 1;
            body.put(&[0; 8])?;
        }
        Ok(())
    }
}

/// The half of a hash that is kept in slots.
pub fn upper(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or(u32::MAX)
}

/// The hash's half in a slot, and the entry.
#[inline]
fn halves(slot: u64) -> [u32; 2] {
    [slot & 0xFFFF_FFFF, slot >> 32].map(|half| u32::try_from(half).unwrap_or(u32::MAX))
}

/// Where a search begins. No table has 2^32 homes; of one that says so the slot is any, and checked where it is read.
#[inline]
fn home(hash: u64, homes: u64) -> usize {
    usize::try_from((hash >> 32).wrapping_mul(homes) >> 32).unwrap_or(usize::MAX)
}

/// A table in a segment.
#[derive(Clone, Copy, Debug)]
pub struct HashTable {
    part: SegmentPart,
    homes: u64,
}

impl HashTable {
    /// The table in this part of the file.
    pub fn new(part: SegmentPart, homes: u64) -> Self {
        Self { part, homes }
    }

    /// The byte where a search for this hash begins.
    #[inline]
    pub fn at(&self, hash: u64) -> usize {
        self.part.byte(home(hash, self.homes), 8)
    }

    /// Gives `each` the upper halves of all hashes.
    pub fn uppers(&self, file: &CheckedBytes, mut each: impl FnMut(u32)) -> Read<()> {
        let slots = self.part.len();
        let mut slot = 0;
        while slot < slots {
            let at = self.part.byte(slot, 8);
            let here = ((BLOCK - at % BLOCK) / 8).clamp(1, slots - slot);
            for bytes in file.slice(at, here * 8)?.as_chunks().0 {
                let [kept, entry] = halves(u64::from_le_bytes(*bytes));
                if entry != 0 {
                    each(kept);
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

    /// Gives each entry whose hash has this upper half to `each`, until it says that it has enough.
    #[inline(always)]
    #[allow(clippy::inline_always)] // measured: a tenth of a lookup
    pub fn find(&self, file: &CheckedBytes, hash: u64, mut each: impl FnMut(u32) -> Read<bool>) -> Read<()> {
        let wanted = upper(hash);
        let mut slot = home(hash, self.homes);
        let slots = self.part.len();
        while slot < slots {
            // To the block's end at most: what lies behind it may not have been verified, and is rarely needed.
            let at = self.part.byte(slot, 8);
            let here = ((BLOCK - at % BLOCK) / 8).clamp(1, slots - slot);
            for bytes in file.slice(at, here * 8)?.as_chunks().0 {
                let [kept, entry] = halves(u64::from_le_bytes(*bytes));
                // One comparison for most of the walk; a free slot is less than any hash but 0.
                if kept < wanted && entry != 0 {
                    continue;
                }
                if entry == 0 || kept > wanted || each(entry)? {
                    return Ok(());
                }
            }
            slot += here;
        }
        Ok(())
    }
}
