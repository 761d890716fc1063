//! Handles to an open index and its libraries, and the index's components. Creates the components from the bottom up,
//! locks them for a fork, and closes them. Measures the duration of calls, and logs slow calls.
//!
//! Runs the host's callback for a new token, on the thread of the call that the server has refused, and on one thread at a
//! time.

use std::fmt::Write;
use std::panic::RefUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::engine::{LibraryRows, ListingSegments, Selection, Selector, Store, StoreWriter, Tables, Totals};
use crate::error::{Result, invalid_argument_error};
use crate::events::Events;
use crate::matching::Mappings;
use crate::model::Token;
use crate::options::{Options, Renewal};
use crate::platform::clock::{Clock, Deadline, SystemClock};
use crate::platform::fork::{self, ForkAware, ForkLock, SingleThreadProof, lock, try_lock};
use crate::query::Queries;
use crate::source::{self, Source, TokenOwner, Tokens};
use crate::stats::{CallStart, Counters, RequestKind, Stats};
use crate::sync::{Call, IndexReader, NoPeers, PeerComponents, Peers, Synchronizer, TICK};

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
        Self::open_components(options, peers, clock, |store, counters| {
            let client_identifier = || store.folder.client_identifier();
            source::open(options, valid_options, client_identifier, counters, &source_clock)
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
    /// client identifier, and the counters of requests.
    #[doc(hidden)]
    #[allow(clippy::needless_pass_by_value)] // like `open`, which takes ownership
    pub fn open_with(
        options: Options,
        clock: Arc<dyn Clock>,
        source: impl FnOnce(&Options, &str, Arc<Counters>) -> Result<Arc<dyn Source>>,
    ) -> Result<Self> {
        Self::open_components(
            &options,
            |_| None,
            clock,
            |store, counters| {
                let client_identifier = store.folder.client_identifier()?;
                source(&options, &client_identifier, counters).map(Some)
            },
        )
    }

    /// Opens the store and all other components. `source` opens the source, which counts its requests with the given
    /// counters, or returns `None` for an offline index. `peers` creates the exchange with other hosts from the given
    /// components, or returns `None` if the index does not share.
    fn open_components(
        options: &Options,
        peers: impl FnOnce(PeerComponents) -> Option<Arc<dyn Peers>>,
        clock: Arc<dyn Clock>,
        source: impl FnOnce(&Store, Arc<Counters>) -> Result<Option<Arc<dyn Source>>>,
    ) -> Result<Self> {
        options.check()?;
        let store = Store::open_for(&options.cache_dir, !options.no_mmap, options.offline)?;
        let counters = Arc::new(Counters::default());
        let source = source(&store, Arc::clone(&counters))?;
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
/// let item = found.sure().expect("it is listed");
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

    /// Returns the selector with which the host opened this handle, unchanged: a library's name, section id or uuid, or
    /// all libraries.
    #[must_use]
    pub fn selector(&self) -> &Selector {
        self.selection.selector()
    }
}

/// Maximum time that [`Inner::stats`] waits for evictions to bring the folder within its size limit.
const EVICTION_WAIT: Duration = Duration::from_secs(2);

/// The state that all handles of an open index share.
pub(crate) struct Inner {
    pub stale_answer_timeout: Duration,
    pub deadline: Option<Duration>,   // for calls without their own deadline
    slow_threshold: Option<Duration>, // duration from which plexindex logs a call as slow
    pub counters: Arc<Counters>,
    pub store: Arc<Store>,
    pub tables: Arc<Tables>,
    pub store_writer: Arc<StoreWriter>,
    pub reading: Arc<IndexReader>,
    pub sync: Arc<Synchronizer>,
    pub events: Arc<Events>,
    pub queries: Arc<Queries>,
    pub renewing: TokenRenewal,
    closed: AtomicBool,
}

impl Inner {
    /// Creates the components of an index. `source` is `None` if the index is offline. `peers` creates the exchange
    /// with other hosts from the given components, or returns `None` if the index does not share.
    #[allow(clippy::too_many_lines)] // one statement for each component
    pub fn new(
        options: &Options,
        store: Store,
        source: Option<Arc<dyn Source>>,
        peers: impl FnOnce(PeerComponents) -> Option<Arc<dyn Peers>>,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
    ) -> Result<Arc<Self>> {
        let mappings = Mappings::new(&options.mappings)?;
        let store = Arc::new(store);
        let tables = Tables::new(Arc::clone(&store), Arc::clone(&clock));
        let listings = Arc::new(ListingSegments::new(
            Arc::clone(&store),
            mappings.clone(),
            Arc::clone(&counters),
        ));
        let store_writer = Arc::new(StoreWriter::new(
            Arc::clone(&store),
            Arc::clone(&counters),
            options.matches_limit(),
            source.is_none(),
        ));
        let reading = Arc::new(IndexReader::new(
            Arc::clone(&store),
            Arc::clone(&listings),
            mappings,
            Arc::clone(&clock),
            Arc::clone(&counters),
            source.as_deref().map_or_else(|| source::kind(options), Source::kind),
            source
                .as_deref()
                .and_then(Source::tokens)
                .unwrap_or_else(|| Tokens::new(options.token.clone())),
            options,
        ));
        // Load the first snapshot, which the components below use.
        reading.reload(Deadline::NONE)?;
        // A fast lookup repairs nothing.
        if let Err(error) = reading.rebuild_if_incomplete(Deadline::NONE) {
            log::warn!("{error}; the next query will try again");
        }
        let peers = peers(PeerComponents {
            store: Arc::clone(&store),
            reading: Arc::clone(&reading),
            store_writer: Arc::clone(&store_writer),
            clock: Arc::clone(&clock),
        });
        let sync = Arc::new(Synchronizer::new(
            Arc::clone(&store),
            source.clone(),
            Arc::clone(&listings),
            Arc::clone(&store_writer),
            Arc::clone(&reading),
            Arc::clone(&clock),
            Arc::clone(&counters),
            peers.unwrap_or_else(|| Arc::new(NoPeers)),
            options,
        ));
        let events = Arc::new(Events::new(source, Arc::clone(&reading)));
        let inner = Arc::new(Self {
            queries: Arc::new(Queries::new(
                Arc::clone(&store),
                Arc::clone(&reading),
                Arc::clone(&sync),
                clock,
                Arc::clone(&counters),
                options,
            )),
            closed: AtomicBool::new(false),
            renewing: TokenRenewal::new(options),
            events,
            stale_answer_timeout: options.stale_answer_timeout,
            deadline: options.timeout,
            slow_threshold: options.slow,
            store,
            tables,
            store_writer,
            reading,
            sync,
            counters,
        });
        // From now on, a fork locks and resets the components.
        fork::register_component(&inner);
        inner.sync.peers.start();
        Ok(inner)
    }

    /// Measures a call until the returned value is dropped, for the counters and the log of slow calls. `operation` is
    /// the call's name in the log, `library` is `None` for all libraries, and `path_count` is the size of a batch.
    pub fn start_timer<'a>(
        &'a self,
        operation: &'static str,
        library: Option<&'a Selector>,
        path_count: Option<usize>,
    ) -> CallTimer<'a> {
        CallTimer {
            counters: &self.counters,
            slow_threshold: self.slow_threshold,
            operation,
            selector: library,
            path_count,
            before: self.counters.read(),
            start: self.counters.start_call(),
        }
    }

    /// Replaces the token. If the host sets the token within its renewal callback, the new token belongs to the same
    /// user as the refused token, like a token that the callback returns.
    pub fn set_token(&self, token: Option<Token>) -> Result<()> {
        if let Some(token) = &token {
            source::check_token(token)?;
        }
        let owner = match self.renewing.refused_session() {
            // If another thread has replaced the token, the owner of the new token is unknown.
            Some(refused) => match self.reading.tokens.compare_current(refused) {
                (session, true) => TokenOwner::SameAs(session),
                (_, false) => TokenOwner::Unknown,
            },
            None => TokenOwner::Unknown,
        };
        if self.reading.set_token(token, owner)? {
            // Requests with the new token may succeed, so end the pause after a failure.
            self.sync.forget_failures();
            self.events.reconnect_watch();
        }
        Ok(())
    }

    /// Stops the watch and the exchange with other hosts, writes the counters and closes the store, even if it cannot
    /// write them; then returns the error. A second call does nothing.
    pub fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.events.watch_stop();
        self.sync.peers.stop();
        let flushed = self.store_writer.flush_counters_on_close();
        self.store.close();
        flushed
    }

    /// Returns the counters of this index and the totals of the store.
    pub fn stats(&self) -> Result<Stats> {
        if let Err(error) = self.store_writer.flush_counters(Deadline::NONE) {
            log::debug!("cannot write the counters now: {error}; the next write includes them");
        }
        self.reading.catch_up(Deadline::NONE)?;
        // First evicts libraries, so that `over_limit` counts only bytes that cannot be evicted.
        self.reading.keep_within_limit(Deadline::after(EVICTION_WAIT));
        let totals = Totals::of(&self.store)?;
        let view_id = self.reading.view_id();
        // The store may have no view of this server and user yet.
        let rows = view_id.map_or(Ok(Vec::new()), |view_id| LibraryRows(&self.store).libraries(view_id))?;
        let matches = self.reading.count_matches()?;
        Ok(Stats {
            items: rows.iter().map(|row| row.items).sum(),
            matches,
            libraries: rows.len() as u64,
            store_requests: totals.requests,
            store_answers: totals.answers,
            sequence: self.store.sequence()?.0,
            disk_bytes: self.store.folder.disk_bytes(),
            size_limit: self.reading.limit.bytes,
            over_limit: self.reading.limit.excess_bytes()?,
            evictions: totals.evictions,
            last_failure: self.sync.last_error_message(),
            ..self.counters.read()
        })
    }

    /// Removes everything that the store contains for this server and user, except tables. Repeats the removal if
    /// another call changes the view meanwhile.
    pub fn clear(&self) -> Result<()> {
        let mut cleared = false;
        // Without a server URL, a retry would select another server in the folder, and clear its data too.
        let has_server = self.reading.viewpoint.endpoint().is_some();
        self.reading.retry_until_current(|| {
            let view_id = self.reading.view_id().filter(|_| has_server || !cleared);
            let Some(view_id) = view_id else {
                return Ok(None); // nothing to remove
            };
            LibraryRows(&self.store).clear(view_id, Deadline::NONE)?;
            cleared = true;
            Ok(Some((view_id, Vec::new()))) // no library needs to exist afterwards
        })?;
        if cleared {
            self.store_writer.sweep_after_clear();
            log::info!("cleared the store");
        }
        Ok(())
    }
}

