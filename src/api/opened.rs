//! Handles to an open index and its libraries.

use std::sync::{Arc, Weak};

use super::inner::Inner;
use crate::engine::Store;
use crate::error::{Result, invalid_argument_error};
use crate::options::Options;
use crate::platform::clock::{Clock, Deadline, SystemClock};
use crate::source::{self, Meter, Source};
use crate::stats::Counters;
use crate::sync::{IndexReader, PeerComponents, Peers, Selection, Selector};

/// A handle to an open index, cheap to clone and usable from any thread.
///
/// The index closes when its last handle is dropped; libraries, tables and watches also keep the index open. Any number
/// of indexes can be open on one folder, in any number of processes. A panic that unwinds through a call, such as a
/// panic in your callback, leaves the index usable: handles are `UnwindSafe`.
///
/// ```
/// use plexindex::{ErrorKind, Index, Options};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let index = Index::open(Options::new(folder))?; // without a server: answers from the store
/// let failed = index.match_path("/media/movies/Big Buck Bunny (2008).mkv").unwrap_err();
/// assert_eq!(failed.kind(), ErrorKind::NotFetched); // nothing is stored yet
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Index(Arc<OpenIndex>);

/// A weak handle, which does not keep the index open, from [`Index::downgrade`]. Use a weak handle in a callback for
/// [`Renewal`](crate::Renewal), where an [`Index`] would keep the index open for ever.
#[derive(Clone, Debug)]
pub struct WeakIndex(Weak<OpenIndex>);

impl WeakIndex {
    /// Returns a handle to the index; `None` if the last handle was dropped.
    #[must_use]
    pub fn upgrade(&self) -> Option<Index> {
        self.0.upgrade().map(Index)
    }
}

/// Closes the index on the thread that drops the last handle. `Inner` can outlive this value briefly, while another
/// thread's fork handler uses it.
struct OpenIndex(Arc<Inner>);

impl Drop for OpenIndex {
    /// Closes the index. Ignores errors, which [`Index::close`] would return.
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

    /// Opens an index that reads the time from `clock`, for tests. Rejects the option `shared`, which only the crate
    /// `plexindex-sharing` supports.
    #[doc(hidden)]
    #[allow(clippy::needless_pass_by_value)] // like `open`, which takes ownership
    pub fn open_with_clock(options: Options, clock: Arc<dyn Clock>) -> Result<Self> {
        options.check_shared()?;
        if options.shared.is_some() {
            return invalid_argument_error(
                "the option 'shared' is not supported by this build: open the index with plexindex_sharing::open, or \
                 build the C library with the cargo feature `shared`",
            );
        }
        Self::open_with_peers(&options, clock, |_| None)
    }

    /// Opens an index for the crate `plexindex-sharing`. `peers` creates the exchange with other hosts from the given
    /// components, or returns `None` if the index does not share.
    #[doc(hidden)]
    pub fn open_with_peers(
        options: &Options,
        clock: Arc<dyn Clock>,
        peers: impl FnOnce(PeerComponents) -> Option<Arc<dyn Peers>>,
    ) -> Result<Self> {
        let valid_options = source::check(options)?; // before the store's folder is created
        let source_clock = Arc::clone(&clock);
        Self::open_components(options, peers, clock, |store, meter| {
            let client_identifier = || store.folder().client_identifier();
            source::open(options, valid_options, client_identifier, meter, &source_clock)
        })
    }

    /// Opens an index with a custom source. `name`, which must not be empty, identifies the source, since one folder
    /// can store items of several sources. Options for Plex (`server_url`, `token`, timeouts, `database`) have no
    /// effect.
    ///
    /// # Errors
    /// As [`Index::open`].
    #[cfg(feature = "unstable-source")]
    pub fn open_with_source(options: Options, name: &str, source: Arc<dyn Source>) -> Result<Self> {
        if name.trim().is_empty() {
            return invalid_argument_error(
                "the source's name is empty: give a name that identifies the source in this folder",
            );
        }
        let options = Options {
            server_url: Some(name.to_owned()),
            database: None,
            ..options
        };
        Self::open_components(&options, |_| None, Arc::new(SystemClock), |_, _| Ok(Some(source)))
    }

    /// Opens an index with a test's own source and clock. The closure `source` receives the options, the folder's
    /// client identifier, and the meter that counts requests.
    #[doc(hidden)]
    #[allow(clippy::needless_pass_by_value)] // like `open`, which takes ownership
    pub fn open_with(
        options: Options,
        clock: Arc<dyn Clock>,
        source: impl FnOnce(&Options, &str, Arc<dyn Meter>) -> Result<Arc<dyn Source>>,
    ) -> Result<Self> {
        Self::open_components(
            &options,
            |_| None,
            clock,
            |store, meter| {
                let client_identifier = store.folder().client_identifier()?;
                source(&options, &client_identifier, meter).map(Some)
            },
        )
    }

    /// Opens the store and all other components. `source` opens the source, which counts its requests with the given
    /// meter, or returns `None` for an offline index. `peers` creates the exchange with other hosts from the given
    /// components, or returns `None` if the index does not share.
    fn open_components(
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

    /// Returns a weak handle, which does not keep the index open.
    #[must_use]
    pub fn downgrade(&self) -> WeakIndex {
        WeakIndex(Arc::downgrade(&self.0))
    }

    /// Drops this handle. If this is the last handle, writes the counters, closes the store and returns `true`. Returns
    /// `false` if other handles, libraries, tables, watches or iterators keep the index open. Dropping a handle without
    /// this method ignores errors.
    ///
    /// # Errors
    /// Errors of the store, if plexindex cannot write the counters.
    pub fn close(self) -> Result<bool> {
        Arc::into_inner(self.0).map_or(Ok(false), |open_index| open_index.0.close().map(|()| true))
    }

    /// Closes the index, even if other handles exist: a C program must not use any of its handles afterwards.
    #[doc(hidden)]
    pub fn close_now(&self) -> Result<()> {
        self.inner().close()
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.0.0
    }

    /// Returns whether `other` is a handle to the same open index.
    pub(super) fn is_same_index(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A handle to one library or all libraries, cheap to clone and usable from any thread. The handle keeps the index
/// open.
///
/// The index need not know the library yet: the first query asks the server for its libraries.
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
    pub(super) reading: Arc<IndexReader>, // saves fast lookups a pointer indirection
    pub(super) selection: Arc<Selection>,
}

impl Library {
    /// Creates a handle without a request. Fails if the selector's name is empty, or if several stored libraries have
    /// this name. A library that is not stored is no error, because the server may have it.
    pub(super) fn new(index: &Index, selector: Selector) -> Result<Self> {
        let selection = Selection::new(selector)?;
        let reading = Arc::clone(&index.inner().reading);
        reading.catch_up(Deadline::NONE)?; // a process may have stored libraries since the last call
        selection.resolve(&reading.snapshot())?;
        Ok(Self {
            index: index.clone(),
            reading,
            selection: Arc::new(selection),
        })
    }

    /// Returns the host's selector, which also caches the selected library's position in the snapshot.
    pub(super) fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Returns the selector with which the host opened this handle, unchanged: a library's name, section id or uuid, or
    /// all libraries.
    #[must_use]
    pub fn selector(&self) -> &Selector {
        self.selection.selector()
    }
}
