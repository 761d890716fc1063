//! The feed: what came to the listings of an identity, changed in them, moved or went, in the order in which it was learned.
//!
//! It is read from the log of changes and from the rows that listings end and bring: nothing is written for it twice. A
//! listing is one row of the log, told item by item here; so half of one is never seen, and a large one is told in pages.

mod full;
mod listed;
mod log;
mod moved;
mod told;

use std::sync::Arc;

use rusqlite::Connection;

use self::full::{full_page, next_listed};
use self::listed::{Pairs, listed_once};
use self::log::{FeedEntry, again, entries, identity_from};
use self::moved::merged;
pub use self::told::{FeedPage, FeedPlace, FeedPosition, ItemChange};
use super::cached::CachedStatements;
use super::changes::LoggedKind;
use super::columns::{list, read};
use super::items::{ABOVE, ItemRow, digest};
use super::libraries::one_library;
use super::lines::{NO_END, end_of, line};
use super::open::Store;
use super::tx::sequence_of;
use crate::error::{Error, Result, Status};
use crate::model::{IdentityId, Item, LibraryId, Sequence};

impl Store {
    /// A reader that begins: with what happens from now on, or with a full listing.
    pub fn feed_begin(
        &self,
        identity: IdentityId,
        library: Option<LibraryId>,
        full: bool,
    ) -> Result<(i64, FeedPosition)> {
        self.read(|c| {
            let line = line(c)?;
            let now = sequence_of(c)?;
            let first = if full {
                next_listed(c, identity, library, LibraryId::ALL)?
            } else {
                None
            };
            let begin = first.map_or(FeedPosition::Log(FeedPlace::after(now)), |(library, generation)| {
                FeedPosition::Full {
                    then: now.next(),
                    library,
                    generation,
                    after: 0,
                }
            });
            Ok((line, begin))
        })
    }

    /// What happened from a position of a line on, in all libraries or one, up to an end: at most about `limit` items.
    ///
    /// # Errors
    /// [`Status::ListAgain`] where that is not known any more; the store's.
    pub fn feed(
        &self,
        identity: IdentityId,
        library: Option<LibraryId>,
        (on, position): (i64, FeedPosition),
        end: Option<Sequence>,
        limit: usize,
    ) -> Result<FeedPage> {
        let incarnation = self.incarnation();
        let page = self.read(|c| {
            if !is_known(c, identity, on, position)? {
                return Ok(None);
            }
            let page = match position {
                FeedPosition::Log(place) => {
                    let changed = |entry: &FeedEntry| listed_once(c, entry, limit, incarnation, &self.listed);
                    log_page(c, identity, library, place, end, limit, &changed)?
                }
                FeedPosition::Full {
                    then,
                    library: at,
                    generation,
                    after,
                } => full_page(c, identity, library, then, (at, generation, after), limit)?,
            };
            Ok(Some(page))
        })?;
        page.ok_or_else(|| {
            Error::new(
                Status::ListAgain,
                "what changed since then is not known any more: list again, in full",
            )
        })
    }

    /// Whether something may have happened from a position on, by a look at what the log has of it.
    pub fn feed_has(
        &self,
        identity: IdentityId,
        library: Option<LibraryId>,
        (on, position): (i64, FeedPosition),
    ) -> Result<bool> {
        let FeedPosition::Log(place) = position else {
            return Ok(true);
        };
        self.read(|c| {
            if !is_known(c, identity, on, position)? {
                return Ok(true); // and has to be listed again
            }
            Ok(!again(c, identity, library, place, LAST)?.is_empty()
                || !entries(c, identity, library, place, LAST, 1)?.is_empty())
        })
    }
}

/// No end.
const LAST: Sequence = Sequence(i64::MAX.cast_unsigned());

/// Whether what was before a position in a line is what was before it in the line of now.
fn leads_here(c: &Connection, line: i64, position: FeedPosition) -> rusqlite::Result<bool> {
    let end = end_of(c, line)?;
    Ok(match position {
        FeedPosition::Log(place) => end.is_some_and(|sequence| {
            let last = FeedPlace {
                sequence,
                n: 0,
                told: 0,
            };
            place <= last
        }),
        // Of what it has read, nothing says when it was committed.
        FeedPosition::Full { .. } => end == Some(NO_END),
    })
}

/// Whether what happened from a position of a line on is known.
fn is_known(c: &Connection, identity: IdentityId, line: i64, position: FeedPosition) -> rusqlite::Result<bool> {
    Ok(leads_here(c, line, position)?
        && match position {
            // Of a later state than this: the store was restored, or lost its last writes.
            FeedPosition::Log(place) => {
                identity_from(c, identity)? < place.sequence && place.sequence <= sequence_of(c)?.next()
            }
            FeedPosition::Full { .. } => true,
        })
}

fn log_page(
    c: &Connection,
    identity: IdentityId,
    library: Option<LibraryId>,
    place: FeedPlace,
    end: Option<Sequence>,
    limit: usize,
    listed: &dyn Fn(&FeedEntry) -> rusqlite::Result<Pairs>,
) -> rusqlite::Result<FeedPage> {
    let line = line(c)?;
    let now = sequence_of(c)?;
    let end = end.map_or(now, |end| end.min(now));
    let mut all = again(c, identity, library, place, end)?;
    let entries = entries(c, identity, library, place, end, limit)?;
    // Behind the last one that was read there may be more.
    let read_upto = (entries.len() == limit).then(|| entries[limit - 1].place);
    all.extend(entries);
    all.sort_by_key(|entry| entry.place);

    let mut told = Vec::new();
    for entry in all {
        let stopped = |next: FeedPlace, told| {
            Ok(FeedPage {
                line,
                told,
                next: FeedPosition::Log(next),
                more: true,
                end: Some(end),
            })
        };
        if read_upto.is_some_and(|upto| entry.place > upto) {
            break;
        }
        if told.len() >= limit {
            return stopped(entry.place, merged(told));
        }
        let row = one_library(c, entry.library)?;
        let pairs = match entry.kind {
            LoggedKind::Library => {
                told.push(ItemChange {
                    library: row,
                    was: None,
                    now: None,
                });
                continue;
            }
            LoggedKind::Listed => listed(&entry)?,
            _ => Arc::new(vec![entry.rows]),
        };
        let skipped = if entry.place == (FeedPlace { told: 0, ..place }) {
            place.told
        } else {
            0
        };
        let skipped = usize::try_from(skipped).unwrap_or(0);
        for (at, (was, is)) in pairs.iter().enumerate().skip(skipped) {
            if told.len() >= limit {
                let told_of = i64::try_from(at).unwrap_or(i64::MAX);
                return stopped(
                    FeedPlace {
                        told: told_of,
                        ..entry.place
                    },
                    merged(told),
                );
            }
            let (was, now) = (item(c, *was)?, item(c, *is)?);
            let is_same = was.as_ref().map(digest) == now.as_ref().map(digest);
            if !is_same {
                told.push(ItemChange {
                    library: row.clone(),
                    was,
                    now,
                });
            }
        }
    }
    let (next, more) = match read_upto {
        Some(FeedPlace { sequence, n, .. }) => (
            FeedPlace {
                sequence,
                n: n + 1,
                told: 0,
            },
            true,
        ),
        None => (place.max(FeedPlace::after(end)), false),
    };
    Ok(FeedPage {
        line,
        told: merged(told),
        next: FeedPosition::Log(next),
        more,
        end: more.then_some(end),
    })
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
