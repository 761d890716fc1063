//! A library of an index, or all of them.

use std::path::Path;
use std::sync::Arc;
use std::vec;

use super::answer::{Folder, Item, Match};
use super::edit::EditError;
use super::error::{Error, Result};
use super::feed::Changes;
use super::paths::bytes_of;
use super::query::{Query, Refreshed};
use crate::edit::EditReport;
use crate::engine::Selector;
use crate::index::{self, Which};
use crate::source::{FieldChange, Lock};

/// How many items are read at a time.
const PAGE: usize = 500;

/// A library, or all of them: a cheap handle, to clone and to use from any thread. It keeps its index open.
///
/// It need not exist yet: libraries are asked for by the first question.
///
/// ```
/// # let server = plexindex_standin::Standin::builder()
/// #     .library(plexindex_standin::LibrarySpec::new(plexindex_standin::LibraryKind::Movie, 20)).start()?;
/// # let folder = tempfile::tempdir()?;
/// # let index = plexindex::Index::open(plexindex::Options {
/// #     server_url: Some(server.url()),
/// #     token: plexindex::Token::new(&server.token()),
/// #     ..plexindex::Options::new(folder.path())
/// # })?;
/// # let file = server.paths(1).into_iter().find_map(|(_, path)| path).unwrap();
/// let movies = index.library("Movies")?;
/// let found = movies.match_path(&file)?;
/// let item = found.item().expect("it is listed");
///
/// // From now on a fast lookup knows it: no request, no lock.
/// assert_eq!(movies.lookup_key(&file), Some(item.key.clone()));
///
/// // The host knows better than any rule: this is the file's item.
/// movies.record_match("/mnt/elsewhere/same.mkv", &item.key)?;
/// assert_eq!(movies.lookup_key("/mnt/elsewhere/same.mkv"), Some(item.key.clone()));
///
/// // It turned out to be wrong: the server is asked before it is answered again.
/// movies.invalidate_path(&file)?;
/// assert_eq!(movies.lookup_key(&file), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Library {
    index: Arc<index::Index>,
    library: Arc<index::Library>,
}

impl Library {
    pub(super) fn new(index: &Arc<index::Index>, selector: Selector) -> Result<Self> {
        Ok(Self {
            library: Arc::new(index.select(selector)?),
            index: Arc::clone(index),
        })
    }

    /// How it was named.
    #[must_use]
    pub fn selector(&self) -> &Selector {
        self.library.selector()
    }

