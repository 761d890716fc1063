//! Entries of hosts' tables, and confirmed matches, in the order of their writes.
//!
//! A row's id is the position of its write ([`position_of`]), so that readers follow the rows after their snapshot. What
//! was removed is a row in `removed` for some time. The newest row of each kind has the total size of all rows of its
//! kind. A checksum covers a row's key and value: a row with a wrong one does not count, and is logged.

use std::cell::{Cell, RefCell};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::types::ToSql;
use rusqlite::{Connection, Row, params};

use super::migrations::check_version;
use super::record_encoding::{encode_match, path_of, row_size, spelling_of, stored_total, sum_of, total_in};
use super::schema::{CachedStatements, LibraryState, Tx, last_position_of, position_of, sequence_at, sequence_of};
use super::store::Store;
use crate::engine::record_rows::{ChangedRecord, MAX_INLINE, RecordTime, StoredEntry, StoredMatch, TableChanges};
use crate::error::Result;
use crate::matching::normal::normal_form;
use crate::model::{LibraryId, Sequence, TableId, ViewId};
use crate::platform::clock::{Clock as _, Deadline, SystemClock};

/// Maximum number of changed rows that a snapshot follows one by one.
pub const MAX_FOLLOWED: i64 = 2_000;
/// Number of removed names that are kept for those who follow.
const REMOVED_KEPT: i64 = 8_192;
/// Maximum number of rows that one step of a sweep deletes.
const SWEPT_PER_STEP: i64 = 400;
/// Number of rows that one query for the oldest rows returns.
const OLDEST: i64 = 64;

/// A kind of rows: the entries of hosts' tables, or confirmed matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    Entries,
    Matches,
}

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

/// Access to a store's confirmed matches and tables.
pub struct RecordRows<'s>(pub &'s Store);

/// A write transaction on records.
pub struct RecordTx<'t> {
    pub tx: &'t Tx<'t>,
    now_ms: i64,
    /// Whether rows were deleted since the last row of this kind was written, which has the total.
    is_outdated: [Cell<bool>; 2],
    written: Cell<usize>,
    /// By how much tables have grown since `tables` was last updated.
    grown: RefCell<Vec<(TableId, i64)>>,
    /// The number of the last removal; `None` until one is made.
    removed: Cell<Option<i64>>,
    /// Number of removals that are not trimmed yet.
    removed_now: Cell<i64>,
}

/// Logs that a row does not count.
fn warn_of_damage(what: &str, table: TableId) {
    log::warn!("{what} in table {table} of the store is damaged and is ignored: record it again");
}

/// The normal form of a path, and its match; `None` if the row is damaged.
pub type MatchOfForm = (Vec<u8>, Option<StoredMatch>);

/// The columns of a match for [`match_in`].
pub const MATCH_COLUMNS: &str = "m.id, m.form, m.spelling, m.item, m.sum, m.at";

/// Reads a match from [`MATCH_COLUMNS`]; `None` if the row is damaged.
pub fn match_in(row: &Row<'_>, table: TableId, now: Sequence) -> Option<StoredMatch> {
    let read = || -> rusqlite::Result<Option<StoredMatch>> {
        let id = row.get(0)?;
        let [form, spelling] = [row.get_ref(1)?.as_blob()?, row.get_ref(2)?.as_blob()?];
        let item: String = row.get(3)?;
        let at = RecordTime(row.get(5)?);
        let sum = sum_of(id, table, [form, spelling, item.as_bytes()], None) ^ at.0;
        let is_whole = sum == row.get::<_, i64>(4)?;
        Ok(is_whole.then(|| StoredMatch {
            sequence: sequence_at(id, now),
            path: path_of(form, spelling),
            rating_key: item,
            at,
        }))
    };
    // A cell of another type is damage, too.
    let stored = read().ok().flatten();
    if stored.is_none() {
        warn_of_damage("a confirmed match", table);
    }
    stored
}

/// Returns the matches of a table for which a condition holds; `None` for a damaged row. Each has its form. `now`: the
/// current change sequence, or an earlier one.
pub fn matches_where(
    c: &Connection,
    table: TableId,
    now: Sequence,
    condition: &str,
    values: &[&dyn ToSql],
) -> rusqlite::Result<Vec<MatchOfForm>> {
    let text = format!("SELECT {MATCH_COLUMNS} FROM matches m WHERE in_table = ?1 AND {condition}");
    let mut values = values.to_vec();
    values.insert(0, &table);
    c.rows(&text, &*values, |row| {
        let form = row.get_ref(1)?.as_bytes().unwrap_or_default();
        Ok((form.to_vec(), match_in(row, table, now)))
    })
}

