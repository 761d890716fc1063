//! Paths and items that were invalidated: not answered again before a request has confirmed them.

use rusqlite::{Connection, params};

use super::changes::{Change, ChangeKind};
use super::open::Store;
use super::tx::Tx;
use crate::error::Result;
use crate::model::{IdentityId, LibraryId, Sequence};

impl Store {
    /// What is invalidated of a library: paths, and the rating keys of items (the other one of each pair is empty).
    pub fn unverified(&self, library: LibraryId) -> Result<Vec<(Vec<u8>, String)>> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT path, rating_key FROM unverified WHERE library = ?1")?
                .query_map([library], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// Notes that a request confirmed a path (or, with an empty path, an item).
    pub fn verified(&self, identity: IdentityId, library: LibraryId, path: &[u8], rating_key: &str) -> Result<()> {
        self.write(|tx| {
            tx.connection
                .prepare_cached("DELETE FROM unverified WHERE library = ?1 AND path = ?2 AND rating_key = ?3")?
                .execute(params![library, path, rating_key])?;
            let kind = if path.is_empty() {
                ChangeKind::VerifiedItem
            } else {
                ChangeKind::VerifiedPath
            };
            tx.change(identity, library, kind, path, rating_key)
        })
    }
}

/// The kind of change by which a path, or with an empty path an item, is invalidated.
fn kind_of(path: &[u8]) -> ChangeKind {
    if path.is_empty() {
        ChangeKind::UnverifiedItem
    } else {
        ChangeKind::UnverifiedPath
    }
}

/// What is invalidated in the libraries of an identity, as if it had been just now.
pub fn unverified_of(connection: &Connection, identity: IdentityId, now: Sequence) -> rusqlite::Result<Vec<Change>> {
    connection
        .prepare_cached(
            "SELECT u.library, u.path, u.rating_key FROM unverified u JOIN libraries l ON l.id = u.library \
             WHERE l.identity = ?1",
        )?
        .query_map([identity], |row| {
            let path: Vec<u8> = row.get(1)?;
            Ok(Change {
                library: row.get(0)?,
                kind: kind_of(&path),
                path,
                rating_key: row.get(2)?,
                sequence: now,
            })
        })?
        .collect()
}

/// Has a path, or with an empty path an item, confirmed before it is answered again.
pub fn mark_unverified(
    tx: &Tx<'_>,
    identity: IdentityId,
    library: LibraryId,
    path: &[u8],
    rating_key: &str,
) -> rusqlite::Result<()> {
    tx.connection
        .prepare_cached(
            "INSERT OR REPLACE INTO unverified (library, path, rating_key, sequence) \
             SELECT id, ?2, ?3, ?4 FROM libraries WHERE id = ?1",
        )?
        .execute(params![library, path, rating_key, tx.sequence])?;
    tx.change(identity, library, kind_of(path), path, rating_key)
}
