//! The table `listings`: starts, stores, resumes and holds back full listings. The module `publishing` publishes the
//! complete listings.
//!
//! plexindex first appends a page to the listing's file, and then stores the file's new end in the listing's row. If
//! the process is killed between the two steps, the next page overwrites the bytes after the stored end.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::knowledge_rows::Folding;
use super::library_rows::LibraryRow;
use super::schema::{CachedStatements, Tx};
use super::segment_files::new_items_file_name;
use super::store::Store;
use crate::engine::segment::{FileEnd, append_page, read_pages};
use crate::error::{Error, Result, Status};
use crate::knowledge::{Cause, Interval, Observation, SyncRequest, Ticket};
use crate::model::{Generation, Item, LibraryId, Sequence, SourceState};
use crate::platform::clock::Deadline;
use crate::platform::files;

/// The stored progress of a full listing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    pub library: LibraryId,
    /// The generation of the current listing at the start.
    pub generation: Generation,
    /// Index of the partition (a part of the listing, such as one item type) that is being listed.
    pub partition: usize,
    /// The position of the next page.
    pub position: u64,
    /// Number of rows that the server has returned so far, in all partitions.
    pub rows: u64,
    /// Number of returned rows that have a rating key, and so are items.
    pub keyed: u64,
    /// Number of rows that the server reported for all partitions started so far; `None` if not reported.
    pub total: Option<u64>,
    /// The last rating keys from the current partition, oldest first. A resumed listing compares them with the rows
    /// that it fetches again.
    pub tail: Vec<String>,
    /// The library's change token and scan state before the first page.
    pub change: SourceState,
    /// The listing's ticket: it began then.
    pub asked: Ticket,
    /// Time when the listing started, in Unix ms.
    pub begun_ms: i64,
    /// Time when the last page was stored, in Unix ms.
    pub touched_ms: i64,
    pub pages: u64,
    /// Name of the file with the stored pages. The last page ends at `end`.
    pub file: String,
    pub end: FileEnd,
}

impl Listing {
    /// Returns the listing as a request. A listing extends no other one.
    pub fn request(&self) -> SyncRequest {
        SyncRequest {
            asked: self.asked,
            begun_ms: self.begun_ms,
            state: self.change.clone(),
            extends: Ticket::default(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingResult {
    /// Whether the listing's item counts agree, so that no rows are missing.
    pub is_whole: bool,
    /// Where the source's next delta begins.
    pub cursor: String,
    /// Time when the listing was completed, in Unix ms.
    pub listed_ms: i64,
}

pub struct ListingRows<'s>(pub &'s Store);

impl ListingRows<'_> {
    /// Returns a library's unfinished listing, so that the caller can resume it; `None` if there is none or this build
    /// cannot decode it.
    pub fn listing(&self, library: LibraryId) -> Result<Option<Listing>> {
        let row = self.0.read(|connection| {
            connection.find(
                "SELECT progress, touched_ms FROM listings WHERE library = ?1",
                [library],
                |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?)),
            )
        })?;
        Ok(row.and_then(|(progress, touched_ms)| {
            let listing = postcard::from_bytes::<Listing>(&progress).ok()?;
            Some(Listing { touched_ms, ..listing })
        }))
    }

    /// Starts a full listing of a library, and discards an unfinished one. Returns the new listing, which has no pages.
    pub fn begin_listing(&self, row: &LibraryRow, now_ms: i64, deadline: Deadline) -> Result<Listing> {
        let file = new_items_file_name(row.id);
        let (listing, old_file) = self.0.write(deadline, |tx| {
            tx.expect_library(row.id)?;
            let old_file = tx.find_value::<String>("SELECT file FROM listings WHERE library = ?1", [row.id])?;
            let listing = Listing {
                library: row.id,
                generation: row.generation,
                change: row.library.change.clone(),
                asked: tx.sequence,
                begun_ms: now_ms,
                touched_ms: now_ms,
                file: file.clone(),
                ..Listing::default()
            };
            save(tx, &listing)?;
            Ok((listing, old_file))
        })?;
        if let Some(old_file) = old_file {
            let _ = files::remove(&self.0.folder.path().join(old_file));
        }
        Ok(listing)
    }

