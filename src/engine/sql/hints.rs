//! Stores hints from events: libraries to probe, and deleted items.

use rusqlite::params;

use super::cached::CachedStatements;
use super::invalidation::mark_item_unverified;
use super::item_rows::ListingBase;
use super::library_rows::{LibraryRow, LibraryRows, libraries};
use super::local_write::{LibraryHint, LocalWrite};
use super::tx::Tx;
use crate::error::Result;
use crate::model::{Hint, LibraryId, ViewId};
use crate::platform::deadline::Deadline;

impl LibraryRows<'_> {
    /// Stores hints from events (`hints`) in one transaction, so that the next refresh acts on them. Marks deleted
    /// items as unverified. A hint about an unknown library requests a probe of all libraries.
    pub fn store_hints(&self, identity: ViewId, hints: &[LibraryHint], deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            self.0.observe(tx, identity, &LocalWrite::Hints(hints))?;
            let rows = libraries(tx.connection, identity)?;
            // Open the listings only if deleted items must be found in them.
            let mut bases = Vec::new();
            if hints.iter().any(|mark| !mark.deleted.is_empty()) {
                for row in &rows {
                    bases.push((row.id, ListingBase::of(tx, self.0, row.id)?));
                }
            }
            let mut hinted = false;
            for mark in hints {
                let is_named = |row: &&LibraryRow| mark.section.as_ref().is_none_or(|id| row.library.section == *id);
                let named: Vec<&LibraryRow> = rows.iter().filter(is_named).collect();
                let mut hint = mark.hint;
                for rating_key in &mark.deleted {
                    let mut is_marked = false;
                    let is_named = |library| named.iter().any(|row| row.id == library);
                    for (library, base) in bases.iter().filter(|(library, _)| is_named(*library)) {
                        is_marked |= mark_item_unverified(tx, identity, (*library, base), rating_key)?;
                    }
                    // The key belongs to a show or an album, or to an item that only an unfinished listing contains.
                    if !is_marked {
                        hint = hint.max(Hint::Probe);
                    }
                }
                if hint == Hint::None {
                    continue;
                }
                hinted = true;
                for row in &named {
                    store_hint(tx, row.id, hint)?;
                }
                // A probe also finds a library that is not stored yet.
                for row in rows.iter().filter(|_| named.is_empty()) {
                    store_hint(tx, row.id, Hint::Probe)?;
                }
            }
            if hinted {
                tx.freshness_changed(identity)?;
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
