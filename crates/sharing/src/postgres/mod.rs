//! The shared log in `PostgreSQL`. `schema.sql` defines the tables and functions, so that each call is one statement
//! and one round trip. Statements are unnamed and need no session state, so a pooler in transaction mode works.
//!
//! A position consists of a number and the random mark of the write with this number. If the log still has the write
//! with this mark, the log also has all earlier writes, since a backup contains all writes up to a point in time.
//! Otherwise the reader starts over.

pub mod address;
mod connection;
mod failure;
mod passfile;
mod resolver;
mod schema;
mod statements;
mod tls;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

pub use self::address::{Address, parse};
use self::address::{ServerAddress, SslMode};
pub use self::connection::Timeouts;
use self::connection::{LogConnection, SilenceLimits, WaitEnd};
use self::failure::Failure;
use self::resolver::NameResolver;
pub use self::resolver::{Lookup, LookupResult};
use crate::contract::{SharedLog, SharedTables, ViewNumber};
use crate::error::{Error, Result, Status};
use crate::platform::Deadline;
use crate::platform::on_worker;
use crate::platform::{ForkLock, lock_for_fork};
use crate::platform::{lock, lock_by};
use crate::wake::{WaitInterrupt, WakeSocket};

/// Maximum time without data from the server while a thread closes the index or forks, and so waits for calls to end.
const CLOSING_SILENCE: Duration = Duration::from_secs(1);

/// A client for a log in `PostgreSQL`. The client connects on its first call.
pub struct Postgres {
    address: Address,
    name: String,
    timeouts: Timeouts,
    tls: OnceLock<Arc<ClientConfig>>,
    resolver: NameResolver,
    /// Number of threads that are closing the index or forking, and therefore wait for calls to end.
    closing_threads: Arc<AtomicUsize>,
    calls: Mutex<Calls>,
    /// The connection for [`wait`](crate::contract::SharedLog::wait), separate from the connection for other calls.
    listener: Mutex<Option<LogConnection>>,
    wake: WaitInterrupt,
    /// Whether a fork is in progress. During a fork, no wait may start.
    is_forking: AtomicBool,
}

/// The state for all calls except `wait`.
#[derive(Default)]
struct Calls {
    connection: Option<LogConnection>,
    /// The server and user of each view, needed to create a view again if a restored log lacks it.
    views: HashSet<(String, Vec<u8>)>,
}

impl Postgres {
    /// Creates a client for the log at this address. The client connects on its first call.
    #[must_use]
    pub fn new(address: Address) -> Self {
        let timeouts = Timeouts {
            connect: Duration::from_millis(300),
            silence: Duration::from_secs(5),
        };
        Self::with_timeouts(address, timeouts)
    }

    /// Creates a client with the given timeouts. For tests. The client connects on its first call.
    #[must_use]
    pub fn with_timeouts(address: Address, timeouts: Timeouts) -> Self {
        Self {
            name: address.to_string(),
            address,
            timeouts,
            tls: OnceLock::new(),
            resolver: NameResolver::default(),
            closing_threads: Arc::default(),
            calls: Mutex::default(),
            listener: Mutex::default(),
            wake: WaitInterrupt::default(),
            is_forking: AtomicBool::new(false),
        }
    }

    /// Replaces the host name resolver. For tests.
    #[must_use]
    pub fn with_lookup(mut self, lookup: Arc<Lookup>) -> Self {
        self.resolver = NameResolver::new(lookup);
        self
    }

    /// Creates the tables, or returns that they exist.
    fn make_tables(&self, deadline: Deadline) -> Result<SharedTables> {
        let connection = self.connect(deadline);
        let made = connection.and_then(|mut connection| schema::ensure_tables(&mut connection, deadline));
        made.map_err(|failure| self.explain(&failure))
    }

    /// Converts a failure to an error for the caller, whose message contains the log's address and a remedy.
    fn explain(&self, failure: &Failure) -> Error {
        failure.explain(&self.address)
    }

    /// Opens a connection, with TLS unless the address has a Unix socket or disables TLS.
    fn connect(&self, deadline: Deadline) -> Result<LogConnection, Failure> {
        let tls = match (&self.address.endpoint, self.address.sslmode) {
            (ServerAddress::Unix(_), _) | (_, SslMode::Disable) => None,
            _ => Some(match self.tls.get() {
                Some(config) => Arc::clone(config),
                // The configuration can fail, so create it before `get_or_init`.
                None => Arc::clone(self.tls.get_or_init({
                    let config = tls::config(&self.address)?;
                    || config
                })),
            }),
        };
        let connect_timeout = self.answer_timeout();
        let silence = SilenceLimits {
            usual: self.timeouts.silence,
            while_closing: CLOSING_SILENCE.max(connect_timeout),
            closing_threads: Arc::clone(&self.closing_threads),
        };
        LogConnection::open(&self.address, tls, &self.resolver, (connect_timeout, silence), deadline)
    }

