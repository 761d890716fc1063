//! The feed: changes since a cursor.

use std::fmt;
use std::vec;

use super::opened::{Index, Library};
use super::query::Query;
use crate::error::{Result, refuse};
use crate::query::Change;

/// Most items of a page.
const PAGE: usize = 500;

/// The changes since a cursor, oldest first: [`Index::changes`](crate::Index::changes).
///
/// They are read some hundred at a time during the iteration, which ends after an error.
#[derive(Clone)]
#[must_use = "the changes are there to be read"]
pub struct Changes {
    index: Index,
    library: Option<Library>,
    cursor: Option<String>,
    page: vec::IntoIter<Change>,
    /// The cursor after the current page; `None` once that page was read to its end.
    next: Option<String>,
    more: bool,
}

impl Changes {
    pub(super) fn new(index: &Index, library: Option<&Library>, cursor: Option<&str>, full: bool) -> Result<Self> {
        // The C ABI and `read` know no cursor by an empty one.
        if cursor == Some("") {
            return refuse("the cursor is empty: give a cursor of this index, or none for the current position");
        }
        let mut changes = Self {
            index: index.clone(),
            library: library.cloned(),
            cursor: cursor.map(str::to_owned),
            page: Vec::new().into_iter(),
            next: None,
            more: true,
        };
        // Reads a page now, so that the current position is that of this call and an invalid cursor is reported at
        // once.
        changes.read(full)?;
        Ok(changes)
    }

    /// The cursor to continue from: after the last page that was read to its end. `None` within the first page of a
    /// full listing, which has to start again.
    ///
    /// Store the cursor after you have processed the changes. A reader that continues from it misses nothing, and sees
    /// the changes after it again.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    fn read(&mut self, full: bool) -> Result<()> {
        let cursor = self.cursor.as_deref().unwrap_or_default();
        let page = Query::new(&self.index, self.library.as_ref()).changes_page(cursor, full, PAGE)?;
        (self.page, self.next, self.more) = (page.changes.into_iter(), Some(page.cursor), page.more);
        if self.page.len() == 0 {
            self.turn();
        }
        Ok(())
    }

    /// Moves the cursor past a page that was read to its end.
    fn turn(&mut self) {
        if let Some(next) = self.next.take() {
            self.cursor = Some(next);
        }
    }
}

impl Iterator for Changes {
    type Item = Result<Change>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(change) = self.page.next() {
                return Some(Ok(change));
            }
            self.turn();
            if !self.more {
                return None;
            }
            if let Err(error) = self.read(false) {
                self.more = false;
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
