//! The rows of the change log that the feed reports.

use rusqlite::{Connection, params};

use super::super::cached::CachedStatements;
use super::super::change_log::LoggedKind;
use super::super::places::{NUMBER, place_of};
use super::page::FeedPlace;
use crate::model::{Generation, IdentityId, LibraryId, Sequence};

/// A query of the feed: the changes of one library of an identity, or of all its libraries.
pub struct FeedQuery<'c> {
    pub c: &'c Connection,
    pub identity: IdentityId,
    pub library: Option<LibraryId>,
}

/// A row of the change log that the feed reports.
pub struct FeedEntry {
    pub place: FeedPlace,
    pub library: LibraryId,
    pub kind: LoggedKind,
    /// `was` and `now` of `schema.sql`.
    pub rows: (i64, i64),
}

impl FeedQuery<'_> {
    /// The change sequence up to which the feed of the identity is incomplete.
    pub fn identity_from(&self) -> rusqlite::Result<Sequence> {
        self.c
            .value("SELECT feed_from FROM identities WHERE id = ?1", [self.identity])
    }

    /// The next library that has a listing, after this one by number.
    pub fn next_listed(&self, after: LibraryId) -> rusqlite::Result<Option<(LibraryId, Generation)>> {
        self.c.find(
            "SELECT id, generation FROM libraries WHERE identity = ?1 AND (?2 IS NULL OR id = ?2) AND id > ?3 AND present \
             AND generation > 0 ORDER BY id LIMIT 1",
            params![self.identity, self.library, after],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// Returns the libraries that a reader must list again, as entries of the log.
    pub fn relisted(&self, place: FeedPlace, end: Sequence) -> rusqlite::Result<Vec<FeedEntry>> {
        // Number 0 of a transaction is 'list again'. Only there can the reader be in the middle of the list of
        // libraries.
        let id = if place.n == 0 { place.reported } else { 0 };
        self.c.rows(
            "SELECT feed_from, id FROM libraries WHERE identity = ?1 AND (?2 IS NULL OR id = ?2) \
             AND (feed_from, id) >= (?3, ?4) AND feed_from <= ?5 ORDER BY feed_from, id",
            params![self.identity, self.library, place.sequence, id, end],
            |row| {
                Ok(FeedEntry {
                    place: FeedPlace {
                        reported: row.get(1)?,
                        ..FeedPlace::at(row.get(0)?)
                    },
                    library: row.get(1)?,
                    kind: LoggedKind::Library,
                    rows: (0, 0),
                })
            },
        )
    }

    /// Returns at most `limit` rows of the log from a place on, without rows that are older than their library's
    /// history.
    pub fn entries(&self, place: FeedPlace, end: Sequence, limit: usize) -> rusqlite::Result<Vec<FeedEntry>> {
        let first = place_of(place.sequence, (place.n - 1).clamp(0, NUMBER));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.c.rows(
            "SELECT c.sequence, (c.id & ?6) + 1, c.library, c.kind, c.was, c.now FROM changes c \
             JOIN libraries l ON l.id = c.library AND l.present AND l.generation > 0 AND c.sequence > l.feed_from \
             WHERE c.id >= ?4 AND c.sequence BETWEEN ?3 AND ?7 AND c.identity = ?1 AND (?2 IS NULL OR c.library = ?2) \
             AND c.kind IN (8, 9, 11) AND (c.was <> 0 OR c.now <> 0) ORDER BY c.id LIMIT ?5",
            params![self.identity, self.library, place.sequence, first, limit, NUMBER, end],
            |row| {
                Ok(FeedEntry {
                    place: FeedPlace {
                        n: row.get(1)?,
                        ..FeedPlace::at(row.get(0)?)
                    },
                    library: row.get(2)?,
                    kind: row.get(3)?,
                    rows: (row.get(4)?, row.get(5)?),
                })
            },
        )
    }
}
