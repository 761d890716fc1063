//! Methods of a library, the calls that it has in common with an index, and the iterators over items and changes.

use std::path::Path;
use std::{fmt, vec};

use super::facts::Refreshed;
use super::opened::{Index, Library};
use super::query_builder::Query;
use crate::error::{Result, invalid_argument_error};
use crate::matching::Scope;
use crate::model;
use crate::platform::files::bytes_of;
use crate::query::{Answer, Change, Folder, Item, Match, Season, Show, ShowsAndSeasons};

const PAGE_ITEMS: usize = 500;

/// The calls that an index and a library have in common: queries with the limits from the options.
macro_rules! common_calls {
    ($($handle:ident)+) => {$(
        impl $handle {
            /// Finds the item for a file, in this library or in all libraries of this index. Fetches libraries if necessary.
            ///
            /// `path` is a path on the host, and the file need not exist. plexindex compares bytes that are not UTF-8
            /// unchanged; on Unix, pass such a path with `OsStr::from_bytes`. A relative path, or a path with `..`, can match
            /// only by suffix: pass an absolute path, or configure a [`Mapping`](crate::Mapping).
            ///
            /// plexindex asks the server about an unlisted path, but about the same path at most once every 30 s for all
            /// processes together, and within a limit for all paths. An answer that comes without a question, because of the
            /// limit, has [`Reason::NotAsked`](crate::Reason::NotAsked). [`Query::check`] asks the server at once.
            ///
            /// # Errors
            /// As [`Query::match_path`].
            pub fn match_path(&self, path: impl AsRef<Path>) -> Result<Match> {
                self.query().match_path(path)
            }

            /// Finds the items for many files, and returns the results in the order of the paths. The result for an invalid
            /// path is an error.
            ///
            /// ```no_run
            /// # let folder = tempfile::tempdir()?;
            /// # let index = plexindex::Index::open(plexindex::Options {
            /// #     server_url: Some("http://127.0.0.1:32400".to_owned()),
            /// #     token: plexindex::Token::new("YOUR-TOKEN"),
            /// #     ..plexindex::Options::new(folder.path())
            /// # })?;
            /// let paths = ["/media/movies/Big Buck Bunny (2008).mkv", ""];
            /// for (path, answer) in paths.iter().zip(index.match_paths(paths)?) {
            ///     match answer {
            ///         Ok(found) => println!("{path}: {}", found.status),
            ///         Err(error) => println!("{path}: {error}"), // the path is empty
            ///     }
            /// }
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            ///
            /// # Errors
            /// Errors that concern all paths; see [`Query::match_path`].
            pub fn match_paths<P: AsRef<Path>>(
                &self,
                paths: impl IntoIterator<Item = P>,
            ) -> Result<Vec<Result<Match>>> {
                self.query().match_paths(paths)
            }

            /// Finds the outermost show, season, artist, album or item whose files are all below a folder, and counts the
            /// folder's files. [`Query::folder_kind`] selects the kind of item.
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
            /// let found = shows.query().folder_kind(plexindex::FolderKind::Season).match_folder(season)?;
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

            /// Finds the items with a GUID: Plex's own GUID, or an external id such as `imdb://tt1254207`.
            ///
            /// # Errors
            /// As [`Query::match_path`].
            pub fn match_guid(&self, guid: &str) -> Result<Match> {
                self.query().match_guid(guid)
            }

            /// Finds the items with a title, ignoring case, accents and punctuation.
            ///
            /// # Errors
            /// As [`Query::match_path`].
            pub fn search_title(&self, title: &str) -> Result<Match> {
                self.query().search_title(title)
            }

            /// Refreshes libraries whose listings have expired or were invalidated; otherwise sends no request. The first
            /// call fetches whole libraries. Returns whether they are now up to date.
            ///
            /// # Errors
            /// As [`Query::refresh`].
            pub fn refresh(&self) -> Result<Refreshed> {
                self.query().refresh()
            }

            /// Iterates over the additions, removals, changes and moves since `cursor`, in the order in which processes stored
            /// them. Without a cursor, the iteration is empty, and [`Changes::cursor`] returns the current position. Pass this
            /// position to the next call. A library also takes a cursor of all libraries.
            ///
            /// Sends no request: `refresh` asks the server, and [`Query::wait_for_changes`] waits for changes. A
            /// cursor is valid in any process, for one store, server and user. A program that continues from its last stored
            /// cursor misses no changes, even after a crash.
            ///
            /// ```no_run
            /// # let folder = tempfile::tempdir()?;
            /// # let index = plexindex::Index::open(plexindex::Options {
            /// #     server_url: Some("http://127.0.0.1:32400".to_owned()),
            /// #     token: plexindex::Token::new("YOUR-TOKEN"),
            /// #     ..plexindex::Options::new(folder.path())
            /// # })?;
            /// use plexindex::ChangeKind;
            ///
            /// let _ = index.refresh()?;
            /// let mut changes = index.listing_and_changes()?; // all items, as added
            /// println!("{} items", changes.by_ref().count());
            /// let cursor = changes.cursor().unwrap().to_owned();
            /// // … the server loses a film …
            /// index.query().refresh_fully()?;
            /// for change in index.changes(Some(&cursor))? {
            ///     let change = change?;
            ///     match change.kind {
            ///         ChangeKind::Added | ChangeKind::Changed => { /* see change.item */ }
            ///         ChangeKind::Moved => { /* from change.from to change.path */ }
            ///         ChangeKind::Removed => println!("{change}"), // removed: Big Buck Bunny (2008)
            ///         // List the library again with its listing_and_changes(); LibraryNotFound: it was removed.
            ///         _ => {}
            ///     }
            /// }
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            ///
            /// # Errors
            /// [`ErrorKind::ListAgain`](crate::ErrorKind::ListAgain) if the index no longer has all changes since the cursor,
            /// for example after 131,072 changes, or if the cursor belongs to a different store, server or user: start again
            /// with `listing_and_changes`. [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) if the
            /// cursor is invalid or belongs to another library; [`ErrorKind::NotFetched`](crate::ErrorKind::NotFetched) if no
            /// library was ever fetched; errors of the store.
            pub fn changes(&self, cursor: Option<&str>) -> Result<Changes> {
                Changes::new(&self.query(), cursor, false) // only changes, without first listing all items
            }

            /// Iterates over all items as [`Added`](crate::ChangeKind::Added), then over later changes. New readers start here.
            ///
            /// # Errors
            /// As [`Index::changes`](crate::Index::changes).
            pub fn listing_and_changes(&self) -> Result<Changes> {
                Changes::new(&self.query(), None, true) // all items as added, then changes
            }
        }
    )+};
}
common_calls!(Index Library);

