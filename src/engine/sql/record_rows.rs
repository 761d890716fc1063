//! Reads the entries of hosts' tables, and confirmed matches, which are in the order of their writes.
//!
//! A row's id is the position of its write ([`super::schema::position_of`]), so that readers follow the rows after
//! their snapshot. What was removed is a row in `removed` for some time. The newest row of each kind has the total size
//! of all rows of its kind. A checksum covers a row's key and value: a row with a wrong one does not count, and is
//! logged.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, params};

use super::record_encoding::{path_of, sum_of};
use super::schema::{CachedStatements, LibraryState, Tx, last_position_of, sequence_at, sequence_of};
use super::store::Store;
use crate::engine::record_rows::{
    ChangedRecord, FormMatches, MAX_INLINE, RecordTime, StoredEntry, StoredMatch, TableChanges, by_form,
};
use crate::error::Result;
use crate::matching::NormalPath;
use crate::matching::normal::one_spelling;
use crate::model::{LibraryId, Sequence, TableId, ViewId};
use crate::platform::clock::Deadline;

/// Maximum number of changed rows that a snapshot follows one by one.
pub const MAX_FOLLOWED: i64 = 2_000;
/// Access to a store's confirmed matches and tables.
pub struct RecordRows<'s>(pub &'s Store);

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

/// Returns the matches of a path, also in spellings that never name another file. `form`: its normal form.
pub fn matches_of_file(c: &Connection, table: TableId, path: &[u8], form: &[u8]) -> rusqlite::Result<Vec<StoredMatch>> {
    let found = matches_where(c, table, Sequence(0), "form = ?2", &[&form])?; // nobody needs the sequences
    let found = found.into_iter().filter_map(|(_, stored)| stored);
    let is_of_file = |stored: &StoredMatch| NormalPath::with(path, |path| path.has_spelling(&stored.path));
    Ok(found.filter(is_of_file).collect())
}

/// Returns the id of a library's match table; `None` if the library has no match table.
pub fn find_match_table(connection: &Connection, library: LibraryId) -> rusqlite::Result<Option<TableId>> {
    connection.find_value("SELECT id FROM tables WHERE library = ?1", [library])
}

/// Returns all confirmed matches in a library.
pub fn all_matches_of(connection: &Connection, library: LibraryId) -> rusqlite::Result<Vec<StoredMatch>> {
    let table = find_match_table(connection, library)?;
    table.map_or(Ok(Vec::new()), |table| all_matches_in(connection, table))
}

/// What precedes a rating key in place of a path. No path has a zero byte, so earlier builds ignore these rows.
pub const ITEM: &[u8] = b"\0item\0";

/// Returns what a row has in place of a path if it takes back everything that was recorded before for an item.
pub fn path_of_item(rating_key: &str) -> Vec<u8> {
    [ITEM, rating_key.as_bytes()].concat()
}

/// Returns when a path's match was last taken back, by itself, with its library, or with all libraries.
pub fn taken_back_at(c: &Connection, library: &LibraryState, path: &[u8]) -> rusqlite::Result<RecordTime> {
    if !library.has_paths_taken_back {
        return Ok(library.all_taken_back);
    }
    let by_itself: Option<i64> = c.value(
        "SELECT max(at) FROM taken_back WHERE view_id = ?1 AND library = (SELECT uuid FROM libraries WHERE id = ?2) \
         AND path IN (?3, ?4)",
        params![library.view_id, library.id, path, path_taken_back(path)],
    )?;
    Ok(by_itself.map_or(library.all_taken_back, |at| library.all_taken_back.max(RecordTime(at))))
}

