//! One library of an index, or all of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::inner::Inner;
use crate::disk::{Rules, Walked};
use crate::edit::{Edit, EditReport};
use crate::engine::{MAX_RETRIES, Reading, Resolved, Selection, Selector, cleared_again};
use crate::error::{Result, room};
use crate::matching::Scope;
use crate::query::{Answer, FolderFacts, Match, Which, tidy};
use crate::sync::{Call, Progress, QUESTION_SILENCE, Whose};

/// What a call may do, and whom it tells.
#[derive(Clone, Copy, Default)]
pub struct QueryOptions<'a> {
    /// The library asked; `None` for all.
    pub library: Option<&'a Library>,
    /// How long the call may take; `None` for the default of the options.
    pub deadline: Deadline,
    /// Send no request: answer from the store.
    pub offline: bool,
    /// Told how far a fetch has come, on the caller's thread; `false` stops it.
    pub progress: Option<&'a dyn Fn(&Progress<'_>) -> bool>,
}

impl<'q> QueryOptions<'q> {
    /// A call that waits for nothing.
    pub(super) fn call_without_deadline(&self) -> Call<'q> {
        Call {
            library: self.library.map(|library| &library.selection),
            until: None,
            silence: Some(QUESTION_SILENCE),
            session: 0, // it asks nothing
            whose: Whose::Anybodys,
            renews: false,
            offline: self.offline,
            progress: self.progress,
        }
    }

    /// One call of the host, with its deadline as a moment: all that it does shares that.
    pub(super) fn call(&self, inner: &Inner) -> Call<'q> {
        // What lies beyond all time is none.
        let within = |time| Instant::now().checked_add(time);
        Call {
            library: self.library.map(|library| &library.selection),
            until: match self.deadline {
                Deadline::None => None,
                Deadline::Default => inner.deadline.and_then(within),
                Deadline::In(time) => within(time),
            },
            silence: Some(QUESTION_SILENCE),
            session: inner.reading.tokens.current().number(),
            whose: Whose::Anybodys,
            renews: inner.renewing.is_possible(),
            offline: self.offline,
            progress: self.progress,
        }
    }
}

/// How long a call may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deadline {
    /// As the options say.
    #[default]
    Default,
    /// As long as it takes.
    None,
    /// This long.
    In(Duration),
}

/// A library of an index, or all of them. Usable from any thread; outlives no call of its index's `close`.
pub struct Library {
    inner: Arc<Inner>,
    /// For fast lookups: one pointer away.
    reading: Arc<Reading>,
    pub(super) selection: Selection,
}

impl Library {
    pub(super) fn new(inner: &Arc<Inner>, selector: Selector) -> Result<Self> {
        let selection = Selection::new(selector)?;
        inner.reading.catch_up()?;
        selection.resolve(&inner.reading.snapshot())?;
        Ok(Self {
            inner: Arc::clone(inner),
            reading: Arc::clone(&inner.reading),
            selection,
        })
    }

    /// How it was named.
    #[must_use]
    pub fn selector(&self) -> &Selector {
        self.selection.selector()
    }

