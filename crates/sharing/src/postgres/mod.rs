//! The shared log in `PostgreSQL`. `schema.sql` has its tables, and a function for each call, so that a call is one
//! statement and one round trip. Statements are unnamed and need no session state, so a pooler in transaction mode
//! works.
//!
//! A position is a number and the random mark of the write with that number. If the log still has this write with this
//! mark, it also has everything before it, since a backup contains all writes up to a moment. Otherwise a reader starts
//! over.

pub mod address;
mod connection;
mod failure;
mod passfile;
mod resolver;
mod rights;
mod schema;
mod statements;
mod tls;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

pub use self::address::{Address, parse};
use self::address::{ServerAddress, SslMode};
pub use self::connection::Patience;
use self::connection::{Link, Silence, Woken};
use self::failure::Failure;
use self::resolver::NameResolver;
pub use self::resolver::{Found, Lookup};
use crate::contract::{LEASE, SharedLog, SharedTables, ViewNumber};
use crate::error::{Error, Result, Status};
use crate::platform::Deadline;
use crate::platform::on_worker;
use crate::platform::{Release, hold};
use crate::platform::{lock, lock_by};
use crate::wake::{Wake, WakeSocket};

/// Maximum silence of the server while a thread closes the index or forks, and so waits for calls to end.
const CLOSING_SILENCE: Duration = Duration::from_secs(1);

/// A log in `PostgreSQL`. The first call connects.
pub struct Postgres {
    address: Address,
    name: String,
    patience: Patience,
    lease: Duration,
    tls: OnceLock<Arc<ClientConfig>>,
    resolver: NameResolver,
    /// Number of threads that close the index or fork, and so wait for calls to end.
    hurries: Arc<AtomicUsize>,
    calls: Mutex<Calls>,
    /// The connection for [`wait`](crate::contract::SharedLog::wait), separate from that for other calls.
    listener: Mutex<Option<Link>>,
    wake: Wake,
    /// Set during a fork, so that no wait begins.
    is_forking: AtomicBool,
}

/// The state of calls other than `wait`.
#[derive(Default)]
struct Calls {
    link: Option<Link>,
    /// Server and user by view, to create views again that a restored log lacks.
    views: HashMap<ViewNumber, (String, Vec<u8>)>,
}

impl Postgres {
    /// Creates the log at this address. The first call connects.
    #[must_use]
    pub fn new(address: Address) -> Self {
        let patience = Patience {
            connect: Duration::from_millis(300),
            silence: Duration::from_secs(5),
        };
        Self::with_patience(address, patience, LEASE)
    }

    /// [`Self::new`] with other timeouts, for tests.
    #[must_use]
    pub fn with_patience(address: Address, patience: Patience, lease: Duration) -> Self {
        Self {
            name: address.to_string(),
            address,
            patience,
            lease,
            tls: OnceLock::new(),
            resolver: NameResolver::default(),
            hurries: Arc::default(),
            calls: Mutex::default(),
            listener: Mutex::default(),
            wake: Wake::default(),
            is_forking: AtomicBool::new(false),
        }
    }

    /// Replaces the resolver of host names, for tests.
    #[must_use]
    pub fn with_lookup(mut self, lookup: Arc<Lookup>) -> Self {
        self.resolver = NameResolver::new(lookup);
        self
    }

    /// Creates the tables, or reports that they exist.
    fn make_tables(&self, deadline: Deadline) -> Result<SharedTables> {
        let mut link = self.connect(deadline).map_err(|failure| self.explain(&failure))?;
        schema::ensure(&mut link, deadline).map_err(|failure| {
            self.explain(&rights::name_missing(
                failure,
                &mut link,
                rights::HOST_PRIVILEGES,
                deadline,
            ))
        })
    }

    /// Converts a failure to an error for the caller.
    fn explain(&self, failure: &Failure) -> Error {
        failure.explain(&self.address)
    }

    /// Opens a connection.
    fn connect(&self, deadline: Deadline) -> Result<Link, Failure> {
        let tls = match (&self.address.endpoint, self.address.sslmode) {
            (ServerAddress::Unix(_), _) | (_, SslMode::Disable) => None,
            _ => Some(match self.tls.get() {
                Some(config) => Arc::clone(config),
                None => Arc::clone(self.tls.get_or_init({
                    let config = tls::config(&self.address)?;
                    || config
                })),
            }),
        };
        let connect = self.patience();
        let silence = Silence {
            longest: self.patience.silence,
            hurried: CLOSING_SILENCE.max(connect),
            hurries: Arc::clone(&self.hurries),
        };
        Link::open(&self.address, tls, &self.resolver, (connect, silence), deadline)
    }

