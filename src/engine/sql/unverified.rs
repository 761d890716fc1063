//! Invalidated paths and items, which plexindex must verify before it returns them again.

use rusqlite::{Connection, params};

use super::cached::CachedStatements;
use super::change_log::{LoggedChange, LoggedKind};
use super::library_rows::LibraryRows;
use super::tx::Tx;
use crate::error::Result;
use crate::matching::normal::normal_form;
use crate::model::{LibraryId, Sequence, ViewId};
use crate::platform::deadline::Deadline;

impl LibraryRows<'_> {
    /// Ends the invalidations of paths, compared by normal form, and of items, after plexindex has verified them. Keeps
    /// invalidations after the change sequence `since`, because the verification may be older.
    pub fn end_invalidations(
        &self,
        identity: ViewId,
        library: LibraryId,
        paths: &[Vec<u8>],
        rating_keys: &[&str],
        since: Sequence,
        deadline: Deadline,
    ) -> Result<()> {
        if !self
            .0
            .read(|connection| connection.has("SELECT 1 FROM unverified WHERE library = ?1", [library]))?
        {
            return Ok(());
        }
        self.0.write(deadline, |tx| {
            for path in paths {
                end_invalidation(tx, identity, library, path, "", since)?;
            }
            for rating_key in rating_keys {
                end_invalidation(tx, identity, library, b"", rating_key, since)?;
            }
            Ok(())
        })
    }
}

/// Ends the invalidation of a path, compared by normal form, or of an item if the path is empty. Keeps an invalidation
/// after the change sequence `since`, because the verification may be older.
///
/// A version with different Unicode tables may have stored a different normal form, so that this call does not find the
/// invalidation. A later listing then ends the invalidation.
pub fn end_invalidation(
    tx: &Tx<'_>,
    identity: ViewId,
    library: LibraryId,
    path: &[u8],
    rating_key: &str,
    since: Sequence,
) -> rusqlite::Result<()> {
    let ended = tx
        .prepare_cached(
            "DELETE FROM unverified WHERE library = ?1 AND form = ?2 AND rating_key = ?3 AND sequence <= ?4",
        )?
        .execute(params![library, normal_form(path), rating_key, since])?;
    if ended == 0 {
        return Ok(());
    }
    let kind = if path.is_empty() {
        LoggedKind::VerifiedItem
    } else {
        LoggedKind::VerifiedPath
    };
    tx.log_change(identity, library, kind, path, rating_key)
}

/// Returns the kind of change to log if a host or event invalidates a path, or an item if the path is empty.
pub fn unverified_kind(path: &[u8]) -> LoggedKind {
    if path.is_empty() {
        LoggedKind::UnverifiedItem
    } else {
        LoggedKind::UnverifiedPath
    }
}

/// Returns the invalidations in all libraries of a view, as changes at the snapshot's change sequence `sequence`, so
/// that a new snapshot can add them like changes.
pub fn unverified_of(
    connection: &Connection,
    identity: ViewId,
    sequence: Sequence,
) -> rusqlite::Result<Vec<LoggedChange>> {
    connection.rows(
        "SELECT u.library, u.path, u.rating_key FROM unverified u JOIN libraries l ON l.id = u.library \
         WHERE l.view_id = ?1",
        [identity],
        |row| {
            let path: Vec<u8> = row.get(1)?;
            Ok(LoggedChange {
                library: row.get(0)?,
                kind: unverified_kind(&path),
                path,
                rating_key: row.get(2)?,
                sequence,
                ..LoggedChange::default()
            })
        },
    )
}

/// Marks a path, or an item if the path is empty, as unverified, and logs this for other processes. `rating_key`: empty
/// for a path.
pub fn mark_unverified(
    tx: &Tx<'_>,
    identity: ViewId,
    library: LibraryId,
    path: &[u8],
    rating_key: &str,
) -> rusqlite::Result<()> {
    tx.run(
        "INSERT OR REPLACE INTO unverified (library, form, rating_key, path, sequence) \
         SELECT id, ?2, ?3, ?4, ?5 FROM libraries WHERE id = ?1",
        params![library, normal_form(path), rating_key, path, tx.sequence],
    )?;
    tx.log_change(identity, library, unverified_kind(path), path, rating_key)
}
