//! Sync jobs: a worker thread sends requests, and the calling thread reports progress.
//!
//! Ensures that only one thread in one process fetches a library at a time. Threads use a lock with a timeout, and
//! processes a file lock, which the operating system releases when a process exits. On a file system without locks, two
//! processes can fetch the same library at the same time.

use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

use super::call::{AllowedView, Call, Progress, aborted_error};
use super::reading::IndexReader;
use crate::engine::{
    Endpoint, Folded, KnowledgeRows, LibraryRow, ListingSegments, Replies, SearchRows, Snapshot, Store, StoreWriter,
};
use crate::error::{Error, Result, RetryAdvice, Status};
use crate::knowledge::{Moment, Need, Policy, StandardRules, is_stale, need};
use crate::matching::{LibraryIndex, NormalPath};
use crate::model::{ByteString, Item, Library, LibraryId, Sequence, ViewId};
use crate::options::{Options, Ttl};
use crate::platform::clock::{Clock, Deadline};
use crate::platform::fork::{ForkLock, lock, lock_for_fork};
use crate::platform::lock::FileLock;
use crate::platform::thread::beside;
use crate::source::{Abilities, Bounds, Session, Source};
use crate::stats::{Activity, Counters};

/// A time before all failures, in Unix ms. Half of the minimum value, so that time differences do not overflow.
pub(super) const NEVER_MS: i64 = i64::MIN / 2;

/// Sends requests to the source in order to keep one handle's store up to date.
pub struct Synchronizer {
    pub(super) store: Arc<Store>,
    pub(super) source: Option<Arc<dyn Source>>,
    pub(super) segments: Arc<ListingSegments>,
    pub(super) store_writer: Arc<StoreWriter>,
    pub(super) reading: Arc<IndexReader>,
    pub(super) policy: Policy,
    pub(super) page_size: u32,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: Arc<Counters>,
    /// The locks for this process's running fetches, by name. Only plexindex's own threads wait for them: a waiting thread
    /// gets a thread-local variable with a destructor, which on a host's thread would prevent unloading plexindex.
    flights: Mutex<HashMap<String, Arc<parking_lot::Mutex<()>>>>,
    /// The exchange with other hosts.
    pub peers: Arc<dyn Peers>,
    /// Time at which a request for invalidated items last failed, in Unix ms.
    pub(super) last_failure_ms: AtomicI64,
    pub(super) failure: Mutex<Option<LastFailure>>,
}

/// The last failure. During the pause that follows it, plexindex returns stale answers and sends no requests.
pub(super) struct LastFailure {
    pub error: Error,
    /// Time of the failure, in Unix ms.
    pub failed_ms: i64,
}

/// One sync job, limited by the call's deadline.
pub struct SyncJob<'a> {
    pub sync: &'a Synchronizer,
    pub source: &'a dyn Source,
    /// The session with the token that the job uses.
    pub session: &'a Session,
    pub bounds: Bounds<'a>,
    pub report: &'a JobProgress,
    /// Whether the job fetches no full listing, but reports which libraries need one.
    pub skips_listings: bool,
}

/// The exchange of what hosts record, with other hosts that use the same server. The default methods are for a host that
/// does not share (`NoPeers`).
pub trait Peers: Any + Send + Sync {
    /// Starts the exchange in the background, unless it runs.
    fn start(&self) {}

    /// Stops the exchange, before the index is closed.
    fn stop(&self) {}

    /// Delivers this host's rows and applies those of other hosts, within the deadline. Succeeds even if no other host can
    /// be reached.
    fn exchange(&self, _deadline: Deadline) -> Result<()> {
        Ok(())
    }

    /// Waits until other hosts can read what this host has recorded. Fails if the index is not shared.
    fn deliver(&self, _deadline: Deadline) -> Result<()> {
        self.expect_shared()
    }

    /// Fails if this host does not share its index, as is always the case for this default.
    fn expect_shared(&self) -> Result<()> {
        Err(not_shared_error())
    }

    /// Returns whether this path leads to the same file on all hosts, so that they can share a match for the path.
    fn is_path_shareable(&self, _library: &Library, _path: &[u8]) -> bool {
        true
    }

