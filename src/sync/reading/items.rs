//! Reads stored items.

use super::selection::{Resolved, Selection};
use super::state::Reading;
use crate::error::{Error, Result, Status, refuse};
use crate::matching::Scope;
use crate::model::Item;
use crate::platform::deadline::Deadline;

impl Reading {
    /// The items of a library after `cursor`, each with its cursor.
    pub fn items(&self, library: &Selection, cursor: i64, limit: usize) -> Result<Vec<(i64, Item)>> {
        self.catch_up(Deadline::NONE)?;
        self.read_whole(|snapshot| {
            let index = match library.resolve(snapshot)? {
                Resolved::Scope(Scope::One(index)) => index,
                Resolved::Scope(Scope::All) => {
                    return refuse("can list items of one library at a time only: name one");
                }
                Resolved::Unknown => return Err(library.not_stored(snapshot, self)),
            };
            // An empty page would look like the end of a listing that is missing or was evicted.
            if !snapshot.rows[index].generation.is_fetched() {
                return Err(library.never_fetched(self));
            }
            Ok(snapshot.views[index].items_after(cursor, limit))
        })
    }

    /// The item with this rating key. An error if no library of the selection was fetched: what is not stored may
    /// exist.
    pub fn item(&self, library: &Selection, rating_key: &str) -> Result<Option<Item>> {
        self.catch_up(Deadline::NONE)?;
        self.read_whole(|snapshot| {
            let views = match library.resolve(snapshot)? {
                Resolved::Scope(scope) => snapshot.views_in(scope),
                Resolved::Unknown => &[],
            };
            match views.iter().find_map(|view| view.stored_item(rating_key)) {
                None => library.fetched_scope(snapshot, self).map(|_| None),
                found => Ok(found),
            }
        })
    }
}

/// The error for segments that are damaged again after each rebuild.
pub fn segments_lost() -> Error {
    Error::new(
        Status::Store,
        "a segment is missing or damaged after each repair: see the log, and look for the program that removes or \
         overwrites files in cache_dir",
    )
}
