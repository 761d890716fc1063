//! A handle's snapshot, token and size limit.

use std::ops::Deref;
use std::panic::RefUnwindSafe;
use std::sync::{Arc, Mutex};

use super::viewpoint::EndpointResolver;
use crate::engine::{FolderLimit, LibraryRow, LibraryRows, ListingSegments, LiveSnapshot, Store};
use crate::error::{Error, Result, Status};
use crate::knowledge::Cause;
use crate::matching::Mappings;
use crate::model::{Generation, LibraryId, Token};
use crate::options::Options;
use crate::platform::clock::{Clock, Deadline};
use crate::platform::fork::{ForkLock, SingleThreadProof, lock, lock_for_fork, try_lock};
use crate::source::{SourceKind, TokenOwner, Tokens};
use crate::stats::Counters;

/// The state from which one handle reads: the snapshot, the user, and the folder's size limit.
pub struct IndexReader {
    kind: &'static SourceKind,
    pub(super) live: LiveSnapshot,
    pub limit: FolderLimit,
    pub clock: Arc<dyn Clock>,
    pub viewpoint: Arc<EndpointResolver>,
    pub tokens: Arc<Tokens>,
    /// What the host must change before this handle can send requests. `None` if the handle can.
    pub offline_remedy: Option<&'static str>,
    /// Libraries that running calls use, and that this process therefore does not evict. A library occurs once per
    /// [`EvictionPin`].
    pinned: Mutex<Vec<LibraryId>>,
}

// After a panic, the last snapshot is still complete, because snapshots are replaced only as a whole.
impl RefUnwindSafe for IndexReader {}

impl Deref for IndexReader {
    type Target = LiveSnapshot;

    /// Returns the snapshot, so that callers can use its methods directly.
    #[inline]
    fn deref(&self) -> &LiveSnapshot {
        &self.live
    }
}

impl IndexReader {
    /// Creates the component from its dependencies. Call [`LiveSnapshot::reload`] before the first read.
    #[allow(clippy::too_many_arguments)] // one argument per component
    pub fn new(
        store: Arc<Store>,
        listings: Arc<ListingSegments>,
        mappings: Mappings,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        kind: &'static SourceKind,
        tokens: Arc<Tokens>,
        options: &Options,
    ) -> Self {
        let limit = FolderLimit::new(Arc::clone(&store), Arc::clone(&clock), options.size_limit);
        let viewpoint = Arc::new(EndpointResolver::new(
            Arc::clone(&store),
            Arc::clone(&clock),
            Arc::clone(&tokens),
            options,
        ));
        let endpoint = {
            let viewpoint = Arc::clone(&viewpoint);
            Box::new(move || viewpoint.endpoint())
        };
        let live = LiveSnapshot::new(store, listings, mappings, counters, endpoint);
        Self {
            kind,
            live,
            limit,
            clock,
            viewpoint,
            tokens,
            offline_remedy: match (
                options.offline,
                options.server_url.is_none() && options.database.is_none(),
            ) {
                (false, false) => None,
                (true, false) => Some("open the index without the offline flag"),
                (false, true) => Some("set server_url and token, or database"),
                (true, true) => Some("set server_url and token, or database, and remove the offline flag"),
            },
            pinned: Mutex::default(),
        }
    }