    /// Takes all locks for a fork. Dropping the returned values releases the locks.
    fn hold(&self) -> Vec<Box<dyn ForkLock>> {
        Vec::new()
    }

    /// In the child after a fork, discards state that only the parent may use.
    fn after_fork(&self) {}
}

/// An open index's components, for use by an implementation of [`Peers`].
pub struct PeerComponents {
    pub store: Arc<Store>,
    pub reading: Arc<IndexReader>,
    pub store_writer: Arc<StoreWriter>,
    pub clock: Arc<dyn Clock>,
}

/// Returns the error for a call that needs a shared index.
pub fn not_shared_error() -> Error {
    Error::new(
        Status::InvalidArgument,
        "the index is not shared: open it with the option 'shared' and a server_url, without the offline flag",
    )
}

/// Implements [`Peers`] for an index that is not shared.
pub struct NoPeers;

impl Peers for NoPeers {}

impl Synchronizer {
    /// Creates the component from its dependencies. `source`: `None` if the index is offline.
    #[allow(clippy::too_many_arguments)] // one argument per component
    pub fn new(
        store: Arc<Store>,
        source: Option<Arc<dyn Source>>,
        segments: Arc<ListingSegments>,
        store_writer: Arc<StoreWriter>,
        reading: Arc<IndexReader>,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        peers: Arc<dyn Peers>,
        options: &Options,
    ) -> Self {
        Self {
            failure: Mutex::new(None),
            store,
            source,
            segments,
            store_writer,
            reading,
            policy: Policy::new(options),
            page_size: options.page_size,
            flights: Mutex::default(),
            peers,
            last_failure_ms: AtomicI64::new(NEVER_MS),
            clock,
            counters,
        }
    }

    /// Takes the locks of this component and its subcomponents for a fork. Dropping the returned values releases the
    /// locks.
    pub fn hold(self: &Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        let mut locks = self.peers.hold();
        locks.push(Box::new(lock_for_fork(self, |sync| &sync.failure)));
        locks.push(Box::new(lock_for_fork(self, |sync| &sync.flights)));
        locks.extend(self.source.iter().flat_map(|source| Arc::clone(source).before_fork()));
        locks
    }

    /// In the child after a fork, resets the locks and connections that belong to the parent.
    pub fn after_fork(&self) {
        // The threads that held the locks do not exist in the child.
        if let Ok(mut flights) = self.flights.try_lock() {
            flights.clear();
        }
        self.peers.after_fork();
        if let Some(source) = &self.source {
            source.after_fork();
        }
    }

    /// Returns whether this call is allowed to send requests: the index has a source, and the call is not offline.
    pub fn may_send_requests(&self, call: &Call<'_>) -> bool {
        self.source.is_some() && !call.offline
    }

    /// Fails with [`Status::Offline`] if this call is not allowed to send requests. `operation`: what the call does, in
    /// the error message after 'cannot'.
    pub fn check_online(&self, call: &Call<'_>, operation: &str) -> Result<()> {
        if self.may_send_requests(call) {
            return Ok(());
        }
        let remedy = self.reading.offline_remedy.unwrap_or("remove this call's offline flag");
        Err(Error::new(Status::Offline, format!("cannot {operation}: {remedy}")))
    }

    /// Returns the capabilities of the source; `None` without a source.
    pub fn capabilities(&self) -> Option<Abilities> {
        self.source.as_deref().map(Source::abilities)
    }

    /// Returns whether the caller should repeat the call, because the server rejected the token, and a new token is or
    /// may become available.
    pub fn should_retry_with_new_token(&self, call: &Call<'_>, error: &Error) -> bool {
        error.status == Status::Unauthorized
            && (call.will_retry_with_new_token || self.reading.tokens.current().number() != call.session)
    }

    /// Returns whether the source is local (Plex's database), so that reading the source sends no requests.
    pub fn is_local(&self) -> bool {
        self.capabilities().is_some_and(|can| can.local)
    }

    /// Returns the time for [`need`] and [`is_stale`], and whether a library's source has changed.
    pub fn moment(&self, row: &LibraryRow, now_ms: i64) -> Moment {
        Moment {
            now_ms,
            source_changed: row.generation.is_fetched() && self.source_may_have_changed(row),
        }
    }

