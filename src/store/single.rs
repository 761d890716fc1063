//! Single items that come to, change in or go from the listing that answers, between two full listings.

use rusqlite::{OptionalExtension, params};

use super::listing::insert_item;
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
                if !insert_item(tx, row.id, row.generation, item)? {
                    continue;
                }
                merged += 1;
                tell(tx, identity, row, ChangeKind::Added, &item.rating_key)?;
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
            let id: Option<i64> = tx
                .connection
                .prepare_cached("SELECT id FROM items WHERE library = ?1 AND rating_key = ?2 AND died IS NULL")?
                .query_row(params![row.id, rating_key], |row| row.get(0))
                .optional()?;
            if let Some(id) = id {
                tx.connection
                    .prepare_cached("UPDATE items SET died = ?2 WHERE id = ?1")?
                    .execute([id, row.generation.cast_signed()])?;
            }
            tx.connection
                .prepare_cached("UPDATE libraries SET listed_items = max(listed_items - ?2, 0) WHERE id = ?1")?
                .execute([row.id, i64::from(id.is_some())])?;
            tell(tx, identity, row, ChangeKind::Removed, rating_key)
        })
    }
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
