//! Full listings: begun, stored page by page, finished or taken up again.
//!
//! A row of `items` is visible in the generations from `born` on and before `died`. A listing that will become generation
//! g + 1 writes `born = g + 1` and `died = g + 1` only, so nothing that it does shows before the one row of
//! `libraries` says g + 1; and a second attempt at g + 1 may find what a first one left, and use it.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, OptionalExtension, params};
use xxhash_rust::xxh3::Xxh3;

use super::partition::sweep_slice;
use super::rows::one_library;
use super::{LibraryRow, Store, Tx};
use crate::error::{Error, Result, Status};
use crate::model::{Clocks, Item, ItemType};

/// Rows that a continuation fetches again, to see that the list did not move.
pub const OVERLAP: usize = 50;
/// Pages of `seen` from here on hold single items that were merged while a listing was under way.
pub(super) const MERGED_PAGES: i64 = 1 << 40;
/// Rows that one transaction marks as gone.
const SLICE: usize = 5_000;

/// A full listing under way, as stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// The library's number in the store.
    pub library: i64,
    /// The generation that it becomes.
    pub generation: u64,
    /// Which of the library's leaf types is being listed.
    pub type_index: usize,
    /// The next row of that type.
    pub next_row: u64,
    /// Rows that the server returned so far, over all types.
    pub rows: u64,
    /// Those of them that have a rating key.
    pub keyed: u64,
    /// Rows of all types begun, as the server counts them; `None` when it does not say.
    pub total: Option<u64>,
    /// The last rating keys of the current type, newest last.
    pub tail: Tail,
    /// The library's clocks before the first page.
    pub clocks: Clocks,
    /// The change sequence when it began.
    pub begun_sequence: u64,
    /// When it began, Unix ms.
    pub begun_ms: i64,
    /// When its last page was stored, Unix ms.
    pub touched_ms: i64,
    /// Pages stored.
    pub pages: u64,
    /// Some row differs from the generation that answers.
    pub changed: bool,
}

/// The last rating keys of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail(Vec<String>);

impl Tail {
    /// The keys, oldest first.
    pub fn keys(&self) -> &[String] {
        &self.0
    }

    /// Adds keys, keeping the last [`OVERLAP`].
    pub fn extend<'k>(&mut self, keys: impl Iterator<Item = &'k str>) {
        self.0.extend(keys.map(str::to_owned));
        let surplus = self.0.len().saturating_sub(OVERLAP);
        self.0.drain(..surplus);
    }

    /// Forgets them: a new type begins.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// What a finished listing is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Distinct items.
    pub items: u64,
    /// It lives shortly: made during a scan, or in disagreement with itself.
    pub provisional: bool,
    /// It disagreed with itself: rows may be missing.
    pub partial: bool,
    /// The listing's new image, and the change sequence up to which single items are in it; `None` keeps the old one.
    pub image: Option<(String, u64)>,
    /// When it was completed, Unix ms.
    pub now_ms: i64,
}