// A caught panic leaves the index usable: later calls ignore poisoned locks, and the code changes the data under each
// lock in one step, or can rebuild it.
impl RefUnwindSafe for Inner {}

impl ForkAware for Inner {
    /// Acquires and returns all of the index's locks, in the order in which calls acquire them, so that the child of a
    /// fork inherits no lock that another thread holds. Dropping a returned value releases its lock.
    fn before(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        // Locks that a call can hold while it waits for the store must come before the store's own locks.
        let mut locks: Vec<Box<dyn ForkLock>> = vec![
            Box::new(fork::lock_for_fork(&self, |inner| &inner.renewing.state)),
            self.events.lock_for_fork(),
        ];
        locks.extend(self.reading.hold());
        locks.push(self.store_writer.hold());
        locks.extend(self.queries.lock_for_fork());
        locks.extend(self.sync.hold());
        locks
    }

    /// Resets the components in the child of a fork, which has none of the parent's other threads.
    fn after_in_child(&self, alone: &SingleThreadProof) {
        self.reading.after_fork(alone);
        self.store_writer.after_fork();
        self.sync.after_fork();
        self.events.after_fork();
        self.renewing.after_fork();
    }
}

impl Drop for Inner {
    /// Unregisters the index from the fork handlers, so that forks no longer lock it.
    fn drop(&mut self) {
        fork::remove_dropped_components();
    }
}

