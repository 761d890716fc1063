//! A full listing, page by page, before the log goes on.

use rusqlite::{Connection, params};

use super::super::cached::CachedStatements;
use super::super::items::batch;
use super::super::libraries::one_library;
use super::super::lines::line;
use super::told::{FeedPage, FeedPlace, FeedPosition, ItemChange};
use crate::model::{Generation, IdentityId, LibraryId, Sequence};

/// The next library that has a listing, after this one by number.
pub fn next_listed(
    c: &Connection,
    identity: IdentityId,
    library: Option<LibraryId>,
    after: LibraryId,
) -> rusqlite::Result<Option<(LibraryId, Generation)>> {
    c.find(
        "SELECT id, generation FROM libraries WHERE identity = ?1 AND (?2 IS NULL OR id = ?2) AND id > ?3 AND present \
         AND generation > 0 ORDER BY id LIMIT 1",
        params![identity, library, after],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

pub fn full_page(
    c: &Connection,
    identity: IdentityId,
    library: Option<LibraryId>,
    then: Sequence,
    (mut at, mut generation, mut after): (LibraryId, Generation, i64),
    limit: usize,
) -> rusqlite::Result<FeedPage> {
    let line = line(c)?;
    let mut told = Vec::new();
    loop {
        // One that went says so in the log; another's is none of this reader's.
        let is_own = library.is_none_or(|library| library == at)
            && c.has(
                "SELECT 1 FROM libraries WHERE id = ?1 AND identity = ?2",
                params![at, identity],
            )?;
        let row = is_own.then(|| one_library(c, at)).transpose()?;
        let left = limit - told.len();
        let rows = match &row {
            Some(_) => batch(c, at, generation, after, left)?,
            None => Vec::new(),
        };
        let is_all = rows.len() < left;
        for one in rows {
            after = one.id;
            told.extend(row.iter().map(|row| ItemChange {
                library: row.clone(),
                was: None,
                now: Some(one.item.clone()),
            }));
        }
        if !is_all {
            let next = FeedPosition::Full {
                then,
                library: at,
                generation,
                after,
            };
            return Ok(FeedPage {
                line,
                told,
                next,
                more: true,
                end: None,
            });
        }
        let Some((next, of)) = next_listed(c, identity, library, at)? else {
            let next = FeedPosition::Log(FeedPlace {
                sequence: then,
                n: 0,
                told: 0,
            });
            return Ok(FeedPage {
                line,
                told,
                next,
                more: false,
                end: None,
            });
        };
        (at, generation, after) = (next, of, 0);
    }
}
