//! Maintenance of a store: recording matches, lifting invalidations, sweeping dead rows.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::engine::records::Records;
use crate::engine::sql::{Incarnation, LibraryRow, RecordRows, RecordedMatches, Store, Sweeper, Totals};
use crate::error::Result;
use crate::model::Sequence;
use crate::platform::deadline::Deadline;
use crate::platform::fork::{Release, hold};
use crate::platform::mutex::lock;
use crate::stats::{Counters, Spent};

/// Lock timeout for writing the counters.
const COUNTERS_LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum number of transactions of one [`Maintenance::sweep`].
const MAX_SWEEPS: usize = 50;
/// Number of rows swept per transaction.
pub(super) const ROWS_PER_SWEEP: usize = 2_000;

/// The result of writing matches.
pub struct MatchWrite {
    /// Incarnation and change sequence of the write.
    pub at: (Incarnation, Sequence),
    /// The write created a segment, and may have evicted matches.
    pub has_segment: bool,
}

/// Maintenance of one store.
pub struct Maintenance {
    store: Arc<Store>,
    records: Arc<Records>,
    counters: Arc<Counters>,
    /// Whether this handle sweeps after its writes. A handle that fetches listings sweeps with each listing instead.
    sweeps: bool,
    /// The counts of this handle that are already stored.
    flushed: Mutex<(u64, u64)>,
}

impl Maintenance {
    /// Creates the maintenance of a store. `sweeps`: whether this handle sweeps after its writes.
    pub fn new(store: Arc<Store>, counters: Arc<Counters>, records: Arc<Records>, sweeps: bool) -> Self {
        Self {
            store,
            records,
            counters,
            sweeps,
            flushed: Mutex::new((0, 0)),
        }
    }

    /// Takes the lock of the counts, for the caller to hold during a fork.
    pub fn hold(self: &Arc<Self>) -> Box<dyn Release> {
        Box::new(hold(self, |all| &all.flushed))
    }

    /// Resets the counts in the child of a fork, since the parent stores the counts from before the fork.
    pub fn after_fork(&self) {
        if let Ok(mut flushed) = self.flushed.try_lock() {
            *flushed = self.counters.begin_child();
        }
    }

    /// Adds this handle's counts to the store's totals.
    pub fn flush_counters(&self, deadline: Deadline) -> Result<()> {
        let mut flushed = lock(&self.flushed);
        // Read under the lock: another thread's newer numbers must not be flushed before these.
        let now = self.counters.totals();
        if *flushed == now {
            return Ok(());
        }
        // The counters are not worth a long wait.
        let deadline = deadline.at_most(COUNTERS_LOCK_TIMEOUT);
        if Totals::add(&self.store, now.0 - flushed.0, now.1 - flushed.1, deadline)? {
            *flushed = now;
        } else {
            log::debug!("other processes are writing to the store; the counters will be written later, or lost");
        }
        Ok(())
    }

    /// Stores the counters of a handle that closes. If only answers are new, adds them to the version page, which needs
    /// no write transaction; the next write of counters moves them to the store.
    pub fn flush_at_the_end(&self) -> Result<()> {
        {
            let mut flushed = lock(&self.flushed);
            let now = self.counters.totals();
            if now.0 == flushed.0 && Totals::count_on_page(&self.store, now.1 - flushed.1) {
                *flushed = now;
                return Ok(());
            }
        }
        self.flush_counters(Deadline::NONE)
    }

    /// Sweeps after the library was cleared.
    pub fn sweep_after_clear(&self) {
        if self.sweeps {
            self.sweep_rows(Deadline::NONE);
        }
        Sweeper(&self.store).sweep_segments();
        // Removing rows has enlarged the write-ahead log; empty it.
        self.store.settle();
    }

    /// Records matches, which are pairs of path and rating key. Returns `None` if the library was cleared meanwhile, so
    /// that the caller must look it up again.
    pub fn record_matches(
        &self,
        row: &LibraryRow,
        pairs: &[(&[u8], &str)],
        deadline: Deadline,
    ) -> Result<Option<MatchWrite>> {
        let begun = Instant::now();
        let stored = RecordRows(&self.store)
            .record_matches(row, pairs, deadline, |tx| self.records.flush_when_many(tx, pairs.len()));
        self.counters.add_time(Spent::Store, begun.elapsed());
        self.counters.add_time(Spent::Away, begun.elapsed());
        let Some(RecordedMatches { at, then: has_segment }) = stored? else {
            return Ok(None);
        };
        let begun = Instant::now();
        if has_segment && self.sweeps {
            self.sweep_rows(deadline);
        }
        self.records.merge_some(pairs.len(), has_segment, deadline);
        self.counters.add_time(Spent::Away, begun.elapsed());
        Ok(Some(MatchWrite { at, has_segment }))
    }

    /// Sweeps dead rows in slices, and removes unused files.
    pub fn sweep(&self, deadline: Deadline) {
        self.sweep_rows(deadline);
        Sweeper(&self.store).sweep_segments();
    }

    /// Deletes rows that no reader can see, in slices. Only logs an error, since a later sweep retries.
    fn sweep_rows(&self, deadline: Deadline) {
        for _ in 0..MAX_SWEEPS {
            match Sweeper(&self.store).sweep(ROWS_PER_SWEEP, deadline) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    log::warn!("cannot remove dead rows: {error}");
                    break;
                }
            }
        }
    }
}