impl std::fmt::Debug for Inner {
    /// Formats the index's folder, which identifies the index.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Index({})", self.store.folder.path().display())
    }
}

/// A running call, whose duration plexindex measures. Dropping this value counts the call.
pub struct CallTimer<'a> {
    pub(super) counters: &'a Counters,
    pub(super) slow_threshold: Option<Duration>, // `None`: no call is slow
    pub(super) operation: &'static str,
    pub(super) selector: Option<&'a Selector>, // the call's library; `None` for all libraries
    pub(super) path_count: Option<usize>,
    pub(super) start: CallStart,
    pub(super) before: Stats, // the counters before the call
}

impl Drop for CallTimer<'_> {
    /// Counts the call, and logs the call if it was slow.
    fn drop(&mut self) {
        let counters = self.counters;
        let (took, was_alone) = counters.finish_call(&self.start);
        if self.slow_threshold.is_none_or(|slow| took < slow) {
            return;
        }
        counters.slow_calls.add(1);
        let (before, after) = (&self.before, counters.read());
        let has_fetched_page = after.requests[RequestKind::Page as usize] > before.requests[RequestKind::Page as usize];
        let has_waited = after.waiting.saturating_sub(before.waiting) > Duration::from_millis(1);
        let text = self.log_line(took, &after, was_alone);
        // A call that fetches a listing or waits for another fetch is usually slow, so its log line is not a warning.
        if has_fetched_page || has_waited {
            log::info!("{text}");
        } else {
            log::warn!("{text}");
        }
    }
}

