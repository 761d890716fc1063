//! Writes to tables: appends records to the log, and flushes the log into a segment when many records are in no
//! segment.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::atomic::Ordering;

use super::compaction::{WriteError, must_flush};
use super::table::{Op, Table};
use super::table_snapshot::{TableSnapshot, counts_of, to_record};
use super::tables::{LONGEST_NAME, MAX_VALUE_BYTES, TableLimits, Tables};
use crate::engine::memtable::{OwnedRecord, OwnedValue};
use crate::engine::segment::{Record, SegmentsLost, record_hash};
use crate::engine::sql::{DatabaseNumber, MAX_INLINE, RecordRows, RecordTx, Sweeper, last_position_of, write_of};
use crate::error::{Result, check_length};
use crate::model::{Sequence, TableId};
use crate::options::Ttl;
use crate::platform::deadline::Deadline;

/// Number of writes of a process, of which the first tidies: to look for what is dead takes a fifth of a write's time.
const TIDY_EVERY: u32 = 8;
/// Maximum number of expired entries that one write removes.
const MAX_EXPIRED: usize = 80;

/// A write that is committed, but is not in the snapshot yet.
struct CommittedWrite {
    database_number: DatabaseNumber,
    sequence: Sequence,
    records: Vec<OwnedRecord>,
    /// Whether the snapshot must be reloaded, because the list of segments or tables has changed, or because the
    /// snapshot lacks other writes.
    needs_reload: bool,
    /// Whether the write created a segment.
    has_flushed: bool,
}

/// The records that are newer than the snapshot: first records from other processes, then records of the running write.
pub(super) struct WriteBatch<'b, 't> {
    pub tx: &'b RecordTx<'t>,
    pub base: &'b TableSnapshot,
    pub records: Vec<OwnedRecord>,
    /// Index of this write's first record. Earlier records are from other writes.
    first_new: usize,
    /// Index of the last record with each hash.
    last_of_hash: HashMap<u64, usize>,
    /// Number of entries and bytes that the records add to each table.
    added: HashMap<TableId, [i64; 2]>,
    /// Tables that this write created, by name.
    new_tables: Vec<(Vec<u8>, TableId)>,
    /// Tables that this write cleared.
    cleared: HashSet<TableId>,
}

impl<'b, 't> WriteBatch<'b, 't> {
    /// Creates an empty batch on top of the snapshot `base`.
    fn new(tx: &'b RecordTx<'t>, base: &'b TableSnapshot) -> Self {
        Self {
            tx,
            base,
            records: Vec::new(),
            first_new: 0,
            last_of_hash: HashMap::new(),
            added: HashMap::new(),
            new_tables: Vec::new(),
            cleared: HashSet::new(),
        }
    }

