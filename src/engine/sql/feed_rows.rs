//! The feed: additions, changes, moves and removals of items in a view, ordered by change sequence.
//!
//! Each change is a row. The transaction that changes a single item or publishes a listing also writes the rows, so a
//! reader never sees part of a listing.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params};

use super::change_log::{NO_END, PackedItem, timeline, timeline_end};
use super::library_rows::{LibraryRow, one_library};
use super::schema::{CachedStatements, NUMBER_MASK, position_of, sequence_of};
use super::store::Store;
use crate::error::{Error, Result, Status};
use crate::model::{Item, ItemType, LibraryId, Sequence, ViewId};

/// A function that reads about as many items as requested from a library, starting after a cursor (0: at the start).
/// Returns each item with its own cursor.
pub type ItemsAfter<'i> = dyn Fn(&LibraryRow, i64, usize) -> Result<Vec<(i64, Item)>> + 'i;

/// The feed of a store.
pub struct FeedRows<'s>(pub &'s Store);

impl FeedRows<'_> {
    /// Returns a new reader's cursor. Its position is the end of the log or, if `full`, the start of a full listing,
    /// which gives the reader all items first.
    pub fn start(&self, view_id: ViewId, library: Option<LibraryId>, full: bool) -> Result<FeedCursor> {
        self.0.read(|c| {
            let log_start = sequence_of(c)?.next();
            let mut cursor = FeedCursor {
                timeline: timeline(c)?,
                view_id,
                library,
                position: FeedPosition::Log(FeedLogPosition::at(log_start)),
                end: None,
            };
            if full {
                cursor.position = FeedQuery { c, cursor: &cursor }.next_library(LibraryId::ALL, log_start)?;
            }
            Ok(cursor)
        })
    }

    /// Returns a page of about `limit` changes, or of items from a full listing, in which each item looks like an
    /// addition. `items` reads a library's items after a cursor, and returns none if the library is no longer fetched.
    ///
    /// # Errors
    /// [`Status::ListAgain`] if the log no longer has all changes since the cursor, or if the cursor belongs to a
    /// different timeline; errors of the store and of `items`.
    pub fn page(&self, cursor: &FeedCursor, limit: usize, items: &ItemsAfter<'_>) -> Result<FeedPage> {
        let FeedPosition::Log(place) = cursor.position else {
            return self.full_page(cursor, limit, items);
        };
        let page = self.0.read(|c| {
            let query = FeedQuery { c, cursor };
            if !query.is_known()? {
                return Ok(None);
            }
            let current = sequence_of(c)?;
            let end = cursor.end.map_or(current, |end| end.min(current));
            let (changes, next, has_more) = query.log_page(place, end, limit)?;
            let next = FeedCursor {
                timeline: timeline(c)?,
                position: FeedPosition::Log(next),
                end: has_more.then_some(end),
                ..*cursor
            };
            let changes = merge_moves(changes);
            Ok(Some(FeedPage {
                changes,
                next,
                has_more,
            }))
        })?;
        page.ok_or_else(list_again)
    }

    /// Returns a page of a full listing.
    fn full_page(&self, cursor: &FeedCursor, limit: usize, items: &ItemsAfter<'_>) -> Result<FeedPage> {
        let (mut changes, mut next) = (Vec::new(), FeedCursor { end: None, ..*cursor });
        // Add items from one library after another until the page is full or the listing ends.
        while let FeedPosition::Full {
            log_start,
            library,
            after,
        } = next.position
        {
            let row = self.0.read(|c| {
                let query = FeedQuery { c, cursor: &next };
                let is_known = query.is_known()?;
                is_known.then(|| query.library_if_included(library)).transpose()
            })?;
            // Skip a library that was removed during the listing. The log reports the removal.
            if let Some(row) = row.ok_or_else(list_again)? {
                let free = limit - changes.len();
                let page = items(&row, after, free)?;
                let after = page.last().map_or(after, |(cursor, _)| *cursor);
                let is_full = page.len() >= free;
                changes.extend(page.into_iter().map(|(_, item)| ItemChange {
                    library: row.clone(),
                    was: None,
                    now: Some(item),
                }));
                // The next page continues after the last item.
                if is_full {
                    next.position = FeedPosition::Full {
                        log_start,
                        library,
                        after,
                    };
                    break;
                }
            }
            next.position = self
                .0
                .read(|c| FeedQuery { c, cursor: &next }.next_library(library, log_start))?;
        }
        // Read the timeline after the items, so that the store has every commit of the items if it has the timeline.
        next.timeline = self.0.read(timeline)?;
        let has_more = matches!(next.position, FeedPosition::Full { .. });
        Ok(FeedPage {
            changes,
            next,
            has_more,
        })
    }

    /// Returns whether a reader has anything to read: changes, or the error that it must list again.
    pub fn has(&self, cursor: &FeedCursor) -> Result<bool> {
        let FeedPosition::Log(place) = cursor.position else {
            return Ok(true);
        };
        self.0.read(|c| {
            let query = FeedQuery { c, cursor };
            // A reader at an unknown position must list again, which counts as a change.
            Ok(!query.is_known()?
                || !query.relist_entries(place, NO_END)?.is_empty()
                || !query.entries(place, NO_END, 1)?.is_empty())
        })
    }
}

