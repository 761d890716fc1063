//! The migration to format 11: confirmed matches and entries of hosts' tables were rows of one log, in which the last row
//! of a name counted. Segments had copies of these rows, so the migration needs none of them.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, Row, Statement, params};

use super::record_encoding::{encode_match, path_of, row_size, stored_total, sum_of};
use super::schema::{RollbackGuard, from_both_ends, last_position_of, sequence_of};
use crate::engine::record_rows::{RecordTime, StoredMatch};
use crate::matching::normal::{form_tag, normal_form};
use crate::model::{Sequence, TableId};
use crate::platform::clock::{Clock as _, SystemClock};

/// The tables whose rows can be read, with whether they have matches. A cleared library has a negative `view_id`.
const LIVE: &str = "SELECT id, name IS NULL FROM tables \
     WHERE name IS NOT NULL OR library IN (SELECT id FROM libraries WHERE view_id > 0)";
/// The change sequence of the database, as format 10 had it.
const SEQUENCE: &str = "UPDATE meta SET sequence = max(sequence, (sequence & ~0xFFFFFFFFF) \
     | (coalesce((SELECT max(id) FROM records), 0) >> 27))";
/// Statements that follow when all rows are there.
const FINISH: &str = "
    CREATE INDEX entries_expiry ON entries (expires_ms) WHERE expires_ms IS NOT NULL;
    INSERT INTO removed (id, number, in_table, name) VALUES (0, 0, 0, x'');
    DROP TABLE records;
    DELETE FROM tables WHERE name IS NULL AND (library IS NULL
        OR library NOT IN (SELECT id FROM libraries WHERE view_id > 0));
    ALTER TABLE tables DROP COLUMN entries;
    ALTER TABLE tables DROP COLUMN bytes;
    ALTER TABLE tables DROP COLUMN swept;
    ALTER TABLE meta DROP COLUMN segments;
    ALTER TABLE meta DROP COLUMN merged;
    ALTER TABLE meta RENAME COLUMN manifest TO tables_changed;
    ALTER TABLE meta ADD COLUMN form_tag INTEGER NOT NULL DEFAULT 0;
";

const INSERT_MATCH: &str = "INSERT INTO matches VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// Moves the rows of the log `records` to the tables of format 11. Returns their number.
pub fn move_records(c: &Connection) -> rusqlite::Result<usize> {
    c.execute_batch(SEQUENCE)?;
    let mut moving = Moving {
        c,
        tables: c
            .prepare(LIVE)?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?,
        newest: HashMap::new(),
        totals: [0; 2],
        count: 0,
        now_ms: SystemClock.now_ms(),
    };
    // Only rows that were in no segment could be replaced by a later row, or be a removal.
    let merged: Sequence = c.query_row("SELECT merged FROM meta", [], |row| row.get(0))?;
    let mut unmerged = c.prepare("SELECT id, in_table, name FROM records WHERE id > ?1 ORDER BY id")?;
    let mut rows = unmerged.query([last_position_of(merged)])?;
    while let Some(row) = rows.next()? {
        moving.newest.insert((row.get(1)?, row.get(2)?), row.get(0)?);
    }
    drop(rows);
    let mut all = c.prepare("SELECT id, in_table, name, value, expires_ms FROM records ORDER BY id")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        moving.move_row(row)?;
    }
    let count = moving.count;
    drop(rows);
    for (index, table, key) in [
        ("matches_form", "matches", "in_table, form, spelling"),
        ("entries_name", "entries", "in_table, name"),
    ] {
        let create = format!("CREATE UNIQUE INDEX {index} ON {table} ({key})");
        if c.execute_batch(&create).is_err() {
            // The log of a store that broke its own rule has a name twice.
            c.execute_batch(&format!(
                "DELETE FROM {table} WHERE id NOT IN (SELECT max(id) FROM {table} GROUP BY {key})"
            ))?;
            c.execute_batch(&create)?;
        }
    }
    c.execute_batch(FINISH)?;
    c.execute("UPDATE meta SET form_tag = ?1", [form_tag()])?;
    Ok(count)
}

/// Returns the matches of a table that can be read in a damaged database of an earlier format: from both ends of its log.
pub fn readable_matches_in_log(c: &Connection, table: TableId) -> rusqlite::Result<Vec<StoredMatch>> {
    let mut newest: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
    let mut later = BTreeMap::new();
    let all = "SELECT in_table, name, value FROM records ORDER BY id";
    from_both_ends(c, all, |row, is_backward| {
        if row.get::<_, TableId>(0)? != table {
            return Ok(());
        }
        let (name, value) = (row.get(1)?, row.get(2)?);
        if is_backward {
            later.entry(name).or_insert(value);
        } else {
            newest.insert(name, value);
        }
        Ok(())
    })?;
    newest.extend(later);
    let found = newest.into_iter().filter_map(|(path, value)| {
        let rating_key = decode_match(&value?)?.to_owned();
        let sequence = Sequence(0); // the matches are only exported
        Some(StoredMatch {
            sequence,
            path,
            rating_key,
            at: RecordTime::NEVER,
        })
    });
    Ok(found.collect())
}

