//! Which hashes segments may have: one look instead of one in each of them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::platform::map::prefetch;

/// Bits for each hash; with three of them set for it, one in some sixty that are not there seems to be.
const BITS: usize = 16;

/// A Bloom filter of words: all bits of a hash are in one word. Hashes are only ever added, while others are looked up.
pub struct Filter {
    words: Vec<AtomicU64>,
    added: AtomicUsize,
}

/// Where the bits of a hash are, and which.
fn bits(upper: u32) -> (u64, u64) {
    let mixed = u64::from(upper).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let bit = |shift: u32| 1 << (mixed >> shift & 63);
    (mixed >> 32, bit(0) | bit(6) | bit(12))
}

impl Filter {
    /// For so many hashes, and as many again.
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

    /// Whether so many more are too many.
    pub fn is_too_small(&self, more: usize) -> bool {
        (self.added.load(Ordering::Relaxed) + more) * BITS > self.words.len() * 64
    }

    /// Brings what tells of a hash into the cache.
    #[inline]
    pub fn prefetch(&self, upper: u32) {
        prefetch(std::ptr::from_ref(self.word(bits(upper).0)).cast());
    }

    /// Whether a hash may have been added.
    #[inline]
    pub fn may_have(&self, upper: u32) -> bool {
        let (place, bits) = bits(upper);
        self.word(place).load(Ordering::Relaxed) & bits == bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_there_and_little_else_seems_to_be() {
        let filter = Filter::new(10_000);
        let hash = |n: u32| n.wrapping_mul(0x9E37_79B1).rotate_left(7);
        (0..20_000).for_each(|n| filter.add(hash(n)));
        assert!(filter.is_too_small(1 << 14) && !filter.is_too_small(0));
        assert!((0..20_000).all(|n| filter.may_have(hash(n))));
        let wrong = (20_000..120_000).filter(|n| filter.may_have(hash(*n))).count();
        assert!(wrong < 4_000, "{wrong} of 100,000");
    }
}
