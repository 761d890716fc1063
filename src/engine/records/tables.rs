//! The tables of a store, and how their snapshot is kept current.

use std::panic::RefUnwindSafe;
use std::sync::Arc;

use super::table_snapshot::{LONG, TableSnapshot, TablesShown};
use super::tree::Records;
use crate::engine::current::{Current, Shown};
use crate::engine::segment::SegmentsLost;
use crate::engine::sql::{Incarnation, RecordRows, RecordsState, Store, last_row};
use crate::error::{Error, Result, Status};
use crate::options::Ttl;
use crate::platform::clock::Clock;
use crate::platform::deadline::Deadline;
use crate::platform::fork::{self, Forks, Release, Side, hold};
use crate::platform::swap::Guard;

/// Attempts of a call. A segment may be damaged, or a value replaced meanwhile.
const MAX_RETRIES: u32 = 8;
/// The longest name of a table or an entry.
pub const LONGEST_NAME: usize = 1 << 20;
/// The longest value: with its name it fits into a row of `SQLite`, which has 1,000,000,000 bytes at most.
pub const LONGEST_VALUE: usize = 900_000_000;

/// The tables of a store. Usable from any thread. Their calls have no deadline.
pub struct Tables {
    pub(super) store: Arc<Store>,
    pub(super) records: Arc<Records>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) snapshot: Current<TablesShown>,
}

/// Expiry and size limit of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The time until they expire. Never by default.
    pub ttl: Ttl,
    /// Most bytes of all tables in the store: names, values, and 64 for each entry. The oldest entries are removed
    /// first. Entries of the write itself stay. No limit by default.
    pub limit: Option<u64>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            ttl: Ttl::Forever,
            limit: None,
        }
    }
}

// A panic leaves no part of a write: its transaction is rolled back.
impl RefUnwindSafe for Tables {}

impl Tables {
    pub(crate) fn new(store: Arc<Store>, records: Arc<Records>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let tables = Arc::new(Self {
            snapshot: Current::new(Arc::clone(&store)),
            store,
            records,
            clock,
        });
        fork::watch(&tables);
        tables
    }

    /// The number of entries in all tables, with expired ones that are still stored.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn count(&self) -> Result<u64> {
        self.answer(|snapshot| Ok(counted(snapshot.total())))
    }

    /// Returns the result of `find` in a current snapshot. Rebuilds lost segments.
    pub(super) fn answer<T>(&self, find: impl Fn(&TableSnapshot) -> std::result::Result<T, SegmentsLost>) -> Result<T> {
        self.retry(|| {
            let snapshot = self.catch_up()?;
            if let Ok(found) = find(&snapshot)
                && !snapshot.is_lost()
            {
                return Ok(Some(found));
            }
            self.rebuild(snapshot)?;
            Ok(None)
        })
    }

    /// Calls `attempt` until it returns a result.
    pub(super) fn retry<T>(&self, mut attempt: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        for _ in 0..MAX_RETRIES {
            if let Some(done) = attempt()? {
                return Ok(done);
            }
        }
        Err(Error::new(
            Status::Store,
            format!(
                "store in {}: the index of tables is damaged again after each repair; look for the program that writes to its \
                 files, or choose another cache_dir",
                self.store.folder().path().display()
            ),
        ))
    }

    /// Rebuilds the segments that this snapshot lacks, and then reads a new snapshot.
    pub(super) fn rebuild(&self, snapshot: Guard<'_, TableSnapshot>) -> Result<()> {
        let open = Arc::clone(&snapshot.open);
        drop(snapshot);
        self.records.rebuild(&open, Deadline::NONE)?;
        let _catching_up = self.snapshot.lock();
        self.reload()
    }

    /// As [`Current::at_once`].
    #[inline]
    pub(super) fn current<B>(&self, look: impl Fn(&TableSnapshot) -> B) -> Option<(Guard<'_, TableSnapshot>, B)> {
        self.snapshot.at_once(look, || self.catch_up_locked(false))
    }

    /// Returns a current snapshot. Waits if necessary.
    pub(super) fn catch_up(&self) -> Result<Guard<'_, TableSnapshot>> {
        let is_settled = |snapshot: &_| self.snapshot.shows_all(snapshot) && !snapshot.is_lost();
        self.snapshot.settled(is_settled, || self.catch_up_locked(true))
    }

    /// Reads the commits since the snapshot. If not `patient`, fails instead of waiting for more than a moment. The caller
    /// holds `catching_up`. A state with a manifest is complete and replaces the snapshot; any other state is added to it.
    fn catch_up_locked(&self, patient: bool) -> Result<()> {
        let incarnation = self.store.incarnation();
        let before = self.snapshot.read();
        let since =
            (before.number > 0 && before.open.incarnation == incarnation && !before.is_lost()).then(|| before.since());
        let state = RecordRows(&self.store).records_since(since, LONG, patient)?;
        if state.manifest.is_some() {
            let snapshot = self.load(&before, incarnation, state);
            drop(before);
            self.snapshot.replace(snapshot);
        } else {
            let sequence = state.sequence;
            for row in state.rows {
                before.apply(row);
            }
            before.advance_to(sequence);
        }
        Ok(())
    }

    /// Reads everything again. The caller holds `catching_up`.
    pub(super) fn reload(&self) -> Result<()> {
        self.snapshot.read().set_outdated();
        self.catch_up_locked(true)
    }

    /// Creates a snapshot from a whole state.
    pub(super) fn load(&self, before: &TableSnapshot, incarnation: Incarnation, state: RecordsState) -> TableSnapshot {
        let RecordsState {
            sequence,
            manifest,
            rows,
        } = state;
        let (manifest, tables) = manifest.unwrap_or_default();
        let upto = manifest.merged;
        let open = self.records.open(incarnation, manifest);
        let snapshot = Shown::after(before, sequence, open, TablesShown::new(tables));
        for row in rows {
            if row.id > last_row(upto) {
                snapshot.apply(row);
            }
        }
        snapshot
    }
}

/// Returns the number of entries. A count may be below 0 for a moment, while another thread adds to it.
pub(super) fn counted([entries, _]: [i64; 2]) -> u64 {
    u64::try_from(entries).unwrap_or(0)
}

impl Forks for Tables {
    fn before(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        vec![Box::new(hold(&self, |all| &all.snapshot.catching_up))]
    }

    fn after(&self, side: &Side) {
        if let Side::Child(alone) = side {
            self.snapshot.after_fork(alone);
        }
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        fork::forget_closed_handles();
    }
}
