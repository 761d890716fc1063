//! Iterates over the feed: the changes since a cursor.

use std::fmt;
use std::vec;

use super::opened::{Index, Library};
use super::query_builder::Query;
use crate::error::{Result, refuse};
use crate::query::Change;

/// Maximum number of items of a page.
const PAGE_ITEMS: usize = 500;

/// The changes since a cursor, oldest first: [`Index::changes`](crate::Index::changes).
///
/// The iteration reads some hundred changes at a time, and ends after an error.
#[derive(Clone)]
#[must_use = "the changes are there to be read"]
pub struct Changes {
    index: Index,
    library: Option<Library>,
    cursor: Option<String>,
    page: vec::IntoIter<Change>,
    /// The cursor after the current page; `None` once the iteration has passed that page.
    next_cursor: Option<String>,
    has_more: bool,
}

impl Changes {
    /// Starts an iteration. `library`: `None` means all libraries. `cursor`: `None` means the current position. With
    /// `full`, the iteration begins with all items, as added.
    pub(super) fn new(index: &Index, library: Option<&Library>, cursor: Option<&str>, full: bool) -> Result<Self> {
        // `changes_page` takes an empty cursor for none.
        if cursor == Some("") {
            return refuse("the cursor is empty: give a cursor of this index, or none for the current position");
        }
        let mut changes = Self {
            index: index.clone(),
            library: library.cloned(),
            cursor: cursor.map(str::to_owned),
            page: Vec::new().into_iter(),
            next_cursor: None,
            has_more: true,
        };
        // Reads a page now, so that the position is the current one, and an invalid cursor fails at once.
        changes.read_page(full)?;
        Ok(changes)
    }

    /// Returns the cursor after the last page that the iteration has passed; `None` within the first page of a full
    /// listing: a reader that stops there has to start again.
    ///
    /// Store the cursor after you have processed the changes. A reader that continues from the cursor misses nothing,
    /// and may see some changes again.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Reads the page after the cursor. `full` restarts with all items.
    fn read_page(&mut self, full: bool) -> Result<()> {
        let cursor = self.cursor.as_deref().unwrap_or_default();
        let page = Query::new(&self.index, self.library.as_ref()).changes_page(cursor, full, PAGE_ITEMS)?;
        (self.page, self.next_cursor, self.has_more) = (page.changes.into_iter(), Some(page.cursor), page.more);
        if self.page.len() == 0 {
            self.finish_page();
        }
        Ok(())
    }

    /// Moves the cursor behind the current page.
    fn finish_page(&mut self) {
        if let Some(cursor) = self.next_cursor.take() {
            self.cursor = Some(cursor);
        }
    }
}

impl Iterator for Changes {
    type Item = Result<Change>;

    /// Returns the next change, and reads the next page if necessary.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(change) = self.page.next() {
                return Some(Ok(change));
            }
            self.finish_page();
            if !self.has_more {
                return None;
            }
            if let Err(error) = self.read_page(false) {
                self.has_more = false;
                return Some(Err(error));
            }
        }
    }
}

impl std::iter::FusedIterator for Changes {}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Changes").field(&self.cursor).finish()
    }
}
