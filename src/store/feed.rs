//! The feed: what came to the listings of an identity, changed in them, moved or went, in the order in which it was learned.
//!
//! It is read from the log of changes and from the rows that listings end and bring: nothing is written for it twice. A
//! listing is one row of the log, told item by item here; so half of one is never seen, and a large one is told in pages.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use xxhash_rust::xxh3::xxh3_64;

use super::changes::ChangeKind;
use super::columns::{list, read};
use super::items::{FROM, ItemRow, batch, digest};
use super::libraries::{LibraryRow, one_library};
use super::lines::{NO_END, end_of, line};
use super::open::{Listed, Store, Timeline};
use super::places::{NUMBER, place_of};
use super::texts::Texts;
use super::tx::sequence_of;
use crate::error::{Error, Result, Status};
use crate::model::{Generation, IdentityId, Item, ItemType, LibraryId, Sequence};
use crate::platform::mutex::try_lock;

/// Where a reader of the feed is: all before it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// In the log of changes.
    Log(Place),
    /// In a full listing, after the item of this row; the log goes on from `then`.
    Full {
        then: Sequence,
        library: LibraryId,
        generation: Generation,
        after: i64,
    },
}

/// A place in the log: the change that is told next, and how much of it was told. Change 0 of a transaction is 'list again',
/// told of libraries in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub sequence: Sequence,
    pub n: i64,
    pub told: i64,
}

impl Place {
    /// Before all that happens after a change sequence.
    #[must_use]
    pub fn after(sequence: Sequence) -> Self {
        Self {
            sequence: sequence.next(),
            n: 0,
            told: 0,
        }
    }
}

/// What happened to an item, or to a library.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The library.
    pub library: LibraryRow,
    /// What it was before; `None`: it was not listed, or all of the library has to be listed again.
    pub was: Option<Item>,
    /// What it is since; `None`: it is not listed any more, or all of the library has to be listed again.
    pub now: Option<Item>,
}

impl Told {
    /// The library has to be listed again: of what happened to it no more is known.
    #[must_use]
    pub fn is_again(&self) -> bool {
        self.was.is_none() && self.now.is_none()
    }
}

/// A page of the feed.
#[derive(Clone, Debug)]
pub struct Page {
    /// The line of `next`: `lines.rs`.
    pub line: i64,
    /// Oldest first.
    pub told: Vec<Told>,
    /// Where the next page begins.
    pub next: Position,
    /// There is more, up to the end.
    pub more: bool,
    /// Where there is more of the log: the end that was asked for, else what was committed by now.
    pub end: Option<Sequence>,
}