    /// Opens a connection, and creates the tables if the database has none.
    fn connect_to_log(&self, deadline: Deadline) -> Result<Link, Failure> {
        let mut link = self.connect(deadline)?;
        let is_current = schema::is_current(&mut link, deadline);
        if !is_current.map_err(|failure| rights::name_missing(failure, &mut link, rights::HOST_PRIVILEGES, deadline))? {
            // The server answered, so creating the tables may take longer than the deadline, once.
            schema::ensure(&mut link, Deadline::NONE)?;
        }
        Ok(link)
    }

    /// Runs statements on the connection in `slot`, and opens one if `slot` is empty. Runs them a second time if the
    /// connection broke since its last use, or if they conflicted with another transaction.
    fn run<R>(
        &self,
        slot: &mut Option<Link>,
        deadline: Deadline,
        work: &impl AsyncFn(&Client) -> Result<R, tokio_postgres::Error>,
    ) -> Result<R, Failure> {
        let mut was_idle = slot.is_some();
        let mut may_conflict = true;
        loop {
            if deadline.has_passed() {
                return Err(Failure::Silent);
            }
            let link = match slot {
                Some(link) => link,
                None => slot.insert(self.connect_to_log(deadline)?),
            };
            let failure = match link.run(deadline, work) {
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

    /// Runs statements that need the privileges of a host.
    fn call<R>(
        &self,
        deadline: Deadline,
        work: &impl AsyncFn(&Client) -> Result<R, tokio_postgres::Error>,
    ) -> Result<R> {
        self.call_as(rights::HOST_PRIVILEGES, deadline, work)
    }

    /// Runs statements that need the privileges `wanted`. The error names those that the role lacks.
    fn call_as<R>(
        &self,
        wanted: &[&str],
        deadline: Deadline,
        work: &impl AsyncFn(&Client) -> Result<R, tokio_postgres::Error>,
    ) -> Result<R> {
        let mut calls = self.lock_calls(deadline)?;
        let outcome = self.run(&mut calls.link, deadline, work);
        outcome.map_err(|failure| self.explain_with_rights(&mut calls.link, failure, wanted, deadline))
    }

    /// Converts a failure to an error for the caller. If the role lacks some of the privileges `wanted`, the error
    /// names them.
    fn explain_with_rights(
        &self,
        link: &mut Option<Link>,
        failure: Failure,
        wanted: &[&str],
        deadline: Deadline,
    ) -> Error {
        match link {
            Some(link) => self.explain(&rights::name_missing(failure, link, wanted, deadline)),
            None => self.explain(&failure),
        }
    }

    /// Runs statements that need a view. If the log lacks the view because it was restored, creates the view again.
    fn call_view<R>(
        &self,
        view: ViewNumber,
        deadline: Deadline,
        work: &impl AsyncFn(&Client) -> Result<R, tokio_postgres::Error>,
    ) -> Result<R> {
        let mut calls = self.lock_calls(deadline)?;
        let Calls { link, views } = &mut *calls;
        let mut outcome = self.run(link, deadline, work);
        if let (Err(failure), Some((server, viewer))) = (&outcome, views.get(&view))
            && failure.has_code(schema::NO_VIEW)
        {
            outcome = match self.run(link, deadline, &async |client: &Client| {
                create_view(client, server, viewer).await
            }) {
                Ok(_) => self.run(link, deadline, work),
                Err(failure) => Err(failure),
            };
        }
        outcome.map_err(|failure| self.explain_with_rights(link, failure, rights::HOST_PRIVILEGES, deadline))
    }

    /// Returns the number of a view, and remembers the server and the user, with which [`Self::call_view`] creates it
    /// again.
    fn open_view(&self, server: &str, viewer: &[u8], deadline: Deadline) -> Result<ViewNumber> {
        let mut calls = self.lock_calls(deadline)?;
        let Calls { link, views } = &mut *calls;
        let created = self.run(link, deadline, &async |client: &Client| {
            create_view(client, server, viewer).await
        });
        let view =
            created.map_err(|failure| self.explain_with_rights(link, failure, rights::HOST_PRIVILEGES, deadline))?;
        views.insert(view, (server.into(), viewer.into()));
        Ok(view)
    }

    /// Locks the connection for calls. Waits for another call to end until the deadline, but at most twice as long as
    /// the server may be silent.
    fn lock_calls(&self, deadline: Deadline) -> Result<std::sync::MutexGuard<'_, Calls>> {
        let until = Instant::now() + deadline.wait(self.patience.silence * 2);
        lock_by(&self.calls, until).ok_or_else(|| self.explain(&Failure::Silent))
    }

    /// Waits on the listening connection in `slot`, and opens one if `slot` is empty. Returns whether the view may have
    /// entries after `number`. Sends one query: after opening the connection, or else at the end of the wait, since a
    /// notification may be lost.
    fn wait_on(
        &self,
        slot: &mut Option<Link>,
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
            // `until` limits the wait, not the connection: a short wait must not make a busy server look unavailable.
            let mut link = self.connect_to_log(Deadline::NONE)?;
            // A replica rejects LISTEN. Then the wait just passes and ends with the query.
            let listens = link.run(Deadline::NONE, async |client| {
                client.batch_execute("LISTEN plexindex").await
            });
            match listens {
                Err(failure) if !failure.keeps_connection() && !failure.is_read_only() => return Err(failure),
                _ => {}
            }
            let link = slot.insert(link);
            if link.run(Deadline::NONE, has_new_entries)? {
                return Ok(true);
            }
        }
        let Some(link) = slot else { return Ok(true) };
        match link.wait(view.0, number, until, wake) {
            Ok(Woken::Notified) => Ok(true),
            Ok(Woken::Interrupted) => Ok(false),
            // The query was sent before the wait. Report news, since a notification may have been lost behind a pooler.
            Ok(Woken::TimedOut) if is_new => Ok(true),
            Ok(Woken::TimedOut) => link.run(Deadline::NONE, has_new_entries),
            Err(failure) => Err(failure),
        }
    }

    /// Implements [`SharedLog::wait`].
    fn wait_for(&self, view: ViewNumber, number: u64, time: Duration) -> Result<bool> {
        let until = Instant::now() + time.min(Duration::from_secs(86_400));
        let Some(mut slot) = lock_by(&self.listener, until) else {
            return Ok(true); // another wait used up the time
        };
        let wake = self.wake.begin();
        let Some(wake) = wake.map_err(|error| self.explain(&error.into()))? else {
            return Ok(false);
        };
        let outcome = if self.is_forking.load(Ordering::SeqCst) {
            Ok(false)
        } else {
            self.wait_on(&mut slot, view, number, until, wake)
        };
        self.wake.end();
        outcome.or_else(|failure| {
            // Notifications were lost with the connection. The caller reads the log, and then sees what is wrong.
            if slot.take().is_some() && failure.is_broken_connection() {
                return Ok(true);
            }
            Err(self.explain(&failure))
        })
    }

    /// Ends waits and closes the connections, so that the child of a fork does not share them. Returns locks that keep
    /// them closed.
    fn close_for_fork(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        self.is_forking.store(true, Ordering::SeqCst);
        self.hurries.fetch_add(1, Ordering::SeqCst);
        self.wake.request_if_waiting();
        let mut listener = hold(&self, |log| &log.listener);
        let mut calls = hold(&self, |log| &log.calls);
        drop_links([listener.get().take(), calls.get().link.take()]);
        let wake = hold(&self, |log| log.wake.mutex());
        // Dropped in this order: a wait that gets the listener's lock must find `is_forking` reset.
        vec![
            Box::new(ForkGuard(Arc::clone(&self))),
            Box::new(wake),
            Box::new(calls),
            Box::new(listener),
        ]
    }
}

/// Allows waits again after a fork.
struct ForkGuard(Arc<Postgres>);

impl Release for ForkGuard {}

impl Drop for ForkGuard {
    /// Allows waits again, and the usual silence of the server.
    fn drop(&mut self) {
        self.0.is_forking.store(false, Ordering::SeqCst);
        self.0.hurries.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Postgres {
    /// Drops the connections on a thread of the library, since the client leaves thread-local values behind.
    fn drop(&mut self) {
        drop_links([lock(&self.listener).take(), lock(&self.calls).link.take()]);
    }
}

/// Drops connections on a thread of the library: the client leaves thread-local values behind, which must not stay on a
/// thread of the host.
fn drop_links(links: [Option<Link>; 2]) {
    if links.iter().any(Option::is_some) {
        on_worker(move || drop(links), Duration::from_secs(1), || {});
    }
}

/// Returns the number of a view, and creates it if necessary.
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
