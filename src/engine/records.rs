//! Tables of hosts: values with an expiry time and a size limit. Names and values are byte strings. Lookups need the
//! exact name.
//!
//! The entries are rows in SQLite. A process that asks for a few asks SQLite. One that keeps asking has the entries
//! that it knows in memory ([`RecordMemory`](crate::engine::memtable::RecordMemory)), and follows commits of other
//! processes. The version page shows whether its snapshot is current. Long values are only in the database.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::panic::RefUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use crate::engine::memtable::{Known, LOADED_PER_STEP, NewRecord, RecordMemories, RecordMemory};
use crate::engine::record_rows::{ChangedRecord, NamedTable, StoredEntry, TableChanges};
use crate::engine::snapshot::{CurrentSnapshot, MAX_QUESTIONS, SnapshotOf};
use crate::engine::sql::{DatabaseNumber, Limited, RecordKind, RecordRows, Store, Tx};
use crate::error::{Result, check_length};
use crate::model::{Sequence, TableId};
use crate::options::Ttl;
use crate::platform::clock::{Clock, Deadline};
use crate::platform::fork::{self, ForkAware, ForkLock, SingleThreadProof, lock_for_fork};
use crate::platform::swap::Guard;

#[cfg(test)]
mod records_tests;

/// Maximum length of a table name or entry name in bytes.
pub const LONGEST_NAME: usize = 1 << 20;
/// Maximum length of a value in bytes. SQLite limits a row, including the entry's name, to 1,000,000,000 bytes.
const MAX_VALUE_BYTES: usize = 900_000_000;

/// A store's tables. Any thread can use them. Calls have no deadline.
pub struct Tables {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    snapshot: CurrentSnapshot<KnownTables>,
    /// Number of writes in this process, for [`Tables::write`].
    writes: AtomicU32,
}

/// The snapshot of the tables that lookups read. A catch-up changes it; a change to the list of tables replaces it.
pub type TableSnapshot = SnapshotOf<KnownTables>;

/// The tables of a snapshot, and what the process knows of their entries.
#[derive(Default)]
pub struct KnownTables {
    /// The tables, in the order of their names.
    pub tables: Vec<KnownTable>,
    /// The change sequence at which a table was last created or cleared.
    changed: Sequence,
}

impl KnownTables {
    /// Returns the table with this name, if it exists.
    #[inline]
    fn table(&self, name: &[u8]) -> Option<&KnownTable> {
        let found = self.tables.binary_search_by(|table| (*table.name).cmp(name));
        found.ok().map(|index| &self.tables[index])
    }

    fn names(&self) -> Vec<NamedTable> {
        let tables = self.tables.iter();
        tables.map(|table| (table.id, table.name.clone())).collect()
    }
}

