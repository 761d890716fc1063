//! The exchange of one handle: the log, the view of it, and what is known of both.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::contract::{HostId, Lease, NewEntry, SharedLog, ViewNumber};
use crate::engine::{LibraryRows, Maintenance, Outbox, Store};
use crate::error::{Error, Result, Status};
use crate::freshness::Policy;
use crate::model::IdentityId;
use crate::options::Options;
use crate::platform::Clock;
use crate::platform::Deadline;
use crate::platform::Worker;
use crate::platform::lock;
use crate::platform::{Release, hold};
use crate::stats::Counters;
use crate::sync::{PeerComponents, Reading};

/// Pause after the log could not be reached.
pub const AWAY_MS: i64 = 5_000;
/// Longest wait for the log in one step where somebody waits for the log itself, or nobody waits.
pub const STEP: Duration = Duration::from_secs(5);

thread_local! {
    /// Whether this thread waits for a slow log.
    static IS_PATIENT: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether this thread waits for a slow log.
pub fn is_patient() -> bool {
    IS_PATIENT.get()
}

/// Lets this thread of the library wait for a slow log from now on, or only as long as a call may.
pub fn set_patient(is_patient: bool) {
    IS_PATIENT.set(is_patient);
}

thread_local! {
    /// Whether this thread writes to the folder what the log has already, or need not have.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Whether other hosts are not told of what this thread writes.
pub fn is_quiet() -> bool {
    IS_QUIET.get()
}

/// Runs `work`, of whose writes other hosts are not told.
pub fn quietly<R>(work: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            IS_QUIET.set(self.0);
        }
    }
    let _restore = Restore(IS_QUIET.replace(true));
    work()
}

/// A view of the log, and the identity that it is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedView {
    pub identity: IdentityId,
    pub number: ViewNumber,
    pub host: HostId,
}

/// The log is away, or refuses what it was told. Why is in the host's log; what waits for it goes on without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away;

/// The log answers, and takes no writes of this host.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// When it first refused one, Unix ms.
    since_ms: i64,
    /// When the next write is tried, Unix ms.
    again_ms: i64,
    /// Why.
    pub error: Error,
}

/// The exchange of one handle.
pub struct Exchange {
    pub log: Arc<dyn SharedLog>,
    pub store: Arc<Store>,
    pub reading: Arc<Reading>,
    pub maintenance: Arc<Maintenance>,
    pub counters: Arc<Counters>,
    pub clock: Arc<dyn Clock>,
    /// How long a host waits for a log that is away before it asks the server itself.
    pub patience_ms: i64,
    /// Hash of the mappings.
    pub mappings: u64,
    pub policy: Policy,
    pub state: Mutex<State>,
    pub changed: Condvar,
    pub thread: Mutex<Option<Worker>>,
    /// Whether a thread exchanges news; otherwise a test does.
    pub has_thread: bool,
}

/// What the threads of an exchange share.
#[derive(Default)]
pub struct State {
    /// The key of the hashes of tokens.
    pub secret: Option<[u8; 32]>,
    /// Views by server and user.
    pub views: HashMap<(IdentityId, Vec<u8>), ViewNumber>,
    /// Since when the log does not answer, and when to ask it again, Unix ms.
    pub away: Option<(i64, i64)>,
    /// The last write was refused.
    pub refusal: Option<Refusal>,
    /// Threads that try a log that was away.
    pub trying: usize,
    /// Leases that this process holds.
    pub leases: Vec<Lease>,
    /// Verified items that others are told of, once the invalidations before are delivered, and when they were
    /// verified.
    pub verified: Vec<(i64, NewEntry)>,
    /// The last delivery that the log was seen to have kept.
    pub kept: Option<(HostId, u64)>,
    /// Entries wait to be delivered.
    pub is_told: bool,
    /// A call used the index without being counted, since all listings were fresh.
    pub is_used: bool,
    /// Why news is taken as it comes.
    pub listeners: Listeners,
    pub stops: bool,
}

/// For whom news is taken as it comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listeners {
    /// The index watches the server.
    pub watches: bool,
    /// The host follows, until it says otherwise.
    pub follows: bool,
    /// Number of followers.
    pub followers: usize,
}

impl State {
    /// Whether news is taken as it comes.
    pub fn listens(&self) -> bool {
        self.listeners != Listeners::default()
    }
}