    /// Whether a library of this name is known. All libraries always are.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.library.is_known()
    }

    /// A question to this library, with a deadline, offline, or with progress.
    pub fn query(&self) -> Query<'_> {
        Query::new(&self.index, Some(&self.library))
    }

    /// Which item is this file? Fetches the library where it must.
    ///
    /// The path is that of the host: bytes that are not UTF-8 are compared as they are, and nothing is looked up on the
    /// disk. On Unix bytes are a path by `OsStr::from_bytes`. A relative path, and one with `..` in it, is found by its end
    /// only: give the path that the server has, or a [`Mapping`](crate::Mapping).
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn match_path(&self, path: impl AsRef<Path>) -> Result<Match> {
        self.query().match_path(path)
    }

    /// The answers for many paths, in order. A path that none can be is an error in its place.
    ///
    /// # Errors
    /// What concerns all of them, as [`Query::match_path`].
    pub fn match_paths<P: AsRef<Path>>(&self, paths: impl IntoIterator<Item = P>) -> Result<Vec<Result<Match>>> {
        self.query().match_paths(paths)
    }

    /// Which show, season, artist, album or item this folder is, and how much is below it, as [`Query::match_folder`].
    ///
    /// ```
    /// # let server = plexindex_standin::Standin::builder()
    /// #     .library(plexindex_standin::LibrarySpec::new(plexindex_standin::LibraryKind::Show, 20)).start()?;
    /// # let folder = tempfile::tempdir()?;
    /// # let index = plexindex::Index::open(plexindex::Options {
    /// #     server_url: Some(server.url()),
    /// #     token: plexindex::Token::new(&server.token()),
    /// #     ..plexindex::Options::new(folder.path())
    /// # })?;
    /// # let file = server.paths(1).into_iter().find_map(|(_, path)| path).unwrap();
    /// # let season = std::path::Path::new(&file).parent().unwrap();
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

    /// The items with files below a folder, each with one of these as [`Item::path`], in the order of the paths: an item of
    /// several files comes with each. Read a page at a time, so that a million of them take no room. Sends no request.
    ///
    /// A change meanwhile moves no file that was not changed itself: none comes twice, none is missed. A folder that is found
    /// by its end counts where [`Library::match_folder`] is sure of it. An error ends it:
    /// [`ErrorKind::LibraryNotFound`](crate::ErrorKind::LibraryNotFound) for a library that was never fetched, or was removed
    /// for the limit on the folder.
    pub fn items_below(&self, path: impl AsRef<Path>) -> ItemsBelow {
        ItemsBelow {
            library: self.clone(),
            folder: bytes_of(&path).to_vec(),
            after: Some(Vec::new()),
            page: Vec::new().into_iter(),
        }
    }

    /// The items with a GUID, as [`Query::match_guid`].
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn match_guid(&self, guid: &str) -> Result<Match> {
        self.query().match_guid(guid)
    }

    /// The items with a title, as [`Query::search_title`].
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn search_title(&self, title: &str) -> Result<Match> {
        self.query().search_title(title)
    }

    /// The key of the item with this path, such as `/library/metadata/1002`, if a fast lookup knows it with high
    /// confidence. It never asks the server, and waits for no other thread. `None` is no verdict.
    #[must_use]
    pub fn lookup_key(&self, path: impl AsRef<Path>) -> Option<String> {
        let key = |rating_key: &str| [self.library.key_prefix(), rating_key].concat();
        self.library.lookup_key(bytes_of(&path), key)
    }

    /// [`Library::lookup_key`] for many paths, in order.
    #[must_use]
    pub fn lookup_keys<P: AsRef<Path>>(&self, paths: impl IntoIterator<Item = P>) -> Vec<Option<String>> {
        let paths: Vec<P> = paths.into_iter().collect();
        let mut keys = Vec::with_capacity(paths.len());
        self.library.lookup_keys(paths.iter().map(bytes_of), |rating_key| {
            keys.push(rating_key.map(|rating_key| [self.library.key_prefix(), rating_key].concat()));
        });
        keys
    }

    /// [`Library::lookup_key`] without a copy: hands the rating key, which is the key's end such as `1002`, to `then`.
    pub fn lookup_rating_key<R>(&self, path: impl AsRef<Path>, then: impl FnOnce(&str) -> R) -> Option<R> {
        self.library.lookup_key(bytes_of(&path), then)
    }

    /// Records that this path is this item, by key or rating key: from now on that is the answer, in every process.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument), also for all libraries at once;
    /// [`ErrorKind::LibraryNotFound`](crate::ErrorKind::LibraryNotFound); the store's; the server's, where the library is
    /// not known yet.
    pub fn record_match(&self, path: impl AsRef<Path>, key: &str) -> Result<()> {
        self.record_matches([(path, key)])
    }

    /// Records many matches, all or none.
    ///
    /// # Errors
    /// As [`Library::record_match`].
    pub fn record_matches<P: AsRef<Path>, K: AsRef<str>>(
        &self,
        matches: impl IntoIterator<Item = (P, K)>,
    ) -> Result<()> {
        let matches: Vec<(P, K)> = matches.into_iter().collect();
        let matches: Vec<(&[u8], &str)> = matches
            .iter()
            .map(|(path, key)| (bytes_of(path), key.as_ref()))
            .collect();
        Ok(self.library.record_matches(&matches)?)
    }

    /// Invalidates a path: the server is asked before it is answered again.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument); the store's.
    pub fn invalidate_path(&self, path: impl AsRef<Path>) -> Result<()> {
        Ok(self.library.invalidate_path(bytes_of(&path))?)
    }

    /// Invalidates an item, by key or rating key.
    ///
    /// # Errors
    /// As [`Library::invalidate_path`].
    pub fn invalidate_item(&self, key: &str) -> Result<()> {
        Ok(self.library.invalidate_item(key)?)
    }

    /// Invalidates all of it: the next question lists it anew, and its recorded matches are forgotten.
    ///
    /// # Errors
    /// [`ErrorKind::LibraryAmbiguous`](crate::ErrorKind::LibraryAmbiguous); the store's.
    pub fn invalidate(&self) -> Result<()> {
        Ok(self.library.invalidate()?)
    }

    /// Brings it up to date now, where it may have changed. The first time that fetches all of it.
    ///
    /// # Errors
    /// As [`Query::refresh`].
    pub fn refresh(&self) -> Result<Refreshed> {
        self.query().refresh()
    }

    /// A listed item by its key or rating key, with all its files and external ids. Sends no request.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for what is no key; the store's.
    pub fn item(&self, key: &str) -> Result<Option<Item>> {
        let item = self.library.item(key)?;
        Ok(item.map(|item| {
            let key = self.library.key(&item);
            Item::of(item, key)
        }))
    }

    /// Its items as they are stored, with all their files and external ids. Sends no request.
    ///
    /// They are read some hundred at a time: an item that changes meanwhile is seen as it was, or as it is.
    /// After an error the iterator ends: the store's;
    /// [`ErrorKind::LibraryNotFound`](crate::ErrorKind::LibraryNotFound) for a library that is not known, or was never
    /// fetched ([`Query::refresh`] does that), or was removed for the limit on the folder;
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for all libraries at once.
    pub fn items(&self) -> Items {
        Items {
            library: self.clone(),
            cursor: Some(0),
            page: Vec::new().into_iter(),
        }
    }

    /// What changed in this library since a cursor was given, which is of this library or of all:
    /// [`Index::changes`](crate::Index::changes).
    ///
    /// # Errors
    /// As there.
    pub fn changes(&self, token: Option<&str>) -> Result<Changes> {
        Changes::new(&self.index, Some(&self.library), token, false)
    }

    /// All its items as added, and then what changed: [`Index::listing_and_changes`](crate::Index::listing_and_changes).
    ///
    /// # Errors
    /// As there.
    pub fn listing_and_changes(&self) -> Result<Changes> {
        Changes::new(&self.index, Some(&self.library), None, true)
    }

    /// Gives items the same values on the server, as [`Query::edit_items`].
    ///
    /// # Errors
    /// As there.
    pub fn edit_items<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        changes: &[FieldChange],
        lock: Lock,
    ) -> Result<EditReport, EditError> {
        self.query().edit_items(keys, changes, lock)
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.library.fmt(f)
    }
}