/// A table, and the entries that the process knows.
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

    /// Returns a current snapshot. Waits for the database or another thread if necessary; without a `deadline`, fails
    /// rather than wait long.
    #[inline]
    fn current(&self, deadline: Option<Deadline>) -> Result<Guard<'_, TableSnapshot>> {
        self.snapshot.read_current(deadline, || self.catch_up_locked(deadline))
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
            let (followed, has_any) = memories.held();
            has_any.then_some(followed)
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
        let (changed, names) = tables.unwrap_or_else(|| (snapshot.changed, snapshot.names()));
        self.replace(&snapshot, (sequence, database_number), changed, names);
        Ok(())
    }

    /// Replaces the snapshot `before` by one with these tables. `changed`: see [`KnownTables::changed`].
    fn replace(
        &self,
        before: &TableSnapshot,
        (sequence, database_number): (Sequence, DatabaseNumber),
        changed: Sequence,
        names: Vec<NamedTable>,
    ) {
        let memories = self.entries(database_number);
        let to_table = |(id, name)| KnownTable {
            id,
            name,
            memory: memories.memory(id),
        };
        let mut tables: Vec<KnownTable> = names.into_iter().map(to_table).collect();
        tables.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let part = KnownTables { tables, changed };
        let new_snapshot = SnapshotOf::after(before, sequence, database_number, part);
        self.snapshot.replace(new_snapshot);
    }

    /// Returns what the process has in memory of the entries in a database.
    fn entries(&self, database: DatabaseNumber) -> &RecordMemories {
        &self.store.memories(database).entries
    }

    /// Asks the database for an entry, and stores the answer in memory. Without a `deadline`, fails rather than wait long
    /// for the database.
    fn ask(&self, table: &[u8], name: &[u8], deadline: Option<Deadline>) -> Result<()> {
        let _catching_up = self.store.lock_by(deadline, &self.snapshot.catching_up)?;
        if !self.snapshot.is_current(&self.snapshot.read()) {
            self.catch_up_locked(deadline)?;
        }
        let snapshot = self.snapshot.read();
        let Some(table) = snapshot.table(table) else {
            return Ok(());
        };
        let rows = RecordRows(&self.store);
        let memory = &table.memory;
        let read_at = memory.followed();
        let entry = rows.entry(table.id, name, deadline)?;
        memory.put(read_at, [NewRecord::new(name, entry.as_ref().map(encode))]);
        let next = |after: Option<&[u8]>| rows.entries_after(table.id, after, LOADED_PER_STEP, deadline).map(Some);
        memory.load_more(read_at, next, |(name, entry)| {
            NewRecord::new(name, entry.as_ref().map(encode))
        });
        if memory.must_renew() {
            let at = (snapshot.sequence(), snapshot.database_number);
            self.replace(&snapshot, at, snapshot.changed, snapshot.names());
        }
        Ok(())
    }
}

/// When an entry expires, in Unix ms, and the length of a value that is only in the database.
type EntryHead = (Option<i64>, Option<u64>);

/// Encodes an entry for [`RecordMemory`]: an [`EntryHead`] and the value.
fn encode(entry: &StoredEntry) -> Vec<u8> {
    let head: EntryHead = (entry.expires_ms, entry.value.is_none().then_some(entry.length));
    let mut payload = postcard::to_stdvec(&head).unwrap_or_default();
    payload.extend_from_slice(entry.value.as_deref().unwrap_or_default());
    payload
}

/// What memory has for an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KnownEntry<'m> {
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
fn decode(payload: &[u8], now_ms: impl FnOnce() -> i64) -> KnownEntry<'_> {
    match postcard::take_from_bytes::<EntryHead>(payload) {
        Ok(((Some(expires_ms), _), _)) if expires_ms <= now_ms() => KnownEntry::Absent,
        Ok(((_, None), value)) => KnownEntry::Value(value),
        Ok(_) => KnownEntry::Long,
        Err(_) => KnownEntry::Unknown,
    }
}

impl ForkAware for Tables {
    /// Locks the snapshot, so that no thread is updating it during the fork.
    fn before(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        vec![Box::new(lock_for_fork(&self, |tables| &tables.snapshot.catching_up))]
    }

    /// In the child, forgets which snapshots the parent's other threads were reading, because these threads do not
    /// exist there.
    fn after_in_child(&self, alone: &SingleThreadProof) {
        self.snapshot.after_fork(alone);
    }
}

impl Drop for Tables {
    /// Unregisters the tables, so that later forks do not lock them.
    fn drop(&mut self) {
        fork::remove_dropped_components();
    }
}

/// A handle to a table, which need not exist yet. Any thread can use the handle.
pub struct Table {
    tables: Arc<Tables>,
    name: Vec<u8>,
    pub ignores_case: bool,
    /// Whether a write's limit is that of all tables of the store, whose oldest entries go first, and not of this table.
    pub is_limited_with_all: bool,
}