/// Returns the id of a library's match table; `None` if the library has no match table.
pub fn find_match_table(connection: &Connection, library: LibraryId) -> rusqlite::Result<Option<TableId>> {
    connection.find_value("SELECT id FROM tables WHERE library = ?1", [library])
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

/// Returns all confirmed matches in a library.
pub fn all_matches_of(connection: &Connection, library: LibraryId) -> rusqlite::Result<Vec<StoredMatch>> {
    let table = find_match_table(connection, library)?;
    table.map_or(Ok(Vec::new()), |table| all_matches_in(connection, table))
}

/// Removes all confirmed matches from a library in constant time: detaches their table, whose rows later writes delete.
pub fn drop_matches(tx: &Tx<'_>, library: LibraryId) -> rusqlite::Result<()> {
    tx.run("UPDATE tables SET library = NULL WHERE library = ?1", [library])
}

/// Returns all matches of a table, in the order of their forms.
pub fn all_matches_in(c: &Connection, table: TableId) -> rusqlite::Result<Vec<StoredMatch>> {
    let all = matches_where(c, table, sequence_of(c)?, "true ORDER BY form", &[])?;
    Ok(all.into_iter().filter_map(|(_, stored)| stored).collect())
}

/// Returns the number of a table's matches, or a number above `most` if there are more.
pub fn count_matches_in(c: &Connection, table: TableId, most: i64) -> rusqlite::Result<i64> {
    c.value(
        "SELECT count(*) FROM (SELECT 1 FROM matches WHERE in_table = ?1 LIMIT ?2)",
        params![table, most.saturating_add(1)],
    )
}

/// The columns of an entry for [`entry_in`]; `?2` is the maximum length of a value.
const ENTRY_COLUMNS: &str = "id, name, expires_ms, sum, length(value), CASE WHEN length(value) <= ?2 THEN value END";

/// An entry's name, and the entry; `None` if the row is damaged.
pub type NamedEntry = (Vec<u8>, Option<StoredEntry>);

/// Reads an entry from [`ENTRY_COLUMNS`]; `None` if the row is damaged.
fn entry_in(row: &Row<'_>, table: TableId) -> Option<StoredEntry> {
    let read = || -> rusqlite::Result<Option<StoredEntry>> {
        let name = row.get_ref(1)?.as_blob()?;
        let entry = StoredEntry {
            length: row.get::<_, i64>(4)?.cast_unsigned(),
            value: row.get(5)?,
            expires_ms: row.get(2)?,
        };
        let Some(value) = &entry.value else {
            return Ok(Some(entry)); // whoever reads the value checks it
        };
        let sum = sum_of(row.get(0)?, table, [name, b"", value], entry.expires_ms);
        Ok((sum == row.get::<_, i64>(3)?).then_some(entry))
    };
    let entry = read().ok().flatten();
    if entry.is_none() {
        warn_of_damage("an entry", table);
    }
    entry
}

/// Returns the entries of a table for which a condition holds. `?2` is taken.
fn entries_where(
    c: &Connection,
    table: TableId,
    max_value: usize,
    condition: &str,
    values: &[&dyn ToSql],
) -> rusqlite::Result<Vec<NamedEntry>> {
    let max_value = to_i64(max_value);
    let text = format!("SELECT {ENTRY_COLUMNS} FROM entries WHERE in_table = ?1 AND {condition}");
    let values = [&[&table as &dyn ToSql, &max_value], values].concat();
    c.rows(&text, &*values, |row| {
        let name = row.get_ref(1)?.as_bytes().unwrap_or_default();
        Ok((name.to_vec(), entry_in(row, table)))
    })
}

/// Returns the results of two queries for what was written and what was removed since a change sequence; `None` if there
/// are too many, if some removals are forgotten, or if the database is older, because it was restored. The queries return
/// ids, tables, keys and libraries. In them, `?1` is the last row before, and `?2` the limit.
fn changed_since(
    c: &Connection,
    since: Sequence,
    [written, removed]: [&str; 2],
) -> rusqlite::Result<Option<Vec<ChangedRecord>>> {
    let (now, last) = (sequence_of(c)?, last_position_of(since));
    if now == since {
        return Ok(Some(Vec::new()));
    }
    let first_removed: Option<i64> = c.value("SELECT min(id) FROM removed", [])?;
    if now < since || first_removed.is_none_or(|first| first > last) {
        return Ok(None);
    }
    let mut changed = Vec::new();
    for statement in [written, removed] {
        let rows = c.rows(statement, params![last, MAX_FOLLOWED], |row| {
            Ok(ChangedRecord {
                sequence: sequence_at(row.get(0)?, now),
                table: row.get(1)?,
                key: row.get(2)?,
                library: row.get(3)?,
            })
        })?;
        if to_i64(rows.len()) >= MAX_FOLLOWED {
            return Ok(None);
        }
        changed.extend(rows);
    }
    Ok(Some(changed))
}

/// Returns the matches in all views that have changed since a change sequence, as [`changed_since`] does.
pub fn matches_changed_since(c: &Connection, since: Sequence) -> rusqlite::Result<Option<Vec<ChangedRecord>>> {
    let queries = [
        "SELECT m.id, t.id, m.form, t.library FROM matches m JOIN tables t ON t.id = m.in_table \
         WHERE m.id > ?1 AND t.library IS NOT NULL ORDER BY m.id LIMIT ?2",
        "SELECT r.id, t.id, r.name, t.library FROM removed r JOIN tables t ON t.id = r.in_table \
         WHERE r.id > ?1 AND t.library IS NOT NULL ORDER BY r.id LIMIT ?2",
    ];
    changed_since(c, since, queries)
}

impl RecordRows<'_> {
    /// Returns the changes in hosts' tables since a change sequence; `None` if the caller has no entries. `listed`: the change
    /// sequence at which the list of tables had last changed then; `None` if the caller has no list. If `deadline` is `None`,
    /// waits only a moment for locks, and then fails.
    pub fn table_changes(
        &self,
        since: Option<Sequence>,
        listed: Option<Sequence>,
        deadline: Option<Deadline>,
    ) -> Result<TableChanges> {
        self.0.read_by(deadline, |c| {
            let sequence = sequence_of(c)?;
            if since == Some(sequence) && listed.is_some() {
                return Ok(TableChanges {
                    sequence,
                    tables: None,
                    entries: Some(Vec::new()),
                });
            }
            let changed: Sequence = c.value("SELECT tables_changed FROM meta", [])?;
            let tables = (listed != Some(changed)).then(|| -> rusqlite::Result<_> {
                let names = "SELECT id, name FROM tables WHERE name IS NOT NULL";
                Ok((changed, c.rows(names, [], |row| Ok((row.get(0)?, row.get(1)?)))?))
            });
            let queries = [
                "SELECT id, in_table, name, NULL FROM entries WHERE id > ?1 ORDER BY id LIMIT ?2",
                "SELECT id, in_table, name, NULL FROM removed WHERE id > ?1 ORDER BY id LIMIT ?2",
            ];
            Ok(TableChanges {
                sequence,
                tables: tables.transpose()?,
                entries: since.map_or(Ok(None), |since| changed_since(c, since, queries))?,
            })
        })
    }

    /// Runs `work` in a write transaction. Runs `work` again if the database was replaced.
    pub fn write_records<T>(
        &self,
        deadline: Deadline,
        mut work: impl FnMut(&RecordTx<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.0.write(deadline, |tx| RecordTx::run(tx, &mut work))
    }

    /// Clears all hosts' tables. Later writes delete the rows.
    pub fn clear_tables(&self, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            tx.run("UPDATE tables SET name = NULL WHERE name IS NOT NULL", [])?;
            tables_changed(tx)
        })
    }

    /// Returns an entry; `None` if there is none. If `deadline` is `None`, waits only a moment for locks, and then fails.
    pub fn entry(&self, table: TableId, name: &[u8], deadline: Option<Deadline>) -> Result<Option<StoredEntry>> {
        let found = self.0.query_by(deadline, |c| {
            check_version(c)?;
            entries_where(c, table, MAX_INLINE, "name = ?3", &[&name])
        })?;
        Ok(found.into_iter().next().and_then(|(_, entry)| entry))
    }

    /// Returns the next entries of a table after a name, at most `most`, in the order of their names. `after`: `None` for
    /// the first entries. If `deadline` is `None`, waits only a moment for locks, and then fails.
    pub fn entries_after(
        &self,
        table: TableId,
        after: Option<&[u8]>,
        most: usize,
        deadline: Option<Deadline>,
    ) -> Result<Vec<NamedEntry>> {
        self.0.read_by(deadline, |c| match after {
            Some(after) => {
                let condition = "name > ?4 ORDER BY name LIMIT ?3";
                entries_where(c, table, MAX_INLINE, condition, &[&to_i64(most), &after])
            }
            None => entries_where(c, table, MAX_INLINE, "true ORDER BY name LIMIT ?3", &[&to_i64(most)]),
        })
    }

    /// Passes an entry's value to `use_value` if the value has at most `max_length` bytes. Returns the value's length;
    /// `None` if there is no entry, or it has expired by `now_ms`.
    pub fn value(
        &self,
        table: TableId,
        name: &[u8],
        max_length: usize,
        now_ms: i64,
        use_value: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<usize>> {
        let found = self
            .0
            .read(|c| entries_where(c, table, max_length, "name = ?3", &[&name]))?;
        let found = found.into_iter().next().and_then(|(_, entry)| entry);
        let found = found.filter(|entry| entry.expires_ms.is_none_or(|ms| ms > now_ms));
        Ok(found.map(|entry| {
            entry.value.as_deref().map(use_value);
            usize::try_from(entry.length).unwrap_or(0)
        }))
    }

    /// Returns the first name after `after` in byte order whose entry has not expired; `None` after the last one. `after`:
    /// `None` for the first name.
    pub fn next_name(&self, table: TableId, after: Option<&[u8]>, now_ms: i64) -> Result<Option<Vec<u8>>> {
        self.0.read(|c| match after {
            Some(after) => c.find_value(
                "SELECT name FROM entries WHERE in_table = ?1 AND name > ?3 \
                 AND (expires_ms IS NULL OR expires_ms > ?2) ORDER BY name LIMIT 1",
                params![table, now_ms, after],
            ),
            None => c.find_value(
                "SELECT name FROM entries WHERE in_table = ?1 AND (expires_ms IS NULL OR expires_ms > ?2) \
                 ORDER BY name LIMIT 1",
                params![table, now_ms],
            ),
        })
    }

    /// Returns the number of a table's entries; without a table, of all tables'. Includes expired entries.
    pub fn count_entries(&self, table: Option<TableId>) -> Result<u64> {
        self.0.read(|c| {
            let tables: Vec<TableId> = match table {
                Some(table) => vec![table],
                None => c.values("SELECT id FROM tables WHERE name IS NOT NULL", [])?,
            };
            let mut count = 0;
            for table in tables {
                count += c.value::<i64>("SELECT count(*) FROM entries WHERE in_table = ?1", [table])?;
            }
            Ok(count.cast_unsigned())
        })
    }

    /// Returns the number of a view's confirmed matches.
    pub fn count_matches(&self, view_id: ViewId) -> Result<u64> {
        self.0.read(|c| {
            let tables: Vec<TableId> = c.values(
                "SELECT t.id FROM tables t JOIN libraries l ON l.id = t.library WHERE l.view_id = ?1",
                [view_id],
            )?;
            let counts = tables.into_iter().map(|table| count_matches_in(c, table, i64::MAX));
            counts.sum::<rusqlite::Result<i64>>().map(i64::cast_unsigned)
        })
    }

    /// Returns the matches of paths with a normal form at the change sequence `now`; `None` if there are newer commits. If
    /// `deadline` is `None`, waits only a moment for locks, and then fails.
    pub fn matches_of_form(
        &self,
        table: TableId,
        form: &[u8],
        now: Sequence,
        deadline: Option<Deadline>,
    ) -> Result<Option<Vec<StoredMatch>>> {
        self.0.query_by(deadline, |c| {
            check_version(c)?;
            let found = matches_where(c, table, now, "form = ?2", &[&form])?;
            // Read afterwards: if there is no newer commit now, there was none before.
            let is_current = sequence_of(c)? == now;
            Ok(is_current.then(|| found.into_iter().filter_map(|(_, stored)| stored).collect()))
        })
    }

    /// Returns the next matches of a table after a form, each with its form, in their order: `most`, and those that have
    /// the same form as the last one. Also returns the change sequence at which they were read.
    pub fn matches_after(
        &self,
        table: TableId,
        after: Option<&[u8]>,
        most: usize,
        deadline: Option<Deadline>,
    ) -> Result<(Sequence, Vec<MatchOfForm>)> {
        // No path has an empty form.
        let form = after.unwrap_or_default();
        self.0.read_by(deadline, |c| {
            let now = sequence_of(c)?;
            let mut found = matches_where(
                c,
                table,
                now,
                "form > ?2 ORDER BY form LIMIT ?3",
                &[&form, &to_i64(most)],
            )?;
            if let Some((last, _)) = found.last().cloned() {
                found.retain(|(form, _)| *form != last);
                found.extend(matches_where(c, table, now, "form = ?2", &[&last])?);
            }
            Ok((now, found))
        })
    }
}