impl Library {
    /// Returns the part of a key before the rating key, such as `/library/metadata/`.
    #[doc(hidden)]
    #[must_use]
    #[inline]
    pub fn key_prefix(&self) -> &'static str {
        self.reading.kind.key_prefix
    }

    /// Returns the library as the store has it, such as its title and folders; `None` for a handle to all libraries, or
    /// if the library is unknown.
    #[doc(hidden)]
    #[must_use]
    pub fn stored_library(&self) -> Option<model::Library> {
        let snapshot = self.reading.snapshot();
        match self.selection.resolve(&snapshot) {
            Ok(Some(Scope::One(index))) => snapshot.rows.get(index).map(|row| row.library.clone()),
            _ => None,
        }
    }

    /// Returns whether the store has exactly one library for this handle. Always `true` for a handle to all libraries.
    #[must_use]
    pub fn is_known(&self) -> bool {
        let resolved = self.selection.resolve(&self.reading.snapshot());
        matches!(resolved, Ok(Some(_)))
    }

    /// Returns whether this library belongs to `index`, since a query must not use another index's library.
    #[doc(hidden)] // for the C functions
    #[must_use]
    pub fn belongs_to(&self, index: &Index) -> bool {
        self.index.is_same_index(index)
    }

    /// Creates a query of this library. A query can have a timeout, be offline, or report progress.
    pub fn query(&self) -> Query<'_> {
        Query::new(&self.index, Some(self))
    }

    /// Finds the item for a file without waiting for a request, another thread or the database. If the answer requires
    /// a wait, the status is [`NotYet`](crate::MatchStatus::NotYet).
    ///
    /// # Errors
    /// As [`Query::match_path_at_once`].
    pub fn match_path_at_once(&self, path: impl AsRef<Path>) -> Result<Match> {
        self.query().match_path_at_once(path)
    }

    /// Iterates over the items that have files below a folder, ordered by path. [`Item::path`] is the file's path; an
    /// item with several files appears once per file. The iteration reads pages, to save memory. Sends no request.
    ///
    /// Each file that does not change appears exactly once, even during concurrent changes. If the folder matches only
    /// by its suffix, the iteration is empty unless the confidence is high. An error ends the iteration:
    /// [`ErrorKind::NotFetched`](crate::ErrorKind::NotFetched) for a library that was never fetched or was evicted.
    pub fn items_below(&self, path: impl AsRef<Path>) -> ItemsBelow {
        ItemsBelow {
            library: self.clone(),
            folder: bytes_of(&path).to_vec(),
            pages: Pages::from(Vec::new()),
        }
    }

    /// Returns the key of the item with this path, such as `/library/metadata/1002`, if a fast lookup finds the item
    /// with high confidence. Sends no request, and does not wait for other threads. If the result is `None`, use
    /// [`Library::match_path`].
    #[must_use]
    pub fn lookup_key(&self, path: impl AsRef<Path>) -> Option<String> {
        let key = |rating_key: &str| [self.key_prefix(), rating_key].concat();
        self.lookup_rating_key_of(bytes_of(&path), key)
    }

    /// Looks up the items' keys for many paths, in the order of the paths. A result is `None` if a fast lookup does not
    /// find the item with high confidence.
    #[must_use]
    pub fn lookup_keys<P: AsRef<Path>>(&self, paths: impl IntoIterator<Item = P>) -> Vec<Option<String>> {
        let paths: Vec<P> = paths.into_iter().collect();
        let mut keys = Vec::with_capacity(paths.len());
        self.lookup_rating_keys(paths.iter().map(bytes_of), |rating_key| {
            keys.push(rating_key.map(|rating_key| [self.key_prefix(), rating_key].concat()));
        });
        keys
    }

    /// Looks up the item with this path, and passes the item's rating key, such as `1002`, to `then` without a copy.
    /// Returns the result of `then`; `None` if a fast lookup does not find the item with high confidence.
    pub fn lookup_rating_key<R>(&self, path: impl AsRef<Path>, then: impl FnOnce(&str) -> R) -> Option<R> {
        self.lookup_rating_key_of(bytes_of(&path), then)
    }

    /// Looks up the item with this path, given as bytes, and passes the item's rating key to `then`. Returns the result
    /// of `then`; `None` if a fast lookup does not find the item with high confidence.
    #[doc(hidden)]
    pub fn lookup_rating_key_of<R>(&self, path: &[u8], then: impl FnOnce(&str) -> R) -> Option<R> {
        self.reading.lookup_key(&self.selection, path, then)
    }

    /// Looks up the items with these paths, given as bytes, and passes each rating key to `each`, in the order of the
    /// paths; `None` if a fast lookup does not find the item with high confidence.
    #[doc(hidden)]
    pub fn lookup_rating_keys<'p>(&self, paths: impl Iterator<Item = &'p [u8]>, each: impl FnMut(Option<&str>)) {
        self.reading.lookup_keys(&self.selection, paths, each);
    }

    /// Records that a path belongs to an item. `key` is the item's key or rating key, at most 255 bytes. From now on,
    /// every process answers with this item. plexindex does not ask the server whether the item exists: until plexindex
    /// fetches the library, answers contain only the item's keys; afterwards, plexindex ignores the match if the
    /// library does not list the item. [`Query::record_match`] supports a timeout.
    ///
    /// # Errors
    /// As [`Query::record_match`].
    pub fn record_match(&self, path: impl AsRef<Path>, key: &str) -> Result<()> {
        self.query().record_match(path, key)
    }

    /// Records many matches, given as pairs of a path and a key: either all of them or none.
    ///
    /// # Errors
    /// As [`Query::record_match`].
    pub fn record_matches<P: AsRef<Path>, K: AsRef<str>>(
        &self,
        matches: impl IntoIterator<Item = (P, K)>,
    ) -> Result<()> {
        self.query().record_matches(matches)
    }

    /// Invalidates a path, and removes its confirmed match. If an item lists the path, plexindex asks the server about
    /// that item before it returns the item for this path again.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument); errors of the store.
    pub fn invalidate_path(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = bytes_of(&path);
        self.index.inner().queries.display.check_path(path)?;
        self.reading.invalidate_one(&self.selection, path, "")
    }

    /// Invalidates an item, and removes its confirmed matches. plexindex asks the server about the item before it returns
    /// it again; if the server cannot be asked, the answer is stale. `key` is the item's key or rating key.
    ///
    /// # Errors
    /// As [`Library::invalidate_path`].
    pub fn invalidate_item(&self, key: &str) -> Result<()> {
        let rating_key = self.reading.kind.rating_key(key)?;
        self.reading.invalidate_one(&self.selection, b"", rating_key)
    }

    /// Invalidates the whole library, and removes its confirmed matches. The next query fetches a full listing.
    ///
    /// # Errors
    /// [`ErrorKind::LibraryAmbiguous`](crate::ErrorKind::LibraryAmbiguous); errors of the store.
    pub fn invalidate(&self) -> Result<()> {
        self.reading.invalidate(Some(&self.selection))
    }

    /// Returns the listed item with this key or rating key, with all its files and external ids; `None` if no listing
    /// contains the item. Sends no request.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for an invalid key;
    /// [`ErrorKind::NotFetched`](crate::ErrorKind::NotFetched) for a library that was never fetched or was evicted, or
    /// if no library was fetched; [`ErrorKind::LibraryNotFound`](crate::ErrorKind::LibraryNotFound); errors of the
    /// store.
    pub fn item(&self, key: &str) -> Result<Option<Item>> {
        let kind = self.reading.kind;
        let item = self.reading.item(&self.selection, kind.rating_key(key)?)?;
        Ok(item.map(|item| Item::of(item, kind)))
    }

    /// Iterates over the listed items of the library, with all their files and external ids. Sends no request.
    ///
    /// The iteration reads one page at a time, so an item that changes during the iteration can appear in its old or
    /// its new state. An error ends the iteration: an error of the store;
    /// [`ErrorKind::NotFetched`](crate::ErrorKind::NotFetched) for a library that was never fetched or was evicted;
    /// [`ErrorKind::LibraryNotFound`](crate::ErrorKind::LibraryNotFound);
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for a handle to all libraries.
    pub fn items(&self) -> Items {
        Items {
            library: self.clone(),
            pages: Pages::from(0),
        }
    }

    /// Lists the library's shows or artists, each once, sorted by title; none for a library of films. Reads all stored
    /// items, and sends no request. Plex lists neither the year nor the external IDs of a show with its episodes.
    ///
    /// # Errors
    /// As [`Library::items`].
    pub fn shows(&self) -> Result<Vec<Show>> {
        Ok(self.shows_and_seasons()?.0)
    }

    /// Lists the library's seasons or albums, sorted by show, number and title, like [`Library::shows`]. Plex reports no
    /// seasons of a show that hides them.
    ///
    /// # Errors
    /// As [`Library::items`].
    pub fn seasons(&self) -> Result<Vec<Season>> {
        Ok(self.shows_and_seasons()?.1)
    }

    /// Lists shows and seasons with one pass over the items. For the bindings.
    #[doc(hidden)]
    pub fn shows_and_seasons(&self) -> Result<(Vec<Show>, Vec<Season>)> {
        let (mut found, mut cursor) = (ShowsAndSeasons::default(), 0);
        loop {
            let page = self.items_page(cursor, PAGE_ITEMS)?;
            let Some((last, _)) = page.last() else {
                return Ok(found.sorted());
            };
            cursor = *last;
            for (_, item) in &page {
                found.add(item);
            }
        }
    }

    /// Returns a page of items after a cursor (0 for the first page), and the cursor after the last item; the cursor is
    /// `None` for an empty page. A page has at most `limit` items, or a few more if several have the last cursor. For
    /// the bindings; Rust programs call [`Library::items`].
    ///
    /// # Errors
    /// As [`Library::items`].
    #[doc(hidden)]
    pub fn page(&self, cursor: i64, limit: usize) -> Result<(Vec<Item>, Option<i64>)> {
        let page = self.items_page(cursor, limit)?;
        let last = page.last().map(|(cursor, _)| *cursor);
        let kind = self.reading.kind;
        Ok((page.into_iter().map(|(_, item)| Item::of(item, kind)).collect(), last))
    }

    /// Returns a page of stored items after a cursor (0 for the first page), each with its own cursor. A page has at
    /// most `limit` items, or a few more if several have the last cursor. For the bindings.
    #[doc(hidden)]
    pub fn items_page(&self, cursor: i64, limit: usize) -> Result<Vec<(i64, model::Item)>> {
        self.reading.items(&self.selection, cursor, limit)
    }

    /// Passes a page of the files below the folder `path` to `then`, and returns the result of `then`. The page
    /// contains the files that follow the path `after`, in the order of their listed paths. A page has `limit` files;
    /// the last page can have fewer, and a page has more if several items share its last path. `not_on_disk`: without
    /// files that exist on this machine. Sends no request.
    #[doc(hidden)]
    pub fn items_below_with<R>(
        &self,
        path: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        not_on_disk: bool,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let queries = &self.index.inner().queries;
        queries.items_below(&self.selection, path, after, limit, not_on_disk, then)
    }
}