    /// Returns the newest record with this key (table and name), from the batch or the snapshot; `None` without a
    /// record. The record can be a removal.
    fn find(&self, key: (TableId, &[u8])) -> std::result::Result<Option<Record<'_>>, SegmentsLost> {
        let hash = record_hash(key.0, key.1);
        if let Some(last) = self.last_of_hash.get(&hash) {
            // Different names can have the same hash, so the names are compared as well.
            let mut newest_first = self.records[..=*last].iter().rev().map(OwnedRecord::borrow);
            if let Some(record) = newest_first.find(|record| record.key() == key) {
                return Ok(Some(record));
            }
        }
        self.base.find(key, hash, self.base.prefetch_first(hash))
    }

    /// Adds a record to the batch, and updates the table's counts. `old_counts`: number of entries (0 or 1) and bytes
    /// of the record that the new record replaces.
    fn push(&mut self, record: OwnedRecord, old_counts: [i64; 2]) {
        let new_counts = counts_of(Some(&record.borrow()));
        let added = self.added.entry(record.table).or_default();
        *added = [
            added[0] + new_counts[0] - old_counts[0],
            added[1] + new_counts[1] - old_counts[1],
        ];
        self.last_of_hash.insert(record.hash, self.records.len());
        self.records.push(record);
    }

    /// Appends a value to the log, or a removal if `value` is `None`. Removing a missing entry does nothing.
    /// `expires_ms`: when the value expires, in Unix ms; `None`: never.
    fn add(
        &mut self,
        table: TableId,
        name: &[u8],
        value: Option<&[u8]>,
        expires_ms: Option<i64>,
    ) -> std::result::Result<(), WriteError> {
        let counts = counts_of(self.find((table, name))?.as_ref());
        if value.is_none() && counts[0] == 0 {
            return Ok(());
        }
        let record = OwnedRecord {
            table,
            is_path: false,
            name: name.into(),
            hash: record_hash(table, name),
            row: self.tx.add(table, name, value, expires_ms)?,
            state: value.map(|value| OwnedValue {
                // A longer value is only in the database.
                value: (value.len() <= MAX_INLINE).then(|| value.into()),
                length: value.len() as u64,
                expires_ms,
            }),
        };
        self.push(record, counts);
        Ok(())
    }

    /// Returns the id of the table with this name; `None` if the table does not exist, or if this write has cleared it.
    fn table_id(&self, name: &[u8]) -> Option<TableId> {
        let mut new_tables = self.new_tables.iter().rev();
        let new_id = new_tables.find(|(table, _)| table == name).map(|(_, id)| *id);
        let stored_id = || {
            let mut tables = self.base.tables.iter();
            tables.find(|table| table.row.name == name).map(|table| table.row.id)
        };
        new_id.or_else(stored_id).filter(|id| !self.cleared.contains(id))
    }

    /// Returns the id of the table with this name. Creates the table if it is missing.
    fn create_table_if_missing(&mut self, name: &[u8]) -> std::result::Result<TableId, WriteError> {
        if let Some(id) = self.table_id(name) {
            return Ok(id);
        }
        let id = self.tx.make_table(name)?;
        self.new_tables.push((name.to_vec(), id));
        Ok(id)
    }

    /// Clears a table if it exists. The table's id becomes invalid, so that later writes can delete its rows in small
    /// steps.
    fn clear_table(&mut self, name: &[u8]) -> std::result::Result<(), WriteError> {
        if let Some(id) = self.table_id(name) {
            self.tx.clear_table(id)?;
            self.cleared.insert(id);
            self.added.remove(&id);
        }
        Ok(())
    }

    /// Applies one change. A stored value expires at `expires_ms`, in Unix ms; `None`: never.
    fn apply(&mut self, op: &Op<'_>, expires_ms: Option<i64>) -> std::result::Result<(), WriteError> {
        match op {
            Op::Put(table, name, value) => {
                let id = self.create_table_if_missing(&table.name)?;
                self.add(id, &stored_name(table, name), Some(value), expires_ms)
            }
            Op::Remove(table, name) => match self.table_id(&table.name) {
                Some(id) => self.add(id, &stored_name(table, name), None, None),
                None => Ok(()),
            },
            Op::Clear(table) => self.clear_table(&table.name),
        }
    }

    /// Returns the id of each table that exists after this write, and the table's number of entries and bytes.
    pub fn tables(&self) -> impl Iterator<Item = (TableId, [i64; 2])> {
        let stored = self.base.tables.iter().map(|table| (table.row.id, table.counts()));
        let new = self.new_tables.iter().map(|(_, id)| (*id, [0; 2]));
        stored
            .chain(new)
            .filter(|(id, _)| !self.cleared.contains(id))
            .map(|(id, counts)| {
                let added = self.added.get(&id).copied().unwrap_or_default();
                (id, [counts[0] + added[0], counts[1] + added[1]])
            })
    }

    /// Returns the total size of all tables in bytes.
    fn bytes(&self) -> u64 {
        let bytes = self.tables().map(|(_, [_, bytes])| bytes).sum::<i64>();
        u64::try_from(bytes).unwrap_or(0)
    }

    /// Removes at most [`MAX_EXPIRED`] expired entries. Keeps entries of this write, which expire at once if their TTL
    /// is 0. Returns whether it removed any.
    fn remove_expired(&mut self, now_ms: i64) -> std::result::Result<bool, WriteError> {
        let mut has_removed = false;
        for row in self.tx.log.expired(now_ms, MAX_EXPIRED)? {
            if !self.is_of_this_write(row.id) {
                self.remove_row(row.id, row.table, &row.name)?;
                has_removed = true;
            }
        }
        Ok(has_removed)
    }

    /// Removes the oldest entries until the total size of all tables is at most `limit` bytes. Removes all entries of
    /// one write together, so that none is left without the others, but never entries of the running write.
    fn evict(&mut self, limit: u64) -> std::result::Result<(), WriteError> {
        if self.bytes() <= limit {
            return Ok(());
        }
        let (tx, mut last_write) = (self.tx, None);
        tx.oldest_entries(|row| {
            // Stop at this write's entries, or when the tables are small enough and the last write is removed.
            let is_of_last_write = last_write == Some(write_of(row.id));
            if self.is_of_this_write(row.id) || !is_of_last_write && self.bytes() <= limit {
                return Ok(false); // stop
            }
            if self.remove_row(row.id, row.table, &row.name)? {
                last_write = Some(write_of(row.id));
            }
            Ok::<_, WriteError>(true) // continue with the next row
        })
    }

    /// Returns whether this write added the row with the id `row`. A row id contains the change sequence, so rows of
    /// this write come after the last possible row of the previous sequence.
    fn is_of_this_write(&self, row: i64) -> bool {
        row > last_position_of(Sequence(self.tx.sequence().0 - 1))
    }

    /// Deletes the row with the id `row` from the log. If the row is the newest record of an existing entry, also adds
    /// a removal. Returns whether it did.
    fn remove_row(&mut self, row: i64, table: TableId, name: &[u8]) -> std::result::Result<bool, WriteError> {
        let is_current = self.tables().any(|(id, _)| id == table)
            && self.find((table, name))?.is_some_and(|record| record.row == row);
        if is_current {
            self.add(table, name, None, None)?;
        }
        self.tx.delete(row)?;
        Ok(is_current)
    }
}

