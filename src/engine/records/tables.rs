//! The tables of a store, and their snapshot.

use std::panic::RefUnwindSafe;
use std::sync::Arc;

use super::table_snapshot::{MAX_INLINE, TableSnapshot, TablesShown};
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

/// Maximum number of attempts of a call. An attempt fails if a segment is damaged, or if another write replaces a
/// value.
const MAX_RETRIES: u32 = 8;
/// Maximum length of the name of a table or an entry.
pub const LONGEST_NAME: usize = 1 << 20;
/// Maximum length of a value. With its name, the value fits into a row of `SQLite` of at most 1,000,000,000 bytes.
pub const MAX_VALUE_BYTES: usize = 900_000_000;

/// The tables of a store. Usable from any thread. Their calls have no deadline.
pub struct Tables {
    pub(super) store: Arc<Store>,
    pub(super) records: Arc<Records>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) snapshot: Current<TablesShown>,
}

/// Expiry and size limit of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableLimits {
    /// The time until the values expire. By default they never do.
    pub ttl: Ttl,
    /// Maximum size of all tables in the store: names, values, and 64 bytes per entry. A write beyond the limit removes
    /// the oldest entries first, and none of its own. No limit by default.
    pub limit: Option<u64>,
}

impl Default for TableLimits {
    fn default() -> Self {
        Self {
            ttl: Ttl::Forever,
            limit: None,
        }
    }
}

// A panic leaves nothing half written, since SQLite rolls the transaction back.
impl RefUnwindSafe for Tables {}

impl Tables {
    /// Creates the tables of a store. Forks wait until no thread brings their snapshot up to date.
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

    /// Returns the number of entries in all tables, including expired entries that are still stored.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn count(&self) -> Result<u64> {
        self.query(|snapshot| Ok(entry_count(snapshot.total())))
    }

    /// Returns the result of `find` in a current snapshot. Rebuilds lost segments.
    pub(super) fn query<T>(&self, find: impl Fn(&TableSnapshot) -> std::result::Result<T, SegmentsLost>) -> Result<T> {
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

    /// Calls `attempt` until it returns a result. An attempt returns `None` if it repaired a segment, or if another
    /// write replaced the value.
    pub(super) fn retry<T>(&self, mut attempt: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        for _ in 0..MAX_RETRIES {
            if let Some(result) = attempt()? {
                return Ok(result);
            }
        }
        Err(Error::new(
            Status::Store,
            format!(
                "store in {}: the segments of tables are damaged again after each repair; find the program that \
                 writes to these files, or choose another cache_dir",
                self.store.folder().path().display()
            ),
        ))
    }

    /// Rebuilds the lost segments of this snapshot, and reads a new snapshot.
    pub(super) fn rebuild(&self, snapshot: Guard<'_, TableSnapshot>) -> Result<()> {
        let open = Arc::clone(&snapshot.open);
        drop(snapshot);
        self.records.rebuild(&open, Deadline::NONE)?;
        let _catching_up = self.snapshot.lock();
        self.reload()
    }

    /// Returns a current snapshot with the result of `look`; `None` if the caller would have to wait. See
    /// [`Current::at_once`].
    #[inline]
    pub(super) fn current<B>(&self, look: impl Fn(&TableSnapshot) -> B) -> Option<(Guard<'_, TableSnapshot>, B)> {
        self.snapshot.at_once(look, || self.catch_up_locked(false))
    }

    /// Returns a current snapshot. Waits if necessary.
    pub(super) fn catch_up(&self) -> Result<Guard<'_, TableSnapshot>> {
        let is_current = |snapshot: &_| self.snapshot.shows_all(snapshot) && !snapshot.is_lost();
        self.snapshot.settled(is_current, || self.catch_up_locked(true))
    }

    /// Reads the commits since the snapshot. The caller holds `catching_up`. If not `patient`, fails instead of waiting
    /// long for the database.
    ///
    /// A state with a manifest is complete and replaces the snapshot. Other states have only rows to add to the
    /// snapshot.
    fn catch_up_locked(&self, patient: bool) -> Result<()> {
        let incarnation = self.store.incarnation();
        let snapshot = self.snapshot.read();
        let is_usable = snapshot.number > 0 && snapshot.open.incarnation == incarnation && !snapshot.is_lost();
        let since = is_usable.then(|| snapshot.since());
        let state = RecordRows(&self.store).records_since(since, MAX_INLINE, patient)?;
        if state.manifest.is_some() {
            let new_snapshot = self.load(&snapshot, incarnation, state);
            drop(snapshot);
            self.snapshot.replace(new_snapshot);
        } else {
            let sequence = state.sequence;
            for row in state.rows {
                snapshot.apply(row);
            }
            snapshot.advance_to(sequence);
        }
        Ok(())
    }

    /// Reads everything again. The caller holds `catching_up`.
    pub(super) fn reload(&self) -> Result<()> {
        self.snapshot.read().set_outdated();
        self.catch_up_locked(true)
    }

    /// Creates a snapshot from a complete state. `previous`: the snapshot that it will replace.
    pub(super) fn load(
        &self,
        previous: &TableSnapshot,
        incarnation: Incarnation,
        state: RecordsState,
    ) -> TableSnapshot {
        let RecordsState {
            sequence,
            manifest,
            rows,
        } = state;
        let (manifest, tables) = manifest.unwrap_or_default();
        let merged = manifest.merged;
        let open = self.records.open(incarnation, manifest);
        let snapshot = Shown::after(previous, sequence, open, TablesShown::new(tables));
        for row in rows {
            if row.id > last_row(merged) {
                snapshot.apply(row);
            }
        }
        snapshot
    }
}

/// Returns the number of entries from a pair of counts. The count may be below 0 while another thread changes it.
pub(super) fn entry_count([entries, _bytes]: [i64; 2]) -> u64 {
    u64::try_from(entries).unwrap_or(0)
}

impl Forks for Tables {
    /// Takes the lock of the snapshot, so that no thread is bringing it up to date during the fork.
    fn before(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        vec![Box::new(hold(&self, |tables| &tables.snapshot.catching_up))]
    }

    /// Forgets the readers of the snapshot in the child, which does not have the parent's other threads.
    fn after(&self, side: &Side) {
        if let Side::Child(alone) = side {
            self.snapshot.after_fork(alone);
        }
    }
}

impl Drop for Tables {
    /// Removes the tables from the components that forks call.
    fn drop(&mut self) {
        fork::forget_closed_handles();
    }
}
