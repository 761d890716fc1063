//! Reads the feed's rows.

use rusqlite::{Connection, Row, params};

use super::super::cached::CachedStatements;
use super::super::packed_items::PackedItem;
use super::super::row_positions::{NUMBER_MASK, position_of};
use super::page::FeedLogPosition;
use crate::model::{Item, LibraryId, Sequence, ViewId};

/// A query of a view's feed: for one library, or for all libraries if `library` is `None`.
pub struct FeedQuery<'c> {
    pub c: &'c Connection,
    pub identity: ViewId,
    pub library: Option<LibraryId>,
}

/// A change to an item. An entry without items tells the reader to list the library again.
pub struct FeedEntry {
    /// The entry's position in the feed.
    pub place: FeedLogPosition,
    pub library: LibraryId,
    /// The item before the change; `now` is the item after the change. `None` if not listed.
    pub was: Option<Item>,
    pub now: Option<Item>,
}

impl FeedQuery<'_> {
    /// Returns the change sequence up to which the view's feed lacks changes. Older positions are invalid.
    pub fn feed_complete_after(&self) -> rusqlite::Result<Sequence> {
        self.c
            .value("SELECT feed_from FROM views WHERE id = ?1", [self.identity])
    }

    /// Returns the next library for a full listing: the first library in this query that has a listing and an id above
    /// `after` ([`LibraryId::ALL`] to start). `None` after the last library.
    pub fn next_listed(&self, after: LibraryId) -> rusqlite::Result<Option<LibraryId>> {
        self.c.find_value(
            "SELECT id FROM libraries WHERE view_id = ?1 AND (?2 IS NULL OR id = ?2) AND id > ?3 AND present \
             AND generation > 0 ORDER BY id LIMIT 1",
            params![self.identity, self.library, after],
        )
    }

    /// Returns an entry without items for each library that the reader must list again, because the library's history
    /// (the changes that the feed can report) starts between `place` and the change sequence `end`.
    pub fn relist_entries(&self, place: FeedLogPosition, end: Sequence) -> rusqlite::Result<Vec<FeedEntry>> {
        // These entries have the number 0, so a reader can be between two libraries only at the number 0.
        let first_id = if place.change_number == 0 {
            place.next_library
        } else {
            0
        };
        self.c.rows(
            "SELECT feed_from, id FROM libraries WHERE view_id = ?1 AND (?2 IS NULL OR id = ?2) \
             AND (feed_from, id) >= (?3, ?4) AND feed_from <= ?5 ORDER BY feed_from, id",
            params![self.identity, self.library, place.sequence, first_id, end],
            |row| {
                Ok(FeedEntry {
                    place: FeedLogPosition {
                        next_library: row.get(1)?,
                        ..FeedLogPosition::at(row.get(0)?)
                    },
                    library: row.get(1)?,
                    was: None,
                    now: None,
                })
            },
        )
    }

    /// Returns at most `limit` changes to items, starting at `place`, up to the change sequence `end`. Skips changes
    /// from before their library's history starts, because readers must list that library again.
    pub fn entries(&self, place: FeedLogPosition, end: Sequence, limit: usize) -> rusqlite::Result<Vec<FeedEntry>> {
        // The number of a change starts at 0 in a row id (its low bits, `NUMBER_MASK`), but at 1 in a
        // `FeedLogPosition`.
        let first_row = position_of(place.sequence, (place.change_number - 1).clamp(0, NUMBER_MASK));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let item = |row: &Row<'_>, column| {
            let packed: Option<PackedItem> = row.get(column)?;
            Ok::<_, rusqlite::Error>(packed.map(|packed| packed.0))
        };
        self.c.rows(
            "SELECT f.sequence, (f.id & ?6) + 1, f.library, f.was, f.now FROM feed f \
             CROSS JOIN libraries l ON l.id = f.library AND l.present AND l.generation > 0 \
             AND f.sequence > l.feed_from WHERE f.id >= ?4 AND f.sequence BETWEEN ?3 AND ?7 AND l.view_id = ?1 AND (?2 IS NULL OR l.id = ?2) \
             ORDER BY f.id LIMIT ?5",
            params![self.identity, self.library, place.sequence, first_row, limit, NUMBER_MASK, end],
            |row| {
                Ok(FeedEntry {
                    place: FeedLogPosition {
                        change_number: row.get(1)?,
                        ..FeedLogPosition::at(row.get(0)?)
                    },
                    library: row.get(2)?,
                    was: item(row, 3)?,
                    now: item(row, 4)?,
                })
            },
        )
    }
}
