//! The exchange with other hosts of the server, by a log that all share (`crate::shared`).
//!
//! The folder is the truth of this host, and the log holds copies. A thread of the library delivers what this host
//! wrote, and takes what others wrote. Jobs that would ask the server look into the log first, and ask under a lease of
//! it. If the log is away, nothing waits for it twice: answers come from the folder, and after a while the server is
//! asked without it.

mod deliver;
mod fetch;
mod publish;
mod searches;
mod source;
mod take;
mod thread;

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::job::Syncing;
use crate::engine::{Maintenance, Reading, Store};
use crate::error::{Error, Result, Status, refuse};
use crate::freshness::Policy;
use crate::model::IdentityId;
use crate::options::Options;
use crate::platform::clock::Clock;
use crate::platform::deadline::Deadline;
use crate::platform::fork::{Release, hold};
use crate::platform::mutex::lock;
use crate::platform::thread::{Worker, on_worker};
use crate::shared::{HostId, Lease, NewEntry, SharedLog, ViewNumber};
use crate::stats::Counters;

pub use fetch::AcceptedProbe;
pub use source::LogSource;

/// Pause after the log could not be reached.
const AWAY_MS: i64 = 5_000;
/// Longest wait for the log in one step of a call.
const STEP: Duration = Duration::from_secs(5);

/// A view of the log, and the identity that it is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedView {
    pub identity: IdentityId,
    pub number: ViewNumber,
    pub host: HostId,
}

/// The log is away. Why is in the host's log; what waits for it goes on without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Away;

/// The exchange of one handle.
pub struct Exchange {
    log: Arc<dyn SharedLog>,
    store: Arc<Store>,
    reading: Arc<Reading>,
    maintenance: Arc<Maintenance>,
    counters: Arc<Counters>,
    clock: Arc<dyn Clock>,
    /// How long a host waits for a log that is away before it asks the server itself.
    patience_ms: i64,
    /// Hash of the mappings.
    mappings: u64,
    policy: Policy,
    state: Mutex<State>,
    changed: Condvar,
    thread: Mutex<Option<Worker>>,
    /// Whether a thread exchanges news; otherwise a test does.
    has_thread: bool,
}

#[derive(Default)]
struct State {
    /// The key of the hashes of tokens.
    secret: Option<[u8; 32]>,
    /// Views by identity and viewer.
    views: HashMap<(IdentityId, Vec<u8>), ViewNumber>,
    /// When the log was first found to be away, and when it is asked again, Unix ms.
    away: Option<(i64, i64)>,
    /// Leases that this process holds.
    leases: Vec<Lease>,
    /// Verified items that others are told of, once the invalidations before are delivered.
    verified: Vec<NewEntry>,
    /// There is something to deliver.
    is_told: bool,
    /// News is taken as it comes.
    listens: bool,
    stops: bool,
}

impl Exchange {
    /// The exchange by this log. Asks nothing yet.
    #[must_use]
    #[allow(clippy::too_many_arguments)] // the components below it
    pub fn new(
        log: Arc<dyn SharedLog>,
        store: Arc<Store>,
        reading: Arc<Reading>,
        maintenance: Arc<Maintenance>,
        counters: Arc<Counters>,
        clock: Arc<dyn Clock>,
        options: &Options,
        has_thread: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            log,
            store,
            reading,
            maintenance,
            counters,
            clock,
            patience_ms: i64::try_from(options.shared_retry.as_millis()).unwrap_or(i64::MAX),
            mappings: xxh3_64(format!("{:?}", options.mappings).as_bytes()),
            policy: Policy::new(options),
            state: Mutex::default(),
            changed: Condvar::new(),
            thread: Mutex::new(None),
            has_thread,
        })
    }

    /// Asks the log, unless it was away a moment ago.
    fn ask<T>(&self, ask: impl FnOnce(&dyn SharedLog) -> Result<T>) -> std::result::Result<T, Away> {
        let now = self.clock.now_ms();
        if let Some((_, until)) = lock(&self.state).away
            && (now - AWAY_MS..until).contains(&now)
        {
            return Err(Away);
        }
        match ask(&*self.log) {
            Ok(answer) => {
                if lock(&self.state).away.take().is_some() {
                    log::info!("the shared log {} answers again", self.log.name());
                }
                Ok(answer)
            }
            Err(error) => {
                self.note_failure(&error);
                Err(Away)
            }
        }
    }

    /// Remembers that the log failed, and says so once.
    fn note_failure(&self, error: &Error) {
        let now = self.clock.now_ms();
        let mut state = lock(&self.state);
        let since = state.away.map_or(now, |(since, _)| since);
        if state.away.is_none() {
            log::warn!(
                "the shared log {} gives no answer; this host answers from its folder, and keeps what it has to tell: {error}",
                self.log.name()
            );
        } else {
            log::debug!("the shared log {} gives no answer: {error}", self.log.name());
        }
        state.away = Some((since, now + AWAY_MS));
    }

    /// How long the log has been away, ms; `None` if it is not, as far as is known.
    fn away_ms(&self) -> Option<i64> {
        let (since, _) = lock(&self.state).away?;
        Some(self.clock.now_ms().saturating_sub(since).max(0))
    }

    /// The view of the current token's user, once the server has accepted that token and said which server it is.
    /// `None` before, and if the log is away.
    fn view(&self) -> Result<Option<SharedView>> {
        let session = self.reading.tokens.current();
        let Some(identity) = self.reading.identity_of(&session)? else {
            return Ok(None);
        };
        if !self.store.is_named(identity)? {
            return Ok(None);
        }
        let secret = lock(&self.state).secret;
        let Ok(secret) = secret.map_or_else(|| self.ask(|log| log.secret(deadline())), Ok) else {
            return Ok(None);
        };
        lock(&self.state).secret = Some(secret);
        let keyed = |text: &str| blake3::keyed_hash(&secret, text.as_bytes()).as_bytes().to_vec();
        let Some(viewer) = self.reading.shared_viewer(&session, keyed) else {
            return Ok(None);
        };
        let host = self.store.host()?;
        let name = (identity, viewer);
        let known = lock(&self.state).views.get(&name).copied();
        let number = if let Some(number) = known {
            number
        } else {
            let server = self.store.machine_identifier(identity)?;
            let Ok(number) = self.ask(|log| log.view(&server, &name.1, deadline())) else {
                return Ok(None);
            };
            lock(&self.state).views.insert(name, number);
            number
        };
        Ok(Some(SharedView { identity, number, host }))
    }

    /// Takes its locks, and those of the log, to hold them through a fork.
    fn hold(self: &Arc<Self>) -> Vec<Box<dyn Release>> {
        let mut locks: Vec<Box<dyn Release>> = vec![Box::new(hold(self, |exchange| &exchange.thread))];
        locks.extend(Arc::clone(&self.log).before_fork());
        locks.push(Box::new(hold(self, |exchange| &exchange.state)));
        locks
    }

    /// Forgets the thread, which the child of a fork does not have.
    fn after_fork(&self) {
        if let Ok(mut thread) = self.thread.try_lock() {
            std::mem::forget(thread.take());
        }
        if let Ok(mut state) = self.state.try_lock() {
            // The parent's leases are not the child's.
            state.leases.clear();
        }
    }
}

