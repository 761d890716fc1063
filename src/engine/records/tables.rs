//! A store's tables, with a snapshot that lookups read.

use std::panic::RefUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use super::table_snapshot::{TableSnapshot, TablesContent};
use super::tree::Records;
use crate::engine::current::{CurrentSnapshot, SnapshotOf};
use crate::engine::segment::SegmentsLost;
use crate::engine::sql::{DatabaseNumber, RecordRows, RecordsState, Store, last_position_of};
use crate::error::{Error, Result, Status};
use crate::options::Ttl;
use crate::platform::clock::Clock;
use crate::platform::deadline::Deadline;
use crate::platform::fork::{self, ForkAware, ForkLock, Side, lock_for_fork};
use crate::platform::swap::Guard;

/// Maximum number of attempts per call. An attempt fails if a segment is damaged, or if another write replaces the
/// value.
const MAX_RETRIES: u32 = 8;
/// Maximum length of a table name or entry name in bytes.
pub const LONGEST_NAME: usize = 1 << 20;
/// Maximum length of a value in bytes. SQLite limits a row, including the entry's name, to 1,000,000,000 bytes.
pub const MAX_VALUE_BYTES: usize = 900_000_000;

/// A store's tables. Any thread can use them. Calls have no deadline.
pub struct Tables {
    pub(super) store: Arc<Store>,
    pub(super) records: Arc<Records>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) snapshot: CurrentSnapshot<TablesContent>,
    /// Number of writes in this process, for [`Tables::write`].
    pub(super) writes: AtomicU32,
}

/// Expiry and size limit for values that a write stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableLimits {
    /// Time until the values expire. By default, values never expire.
    pub ttl: Ttl,
    /// Maximum total size of all tables in the store in bytes: names, values, and 64 bytes per entry. A write that
    /// exceeds the limit removes the oldest entries, but never entries that the same write stored. No limit by default.
    pub limit: Option<u64>,
}

impl Default for TableLimits {
    /// Lets values never expire, and sets no size limit.
    fn default() -> Self {
        Self {
            ttl: Ttl::Forever,
            limit: None,
        }
    }
}

// After a panic, no write is incomplete, because SQLite rolls the transaction back.
impl RefUnwindSafe for Tables {}

impl Tables {
    /// Opens a store's tables. A fork waits until no thread is updating the snapshot.
    pub(crate) fn new(store: Arc<Store>, records: Arc<Records>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let tables = Arc::new(Self {
            snapshot: CurrentSnapshot::new(Arc::clone(&store)),
            store,
            records,
            clock,
            writes: AtomicU32::new(0),
        });
        fork::register_component(&tables);
        tables
    }

    /// Returns the number of entries in all tables, including expired entries that are still stored.
    ///
    /// # Errors
    /// Store errors.
    pub fn count(&self) -> Result<u64> {
        self.query(|snapshot| Ok(entry_count(snapshot.total())))
    }

    /// Returns the result of `find` for a current snapshot. If a segment is missing or damaged, rebuilds the segments,
    /// and calls `find` again.
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

    /// Calls `attempt` until the result is not `None`, at most [`MAX_RETRIES`] times, and then fails. `attempt` returns
    /// `None` after it repaired a segment, or if another write replaced the value.
    pub(super) fn retry<T>(&self, mut attempt: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        for _ in 0..MAX_RETRIES {
            if let Some(result) = attempt()? {
                return Ok(result);
            }
        }
        Err(Error::new(
            Status::Store,
            format!(
                "store in {}: the table segments are damaged again after each repair; find the program that \
                 writes to these files, or choose another cache_dir",
                self.store.folder().path().display()
            ),
        ))
    }

    /// Rebuilds the missing or damaged segments of `snapshot`, and loads a new snapshot.
    pub(super) fn rebuild(&self, snapshot: Guard<'_, TableSnapshot>) -> Result<()> {
        let open = Arc::clone(&snapshot.open);
        drop(snapshot);
        self.records.rebuild(&open, Deadline::NONE)?;
        let _catching_up = self.snapshot.lock();
        self.reload()
    }

