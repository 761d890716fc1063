//! Keyed hashes that only this store can compute.

use super::ids::{listing_text, segment_text};
use crate::model::{ListingName, SegmentName};

/// The key of a store's hashes.
pub struct StoreKey<'s>(pub(super) &'s [u8; 32]);

impl StoreKey<'_> {
    /// Returns the keyed hash of a token, which reveals nothing about the token without the store.
    #[must_use]
    pub fn fingerprint(&self, token: &str) -> Vec<u8> {
        self.keyed(token.as_bytes()).to_vec()
    }

    /// Returns a hash whose key is the secret of this store.
    #[must_use]
    pub fn keyed(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(self.0, bytes).as_bytes()
    }

    /// Returns the keyed hash of a listing segment's name. A segment file contains this hash, as a proof that this
    /// store wrote the file for this library, generation and change sequence.
    #[must_use]
    pub fn name_mac(&self, name: &ListingName) -> u64 {
        self.mac_of(&listing_text(name))
    }

    /// Returns the keyed hash of the name of a segment of records, as [`Self::name_mac`] does for a listing.
    #[must_use]
    pub fn segment_mac(&self, name: &SegmentName) -> u64 {
        self.mac_of(&segment_text(name))
    }

    /// Returns the first eight bytes of the keyed hash of a name.
    fn mac_of(&self, name: &str) -> u64 {
        let mut name_mac = [0; 8];
        name_mac.copy_from_slice(&self.keyed(name.as_bytes())[..8]);
        u64::from_le_bytes(name_mac)
    }
}
