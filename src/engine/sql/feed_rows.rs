//! The feed: additions, changes, moves and removals of items in a view.
//!
//! The transaction that changes a single item or publishes a listing also adds a row for each change, with the item
//! before the change. A page shows each item as the library lists it now. The item can be newer than the row; then a
//! later row names it again, with the files that it loses.
//!
//! Rows are only added at the end and removed at the start, and each has a random mark. A cursor has the mark of the
//! newest row when its page was read. A store with this row has all that the reader has seen, and every row since. If
//! the store lost commits, the row is missing, or another row has its id.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::library_rows::{LibraryRow, one_library};
use super::overlay::{PackedItem, pack};
use super::schema::{CachedStatements, Tx};
use super::store::Store;
use crate::error::{Error, Result, Status};
use crate::model::{Item, ItemType, LibraryId, ViewId};
use crate::platform::clock::Deadline;

/// Maximum number of rows that the feed keeps for all libraries: 32 MiB, at about 256 bytes each.
pub const MAX_FEED_ROWS: i64 = 1 << 17;

/// Reads items as they are listed now.
pub trait ListedItems {
    /// Returns about as many items as requested from a library, starting after a cursor (0: at the start), each with its
    /// own cursor.
    ///
    /// # Errors
    /// [`Status::ListAgain`] if the library has no listing now.
    fn items_after(&self, library: LibraryId, after: i64, limit: usize) -> Result<Vec<(i64, Item)>>;

    /// Returns the items with these rating keys at one moment; `None` for an item that its library does not list.
    ///
    /// # Errors
    /// [`Status::ListAgain`] if one of the libraries has no listing now.
    fn items(&self, wanted: &[(LibraryId, &str)]) -> Result<Vec<Option<Item>>>;
}

impl Tx<'_> {
    /// Adds an item's change to the feed. `was` and `now`: the item before and after the change; `None` if not listed.
    pub fn add_to_feed(&self, library: LibraryId, was: Option<&Item>, now: Option<&Item>) -> rusqlite::Result<()> {
        let rating_key = was.or(now).map_or("", |item| &item.rating_key);
        self.run(
            "INSERT INTO feed (mark, library, rating_key, was) VALUES (random(), ?1, ?2, ?3)",
            params![library, rating_key, was.map(pack).transpose()?],
        )
    }

    /// Tells readers of the feed to list a library again, because the feed cannot report the library's changes.
    pub fn relist_in_feed(&self, library: LibraryId) -> rusqlite::Result<()> {
        self.add_to_feed(library, None, None)
    }
}

/// Removes the oldest rows, and keeps `max_rows`. Readers that have not read these rows must list again. Returns whether
/// there were any.
pub fn trim_feed(tx: &Tx<'_>, max_rows: i64) -> rusqlite::Result<bool> {
    let mut delete = tx.cached("DELETE FROM feed WHERE id <= (SELECT max(id) FROM feed) - ?1")?;
    Ok(delete.execute([max_rows])? > 0)
}

/// A reader's position in a view's feed. Any process can use a cursor later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedCursor {
    pub view_id: ViewId,
    /// The library; `None` for all libraries.
    pub library: Option<LibraryId>,
    /// The id of the last row that the reader has read.
    pub position: i64,
    /// The id of the row with which the current series of pages ends: the newest when the reader fetched the first page.
    /// Equals `position` between series.
    pub end: i64,
    /// The id and mark of the newest row when the reader read the last page.
    pub newest: (i64, i64),
    /// In a full listing: the library, or an id below it, and the cursor of the last item in it (0: at the start). After
    /// the listing, the reader continues after `position`.
    pub listing: Option<(LibraryId, i64)>,
}

impl FeedCursor {
    /// Returns whether more changes or items are ready to read.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.listing.is_some() || self.position < self.end
    }
}

/// A change to an item, or the instruction to list a whole library again.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemChange {
    pub library: LibraryRow,
    /// The item before the change; `None` if it was not listed, or if the reader must list the library again.
    pub was: Option<Item>,
    /// The item now; `None` if it is no longer listed, or if the reader must list the library again.
    pub now: Option<Item>,
}

impl ItemChange {
    /// Returns whether this change tells the reader to list the whole library again. Such a change contains no items.
    #[must_use]
    pub fn is_relist_marker(&self) -> bool {
        self.was.is_none() && self.now.is_none()
    }
}

/// A page of changes, or of items from a full listing.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// The changes, oldest first.
    pub changes: Vec<ItemChange>,
    /// The start of the next page.
    pub next: FeedCursor,
}

/// The feed of a store.
pub struct FeedRows<'s>(pub &'s Store);

