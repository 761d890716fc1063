//! A handle to one table: lookups, reads and writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::table_snapshot::{TableSnapshot, has_expired};
use super::tables::{LONGEST_NAME, TableLimits, Tables, entry_count};
use crate::engine::segment::record_hash;
use crate::engine::sql::RecordRows;
use crate::error::{Result, check_length};
use crate::model::TableId;
use crate::options::Ttl;

/// A handle to a table, which need not exist yet. Any thread can use the handle.
pub struct Table {
    tables: Arc<Tables>,
    pub(super) name: Vec<u8>,
    pub(super) ignores_case: bool,
    /// The table's index in a snapshot (the low [`INDEX_BITS`] bits), and the snapshot's number (the high bits).
    cached: AtomicU64,
}

/// Number of bits for the index in [`Table::cached`].
const INDEX_BITS: u32 = 16;
/// The highest index that [`Table::cached`] can contain.
const MAX_CACHED_INDEX: u64 = (1 << INDEX_BITS) - 1;

/// A change to a table, for [`Tables::write`].
#[derive(Clone, Copy)]
pub enum Op<'o> {
    /// Stores a value (third field) under a name (second field), and replaces an earlier value.
    Put(&'o Table, &'o [u8], &'o [u8]),
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
            cached: AtomicU64::new(0),
        }
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

    /// Looks up an entry in memory, passes its value to `use_value`, and returns the result. `None` means that there is
    /// no value, or that the lookup would need the database.
    ///
    /// Takes no lock while the snapshot is current. Checks twice a second that the store's files still exist.
    #[inline]
    pub fn lookup<R>(&self, name: &[u8], use_value: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.find(name, use_value).flatten()
    }

    /// Looks up an entry in memory, and passes its value to `use_value`. Returns `Some(Some(result))` for a value,
    /// `Some(None)` if there is no value, and `None` if the lookup would need the database.
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
        let (snapshot, first) = self.tables.try_read_current(|snapshot| {
            let id = self.id(snapshot)?;
            let hash = record_hash(id, name);
            Some((id, hash, snapshot.prefetch_first(hash)))
        })?;
        // `None`: the table does not exist, or the snapshot is unusable. Snapshot 0 precedes the first read of the
        // store.
        let record = match first {
            Some((id, hash, first)) => snapshot.find((id, name), hash, first).ok()?,
            None if snapshot.number == 0 || snapshot.is_lost() => return None,
            None => None,
        };
        match record.and_then(|record| record.state) {
            Some(stored) if !has_expired(&stored, || self.tables.clock.now_ms()) => {
                // A long value is only in the database, so its result is `None`.
                stored.value.map(use_value).map(Some)
            }
            _ => Some(None),
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
        self.tables.retry(|| {
            // `found` contains the row id, whether the value is only in the database, the value's length, and the value
            // if it is in memory and not too long.
            let found = self.tables.query(|snapshot| {
                let Some(id) = self.id(snapshot) else { return Ok(None) };
                let hash = record_hash(id, name);
                let Some(record) = snapshot.find((id, name), hash, snapshot.prefetch_first(hash))? else {
                    return Ok(None);
                };
                let is_valid = |stored: &_| !has_expired(stored, || self.tables.clock.now_ms());
                Ok(record.state.filter(is_valid).map(|stored| {
                    let value = stored.value.filter(|value| value.len() <= max_length);
                    (
                        record.row,
                        stored.value.is_none(),
                        stored.length,
                        value.map(<[u8]>::to_vec),
                    )
                }))
            })?;
            Ok(match found {
                None => Some(None),
                // If the row is missing, another write has replaced the value, so `None` starts another attempt.
                Some((row, true, ..)) => {
                    let rows = RecordRows(&self.tables.store);
                    rows.long_value(row, max_length, use_value)?.map(Some)
                }
                Some((_, false, length, value)) => {
                    if let Some(value) = value {
                        use_value(&value);
                    }
                    Some(Some(usize::try_from(length).unwrap_or(usize::MAX)))
                }
            })
        })
    }

    /// Stores a value under a name, and replaces an earlier value. `limits`: when the value expires, and the size
    /// limit.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; store errors.
    pub fn put(&self, name: &[u8], value: &[u8], limits: &TableLimits) -> Result<()> {
        self.tables.write(&[Op::Put(self, name, value)], limits)
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
        let now_ms = self.tables.clock.now_ms();
        self.tables.query(|snapshot| {
            let Some(id) = self.id(snapshot) else { return Ok(None) };
            let mut after = after;
            while let Some(name) = snapshot.next_name(id, after)? {
                let hash = record_hash(id, name);
                let record = snapshot.find((id, name), hash, snapshot.prefetch_first(hash))?;
                if record
                    .and_then(|record| record.state)
                    .is_some_and(|stored| !has_expired(&stored, || now_ms))
                {
                    return Ok(Some(name.to_vec()));
                }
                after = Some(name);
            }
            Ok(None)
        })
    }

    /// Returns the number of entries, including expired entries that are still stored.
    ///
    /// # Errors
    /// Store errors.
    pub fn count(&self) -> Result<u64> {
        self.tables.query(|snapshot| {
            let table = self.id(snapshot).and_then(|id| snapshot.table(id));
            Ok(table.map_or(0, |table| entry_count(table.counts())))
        })
    }

    /// Returns the table's id in this snapshot; `None` if the table does not exist. Remembers the table's index
    /// together with the snapshot's number, so that later lookups in this snapshot need not compare names.
    #[inline]
    fn id(&self, snapshot: &TableSnapshot) -> Option<TableId> {
        let cached = self.cached.load(Ordering::Relaxed);
        if cached >> INDEX_BITS == snapshot.number && snapshot.number > 0 {
            let cached_index = usize::try_from(cached & MAX_CACHED_INDEX).unwrap_or(0);
            return Some(snapshot.tables.get(cached_index)?.row.id);
        }
        let index = snapshot.tables.iter().position(|table| table.row.name == self.name)?;
        if index as u64 <= MAX_CACHED_INDEX {
            let new_cached = snapshot.number << INDEX_BITS | index as u64;
            self.cached.store(new_cached, Ordering::Relaxed);
        }
        Some(snapshot.tables.get(index)?.row.id)
    }
}
