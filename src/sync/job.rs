//! Sync jobs: requests to the server, on a thread of the library (`platform::thread`), while the caller's thread
//! reports progress.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

use super::back_off::BackOff;
use super::call::{AllowedView, Call, RefreshReason, aborted};
use super::flight::SingleFlight;
use super::reading::Reading;
use super::report::{JobMonitor, Report, TICK};
use crate::engine::{
    Endpoint, LibraryRow, LibraryRows, ListingSegments, Maintenance, SearchRows, Snapshot, Store, age,
};
use crate::error::{Error, Meaning, Result, Status};
use crate::freshness::{ASK_AGAIN_MS, Age, Need, Policy};
use crate::model::{IdentityId, Item, Library};
use crate::options::Options;
use crate::platform::clock::Clock;
use crate::platform::deadline::Deadline;
use crate::platform::fork::Release;
use crate::platform::thread::on_worker;
use crate::source::{Abilities, Bounds, EditRequest, LocatedItem, Session, Source, WantedPath};
use crate::stats::{Counters, Spent};

/// Brings the store of one handle up to date.
pub struct Syncing {
    pub(super) store: Arc<Store>,
    pub(super) source: Option<Arc<dyn Source>>,
    pub(super) segments: Arc<ListingSegments>,
    pub(super) maintenance: Arc<Maintenance>,
    pub(super) reading: Arc<Reading>,
    pub(super) policy: Policy,
    pub(super) page_size: u32,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: Arc<Counters>,
    pub(super) flights: SingleFlight,
    /// Other hosts.
    pub peers: Arc<dyn Peers>,
    /// When a refresh last requested invalidated items without a reply.
    pub(super) failed_ms: AtomicI64,
    back_off: BackOff,
}

/// One sync job, bounded by the call's deadline.
pub struct SyncJob<'a> {
    pub sync: &'a Syncing,
    /// The source of the whole job.
    pub source: &'a dyn Source,
    /// The token that it uses.
    pub session: &'a Session,
    pub bounds: Bounds<'a>,
    pub report: &'a Report,
    /// When the listing was made that the source has a copy of, Unix ms; `None`: the source is the server.
    pub copied_ms: Option<i64>,
}

/// Which probe of another host is as good as an own one.
#[derive(Clone, Copy)]
pub struct AcceptedProbe<'p> {
    /// How old it may be. One that was made since the call began is always accepted.
    pub oldest: Duration,
    /// It must be newer than what events and hosts last told of this library.
    pub library: Option<&'p str>,
}

impl AcceptedProbe<'_> {
    /// How old a probe of another host may be where this one would not ask for a path again itself.
    pub const RECENT: Duration = Duration::from_millis(ASK_AGAIN_MS.unsigned_abs());
}

/// Other hosts of the server, who share what each is given by it: jobs ask them before they ask the source. The
/// defaults are for a host without others (`NoPeers`).
pub trait Peers: Any + Send + Sync {
    /// Starts sharing, once the index is open.
    fn begin(&self) {}

    /// Ends sharing, before the index closes.
    fn end(&self) {}

    /// Notes that the index is used.
    fn note_use(&self) {}

    /// Called before a library is brought up to date. Returns whether it need not be yet: what others know is awaited,
    /// and its listing answers meanwhile, marked as stale.
    fn holds_back(&self, _job: &SyncJob<'_>, _row: &LibraryRow, _why: RefreshReason) -> Result<bool> {
        Ok(false)
    }

    /// A probe by this host or another one. Returns the rows.
    fn probe(&self, job: &SyncJob<'_>, _accepts: &AcceptedProbe<'_>) -> Result<Vec<LibraryRow>> {
        Ok(job.probe()?.1)
    }

    /// Brings a library up to date, from the source or from another host.
    fn fetch(&self, job: &SyncJob<'_>, row: &LibraryRow, need: Need, why: RefreshReason) -> Result<()> {
        job.fetch(row, need, why, false).map(drop)
    }

