//! The log in `PostgreSQL`. `schema.sql` has its tables, and a function for each call: a call is one statement and one
//! round trip. Statements are unnamed and no session is relied on, so a pooler in transaction mode may be in between.
//!
//! A position is a number and the mark of the write that has it. A reader's position is known if that write still has
//! this mark: then everything before it is the same too, since a backup holds all writes up to a moment.

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
use self::address::{Endpoint, SslMode};
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

/// How long a server may be silent while somebody waits for calls to end.
const HURRIED: Duration = Duration::from_secs(1);

/// A log in `PostgreSQL`. Nothing is connected before the first call.
pub struct Postgres {
    address: Address,
    name: String,
    patience: Patience,
    lease: Duration,
    tls: OnceLock<Arc<ClientConfig>>,
    resolver: NameResolver,
    /// How many wait for calls to end: who closes the index, or forks.
    hurries: Arc<AtomicUsize>,
    calls: Mutex<Calls>,
    /// The connection that [`wait`](crate::contract::SharedLog::wait) listens on.
    listener: Mutex<Option<Link>>,
    wake: Wake,
    /// Set before a fork, until locks are released: no wait begins.
    is_forking: AtomicBool,
}

#[derive(Default)]
struct Calls {
    link: Option<Link>,
    /// What the numbers of views stand for. A log that was restored from a backup may lack some.
    views: HashMap<ViewNumber, (String, Vec<u8>)>,
}

impl Postgres {
    /// A log at this address. Connects with the first call.
    #[must_use]
    pub fn new(address: Address) -> Self {
        let patience = Patience {
            connect: Duration::from_millis(300),
            silence: Duration::from_secs(5),
        };
        Self::with_patience(address, patience, LEASE)
    }

    /// The same with other times, for tests.
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

    /// The same with another resolver of host names, for tests.
    #[must_use]
    pub fn with_lookup(mut self, lookup: Arc<Lookup>) -> Self {
        self.resolver = NameResolver::new(lookup);
        self
    }

    fn make_tables(&self, deadline: Deadline) -> Result<SharedTables> {
        let mut link = self.connect(deadline).map_err(|failure| self.explain(&failure))?;
        schema::ensure(&mut link, deadline)
            .map_err(|failure| self.explain(&rights::name(failure, &mut link, rights::OF_HOSTS, deadline)))
    }

    fn explain(&self, failure: &Failure) -> Error {
        failure.explain(&self.address)
    }

    fn connect(&self, deadline: Deadline) -> Result<Link, Failure> {
        let tls = match (&self.address.endpoint, self.address.sslmode) {
            (Endpoint::Unix(_), _) | (_, SslMode::Disable) => None,
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
            hurried: HURRIED.max(connect),
            hurries: Arc::clone(&self.hurries),
        };
        Link::open(&self.address, tls, &self.resolver, (connect, silence), deadline)
    }

    /// Connects, and creates the tables if there are none.
    fn connect_to_log(&self, deadline: Deadline) -> Result<Link, Failure> {
        let mut link = self.connect(deadline)?;
        let is_current = schema::is_current(&mut link, deadline);
        if !is_current.map_err(|failure| rights::name(failure, &mut link, rights::OF_HOSTS, deadline))? {
            // It answers, and takes its time once.
            schema::ensure(&mut link, Deadline::NONE)?;
        }
        Ok(link)
    }