impl Store {
    /// The listing of this library that is under way.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn listing(&self, library: i64) -> Result<Option<Listing>> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT library, generation, type_index, next_row, rows, total, tail, ccat, scanned, refreshing, \
                     begun_seq, begun_ms, touched_ms, pages, changed, keyed FROM listings WHERE library = ?1",
                    [library],
                    |row| {
                        let unsigned = |index| row.get::<_, i64>(index).map(i64::cast_unsigned);
                        Ok(Listing {
                            library: row.get(0)?,
                            generation: unsigned(1)?,
                            type_index: usize::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
                            next_row: unsigned(3)?,
                            rows: unsigned(4)?,
                            total: u64::try_from(row.get::<_, i64>(5)?).ok(),
                            tail: Tail(serde_json::from_str(&row.get::<_, String>(6)?).unwrap_or_default()),
                            clocks: Clocks {
                                content_changed_at: row.get(7)?,
                                scanned_at: row.get(8)?,
                                refreshing: row.get(9)?,
                                updated_at: 0,
                            },
                            begun_sequence: unsigned(10)?,
                            begun_ms: row.get(11)?,
                            touched_ms: row.get(12)?,
                            pages: unsigned(13)?,
                            changed: row.get(14)?,
                            keyed: unsigned(15)?,
                        })
                    },
                )
                .optional()
        })
    }

    /// Begins a full listing anew. What an earlier attempt stored is kept and compared with.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn begin_listing(&self, row: &LibraryRow, now_ms: i64) -> Result<Listing> {
        self.write(|tx| {
            tx.expect_library(row.id)?;
            let changed = tx
                .connection
                .query_row("SELECT changed FROM listings WHERE library = ?1", [row.id], |row| {
                    row.get(0)
                })
                .optional()?
                .unwrap_or(false);
            tx.connection.execute("DELETE FROM seen WHERE library = ?1", [row.id])?;
            let listing = Listing {
                library: row.id,
                generation: row.generation + 1,
                clocks: row.library.clocks,
                begun_sequence: tx.sequence,
                begun_ms: now_ms,
                touched_ms: now_ms,
                changed,
                ..Listing::default()
            };
            save(tx, &listing)?;
            Ok(listing)
        })
    }

    /// Stores rows of a page that was asked for at the change sequence `asked`, and how far the listing has come, in one
    /// transaction.
    ///
    /// # Errors
    /// [`Status::Timeout`] when another process goes on with this listing, or began it anew;
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn store_page(&self, listing: &mut Listing, items: &[Item], asked: u64) -> Result<()> {
        let stored = self.write(|tx| {
            tx.expect_library(listing.library)?;
            if !is_own(tx, listing)? {
                return Ok(None);
            }
            let mut next = listing.clone();
            let ids = store_items(tx, &mut next, items, asked)?;
            tx.connection
                .prepare_cached("INSERT OR REPLACE INTO seen (library, page, ids) VALUES (?1, ?2, ?3)")?
                .execute(params![next.library, next.pages.cast_signed(), ids])?;
            next.pages += 1;
            save(tx, &next)?;
            // What died with earlier generations goes while this one comes: the store is never larger than two.
            let swept = sweep_slice(tx, 2 * items.len())?;
            self.orphans.fetch_or(swept.of_shows, Ordering::Relaxed);
            Ok(Some(next))
        })?;
        *listing = stored.ok_or_else(taken_over)?;
        Ok(())
    }

    /// How many distinct items the listing found so far.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn distinct(&self, listing: &Listing) -> Result<u64> {
        self.read(|connection| {
            let ids = seen(connection, listing.library)?;
            let merged = connection
                .prepare_cached("SELECT 1 FROM seen WHERE library = ?1 AND page >= ?2")?
                .exists(params![listing.library, MERGED_PAGES])?;
            if !merged {
                return Ok(ids.len() as u64);
            }
            // Single items were merged meanwhile, in the place of rows that are seen too.
            let mut living = connection.prepare_cached("SELECT died IS NULL FROM items WHERE id = ?1")?;
            let mut count = 0;
            for id in ids {
                count += u64::from(
                    living
                        .query_row([id], |row| row.get::<_, bool>(0))
                        .optional()?
                        .unwrap_or(false),
                );
            }
            Ok(count)
        })
    }

    /// Marks the rows that a listing did not find as gone from its generation on. Nothing shows yet.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn mark_gone(&self, listing: &mut Listing) -> Result<()> {
        let gone: Vec<i64> = self.read(|connection| {
            let seen = seen(connection, listing.library)?;
            let mut gone = Vec::new();
            let mut statement =
                connection.prepare_cached("SELECT id FROM items WHERE library = ?1 AND died IS NULL")?;
            let ids = statement.query_map([listing.library], |row| row.get::<_, i64>(0))?;
            for id in ids {
                let id = id?;
                if seen.binary_search(&id).is_err() {
                    gone.push(id);
                }
            }
            Ok(gone)
        })?;
        for slice in gone.chunks(SLICE) {
            let own = self.write(|tx| {
                if !is_own(tx, listing)? {
                    return Ok(false);
                }
                // One that was merged or removed singly since they were read has ended already, and earlier.
                let mut statement = tx
                    .connection
                    .prepare_cached("UPDATE items SET died = ?2 WHERE id = ?1 AND died IS NULL")?;
                for id in slice {
                    statement.execute([*id, listing.generation.cast_signed()])?;
                }
                tx.connection
                    .execute("UPDATE listings SET changed = 1 WHERE library = ?1", [listing.library])?;
                Ok(true)
            })?;
            if !own {
                return Err(taken_over());
            }
            listing.changed = true;
        }
        Ok(())
    }

    /// Hands the items of a generation to `each`, in the order in which they were stored, with the change sequence at which
    /// each came singly; 0 for those that came with a listing.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], or what `each` gives.
    pub fn for_each_item(
        &self,
        library: i64,
        generation: u64,
        each: &mut dyn FnMut(Item, u64) -> Result<()>,
    ) -> Result<()> {
        // Batches: the connection's lock is let go between them, and no read transaction outlives a batch.
        let mut after = 0_i64;
        loop {
            let batch = self.batch(library, generation, after, 10_000, |row| {
                Ok((item(row)?, row.get::<_, i64>(13)?.cast_unsigned()))
            })?;
            let Some(((last, _), _)) = batch.last() else {
                return Ok(());
            };
            after = *last;
            for ((_, item), came) in batch {
                each(item, came)?;
            }
        }
    }

    /// Items of a generation whose number in the store is above `after`, with that number, at most `limit`.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn items_after(&self, library: i64, generation: u64, after: i64, limit: usize) -> Result<Vec<(i64, Item)>> {
        self.batch(library, generation, after, limit, item)
    }

    fn batch<T>(
        &self,
        library: i64,
        generation: u64,
        after: i64,
        limit: usize,
        each: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        self.read(|connection| {
            connection
                .prepare_cached(&format!(
                    "{ITEM} WHERE i.library = ?1 AND i.id > ?3 AND i.born <= ?2 AND (i.died IS NULL OR i.died > ?2) \
                     ORDER BY i.id LIMIT ?4"
                ))?
                .query_map(
                    params![
                        library,
                        generation.cast_signed(),
                        after,
                        i64::try_from(limit).unwrap_or(i64::MAX)
                    ],
                    &each,
                )?
                .collect()
        })
    }

    /// The item with this rating key, as the generation that answers has it.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn item(&self, library: i64, generation: u64, rating_key: &str) -> Result<Option<Item>> {
        self.read(|connection| {
            connection
                .prepare_cached(&format!(
                    "{ITEM} WHERE i.library = ?1 AND i.rating_key = ?3 AND i.born <= ?2 \
                     AND (i.died IS NULL OR i.died > ?2)"
                ))?
                .query_row(params![library, generation.cast_signed(), rating_key], item)
                .optional()
        })
        .map(|found| found.map(|(_, item)| item))
    }

    /// Makes the listing the one that answers: one short transaction. Without a change the generation stays.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn finish_listing(&self, identity: i64, listing: &Listing, finished: &Finished) -> Result<LibraryRow> {
        let finished = self.write(|tx| {
            let id = listing.library;
            tx.expect_library(id)?;
            if !is_own(tx, listing)? {
                return Ok(None);
            }
            tx.connection.execute(
                "UPDATE libraries SET generation = CASE WHEN ?2 OR generation = 0 THEN ?3 ELSE generation END, \
                 generation_seq = CASE WHEN ?2 OR generation = 0 THEN ?10 ELSE generation_seq END, \
                 listed_items = ?4, listed_ccat = ?5, listed_scanned = ?6, listed_ms = ?7, checked_ms = ?7, \
                 provisional = ?8, begun_seq = ?9, shrunk = -1, \
                 hint = CASE WHEN hint_seq <= ?9 THEN 0 ELSE hint END WHERE id = ?1",
                params![
                    id,
                    listing.changed,
                    listing.generation.cast_signed(),
                    finished.items.cast_signed(),
                    listing.clocks.content_changed_at,
                    listing.clocks.scanned_at,
                    finished.now_ms,
                    i64::from(finished.provisional) + i64::from(finished.provisional && finished.partial),
                    listing.begun_sequence.cast_signed(),
                    tx.sequence.cast_signed(),
                ],
            )?;
            if let Some((image, sequence)) = &finished.image {
                // Changes that a file made meanwhile holds may be forgotten already: one that lacks them is none.
                tx.connection.execute(
                    "UPDATE libraries SET image = CASE WHEN image_seq <= ?3 THEN ?2 ELSE '' END, \
                     image_seq = max(image_seq, ?3) WHERE id = ?1",
                    params![id, image, sequence.cast_signed()],
                )?;
            }
            tx.connection.execute("DELETE FROM listings WHERE library = ?1", [id])?;
            tx.connection.execute("DELETE FROM seen WHERE library = ?1", [id])?;
            tx.connection.execute(
                "DELETE FROM unverified WHERE library = ?1 AND sequence < ?2",
                params![id, listing.begun_sequence.cast_signed()],
            )?;
            // Listed anew, and nothing changed: answers stay what they are.
            if finished.image.is_some() || listing.changed {
                tx.libraries_changed(identity)?;
            } else {
                tx.clocks_changed(identity)?;
            }
            one_library(tx.connection, id).map(Some)
        })?;
        finished.ok_or_else(taken_over)
    }

    /// Gives a listing up that is much smaller than the last one: the old one answers on, and a second of the same size
    /// will be believed, `apart_ms` after the first. Gives whether this is the second.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn hold_back_listing(
        &self,
        identity: i64,
        listing: &Listing,
        items: u64,
        now_ms: i64,
        apart_ms: i64,
    ) -> Result<bool> {
        self.write(|tx| {
            let (before, since): (i64, i64) = tx.connection.query_row(
                "SELECT shrunk, shrunk_ms FROM libraries WHERE id = ?1",
                [listing.library],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let same = u64::try_from(before).is_ok_and(|before| before == items);
            if same && now_ms.saturating_sub(since) >= apart_ms {
                return Ok(true);
            }
            tx.connection.execute(
                "UPDATE libraries SET shrunk = ?2, checked_ms = ?3, provisional = 1, shrunk_ms = ?4 WHERE id = ?1",
                params![
                    listing.library,
                    items.cast_signed(),
                    now_ms,
                    if same { since } else { now_ms }
                ],
            )?;
            tx.connection.execute(
                "UPDATE listings SET touched_ms = 0 WHERE library = ?1",
                [listing.library],
            )?;
            tx.clocks_changed(identity)?;
            Ok(false)
        })
    }

    /// Notes that the library has a new image of the same generation, with the single items up to `sequence`.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn set_image(&self, identity: i64, library: i64, generation: u64, image: &str, sequence: u64) -> Result<()> {
        self.write(|tx| {
            tx.connection.execute(
                "UPDATE libraries SET image = ?3, image_seq = ?4 WHERE id = ?1 AND generation = ?2 AND image_seq <= ?4",
                params![library, generation.cast_signed(), image, sequence.cast_signed()],
            )?;
            tx.libraries_changed(identity)
        })
    }

    /// Names of all images that some library answers from.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn image_names(&self) -> Result<Vec<String>> {
        self.read(|connection| {
            let mut names = Vec::new();
            let mut statement = connection
                .prepare_cached("SELECT image FROM libraries UNION ALL SELECT matches_image FROM libraries UNION ALL SELECT image FROM tables")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                names.push(row.get(0)?);
            }
            Ok(names)
        })
    }
}

