//! The thread that exchanges rows with the shared database. It holds no lock of the index while it waits for the
//! network.

use std::any::Any;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use plexindex::Index;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use xxhash_rust::xxh3::xxh3_64;

use crate::address::Address;
use crate::database::{Database, ROWS_PER_DELIVERY, SharedStatus, silent};
use crate::engine::{
    LibraryRow, LibraryRows, RecordTime, SharedRow, SharedRows, SharedState, SharedStep, SharedWriteListener, Store,
    StoreWriter,
};
use crate::error::{Error, Result, Status};
use crate::failure::Outcome;
use crate::model::{Library, LibraryId, ViewId};
use crate::options::{Options, without_password};
use crate::paths::{RULES, Translation};
use crate::platform::{Deadline, ForkLock, Worker, lock, lock_for_fork, unix_us};
use crate::sync::{IndexReader, PeerComponents, Peers, not_shared_error, on_worker};

/// Interval between reads without a notification, which a pooler may lose.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Pause after a failure: shorter than [`TIMEOUT`], so that each call that waits for the database sees an attempt.
const RETRY_PAUSE: Duration = Duration::from_secs(2);
/// Minimum interval between two rounds: what is recorded within it shares a request.
const BATCH_INTERVAL: Duration = Duration::from_millis(25);
/// Timeout of calls that need the database, if the index has no timeout.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// How long closing the index waits for a delivery.
const LAST_DELIVERY: Duration = Duration::from_secs(1);
/// How long closing the index waits for a connection.
const LAST_CONNECT: Duration = Duration::from_millis(200);
/// Maximum time in µs by which a stored time can be in the future. A later time comes from a wrong clock.
const CLOCK_TOLERANCE_US: i64 = 60_000_000;
/// How long a call that can continue without other hosts waits for them.
const PATIENCE: Duration = Duration::from_millis(300);

/// An index that shares what it records, and its exchange with other hosts.
pub struct Sharing {
    this: Weak<Self>,
    /// The database's address, without a password.
    name: String,
    /// `None` for an offline index.
    address: Option<Address>,
    /// Whether the index is online and has a server, so that it has something to exchange.
    has_exchange: bool,
    /// The time limit for each call ([`Options::timeout`]).
    timeout: Option<Duration>,
    store: Arc<Store>,
    reading: Arc<IndexReader>,
    store_writer: Arc<StoreWriter>,
    translation: Translation,
    /// Hash of the address, the mappings and the rules of their translation.
    digest: u64,
    state: Mutex<State>,
    changed: Condvar,
    thread: Mutex<Option<Worker>>,
}

/// What wakes the runtime of a thread. A forked child has a thread, and signals, of its own.
#[derive(Default)]
struct Signals {
    /// A round is wanted, or the database has news.
    wake: Arc<Notify>,
    stop: Notify,
}

#[derive(Default)]
struct State {
    is_stopping: bool,
    /// Whether a round is wanted that has not begun.
    is_wanted: bool,
    /// Number of rounds that have ended.
    rounds: u64,
    /// When the last complete round began.
    exchanged: Option<Instant>,
    /// When a call last waited in vain.
    waited: Option<Instant>,
    failure: Option<Outage>,
}

/// Why the exchange does not work.
#[derive(Clone)]
pub struct Outage {
    pub error: Error,
    /// In µs since 1970.
    pub since_us: i64,
}

/// The view of the current token, as the store knows it.
struct KnownView {
    id: ViewId,
    /// The server's machine identifier.
    server: String,
    libraries: Vec<LibraryRow>,
    /// Hash of all that decides which rows concern this host: the database, the mappings, and the libraries with their
    /// folders.
    digest: u64,
}

impl SharedWriteListener for Sharing {
    /// Wakes the thread, which delivers what was committed.
    fn after_commit(&self) {
        self.wake();
    }
}

impl Peers for Sharing {
    /// Starts the thread, unless it runs or the index is closing.
    fn start(&self) {
        let mut thread = lock(&self.thread);
        if self.has_exchange && thread.is_none() && !lock(&self.state).is_stopping {
            *thread = self
                .this
                .upgrade()
                .and_then(|sharing| Worker::spawn(move || sharing.run()));
            if thread.is_none() {
                log::warn!("cannot start the thread that exchanges rows with other hosts");
            }
        }
    }

