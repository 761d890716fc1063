//! A handle's snapshot, and the components that update the snapshot.

use std::sync::{Arc, Mutex};

use super::data::{Snapshot, SnapshotLibraries};
use crate::engine::current::{CurrentSnapshot, SnapshotOf};
use crate::engine::records::Records;
use crate::engine::sql::{Endpoint, Store};
use crate::engine::writing::ListingSegments;
use crate::error::Result;
use crate::matching::Mappings;
use crate::model::{Sequence, ViewId};
use crate::platform::deadline::Deadline;
use crate::platform::swap::Guard;
use crate::stats::Counters;

/// Returns the server URL and the user whose libraries the snapshot contains; `None` without a server.
pub type CurrentEndpoint = Box<dyn Fn() -> Option<Endpoint> + Send + Sync>;

/// A handle's snapshot, and the components that update the snapshot.
pub struct LiveSnapshot {
    pub store: Arc<Store>,
    pub(super) listings: Arc<ListingSegments>,
    pub records: Arc<Records>,
    pub(super) mappings: Mappings,
    pub counters: Arc<Counters>,
    pub(super) endpoint: CurrentEndpoint,
    pub snapshot: CurrentSnapshot<SnapshotLibraries>,
    /// Locked while a thread rebuilds segments.
    pub rebuilding: Mutex<()>,
}

impl LiveSnapshot {
    /// Starts with an empty snapshot. The first catch-up loads the libraries.
    pub fn new(
        store: Arc<Store>,
        listings: Arc<ListingSegments>,
        records: Arc<Records>,
        mappings: Mappings,
        counters: Arc<Counters>,
        endpoint: CurrentEndpoint,
    ) -> Self {
        Self {
            snapshot: CurrentSnapshot::new(Arc::clone(&store)),
            store,
            listings,
            records,
            mappings,
            counters,
            endpoint,
            rebuilding: Mutex::new(()),
        }
    }

    /// Returns the snapshot without checking for newer commits.
    #[inline]
    pub fn snapshot(&self) -> Guard<'_, Snapshot> {
        self.snapshot.read()
    }

    /// Returns the id of the snapshot's view; `None` until plexindex first reached the server.
    pub fn view_id(&self) -> Option<ViewId> {
        self.snapshot.read().view_id
    }

    /// Returns the rules that translate between host paths and server paths.
    #[inline]
    pub fn mappings(&self) -> &Mappings {
        &self.mappings
    }

    /// Calls `change`, which changes the server URL or the user, and loads a snapshot for them. Until the new snapshot
    /// is loaded, lookups find no libraries. The caller must have locked `snapshot.catching_up`.
    pub fn change_endpoint(&self, change: impl FnOnce()) -> Result<()> {
        // First make the snapshot empty, so that no call with the new user reads the old user's libraries.
        let last_snapshot = self.snapshot.read();
        let empty_snapshot = SnapshotOf::after(
            &last_snapshot,
            Sequence::default(),
            Arc::default(),
            SnapshotLibraries::default(),
        );
        drop(last_snapshot);
        self.snapshot.replace(empty_snapshot);
        change();
        self.reload_locked(Some(Deadline::NONE))
    }
}