const ITEM: &str = "SELECT i.id, i.rating_key, i.kind, i.title, i.year, i.season, i.episode, i.guid, i.guids, i.parts, \
    s.title, s.rating_key, s.guid, i.since FROM items i LEFT JOIN shows s ON s.id = i.show";

pub(super) fn item(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, Item)> {
    let optional = |index| row.get::<_, Option<String>>(index).map(Option::unwrap_or_default);
    let guids: String = row.get(8)?;
    Ok((
        row.get(0)?,
        Item {
            rating_key: row.get(1)?,
            kind: ItemType::from_number(row.get(2)?),
            title: row.get(3)?,
            year: row.get(4)?,
            season: row.get(5)?,
            episode: row.get(6)?,
            guid: row.get(7)?,
            guids: guids.lines().map(str::to_owned).collect(),
            parts: serde_json::from_str(&row.get::<_, String>(9)?).unwrap_or_default(),
            show_title: optional(10)?,
            show_rating_key: optional(11)?,
            show_guid: optional(12)?,
        },
    ))
}

pub(super) const ITEM_COLUMNS: &str = ITEM;

fn seen(connection: &Connection, library: i64) -> rusqlite::Result<Vec<i64>> {
    let mut ids = Vec::new();
    let mut statement = connection.prepare_cached("SELECT ids FROM seen WHERE library = ?1")?;
    let mut rows = statement.query([library])?;
    while let Some(row) = rows.next()? {
        let blob: &[u8] = row.get_ref(0)?.as_blob().unwrap_or_default();
        ids.extend(
            blob.chunks_exact(8)
                .filter_map(|id| id.try_into().ok())
                .map(i64::from_le_bytes),
        );
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Whether a listing is where its fetcher left it. Locks see to that; but a lease ends while its holder's machine sleeps,
/// and lock files can be removed. Two that store into one listing would take each other's rows for gone.
fn is_own(tx: &Tx<'_>, listing: &Listing) -> rusqlite::Result<bool> {
    tx.connection
        .prepare_cached("SELECT 1 FROM listings WHERE library = ?1 AND begun_seq = ?2 AND pages = ?3")?
        .exists(params![
            listing.library,
            listing.begun_sequence.cast_signed(),
            listing.pages.cast_signed()
        ])
}

fn taken_over() -> Error {
    Error::new(
        Status::Timeout,
        "time is up: another process goes on with this listing, for this one was held up too long; ask again",
    )
}

fn save(tx: &Tx<'_>, listing: &Listing) -> rusqlite::Result<()> {
    tx.connection
        .prepare_cached(
            "INSERT OR REPLACE INTO listings (library, generation, type_index, next_row, rows, total, tail, ccat, \
             scanned, refreshing, begun_seq, begun_ms, touched_ms, pages, changed, keyed) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?
        .execute(params![
            listing.library,
            listing.generation.cast_signed(),
            i64::try_from(listing.type_index).unwrap_or(0),
            listing.next_row.cast_signed(),
            listing.rows.cast_signed(),
            listing.total.map_or(-1, u64::cast_signed),
            serde_json::to_string(&listing.tail.0).unwrap_or_default(),
            listing.clocks.content_changed_at,
            listing.clocks.scanned_at,
            listing.clocks.refreshing,
            listing.begun_sequence.cast_signed(),
            listing.begun_ms,
            listing.touched_ms,
            listing.pages.cast_signed(),
            listing.changed,
            listing.keyed.cast_signed(),
        ])?;
    Ok(())
}

/// Stores what differs, and gives the numbers of all these items' rows, 8 bytes each.
fn store_items(tx: &Tx<'_>, listing: &mut Listing, items: &[Item], asked: u64) -> rusqlite::Result<Vec<u8>> {
    let mut shows = ShowCache::default();
    let mut ids = Vec::with_capacity(items.len() * 8);
    for item in items {
        match put(tx, &mut shows, listing, item, asked)? {
            Some((id, different)) => {
                ids.extend(id.to_le_bytes());
                listing.changed |= different;
            }
            // As if the page had not had it.
            None => listing.keyed = listing.keyed.saturating_sub(1),
        }
    }
    Ok(ids)
}

/// Stores an item if it differs: its row, and whether it does. `None`: it went while the page was on its way.
fn put(
    tx: &Tx<'_>,
    shows: &mut ShowCache,
    listing: &Listing,
    item: &Item,
    asked: u64,
) -> rusqlite::Result<Option<(i64, bool)>> {
    let c = tx.connection;
    let generation = listing.generation.cast_signed();
    let digest = digest(item).cast_signed();
    let mut known = c.prepare_cached(
        "SELECT id, digest, since, died IS NULL FROM items WHERE library = ?1 AND rating_key = ?2 \
         AND (died IS NULL OR since > ?3)",
    )?;
    let mut rows = known.query(params![listing.library, item.rating_key, asked.cast_signed()])?;
    let (mut living, mut went) = (None, false);
    while let Some(row) = rows.next()? {
        let newer = row.get::<_, i64>(2)?.cast_unsigned() > asked;
        if row.get(3)? {
            living = Some((row.get::<_, i64>(0)?, row.get::<_, i64>(1)? == digest || newer));
        } else {
            went = true;
        }
    }
    match living {
        Some((id, true)) => return Ok(Some((id, false))),
        Some((id, false)) => {
            c.prepare_cached("UPDATE items SET died = ?2 WHERE id = ?1")?
                .execute([id, generation])?;
        }
        None if went => return Ok(None),
        None => {}
    }
    let id = insert(tx, shows, listing.library, generation, item)?;
    Ok(Some((id, true)))
}

/// Adds a row that is born with a generation.
pub(super) fn insert(
    tx: &Tx<'_>,
    shows: &mut ShowCache,
    library: i64,
    generation: i64,
    item: &Item,
) -> rusqlite::Result<i64> {
    let c = tx.connection;
    let show = shows.id(tx, library, item)?;
    let parts = serde_json::to_string(&item.parts).unwrap_or_else(|_| "[]".to_owned());
    c.prepare_cached(
        "INSERT INTO items (library, rating_key, kind, title, year, show, season, episode, guid, guids, parts, \
         digest, born) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        library,
        item.rating_key,
        item.kind.number(),
        item.title,
        item.year,
        show,
        item.season,
        item.episode,
        item.guid,
        item.guids.join("\n"),
        parts,
        digest(item).cast_signed(),
        generation,
    ])?;
    Ok(c.last_insert_rowid())
}

/// The last show: the episodes of one come together.
#[derive(Default)]
pub(super) struct ShowCache {
    last: Option<(String, String, String, i64)>,
}

impl ShowCache {
    fn id(&mut self, tx: &Tx<'_>, library: i64, item: &Item) -> rusqlite::Result<Option<i64>> {
        if item.show_rating_key.is_empty() && item.show_title.is_empty() && item.show_guid.is_empty() {
            return Ok(None);
        }
        if let Some((key, title, guid, id)) = &self.last
            && *key == item.show_rating_key
            && *title == item.show_title
            && *guid == item.show_guid
        {
            return Ok(Some(*id));
        }
        let of = params![library, item.show_rating_key, item.show_title, item.show_guid];
        let find = "SELECT id FROM shows WHERE library = ?1 AND rating_key = ?2 AND title = ?3 AND guid = ?4";
        let mut find = tx.connection.prepare_cached(find)?;
        let id = if let Some(id) = find.query_row(of, |row| row.get(0)).optional()? {
            id
        } else {
            tx.connection
                .prepare_cached("INSERT INTO shows (library, rating_key, title, guid) VALUES (?1, ?2, ?3, ?4)")?
                .execute(of)?;
            tx.connection.last_insert_rowid()
        };
        self.last = Some((
            item.show_rating_key.clone(),
            item.show_title.clone(),
            item.show_guid.clone(),
            id,
        ));
        Ok(Some(id))
    }
}

/// Equal for items of equal content.
pub(super) fn digest(item: &Item) -> u64 {
    let mut hash = Xxh3::new();
    let mut text = |text: &str| {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    for one in [
        &item.rating_key,
        &item.title,
        &item.show_title,
        &item.show_rating_key,
        &item.show_guid,
        &item.guid,
    ] {
        text(one);
    }
    for one in item.guids.iter().chain(&item.parts) {
        text(one);
    }
    for number in [
        i64::from(item.kind.number()),
        i64::from(item.year),
        i64::from(item.season),
        i64::from(item.episode),
        i64::try_from(item.guids.len()).unwrap_or(i64::MAX),
    ] {
        hash.update(&number.to_le_bytes());
    }
    hash.digest()
}