impl FeedRows<'_> {
    /// Returns a new reader's cursor. Its position is the end of the feed or, if `full`, the start of a full listing,
    /// which gives the reader all items first.
    pub fn start(&self, view_id: ViewId, library: Option<LibraryId>, full: bool) -> Result<FeedCursor> {
        self.0.read(|c| {
            let newest = newest(c)?;
            Ok(FeedCursor {
                view_id,
                library,
                position: newest.0,
                end: newest.0,
                newest,
                listing: full.then_some((LibraryId::ALL, 0)),
            })
        })
    }

    /// Returns a page of about `limit` changes, or of items from a full listing, in which each item looks like an
    /// addition.
    ///
    /// # Errors
    /// [`Status::ListAgain`] if the feed no longer has all changes since the cursor, or is not the cursor's; errors of
    /// the store and of `items`.
    pub fn page(&self, cursor: &FeedCursor, limit: usize, items: &dyn ListedItems) -> Result<FeedPage> {
        let begun = self.0.read(|c| {
            known(c, cursor, |newest| {
                let end = if cursor.has_more() { cursor.end } else { newest.0 };
                let rows = if cursor.listing.is_none() {
                    rows(c, cursor, end, limit)?
                } else {
                    Vec::new()
                };
                Ok((newest, end, rows))
            })
        })?;
        let (newest, end, rows) = begun.ok_or_else(list_again)?;
        let mut next = FeedCursor { newest, ..*cursor };
        let changes = if cursor.listing.is_some() {
            self.listing_page(&mut next, limit, items)?
        } else {
            let last = rows.get(limit - 1).map_or(end, |(id, ..)| *id);
            (next.position, next.end) = (last, end);
            changes_of(rows, items)?
        };
        // The items can be newer than the rows. Read the newest row again after them, so that a store that has this row
        // has every commit of the items, and check that it is still the same store.
        let newest = self.0.read(|c| known(c, &next, Ok))?;
        next.newest = newest.ok_or_else(list_again)?;
        Ok(FeedPage { changes, next })
    }

    /// Returns the items of a page of a full listing, and sets the position after them.
    fn listing_page(&self, next: &mut FeedCursor, limit: usize, items: &dyn ListedItems) -> Result<Vec<ItemChange>> {
        let mut changes = Vec::new();
        // Add items from one library after another until the page is full or the listing ends.
        while let Some((library, after)) = next.listing {
            // This skips a library that was removed during the listing. The feed reports the removal.
            let Some(row) = self.0.read(|c| next_library(c, next, library))? else {
                next.listing = None;
                break;
            };
            let mut last = if row.id == library { after } else { 0 };
            let free = limit - changes.len();
            let page = items.items_after(row.id, last, free)?;
            let is_full = page.len() >= free;
            for (cursor, item) in page {
                last = cursor;
                changes.push(ItemChange {
                    library: row.clone(),
                    was: None,
                    now: Some(item),
                });
            }
            if is_full {
                next.listing = Some((row.id, last));
                break;
            }
            next.listing = Some((LibraryId(row.id.0 + 1), 0));
        }
        Ok(changes)
    }

    /// Returns whether a reader has anything to read: changes, or the error that it must list again.
    pub fn has(&self, cursor: &FeedCursor) -> Result<bool> {
        if cursor.listing.is_some() {
            return Ok(true);
        }
        self.0.read(|c| {
            let found = known(c, cursor, |newest| rows(c, cursor, newest.0, 1))?;
            // A reader at an unknown position must list again, which counts as a change.
            Ok(found.is_none_or(|rows| !rows.is_empty()))
        })
    }

    /// Removes all changes to free space. Returns `false` if there were none.
    pub fn remove_all_history(&self, deadline: Deadline) -> Result<bool> {
        self.0.write(deadline, |tx| trim_feed(tx, 1))
    }
}

/// Returns what `read` returns for the newest row, if the reader can continue: the feed has the row that was the newest at
/// the cursor's page, and all rows after the position. Otherwise returns `None`.
fn known<T>(
    c: &Connection,
    cursor: &FeedCursor,
    read: impl FnOnce((i64, i64)) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    // A cursor of an older format has a later position than its row (see `schema.rs`).
    let is_known = c.has(
        "SELECT 1 FROM feed WHERE id = (SELECT max(id) FROM feed WHERE id <= ?1) AND mark = ?2 \
         AND (SELECT min(id) FROM feed) <= ?3",
        params![cursor.newest.0, cursor.newest.1, cursor.position],
    )?;
    is_known.then(|| read(newest(c)?)).transpose()
}

