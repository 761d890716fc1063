//! The snapshot of one handle, and the components that keep it current.

use std::sync::{Arc, Mutex};

use super::data::{Snapshot, SnapshotLibraries};
use crate::engine::current::{Current, Shown};
use crate::engine::maintenance::ListingSegments;
use crate::engine::records::Records;
use crate::engine::sql::{Endpoint, Store};
use crate::error::Result;
use crate::matching::Mappings;
use crate::model::{IdentityId, Sequence};
use crate::platform::deadline::Deadline;
use crate::platform::swap::Guard;
use crate::stats::Counters;

/// Returns the endpoint whose libraries a snapshot shows; `None` without a server.
pub type CurrentEndpoint = Box<dyn Fn() -> Option<Endpoint> + Send + Sync>;

/// The snapshot of one handle, and the components that keep it current.
pub struct LiveSnapshot {
    pub store: Arc<Store>,
    pub(super) listings: Arc<ListingSegments>,
    pub records: Arc<Records>,
    pub(super) mappings: Mappings,
    pub counters: Arc<Counters>,
    pub(super) endpoint: CurrentEndpoint,
    pub snapshot: Current<SnapshotLibraries>,
    /// Held while a thread rebuilds segments.
    pub rebuilding: Mutex<()>,
}

impl LiveSnapshot {
    /// Creates an empty snapshot, which the first catch-up loads.
    pub fn new(
        store: Arc<Store>,
        listings: Arc<ListingSegments>,
        records: Arc<Records>,
        mappings: Mappings,
        counters: Arc<Counters>,
        endpoint: CurrentEndpoint,
    ) -> Self {
        Self {
            snapshot: Current::new(Arc::clone(&store)),
            store,
            listings,
            records,
            mappings,
            counters,
            endpoint,
            rebuilding: Mutex::new(()),
        }
    }

    /// Returns the snapshot as it is, perhaps without the newest commits.
    #[inline]
    pub fn snapshot(&self) -> Guard<'_, Snapshot> {
        self.snapshot.read()
    }

    /// Returns the identity of the user's view that the snapshot shows; `None` until the server was first reached.
    pub fn identity(&self) -> Option<IdentityId> {
        self.snapshot.read().identity
    }

    /// Returns the rules that translate between the host's paths and the server's.
    #[inline]
    pub fn mappings(&self) -> &Mappings {
        &self.mappings
    }

    /// Calls `change`, which changes the endpoint, and reads the snapshot for the new endpoint. In between, lookups see
    /// no library. The caller holds the snapshot's lock.
    pub fn change_endpoint(&self, change: impl FnOnce()) -> Result<()> {
        // Replace the snapshot first: a call with the new endpoint must not see the old one's snapshot.
        let before = self.snapshot.read();
        let empty = Shown::after(
            &before,
            Sequence::default(),
            Arc::default(),
            SnapshotLibraries::default(),
        );
        drop(before);
        self.snapshot.replace(empty);
        change();
        self.reload_locked(Some(Deadline::NONE))
    }
}
