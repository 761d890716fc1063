//! Verified reads from a segment: the first read of a block verifies the block's checksum.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use super::layout::{BLOCK, SegmentHeader, u64_at};
use crate::platform::map::FileBytes;

/// The error for a failed check or an offset out of bounds. The segment is already marked as broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

/// The result of a read. Callers can ignore an error, because the segment is already marked as broken.
pub type ReadResult<T> = Result<T, Damaged>;

/// The bytes of a segment file, and the set of blocks that have passed verification.
pub struct CheckedBytes {
    bytes: FileBytes,
    /// Offset of the checksum table, which [`CheckedBytes::new`] has verified.
    sums: usize,
    /// Bit n is set if block n has passed verification. Relaxed ordering is enough, because the bytes never change.
    passed: Box<[AtomicU64]>,
    broken: AtomicBool,
}

impl CheckedBytes {
    /// Creates a reader for a segment with the decoded header `head`. Verifies the checksum table, on which all later
    /// checks rely. On failure, returns the reason.
    pub fn new(bytes: FileBytes, head: &SegmentHeader) -> Result<Self, &'static str> {
        let sums = usize::try_from(head.checksums.at).map_err(|_| "the file is too large")?;
        let blocks = sums.div_ceil(BLOCK);
        let table = bytes.get(sums..).ok_or("the file is truncated")?;
        if head.length != bytes.len() as u64 || sums < BLOCK || table.len() != (blocks - 1) * 8 {
            return Err("the file is truncated");
        }
        if xxh3_64(table) != head.checksum_table_hash {
            return Err("the checksum table is damaged");
        }
        let passed: Box<[AtomicU64]> = (0..blocks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        // The header has its own checksum, which has already been verified.
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

    /// Returns `length` bytes at the offset `at`. The first read of a block verifies the block's checksum.
    #[inline]
    pub fn slice(&self, at: usize, length: usize) -> ReadResult<&[u8]> {
        let end = at.wrapping_add(length);
        // If the addition has overflowed, `at` exceeds `end`. The data ends where the checksum table begins.
        if at > end || end > self.sums {
            return Err(self.mark_damaged());
        }
        let first = at / BLOCK;
        let last = end.saturating_sub(1).max(at) / BLOCK;
        if first != last || !self.has_passed(first) {
            self.verify_blocks(first, last)?;
        }
        Ok(&self.bytes[at..end])
    }

    /// Returns `length` verified bytes at the offset `at`, or fewer if the data ends earlier.
    #[inline]
    pub fn up_to(&self, at: usize, length: usize) -> ReadResult<&[u8]> {
        self.slice(at, length.min(self.sums.saturating_sub(at)))
    }

    /// Prefetches the bytes at the offset `at` without verifying them.
    #[inline]
    pub fn prefetch(&self, at: usize) {
        self.bytes.prefetch(at);
    }

    #[inline]
    fn has_passed(&self, block: usize) -> bool {
        self.passed
            .get(block / 64)
            .is_some_and(|word| word.load(Ordering::Relaxed) >> (block % 64) & 1 == 1)
    }

    /// Verifies the blocks from `first` to `last`, except those that have already passed.
    #[inline(never)]
    fn verify_blocks(&self, first: usize, last: usize) -> ReadResult<()> {
        (first..=last)
            .filter(|block| !self.has_passed(*block))
            .try_for_each(|block| self.verify(block))
    }

    /// Verifies a block's checksum, and marks the block as passed.
    #[cold]
    #[inline(never)]
    fn verify(&self, block: usize) -> ReadResult<()> {
        if block * BLOCK >= self.sums {
            // An empty read at the end of the data touches no block.
            return Ok(());
        }
        let end = (block * BLOCK + BLOCK).min(self.sums);
        // The table has no element for block 0, the header.
        let sum = u64_at(&self.bytes, self.sums + (block - 1) * 8);
        if xxh3_64(&self.bytes[block * BLOCK..end]) != sum {
            return Err(self.mark_damaged());
        }
        self.passed[block / 64].fetch_or(1 << (block % 64), Ordering::Relaxed);
        Ok(())
    }

    /// Marks the segment as broken, and returns the error for the caller to return.
    #[cold]
    pub fn mark_damaged(&self) -> Damaged {
        self.broken.store(true, Ordering::Relaxed);
        Damaged
    }

    /// Returns whether a check has failed since the segment was opened.
    #[inline]
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }
}

/// Binary search: returns the first index in `within` for which `before` is `false`, or else `within.end`.
#[inline]
pub fn bisect(mut within: Range<usize>, before: impl Fn(usize) -> ReadResult<bool>) -> ReadResult<usize> {
    while within.start < within.end {
        let middle = within.start + (within.end - within.start) / 2;
        if before(middle)? {
            within.start = middle + 1;
        } else {
            within.end = middle;
        }
    }
    Ok(within.start)
}
