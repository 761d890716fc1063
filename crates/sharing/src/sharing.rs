//! The peers of an open index: its shared log, and the exchange with other hosts.

use std::any::Any;
use std::sync::{Arc, Weak};
use std::time::Duration;

use plexindex::Index;

use crate::contract::{HostId, NewEntry, SharedLog, ViewNumber};
use crate::engine::{LibraryRow, LibraryRows, LocalWrite, Outbox, Store, WriteObserver};
use crate::entries::SharedEntries;
use crate::error::{Error, Result, Status};
use crate::exchange::{Exchange, STEP, is_quiet, set_patient};
use crate::freshness::Need;
use crate::model::{Item, Library, LibraryId};
use crate::options::{Options, without_password};
use crate::platform::{Clock, Deadline, Release, SystemClock, on_worker};
use crate::postgres;
use crate::source::WantedPath;
use crate::sync::{AcceptedProbe, PeerComponents, Peers, Reading, RefreshReason, SyncJob, TICK, not_shared};

/// Opens an index with the log in [`Options::shared`]. The first query that needs the server or the log connects.
///
/// # Errors
/// As [`Index::open`]; [`ErrorKind::InvalidArgument`](plexindex::ErrorKind::InvalidArgument) for an invalid address.
pub fn open(options: Options) -> Result<Index> {
    open_with_clock(options, Arc::new(SystemClock))
}

/// Opens an index as [`open`] does, with another clock: for tests.
///
/// # Errors
/// As [`open`].
#[doc(hidden)]
#[allow(clippy::needless_pass_by_value)] // as Index::open
pub fn open_with_clock(options: Options, clock: Arc<dyn Clock>) -> Result<Index> {
    options.check_shared()?;
    let log = (options.shared.as_deref().filter(|_| !options.offline))
        .map(log_at)
        .transpose()?;
    open_with_log(&options, clock, log.map(|log| (log, true)))
}

/// Opens an index as [`open_with_clock`] does, for tests. `log`: another log, and whether a thread exchanges entries.
///
/// # Errors
/// As [`open`].
#[doc(hidden)]
pub fn open_with_log(
    options: &Options,
    clock: Arc<dyn Clock>,
    log: Option<(Arc<dyn SharedLog>, bool)>,
) -> Result<Index> {
    let name = log.as_ref().map(|(log, _)| log.name().to_owned());
    let address = options.shared.as_deref().or(name.as_deref()).map(without_password);
    Index::open_with_peers(options, clock, |components| {
        let sharing = Arc::new(Sharing::new(address?, log, options, components));
        let observer: Weak<Sharing> = Arc::downgrade(&sharing);
        Outbox(&sharing.store).observe(observer);
        Some(sharing as _)
    })
}

/// Returns the log at an address such as `postgresql://user@host/database`. The first call connects.
fn log_at(address: &str) -> Result<Arc<dyn SharedLog>> {
    let address = postgres::parse(address, |name| std::env::var(name).ok())?;
    Ok(Arc::new(postgres::Postgres::new(address)))
}

/// This folder's position in the shared log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedProgress {
    /// Number of the last entry received.
    pub taken: u64,
    /// Number of own entries that wait to be delivered.
    pub undelivered: u64,
}

/// The shared log of an index, if it was opened with one.
pub struct Sharing {
    /// The address of the log, without a password.
    pub address: String,
    /// `None` for an offline index.
    log: Option<Arc<dyn SharedLog>>,
    /// `None` for an offline index or one without a server, which has nothing to exchange.
    exchange: Option<Arc<Exchange>>,
    store: Arc<Store>,
    reading: Arc<Reading>,
    deadline: Option<Duration>,
}

impl Sharing {
    /// Creates the sharing of an index that is being opened. `log`: `None` for an offline index; otherwise the log, and
    /// whether a thread exchanges entries.
    fn new(
        address: String,
        log: Option<(Arc<dyn SharedLog>, bool)>,
        options: &Options,
        components: PeerComponents,
    ) -> Self {
        if options.shared_durable {
            Outbox(&components.store).sync_each();
        }
        Self {
            address,
            log: log.as_ref().map(|(log, _)| Arc::clone(log)),
            store: Arc::clone(&components.store),
            reading: Arc::clone(&components.reading),
            deadline: options.deadline,
            exchange: log
                .filter(|_| options.server_url.is_some())
                .map(|(log, has_thread)| Exchange::new(log, components, options, has_thread)),
        }
    }