    /// Returns the request that a library needs most now; `None` if no request can make its answers fresher.
    pub fn need(&self, row: &LibraryRow, now_ms: i64) -> Option<Need> {
        need(&row.knowledge, &row.doubts, &self.policy, &self.moment(row, now_ms))
    }

    /// Returns whether answers from a library are stale.
    pub fn is_stale(&self, row: &LibraryRow, now_ms: i64) -> bool {
        is_stale::<StandardRules>(&row.knowledge, &row.doubts, &self.policy, &self.moment(row, now_ms))
    }

    /// Returns whether a reply to a request at `since_ms` is older than the TTL, as after a machine has slept.
    pub fn is_past_ttl(&self, since_ms: i64, now_ms: i64) -> bool {
        now_ms.saturating_sub(since_ms) >= self.policy.ttl_ms(i64::MAX, i64::MAX)
    }

    /// Returns whether answers from a library are stale for another reason than their age.
    pub fn is_doubted(&self, row: &LibraryRow, now_ms: i64) -> bool {
        is_stale::<StandardRules>(
            &row.knowledge,
            &row.doubts,
            &Policy {
                ttl: Ttl::Forever,
                ..self.policy
            },
            &self.moment(row, now_ms),
        )
    }

    /// Returns whether a local source may have changed since the last probe of this library; always `false` for a
    /// server.
    pub fn source_may_have_changed(&self, row: &LibraryRow) -> bool {
        self.source
            .as_deref()
            .is_some_and(|source| source.abilities().local && source.may_have_changed(&row.library.change.token))
    }

    /// Returns the lock name for `work` that concerns the whole server. Each server has its own lock, so that an
    /// unresponsive server does not block calls to another server in the same folder.
    pub(super) fn server_lock_name(&self, work: &str) -> String {
        // Lock files are never removed, so use only two bytes of the hash to limit their number.
        let [hash_0, hash_1, ..] = xxh3_64(self.reading.viewpoint.source_address().as_bytes()).to_le_bytes();
        format!("{work}-{hash_0:02x}{hash_1:02x}")
    }

    /// Runs `work`; but if another thread or process runs work with this name, returns `None` without waiting.
    pub(super) fn run_unless_running<T>(&self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        let no_wait = Bounds {
            deadline: Deadline::after(Duration::ZERO),
            ..Bounds::NONE
        };
        self.single_flight(name, no_wait, work)
    }

    /// Runs `work` as soon as no other thread or process runs work with this name. Returns `None`, without running
    /// `work`, if the wait exceeds `bounds`.
    fn single_flight<T>(&self, name: &str, bounds: Bounds<'_>, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        let thread_lock = Arc::clone(lock(&self.flights).entry(name.to_owned()).or_default());
        let Some(_thread_guard) = lock_within(&thread_lock, bounds) else {
            return Ok(None);
        };
        let path = self.store.folder.lock_path(name);
        let _process_guard = match FileLock::acquire(&path, bounds.deadline, bounds.aborted) {
            Ok(Some(lock)) => Some(lock),
            Ok(None) => return Ok(None),
            Err(error) => {
                log::debug!(
                    "cannot lock {}: {error}; another process may fetch the same library",
                    path.display()
                );
                None
            }
        };
        work().map(Some)
    }

    /// Fails if the call must not use the snapshot's view, because the token was replaced.
    pub fn check_view(&self, call: &Call<'_>, snapshot: &Snapshot) -> Result<()> {
        let is_token_allowed = self.reading.tokens.current_if_same_view(call.session).is_some();
        let is_user_allowed = match call.allowed_view {
            AllowedView::Any => true,
            AllowedView::Of(allowed) => snapshot.view_id.is_none_or(|view_id| view_id == allowed),
            AllowedView::Unknown => false,
        };
        if is_token_allowed && is_user_allowed {
            return Ok(());
        }
        Err(token_replaced_error())
    }

