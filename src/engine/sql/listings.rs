//! Full listings: begins, stores, resumes and publishes them.
//!
//! A listing that will become generation g + 1 only writes rows with `born = g + 1` or `died = g + 1`. Readers see none
//! of these rows before the library's row has generation g + 1. A second attempt at g + 1 may reuse the rows of the
//! first.

use std::sync::atomic::Ordering;

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::adding::{BulkInsert, RowDefaults};
use super::cached::CachedStatements;
use super::history::log_listing;
use super::ids::listing_text;
use super::items::digest_in;
use super::known::{KnownRow, KnownRows};
use super::last_write::LibraryState;
use super::libraries::{LibraryRow, one_library};
use super::seen;
use super::store::Store;
use super::sweeping::sweep_slice;
use super::tx::Tx;
use crate::error::{Error, Result, Status};
use crate::model::{Change, Generation, IdentityId, Item, LibraryId, ListingName, Sequence};
use crate::platform::deadline::Deadline;

/// Number of rows that a resumed listing fetches again to check that the list did not move.
pub const OVERLAP: usize = 50;
/// Rows that one transaction marks as gone.
const SLICE: usize = 5_000;

/// A full listing under way, as stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    /// The library's number in the store.
    pub library: LibraryId,
    /// The generation that it will become.
    pub generation: Generation,
    /// Which of the library's partitions is being listed.
    pub partition: usize,
    /// The position of its next page.
    pub position: u64,
    /// Rows that the server returned so far, over all partitions.
    pub rows: u64,
    /// Number of these rows that have a rating key.
    pub keyed: u64,
    /// Number of rows in all partitions begun so far, as the server reports it; `None` if it does not.
    pub total: Option<u64>,
    /// The last rating keys of the current partition, newest last.
    pub tail: OverlapKeys,
    /// The library's state before the first page.
    pub change: Change,
    /// The change sequence when it began.
    pub begun_sequence: Sequence,
    /// When it began, Unix ms.
    pub begun_ms: i64,
    /// When its last page was stored, Unix ms.
    pub touched_ms: i64,
    /// Pages stored.
    pub pages: u64,
    /// Whether a row differs from the current generation.
    pub changed: bool,
}

/// The last rating keys of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlapKeys(Vec<String>);

impl OverlapKeys {
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

    /// Forgets all keys, for a new partition.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// The outcome of a finished listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingResult {
    /// Distinct items.
    pub items: u64,
    /// Whether it expires early, because a scan ran while it was fetched, or its counts disagree.
    pub provisional: bool,
    /// Whether its counts disagree, so that rows may be missing.
    pub partial: bool,
    /// The listing's new segment, which has the single items up to its sequence; `None` keeps the old one.
    pub segment: Option<ListingName>,
    /// When it was completed, Unix ms.
    pub now_ms: i64,
}

/// A store's rows of listings: stores pages, and makes a complete listing visible.
pub struct ListingRows<'s>(pub &'s Store);

