//! Writes to tables.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use super::table::{Op, Table};
use super::tables::{LONGEST_NAME, MAX_VALUE_BYTES, TableLimits, Tables, encode};
use crate::engine::memtable::NewRecord;
use crate::engine::record_rows::{MAX_INLINE, StoredEntry};
use crate::engine::sql::{DatabaseNumber, Limited, RecordKind, RecordRows, RecordTx};
use crate::error::{Result, check_length};
use crate::model::{Sequence, TableId};
use crate::options::Ttl;
use crate::platform::clock::Deadline;

/// Number of writes of a process, of which the first tidies: to look for what is dead takes a fifth of a write's time.
const TIDY_EVERY: u32 = 8;
/// Maximum number of expired entries that one write removes.
const MAX_EXPIRED: usize = 80;
/// Maximum number of older entries that a write evicts, if it does not store more.
const MAX_EVICTED: usize = 256;

/// The table and the name of an entry that was stored; without its value, removed.
type WrittenEntry<'o> = (TableId, Cow<'o, [u8]>, Option<StoredEntry>);

/// A write that is committed.
struct CommittedWrite<'o> {
    database_number: DatabaseNumber,
    sequence: Sequence,
    /// The entries that it stored or removed; `None` if there were other changes, which the snapshot must read.
    entries: Option<Vec<WrittenEntry<'o>>>,
}

impl Tables {
    /// Applies all of `ops` in one transaction. If a table that it writes then exceeds the size limit, also removes expired
    /// entries and the table's oldest entries. Every [`TIDY_EVERY`]th call removes some expired entries and rows of cleared tables. `limits`: when
    /// the values of `ops` expire, and the size limit.
    ///
    /// # Errors
    /// [`crate::error::Status::InvalidArgument`]; store errors.
    pub fn write(&self, ops: &[Op<'_>], limits: &TableLimits) -> Result<()> {
        self.write_after(ops, limits, |_| Ok(()))
    }

    /// Applies one change, like [`Tables::write`]. Returns the value that was there before, unless it had expired.
    ///
    /// # Errors
    /// As [`Tables::write`].
    pub fn write_one(&self, op: Op<'_>, limits: &TableLimits) -> Result<Option<Vec<u8>>> {
        self.write_after(&[op], limits, |write| match op {
            Op::Put(table, name, _) | Op::Add(table, name, _) | Op::Remove(table, name) => write.value(table, name),
            Op::Clear(_) => Ok(None),
        })
    }

    /// Applies all of `ops`, and returns what `read` returned before them in the same transaction.
    fn write_after<T>(
        &self,
        ops: &[Op<'_>],
        limits: &TableLimits,
        read: impl Fn(&Write<'_, '_, '_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        for op in ops {
            if let Op::Put(_, name, _) | Op::Add(_, name, _) | Op::Remove(_, name) = op {
                check_length("the name of the entry", name.len(), LONGEST_NAME)?;
            }
            if let Op::Put(_, _, value) | Op::Add(_, _, value) = op {
                check_length("the value", value.len(), MAX_VALUE_BYTES)?;
            }
        }
        // If the write creates a new database, the snapshot does not have this number.
        let database_number = self.store.database_number();
        let now_ms = self.clock.now_ms();
        let tidies = self.writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(TIDY_EVERY);
        let (committed, found) = RecordRows(&self.store).write_records(Deadline::NONE, |tx| {
            let mut write = Write {
                tx,
                now_ms,
                expires_ms: expiry(limits.ttl, now_ms),
                entries: Some(Vec::new()),
            };
            let found = read(&write)?;
            for op in ops {
                write.apply(op)?;
            }
            if tidies {
                write.tidy()?;
            }
            if let Some(limit) = limits.limit {
                write.keep_limit(ops, limit)?;
            }
            let committed = CommittedWrite {
                database_number,
                sequence: tx.tx.sequence,
                entries: write.entries,
            };
            Ok((committed, found))
        })?;
        self.publish(&committed);
        Ok(found)
    }

    /// Removes all entries of all tables.
    ///
    /// # Errors
    /// Store errors.
    pub fn clear(&self) -> Result<()> {
        RecordRows(&self.store).clear_tables(Deadline::NONE)
    }

    /// Adds a committed write to the snapshot if it lacks no other commit. Otherwise, the next lookup reads the changes.
    fn publish(&self, committed: &CommittedWrite<'_>) {
        let Some(entries) = &committed.entries else { return };
        let _catching_up = self.snapshot.lock();
        let snapshot = self.snapshot.read();
        if snapshot.number == 0
            || !self
                .snapshot
                .lacks_only(&snapshot, committed.database_number, committed.sequence)
        {
            return;
        }
        let encoded: Vec<Option<Vec<u8>>> = entries.iter().map(|(.., entry)| entry.as_ref().map(encode)).collect();
        let records = entries.iter().zip(&encoded);
        let records = records.map(|((table, name, _), payload)| (*table, NewRecord::new(name, payload.as_deref())));
        self.entries(committed.database_number)
            .commit(committed.sequence, records);
        snapshot.advance_to(committed.sequence);
    }
}

/// A running write.
struct Write<'w, 't, 'o> {
    tx: &'w RecordTx<'t>,
    now_ms: i64,
    /// When stored values expire, in Unix ms; `None`: never.
    expires_ms: Option<i64>,
    /// [`CommittedWrite::entries`].
    entries: Option<Vec<WrittenEntry<'o>>>,
}

impl<'o> Write<'_, '_, 'o> {
    /// Returns an entry's value, unless it has expired.
    fn value(&self, table: &Table, name: &[u8]) -> rusqlite::Result<Option<Vec<u8>>> {
        match self.tx.table(&table.name)? {
            Some(id) => self.tx.value_of(id, &stored_name(table, name), self.now_ms),
            None => Ok(None),
        }
    }

