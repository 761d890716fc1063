//! The feed: items that were added, changed, moved or removed in a view, in the order of their change sequence.
//!
//! The feed is derived from the change log and from the rows of items that listings add and end. Nothing is stored for
//! the feed alone. A listing is one row of the log, and is expanded to items here, in pages. So a reader never sees a
//! part of a listing.

mod listed;
mod log;
mod moved;
mod page;

use std::sync::Arc;

use rusqlite::{Connection, params};

use self::listed::{Pairs, listed_once};
use self::log::{FeedEntry, FeedQuery};
use self::moved::merged;
pub use self::page::{FeedPage, FeedPlace, FeedPosition, ItemChange};
use super::cached::CachedStatements;
use super::change_log::LoggedKind;
use super::columns::{list, read};
use super::items::{ABOVE, ItemRow, batch, digest};
use super::libraries::one_library;
use super::store::Store;
use super::timelines::{NO_END, end_of, timeline};
use super::tx::sequence_of;
use crate::error::{Error, Result, Status};
use crate::model::{IdentityId, Item, LibraryId, Sequence};

/// A store's rows that the feed reads.
pub struct FeedRows<'s>(pub &'s Store);

impl FeedRows<'_> {
    /// Returns the timeline and the first position of a new reader: the current end of the log, or with `full` the
    /// start of a full listing.
    pub fn begin(&self, identity: IdentityId, library: Option<LibraryId>, full: bool) -> Result<(i64, FeedPosition)> {
        self.0.read(|c| {
            let query = FeedQuery { c, identity, library };
            let then = sequence_of(c)?.next();
            let first = if full { query.next_listed(LibraryId::ALL)? } else { None };
            let begin = first.map_or(FeedPosition::Log(FeedPlace::at(then)), |(library, generation)| {
                FeedPosition::Full {
                    then,
                    library,
                    generation,
                    after: 0,
                }
            });
            Ok((timeline(c)?, begin))
        })
    }

    /// Returns about `limit` changes, from a position of a timeline up to `end`, in one library or all.
    ///
    /// # Errors
    /// [`Status::ListAgain`] if the changes since that position are not known any more; errors of the store.
    pub fn page(
        &self,
        identity: IdentityId,
        library: Option<LibraryId>,
        (on, position): (i64, FeedPosition),
        end: Option<Sequence>,
        limit: usize,
    ) -> Result<FeedPage> {
        let incarnation = self.0.incarnation();
        let page = self.0.read(|c| {
            let query = FeedQuery { c, identity, library };
            if !query.is_known(on, position)? {
                return Ok(None);
            }
            let now = sequence_of(c)?;
            let end = end.map_or(now, |end| end.min(now));
            let is_log = matches!(position, FeedPosition::Log(_));
            let (changes, next, has_more) = match position {
                FeedPosition::Log(place) => {
                    let listed = |entry: &FeedEntry| listed_once(c, entry, limit, incarnation, &self.0.diff_cache);
                    let (changes, next, has_more) = query.log_page(place, end, limit, &listed)?;
                    (merged(changes), FeedPosition::Log(next), has_more)
                }
                FeedPosition::Full { .. } => {
                    let (changes, next) = query.full_page(position, limit)?;
                    (changes, next, matches!(next, FeedPosition::Full { .. }))
                }
            };
            Ok(Some(FeedPage {
                timeline: timeline(c)?,
                changes,
                next,
                more: has_more,
                end: (has_more && is_log).then_some(end),
            }))
        })?;
        page.ok_or_else(|| {
            Error::new(
                Status::ListAgain,
                "the changes since then are no longer known: list again in full",
            )
        })
    }

    /// Returns whether the log has changes from a position on.
    pub fn has(
        &self,
        identity: IdentityId,
        library: Option<LibraryId>,
        (timeline, position): (i64, FeedPosition),
    ) -> Result<bool> {
        let FeedPosition::Log(place) = position else {
            return Ok(true);
        };
        self.0.read(|c| {
            let query = FeedQuery { c, identity, library };
            // If the position is unknown, the reader must list again; that counts as a change.
            Ok(!query.is_known(timeline, position)?
                || !query.relisted(place, NO_END)?.is_empty()
                || !query.entries(place, NO_END, 1)?.is_empty())
        })
    }
}