/// Converts a length or a limit to a statement parameter.
fn to_i64(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Marks the list of tables as changed, so that readers read it again.
fn tables_changed(tx: &Tx<'_>) -> rusqlite::Result<()> {
    tx.run("UPDATE meta SET tables_changed = ?1, sequence = ?1", [tx.sequence])
}

/// A row to delete.
struct OldRow {
    id: i64,
    table: TableId,
    /// The entry's name, or the form of the match's path.
    name: Vec<u8>,
    /// The row's size, as limits count it.
    bytes: i64,
}

impl OldRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            table: row.get(1)?,
            name: row.get(2)?,
            bytes: row.get(3)?,
        })
    }
}

impl RecordKind {
    const ALL: [Self; 2] = [Self::Entries, Self::Matches];

    const fn index(self) -> usize {
        match self {
            Self::Entries => 0,
            Self::Matches => 1,
        }
    }

    /// The name of the rows' table in the database.
    const fn table(self) -> &'static str {
        match self {
            Self::Entries => "entries",
            Self::Matches => "matches",
        }
    }

    /// A row's size in SQL, as limits count it: [`row_size`].
    const fn size(self) -> &'static str {
        match self {
            Self::Entries => "length(name) + length(value) + 64",
            Self::Matches => {
                "octet_length(item) \
                 + iif(substr(spelling, 1, 1) = x'01', length(spelling) - 1, length(form)) + 64"
            }
        }
    }

    /// The name of an entry, or the form of a match's path, in SQL.
    const fn name(self) -> &'static str {
        match self {
            Self::Entries => "name",
            Self::Matches => "form",
        }
    }
}