/// A change to a table, for [`Tables::write`].
#[derive(Clone, Copy)]
pub enum Op<'o> {
    /// Stores a value (third field) under a name (second field), and replaces an earlier value.
    Put(&'o Table, &'o [u8], &'o [u8]),
    /// Stores a value as [`Op::Put`] does, if there is no entry with this name, or it has expired.
    Add(&'o Table, &'o [u8], &'o [u8]),
    /// Removes the entry with the given name.
    Remove(&'o Table, &'o [u8]),
    /// Removes all entries of a table.
    Clear(&'o Table),
}

impl Tables {
    /// Returns a handle to the table with this name, which need not exist. If `ignores_case`, entry names ignore the
    /// case of the letters A to Z.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`] for a name of more than [`LONGEST_NAME`] bytes.
    pub fn table(self: &Arc<Self>, name: &[u8], ignores_case: bool) -> Result<Table> {
        check_length("the name of the table", name.len(), LONGEST_NAME)?;
        Ok(Table {
            tables: Arc::clone(self),
            name: name.to_vec(),
            ignores_case,
            is_limited_with_all: false,
        })
    }
}

impl Table {
    /// Makes the limit of a write that of all tables of the store: for a host to which all of them belong.
    #[must_use]
    pub fn limited_with_all(self, is_limited_with_all: bool) -> Self {
        Self {
            is_limited_with_all,
            ..self
        }
    }

    /// Returns the table's name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Returns the store's tables, to which this table belongs.
    #[must_use]
    pub fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// Looks up an entry, passes its value to `use_value`, and returns the result. `None` means that there is no value, or
    /// that [`Self::find`] does not know it.
    #[inline]
    pub fn lookup<R>(&self, name: &[u8], use_value: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.find(name, use_value).flatten()
    }

    /// Looks up an entry, and passes its value to `use_value`. Returns `Some(Some(result))` for a value, `Some(None)` if
    /// there is no value, and `None` if the lookup would have to wait, or if the value is long.
    ///
    /// Takes no lock and allocates nothing while the snapshot is current and the entry is in memory. Otherwise, asks the
    /// database. Checks twice a second that the store's files still exist.
    #[inline]
    pub fn find<R>(&self, name: &[u8], use_value: impl FnOnce(&[u8]) -> R) -> Option<Option<R>> {
        // This lookup allocates no memory, so it returns `None` for a longer name.
        let mut folded_bytes = [0; 256];
        let name = if self.ignores_case {
            let folded = folded_bytes.get_mut(..name.len())?;
            folded.copy_from_slice(name);
            folded.make_ascii_lowercase();
            &*folded
        } else {
            name
        };
        self.find_stored(name, None, use_value).ok()?.break_value()
    }

    /// Looks up an entry by its stored name like [`Self::find`]; with a `deadline`, waits.
    #[inline]
    fn find_stored<R>(
        &self,
        name: &[u8],
        deadline: Option<Deadline>,
        use_value: impl FnOnce(&[u8]) -> R,
    ) -> Result<ControlFlow<Option<R>>> {
        let hash = xxh3_64(name);
        for _ in 0..MAX_QUESTIONS {
            let snapshot = self.tables.current(deadline)?;
            let Some(table) = snapshot.table(&self.name) else {
                return Ok(ControlFlow::Break(None));
            };
            match self.known(table, name, hash) {
                KnownEntry::Value(value) => return Ok(ControlFlow::Break(Some(use_value(value)))),
                KnownEntry::Absent => return Ok(ControlFlow::Break(None)),
                KnownEntry::Long => break,
                KnownEntry::Unknown => drop(snapshot),
            }
            self.tables.ask(&self.name, name, deadline)?;
        }
        Ok(ControlFlow::Continue(())) // a long value, or one that other processes keep changing
    }

    /// Returns what the process knows of an entry.
    #[inline]
    fn known<'t>(&self, table: &'t KnownTable, name: &[u8], hash: u64) -> KnownEntry<'t> {
        match table.memory.find(name, hash) {
            Known::Record(record) if record.is_current => match record.payload {
                Some(payload) => decode(payload, || self.tables.clock.now_ms()),
                None => KnownEntry::Absent,
            },
            Known::Absent => KnownEntry::Absent,
            Known::Record(_) | Known::Unknown => KnownEntry::Unknown,
        }
    }

    /// Passes an entry's value to `use_value` if the value has at most `max_length` bytes. Returns the value's length
    /// in bytes, even of a longer value, so that the caller can provide a larger buffer; `None` if there is no entry,
    /// or if the entry has expired.
    ///
    /// # Errors
    /// Store errors.
    pub fn get(&self, name: &[u8], max_length: usize, use_value: &mut dyn FnMut(&[u8])) -> Result<Option<usize>> {
        if name.len() > LONGEST_NAME {
            return Ok(None);
        }
        let name = stored_name(self, name);
        let found = self.find_stored(&name, Some(Deadline::NONE), |value| {
            if value.len() <= max_length {
                use_value(value);
            }
            value.len()
        })?;
        if let ControlFlow::Break(length) = found {
            return Ok(length);
        }
        let (rows, now_ms) = (RecordRows(&self.tables.store), self.tables.clock.now_ms());
        self.id()?
            .map_or(Ok(None), |id| rows.value(id, &name, max_length, now_ms, use_value))
    }

    /// Returns the table's id; `None` if the table does not exist.
    fn id(&self) -> Result<Option<TableId>> {
        let snapshot = self.tables.current(Some(Deadline::NONE))?;
        Ok(snapshot.table(&self.name).map(|table| table.id))
    }

    /// Stores a value under a name, and replaces an earlier value. `limits`: when the value expires, and the table's size
    /// limit.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; store errors.
    pub fn put(&self, name: &[u8], value: &[u8], limits: &TableLimits) -> Result<()> {
        self.tables.write(&[Op::Put(self, name, value)], limits)
    }

    /// Stores a value like [`Table::put`] unless there is one, and returns the value that was there.
    ///
    /// # Errors
    /// As [`Table::put`].
    pub fn add(&self, name: &[u8], value: &[u8], limits: &TableLimits) -> Result<Option<Vec<u8>>> {
        self.tables
            .write_after(&[Op::Add(self, name, value)], limits, Some((self, name)))
    }

    /// Removes the entry with this name, and returns its value; `None` if there is none, or it has expired.
    ///
    /// # Errors
    /// As [`Table::remove`].
    pub fn take(&self, name: &[u8]) -> Result<Option<Vec<u8>>> {
        self.tables
            .write_after(&[Op::Remove(self, name)], &TableLimits::default(), Some((self, name)))
    }

    /// Removes the entry with this name, if it exists.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; store errors.
    pub fn remove(&self, name: &[u8]) -> Result<()> {
        self.tables.write(&[Op::Remove(self, name)], &TableLimits::default())
    }

    /// Removes all entries. The time does not depend on the number of entries.
    ///
    /// # Errors
    /// Store errors.
    pub fn clear(&self) -> Result<()> {
        self.tables.write(&[Op::Clear(self)], &TableLimits::default())
    }

    /// Returns the name of the first entry after `after` in byte order; `None` after the last entry. Without `after`,
    /// starts with the first entry. Skips expired entries.
    ///
    /// # Errors
    /// Store errors.
    pub fn next(&self, after: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let rows = RecordRows(&self.tables.store);
        let now_ms = self.tables.clock.now_ms();
        self.id()?.map_or(Ok(None), |id| rows.next_name(id, after, now_ms))
    }

    /// Returns the number of entries, including expired entries that are still stored.
    ///
    /// # Errors
    /// Store errors.
    pub fn count(&self) -> Result<u64> {
        let rows = RecordRows(&self.tables.store);
        self.id()?.map_or(Ok(0), |id| rows.count_entries(Some(id)))
    }
}

