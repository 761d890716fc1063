//! Sweeps: deletes rows that no reader can see, a limited number at a time.

use rusqlite::{Connection, params};

use super::cached::CachedStatements;
use super::store::Store;
use crate::error::Result;
use crate::model::TableId;
use crate::platform::deadline::Deadline;

/// Maximum number of rows that one write examines in order to sweep cleared tables.
const CLEARED_PER_WRITE: i64 = 400;

/// Removes rows and files that a store no longer needs.
pub struct Sweeper<'s>(pub &'s Store);

impl Sweeper<'_> {
    /// Deletes rows that no reader can see. `max_feed_rows`: the maximum number of feed rows to delete for each reason.
    /// Returns whether more rows may remain.
    pub fn sweep(&self, max_feed_rows: usize, deadline: Deadline) -> Result<bool> {
        self.0.write(deadline, |tx| {
            // A removed library has a negative `view_id`. Without a library, its match table counts as cleared.
            tx.run(
                "UPDATE tables SET library = NULL WHERE library IN (SELECT id FROM libraries WHERE view_id < 0)",
                [],
            )?;
            // `|` runs both. Delete the libraries' rows only after their rows in the feed. The kinds 8 and 9 add and
            // remove single items.
            if sweep_feed(tx, max_feed_rows)? | sweep_cleared(tx.connection)? {
                return Ok(true);
            }
            for statement in [
                "DELETE FROM changes WHERE kind IN (8, 9) AND library IN (SELECT id FROM libraries WHERE view_id < 0)",
                "DELETE FROM shows WHERE library IN (SELECT id FROM libraries WHERE view_id < 0)",
                "DELETE FROM unverified WHERE library IN (SELECT id FROM libraries WHERE view_id < 0)",
                "DELETE FROM listings WHERE library IN (SELECT id FROM libraries WHERE view_id < 0)",
                "DELETE FROM libraries WHERE view_id < 0",
                "PRAGMA incremental_vacuum(256)", // only 256 pages, so that the write stays short
            ] {
                let mut statement = tx.prepare_cached(statement)?;
                let mut rows = statement.raw_query();
                while rows.next()?.is_some() {} // run the pragma to completion
            }
            Ok(false)
        })
    }
}

/// Deletes changes that the feed no longer reports, because a library was removed or its history was restarted: at most
/// `max_changes` changes for each reason. Returns whether it deleted any changes.
fn sweep_feed(c: &Connection, max_changes: usize) -> rusqlite::Result<bool> {
    let max_changes = i64::try_from(max_changes).unwrap_or(i64::MAX);
    let mut swept = 0;
    // A single statement with OR would read every row. `LIMIT ?1` without `+ 0` would make SQLite plan the statement
    // again for each value.
    for statement in [
        "DELETE FROM feed WHERE id IN (SELECT f.id FROM libraries l JOIN feed f ON f.library = l.id \
         WHERE l.view_id < 0 LIMIT ?1 + 0)",
        "DELETE FROM feed WHERE id IN (SELECT f.id FROM libraries l CROSS JOIN feed f ON f.library = l.id \
         AND f.sequence <= l.feed_from LIMIT ?1 + 0)",
    ] {
        swept += c.prepare_cached(statement)?.execute([max_changes])?;
    }
    Ok(swept > 0)
}

/// Deletes some records of a cleared table, or the table's row if no records are left. Returns whether there was a
/// cleared table, so that a later call must continue.
pub fn sweep_cleared(c: &Connection) -> rusqlite::Result<bool> {
    let cleared: Option<(TableId, i64)> = c.find(
        "SELECT id, swept FROM tables WHERE name IS NULL AND library IS NULL LIMIT 1",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let Some((id, swept_upto)) = cleared else {
        return Ok(false);
    };
    let last_row: Option<i64> = c.value(
        "SELECT max(id) FROM (SELECT id FROM records WHERE id > ?1 ORDER BY id LIMIT ?2)",
        params![swept_upto, CLEARED_PER_WRITE],
    )?;
    let Some(last_row) = last_row else {
        c.run("DELETE FROM tables WHERE id = ?1", [id])?;
        return Ok(true);
    };
    c.run(
        "DELETE FROM records WHERE id > ?1 AND id <= ?2 AND in_table = ?3",
        params![swept_upto, last_row, id],
    )?;
    c.run("UPDATE tables SET swept = ?2 WHERE id = ?1", params![id, last_row])?;
    Ok(true)
}
