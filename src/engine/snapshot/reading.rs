//! What one handle has read of a store.

use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, Mutex};

use super::data::Snapshot;
use crate::engine::compaction::{FolderLimit, ListingSegments};
use crate::engine::records::Records;
use crate::engine::sql::Store;
use crate::matching::Mappings;
use crate::model::{IdentityId, LibraryId};
use crate::options::Options;
use crate::platform::clock::Clock;
use crate::platform::fork::{Alone, Release, hold};
use crate::platform::mutex::try_lock;
use crate::platform::swap::{Guard, Swap};
use crate::source::{self, Kind, Tokens, View};
use crate::stats::Counters;

/// What one handle has read of a store. Fast lookups begin here: it is one pointer away from a library's handle.
pub struct Reading {
    kind: &'static Kind,
    pub(super) store: Arc<Store>,
    pub(super) listings: Arc<ListingSegments>,
    pub(super) records: Arc<Records>,
    pub limit: FolderLimit,
    pub(super) mappings: Mappings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: Arc<Counters>,
    /// Where this index asks, and as whom.
    pub(super) view: Option<View>,
    /// The same while what is asked first is put aside.
    pub(super) view_aside: Option<View>,
    pub tokens: Arc<Tokens>,
    /// Whether it was opened offline: then no call can have the token accepted.
    pub(super) is_offline: bool,
    pub(super) is_aside: AtomicBool,
    /// What it depends on whether it is, in words, by a look from outside.
    pub(super) premise: Option<Box<dyn Fn() -> Option<String> + Send + Sync>>,
    /// What the store knows of that was asked for.
    pub(super) is_premise_recalled: AtomicBool,
    /// It was put aside by that, and the source has not heard of it.
    pub(super) is_aside_recalled: AtomicBool,
    pub(super) snapshot: Swap<Snapshot>,
    /// Held by the thread that makes segments anew: the others find them made.
    pub(super) rebuilding: Mutex<()>,
    /// Held by the thread that brings the snapshot up to date.
    pub(super) catching_up: Mutex<()>,
    /// When it was last noted that the identity is used, Unix ms.
    pub(super) use_noted: AtomicI64,
    /// Libraries that calls under way ask for.
    pub(super) wanted: Mutex<Vec<LibraryId>>,
}

impl Reading {
    #[allow(clippy::too_many_arguments)] // the rooms below it
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
            store,
            listings,
            records,
            mappings,
            clock,
            counters,
            view: source::view(options),
            view_aside: source::view_aside(options),
            tokens,
            is_offline: options.offline,
            is_aside: AtomicBool::new(false),
            premise: source::premise(options),
            is_premise_recalled: AtomicBool::new(false),
            is_aside_recalled: AtomicBool::new(false),
            snapshot: Swap::new(Snapshot::default()),
            rebuilding: Mutex::new(()),
            catching_up: Mutex::new(()),
            use_noted: AtomicI64::new(0),
            wanted: Mutex::default(),
        }
    }

    /// What kind of source the items are of: how their keys look.
    #[inline]
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// Its locks, held through a fork, in the order in which calls take them.
    pub fn hold(self: &Arc<Self>) -> [Box<dyn Release>; 4] {
        [
            Box::new(hold(self, |all| &all.rebuilding)),
            Box::new(hold(self, |all| &all.catching_up)),
            Box::new(hold(self, |all| &all.wanted)),
            Box::new(hold(self, |all| &all.tokens.0)),
        ]
    }

    /// In the child of a fork.
    pub fn after_fork(&self, alone: &Alone) {
        self.snapshot.reset_after_fork(alone);
        self.limit.after_fork();
        // The calls of the parent's other threads go on there only.
        if let Some(mut wanted) = try_lock(&self.wanted) {
            wanted.clear();
        }
    }

    /// Whether segments that could not be written are to be tried again.
    pub fn segments_are_due(&self) -> bool {
        self.listings.are_due() || self.records.are_due()
    }

    /// What was read last.
    #[inline]
    pub fn snapshot(&self) -> Guard<'_, Snapshot> {
        self.snapshot.read()
    }

    /// Whose view of which server that is.
    pub fn identity(&self) -> Option<IdentityId> {
        self.snapshot.read().identity
    }

    /// The rules between the host's paths and the server's.
    pub fn mappings(&self) -> &Mappings {
        &self.mappings
    }
}