impl std::fmt::Debug for Library {
    /// Formats the selector with which the host opened the library.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Library({:?})", self.selector())
    }
}

/// The state of an iteration that reads a page at a time.
#[derive(Clone, Debug)]
pub(super) struct Pages<T, C> {
    /// From where to read the next page; `None` after the last page, or after an error.
    cursor: Option<C>,
    page: vec::IntoIter<T>,
}

impl<T, C> Pages<T, C> {
    /// Creates an iteration whose first page starts at `first`.
    pub fn from(first: C) -> Self {
        Self {
            cursor: Some(first),
            page: Vec::new().into_iter(),
        }
    }

    /// Returns the next element. If the page has no more, `read` reads the next page, and returns the cursor after it.
    pub fn next(&mut self, read: impl FnOnce(C) -> Result<(Vec<T>, Option<C>)>) -> Option<Result<T>> {
        if self.page.len() == 0 {
            match read(self.cursor.take()?) {
                Ok((page, cursor)) => (self.page, self.cursor) = (page.into_iter(), cursor),
                Err(error) => return Some(Err(error)),
            }
        }
        self.page.next().map(Ok)
    }
}

/// An iterator over a library's items, from [`Library::items`].
#[derive(Clone, Debug)]
#[must_use = "iterators are lazy"]
pub struct Items {
    library: Library,
    pages: Pages<Item, i64>,
}

