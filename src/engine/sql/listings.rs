//! Full listings: begins, stores and resumes them, or holds them back. `publishing` makes them visible.
//!
//! A page is appended to the file of the listing, then the row of the listing names the file's new end. After a kill
//! between both, the next page overwrites the one that no row names.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::cached::CachedStatements;
use super::library_rows::LibraryRow;
use super::store::Store;
use super::store_folder::StoreFolder;
use super::tx::Tx;
use crate::engine::segment::{FileEnd, append_page, read_pages};
use crate::error::{Error, Result, Status};
use crate::model::{Generation, IdentityId, Item, LibraryId, Sequence, SourceState};
use crate::platform::deadline::Deadline;
use crate::platform::files;

/// Number of rows that a resumed listing fetches again to check that the list did not move.
pub const OVERLAP: usize = 50;

/// A full listing under way, as stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    /// The library's number in the store.
    pub library: LibraryId,
    /// The generation that the listing will become.
    pub generation: Generation,
    /// Which of the library's partitions is being listed.
    pub partition: usize,
    /// The position of the next page.
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
    pub change: SourceState,
    /// The change sequence when the listing began.
    pub begun_sequence: Sequence,
    /// When the listing began, Unix ms.
    pub begun_ms: i64,
    /// When the last page was stored, Unix ms.
    pub touched_ms: i64,
    /// Number of pages that are stored.
    pub pages: u64,
    /// The name of the file with its pages, and the end of the last page.
    pub file: String,
    pub end: FileEnd,
}

/// The last rating keys of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlapKeys(Vec<String>);

impl OverlapKeys {
    /// Returns the keys, oldest first.
    pub fn keys(&self) -> &[String] {
        &self.0
    }

    /// Adds keys, and keeps only the last [`OVERLAP`] ones.
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
    /// Whether the listing expires early, because a scan ran while it was fetched, or its counts disagree.
    pub provisional: bool,
    /// Whether the counts of the listing disagree, so that rows may be missing.
    pub partial: bool,
    /// When the listing was completed, Unix ms.
    pub now_ms: i64,
}

/// A store's rows of listings: stores pages, and makes a complete listing visible.
pub struct ListingRows<'s>(pub &'s Store);

impl ListingRows<'_> {
    /// Returns the listing of this library that is under way, if there is one.
    pub fn listing(&self, library: LibraryId) -> Result<Option<Listing>> {
        let row = self.0.read(|connection| {
            connection.find(
                "SELECT progress, touched_ms FROM listings WHERE library = ?1",
                [library],
                |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?)),
            )
        })?;
        // Progress that another build stored in another form is ignored.
        Ok(row.and_then(|(progress, touched_ms)| {
            let listing = postcard::from_bytes::<Listing>(&progress).ok()?;
            Some(Listing { touched_ms, ..listing })
        }))
    }

    /// Begins a full listing, instead of one that is under way.
    pub fn begin_listing(&self, row: &LibraryRow, now_ms: i64, deadline: Deadline) -> Result<Listing> {
        let file = StoreFolder::new_items_file(row.id);
        let (listing, earlier) = self.0.write(deadline, |tx| {
            tx.expect_library(row.id)?;
            let earlier = tx.find_value::<String>("SELECT file FROM listings WHERE library = ?1", [row.id])?;
            let listing = Listing {
                library: row.id,
                generation: row.generation.next(),
                change: row.library.change.clone(),
                begun_sequence: tx.sequence,
                begun_ms: now_ms,
                touched_ms: now_ms,
                file: file.clone(),
                ..Listing::default()
            };
            save(tx, &listing)?;
            Ok((listing, earlier))
        })?;
        if let Some(earlier) = earlier {
            let _ = files::remove(&self.0.folder.path().join(earlier));
        }
        Ok(listing)
    }

    /// Stores the items of a page that was requested at the change sequence `requested_at`, and the listing's progress.
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
        // Read first, so as not to overwrite a page of another process.
        if !self.0.read(|c| is_own(c, listing))? {
            return Err(taken_over());
        }
        let path = self.0.folder.path().join(&listing.file);
        let next = Listing {
            end: append_page(&path, listing.end, requested_at, items)?,
            pages: listing.pages + 1,
            ..listing.clone()
        };
        let is_stored = self.0.write(deadline, |tx| {
            tx.expect_library(listing.library)?;
            let is_own = is_own(tx, listing)?;
            if is_own {
                save(tx, &next)?;
            }
            Ok(is_own)
        })?;
        if !is_stored {
            return Err(taken_over());
        }
        *listing = next;
        Ok(())
    }

    /// Passes the stored pages to `each`, with the change sequences of their requests. Returns `false` if the file is
    /// missing or damaged: the listing must begin again.
    pub fn pages(&self, listing: &Listing, each: impl FnMut(Sequence, Vec<Item>)) -> bool {
        let path = self.0.folder.path().join(&listing.file);
        let read = read_pages(&path, listing.end, each);
        if let Err(error) = &read {
            log::warn!("cannot read the pages of a listing in {}: {error}", path.display());
        }
        read.is_ok()
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
        let is_second = self.0.write(deadline, |tx| {
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
            tx.execute("DELETE FROM listings WHERE library = ?1", [listing.library])?;
            tx.freshness_changed(identity)?;
            Ok(false)
        })?;
        if !is_second {
            self.remove_pages(listing);
        }
        Ok(is_second)
    }

    /// Removes the file with the pages of a listing that has ended.
    pub(super) fn remove_pages(&self, listing: &Listing) {
        let _ = files::remove(&self.0.folder.path().join(&listing.file));
    }
}

/// Returns whether the stored listing is still as this process left it. Locks alone cannot ensure that only one process
/// continues a listing: a file system may not support locks, and lock files can be deleted. A listing that two
/// processes continued would lack pages.
pub fn is_own(c: &Connection, listing: &Listing) -> rusqlite::Result<bool> {
    c.has(
        "SELECT 1 FROM listings WHERE library = ?1 AND begun_seq = ?2 AND pages = ?3",
        params![listing.library, listing.begun_sequence, listing.pages.cast_signed()],
    )
}

/// Returns the error for a listing that another process continues.
pub fn taken_over() -> Error {
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
        "INSERT OR REPLACE INTO listings (library, begun_seq, touched_ms, position, pages, file, progress) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            listing.library,
            listing.begun_sequence,
            listing.touched_ms,
            listing.position.cast_signed(),
            listing.pages.cast_signed(),
            listing.file,
            progress
        ],
    )
}
