//! Items by GUID. The index is made when it is first asked: most hosts never do.

use std::time::Duration;

use rusqlite::params;
use xxhash_rust::xxh3::xxh3_64;

use super::listing::{ITEM_COLUMNS, item};
use super::{Patience, Store, Tx};
use crate::error::Result;
use crate::model::Item;

/// Rows that one transaction indexes.
const SLICE: i64 = 20_000;

/// How long a question waits for other writers until an index is made: without one it takes longer, and is answered.
const SHORTLY: Duration = Duration::from_secs(1);

fn hash(guid: &str) -> i64 {
    xxh3_64(guid.as_bytes()).cast_signed()
}

/// An item's row number and its GUIDs: its own, its external ones a line each, its show's.
pub(super) struct Carrier {
    pub(super) id: i64,
    guid: String,
    guids: String,
    show_guid: String,
}

impl Carrier {
    fn hashes(&self) -> impl Iterator<Item = i64> {
        [self.guid.as_str(), self.show_guid.as_str()]
            .into_iter()
            .chain(self.guids.lines())
            .filter(|one| !one.is_empty())
            .map(hash)
    }
}

pub(super) fn carrier(row: &rusqlite::Row<'_>) -> rusqlite::Result<Carrier> {
    Ok(Carrier {
        id: row.get(0)?,
        guid: row.get(1)?,
        guids: row.get(2)?,
        show_guid: row.get(3)?,
    })
}

/// Removes an item's entries.
pub(super) fn forget(tx: &Tx<'_>, item: &Carrier) -> rusqlite::Result<()> {
    let mut statement = tx
        .connection
        .prepare_cached("DELETE FROM guids WHERE hash = ?1 AND item = ?2")?;
    for hash in item.hashes() {
        statement.execute([hash, item.id])?;
    }
    Ok(())
}

impl Store {
    /// The listed items that have this GUID, as their own or as an external id; a show's own gives its episodes.
    /// At most `limit`, with the count of all.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn items_with_guid(&self, library: i64, guid: &str, limit: usize) -> Result<(Vec<Item>, usize)> {
        // Without the index every row is looked at.
        let by_index = if Self::was_indexed("GUIDs", || self.index_guids(library)) {
            "JOIN guids g ON g.item = i.id AND g.hash = ?3"
        } else {
            ""
        };
        self.read(|connection| {
            let mut found = Vec::new();
            let mut total = 0;
            let mut statement = connection.prepare_cached(&format!(
                "{ITEM_COLUMNS} {by_index} JOIN libraries l ON l.id = i.library WHERE i.library = ?1 AND ?3 = ?3 \
                 AND i.born <= l.generation AND (i.died IS NULL OR i.died > l.generation) AND (i.guid = ?2 OR s.guid = ?2 \
                 OR instr(char(10) || i.guids || char(10), char(10) || ?2 || char(10))) ORDER BY i.id"
            ))?;
            let rows = statement.query_map(
                params![library, guid, hash(guid)],
                item,
            )?;
            for row in rows {
                let (_, item) = row?;
                total += 1;
                if found.len() < limit {
                    found.push(item);
                }
            }
            Ok((found, total))
        })
    }

    /// Whether an index could be brought up to date. Not where the store cannot be written: the rows know the same.
    pub(super) fn was_indexed(what: &str, index: impl FnOnce() -> Result<()>) -> bool {
        let _held = Patience::now().at_most(SHORTLY).hold();
        let done = index();
        if let Err(error) = &done {
            log::warn!("the index of {what} cannot be stored now, every row is looked at instead: {error}");
        }
        done.is_ok()
    }

    /// Brings the GUID index of a library up to date, in slices.
    fn index_guids(&self, library: i64) -> Result<()> {
        loop {
            let behind: bool = self.read(|connection| {
                connection
                    .prepare_cached(
                        "SELECT EXISTS (SELECT 1 FROM items i JOIN libraries l ON l.id = i.library \
                         WHERE l.id = ?1 AND i.id > l.guids_upto)",
                    )?
                    .query_row([library], |row| row.get(0))
            })?;
            if !behind {
                return Ok(());
            }
            self.write(|tx| {
                let c = tx.connection;
                let rows: Vec<Carrier> = c
                    .prepare_cached(
                        "SELECT i.id, i.guid, i.guids, coalesce(s.guid, '') FROM items i \
                         JOIN libraries l ON l.id = i.library LEFT JOIN shows s ON s.id = i.show \
                         WHERE l.id = ?1 AND i.id > l.guids_upto ORDER BY i.id LIMIT ?2",
                    )?
                    .query_map([library, SLICE], carrier)?
                    .collect::<rusqlite::Result<_>>()?;
                let mut entries: Vec<(i64, i64)> = rows
                    .iter()
                    .flat_map(|item| item.hashes().map(|hash| (hash, item.id)))
                    .collect();
                entries.sort_unstable(); // in the order of the table: three times as fast
                let mut insert = c.prepare_cached("INSERT OR IGNORE INTO guids (hash, item) VALUES (?1, ?2)")?;
                for (hash, id) in entries {
                    insert.execute([hash, id])?;
                }
                if let Some(last) = rows.last() {
                    c.execute("UPDATE libraries SET guids_upto = ?2 WHERE id = ?1", [library, last.id])?;
                }
                Ok(())
            })?;
        }
    }
}
