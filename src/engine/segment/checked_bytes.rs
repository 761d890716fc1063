//! Verified bytes: each block is checked once, on its first read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use super::layout::{BLOCK, SegmentHead, u64_at};
use crate::platform::map::FileBytes;

/// A failed check, or an offset out of bounds. The segment is marked as broken already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

/// The result of a read. Callers can ignore an error, since the segment is already marked as broken.
pub type Read<T> = Result<T, Damaged>;

/// A file with its checksums and the blocks that passed them.
pub struct CheckedBytes {
    bytes: FileBytes,
    /// The offset of the table of checksums, which was verified at opening.
    sums: usize,
    /// Bit n: block n has passed. Relaxed throughout: the bytes never change, so the bits order nothing.
    passed: Box<[AtomicU64]>,
    broken: AtomicBool,
}

impl CheckedBytes {
    /// Verifies the table of checksums, on which all later checks rest. The error says what is wrong.
    pub fn new(bytes: FileBytes, head: &SegmentHead) -> Result<Self, &'static str> {
        let sums = usize::try_from(head.sums.at).map_err(|_| "it is too large")?;
        let blocks = sums.div_ceil(BLOCK);
        let table = bytes.get(sums..).ok_or("it was cut off")?;
        if head.length != bytes.len() as u64 || sums < BLOCK || table.len() != (blocks - 1) * 8 {
            return Err("it was cut off");
        }
        if xxh3_64(table) != head.sums_sum {
            return Err("its check sums are damaged");
        }
        let passed: Box<[AtomicU64]> = (0..blocks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        // The head has its own sum.
        if let Some(first) = passed.first() {
            first.store(1, Ordering::Relaxed);
        }
        Ok(Self {
            bytes,
            sums,
            passed,
            broken: AtomicBool::new(false),
        })
    }

    /// Returns `length` verified bytes at `at`.
    #[inline]
    pub fn slice(&self, at: usize, length: usize) -> Read<&[u8]> {
        let end = at.wrapping_add(length);
        // The table of sums is not read through this function.
        if at > end || end > self.sums {
            return Err(self.fail());
        }
        let first = at / BLOCK;
        let last = end.saturating_sub(1).max(at) / BLOCK;
        if first != last || !self.has_passed(first) {
            self.verify_blocks(first, last)?;
        }
        Ok(&self.bytes[at..end])
    }

    /// Returns up to `length` verified bytes at `at`, fewer at the end of the file.
    #[inline]
    pub fn up_to(&self, at: usize, length: usize) -> Read<&[u8]> {
        self.slice(at, length.min(self.sums.saturating_sub(at)))
    }

    /// Prefetches the bytes at `at`, verified or not.
    #[inline]
    pub fn prefetch(&self, at: usize) {
        self.bytes.prefetch(at);
    }

    /// Returns whether a block has passed its check.
    #[inline]
    fn has_passed(&self, block: usize) -> bool {
        self.passed
            .get(block / 64)
            .is_some_and(|word| word.load(Ordering::Relaxed) >> (block % 64) & 1 == 1)
    }

    /// Verifies the blocks from `first` to `last` that have not passed yet.
    #[inline(never)]
    fn verify_blocks(&self, first: usize, last: usize) -> Read<()> {
        (first..=last)
            .filter(|block| !self.has_passed(*block))
            .try_for_each(|block| self.verify(block))
    }

    /// Compares a block with its checksum, and notes that it has passed.
    #[cold]
    #[inline(never)]
    fn verify(&self, block: usize) -> Read<()> {
        if block * BLOCK >= self.sums {
            // This is an empty read at the end of the file.
            return Ok(());
        }
        let end = (block * BLOCK + BLOCK).min(self.sums);
        let sum = u64_at(&self.bytes, self.sums + (block - 1) * 8);
        if xxh3_64(&self.bytes[block * BLOCK..end]) != sum {
            return Err(self.fail());
        }
        self.passed[block / 64].fetch_or(1 << (block % 64), Ordering::Relaxed);
        Ok(())
    }

    /// Marks the segment as broken, and returns the error for the caller.
    #[cold]
    pub fn fail(&self) -> Damaged {
        self.broken.store(true, Ordering::Relaxed);
        Damaged
    }

    /// Returns whether any check has failed.
    #[inline]
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }
}
