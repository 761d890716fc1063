//! Maintains a store: records matches, stores counters, and removes dead rows and unused files.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::engine::sql::{
    LibraryRow, MatchWrite, RecordRows, SharedRow, SharedRows, SharedStep, Store, Sweeper, Totals,
};
use crate::error::Result;
use crate::model::{LibraryId, ViewId};
use crate::platform::clock::Deadline;
use crate::platform::fork::{ForkLock, lock, lock_for_fork};
use crate::stats::{Activity, Counters};

/// Maximum time to wait for the database's write lock in order to store the counters.
const COUNTERS_LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum number of transactions in one [`StoreWriter::sweep`].
const MAX_SWEEPS: usize = 50;

/// Writes what a handle records in the store, and maintains the store.
pub struct StoreWriter {
    store: Arc<Store>,
    counters: Arc<Counters>,
    /// Maximum size of all confirmed matches, in bytes.
    matches_limit: u64,
    /// Whether this handle sweeps after its own writes. A handle that fetches listings sweeps after them.
    sweeps: bool,
    /// This handle's numbers of requests and of answers that are already in the store.
    stored_counts: Mutex<(u64, u64)>,
}

impl StoreWriter {
    /// Creates the writer for a handle. `sweeps`: whether the handle sweeps after its own writes.
    pub fn new(store: Arc<Store>, counters: Arc<Counters>, matches_limit: u64, sweeps: bool) -> Self {
        Self {
            store,
            counters,
            matches_limit,
            sweeps,
            stored_counts: Mutex::new((0, 0)),
        }
    }

    /// Locks the counts of requests and answers for a fork until the result is dropped, so that they are consistent in
    /// the child.
    pub fn hold(self: &Arc<Self>) -> Box<dyn ForkLock> {
        Box::new(lock_for_fork(self, |all| &all.stored_counts))
    }

    /// In the child after a fork, marks all earlier counts as stored, because the parent stores them.
    pub fn after_fork(&self) {
        if let Ok(mut stored) = self.stored_counts.try_lock() {
            *stored = self.counters.reset_in_child();
        }
    }

    /// Adds this handle's new requests and answers to the store's totals.
    pub fn flush_counters(&self, deadline: Deadline) -> Result<()> {
        let mut stored = lock(&self.stored_counts);
        // Read the totals under the lock, so that another thread cannot store newer totals first.
        let totals = self.counters.totals();
        if *stored == totals {
            return Ok(());
        }
        // Storing the counters is not worth a long wait. `.0` is the number of requests, `.1` of answers.
        let deadline = deadline.at_most(COUNTERS_LOCK_TIMEOUT);
        if Totals::add(&self.store, totals.0 - stored.0, totals.1 - stored.1, deadline)? {
            *stored = totals;
        } else {
            log::debug!("cannot store the counters: other processes are writing to the store; will retry later");
        }
        Ok(())
    }

    /// Stores the counters when a handle is closed. If only answers are new, adds the answers to the version page,
    /// which needs no write transaction. [`Totals::add`] later moves answers from the version page to the store.
    pub fn flush_counters_on_close(&self) -> Result<()> {
        {
            let mut stored = lock(&self.stored_counts);
            let totals = self.counters.totals();
            // No new requests (`.0`), only answers (`.1`).
            if totals.0 == stored.0 && Totals::count_on_page(&self.store, totals.1 - stored.1) {
                *stored = totals;
                return Ok(());
            }
        }
        self.flush_counters(Deadline::NONE)
    }

    /// Removes unused files after a library was cleared, and rows that no reader can see if this handle does not fetch.
    pub fn sweep_after_clear(&self) {
        if self.sweeps {
            self.sweep_rows(Deadline::NONE);
        }
        Sweeper(&self.store).sweep_segments();
        // The removals have enlarged the write-ahead log, so checkpoint it.
        self.store.checkpoint();
    }

    /// Records confirmed matches. `pairs`: paths and rating keys. `unlisted`: those of these keys that the library does not
    /// list. Returns `None` if another call has cleared the library since `row` was read, and the caller must look up the
    /// library again.
    pub fn record_matches(
        &self,
        row: &LibraryRow,
        pairs: &[(&[u8], &str)],
        unlisted: &[&str],
        deadline: Deadline,
    ) -> Result<Option<MatchWrite>> {
        let (start, deadline) = (Instant::now(), deadline.at_least_shortest());
        let rows = RecordRows(&self.store);
        let written = rows.record_matches(row, pairs, unlisted, self.matches_limit, deadline);
        self.counters.add_time(Activity::Store, start.elapsed());
        self.counters.add_time(Activity::NotMatching, start.elapsed());
        written
    }

    /// Adds matches of another token's view to a view; later ones stay.
    pub fn add_matches(&self, view_id: ViewId, rows: &[SharedRow], deadline: Deadline) -> Result<()> {
        SharedRows(&self.store).add(view_id, rows, self.matches_limit, deadline)
    }

    /// Merges rows of other hosts: see [`SharedRows::apply`].
    pub fn apply_shared(
        &self,
        view: (ViewId, u64),
        rows: &[SharedRow],
        unlisted: &[(LibraryId, String)],
        progress: SharedStep,
    ) -> Result<Option<i64>> {
        SharedRows(&self.store).apply(view, rows, unlisted, progress, self.matches_limit)
    }

    /// Deletes rows that no reader can see, in several transactions, and removes unused files.
    pub fn sweep(&self, deadline: Deadline) {
        self.sweep_rows(deadline);
        Sweeper(&self.store).sweep_segments();
    }

    /// Deletes rows that no reader can see, in several transactions. Only logs errors, because a later sweep retries.
    fn sweep_rows(&self, deadline: Deadline) {
        for _ in 0..MAX_SWEEPS {
            match Sweeper(&self.store).sweep(deadline) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    log::warn!("cannot remove dead rows: {error}; a later sweep will retry");
                    break;
                }
            }
        }
    }
}