    /// [`Source::find_path`], by this host or another one.
    fn find_path(
        &self,
        job: &SyncJob<'_>,
        library: &Library,
        wanted: &WantedPath<'_>,
        is_it: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        job.source.find_path(library, wanted, job.bounds, is_it)
    }

    /// Notes items that the server was asked for by their keys. `gone`: it has these no more.
    fn note_verified(&self, _library: &str, _items: &[Item], _gone: &[&str]) {}

    /// Takes what others tell as it comes from now on, or only now and then: for a watch of the server.
    fn listen(&self, _listens: bool) {}

    /// Fails if nothing can be delivered to others.
    fn expect_shared(&self) -> Result<()> {
        Err(not_shared())
    }

    /// Returns whether others can be told of a path: it is a file of theirs too.
    fn can_tell(&self, _library: &Library, _path: &[u8]) -> bool {
        true
    }

    /// Delivers what this host has written, and returns once others can have it.
    fn deliver(&self, _deadline: Deadline) -> Result<()> {
        self.expect_shared()
    }

    /// Its locks, to hold them through a fork.
    fn hold(&self) -> Vec<Box<dyn Release>> {
        Vec::new()
    }

    /// Resets the state in the child of a fork.
    fn after_fork(&self) {}
}

/// What [`Peers`] are made from: the components of an open index.
pub struct PeerComponents {
    pub store: Arc<Store>,
    pub reading: Arc<Reading>,
    pub maintenance: Arc<Maintenance>,
    pub counters: Arc<Counters>,
    pub clock: Arc<dyn Clock>,
}

/// The error of a call that needs other hosts.
pub fn not_shared() -> Error {
    Error::new(
        Status::InvalidArgument,
        "the index is not shared: open it with the option 'shared' and a server_url, and not offline",
    )
}

/// No other hosts.
pub struct NoPeers;

impl Peers for NoPeers {}

impl Syncing {
    #[allow(clippy::too_many_arguments)] // the components below it
    pub fn new(
        store: Arc<Store>,
        source: Option<Arc<dyn Source>>,
        segments: Arc<ListingSegments>,
        maintenance: Arc<Maintenance>,
        reading: Arc<Reading>,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        peers: Arc<dyn Peers>,
        options: &Options,
    ) -> Self {
        Self {
            back_off: BackOff::new(Arc::clone(&clock), Arc::clone(&counters), reading.kind()),
            store,
            source,
            segments,
            maintenance,
            reading,
            policy: Policy::new(options),
            page_size: options.page_size,
            flights: SingleFlight::default(),
            peers,
            failed_ms: AtomicI64::new(i64::MIN / 2),
            clock,
            counters,
        }
    }

    /// Takes its locks and those of the source, to hold them through a fork.
    pub fn hold(self: &Arc<Self>) -> Vec<Box<dyn Release>> {
        let mut locks = self.peers.hold();
        locks.push(BackOff::hold(self, |sync| &sync.back_off));
        locks.push(SingleFlight::hold(self, |sync| &sync.flights));
        locks.extend(self.source.iter().flat_map(|source| Arc::clone(source).before_fork()));
        locks
    }

    /// Resets the state in the child of a fork.
    pub fn after_fork(&self) {
        self.flights.reset_after_fork();
        self.peers.after_fork();
        if let Some(source) = &self.source {
            source.after_fork();
        }
    }

    /// Returns whether there is a source.
    pub fn has_source(&self) -> bool {
        self.source.is_some()
    }

    /// Returns whether this call may ask the server.
    pub fn may_ask(&self, call: &Call<'_>) -> bool {
        self.has_source() && !call.offline
    }

    /// Returns the capabilities of the source; `None` without a source.
    pub fn abilities(&self) -> Option<Abilities> {
        self.source.as_deref().map(Source::abilities)
    }

    /// Forgets earlier failures: they say nothing about the new token.
    pub fn forget_failures(&self) {
        self.back_off.forget();
        self.failed_ms.store(i64::MIN / 2, Ordering::Relaxed);
    }

