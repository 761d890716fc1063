//! A listing under way, in the process that fetches it: the segment that its pages fill.

use std::collections::HashSet;

use crate::engine::segment::ListingBuilder;
use crate::model::{Item, Sequence};

/// The segment of a listing under way. It has the pages in their order.
pub struct ListingDraft {
    pub(super) builder: ListingBuilder,
    /// For each page, the number of items up to its end, and the change sequence of its request.
    pub(super) pages: Vec<(usize, Sequence)>,
}

impl ListingDraft {
    /// Starts a draft without pages. `builder`: an empty builder of the listing's segment.
    pub(super) fn new(builder: ListingBuilder) -> Self {
        Self {
            builder,
            pages: Vec::new(),
        }
    }

    /// Adds a page that was requested at this change sequence.
    pub fn push_page(&mut self, requested_at: Sequence, items: &[Item]) {
        for item in items {
            self.builder.push(item);
        }
        self.pages.push((self.builder.key_hashes.len(), requested_at));
    }

    /// Returns the number of items.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.builder.items()
    }

    /// Returns the hashes of rating keys that several items have, because rows moved on the server between two pages.
    pub(super) fn twins(&self) -> HashSet<u64> {
        let mut hashes = self.builder.key_hashes.clone();
        hashes.sort_unstable();
        let twins = hashes.windows(2).filter(|two| two[0] == two[1]);
        twins.map(|two| two[0]).collect()
    }
}
