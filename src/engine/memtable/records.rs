//! Unmerged records of tables. One thread appends, any number read without a lock.

use std::sync::atomic::{AtomicU32, Ordering};

use once_cell::race::OnceBox;

use super::chains::{Chains, MemtableFull};
use super::log::AppendLog;
use crate::engine::segment::{Record, Stored};
use crate::model::TableId;

/// Maximum number of records of a memtable.
const CAPACITY: usize = 8192;

/// Records by table and name; the newest of each name counts.
#[derive(Default)]
pub struct TableMemtable {
    /// Allocated with the first record: an empty memtable costs a load.
    inner: OnceBox<RecordsInMemory>,
}

struct RecordsInMemory {
    records: AppendLog<OwnedRecord>,
    length: AtomicU32,
    names: Chains,
}

/// A record that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRecord {
    /// The table.
    pub table: TableId,
    /// As in [`Record`].
    pub is_path: bool,
    /// The entry's name.
    pub name: Box<[u8]>,
    /// Its row of the store.
    pub row: i64,
    /// The value; `None` if the entry was removed.
    pub state: Option<OwnedValue>,
}

/// A value that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedValue {
    /// The bytes; `None` for a long value, which only the store has.
    pub value: Option<Box<[u8]>>,
    /// Its length.
    pub length: u64,
    /// When it expires, Unix ms.
    pub expires_ms: Option<i64>,
}

impl OwnedRecord {
    /// Borrows the record.
    #[must_use]
    pub fn borrow(&self) -> Record<'_> {
        Record {
            table: self.table,
            is_path: self.is_path,
            name: &self.name,
            row: self.row,
            state: self.state.as_ref().map(|stored| Stored {
                value: stored.value.as_deref(),
                length: stored.length,
                expires_ms: stored.expires_ms,
            }),
        }
    }
}

impl TableMemtable {
    /// Appends a record. Only one thread at a time, so the caller must hold a lock.
    ///
    /// # Errors
    /// [`MemtableFull`]: the record was not added.
    pub fn push(&self, record: OwnedRecord, hash: u64) -> Result<(), MemtableFull> {
        let inner = self.inner.get_or_init(|| {
            Box::new(RecordsInMemory {
                records: AppendLog::new(),
                length: AtomicU32::new(0),
                names: Chains::new(CAPACITY),
            })
        });
        let index = inner.length.load(Ordering::Relaxed);
        if index as usize >= CAPACITY || !inner.records.set(index as usize, record) {
            return Err(MemtableFull);
        }
        inner.names.link(hash, index, 0)?;
        inner.length.store(index + 1, Ordering::Release);
        Ok(())
    }

    /// Number of records.
    fn len(&self) -> usize {
        self.inner
            .get()
            .map_or(0, |inner| inner.length.load(Ordering::Acquire) as usize)
    }

    /// Iterates over its records, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &OwnedRecord> {
        let inner = self.inner.get();
        (0..self.len()).filter_map(move |index| inner?.records.get(index))
    }

    /// Returns the newest record of a name.
    #[inline]
    #[must_use]
    pub fn find(&self, (table, name): (TableId, &[u8]), hash: u64) -> Option<Record<'_>> {
        let inner = self.inner.get()?;
        inner
            .names
            .walk(hash)
            .filter_map(|node| inner.records.get(node.record as usize))
            .find(|record| record.table == table && *record.name == *name)
            .map(OwnedRecord::borrow)
    }
}
