//! A store's tables, with a snapshot that lookups read.

use std::panic::RefUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use crate::engine::current::{CurrentSnapshot, SnapshotOf};
use crate::engine::memtable::{LoadAfter, NewRecord, RecordMemories, RecordMemory};
use crate::engine::record_rows::{StoredEntry, TableChanges};
use crate::engine::sql::{DatabaseNumber, RecordRows, Store};
use crate::error::Result;
use crate::model::{Sequence, TableId};
use crate::options::Ttl;
use crate::platform::clock::{Clock, Deadline};
use crate::platform::fork::{self, ForkAware, ForkLock, Side, lock_for_fork};
use crate::platform::swap::Guard;

/// Maximum length of a table name or entry name in bytes.
pub const LONGEST_NAME: usize = 1 << 20;
/// Maximum length of a value in bytes. SQLite limits a row, including the entry's name, to 1,000,000,000 bytes.
pub const MAX_VALUE_BYTES: usize = 900_000_000;
/// Number of entries that a step of loading reads, which takes less than a millisecond.
const LOADED_PER_STEP: usize = 512;

/// A store's tables. Any thread can use them. Calls have no deadline.
pub struct Tables {
    pub(super) store: Arc<Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) snapshot: CurrentSnapshot<KnownTables>,
    /// Number of writes in this process, for [`Tables::write`].
    pub(super) writes: AtomicU32,
}

/// The snapshot of the tables that lookups read. A catch-up changes it; a change to the list of tables replaces it.
pub type TableSnapshot = SnapshotOf<KnownTables>;

/// The tables of a snapshot, and what the process knows of their entries.
#[derive(Default)]
pub struct KnownTables {
    pub tables: Vec<KnownTable>,
    /// The change sequence at which a table was last created or cleared.
    changed: Sequence,
}

/// A table, and the entries that the process knows.
#[derive(Clone)]
pub struct KnownTable {
    pub id: TableId,
    pub name: Vec<u8>,
    pub memory: Arc<RecordMemory>,
}