impl FeedQuery<'_> {
    /// Returns whether the reader can continue: the current timeline continues the cursor's timeline, and the log has
    /// all changes since the position.
    fn is_known(&self) -> rusqlite::Result<bool> {
        let end = timeline_end(self.c, self.cursor.timeline)?;
        let FeedPosition::Log(place) = self.cursor.position else {
            // Each page of a full listing has the timeline of its own items, so the listing can continue after it.
            return Ok(end.is_some());
        };
        // A position after the end is unknown, because the store was restored or lost its last writes.
        Ok(end.is_some_and(|end| place <= FeedLogPosition::at(end))
            && self.feed_complete_after()? < place.sequence
            && place.sequence <= sequence_of(self.c)?.next())
    }

    /// Returns a library's row if this query includes the library and its view still has the library; otherwise `None`.
    fn library_if_included(&self, library: LibraryId) -> rusqlite::Result<Option<LibraryRow>> {
        let is_listed = self.cursor.library.is_none_or(|wanted| wanted == library)
            && self.c.has(
                "SELECT 1 FROM libraries WHERE id = ?1 AND view_id = ?2",
                params![library, self.cursor.view_id],
            )?;
        is_listed.then(|| one_library(self.c, library)).transpose()
    }

    /// Returns a page of the log, which starts at `place`: the changes, the start of the next page, and whether more
    /// changes up to the change sequence `end` may follow.
    fn log_page(
        &self,
        place: FeedLogPosition,
        end: Sequence,
        limit: usize,
    ) -> rusqlite::Result<(Vec<ItemChange>, FeedLogPosition, bool)> {
        let mut entries = self.entries(place, end, limit)?;
        let last = entries.get(limit - 1).map(|entry| entry.place);
        entries.extend(self.relist_entries(place, end)?);
        // Libraries to list again after the last change belong to the next page.
        entries.retain(|entry| last.is_none_or(|last| entry.place <= last));
        entries.sort_by_key(|entry| entry.place);
        let mut changes: Vec<ItemChange> = Vec::new();
        for FeedEntry {
            place,
            library,
            was,
            now,
        } in entries
        {
            // The entries can exceed `limit`, because libraries to list again come in addition to changes.
            if changes.len() >= limit {
                return Ok((changes, place, true));
            }
            // Consecutive changes are mostly in one library, so reuse its row.
            let library = match changes.last().filter(|change| change.library.id == library) {
                Some(change) => change.library.clone(),
                None => one_library(self.c, library)?,
            };
            changes.push(ItemChange { library, was, now });
        }
        Ok(match last {
            Some(last) => (
                changes,
                FeedLogPosition {
                    change_number: last.change_number + 1,
                    ..last
                },
                true,
            ),
            None => (changes, place.max(FeedLogPosition::at(end.next())), false),
        })
    }
}