struct Moving<'c> {
    c: &'c Connection,
    tables: HashMap<TableId, bool>,
    /// The id of the newest row of each name that was in no segment.
    newest: HashMap<(TableId, Vec<u8>), i64>,
    totals: [i64; 2],
    count: usize,
    now_ms: i64,
}

impl Moving<'_> {
    fn move_row(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        let (id, table): (i64, TableId) = (row.get(0)?, row.get(1)?);
        let (name, value) = (row.get_ref(2)?.as_blob()?, row.get_ref(3)?.as_blob_or_null()?);
        let expires_ms: Option<i64> = row.get(4)?;
        let (Some(has_matches), Some(value)) = (self.tables.get(&table), value) else {
            return Ok(());
        };
        let newest = self.newest.get(&(table, name.to_vec()));
        if newest.is_some_and(|newest| *newest != id) || expires_ms.is_some_and(|ms| ms <= self.now_ms) {
            return Ok(());
        }
        let at = id >> 27; // the order only
        if *has_matches {
            let Some(rating_key) = decode_match(value) else {
                return Ok(());
            };
            self.totals[1] += row_size(&[name, rating_key.as_bytes()]);
            let total = stored_total(id, self.totals[1]);
            let mut insert = self.c.prepare_cached(INSERT_MATCH)?;
            // The migration to format 12 adds the time to the checksum.
            insert_match(&mut insert, id, table, (name, rating_key), (at, 0), total)?;
        } else {
            let sum = sum_of(id, table, [name, b"", value], expires_ms);
            self.totals[0] += row_size(&[name, value]);
            self.c
                .prepare_cached("INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
                .execute(params![
                    id,
                    table,
                    name,
                    expires_ms,
                    at,
                    stored_total(id, self.totals[0]),
                    sum,
                    value
                ])?;
        }
        self.count += 1;
        Ok(())
    }
}

/// Inserts the row of a match with [`INSERT_MATCH`]. `at`: its time, and what the checksum has of it. `total`: as the row
/// stores it.
fn insert_match(
    insert: &mut Statement<'_>,
    id: i64,
    table: TableId,
    (path, rating_key): (&[u8], &str),
    (at, checked): (i64, i64),
    total: i64,
) -> rusqlite::Result<()> {
    let (form, spelling, sum) = encode_match(id, table, path, rating_key);
    insert.execute(params![id, table, form, spelling, rating_key, at, total, sum ^ checked])?;
    Ok(())
}

/// Makes the normal forms of all matches anew if they are of other rules or another Unicode version than this build's.
pub fn renew_forms(c: &Connection) -> rusqlite::Result<()> {
    let is_current = || {
        c.query_row("SELECT form_tag = ?1 FROM meta", [form_tag()], |row| {
            row.get::<_, bool>(0)
        })
    };
    if is_current()? {
        return Ok(());
    }
    c.execute_batch("BEGIN IMMEDIATE")?;
    let _rollback_guard = RollbackGuard(c);
    if is_current()? {
        return Ok(());
    }
    let mut changed: Vec<(i64, TableId, Vec<u8>, String, i64, i64)> = Vec::new();
    let mut all = c.prepare("SELECT id, in_table, form, spelling, item, at, total FROM matches")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let form = row.get_ref(2)?.as_blob()?;
        let path = path_of(form, row.get_ref(3)?.as_blob()?);
        if normal_form(&path) != form {
            changed.push((row.get(0)?, row.get(1)?, path, row.get(4)?, row.get(5)?, row.get(6)?));
        }
    }
    drop(rows);
    for (id, ..) in &changed {
        c.execute("DELETE FROM matches WHERE id = ?1", [id])?;
    }
    let mut insert = c.prepare(INSERT_MATCH)?;
    for (id, table, path, item, at, total) in &changed {
        insert_match(&mut insert, *id, *table, (path, item), (*at, *at), *total)?;
    }
    // Whoever follows forgets what it knows.
    let now = last_position_of(sequence_of(c)?);
    c.execute("DELETE FROM removed", [])?;
    c.execute(
        "INSERT INTO removed (id, number, in_table, name) VALUES (?1, 0, 0, x'')",
        [now],
    )?;
    c.execute("UPDATE meta SET form_tag = ?1", [form_tag()])?;
    c.execute_batch("COMMIT")
}

/// Returns the rating key of a match in format 10, which follows a number of seven bits per byte.
fn decode_match(value: &[u8]) -> Option<&str> {
    let length = value.iter().position(|byte| *byte < 0x80)? + 1;
    std::str::from_utf8(value.get(length..)?)
        .ok()
        .filter(|key| !key.is_empty())
}