    /// What a public key begins with: the rating key follows.
    #[must_use]
    #[inline]
    pub fn key_prefix(&self) -> &'static str {
        self.reading.kind().key_prefix
    }

    /// The public key of an item.
    #[must_use]
    pub fn key(&self, item: &crate::model::Item) -> String {
        self.reading.kind().key(&item.rating_key)
    }

    /// Whether a library of this name is known; all libraries always are.
    #[must_use]
    pub fn is_known(&self) -> bool {
        let resolved = self.selection.resolve(&self.reading.snapshot());
        matches!(resolved, Ok(Resolved::Scope(_)))
    }

    /// What is known of it: nothing of all libraries at once, nor of one that no listing of libraries has shown.
    #[must_use]
    pub fn known(&self) -> Option<crate::model::Library> {
        let snapshot = self.reading.snapshot();
        match self.selection.resolve(&snapshot) {
            Ok(Resolved::Scope(Scope::One(place))) => snapshot.rows.get(place).map(|row| row.library.clone()),
            _ => None,
        }
    }

    /// A query to this library.
    #[must_use]
    pub fn query(&self) -> QueryOptions<'_> {
        QueryOptions {
            library: Some(self),
            deadline: Deadline::Default,
            offline: false,
            progress: None,
        }
    }

    /// The answer for a path, copied out.
    ///
    /// # Errors
    /// As [`super::Index::match_path`].
    pub fn match_path(&self, path: &[u8]) -> Result<Match> {
        let query = self.query();
        let queries = &self.inner.queries;
        let copied = |answer: &Answer<'_>| Ok(Match::from(answer));
        if let Ok(given) = queries.match_at_once(&query.call_without_deadline(), path, copied) {
            return given;
        }
        let _timed = self.inner.timed("match_path", Some(self.selector()), None);
        self.inner
            .asking(&query.call(&self.inner), |call| queries.match_path(call, path, copied))
    }

    /// Files below a folder, of which the listed path comes behind `after`: an answer with so many candidates, if there are
    /// as many, and with all that have the last one's path; or those of them that are not on the disk. Sends no request.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`] for a path that none can be; [`crate::error::Status::LibraryNotFound`], also
    /// where it was never fetched; the store's.
    pub fn items_below_with<R>(
        &self,
        path: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        which: Which,
        then: impl FnOnce(&Answer<'_>, FolderFacts) -> Result<R>,
    ) -> Result<R> {
        self.inner
            .queries
            .items_below(&self.query().call(&self.inner), path, after, limit, which, then)
    }

    /// Walks folders of this machine for a while: what there is that is not listed without a doubt, handed to `then`. `number`:
    /// of the walk that goes on with this call; 0 begins one. Sends no request.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`] for a path that none can be, or a walk that is not known;
    /// [`crate::error::Status::LibraryNotFound`]; the store's; that of `then`.
    pub fn walk<R>(
        &self,
        number: Option<u64>,
        folders: &[(bool, &[u8])],
        (rules, most): (Rules, usize),
        then: impl FnOnce(&Walked) -> Result<R>,
    ) -> Result<R> {
        self.inner
            .queries
            .walk(&self.selection, number, folders, (rules, most), then)
    }

    /// The rating key of the item with this path, if a fast lookup knows it, handed to `then`.
    /// It never asks the server, and waits for no other thread.
    pub fn lookup_key<R>(&self, path: &[u8], then: impl FnOnce(&str) -> R) -> Option<R> {
        self.reading.lookup_key(&self.selection, path, then)
    }

    /// [`Library::lookup_key`] for many paths, in order: `each` gets what is known of each.
    pub fn lookup_keys<'p>(&self, paths: impl Iterator<Item = &'p [u8]>, each: impl FnMut(Option<&str>)) {
        self.reading.lookup_keys(&self.selection, paths, each);
    }

    /// Confirms matches, all or none: pairs of a path and the item's key or rating key.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; [`crate::error::Status::LibraryNotFound`]; the store's.
    pub fn record_matches(&self, pairs: &[(&[u8], &str)]) -> Result<()> {
        let query = self.query();
        let _timed = self
            .inner
            .timed("record_matches", Some(self.selector()), Some(pairs.len()));
        let mut checked = room(pairs.len(), "matches")?;
        for (path, key) in pairs {
            self.inner.queries.check_path(path)?;
            checked.push((*path, self.reading.kind().rating_key(key)?));
        }
        let pairs = checked;
        let sync = &self.inner.sync;
        // One call: what is cleared in between is looked for as who began it.
        let call = query.call(&self.inner);
        for _ in 0..MAX_RETRIES {
            let find = |call: &Call<'_>| sync.find_library(&self.selection, "record a match", call);
            let (identity, row) = self.inner.asking(&call, find)?;
            if let Some(written) = self.inner.maintenance.record_matches(identity, &row, &pairs)? {
                // A thread that writes reads on: a fast lookup of this process must not have to. Where a segment was made,
                // others may have been evicted.
                if !written.has_segment {
                    self.reading.apply_recorded(identity, row.id, written.at, &pairs)?;
                }
                self.reading.catch_up()?;
                // The image of a large batch may be missing: it could not be written, or another thread was making one.
                return self.reading.rebuild_lost();
            }
        }
        Err(cleared_again(self.selector().name()))
    }

    /// Invalidates a path: it is asked for before it is answered again.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; the store's.
    pub fn invalidate_path(&self, path: &[u8]) -> Result<()> {
        self.inner.queries.check_path(path)?;
        let tidied = tidy(path);
        let paths = [tidied.as_deref(), Some(path)];
        (self.reading).invalidate_paths(&self.selection, &paths.into_iter().flatten().collect::<Vec<_>>())
    }

    /// Invalidates an item, by its key or rating key.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; the store's.
    pub fn invalidate_item(&self, key: &str) -> Result<()> {
        self.reading
            .invalidate_item(&self.selection, self.reading.kind().rating_key(key)?)
    }

    /// A listed item by its key or rating key, with all its files and external ids. Sends no request.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; [`crate::error::Status::LibraryAmbiguous`]; the store's.
    pub fn item(&self, key: &str) -> Result<Option<crate::model::Item>> {
        self.reading.item(&self.selection, self.reading.kind().rating_key(key)?)
    }

    /// Makes a full listing due, and forgets the library's confirmed matches.
    ///
    /// # Errors
    /// [`crate::error::Status::LibraryAmbiguous`]; the store's.
    pub fn invalidate(&self) -> Result<()> {
        self.reading.invalidate(Some(&self.selection))
    }

    /// Gives items of this library the same values: [`super::Index::edit_items`].
    ///
    /// # Errors
    /// As there.
    pub fn edit_items(&self, edit: &Edit<'_>, report: &mut EditReport) -> Result<()> {
        let editing = &self.inner.editing;
        self.inner.asking(&self.query().call(&self.inner), |call| {
            editing.edit_items(call, edit, report)
        })
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Library({:?})", self.selector())
    }
}