impl CallTimer<'_> {
    /// Returns the log line for a call. `took` is the call's duration, `after` contains the counters at its end, and
    /// `was_alone` says whether no other call ran on this index. The line contains no path, since paths are private.
    fn log_line(&self, took: Duration, after: &Stats, was_alone: bool) -> String {
        let before = &self.before;
        let mut text = self.operation.to_owned();
        if let Some(path_count) = self.path_count {
            let _ = write!(text, " of {path_count} paths");
        }
        match self.selector {
            None | Some(Selector::All) => text.push_str(" in all libraries"),
            Some(selector) => _ = write!(text, " in '{}'", selector.name()),
        }
        let _ = write!(text, " took {:.2} s", took.as_secs_f64());
        let requests = after.all_requests() - before.all_requests();
        let request_noun = if requests == 1 { "request" } else { "requests" };
        let since = Duration::saturating_sub; // subtracts the time before the call from the time after it
        let parts = [
            (
                &*format!("the server ({requests} {request_noun})"),
                since(after.network, before.network),
            ),
            ("parsing", since(after.parsing, before.parsing)),
            ("the store", since(after.storing, before.storing)),
            ("segments", since(after.indexing, before.indexing)),
            ("matching", since(after.matching, before.matching)),
            (
                "waiting for another fetch or before a retry",
                since(after.waiting, before.waiting),
            ),
        ];
        let mut separator = ": ";
        // Omit the parts that took no measurable time.
        for (part, took) in parts.iter().filter(|(_, took)| took.as_millis() > 0) {
            let _ = write!(text, "{separator}{part} {:.2} s", took.as_secs_f64());
            separator = ", ";
        }
        if !was_alone {
            text.push_str(" (includes other calls on this handle)");
        }
        text
    }
}

const PAUSE_MS: i64 = 15_000; // after a renewal that yielded no token, or a token that the server refused

thread_local! {
    /// The address of this variable identifies a running thread. `std::thread::try_read_current` would register a
    /// destructor on the host's thread, and the library may be unloaded before that destructor runs.
    static MARK: u8 = const { 0 };
}

/// Returns a number that identifies the calling thread while it runs.
fn this_thread() -> usize {
    MARK.with(|mark| std::ptr::from_ref(mark).addr())
}

/// The host's callback, and the state of its current run.
pub(crate) struct TokenRenewal {
    pub renewal: Option<Renewal>,
    /// Maximum wait for another thread's renewal. Prevents a deadlock if the callback waits for the waiting call.
    max_wait: Duration,
    pub(super) state: Mutex<RenewalState>,
    ended: Condvar,
}

/// A call that the server refused, and whose thread is running the callback.
#[derive(Clone, Copy)]
struct RefusedCall {
    thread: usize, // the call's thread, from `this_thread`
    session: u64,  // number of the refused token
}

#[derive(Default)]
pub(super) struct RenewalState {
    /// The refused call whose thread is running the callback, if any. Calls within the callback do not renew the token.
    running_for: Option<RefusedCall>,
    failed_ms: Option<i64>, // Unix ms of the last renewal that yielded no token, or a token that the server refused
}

/// Ends a renewal when dropped, even after a panic in the callback.
struct RenewalGuard<'r>(&'r TokenRenewal);

impl Drop for RenewalGuard<'_> {
    /// Ends the renewal, and wakes the threads that wait for it.
    fn drop(&mut self) {
        lock(&self.0.state).running_for = None;
        self.0.ended.notify_all();
    }
}

impl TokenRenewal {
    pub fn new(options: &Options) -> Self {
        Self {
            renewal: options.renewal.clone(),
            max_wait: options.read_timeout,
            state: Mutex::default(),
            ended: Condvar::new(),
        }
    }

    /// Resets the state in the child of a fork, where only a renewal on the forking thread continues. If the state is
    /// locked, leaves it unchanged, because no other thread could release the lock.
    pub fn after_fork(&self) {
        if let Some(mut state) = try_lock(&self.state) {
            state.running_for = state.running_for.filter(|call| call.thread == this_thread());
        }
    }