/// Number of writes of a process, of which the first tidies: to look for what is dead takes a fifth of a write's time.
const TIDY_EVERY: u32 = 8;
/// Maximum number of expired entries that one write removes.
const MAX_EXPIRED: usize = 80;
/// Maximum number of older entries that a write evicts, if it does not store more.
const MAX_EVICTED: usize = 256;

impl Tables {
    /// Applies all of `ops` in one transaction. If a table that it writes then exceeds the size limit, also removes expired
    /// entries and the table's oldest entries. Every [`TIDY_EVERY`]th call removes some expired entries and rows of cleared tables. `limits`: when
    /// the values of `ops` expire, and the size limit.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; store errors.
    pub fn write(&self, ops: &[Op<'_>], limits: &TableLimits) -> Result<()> {
        self.write_after(ops, limits, None).map(drop)
    }

    /// Applies all of `ops` like [`Tables::write`]. Returns the value that an entry had before, unless it had expired.
    fn write_after(
        &self,
        ops: &[Op<'_>],
        limits: &TableLimits,
        entry: Option<(&Table, &[u8])>,
    ) -> Result<Option<Vec<u8>>> {
        for op in ops {
            if let Op::Put(_, name, _) | Op::Add(_, name, _) | Op::Remove(_, name) = op {
                check_length("the name of the entry", name.len(), LONGEST_NAME)?;
            }
            if let Op::Put(_, _, value) | Op::Add(_, _, value) = op {
                check_length("the value", value.len(), MAX_VALUE_BYTES)?;
            }
        }
        // If the write creates a new database, the snapshot does not have this number.
        let database_number = self.store.database_number();
        let now_ms = self.clock.now_ms();
        let tidies = self.writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(TIDY_EVERY);
        let (sequence, entries, found) = self.store.write(Deadline::NONE, |tx| {
            let mut write = Write {
                tx,
                now_ms,
                expires_ms: expiry(limits.ttl, now_ms),
                entries: Some(Vec::new()),
            };
            let found = entry.map_or(Ok(None), |(table, name)| write.value(table, name))?;
            for op in ops {
                write.apply(op)?;
            }
            if tidies {
                write.tidy()?;
            }
            if let Some(limit) = limits.limit {
                write.keep_limit(ops, limit)?;
            }
            Ok((tx.sequence, write.entries, found))
        })?;
        if let Some(entries) = entries {
            self.publish(database_number, sequence, &entries);
        }
        Ok(found)
    }

    /// Removes all entries of all tables.
    ///
    /// # Errors
    /// Store errors.
    pub fn clear(&self) -> Result<()> {
        RecordRows(&self.store).clear_tables(Deadline::NONE)
    }

    /// Adds a committed write of `entries` to the snapshot if it lacks no other commit. Otherwise, the next lookup reads the
    /// changes.
    fn publish(&self, database_number: DatabaseNumber, sequence: Sequence, entries: &[ChangedRecord]) {
        let _catching_up = self.snapshot.lock();
        let snapshot = self.snapshot.read();
        if snapshot.number > 0 && self.snapshot.lacks_only(&snapshot, database_number, sequence) {
            self.entries(database_number)
                .follow(snapshot.sequence(), sequence, Some(entries));
            snapshot.advance_to(sequence);
        }
    }
}

/// A running write.
struct Write<'w, 't> {
    tx: &'w Tx<'t>,
    now_ms: i64,
    /// When stored values expire, in Unix ms; `None`: never.
    expires_ms: Option<i64>,
    /// The entries that it stored or removed; `None` if there were other changes, which the snapshot must read.
    entries: Option<Vec<ChangedRecord>>,
}

impl Write<'_, '_> {
    /// Returns an entry's value, unless it has expired.
    fn value(&self, table: &Table, name: &[u8]) -> rusqlite::Result<Option<Vec<u8>>> {
        match self.tx.table(&table.name)? {
            Some(id) => self.tx.value_of(id, &stored_name(table, name), self.now_ms),
            None => Ok(None),
        }
    }

    /// Applies one change.
    fn apply(&mut self, op: &Op<'_>) -> rusqlite::Result<()> {
        let (table, name, value) = match *op {
            Op::Put(table, name, value) => (table, name, Some(value)),
            Op::Add(table, name, value) => {
                if self.value(table, name)?.is_some() {
                    return Ok(());
                }
                (table, name, Some(value))
            }
            Op::Remove(table, name) => (table, name, None),
            Op::Clear(table) => {
                if let Some(id) = self.tx.table(&table.name)? {
                    self.tx.clear_table(id)?;
                    self.entries = None;
                }
                return Ok(());
            }
        };
        let id = match (self.tx.table(&table.name)?, value) {
            (Some(id), _) => id,
            (None, None) => return Ok(()),
            (None, Some(_)) => {
                self.entries = None;
                self.tx.make_table(&table.name)?
            }
        };
        let name = stored_name(table, name);
        match value {
            Some(value) => self.tx.put_entry(id, &name, value, self.expires_ms)?,
            None => self.tx.remove_entry(id, &name)?,
        }
        if let Some(entries) = &mut self.entries {
            entries.push(ChangedRecord {
                sequence: self.tx.sequence,
                table: id,
                key: name.into_owned(),
                library: None,
            });
        }
        Ok(())
    }

    /// Removes some expired entries, and rows of cleared tables: as many steps as if each write took one.
    fn tidy(&mut self) -> rusqlite::Result<()> {
        self.remove_expired()?;
        for _ in 0..TIDY_EVERY {
            if !self.tx.sweep_step()? {
                break;
            }
        }
        Ok(())
    }

    /// Removes expired entries, then the oldest, until the tables that `ops` write have at most `limit` bytes: each one, or
    /// all tables of the store together ([`Table::is_limited_with_all`]).
    fn keep_limit(&mut self, ops: &[Op<'_>], limit: u64) -> rusqlite::Result<()> {
        let mut limited = Vec::new();
        for op in ops {
            let (Op::Put(table, ..) | Op::Add(table, ..)) = op else {
                continue;
            };
            let rows = match self.tx.table(&table.name)? {
                _ if table.is_limited_with_all => Limited::All(RecordKind::Entries),
                Some(id) => Limited::Table(id),
                None => continue, // a later change of this write cleared it
            };
            if !limited.contains(&rows) {
                limited.push(rows);
            }
        }
        limited.into_iter().try_for_each(|rows| self.evict(rows, limit))
    }

    /// Removes expired entries, then the oldest, until `rows` have at most `limit` bytes.
    fn evict(&mut self, rows: Limited, limit: u64) -> rusqlite::Result<()> {
        let is_over =
            |tx: &Tx<'_>| -> rusqlite::Result<bool> { Ok(u64::try_from(tx.size(rows)?).unwrap_or(0) > limit) };
        if !is_over(self.tx)? {
            return Ok(());
        }
        self.entries = None;
        let most = MAX_EVICTED.max(2 * usize::try_from(self.tx.written.get()).unwrap_or(0));
        let mut removed = 0;
        while removed < most && is_over(self.tx)? && self.remove_expired()? {
            removed += MAX_EXPIRED;
        }
        self.tx.evict(rows, limit, most).map(drop)
    }

    fn remove_expired(&mut self) -> rusqlite::Result<bool> {
        let has_removed = self.tx.remove_expired(self.now_ms, MAX_EXPIRED)?;
        if has_removed {
            self.entries = None;
        }
        Ok(has_removed)
    }
}

/// Returns when a value written at `now_ms` expires, in Unix ms; `None`: never.
fn expiry(ttl: Ttl, now_ms: i64) -> Option<i64> {
    match ttl {
        Ttl::Forever => None,
        Ttl::Zero => Some(now_ms),
        Ttl::For(time) => Some(now_ms.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))),
    }
}

/// Returns an entry's name as it is stored: in lower case if the table ignores case.
fn stored_name<'n>(table: &Table, name: &'n [u8]) -> Cow<'n, [u8]> {
    if table.ignores_case {
        name.to_ascii_lowercase().into()
    } else {
        name.into()
    }
}