    /// Stops the thread, which first delivers what is undelivered. Returns when the thread has ended.
    fn stop(&self) {
        lock(&self.state).is_stopping = true;
        self.changed.notify_all();
        // Join the thread without the lock, since a fork waits for the lock, and the thread may wait for the fork.
        let thread = lock(&self.thread).take();
        drop(thread);
    }

    /// Waits for a round that began within the poll interval, but only briefly, and not if an earlier call waited in vain a
    /// moment ago.
    fn exchange(&self, until: Deadline) -> Result<()> {
        if !self.has_exchange {
            return Ok(());
        }
        self.begin(until)?;
        let is_current = |state: &State| {
            state.failure.is_some() || state.exchanged.is_some_and(|begun| begun.elapsed() < POLL_INTERVAL)
        };
        let may_wait = {
            let state = lock(&self.state);
            let was_in_vain = state.waited.is_some_and(|waited| waited.elapsed() < POLL_INTERVAL);
            !is_current(&state) && !was_in_vain
        };
        if may_wait {
            self.wake();
            let is_done = self.wait_until(until.at_most(PATIENCE), is_current);
            lock(&self.state).waited = (!is_done).then(Instant::now);
        }
        Ok(())
    }

    /// Waits until the database has all rows of this host, or fails at the deadline. Rows that are not delivered in time
    /// stay in the folder, and are delivered later.
    fn deliver(&self, until: Deadline) -> Result<()> {
        self.expect_shared()?;
        let until = until.at_most(TIMEOUT);
        loop {
            let rounds = lock(&self.state).rounds;
            if self.undelivered(1)? == 0 {
                return Ok(());
            }
            self.wake();
            if !self.wait_until(until, |state| state.rounds != rounds) || self.outage().is_some() {
                break;
            }
        }
        let why = self
            .outage()
            .map_or_else(String::new, |outage| format!(": {}", outage.error));
        Err(Error::new(
            Status::Timeout,
            format!(
                "what was recorded is stored in this folder, but not yet delivered to other hosts; plexindex delivers it \
                 later{why}"
            ),
        ))
    }

    fn expect_shared(&self) -> Result<()> {
        self.has_exchange.then_some(()).ok_or_else(not_shared_error)
    }

    /// Returns whether other hosts can use a match for this path.
    fn is_path_shareable(&self, library: &Library, path: &[u8]) -> bool {
        self.translation.to_server(&library.locations, path).is_some()
    }

    /// Acquires the locks for a fork. A child never uses the parent's connection, because it does not have the thread.
    fn hold(&self) -> Vec<Box<dyn ForkLock>> {
        let locks = |sharing: Arc<Self>| -> [Box<dyn ForkLock>; 2] {
            [
                Box::new(lock_for_fork(&sharing, |sharing| &sharing.thread)),
                Box::new(lock_for_fork(&sharing, |sharing| &sharing.state)),
            ]
        };
        self.this.upgrade().into_iter().flat_map(locks).collect()
    }

    /// Resets the state in a forked child. Never waits for a lock, since the thread that holds it may not exist there.
    fn after_fork(&self) {
        if let Ok(mut thread) = self.thread.try_lock() {
            std::mem::forget(thread.take());
        }
        if let Ok(mut state) = self.state.try_lock() {
            *state = State::default();
        }
    }
}

