//! The handles of an open index and of its libraries.

use std::sync::{Arc, Weak};

use super::inner::Inner;
use crate::engine::Store;
use crate::error::{Result, refuse};
use crate::options::Options;
use crate::platform::clock::{Clock, SystemClock};
use crate::platform::deadline::Deadline;
use crate::source::{self, Meter, Source};
use crate::stats::Counters;
use crate::sync::{PeerComponents, Peers, Reading, Selection, Selector};

/// An open index: a handle that is cheap to clone and usable from any thread.
///
/// The index closes when its last handle is dropped. Libraries, tables and watches hold a handle too. Any number of
/// indexes may be open on one folder, in any number of processes. A panic that unwinds through a call, such as a panic
/// of your callback, leaves the index usable: handles are `UnwindSafe`.
///
/// ```
/// use plexindex::{ErrorKind, Index, Options};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let index = Index::open(Options::new(folder))?; // without a server: answers from the store
/// let failed = index.match_path("/media/movies/Big Buck Bunny (2008).mkv").unwrap_err();
/// assert_eq!(failed.kind(), ErrorKind::Offline); // nothing is stored yet
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Index(Arc<OpenIndex>);

/// A handle that does not keep the index open: [`Index::downgrade`]. Use it in a callback of
/// [`Renewal`](crate::Renewal), where an [`Index`] would keep the index open for ever.
#[derive(Clone, Debug)]
pub struct WeakIndex(Weak<OpenIndex>);

impl WeakIndex {
    /// Returns the index, unless its last handle was dropped.
    #[must_use]
    pub fn upgrade(&self) -> Option<Index> {
        self.0.upgrade().map(Index)
    }
}

/// Closes the index when its last handle is dropped, on that thread. `Inner` itself may live a moment longer, while a
/// fork on another thread holds it.
struct OpenIndex(Arc<Inner>);

impl Drop for OpenIndex {
    /// Closes the index. Ignores an error, which [`Index::close`] would return.
    fn drop(&mut self) {
        let _ = self.0.close();
    }
}

impl Index {
    /// Opens an index. Reads only the disk: the first query that needs the server sends the first request.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for invalid options,
    /// [`ErrorKind::Store`](crate::ErrorKind::Store), [`ErrorKind::StoreFull`](crate::ErrorKind::StoreFull).
    pub fn open(options: Options) -> Result<Self> {
        Self::open_with_clock(options, Arc::new(SystemClock))
    }

    /// [`Index::open`] with a different clock, for tests.
    #[doc(hidden)]
    #[allow(clippy::needless_pass_by_value)] // like `open`, which takes ownership
    pub fn open_with_clock(options: Options, clock: Arc<dyn Clock>) -> Result<Self> {
        options.check_shared()?;
        if options.shared.is_some() {
            return refuse(
                "the option 'shared' is not supported by this build: open the index with plexindex_sharing::open, or \
                 build the C library with the cargo feature `shared`",
            );
        }
        Self::open_with_peers(&options, clock, |_| None)
    }

    /// [`Index::open_with_clock`] for the crate `plexindex-sharing`: `peers` creates the exchange with other hosts from
    /// the components that it gets, or returns `None`.
    #[doc(hidden)]
    pub fn open_with_peers(
        options: &Options,
        clock: Arc<dyn Clock>,
        peers: impl FnOnce(PeerComponents) -> Option<Arc<dyn Peers>>,
    ) -> Result<Self> {
        let checked = source::check(options)?;
        let source_clock = Arc::clone(&clock);
        Self::open_over(options, peers, clock, |store, meter| {
            let identifier = || store.folder().client_identifier();
            source::open(options, checked, identifier, meter, &source_clock)
        })
    }

    /// Opens an index over a source of your own. `name` identifies the source, since one folder may hold the items of
    /// several sources. The name must not be empty. Options for Plex (`server_url`, `token`, timeouts, `database`) have
    /// no effect.
    ///
    /// # Errors
    /// As [`Index::open`].
    #[cfg(feature = "unstable-source")]
    pub fn open_with_source(options: Options, name: &str, source: Arc<dyn Source>) -> Result<Self> {
        if name.trim().is_empty() {
            return refuse("the name of the source is empty: give a name that identifies the source in this folder");
        }
        let options = Options {
            server_url: Some(name.to_owned()),
            database: None,
            ..options
        };
        Self::open_over(&options, |_| None, Arc::new(SystemClock), |_, _| Ok(Some(source)))
    }

