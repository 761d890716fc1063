//! The state of one index's exchange: the log, the index's view in the log, and whether the log is available and
//! accepts writes.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::contract::{HostId, SharedLog, ViewNumber};
use crate::engine::{LibraryRows, Outbox, Store, StoreWriter};
use crate::error::{Error, Result, Status};
use crate::model::ViewId;
use crate::options::Options;
use crate::platform::Clock;
use crate::platform::Deadline;
use crate::platform::Worker;
use crate::platform::lock;
use crate::platform::{ForkLock, lock_for_fork};
use crate::stats::Counters;
use crate::sync::{IndexReader, PeerComponents};

/// Pause between two attempts to use a log that is unavailable, in ms.
const RETRY_PAUSE_MS: i64 = 5_000;
/// Timeout for a request to the log on a thread that waits for a slow log ([`waits_for_slow_log`]).
pub const SLOW_LOG_TIMEOUT: Duration = Duration::from_secs(5);

thread_local! {
    /// Whether this thread waits up to [`SLOW_LOG_TIMEOUT`] for a slow log.
    static IS_PATIENT: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether this thread waits up to [`SLOW_LOG_TIMEOUT`] for a slow log. Other threads wait only for
/// [`SharedLog::answer_timeout`], since a lookup can continue without the log.
pub fn waits_for_slow_log() -> bool {
    IS_PATIENT.get()
}

pub fn set_waits_for_slow_log(is_patient: bool) {
    IS_PATIENT.set(is_patient);
}

thread_local! {
    /// Whether this thread's writes create no entries for other hosts.
    static CREATES_NO_ENTRIES: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether this thread's writes must not create entries for other hosts, since the log has the data already.
pub fn creates_no_entries() -> bool {
    CREATES_NO_ENTRIES.get()
}

/// Runs `work`, whose writes create no entries for other hosts, since the log has the data already. Returns its result.
pub fn without_entries<R>(work: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        /// Restores the previous value, even after a panic.
        fn drop(&mut self) {
            CREATES_NO_ENTRIES.set(self.0);
        }
    }
    let _restore = Restore(CREATES_NO_ENTRIES.replace(true));
    work()
}

/// A view in the log, with the store's id for this view (`view_id`) and this folder's host id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogView {
    pub view_id: ViewId,
    pub number: ViewNumber,
    pub host: HostId,
}

/// The log did not answer, or it rejected a write. The reason has been logged, and callers continue without the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

/// Exchanges entries between one index and other hosts.
pub struct Exchange {
    pub log: Arc<dyn SharedLog>,
    pub store: Arc<Store>,
    pub reading: Arc<IndexReader>,
    pub store_writer: Arc<StoreWriter>,
    pub counters: Arc<Counters>,
    pub clock: Arc<dyn Clock>,
    /// Hash of the mappings.
    pub mappings: u64,
    pub state: Mutex<ExchangeState>,
    pub changed: Condvar,
    pub thread: Mutex<Option<Worker>>,
    /// Whether a background thread exchanges entries. If not, a test calls the exchange.
    pub has_thread: bool,
}

/// State shared by the threads that use an exchange.
#[derive(Default)]
pub struct ExchangeState {
    /// The log's key for hashing tokens.
    pub secret: Option<[u8; 32]>,
    /// View numbers, by the view's id in the store and the user in the log.
    pub views: HashMap<(ViewId, Vec<u8>), ViewNumber>,
    /// Time of the next attempt, Unix ms, while the log does not answer.
    pub retry_ms: Option<i64>,
    /// The error with which the log rejected the last write.
    pub write_error: Option<Error>,
    /// Number of threads that retry an unavailable log.
    pub retrying_threads: usize,
    /// Whether the outbox has entries that the thread has not seen yet.
    pub has_new_entries: bool,
    /// Whether a call used the index without changing the counters, because all listings were fresh.
    pub is_used: bool,
    pub listeners: Listeners,
    pub is_stopping: bool,
}

/// The listeners that want other hosts' entries immediately, instead of every few seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listeners {
    /// Whether the index watches the server.
    pub watches: bool,
    /// Whether the host called `follow` and has not called `unfollow` since.
    pub follows: bool,
    /// Number of open `SharedFollower`s.
    pub followers: usize,
}

impl ExchangeState {
    /// Returns whether there is a listener, so that the exchange thread must wait for notifications.
    pub fn listens(&self) -> bool {
        self.listeners != Listeners::default()
    }
}