impl Sharing {
    /// Creates the exchange of an index. `shared`: the option. `address`: `None` for an offline index.
    pub fn new(shared: &str, address: Option<Address>, components: &PeerComponents, options: &Options) -> Arc<Self> {
        let text = address.as_ref().map(Address::to_string).unwrap_or_default();
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            name: without_password(shared),
            has_exchange: address.is_some() && options.server_url.is_some(),
            address,
            timeout: options.timeout,
            store: Arc::clone(&components.store),
            reading: Arc::clone(&components.reading),
            store_writer: Arc::clone(&components.store_writer),
            translation: Translation::new(components.reading.mappings.clone(), &options.mappings),
            digest: xxh3_64(format!("{text} {RULES} {:?}", options.mappings).as_bytes()),
            state: Mutex::default(),
            changed: Condvar::new(),
            thread: Mutex::new(None),
        })
    }

    /// Returns an index's `Sharing`; `None` if the index was opened without the option `shared`.
    pub fn of(index: &Index) -> Option<&Self> {
        let peers: &dyn Any = index.peers();
        peers.downcast_ref()
    }

    /// Runs `work` on a connection of its own, for at most `time` unless the index has a timeout. Runs it on a new thread,
    /// since the client leaves thread-local values behind, which would prevent a host from unloading the library. Fails if
    /// the index is offline.
    pub fn on_database<T: Send>(
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
                let work = async { work(&Database::open(address, Arc::default()).await?, address).await };
                tokio::time::timeout(limit, work).await.unwrap_or_else(|_| silent())
            });
            runtime.shutdown_background();
            result.map_err(|failure| failure.explain(address))
        };
        on_worker(run, || {})
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
        if !self.has_exchange {
            return status;
        }
        if let Ok(Some(view)) = self.known_view()
            && let Ok(Some(state)) = self.stored_state(&view)
        {
            status.taken = Some(state.read.seq.cast_unsigned());
            status.lost = state.lost;
        }
        let undelivered = self.undelivered(usize::MAX).ok();
        status.undelivered = undelivered
            .filter(|count| status.taken.is_some() || *count > 0)
            .map(|count| count as u64);
        if let Some(outage) = self.outage() {
            status.set_error(Some(&outage.error));
            status.failing_since_ms = Some(outage.since_us / 1_000);
        }
        status
    }

    /// Wakes the thread to exchange rows now.
    pub fn wake(&self) {
        self.start(); // a forked child has no thread yet
        if !std::mem::replace(&mut lock(&self.state).is_wanted, true) {
            self.changed.notify_all();
        }
    }

    /// Passes wake-ups on to the runtime, and wakes it for each poll, until the end. A host's thread does not: it would keep
    /// thread-local values.
    fn pass_on(&self, signals: &Signals) {
        while !lock(&self.state).is_stopping {
            self.wait_until(Deadline::after(POLL_INTERVAL), |state| state.is_wanted);
            signals.wake.notify_one();
            self.wait_until(Deadline::NONE, |state| !state.is_wanted);
        }
        signals.wake.notify_one();
        signals.stop.notify_one();
    }

    /// Waits until the state meets a condition. Returns whether it does.
    fn wait_until(&self, until: Deadline, is_met: impl Fn(&State) -> bool) -> bool {
        let wait = until.wait(TIMEOUT);
        let waited = self
            .changed
            .wait_timeout_while(lock(&self.state), wait, |state| !is_met(state) && !state.is_stopping);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        is_met(&state)
    }

    /// Returns the number of rows that await delivery, up to `most`.
    pub fn undelivered(&self, most: usize) -> Result<usize> {
        let Some(view) = self.known_view()? else {
            return Ok(0);
        };
        let mut after = self.stored_state(&view)?.map_or(0, |state| state.delivered);
        let (mut count, limit) = (0, most.max(ROWS_PER_DELIVERY));
        while count < most {
            let found = SharedRows(&self.store).undelivered(view.id, after, limit)?;
            count += self.to_server(&view.libraries, &found.rows).len();
            after = found.upto;
            if found.count < limit {
                break;
            }
        }
        Ok(count.min(most))
    }

    /// Returns why the exchange does not work; `None` if it works.
    pub fn outage(&self) -> Option<Outage> {
        lock(&self.state).failure.clone()
    }

    /// Runs the thread until the index closes.
    fn run(self: &Arc<Self>) {
        let Some(address) = &self.address else { return };
        let signals = Arc::new(Signals::default());
        let (sharing, signalled) = (Arc::clone(self), Arc::clone(&signals));
        let waker = Worker::spawn(move || sharing.pass_on(&signalled));
        if waker.is_none() {
            return log::warn!("cannot start a thread that exchanges rows with other hosts");
        }
        let runtime = match new_runtime() {
            Ok(runtime) => runtime,
            Err(error) => return log::warn!("cannot exchange rows with other hosts: {error}"),
        };
        runtime.block_on(async {
            tokio::select! {
                () = self.sessions(address, &signals) => {}
                () = self.overtime(&signals) => {}
            }
        });
        runtime.shutdown_background();
    }

    /// Exchanges rows until the index closes.
    async fn sessions(&self, address: &Address, signals: &Signals) {
        while !lock(&self.state).is_stopping {
            let rounds = lock(&self.state).rounds;
            if let Err(failure) = self.session(address, signals).await {
                let error = failure.explain(address);
                // PostgreSQL restarted, or ended a session that worked: whoever waits for a delivery need not wait longer.
                if error.status == Status::Connect && lock(&self.state).rounds != rounds {
                    continue;
                }
                self.note_round(Err(error));
                if !lock(&self.state).is_stopping {
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Ends some time after the index begins to close: after as long as a delivery may take, if there is any.
    async fn overtime(&self, signals: &Signals) {
        signals.stop.notified().await;
        let is_working = { lock(&self.state).exchanged.is_some() };
        let is_needed = self.outage().is_none() && self.undelivered(1).is_ok_and(|count| count > 0);
        let time = match (is_needed, is_working) {
            (true, true) => LAST_DELIVERY,
            (true, false) => LAST_CONNECT,
            (false, _) => Duration::ZERO,
        };
        tokio::time::sleep(time).await;
        if !is_working && lock(&self.state).exchanged.is_some() {
            tokio::time::sleep(LAST_DELIVERY).await;
        }
    }

    /// Connects, and exchanges rows until a failure or the end.
    async fn session(&self, address: &Address, signals: &Signals) -> Outcome<()> {
        let view = self.begin(Deadline::NONE)?;
        let database = Database::open(address, Arc::clone(&signals.wake)).await?;
        database.listen().await?;
        SharedRows(&self.store).set_clock(database.clock_us)?;
        if let Some(view) = view {
            SharedRows(&self.store).forget_old(view.id, database.now_us().min(unix_us()))?;
        }
        let mut number = None;
        loop {
            let begun = Instant::now();
            let is_stopping = {
                let mut state = lock(&self.state);
                state.is_wanted = false;
                state.is_stopping
            };
            self.changed.notify_all();
            let ended = match self.round(&database, &mut number, is_stopping).await {
                Ok(()) => Ok(begun),
                // What other hosts write still arrives.
                Err(failure) if failure.is_refused() && !failure.has_code("PX001") => Err(failure.explain(address)),
                Err(failure) => return Err(failure),
            };
            let pause = if ended.is_ok() { BATCH_INTERVAL } else { RETRY_PAUSE };
            self.note_round(ended);
            if is_stopping {
                return Ok(());
            }
            if !lock(&self.state).is_stopping {
                tokio::time::sleep(pause).await;
            }
            signals.wake.notified().await;
        }
    }

    /// Delivers this host's rows, and merges those of other hosts. `known`: the number of this user's view in the database.
    /// `delivers_only`: before the end.
    async fn round(
        &self,
        database: &Database,
        known: &mut Option<(ViewId, Vec<u8>, i64)>,
        delivers_only: bool,
    ) -> Outcome<()> {
        let Some(view) = self.begin(Deadline::NONE)? else {
            return Ok(());
        };
        self.adopt_waiting(&view)?;
        let Some(viewer) = self.viewer(&database.secret) else {
            return Ok(());
        };
        let number = match known {
            Some((id, user, number)) if (*id, &*user) == (view.id, &viewer) => *number,
            _ => database.view(&view.server, &viewer).await?,
        };
        *known = Some((view.id, viewer, number));
        while !self.exchange_rows(database, number, &view, delivers_only).await? {
            log::warn!(
                "the shared database {} was restored, or is another one: everything is read and offered again",
                self.name
            );
            SharedRows(&self.store).begin(view.id, view.digest, Deadline::NONE)?;
        }
        Ok(())
    }

    /// Delivers this host's rows, merges those that it has not read, and then stores what was delivered: see
    /// [`SharedStep::delivered`]. Returns `false` if the database lacks what this host has read or delivered. `number`: of
    /// the view in the database.
    async fn exchange_rows(
        &self,
        database: &Database,
        number: i64,
        view: &KnownView,
        delivers_only: bool,
    ) -> Outcome<bool> {
        let rows = SharedRows(&self.store);
        let Some(state) = self.stored_state(view)? else {
            return Ok(true);
        };
        // `cursor`: up to where this host has read or written all rows.
        let (mut upto, mut mark, mut cursor) = (state.delivered, None, state.read.seq);
        let mut refused = Ok(true);
        loop {
            let found = rows.undelivered(view.id, upto, ROWS_PER_DELIVERY)?;
            if found.count == 0 {
                upto = if found.is_far { found.upto } else { upto };
                break;
            }
            let shared = self.to_server(&view.libraries, &found.rows);
            if !shared.is_empty() {
                match database.deliver(number, &shared).await {
                    Ok(None) => {}
                    Ok(Some(new)) => {
                        let is_next = i64::try_from(shared.len()) == Ok(new.seq - cursor);
                        cursor = if is_next { new.seq } else { cursor };
                        mark = Some(new);
                    }
                    // One row does not hold back the others. It stays on this host.
                    Err(failure) if failure.is_about_a_row() => {
                        for row in &shared {
                            match database.deliver(number, std::slice::from_ref(row)).await {
                                Ok(new) => mark = new.or(mark),
                                Err(failure) if failure.is_about_a_row() => {}
                                Err(failure) => return Err(failure),
                            }
                        }
                        refused = Err(failure);
                    }
                    // A read-only database can still be read.
                    Err(failure) if failure.is_from_server() => {
                        refused = Err(failure);
                        break;
                    }
                    Err(failure) => return Err(failure),
                }
            }
            upto = found.upto;
        }
        while !delivers_only || mark.is_some() {
            let Some(page) = database.read(number, (state.read, cursor), mark).await? else {
                return Ok(false);
            };
            if page.position == Some(state.read) && upto == state.delivered {
                break;
            }
            let to_host = |row| self.to_host(&view.libraries, row);
            let mut found: Vec<SharedRow> = page.rows.into_iter().filter_map(to_host).collect();
            self.reading.catch_up(Deadline::NONE)?; // another process may have listed the library
            self.end_outdated(&view.libraries, &mut found, database);
            let unlisted = self.unlisted(&view.libraries, &found);
            let step = SharedStep {
                from: state.read,
                to: page.position,
                delivered: upto,
            };
            let limit = self.store_writer.matches_limit;
            match rows.apply((view.id, view.digest), &found, &unlisted, step, limit)? {
                Some(delivered) => upto = delivered,
                None => break, // another process reads, too
            }
            self.reading.catch_up(Deadline::NONE)?;
            if page.position.is_some() || lock(&self.state).is_stopping {
                break;
            }
            cursor = page.last;
        }
        refused
    }

    /// Returns the rating keys that libraries do not list, so that the server must be asked about them.
    fn unlisted(&self, libraries: &[LibraryRow], rows: &[SharedRow]) -> Vec<(LibraryId, String)> {
        let mut unlisted = Vec::new();
        for library in libraries {
            let of_library = rows.iter().filter(|row| row.library == library.library.uuid);
            let pairs: Vec<(&[u8], &str)> = of_library
                .filter_map(|row| Some((&*row.path, row.rating_key.as_deref()?)))
                .collect();
            let keys = self.reading.unlisted(library, &pairs);
            unlisted.extend(keys.into_iter().map(|key| (library.id, key.to_owned())));
        }
        unlisted
    }

    /// Ends the matches among `rows` whose paths Plex has listed for other items since the match was recorded, as far as this
    /// host can tell: a match counts from when it was recorded, not from when it arrives.
    fn end_outdated(&self, libraries: &[LibraryRow], rows: &mut [SharedRow], database: &Database) {
        let latest = RecordTime::at_us(database.now_us().saturating_add(CLOCK_TOLERANCE_US));
        for row in rows {
            let library = libraries.iter().find(|library| library.library.uuid == row.library);
            let Some((library, rating_key)) = library.zip(row.rating_key.as_deref()) else {
                continue;
            };
            let listed_ms = self.reading.others_listed_ms(library.id, &row.path, rating_key);
            let listed = listed_ms.map(|ms| RecordTime::of_unix(ms, database.clock_us));
            // A time in the future comes from a wrong clock, and tells nothing.
            if listed.is_some_and(|listed| row.at <= listed && listed <= latest) {
                row.rating_key = None;
            }
        }
    }

    /// Takes over what waited for the log of an earlier version.
    fn adopt_waiting(&self, view: &KnownView) -> Result<()> {
        let waiting = SharedRows(&self.store).waiting(view.id)?;
        if waiting.is_empty() {
            return Ok(());
        }
        let to_host = |row| self.to_host(&view.libraries, row);
        let rows: Vec<SharedRow> = waiting.into_iter().filter_map(to_host).collect();
        SharedRows(&self.store).adopt(view.id, &rows)
    }

    /// Returns rows with the server's paths, without those that cannot be shared.
    fn to_server(&self, libraries: &[LibraryRow], rows: &[SharedRow]) -> Vec<SharedRow> {
        let to_server = |row: &SharedRow| {
            let mut shared = row.clone();
            if row.has_path() {
                let library = libraries.iter().find(|known| known.library.uuid == row.library)?;
                shared.path = self.translation.to_server(&library.library.locations, &row.path)?;
            }
            Some(shared)
        };
        rows.iter().filter_map(to_server).collect()
    }

    /// Returns a row with this host's path; `None` if this host cannot have it.
    fn to_host(&self, libraries: &[LibraryRow], mut row: SharedRow) -> Option<SharedRow> {
        if row.has_path() {
            let library = libraries.iter().find(|known| known.library.uuid == row.library)?;
            row.path = self.translation.to_host(&library.library.locations, &row.path)?;
        }
        Some(row)
    }

    /// Returns the current view; `None` until the server has accepted the token and identified itself.
    fn known_view(&self) -> Result<Option<KnownView>> {
        let session = self.reading.tokens.current();
        let view = self.reading.viewpoint.view_of(&session)?;
        let Some(id) = view.filter(|_| self.has_exchange) else {
            return Ok(None);
        };
        let rows = LibraryRows(&self.store);
        // Other hosts cannot share a view whose server has only a placeholder.
        let Some(server) = rows.machine_identifier(id)? else {
            return Ok(None);
        };
        let libraries = rows.libraries(id)?;
        let mut parts: Vec<String> = libraries
            .iter()
            .map(|row| format!("{:?} {:?}", row.library.uuid, row.library.locations))
            .collect();
        parts.sort_unstable();
        Ok(Some(KnownView {
            id,
            server,
            libraries,
            digest: xxh3_64(format!("{} {parts:?}", self.digest).as_bytes()),
        }))
    }

    /// Returns the user of the current token, hashed with the key of all hosts.
    fn viewer(&self, secret: &[u8; 32]) -> Option<Vec<u8>> {
        let keyed_hash = |text: &str| blake3::keyed_hash(secret, text.as_bytes()).as_bytes().to_vec();
        let session = self.reading.tokens.current();
        self.reading.viewpoint.shared_user_id(&session, keyed_hash)
    }

    /// Returns the number of this index's view in the database.
    pub async fn view_number(&self, database: &Database) -> Outcome<Option<i64>> {
        let Some(view) = self.known_view()? else {
            return Ok(None);
        };
        match self.viewer(&database.secret) {
            Some(viewer) => database.view(&view.server, &viewer).await.map(Some),
            None => Ok(None),
        }
    }

    /// Begins to share the current view, if it is known: from then on, what is taken back is kept for other hosts. Returns
    /// the view.
    fn begin(&self, deadline: Deadline) -> Result<Option<KnownView>> {
        let known = self.known_view()?;
        if let Some(view) = &known
            && self.stored_state(view)?.is_none()
        {
            SharedRows(&self.store).begin(view.id, view.digest, deadline)?;
        }
        Ok(known)
    }

    fn stored_state(&self, view: &KnownView) -> Result<Option<SharedState>> {
        SharedRows(&self.store).state(view.id, view.digest)
    }

    /// Records the end of a round: when it began, or why it failed. Logs the first failure, and that the next round works.
    fn note_round(&self, ended: Result<Instant>) {
        let outage = {
            let mut state = lock(&self.state);
            state.rounds += 1;
            state.exchanged = ended.as_ref().ok().copied();
            let outage = state.failure.take();
            let since_us = outage.as_ref().map_or_else(unix_us, |outage| outage.since_us);
            state.failure = ended.as_ref().err().map(|error| Outage {
                error: error.clone(),
                since_us,
            });
            outage
        };
        self.changed.notify_all();
        match (ended, outage) {
            (Ok(_), None) => {}
            (Ok(_), Some(_)) => log::info!("the shared database {} answers again", self.name),
            (Err(error), None) => {
                log::warn!("{error}; this host answers from its folder, and keeps there what it records");
            }
            (Err(error), Some(_)) => log::debug!("{error}"),
        }
    }
}

/// Returns a runtime for the calling thread, which must be one that plexindex started.
pub fn new_runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().map_err(|error| {
        Error::new(Status::ServerError, format!("cannot use the network: {error}")).with_io_source(&error)
    })
}
