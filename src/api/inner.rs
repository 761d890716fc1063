//! The components of an open index. Creates components from the bottom up, locks them for a fork, and closes them.

use std::panic::RefUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::renewing::TokenRenewal;
use super::timing::CallTimer;
use crate::engine::{LibraryRows, ListingSegments, Store, StoreStates, StoreWriter, Tables, Totals};
use crate::error::{Result, Status};
use crate::events::Events;
use crate::matching::Mappings;
use crate::model::Token;
use crate::options::Options;
use crate::platform::clock::{Clock, Deadline};
use crate::platform::fork::{self, ForkAware, ForkLock, Side};
use crate::query::Queries;
use crate::source::{self, Source, TokenOwner, Tokens};
use crate::stats::{Counters, Stats};
use crate::sync::{AllowedView, Call, IndexReader, NoPeers, PeerComponents, Peers, Selector, Synchronizer};

/// Maximum time that [`Inner::stats`] waits for evictions to bring the folder within its size limit.
const EVICTION_WAIT: Duration = Duration::from_secs(2);

/// The state that all handles of an open index share.
pub(crate) struct Inner {
    pub stale_answer_timeout: Duration,
    pub deadline: Option<Duration>,   // for calls without their own deadline
    slow_threshold: Option<Duration>, // duration from which plexindex logs a call as slow
    counters: Arc<Counters>,
    pub store: Arc<Store>,
    pub tables: Arc<Tables>,
    pub store_writer: Arc<StoreWriter>,
    pub reading: Arc<IndexReader>,
    pub sync: Arc<Synchronizer>,
    pub events: Arc<Events>,
    pub queries: Arc<Queries>,
    pub renewing: TokenRenewal,
    closed: AtomicBool,
}

impl Inner {
    /// Creates the components of an index. `source` is `None` if the index is offline. `peers` creates the exchange
    /// with other hosts from the given components, or returns `None` if the index does not share.
    #[allow(clippy::too_many_lines)] // one statement for each component
    pub fn new(
        options: &Options,
        store: Store,
        source: Option<Arc<dyn Source>>,
        peers: impl FnOnce(PeerComponents) -> Option<Arc<dyn Peers>>,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
    ) -> Result<Arc<Self>> {
        let mappings = Mappings::new(&options.mappings)?;
        let store = Arc::new(store);
        let tables = Tables::new(Arc::clone(&store), Arc::clone(&clock));
        let listings = Arc::new(ListingSegments::new(
            Arc::clone(&store),
            mappings.clone(),
            Arc::clone(&counters),
        ));
        let store_writer = Arc::new(StoreWriter::new(
            Arc::clone(&store),
            Arc::clone(&counters),
            options.matches_limit(),
            source.is_none(),
        ));
        let reading = Arc::new(IndexReader::new(
            Arc::clone(&store),
            Arc::clone(&listings),
            mappings,
            Arc::clone(&clock),
            Arc::clone(&counters),
            source.as_deref().map_or_else(|| source::kind(options), Source::kind),
            source
                .as_deref()
                .and_then(Source::tokens)
                .unwrap_or_else(|| Tokens::new(options.token.clone())),
            options,
        ));
        // Load the first snapshot, which the components below use.
        reading.reload(Deadline::NONE)?;
        // A fast lookup repairs nothing.
        if let Err(error) = reading.rebuild_if_incomplete(Deadline::NONE) {
            log::warn!("{error}; the next query will try again");
        }
        let peers = peers(PeerComponents {
            store: Arc::clone(&store),
            reading: Arc::clone(&reading),
            store_writer: Arc::clone(&store_writer),
            counters: Arc::clone(&counters),
            clock: Arc::clone(&clock),
        });
        let sync = Arc::new(Synchronizer::new(
            Arc::clone(&store),
            source.clone(),
            Arc::clone(&listings),
            Arc::clone(&store_writer),
            Arc::clone(&reading),
            Arc::clone(&clock),
            Arc::clone(&counters),
            peers.unwrap_or_else(|| Arc::new(NoPeers)),
            options,
        ));
        let events = Arc::new(Events::new(source, Arc::clone(&reading)));
        let inner = Arc::new(Self {
            queries: Arc::new(Queries::new(
                Arc::clone(&store),
                Arc::clone(&reading),
                Arc::clone(&sync),
                clock,
                Arc::clone(&counters),
                options,
            )),
            closed: AtomicBool::new(false),
            renewing: TokenRenewal::new(options),
            events,
            stale_answer_timeout: options.stale_answer_timeout,
            deadline: options.timeout,
            slow_threshold: options.slow,
            store,
            tables,
            store_writer,
            reading,
            sync,
            counters,
        });
        // From now on, a fork locks and resets the components.
        fork::register_component(&inner);
        inner.sync.peers.start();
        Ok(inner)
    }

