//! The state that one handle reads from.

use std::panic::RefUnwindSafe;
use std::sync::{Arc, Mutex};

use super::data::{Libraries, Snapshot};
use crate::engine::current::Current;
use crate::engine::maintenance::{FolderLimit, ListingSegments};
use crate::engine::records::Records;
use crate::engine::sql::Store;
use crate::matching::Mappings;
use crate::model::{IdentityId, LibraryId};
use crate::options::Options;
use crate::platform::clock::Clock;
use crate::platform::fork::{Release, SingleThreadProof, hold};
use crate::platform::mutex::try_lock;
use crate::platform::swap::Guard;
use crate::source::{self, Kind, Tokens, View};
use crate::stats::Counters;

/// The state that one handle reads from: its snapshot, and the components that keep it current.
pub struct Reading {
    kind: &'static Kind,
    pub(super) store: Arc<Store>,
    pub(super) listings: Arc<ListingSegments>,
    pub(super) records: Arc<Records>,
    pub limit: FolderLimit,
    pub(super) mappings: Mappings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: Arc<Counters>,
    /// The server and the user; `None` without a source.
    pub(super) view: Option<View>,
    pub tokens: Arc<Tokens>,
    /// Whether the handle was opened offline. Then no server can accept the token.
    pub(super) is_offline: bool,
    /// Whether what is written goes to other hosts too.
    pub(super) shares: bool,
    pub(super) snapshot: Current<Libraries>,
    /// Held while a thread rebuilds segments.
    pub(super) rebuilding: Mutex<()>,
    /// Libraries that calls under way use.
    pub(super) wanted: Mutex<Vec<LibraryId>>,
}

// A panic leaves the last snapshot, which is replaced as a whole.
impl RefUnwindSafe for Reading {}

impl Reading {
    /// The time, Unix ms.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    #[allow(clippy::too_many_arguments)] // the components below it
    pub fn new(
        store: Arc<Store>,
        listings: Arc<ListingSegments>,
        records: Arc<Records>,
        mappings: Mappings,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        kind: &'static Kind,
        tokens: Arc<Tokens>,
        options: &Options,
    ) -> Self {
        Self {
            kind,
            limit: FolderLimit::new(Arc::clone(&store), Arc::clone(&clock), options.size_limit),
            snapshot: Current::new(Arc::clone(&store)),
            store,
            listings,
            records,
            mappings,
            clock,
            counters,
            view: source::view(options),
            tokens,
            is_offline: options.offline,
            shares: options.shared.is_some(),
            rebuilding: Mutex::new(()),
            wanted: Mutex::default(),
        }
    }

    /// The kind of source, which defines valid keys.
    #[inline]
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// The locks to hold through a fork, in the order in which calls take them.
    pub fn hold(self: &Arc<Self>) -> [Box<dyn Release>; 4] {
        [
            Box::new(hold(self, |all| &all.rebuilding)),
            Box::new(hold(self, |all| &all.snapshot.catching_up)),
            Box::new(hold(self, |all| &all.wanted)),
            Box::new(hold(self, |all| &all.tokens.0)),
        ]
    }

    /// Resets what the parent's other threads held. Called in the child of a fork.
    pub fn after_fork(&self, alone: &SingleThreadProof) {
        self.snapshot.after_fork(alone);
        self.limit.after_fork();
        // The calls of the parent's other threads continue only there.
        if let Some(mut wanted) = try_lock(&self.wanted) {
            wanted.clear();
        }
    }

    /// The current snapshot.
    #[inline]
    pub fn snapshot(&self) -> Guard<'_, Snapshot> {
        self.snapshot.read()
    }

    /// The user's view that the snapshot shows.
    pub fn identity(&self) -> Option<IdentityId> {
        self.snapshot.read().identity
    }

    /// The rules between the host's paths and the server's.
    pub fn mappings(&self) -> &Mappings {
        &self.mappings
    }
}
