//! Invalidates paths, items and libraries.

use rusqlite::params;

use super::cached::CachedStatements;
use super::confirmed_matches::{drop_matches, remove_matches};
use super::incarnation::Incarnation;
use super::item_rows::OpenListing;
use super::library_rows::LibraryRows;
use super::local_write::LocalWrite;
use super::tx::Tx;
use super::unverified::mark_unverified;
use crate::error::Result;
use crate::model::{LibraryId, Sequence, ViewId};
use crate::platform::deadline::Deadline;

impl LibraryRows<'_> {
    /// Invalidates paths and items in one transaction, so that they become invalid together. Returns the incarnation
    /// and the change sequence of the write.
    ///
    /// Marks the paths and items in `unverified` as unverified; a path's entry has an empty rating key, and an item's
    /// entry has an empty path. Removes the confirmed matches for the paths in `confirmed`, and marks these paths
    /// as unverified too. `request`: the host's request, which the observer shares with other hosts.
    pub fn invalidate(
        &self,
        identity: ViewId,
        request: &LocalWrite<'_>,
        unverified: &[(LibraryId, &[u8], &str)],
        confirmed: &[(LibraryId, Vec<u8>)],
        deadline: Deadline,
    ) -> Result<(Incarnation, Sequence)> {
        // Read the incarnation before the write. If the write creates a new database, callers then ignore this result,
        // because its incarnation is outdated.
        let incarnation = self.0.incarnation();
        self.0.write(deadline, |tx| {
            self.0.observe(tx, identity, request)?;
            remove_matches(tx, identity, confirmed)?;
            for (library, path, rating_key) in unverified {
                mark_unverified(tx, identity, *library, path, rating_key)?;
            }
            Ok((incarnation, tx.sequence))
        })
    }

    /// Marks items as unverified after an edit, so that plexindex verifies them before it returns them. The observer
    /// shares this with other hosts. Keeps confirmed matches.
    pub fn invalidate_items(
        &self,
        identity: ViewId,
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
            let base = OpenListing::of(tx, self.0, library)?;
            for rating_key in rating_keys {
                mark_item_unverified(tx, identity, (library, &base), rating_key)?;
            }
            Ok(())
        })
    }

    /// Replaces the invalidations of single paths and items in a library by a request for a full listing, because there
    /// are too many for a memtable. The listing verifies all paths and items. Keeps confirmed matches.
    pub fn invalidate_all_paths(&self, identity: ViewId, library: LibraryId, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            tx.execute("DELETE FROM unverified WHERE library = ?1", [library])?;
            tx.execute(
                "UPDATE libraries SET due_seq = ?2 WHERE id = ?1",
                params![library, tx.sequence],
            )?;
            tx.libraries_changed(identity)
        })
    }

    /// Requests a full listing of an invalidated library, and removes its confirmed matches. If `library` is `None`,
    /// does so for all libraries in the view. The observer shares this with other hosts.
    pub fn invalidate_libraries(&self, identity: ViewId, library: Option<LibraryId>, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            self.0.observe(tx, identity, &LocalWrite::Library(library))?;
            let libraries: Vec<LibraryId> = tx.values(
                "UPDATE libraries SET due_seq = ?3 WHERE view_id = ?1 AND (?2 IS NULL OR id = ?2) RETURNING id",
                params![identity, library, tx.sequence],
            )?;
            for library in libraries {
                drop_matches(tx, library)?;
            }
            tx.libraries_changed(identity)
        })
    }
}

/// Marks an item as unverified if the library may list the item. While a new listing is running, marks any item, because
/// the listing may publish the item's old state. Returns whether the library may list the item. `base`: the library's
/// current listing.
pub fn mark_item_unverified(
    tx: &Tx<'_>,
    identity: ViewId,
    (library, base): (LibraryId, &OpenListing),
    rating_key: &str,
) -> rusqlite::Result<bool> {
    // Other processes may still have a lost segment.
    let is_listed = base.is_lost || base.item(tx, library, rating_key)?.is_some();
    if is_listed || tx.has("SELECT 1 FROM listings WHERE library = ?1", [library])? {
        mark_unverified(tx, identity, library, b"", rating_key)?;
    }
    Ok(is_listed)
}