impl Tables {
    /// Applies all of `ops` in one transaction. If the tables exceed the size limit, also removes expired entries and the
    /// oldest entries. Every [`TIDY_EVERY`]th call removes some expired entries and rows of cleared tables. `limits`: when
    /// the values of `ops` expire, and the size limit.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; store errors.
    pub fn write(&self, ops: &[Op<'_>], limits: &TableLimits) -> Result<()> {
        for op in ops {
            if let Op::Put(_, name, _) | Op::Remove(_, name) = op {
                check_length("the name of the entry", name.len(), LONGEST_NAME)?;
            }
            if let Op::Put(_, _, value) = op {
                check_length("the value", value.len(), MAX_VALUE_BYTES)?;
            }
        }
        self.retry(|| {
            // The catch-up before the write transaction leaves little to read in the transaction.
            drop(self.catch_up()?);
            let Ok(committed) = self.write_once(ops, limits)? else {
                // A segment is missing or damaged, so this attempt changed nothing.
                self.rebuild(self.catch_up()?)?;
                return Ok(None);
            };
            self.publish(committed);
            Ok(Some(()))
        })
    }

    /// Removes all entries of all tables.
    ///
    /// # Errors
    /// Store errors.
    pub fn clear(&self) -> Result<()> {
        RecordRows(&self.store).clear_tables(Deadline::NONE)?;
        Sweeper(&self.store).sweep_segments();
        Ok(())
    }

    /// Applies `ops` in one transaction. The inner error means that nothing was written, and that segments must be
    /// rebuilt first. `limits`: when the values expire, and the size limit.
    fn write_once(
        &self,
        ops: &[Op<'_>],
        limits: &TableLimits,
    ) -> Result<std::result::Result<CommittedWrite, SegmentsLost>> {
        // The closure can return only an SQLite error, so `lost` carries the other kind of error out of it.
        let lost = Cell::new(None);
        let result = RecordRows(&self.store).write_records(Deadline::NONE, |tx| {
            self.write_in(tx, ops, limits).map_err(|stopped| match stopped {
                WriteError::Failed(error) => error,
                WriteError::SegmentsLost => {
                    lost.set(Some(SegmentsLost));
                    rusqlite::Error::InvalidQuery // rolls back
                }
            })
        });
        lost.get().map_or(result.map(Ok), |lost| Ok(Err(lost)))
    }

    /// Applies `ops` in a running transaction, after reading other processes' writes. Then evicts old entries, and
    /// flushes the log if many of its records are in no segment. `limits`: when the values expire, and the size limit.
    fn write_in(
        &self,
        tx: &RecordTx<'_>,
        ops: &[Op<'_>],
        limits: &TableLimits,
    ) -> std::result::Result<CommittedWrite, WriteError> {
        let database_number = self.store.database_number();
        let snapshot = self.snapshot.read();
        let is_usable = snapshot.number > 0 && snapshot.open.database_number == database_number && !snapshot.is_lost();
        let mut state = tx.log.state(is_usable.then(|| snapshot.since()))?;
        // A state with a manifest is complete and becomes a new snapshot. A state without a manifest contains only rows
        // to add to the snapshot.
        let newer_rows = if state.manifest.is_some() {
            Vec::new()
        } else {
            mem::take(&mut state.rows)
        };
        let loaded = state
            .manifest
            .is_some()
            .then(|| self.load(&snapshot, database_number, state));
        let base = loaded.as_ref().unwrap_or(&snapshot);
        if base.is_lost() {
            return Err(WriteError::SegmentsLost);
        }
        // Add the other processes' records first, so that the changes see them.
        let mut batch = WriteBatch::new(tx, base);
        for row in newer_rows {
            let counts = counts_of(batch.find((row.table, &row.name))?.as_ref());
            batch.push(to_record(row, false), counts); // `false`: the name is not a path
        }
        batch.first_new = batch.records.len();
        let now_ms = self.clock.now_ms();
        let expires_ms = expiry(limits.ttl, now_ms);
        for op in ops {
            batch.apply(op, expires_ms)?;
        }
        let limit = limits.limit.unwrap_or(u64::MAX);
        let tidies = self.writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(TIDY_EVERY);
        if tidies {
            batch.remove_expired(now_ms)?;
            // As many steps as if each write took one.
            for _ in 0..TIDY_EVERY {
                if !tx.sweep_cleared()? {
                    break;
                }
            }
        }
        while batch.bytes() > limit && batch.remove_expired(now_ms)? {}
        batch.evict(limit)?;
        // Flush a long log, because each new reader has to read its rows.
        let is_due = must_flush(tx)?;
        if is_due {
            self.records.flush(tx)?;
        }
        let has_table_changes = !batch.new_tables.is_empty() || !batch.cleared.is_empty();
        Ok(CommittedWrite {
            database_number,
            sequence: tx.sequence(),
            needs_reload: is_due || batch.first_new > 0 || has_table_changes,
            has_flushed: is_due,
            records: batch.records.split_off(batch.first_new),
        })
    }

    /// Adds a committed write to the snapshot, and continues the running merge of segments.
    fn publish(&self, committed: CommittedWrite) {
        let count = committed.records.len();
        if committed.needs_reload {
            // The write has succeeded, so an error of the catch-up is ignored. The next reader reports the error.
            drop(self.catch_up());
        } else {
            let _catching_up = self.snapshot.lock();
            let snapshot = self.snapshot.read();
            let is_next = self
                .snapshot
                .lacks_only(&snapshot, committed.database_number, committed.sequence);
            if is_next && !snapshot.is_lost() {
                for record in committed.records {
                    snapshot.push(record);
                }
                snapshot.advance_to(committed.sequence);
            }
        }
        self.records
            .advance_merges(count, committed.has_flushed, Deadline::NONE);
    }
}

/// Returns when a value written at `now_ms` expires, in Unix ms; `None`: never.
fn expiry(ttl: Ttl, now_ms: i64) -> Option<i64> {
    match ttl {
        Ttl::Forever => None,
        Ttl::Zero => Some(now_ms),
        Ttl::For(time) => Some(now_ms.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))),
    }
}

/// Returns an entry's name as it is stored: in lower case if the table ignores case.
fn stored_name<'n>(table: &Table, name: &'n [u8]) -> std::borrow::Cow<'n, [u8]> {
    if table.ignores_case {
        name.to_ascii_lowercase().into()
    } else {
        name.into()
    }
}