    /// Measures a call until the returned value is dropped, for the counters and the log of slow calls. `operation` is
    /// the call's name in the log, `library` is `None` for all libraries, and `path_count` is the size of a batch.
    pub fn start_timer<'a>(
        &'a self,
        operation: &'static str,
        library: Option<&'a Selector>,
        path_count: Option<usize>,
    ) -> CallTimer<'a> {
        CallTimer {
            counters: &self.counters,
            slow_threshold: self.slow_threshold,
            operation,
            selector: library,
            path_count,
            before: self.counters.read(),
            exchanged: self.counters.exchange_totals(),
            start: self.counters.start_call(),
        }
    }

    /// Replaces the token. If the host sets the token within its renewal callback, the new token belongs to the same
    /// user as the refused token, like a token that the callback returns.
    pub fn set_token(&self, token: Option<Token>) -> Result<()> {
        if let Some(token) = &token {
            source::check_token(token)?;
        }
        let owner = match self.renewing.refused_session() {
            // If another thread has replaced the token, the owner of the new token is unknown.
            Some(refused) => match self.reading.tokens.compare_current(refused) {
                (session, true) => TokenOwner::SameAs(session),
                (_, false) => TokenOwner::Unknown,
            },
            None => TokenOwner::Unknown,
        };
        if self.reading.set_token(token, owner)? {
            // Requests with the new token may succeed, so end the pause after a failure.
            self.sync.forget_failures();
            self.events.reconnect_watch();
        }
        Ok(())
    }

    /// Calls `run`, and returns its result. If the server refuses the token, asks the host for a new token, and calls
    /// `run` again. If there is no new token, the second call answers from the store.
    pub fn run_renewing<R>(&self, call: &Call<'_>, mut run: impl FnMut(&Call<'_>) -> Result<R>) -> Result<R> {
        let tokens = &self.reading.tokens;
        // Keeps the token's session, so that the token's user is still known after another thread replaces the token.
        let first_session = tokens.get(call.session);
        let refusal = match run(call) {
            Err(error) if error.status == Status::Unauthorized => error,
            result => return result,
        };
        let is_replaced = tokens.current().number() != call.session;
        if !is_replaced && !call.will_retry_with_new_token {
            return Err(refusal);
        }
        // If no other thread has set a new token, asks the host's callback for a new token.
        let is_renewed = is_replaced || self.renew(call);
        // A token from the host's callback belongs to the same user. A token that another thread set may belong to any
        // user, so the repeated call must then read only the view of the first token's user.
        let (session, is_same_user) = tokens.compare_current(call.session);
        let allowed_view = match first_session {
            _ if is_same_user => AllowedView::Any,
            Some(first_session) => self
                .reading
                .viewpoint
                .view_of(&first_session)?
                .map_or(AllowedView::Unknown, AllowedView::Of),
            None => AllowedView::Unknown,
        };
        if allowed_view == AllowedView::Unknown {
            return Err(refusal);
        }
        let repeated_call = Call {
            session,
            allowed_view,
            will_retry_with_new_token: false,
            // Without a new token, the repeated call must not ask the server, and its answer can be stale.
            failure: Some(&refusal).filter(|_| !is_renewed),
            ..*call
        };
        // With a new token, repeats the call. If the server also refuses a token from the callback, pauses renewals.
        if is_renewed {
            self.sync.forget_failures();
            let result = run(&repeated_call);
            if !is_replaced && tokens.get(session).is_some_and(|session| session.is_rejected()) {
                self.renewing.record_failure(self.reading.viewpoint.now_ms());
            }
            return result;
        }
        let result = run(&repeated_call);
        // If the index has no libraries, returns the refusal, since an empty result would look like an answer.
        if self.reading.snapshot().rows.is_empty() {
            return Err(refusal);
        }
        match result {
            // An error of the caller, such as a buffer that is too small, is unrelated to the token.
            Err(error) if error.status.is_answer_or_caller_error() => Err(error),
            result => result.map_err(|_| refusal),
        }
    }

    /// Asks the host for a new token, or waits for a thread that is asking. Returns whether the index has a new token.
    fn renew(&self, call: &Call<'_>) -> bool {
        let is_renewed = || self.reading.tokens.current().number() != call.session;
        self.renewing.renew(
            self.reading.viewpoint.now_ms(),
            call.session,
            call.deadline,
            &is_renewed,
            &|token| {
                if let Err(error) = self.set_token(Some(token)) {
                    log::warn!("cannot use the token from the renewal callback: {error}");
                }
            },
        );
        is_renewed()
    }

    /// Stops the watch and the exchange with other hosts, writes the counters and closes the store, even if it cannot
    /// write them; then returns the error. A second call does nothing.
    pub fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.events.watch_stop();
        self.sync.peers.stop();
        let flushed = self.store_writer.flush_counters_on_close();
        StoreStates(&self.store).close_and_write_state_file(self.reading.viewpoint.endpoint().as_ref());
        flushed
    }

    /// Returns the counters of this index and the totals of the store.
    pub fn stats(&self) -> Result<Stats> {
        if let Err(error) = self.store_writer.flush_counters(Deadline::NONE) {
            log::debug!("cannot write the counters now: {error}; the next write includes them");
        }
        self.reading.catch_up(Deadline::NONE)?;
        // First evicts libraries, so that `over_limit` counts only bytes that cannot be evicted.
        self.reading.keep_within_limit(Deadline::after(EVICTION_WAIT));
        let totals = Totals::of(&self.store)?;
        let view_id = self.reading.view_id();
        let [libraries, items] = match view_id {
            Some(view_id) => LibraryRows(&self.store).counts(view_id)?,
            None => [0; 2], // the store has no view of this server and user yet
        };
        let matches = self.reading.count_matches()?;
        Ok(Stats {
            items,
            matches,
            libraries,
            store_requests: totals.requests,
            store_answers: totals.answers,
            sequence: self.store.sequence()?.0,
            disk_bytes: self.store.folder().disk_bytes(),
            size_limit: self.reading.limit.bytes(),
            over_limit: self.reading.limit.excess_bytes()?,
            evictions: totals.evictions,
            last_failure: self.sync.last_error_message(),
            ..self.counters.read()
        })
    }

    /// Removes everything that the store contains for this server and user, except tables. Repeats the removal if
    /// another call changes the view meanwhile.
    pub fn clear(&self) -> Result<()> {
        let mut cleared = false;
        // Without a server URL, a retry would select another server in the folder, and clear its data too.
        let has_server = self.reading.viewpoint.endpoint().is_some();
        self.reading.retry_until_current(|| {
            let view_id = self.reading.view_id().filter(|_| has_server || !cleared);
            let Some(view_id) = view_id else {
                return Ok(None); // nothing to remove
            };
            LibraryRows(&self.store).clear(view_id, Deadline::NONE)?;
            cleared = true;
            Ok(Some((view_id, Vec::new()))) // no library needs to exist afterwards
        })?;
        if cleared {
            self.store_writer.sweep_after_clear();
            log::info!("cleared the store");
        }
        Ok(())
    }
}