/// Returns the id and mark of the newest row.
fn newest(c: &Connection) -> rusqlite::Result<(i64, i64)> {
    c.row(
        "SELECT id, mark FROM feed WHERE id = (SELECT max(id) FROM feed)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Returns the first library of this reader that has a listing and an id of at least `first`; `None` after the last one.
fn next_library(c: &Connection, cursor: &FeedCursor, first: LibraryId) -> rusqlite::Result<Option<LibraryRow>> {
    let id = c.find_value(
        "SELECT id FROM libraries WHERE view_id = ?1 AND (?2 IS NULL OR id = ?2) AND id >= ?3 AND gone_ms = 0 \
         AND generation > 0 ORDER BY id LIMIT 1",
        params![cursor.view_id, cursor.library, first],
    )?;
    id.map(|id| one_library(c, id)).transpose()
}

/// A row of the feed: its id, the rating key of the changed item (empty if the reader must list the library again), and the
/// change, without the item as it is now.
type FeedRow = (i64, String, ItemChange);

/// Returns at most `limit` rows after the reader's position, up to the row `end`. Skips changes in libraries without a
/// listing, whose readers must list them again.
fn rows(c: &Connection, cursor: &FeedCursor, end: i64, limit: usize) -> rusqlite::Result<Vec<FeedRow>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found: Vec<(i64, LibraryId, String, Option<PackedItem>)> = c.rows(
        "SELECT f.id, f.library, f.rating_key, f.was FROM feed f CROSS JOIN libraries l ON l.id = f.library \
         AND (f.rating_key = '' OR l.gone_ms = 0 AND l.generation > 0) WHERE f.id > ?3 AND f.id <= ?4 \
         AND l.view_id = ?1 AND (?2 IS NULL OR l.id = ?2) ORDER BY f.id LIMIT ?5",
        params![cursor.view_id, cursor.library, cursor.position, end, limit],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
    )?;
    let mut rows: Vec<FeedRow> = Vec::with_capacity(found.len());
    for (id, library, rating_key, was) in found {
        // Consecutive changes are mostly in one library, so reuse its row.
        let library = match rows.last().filter(|(_, _, last)| last.library.id == library) {
            Some((_, _, last)) => last.library.clone(),
            None => one_library(c, library)?,
        };
        let (was, now) = (was.map(|packed| packed.0), None);
        rows.push((id, rating_key, ItemChange { library, was, now }));
    }
    Ok(rows)
}

/// Returns the changes of rows, with the items as they are now.
fn changes_of(rows: Vec<FeedRow>, items: &dyn ListedItems) -> Result<Vec<ItemChange>> {
    let mut changed: Vec<FeedRow> = Vec::with_capacity(rows.len());
    for row in rows {
        // A new listing has all earlier changes.
        if row.1.is_empty() {
            changed.retain(|(_, _, earlier)| earlier.library.id != row.2.library.id);
        }
        changed.push(row);
    }
    let of_items = changed.iter().filter(|(_, rating_key, _)| !rating_key.is_empty());
    let wanted: Vec<(LibraryId, &str)> = of_items.map(|(_, key, change)| (change.library.id, &**key)).collect();
    let mut now = items.items(&wanted)?.into_iter();
    let resolved = changed.into_iter().filter_map(|(_, rating_key, mut change)| {
        let is_of_item = !rating_key.is_empty();
        if is_of_item {
            change.now = now.next().flatten();
        }
        // An item that was added, and removed since, is no change.
        (!is_of_item || !change.is_relist_marker()).then_some(change)
    });
    Ok(merge_moves(resolved))
}

/// Returns the changes, with one change instead of a removal and an addition in a library with the same type and GUID,
/// because Plex gave the item a new rating key.
fn merge_moves(changes: impl Iterator<Item = ItemChange>) -> Vec<ItemChange> {
    let mut merged: Vec<ItemChange> = Vec::new();
    // The indexes of the removals, or of the additions, that have no other half yet.
    let mut halves: HashMap<(LibraryId, ItemType, String), Vec<usize>> = HashMap::new();
    for change in changes {
        if let (Some(item), None) | (None, Some(item)) = (&change.was, &change.now)
            && !item.guid.is_empty()
        {
            let same = halves
                .entry((change.library.id, item.kind, item.guid.clone()))
                .or_default();
            let half = same.last().map(|index| &mut merged[*index]);
            if let Some(half) = half.filter(|half| half.was.is_some() != change.was.is_some()) {
                half.was = half.was.take().or(change.was);
                half.now = half.now.take().or(change.now);
                same.pop();
                continue;
            }
            same.push(merged.len());
        }
        merged.push(change);
    }
    merged
}

/// Returns the error for a reader that cannot continue from its position and must list all items again.
fn list_again() -> Error {
    Error::new(
        Status::ListAgain,
        "the feed no longer has all changes since this cursor: list again in full",
    )
}