impl<'t> RecordTx<'t> {
    /// Changes records in a running write transaction.
    pub fn run<T>(tx: &'t Tx<'t>, work: impl FnOnce(&Self) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let records = Self {
            tx,
            now_ms: SystemClock.now_ms(),
            is_outdated: Default::default(),
            written: Cell::new(0),
            grown: RefCell::default(),
            removed: Cell::default(),
            removed_now: Cell::default(),
        };
        let result = work(&records)?;
        records.finish()?;
        Ok(result)
    }

    /// Returns the number of rows that this transaction has written.
    pub fn written(&self) -> usize {
        self.written.get()
    }

    /// Returns the total size of all rows of a kind, as limits count it.
    pub fn total(&self, kind: RecordKind) -> rusqlite::Result<i64> {
        let total = &self.tx.totals[kind.index()];
        if let Some(known) = total.get() {
            return Ok(known);
        }
        let newest = format!("SELECT id, total FROM {} ORDER BY id DESC LIMIT 1", kind.table());
        let stored = self
            .tx
            .find(&newest, [], |row| Ok(total_in(row.get(0)?, row.get(1)?)))?;
        let stored = match stored {
            Some(Some(stored)) => stored,
            None => 0,
            Some(None) => self
                .tx
                .value(&format!("SELECT sum({}) FROM {}", kind.size(), kind.table()), [])?,
        };
        total.set(Some(stored));
        Ok(stored)
    }