impl ListingRows<'_> {
    /// The listing of this library that is under way.
    pub fn listing(&self, library: LibraryId) -> Result<Option<Listing>> {
        let row = self.0.read(|connection| {
            connection.find(
                "SELECT progress, touched_ms, changed FROM listings WHERE library = ?1",
                [library],
                |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get(2)?)),
            )
        })?;
        // Progress that another build stored in another form is ignored.
        Ok(row.and_then(|(progress, touched_ms, changed)| {
            let listing = postcard::from_bytes::<Listing>(&progress).ok()?;
            Some(Listing {
                touched_ms,
                changed,
                ..listing
            })
        }))
    }

    /// Begins a full listing. Rows that an earlier attempt stored are kept and compared.
    pub fn begin_listing(&self, row: &LibraryRow, now_ms: i64, deadline: Deadline) -> Result<Listing> {
        self.0.write(deadline, |tx| {
            tx.expect_library(row.id)?;
            let changed = tx
                .find("SELECT changed FROM listings WHERE library = ?1", [row.id], |row| {
                    row.get(0)
                })?
                .unwrap_or(false);
            seen::forget(tx, row.id)?;
            let listing = Listing {
                library: row.id,
                generation: row.generation.next(),
                change: row.library.change.clone(),
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

    /// Stores the items of a page that was requested at the change sequence `requested_at`, and the listing's progress,
    /// in one transaction.
    ///
    /// # Errors
    /// [`Status::Timeout`] if another process continues this listing or began it again;
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn store_page(
        &self,
        listing: &mut Listing,
        items: &[Item],
        requested_at: Sequence,
        deadline: Deadline,
    ) -> Result<()> {
        let stored = self.0.write(deadline, |tx| {
            tx.lists.set(true);
            let library = tx.expect_library(listing.library)?;
            if !is_own(tx, listing)? {
                return Ok(None);
            }
            let mut next = listing.clone();
            let ids = store_items(tx, &library, &mut next, items, requested_at)?;
            seen::note_page(tx, next.library, next.pages.cast_signed(), ids)?;
            next.pages += 1;
            save(tx, &next)?;
            // Sweep during the listing, so that the store never holds more than two generations.
            let swept = sweep_slice(tx, 2 * items.len())?;
            self.0.may_have_orphans.fetch_or(swept.of_shows, Ordering::Relaxed);
            Ok(Some(next))
        })?;
        *listing = stored.ok_or_else(taken_over)?;
        Ok(())
    }

    /// Number of distinct items that the listing found so far.
    pub fn distinct(&self, listing: &Listing) -> Result<u64> {
        self.0.read(|connection| {
            let seen = seen::all(connection, listing.library)?;
            if !seen::has_merged(connection, listing.library)? {
                return Ok(seen.len());
            }
            // Single items that were merged meanwhile replaced some rows that the listing had found too.
            let mut statement = connection.prepare_cached("SELECT died IS NULL FROM items WHERE id = ?1")?;
            let mut count = 0;
            for id in seen.ids() {
                count += u64::from(
                    statement
                        .query_row([id], |row| row.get::<_, bool>(0))
                        .optional()?
                        .unwrap_or(false),
                );
            }
            Ok(count)
        })
    }

    /// Marks the rows that a listing did not find as removed from its generation on. Readers do not see this yet.
    pub fn mark_gone(&self, listing: &mut Listing, deadline: Deadline) -> Result<()> {
        let gone: Vec<i64> = self.0.read(|connection| {
            let seen = seen::all(connection, listing.library)?;
            let mut gone = Vec::new();
            // The index has the row numbers, so only the few rows that were not found are read.
            let mut statement = connection.prepare_cached("SELECT id FROM items WHERE library = ?1")?;
            let mut is_live = connection.prepare_cached("SELECT 1 FROM items WHERE id = ?1 AND died IS NULL")?;
            let mut ids = statement.query([listing.library])?;
            while let Some(row) = ids.next()? {
                let id: i64 = row.get(0)?;
                if !seen.has(id) && is_live.exists([id])? {
                    gone.push(id);
                }
            }
            Ok(gone)
        })?;
        for slice in gone.chunks(SLICE) {
            let own = self.0.write(deadline, |tx| {
                if !is_own(tx, listing)? {
                    return Ok(false);
                }
                // A row that was merged or removed one by one meanwhile has ended already.
                let mut statement = tx.prepare_cached("UPDATE items SET died = ?2 WHERE id = ?1 AND died IS NULL")?;
                for id in slice {
                    statement.execute(params![id, listing.generation])?;
                }
                tx.execute("UPDATE listings SET changed = 1 WHERE library = ?1", [listing.library])?;
                Ok(true)
            })?;
            if !own {
                return Err(taken_over());
            }
            listing.changed = true;
        }
        Ok(())
    }

    /// Publishes the listing in one short transaction. The generation stays if nothing changed.
    pub fn finish_listing(
        &self,
        identity: IdentityId,
        listing: &Listing,
        finished: &ListingResult,
        deadline: Deadline,
    ) -> Result<LibraryRow> {
        let finished = self.0.write(deadline, |tx| {
            let id = listing.library;
            let before = tx.expect_library(id)?;
            if !is_own(tx, listing)? {
                return Ok(None);
            }
            tx.execute(
                "UPDATE libraries SET generation = CASE WHEN ?2 OR generation <= 0 THEN ?3 ELSE generation END, \
                 generation_seq = CASE WHEN ?2 OR generation <= 0 THEN ?9 ELSE generation_seq END, \
                 listed_items = ?4, told_items = ?4, listed_token = ?5, listed_ms = ?6, checked_ms = ?6, \
                 provisional = ?7, begun_seq = ?8, shrunk = -1, \
                 hint = CASE WHEN hint_seq <= ?8 THEN 0 ELSE hint END WHERE id = ?1",
                params![
                    id,
                    listing.changed,
                    listing.generation,
                    finished.items.cast_signed(),
                    listing.change.token,
                    finished.now_ms,
                    i64::from(finished.provisional) + i64::from(finished.provisional && finished.partial),
                    listing.begun_sequence,
                    tx.sequence,
                ],
            )?;
            if let Some(segment) = &finished.segment {
                // The changes in the current segment may be trimmed from the log by now. So a segment that lacks them
                // is not published.
                tx.execute(
                    "UPDATE libraries SET segment = CASE WHEN segment_seq <= ?3 THEN ?2 ELSE '' END, \
                     segment_seq = max(segment_seq, ?3) WHERE id = ?1",
                    params![id, listing_text(segment), segment.sequence],
                )?;
            }
            tx.execute("DELETE FROM listings WHERE library = ?1", [id])?;
            seen::forget(tx, id)?;
            tx.execute(
                "DELETE FROM unverified WHERE library = ?1 AND sequence < ?2",
                params![id, listing.begun_sequence],
            )?;
            if listing.changed || !before.generation.is_fetched() {
                log_listing(tx, &before, listing.generation, finished.items)?;
            }
            // If nothing changed, lookups return the same results.
            if finished.segment.is_some() || listing.changed {
                tx.libraries_changed(identity)?;
            } else {
                tx.freshness_changed(identity)?;
            }
            one_library(tx.connection, id).map(Some)
        })?;
        finished.ok_or_else(taken_over)
    }

    /// Holds back a listing that is much smaller than the current one, which stays current. A second listing as small,
    /// at least `apart_ms` later, confirms it. Returns whether this is the second.
    pub fn hold_back_listing(
        &self,
        identity: IdentityId,
        listing: &Listing,
        items: u64,
        now_ms: i64,
        apart_ms: i64,
        deadline: Deadline,
    ) -> Result<bool> {
        self.0.write(deadline, |tx| {
            let (before, since): (i64, i64) = tx.row(
                "SELECT shrunk, shrunk_ms FROM libraries WHERE id = ?1",
                [listing.library],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let is_held = before >= 0;
            // The sizes need not be equal: a library that is being edited has another size each time. A first listing
            // in the future comes from a clock that was set back.
            if is_held && !(0..apart_ms).contains(&now_ms.saturating_sub(since)) {
                return Ok(true);
            }
            tx.execute(
                "UPDATE libraries SET shrunk = ?2, checked_ms = ?3, provisional = 1, shrunk_ms = ?4 WHERE id = ?1",
                params![
                    listing.library,
                    items.cast_signed(),
                    now_ms,
                    if is_held { since } else { now_ms }
                ],
            )?;
            tx.execute(
                "UPDATE listings SET touched_ms = 0 WHERE library = ?1",
                [listing.library],
            )?;
            tx.freshness_changed(identity)?;
            Ok(false)
        })
    }
}

/// Returns whether the stored listing is still as this process left it. Locks alone do not ensure that: a
/// file system may have none, and lock files can be removed. If two processes continued one listing, each would
/// mark the other's items as removed.
fn is_own(tx: &Tx<'_>, listing: &Listing) -> rusqlite::Result<bool> {
    tx.has(
        "SELECT 1 FROM listings WHERE library = ?1 AND begun_seq = ?2 AND pages = ?3",
        params![listing.library, listing.begun_sequence, listing.pages.cast_signed()],
    )
}

fn taken_over() -> Error {
    Error::new(
        Status::Timeout,
        "another process took over this listing, because this one was delayed for too long; retry",
    )
}

/// Stores the progress of a listing.
fn save(tx: &Tx<'_>, listing: &Listing) -> rusqlite::Result<()> {
    let progress =
        postcard::to_stdvec(listing).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    tx.run(
        "INSERT OR REPLACE INTO listings (library, generation, begun_seq, touched_ms, position, pages, changed, progress) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            listing.library,
            listing.generation,
            listing.begun_sequence,
            listing.touched_ms,
            listing.position.cast_signed(),
            listing.pages.cast_signed(),
            listing.changed,
            progress
        ],
    )
}

/// Stores the items that differ from their rows. Returns the row numbers of all items.
fn store_items(
    tx: &Tx<'_>,
    library: &LibraryState,
    listing: &mut Listing,
    items: &[Item],
    requested_at: Sequence,
) -> rusqlite::Result<Vec<i64>> {
    let defaults = RowDefaults {
        library: listing.library,
        generation: listing.generation,
        since: Sequence::default(),
    };
    let mut adding = BulkInsert::new(tx, defaults, items.len());
    let mut known = KnownRows::of(tx, library, items, requested_at)?;
    let (mut ids, mut buffer) = (Vec::with_capacity(items.len()), Vec::new());
    for item in items {
        let digest = digest_in(&mut buffer, item);
        match put(tx, &mut adding, &mut known, listing, item, digest)? {
            Some((id, different)) => {
                ids.push(id);
                listing.changed |= different;
            }
            // The item was removed meanwhile: do not count it.
            None => listing.keyed = listing.keyed.saturating_sub(1),
        }
    }
    adding.end()?;
    Ok(ids)
}

/// Stores an item if it differs from its row. Returns the row's id and whether it was written; `None` if the item was
/// removed after the page was requested.
fn put<'i>(
    tx: &Tx<'_>,
    adding: &mut BulkInsert<'_, 'i>,
    known: &mut KnownRows<'_>,
    listing: &Listing,
    item: &'i Item,
    digest: i64,
) -> rusqlite::Result<Option<(i64, bool)>> {
    let has_twins = known.has_twins;
    let mut row = known.row(&item.rating_key);
    match row.as_deref().copied().flatten() {
        Some(KnownRow::Live { id, digest: own, newer }) if own == digest || newer => return Ok(Some((id, false))),
        Some(KnownRow::Live { id, .. }) => {
            if has_twins {
                adding.end()?; // the row of its twin may be pending
            }
            tx.run(
                "UPDATE items SET died = ?2 WHERE id = ?1",
                params![id, listing.generation],
            )?;
        }
        Some(KnownRow::Gone) => return Ok(None),
        None => {}
    }
    let id = adding.add(item, digest)?;
    if let Some(row) = &mut row {
        let newer = false;
        **row = Some(KnownRow::Live { id, digest, newer });
    }
    Ok(Some((id, true)))
}
