//! A Bloom filter over the newer segments: one check instead of a lookup in each segment.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::platform::map::prefetch;

/// Bits for each hash. Three are set for each: about one in sixty absent hashes is a false positive.
const BITS: usize = 16;

/// A blocked Bloom filter: all bits of a hash are in one word. Hashes may be added during lookups.
pub struct Filter {
    words: Vec<AtomicU64>,
    added: AtomicUsize,
}

/// The word of a hash, and its bits.
fn bits(upper: u32) -> (u64, u64) {
    let mixed = u64::from(upper).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let bit = |shift: u32| 1 << (mixed >> shift & 63);
    (mixed >> 32, bit(0) | bit(6) | bit(12))
}

impl Filter {
    /// A filter with room for twice this number of hashes.
    pub fn new(hashes: usize) -> Self {
        let words = (2 * hashes * BITS / 64).next_power_of_two();
        Self {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            added: AtomicUsize::new(0),
        }
    }

    fn word(&self, place: u64) -> &AtomicU64 {
        &self.words[usize::try_from(place).unwrap_or(0) & (self.words.len() - 1)]
    }

    /// Adds a hash, by its upper half.
    pub fn add(&self, upper: u32) {
        let (place, bits) = bits(upper);
        self.word(place).fetch_or(bits, Ordering::Relaxed);
        self.added.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns whether the filter has no room for `more` hashes.
    pub fn is_too_small(&self, more: usize) -> bool {
        (self.added.load(Ordering::Relaxed) + more) * BITS > self.words.len() * 64
    }

    /// Prefetches the word of a hash.
    #[inline]
    pub fn prefetch(&self, upper: u32) {
        prefetch(std::ptr::from_ref(self.word(bits(upper).0)).cast());
    }

    /// Returns whether a hash may have been added; `false` is certain.
    #[inline]
    pub fn may_have(&self, upper: u32) -> bool {
        let (place, bits) = bits(upper);
        self.word(place).load(Ordering::Relaxed) & bits == bits
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
