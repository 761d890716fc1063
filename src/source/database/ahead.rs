//! What was read of a listing ahead of the requested pages.

use std::collections::VecDeque;

use crate::model::Item;

use super::super::contract::{PageEnd, PageRequest};

/// What was read and not yet asked for.
#[derive(Debug, Default)]
pub struct ReadAhead {
    /// Of which library, partition and change token: of another moment of the server's it is worth nothing.
    pub of: Option<(String, usize, String)>,
    /// Behind which position.
    pub after: u64,
    pub items: VecDeque<(i64, Item)>,
    /// Nothing comes behind them.
    pub is_all: bool,
}

impl ReadAhead {
    /// The next page, if what was read goes on where it begins.
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

    /// Forgets what was read.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
