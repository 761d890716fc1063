//! The feed: additions, changes, moves and removals of items in a view, ordered by change sequence.
//!
//! Each change is a row. The transaction that changes a single item or publishes a listing also writes the rows, so a
//! reader never sees part of a listing.

mod log;
mod moved;
mod page;

use rusqlite::params;

use self::log::{FeedEntry, FeedQuery};
use self::moved::merge_moves;
pub use self::page::{FeedLogPosition, FeedPage, FeedPosition, ItemChange};
use super::cached::CachedStatements;
use super::library_rows::{LibraryRow, one_library};
use super::store::Store;
use super::timelines::{NO_END, timeline, timeline_end};
use super::tx::sequence_of;
use crate::error::{Error, Result, Status};
use crate::model::{Item, LibraryId, Sequence, ViewId};

/// A function that reads about as many items as requested from a library, starting after a cursor (0: at the start).
/// Returns each item with its own cursor.
pub type ItemsAfter<'i> = dyn Fn(&LibraryRow, i64, usize) -> Result<Vec<(i64, Item)>> + 'i;

/// The feed of a store.
pub struct FeedRows<'s>(pub &'s Store);

impl FeedRows<'_> {
    /// Returns the current timeline's id and a new reader's first position. The position is the end of the log or, if
    /// `full`, the start of a full listing, which gives the reader all items first.
    pub fn first_position(
        &self,
        identity: ViewId,
        library: Option<LibraryId>,
        full: bool,
    ) -> Result<(i64, FeedPosition)> {
        self.0.read(|c| {
            let query = FeedQuery { c, identity, library };
            let log_start = sequence_of(c)?.next();
            let first_library = if full { query.next_listed(LibraryId::ALL)? } else { None };
            let position = first_library.map_or(FeedPosition::Log(FeedLogPosition::at(log_start)), |library| {
                FeedPosition::Full {
                    log_start,
                    library,
                    after: 0,
                }
            });
            Ok((timeline(c)?, position))
        })
    }

    /// Returns a page of about `limit` changes, starting at `place`. `on`: the timeline of `place`. `end`: the previous
    /// page's [`FeedPage::end`]; `None` for changes up to now. If `library` is `None`, includes all libraries.
    ///
    /// # Errors
    /// [`Status::ListAgain`] if the log no longer has all changes since `place`; errors of the store.
    pub fn page(
        &self,
        identity: ViewId,
        library: Option<LibraryId>,
        (on, place): (i64, FeedLogPosition),
        end: Option<Sequence>,
        limit: usize,
    ) -> Result<FeedPage> {
        let page = self.0.read(|c| {
            let query = FeedQuery { c, identity, library };
            if !query.is_known(on, FeedPosition::Log(place))? {
                return Ok(None);
            }
            let current = sequence_of(c)?;
            let end = end.map_or(current, |end| end.min(current));
            let (changes, next, has_more) = query.log_page(place, end, limit)?;
            Ok(Some(FeedPage {
                timeline: timeline(c)?,
                changes: merge_moves(changes),
                next: FeedPosition::Log(next),
                has_more,
                end: has_more.then_some(end),
            }))
        })?;
        page.ok_or_else(list_again)
    }

    /// Returns a page of about `limit` items from a full listing, in which each item looks like an addition. `on`: id
    /// of the timeline of `position`. `items` reads a library's items after a cursor, and returns none if the library
    /// is no longer fetched. If `library` is `None`, includes all libraries.
    ///
    /// # Errors
    /// [`Status::ListAgain`] if the position belongs to a different timeline; errors of the store and of `items`.
    pub fn full_page(
        &self,
        identity: ViewId,
        library: Option<LibraryId>,
        (on, position): (i64, FeedPosition),
        limit: usize,
        items: &ItemsAfter<'_>,
    ) -> Result<FeedPage> {
        let (mut changes, mut position) = (Vec::new(), position);
        // Add items from one library after another until the page is full or the listing ends.
        while let FeedPosition::Full {
            log_start,
            library: current,
            after,
        } = position
        {
            let row = self.0.read(|c| {
                let query = FeedQuery { c, identity, library };
                Ok(if query.is_known(on, position)? {
                    Some(query.library_if_included(current)?)
                } else {
                    None
                })
            })?;
            // Skip a library that was removed during the listing. The log reports the removal.
            if let Some(row) = row.ok_or_else(list_again)? {
                let free = limit - changes.len();
                let page = items(&row, after, free)?;
                let last_cursor = page.last().map(|(cursor, _)| *cursor);
                let is_full = page.len() >= free;
                changes.extend(page.into_iter().map(|(_, item)| ItemChange {
                    library: row.clone(),
                    was: None,
                    now: Some(item),
                }));
                // The next page continues after the last item.
                if is_full {
                    let after = last_cursor.unwrap_or(after);
                    position = FeedPosition::Full {
                        log_start,
                        library: current,
                        after,
                    };
                    break;
                }
            }
            // After the last library, the reader continues in the log.
            let next = self
                .0
                .read(|c| FeedQuery { c, identity, library }.next_listed(current))?;
            position = next.map_or(FeedPosition::Log(FeedLogPosition::at(log_start)), |library| {
                FeedPosition::Full {
                    log_start,
                    library,
                    after: 0,
                }
            });
        }
        Ok(FeedPage {
            // Read the timeline after the items, so that the store has every commit of the items if it has the timeline.
            timeline: self.0.read(timeline)?,
            changes,
            next: position,
            has_more: matches!(position, FeedPosition::Full { .. }),
            end: None,
        })
    }

    /// Returns whether a reader at a position has anything to read: changes, or the error that it must list again.
    /// `timeline`: the id of the position's timeline. If `library` is `None`, includes all libraries.
    pub fn has(
        &self,
        identity: ViewId,
        library: Option<LibraryId>,
        (timeline, position): (i64, FeedPosition),
    ) -> Result<bool> {
        let FeedPosition::Log(place) = position else {
            return Ok(true);
        };
        self.0.read(|c| {
            let query = FeedQuery { c, identity, library };
            // A reader at an unknown position must list again, which counts as a change.
            Ok(!query.is_known(timeline, position)?
                || !query.relist_entries(place, NO_END)?.is_empty()
                || !query.entries(place, NO_END, 1)?.is_empty())
        })
    }
}

