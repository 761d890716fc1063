//! Read-ahead of a listing.

use std::collections::VecDeque;

use crate::model::Item;

use super::super::contract::{PageEnd, PageRequest};

/// Items read ahead of the requested pages.
#[derive(Debug, Default)]
pub struct ReadAhead {
    /// Section, partition and library version that the items belong to. They are useless for another version.
    pub of: Option<(String, usize, String)>,
    /// Position before the first item.
    pub after: u64,
    pub items: VecDeque<(i64, Item)>,
    /// The items reach the end of the partition.
    pub is_all: bool,
}

impl ReadAhead {
    /// Returns the requested page if the items start at its position.
    pub fn page(
        &mut self,
        of: &(String, usize, String),
        request: &PageRequest<'_>,
        items: &mut Vec<Item>,
    ) -> Option<PageEnd> {
        if self.of.as_ref() != Some(of) || self.after != request.position || (self.items.is_empty() && !self.is_all) {
            return None;
        }
        let mut rows = 0;
        while rows < request.size
            && let Some((id, item)) = self.items.pop_front()
        {
            items.push(item);
            self.after = id.cast_unsigned();
            rows += 1;
        }
        let is_last = self.is_all && self.items.is_empty();
        Some(PageEnd {
            rows: rows.into(),
            total: None,
            next: (!is_last).then_some(self.after),
            moved: false,
        })
    }

    /// Drops all items.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
