//! Items by GUID. The index is made when it is first asked: most hosts never do.

use rusqlite::params;
use xxhash_rust::xxh3::xxh3_64;

use super::columns::{Cells, FromCells, list, read};
use super::indexing::was_indexed;
use super::items::{FROM, ItemRow};
use super::open::Store;
use super::tx::Tx;
use crate::error::Result;
use crate::model::{Item, LibraryId};

/// Rows that one transaction indexes.
const SLICE: i64 = 20_000;

fn hash(guid: &str) -> i64 {
    xxh3_64(guid.as_bytes()).cast_signed()
}

/// An item's row number and its GUIDs: its own, its external ones a line each, its show's.
pub struct Carrier {
    pub id: i64,
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

impl FromCells for Carrier {
    fn from_cells(cells: &mut Cells<'_, '_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: cells.get("i.id")?,
            guid: cells.get("i.guid")?,
            guids: cells.get("i.guids")?,
            show_guid: cells.get("coalesce(s.guid, '')")?,
        })
    }
}

/// Removes an item's entries.
pub fn forget(tx: &Tx<'_>, item: &Carrier) -> rusqlite::Result<()> {
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
    pub fn items_with_guid(&self, library: LibraryId, guid: &str, limit: usize) -> Result<(Vec<Item>, usize)> {
        // Without the index every row is read.
        let by_index = if was_indexed("GUIDs", || self.index_guids(library)) {
            "JOIN guids g ON g.item = i.id AND g.hash = ?3"
        } else {
            ""
        };
        self.read(|connection| {
            let mut found = Vec::new();
            let mut total = 0;
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {} {FROM} {by_index} JOIN libraries l ON l.id = i.library WHERE i.library = ?1 AND ?3 = ?3 \
                 AND i.born <= l.generation AND (i.died IS NULL OR i.died > l.generation) AND (i.guid = ?2 OR s.guid = ?2 \
                 OR instr(char(10) || i.guids || char(10), char(10) || ?2 || char(10))) ORDER BY i.id",
                list::<ItemRow>()
            ))?;
            let rows = statement.query_map(params![library, guid, hash(guid)], read::<ItemRow>)?;
            for row in rows {
                let row = row?;
                total += 1;
                if found.len() < limit {
                    found.push(row.item);
                }
            }
            Ok((found, total))
        })
    }

    /// Brings the GUID index of a library up to date, in slices.
    fn index_guids(&self, library: LibraryId) -> Result<()> {
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
                    .prepare_cached(&format!(
                        "SELECT {} {FROM} JOIN libraries l ON l.id = i.library \
                         WHERE l.id = ?1 AND i.id > l.guids_upto ORDER BY i.id LIMIT ?2",
                        list::<Carrier>()
                    ))?
                    .query_map(params![library, SLICE], read)?
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
                    c.execute(
                        "UPDATE libraries SET guids_upto = ?2 WHERE id = ?1",
                        params![library, last.id],
                    )?;
                }
                Ok(())
            })?;
        }
    }
}