    /// Returns whether to repeat the call: the server refused its token, and the host may have another one.
    pub fn renews_after(&self, call: &Call<'_>, error: &Error) -> bool {
        error.status == Status::Unauthorized && (call.renews || self.reading.tokens.current().number() != call.session)
    }

    /// The pause after the last failure.
    pub fn back_off(&self) -> &BackOff {
        &self.back_off
    }

    /// Returns whether the source is local: reading it sends no request.
    pub fn is_local(&self) -> bool {
        self.abilities().is_some_and(|can| can.local)
    }

    /// Returns the last failure, if more than `left_ms` of the pause after it remains.
    pub fn recent_failure(&self, left_ms: i64) -> Option<Error> {
        if self.is_local() {
            return None;
        }
        self.back_off.last(left_ms)
    }

    /// The age of a library's listing, and whether its source has changed since.
    pub fn age(&self, row: &LibraryRow) -> Age {
        Age {
            moved: row.generation.is_fetched()
                && self.is_local()
                && (row.listed_token != row.library.change.token || self.has_moved(row)),
            ..age(row)
        }
    }

    /// Returns whether a local source may have changed a library since the last look.
    pub fn has_moved(&self, row: &LibraryRow) -> bool {
        self.source
            .as_deref()
            .is_some_and(|source| source.abilities().local && source.has_moved(&row.library.change.token))
    }

    /// Fetches items by rating key; items that the server does not have are missing.
    pub fn items(&self, call: &Call<'_>, keys: &[&str]) -> Result<Vec<LocatedItem>> {
        self.job(call, |job| match job.source.items(keys, job.bounds) {
            Err(error) if error.status.meaning() == Meaning::NothingThere => Ok(Vec::new()),
            items => items,
        })
    }

    /// Edits items.
    pub fn edit(&self, call: &Call<'_>, request: &EditRequest<'_>) -> Result<()> {
        self.job(call, |job| job.source.edit(request, job.bounds))
    }

    /// The name of work that asks the server as a whole. A silent server keeps no call to another one of the same
    /// folder waiting.
    pub(super) fn at_server(&self, what: &str) -> String {
        // Lock files are never removed: so their number has a limit.
        let [first, second, ..] = xxh3_64(self.reading.viewpoint.place().as_bytes()).to_le_bytes();
        format!("{what}-{first:02x}{second:02x}")
    }

    /// Runs `work`, or returns `None` if another thread or process runs it already.
    pub(super) fn run_unless_running<T>(&self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        let at_once = Bounds {
            deadline: Deadline::after(Duration::ZERO),
            ..Bounds::NONE
        };
        self.flights.single_flight(&self.store, what, at_once, work)
    }

    /// Fails if the snapshot belongs to another view than the one that the call began with.
    pub fn check_view(&self, call: &Call<'_>, snapshot: &Snapshot) -> Result<()> {
        let is_token_allowed = self.reading.tokens.current_for(call.session).is_some();
        let is_user_allowed = match call.allowed_view {
            AllowedView::Any => true,
            AllowedView::Of(own) => snapshot.identity.is_none_or(|now| now == own),
            AllowedView::Unknown => false,
        };
        if is_token_allowed && is_user_allowed {
            return Ok(());
        }
        Err(replaced())
    }

