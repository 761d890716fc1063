//! Implements [`Peers`] for an index that exchanges entries with other hosts through a shared log.

use std::any::Any;
use std::sync::{Arc, Weak};
use std::time::Duration;

use plexindex::Index;
use serde::Serialize;

use crate::contract::{HostId, NewEntry, SharedLog, ViewNumber};
use crate::engine::{LibraryRows, LocalWrite, Outbox, SharedLogPosition, Store, WriteObserver};
use crate::entries::SharedEntries;
use crate::error::{Error, Result, Status};
use crate::exchange::{Exchange, SLOW_LOG_TIMEOUT, creates_no_entries, set_waits_for_slow_log};
use crate::model::{Library, LibraryId};
use crate::options::{Options, without_password};
use crate::platform::{Clock, Deadline, ForkLock, SystemClock, on_worker};
use crate::postgres;
use crate::sync::{IndexReader, PeerComponents, Peers, TICK, not_shared_error};

/// Opens an index that shares the log at the address [`Options::shared`]. The index connects to the log on the first
/// query that needs the server or the log.
///
/// # Errors
/// As for [`Index::open`]; also [`ErrorKind::InvalidArgument`](plexindex::ErrorKind::InvalidArgument) if the log's
/// address is invalid.
pub fn open(options: Options) -> Result<Index> {
    open_with_clock(options, Arc::new(SystemClock))
}

/// Opens an index that shares the log at the address [`Options::shared`], with the given clock. For tests.
///
/// # Errors
/// An invalid log address, and errors from opening the index.
#[doc(hidden)]
#[allow(clippy::needless_pass_by_value)] // the same signature as Index::open
pub fn open_with_clock(options: Options, clock: Arc<dyn Clock>) -> Result<Index> {
    options.check_shared()?;
    let log = (options.shared.as_deref().filter(|_| !options.offline))
        .map(log_at)
        .transpose()?;
    open_with_log(&options, clock, log.map(|log| (log, true))) // a background thread exchanges entries
}

/// Opens an index that shares the given log, with the given clock. For tests. `log`: the log, and whether a background
/// thread exchanges entries; `None` if the index is offline or does not share.
///
/// # Errors
/// Errors from opening the index.
#[doc(hidden)]
pub fn open_with_log(
    options: &Options,
    clock: Arc<dyn Clock>,
    log: Option<(Arc<dyn SharedLog>, bool)>,
) -> Result<Index> {
    let name = log.as_ref().map(|(log, _)| log.name().to_owned());
    let address = options.shared.as_deref().or(name.as_deref()).map(without_password);
    Index::open_with_peers(options, clock, |components| {
        // Without an address, the index does not share.
        let sharing = Arc::new(Sharing::new(address?, log, options, components));
        let observer: Weak<Sharing> = Arc::downgrade(&sharing);
        Outbox(&sharing.store).observe(observer);
        Some(sharing as _)
    })
}

/// Returns a client for the log at an address such as `postgresql://user@host/database`. The client connects on its
/// first call.
fn log_at(address: &str) -> Result<Arc<dyn SharedLog>> {
    let address = postgres::parse(address, |name| std::env::var(name).ok())?;
    Ok(Arc::new(postgres::Postgres::new(address)))
}

/// This folder's position in the log.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Place"))]
pub struct SharedProgress {
    /// The log's address, without a password.
    pub address: String,
    /// Number of the last entry received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<u64>,
    /// Number of entries waiting to be delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undelivered: Option<u64>,
}

/// An index's shared log, and the exchange of entries through this log.
pub struct Sharing {
    /// The log's address, without a password.
    pub address: String,
    /// The log's client; `None` for an offline index.
    log: Option<Arc<dyn SharedLog>>,
    /// The exchange; `None` for an index that is offline or has no server, since it has nothing to exchange.
    exchange: Option<Arc<Exchange>>,
    store: Arc<Store>,
    reading: Arc<IndexReader>,
    /// The time limit for each call ([`Options::deadline`]).
    deadline: Option<Duration>,
}

