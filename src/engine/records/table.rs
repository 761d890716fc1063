//! One table: what a host asks of it and puts into it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::snapshot::{TableSnapshot, has_expired};
use super::tables::{MAX_RETRIES, Tables, Terms, check_name, counted};
use crate::engine::segment::record_hash;
use crate::error::Result;
use crate::model::TableId;
use crate::options::Ttl;

/// A table, there or not. Usable from any thread.
pub struct Table {
    tables: Arc<Tables>,
    pub(super) name: Vec<u8>,
    pub(super) folds: bool,
    /// Where it was found last: the snapshot's number, and the place in it in the low 16 bits.
    place: AtomicU64,
}

/// A change of a table, for [`Tables::write`].
#[derive(Clone, Copy)]
pub enum Op<'o> {
    /// Stores a value in the place of the one of the same name.
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
        check_name("table", name)?;
        Ok(Table::new(self, name, folds))
    }
}

/// What a removal stores: nothing, so nothing has to go for it.
pub const KEEP: Terms = Terms {
    ttl: Ttl::Never,
    limit: None,
};

impl Table {
    pub(super) fn new(tables: &Arc<Tables>, name: &[u8], folds: bool) -> Self {
        Self {
            tables: Arc::clone(tables),
            name: name.to_vec(),
            folds,
            place: AtomicU64::new(0),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The tables that it is one of.
    #[must_use]
    pub fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// Hands the value of this name to `then`, if a fast lookup knows it: no lock, no wait, and no system call but for a look
    /// twice a second whether the store still has its names. `None` is no verdict.
    #[inline]
    pub fn lookup<R>(&self, name: &[u8], then: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let mut room = [0; 256];
        let name = if self.folds {
            let folded = room.get_mut(..name.len())?;
            folded.copy_from_slice(name);
            folded.make_ascii_lowercase();
            &*folded
        } else {
            name
        };
        let (snapshot, seen) = self.tables.current(|snapshot| {
            let id = self.id(snapshot)?;
            let hash = record_hash(id, name);
            Some((id, hash, snapshot.first(hash)))
        })?;
        let (id, hash, first) = seen?;
        let stored = snapshot.find((id, name), hash, first).ok()??.state?;
        if has_expired(&stored, || self.tables.clock.now_ms()) {
            return None;
        }
        stored.value.map(then)
    }

    /// Hands the value of this name to `then` when it has at most `room` bytes: a larger one is not read. Gives its length,
    /// `None` when there is none that has not expired.
    ///
    /// # Errors
    /// The store's.
    pub fn get(&self, name: &[u8], room: usize, then: &mut dyn FnMut(&[u8])) -> Result<Option<usize>> {
        let folded = self.folds.then(|| name.to_ascii_lowercase());
        let name = folded.as_deref().unwrap_or(name);
        for _ in 0..MAX_RETRIES {
            let row = self.tables.answer(|snapshot| {
                let Some(id) = self.id(snapshot) else { return Ok(None) };
                let hash = record_hash(id, name);
                let Some(record) = snapshot.find((id, name), hash, snapshot.first(hash))? else {
                    return Ok(None);
                };
                let is_given = |stored: &_| !has_expired(stored, || self.tables.clock.now_ms());
                Ok(record.state.filter(is_given).map(|stored| {
                    let value = stored.value.filter(|value| value.len() <= room);
                    (
                        record.row,
                        stored.value.is_none(),
                        stored.length,
                        value.map(<[u8]>::to_vec),
                    )
                }))
            })?;
            match row {
                None => return Ok(None),
                Some((row, true, ..)) => {
                    // Without it, another value took its place meanwhile.
                    if let Some(length) = self.tables.store.long_value(row, room, then)? {
                        return Ok(Some(length));
                    }
                }
                Some((_, false, length, value)) => {
                    if let Some(value) = value {
                        then(&value);
                    }
                    return Ok(Some(usize::try_from(length).unwrap_or(usize::MAX)));
                }
            }
        }
        Err(self.tables.damaged_again())
    }

    /// Stores a value, as [`Tables::write`].
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; the store's.
    pub fn put(&self, name: &[u8], value: &[u8], terms: &Terms) -> Result<()> {
        self.tables.write(&[Op::Put(self, name, value)], terms)
    }

    /// Removes an entry. One that is not there is fine.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; the store's.
    pub fn remove(&self, name: &[u8]) -> Result<()> {
        self.tables.write(&[Op::Remove(self, name)], &KEEP)
    }

    /// Removes all entries, in the same time whatever their number.
    ///
    /// # Errors
    /// The store's.
    pub fn clear(&self) -> Result<()> {
        self.tables.write(&[Op::Clear(self)], &KEEP)
    }

    /// The name behind `after` in the order of their bytes (`None`: the first) of an entry that has not expired.
    ///
    /// # Errors
    /// The store's.
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

    /// How many entries it has, expired ones that are still stored included.
    ///
    /// # Errors
    /// The store's.
    pub fn count(&self) -> Result<u64> {
        self.tables.answer(|snapshot| {
            let count = self.id(snapshot).and_then(|id| snapshot.count_of(id));
            Ok(count.map_or(0, |count| counted(count.now())))
        })
    }

    /// Its number in this snapshot.
    #[inline]
    fn id(&self, snapshot: &TableSnapshot) -> Option<TableId> {
        let place = self.place.load(Ordering::Relaxed);
        if place >> 16 == snapshot.number && snapshot.number > 0 {
            let table = snapshot.tables.get(usize::try_from(place & 0xFFFF).unwrap_or(0))?;
            return Some(table.row.id);
        }
        let place = snapshot.tables.iter().position(|one| one.row.name == self.name)?;
        if place <= 0xFFFF {
            self.place
                .store(snapshot.number << 16 | place as u64, Ordering::Relaxed);
        }
        Some(snapshot.tables.get(place)?.row.id)
    }
}