// A caught panic leaves the index usable: later calls ignore poisoned locks, and the code changes the data under each
// lock in one step, or can rebuild it.
impl RefUnwindSafe for Inner {}

impl ForkAware for Inner {
    /// Acquires and returns all of the index's locks, in the order in which calls acquire them, so that the child of a
    /// fork inherits no lock that another thread holds. Dropping a returned value releases its lock.
    fn before(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        // Locks that a call can hold while it waits for the store must come before the store's own locks.
        let mut locks: Vec<Box<dyn ForkLock>> = vec![
            Box::new(fork::lock_for_fork(&self, |inner| &inner.renewing.state)),
            self.events.lock_for_fork(),
        ];
        locks.extend(self.reading.hold());
        locks.push(self.store_writer.hold());
        locks.extend(self.queries.lock_for_fork());
        locks.extend(self.sync.hold());
        locks
    }

    /// Resets the components in the child of a fork, which has none of the parent's other threads. Does nothing in the
    /// parent. `side`: the process that runs this handler.
    fn after(&self, side: &Side) {
        if let Side::Child(single_thread_proof) = side {
            self.reading.after_fork(single_thread_proof);
            self.store_writer.after_fork();
            self.sync.after_fork();
            self.events.after_fork();
            self.renewing.after_fork();
        }
    }
}