/// Returns the error for a reader that cannot continue from its position and must list all items again.
fn list_again() -> Error {
    Error::new(
        Status::ListAgain,
        "the feed no longer has all changes since this cursor: list again in full",
    )
}

/// A reader's position in a view's feed. Any process can use a cursor later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedCursor {
    /// The timeline of the store's change log, a random number. A recreated store has a different timeline.
    pub timeline: i64,
    pub view_id: ViewId,
    /// The library; `None` for all libraries.
    pub library: Option<LibraryId>,
    pub position: FeedPosition,
    /// The change sequence at which the current series of pages ends: the newest sequence when the reader fetched the
    /// first page. `None` between series.
    pub end: Option<Sequence>,
}

/// A reader's position. The feed has reported everything before the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedPosition {
    /// In the log of changes.
    Log(FeedLogPosition),
    /// In a full listing: in `library`, after the item with the cursor `after` (0: at the start). After the listing,
    /// the reader continues in the log at `log_start`.
    Full {
        log_start: Sequence,
        library: LibraryId,
        after: i64,
    },
}

/// The position of the next log entry to report. At number 0 of a transaction, the feed first names the libraries that
/// the reader must list again, in the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeedLogPosition {
    pub sequence: Sequence,
    /// Number of the change within its transaction, starting at 1; 0 for libraries that the reader must list again.
    pub change_number: i64,
    /// If `change_number` is 0: the feed has already named the libraries below this id.
    pub next_library: i64,
}

impl FeedLogPosition {
    /// Returns the position before all changes with this change sequence.
    #[must_use]
    pub fn at(sequence: Sequence) -> Self {
        Self {
            sequence,
            change_number: 0,
            next_library: 0,
        }
    }
}

/// A change to an item, or the instruction to list a whole library again.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemChange {
    pub library: LibraryRow,
    /// The item before the change; `None` if it was not listed, or if the reader must list the library again.
    pub was: Option<Item>,
    /// The item after the change; `None` if it is no longer listed, or if the reader must list the library again.
    pub now: Option<Item>,
}

impl ItemChange {
    /// Returns whether this change tells the reader to list the whole library again. Such a change contains no items.
    #[must_use]
    pub fn is_relist_marker(&self) -> bool {
        self.was.is_none() && self.now.is_none()
    }
}

/// A page of changes from the log, or of items from a full listing.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// The changes, oldest first.
    pub changes: Vec<ItemChange>,
    /// The start of the next page.
    pub next: FeedCursor,
    /// Whether more changes or items are ready to read.
    pub has_more: bool,
}

/// A query of the feed for one reader.
struct FeedQuery<'c> {
    c: &'c Connection,
    cursor: &'c FeedCursor,
}

/// A change to an item. An entry without items tells the reader to list the library again.
struct FeedEntry {
    /// The entry's position in the feed.
    place: FeedLogPosition,
    library: LibraryId,
    /// The item before the change; `now` is the item after the change. `None` if not listed.
    was: Option<Item>,
    now: Option<Item>,
}