    /// Runs `work` on a worker thread, and reports its progress on this thread.
    pub fn job<T: Send>(&self, call: &Call<'_>, work: impl FnOnce(&SyncJob<'_>) -> Result<T> + Send) -> Result<T> {
        if let Some(failure) = call.failure {
            return Err(failure.clone());
        }
        let Some(source) = self.source.as_deref() else {
            return Err(Error::new(
                Status::Offline,
                "this call needs the server, but the index has no server_url and no database, or is offline",
            ));
        };
        // If the view changed meanwhile, the libraries that the call has read belong to another user.
        let Some(session) = self.reading.tokens.current_for(call.session) else {
            return Err(replaced());
        };
        let report = Report::default();
        let is_aborted = || report.is_aborted();
        let mut monitor = JobMonitor::new(source, call, &report);
        let bounds = Bounds {
            deadline: call.deadline,
            silence: call.silence,
            retry_for: call.retry_for,
            aborted: &is_aborted,
            session: session.number(),
        };
        let job = SyncJob {
            sync: self,
            source,
            session: &session,
            bounds,
            report: &report,
            copied_ms: None,
        };
        let requests = self.request_counts();
        let work = || {
            let done = job.check_precondition().and_then(|()| work(&job));
            if let Err(error) = &done {
                job.note_failure(error, requests);
            }
            done
        };
        let done = on_worker(work, TICK, || monitor.tick(true));
        self.counters.add_time(Spent::Away, monitor.begun.elapsed());
        let was_asked = self.request_counts() != requests;
        match &done {
            Ok(_) if was_asked => session.set_refused(false),
            Err(error) if error.status == Status::Unauthorized => session.set_refused(true),
            _ => {}
        }
        if done.is_ok() {
            if report.fetching.load(Ordering::Relaxed) {
                monitor.tick(false); // the last state, so that a bar can end full
            }
            // A job that sent no request has not heard from the server.
            if self.is_local() || was_asked {
                self.back_off.end();
            }
        }
        // The host can stop the call even after the work was done.
        if report.is_aborted() { Err(aborted()) } else { done }
    }
}

impl SyncJob<'_> {
    pub fn single_flight<T>(&self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        self.single_flight_within(self.bounds, what, work)
    }

    /// [`Self::single_flight`] that returns `None` if `bounds` end before another fetch does. Counts the
    /// time waited.
    pub fn single_flight_within<T>(
        &self,
        bounds: Bounds<'_>,
        what: &str,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        let (sync, begun) = (self.sync, Instant::now());
        let count_wait = || sync.counters.add_time(Spent::Wait, begun.elapsed());
        let work = || {
            count_wait();
            work()
        };
        let done = sync.flights.single_flight(&sync.store, what, bounds, work);
        if let Ok(None) = done {
            count_wait();
        }
        done
    }

    /// The server and the user of its requests.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.sync.reading.viewpoint.endpoint_of(self.session)
    }

    /// Returns the view behind this endpoint; `None` if no request has identified it yet.
    pub fn identity(&self) -> Result<Option<IdentityId>> {
        match &self.endpoint() {
            Some(endpoint) => LibraryRows(&self.sync.store).identity(endpoint),
            None => Ok(None),
        }
    }

    /// Checks the precondition of the source, unless it held less than a day ago.
    fn check_precondition(&self) -> Result<()> {
        let sync = self.sync;
        let Some(precondition) = self.source.precondition() else {
            return Ok(());
        };
        let (hash, now) = (xxh3_64(precondition.as_bytes()), sync.clock.now_ms());
        if SearchRows(&sync.store).has_held(hash, now)? {
            return Ok(());
        }
        match self.source.check_precondition(self.bounds) {
            Ok(()) => SearchRows(&sync.store).note_held(hash, now, self.bounds.deadline),
            // The server cannot be reached now. The view is known, so the precondition held before. The next job checks
            // it.
            Err(error) if error.status.meaning() == Meaning::NotNow && self.identity()?.is_some() => {
                log::info!("cannot check whether {precondition} ({error}); assuming that nothing changed");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The error for a deadline that passed while another thread or process fetched.
    pub fn deadline_error(&self) -> Error {
        if (self.bounds.aborted)() {
            return aborted();
        }
        Error::new(
            Status::Timeout,
            "the deadline passed while another thread or process is fetching; retry later",
        )
    }
}

pub fn cleared(row: &LibraryRow) -> Error {
    Error::new(
        Status::Store,
        format!(
            "library '{}' was cleared while it was being listed: try again",
            row.library.title
        ),
    )
}

fn replaced() -> Error {
    Error::new(
        Status::Unauthorized,
        "during this call the token was replaced by another user's, or by one that the server has not accepted yet: \
         call again",
    )
}