impl Drop for Inner {
    /// Unregisters the index from the fork handlers, so that forks no longer lock it.
    fn drop(&mut self) {
        fork::remove_dropped_components();
    }
}

impl std::fmt::Debug for Inner {
    /// Formats the index's folder, which identifies the index.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Index({})", self.store.folder().path().display())
    }
}

#[cfg(test)]
mod tests {
    use crate::api::Index;
    use crate::engine::LibraryRows;
    use crate::model::{Server, Token, ViewId};
    use crate::options::Options;

    #[test]
    fn answers_for_one_user_never_reach_a_user_whose_token_is_set_meanwhile() {
        let folder = tempfile::tempdir().expect("a folder");
        let index = Index::open(Options {
            cache_dir: folder.path().to_owned(),
            server_url: Some("http://127.0.0.1:1".to_owned()),
            token: Token::new("bob"),
            ..Options::default()
        })
        .expect("opens");
        let inner = index.inner();
        let server = Server {
            machine_identifier: "server".to_owned(),
            ..Server::default()
        };
        let set = |token: &str| inner.set_token(Token::new(token)).expect("set");
        let accepted = |token: &str| {
            set(token);
            let endpoint = inner.reading.viewpoint.endpoint().expect("a server is named");
            LibraryRows(&inner.store).reached(&endpoint, &server).expect("accepted")
        };
        let (bob, ann) = (accepted("bob"), accepted("ann"));
        assert_ne!(bob, ann);
        // Three cases: nothing changes, a new token is set during the write, or the token is replaced by one of the same
        // user.
        for (next, wanted) in [(None, vec![ann]), (Some("bob"), vec![ann]), (Some("ann"), vec![ann])] {
            set("ann");
            let mut told: Vec<ViewId> = Vec::new();
            let insisted = inner.reading.retry_until_current(|| {
                let Some(view_id) = inner.reading.view_id() else {
                    return Ok(None);
                };
                told.push(view_id);
                if let (Some(next), 1) = (next, told.len()) {
                    set(next);
                }
                Ok(Some((view_id, Vec::new())))
            });
            assert_eq!(insisted, Ok(()), "{next:?}");
            assert_eq!(told, wanted, "{next:?}");
        }
    }
}