impl Exchange {
    /// Creates an exchange through `log`, but sends no request. `has_thread`: whether a background thread will exchange
    /// entries; if not, a test calls the exchange.
    pub fn new(log: Arc<dyn SharedLog>, components: PeerComponents, options: &Options, has_thread: bool) -> Arc<Self> {
        Arc::new(Self {
            log,
            store: components.store,
            reading: components.reading,
            store_writer: components.store_writer,
            counters: components.counters,
            clock: components.clock,
            mappings: xxh3_64(format!("{:?}", options.mappings).as_bytes()),
            state: Mutex::default(),
            changed: Condvar::new(),
            thread: Mutex::new(None),
            has_thread,
        })
    }

    /// Calls `ask` to send a request to the log, and returns its answer. `ask` receives the log and the request's
    /// deadline. Logs an error, and returns `Unavailable` instead. Sends no request during the pause after a failure.
    pub fn send_request<T>(
        &self,
        ask: impl FnOnce(&dyn SharedLog, Deadline) -> Result<T>,
    ) -> std::result::Result<T, Unavailable> {
        self.send_request_by(Deadline::NONE, ask)
    }

    /// Calls `ask` to send a request to the log by the deadline `until`, and returns its answer. `ask` receives a
    /// deadline that also limits each single wait to [`SharedLog::answer_timeout`]; to [`SLOW_LOG_TIMEOUT`] on a thread
    /// that waits for a slow log. Other threads send no request during the pause after a failure. Logs an error, and
    /// returns `Unavailable` instead.
    pub fn send_request_by<T>(
        &self,
        until: Deadline,
        ask: impl FnOnce(&dyn SharedLog, Deadline) -> Result<T>,
    ) -> std::result::Result<T, Unavailable> {
        let is_patient = waits_for_slow_log();
        if self.must_skip_log() && !is_patient {
            return Err(Unavailable);
        }
        let longest_wait = if is_patient {
            SLOW_LOG_TIMEOUT
        } else {
            self.log.answer_timeout()
        };
        match self.retry_log(|| ask(&*self.log, until.at_most(longest_wait))) {
            Ok(answer) => {
                // An answer after a longer wait does not mean that the log answers in time; the caller decides.
                if !is_patient {
                    self.note_answer();
                }
                Ok(answer)
            }
            Err(error) => {
                // If the call's own deadline has passed, the log is not necessarily unavailable.
                if !until.has_passed() {
                    self.note_failure(&error);
                }
                Err(Unavailable)
            }
        }
    }

    /// Calls `ask` to send a write to the log by the deadline `until`, and returns its answer; `Unavailable` if the log
    /// does not answer or rejects the write. Reads continue after a rejection.
    pub fn send_write<T>(
        &self,
        until: Deadline,
        ask: impl FnOnce(&dyn SharedLog, Deadline) -> Result<T>,
    ) -> std::result::Result<T, Unavailable> {
        let answer = self.send_request_by(until, |log, limit| match ask(log, limit) {
            Err(error) if matches!(error.status, Status::ServerError | Status::Forbidden) => Ok(Err(error)),
            answer => answer.map(Ok),
        })?;
        let write_error = answer.as_ref().err().cloned();
        let last_error = std::mem::replace(&mut lock(&self.state).write_error, write_error);
        match (&answer, last_error) {
            (Err(error), None) => log::warn!(
                "the shared log rejects this host's entries: {error}; the entries stay in the folder, and this host \
                 receives no entries before they are delivered"
            ),
            (Ok(_), Some(_)) => log::info!("the shared log {} accepts writes again", self.log.name()),
            _ => {}
        }
        answer.map_err(|_| Unavailable)
    }

    /// Returns the error with which the log rejected the last write; `None` if the log accepted it.
    pub fn write_error(&self) -> Option<Error> {
        lock(&self.state).write_error.clone()
    }

    /// Runs `work`, which sends requests to the log, and returns its result. If the log was unavailable, first starts a
    /// new pause for other threads, so that only one thread retries.
    pub fn retry_log<R>(&self, work: impl FnOnce() -> R) -> R {
        let mut state = lock(&self.state);
        let Some(retry_ms) = &mut state.retry_ms else {
            drop(state);
            return work();
        };
        *retry_ms = self.clock.now_ms() + RETRY_PAUSE_MS;
        state.retrying_threads += 1;
        drop(state);
        let outcome = work();
        lock(&self.state).retrying_threads -= 1;
        outcome
    }

