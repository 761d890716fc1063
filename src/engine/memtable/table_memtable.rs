//! Unmerged records of tables. One thread appends, any number read without a lock.

use super::chains::{Chained, MemtableFull};
use crate::engine::segment::{Record, Stored};
use crate::model::TableId;

/// Records by table and name; the newest of each name counts.
#[derive(Default)]
pub struct TableMemtable(Chained<OwnedRecord, 1>);

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
    /// Appends a record. `hash`: that of its name. Only one thread at a time may call this, so the caller must hold a
    /// lock.
    ///
    /// # Errors
    /// [`MemtableFull`]: the record was not added.
    pub fn push(&self, record: OwnedRecord, hash: u64) -> Result<(), MemtableFull> {
        self.0.push(|_| record, &[(0, hash, 0)])
    }

    /// Iterates over the records, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &OwnedRecord> {
        self.0.records()
    }

    /// Returns the newest record of a name in a table. `hash`: that of the name.
    #[inline]
    #[must_use]
    pub fn find(&self, (table, name): (TableId, &[u8]), hash: u64) -> Option<Record<'_>> {
        self.0
            .walk(0, || Some(hash))
            .map(|(record, _)| record)
            .find(|record| record.table == table && *record.name == *name)
            .map(OwnedRecord::borrow)
    }
}