impl FeedQuery<'_> {
    /// Returns whether a reader can continue from a position: the current timeline continues the position's timeline,
    /// and the log has all changes since the position.
    fn is_known(&self, timeline: i64, position: FeedPosition) -> rusqlite::Result<bool> {
        let end = timeline_end(self.c, timeline)?;
        let FeedPosition::Log(place) = position else {
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
        let is_listed = self.library.is_none_or(|wanted| wanted == library)
            && self.c.has(
                "SELECT 1 FROM libraries WHERE id = ?1 AND view_id = ?2",
                params![library, self.identity],
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
        let (entries, last) = self.page_entries(place, end, limit)?;
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

    /// Returns the entries from `place` to the change sequence `end`, in order: at most `limit` changes to items, and
    /// libraries to list again. Also returns the last change's position if there are `limit` changes, because more may
    /// follow; otherwise `None`.
    fn page_entries(
        &self,
        place: FeedLogPosition,
        end: Sequence,
        limit: usize,
    ) -> rusqlite::Result<(Vec<FeedEntry>, Option<FeedLogPosition>)> {
        let mut entries = self.entries(place, end, limit)?;
        let last = entries.get(limit - 1).map(|entry| entry.place);
        entries.extend(self.relist_entries(place, end)?);
        // Libraries to list again after the last change belong to the next page.
        entries.retain(|entry| last.is_none_or(|last| entry.place <= last));
        entries.sort_by_key(|entry| entry.place);
        Ok((entries, last))
    }
}

/// Returns the error for a reader that cannot continue from its position and must list all items again.
fn list_again() -> Error {
    Error::new(
        Status::ListAgain,
        "the feed no longer has all changes since this cursor: list again in full",
    )
}
