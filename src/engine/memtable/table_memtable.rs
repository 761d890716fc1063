//! The memtable for tables and confirmed matches: records that the segments do not contain yet. One thread appends;
//! readers take no lock.

use super::chains::{ChainedRecords, MemtableFull};
use crate::engine::segment::{Record, StoredValue, upper};
use crate::model::TableId;

/// Records by table and name; the newest record for a name is valid.
#[derive(Default)]
pub struct TableMemtable(ChainedRecords<OwnedRecord, 1>);

/// A record that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRecord {
    pub table: TableId,
    /// Whether the name is a path, as for confirmed matches.
    pub is_path: bool,
    pub name: Box<[u8]>,
    /// The hash under which lookups find the record.
    pub hash: u64,
    /// The row id in the record log.
    pub row: i64,
    /// The value; `None` if the entry was removed.
    pub state: Option<OwnedValue>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedValue {
    /// The bytes; `None` for a long value, which only the database contains.
    pub value: Option<Box<[u8]>>,
    /// Length of the value in bytes.
    pub length: u64,
    /// Time of expiry in Unix ms; `None` for never.
    pub expires_ms: Option<i64>,
}

impl OwnedRecord {
    /// Returns the sort key: the table and the name.
    #[must_use]
    pub fn key(&self) -> (TableId, &[u8]) {
        (self.table, &self.name)
    }

    /// Returns a record that borrows this record's bytes, as segments return it.
    #[must_use]
    pub fn borrow(&self) -> Record<'_> {
        Record {
            table: self.table,
            is_path: self.is_path,
            name: &self.name,
            hash: upper(self.hash),
            row: self.row,
            state: self.state.as_ref().map(|stored| StoredValue {
                value: stored.value.as_deref(),
                length: stored.length,
                expires_ms: stored.expires_ms,
            }),
        }
    }
}

impl TableMemtable {
    /// Appends a record. The caller must hold a lock, because only one thread at a time may append.
    ///
    /// # Errors
    /// Fails with [`MemtableFull`] if there is no room; the record is then not added.
    pub fn push(&self, record: OwnedRecord) -> Result<(), MemtableFull> {
        let hash = record.hash;
        self.0.push(|_| record, &[(0, hash, 0)]) // the only kind of hash is 0, and no normal forms are stored
    }

    /// Iterates over the records, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &OwnedRecord> {
        self.0.records()
    }

    /// Returns the newest record with this table and name, if any. `hash` is the name's hash.
    #[inline]
    #[must_use]
    pub fn find(&self, (table, name): (TableId, &[u8]), hash: u64) -> Option<Record<'_>> {
        self.0
            .records_with_hash(0, || Some(hash)) // the only kind of hash
            .map(|(record, _)| record)
            .find(|record| record.table == table && *record.name == *name)
            .map(OwnedRecord::borrow)
    }
}