impl FeedQuery<'_> {
    /// Returns whether all changes since a position of a timeline are known, and that timeline leads to the current
    /// one.
    fn is_known(&self, timeline: i64, position: FeedPosition) -> rusqlite::Result<bool> {
        let end = end_of(self.c, timeline)?;
        let FeedPosition::Log(place) = position else {
            // When the rows that were read were committed is not stored, so only the current timeline is certain.
            return Ok(end == Some(NO_END));
        };
        // A position after the end is unknown: the store was restored, or lost its last writes.
        Ok(end.is_some_and(|end| place <= FeedPlace::at(end))
            && self.identity_from()? < place.sequence
            && place.sequence <= sequence_of(self.c)?.next())
    }

    /// Returns a page of a full listing, and the start of the next page. After the last library the reader continues in
    /// the log.
    fn full_page(&self, position: FeedPosition, limit: usize) -> rusqlite::Result<(Vec<ItemChange>, FeedPosition)> {
        let mut changes = Vec::new();
        let mut position = position;
        while let FeedPosition::Full {
            then,
            library,
            generation,
            after,
        } = &mut position
        {
            // Skip a library that was removed meanwhile; the log reports that.
            let is_wanted = self.library.is_none_or(|own| own == *library)
                && self.c.has(
                    "SELECT 1 FROM libraries WHERE id = ?1 AND identity = ?2",
                    params![*library, self.identity],
                )?;
            let free = limit - changes.len();
            if is_wanted {
                let row = one_library(self.c, *library)?;
                let rows = batch(self.c, *library, *generation, *after, free)?;
                changes.extend(rows.into_iter().map(|one| {
                    *after = one.id;
                    ItemChange {
                        library: row.clone(),
                        was: None,
                        now: Some(one.item),
                    }
                }));
            }
            if changes.len() == limit {
                break;
            }
            position = match self.next_listed(*library)? {
                Some((library, generation)) => FeedPosition::Full {
                    then: *then,
                    library,
                    generation,
                    after: 0,
                },
                None => FeedPosition::Log(FeedPlace::at(*then)),
            };
        }
        Ok((changes, position))
    }

    /// Returns a page of the log, the start of the next page, and whether more follows before the end.
    fn log_page(
        &self,
        place: FeedPlace,
        end: Sequence,
        limit: usize,
        listed: &dyn Fn(&FeedEntry) -> rusqlite::Result<Pairs>,
    ) -> rusqlite::Result<(Vec<ItemChange>, FeedPlace, bool)> {
        let (entries, last) = self.page_entries(place, end, limit)?;
        let mut changes = Vec::new();
        for entry in entries {
            // The page before may have ended within this entry.
            let is_continued = entry.place == FeedPlace { reported: 0, ..place };
            let from = if is_continued { place.reported } else { 0 };
            if let Some(next) = self.append_changes(&entry, from, limit, listed, &mut changes)? {
                return Ok((changes, next, true));
            }
        }
        Ok(match last {
            Some(last) => (changes, FeedPlace { n: last.n + 1, ..last }, true),
            None => (changes, place.max(FeedPlace::at(end.next())), false),
        })
    }

    /// Returns the entries of a page: libraries that must be listed again, and at most `limit` rows of the log. If
    /// `limit` rows were read, more may follow, and the place of the last one is returned too.
    fn page_entries(
        &self,
        place: FeedPlace,
        end: Sequence,
        limit: usize,
    ) -> rusqlite::Result<(Vec<FeedEntry>, Option<FeedPlace>)> {
        let mut entries = self.entries(place, end, limit)?;
        let last = entries.get(limit - 1).map(|entry| entry.place);
        entries.extend(self.relisted(place, end)?);
        entries.retain(|entry| last.is_none_or(|last| entry.place <= last));
        entries.sort_by_key(|entry| entry.place);
        Ok((entries, last))
    }

    /// Appends the changes of an entry, without its first `from` pairs of rows. Returns the start of the next page if
    /// this page is full before the entry ends.
    fn append_changes(
        &self,
        entry: &FeedEntry,
        from: i64,
        limit: usize,
        listed: &dyn Fn(&FeedEntry) -> rusqlite::Result<Pairs>,
        changes: &mut Vec<ItemChange>,
    ) -> rusqlite::Result<Option<FeedPlace>> {
        if changes.len() >= limit {
            return Ok(Some(entry.place));
        }
        let library = one_library(self.c, entry.library)?;
        let pairs = match entry.kind {
            LoggedKind::Library => {
                let (was, now) = (None, None);
                changes.push(ItemChange { library, was, now });
                return Ok(None);
            }
            LoggedKind::Listed => listed(entry)?,
            _ => Arc::new(vec![entry.rows]),
        };
        for (at, (was, now)) in (0..).zip(&*pairs).skip(usize::try_from(from).unwrap_or(0)) {
            if changes.len() >= limit {
                return Ok(Some(FeedPlace {
                    reported: at,
                    ..entry.place
                }));
            }
            let (was, now) = (item(self.c, *was)?, item(self.c, *now)?);
            if was.as_ref().map(digest) != now.as_ref().map(digest) {
                let library = library.clone();
                changes.push(ItemChange { library, was, now });
            }
        }
        Ok(None)
    }
}

/// The item of a row; `None` for row 0.
fn item(c: &Connection, id: i64) -> rusqlite::Result<Option<Item>> {
    if id == 0 {
        return Ok(None);
    }
    c.find(
        &format!("SELECT {} FROM items i {ABOVE} WHERE i.id = ?1", list::<ItemRow>()),
        [id],
        read::<ItemRow>,
    )
    .map(|row| row.map(|row| row.item))
}
