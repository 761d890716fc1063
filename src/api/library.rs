//! The methods of a library of an index.

use std::path::Path;
use std::vec;

use super::change_iterator::Changes;
use super::editing::EditError;
use super::host_paths::bytes_of;
use super::opened::Index;
use super::opened::Library;
use super::query_builder::{Query, Refreshed};
use crate::disk::{Rules, WalkFindings, WalkStarts};
use crate::edit::EditReport;
use crate::error::Result;
use crate::matching::{Scope, tidy};
use crate::model;
use crate::query::{Answer, FileFilter, Folder, FolderFacts, Item, Match};
use crate::source::{FieldChange, Lock};
use crate::sync::Resolved;

/// Number of items of a page.
const PAGE_ITEMS: usize = 500;

impl Library {
    /// Returns the key of an item by its rating key.
    #[doc(hidden)]
    #[must_use]
    pub fn key(&self, rating_key: &str) -> String {
        self.reading.kind().key(rating_key)
    }

    /// Returns the part of a key before the rating key, such as `/library/metadata/`.
    #[doc(hidden)]
    #[must_use]
    #[inline]
    pub fn key_prefix(&self) -> &'static str {
        self.reading.kind().key_prefix
    }

    /// Returns the stored description of the library; `None` for a handle of all libraries or of an unknown library.
    #[doc(hidden)]
    #[must_use]
    pub fn known(&self) -> Option<model::Library> {
        let snapshot = self.reading.snapshot();
        match self.selection.resolve(&snapshot) {
            Ok(Resolved::Scope(Scope::One(index))) => snapshot.rows.get(index).map(|row| row.library.clone()),
            _ => None,
        }
    }

    /// Returns whether the library is known. Always `true` for all libraries.
    #[must_use]
    pub fn is_known(&self) -> bool {
        let resolved = self.selection.resolve(&self.reading.snapshot());
        matches!(resolved, Ok(Resolved::Scope(_)))
    }

    /// Returns whether this library belongs to `index`.
    #[doc(hidden)] // for the C functions
    #[must_use]
    pub fn is_of(&self, index: &Index) -> bool {
        self.index.is(index)
    }

    /// Begins a query of this library. A query can have a deadline, be offline, or report progress.
    pub fn query(&self) -> Query<'_> {
        Query::new(&self.index, Some(self))
    }

    /// Finds the item of a file. Fetches the library if necessary.
    ///
    /// The path is the host's, and the file need not exist. plexindex compares bytes that are not UTF-8 unchanged; on
    /// Unix, pass them with `OsStr::from_bytes`. A relative path, or a path with `..`, can match by suffix only: give
    /// an absolute path, or a [`Mapping`](crate::Mapping).
    ///
    /// plexindex asks the server about a path that is not listed, but at most once in half a minute for all paths and
    /// processes together. Until then, a new file is [`Reason::NotListed`](crate::Reason::NotListed). [`Query::check`]
    /// asks at once.
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn match_path(&self, path: impl AsRef<Path>) -> Result<Match> {
        self.query().match_path(path)
    }

    /// [`Library::match_path`] without waiting: see [`Query::match_path_at_once`].
    ///
    /// # Errors
    /// As [`Query::match_path_at_once`].
    pub fn match_path_at_once(&self, path: impl AsRef<Path>) -> Result<Match> {
        self.query().match_path_at_once(path)
    }

    /// Finds the items of many files, and returns the answers in order. An invalid path gets an error; the other paths
    /// get answers.
    ///
    /// # Errors
    /// Errors that concern all paths, as [`Query::match_path`].
    pub fn match_paths<P: AsRef<Path>>(&self, paths: impl IntoIterator<Item = P>) -> Result<Vec<Result<Match>>> {
        self.query().match_paths(paths)
    }

    /// Finds the show, season, artist, album or item of a folder, and counts its files: [`Query::match_folder`].
    ///
    /// ```no_run
    /// # let folder = tempfile::tempdir()?;
    /// # let index = plexindex::Index::open(plexindex::Options {
    /// #     server_url: Some("http://127.0.0.1:32400".to_owned()),
    /// #     token: plexindex::Token::new("YOUR-TOKEN"),
    /// #     ..plexindex::Options::new(folder.path())
    /// # })?;
    /// let season = "/media/shows/Planet Earth (2006)/Season 01";
    /// let shows = index.library(plexindex::Selector::All)?;
    /// let found = shows.match_folder(season)?;
    /// assert_eq!(found.kind, Some(plexindex::ItemType::Season));
    /// for item in shows.items_below(season) {
    ///     println!("{}", item?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn match_folder(&self, path: impl AsRef<Path>) -> Result<Folder> {
        self.query().match_folder(path)
    }

    /// Iterates over the items with files below a folder, ordered by path. [`Item::path`] is the file; an item with
    /// several files appears once for each. The iteration reads pages, so memory stays small. Sends no request.
    ///
    /// During concurrent changes, each file that does not change appears exactly once. A folder that matches only by
    /// its suffix counts only with high confidence. An error ends the iteration:
    /// [`ErrorKind::NotFetched`](crate::ErrorKind::NotFetched) for a library that was never fetched, or was evicted.
    pub fn items_below(&self, path: impl AsRef<Path>) -> ItemsBelow {
        ItemsBelow {
            library: self.clone(),
            folder: bytes_of(&path).to_vec(),
            after: Some(Vec::new()),
            page: Vec::new().into_iter(),
        }
    }

    /// Finds the items with a GUID: [`Query::match_guid`].
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn match_guid(&self, guid: &str) -> Result<Match> {
        self.query().match_guid(guid)
    }

    /// Finds the items with a title: [`Query::search_title`].
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn search_title(&self, title: &str) -> Result<Match> {
        self.query().search_title(title)
    }

    /// Returns the key of the item with this path, such as `/library/metadata/1002`, if a fast lookup finds it with
    /// high confidence. Sends no request, and does not wait for other threads. After `None` use
    /// [`Library::match_path`].
    #[must_use]
    pub fn lookup_key(&self, path: impl AsRef<Path>) -> Option<String> {
        let key = |rating_key: &str| [self.key_prefix(), rating_key].concat();
        self.lookup_rating_key_of(bytes_of(&path), key)
    }

    /// [`Library::lookup_key`] for many paths, in order.
    #[must_use]
    pub fn lookup_keys<P: AsRef<Path>>(&self, paths: impl IntoIterator<Item = P>) -> Vec<Option<String>> {
        let paths: Vec<P> = paths.into_iter().collect();
        let mut keys = Vec::with_capacity(paths.len());
        self.lookup_rating_keys(paths.iter().map(bytes_of), |rating_key| {
            keys.push(rating_key.map(|rating_key| [self.key_prefix(), rating_key].concat()));
        });
        keys
    }

    /// [`Library::lookup_key`] without a copy: passes the rating key, such as `1002`, to `then`.
    pub fn lookup_rating_key<R>(&self, path: impl AsRef<Path>, then: impl FnOnce(&str) -> R) -> Option<R> {
        self.lookup_rating_key_of(bytes_of(&path), then)
    }

    /// [`Library::lookup_rating_key`] for the bytes of a path.
    #[doc(hidden)]
    pub fn lookup_rating_key_of<R>(&self, path: &[u8], then: impl FnOnce(&str) -> R) -> Option<R> {
        self.reading.lookup_key(&self.selection, path, then)
    }

    /// [`Library::lookup_rating_key`] for many paths, in order: passes each result to `each`.
    #[doc(hidden)]
    pub fn lookup_rating_keys<'p>(&self, paths: impl Iterator<Item = &'p [u8]>, each: impl FnMut(Option<&str>)) {
        self.reading.lookup_keys(&self.selection, paths, each);
    }

    /// Records that a path belongs to an item, given by key or rating key of at most 255 bytes. From now on, every
    /// process answers with this item. plexindex does not ask the server whether the item exists: until the library is
    /// fetched, answers have only the keys, and afterwards an item that is not listed is ignored.
    /// [`Query::record_match`] takes a deadline.
    ///
    /// # Errors
    /// As [`Query::record_match`].
    pub fn record_match(&self, path: impl AsRef<Path>, key: &str) -> Result<()> {
        self.query().record_match(path, key)
    }

    /// Records many matches, all or none: [`Query::record_matches`].
    ///
    /// # Errors
    /// As [`Query::record_match`].
    pub fn record_matches<P: AsRef<Path>, K: AsRef<str>>(
        &self,
        matches: impl IntoIterator<Item = (P, K)>,
    ) -> Result<()> {
        self.query().record_matches(matches)
    }

    /// Invalidates a path. Removes its recorded match. If an item lists the path, plexindex asks the server about that
    /// item before it returns the item again.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument); errors of the store.
    pub fn invalidate_path(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = bytes_of(&path);
        self.index.inner().queries.display.check_path(path)?;
        let tidied = tidy(path);
        let paths: Vec<&[u8]> = [tidied.as_deref(), Some(path)].into_iter().flatten().collect();
        self.reading.invalidate_paths(&self.selection, &paths)
    }

    /// Invalidates an item, given by key or rating key, with all its paths. Removes the matches recorded for the item.
    ///
    /// # Errors
    /// As [`Library::invalidate_path`].
    pub fn invalidate_item(&self, key: &str) -> Result<()> {
        let rating_key = self.reading.kind().rating_key(key)?;
        self.reading.invalidate_item(&self.selection, rating_key)
    }

    /// Invalidates the whole library: the next query fetches a full listing. Removes its recorded matches.
    ///
    /// # Errors
    /// [`ErrorKind::LibraryAmbiguous`](crate::ErrorKind::LibraryAmbiguous); errors of the store.
    pub fn invalidate(&self) -> Result<()> {
        self.reading.invalidate(Some(&self.selection))
    }

    /// Refreshes the library if it may have changed. The first call fetches the whole library.
    ///
    /// # Errors
    /// As [`Query::refresh`].
    pub fn refresh(&self) -> Result<Refreshed> {
        self.query().refresh()
    }

    /// Returns a listed item by key or rating key, with all its files and external ids. Sends no request.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for an invalid key;
    /// [`ErrorKind::NotFetched`](crate::ErrorKind::NotFetched) for a library that was never fetched
    /// ([`Query::refresh`]) or was evicted, and for all libraries if none was fetched;
    /// [`ErrorKind::LibraryNotFound`](crate::ErrorKind::LibraryNotFound); errors of the store.
    pub fn item(&self, key: &str) -> Result<Option<Item>> {
        let kind = self.reading.kind();
        let item = self.reading.item(&self.selection, kind.rating_key(key)?)?;
        Ok(item.map(|item| Item::of(item, kind)))
    }

    /// Iterates over the listed items of the library, with all their files and external ids. Sends no request.
    ///
    /// The iteration reads pages, so an item that changes during the iteration may appear as before or as after the
    /// change. An error ends the iteration: an error of the store;
    /// [`ErrorKind::NotFetched`](crate::ErrorKind::NotFetched) for a library that was never fetched
    /// ([`Query::refresh`]) or was evicted; [`ErrorKind::LibraryNotFound`](crate::ErrorKind::LibraryNotFound);
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for all libraries at once.
    pub fn items(&self) -> Items {
        Items {
            library: self.clone(),
            cursor: Some(0),
            page: Vec::new().into_iter(),
        }
    }

    /// Iterates over the changes of this library since a cursor of this library or of all libraries:
    /// [`Index::changes`](crate::Index::changes).
    ///
    /// # Errors
    /// As [`Index::changes`](crate::Index::changes).
    pub fn changes(&self, cursor: Option<&str>) -> Result<Changes> {
        Changes::new(&self.index, Some(self), cursor, false)
    }

    /// Iterates over all items as [`Added`](crate::ChangeKind::Added), then over the changes since then:
    /// [`Index::listing_and_changes`](crate::Index::listing_and_changes).
    ///
    /// # Errors
    /// As [`Index::changes`](crate::Index::changes).
    pub fn listing_and_changes(&self) -> Result<Changes> {
        Changes::new(&self.index, Some(self), None, true)
    }

    /// Sets the same values for items on the server: [`Query::edit_items`].
    ///
    /// # Errors
    /// As [`Query::edit_items`].
    pub fn edit_items<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        changes: &[FieldChange],
        lock: Lock,
    ) -> Result<EditReport, EditError> {
        self.query().edit_items(keys, changes, lock)
    }

    /// Returns a page of items after a cursor (0 for the first page), and the cursor behind the last item.
    ///
    /// # Errors
    /// As [`Library::items`].
    #[doc(hidden)]
    pub fn page(&self, cursor: i64, limit: usize) -> Result<(Vec<Item>, Option<i64>)> {
        let page = self.items_page(cursor, limit)?;
        let last = page.last().map(|(cursor, _)| *cursor);
        let kind = self.reading.kind();
        Ok((page.into_iter().map(|(_, item)| Item::of(item, kind)).collect(), last))
    }

    /// Returns a page of stored items after a cursor, each with its own cursor: the base of [`Library::page`].
    #[doc(hidden)]
    pub fn items_page(&self, cursor: i64, limit: usize) -> Result<Vec<(i64, model::Item)>> {
        self.reading.items(&self.selection, cursor, limit)
    }

    /// Passes a page of the files below the folder `path` to `then`, and returns the result of `then`. The files are
    /// ordered by listed path and come after the path `after`. The page has about `limit` files: fewer if it is the
    /// last, and more if several share the last path. Sends no request.
    #[doc(hidden)]
    pub fn items_below_with<R>(
        &self,
        path: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        filter: FileFilter,
        then: impl FnOnce(&Answer<'_>, FolderFacts) -> Result<R>,
    ) -> Result<R> {
        let queries = &self.index.inner().queries;
        queries.items_below(&self.selection, path, after, limit, filter, then)
    }

    /// Walks folders of this machine for a limited time, and returns the files that are not listed with certainty.
    /// `number` is the walk to continue; 0 begins a new walk, and `None` reads only the folders of `starts`. Sends no
    /// request.
    #[doc(hidden)]
    pub fn walk(
        &self,
        number: Option<u64>,
        starts: &WalkStarts<'_>,
        (rules, max_names): (Rules, usize),
    ) -> Result<WalkFindings> {
        let queries = &self.index.inner().queries;
        queries.walk(&self.selection, number, starts, (rules, max_names))
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Library({:?})", self.selector())
    }
}

