//! Single items that come to, change in or go from the listing that answers, between two full listings.

use rusqlite::{OptionalExtension, params};

use super::listing::{MERGED_PAGES, ShowCache, digest, insert};
use super::rows::{Change, ChangeKind, LibraryRow};
use super::{Store, Tx};
use crate::error::Result;
use crate::model::Item;

impl Store {
    /// Merges rows that the server gave into the generation that answers: true now, whatever a listing will say. Gives
    /// how many of them were new or different.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn merge_items(&self, identity: i64, row: &LibraryRow, items: &[Item]) -> Result<usize> {
        self.write(|tx| {
            tx.expect_library(row.id)?;
            let mut merged = 0;
            for item in items {
                if merge(tx, row, item)? {
                    merged += 1;
                    tell(tx, identity, row, ChangeKind::Added, &item.rating_key)?;
                }
            }
            Ok(merged)
        })
    }

    /// Takes an item that the server does not know any more out of the generation that answers.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn remove_item(&self, identity: i64, row: &LibraryRow, rating_key: &str) -> Result<()> {
        self.write(|tx| {
            tx.expect_library(row.id)?;
            let visible = visible(tx, row, rating_key)?;
            if let Some((id, _)) = visible {
                end(tx, id, row.generation)?;
            }
            end_attempted(tx, row, rating_key)?;
            tx.connection
                .prepare_cached("UPDATE libraries SET listed_items = max(listed_items - ?2, 0) WHERE id = ?1")?
                .execute([row.id, i64::from(visible.is_some())])?;
            tell(tx, identity, row, ChangeKind::Removed, rating_key)
        })
    }
}

/// The row of an item that the generation that answers shows, and its digest.
pub(super) fn visible(tx: &Tx<'_>, row: &LibraryRow, rating_key: &str) -> rusqlite::Result<Option<(i64, i64)>> {
    tx.connection
        .prepare_cached(
            "SELECT id, digest FROM items WHERE library = ?1 AND rating_key = ?2 AND born <= ?3 \
             AND (died IS NULL OR died > ?3)",
        )?
        .query_row(params![row.id, rating_key, row.generation.cast_signed()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
}

fn end(tx: &Tx<'_>, id: i64, generation: u64) -> rusqlite::Result<()> {
    tx.connection
        .prepare_cached("UPDATE items SET died = ?2 WHERE id = ?1")?
        .execute([id, generation.cast_signed()])?;
    Ok(())
}

/// Ends the rows of an item that a listing under way has stored for the next generation: what is known now is newer.
fn end_attempted(tx: &Tx<'_>, row: &LibraryRow, rating_key: &str) -> rusqlite::Result<()> {
    tx.connection
        .prepare_cached(
            "UPDATE items SET died = born WHERE library = ?1 AND rating_key = ?2 AND born > ?3 AND died IS NULL",
        )?
        .execute(params![row.id, rating_key, row.generation.cast_signed()])?;
    Ok(())
}

/// Puts an item into the generation that answers; gives whether it differs from what was there.
fn merge(tx: &Tx<'_>, row: &LibraryRow, item: &Item) -> rusqlite::Result<bool> {
    let before = visible(tx, row, &item.rating_key)?;
    if before.is_some_and(|(_, before)| before == digest(item).cast_signed()) {
        return Ok(false);
    }
    if let Some((id, _)) = before {
        end(tx, id, row.generation)?;
    }
    end_attempted(tx, row, &item.rating_key)?;
    let generation = row.generation.cast_signed();
    let id = insert(tx, &mut ShowCache::default(), row.id, generation, item)?;
    // A listing under way has seen it: it must not be marked as gone at its end. A page of its own, far behind.
    tx.connection
        .prepare_cached("INSERT OR REPLACE INTO seen (library, page, ids) VALUES (?1, ?2, ?3)")?
        .execute(params![row.id, MERGED_PAGES + id, id.to_le_bytes()])?;
    Ok(true)
}

fn tell(tx: &Tx<'_>, identity: i64, row: &LibraryRow, kind: ChangeKind, rating_key: &str) -> rusqlite::Result<()> {
    tx.change(
        identity,
        &Change {
            library: row.id,
            kind,
            path: Vec::new(),
            rating_key: rating_key.to_owned(),
            generation: row.generation,
        },
    )
}
