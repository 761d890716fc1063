//! Keyed hashes, which only this store can compute.

use super::ids::{listing_text, segment_text};
use crate::model::{ListingName, SegmentName};

/// The key for a store's keyed hashes.
pub struct StoreKey<'s>(pub(super) &'s [u8; 32]);

impl StoreKey<'_> {
    /// Returns the keyed hash of a token, which the store saves instead of the token. Without the store's key, the hash
    /// reveals nothing about the token.
    #[must_use]
    pub fn fingerprint(&self, token: &str) -> Vec<u8> {
        self.keyed(token.as_bytes()).to_vec()
    }

    /// Returns the keyed hash of `bytes`, which nobody can compute without the store's key.
    #[must_use]
    pub fn keyed(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(self.0, bytes).as_bytes()
    }

    /// Returns the keyed hash of a listing segment's name. A segment file contains this hash, which proves that this
    /// store wrote the file for this library, generation and change sequence.
    #[must_use]
    pub fn name_mac(&self, name: &ListingName) -> u64 {
        self.mac_of(&listing_text(name))
    }

    /// Returns the keyed hash of a record segment's name. A segment file contains this hash, which proves that this
    /// store wrote the file under this name.
    #[must_use]
    pub fn segment_mac(&self, name: &SegmentName) -> u64 {
        self.mac_of(&segment_text(name))
    }

    /// Returns the first eight bytes of a name's keyed hash as a number.
    fn mac_of(&self, name: &str) -> u64 {
        let mut name_mac = [0; 8];
        name_mac.copy_from_slice(&self.keyed(name.as_bytes())[..8]);
        u64::from_le_bytes(name_mac)
    }
}
