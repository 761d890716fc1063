//! A handle to one table: lookups, reads and writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use super::tables::{KnownEntry, KnownTable, LONGEST_NAME, TableLimits, TableSnapshot, Tables, decode};
use crate::engine::memtable::Known;
use crate::engine::sql::RecordRows;
use crate::error::{Result, check_length};
use crate::options::Ttl;
use crate::platform::clock::Deadline;

/// A handle to a table, which need not exist yet. Any thread can use the handle.
pub struct Table {
    tables: Arc<Tables>,
    pub(super) name: Vec<u8>,
    pub(super) ignores_case: bool,
    /// Whether a write's limit is that of all tables of the store, whose oldest entries go first, and not of this table.
    pub(super) is_limited_with_all: bool,
    /// The table's index in a snapshot (the low [`INDEX_BITS`] bits), and the snapshot's number (the high bits).
    cached: AtomicU64,
}

/// Number of bits for the index in [`Table::cached`].
const INDEX_BITS: u32 = 16;
/// The highest index that [`Table::cached`] can contain.
const MAX_CACHED_INDEX: u64 = (1 << INDEX_BITS) - 1;

/// Maximum number of times that a lookup asks the database, while other processes change the same entry.
const MAX_QUESTIONS: u32 = 4;

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
        Ok(Table::new(self, name, ignores_case))
    }
}

/// `TableLimits` for removals, which evict nothing.
pub const REMOVAL_OPTIONS: TableLimits = TableLimits {
    ttl: Ttl::Forever,
    limit: None,
};

impl Table {
    /// Creates a handle to the table with this name. If `ignores_case`, entry names ignore the case of the letters A to
    /// Z.
    pub(super) fn new(tables: &Arc<Tables>, name: &[u8], ignores_case: bool) -> Self {
        Self {
            tables: Arc::clone(tables),
            name: name.to_vec(),
            ignores_case,
            is_limited_with_all: false,
            cached: AtomicU64::new(0),
        }
    }

    /// Makes the limit of a write that of all tables of the store: for a host to which all of them belong.
    #[must_use]
    pub fn limited_with_all(self, is_limited_with_all: bool) -> Self {
        Self {
            is_limited_with_all,
            ..self
        }
    }

    /// Returns whether the limit of a write is that of all tables of the store.
    #[must_use]
    pub fn is_limited_with_all(&self) -> bool {
        self.is_limited_with_all
    }

    /// Returns the table's name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Returns whether entry names ignore the case of the letters A to Z.
    #[must_use]
    pub fn ignores_case(&self) -> bool {
        self.ignores_case
    }

    /// Returns the store's tables, to which this table belongs.
    #[must_use]
    pub fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// Looks up an entry, passes its value to `use_value`, and returns the result. `None` means that there is no value, or
    /// that the lookup would have to wait.
    ///
    /// Takes no lock and allocates nothing while the snapshot is current and the entry is in memory. Otherwise, asks the
    /// database. Checks twice a second that the store's files still exist.
    #[inline]
    pub fn lookup<R>(&self, name: &[u8], use_value: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.find(name, use_value).flatten()
    }

