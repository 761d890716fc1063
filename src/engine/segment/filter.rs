//! A Bloom filter over the newer segments: one check instead of a lookup in each segment.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::platform::map::prefetch;

/// Size of the filter in bits per hash. Each hash sets three bits, so about one in sixty absent hashes is a false
/// positive.
const BITS: usize = 16;

/// A blocked Bloom filter: all bits of a hash are in one word. Hashes may be added during lookups.
pub struct Filter {
    words: Vec<AtomicU64>,
    added: AtomicUsize,
}

/// Returns the number of a hash's word, before it is reduced to the number of words, and its bits in the word.
fn bits(upper: u32) -> (u64, u64) {
    let mixed = u64::from(upper).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let bit = |shift: u32| 1 << (mixed >> shift & 63);
    (mixed >> 32, bit(0) | bit(6) | bit(12))
}

impl Filter {
    /// Creates a filter for up to twice this number of hashes.
    pub fn new(hashes: usize) -> Self {
        let words = (2 * hashes * BITS / 64).next_power_of_two();
        Self {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            added: AtomicUsize::new(0),
        }
    }

    fn word(&self, number: u64) -> &AtomicU64 {
        &self.words[usize::try_from(number).unwrap_or(0) & (self.words.len() - 1)]
    }

    /// Adds a hash, by its upper half.
    pub fn add(&self, upper: u32) {
        let (word, bits) = bits(upper);
        self.word(word).fetch_or(bits, Ordering::Relaxed);
        self.added.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns whether the filter is too small for `more` further hashes.
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
        let (word, bits) = bits(upper);
        self.word(word).load(Ordering::Relaxed) & bits == bits
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