    /// Returns the sharing of an index; `None` if the index was opened without a shared log.
    pub fn of(index: &Index) -> Option<&Self> {
        let peers: &dyn Any = index.peers();
        peers.downcast_ref()
    }

    /// Returns the exchange, or an error if the index is offline or has no server.
    pub fn exchange(&self) -> Result<&Arc<Exchange>> {
        self.exchange.as_ref().ok_or_else(not_shared)
    }

    /// Runs `work` on a thread of the library, since the client leaves thread-local values behind.
    pub fn run<T: Send>(&self, work: impl FnOnce(&dyn SharedLog) -> Result<T> + Send) -> Result<T> {
        let Some(log) = self.log.as_deref() else {
            return Err(Error::new(
                Status::Offline,
                "cannot use the shared log: the index is offline; open it without the offline flag",
            ));
        };
        on_worker(|| work(log), TICK, || {})
    }

    /// Returns the deadline of a call that begins now and waits for the log.
    pub fn deadline(&self) -> Deadline {
        self.deadline.map_or(Deadline::NONE, Deadline::after)
    }

    /// Returns the server's machine identifier; `None` while it is unknown.
    pub fn server(&self) -> Result<Option<String>> {
        let identity = self.reading.identity();
        identity
            .map(|identity| LibraryRows(&self.store).machine_identifier(identity))
            .transpose()
    }

    /// Makes a complete exchange: for tests. Returns `false` if the log is unavailable or rejects writes.
    pub fn exchange_now(&self) -> Result<bool> {
        let Some(exchange) = &self.exchange else {
            return Ok(false);
        };
        let exchange_now = || {
            while exchange.is_unavailable() && !exchange.is_given_up() {
                std::thread::sleep(Duration::from_millis(1)); // another thread retries the log
            }
            match exchange.view()? {
                Some(view) => Ok(exchange
                    .exchange_without_deadline(&view, Deadline::after(STEP))?
                    .is_complete()),
                None => Ok(false),
            }
        };
        on_worker(exchange_now, STEP, || {})
    }

    /// Returns this folder's position in the shared log; `None` before the first exchange.
    pub fn progress(&self) -> Option<SharedProgress> {
        let exchange = self.exchange.as_ref()?;
        let place = exchange.read_place(self.reading.identity()?).ok()?;
        let undelivered = exchange.undelivered().ok()?;
        (place.position.number > 0 || undelivered > 0).then_some(SharedProgress {
            taken: place.position.number,
            undelivered,
        })
    }

    /// Returns the error of the last write, if the log rejected it.
    pub fn refusal(&self) -> Option<Error> {
        self.exchange.as_ref()?.refusal()
    }

    /// Returns the number of this index's view in the log, and its host id. `None` without an exchange, before the
    /// server has accepted the token, and while the log is unavailable. Call it on a thread of the library.
    pub fn view(&self) -> Option<(ViewNumber, HostId)> {
        let view = self.exchange.as_ref()?.view();
        view.ok()?.map(|view| (view.number, view.host))
    }
}

impl WriteObserver for Sharing {
    /// Returns `false` while this thread applies entries of other hosts, which must not become entries of this host.
    fn observes(&self) -> bool {
        !is_quiet()
    }

    /// Returns the entries that tell other hosts about a write, for the outbox.
    fn entries(&self, libraries: &[(LibraryId, Library)], write: &LocalWrite<'_>) -> Vec<NewEntry> {
        SharedEntries(&self.reading).of(libraries, write)
    }

    /// Wakes the thread of the exchange, so that it delivers the entries of the commit.
    fn committed(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.deliver_soon();
        }
    }
}