    /// Looks up an entry, and passes its value to `use_value`. Returns `Some(Some(result))` for a value, `Some(None)` if
    /// there is no value, and `None` if the lookup would have to wait, or if the value is long.
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
        let hash = xxh3_64(name);
        for _ in 0..MAX_QUESTIONS {
            let (snapshot, index) = self.tables.try_read_current(|snapshot| self.index(snapshot))?;
            let Some(table) = index.and_then(|index| snapshot.tables.get(index)) else {
                // Snapshot 0 precedes the first read of the store.
                return (snapshot.number > 0).then_some(None);
            };
            match self.known(table, name, hash) {
                KnownEntry::Value(value) => return Some(Some(use_value(value))),
                KnownEntry::Long => return None,
                KnownEntry::Absent => return Some(None),
                KnownEntry::Unknown => drop(snapshot),
            }
            self.tables.ask(&self.name, name, None).ok()?;
        }
        None
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
        let folded = self.ignores_case.then(|| name.to_ascii_lowercase());
        let name = folded.as_deref().unwrap_or(name);
        let hash = xxh3_64(name);
        for _ in 0..MAX_QUESTIONS {
            let snapshot = self.tables.catch_up()?;
            let Some(table) = self.index(&snapshot).and_then(|index| snapshot.tables.get(index)) else {
                return Ok(None);
            };
            match self.known(table, name, hash) {
                KnownEntry::Value(value) => {
                    if value.len() <= max_length {
                        use_value(value);
                    }
                    return Ok(Some(value.len()));
                }
                KnownEntry::Long => break,
                KnownEntry::Absent => return Ok(None),
                KnownEntry::Unknown => drop(snapshot),
            }
            self.tables.ask(&self.name, name, Some(Deadline::NONE))?;
        }
        // A long value, or one that other processes keep changing.
        let snapshot = self.tables.catch_up()?;
        let Some(table) = self.index(&snapshot).and_then(|index| snapshot.tables.get(index)) else {
            return Ok(None);
        };
        RecordRows(&self.tables.store).value(table.id, name, max_length, self.tables.clock.now_ms(), use_value)
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
        self.tables.write_one(Op::Add(self, name, value), limits)
    }

    /// Removes the entry with this name, and returns its value; `None` if there is none, or it has expired.
    ///
    /// # Errors
    /// As [`Table::remove`].
    pub fn take(&self, name: &[u8]) -> Result<Option<Vec<u8>>> {
        self.tables.write_one(Op::Remove(self, name), &REMOVAL_OPTIONS)
    }

    /// Removes the entry with this name, if it exists.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; store errors.
    pub fn remove(&self, name: &[u8]) -> Result<()> {
        self.tables.write(&[Op::Remove(self, name)], &REMOVAL_OPTIONS)
    }

    /// Removes all entries. The time does not depend on the number of entries.
    ///
    /// # Errors
    /// Store errors.
    pub fn clear(&self) -> Result<()> {
        self.tables.write(&[Op::Clear(self)], &REMOVAL_OPTIONS)
    }

    /// Returns the name of the first entry after `after` in byte order; `None` after the last entry. Without `after`,
    /// starts with the first entry. Skips expired entries.
    ///
    /// # Errors
    /// Store errors.
    pub fn next(&self, after: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let snapshot = self.tables.catch_up()?;
        let Some(table) = self.index(&snapshot).and_then(|index| snapshot.tables.get(index)) else {
            return Ok(None);
        };
        RecordRows(&self.tables.store).next_name(table.id, after, self.tables.clock.now_ms())
    }

    /// Returns the number of entries, including expired entries that are still stored.
    ///
    /// # Errors
    /// Store errors.
    pub fn count(&self) -> Result<u64> {
        let snapshot = self.tables.catch_up()?;
        let table = self.index(&snapshot).and_then(|index| snapshot.tables.get(index));
        table.map_or(Ok(0), |table| {
            RecordRows(&self.tables.store).count_entries(Some(table.id))
        })
    }

    /// Returns the table's index in this snapshot; `None` if the table does not exist. Remembers it together with the
    /// snapshot's number, so that later lookups in this snapshot need not compare names.
    #[inline]
    fn index(&self, snapshot: &TableSnapshot) -> Option<usize> {
        let cached = self.cached.load(Ordering::Relaxed);
        if cached >> INDEX_BITS == snapshot.number && snapshot.number > 0 {
            return usize::try_from(cached & MAX_CACHED_INDEX).ok();
        }
        let index = snapshot.tables.iter().position(|table| table.name == self.name)?;
        if index as u64 <= MAX_CACHED_INDEX {
            let new_cached = snapshot.number << INDEX_BITS | index as u64;
            self.cached.store(new_cached, Ordering::Relaxed);
        }
        Some(index)
    }
}