/// The items of a library: [`Library::items`].
#[derive(Clone, Debug)]
#[must_use = "nothing is read yet"]
pub struct Items {
    library: Library,
    /// Behind the last page; `None` after the end.
    cursor: Option<i64>,
    page: vec::IntoIter<(i64, crate::model::Item)>,
}

impl Iterator for Items {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 {
            let cursor = self.cursor.take()?;
            match self.library.index.items(&self.library.library, cursor, PAGE) {
                Ok(page) => self.page = page.into_iter(),
                Err(error) => return Some(Err(error.into())),
            }
        }
        let (cursor, item) = self.page.next()?;
        self.cursor = Some(cursor);
        let key = self.library.library.key(&item);
        Some(Ok(Item::of(item, key)))
    }
}

impl std::iter::FusedIterator for Items {}

/// The items with files below a folder: [`Library::items_below`].
#[derive(Clone, Debug)]
#[must_use = "nothing is read yet"]
pub struct ItemsBelow {
    library: Library,
    folder: Vec<u8>,
    /// The last path of the last page, empty before the first; `None` after the end.
    after: Option<Vec<u8>>,
    page: vec::IntoIter<Item>,
}

impl Iterator for ItemsBelow {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 {
            let after = self.after.take()?;
            let after = Some(after.as_slice()).filter(|after| !after.is_empty());
            let (library, mut last) = (&self.library.library, None);
            let page = library.items_below_with(&self.folder, after, PAGE, Which::All, |answer, _| {
                last = answer.candidates().last().map(|found| found.path.to_vec());
                Ok(Match::of(answer))
            });
            match page.map_err(Error::from).and_then(|answer| answer) {
                Ok(page) => self.page = page.candidates.into_iter(),
                Err(error) => return Some(Err(error)),
            }
            self.after = last;
        }
        self.page.next().map(Ok)
    }
}

impl std::iter::FusedIterator for ItemsBelow {}
