//! Writes and removes the entries of hosts' tables, and confirmed matches.

use rusqlite::ffi::SQLITE_CORRUPT;
use rusqlite::types::ToSql;
use rusqlite::{OptionalExtension, params};

use super::doubts::has_doubted_paths;
use super::library_rows::LibraryRow;
use super::record_encoding::{RecordKind, encode_match, row_size, spelling_of, stored_total, sum_of, total_in};
use super::record_rows::{
    RecordRows, entry_named, matches_of_file, matches_where, path_of_item, taken_back_at, to_i64,
};
use super::schema::{CachedStatements, LibraryState, Tx, failure, position_of, sequence_at};
use super::store::DatabaseNumber;
use crate::engine::record_rows::{RecordTime, StoredMatch};
use crate::error::Result;
use crate::matching::normal::normal_form;
use crate::model::{Sequence, TableId};
use crate::platform::clock::Deadline;

/// Number of removed names that are kept for those who follow.
const REMOVED_KEPT: i64 = 8_192;
/// Maximum number of rows that one step of a sweep deletes.
const SWEPT_PER_STEP: i64 = 400;

/// The rows that share a size limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// All rows of a kind.
    All(RecordKind),
    /// The entries of one table.
    Table(TableId),
}

/// When a match was recorded.
#[derive(Clone, Copy, Debug)]
pub enum MatchTime {
    /// Now, and later than what was known of the path.
    NowAfter(RecordTime),
    /// At this time, on another host or for another token.
    At(RecordTime),
}

/// Maximum number of older matches that a write evicts, if it does not record more.
const MAX_EVICTED: usize = 128;

/// A write of confirmed matches.
pub struct MatchWrite {
    /// The database and the change sequence of the write.
    pub at: (DatabaseNumber, Sequence),
    /// Whether the write removed older matches.
    pub has_evicted: bool,
    /// Number of matches that it recorded.
    pub recorded: usize,
}

impl RecordRows<'_> {
    /// Records confirmed matches in one transaction. `pairs`: paths with their rating keys. `unlisted`: those of these keys
    /// that the library does not list, so that their items are doubted. `keeps`: records none for a file that has a match.
    /// `limit`: the maximum size of all matches, in bytes; older ones go. Returns `None` if the library no longer exists,
    /// because another call cleared it.
    pub fn record_matches(
        &self,
        row: &LibraryRow,
        (pairs, keeps): (&[(&[u8], &str)], bool),
        unlisted: &[&str],
        limit: u64,
        deadline: Deadline,
    ) -> Result<Option<MatchWrite>> {
        // Read the database before the write. If the write creates a new database, callers then ignore this result,
        // because its database is outdated.
        let database_number = self.0.database_number();
        self.0.write(deadline, |tx| {
            // The library's view or listing may have changed since the caller read `row`, so read the library again,
            // unless this connection also made the last write and has the current state.
            let cached = tx.last_library.filter(|library| library.id == row.id);
            let Some(mut library) = cached.map_or_else(|| tx.expect_library(row.id), Ok).optional()? else {
                return Ok(None);
            };
            let table = find_or_create_match_table(tx, &mut library)?;
            tx.is_shared.set(library.is_shared);
            // `cached` is set only for a library without doubts about paths.
            let has_doubted_paths = cached.is_none() && has_doubted_paths(tx, row.id)?;
            let mut recorded = Vec::new();
            for (path, key) in pairs {
                if keeps && !matches_of_file(tx, table, path, &normal_form(path))?.is_empty() {
                    continue;
                }
                if has_doubted_paths {
                    tx.end_doubts_of_path(row.id, normal_form(path))?; // the host's word ends its doubt
                }
                let after = taken_back_at(tx, &library, path)?;
                let after = after.max(taken_back_at(tx, &library, &path_of_item(key))?);
                tx.put_match(table, path, key, MatchTime::NowAfter(after))?;
                recorded.push(*key);
            }
            for key in unlisted.iter().filter(|key| !keeps || recorded.contains(key)) {
                tx.doubt_path_or_item(row.id, b"", key)?;
            }
            // Keep the library's state for the next write, unless doubted paths may remain.
            tx.known.library.set(Some(library).filter(|_| !has_doubted_paths));
            let most = MAX_EVICTED.max(2 * pairs.len());
            let has_evicted = tx.evict(Limited::All(RecordKind::Matches), limit, most)?;
            Ok(Some(MatchWrite {
                at: (database_number, tx.sequence),
                has_evicted,
                recorded: recorded.len(),
            }))
        })
    }
}