    /// Returns the constants of the kind of source (HTTP or a database), such as which strings are valid rating keys.
    #[inline]
    pub fn kind(&self) -> &'static SourceKind {
        self.kind
    }

    /// Takes all locks for a fork, in the order in which calls take them. Dropping the returned values releases the
    /// locks.
    pub fn hold(self: &Arc<Self>) -> [Box<dyn ForkLock>; 4] {
        [
            Box::new(lock_for_fork(self, |reading| &reading.live.rebuilding)),
            Box::new(lock_for_fork(self, |reading| &reading.live.snapshot.catching_up)),
            Box::new(lock_for_fork(self, |reading| &reading.pinned)),
            Box::new(lock_for_fork(self, |reading| &reading.tokens.0)),
        ]
    }

    /// In the child after a fork, discards the state of the parent's other threads.
    pub fn after_fork(&self, alone: &SingleThreadProof) {
        self.live.snapshot.after_fork(alone);
        self.limit.after_fork();
        // In the child, no other calls are running.
        if let Some(mut pinned) = try_lock(&self.pinned) {
            pinned.clear();
        }
    }

    /// Returns whether the store may contain data for this token's user, but the server has not accepted the token yet.
    /// Returns `false` if the view does not depend on the token, or if there is no token.
    pub fn awaits_acceptance(&self) -> Result<bool> {
        if self.view_id().is_some() {
            return Ok(false); // the token already has a view
        }
        let session = self.tokens.current();
        let is_by_token = self.viewpoint.depends_on_token() && session.token.is_some();
        match self.viewpoint.endpoint_of(&session).filter(|_| is_by_token) {
            Some(endpoint) => LibraryRows(&self.store).has_led_to_libraries(&endpoint),
            None => Ok(false),
        }
    }

    /// Fails if the server has not accepted the token yet, because the stored data may belong to a different user.
    /// Until then, plexindex must not return the data.
    pub fn check_accepted(&self) -> Result<()> {
        if self.awaits_acceptance()? {
            let remedy = self.offline_remedy.unwrap_or("ask the server first (refresh)");
            let text = format!("the server has not accepted the token yet: {remedy}");
            return Err(Error::new(Status::NotFetched, text));
        }
        Ok(())
    }

    /// If `error` asks the caller for a refresh, but the server has rejected the token, replaces the error, because the
    /// refresh would fail. Returns all other errors unchanged.
    pub fn explain_rejected_token(&self, error: Error) -> Error {
        if error.status == Status::NotFetched && self.tokens.current().is_rejected() {
            let text = "the store is empty, and the server rejected the token as invalid or expired: set a new token";
            return Error::new(Status::Unauthorized, text);
        }
        error
    }

    /// Replaces the token. If the view depends on the token, later lookups no longer use the old view. Returns whether
    /// the token has changed. `owner`: whether the host knows that the token belongs to the same user.
    pub fn set_token(&self, token: Option<Token>, owner: TokenOwner) -> Result<bool> {
        let _catching_up = self.live.snapshot.lock();
        if self.tokens.current().token == token {
            return Ok(false);
        }
        let same_view = !self.viewpoint.depends_on_token();
        let replace = || self.tokens.replace(token, owner, same_view);
        if same_view {
            replace();
        } else {
            self.live.change_endpoint(replace)?;
        }
        Ok(true)
    }
}

/// The libraries that a call uses (pinned libraries). This process does not evict them until the call returns.
pub struct EvictionPin<'r> {
    reading: &'r IndexReader,
    libraries: Vec<LibraryId>,
}

impl EvictionPin<'_> {
    /// Pins a library, so that this process does not evict it.
    pub fn pin(&mut self, library: LibraryId) {
        if !self.libraries.contains(&library) {
            self.libraries.push(library);
            lock(&self.reading.pinned).push(library);
        }
    }
}

impl Drop for EvictionPin<'_> {
    /// Unpins the libraries. This process can then evict them, unless other calls use them.
    fn drop(&mut self) {
        if self.libraries.is_empty() {
            return;
        }
        let mut pinned = lock(&self.reading.pinned);
        for library in &self.libraries {
            if let Some(index) = pinned.iter().position(|id| id == library) {
                pinned.swap_remove(index);
            }
        }
    }
}

impl IndexReader {
    /// Creates a pin without libraries, for a call that starts.
    pub fn eviction_pin(&self) -> EvictionPin<'_> {
        EvictionPin {
            reading: self,
            libraries: Vec::new(),
        }
    }

    /// Evicts libraries that no running call uses, until the folder is within its size limit, or until the deadline.
    pub fn keep_within_limit(&self, deadline: Deadline) {
        self.limit
            .enforce(deadline, &|library| lock(&self.pinned).contains(&library));
    }

    /// Returns whether plexindex evicted the library because of the size limit. Evicted libraries have a negative
    /// generation.
    pub fn is_evicted(&self, row: &LibraryRow) -> bool {
        // A listing whose segment was lost also has a negative generation, but is due.
        self.limit.bytes().is_some() && row.generation < Generation::default() && !row.has_doubt(Cause::Invalidated)
    }
}
