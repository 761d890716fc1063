//! One table: reads and writes of a host.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::table_snapshot::{TableSnapshot, has_expired};
use super::tables::{LONGEST_NAME, Tables, Terms, counted};
use crate::engine::segment::record_hash;
use crate::engine::sql::RecordRows;
use crate::error::{Result, check_length};
use crate::model::TableId;
use crate::options::Ttl;

/// A table, which need not exist yet. Usable from any thread.
pub struct Table {
    tables: Arc<Tables>,
    pub(super) name: Vec<u8>,
    pub(super) folds: bool,
    /// Its last index in a snapshot's tables, in the low 16 bits; the snapshot's number is in the others.
    cached_index: AtomicU64,
}

/// A change of a table, for [`Tables::write`].
#[derive(Clone, Copy)]
pub enum Op<'o> {
    /// Stores a value, which replaces the one of the same name.
    Put(&'o Table, &'o [u8], &'o [u8]),
    /// Removes an entry.
    Remove(&'o Table, &'o [u8]),
    /// Removes all entries of a table.
    Clear(&'o Table),
}

impl Tables {
    /// The table of this name. With `folds` set, `A` to `Z` in names of entries count as `a` to `z`.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`] for a name of more than [`LONGEST_NAME`] bytes.
    pub fn table(self: &Arc<Self>, name: &[u8], folds: bool) -> Result<Table> {
        check_length("the name of the table", name.len(), LONGEST_NAME)?;
        Ok(Table::new(self, name, folds))
    }
}

/// Terms of a removal. It stores nothing, so it evicts nothing.
pub const KEEP: Terms = Terms {
    ttl: Ttl::Forever,
    limit: None,
};

impl Table {
    pub(super) fn new(tables: &Arc<Tables>, name: &[u8], folds: bool) -> Self {
        Self {
            tables: Arc::clone(tables),
            name: name.to_vec(),
            folds,
            cached_index: AtomicU64::new(0),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The tables of its store.
    #[must_use]
    pub fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// Passes the value of this name to `then`, if it is in memory. Takes no lock and never waits; twice a second it
    /// checks that the store's files still exist. `None` does not mean that there is no value.
    #[inline]
    pub fn lookup<R>(&self, name: &[u8], then: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.find(name, then).flatten()
    }

    /// As [`Table::lookup`]; `Some(None)` if there is no value.
    #[inline]
    pub fn find<R>(&self, name: &[u8], then: impl FnOnce(&[u8]) -> R) -> Option<Option<R>> {
        let mut folded_bytes = [0; 256];
        let name = if self.folds {
            let folded = folded_bytes.get_mut(..name.len())?;
            folded.copy_from_slice(name);
            folded.make_ascii_lowercase();
            &*folded
        } else {
            name
        };
        let (snapshot, looked_up) = self.tables.current(|snapshot| {
            let id = self.id(snapshot)?;
            let hash = record_hash(id, name);
            Some((id, hash, snapshot.first(hash)))
        })?;
        let found = match looked_up {
            Some((id, hash, first)) => snapshot.find((id, name), hash, first).ok()?,
            None if snapshot.number == 0 || snapshot.is_lost() => return None,
            None => None, // no such table
        };
        match found.and_then(|record| record.state) {
            Some(stored) if !has_expired(&stored, || self.tables.clock.now_ms()) => stored.value.map(then).map(Some),
            _ => Some(None),
        }
    }

    /// Passes the value of this name to `then` if it has at most `room` bytes. Returns its length; `None` without a
    /// value, or if it has expired.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn get(&self, name: &[u8], room: usize, then: &mut dyn FnMut(&[u8])) -> Result<Option<usize>> {
        if name.len() > LONGEST_NAME {
            return Ok(None);
        }
        let folded = self.folds.then(|| name.to_ascii_lowercase());
        let name = folded.as_deref().unwrap_or(name);
        self.tables.retry(|| {
            // Row number, whether the value is long, its length, and the value if it fits.
            let found = self.tables.answer(|snapshot| {
                let Some(id) = self.id(snapshot) else { return Ok(None) };
                let hash = record_hash(id, name);
                let Some(record) = snapshot.find((id, name), hash, snapshot.first(hash))? else {
                    return Ok(None);
                };
                let is_valid = |stored: &_| !has_expired(stored, || self.tables.clock.now_ms());
                Ok(record.state.filter(is_valid).map(|stored| {
                    let value = stored.value.filter(|value| value.len() <= room);
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
                // Long values are in the database only. If the row is gone, another value has replaced it: look again.
                Some((row, true, ..)) => RecordRows(&self.tables.store).long_value(row, room, then)?.map(Some),
                Some((_, false, length, value)) => {
                    if let Some(value) = value {
                        then(&value);
                    }
                    Some(Some(usize::try_from(length).unwrap_or(usize::MAX)))
                }
            })
        })
    }

    /// Stores a value, as [`Tables::write`].
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; errors of the store.
    pub fn put(&self, name: &[u8], value: &[u8], terms: &Terms) -> Result<()> {
        self.tables.write(&[Op::Put(self, name, value)], terms)
    }

    /// Removes an entry, if it exists.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; errors of the store.
    pub fn remove(&self, name: &[u8]) -> Result<()> {
        self.tables.write(&[Op::Remove(self, name)], &KEEP)
    }

    /// Removes all entries. The time does not depend on their number.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn clear(&self) -> Result<()> {
        self.tables.write(&[Op::Clear(self)], &KEEP)
    }

    /// The next name after `after`, by bytes (`None`: the first), whose entry has not expired.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn next(&self, after: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let now_ms = self.tables.clock.now_ms();
        self.tables.answer(|snapshot| {
            let Some(id) = self.id(snapshot) else { return Ok(None) };
            let mut after = after;
            while let Some(name) = snapshot.next_name(id, after)? {
                let hash = record_hash(id, name);
                let record = snapshot.find((id, name), hash, snapshot.first(hash))?;
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

    /// The number of entries, with expired ones that are still stored.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn count(&self) -> Result<u64> {
        self.tables.answer(|snapshot| {
            let count = self.id(snapshot).and_then(|id| snapshot.count_of(id));
            Ok(count.map_or(0, |count| counted(count.now())))
        })
    }

    /// Returns the table's id in this snapshot.
    #[inline]
    fn id(&self, snapshot: &TableSnapshot) -> Option<TableId> {
        let cached = self.cached_index.load(Ordering::Relaxed);
        if cached >> 16 == snapshot.number && snapshot.number > 0 {
            let table = snapshot.tables.get(usize::try_from(cached & 0xFFFF).unwrap_or(0))?;
            return Some(table.row.id);
        }
        let index = snapshot.tables.iter().position(|one| one.row.name == self.name)?;
        if index <= 0xFFFF {
            self.cached_index
                .store(snapshot.number << 16 | index as u64, Ordering::Relaxed);
        }
        Some(snapshot.tables.get(index)?.row.id)
    }
}