impl Sharing {
    /// Creates the `Sharing` for an index that is being opened. `log`: the log, and whether a background thread
    /// exchanges entries; `None` for an offline index.
    fn new(
        address: String,
        log: Option<(Arc<dyn SharedLog>, bool)>,
        options: &Options,
        components: PeerComponents,
    ) -> Self {
        if options.shared_durable {
            Outbox(&components.store).sync_each(); // so that a power cut loses no entries
        }
        Self {
            address,
            log: log.as_ref().map(|(log, _)| Arc::clone(log)),
            store: Arc::clone(&components.store),
            reading: Arc::clone(&components.reading),
            deadline: options.timeout,
            exchange: log
                .filter(|_| options.server_url.is_some())
                .map(|(log, has_thread)| Exchange::new(log, components, options, has_thread)),
        }
    }

    /// Returns an index's `Sharing`; `None` if the index was opened without a shared log.
    pub fn of(index: &Index) -> Option<&Self> {
        let peers: &dyn Any = index.peers();
        peers.downcast_ref()
    }

    /// Returns the exchange, or an error if the index is offline or has no server.
    pub fn exchange(&self) -> Result<&Arc<Exchange>> {
        self.exchange.as_ref().ok_or_else(not_shared_error)
    }

    /// Runs `work` with the log on a new thread, since the `PostgreSQL` client leaves thread-local values behind, which
    /// would prevent a host from unloading the library. Fails if the index is offline.
    pub fn run<T: Send>(&self, work: impl FnOnce(&dyn SharedLog) -> Result<T> + Send) -> Result<T> {
        let Some(log) = self.log.as_deref() else {
            return Err(Error::new(
                Status::Offline,
                "cannot use the shared log: the index is offline; open it without the offline flag",
            ));
        };
        on_worker(|| work(log), TICK, || {})
    }

    /// Returns the deadline for a call that starts now, as set by [`Options::deadline`].
    pub fn deadline(&self) -> Deadline {
        self.deadline.map_or(Deadline::NONE, Deadline::after)
    }

    /// Returns the server's machine identifier; `None` if the identifier is not known yet.
    pub fn server(&self) -> Result<Option<String>> {
        let view_id = self.reading.view_id();
        view_id
            .map(|view_id| LibraryRows(&self.store).machine_identifier(view_id))
            .transpose()
    }

    /// Delivers and receives all entries now. For tests. Returns `false` if the log is unavailable or rejects writes.
    pub fn exchange_now(&self) -> Result<bool> {
        let Some(exchange) = &self.exchange else {
            return Ok(false);
        };
        let exchange_now = || {
            while exchange.must_skip_log() && !exchange.is_waiting_pointless() {
                std::thread::sleep(Duration::from_millis(1)); // wait for the thread that retries the log
            }
            match exchange.view()? {
                Some(view) => exchange.exchange_exclusively(&view, Deadline::after(SLOW_LOG_TIMEOUT), Deadline::NONE),
                None => Ok(false),
            }
        };
        on_worker(exchange_now, SLOW_LOG_TIMEOUT, || {})
    }

    /// Returns how far this folder has exchanged entries with the log. Without numbers before the first exchange, or if
    /// the store cannot be read.
    pub fn progress(&self) -> SharedProgress {
        let numbers = self.progress_numbers();
        SharedProgress {
            address: self.address.clone(),
            taken: numbers.map(|(taken, _)| taken),
            undelivered: numbers.map(|(_, undelivered)| undelivered),
        }
    }

    /// Returns the numbers for [`Self::progress`].
    fn progress_numbers(&self) -> Option<(u64, u64)> {
        let exchange = self.exchange.as_ref()?;
        let read = exchange
            .read_position(self.reading.view_id()?)
            .ok()?
            .unwrap_or_default();
        let undelivered = exchange.undelivered().ok()?;
        (read != SharedLogPosition::default() || undelivered > 0).then_some((read.position.number, undelivered))
    }

    /// Returns the error with which the log rejected the last write; `None` if the log accepted the write.
    pub fn refusal(&self) -> Option<Error> {
        self.exchange.as_ref()?.write_error()
    }

    /// Returns this index's view number in the log, and this folder's host id. Returns `None` if there is no exchange,
    /// before the server has accepted the token, and while the log is unavailable. The caller must run on a thread that
    /// plexindex started, since the log's client leaves thread-local values behind.
    pub fn view(&self) -> Option<(ViewNumber, HostId)> {
        let view = self.exchange.as_ref()?.view();
        view.ok()?.map(|view| (view.number, view.host))
    }
}

