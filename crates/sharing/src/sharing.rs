//! Sharing of an open index: its log, and the exchange with other hosts through it.

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

/// Opens an index, with the log that [`Options::shared`] names. Connects to nothing: the first query that needs the
/// server or the log does.
///
/// # Errors
/// As [`Index::open`]; [`ErrorKind::InvalidArgument`](plexindex::ErrorKind::InvalidArgument) for an address that cannot
/// be one.
pub fn open(options: Options) -> Result<Index> {
    open_with_clock(options, Arc::new(SystemClock))
}

/// [`open`] with another clock: for tests.
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

/// [`open_with_clock`] with another log, and whether a thread exchanges news: for tests.
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

/// The log at an address such as `postgresql://user@host/database`. Connects at its first call.
fn log_at(address: &str) -> Result<Arc<dyn SharedLog>> {
    let address = postgres::parse(address, |name| std::env::var(name).ok())?;
    Ok(Arc::new(postgres::Postgres::new(address)))
}

/// How far a folder is in the shared log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedProgress {
    /// The number of the last entry that it has taken.
    pub taken: u64,
    /// Entries of its own that wait to be delivered.
    pub undelivered: u64,
}

/// What an index shares, and with whom.
pub struct Sharing {
    /// The address of the log, without a password.
    pub address: String,
    /// `None` for an offline index.
    log: Option<Arc<dyn SharedLog>>,
    /// `None` for an offline index, and without a server: there is nothing to tell others, and nothing of theirs to
    /// take.
    exchange: Option<Arc<Exchange>>,
    store: Arc<Store>,
    reading: Arc<Reading>,
    deadline: Option<Duration>,
}

impl Sharing {
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

    /// What an index shares; `None` if it was opened without the option.
    pub fn of(index: &Index) -> Option<&Self> {
        let peers: &dyn Any = index.peers();
        peers.downcast_ref()
    }

    /// The exchange; an error if nothing is exchanged.
    pub fn exchange(&self) -> Result<&Arc<Exchange>> {
        self.exchange.as_ref().ok_or_else(not_shared)
    }

    /// Runs `work` on a thread of the library: a client leaves values in the thread that uses it.
    pub fn run<T: Send>(&self, work: impl FnOnce(&dyn SharedLog) -> Result<T> + Send) -> Result<T> {
        let Some(log) = self.log.as_deref() else {
            return Err(Error::new(
                Status::Offline,
                "cannot ask the shared log: the index is offline; open it without the offline flag",
            ));
        };
        on_worker(|| work(log), TICK, || {})
    }

    /// The deadline of calls that wait for the log.
    pub fn deadline(&self) -> Deadline {
        self.deadline.map_or(Deadline::NONE, Deadline::after)
    }

    /// The machine identifier of the server; `None` while it is not known.
    pub fn server(&self) -> Result<Option<String>> {
        let identity = self.reading.identity();
        identity
            .map(|identity| LibraryRows(&self.store).machine_identifier(identity))
            .transpose()
    }

    /// Delivers and takes what there is, now: for tests. Returns `false` if the log is away, or takes no writes.
    pub fn exchange_now(&self) -> Result<bool> {
        let Some(exchange) = &self.exchange else {
            return Ok(false);
        };
        let exchange_now = || {
            while exchange.is_away() && !exchange.is_lost() {
                std::thread::sleep(Duration::from_millis(1)); // another thread tries the log
            }
            match exchange.view()? {
                Some(view) => Ok(exchange.exchange_fully(&view, Deadline::after(STEP))?.is_complete()),
                None => Ok(false),
            }
        };
        on_worker(exchange_now, STEP, || {})
    }

    /// How far this folder is in the shared log. `None` if it shares nothing, or has taken nothing yet.
    pub fn progress(&self) -> Option<SharedProgress> {
        let exchange = self.exchange.as_ref()?;
        let place = exchange.place(self.reading.identity()?).ok()?;
        let undelivered = exchange.undelivered().ok()?;
        (place.position.number > 0 || undelivered > 0).then_some(SharedProgress {
            taken: place.position.number,
            undelivered,
        })
    }

    /// Why the log did not take what waits; `None` if it is not known to have refused it.
    pub fn refusal(&self) -> Option<Error> {
        self.exchange.as_ref()?.refusal()
    }

    /// The number of this host's own view in the shared log, which may be asked, and the host that it is there. `None`
    /// if that is not known: nothing is shared, the server has not accepted the token yet, or the log is away. Call it
    /// on a thread of the library.
    pub fn view(&self) -> Option<(ViewNumber, HostId)> {
        let view = self.exchange.as_ref()?.view();
        view.ok()?.map(|view| (view.number, view.host))
    }
}

impl WriteObserver for Sharing {
    fn observes(&self) -> bool {
        !is_quiet()
    }

    fn entries(&self, libraries: &[(LibraryId, Library)], write: &LocalWrite<'_>) -> Vec<NewEntry> {
        SharedEntries(&self.reading).of(libraries, write)
    }

    fn committed(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.tell();
        }
    }
}

/// Without an exchange no job runs: the index is offline, or has no server.
impl Peers for Sharing {
    fn begin(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.begin();
        }
    }

    fn end(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.end();
        }
    }

    fn note_use(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.note_use();
        }
    }

    fn holds_back(&self, job: &SyncJob<'_>, row: &LibraryRow, why: RefreshReason) -> Result<bool> {
        self.exchange()?.waits_for_log(job, row, why)
    }

    fn probe(&self, job: &SyncJob<'_>, accepts: &AcceptedProbe<'_>) -> Result<Vec<LibraryRow>> {
        self.exchange()?.probe(job, accepts)
    }

    fn fetch(&self, job: &SyncJob<'_>, row: &LibraryRow, need: Need, why: RefreshReason) -> Result<()> {
        self.exchange()?.fetch(job, row, need, why)
    }

    fn find_path(
        &self,
        job: &SyncJob<'_>,
        library: &Library,
        wanted: &WantedPath<'_>,
        is_it: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        self.exchange()?.find_path(job, library, wanted, is_it)
    }

    fn note_verified(&self, library: &str, items: &[Item], gone: &[&str]) {
        if let Some(exchange) = &self.exchange {
            exchange.tell_verified(library, items, gone);
        }
    }

    fn listen(&self, listens: bool) {
        if let Some(exchange) = &self.exchange {
            exchange.listen(|listeners| listeners.watches = listens);
        }
    }

    fn expect_shared(&self) -> Result<()> {
        self.exchange().map(drop)
    }

    fn can_tell(&self, library: &Library, path: &[u8]) -> bool {
        SharedEntries(&self.reading).server_spelling(library, path).is_some()
    }

    fn deliver(&self, deadline: Deadline) -> Result<()> {
        let exchange = self.exchange()?;
        if exchange.undelivered()? == 0 {
            return Ok(()); // the thread of the exchange was faster, or nothing is for others
        }
        let deliver = || -> Result<bool> {
            if exchange.is_lost() {
                return Ok(false);
            }
            set_patient(true); // this call waits for the log itself
            let delivered = match exchange.view()? {
                Some(view) => exchange.deliver_once(&view, deadline)?,
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
            format!("not yet delivered to other hosts: it is stored in this folder and will be delivered {later}"),
        ))
    }

    fn hold(&self) -> Vec<Box<dyn Release>> {
        match &self.exchange {
            Some(exchange) => exchange.hold(),
            // Connections are closed, and kept closed.
            None => self.log.iter().cloned().flat_map(SharedLog::before_fork).collect(),
        }
    }

    fn after_fork(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.after_fork();
        }
    }
}