    /// Returns a current snapshot, and the result of `look` for this snapshot; `None` if the caller would have to wait.
    /// `look` runs before the check that the snapshot is current, so that memory prefetches overlap with the check.
    #[inline]
    pub(super) fn try_read_current<B>(
        &self,
        look: impl Fn(&TableSnapshot) -> B,
    ) -> Option<(Guard<'_, TableSnapshot>, B)> {
        self.snapshot.try_read_current(look, || self.catch_up_locked(None))
    }

    /// Returns a current snapshot. Waits for the database or another thread if necessary.
    pub(super) fn catch_up(&self) -> Result<Guard<'_, TableSnapshot>> {
        let is_usable = |snapshot: &TableSnapshot| !snapshot.is_lost();
        let deadline = Deadline::NONE;
        self.snapshot
            .read_current(deadline, is_usable, || self.catch_up_locked(Some(deadline)))
    }

    /// Reads the commits since the snapshot. The caller must have locked `snapshot.catching_up`. Without a
    /// `deadline`, fails rather than wait long for the database.
    ///
    /// If the state contains the manifest (the list of record segments), it is complete and replaces the snapshot.
    /// Otherwise, it contains only rows to add to the snapshot.
    fn catch_up_locked(&self, deadline: Option<Deadline>) -> Result<()> {
        let database_number = self.store.database_number();
        let snapshot = self.snapshot.read();
        let is_usable = snapshot.number > 0 && snapshot.open.database_number == database_number && !snapshot.is_lost();
        let since = is_usable.then(|| snapshot.since());
        let state = RecordRows(&self.store).records_since(since, deadline)?;
        if state.manifest.is_some() {
            let new_snapshot = self.load(&snapshot, database_number, state);
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

    /// Reloads the whole snapshot, because segments were rebuilt. The caller must have locked `snapshot.catching_up`.
    pub(super) fn reload(&self) -> Result<()> {
        self.snapshot.read().set_must_reload();
        self.catch_up_locked(Some(Deadline::NONE))
    }

    /// Creates the snapshot that replaces `previous` from `state`: all tables and segments, and the rows in no segment.
    pub(super) fn load(
        &self,
        previous: &TableSnapshot,
        database_number: DatabaseNumber,
        state: RecordsState,
    ) -> TableSnapshot {
        let RecordsState {
            sequence,
            manifest,
            rows,
        } = state;
        let (manifest, tables) = manifest.unwrap_or_default();
        let merged = manifest.merged;
        let open = self.records.open(database_number, manifest);
        let snapshot = SnapshotOf::after(previous, sequence, open, TablesContent::new(tables));
        // The segments contain all rows up to the change sequence `merged`, so the memtable needs only later rows.
        for row in rows {
            if row.id > last_position_of(merged) {
                snapshot.apply(row);
            }
        }
        snapshot
    }
}

/// Returns the number of entries in a pair of counts. The number can be negative while another thread changes the
/// counts; the result is then 0.
pub(super) fn entry_count([entries, _bytes]: [i64; 2]) -> u64 {
    u64::try_from(entries).unwrap_or(0)
}

impl ForkAware for Tables {
    /// Locks the snapshot, so that no thread is updating it during the fork.
    fn before(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        vec![Box::new(lock_for_fork(&self, |tables| &tables.snapshot.catching_up))]
    }

    /// In the child, forgets which snapshots the parent's other threads were reading, because these threads do not
    /// exist there.
    fn after(&self, side: &Side) {
        if let Side::Child(alone) = side {
            self.snapshot.after_fork(alone);
        }
    }
}

impl Drop for Tables {
    /// Unregisters the tables, so that later forks do not lock them.
    fn drop(&mut self) {
        fork::remove_dropped_components();
    }
}
