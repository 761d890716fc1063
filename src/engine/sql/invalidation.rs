//! Invalidation of paths, items and libraries.

use rusqlite::params;

use super::cached::CachedStatements;
use super::confirmed_matches::{drop_matches, forget};
use super::incarnation::Incarnation;
use super::items::visible;
use super::libraries::{LibraryRow, LibraryRows, one_library};
use super::local_write::LocalWrite;
use super::tx::Tx;
use super::unverified::mark_unverified;
use crate::error::Result;
use crate::model::{IdentityId, LibraryId, Sequence};
use crate::platform::deadline::Deadline;

impl LibraryRows<'_> {
    /// Invalidates paths and items in one write, so that they become invalid together. Those in `unverified`, each a
    /// path or an item, must be verified before they are returned again; the matches in `confirmed` are removed, and
    /// their paths are unverified too. `asked`: what hosts asked for. Returns the incarnation and the change sequence
    /// of the write.
    pub fn invalidate(
        &self,
        identity: IdentityId,
        asked: &LocalWrite<'_>,
        unverified: &[(LibraryId, &[u8], &str)],
        confirmed: &[(LibraryId, Vec<u8>)],
        deadline: Deadline,
    ) -> Result<(Incarnation, Sequence)> {
        // Read before the write, which may go to another database than the one that was read.
        let incarnation = self.0.incarnation();
        self.0.write(deadline, |tx| {
            self.0.observe(tx, identity, asked)?;
            forget(tx, identity, confirmed)?;
            for (library, path, rating_key) in unverified {
                mark_unverified(tx, identity, *library, path, rating_key)?;
            }
            Ok((incarnation, tx.sequence))
        })
    }

    /// Marks items as unverified: a request must confirm them before they are returned. Recorded matches stay.
    pub fn invalidate_items(
        &self,
        identity: IdentityId,
        library: LibraryId,
        rating_keys: &[&str],
        deadline: Deadline,
    ) -> Result<()> {
        self.0.write(deadline, |tx| {
            let asked = LocalWrite::Items {
                libraries: &[library],
                rating_keys,
                with_matches: false,
            };
            self.0.observe(tx, identity, &asked)?;
            let row = one_library(tx.connection, library)?;
            for rating_key in rating_keys {
                mark_item_unverified(tx, identity, &row, rating_key)?;
            }
            Ok(())
        })
    }

    /// Makes a full listing of a library due, instead of invalidating many of its paths. The listing ends the
    /// invalidation.
    pub fn invalidate_all_paths(&self, identity: IdentityId, library: LibraryId, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            tx.execute("DELETE FROM unverified WHERE library = ?1", [library])?;
            tx.execute(
                "UPDATE libraries SET due_seq = ?2 WHERE id = ?1",
                params![library, tx.sequence],
            )?;
            tx.libraries_changed(identity)
        })
    }

    /// Makes a full listing of a library due, and drops all its confirmed matches. Without a library, does so for all
    /// libraries of the identity.
    pub fn invalidate_libraries(
        &self,
        identity: IdentityId,
        library: Option<LibraryId>,
        deadline: Deadline,
    ) -> Result<()> {
        self.0.write(deadline, |tx| {
            self.0.observe(tx, identity, &LocalWrite::Library(library))?;
            let libraries: Vec<LibraryId> = tx.values(
                "UPDATE libraries SET due_seq = ?3 WHERE identity = ?1 AND (?2 IS NULL OR id = ?2) RETURNING id",
                params![identity, library, tx.sequence],
            )?;
            for library in libraries {
                drop_matches(tx, library)?;
            }
            tx.libraries_changed(identity)
        })
    }
}

/// Marks an item as unverified. Returns whether the library lists it. An item that only a listing under way has stored
/// is marked too, because that listing would publish the old state.
pub fn mark_item_unverified(
    tx: &Tx<'_>,
    identity: IdentityId,
    row: &LibraryRow,
    rating_key: &str,
) -> rusqlite::Result<bool> {
    let known = tx.has(
        "SELECT 1 FROM items WHERE library = ?1 AND rating_key = ?2 AND (died IS NULL OR died > ?3 AND born <= ?3)",
        params![row.id, rating_key, row.generation],
    )?;
    if known {
        mark_unverified(tx, identity, row.id, b"", rating_key)?;
    }
    Ok(visible(tx.connection, row.id, row.generation, rating_key)?.is_some())
}