impl FeedQuery<'_> {
    /// Returns the change sequence up to which the view's feed lacks changes. Older positions are invalid.
    fn feed_complete_after(&self) -> rusqlite::Result<Sequence> {
        self.c
            .value("SELECT feed_from FROM views WHERE id = ?1", [self.cursor.view_id])
    }

    /// Returns the position of a full listing in the next library that has a listing and an id above `after`
    /// ([`LibraryId::ALL`] to start). After the last library, the reader continues in the log at `log_start`.
    fn next_library(&self, after: LibraryId, log_start: Sequence) -> rusqlite::Result<FeedPosition> {
        let next = self.c.find_value(
            "SELECT id FROM libraries WHERE view_id = ?1 AND (?2 IS NULL OR id = ?2) AND id > ?3 AND present \
             AND generation > 0 ORDER BY id LIMIT 1",
            params![self.cursor.view_id, self.cursor.library, after],
        )?;
        Ok(
            next.map_or(FeedPosition::Log(FeedLogPosition::at(log_start)), |library| {
                FeedPosition::Full {
                    log_start,
                    library,
                    after: 0,
                }
            }),
        )
    }

    /// Returns an entry without items for each library that the reader must list again, because the library's history
    /// (the changes that the feed can report) starts between `place` and the change sequence `end`.
    fn relist_entries(&self, place: FeedLogPosition, end: Sequence) -> rusqlite::Result<Vec<FeedEntry>> {
        // These entries have the number 0, so a reader can be between two libraries only at the number 0.
        let first_id = if place.change_number == 0 {
            place.next_library
        } else {
            0
        };
        self.c.rows(
            "SELECT feed_from, id FROM libraries WHERE view_id = ?1 AND (?2 IS NULL OR id = ?2) \
             AND (feed_from, id) >= (?3, ?4) AND feed_from <= ?5 ORDER BY feed_from, id",
            params![self.cursor.view_id, self.cursor.library, place.sequence, first_id, end],
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
    fn entries(&self, place: FeedLogPosition, end: Sequence, limit: usize) -> rusqlite::Result<Vec<FeedEntry>> {
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
            params![
                self.cursor.view_id,
                self.cursor.library,
                place.sequence,
                first_row,
                limit,
                NUMBER_MASK,
                end
            ],
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

/// Returns the changes, with one change instead of a removal and an addition with the same GUID and different rating
/// keys, because Plex gave the item a new key. Keeps both changes if a change between them has one of the keys.
fn merge_moves(changes: Vec<ItemChange>) -> Vec<ItemChange> {
    let mut merged: Vec<ItemChange> = Vec::with_capacity(changes.len());
    // `half_moves` contains the last change that only added or only removed an item, by library, type and GUID.
    // `last_changes` contains the last change for each rating key. Both maps contain indexes into `merged`.
    let mut half_moves: HashMap<(LibraryId, ItemType, String), usize> = HashMap::new();
    let mut last_changes: HashMap<(LibraryId, String), usize> = HashMap::new();
    for change in changes {
        let library = change.library.id;
        // A change that only adds or only removes an item can be half of a move.
        let guid_key = match (&change.was, &change.now) {
            (Some(item), None) | (None, Some(item)) if !item.guid.is_empty() => {
                Some((library, item.kind, item.guid.clone()))
            }
            _ => None,
        };
        let first_half = guid_key.as_ref().and_then(|guid_key| half_moves.get(guid_key).copied());
        let move_found = first_half.and_then(|index| {
            // One change must only add an item, and the other must only remove an item.
            let removed = merged[index].was.as_ref().xor(change.was.as_ref())?;
            let added = merged[index].now.as_ref().xor(change.now.as_ref())?;
            if removed.rating_key == added.rating_key {
                return None;
            }
            let is_last = |item: &Item| {
                let last = last_changes.get(&(library, item.rating_key.clone()));
                last.is_none_or(|last| *last <= index)
            };
            (is_last(removed) && is_last(added)).then(|| (index, removed.clone(), added.clone()))
        });
        // A merged change takes the place of its first half.
        let index = move_found.as_ref().map_or(merged.len(), |(index, ..)| *index);
        for item in change.was.iter().chain(&change.now) {
            last_changes.insert((library, item.rating_key.clone()), index);
        }
        if let Some((index, removed, added)) = move_found {
            guid_key.and_then(|guid_key| half_moves.remove(&guid_key));
            (merged[index].was, merged[index].now) = (Some(removed), Some(added));
            continue;
        }
        if let Some(guid_key) = guid_key {
            half_moves.insert(guid_key, index);
        }
        merged.push(change);
    }
    merged
}
