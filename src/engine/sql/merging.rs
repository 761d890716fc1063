//! Single items that are added to, changed in or removed from the current listing, between two full listings.

use rusqlite::params;

use super::adding::{BulkInsert, RowDefaults};
use super::cached::CachedStatements;
use super::change_log::LoggedKind;
use super::confirmed_matches::forget;
use super::items::{ItemRows, digest, visible};
use super::last_write::LibraryState;
use super::libraries::{LibraryRow, renew};
use super::seen;
use super::tx::Tx;
use crate::error::Result;
use crate::model::{Generation, Item, LibraryId, Sequence};
use crate::platform::deadline::Deadline;

impl ItemRows<'_> {
    /// Merges items that the server returned into the current generation. `requested_at`: the change sequence when the
    /// first of them was requested. Items that were added or removed one by one since then stay as they are.
    pub fn merge_items(
        &self,
        row: &LibraryRow,
        items: &[Item],
        requested_at: Option<Sequence>,
        deadline: Deadline,
    ) -> Result<()> {
        self.0.write(deadline, |tx| {
            let library = tx.expect_library(row.id)?;
            // A listing under way must not mark the merged items as gone.
            let is_listed = tx.has("SELECT 1 FROM listings WHERE library = ?1", [library.id])?;
            // Whether an attempt at a listing has stored rows for a later generation. In a first listing the query
            // would find no rows, as its index lacks them.
            let has_attempted_rows = !library.generation.is_fetched()
                || tx.has(
                    "SELECT 1 FROM items WHERE library = ?1 AND born > ?2 AND born > 1 LIMIT 1",
                    params![library.id, library.generation],
                )?;
            let defaults = RowDefaults {
                library: library.id,
                generation: library.generation,
                since: tx.sequence,
            };
            let mut adding = BulkInsert::new(tx, defaults, items.len());
            for item in items {
                if let Some(requested_at) = requested_at
                    && is_newer(tx, library.id, &item.rating_key, requested_at)?
                {
                    continue;
                }
                let visible_row = visible(tx, library.id, library.generation, &item.rating_key)?;
                let digest = digest(item);
                match visible_row {
                    Some((_, known)) if known == digest => continue,
                    Some((id, _)) => end(tx, id, library.generation)?,
                    None => tx.run(
                        "UPDATE libraries SET listed_items = listed_items + 1 WHERE id = ?1",
                        [library.id],
                    )?,
                }
                if has_attempted_rows {
                    end_attempted(tx, &library, &item.rating_key)?;
                }
                let id = adding.add(item, digest)?;
                adding.end()?;
                if is_listed {
                    seen::note_merged(tx, library.id, id)?;
                }
                let was = visible_row.map_or(0, |(id, _)| id);
                tx.change_of_items(&library, LoggedKind::Added, &item.rating_key, (was, id))?;
            }
            Ok(())
        })
    }

    /// Stores that the listing is current and has `items` items: all changes up to the last probe were merged, from
    /// pages requested after the change sequence `begun`.
    pub fn caught_up(
        &self,
        row: &LibraryRow,
        begun: Sequence,
        items: u64,
        now_ms: i64,
        provisional: bool,
        deadline: Deadline,
    ) -> Result<()> {
        self.0.write(deadline, |tx| {
            let library = tx.expect_library(row.id)?;
            renew(tx, row.id, &row.library.change.token, begun, now_ms, provisional)?;
            tx.run(
                "UPDATE libraries SET told_items = ?2 WHERE id = ?1",
                params![row.id, items.cast_signed()],
            )?;
            tx.freshness_changed(library.identity)
        })
    }

    /// Removes an item from the current generation, because the library does not have it any more, and its matches in
    /// `confirmed`.
    pub fn remove_item(
        &self,
        row: &LibraryRow,
        rating_key: &str,
        confirmed: &[(LibraryId, Vec<u8>)],
        deadline: Deadline,
    ) -> Result<()> {
        self.0.write(deadline, |tx| {
            let library = tx.expect_library(row.id)?;
            forget(tx, library.identity, confirmed)?;
            remove(tx, &library, rating_key)
        })
    }
}

/// Ends the rows of an item, and logs its removal.
fn remove(tx: &Tx<'_>, library: &LibraryState, rating_key: &str) -> rusqlite::Result<()> {
    let visible = visible(tx.connection, library.id, library.generation, rating_key)?;
    if let Some((id, _)) = visible {
        end(tx, id, library.generation)?;
    }
    end_attempted(tx, library, rating_key)?;
    tx.run(
        "UPDATE libraries SET listed_items = max(listed_items - ?2, 0) WHERE id = ?1",
        params![library.id, i64::from(visible.is_some())],
    )?;
    let was = visible.map_or(0, |(id, _)| id);
    tx.change_of_items(library, LoggedKind::Removed, rating_key, (was, 0))
}

/// Returns whether a single item was added or removed after a change sequence.
fn is_newer(tx: &Tx<'_>, library: LibraryId, rating_key: &str, requested_at: Sequence) -> rusqlite::Result<bool> {
    tx.has(
        "SELECT 1 FROM items WHERE library = ?1 AND rating_key = ?2 AND since > ?3",
        params![library, rating_key, requested_at],
    )
}

/// Ends a single row, and stores when. So a page that was requested before does not bring the row back.
fn end(tx: &Tx<'_>, id: i64, generation: Generation) -> rusqlite::Result<()> {
    tx.run(
        "UPDATE items SET died = ?2, since = ?3 WHERE id = ?1",
        params![id, generation, tx.sequence],
    )
}

/// Ends the rows of an item that a listing under way stored for the next generation, because the single change is
/// newer.
fn end_attempted(tx: &Tx<'_>, library: &LibraryState, rating_key: &str) -> rusqlite::Result<()> {
    tx.run(
        "UPDATE items SET died = born, since = ?4 WHERE library = ?1 AND rating_key = ?2 AND born > ?3 \
         AND died IS NULL",
        params![library.id, rating_key, library.generation, tx.sequence],
    )
}