impl Exchange {
    /// The exchange by this log. Asks nothing yet.
    pub fn new(log: Arc<dyn SharedLog>, components: PeerComponents, options: &Options, has_thread: bool) -> Arc<Self> {
        Arc::new(Self {
            log,
            store: components.store,
            reading: components.reading,
            maintenance: components.maintenance,
            counters: components.counters,
            clock: components.clock,
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
    pub fn ask<T>(&self, ask: impl FnOnce(&dyn SharedLog, Deadline) -> Result<T>) -> std::result::Result<T, Away> {
        self.ask_until(Deadline::NONE, ask)
    }

    /// [`Self::ask`] with the deadline of a call. The limit of the request is passed on.
    pub fn ask_until<T>(
        &self,
        until: Deadline,
        ask: impl FnOnce(&dyn SharedLog, Deadline) -> Result<T>,
    ) -> std::result::Result<T, Away> {
        let is_patient = is_patient();
        if self.is_away() && !is_patient {
            return Err(Away);
        }
        let patience = if is_patient { STEP } else { self.log.patience() };
        match self.trying(|| ask(&*self.log, until.at_most(patience))) {
            Ok(answer) => {
                if !is_patient {
                    self.note_answer();
                }
                Ok(answer)
            }
            Err(error) => {
                // A call that had no more time says nothing of the log.
                if !until.has_passed() {
                    self.note_failure(&error);
                }
                Err(Away)
            }
        }
    }

    /// Asks the log to take something, unless it refused to a moment ago. A log that refuses can still be read: it is
    /// not away.
    pub fn ask_to_take<T>(
        &self,
        until: Deadline,
        ask: impl FnOnce(&dyn SharedLog, Deadline) -> Result<T>,
    ) -> std::result::Result<T, Away> {
        if self.is_refusing() && !is_patient() {
            return Err(Away);
        }
        let mut refused = None;
        let answer = self.ask_until(until, |log, limit| match ask(log, limit) {
            // A log of which nothing can be read is away.
            Err(error) if is_refusal(&error) => log.secret(limit).map(|_| refused = Some(error)).map(|()| None),
            answer => answer.map(Some),
        })?;
        if let Some(error) = refused {
            self.note_refusal(error);
        }
        answer.ok_or(Away)
    }

    /// Returns whether the log refused a write a moment ago.
    pub fn is_refusing(&self) -> bool {
        let now = self.clock.now_ms();
        let state = lock(&self.state);
        let again = state.refusal.as_ref().map(|refusal| refusal.again_ms);
        again.is_some_and(|again| (again - AWAY_MS..again).contains(&now))
    }

    /// Why the log took no write of this host last; `None` if it did, as far as is known.
    pub fn refusal(&self) -> Option<Error> {
        lock(&self.state).refusal.as_ref().map(|refusal| refusal.error.clone())
    }

    fn note_refusal(&self, error: Error) {
        let now = self.clock.now_ms();
        let mut state = lock(&self.state);
        let before = state.refusal.as_ref().map(|refusal| refusal.since_ms);
        if before.is_none() {
            log::warn!(
                "the shared log rejects this host's entries, which stay in its folder; it still reads those of other \
                 hosts: {error}"
            );
        }
        state.refusal = Some(Refusal {
            since_ms: before.map_or(now, |since| since.min(now)),
            again_ms: now + AWAY_MS,
            error,
        });
        // They would be old when the log takes them.
        state.verified.clear();
    }

    /// Forgets a refusal that is over, or of which nothing is known any more.
    pub fn end_refusal(&self) {
        if !self.is_refusing() {
            lock(&self.state).refusal = None;
        }
    }

    /// Remembers that the log took what it was told.
    pub fn note_taken(&self) {
        if lock(&self.state).refusal.take().is_some() {
            log::info!("the shared log {} accepts writes again", self.log.name());
        }
    }

    /// Lets others go on without a log that was away, while this thread tries it.
    pub fn trying<R>(&self, work: impl FnOnce() -> R) -> R {
        let mut state = lock(&self.state);
        let Some((_, again)) = &mut state.away else {
            drop(state);
            return work();
        };
        *again = self.clock.now_ms() + AWAY_MS;
        state.trying += 1;
        drop(state);
        let done = work();
        lock(&self.state).trying -= 1;
        done
    }

    /// Returns whether the log was away a moment ago and nobody tries it, so that nobody need wait for it.
    pub fn is_lost(&self) -> bool {
        self.is_away() && lock(&self.state).trying == 0
    }

    /// Returns whether the log was away a moment ago, or another thread tries it after that.
    pub fn is_away(&self) -> bool {
        let now = self.clock.now_ms();
        // A clock that was set back ends the pause too.
        (lock(&self.state).away).is_some_and(|(_, again)| (again - AWAY_MS..again).contains(&now))
    }

    /// Remembers that the log answers in time.
    pub fn note_answer(&self) {
        if lock(&self.state).away.take().is_some() {
            log::info!("the shared log {} answers again", self.log.name());
        }
    }

    /// Remembers that the log failed, and says so once.
    fn note_failure(&self, error: &Error) {
        let now = self.clock.now_ms();
        let mut state = lock(&self.state);
        let since = state.away.map_or(now, |(since, _)| since.min(now));
        // The error names the log.
        let what = match error.status {
            Status::Connect | Status::Timeout | Status::Tls => "the shared log does not answer",
            _ => "the shared log answers with an error",
        };
        if state.away.is_none() {
            log::warn!("{what}; answering from this host's folder, and keeping its entries there: {error}");
        } else {
            log::debug!("{what}: {error}");
        }
        state.away = Some((since, now + AWAY_MS));
        // They would be old when the log is back.
        state.verified.clear();
    }

    /// How long the log has been away, ms; `None` if it is not, as far as is known.
    pub fn away_ms(&self) -> Option<i64> {
        let (since, _) = lock(&self.state).away?;
        Some(self.clock.now_ms().saturating_sub(since).max(0))
    }

    /// How long the log has refused writes, ms; `None` if it did not a moment ago.
    pub fn refusing_ms(&self) -> Option<i64> {
        if !self.is_refusing() {
            return None;
        }
        let since_ms = lock(&self.state).refusal.as_ref()?.since_ms;
        Some(self.clock.now_ms().saturating_sub(since_ms).max(0))
    }

    /// The view of the current token's user, once the server has accepted that token and said which server it is.
    /// `None` before, and if the log is away.
    pub fn view(&self) -> Result<Option<SharedView>> {
        let session = self.reading.tokens.current();
        let Some(identity) = self.reading.viewpoint.identity_of(&session)? else {
            return Ok(None);
        };
        if !LibraryRows(&self.store).is_named(identity)? {
            return Ok(None);
        }
        let secret = lock(&self.state).secret;
        let Ok(secret) = secret.map_or_else(|| self.ask(|log, limit| log.secret(limit)), Ok) else {
            return Ok(None);
        };
        lock(&self.state).secret = Some(secret);
        let keyed = |text: &str| blake3::keyed_hash(&secret, text.as_bytes()).as_bytes().to_vec();
        let Some(viewer) = self.reading.viewpoint.shared_viewer(&session, keyed) else {
            return Ok(None);
        };
        let host = Outbox(&self.store).host()?;
        let name = (identity, viewer);
        let known = lock(&self.state).views.get(&name).copied();
        let number = if let Some(number) = known {
            number
        } else {
            let server = LibraryRows(&self.store).machine_identifier(identity)?;
            let Ok(number) = self.ask(|log, limit| log.view(&server, &name.1, limit)) else {
                return Ok(None);
            };
            lock(&self.state).views.insert(name, number);
            self.changed.notify_all(); // a thread that was to listen had no view so far
            number
        };
        Ok(Some(SharedView { identity, number, host }))
    }

    /// Forgets what the log said of the view: another log may have taken its place.
    pub fn forget_view(&self) {
        let mut state = lock(&self.state);
        state.secret = None;
        state.views.clear();
    }

    /// Takes its locks, and those of the log, to hold them through a fork.
    pub fn hold(self: &Arc<Self>) -> Vec<Box<dyn Release>> {
        let mut locks: Vec<Box<dyn Release>> = vec![Box::new(hold(self, |exchange| &exchange.thread))];
        locks.extend(Arc::clone(&self.log).before_fork());
        locks.push(Box::new(hold(self, |exchange| &exchange.state)));
        locks
    }

    /// Forgets the thread, which the child of a fork does not have.
    pub fn after_fork(&self) {
        if let Ok(mut thread) = self.thread.try_lock() {
            std::mem::forget(thread.take());
        }
        if let Ok(mut state) = self.state.try_lock() {
            // The parent's leases are not the child's.
            state.leases.clear();
            state.trying = 0;
            // It listens when it asks for it.
            state.listeners = Listeners::default();
        }
    }
}

/// Returns whether the log answered that it does not do what it was asked for.
fn is_refusal(error: &Error) -> bool {
    matches!(error.status, Status::ServerError | Status::Forbidden)
}
