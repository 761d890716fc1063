//! A library of an index, or all of them.

use std::path::Path;
use std::vec;

use super::edit::EditError;
use super::feed::Changes;
use super::opened::Index;
use super::opened::Library;
use super::paths::bytes_of;
use super::query::{Query, Refreshed};
use crate::disk::{Rules, WalkFindings};
use crate::edit::EditReport;
use crate::engine::{MAX_RETRIES, Resolved, cleared_again};
use crate::error::{Result, room};
use crate::matching::Scope;
use crate::model;
use crate::platform::deadline::Deadline;
use crate::query::{Answer, Folder, FolderFacts, Item, Match, Which, tidy};
use crate::source::{FieldChange, Lock};
use crate::sync::Call;

/// How many items are read at a time.
const PAGE: usize = 500;

impl Library {
    /// The public key of an item.
    #[doc(hidden)]
    #[must_use]
    pub fn key(&self, rating_key: &str) -> String {
        self.reading.kind().key(rating_key)
    }

    /// The prefix of a public key; the rating key follows.
    #[doc(hidden)]
    #[must_use]
    #[inline]
    pub fn key_prefix(&self) -> &'static str {
        self.reading.kind().key_prefix
    }

    /// The stored facts of the library; `None` for all libraries at once, and for an unknown library.
    #[doc(hidden)]
    #[must_use]
    pub fn known(&self) -> Option<model::Library> {
        let snapshot = self.reading.snapshot();
        match self.selection.resolve(&snapshot) {
            Ok(Resolved::Scope(Scope::One(place))) => snapshot.rows.get(place).map(|row| row.library.clone()),
            _ => None,
        }
    }

    /// Whether a library of this name is known. All libraries always are.
    #[must_use]
    pub fn is_known(&self) -> bool {
        let resolved = self.selection.resolve(&self.reading.snapshot());
        matches!(resolved, Ok(Resolved::Scope(_)))
    }

    /// Whether this is a library of that index: of the same handle.
    pub(crate) fn is_of(&self, index: &Index) -> bool {
        self.index.is(index)
    }

    /// A question to this library, with a deadline, offline, or with progress.
    pub fn query(&self) -> Query<'_> {
        Query::new(&self.index, Some(self))
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

    /// The same without waiting, as [`Query::match_path_at_once`].
    ///
    /// # Errors
    /// As [`Query::match_path_at_once`].
    pub fn match_path_at_once(&self, path: impl AsRef<Path>) -> Result<Match> {
        self.query().match_path_at_once(path)
    }

    /// The answers for many paths, in order. A path that none can be is an error in its place.
    ///
    /// # Errors
    /// Errors that concern all paths, as [`Query::match_path`].
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

    /// [`Library::lookup_key`] without a copy: hands the rating key, which is the key's end such as `1002`, to `then`.
    pub fn lookup_rating_key<R>(&self, path: impl AsRef<Path>, then: impl FnOnce(&str) -> R) -> Option<R> {
        self.lookup_rating_key_of(bytes_of(&path), then)
    }

    #[doc(hidden)]
    pub fn lookup_rating_key_of<R>(&self, path: &[u8], then: impl FnOnce(&str) -> R) -> Option<R> {
        self.reading.lookup_key(&self.selection, path, then)
    }

    /// The same for many paths, in order: `each` gets what is known of each.
    #[doc(hidden)]
    pub fn lookup_rating_keys<'p>(&self, paths: impl Iterator<Item = &'p [u8]>, each: impl FnMut(Option<&str>)) {
        self.reading.lookup_keys(&self.selection, paths, each);
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
        self.record_pairs(&matches)
    }

    #[doc(hidden)]
    pub fn record_pairs(&self, pairs: &[(&[u8], &str)]) -> Result<()> {
        let inner = self.index.inner();
        let _timed = inner.timed("record_matches", Some(self.selector()), Some(pairs.len()));
        let mut checked = room(pairs.len(), "matches")?;
        for (path, key) in pairs {
            inner.queries.check_path(path)?;
            checked.push((*path, self.reading.kind().rating_key(key)?));
        }
        let pairs = checked;
        // One call: what is cleared in between is looked for as who began it.
        self.query().run(|call| {
            for _ in 0..MAX_RETRIES {
                let find = |call: &Call<'_>| inner.sync.find_library(&self.selection, "record a match", call);
                let (identity, row) = inner.asking(call, find)?;
                // The call's deadline is for the server: a match that the host records is worth waiting for.
                let deadline = Deadline::NONE;
                if let Some(written) = inner.maintenance.record_matches(identity, &row, &pairs, deadline)? {
                    // A thread that writes reads on: a fast lookup of this process must not have to. Where a segment was made,
                    // others may have been evicted.
                    if !written.has_segment {
                        self.reading.apply_recorded(identity, row.id, written.at, &pairs)?;
                    }
                    self.reading.catch_up(deadline)?;
                    // The segment of a large batch may be missing: it could not be written, or another thread was
                    // building one.
                    return self.reading.rebuild_lost(deadline);
                }
            }
            Err(cleared_again(self.selector().name()))
        })
    }

    /// Invalidates a path: the server is asked before it is answered again.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument); the store's.
    pub fn invalidate_path(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = bytes_of(&path);
        self.index.inner().queries.check_path(path)?;
        let tidied = tidy(path);
        let paths: Vec<&[u8]> = [tidied.as_deref(), Some(path)].into_iter().flatten().collect();
        self.reading.invalidate_paths(&self.selection, &paths)
    }

    /// Invalidates an item, by key or rating key.
    ///
    /// # Errors
    /// As [`Library::invalidate_path`].
    pub fn invalidate_item(&self, key: &str) -> Result<()> {
        let rating_key = self.reading.kind().rating_key(key)?;
        self.reading.invalidate_item(&self.selection, rating_key)
    }

    /// Invalidates all of it: the next question lists it anew, and its recorded matches are forgotten.
    ///
    /// # Errors
    /// [`ErrorKind::LibraryAmbiguous`](crate::ErrorKind::LibraryAmbiguous); the store's.
    pub fn invalidate(&self) -> Result<()> {
        self.reading.invalidate(Some(&self.selection))
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
        let item = self
            .reading
            .item(&self.selection, self.reading.kind().rating_key(key)?)?;
        Ok(item.map(|item| Item::of(item, self.reading.kind())))
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

    /// Reads the changes of this library after a cursor, as [`Index::changes`](crate::Index::changes). The cursor may
    /// come from this library or from all libraries.
    ///
    /// # Errors
    /// As there.
    pub fn changes(&self, cursor: Option<&str>) -> Result<Changes> {
        Changes::new(&self.index, Some(self), cursor, false)
    }

    /// All its items as added, and then what changed: [`Index::listing_and_changes`](crate::Index::listing_and_changes).
    ///
    /// # Errors
    /// As there.
    pub fn listing_and_changes(&self) -> Result<Changes> {
        Changes::new(&self.index, Some(self), None, true)
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

    /// A page of its items behind `cursor` (0 to begin), each with the cursor behind it.
    #[doc(hidden)]
    pub fn items_page(&self, cursor: i64, limit: usize) -> Result<Vec<(i64, model::Item)>> {
        self.reading.items(&self.selection, cursor, limit)
    }

    /// Calls `then` with about `limit` files below the folder `path`, in the order of their listed paths, from behind
    /// `after`. There are fewer at the end, and more where several files share the last path. `which`: all of them, or those
    /// missing from the disk. Sends no request.
    #[doc(hidden)]
    pub fn items_below_with<R>(
        &self,
        path: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        which: Which,
        then: impl FnOnce(&Answer<'_>, FolderFacts) -> Result<R>,
    ) -> Result<R> {
        let queries = &self.index.inner().queries;
        queries.items_below(&self.selection, path, after, limit, which, then)
    }

    /// Walks folders of this machine for a while: what there is that is not listed without a doubt, handed to `then`. `number`:
    /// of the walk that goes on with this call; 0 begins one. Sends no request.
    #[doc(hidden)]
    pub fn walk<R>(
        &self,
        number: Option<u64>,
        folders: &[(bool, &[u8])],
        (rules, most): (Rules, usize),
        then: impl FnOnce(&WalkFindings) -> Result<R>,
    ) -> Result<R> {
        let queries = &self.index.inner().queries;
        queries.walk(&self.selection, number, folders, (rules, most), then)
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Library({:?})", self.selector())
    }
}

/// The items of a library: [`Library::items`].
#[derive(Clone, Debug)]
#[must_use = "nothing is read yet"]
pub struct Items {
    library: Library,
    /// Behind the last page; `None` after the end.
    cursor: Option<i64>,
    page: vec::IntoIter<(i64, model::Item)>,
}

impl Iterator for Items {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 {
            let cursor = self.cursor.take()?;
            match self.library.items_page(cursor, PAGE) {
                Ok(page) => self.page = page.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
        let (cursor, item) = self.page.next()?;
        self.cursor = Some(cursor);
        Some(Ok(Item::of(item, self.library.reading.kind())))
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
            let mut last = None;
            let page = self
                .library
                .items_below_with(&self.folder, after, PAGE, Which::All, |answer, _| {
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