impl RecordRows<'_> {
    /// Clears all hosts' tables. Later writes delete the rows.
    pub fn clear_tables(&self, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            tx.run("UPDATE tables SET name = NULL WHERE name IS NOT NULL", [])?;
            tables_changed(tx)
        })
    }
}

/// Marks the list of tables as changed, so that readers read it again.
fn tables_changed(tx: &Tx<'_>) -> rusqlite::Result<()> {
    tx.run("UPDATE meta SET tables_changed = ?1, sequence = ?1", [tx.sequence])
}

/// Returns the id of a library's match table. If there is no table, creates one and stores its id in `library`. The
/// caller has read `library` in this transaction, or knows that it is current.
pub fn find_or_create_match_table(tx: &Tx<'_>, library: &mut LibraryState) -> rusqlite::Result<TableId> {
    if let Some(table) = library.matches {
        return Ok(table);
    }
    tx.run("INSERT INTO tables (library) VALUES (?1)", [library.id])?;
    let table = TableId(tx.last_insert_rowid());
    library.matches = Some(table);
    Ok(table)
}

/// The conditions for the entry with a name, and for the match of exactly a path.
const SAME_ENTRY: &str = "in_table = ?1 AND name = ?2";
const SAME_MATCH: &str = "in_table = ?1 AND form = ?2 AND spelling = ?3";

/// A row to delete: its id, its table, the entry's name or the form of the match's path, and its size, as limits count it.
type OldRow = (i64, TableId, Vec<u8>, i64);