impl Iterator for Items {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pages.next(|cursor| self.library.page(cursor, PAGE_ITEMS))
    }
}

impl std::iter::FusedIterator for Items {}

/// An iterator over the items that have files below a folder, from [`Library::items_below`].
#[derive(Clone, Debug)]
#[must_use = "iterators are lazy"]
pub struct ItemsBelow {
    library: Library,
    folder: Vec<u8>,
    pages: Pages<Item, Vec<u8>>, // a cursor is a page's last path, empty for the first page
}

impl Iterator for ItemsBelow {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pages.next(|after| {
            let after = Some(after.as_slice()).filter(|after| !after.is_empty());
            let read = |answer: &Answer<'_>| {
                let last_path = answer.candidates.last().map(|found| found.path.to_vec());
                Ok((Match::of(answer)?.candidates, last_path))
            };
            let (library, folder) = (&self.library, &self.folder);
            library.items_below_with(folder, after, PAGE_ITEMS, false, read)
        })
    }
}

impl std::iter::FusedIterator for ItemsBelow {}

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
    /// Creates an iterator over the changes in a query's libraries. `cursor` is `None` for the current position. If `full`
    /// is true, the iteration starts with all items, as added.
    fn new(query: &Query<'_>, cursor: Option<&str>, full: bool) -> Result<Self> {
        // Below, an empty cursor stands for `None`.
        if cursor == Some("") {
            return invalid_argument_error(
                "the cursor is empty: pass a cursor from this index, or none for the current position",
            );
        }
        let mut changes = Self {
            index: query.index.clone(),
            library: query.library.cloned(),
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
