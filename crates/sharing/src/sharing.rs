//! Implements [`Peers`] for an index that shares what it records.

use std::any::Any;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::Serialize;

use plexindex::{Index, Options};

use crate::address::{Address, parse};
use crate::database::{Database, SharedView};
use crate::engine::SharedWriteListener;
use crate::error::{Error, ErrorKind, Result, Status};
use crate::exchange::{Exchange, new_runtime, to_server_path};
use crate::failure::{Failure, Outcome};
use crate::model::Library;
use crate::options::without_password;
use crate::platform::{Clock, Deadline, ForkLock, SystemClock, on_worker};
use crate::sync::{IndexReader, Peers, TICK, not_shared_error};

/// Timeout of calls that need the database, if the index has no timeout.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// Opens an index like [`Index::open`], and also supports [`Options::shared`]. Connects to the database in the background.
///
/// # Errors
/// As for [`Index::open`]; also [`ErrorKind::InvalidArgument`](plexindex::ErrorKind::InvalidArgument) if the database's
/// address is invalid.
pub fn open(options: Options) -> Result<Index> {
    open_with_clock(options, Arc::new(SystemClock))
}

/// Opens an index that shares, with the given clock. For tests.
///
/// # Errors
/// As for [`open`].
#[doc(hidden)]
#[allow(clippy::needless_pass_by_value)] // as `Index::open`
pub fn open_with_clock(options: Options, clock: Arc<dyn Clock>) -> Result<Index> {
    options.check_shared()?;
    let Some(shared) = options.shared.clone() else {
        return Index::open_with_peers(&options, clock, |_| None);
    };
    let address = parse(&shared, |name| std::env::var(name).ok());
    // An offline index needs no valid address.
    let address = if options.offline { address.ok() } else { Some(address?) };
    Index::open_with_peers(&options, clock, |components| {
        let exchange = address.filter(|_| !options.offline).map(|address| {
            let exchange = Exchange::new(address.clone(), &components, &options);
            (address, exchange)
        });
        let (address, exchange) = exchange.unzip();
        let sharing = Arc::new(Sharing {
            name: without_password(&shared),
            address,
            exchange: exchange.filter(|_| options.server_url.is_some()),
            reading: Arc::clone(&components.reading),
            timeout: options.timeout,
        });
        let listener: Weak<Sharing> = Arc::downgrade(&sharing);
        components.store.listen(listener, options.shared_durable);
        Some(sharing as _)
    })
}

/// Status of the shared database, and of this folder's exchange with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SharedStatus {
    /// The database's address, without a password.
    pub address: String,
    /// Whether the database answered.
    pub reachable: bool,
    /// The reason why the database did not answer, or why this host cannot write to it, with a remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The kind of `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_kind: Option<ErrorKind>,
    /// Since when the exchange does not work, in Unix ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since_ms: Option<i64>,
    /// Number of the last row received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<u64>,
    /// Number of matches and removals that the database may not have yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undelivered: Option<u64>,
    /// Number of matches that were removed to keep the size limit before they were delivered.
    pub lost: u64,
    /// Number of rows that this folder has not received yet; `None` until the server accepts the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind: Option<u64>,
    /// One summary per server and user; empty if the database did not answer.
    pub views: Vec<SharedView>,
}

impl SharedStatus {
    pub(crate) fn set_error(&mut self, error: Option<&Error>) {
        self.error = error.map(Error::to_string);
        self.error_kind = error.map(Error::kind);
    }
}

/// An index that shares what it records.
pub struct Sharing {
    /// The database's address, without a password.
    name: String,
    /// `None` for an offline index.
    address: Option<Address>,
    /// `None` for an index that is offline or has no server, since it has nothing to exchange.
    pub exchange: Option<Arc<Exchange>>,
    reading: Arc<IndexReader>,
    /// The time limit for each call ([`Options::timeout`]).
    timeout: Option<Duration>,
}

impl Sharing {
    /// Returns an index's `Sharing`; `None` if the index was opened without the option `shared`.
    pub fn of(index: &Index) -> Option<&Self> {
        let peers: &dyn Any = index.peers();
        peers.downcast_ref()
    }