/// Expiry and size limit for values that a write stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableLimits {
    /// Time until the values expire. By default, values never expire.
    pub ttl: Ttl,
    /// Maximum size of each written table in bytes: names, values, and 64 bytes per entry. A write that exceeds the limit
    /// removes the table's oldest entries, but never entries that the same write stored. No limit by default.
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
    pub(crate) fn new(store: Arc<Store>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let tables = Arc::new(Self {
            snapshot: CurrentSnapshot::new(Arc::clone(&store)),
            store,
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
        RecordRows(&self.store).count_entries(None)
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
        let deadline = Deadline::NONE;
        self.snapshot
            .read_current(deadline, |_| true, || self.catch_up_locked(Some(deadline)))
    }

    /// Reads the commits since the snapshot. The caller must have locked `snapshot.catching_up`. Without a
    /// `deadline`, fails rather than wait long for the database.
    fn catch_up_locked(&self, deadline: Option<Deadline>) -> Result<()> {
        let database_number = self.store.database_number();
        let snapshot = self.snapshot.read();
        let memories = self.entries(database_number);
        let is_usable = snapshot.number > 0 && snapshot.database_number == database_number;
        let since = if is_usable {
            Some(snapshot.sequence())
        } else {
            // Joins what other handles know.
            let (followed, held) = memories.held();
            (!held.is_empty()).then_some(followed)
        };
        let TableChanges {
            sequence,
            tables,
            entries,
        } = RecordRows(&self.store).table_changes(since, is_usable.then_some(snapshot.changed), deadline)?;
        memories.follow(since.unwrap_or(sequence), sequence, entries.as_deref());
        if entries.is_some() && tables.is_none() {
            snapshot.advance_to(sequence);
            return Ok(());
        }
        let (changed, names) = tables.unwrap_or_else(|| {
            let tables = snapshot.tables.iter();
            (
                snapshot.changed,
                tables.map(|table| (table.id, table.name.clone())).collect(),
            )
        });
        let to_table = |(id, name)| KnownTable {
            id,
            name,
            memory: memories.memory(id),
        };
        let tables = names.into_iter().map(to_table).collect();
        let part = KnownTables { tables, changed };
        let new_snapshot = SnapshotOf::after(&snapshot, sequence, database_number, part);
        drop(snapshot);
        self.snapshot.replace(new_snapshot);
        Ok(())
    }

    /// Returns what the process has in memory of the entries in a database.
    pub(super) fn entries(&self, database: DatabaseNumber) -> &RecordMemories {
        &self.store.memories(database).entries
    }

    /// Asks the database for an entry, and stores the answer in memory. Returns `false` if there is no such table. Without
    /// a `deadline`, fails rather than wait long for the database.
    pub(super) fn ask(&self, table: &[u8], name: &[u8], deadline: Option<Deadline>) -> Result<bool> {
        let _catching_up = self.snapshot.lock_by(deadline)?;
        if !self.snapshot.is_current(&self.snapshot.read()) {
            self.catch_up_locked(deadline)?;
        }
        let snapshot = self.snapshot.read();
        let Some(table) = snapshot.tables.iter().find(|known| known.name == table) else {
            return Ok(false);
        };
        let rows = RecordRows(&self.store);
        let memory = &table.memory;
        let read_at = memory.followed();
        let entry = rows.entry(table.id, name, deadline)?;
        put(memory, read_at, name, entry.as_ref());
        // If a step of loading fails, a later one loads more.
        if let Some(after) = memory.count_question()
            && let LoadAfter(after_name) = &after
            && let Ok(entries) = rows.entries_after(table.id, after_name.as_deref(), LOADED_PER_STEP, deadline)
        {
            let encoded: Vec<Option<Vec<u8>>> = entries.iter().map(|(_, entry)| entry.as_ref().map(encode)).collect();
            let records = entries.iter().zip(&encoded);
            let records = records.map(|((name, _), payload)| NewRecord::new(name, payload.as_deref()));
            memory.load(read_at, &after, records, entries.last().map(|(last, _)| &last[..]));
        }
        if memory.must_renew() {
            let memories = self.entries(snapshot.database_number);
            let mut tables = snapshot.tables.clone();
            if let Some(renewed) = tables.iter_mut().find(|one| one.id == table.id) {
                renewed.memory = memories.memory(table.id);
                put(&renewed.memory, read_at, name, entry.as_ref());
            }
            let part = KnownTables {
                tables,
                changed: snapshot.changed,
            };
            let renewed = SnapshotOf::after(&snapshot, snapshot.sequence(), snapshot.database_number, part);
            drop(snapshot);
            self.snapshot.replace(renewed);
        }
        Ok(true)
    }
}

/// Stores an entry in memory, which was read at a change sequence or later; `None` for a name without an entry.
fn put(memory: &RecordMemory, read_at: Sequence, name: &[u8], entry: Option<&StoredEntry>) {
    let payload = entry.map(encode);
    memory.put(read_at, [NewRecord::new(name, payload.as_deref())]);
}

/// In a payload: the value is only in the database, and its length follows.
const IS_LONG: u8 = 1;
/// In a payload: the time of expiry follows.
const EXPIRES: u8 = 2;

/// Encodes an entry for [`RecordMemory`]: flags, the time of expiry, and the value or its length.
pub(super) fn encode(entry: &StoredEntry) -> Vec<u8> {
    let is_long = if entry.value.is_none() { IS_LONG } else { 0 };
    let expires = if entry.expires_ms.is_some() { EXPIRES } else { 0 };
    let mut payload = vec![is_long | expires];
    payload.extend(entry.expires_ms.iter().flat_map(|ms| ms.to_le_bytes()));
    match &entry.value {
        Some(value) => payload.extend_from_slice(value),
        None => payload.extend_from_slice(&entry.length.to_le_bytes()),
    }
    payload
}

/// What memory has for an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KnownEntry<'m> {
    /// The database must be asked.
    Unknown,
    /// There is no entry, or it has expired.
    Absent,
    Value(&'m [u8]),
    /// The value is only in the database.
    Long,
}

/// Decodes an entry.
#[inline]
pub(super) fn decode(payload: &[u8], now_ms: impl FnOnce() -> i64) -> KnownEntry<'_> {
    let Some((flags, mut rest)) = payload.split_first() else {
        return KnownEntry::Absent;
    };
    if flags & EXPIRES != 0
        && let Some((expires_ms, value)) = rest.split_first_chunk::<8>()
    {
        if i64::from_le_bytes(*expires_ms) <= now_ms() {
            return KnownEntry::Absent;
        }
        rest = value;
    }
    if flags & IS_LONG == 0 {
        KnownEntry::Value(rest)
    } else {
        KnownEntry::Long
    }
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
