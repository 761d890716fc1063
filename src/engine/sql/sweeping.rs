//! Sweeping: deletes rows that no reader can see, a slice at a time.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, params};

use super::cached::CachedStatements;
use super::store::Store;
use super::tx::Tx;
use crate::error::Result;
use crate::model::TableId;
use crate::platform::deadline::Deadline;

/// Rows of cleared tables that one write examines.
const CLEARED_PER_WRITE: i64 = 400;

/// Removes what a store no longer needs.
pub struct Sweeper<'s>(pub &'s Store);

impl Sweeper<'_> {
    /// Deletes rows that no reader can see, at most `slice` of each kind. Returns whether some may be left.
    pub fn sweep(&self, slice: usize, deadline: Deadline) -> Result<bool> {
        // Sweep shows and seasons without episodes only after episodes were swept, because finding them means reading
        // all episodes.
        let sweeps_shows = self.0.may_have_orphans.load(Ordering::Relaxed);
        let left = self.0.write(deadline, |tx| {
            tx.run(
                "UPDATE tables SET library = NULL WHERE library IN (SELECT id FROM libraries WHERE identity < 0)",
                [],
            )?;
            let swept = sweep_slice(tx, slice)?;
            if sweep_cleared(tx.connection)? || swept.rows > 0 {
                self.0.may_have_orphans.fetch_or(swept.of_shows, Ordering::Relaxed);
                return Ok(true);
            }
            for statement in [
                "DELETE FROM parents WHERE library IN (SELECT id FROM libraries WHERE identity < 0)",
                // Seasons first, then shows without a season or an episode.
                "DELETE FROM parents WHERE ?1 AND above IS NOT NULL \
                 AND id NOT IN (SELECT parent FROM items WHERE parent IS NOT NULL)",
                "DELETE FROM parents WHERE ?1 AND above IS NULL \
                 AND id NOT IN (SELECT above FROM parents WHERE above IS NOT NULL \
                 UNION ALL SELECT parent FROM items WHERE parent IS NOT NULL)",
                "DELETE FROM unverified WHERE library IN (SELECT id FROM libraries WHERE identity < 0)",
                "DELETE FROM listings WHERE library IN (SELECT id FROM libraries WHERE identity < 0)",
                "DELETE FROM seen WHERE library IN (SELECT id FROM libraries WHERE identity < 0)",
                "DELETE FROM libraries WHERE identity < 0",
                "PRAGMA incremental_vacuum(256)",
            ] {
                let mut statement = tx.prepare_cached(statement)?;
                if statement.parameter_count() > 0 {
                    statement.raw_bind_parameter(1, sweeps_shows)?;
                }
                let mut rows = statement.raw_query();
                while rows.next()?.is_some() {} // a pragma returns rows
            }
            Ok(false)
        })?;
        if !left && sweeps_shows {
            self.0.may_have_orphans.store(false, Ordering::Relaxed);
        }
        Ok(left)
    }
}

/// The rows that one slice of sweeping removed.
pub struct Swept {
    pub rows: usize,
    /// Whether episodes were among them.
    pub of_shows: bool,
}

/// Condition for rows of evicted listings, and of items added one by one before the eviction. Eviction negates
/// `generation`. Rows of a listing that began later have a higher `born`. Items added one by one since the eviction
/// have `born` = `generation`, which is negative.
const EVICTED: &str =
    "l.identity > 0 AND l.dead_items AND l.generation < 0 AND i.born BETWEEN l.generation + 1 AND -l.generation";

/// Deletes dead items, at most `slice` for each reason to be dead.
pub fn sweep_slice(tx: &Tx<'_>, slice: usize) -> rusqlite::Result<Swept> {
    let slice = i64::try_from(slice).unwrap_or(i64::MAX);
    let c = tx.connection;
    // `LIMIT ?1` alone would make SQLite plan the statement again for each value.
    //
    // A row is dead for one of three reasons: its library has no identity; its listing was evicted; or it ended, and
    // neither the current generation nor the feed needs it. An ended row stays while a page requested before its end
    // may still arrive. There is one statement per reason, because one with OR would read every item.
    let mut dead: Vec<(i64, bool)> = Vec::new(); // row numbers, and whether they are of episodes
    let mut evicted = 0;
    for whose in [
        "l.identity < 0",
        EVICTED,
        "l.identity > 0 AND i.died IS NOT NULL AND i.died <= min(l.generation, l.feed_generation) \
         AND (l.generation <= 0 OR i.since <= l.feed_from) \
         AND NOT EXISTS (SELECT 1 FROM listings n WHERE n.library = l.id AND n.begun_seq < i.since)",
    ] {
        let mut rows = c.prepare_cached(&format!(
            "SELECT i.id, i.parent IS NOT NULL FROM libraries l JOIN items i ON i.library = l.id WHERE {whose} \
             LIMIT ?1 + 0"
        ))?;
        let before = dead.len();
        for row in rows.query_map([slice], |row| Ok((row.get(0)?, row.get(1)?)))? {
            dead.push(row?);
        }
        if whose == EVICTED {
            evicted = dead.len() - before;
        }
    }
    for (id, _) in &dead {
        c.run("DELETE FROM items WHERE id = ?1", [id])?;
    }
    if evicted == 0 && slice > 0 {
        c.execute("UPDATE libraries SET dead_items = 0 WHERE dead_items", [])?;
    }
    Ok(Swept {
        rows: dead.len(),
        of_shows: dead.iter().any(|(_, of_show)| *of_show),
    })
}

/// Deletes some records of a cleared table, or the table if no records are left. Returns whether there may be more to
/// delete.
pub fn sweep_cleared(c: &Connection) -> rusqlite::Result<bool> {
    let cleared: Option<(TableId, i64)> = c.find(
        "SELECT id, swept FROM tables WHERE name IS NULL AND library IS NULL LIMIT 1",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let Some((id, from)) = cleared else {
        return Ok(false);
    };
    let upto: Option<i64> = c.value(
        "SELECT max(id) FROM (SELECT id FROM records WHERE id > ?1 ORDER BY id LIMIT ?2)",
        params![from, CLEARED_PER_WRITE],
    )?;
    let Some(upto) = upto else {
        c.run("DELETE FROM tables WHERE id = ?1", [id])?;
        return Ok(true);
    };
    c.run(
        "DELETE FROM records WHERE id > ?1 AND id <= ?2 AND in_table = ?3",
        params![from, upto, id],
    )?;
    c.run("UPDATE tables SET swept = ?2 WHERE id = ?1", params![id, upto])?;
    Ok(true)
}