    /// Runs `work` on a worker thread, and meanwhile reports progress on the calling thread. `work` can send requests
    /// within the call's limits. Returns the result of `work`, or fails if the host stops the call.
    pub fn job<T: Send>(&self, call: &Call<'_>, work: impl FnOnce(&SyncJob<'_>) -> Result<T> + Send) -> Result<T> {
        self.job_with(call, &JobProgress::default(), work)
    }

    /// Runs `work` like [`Self::job`]. Afterwards, `report` says how far the job has come.
    pub(super) fn job_with<T: Send>(
        &self,
        call: &Call<'_>,
        report: &JobProgress,
        work: impl FnOnce(&SyncJob<'_>) -> Result<T> + Send,
    ) -> Result<T> {
        if let Some(failure) = call.failure {
            return Err(failure.clone());
        }
        let Some(source) = self.source.as_deref() else {
            let remedy = self.reading.offline_remedy.unwrap_or("set server_url or database");
            let text = format!("this call needs the server, but the index is offline: {remedy}");
            return Err(Error::new(Status::Offline, text));
        };
        // Check that the token still has the same view, because the libraries that the call has read could belong to a
        // different user.
        let Some(session) = self.reading.tokens.current_if_same_view(call.session) else {
            return Err(token_replaced_error());
        };
        let is_aborted = || report.is_aborted();
        let started_at = Instant::now();
        let tick = |is_working| report_progress(source, call, report, started_at, is_working);
        let bounds = Bounds {
            deadline: call.deadline,
            max_silence: call.max_silence,
            retry_for: call.retry_for,
            aborted: &is_aborted,
            token_number: session.number(),
        };
        let job = SyncJob {
            sync: self,
            source,
            session: &session,
            bounds,
            report,
            skips_listings: call.skips_listings,
        };
        // Run the job. A failure tells other calls that the server does not answer.
        let requests_before = self.request_counts();
        let work = || {
            let result = job.check_precondition().and_then(|()| work(&job));
            if let Err(error) = &result {
                job.note_failure(error, requests_before);
            }
            // Once for all listings, because a sweep reads the names of all segments.
            if report.has_listed.load(Ordering::Relaxed) {
                self.store_writer.sweep(job.bounds.deadline);
            }
            result
        };
        let result = on_worker(work, || tick(true)); // `true`: the job is running
        self.counters.add_time(Activity::NotMatching, started_at.elapsed());
        // Record what the result says about the token and the server.
        let sent_requests = self.request_counts() != requests_before;
        match &result {
            Ok(_) if sent_requests => session.set_rejected(false),
            Err(error) if error.status == Status::Unauthorized => session.set_rejected(true),
            _ => {}
        }
        if result.is_ok() {
            if report.fetching.load(Ordering::Relaxed) {
                tick(false); // the final report, so that a progress bar becomes full
            }
            // Success proves that the server answers again only if the job sent a request.
            if (self.is_local() || sent_requests) && lock(&self.failure).take().is_some() {
                log::info!("answers are current again");
            }
        }
        // The last progress report may have stopped the call.
        if report.is_aborted() {
            Err(aborted_error())
        } else {
            result
        }
    }

    /// Stores the server's replies about items, which doubts other items that have one of their new files. `asked`: the
    /// request's ticket, and whether the items were doubted.
    pub(super) fn store_items(
        &self,
        row: &LibraryRow,
        items: &Replies,
        asked: (Sequence, bool),
        deadline: Deadline,
    ) -> Result<Folded> {
        let rivals = |key: &str, gained: &Item| self.items_with_files(row, key, &gained.parts);
        let now_ms = self.clock.now_ms();
        KnowledgeRows(&self.store).fold_items(row.id, items, asked, &rivals, now_ms, deadline)
    }

    /// Returns the rating keys of the library's other items that have one of these files. Uses the current snapshot, which
    /// may lack the newest changes.
    pub(super) fn items_with_files(&self, row: &LibraryRow, rating_key: &str, files: &[ByteString]) -> Vec<String> {
        let snapshot = self.reading.snapshot();
        let Some(index) = snapshot.rows.iter().position(|other| other.id == row.id) else {
            return Vec::new();
        };
        let view = &snapshot.libraries[index];
        let mut keys = BTreeSet::new();
        for file in files {
            NormalPath::with(file.as_bytes(), |path| {
                view.each_listed(path, |hit, _| {
                    let key = view.key_and_path(hit).map(|(key, _)| key);
                    keys.extend(key.filter(|key| *key != rating_key).map(str::to_owned));
                });
            });
        }
        keys.into_iter().collect()
    }
}

