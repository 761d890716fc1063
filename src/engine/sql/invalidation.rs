//! Invalidation of paths, items and libraries.

use rusqlite::params;

use super::cached::CachedStatements;
use super::confirmed_matches::{drop_matches, forget};
use super::incarnation::Incarnation;
use super::item_rows::ListingBase;
use super::library_rows::LibraryRows;
use super::local_write::LocalWrite;
use super::tx::Tx;
use super::unverified::mark_unverified;
use crate::error::Result;
use crate::model::{IdentityId, LibraryId, Sequence};
use crate::platform::deadline::Deadline;

impl LibraryRows<'_> {
    /// Invalidates paths and items in one write, so that they become invalid together. Returns the incarnation and the
    /// change sequence of the write.
    ///
    /// Marks the paths and items in `unverified`, removes the matches in `confirmed`, and marks their paths too.
    /// `request`: the host's request, for other hosts.
    pub fn invalidate(
        &self,
        identity: IdentityId,
        request: &LocalWrite<'_>,
        unverified: &[(LibraryId, &[u8], &str)],
        confirmed: &[(LibraryId, Vec<u8>)],
        deadline: Deadline,
    ) -> Result<(Incarnation, Sequence)> {
        // Before the write: if that creates a new database, the result belongs to no incarnation that the caller has.
        let incarnation = self.0.incarnation();
        self.0.write(deadline, |tx| {
            self.0.observe(tx, identity, request)?;
            forget(tx, identity, confirmed)?;
            for (library, path, rating_key) in unverified {
                mark_unverified(tx, identity, *library, path, rating_key)?;
            }
            Ok((incarnation, tx.sequence))
        })
    }

    /// Marks items as unverified, so that a request must verify them before plexindex returns them. Keeps confirmed
    /// matches.
    pub fn invalidate_items(
        &self,
        identity: IdentityId,
        library: LibraryId,
        rating_keys: &[&str],
        deadline: Deadline,
    ) -> Result<()> {
        self.0.write(deadline, |tx| {
            let request = LocalWrite::Items {
                libraries: &[library],
                rating_keys,
                with_matches: false,
            };
            self.0.observe(tx, identity, &request)?;
            let base = ListingBase::of(tx, self.0, library)?;
            for rating_key in rating_keys {
                mark_item_unverified(tx, identity, (library, &base), rating_key)?;
            }
            Ok(())
        })
    }

    /// Makes a full listing of a library due, in place of the invalidation of many paths.
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

    /// Makes a full listing of a library due and removes its confirmed matches. Without a library, does so for all
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

/// Marks an item as unverified, and returns whether the library lists it. `base`: the listing of the library. While
/// another listing is under way, marks any item, because that listing may publish the old state.
pub fn mark_item_unverified(
    tx: &Tx<'_>,
    identity: IdentityId,
    (library, base): (LibraryId, &ListingBase),
    rating_key: &str,
) -> rusqlite::Result<bool> {
    let is_listed = base.item(tx, library, rating_key)?.is_some();
    if is_listed || tx.has("SELECT 1 FROM listings WHERE library = ?1", [library])? {
        mark_unverified(tx, identity, library, b"", rating_key)?;
    }
    Ok(is_listed)
}
