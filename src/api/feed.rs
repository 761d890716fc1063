//! The feed: what changed since a cursor.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::vec;

use super::answer::Item;
use super::error::Result;
use super::paths::{known, path_of};
use crate::index::{self, ChangeKind, QueryOptions};

/// Of how many items a page tells.
const PAGE: usize = 500;

/// What happened to an item's file, or to a library. It shows as the word for it, with the item.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Which of these.
    pub kind: ChangeKind,
    /// Section id of the library.
    pub section: String,
    /// Title of the library.
    pub library_title: String,
    /// The item: as it is since, or as it was when it was removed. `None` with [`ChangeKind::ListAgain`].
    pub item: Option<Item>,
    /// The file, as the server spells it: each file of an item has a change. `None` where it has no file.
    pub path: Option<PathBuf>,
    /// Where the file was that moved; with [`ChangeKind::Changed`] another file, which the item has lost.
    pub from: Option<PathBuf>,
    /// The rating key that the item had before, where it has another one since.
    pub from_key: Option<String>,
}

impl Change {
    fn of(told: index::FeedChange, key: impl Fn(&str) -> String) -> Self {
        let path = known(told.path).map(path_of);
        let (library_title, section) = told.library;
        let item = told.item.map(|item| {
            let key = key(&item.rating_key);
            Item {
                path: path.clone(),
                section: Some(section.clone()),
                library_title: Some(library_title.clone()),
                ..Item::of(item, key)
            }
        });
        Self {
            kind: told.kind,
            section,
            library_title,
            item,
            path,
            from: told.from.map(path_of),
            from_key: told.from_key,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.item {
            Some(item) => write!(f, "{}: {item}", self.kind),
            None => write!(f, "{}: library '{}'", self.kind, self.library_title),
        }
    }
}

/// What changed since a cursor was given, oldest first: [`Index::changes`](crate::Index::changes).
///
/// Read some hundred at a time while you iterate. After an error it ends.
#[derive(Clone)]
#[must_use = "the changes are there to be read"]
pub struct Changes {
    index: Arc<index::Index>,
    library: Option<Arc<index::Library>>,
    token: Option<String>,
    page: vec::IntoIter<index::FeedChange>,
    /// The cursor behind the page, until that was read to its end.
    next: Option<String>,
    more: bool,
}

impl Changes {
    pub(super) fn new(
        index: &Arc<index::Index>,
        library: Option<&Arc<index::Library>>,
        token: Option<&str>,
        full: bool,
    ) -> Result<Self> {
        let mut changes = Self {
            index: Arc::clone(index),
            library: library.cloned(),
            token: token.map(str::to_owned),
            page: Vec::new().into_iter(),
            next: None,
            more: true,
        };
        // The cursor of now is that of this call, and what is wrong with a cursor is said at once.
        changes.read(full)?;
        Ok(changes)
    }

    /// Where to go on: behind the last page that was iterated to its end. `None` within the first page of a full listing: then
    /// that begins anew.
    ///
    /// Keep it once you have done what the changes ask for: who goes on from it misses nothing, and sees again at most what
    /// came behind it.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    fn read(&mut self, full: bool) -> Result<()> {
        let query = QueryOptions {
            library: self.library.as_deref(),
            ..QueryOptions::default()
        };
        let token = self.token.as_deref().unwrap_or_default();
        let page = self.index.changes(&query, token, full, PAGE)?;
        (self.page, self.next, self.more) = (page.changes.into_iter(), Some(page.token), page.more);
        if self.page.len() == 0 {
            self.turn();
        }
        Ok(())
    }

    /// A page was read to its end.
    fn turn(&mut self) {
        if let Some(next) = self.next.take() {
            self.token = Some(next);
        }
    }
}

impl Iterator for Changes {
    type Item = Result<Change>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(told) = self.page.next() {
                return Some(Ok(Change::of(told, |rating_key| self.index.key(rating_key))));
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
        f.debug_tuple("Changes").field(&self.token).finish()
    }
}
