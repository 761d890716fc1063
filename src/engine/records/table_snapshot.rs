//! A snapshot of the tables: a memtable over segments.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::engine::current::SnapshotOf;
use crate::engine::memtable::{OwnedRecord, OwnedValue, TableMemtable};
use crate::engine::segment::{FirstRecord, Record, SegmentsLost, StoredValue, hash_of};
use crate::engine::sql::{RecordRow, TableRow};
use crate::model::{Sequence, TableId};

/// Overhead per entry in bytes. The size limit includes the overhead.
const ENTRY_OVERHEAD: u64 = 64;

/// The snapshot of the tables that lookups read. A catch-up adds new records to the snapshot; any other change replaces
/// the snapshot. If the memtable is full, lookups in this snapshot fail.
pub type TableSnapshot = SnapshotOf<TablesContent>;

/// A snapshot's tables and memtable.
#[derive(Default)]
pub struct TablesContent {
    pub tables: Vec<TableCount>,
    pub memtable: TableMemtable,
    /// Whether the next update must load a new snapshot, because the memtable is full or segments were rebuilt.
    must_reload: AtomicBool,
}

/// A table with its number of entries and bytes, including records in the memtable.
pub struct TableCount {
    pub row: TableRow,
    entries: AtomicI64,
    bytes: AtomicI64,
}

/// Returns an entry's size in bytes, as counted by the size limit.
pub fn entry_bytes(name: &[u8], value_length: u64) -> i64 {
    i64::try_from(name.len() as u64 + value_length + ENTRY_OVERHEAD).unwrap_or(i64::MAX)
}

/// Returns the number of entries and bytes that a record adds to its table: zeros for a removal or `None`.
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
    /// Copies the counts from the table's row, which counts only records in segments. The caller adds the memtable's
    /// records later.
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

    /// Adds numbers, which can be negative, to the counts.
    fn add(&self, [entries, bytes]: [i64; 2]) {
        self.entries.fetch_add(entries, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl TablesContent {
    /// Creates the content of a snapshot from the given tables and an empty memtable.
    pub fn new(tables: Vec<TableRow>) -> Self {
        Self {
            tables: tables.into_iter().map(TableCount::new).collect(),
            memtable: TableMemtable::default(),
            must_reload: AtomicBool::new(false),
        }
    }

    /// Returns whether the next update must load a new snapshot.
    #[inline]
    pub fn must_reload(&self) -> bool {
        self.must_reload.load(Ordering::Acquire)
    }

    /// Makes the next update load a new snapshot.
    pub fn set_must_reload(&self) {
        self.must_reload.store(true, Ordering::Release);
    }
}

impl TableSnapshot {
    /// Returns the snapshot's change sequence, and the sequence of the last change to its manifest (the list of
    /// segments). If the database has a newer manifest, the reader must reload everything instead of only the newer
    /// rows.
    pub fn since(&self) -> (Sequence, Sequence) {
        (self.sequence(), self.open.manifest.changed)
    }

    /// Returns the table with this id; `None` if the table does not exist.
    pub fn table(&self, table: TableId) -> Option<&TableCount> {
        self.tables.iter().find(|count| count.row.id == table)
    }

    /// Returns the total number of entries and bytes in all tables.
    pub fn total(&self) -> [i64; 2] {
        self.tables.iter().fold([0; 2], |sum, table| {
            let counts = table.counts();
            [sum[0] + counts[0], sum[1] + counts[1]]
        })
    }

    /// Returns whether lookups cannot use the snapshot, because it must be reloaded, or because a segment is missing
    /// or damaged.
    #[inline]
    pub fn is_lost(&self) -> bool {
        self.must_reload() || self.open.are_lost()
    }

    /// Adds a row of the log to the memtable. Only one thread may call this method at a time.
    pub fn apply(&self, row: RecordRow) {
        self.push(to_record(row, false)); // `false`: the name is not a path
    }

    /// Adds a record to the memtable, unless the snapshot already contains the record or the table was cleared. If the
    /// memtable is full, the snapshot must be reloaded. Only one thread may call this method at a time.
    pub fn push(&self, record: OwnedRecord) {
        let Some(table) = self.table(record.table) else {
            return;
        };
        let hash = record.hash;
        let Ok(previous) = self.find((record.table, &record.name), hash, self.prefetch_first(hash)) else {
            return; // the snapshot will be replaced, because the memtable is full or a segment is damaged
        };
        if previous.is_some_and(|previous| previous.row >= record.row) {
            return; // the snapshot already contains this record or a newer one, because row ids only grow
        }
        let (old_counts, new_counts) = (counts_of(previous.as_ref()), counts_of(Some(&record.borrow())));
        if self.memtable.push(record).is_err() {
            self.set_must_reload();
        } else {
            table.add([new_counts[0] - old_counts[0], new_counts[1] - old_counts[1]]);
        }
    }

    /// Prefetches the memory that a lookup of `hash` needs, and looks up the hash in the oldest segment, which is the
    /// largest. Pass the result to [`TableSnapshot::find`].
    #[inline]
    pub fn prefetch_first(&self, hash: u64) -> FirstRecord {
        self.open.segments.first(hash)
    }

    /// Returns the newest record with this table and name, which may be a removal; `None` if there is no record. Fails
    /// if the snapshot must be reloaded or a segment is damaged. `hash`: the key's hash. `first`: the record in the
    /// oldest segment with this hash, from [`TableSnapshot::prefetch_first`].
    #[inline]
    pub fn find(
        &self,
        key: (TableId, &[u8]),
        hash: u64,
        first: FirstRecord,
    ) -> Result<Option<Record<'_>>, SegmentsLost> {
        if self.must_reload() {
            return Err(SegmentsLost);
        }
        if let Some(record) = self.memtable.find(key, hash) {
            return Ok(Some(record));
        }
        self.open.segments.find(key, hash, first)
    }

    /// Returns the table's first name after `after` in byte order, even if the entry was removed; `None` after the last
    /// name.
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
        // The memtable's names are in the order of the writes, so compare all of them.
        for record in self.memtable.records() {
            if record.table == table && is_after(&record.name) {
                consider(&record.name);
            }
        }
        // A segment is sorted, so its first name after `after` is enough.
        for segment in self.open.segments.list() {
            let mut cursor = segment.seek((table, after.unwrap_or_default())).map_err(set_lost)?;
            while let Some((record, next_cursor)) = segment.next(cursor).map_err(set_lost)? {
                if record.table == table && is_after(record.name) {
                    consider(record.name);
                    break;
                }
                // The segment has no later name in this table.
                if record.key() > (table, after.unwrap_or_default()) && record.table != table {
                    break;
                }
                cursor = next_cursor;
            }
        }
        Ok(next)
    }
}

/// Converts a row of the log to a memtable record. `is_path`: whether the name is a path.
pub fn to_record(row: RecordRow, is_path: bool) -> OwnedRecord {
    OwnedRecord {
        table: row.table,
        is_path,
        hash: hash_of(row.table, is_path, &row.name),
        name: row.name.into(),
        row: row.id,
        state: row.value.map(|(value, length)| OwnedValue {
            value: value.map(Vec::into_boxed_slice),
            length,
            expires_ms: row.expires_ms,
        }),
    }
}

/// Returns whether a value has expired. Reads the clock with `now_ms` only if the value has an expiry time.
#[inline]
pub fn has_expired(stored: &StoredValue<'_>, now_ms: impl FnOnce() -> i64) -> bool {
    stored.expires_ms.is_some_and(|ms| ms <= now_ms())
}
