//! Paths and items that were invalidated: not answered again before a request has confirmed them.

use rusqlite::{Connection, params};

use super::changes::{Change, ChangeKind};
use super::columns::{Cells, FromCells, list, read};
use super::open::Store;
use super::tx::Tx;
use crate::error::Result;
use crate::model::{IdentityId, LibraryId};

/// An invalidated path or item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unverified {
    /// The library's number.
    pub library: LibraryId,
    /// The path; empty when an item is meant.
    pub path: Vec<u8>,
    /// The item; empty when a path is meant.
    pub rating_key: String,
}

impl FromCells for Unverified {
    fn from_cells(cells: &mut Cells<'_, '_>) -> rusqlite::Result<Self> {
        Ok(Self {
            library: cells.get("u.library")?,
            path: cells.get("u.path")?,
            rating_key: cells.get("u.rating_key")?,
        })
    }
}

impl Store {
    /// What is invalidated of a library: paths, and the rating keys of items (the other one of each pair is empty).
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn unverified(&self, library: LibraryId) -> Result<Vec<(Vec<u8>, String)>> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT path, rating_key FROM unverified WHERE library = ?1")?
                .query_map([library], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// Notes that a request confirmed a path (or, with an empty path, an item).
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn verified(&self, identity: IdentityId, library: LibraryId, path: &[u8], rating_key: &str) -> Result<()> {
        self.write(|tx| {
            tx.connection
                .prepare_cached("DELETE FROM unverified WHERE library = ?1 AND path = ?2 AND rating_key = ?3")?
                .execute(params![library, path, rating_key])?;
            tx.change(
                identity,
                &Change {
                    library,
                    kind: if path.is_empty() {
                        ChangeKind::VerifiedItem
                    } else {
                        ChangeKind::VerifiedPath
                    },
                    path: path.to_vec(),
                    rating_key: rating_key.to_owned(),
                    sequence: tx.sequence,
                },
            )
        })
    }
}

/// What is invalidated in the libraries of an identity.
pub fn unverified_of(connection: &Connection, identity: IdentityId) -> rusqlite::Result<Vec<Unverified>> {
    connection
        .prepare_cached(&format!(
            "SELECT {} FROM unverified u JOIN libraries l ON l.id = u.library WHERE l.identity = ?1",
            list::<Unverified>()
        ))?
        .query_map([identity], read)?
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
    tx.change(
        identity,
        &Change {
            library,
            kind: if path.is_empty() {
                ChangeKind::UnverifiedItem
            } else {
                ChangeKind::UnverifiedPath
            },
            path: path.to_vec(),
            rating_key: rating_key.to_owned(),
            sequence: tx.sequence,
        },
    )
}