    /// Returns the number of the refused token if the callback is running on this thread; otherwise `None`. The caller
    /// treats a token that the host sets within the callback like a token that the callback returns.
    pub fn refused_session(&self) -> Option<u64> {
        let refused_call = lock(&self.state).running_for;
        refused_call
            .filter(|call| call.thread == this_thread())
            .map(|call| call.session)
    }

    /// Asks the host for a new token after the server has refused the call's token, and passes the new token to `set`. If
    /// another thread is running the callback, first waits for that thread until the deadline, but no longer than the
    /// read timeout. Does nothing if `is_renewed` then returns `true`, during the pause after a failed renewal, or within
    /// the callback. `now_ms` is the current time in Unix ms.
    ///
    /// # Errors
    /// Fails if the host ends the call while it waits.
    pub fn renew(
        &self,
        now_ms: i64,
        call: &Call<'_>,
        is_renewed: &dyn Fn() -> bool,
        set: &dyn Fn(Token),
    ) -> Result<()> {
        let Some(renewal) = &self.renewal else {
            return Ok(());
        };
        let (thread, session) = (this_thread(), call.session);
        let mut state = lock(&self.state);
        // A call within the callback must not run the callback again.
        if state.running_for.is_some_and(|call| call.thread == thread) {
            return Ok(());
        }
        // Wait for another thread's renewal, whose token this call can use.
        let begun = Instant::now();
        let until = Deadline::after(call.deadline.wait(self.max_wait));
        while state.running_for.is_some() && !until.has_passed() {
            let waited = self
                .ended
                .wait_timeout_while(state, until.wait(TICK), |state| state.running_for.is_some());
            // The host's function runs without the lock, since it may use the index.
            drop(waited);
            call.report_progress(begun.elapsed())?;
            state = lock(&self.state);
        }
        // A negative difference means that the clock was set back, which ends the pause.
        let is_in_pause = |failed_ms: i64| (0..PAUSE_MS).contains(&now_ms.saturating_sub(failed_ms));
        if state.running_for.is_some() || is_renewed() || state.failed_ms.is_some_and(is_in_pause) {
            return Ok(());
        }
        // Run the callback without the lock, since the callback may use the index.
        state.running_for = Some(RefusedCall { thread, session });
        drop(state);
        let guard = RenewalGuard(self);
        if let Some(token) = renewal.call() {
            set(token);
        }
        lock(&self.state).failed_ms = (!is_renewed()).then_some(now_ms);
        drop(guard);
        Ok(())
    }

    /// Starts the pause before the next renewal, since the server refused the new token. `now_ms`: current Unix ms.
    pub fn record_failure(&self, now_ms: i64) {
        lock(&self.state).failed_ms = Some(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use crate::api::Index;
    use crate::engine::LibraryRows;
    use crate::model::{Server, Token, ViewId};
    use crate::options::Options;

    #[test]
    fn answers_for_one_user_never_reach_a_user_whose_token_is_set_meanwhile() {
        let folder = tempfile::tempdir().expect("a folder");
        let index = Index::open(Options {
            cache_dir: folder.path().to_owned(),
            server_url: Some("http://127.0.0.1:1".to_owned()),
            token: Token::new("bob"),
            ..Options::default()
        })
        .expect("opens");
        let inner = index.inner();
        let server = Server {
            machine_identifier: "server".to_owned(),
            ..Server::default()
        };
        let set = |token: &str| inner.set_token(Token::new(token)).expect("set");
        let accepted = |token: &str| {
            set(token);
            let endpoint = inner.reading.viewpoint.endpoint().expect("a server is named");
            LibraryRows(&inner.store).reached(&endpoint, &server).expect("accepted")
        };
        let (bob, ann) = (accepted("bob"), accepted("ann"));
        assert_ne!(bob, ann);
        // Three cases: nothing changes, a new token is set during the write, or the token is replaced by one of the same
        // user.
        for (next, wanted) in [(None, vec![ann]), (Some("bob"), vec![ann]), (Some("ann"), vec![ann])] {
            set("ann");
            let mut told: Vec<ViewId> = Vec::new();
            let insisted = inner.reading.retry_until_current(|| {
                let Some(view_id) = inner.reading.view_id() else {
                    return Ok(None);
                };
                told.push(view_id);
                if let (Some(next), 1) = (next, told.len()) {
                    set(next);
                }
                Ok(Some((view_id, Vec::new())))
            });
            assert_eq!(insisted, Ok(()), "{next:?}");
            assert_eq!(told, wanted, "{next:?}");
        }
    }
}