impl SyncJob<'_> {
    /// Runs `work` as soon as no other thread or process runs work with this name, so that no two send the same
    /// requests. Returns `None`, without running `work`, if the wait exceeds `bounds`. Adds the waiting time to the
    /// counters.
    pub fn single_flight<T>(
        &self,
        name: &str,
        bounds: Bounds<'_>,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        let (sync, wait_start) = (self.sync, Instant::now());
        let count_wait = || sync.counters.add_time(Activity::Wait, wait_start.elapsed());
        let work = || {
            count_wait();
            work()
        };
        let result = sync.single_flight(name, bounds, work);
        if let Ok(None) = result {
            count_wait();
        }
        result
    }

    /// Returns the server's URL and the user for the job's requests; `None` without a source.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.sync.reading.viewpoint.endpoint_of(self.session)
    }

    /// Returns the id of the job's view; `None` if no server has accepted the job's token yet.
    pub fn view_id(&self) -> Result<Option<ViewId>> {
        self.sync.reading.viewpoint.view_of(self.session)
    }

    /// Checks the source's precondition, such as that a database belongs to the server, unless it was met within a day.
    fn check_precondition(&self) -> Result<()> {
        let sync = self.sync;
        let Some(precondition) = self.source.precondition() else {
            return Ok(());
        };
        // The store remembers, by the hash of the precondition's text, when it was last met.
        let (hash, now_ms) = (xxh3_64(precondition.as_bytes()), sync.clock.now_ms());
        if SearchRows(&sync.store).has_recent_precondition_check(hash, now_ms)? {
            return Ok(());
        }
        match self.source.check_precondition(self.bounds) {
            Ok(()) => {
                SearchRows(&sync.store).record_precondition_met(hash, now_ms);
                Ok(())
            }
            // The server is unreachable, but the view is stored, so an earlier check succeeded. The next job checks
            // again.
            Err(error) if error.status.retry_advice() == RetryAdvice::NotNow && self.view_id()?.is_some() => {
                log::info!("cannot check whether {precondition}: {error}; assuming that nothing changed");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the error for a deadline that passed while another thread or process was fetching.
    pub fn deadline_error(&self) -> Error {
        if (self.bounds.aborted)() {
            return aborted_error();
        }
        Error::new(
            Status::Timeout,
            "the timeout passed while another thread or process was fetching; retry later",
        )
    }
}

/// Returns whether plexindex may store an item: its rating key is valid, and the item is not in the trash.
pub(super) fn is_storable(item: &Item) -> bool {
    item.has_valid_key() && !item.trashed
}

/// Returns the error for a library that was cleared during its listing.
pub fn library_cleared_error(row: &LibraryRow) -> Error {
    Error::new(
        Status::Store,
        format!(
            "cannot list library '{}': another call cleared it during the listing; try again",
            row.library.title
        ),
    )
}

/// Returns the error for a call whose token was replaced by a token with a different view.
fn token_replaced_error() -> Error {
    Error::new(
        Status::Unauthorized,
        "the token was replaced during this call by a different user's token, or by a token that the server has not \
         accepted yet; retry",
    )
}

/// Interval at which a waiting thread checks whether to stop waiting.
const POLL: Duration = Duration::from_millis(20);

/// Takes a lock; `None` if the wait exceeds `bounds`. Wakes up from time to time, because the host may abort the call.
fn lock_within<'l>(lock: &'l parking_lot::Mutex<()>, bounds: Bounds<'_>) -> Option<parking_lot::MutexGuard<'l, ()>> {
    loop {
        if let Some(guard) = lock.try_lock_for(bounds.deadline.wait(POLL)) {
            return Some(guard);
        }
        if (bounds.aborted)() || bounds.deadline.has_passed() {
            return None;
        }
    }
}

/// Interval between progress reports to the host.
pub const TICK: Duration = Duration::from_millis(100);

/// Runs `work` on a new thread, and returns its result. Meanwhile, calls `tick` on the calling thread at intervals. A
/// panic in `work` continues on the calling thread. If no thread can be started, runs `work` on the calling thread.
pub fn on_worker<R: Send>(work: impl FnOnce() -> R + Send, mut tick: impl FnMut()) -> R {
    let (outcome, done) = (Mutex::new(None), Condvar::new());
    let run = || {
        let result = catch_unwind(AssertUnwindSafe(work));
        *lock(&outcome) = Some(result);
        done.notify_all();
    };
    let result = beside(run, || {
        let mut slot = lock(&outcome);
        loop {
            if let Some(result) = slot.take() {
                break result;
            }
            let waited = done.wait_timeout(slot, TICK);
            let (new_slot, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            slot = new_slot;
            if timeout.timed_out() && slot.is_none() {
                drop(slot);
                tick();
                slot = lock(&outcome);
            }
        }
    });
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

/// A sync job's progress. The worker thread updates it, and the calling thread reports it to the host.
#[derive(Default)]
pub struct JobProgress {
    /// Title of the library that the job is fetching.
    pub library: Mutex<String>,
    pub items: AtomicU64,
    /// Number of items in the library; 0 if unknown.
    pub total: AtomicU64,
    /// Whether this job has received rows. `items` also includes rows from an interrupted listing.
    pub rows_arrived: AtomicBool,
    /// Whether the server has answered a probe of this job.
    pub probe_answered: AtomicBool,
    /// Libraries that need a full listing, which this job has skipped.
    pub unlisted: Mutex<Vec<LibraryId>>,
    /// Whether a probe of this job has found a change in a library.
    pub has_changed: AtomicBool,
    /// Whether this job has published a listing, so that it sweeps when it ends.
    pub has_listed: AtomicBool,
    /// Whether the job is fetching a library, so that the title and the numbers are valid.
    pub fetching: AtomicBool,
    abort: AtomicBool,
    interrupted: AtomicBool,
}

impl JobProgress {
    /// Returns whether the server has answered this job, so that a timeout does not mean that the server is down.
    pub fn has_answered(&self) -> bool {
        self.rows_arrived.load(Ordering::Relaxed) || self.probe_answered.load(Ordering::Relaxed)
    }

    /// Returns whether the host has stopped the job.
    pub fn is_aborted(&self) -> bool {
        self.abort.load(Ordering::Relaxed)
    }
}

/// Interrupts operations of a running job that exceed their bounds, and reports progress to the host, on the calling thread.
/// Stops the job if the host's callback returns `false`. `is_working`: whether the job is still running, and not only
/// reporting its end. A job that still works a tick later waits for the server: then closes the connections, which the
/// requests of other calls repeat.
fn report_progress(source: &dyn Source, call: &Call<'_>, report: &JobProgress, started_at: Instant, is_working: bool) {
    source.interrupt_overrun();
    if report.is_aborted() {
        if is_working && !report.interrupted.swap(true, Ordering::Relaxed) {
            source.interrupt();
        }
        return;
    }
    let Some(progress) = call.progress else {
        return;
    };
    let mut library = String::new();
    let (mut items, mut total) = (0, 0);
    if report.fetching.load(Ordering::Relaxed) {
        library.clone_from(&lock(&report.library));
        items = report.items.load(Ordering::Relaxed);
        total = report.total.load(Ordering::Relaxed);
    }
    let may_continue = progress(&Progress {
        library: Some(&*library).filter(|title| !title.is_empty()),
        items,
        total: Some(total).filter(|total| *total > 0),
        elapsed: started_at.elapsed(),
    });
    report.abort.store(!may_continue, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn on_worker_returns_the_result_and_may_borrow() {
        let text = String::from("seen");
        assert_eq!(on_worker(|| text.len(), || ()), 4);
    }

    #[test]
    fn on_worker_ticks_during_the_work() {
        let stop = AtomicBool::new(false);
        let ticks = AtomicUsize::new(0);
        on_worker(
            || {
                while !stop.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
            },
            || {
                if ticks.fetch_add(1, Ordering::SeqCst) == 2 {
                    stop.store(true, Ordering::SeqCst);
                }
            },
        );
        // One more may come while the thread ends.
        assert!(ticks.load(Ordering::SeqCst) >= 3);
    }

    #[test]
    #[should_panic(expected = "as it was")]
    fn a_panic_continues_in_the_caller() {
        on_worker(|| panic!("as it was"), || ());
    }
}