    /// Applies one change.
    fn apply(&mut self, op: &Op<'o>) -> rusqlite::Result<()> {
        let (table, name, value) = match *op {
            Op::Put(table, name, value) => (table, name, Some(value)),
            Op::Add(table, name, value) => {
                if self.value(table, name)?.is_some() {
                    return Ok(());
                }
                (table, name, Some(value))
            }
            Op::Remove(table, name) => (table, name, None),
            Op::Clear(table) => {
                if let Some(id) = self.tx.table(&table.name)? {
                    self.tx.clear_table(id)?;
                    self.entries = None;
                }
                return Ok(());
            }
        };
        let id = match (self.tx.table(&table.name)?, value) {
            (Some(id), _) => id,
            (None, None) => return Ok(()),
            (None, Some(_)) => {
                self.entries = None;
                self.tx.make_table(&table.name)?
            }
        };
        let name = stored_name(table, name);
        match value {
            Some(value) => self.tx.put_entry(id, &name, value, self.expires_ms)?,
            None => self.tx.remove_entry(id, &name)?,
        }
        if let Some(entries) = &mut self.entries {
            let entry = value.map(|value| StoredEntry {
                length: value.len() as u64,
                value: (value.len() <= MAX_INLINE).then(|| value.to_vec()),
                expires_ms: self.expires_ms,
            });
            entries.push((id, name, entry));
        }
        Ok(())
    }

    /// Removes some expired entries, and rows of cleared tables: as many steps as if each write took one.
    fn tidy(&mut self) -> rusqlite::Result<()> {
        self.remove_expired()?;
        for _ in 0..TIDY_EVERY {
            if !self.tx.sweep_step()? {
                break;
            }
        }
        Ok(())
    }

    /// Removes expired entries, then the oldest, until the tables that `ops` write have at most `limit` bytes: each one, or
    /// all tables of the store together ([`Table::is_limited_with_all`]).
    fn keep_limit(&mut self, ops: &[Op<'_>], limit: u64) -> rusqlite::Result<()> {
        let mut limited = Vec::new();
        for op in ops {
            let (Op::Put(table, ..) | Op::Add(table, ..)) = op else {
                continue;
            };
            let rows = match self.tx.table(&table.name)? {
                _ if table.is_limited_with_all => Limited::All(RecordKind::Entries),
                Some(id) => Limited::Table(id),
                None => continue, // a later change of this write cleared it
            };
            if !limited.contains(&rows) {
                limited.push(rows);
            }
        }
        limited.into_iter().try_for_each(|rows| self.evict(rows, limit))
    }

    /// Removes expired entries, then the oldest, until `rows` have at most `limit` bytes.
    fn evict(&mut self, rows: Limited, limit: u64) -> rusqlite::Result<()> {
        let is_over =
            |tx: &RecordTx<'_>| -> rusqlite::Result<bool> { Ok(u64::try_from(tx.size(rows)?).unwrap_or(0) > limit) };
        if !is_over(self.tx)? {
            return Ok(());
        }
        self.entries = None;
        let most = MAX_EVICTED.max(2 * self.tx.written());
        let mut removed = 0;
        while removed < most && is_over(self.tx)? && self.remove_expired()? {
            removed += MAX_EXPIRED;
        }
        self.tx.evict(rows, limit, most).map(drop)
    }

    fn remove_expired(&mut self) -> rusqlite::Result<bool> {
        let has_removed = self.tx.remove_expired(self.now_ms, MAX_EXPIRED)?;
        if has_removed {
            self.entries = None;
        }
        Ok(has_removed)
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
fn stored_name<'n>(table: &Table, name: &'n [u8]) -> Cow<'n, [u8]> {
    if table.ignores_case {
        name.to_ascii_lowercase().into()
    } else {
        name.into()
    }
}