    /// Opens a connection, and creates the tables if the database has none.
    fn connect_to_log(&self, deadline: Deadline) -> Result<LogConnection, Failure> {
        let mut connection = self.connect(deadline)?;
        if !schema::is_current(&mut connection, deadline)? {
            // The server has answered, so creating the tables may exceed the deadline once.
            schema::ensure_tables(&mut connection, Deadline::NONE)?;
        }
        Ok(connection)
    }

    /// Runs the statements in `work` on the connection in `slot`, and opens a connection if `slot` is empty. Runs the
    /// statements a second time if the connection has broken since its last use, or if the statements conflicted with
    /// another transaction.
    fn run<R>(
        &self,
        slot: &mut Option<LogConnection>,
        deadline: Deadline,
        work: &impl AsyncFn(&Client) -> Result<R, tokio_postgres::Error>,
    ) -> Result<R, Failure> {
        let mut was_idle = slot.is_some();
        let mut may_conflict = true;
        loop {
            if deadline.has_passed() {
                return Err(Failure::Silent);
            }
            let connection = match slot {
                Some(connection) => connection,
                None => slot.insert(self.connect_to_log(deadline)?),
            };
            let failure = match connection.run(deadline, work) {
                Ok(result) => return Ok(result),
                Err(failure) => failure,
            };
            if !failure.keeps_connection() {
                *slot = None;
            }
            // A session stays read-only even after its server becomes the primary.
            let is_outdated = was_idle && (failure.is_broken_connection() || failure.is_read_only());
            let is_repeated = is_outdated || (may_conflict && failure.is_conflict());
            if !is_repeated {
                return Err(failure);
            }
            was_idle = false;
            may_conflict = false;
        }
    }

    /// Runs the statements in `work`, and returns their result. If the log lacks a view because the log was restored,
    /// creates the views again and repeats the statements.
    fn call<R>(
        &self,
        deadline: Deadline,
        work: &impl AsyncFn(&Client) -> Result<R, tokio_postgres::Error>,
    ) -> Result<R> {
        let mut calls = self.lock_calls(deadline)?;
        let Calls { connection, views } = &mut *calls;
        let mut outcome = self.run(connection, deadline, work);
        if outcome.as_ref().is_err_and(|failure| failure.has_code(schema::NO_VIEW)) {
            let create_views = async |client: &Client| {
                for (server, viewer) in &*views {
                    create_view(client, server, viewer).await?;
                }
                Ok(())
            };
            outcome = match self.run(connection, deadline, &create_views) {
                Ok(()) => self.run(connection, deadline, work),
                Err(failure) => Err(failure),
            };
        }
        outcome.map_err(|failure| self.explain(&failure))
    }

