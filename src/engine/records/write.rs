//! Writes to tables. Records are appended to the log, and flushed into a segment once there are many.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::mem;

use super::compaction::WriteStopped;
use super::table::{Op, Table};
use super::table_snapshot::{LONG, TableSnapshot, counted, owned};
use super::tables::{LONGEST_NAME, LONGEST_VALUE, Tables, Terms};
use crate::engine::memtable::{OwnedRecord, OwnedValue};
use crate::engine::segment::{Record, SegmentsLost, record_hash};
use crate::engine::sql::{Incarnation, RecordRows, RecordTx, Sweeper, last_row, write_of};
use crate::error::{Result, check_length};
use crate::model::{Sequence, TableId};
use crate::options::Ttl;
use crate::platform::deadline::Deadline;

/// Expired entries that one write removes.
const EXPIRED: usize = 10;

/// A write that was committed.
struct CommittedWrite {
    incarnation: Incarnation,
    at: Sequence,
    /// The records it added.
    records: Vec<OwnedRecord>,
    /// The manifest or the tables changed: read the whole state.
    needs_reload: bool,
    /// It made a segment.
    has_flushed: bool,
}

/// The records of a write under way, with those of other processes that the snapshot lacks.
pub(super) struct WriteBatch<'b> {
    pub tx: &'b RecordTx<'b>,
    pub base: &'b TableSnapshot,
    pub records: Vec<OwnedRecord>,
    /// Index of the first record of this write. The records before it come from other writes.
    first_own: usize,
    /// Index of the last record of each hash.
    last_of_hash: HashMap<u64, usize>,
    /// Entries and bytes that they add to each table.
    added: HashMap<TableId, [i64; 2]>,
    /// Tables that this write created.
    new_tables: Vec<(Vec<u8>, TableId)>,
    cleared: HashSet<TableId>,
}

impl<'b> WriteBatch<'b> {
    fn new(tx: &'b RecordTx<'b>, base: &'b TableSnapshot) -> Self {
        Self {
            tx,
            base,
            records: Vec::new(),
            first_own: 0,
            last_of_hash: HashMap::new(),
            added: HashMap::new(),
            new_tables: Vec::new(),
            cleared: HashSet::new(),
        }
    }