    /// Returns the exchange, or an error if the index is offline or has no server.
    pub fn exchange(&self) -> Result<&Arc<Exchange>> {
        self.exchange.as_ref().ok_or_else(not_shared_error)
    }

    /// Runs `work` on a connection of its own, for at most `time` unless the index has a timeout. Runs it on a new thread,
    /// since the client leaves thread-local values behind, which would prevent a host from unloading the library. Fails if
    /// the index is offline.
    pub fn run<T: Send>(
        &self,
        time: Duration,
        work: impl AsyncFnOnce(&Database, &Address) -> Outcome<T> + Send,
    ) -> Result<T> {
        let Some(address) = &self.address else {
            return Err(Error::new(
                Status::Offline,
                "cannot use the shared database: the index is offline; open it without the offline flag",
            ));
        };
        let limit = self.timeout.unwrap_or(time);
        let run = || -> Result<T> {
            let runtime = new_runtime()?;
            let result = runtime.block_on(async {
                let work = async { work(&Database::connect(address, Arc::default()).await?, address).await };
                tokio::time::timeout(limit, work).await.unwrap_or(Err(Failure::Silent))
            });
            runtime.shutdown_background();
            result.map_err(|failure| failure.explain(address))
        };
        on_worker(run, TICK, || {})
    }

    /// Returns the deadline for a call that starts now.
    pub fn deadline(&self) -> Deadline {
        Deadline::after(self.timeout.unwrap_or(TIMEOUT))
    }

    /// Returns how far this folder has exchanged rows. Without numbers if the store cannot be read. Sends no request.
    pub fn progress(&self) -> SharedStatus {
        let mut status = SharedStatus {
            address: self.name.clone(),
            ..SharedStatus::default()
        };
        let Some(exchange) = &self.exchange else {
            return status;
        };
        if let Ok(Some(state)) = exchange.progress() {
            status.taken = Some(state.read.seq.cast_unsigned());
            status.lost = state.lost;
        }
        let undelivered = exchange.undelivered(usize::MAX).ok();
        status.undelivered = undelivered
            .filter(|count| status.taken.is_some() || *count > 0)
            .map(|count| count as u64);
        if let Some(outage) = exchange.outage() {
            status.set_error(Some(&outage.error));
            status.failing_since_ms = Some(outage.since_us / 1_000);
        }
        status
    }
}

impl SharedWriteListener for Sharing {
    /// Wakes the exchange, which delivers what was committed.
    fn after_commit(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.wake();
        }
    }
}

impl Peers for Sharing {
    fn start(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.start();
        }
    }

    fn stop(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.stop();
        }
    }

    fn exchange(&self, deadline: Deadline) -> Result<()> {
        match &self.exchange {
            Some(exchange) => exchange.exchange(deadline),
            None => Ok(()),
        }
    }

    /// Waits until the database has all of this host's rows, or fails at the deadline. Rows that are not delivered in time
    /// stay in the folder, and are delivered later.
    fn deliver(&self, deadline: Deadline) -> Result<()> {
        let exchange = self.exchange()?;
        if exchange.deliver(deadline)? {
            return Ok(());
        }
        let later = match exchange.outage() {
            Some(outage) => format!("later: {}", outage.error),
            None => "later".to_owned(),
        };
        Err(Error::new(
            Status::Timeout,
            format!(
                "what was recorded is stored in this folder, but not yet delivered to other hosts; plexindex delivers it \
                 {later}"
            ),
        ))
    }

    fn expect_shared(&self) -> Result<()> {
        self.exchange().map(drop)
    }

    /// Returns whether other hosts can use a match for this path: whether a mapping translates the path, or the path lies
    /// in one of the library's folders.
    fn is_path_shareable(&self, library: &Library, path: &[u8]) -> bool {
        to_server_path(&self.reading, library, path).is_some()
    }

    fn hold(&self) -> Vec<Box<dyn ForkLock>> {
        self.exchange.iter().flat_map(Exchange::lock_for_fork).collect()
    }

    fn after_fork(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.after_fork();
        }
    }
}
