//! Reads stored items.

use super::reading_state::IndexReader;
use super::selection::{Resolved, Selection, never_fetched_error};
use crate::error::{Error, Result, Status, invalid_argument_error};
use crate::matching::Scope;
use crate::model::{Item, LibraryId};
use crate::platform::deadline::Deadline;

impl IndexReader {
    /// Returns about `limit` items in a library after `cursor`, each with the cursor from which the next call
    /// continues: a few more if several items have the last cursor. Fails if the library was never fetched.
    pub fn items(&self, library: &Selection, cursor: i64, limit: usize) -> Result<Vec<(i64, Item)>> {
        self.catch_up(Deadline::NONE)?;
        self.read_undamaged(|snapshot| {
            let index = match library.resolve(snapshot)? {
                Resolved::Scope(Scope::One(index)) => index,
                Resolved::Scope(Scope::All) => {
                    return invalid_argument_error(
                        "cannot list the items of all libraries at once: specify one library",
                    );
                }
                Resolved::Unknown => return Err(library.not_stored_error(snapshot, self)),
            };
            // Without a listing, an empty page would look like the end of the items.
            if !snapshot.rows[index].generation.is_fetched() {
                return Err(never_fetched_error(Some(library), self));
            }
            Ok(snapshot.views[index].items_after(cursor, limit))
        })
    }

    /// Returns about `limit` items in a library after `cursor`, each with the cursor from which the next call
    /// continues: a few more if several items have the last cursor. Returns no items if the library was removed. The
    /// library was fetched when the caller chose it, so without a listing the call fails with [`Status::ListAgain`].
    pub fn stored_items(&self, library: LibraryId, cursor: i64, limit: usize) -> Result<Vec<(i64, Item)>> {
        self.read_undamaged(|snapshot| {
            let Some(index) = snapshot.rows.iter().position(|row| row.id == library) else {
                return Ok(Vec::new());
            };
            if !snapshot.rows[index].generation.is_fetched() {
                let title = &snapshot.rows[index].library.title;
                let text = format!("the listing of '{title}' was damaged or evicted: list again in full");
                return Err(Error::new(Status::ListAgain, text));
            }
            Ok(snapshot.views[index].items_after(cursor, limit))
        })
    }

    /// Returns the item with this rating key; `None` if no selected library contains the item. Fails if plexindex has
    /// fetched none of the selected libraries, because the item may exist on the server.
    pub fn item(&self, library: &Selection, rating_key: &str) -> Result<Option<Item>> {
        self.catch_up(Deadline::NONE)?;
        self.read_undamaged(|snapshot| {
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

/// Returns the error for segments that are missing or damaged again after a repair.
pub fn segments_lost_error() -> Error {
    Error::new(
        Status::Store,
        "a segment is missing or damaged again after its repair: see the log, and find the program that removes or \
         overwrites files in cache_dir",
    )
}
