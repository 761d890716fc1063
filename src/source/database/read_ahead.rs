//! Stores items of a listing that were read before a page requested them.

use std::collections::VecDeque;

use crate::model::Item;

use super::super::contract::{PageEnd, PageRequest};

/// Identifies a listing: section id, partition and change token.
pub type ListingKey = (String, usize, String);

/// Items of a listing that were read before a page requested them.
#[derive(Debug, Default)]
pub struct ReadAhead {
    pub listing: Option<ListingKey>,
    /// Position of the page that starts with the first item.
    pub position: u64,
    /// The items with their ids, sorted by id.
    pub items: VecDeque<(i64, Item)>,
    /// Whether the last item is also the last item of the partition.
    pub reaches_end: bool,
}

impl ReadAhead {
    /// Moves the requested page to `items`, and returns the page's metadata. Returns `None` if the stored items do not
    /// start with this page. A position is the id of the preceding item.
    pub fn take_page(
        &mut self,
        listing: &ListingKey,
        request: &PageRequest<'_>,
        items: &mut Vec<Item>,
    ) -> Option<PageEnd> {
        let is_usable = self.reaches_end || !self.items.is_empty();
        if self.listing.as_ref() != Some(listing) || self.position != request.position || !is_usable {
            return None;
        }
        let mut rows = 0;
        while rows < request.size
            && let Some((id, item)) = self.items.pop_front()
        {
            items.push(item);
            self.position = id.cast_unsigned();
            rows += 1;
        }
        let is_last_page = self.reaches_end && self.items.is_empty();
        Some(PageEnd {
            rows: rows.into(),
            total: None,
            next: (!is_last_page).then_some(self.position),
            has_shifted: false,
        })
    }
}