/// Methods of jobs fail without an exchange: an index that is offline or has no server runs no jobs.
impl Peers for Sharing {
    /// Starts the thread of the exchange, once the index is open.
    fn begin(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.start_thread();
        }
    }

    /// Stops the thread of the exchange before the index closes. The thread delivers the outbox first.
    fn end(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.stop_thread();
        }
    }

    /// Notes that the index is in use, so that the thread reads the log soon.
    fn note_use(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.note_use();
        }
    }

    /// Returns whether a refresh waits for an unavailable log. Exchanges entries first.
    fn holds_back(&self, job: &SyncJob<'_>, row: &LibraryRow, why: RefreshReason) -> Result<bool> {
        self.exchange()?.waits_for_log(job, row, why)
    }

    /// Returns the libraries, from a recent probe of another host or from the server.
    fn probe(&self, job: &SyncJob<'_>, accepts: &AcceptedProbe<'_>) -> Result<Vec<LibraryRow>> {
        self.exchange()?.probe(job, accepts)
    }

    /// Brings a library up to date, from another host's listing or from the server.
    fn fetch(&self, job: &SyncJob<'_>, row: &LibraryRow, need: Need, why: RefreshReason) -> Result<()> {
        self.exchange()?.fetch(job, row, need, why)
    }

    /// Passes `is_it` items that may have a path, from a recent search of another host or from the server.
    fn find_path(
        &self,
        job: &SyncJob<'_>,
        library: &Library,
        wanted: &WantedPath<'_>,
        is_it: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        self.exchange()?.find_path(job, library, wanted, is_it)
    }

    /// Shares items that plexindex fetched by key. `gone`: keys that the server no longer has.
    fn note_verified(&self, library: &str, items: &[Item], gone: &[&str]) {
        if let Some(exchange) = &self.exchange {
            exchange.share_verified(library, items, gone);
        }
    }

    /// Starts or stops to receive entries as they come, for a watch of the server.
    fn listen(&self, listens: bool) {
        if let Some(exchange) = &self.exchange {
            exchange.listen(|listeners| listeners.watches = listens);
        }
    }

    /// Fails if the index is offline or has no server, so that there is nothing to exchange.
    fn expect_shared(&self) -> Result<()> {
        self.exchange().map(drop)
    }

    /// Returns whether other hosts can use a match of this path: the path has a spelling of the server.
    fn can_tell(&self, library: &Library, path: &[u8]) -> bool {
        SharedEntries(&self.reading).server_spelling(library, path).is_some()
    }

    /// Waits until the log has all entries of this host, at most until the deadline. Entries that it does not get in
    /// time stay in the folder, and the thread delivers them later.
    fn deliver(&self, deadline: Deadline) -> Result<()> {
        let exchange = self.exchange()?;
        if exchange.undelivered()? == 0 {
            return Ok(()); // the thread has delivered everything, or there was nothing to deliver
        }
        let deliver = || -> Result<bool> {
            if exchange.is_given_up() {
                return Ok(false);
            }
            set_patient(true); // the caller asked to wait for the log
            let delivered = match exchange.view()? {
                Some(view) => exchange.deliver_exclusively(&view, deadline)?,
                None => false,
            };
            if delivered {
                exchange.note_answer();
            }
            Ok(delivered)
        };
        if on_worker(deliver, STEP, || {})? {
            return Ok(());
        }
        let later = match exchange.refusal() {
            Some(refusal) => format!("later: {refusal}"),
            None => format!("when {} answers", exchange.log.name()),
        };
        Err(Error::new(
            Status::Timeout,
            format!("not yet delivered to other hosts: stored in this folder, to be delivered {later}"),
        ))
    }

    /// Takes all locks of the exchange and the log, which the caller holds during a fork.
    fn hold(&self) -> Vec<Box<dyn Release>> {
        match &self.exchange {
            Some(exchange) => exchange.hold(),
            // An index without a server has no exchange, but calls such as `shared_status` connect.
            None => self.log.iter().cloned().flat_map(SharedLog::before_fork).collect(),
        }
    }

    /// Resets the exchange in the child of a fork, which does not have the parent's thread.
    fn after_fork(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.after_fork();
        }
    }
}