    /// Opens an index over a test's own source and clock. The closure `source` gets the options, the client identifier
    /// of the folder, and the meter that counts requests.
    #[doc(hidden)]
    #[allow(clippy::needless_pass_by_value)] // like `open`, which takes ownership
    pub fn open_with(
        options: Options,
        clock: Arc<dyn Clock>,
        source: impl FnOnce(&Options, &str, Arc<dyn Meter>) -> Result<Arc<dyn Source>>,
    ) -> Result<Self> {
        Self::open_over(
            &options,
            |_| None,
            clock,
            |store, meter| {
                let id = store.folder().client_identifier()?;
                source(&options, &id, meter).map(Some)
            },
        )
    }

    /// Opens the store and all other components. `source` opens the source, or returns `None` for an offline index;
    /// `peers` is as in [`Index::open_with_peers`].
    fn open_over(
        options: &Options,
        peers: impl FnOnce(PeerComponents) -> Option<Arc<dyn Peers>>,
        clock: Arc<dyn Clock>,
        source: impl FnOnce(&Store, Arc<dyn Meter>) -> Result<Option<Arc<dyn Source>>>,
    ) -> Result<Self> {
        options.check()?;
        let store = Store::open(&options.cache_dir, !options.no_mmap)?;
        let counters = Arc::new(Counters::default());
        let source = source(&store, Arc::clone(&counters) as Arc<dyn Meter>)?;
        let inner = Inner::new(options, store, source, peers, clock, counters)?;
        Ok(Self(Arc::new(OpenIndex(inner))))
    }

    /// Returns a handle that does not keep the index open.
    #[must_use]
    pub fn downgrade(&self) -> WeakIndex {
        WeakIndex(Arc::downgrade(&self.0))
    }

    /// Drops this handle. Returns `false` if other handles, libraries, tables, watches or iterators keep the index
    /// open. The last handle writes the counters and closes the store, which may fail. Dropping a handle does the same
    /// and ignores the error.
    ///
    /// # Errors
    /// Errors of the store, if the counters could not be written.
    pub fn close(self) -> Result<bool> {
        Arc::into_inner(self.0).map_or(Ok(false), |open_index| open_index.0.close().map(|()| true))
    }

    /// Closes the index, even if it has other handles.
    #[doc(hidden)]
    pub fn close_now(&self) -> Result<()> {
        self.inner().close()
    }

    /// Returns the components of the index.
    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.0.0
    }

    /// Returns whether both are handles of the same open index.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A library, or all libraries: a handle that is cheap to clone and usable from any thread. It keeps the index open.
///
/// The library need not be known yet: the first query asks the server for its libraries.
///
/// ```no_run
/// # let folder = tempfile::tempdir()?;
/// # let index = plexindex::Index::open(plexindex::Options {
/// #     server_url: Some("http://127.0.0.1:32400".to_owned()),
/// #     token: plexindex::Token::new("YOUR-TOKEN"),
/// #     ..plexindex::Options::new(folder.path())
/// # })?;
/// let file = "/media/movies/Big Buck Bunny (2008).mkv";
/// let movies = index.library("Movies")?;
/// let found = movies.match_path(file)?;
/// let item = found.item().expect("it is listed");
///
/// // From now on, a fast lookup finds the item: no request, no lock.
/// assert_eq!(movies.lookup_key(file), Some(item.key.clone()));
///
/// // You know the item of another file.
/// movies.record_match("/mnt/elsewhere/same.mkv", &item.key)?;
/// assert_eq!(movies.lookup_key("/mnt/elsewhere/same.mkv"), Some(item.key.clone()));
///
/// // You doubt a match: plexindex asks the server before it returns the item again.
/// movies.invalidate_path(file)?;
/// assert_eq!(movies.lookup_key(file), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Library {
    pub(super) index: Index,
    /// Direct access for fast lookups, which saves following a pointer.
    pub(super) reading: Arc<Reading>,
    pub(super) selection: Arc<Selection>,
}

impl Library {
    /// Creates a handle. Fails if the store already shows that the selector is invalid or ambiguous.
    pub(super) fn new(index: &Index, selector: Selector) -> Result<Self> {
        let selection = Selection::new(selector)?;
        let reading = Arc::clone(&index.inner().reading);
        reading.catch_up(Deadline::NONE)?;
        selection.resolve(&reading.snapshot())?;
        Ok(Self {
            index: index.clone(),
            reading,
            selection: Arc::new(selection),
        })
    }

    /// Returns the selector with its cached result.
    pub(super) fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Returns the selector of this handle.
    #[must_use]
    pub fn selector(&self) -> &Selector {
        self.selection.selector()
    }
}
