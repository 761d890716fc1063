//! The segment of a listing that is being fetched. Only the fetching process has it.

use std::collections::HashSet;

use crate::engine::segment::ListingBuilder;
use crate::model::{Item, Sequence};

/// The segment of a listing that is being fetched, filled page by page.
pub struct ListingDraft {
    pub(super) builder: ListingBuilder,
    /// For each page, the number of items in this page and all earlier pages, and the change sequence at which the page
    /// was requested.
    pub(super) pages: Vec<(usize, Sequence)>,
}

impl ListingDraft {
    /// Creates a draft without pages. `builder`: an empty builder for the listing's segment.
    pub(super) fn new(builder: ListingBuilder) -> Self {
        Self {
            builder,
            pages: Vec::new(),
        }
    }

    /// Appends a page. `requested_at`: the change sequence at which the page was requested.
    pub fn push_page(&mut self, requested_at: Sequence, items: &[Item]) {
        for item in items {
            self.builder.push(item);
        }
        self.pages.push((self.builder.key_hashes.len(), requested_at));
    }

    /// Returns the number of items in all pages so far.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.builder.items()
    }

    /// Returns the hash of each rating key that occurs more than once in the draft. Duplicates occur when rows move on
    /// the server between two page requests.
    pub(super) fn duplicate_key_hashes(&self) -> HashSet<u64> {
        let mut hashes = self.builder.key_hashes.clone();
        hashes.sort_unstable();
        let equal_pairs = hashes.windows(2).filter(|pair| pair[0] == pair[1]);
        equal_pairs.map(|pair| pair[0]).collect()
    }
}