    /// Runs statements on a connection, which is made if there is none. If it broke since its last use, or others were
    /// in the way, they run once more.
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
            if !failure.leaves_connection() {
                *slot = None;
            }
            // A session stays read-only after its server takes writes again.
            let is_outdated = was_idle && (failure.is_broken_connection() || failure.is_read_only());
            let is_repeated = is_outdated || (may_conflict && failure.is_conflict());
            if !is_repeated {
                return Err(failure);
            }
            was_idle = false;
            may_conflict = false;
        }
    }

    /// Runs statements on the connection for calls.
    fn call<R>(
        &self,
        deadline: Deadline,
        work: &impl AsyncFn(&Client) -> Result<R, tokio_postgres::Error>,
    ) -> Result<R> {
        self.call_as(rights::OF_HOSTS, deadline, work)
    }

    /// The same for statements that need these privileges.
    fn call_as<R>(
        &self,
        wanted: &[&str],
        deadline: Deadline,
        work: &impl AsyncFn(&Client) -> Result<R, tokio_postgres::Error>,
    ) -> Result<R> {
        let mut calls = self.lock_calls(deadline)?;
        let outcome = self.run(&mut calls.link, deadline, work);
        outcome.map_err(|failure| self.explain_on(&mut calls.link, failure, wanted, deadline))
    }

    /// The error for the caller, which names the privileges that the role lacks.
    fn explain_on(&self, link: &mut Option<Link>, failure: Failure, wanted: &[&str], deadline: Deadline) -> Error {
        match link {
            Some(link) => self.explain(&rights::name(failure, link, wanted, deadline)),
            None => self.explain(&failure),
        }
    }

    /// The same for statements that need a view, which is created again if a restored log lacks it.
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
        outcome.map_err(|failure| self.explain_on(link, failure, rights::OF_HOSTS, deadline))
    }

    fn open_view(&self, server: &str, viewer: &[u8], deadline: Deadline) -> Result<ViewNumber> {
        let mut calls = self.lock_calls(deadline)?;
        let Calls { link, views } = &mut *calls;
        let created = self.run(link, deadline, &async |client: &Client| {
            create_view(client, server, viewer).await
        });
        let view = created.map_err(|failure| self.explain_on(link, failure, rights::OF_HOSTS, deadline))?;
        views.insert(view, (server.into(), viewer.into()));
        Ok(view)
    }

    fn lock_calls(&self, deadline: Deadline) -> Result<std::sync::MutexGuard<'_, Calls>> {
        let until = Instant::now() + deadline.wait(self.patience.silence * 2);
        lock_by(&self.calls, until).ok_or_else(|| self.explain(&Failure::Silent))
    }

    /// Waits on the connection that listens. Its one query runs after it was made, or else at the end of the wait.
    fn wait_on(
        &self,
        slot: &mut Option<Link>,
        view: ViewNumber,
        number: u64,
        until: Instant,
        wake: WakeSocket,
    ) -> Result<bool, Failure> {
        let differs = async |client: &Client| {
            let statement = "SELECT number FROM plexindex.views WHERE view = $1";
            let row = client.query_typed_opt(statement, &[(&view.0, Type::INT8)]).await?;
            Ok(row.map_or(0, |row| row.get::<_, i64>(0)) != i64::try_from(number).unwrap_or(i64::MAX))
        };
        let is_new = slot.is_none();
        if is_new {
            // The time is for waiting: a short one does not make a busy server one that is away.
            let mut link = self.connect_to_log(Deadline::NONE)?;
            // A replica refuses to listen. Then the time passes, and the number is read.
            let listens = link.run(Deadline::NONE, async |client| {
                client.batch_execute("LISTEN plexindex").await
            });
            match listens {
                Err(failure) if !failure.leaves_connection() && !failure.is_read_only() => return Err(failure),
                _ => {}
            }
            let link = slot.insert(link);
            if link.run(Deadline::NONE, differs)? {
                return Ok(true);
            }
        }
        let Some(link) = slot else { return Ok(true) };
        match link.wait(view.0, number, until, wake) {
            Ok(Woken::Notified) => Ok(true),
            Ok(Woken::Interrupted) => Ok(false),
            // A notification may have been lost, as behind a pooler.
            Ok(Woken::TimedOut) if is_new => Ok(true),
            Ok(Woken::TimedOut) => link.run(Deadline::NONE, differs),
            Err(failure) => Err(failure),
        }
    }

    fn wait_for(&self, view: ViewNumber, number: u64, time: Duration) -> Result<bool> {
        let until = Instant::now() + time.min(Duration::from_secs(86_400));
        let Some(mut slot) = lock_by(&self.listener, until) else {
            return Ok(true); // another wait had all the time
        };
        let begun = self.wake.begin();
        let Some(wake) = begun.map_err(|error| self.explain(&error.into()))? else {
            return Ok(false);
        };
        let outcome = if self.is_forking.load(Ordering::SeqCst) {
            Ok(false)
        } else {
            self.wait_on(&mut slot, view, number, until, wake)
        };
        self.wake.end();
        outcome.or_else(|failure| {
            // What was notified meanwhile is lost: reading finds it, or says what is wrong.
            if slot.take().is_some() && failure.is_broken_connection() {
                return Ok(true);
            }
            Err(self.explain(&failure))
        })
    }

    fn hold_for_fork(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        self.is_forking.store(true, Ordering::SeqCst);
        self.hurries.fetch_add(1, Ordering::SeqCst);
        self.wake.request_if_waiting();
        let mut listener = hold(&self, |log| &log.listener);
        let mut calls = hold(&self, |log| &log.calls);
        drop_links([listener.get().take(), calls.get().link.take()]);
        let wake = hold(&self, |log| log.wake.mutex());
        // Released in this order, so that no wait that gets the lock ends at once.
        vec![
            Box::new(Waits(Arc::clone(&self))),
            Box::new(wake),
            Box::new(calls),
            Box::new(listener),
        ]
    }
}

/// Allows waits again after a fork.
struct Waits(Arc<Postgres>);

impl Release for Waits {}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.is_forking.store(false, Ordering::SeqCst);
        self.0.hurries.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop_links([lock(&self.listener).take(), lock(&self.calls).link.take()]);
    }
}

/// Drops connections on a thread of the library, whoever calls.
fn drop_links(links: [Option<Link>; 2]) {
    if links.iter().any(Option::is_some) {
        on_worker(move || drop(links), Duration::from_secs(1), || {});
    }
}

async fn create_view(client: &Client, server: &str, viewer: &[u8]) -> Result<ViewNumber, tokio_postgres::Error> {
    let statement = "SELECT plexindex.view($1, $2)";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), _); 2] =
        [(&server, Type::TEXT), (&viewer, Type::BYTEA)];
    let row = client.query_typed_one(statement, &parameters).await?;
    Ok(ViewNumber(row.get(0)))
}

/// The error for numbers that no log has.
fn out_of_range<T>(_: T) -> Error {
    Error::new(Status::BadAnswer, "the shared log has a number that is out of range")
}