/// The items of a library: [`Library::items`].
#[derive(Clone, Debug)]
#[must_use = "iterators are lazy"]
pub struct Items {
    library: Library,
    /// The cursor after the last page; `None` at the end.
    cursor: Option<i64>,
    page: vec::IntoIter<Item>,
}

impl Iterator for Items {
    type Item = Result<Item>;

    /// Returns the next item, and reads the next page if necessary.
    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 {
            let cursor = self.cursor.take()?;
            match self.library.page(cursor, PAGE_ITEMS) {
                Ok((page, last)) => (self.page, self.cursor) = (page.into_iter(), last),
                Err(error) => return Some(Err(error)),
            }
        }
        self.page.next().map(Ok)
    }
}

impl std::iter::FusedIterator for Items {}

/// The items with files below a folder: [`Library::items_below`].
#[derive(Clone, Debug)]
#[must_use = "iterators are lazy"]
pub struct ItemsBelow {
    library: Library,
    folder: Vec<u8>,
    /// The last path of the last page; empty before the first page, `None` at the end.
    after: Option<Vec<u8>>,
    page: vec::IntoIter<Item>,
}

impl Iterator for ItemsBelow {
    type Item = Result<Item>;

    /// Returns the next file's item, and reads the next page if necessary.
    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 {
            let after = self.after.take()?;
            let after = Some(after.as_slice()).filter(|after| !after.is_empty());
            let mut last = None;
            let page = self
                .library
                .items_below_with(&self.folder, after, PAGE_ITEMS, FileFilter::All, |answer, _| {
                    last = answer.candidates().last().map(|found| found.path.to_vec());
                    Match::of(answer)
                });
            match page {
                Ok(page) => self.page = page.candidates.into_iter(),
                Err(error) => return Some(Err(error)),
            }
            self.after = last;
        }
        self.page.next().map(Ok)
    }
}

impl std::iter::FusedIterator for ItemsBelow {}