/// The limit of one request to the log.
fn deadline() -> Deadline {
    Deadline::after(STEP)
}

impl Syncing {
    /// Exchanges what this host learns with others from now on.
    pub fn share(&mut self, exchange: Arc<Exchange>) {
        let teller = Arc::downgrade(&exchange);
        self.store.on_told(move || {
            if let Some(exchange) = teller.upgrade() {
                exchange.tell();
            }
        });
        self.exchange = Some(exchange);
    }

    /// Starts the thread of the exchange.
    pub fn begin_exchange(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.begin();
        }
    }

    /// Ends the exchange: delivers what waits, if the log is there.
    pub fn end_exchange(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.end();
        }
    }

    /// Delivers what this host has written, and returns once the log has it.
    pub fn deliver_now(&self, deadline: Deadline) -> Result<()> {
        let Some(exchange) = &self.exchange else {
            return refuse("nothing can be delivered to other hosts: the index has no option 'shared', or is offline");
        };
        let deliver = || match exchange.view()? {
            Some(view) => exchange.deliver_once(&view, deadline),
            None => Ok(false),
        };
        if on_worker(deliver, STEP, || {})? {
            return Ok(());
        }
        Err(Error::new(
            Status::Timeout,
            format!(
                "it is stored in this folder, and delivered when {} answers",
                exchange.log.name()
            ),
        ))
    }

    /// Delivers and takes what there is, now: for tests. Returns `false` if the log is away.
    pub fn exchange_now(&self) -> Result<bool> {
        let Some(exchange) = &self.exchange else {
            return Ok(false);
        };
        let exchange_now = || match exchange.view()? {
            Some(view) => exchange.exchange_once(&view, deadline()),
            None => Ok(false),
        };
        on_worker(exchange_now, STEP, || {})
    }

    /// Takes news as it comes from now on, or only now and then.
    pub fn listen_to_others(&self, listens: bool) {
        if let Some(exchange) = &self.exchange {
            exchange.listen(listens);
        }
    }

    /// The number of the last entry of the shared log that this folder has taken, and how many entries of its own it has not
    /// delivered yet. `None` if it shares nothing, or has taken nothing yet.
    pub fn shared_progress(&self) -> Option<(u64, u64)> {
        let exchange = self.exchange.as_ref()?;
        let identity = self.reading.identity()?;
        let place = exchange.place(identity).ok()?;
        let waiting = self.store.outbox_len(identity).ok()?;
        (place.position.number > 0 || waiting > 0).then_some((place.position.number, waiting))
    }

    /// Its locks, held through a fork.
    pub(super) fn hold_exchange(&self) -> Vec<Box<dyn Release>> {
        self.exchange.iter().flat_map(Exchange::hold).collect()
    }

    /// Resets the exchange in the child of a fork.
    pub(super) fn reset_exchange(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.after_fork();
        }
    }
}