    /// Returns the id for the next row. Each call returns a new id.
    pub fn next_row_id(&self) -> i64 {
        self.written.set(self.written.get() + 1);
        position_of(self.tx.sequence, self.tx.next_log_number())
    }

    /// Returns the time of a record that this host makes now, and that is later than another one.
    pub fn time_after(&self, after: RecordTime) -> rusqlite::Result<RecordTime> {
        let (difference_us, host) = match self.tx.clock.get() {
            Some(known) => known,
            None => self.tx.row("SELECT clock_us, store_id FROM meta", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?,
        };
        self.tx.clock.set(Some((difference_us, host)));
        let now_us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_us = i64::try_from(now_us.as_micros()).unwrap_or(i64::MAX);
        Ok(RecordTime::of_host(now_us.saturating_add(difference_us), host, after))
    }

    /// Stores the totals of kinds whose newest row may have gone.
    fn finish(&self) -> rusqlite::Result<()> {
        self.trim_removed()?;
        self.store_growth()?;
        for kind in RecordKind::ALL {
            let table = kind.table();
            if self.is_outdated[kind.index()].take()
                && let Some(newest) = self.tx.value(&format!("SELECT max(id) FROM {table}"), [])?
            {
                let total = stored_total(newest, self.total(kind)?);
                let update = format!("UPDATE {table} SET total = ?1 WHERE id = ?2");
                self.tx.run(&update, [total, newest])?;
            }
        }
        Ok(())
    }

    /// Adds to the size of a table, if it is counted.
    fn grow(&self, table: TableId, bytes: i64) {
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
            self.tx.run(update, params![bytes, table])
        })
    }

    /// Returns the size of a host's table, and an id below which it has no entries. Counts the entries of a table that no
    /// write has limited before.
    fn table_size(&self, table: TableId) -> rusqlite::Result<(i64, i64)> {
        self.store_growth()?;
        let read = || {
            let known = "SELECT size, oldest FROM tables WHERE id = ?1";
            self.tx
                .row(known, [table], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get(1)?)))
        };
        if let (Some(bytes), oldest) = read()? {
            return Ok((bytes, oldest));
        }
        let size = RecordKind::Entries.size();
        let count = format!(
            "UPDATE tables SET (size, oldest) = (SELECT coalesce(sum({size}), 0), coalesce(min(id), 0) FROM entries \
             WHERE in_table = ?1) WHERE id = ?1"
        );
        self.tx.run(&count, [table])?;
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
        let total = self.total(RecordKind::Entries)? + row_size(&[name, value]);
        // Most names are new.
        let inserted = self
            .tx
            .cached(
                "INSERT INTO entries (id, in_table, name, expires_ms, at, total, sum, value) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (in_table, name) DO NOTHING",
            )?
            .execute(params![
                id,
                table,
                name,
                expires_ms,
                self.now_ms,
                stored_total(id, total),
                sum,
                value
            ])?;
        self.grow(table, row_size(&[name, value]));
        if inserted > 0 {
            self.set_written(RecordKind::Entries, total);
            return Ok(());
        }
        let (old_id, old_length): (i64, i64) = self.tx.row(
            "SELECT id, length(value) FROM entries WHERE in_table = ?1 AND name = ?2",
            params![table, name],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let old_size = row_size(&[name]) + old_length;
        self.grow(table, -old_size);
        let total = total - old_size;
        self.tx.run(
            "UPDATE entries SET id = ?1, expires_ms = ?2, at = ?3, total = ?4, sum = ?5, value = ?6 WHERE id = ?7",
            params![id, expires_ms, self.now_ms, stored_total(id, total), sum, value, old_id],
        )?;
        self.set_written(RecordKind::Entries, total);
        Ok(())
    }

    /// Stores the total that the newest row of a kind has.
    fn set_written(&self, kind: RecordKind, total: i64) {
        self.tx.totals[kind.index()].set(Some(total));
        self.is_outdated[kind.index()].set(false);
    }

    /// Returns the value of an entry that has not expired by `now_ms`.
    pub fn value_of(&self, table: TableId, name: &[u8], now_ms: i64) -> rusqlite::Result<Option<Vec<u8>>> {
        let found = entries_where(self.tx, table, usize::MAX, "name = ?3", &[&name])?;
        let found = found.into_iter().find_map(|(_, entry)| entry);
        Ok(found
            .filter(|entry| entry.expires_ms.is_none_or(|ms| ms > now_ms))
            .and_then(|entry| entry.value))
    }

    /// Removes an entry if it exists.
    pub fn remove_entry(&self, table: TableId, name: &[u8]) -> rusqlite::Result<()> {
        let values = params![table, name];
        self.remove_where(RecordKind::Entries, "in_table = ?1 AND name = ?2", values)
            .map(drop)
    }

    /// Records a confirmed match, in place of an earlier one of exactly this path. Returns its time.
    pub fn put_match(
        &self,
        table: TableId,
        path: &[u8],
        rating_key: &str,
        time: MatchTime,
    ) -> rusqlite::Result<RecordTime> {
        let mut at = match time {
            MatchTime::NowAfter(after) => self.time_after(after)?,
            MatchTime::At(at) => at,
        };
        let id = self.next_row_id();
        let (form, spelling, sum) = encode_match(id, table, path, rating_key);
        let total = self.total(RecordKind::Matches)? + row_size(&[path, rating_key.as_bytes()]);
        let inserted = self
            .tx
            .cached(
                "INSERT INTO matches (id, in_table, form, spelling, item, at, total, sum) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (in_table, form, spelling) DO NOTHING",
            )?
            .execute(params![
                id,
                table,
                form,
                spelling,
                rating_key,
                at.0,
                stored_total(id, total),
                sum ^ at.0
            ])?;
        if inserted > 0 {
            self.set_written(RecordKind::Matches, total);
            return Ok(at);
        }
        let (old_id, old_length, old_at): (i64, i64, i64) = self.tx.row(
            "SELECT id, octet_length(item), at FROM matches WHERE in_table = ?1 AND form = ?2 AND spelling = ?3",
            params![table, form, spelling],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        if let MatchTime::NowAfter(_) = time
            && at.0 <= old_at
        {
            at = self.time_after(RecordTime(old_at))?;
        }
        let total = total - row_size(&[path]) - old_length;
        self.tx.run(
            "UPDATE matches SET id = ?1, item = ?2, at = ?3, total = ?4, sum = ?5 WHERE id = ?6",
            params![id, rating_key, at.0, stored_total(id, total), sum ^ at.0, old_id],
        )?;
        self.set_written(RecordKind::Matches, total);
        Ok(at)
    }

    /// Removes the matches of all paths with this normal form, also damaged ones. Returns those that could be read.
    pub fn remove_matches_of_form(&self, table: TableId, form: &[u8]) -> rusqlite::Result<Vec<StoredMatch>> {
        let found = matches_where(self.tx, table, self.tx.sequence, "form = ?2", &[&form])?;
        let values = params![table, form];
        self.remove_where(RecordKind::Matches, "in_table = ?1 AND form = ?2", values)?;
        Ok(found.into_iter().filter_map(|(_, stored)| stored).collect())
    }

    /// Removes the match of exactly this path, if it has one.
    pub fn remove_match(&self, table: TableId, path: &[u8]) -> rusqlite::Result<()> {
        let form = normal_form(path);
        let condition = "in_table = ?1 AND form = ?2 AND spelling = ?3";
        let values = params![table, form, spelling_of(&form, path)];
        self.remove_where(RecordKind::Matches, condition, values).map(drop)
    }

    /// Removes an item's matches, and returns them.
    pub fn remove_matches_of_item(&self, table: TableId, rating_key: &str) -> rusqlite::Result<Vec<StoredMatch>> {
        let found = matches_where(self.tx, table, self.tx.sequence, "item = ?2", &[&rating_key])?;
        let found: Vec<StoredMatch> = found.into_iter().filter_map(|(_, stored)| stored).collect();
        found
            .iter()
            .try_for_each(|stored| self.remove_match(table, &stored.path))?;
        Ok(found)
    }

    /// Returns the rows of a kind for which a condition holds.
    fn rows_where(&self, kind: RecordKind, condition: &str, values: &[&dyn ToSql]) -> rusqlite::Result<Vec<OldRow>> {
        let [name, size, table] = [kind.name(), kind.size(), kind.table()];
        let text = format!("SELECT id, in_table, {name}, {size} FROM {table} WHERE {condition}");
        self.tx.rows(&text, values, OldRow::read)
    }

    /// Removes the rows of a kind for which a condition holds. Returns their number.
    fn remove_where(&self, kind: RecordKind, condition: &str, values: &[&dyn ToSql]) -> rusqlite::Result<usize> {
        let rows = self.rows_where(kind, condition, values)?;
        rows.iter().try_for_each(|row| self.remove(kind, row))?;
        Ok(rows.len())
    }

    /// Deletes a row, and tells those who follow.
    fn remove(&self, kind: RecordKind, old: &OldRow) -> rusqlite::Result<()> {
        self.delete(kind, old)?;
        let last = match self.removed.get() {
            Some(last) => last,
            None => self
                .tx
                .value("SELECT number FROM removed ORDER BY id DESC LIMIT 1", [])?,
        };
        self.removed.set(Some(last + 1));
        self.removed_now.set(self.removed_now.get() + 1);
        self.tx.run(
            "INSERT INTO removed (id, number, in_table, name) VALUES (?1, ?2, ?3, ?4)",
            params![self.next_row_id(), last + 1, old.table, old.name],
        )
    }

    /// Forgets as many old removals as this transaction made, and some more.
    fn trim_removed(&self) -> rusqlite::Result<()> {
        let (Some(last), added) = (self.removed.get(), self.removed_now.take()) else {
            return Ok(());
        };
        let oldest: Vec<(i64, i64)> = self.tx.rows(
            "SELECT id, number FROM removed ORDER BY id LIMIT ?1",
            [2 * added + 8],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        for (id, _) in oldest.iter().filter(|(_, number)| *number <= last - REMOVED_KEPT) {
            self.tx.run("DELETE FROM removed WHERE id = ?1", [id])?;
        }
        Ok(())
    }

    /// Deletes a row that nobody follows.
    fn delete(&self, kind: RecordKind, old: &OldRow) -> rusqlite::Result<()> {
        let total = self.total(kind)? - old.bytes; // reads it before it goes with the row
        self.tx.totals[kind.index()].set(Some(total));
        let delete = format!("DELETE FROM {} WHERE id = ?1", kind.table());
        self.tx.run(&delete, [old.id])?;
        if kind == RecordKind::Entries {
            self.grow(old.table, -old.bytes);
        }
        self.is_outdated[kind.index()].set(true);
        Ok(())
    }

    /// Removes at most `most` expired entries, but none that this transaction wrote, which expire at once if their TTL is
    /// 0. Returns whether it removed any.
    pub fn remove_expired(&self, now_ms: i64, most: usize) -> rusqlite::Result<bool> {
        let condition = "expires_ms <= ?1 AND id < ?2 ORDER BY expires_ms LIMIT ?3";
        let first_own = position_of(self.tx.sequence, 0);
        let values = params![now_ms, first_own, to_i64(most)];
        Ok(self.remove_where(RecordKind::Entries, condition, values)? > 0)
    }

    /// Deletes some rows of a cleared table, or the table's row if no rows are left. Returns whether there was a cleared
    /// table, so that a later call must continue.
    pub fn sweep_step(&self) -> rusqlite::Result<bool> {
        let tx = self.tx;
        // A removed library has a negative `view_id`.
        let cleared = "SELECT id FROM tables WHERE name IS NULL \
                       AND (library IS NULL OR library IN (SELECT id FROM libraries WHERE view_id < 0)) LIMIT 1";
        let Some(id) = tx.find_value::<TableId>(cleared, [])? else {
            return Ok(false);
        };
        for kind in RecordKind::ALL {
            let rows = self.rows_where(kind, "in_table = ?1 LIMIT ?2", params![id, SWEPT_PER_STEP])?;
            rows.iter().try_for_each(|row| self.delete(kind, row))?;
            if !rows.is_empty() {
                return Ok(true);
            }
        }
        tx.run("DELETE FROM tables WHERE id = ?1", [id])?;
        Ok(true)
    }

    /// Removes those of `rows` that were written longest ago until their size is at most `limit`, but about `most` at most,
    /// and none that this transaction wrote. Of these rows, those of one transaction go together. Rows of cleared tables,
    /// which nobody can read, go before all rows of a kind. Returns whether it removed any that could be read.
    pub fn evict(&self, rows: Limited, limit: u64, most: usize) -> rusqlite::Result<bool> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (kind, table, mut from) = match rows {
            Limited::All(kind) => (kind, None, 0),
            Limited::Table(table) => (RecordKind::Entries, Some(table), self.table_size(table)?.1),
        };
        let mut steps = 0..=to_i64(most) / SWEPT_PER_STEP;
        while table.is_none() && self.total(kind)? > limit && self.sweep_step()? {
            if steps.next().is_none() {
                return Ok(false); // a later write goes on
            }
        }
        let first_own = position_of(self.tx.sequence, 0);
        let (mut evicted, mut last_sequence) = (0, None);
        let mut size = self.size(rows)?;
        let is_shared = kind == RecordKind::Matches && size > limit && self.tx.has("SELECT 1 FROM shared", [])?;
        'evict: while size > limit || last_sequence.is_some() {
            // By id, without the index of the names, whose rows SQLite would have to sort.
            let condition = "id >= ?1 AND id < ?2 AND (?4 IS NULL OR +in_table = ?4) ORDER BY id LIMIT ?3";
            let oldest = self.rows_where(kind, condition, params![from, first_own, OLDEST, table])?;
            if oldest.is_empty() {
                from = first_own;
                break;
            }
            for row in &oldest {
                from = row.id;
                let sequence = Some(sequence_at(row.id, self.tx.sequence));
                let is_over = size > limit && evicted < most;
                if !is_over && (last_sequence != sequence || evicted >= 2 * most) {
                    break 'evict;
                }
                if is_shared {
                    // What is deleted to keep the limit is not taken back.
                    self.tx.run(
                        "UPDATE shared SET lost = lost + 1 WHERE delivered < ?1 AND view_id = \
                         (SELECT l.view_id FROM tables t JOIN libraries l ON l.id = t.library WHERE t.id = ?2)",
                        params![row.id, row.table],
                    )?;
                }
                self.remove(kind, row)?;
                size -= row.bytes;
                (evicted, last_sequence) = (evicted + 1, sequence);
            }
        }
        if let Some(table) = table {
            self.tx
                .run("UPDATE tables SET oldest = ?1 WHERE id = ?2", params![from, table])?;
        }
        Ok(evicted > 0)
    }

    /// Returns the id of the host's table with this name; `None` if it does not exist.
    pub fn table(&self, name: &[u8]) -> rusqlite::Result<Option<TableId>> {
        self.tx.find_value("SELECT id FROM tables WHERE name = ?1", [name])
    }

    /// Creates a table with this name, and returns its id.
    pub fn make_table(&self, name: &[u8]) -> rusqlite::Result<TableId> {
        self.tx.run("INSERT INTO tables (name) VALUES (?1)", [name])?;
        let id = self.tx.last_insert_rowid();
        tables_changed(self.tx)?;
        Ok(TableId(id))
    }

    /// Clears a table in constant time. The table's id becomes invalid, and later writes delete the table's rows.
    pub fn clear_table(&self, id: TableId) -> rusqlite::Result<()> {
        self.tx.run("UPDATE tables SET name = NULL WHERE id = ?1", [id])?;
        tables_changed(self.tx)
    }
}

#[cfg(test)]
#[path = "record_rows_tests.rs"]
mod tests;
