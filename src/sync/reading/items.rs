//! Reads stored items.

use std::iter;

use super::selection::{Resolved, Selection};
use super::state::Reading;
use crate::engine::{ItemRows, LibraryRow, LibraryRows};
use crate::error::{Result, refuse};
use crate::matching::Scope;
use crate::model::Item;
use crate::platform::deadline::Deadline;

impl Reading {
    /// The items of a library after `cursor`, each with its cursor.
    pub fn items(&self, library: &Selection, cursor: i64, limit: usize) -> Result<Vec<(i64, Item)>> {
        loop {
            self.catch_up(Deadline::NONE)?;
            let row = {
                let snapshot = self.snapshot();
                match library.resolve(&snapshot)? {
                    Resolved::Scope(Scope::One(index)) => snapshot.rows[index].clone(),
                    Resolved::Scope(Scope::All) => {
                        return refuse("can list items of one library at a time only: name one");
                    }
                    Resolved::Unknown => return Err(library.not_stored(&snapshot, self)),
                }
            };
            // An empty page would look like the end of a listing that is missing or was evicted.
            if !row.generation.is_fetched() {
                return Err(library.never_fetched(self));
            }
            let items = ItemRows(&self.store).items_after(row.id, row.generation, cursor, limit)?;
            // If the library was evicted or listed again meanwhile, rows may have been swept before they were read.
            if LibraryRows(&self.store).are_current(&iter::once(&row))? {
                return Ok(items);
            }
        }
    }

    /// The item with this rating key. An error if no library of the selection was fetched: what is not stored may exist.
    pub fn item(&self, library: &Selection, rating_key: &str) -> Result<Option<Item>> {
        loop {
            self.catch_up(Deadline::NONE)?;
            let rows: Vec<LibraryRow> = {
                let snapshot = self.snapshot();
                match library.resolve(&snapshot)? {
                    Resolved::Scope(scope) => snapshot.rows_in(scope).to_vec(),
                    Resolved::Unknown => Vec::new(),
                }
            };
            for row in &rows {
                if let Some(item) = ItemRows(&self.store).item(row.id, row.generation, rating_key)? {
                    return Ok(Some(item));
                }
            }
            let fetched = rows.iter().filter(|row| row.generation.is_fetched());
            if LibraryRows(&self.store).are_current(&fetched)? {
                return library.fetched_scope(&self.snapshot(), self).map(|_| None);
            }
        }
    }
}
