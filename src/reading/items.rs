//! Items of the libraries, as they are stored.

use super::catch_up::Reading;
use super::selection::{Resolved, Selection};
use super::snapshot::places;
use crate::error::{Result, refuse};
use crate::matching::Scope;
use crate::model::{Generation, Item, LibraryId};

impl Reading {
    /// Those of a library after `cursor`, each with the cursor behind it.
    pub fn items(&self, library: &Selection, cursor: i64, limit: usize) -> Result<Vec<(i64, Item)>> {
        loop {
            self.catch_up()?;
            let row = {
                let snapshot = self.snapshot();
                match library.resolve(&snapshot)? {
                    Resolved::Scope(Scope::One(place)) => {
                        snapshot.ask_for(place, self.clock.now_ms());
                        snapshot.rows[place].clone()
                    }
                    Resolved::Scope(Scope::All) => {
                        return refuse("items are listed one library at a time: name one");
                    }
                    Resolved::Unknown => return Err(library.unknown(&snapshot)),
                }
            };
            let items = self.store.items_after(row.id, row.generation, cursor, limit)?;
            // Evicted meanwhile, some may have been swept before they were read.
            if !row.generation.is_fetched() || !self.store.were_evicted(&[row.id])? {
                return Ok(items);
            }
        }
    }

    /// The one with this rating key.
    pub fn item(&self, library: &Selection, rating_key: &str) -> Result<Option<Item>> {
        self.catch_up()?;
        let rows: Vec<(LibraryId, Generation)> = {
            let snapshot = self.snapshot();
            match library.resolve(&snapshot)? {
                Resolved::Scope(scope) => places(scope, snapshot.rows.len())
                    .map(|place| (snapshot.rows[place].id, snapshot.rows[place].generation))
                    .collect(),
                Resolved::Unknown => Vec::new(),
            }
        };
        for (id, generation) in rows {
            if let Some(item) = self.store.item(id, generation, rating_key)? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }
}