    /// Stores a page's items and the listing's progress. `requested_at`: the change sequence at the page's request.
    /// `listing`: its position and counts already include the page; this call updates the file's end and `pages`.
    /// Fails with [`Status::Timeout`] if another process has continued or restarted the listing.
    pub fn store_page(
        &self,
        listing: &mut Listing,
        items: &[Item],
        requested_at: Sequence,
        deadline: Deadline,
    ) -> Result<()> {
        // Check first, so that this process does not overwrite a page from another process.
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
            // Check again, because another process may have stored a page in the meantime.
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

    /// Passes each stored page to `each`, oldest first, with the change sequence of its request. Returns `false` if the
    /// file is missing, unreadable or damaged, so that the listing must start again.
    pub fn pages(&self, listing: &Listing, each: impl FnMut(Sequence, Vec<Item>)) -> bool {
        let path = self.0.folder.path().join(&listing.file);
        let read = read_pages(&path, listing.end, each);
        if let Err(error) = &read {
            log::warn!(
                "cannot read the stored pages of a listing in {}: {error}; the listing starts again",
                path.display()
            );
        }
        read.is_ok()
    }

    /// Returns whether a second listing must confirm a listing with only `count` items, in case a disk is not mounted. If
    /// so, discards it, and keeps the current listing, which is then doubted. `is_whole`: whether the item counts agree.
    pub fn hold_back_listing(
        &self,
        listing: &Listing,
        (count, is_whole): (u64, bool),
        now_ms: i64,
        deadline: Deadline,
    ) -> Result<bool> {
        let is_held_back = self.0.write(deadline, |tx| {
            let folding = Folding::open(self.0, tx, listing.library, &|_, _| Vec::new())?;
            let observation = Observation::Listing {
                request: &listing.request(),
                listed: &|_| (None, Interval::default()),
                count,
                is_whole,
                may_shrink: false,
                cursor: "",
            };
            let effects = folding.fold(&observation, listing.asked, now_ms)?;
            let is_held_back = effects.raise.iter().any(|doubt| doubt.cause == Cause::HeldBack);
            if is_held_back {
                folding.apply(&effects)?;
                tx.execute("DELETE FROM listings WHERE library = ?1", [listing.library])?;
            }
            Ok(is_held_back)
        })?;
        if is_held_back {
            self.remove_pages(listing);
        }
        Ok(is_held_back)
    }

    /// Removes the file with a finished listing's pages.
    pub(super) fn remove_pages(&self, listing: &Listing) {
        let _ = files::remove(&self.0.folder.path().join(&listing.file));
    }
}

/// Returns whether the stored listing is in the state in which this process left it, so that this process may continue.
/// Locks alone cannot ensure that only one process continues a listing: a file system may not support locks, and lock
/// files can be deleted.
pub fn is_own(c: &Connection, listing: &Listing) -> rusqlite::Result<bool> {
    c.has(
        "SELECT 1 FROM listings WHERE library = ?1 AND asked = ?2 AND pages = ?3",
        params![listing.library, listing.asked, listing.pages.cast_signed()],
    )
}

/// Returns the error for a listing that another process has taken over.
pub fn taken_over() -> Error {
    Error::new(
        Status::Timeout,
        "cannot continue the listing: another process has taken over, because this process was too slow; try again",
    )
}

/// Stores a listing's progress. The columns repeat the fields that SQL statements use.
fn save(tx: &Tx<'_>, listing: &Listing) -> rusqlite::Result<()> {
    let progress =
        postcard::to_stdvec(listing).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    tx.run(
        "INSERT OR REPLACE INTO listings (library, asked, touched_ms, position, pages, file, progress) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            listing.library,
            listing.asked,
            listing.touched_ms,
            listing.position.cast_signed(),
            listing.pages.cast_signed(),
            listing.file,
            progress
        ],
    )
}
