//! A Bloom filter for the hashes in the newer record segments. Lookups of other hashes skip these segments.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::record_segment::HASH_MULTIPLIER;
use crate::platform::map::prefetch;

/// Number of filter bits per hash. Each hash sets three bits, so about one in sixty absent hashes is a false positive.
const BITS_PER_HASH: usize = 16;

/// A blocked Bloom filter: all bits of a hash are in one word. Threads can add hashes during lookups.
pub struct BloomFilter {
    /// The filter's words. Their number is a power of two.
    words: Vec<AtomicU64>,
    added: AtomicUsize,
}

/// Returns two values for a hash: a number that selects the filter's word, and a mask with the hash's three bits in
/// this word. `upper` is the hash's upper half, which is all that segments store.
fn word_and_bits(upper: u32) -> (u64, u64) {
    let mixed = u64::from(upper).wrapping_mul(HASH_MULTIPLIER);
    // Each bit position takes six bits of the mixed hash; the upper 32 bits select the word.
    let bit = |shift: u32| 1 << (mixed >> shift & 63);
    (mixed >> 32, bit(0) | bit(6) | bit(12))
}

impl BloomFilter {
    /// Creates a filter with room for twice as many hashes as `hashes`, so that the caller can add later segments.
    pub fn new(hashes: usize) -> Self {
        let words = (2 * hashes * BITS_PER_HASH / 64).next_power_of_two();
        Self {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            added: AtomicUsize::new(0),
        }
    }

    /// Returns the word that `selector`, a number derived from a hash, selects by its lower bits.
    fn word_for(&self, selector: u64) -> &AtomicU64 {
        &self.words[usize::try_from(selector).unwrap_or(0) & (self.words.len() - 1)]
    }

    /// Adds the hash with this upper half. The filter has most hashes of a merged segment already.
    pub fn add(&self, upper: u32) {
        if !self.may_have(upper) {
            let (selector, bits) = word_and_bits(upper);
            self.word_for(selector).fetch_or(bits, Ordering::Relaxed);
            self.added.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns whether the filter has too little room for this number of further hashes. If so, false positives would
    /// become frequent, and the caller creates a larger filter.
    pub fn is_too_small(&self, further_hashes: usize) -> bool {
        (self.added.load(Ordering::Relaxed) + further_hashes) * BITS_PER_HASH > self.words.len() * 64
    }

    /// Prefetches the word for the hash with this upper half.
    #[inline]
    pub fn prefetch(&self, upper: u32) {
        prefetch(std::ptr::from_ref(self.word_for(word_and_bits(upper).0)).cast());
    }

    /// Returns `false` if no hash with this upper half is in the filter. `true` may be a false positive.
    #[inline]
    pub fn may_have(&self, upper: u32) -> bool {
        let (selector, bits) = word_and_bits(upper);
        self.word_for(selector).load(Ordering::Relaxed) & bits == bits
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