/// Returns the path under which a match is taken back: one for all spellings that never name another file. Earlier builds
/// used the path itself.
pub fn path_taken_back(path: &[u8]) -> Vec<u8> {
    if path.is_empty() || path.starts_with(ITEM) {
        path.to_vec()
    } else {
        one_spelling(path)
    }
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

/// Returns the entry with this name; `None` if there is none. `max_value`: the maximum length of a value to read.
pub fn entry_named(
    c: &Connection,
    table: TableId,
    max_value: usize,
    name: &[u8],
) -> rusqlite::Result<Option<StoredEntry>> {
    let found = entries_where(c, table, max_value, "name = ?3", &[&name])?;
    Ok(found.into_iter().find_map(|(_, entry)| entry))
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

    /// Returns an entry; `None` if there is none. If `deadline` is `None`, waits only a moment for locks, and then fails.
    pub fn entry(&self, table: TableId, name: &[u8], deadline: Option<Deadline>) -> Result<Option<StoredEntry>> {
        self.0.read_by(deadline, |c| entry_named(c, table, MAX_INLINE, name))
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
        let condition = "name > ?4 ORDER BY name LIMIT ?3";
        let values: [&dyn ToSql; 2] = [&to_i64(most), &bound_of(after)];
        self.0
            .read_by(deadline, |c| entries_where(c, table, MAX_INLINE, condition, &values))
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
        let found = self.0.read(|c| entry_named(c, table, max_length, name))?;
        let found = found.filter(|entry| entry.expires_ms.is_none_or(|ms| ms > now_ms));
        Ok(found.map(|entry| {
            entry.value.as_deref().map(use_value);
            usize::try_from(entry.length).unwrap_or(0)
        }))
    }

    /// Returns the first name after `after` in byte order whose entry has not expired; `None` after the last one. `after`:
    /// `None` for the first name.
    pub fn next_name(&self, table: TableId, after: Option<&[u8]>, now_ms: i64) -> Result<Option<Vec<u8>>> {
        self.0.read(|c| {
            c.find_value(
                "SELECT name FROM entries WHERE in_table = ?1 AND name > ?3 \
                 AND (expires_ms IS NULL OR expires_ms > ?2) ORDER BY name LIMIT 1",
                params![table, now_ms, bound_of(after)],
            )
        })
    }

    /// Returns the number of a table's entries; without a table, of all tables'. Includes expired entries.
    pub fn count_entries(&self, table: Option<TableId>) -> Result<u64> {
        let count = self.0.read(|c| {
            c.value::<i64>(
                "SELECT count(*) FROM entries WHERE in_table IN (SELECT id FROM tables WHERE name IS NOT NULL \
                 AND (?1 IS NULL OR id = ?1))",
                [table],
            )
        })?;
        Ok(count.cast_unsigned())
    }

    /// Returns the number of a view's confirmed matches.
    pub fn count_matches(&self, view_id: ViewId) -> Result<u64> {
        let count = self.0.read(|c| {
            c.value::<i64>(
                "SELECT count(*) FROM matches WHERE in_table IN (SELECT t.id FROM tables t \
                 JOIN libraries l ON l.id = t.library WHERE l.view_id = ?1)",
                [view_id],
            )
        })?;
        Ok(count.cast_unsigned())
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
        self.0.read_by(deadline, |c| {
            if sequence_of(c)? != now {
                return Ok(None);
            }
            let found = matches_where(c, table, now, "form = ?2", &[&form])?;
            Ok(Some(found.into_iter().filter_map(|(_, stored)| stored).collect()))
        })
    }

    /// Returns the next matches of a table after a form, in the order of their forms: `most`, and those that have the same
    /// form as the last one. `None` if there are commits after the change sequence `now`.
    pub fn matches_after(
        &self,
        table: TableId,
        after: Option<&[u8]>,
        most: usize,
        now: Sequence,
        deadline: Option<Deadline>,
    ) -> Result<Option<Vec<FormMatches>>> {
        // No path has an empty form.
        let form = after.unwrap_or_default();
        self.0.read_by(deadline, |c| {
            if sequence_of(c)? != now {
                return Ok(None);
            }
            let next = "form > ?2 ORDER BY form LIMIT ?3";
            let mut found = matches_where(c, table, now, next, &[&form, &to_i64(most)])?;
            if let Some((last, _)) = found.last().cloned() {
                found.retain(|(form, _)| *form != last);
                found.extend(matches_where(c, table, now, "form = ?2", &[&last])?);
            }
            Ok(Some(by_form(found)))
        })
    }
}

/// Returns the lower bound of the names after `after`; of all names for `None`: a text, because blobs follow all texts.
fn bound_of(after: Option<&[u8]>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(after.map_or(ValueRef::Text(b""), ValueRef::Blob))
}

/// Converts a length or a limit to a statement parameter.
pub fn to_i64(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
