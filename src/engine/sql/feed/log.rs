//! The rows of the log that the feed tells.

use rusqlite::{Connection, params};

use super::super::cached::CachedStatements;
use super::super::changes::LoggedKind;
use super::super::places::{NUMBER, place_of};
use super::told::FeedPlace;
use crate::model::{IdentityId, LibraryId, Sequence};

/// A row of the log that the feed tells.
pub struct FeedEntry {
    pub place: FeedPlace,
    pub library: LibraryId,
    pub kind: LoggedKind,
    pub rows: (i64, i64),
}

/// Up to which change sequence nothing can be told of all of an identity.
pub fn identity_from(c: &Connection, identity: IdentityId) -> rusqlite::Result<Sequence> {
    c.value("SELECT feed_from FROM identities WHERE id = ?1", [identity])
}

/// The libraries that have to be listed again, as places of the log.
pub fn again(
    c: &Connection,
    identity: IdentityId,
    library: Option<LibraryId>,
    place: FeedPlace,
    end: Sequence,
) -> rusqlite::Result<Vec<FeedEntry>> {
    // Within a transaction that the feed tells of, no library begins anew. If one has, the rest of it was forgotten.
    let (from, id) = match place {
        FeedPlace { sequence, n: 0, told } => (sequence, told),
        FeedPlace { sequence, .. } => (sequence, 0),
    };
    c.rows(
        "SELECT feed_from, id FROM libraries WHERE identity = ?1 AND (?2 IS NULL OR id = ?2) \
         AND (feed_from, id) >= (?3, ?4) AND feed_from <= ?5 ORDER BY feed_from, id",
        params![identity, library, from, id, end],
        |row| {
            Ok(FeedEntry {
                place: FeedPlace {
                    sequence: row.get(0)?,
                    n: 0,
                    told: row.get(1)?,
                },
                library: row.get(1)?,
                kind: LoggedKind::Library,
                rows: (0, 0),
            })
        },
    )
}

/// The rows of the log from a place on that the feed tells, at most so many. What a library cannot tell any more is left out.
pub fn entries(
    c: &Connection,
    identity: IdentityId,
    library: Option<LibraryId>,
    place: FeedPlace,
    end: Sequence,
    limit: usize,
) -> rusqlite::Result<Vec<FeedEntry>> {
    c.rows(
        "SELECT c.sequence, (c.id & ?6) + 1, c.library, c.kind, c.was, c.now FROM changes c \
         JOIN libraries l ON l.id = c.library AND l.present AND c.sequence > l.feed_from \
         WHERE c.id >= ?4 AND c.sequence BETWEEN ?3 AND ?7 AND c.identity = ?1 AND (?2 IS NULL OR c.library = ?2) \
         AND c.kind IN (8, 9, 11) AND (c.was <> 0 OR c.now <> 0) ORDER BY c.id LIMIT ?5",
        params![
            identity,
            library,
            place.sequence,
            place_of(place.sequence, (place.n - 1).clamp(0, NUMBER)),
            i64::try_from(limit).unwrap_or(i64::MAX),
            NUMBER,
            end
        ],
        |row| {
            Ok(FeedEntry {
                place: FeedPlace {
                    sequence: row.get(0)?,
                    n: row.get(1)?,
                    told: 0,
                },
                library: row.get(2)?,
                kind: row.get(3)?,
                rows: (row.get(4)?, row.get(5)?),
            })
        },
    )
}
