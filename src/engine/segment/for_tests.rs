//! Accessors of segments for tests.

use std::path::Path;

use super::builder::ListingBuilder;
use super::read::{ListingSegment, unusable_segment};
use crate::error::Result;
use crate::knowledge::FileTickets;
use crate::matching::ItemRef;
use crate::model::{Item, Sequence};
use crate::platform::map::FileBytes;

impl ListingBuilder {
    /// Adds an item of the listing.
    pub fn push(&mut self, item: &Item) {
        self.push_item(item, Sequence::default(), &FileTickets::default());
    }
}

impl ListingSegment {
    /// Opens a segment that is in memory.
    ///
    /// # Errors
    /// As [`ListingSegment::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::new(FileBytes::from(bytes)).map_err(|why| unusable_segment(Path::new("in memory"), why))
    }

    /// All items with their first entries, in the order in which they were pushed.
    pub fn items(&self) -> impl Iterator<Item = (u32, ItemRef<'_>)> {
        let mut firsts = Vec::new();
        let _damage_is_marked = self.for_each_first(|first| {
            firsts.push(first.number);
            Ok(())
        });
        let item = |first| Some((first, self.item(first)?));
        firsts.into_iter().filter_map(item)
    }
}
