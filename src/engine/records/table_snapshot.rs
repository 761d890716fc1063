//! A snapshot of the tables: segments, the newest first, under a memtable.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::engine::current::Shown;
use crate::engine::memtable::{OwnedRecord, OwnedValue, TableMemtable};
use crate::engine::segment::{FirstRecord, Record, SegmentsLost, Stored};
use crate::engine::sql::{RecordRow, TableRow};
use crate::model::{Sequence, TableId};

/// Overhead of an entry that the limit counts, in bytes.
const ENTRY: u64 = 64;
/// Longest value that segments and memtables hold; longer ones are read from the store.
pub const LONG: usize = 1000;

/// The state that lookups read. Records are added in place; any other change replaces the snapshot.
/// It is outdated also if the memtable is full. Lookups in it fail then.
pub type TableSnapshot = Shown<TablesShown>;

/// What a snapshot shows of the tables.
#[derive(Default)]
pub struct TablesShown {
    pub tables: Vec<TableCount>,
    pub memtable: TableMemtable,
}

/// A table with its counts.
pub struct TableCount {
    pub row: TableRow,
    entries: AtomicI64,
    bytes: AtomicI64,
}

/// Bytes of an entry that the limit counts.
pub fn size_of(name: &[u8], length: u64) -> i64 {
    i64::try_from(name.len() as u64 + length + ENTRY).unwrap_or(i64::MAX)
}

/// Entries and bytes that a record adds to its table.
pub fn counted(record: Option<&Record<'_>>) -> [i64; 2] {
    match record {
        Some(Record {
            name,
            state: Some(stored),
            ..
        }) => [1, size_of(name, stored.length)],
        _ => [0, 0],
    }
}

impl TableCount {
    pub fn new(row: TableRow) -> Self {
        Self {
            entries: AtomicI64::new(row.entries),
            bytes: AtomicI64::new(row.bytes),
            row,
        }
    }

    /// Entries and bytes.
    pub fn now(&self) -> [i64; 2] {
        [&self.entries, &self.bytes].map(|count| count.load(Ordering::Relaxed))
    }

    fn add(&self, [entries, bytes]: [i64; 2]) {
        self.entries.fetch_add(entries, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl TablesShown {
    pub fn new(tables: Vec<TableRow>) -> Self {
        Self {
            tables: tables.into_iter().map(TableCount::new).collect(),
            memtable: TableMemtable::default(),
        }
    }
}

impl TableSnapshot {
    /// Returns the change sequences of the snapshot and of its manifest. If the manifest has changed since, the whole
    /// state must be read.
    pub fn since(&self) -> (Sequence, Sequence) {
        (self.sequence(), self.open.manifest.changed)
    }

    /// The table with this number.
    pub fn count_of(&self, table: TableId) -> Option<&TableCount> {
        self.tables.iter().find(|one| one.row.id == table)
    }

    /// Entries and bytes of all tables.
    pub fn total(&self) -> [i64; 2] {
        self.tables.iter().fold([0; 2], |sum, one| {
            let now = one.now();
            [sum[0] + now[0], sum[1] + now[1]]
        })
    }

    /// Returns whether it must be read again, or its segments rebuilt.
    #[inline]
    pub fn is_lost(&self) -> bool {
        self.is_outdated() || self.open.are_lost()
    }

    /// Adds a row of the log. Only one thread at a time.
    pub fn apply(&self, row: RecordRow) {
        self.push(owned(row, false));
    }

    /// Adds a record. Only one thread at a time.
    pub fn push(&self, record: OwnedRecord) {
        let Some(table) = self.count_of(record.table) else {
            return; // its table was cleared
        };
        let hash = record.borrow().hash();
        let Ok(before) = self.find((record.table, &record.name), hash, self.first(hash)) else {
            return;
        };
        if before.is_some_and(|before| before.row >= record.row) {
            return; // it is here already
        }
        let (old_counts, new_counts) = (counted(before.as_ref()), counted(Some(&record.borrow())));
        if self.memtable.push(record, hash).is_err() {
            self.set_outdated();
        } else {
            table.add([new_counts[0] - old_counts[0], new_counts[1] - old_counts[1]]);
        }
    }

    /// Prefetches the memory of a lookup, and looks up the hash in the oldest segment, the largest.
    #[inline]
    pub fn first(&self, hash: u64) -> FirstRecord {
        self.open.segments.first(hash)
    }

    /// The newest record of a name. `first`: the result of [`TableSnapshot::first`].
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

    /// The first name after `after` in any memtable or segment, even if it was removed.
    pub fn next_name(&self, table: TableId, after: Option<&[u8]>) -> Result<Option<&[u8]>, SegmentsLost> {
        if self.is_lost() {
            return Err(SegmentsLost);
        }
        let broken = |_| self.open.segments.set_lost();
        let is_behind = |name: &[u8]| after.is_none_or(|after| name > after);
        let mut next: Option<&[u8]> = None;
        let mut consider = |name| {
            if next.is_none_or(|next| name < next) {
                next = Some(name);
            }
        };
        for record in self.memtable.records() {
            if record.table == table && is_behind(&record.name) {
                consider(&record.name);
            }
        }
        for segment in self.open.segments.list() {
            let mut cursor = segment.seek((table, after.unwrap_or_default())).map_err(broken)?;
            while let Some((record, following)) = segment.next(cursor).map_err(broken)? {
                if record.table == table && is_behind(record.name) {
                    consider(record.name);
                    break;
                }
                if record.key() > (table, after.unwrap_or_default()) && record.table != table {
                    break;
                }
                cursor = following;
            }
        }
        Ok(next)
    }
}

/// A row of the log as a record in memory.
pub fn owned(row: RecordRow, is_path: bool) -> OwnedRecord {
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
