//! A snapshot of the tables: a memtable over segments.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::engine::current::Shown;
use crate::engine::memtable::{OwnedRecord, OwnedValue, TableMemtable};
use crate::engine::segment::{FirstRecord, Record, SegmentsLost, Stored};
use crate::engine::sql::{RecordRow, TableRow};
use crate::model::{Sequence, TableId};

/// Overhead per entry in bytes, which the size limit includes.
const ENTRY_OVERHEAD: u64 = 64;
/// Length of the longest value in segments and memtables. Longer values are only in the store.
pub const MAX_INLINE: usize = 1000;

/// The state that lookups read. Catch-ups add new records in place; any other change replaces the snapshot. If the
/// memtable is full, the snapshot becomes outdated and lookups in it fail.
pub type TableSnapshot = Shown<TablesShown>;

/// The part of a snapshot about tables.
#[derive(Default)]
pub struct TablesShown {
    pub tables: Vec<TableCount>,
    pub memtable: TableMemtable,
}

/// A table with its counts, which include the memtable.
pub struct TableCount {
    pub row: TableRow,
    entries: AtomicI64,
    bytes: AtomicI64,
}

/// Returns the bytes of an entry that the size limit counts.
pub fn entry_bytes(name: &[u8], value_length: u64) -> i64 {
    i64::try_from(name.len() as u64 + value_length + ENTRY_OVERHEAD).unwrap_or(i64::MAX)
}

/// Returns the number of entries and bytes that a record adds to its table: none for a removal or for `None`.
pub fn counts_of(record: Option<&Record<'_>>) -> [i64; 2] {
    match record {
        Some(Record {
            name,
            state: Some(stored),
            ..
        }) => [1, entry_bytes(name, stored.length)],
        _ => [0, 0],
    }
}

impl TableCount {
    /// Starts with the counts of the table's row. The memtable's records are added later.
    pub fn new(row: TableRow) -> Self {
        Self {
            entries: AtomicI64::new(row.entries),
            bytes: AtomicI64::new(row.bytes),
            row,
        }
    }

    /// Returns the number of entries and bytes.
    pub fn counts(&self) -> [i64; 2] {
        [&self.entries, &self.bytes].map(|count| count.load(Ordering::Relaxed))
    }

    /// Adds to the counts; negative numbers subtract.
    fn add(&self, [entries, bytes]: [i64; 2]) {
        self.entries.fetch_add(entries, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl TablesShown {
    /// Creates the part of a snapshot with these tables, and with an empty memtable.
    pub fn new(tables: Vec<TableRow>) -> Self {
        Self {
            tables: tables.into_iter().map(TableCount::new).collect(),
            memtable: TableMemtable::default(),
        }
    }
}

impl TableSnapshot {
    /// Returns the change sequences of the snapshot and of its manifest. If the manifest changed after that, the whole
    /// state must be read.
    pub fn since(&self) -> (Sequence, Sequence) {
        (self.sequence(), self.open.manifest.changed)
    }

    /// Returns the table with this id.
    pub fn table(&self, table: TableId) -> Option<&TableCount> {
        self.tables.iter().find(|count| count.row.id == table)
    }

    /// Returns the number of entries and bytes of all tables.
    pub fn total(&self) -> [i64; 2] {
        self.tables.iter().fold([0; 2], |sum, table| {
            let counts = table.counts();
            [sum[0] + counts[0], sum[1] + counts[1]]
        })
    }

    /// Returns whether the snapshot must be read again, or its segments rebuilt.
    #[inline]
    pub fn is_lost(&self) -> bool {
        self.is_outdated() || self.open.are_lost()
    }

    /// Adds a row of the log to the memtable. Must not run on two threads at once.
    pub fn apply(&self, row: RecordRow) {
        self.push(to_record(row, false));
    }

    /// Adds a record to the memtable, unless the snapshot has it or its table was cleared. Must not run on two threads
    /// at once.
    pub fn push(&self, record: OwnedRecord) {
        let Some(table) = self.table(record.table) else {
            return;
        };
        let hash = record.borrow().hash();
        let Ok(previous) = self.find((record.table, &record.name), hash, self.first(hash)) else {
            return;
        };
        if previous.is_some_and(|previous| previous.row >= record.row) {
            return;
        }
        let (old_counts, new_counts) = (counts_of(previous.as_ref()), counts_of(Some(&record.borrow())));
        if self.memtable.push(record, hash).is_err() {
            self.set_outdated();
        } else {
            table.add([new_counts[0] - old_counts[0], new_counts[1] - old_counts[1]]);
        }
    }

    /// Prefetches the memory of a lookup, and looks up the hash in the oldest segment, which is the largest.
    #[inline]
    pub fn first(&self, hash: u64) -> FirstRecord {
        self.open.segments.first(hash)
    }

    /// Returns the newest record of a name. `first`: the result of [`TableSnapshot::first`] for the hash.
    #[inline]
    pub fn find(
        &self,
        key: (TableId, &[u8]),
        hash: u64,
        first: FirstRecord,
    ) -> Result<Option<Record<'_>>, SegmentsLost> {
        if self.is_outdated() {
            return Err(SegmentsLost);
        }
        if let Some(record) = self.memtable.find(key, hash) {
            return Ok(Some(record));
        }
        self.open.segments.find(key, hash, first)
    }

    /// Returns the first name after `after` in the memtable or in a segment, also if its entry was removed.
    pub fn next_name(&self, table: TableId, after: Option<&[u8]>) -> Result<Option<&[u8]>, SegmentsLost> {
        if self.is_lost() {
            return Err(SegmentsLost);
        }
        let set_lost = |_| self.open.segments.set_lost();
        let is_after = |name: &[u8]| after.is_none_or(|after| name > after);
        let mut next: Option<&[u8]> = None;
        let mut consider = |name| {
            if next.is_none_or(|next| name < next) {
                next = Some(name);
            }
        };
        for record in self.memtable.records() {
            if record.table == table && is_after(&record.name) {
                consider(&record.name);
            }
        }
        for segment in self.open.segments.list() {
            let mut cursor = segment.seek((table, after.unwrap_or_default())).map_err(set_lost)?;
            while let Some((record, next_cursor)) = segment.next(cursor).map_err(set_lost)? {
                if record.table == table && is_after(record.name) {
                    consider(record.name);
                    break;
                }
                if record.key() > (table, after.unwrap_or_default()) && record.table != table {
                    break;
                }
                cursor = next_cursor;
            }
        }
        Ok(next)
    }
}

/// Converts a row of the log to a record of a memtable. `is_path`: whether its name is a path.
pub fn to_record(row: RecordRow, is_path: bool) -> OwnedRecord {
    OwnedRecord {
        table: row.table,
        is_path,
        name: row.name.into(),
        row: row.id,
        state: row.value.map(|(value, length)| OwnedValue {
            value: value.map(Vec::into_boxed_slice),
            length,
            expires_ms: row.expires_ms,
        }),
    }
}

/// Returns whether a value has expired.
#[inline]
pub fn has_expired(stored: &Stored<'_>, now_ms: impl FnOnce() -> i64) -> bool {
    stored.expires_ms.is_some_and(|ms| ms <= now_ms())
}