impl WriteObserver for Sharing {
    /// Returns whether writes on this thread create entries. Returns `false` while the thread applies other hosts'
    /// entries, so that they are not sent back to the log.
    fn observes(&self) -> bool {
        !creates_no_entries()
    }

    /// Converts a write to entries for the outbox.
    fn entries(&self, libraries: &[(LibraryId, Library)], write: &LocalWrite<'_>) -> Vec<NewEntry> {
        SharedEntries(&self.reading).entries_for(libraries, write)
    }

    /// Wakes the exchange thread to deliver the committed entries.
    fn after_commit(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.deliver_soon();
        }
    }
}

impl Peers for Sharing {
    /// Stops the exchange thread before the index closes. The thread first delivers the outbox.
    fn stop(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.stop_thread();
        }
    }

    /// Records that the index is in use, so that the exchange thread reads the log soon.
    fn note_use(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.note_use();
        }
    }

    /// Delivers this host's entries and receives other hosts', within the deadline.
    fn exchange(&self, deadline: Deadline) -> Result<()> {
        let Some(exchange) = &self.exchange else {
            return Ok(());
        };
        exchange.start_thread(); // a forked child has no thread yet
        exchange.exchange_by(deadline)
    }

    /// Starts the exchange thread. Sets whether the index watches the server: during a watch, this host receives other
    /// hosts' entries immediately.
    fn listen(&self, watches: bool) {
        if let Some(exchange) = &self.exchange {
            exchange.listen(|listeners| listeners.watches = watches);
        }
    }

    /// Fails if the index exchanges no entries, because it is offline or has no server.
    fn expect_shared(&self) -> Result<()> {
        self.exchange().map(drop)
    }

    /// Returns whether other hosts can use a match for this path: whether a mapping translates the path, or the path
    /// lies in one of the library's folders.
    fn is_path_shareable(&self, library: &Library, path: &[u8]) -> bool {
        SharedEntries(&self.reading).to_server_path(library, path).is_some()
    }

    /// Waits until the log has all of this host's entries, or fails at the deadline. Entries that are not delivered in
    /// time stay in the folder, and the exchange thread delivers them later.
    fn publish_and_wait(&self, deadline: Deadline) -> Result<()> {
        let exchange = self.exchange()?;
        if exchange.undelivered()? == 0 {
            return Ok(()); // nothing is left to deliver
        }
        let deliver = || -> Result<bool> {
            if exchange.is_waiting_pointless() {
                return Ok(false); // the log was unavailable a moment ago
            }
            set_waits_for_slow_log(true); // the caller asked to wait for the log
            let delivered = match exchange.view()? {
                Some(view) => exchange
                    .with_exchange_lock(deadline.earliest(Deadline::after(SLOW_LOG_TIMEOUT)), || {
                        exchange.deliver(&view, deadline)
                    })?,
                None => false,
            };
            if delivered {
                exchange.note_answer(); // on such a thread, requests do not record the answer
            }
            Ok(delivered)
        };
        if on_worker(deliver, SLOW_LOG_TIMEOUT, || {})? {
            return Ok(());
        }
        let later = match exchange.write_error() {
            Some(refusal) => format!("later: {refusal}"),
            None => format!("when {} answers", exchange.log.name()),
        };
        Err(Error::new(
            Status::Timeout,
            format!(
                "the entries are stored in this folder, but not yet delivered to other hosts; plexindex delivers them {later}"
            ),
        ))
    }

    /// Acquires the locks of the exchange and the log, and returns them to the caller, who holds them during a fork.
    fn hold(&self) -> Vec<Box<dyn ForkLock>> {
        match &self.exchange {
            Some(exchange) => exchange.lock_for_fork(),
            // An index without a server has no exchange, but calls such as `shared_status` connect to the log.
            None => self.log.iter().cloned().flat_map(SharedLog::before_fork).collect(),
        }
    }

    /// Resets the exchange in a forked child, because the child does not have the parent's exchange thread.
    fn after_fork(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.after_fork();
        }
    }
}
