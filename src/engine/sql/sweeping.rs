//! Rows that nothing shows any more are removed, a slice at a time.

use std::sync::atomic::Ordering;

use super::cached::CachedStatements;
use super::columns::{FromCells, RowCells, list, read};
use super::guids::GuidItem;
use super::indexing::{Indexed, forget};
use super::items::ABOVE;
use super::open::Store;
use super::records::sweep_cleared;
use super::titles::TitledItem;
use super::tx::Tx;
use crate::error::Result;

impl Store {
    /// Removes rows that nothing shows any more, at most `slice` of each kind. Gives whether some may be left.
    pub fn sweep(&self, slice: usize) -> Result<bool> {
        // Shows and seasons of which the last episode was swept can be told only by reading all episodes.
        let shows = self.orphans.load(Ordering::Relaxed);
        let left = self.write(|tx| {
            tx.run(
                "UPDATE tables SET library = NULL WHERE library IN (SELECT id FROM libraries WHERE identity < 0)",
                [],
            )?;
            let swept = sweep_slice(tx, slice)?;
            if sweep_cleared(tx.connection)? || swept.rows > 0 {
                self.orphans.fetch_or(swept.of_shows, Ordering::Relaxed);
                return Ok(true);
            }
            for statement in [
                "DELETE FROM parents WHERE library IN (SELECT id FROM libraries WHERE identity < 0)",
                // Seasons first: then shows that have neither a season nor an episode of their own.
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
                    statement.raw_bind_parameter(1, shows)?;
                }
                let mut rows = statement.raw_query();
                while rows.next()?.is_some() {} // a pragma gives rows
            }
            Ok(false)
        })?;
        if !left && shows {
            self.orphans.store(false, Ordering::Relaxed);
        }
        Ok(left)
    }
}

/// The rows that one slice of sweeping removed.
pub struct Swept {
    pub rows: usize,
    /// Episodes were among them.
    pub of_shows: bool,
}

/// A row of `items` that goes, with what stands of it in the indexes.
struct DeadItem {
    guids: GuidItem,
    titles: TitledItem,
    of_show: bool,
}

impl FromCells for DeadItem {
    fn from_cells(cells: &mut RowCells<'_, '_>) -> rusqlite::Result<Self> {
        Ok(Self {
            guids: GuidItem::from_cells(cells)?,
            titles: TitledItem::from_cells(cells)?,
            of_show: cells.get("i.parent IS NOT NULL")?,
        })
    }
}

/// Items of listings that were evicted, and those found singly before. Rows of a listing that began since are born later;
/// what was found singly since has the number of the generation, which is below 0.
const EVICTED: &str =
    "l.identity > 0 AND l.dead_items AND l.generation < 0 AND i.born BETWEEN l.generation + 1 AND -l.generation";

/// Removes rows that nothing shows any more, at most `slice` of each kind.
pub fn sweep_slice(tx: &Tx<'_>, slice: usize) -> rusqlite::Result<Swept> {
    let slice = i64::try_from(slice).unwrap_or(i64::MAX);
    let c = tx.connection;
    // `LIMIT ?1` would be planned anew each time: SQLite looks at the number.
    // Items of libraries of no identity, those of listings that were evicted, then those of others that died before the
    // generation that answers, and that the feed tells no more of: a statement each, for one with OR would read every item. No
    // item is in two: what is swept is swept once. One that went singly stays while a page may be on its way that still has it.
    let mut dead: Vec<DeadItem> = Vec::new();
    let mut evicted = 0;
    for whose in [
        "l.identity < 0",
        EVICTED,
        "l.identity > 0 AND i.died IS NOT NULL AND i.died <= min(l.generation, l.feed_generation) \
         AND (l.generation <= 0 OR i.since <= l.feed_from) \
         AND NOT EXISTS (SELECT 1 FROM listings n WHERE n.library = l.id AND n.begun_seq < i.since)",
    ] {
        let mut rows = c.prepare_cached(&format!(
            "SELECT {} FROM libraries l JOIN items i ON i.library = l.id {ABOVE} WHERE {whose} LIMIT ?1 + 0",
            list::<DeadItem>()
        ))?;
        let before = dead.len();
        for row in rows.query_map([slice], read)? {
            dead.push(row?);
        }
        if whose == EVICTED {
            evicted = dead.len() - before;
        }
    }
    for row in &dead {
        forget(tx, &row.guids)?;
        forget(tx, &row.titles)?;
        c.run("DELETE FROM items WHERE id = ?1", [row.guids.item().1])?;
    }
    if evicted == 0 && slice > 0 {
        c.execute("UPDATE libraries SET dead_items = 0 WHERE dead_items", [])?;
    }
    Ok(Swept {
        rows: dead.len(),
        of_shows: dead.iter().any(|row| row.of_show),
    })
}
