//! Invalidated paths and items: a request must verify them before they are returned again.

use rusqlite::{Connection, params};

use super::cached::CachedStatements;
use super::changes::{LoggedChange, LoggedKind};
use super::open::Store;
use super::tx::Tx;
use crate::error::Result;
use crate::model::{IdentityId, LibraryId, Sequence};
use crate::platform::deadline::Deadline;

/// An invalidated path or item: path, rating key (one of the two is empty), and the change sequence of the
/// invalidation.
pub type Invalidation = (Vec<u8>, String, Sequence);

impl Store {
    /// The invalidations of a library.
    pub fn unverified(&self, library: LibraryId) -> Result<Vec<Invalidation>> {
        self.read(|connection| unverified_in(connection, library))
    }

    /// Stores that a path or an item was verified. It stays invalid if it was invalidated again meanwhile.
    pub fn verified(
        &self,
        identity: IdentityId,
        library: LibraryId,
        invalid: &Invalidation,
        deadline: Deadline,
    ) -> Result<()> {
        let (path, rating_key, since) = invalid;
        self.write(deadline, |tx| {
            let ended = tx
                .prepare_cached(
                    "DELETE FROM unverified WHERE library = ?1 AND path = ?2 AND rating_key = ?3 AND sequence <= ?4",
                )?
                .execute(params![library, path, rating_key, since])?;
            if ended == 0 {
                return Ok(());
            }
            let kind = if path.is_empty() {
                LoggedKind::VerifiedItem
            } else {
                LoggedKind::VerifiedPath
            };
            tx.change(identity, library, kind, path, rating_key)
        })
    }
}

/// The invalidations of a library, as [`Store::unverified`].
pub fn unverified_in(connection: &Connection, library: LibraryId) -> rusqlite::Result<Vec<Invalidation>> {
    connection.rows(
        "SELECT path, rating_key, sequence FROM unverified WHERE library = ?1",
        [library],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
}

/// The kind of change for an invalidation: of a path, or of an item if the path is empty.
pub fn kind_of(path: &[u8]) -> LoggedKind {
    if path.is_empty() {
        LoggedKind::UnverifiedItem
    } else {
        LoggedKind::UnverifiedPath
    }
}

/// The invalidations in all libraries of an identity, as changes.
pub fn unverified_of(
    connection: &Connection,
    identity: IdentityId,
    now: Sequence,
) -> rusqlite::Result<Vec<LoggedChange>> {
    connection.rows(
        "SELECT u.library, u.path, u.rating_key FROM unverified u JOIN libraries l ON l.id = u.library \
         WHERE l.identity = ?1",
        [identity],
        |row| {
            let path: Vec<u8> = row.get(1)?;
            Ok(LoggedChange {
                library: row.get(0)?,
                kind: kind_of(&path),
                path,
                rating_key: row.get(2)?,
                sequence: now,
            })
        },
    )
}

/// Marks a path, or an item if the path is empty, as unverified.
pub fn mark_unverified(
    tx: &Tx<'_>,
    identity: IdentityId,
    library: LibraryId,
    path: &[u8],
    rating_key: &str,
) -> rusqlite::Result<()> {
    tx.run(
        "INSERT OR REPLACE INTO unverified (library, path, rating_key, sequence) \
         SELECT id, ?2, ?3, ?4 FROM libraries WHERE id = ?1",
        params![library, path, rating_key, tx.sequence],
    )?;
    tx.change(identity, library, kind_of(path), path, rating_key)
}
