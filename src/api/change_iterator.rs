//! Iterates over the feed, the changes since a cursor.

use std::fmt;
use std::vec;

use super::opened::{Index, Library};
use super::query_builder::Query;
use crate::error::{Result, invalid_argument_error};
use crate::query::Change;

const PAGE_ITEMS: usize = 500;

/// An iterator over the changes since a cursor, oldest first, from [`Index::changes`](crate::Index::changes).
///
/// The iteration reads several hundred changes at a time. An error ends the iteration.
#[derive(Clone)]
#[must_use = "iterators are lazy"]
pub struct Changes {
    index: Index,
    library: Option<Library>,
    cursor: Option<String>,
    page: vec::IntoIter<Change>,
    next_cursor: Option<String>, // the cursor after the current page; `None` once the iteration has passed that page
    has_more: bool,
}

impl Changes {
    /// Creates an iterator. `library` is `None` for all libraries, and `cursor` is `None` for the current position. If
    /// `full` is true, the iteration starts with all items, as added.
    pub(super) fn new(index: &Index, library: Option<&Library>, cursor: Option<&str>, full: bool) -> Result<Self> {
        // Below, an empty cursor stands for `None`.
        if cursor == Some("") {
            return invalid_argument_error(
                "the cursor is empty: pass a cursor from this index, or none for the current position",
            );
        }
        let mut changes = Self {
            index: index.clone(),
            library: library.cloned(),
            cursor: cursor.map(str::to_owned),
            page: Vec::new().into_iter(),
            next_cursor: None,
            has_more: true,
        };
        // Reads a page now, so that the iteration starts at the current position and an invalid cursor fails at once.
        changes.read_page(full)?;
        Ok(changes)
    }

    /// Returns the cursor after the last page that the iteration has passed. Within the first page of a full listing,
    /// returns `None`: a reader that stops there must start again.
    ///
    /// Store the cursor after you have processed the changes. A reader that continues from the cursor misses no
    /// changes, but may see some changes twice.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Reads the page after the cursor; without a cursor, an empty page at the current position. If `full` is true,
    /// reads the first page of all items instead. The cursor moves only once the iteration has passed the page.
    fn read_page(&mut self, full: bool) -> Result<()> {
        let cursor = self.cursor.as_deref().unwrap_or_default();
        let page = Query::new(&self.index, self.library.as_ref()).changes_page(cursor, full, PAGE_ITEMS)?;
        (self.page, self.next_cursor, self.has_more) = (page.changes.into_iter(), Some(page.cursor), page.more);
        // The iteration has passed an empty page at once.
        if self.page.len() == 0 {
            self.finish_page();
        }
        Ok(())
    }

    /// Moves the cursor past the current page. Call this method once the iteration has returned all of the page's
    /// changes: a reader that stops earlier and continues from the cursor reads the page again, and misses no change.
    fn finish_page(&mut self) {
        if let Some(cursor) = self.next_cursor.take() {
            self.cursor = Some(cursor);
        }
    }
}

impl Iterator for Changes {
    type Item = Result<Change>;

    /// Returns the next change, and reads the next page if necessary. After an error, returns `None`.
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
    /// Formats the cursor, which tells how far the iteration is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Changes").field(&self.cursor).finish()
    }
}