    /// Returns whether waiting for the log is pointless: the pause after a failure has not ended, and no thread
    /// retries.
    pub fn is_waiting_pointless(&self) -> bool {
        self.must_skip_log() && lock(&self.state).retrying_threads == 0
    }

    /// Returns whether callers must skip the log now: it failed, and the pause before the next attempt has not ended. A
    /// thread that retries the log starts a new pause for the others.
    pub fn must_skip_log(&self) -> bool {
        let now_ms = self.clock.now_ms();
        // Setting the clock back ends the pause.
        let is_running = |retry_ms: i64| (retry_ms - RETRY_PAUSE_MS..retry_ms).contains(&now_ms);
        lock(&self.state).retry_ms.is_some_and(is_running)
    }

    /// Ends the outage if there is one, because the log has answered in time.
    pub fn note_answer(&self) {
        if lock(&self.state).retry_ms.take().is_some() {
            log::info!("the shared log {} answers again", self.log.name());
        }
    }

    /// Records that the log failed, and logs the first failure of an outage.
    fn note_failure(&self, error: &Error) {
        // The error message contains the log's address.
        let problem = match error.status {
            Status::Connect | Status::Timeout | Status::Tls => "the shared log does not answer",
            _ => "the shared log answers with an error",
        };
        let mut state = lock(&self.state);
        state.write_error = None;
        if state.retry_ms.replace(self.clock.now_ms() + RETRY_PAUSE_MS).is_none() {
            log::warn!("{problem}: {error}; this host answers from its folder, and keeps its entries there");
        } else {
            log::debug!("{problem}: {error}");
        }
    }

    /// Returns whether the log's last answer did not come in time.
    pub fn is_log_unavailable(&self) -> bool {
        lock(&self.state).retry_ms.is_some()
    }

    /// Returns the view for the current token's user; `None` until the server has accepted the token and reported the
    /// server's identity, and while the log is unavailable.
    pub fn view(&self) -> Result<Option<LogView>> {
        let session = self.reading.tokens.current();
        let Some(view_id) = self.reading.viewpoint.view_of(&session)? else {
            return Ok(None);
        };
        if !LibraryRows(&self.store).has_machine_identifier(view_id)? {
            return Ok(None); // the server has not reported its machine identifier
        }
        // Hash the user with the log's key, so that all hosts get the same hash.
        let secret = lock(&self.state).secret;
        let Ok(secret) = secret.map_or_else(|| self.send_request(|log, limit| log.secret(limit)), Ok) else {
            return Ok(None);
        };
        lock(&self.state).secret = Some(secret);
        let keyed_hash = |text: &str| blake3::keyed_hash(&secret, text.as_bytes()).as_bytes().to_vec();
        let Some(viewer) = self.reading.viewpoint.shared_user_id(&session, keyed_hash) else {
            return Ok(None);
        };
        let host = Outbox(&self.store).host()?;
        // Query the log for the view's number only once.
        let view_name = (view_id, viewer);
        let known_number = lock(&self.state).views.get(&view_name).copied();
        let number = if let Some(number) = known_number {
            number
        } else {
            let server = LibraryRows(&self.store).machine_identifier(view_id)?;
            let Ok(number) = self.send_request(|log, limit| log.view(&server, &view_name.1, limit)) else {
                return Ok(None);
            };
            lock(&self.state).views.insert(view_name, number);
            self.changed.notify_all(); // the thread can listen now that it has a view
            number
        };
        Ok(Some(LogView { view_id, number, host }))
    }

    /// Forgets the log's key and the view numbers, since another log may have replaced this log.
    pub fn forget_view(&self) {
        let mut state = lock(&self.state);
        state.secret = None;
        state.views.clear();
    }

    /// Acquires the locks of the exchange and the log, in the order in which calls acquire them. The caller holds the
    /// returned locks during a fork.
    pub fn lock_for_fork(self: &Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        let mut locks: Vec<Box<dyn ForkLock>> = vec![Box::new(lock_for_fork(self, |exchange| &exchange.thread))];
        locks.extend(Arc::clone(&self.log).before_fork());
        locks.push(Box::new(lock_for_fork(self, |exchange| &exchange.state)));
        locks
    }

    /// Resets the state in a forked child, because the child does not have the parent's threads and listeners.
    /// Never waits for a lock, since the thread that holds the lock may not exist in the child.
    pub fn after_fork(&self) {
        if let Ok(mut thread) = self.thread.try_lock() {
            std::mem::forget(thread.take());
        }
        if let Ok(mut state) = self.state.try_lock() {
            state.retrying_threads = 0;
            state.listeners = Listeners::default();
        }
    }
}