    /// Returns the newest record of a name: from this batch, else from the snapshot.
    fn find(&self, key: (TableId, &[u8])) -> std::result::Result<Option<Record<'_>>, SegmentsLost> {
        let hash = record_hash(key.0, key.1);
        if let Some(last) = self.last_of_hash.get(&hash) {
            // Other names may have the same hash.
            let of_hash = self.records[..=*last].iter().rev().map(OwnedRecord::borrow);
            if let Some(record) = of_hash.into_iter().find(|record| record.key() == key) {
                return Ok(Some(record));
            }
        }
        self.base.find(key, hash, self.base.first(hash))
    }

    /// Adds a record that replaces one with these counts.
    fn push(&mut self, record: OwnedRecord, old_counts: [i64; 2]) {
        let new_counts = counted(Some(&record.borrow()));
        let added = self.added.entry(record.table).or_default();
        *added = [
            added[0] + new_counts[0] - old_counts[0],
            added[1] + new_counts[1] - old_counts[1],
        ];
        self.last_of_hash
            .insert(record_hash(record.table, &record.name), self.records.len());
        self.records.push(record);
    }

    /// Appends a record to the log. Removing a missing entry does nothing.
    fn add(
        &mut self,
        table: TableId,
        name: &[u8],
        value: Option<&[u8]>,
        expires_ms: Option<i64>,
    ) -> std::result::Result<(), WriteStopped> {
        let counts = counted(self.find((table, name))?.as_ref());
        if value.is_none() && counts[0] == 0 {
            return Ok(());
        }
        let record = OwnedRecord {
            table,
            is_path: false,
            name: name.into(),
            row: self.tx.add(table, name, value, expires_ms)?,
            state: value.map(|value| OwnedValue {
                value: (value.len() <= LONG).then(|| value.into()),
                length: value.len() as u64,
                expires_ms,
            }),
        };
        self.push(record, counts);
        Ok(())
    }

    /// The number of a table, if there is one.
    fn table(&self, name: &[u8]) -> Option<TableId> {
        let made = self
            .new_tables
            .iter()
            .rev()
            .find(|(own, _)| own == name)
            .map(|(_, id)| *id);
        let known = || {
            self.base
                .tables
                .iter()
                .find(|one| one.row.name == name)
                .map(|one| one.row.id)
        };
        made.or_else(known).filter(|id| !self.cleared.contains(id))
    }

    fn make_table(&mut self, name: &[u8]) -> std::result::Result<TableId, WriteStopped> {
        if let Some(id) = self.table(name) {
            return Ok(id);
        }
        let id = self.tx.make_table(name)?;
        self.new_tables.push((name.to_vec(), id));
        Ok(id)
    }

    fn clear_table(&mut self, name: &[u8]) -> std::result::Result<(), WriteStopped> {
        if let Some(id) = self.table(name) {
            self.tx.clear_table(id)?;
            self.cleared.insert(id);
            self.added.remove(&id);
        }
        Ok(())
    }

    /// Applies one change. Values that it stores expire at `expires_ms`.
    fn apply(&mut self, op: &Op<'_>, expires_ms: Option<i64>) -> std::result::Result<(), WriteStopped> {
        match op {
            Op::Put(table, name, value) => {
                let id = self.make_table(&table.name)?;
                self.add(id, &stored_name(table, name), Some(value), expires_ms)
            }
            Op::Remove(table, name) => match self.table(&table.name) {
                Some(id) => self.add(id, &stored_name(table, name), None, None),
                None => Ok(()),
            },
            Op::Clear(table) => self.clear_table(&table.name),
        }
    }

    /// The existing tables with their entries and bytes.
    pub fn tables(&self) -> impl Iterator<Item = (TableId, [i64; 2])> {
        let known = self.base.tables.iter().map(|one| (one.row.id, one.now()));
        let made = self.new_tables.iter().map(|(_, id)| (*id, [0; 2]));
        known
            .chain(made)
            .filter(|(id, _)| !self.cleared.contains(id))
            .map(|(id, now)| {
                let added = self.added.get(&id).copied().unwrap_or_default();
                (id, [now[0] + added[0], now[1] + added[1]])
            })
    }

    /// Bytes of all tables.
    fn bytes(&self) -> u64 {
        let bytes = self.tables().map(|(_, [_, bytes])| bytes).sum::<i64>();
        u64::try_from(bytes).unwrap_or(0)
    }

    /// Removes some expired entries of other writes.
    fn remove_expired(&mut self, now_ms: i64) -> std::result::Result<(), WriteStopped> {
        for row in self.tx.log.expired(now_ms, EXPIRED)? {
            if !self.is_own(row.id) {
                self.remove_row(row.id, row.table, &row.name)?;
            }
        }
        Ok(())
    }

    /// Removes the oldest entries until all tables take at most `limit` bytes. The entries of one write are removed
    /// together.
    fn evict(&mut self, limit: u64) -> std::result::Result<(), WriteStopped> {
        if self.bytes() <= limit {
            return Ok(());
        }
        let (tx, mut last_write) = (self.tx, None);
        tx.oldest_entries(|row| {
            let is_of_last_write = last_write == Some(write_of(row.id));
            if self.is_own(row.id) || !is_of_last_write && self.bytes() <= limit {
                return Ok(false);
            }
            if self.remove_row(row.id, row.table, &row.name)? {
                last_write = Some(write_of(row.id));
            }
            Ok::<_, WriteStopped>(true)
        })
    }

    fn is_own(&self, row: i64) -> bool {
        row > last_row(Sequence(self.tx.sequence().0 - 1))
    }

    /// Removes a row, and the entry if the row is its newest. Returns whether it removed an entry.
    fn remove_row(&mut self, row: i64, table: TableId, name: &[u8]) -> std::result::Result<bool, WriteStopped> {
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
    /// Applies `ops` to tables of this store, all or nothing. Also removes expired entries, and the oldest entries
    /// beyond the limit. Entries that one call wrote are removed together.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; errors of the store.
    pub fn write(&self, ops: &[Op<'_>], terms: &Terms) -> Result<()> {
        for op in ops {
            if let Op::Put(_, name, _) | Op::Remove(_, name) = op {
                check_length("the name of the entry", name.len(), LONGEST_NAME)?;
            }
            if let Op::Put(_, _, value) = op {
                check_length("the value", value.len(), LONGEST_VALUE)?;
            }
        }
        self.retry(|| {
            // Catch up first, so that little is left to read within the write.
            drop(self.catch_up()?);
            let Ok(written) = self.write_once(ops, terms)? else {
                self.rebuild(self.catch_up()?)?;
                return Ok(None);
            };
            self.publish(written);
            Ok(Some(()))
        })
    }

    /// Removes all entries of all tables.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn clear(&self) -> Result<()> {
        RecordRows(&self.store).clear_tables(Deadline::NONE)?;
        Sweeper(&self.store).sweep_segments();
        Ok(())
    }

    /// Runs the write in one transaction. Writes nothing if segments must be rebuilt first.
    fn write_once(&self, ops: &[Op<'_>], terms: &Terms) -> Result<std::result::Result<CommittedWrite, SegmentsLost>> {
        let lost = Cell::new(None);
        let done = RecordRows(&self.store).write_records(Deadline::NONE, |tx| {
            self.write_in(tx, ops, terms).map_err(|stopped| match stopped {
                WriteStopped::Failed(error) => error,
                WriteStopped::SegmentsLost => {
                    lost.set(Some(SegmentsLost));
                    rusqlite::Error::InvalidQuery // rolls back
                }
            })
        });
        lost.get().map_or(done.map(Ok), |lost| Ok(Err(lost)))
    }

    /// Writes in a transaction, on the snapshot of the tables, or on a new one if the manifest has changed.
    fn write_in(
        &self,
        tx: &RecordTx<'_>,
        ops: &[Op<'_>],
        terms: &Terms,
    ) -> std::result::Result<CommittedWrite, WriteStopped> {
        let incarnation = self.store.incarnation();
        let before = self.snapshot.read();
        let is_known = before.number > 0 && before.open.incarnation == incarnation && !before.is_lost();
        let mut state = tx.log.state(is_known.then(|| before.since()), LONG)?;
        let newer = if state.manifest.is_some() {
            Vec::new()
        } else {
            mem::take(&mut state.rows)
        };
        let loaded = state.manifest.is_some().then(|| self.load(&before, incarnation, state));
        let base = loaded.as_ref().unwrap_or(&before);
        if base.is_lost() {
            return Err(WriteStopped::SegmentsLost);
        }
        let mut batch = WriteBatch::new(tx, base);
        for row in newer {
            let counts = counted(batch.find((row.table, &row.name))?.as_ref());
            batch.push(owned(row, false), counts);
        }
        batch.first_own = batch.records.len();
        let now_ms = self.clock.now_ms();
        let expires_ms = expiry(terms.ttl, now_ms);
        for op in ops {
            batch.apply(op, expires_ms)?;
        }
        batch.remove_expired(now_ms)?;
        batch.evict(terms.limit.unwrap_or(u64::MAX))?;
        let many = self.records.are_many(tx, batch.records.len() - batch.first_own)?;
        if many {
            self.records.flush(tx)?;
        }
        Ok(CommittedWrite {
            incarnation,
            at: tx.sequence(),
            needs_reload: many || batch.first_own > 0 || !batch.new_tables.is_empty() || !batch.cleared.is_empty(),
            has_flushed: many,
            records: batch.records.split_off(batch.first_own),
        })
    }

    /// Adds the write to the snapshot, and advances the merge under way.
    fn publish(&self, written: CommittedWrite) {
        let count = written.records.len();
        if written.needs_reload {
            // The write is stored, so an error of this reload is dropped: the next reader meets it again and reports
            // it.
            drop(self.catch_up());
        } else {
            let _catching_up = self.snapshot.lock();
            let snapshot = self.snapshot.read();
            if self.snapshot.lacks_only(&snapshot, written.incarnation, written.at) && !snapshot.is_lost() {
                for record in written.records {
                    snapshot.push(record);
                }
                snapshot.advance_to(written.at);
            }
        }
        self.records.merge_some(count, written.has_flushed, Deadline::NONE);
    }
}

/// Returns when a value that is written now expires, Unix ms.
fn expiry(ttl: Ttl, now_ms: i64) -> Option<i64> {
    match ttl {
        Ttl::Forever => None,
        Ttl::Zero => Some(now_ms),
        Ttl::For(time) => Some(now_ms.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))),
    }
}

/// An entry's name as it is stored.
fn stored_name<'n>(table: &Table, name: &'n [u8]) -> std::borrow::Cow<'n, [u8]> {
    if table.folds {
        name.to_ascii_lowercase().into()
    } else {
        name.into()
    }
}