impl Store {
    /// A reader that begins: with what happens from now on, or with a full listing.
    pub fn feed_begin(&self, identity: IdentityId, library: Option<LibraryId>, full: bool) -> Result<(i64, Position)> {
        self.read(|c| {
            let line = line(c)?;
            let now = sequence_of(c)?;
            let first = if full {
                next_listed(c, identity, library, LibraryId::ALL)?
            } else {
                None
            };
            let begin = first.map_or(Position::Log(Place::after(now)), |(library, generation)| {
                Position::Full {
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
        (on, position): (i64, Position),
        end: Option<Sequence>,
        limit: usize,
    ) -> Result<Page> {
        let timeline = self.timeline();
        let page = self.read(|c| {
            if !is_known(c, identity, on, position)? {
                return Ok(None);
            }
            let page = match position {
                Position::Log(place) => {
                    let changed = |entry: &Entry| listed_once(c, entry, limit, timeline, &self.listed);
                    log_page(c, identity, library, place, end, limit, &changed)?
                }
                Position::Full {
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
        (on, position): (i64, Position),
    ) -> Result<bool> {
        let Position::Log(place) = position else {
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
fn leads_here(c: &Connection, line: i64, position: Position) -> rusqlite::Result<bool> {
    let end = end_of(c, line)?;
    Ok(match position {
        Position::Log(place) => end.is_some_and(|sequence| {
            let last = Place {
                sequence,
                n: 0,
                told: 0,
            };
            place <= last
        }),
        // Of what it has read, nothing says when it was committed.
        Position::Full { .. } => end == Some(NO_END),
    })
}

/// Whether what happened from a position of a line on is known.
fn is_known(c: &Connection, identity: IdentityId, line: i64, position: Position) -> rusqlite::Result<bool> {
    Ok(leads_here(c, line, position)?
        && match position {
            // Of a later state than this: the store was restored, or lost its last writes.
            Position::Log(place) => {
                identity_from(c, identity)? < place.sequence && place.sequence <= sequence_of(c)?.next()
            }
            Position::Full { .. } => true,
        })
}

/// Rows of what an item was and is, 0 for none.
type Pairs = Arc<Vec<(i64, i64)>>;

/// A row of the log that the feed tells.
struct Entry {
    place: Place,
    library: LibraryId,
    kind: ChangeKind,
    rows: (i64, i64),
}

/// Up to which change sequence nothing can be told of all of an identity.
fn identity_from(c: &Connection, identity: IdentityId) -> rusqlite::Result<Sequence> {
    c.prepare_cached("SELECT feed_from FROM identities WHERE id = ?1")?
        .query_row([identity], |row| row.get(0))
}

/// The libraries that have to be listed again, as places of the log.
fn again(
    c: &Connection,
    identity: IdentityId,
    library: Option<LibraryId>,
    place: Place,
    end: Sequence,
) -> rusqlite::Result<Vec<Entry>> {
    // Within a transaction that the feed tells of, no library begins anew. If one has, the rest of it was forgotten.
    let (from, id) = match place {
        Place { sequence, n: 0, told } => (sequence, told),
        Place { sequence, .. } => (sequence, 0),
    };
    c.prepare_cached(
        "SELECT feed_from, id FROM libraries WHERE identity = ?1 AND (?2 IS NULL OR id = ?2) \
         AND (feed_from, id) >= (?3, ?4) AND feed_from <= ?5 ORDER BY feed_from, id",
    )?
    .query_map(params![identity, library, from, id, end], |row| {
        Ok(Entry {
            place: Place {
                sequence: row.get(0)?,
                n: 0,
                told: row.get(1)?,
            },
            library: row.get(1)?,
            kind: ChangeKind::Library,
            rows: (0, 0),
        })
    })?
    .collect()
}

/// The rows of the log from a place on that the feed tells, at most so many. What a library cannot tell any more is left out.
fn entries(
    c: &Connection,
    identity: IdentityId,
    library: Option<LibraryId>,
    place: Place,
    end: Sequence,
    limit: usize,
) -> rusqlite::Result<Vec<Entry>> {
    c.prepare_cached(
        "SELECT c.sequence, (c.id & ?6) + 1, c.library, c.kind, c.was, c.now FROM changes c \
         JOIN libraries l ON l.id = c.library AND l.present AND c.sequence > l.feed_from \
         WHERE c.id >= ?4 AND c.sequence BETWEEN ?3 AND ?7 AND c.identity = ?1 AND (?2 IS NULL OR c.library = ?2) \
         AND c.kind IN (8, 9, 11) AND (c.was <> 0 OR c.now <> 0) ORDER BY c.id LIMIT ?5",
    )?
    .query_map(
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
            Ok(Entry {
                place: Place {
                    sequence: row.get(0)?,
                    n: row.get(1)?,
                    told: 0,
                },
                library: row.get(2)?,
                kind: row.get(3)?,
                rows: (row.get(4)?, row.get(5)?),
            })
        },
    )?
    .collect()
}

fn log_page(
    c: &Connection,
    identity: IdentityId,
    library: Option<LibraryId>,
    place: Place,
    end: Option<Sequence>,
    limit: usize,
    listed: &dyn Fn(&Entry) -> rusqlite::Result<Pairs>,
) -> rusqlite::Result<Page> {
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
        let stopped = |next: Place, told| {
            Ok(Page {
                line,
                told,
                next: Position::Log(next),
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
            ChangeKind::Library => {
                told.push(Told {
                    library: row,
                    was: None,
                    now: None,
                });
                continue;
            }
            ChangeKind::Listed => listed(&entry)?,
            _ => Arc::new(vec![entry.rows]),
        };
        let skipped = if entry.place == (Place { told: 0, ..place }) {
            place.told
        } else {
            0
        };
        let skipped = usize::try_from(skipped).unwrap_or(0);
        for (at, (was, is)) in pairs.iter().enumerate().skip(skipped) {
            if told.len() >= limit {
                let told_of = i64::try_from(at).unwrap_or(i64::MAX);
                return stopped(
                    Place {
                        told: told_of,
                        ..entry.place
                    },
                    merged(told),
                );
            }
            let (was, now) = (item(c, *was)?, item(c, *is)?);
            let is_same = was.as_ref().map(digest) == now.as_ref().map(digest);
            if !is_same {
                told.push(Told {
                    library: row.clone(),
                    was,
                    now,
                });
            }
        }
    }
    let (next, more) = match read_upto {
        Some(Place { sequence, n, .. }) => (
            Place {
                sequence,
                n: n + 1,
                told: 0,
            },
            true,
        ),
        None => (place.max(Place::after(end)), false),
    };
    Ok(Page {
        line,
        told: merged(told),
        next: Position::Log(next),
        more,
        end: more.then_some(end),
    })
}

/// The same as [`listed`], found once for all pages of a reader: what a listing changed stays as it is.
fn listed_once(
    c: &Connection,
    entry: &Entry,
    limit: usize,
    timeline: Timeline,
    kept: &Listed,
) -> rusqlite::Result<Pairs> {
    let at = (entry.place.sequence, entry.place.n);
    // Not waited for: in a child of a fork another thread may have it for ever.
    if let Some(kept) = try_lock(kept)
        && let Some((of, place, pairs)) = kept.as_ref()
        && (*of, *place) == (timeline, at)
    {
        return Ok(Arc::clone(pairs));
    }
    let pairs = Arc::new(listed(c, entry)?);
    if pairs.len() > limit
        && let Some(mut kept) = try_lock(kept)
    {
        *kept = Some((timeline, at, Arc::clone(&pairs)));
    }
    Ok(pairs)
}

/// What one listing changed, in pairs of rows: what it ended, each with what it brought for it, then what else it brought.
fn listed(c: &Connection, entry: &Entry) -> rusqlite::Result<Vec<(i64, i64)>> {
    let (generation, last) = entry.rows;
    // Rows that no one saw are left out: those that an attempt at this listing brought, and it or a single change ended before
    // it answered.
    let ended = rows(
        c,
        "died = ?2 AND born < ?2 AND since < ?3 AND ?4 = ?4",
        params![entry.library, generation, entry.place.sequence, last],
    )?;
    let brought = rows(
        c,
        "born > 1 AND born = ?2 AND id <= ?4 AND (since = 0 OR since > ?3) \
         AND (died IS NULL OR died > ?2 OR since > ?3)",
        params![entry.library, generation, entry.place.sequence, last],
    )?;
    let mut by_key: HashMap<u64, usize> = brought.iter().enumerate().map(|(at, row)| (row.key, at)).collect();
    let mut taken = vec![false; brought.len()];
    let mut pairs: Vec<(i64, i64)> = Vec::with_capacity(ended.len().max(brought.len()));
    let mut left = Vec::new();
    for row in &ended {
        if let Some(at) = by_key.remove(&row.key) {
            taken[at] = true;
            pairs.push((row.id, brought[at].id));
        } else {
            left.push(pairs.len());
            pairs.push((row.id, 0));
        }
    }
    // An item that got another key: known by its GUID.
    let mut by_guid: HashMap<u64, Vec<usize>> = HashMap::new();
    for (at, row) in brought.iter().enumerate().rev() {
        if let (false, Some(guid)) = (taken[at], row.guid) {
            by_guid.entry(guid).or_default().push(at);
        }
    }
    let guids: HashMap<i64, u64> = ended.iter().filter_map(|row| Some((row.id, row.guid?))).collect();
    for at in left {
        let found = guids.get(&pairs[at].0).and_then(|guid| by_guid.get_mut(guid)?.pop());
        if let Some(found) = found {
            taken[found] = true;
            pairs[at].1 = brought[found].id;
        }
    }
    let rest = brought.iter().zip(taken).filter(|(_, taken)| !taken);
    pairs.extend(rest.map(|(row, _)| (0, row.id)));
    Ok(pairs)
}

/// A row of a listing, by what is compared of it.
struct Row {
    id: i64,
    key: u64,
    guid: Option<u64>,
}

fn rows(c: &Connection, which: &str, of: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<Vec<Row>> {
    c.prepare_cached(&format!(
        "SELECT id, rating_key, kind, texts FROM items WHERE library = ?1 AND {which} ORDER BY id"
    ))?
    .query_map(of, |row| {
        let Texts { guid, .. } = row.get(3)?;
        let kind: i64 = row.get(2)?;
        Ok(Row {
            id: row.get(0)?,
            key: xxh3_64(row.get_ref(1)?.as_bytes()?),
            guid: (!guid.is_empty()).then(|| xxh3_64(format!("{kind} {guid}").as_bytes())),
        })
    })?
    .collect()
}

/// The item of a row; `None` for row 0.
fn item(c: &Connection, id: i64) -> rusqlite::Result<Option<Item>> {
    if id == 0 {
        return Ok(None);
    }
    c.prepare_cached(&format!("SELECT {} {FROM} WHERE i.id = ?1", list::<ItemRow>()))?
        .query_row([id], read::<ItemRow>)
        .optional()
        .map(|row| row.map(|row| row.item))
}

/// The same, with an item that went and came with another key told once: it is known by its GUID. Where either key means
/// something else in between, both stay.
fn merged(told: Vec<Told>) -> Vec<Told> {
    let mut merged: Vec<Told> = Vec::with_capacity(told.len());
    // The last change that only brought or only ended an item, by library, type and GUID; and the last one of each key.
    let mut single: HashMap<(LibraryId, ItemType, String), usize> = HashMap::new();
    let mut touched: HashMap<(LibraryId, String), usize> = HashMap::new();
    for one in told {
        let library = one.library.id;
        let only = match (&one.was, &one.now) {
            (Some(item), None) | (None, Some(item)) if !item.guid.is_empty() => {
                Some((library, item.kind, item.guid.clone()))
            }
            _ => None,
        };
        let earlier = only.as_ref().and_then(|only| single.get(only).copied());
        let pair = earlier.and_then(|at| {
            let (was, now) = match (&merged[at], &one) {
                (
                    Told {
                        was: Some(was),
                        now: None,
                        ..
                    },
                    Told { now: Some(now), .. },
                )
                | (
                    Told { now: Some(now), .. },
                    Told {
                        was: Some(was),
                        now: None,
                        ..
                    },
                ) if was.rating_key != now.rating_key => (was, now),
                _ => return None,
            };
            let is_last = |item: &Item| {
                let last = touched.get(&(library, item.rating_key.clone()));
                last.is_none_or(|last| *last <= at)
            };
            (is_last(was) && is_last(now)).then(|| (at, was.clone(), now.clone()))
        });
        let at = pair.as_ref().map_or(merged.len(), |(at, ..)| *at);
        for item in one.was.iter().chain(&one.now) {
            touched.insert((library, item.rating_key.clone()), at);
        }
        if let Some((at, was, now)) = pair {
            only.and_then(|only| single.remove(&only));
            (merged[at].was, merged[at].now) = (Some(was), Some(now));
            continue;
        }
        if let Some(only) = only {
            single.insert(only, at);
        }
        merged.push(one);
    }
    merged
}

/// The next library that has a listing, after this one by number.
fn next_listed(
    c: &Connection,
    identity: IdentityId,
    library: Option<LibraryId>,
    after: LibraryId,
) -> rusqlite::Result<Option<(LibraryId, Generation)>> {
    c.prepare_cached(
        "SELECT id, generation FROM libraries WHERE identity = ?1 AND (?2 IS NULL OR id = ?2) AND id > ?3 AND present \
         AND generation > 0 ORDER BY id LIMIT 1",
    )?
    .query_row(params![identity, library, after], |row| Ok((row.get(0)?, row.get(1)?)))
    .optional()
}

fn full_page(
    c: &Connection,
    identity: IdentityId,
    library: Option<LibraryId>,
    then: Sequence,
    (mut at, mut generation, mut after): (LibraryId, Generation, i64),
    limit: usize,
) -> rusqlite::Result<Page> {
    let line = line(c)?;
    let mut told = Vec::new();
    loop {
        // One that went says so in the log; another's is none of this reader's.
        let is_own = library.is_none_or(|library| library == at)
            && c.prepare_cached("SELECT 1 FROM libraries WHERE id = ?1 AND identity = ?2")?
                .exists(params![at, identity])?;
        let row = is_own.then(|| one_library(c, at)).transpose()?;
        let left = limit - told.len();
        let rows = match &row {
            Some(_) => batch(c, at, generation, after, left)?,
            None => Vec::new(),
        };
        let is_all = rows.len() < left;
        for one in rows {
            after = one.id;
            told.extend(row.iter().map(|row| Told {
                library: row.clone(),
                was: None,
                now: Some(one.item.clone()),
            }));
        }
        if !is_all {
            let next = Position::Full {
                then,
                library: at,
                generation,
                after,
            };
            return Ok(Page {
                line,
                told,
                next,
                more: true,
                end: None,
            });
        }
        let Some((next, of)) = next_listed(c, identity, library, at)? else {
            let next = Position::Log(Place {
                sequence: then,
                n: 0,
                told: 0,
            });
            return Ok(Page {
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