    /// Locks the connection for calls. Waits for another call until the deadline, for at most twice the silence limit.
    fn lock_calls(&self, deadline: Deadline) -> Result<std::sync::MutexGuard<'_, Calls>> {
        let until = Instant::now() + deadline.wait(self.timeouts.silence * 2);
        lock_by(&self.calls, until).ok_or_else(|| self.explain(&Failure::Silent))
    }

    /// Waits on the listening connection in `slot`, and opens a connection if `slot` is empty. Returns whether the view
    /// may have entries after `number`. Sends one query, since notifications may be lost: after opening a connection,
    /// or otherwise when the wait ends. `wake`: a socket that becomes readable when another thread interrupts the wait.
    fn wait_on(
        &self,
        slot: &mut Option<LogConnection>,
        view: ViewNumber,
        number: u64,
        until: Instant,
        wake: WakeSocket,
    ) -> Result<bool, Failure> {
        let has_new_entries = async |client: &Client| {
            let statement = "SELECT number FROM plexindex.views WHERE view = $1";
            let row = client.query_typed_opt(statement, &[(&view.0, Type::INT8)]).await?;
            Ok(row.map_or(0, |row| row.get::<_, i64>(0)) != i64::try_from(number).unwrap_or(i64::MAX))
        };
        let is_new = slot.is_none();
        if is_new {
            // `until` limits the wait but not the attempt to connect, since a short wait must not make a busy server
            // seem unavailable.
            let mut connection = self.connect_to_log(Deadline::NONE)?;
            // A replica rejects LISTEN. The wait then ends with a timeout and the query.
            let listens = connection.run(Deadline::NONE, async |client| {
                client.batch_execute("LISTEN plexindex").await
            });
            match listens {
                Err(failure) if !failure.keeps_connection() && !failure.is_read_only() => return Err(failure),
                _ => {}
            }
            let connection = slot.insert(connection);
            if connection.run(Deadline::NONE, has_new_entries)? {
                return Ok(true);
            }
        }
        let Some(connection) = slot else { return Ok(true) };
        match connection.wait(view.0, number, until, wake) {
            Ok(WaitEnd::Notified) => Ok(true),
            Ok(WaitEnd::Interrupted) => Ok(false),
            // The query was sent before the wait. Return `true`, since a pooler may have lost a notification.
            Ok(WaitEnd::TimedOut) if is_new => Ok(true),
            Ok(WaitEnd::TimedOut) => connection.run(Deadline::NONE, has_new_entries),
            Err(failure) => Err(failure),
        }
    }

    /// Waits until the view has entries after `number`, `time` has passed, or another thread interrupts the wait.
    /// Returns whether the view may have new entries.
    fn wait_for(&self, view: ViewNumber, number: u64, time: Duration) -> Result<bool> {
        // Limit the time to a day, so that the sum does not overflow.
        let until = Instant::now() + time.min(Duration::from_secs(86_400));
        let Some(mut slot) = lock_by(&self.listener, until) else {
            return Ok(true); // another wait used up the time
        };
        let wake = self.wake.begin();
        let Some(wake) = wake.map_err(|error| self.explain(&error.into()))? else {
            return Ok(false); // another thread has already requested the end of the wait
        };
        let outcome = if self.is_forking.load(Ordering::SeqCst) {
            Ok(false)
        } else {
            self.wait_on(&mut slot, view, number, until, wake)
        };
        self.wake.end();
        outcome.or_else(|failure| {
            // Notifications may have been lost with the connection. Return `true`, so that the caller reads the log and
            // reports the error.
            if slot.take().is_some() && failure.is_broken_connection() {
                return Ok(true);
            }
            Err(self.explain(&failure))
        })
    }

    /// Interrupts waits and closes the connections, so that a forked child does not share them. No connection can be
    /// opened while the caller holds the returned locks.
    fn close_for_fork(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        self.is_forking.store(true, Ordering::SeqCst);
        self.closing_threads.fetch_add(1, Ordering::SeqCst);
        self.wake.request_if_waiting();
        let mut listener = lock_for_fork(&self, |log| &log.listener);
        let mut calls = lock_for_fork(&self, |log| &log.calls);
        drop_connections([listener.get().take(), calls.get().connection.take()]);
        let wake = lock_for_fork(&self, |log| log.wake.mutex());
        // Values are dropped in this order, since a wait that acquires the listener's lock must find `is_forking`
        // reset.
        vec![
            Box::new(ForkGuard(Arc::clone(&self))),
            Box::new(wake),
            Box::new(calls),
            Box::new(listener),
        ]
    }
}

/// When dropped, allows waits again after a fork.
struct ForkGuard(Arc<Postgres>);

impl ForkLock for ForkGuard {}

impl Drop for ForkGuard {
    /// Allows waits again, and restores the usual timeouts.
    fn drop(&mut self) {
        self.0.is_forking.store(false, Ordering::SeqCst);
        self.0.closing_threads.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Postgres {
    /// Closes the connections on a thread that plexindex started, as the client requires.
    fn drop(&mut self) {
        drop_connections([lock(&self.listener).take(), lock(&self.calls).connection.take()]);
    }
}

/// Drops connections on a thread that plexindex started, since the client leaves thread-local values behind, which must
/// not remain on a host thread.
fn drop_connections(links: [Option<LogConnection>; 2]) {
    if links.iter().any(Option::is_some) {
        on_worker(move || drop(links), Duration::from_secs(1), || {});
    }
}

/// Returns a view's number, and creates the view if it does not exist.
async fn create_view(client: &Client, server: &str, viewer: &[u8]) -> Result<ViewNumber, tokio_postgres::Error> {
    let statement = "SELECT plexindex.view($1, $2)";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), _); 2] =
        [(&server, Type::TEXT), (&viewer, Type::BYTEA)];
    let row = client.query_typed_one(statement, &parameters).await?;
    Ok(ViewNumber(row.get(0)))
}

/// Returns the error for a number that does not fit its type.
fn out_of_range<T>(_: T) -> Error {
    Error::new(Status::BadAnswer, "the shared log has a number that is out of range")
}
