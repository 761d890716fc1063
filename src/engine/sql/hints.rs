//! Stores hints from events: libraries to probe, and deleted items.

use rusqlite::params;

use super::cached::CachedStatements;
use super::invalidation::mark_item_unverified;
use super::item_rows::OpenListing;
use super::library_rows::{LibraryRow, LibraryRows, libraries};
use super::tx::Tx;
use crate::error::Result;
use crate::model::{Hint, LibraryId, ViewId};
use crate::platform::deadline::Deadline;

/// Hints from events about one library or all libraries: whether to probe, and which items were deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LibraryHint {
    /// The library's section id; `None` for all libraries.
    pub section: Option<String>,
    /// Whether to probe the library, and why.
    pub hint: Hint,
    /// Rating keys of items that events reported as deleted. plexindex must verify these items.
    pub deleted: Vec<String>,
}

impl LibraryRows<'_> {
    /// Stores hints from events (`hints`) in one transaction, so that the next refresh acts on them. Marks deleted
    /// items as unverified. A hint about a library that the view lacks becomes a hint to probe all libraries.
    pub fn store_hints(&self, identity: ViewId, hints: &[LibraryHint], deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            let rows = libraries(tx.connection, identity)?;
            // Open the listings only if deleted items must be found in them.
            let mut listings = Vec::new();
            if hints.iter().any(|event| !event.deleted.is_empty()) {
                for row in &rows {
                    listings.push((row.id, OpenListing::of(tx, self.0, row.id)?));
                }
            }
            let mut is_any_stored = false;
            for event in hints {
                let is_hinted = |row: &&LibraryRow| event.section.as_ref().is_none_or(|id| row.library.section == *id);
                let hinted_rows: Vec<&LibraryRow> = rows.iter().filter(is_hinted).collect();
                let mut hint = event.hint;
                for rating_key in &event.deleted {
                    let mut is_marked = false;
                    let is_hinted = |library| hinted_rows.iter().any(|row| row.id == library);
                    for (library, base) in listings.iter().filter(|(library, _)| is_hinted(*library)) {
                        is_marked |= mark_item_unverified(tx, identity, (*library, base), rating_key)?;
                    }
                    // Otherwise, the key belongs to a show or an album, or only an unfinished listing has the item.
                    if !is_marked {
                        hint = hint.max(Hint::Probe);
                    }
                }
                if hint == Hint::None {
                    continue;
                }
                is_any_stored = true;
                for row in &hinted_rows {
                    store_hint(tx, row.id, hint)?;
                }
                // A probe also finds a library that is not stored yet.
                for row in rows.iter().filter(|_| hinted_rows.is_empty()) {
                    store_hint(tx, row.id, Hint::Probe)?;
                }
            }
            if is_any_stored {
                tx.freshness_changed(identity)?;
            }
            Ok(())
        })
    }

    /// Stores that events have announced changes in the libraries with these section ids (`None`: all libraries). This
    /// ends the pauses of unlisted paths, but answers do not become stale before the hints follow.
    pub fn store_news(&self, identity: ViewId, sections: &[Option<String>], deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            for section in sections {
                tx.run(
                    "UPDATE libraries SET hint_seq = ?3 WHERE view_id = ?1 AND (?2 IS NULL OR section = ?2)",
                    params![identity, section, tx.sequence],
                )?;
            }
            Ok(())
        })
    }
}

/// Stores a hint about a library, or keeps a stronger one. Always updates `hint_seq`, so that only a probe that starts
/// later clears the hint.
fn store_hint(tx: &Tx<'_>, library: LibraryId, hint: Hint) -> rusqlite::Result<()> {
    tx.run(
        "UPDATE libraries SET hint = max(hint, ?2), hint_seq = ?3 WHERE id = ?1",
        params![library, hint as i64, tx.sequence],
    )
}