impl Tx<'_> {
    /// Returns the total size of all rows of a kind, as limits count it.
    pub fn total(&self, kind: RecordKind) -> rusqlite::Result<i64> {
        let total = &self.known.totals[kind as usize];
        if let Some(known) = total.get() {
            return Ok(known);
        }
        let newest = format!("SELECT id, total FROM {} ORDER BY id DESC LIMIT 1", kind.table());
        let stored = self.find(&newest, [], |row| Ok(total_in(row.get(0)?, row.get(1)?)))?;
        let stored = stored.flatten().map_or_else(|| kind.count_total(self), Ok)?;
        total.set(Some(stored));
        Ok(stored)
    }

    /// Returns the id for the next row. Each call returns a new id.
    pub fn next_row_id(&self) -> i64 {
        position_of(self.sequence, self.written.replace(self.written.get() + 1))
    }

    /// Returns the time of a record that this host makes now, and that is later than another one.
    pub fn time_after(&self, after: RecordTime) -> rusqlite::Result<RecordTime> {
        let (difference_us, host) = self.host_clock()?;
        let now_us = self.common_clock.now_us(difference_us);
        Ok(RecordTime::of_host(now_us, host, after))
    }

    /// Returns the earliest time of a record that is made at this Unix time of this host, in ms.
    pub fn time_at(&self, unix_ms: i64) -> rusqlite::Result<RecordTime> {
        let (difference_us, _) = self.host_clock()?;
        Ok(RecordTime::of_unix(unix_ms, difference_us))
    }

    /// Returns what to add to this host's clock, in µs, and a number of this host.
    fn host_clock(&self) -> rusqlite::Result<(i64, i64)> {
        let clock = match self.known.clock.get() {
            Some(known) => known,
            None => self.row("SELECT clock_us, store_id FROM meta", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?,
        };
        self.known.clock.set(Some(clock));
        Ok(clock)
    }

    /// Stores, before the commit, the totals of kinds whose newest row may have gone, and trims what was removed.
    pub fn finish_records(&self) -> rusqlite::Result<()> {
        self.trim_removed()?;
        self.store_growth()?;
        for kind in RecordKind::ALL {
            if self.is_outdated[kind as usize].take() {
                kind.store_total(self, self.total(kind)?)?;
            }
        }
        Ok(())
    }

    /// Adds to the size of a host's table, if it is counted.
    fn grow(&self, kind: RecordKind, table: TableId, bytes: i64) {
        if kind == RecordKind::Matches {
            return;
        }
        let mut grown = self.grown.borrow_mut();
        match grown.iter_mut().find(|(one, _)| *one == table) {
            Some((_, total)) => *total += bytes,
            None => grown.push((table, bytes)),
        }
    }

    /// Stores the sizes of tables that have changed.
    fn store_growth(&self) -> rusqlite::Result<()> {
        self.grown.take().iter().try_for_each(|(table, bytes)| {
            let update = "UPDATE tables SET size = size + ?1 WHERE id = ?2 AND size IS NOT NULL";
            self.run(update, params![bytes, table])
        })
    }

    /// Returns the size of a host's table, and an id below which it has no entries. Counts the entries of a table that no
    /// write has limited before.
    fn table_size(&self, table: TableId) -> rusqlite::Result<(i64, i64)> {
        self.store_growth()?;
        let read = || {
            let known = "SELECT size, oldest FROM tables WHERE id = ?1";
            self.row(known, [table], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get(1)?)))
        };
        if let (Some(bytes), oldest) = read()? {
            return Ok((bytes, oldest));
        }
        let size = RecordKind::Entries.size();
        let count = format!(
            "UPDATE tables SET (size, oldest) = (SELECT coalesce(sum({size}), 0), coalesce(min(id), 0) FROM entries \
             WHERE in_table = ?1) WHERE id = ?1"
        );
        self.run(&count, [table])?;
        let (bytes, oldest) = read()?;
        Ok((bytes.unwrap_or(0), oldest))
    }

    /// Returns the size of rows that share a limit.
    pub fn size(&self, rows: Limited) -> rusqlite::Result<i64> {
        match rows {
            Limited::All(kind) => self.total(kind),
            Limited::Table(table) => Ok(self.table_size(table)?.0),
        }
    }

    /// Inserts a row of this id, table and size, in place of the one for which a condition holds. `insert`: inserts it with
    /// its total, unless there is one already.
    fn put(
        &self,
        kind: RecordKind,
        (id, table, size): (i64, TableId, i64),
        insert: &dyn Fn(i64) -> rusqlite::Result<usize>,
        (condition, values): (&str, &[&dyn ToSql]),
    ) -> rusqlite::Result<()> {
        let try_insert = || {
            let total = self.total(kind)? + size;
            let is_inserted = insert(stored_total(id, total))? > 0;
            if is_inserted {
                self.known.totals[kind as usize].set(Some(total));
                self.is_outdated[kind as usize].set(false);
                self.grow(kind, table, size);
            }
            Ok::<_, rusqlite::Error>(is_inserted)
        };
        // Most rows are new.
        if try_insert()? {
            return Ok(());
        }
        let old = self.rows_where(kind, condition, values, |_| true)?;
        old.iter().try_for_each(|old| self.delete(kind, old))?;
        if try_insert()? {
            Ok(())
        } else {
            Err(failure(SQLITE_CORRUPT)) // the index has a row that the table has not
        }
    }

    /// Stores an entry's value, in place of an earlier one. `expires_ms`: when it expires, in Unix ms; `None`: never.
    pub fn put_entry(
        &self,
        table: TableId,
        name: &[u8],
        value: &[u8],
        expires_ms: Option<i64>,
    ) -> rusqlite::Result<()> {
        let id = self.next_row_id();
        let sum = sum_of(id, table, [name, b"", value], expires_ms);
        let insert = |total: i64| {
            self.cached(
                "INSERT INTO entries (id, in_table, name, expires_ms, at, total, sum, value) \
                 VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7) ON CONFLICT (in_table, name) DO NOTHING",
            )?
            .execute(params![id, table, name, expires_ms, total, sum, value])
        };
        let new = (id, table, row_size(&[name, value]));
        let same: (_, &[&dyn ToSql]) = (SAME_ENTRY, params![table, name]);
        self.put(RecordKind::Entries, new, &insert, same)
    }

    /// Returns the value of an entry that has not expired by `now_ms`.
    pub fn value_of(&self, table: TableId, name: &[u8], now_ms: i64) -> rusqlite::Result<Option<Vec<u8>>> {
        let found = entry_named(self, table, usize::MAX, name)?;
        let found = found.filter(|entry| entry.expires_ms.is_none_or(|ms| ms > now_ms));
        Ok(found.and_then(|entry| entry.value))
    }

    /// Removes an entry if it exists.
    pub fn remove_entry(&self, table: TableId, name: &[u8]) -> rusqlite::Result<()> {
        self.remove_where(RecordKind::Entries, SAME_ENTRY, params![table, name])
            .map(drop)
    }

    /// Records a confirmed match, in place of earlier ones of this path, also in a spelling that never names another file. A
    /// later one of such a spelling stays instead.
    pub fn put_match(&self, table: TableId, path: &[u8], rating_key: &str, time: MatchTime) -> rusqlite::Result<()> {
        let form = normal_form(path);
        let same_file = matches_of_file(self, table, path, &form)?;
        let latest = same_file.iter().map(|stored| stored.at).max();
        let at = match time {
            MatchTime::NowAfter(after) => self.time_after(latest.map_or(after, |latest| latest.max(after)))?,
            MatchTime::At(at) if latest > Some(at) => return Ok(()),
            MatchTime::At(at) => at,
        };
        for stored in same_file.iter().filter(|stored| stored.path != path) {
            self.remove_match(table, &stored.path)?;
        }
        let id = self.next_row_id();
        let (spelling, sum) = encode_match(id, table, (&form, path), rating_key);
        let insert = |total: i64| {
            self.cached(
                "INSERT INTO matches (id, in_table, form, spelling, item, at, total, sum) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (in_table, form, spelling) DO NOTHING",
            )?
            .execute(params![id, table, form, spelling, rating_key, at.0, total, sum ^ at.0])
        };
        let new = (id, table, row_size(&[path, rating_key.as_bytes()]));
        let same: (_, &[&dyn ToSql]) = (SAME_MATCH, params![table, form, spelling]);
        self.put(RecordKind::Matches, new, &insert, same)
    }

    /// Removes the matches of all paths with this normal form, also damaged ones. Returns those that could be read.
    pub fn remove_matches_of_form(&self, table: TableId, form: &[u8]) -> rusqlite::Result<Vec<StoredMatch>> {
        let found = matches_where(self, table, self.sequence, "form = ?2", &[&form])?;
        let values = params![table, form];
        self.remove_where(RecordKind::Matches, "in_table = ?1 AND form = ?2", values)?;
        Ok(found.into_iter().filter_map(|(_, stored)| stored).collect())
    }

    /// Removes the match of exactly this path, if it has one.
    pub fn remove_match(&self, table: TableId, path: &[u8]) -> rusqlite::Result<()> {
        let form = normal_form(path);
        let values = params![table, form, spelling_of(&form, path)];
        self.remove_where(RecordKind::Matches, SAME_MATCH, values).map(drop)
    }

    /// Removes an item's matches, and returns them.
    pub fn remove_matches_of_item(&self, table: TableId, rating_key: &str) -> rusqlite::Result<Vec<StoredMatch>> {
        let found = matches_where(self, table, self.sequence, "item = ?2", &[&rating_key])?;
        let found: Vec<StoredMatch> = found.into_iter().filter_map(|(_, stored)| stored).collect();
        found
            .iter()
            .try_for_each(|stored| self.remove_match(table, &stored.path))?;
        Ok(found)
    }

    /// Returns the rows of a kind for which a condition holds, up to the first that `takes` rejects.
    fn rows_where(
        &self,
        kind: RecordKind,
        condition: &str,
        values: &[&dyn ToSql],
        mut takes: impl FnMut(&OldRow) -> bool,
    ) -> rusqlite::Result<Vec<OldRow>> {
        let [name, size, table] = [kind.name(), kind.size(), kind.table()];
        let text = format!("SELECT id, in_table, {name}, {size} FROM {table} WHERE {condition}");
        let mut found = self.cached(&text)?;
        let mut found = found.query(values)?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let old = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            if !takes(&old) {
                break;
            }
            rows.push(old);
        }
        Ok(rows)
    }

    /// Removes the rows of a kind for which a condition holds. Returns their number.
    fn remove_where(&self, kind: RecordKind, condition: &str, values: &[&dyn ToSql]) -> rusqlite::Result<usize> {
        let rows = self.rows_where(kind, condition, values, |_| true)?;
        rows.iter().try_for_each(|row| self.remove(kind, row))?;
        Ok(rows.len())
    }

    /// Deletes a row, and tells those who follow.
    fn remove(&self, kind: RecordKind, old: &OldRow) -> rusqlite::Result<()> {
        self.delete(kind, old)?;
        self.removed_now.set(self.removed_now.get() + 1);
        let (_, table, name, _) = old;
        self.run(
            "INSERT INTO removed (id, number, in_table, name) \
             VALUES (?1, (SELECT number + 1 FROM removed ORDER BY id DESC LIMIT 1), ?2, ?3)",
            params![self.next_row_id(), table, name],
        )
    }

    /// Forgets as many old removals as this transaction made, and some more.
    fn trim_removed(&self) -> rusqlite::Result<()> {
        let added = self.removed_now.take();
        if added == 0 {
            return Ok(());
        }
        self.run(
            "DELETE FROM removed WHERE id IN (SELECT id FROM removed ORDER BY id LIMIT ?1) \
             AND number <= (SELECT number FROM removed ORDER BY id DESC LIMIT 1) - ?2",
            [2 * added + 8, REMOVED_KEPT],
        )
    }

    /// Deletes a row that nobody follows.
    fn delete(&self, kind: RecordKind, &(id, table, _, bytes): &OldRow) -> rusqlite::Result<()> {
        let total = self.total(kind)? - bytes; // reads it before it goes with the row
        self.known.totals[kind as usize].set(Some(total));
        let delete = format!("DELETE FROM {} WHERE id = ?1", kind.table());
        self.run(&delete, [id])?;
        self.grow(kind, table, -bytes);
        self.is_outdated[kind as usize].set(true);
        Ok(())
    }

    /// Removes at most `most` expired entries, but none that this transaction wrote, which expire at once if their TTL is
    /// 0. Returns whether it removed any.
    pub fn remove_expired(&self, now_ms: i64, most: usize) -> rusqlite::Result<bool> {
        let condition = "expires_ms <= ?1 AND id < ?2 ORDER BY expires_ms LIMIT ?3";
        let first_own = position_of(self.sequence, 0);
        let values = params![now_ms, first_own, to_i64(most)];
        Ok(self.remove_where(RecordKind::Entries, condition, values)? > 0)
    }

    /// Deletes some rows of a cleared table, or the table's row if no rows are left. Returns whether there was a cleared
    /// table, so that a later call must continue.
    pub fn sweep_step(&self) -> rusqlite::Result<bool> {
        // A removed library has a negative `view_id`.
        let cleared = "SELECT id FROM tables WHERE name IS NULL \
                       AND (library IS NULL OR library IN (SELECT id FROM libraries WHERE view_id < 0)) LIMIT 1";
        let Some(id) = self.find_value::<TableId>(cleared, [])? else {
            return Ok(false);
        };
        for kind in RecordKind::ALL {
            let rows = self.rows_where(kind, "in_table = ?1 LIMIT ?2", params![id, SWEPT_PER_STEP], |_| true)?;
            rows.iter().try_for_each(|row| self.delete(kind, row))?;
            if !rows.is_empty() {
                return Ok(true);
            }
        }
        self.run("DELETE FROM tables WHERE id = ?1", [id])?;
        Ok(true)
    }

    /// Removes those of `rows` that were written longest ago until their size is at most `limit`, but about `most` at most,
    /// and none that this transaction wrote. Of these rows, those of one transaction go together. Rows of cleared tables,
    /// which nobody can read, go before all rows of a kind. Returns whether it removed any that could be read.
    pub fn evict(&self, rows: Limited, limit: u64, most: usize) -> rusqlite::Result<bool> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (kind, table, from, mut size) = match rows {
            Limited::All(kind) => {
                let mut steps = 0..=to_i64(most) / SWEPT_PER_STEP;
                while self.total(kind)? > limit && self.sweep_step()? {
                    if steps.next().is_none() {
                        return Ok(false); // a later write goes on
                    }
                }
                (kind, None, 0, self.total(kind)?)
            }
            Limited::Table(table) => {
                let (size, oldest) = self.table_size(table)?;
                (RecordKind::Entries, Some(table), oldest, size)
            }
        };
        if size <= limit {
            return Ok(false);
        }
        let first_own = position_of(self.sequence, 0);
        let (mut evicted, mut next, mut last_sequence) = (0, first_own, None);
        // By id, without the index of the names, whose rows SQLite would have to sort.
        let condition = "id >= ?1 AND id < ?2 AND (?3 IS NULL OR +in_table = ?3) ORDER BY id";
        let oldest = self.rows_where(kind, condition, params![from, first_own, table], |(id, .., bytes)| {
            let sequence = Some(sequence_at(*id, self.sequence));
            let is_over = size > limit && evicted < most;
            if !is_over && (last_sequence != sequence || evicted >= 2 * most) {
                next = *id;
                return false;
            }
            size -= bytes;
            (evicted, last_sequence) = (evicted + 1, sequence);
            true
        })?;
        let is_shared = kind == RecordKind::Matches && self.has("SELECT 1 FROM shared", [])?;
        for row in &oldest {
            if is_shared {
                // What is deleted to keep the limit is not taken back.
                self.run(
                    "UPDATE shared SET lost = lost + 1 WHERE delivered < ?1 AND view_id = \
                     (SELECT l.view_id FROM tables t JOIN libraries l ON l.id = t.library WHERE t.id = ?2)",
                    params![row.0, row.1],
                )?;
            }
            self.remove(kind, row)?;
        }
        if let Some(table) = table {
            self.run("UPDATE tables SET oldest = ?1 WHERE id = ?2", params![next, table])?;
        }
        Ok(evicted > 0)
    }

    /// Returns the id of the host's table with this name; `None` if it does not exist.
    pub fn table(&self, name: &[u8]) -> rusqlite::Result<Option<TableId>> {
        self.find_value("SELECT id FROM tables WHERE name = ?1", [name])
    }

    /// Creates a table with this name, and returns its id.
    pub fn make_table(&self, name: &[u8]) -> rusqlite::Result<TableId> {
        self.run("INSERT INTO tables (name) VALUES (?1)", [name])?;
        let id = self.last_insert_rowid();
        tables_changed(self)?;
        Ok(TableId(id))
    }

    /// Clears a table in constant time. The table's id becomes invalid, and later writes delete the table's rows.
    pub fn clear_table(&self, id: TableId) -> rusqlite::Result<()> {
        self.run("UPDATE tables SET name = NULL WHERE id = ?1", [id])?;
        tables_changed(self)
    }
}

#[cfg(test)]
#[path = "record_writes_tests.rs"]
mod tests;
