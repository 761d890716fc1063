//! Full listings, from the first page to the new segment: the table `listings` starts, stores, resumes, holds back and
//! publishes them, and a draft collects the segment meanwhile. Publishing replaces a library's segment, and reports the
//! differences to the feed.
//!
//! plexindex first appends a page to the listing's file, and then stores the file's new end in the listing's row. If
//! the process is killed between the two steps, the next page overwrites the bytes after the stored end.
//!
//! The items file contains the pages of an unfinished listing, one after another, until the segment is complete. Each
//! page is a frame: length (4 bytes), checksum (8 bytes), and data. The data is the change sequence of the page's
//! request and the page's items, encoded with `postcard`. A checksum covers its own frame and all earlier frames. The
//! database stores the offset at which the last page ends. Any bytes after this offset belong to a page whose write was
//! interrupted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::feed_rows::MAX_FEED_ROWS;
use super::knowledge_rows::Folding;
use super::library_rows::{LibraryRow, one_library};
use super::overlay::count_changes;
use super::record_rows::all_matches_of;
use super::schema::{CachedStatements, Tx};
use super::store::Store;
use super::store_folder::{ITEMS_SUFFIX, NAME, new_listing_name, random_number};
use super::stored_items::{ItemRows, StoredItems, count_items_with};
use super::sweeper::Sweeper;
use crate::engine::segment::{
    Difference, ListingBuilder, ListingMeta, ListingSegment, reserve, u32_at, u64_at, write_error,
};
use crate::error::{Error, Result, Status};
use crate::knowledge::{Cause, Effects, Interval, ItemStore, Observation, SyncRequest, Ticket, is_older_content};
use crate::matching::Mappings;
use crate::model::{Generation, Item, LibraryId, Sequence, SourceState};
use crate::platform::clock::Deadline;
use crate::platform::files;
use crate::stats::{Activity, Counters};

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
    /// The rating key of the last row from the current partition, with which the next page begins; empty if there is none.
    /// Earlier versions stored up to 50 keys, oldest first.
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
    /// Whether the listing counts at once, even if it is much smaller than the current one.
    pub may_shrink: bool,
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
        let progress = "SELECT progress FROM listings WHERE library = ?1";
        let progress: Option<Vec<u8>> = self.0.read(|c| c.find_value(progress, [library]))?;
        Ok(progress.and_then(|progress| postcard::from_bytes(&progress).ok()))
    }

    /// Starts a full listing of a library, and discards an unfinished one. Returns the new listing, which has no pages.
    pub fn begin_listing(&self, row: &LibraryRow, now_ms: i64, deadline: Deadline) -> Result<Listing> {
        let file = format!("{NAME}-l{}-{:x}{ITEMS_SUFFIX}", row.id, random_number());
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

    /// Removes the file with a finished listing's pages.
    fn remove_pages(&self, listing: &Listing) {
        let _ = files::remove(&self.0.folder.path().join(&listing.file));
    }
}

/// Size of a frame's length and checksum, in bytes.
const FRAME_HEAD: usize = 12;

/// The end of the last page in an items file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEnd {
    /// Offset of the first byte after the last page.
    pub offset: u64,
    /// Checksum of the last page, which the checksum of the next page includes.
    checksum: u64,
}

/// Appends a page after `end`, the end of the previous page, and returns the new end. `requested_at` is the change
/// sequence at which this process requested the page.
///
/// # Errors
/// Fails with [`crate::error::Status::Store`], or with [`crate::error::Status::StoreFull`] if the disk is full.
pub(super) fn append_page(path: &Path, end: FileEnd, requested_at: Sequence, items: &[Item]) -> Result<FileEnd> {
    let append = || {
        let cannot_encode = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let mut frame = postcard::to_extend(&(requested_at, items), vec![0; FRAME_HEAD]).map_err(cannot_encode)?;
        let length = u32::try_from(frame.len() - FRAME_HEAD).map_err(|_| io::ErrorKind::StorageFull)?;
        let checksum = xxh3_64_with_seed(&frame[FRAME_HEAD..], end.checksum);
        frame[..4].copy_from_slice(&length.to_le_bytes());
        frame[4..FRAME_HEAD].copy_from_slice(&checksum.to_le_bytes());
        files::write_at(&files::open_or_create(path)?, &frame, end.offset)?;
        Ok(FileEnd {
            offset: end.offset + frame.len() as u64,
            checksum,
        })
    };
    append().map_err(|error| write_error(&format!("cannot write a page to {}: ", path.display()), &error))
}

/// Passes the pages before `end` to `each` in order, each with the change sequence of its request. A fetch that resumes
/// needs these pages again.
///
/// # Errors
/// Fails if the operating system cannot read the file, or with [`io::ErrorKind::InvalidData`] if a page is damaged.
pub(super) fn read_pages(path: &Path, end: FileEnd, mut each: impl FnMut(Sequence, Vec<Item>)) -> io::Result<()> {
    let mut reached = FileEnd::default();
    if reached == end {
        return Ok(());
    }
    let file = files::open_for_reading(path)?;
    let (mut frame_head, mut page) = ([0; FRAME_HEAD], Vec::new());
    while reached.offset < end.offset {
        files::read_at(&file, &mut frame_head, reached.offset)?;
        let length = u64::from(u32_at(&frame_head, 0));
        reached.offset += FRAME_HEAD as u64 + length;
        if reached.offset > end.offset {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
        page.clear();
        reserve(&mut page, length)?;
        page.resize(length, 0);
        files::read_at(&file, &mut page, reached.offset - length as u64)?;
        reached.checksum = xxh3_64_with_seed(&page, reached.checksum);
        if reached.checksum != u64_at(&frame_head, 4) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (requested_at, items) = postcard::from_bytes(&page).map_err(|_| io::ErrorKind::InvalidData)?;
        each(requested_at, items);
    }
    if reached == end {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
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
fn taken_over() -> Error {
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

/// The segment of a listing that is being fetched, filled page by page.
pub struct ListingDraft {
    builder: ListingBuilder,
    /// For each page, the number of items in this page and all earlier pages, and the change sequence at which the page
    /// was requested.
    pages: Vec<(usize, Sequence)>,
    /// The items before the listing; `None` if the library was never fetched, or they cannot be read.
    before: Option<StoredItems>,
}

impl ListingDraft {
    /// Appends a page. `requested_at`: the change sequence at which the page was requested.
    pub fn push_page(&mut self, requested_at: Sequence, items: &[Item]) {
        for item in items {
            let before = self.before.as_ref();
            let shown = before.map(|before| before.shown_since(item, requested_at));
            let shown = shown.unwrap_or_default();
            self.builder.push_item(item, shown.latest(), &shown);
        }
        self.pages.push((self.builder.key_hashes.len(), requested_at));
    }

    /// Returns the number of items in all pages so far.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.builder.items
    }

    /// Returns the hash of each rating key that occurs more than once in the draft. Duplicates occur when rows move on
    /// the server between two page requests.
    fn duplicate_key_hashes(&self) -> HashSet<u64> {
        let mut hashes = self.builder.key_hashes.clone();
        hashes.sort_unstable();
        let equal_pairs = hashes.windows(2).filter(|pair| pair[0] == pair[1]);
        equal_pairs.map(|pair| pair[0]).collect()
    }
}

/// A handle's access to the store's listing segments.
pub struct ListingSegments {
    pub(in crate::engine) store: Arc<Store>,
    pub(in crate::engine) mappings: Mappings,
    pub(in crate::engine) counters: Arc<Counters>,
}

impl ListingSegments {
    /// Creates access to the store's listing segments for a handle with the given mappings.
    pub fn new(store: Arc<Store>, mappings: Mappings, counters: Arc<Counters>) -> Self {
        Self {
            store,
            mappings,
            counters,
        }
    }

    /// Creates a running listing's draft, with all pages stored so far; `None` if the stored pages are damaged.
    pub fn draft(&self, row: &LibraryRow, listing: &Listing) -> Option<ListingDraft> {
        self.fill_draft(row, listing, |_| true)
    }

    /// If several items in the draft have the same rating key, returns a draft with only the last of them; `None` if the
    /// stored pages are damaged. Such duplicates occur when rows move on the server between two page requests.
    pub fn without_duplicates(&self, row: &LibraryRow, listing: &Listing, draft: ListingDraft) -> Option<ListingDraft> {
        let duplicate_hashes = draft.duplicate_key_hashes();
        if duplicate_hashes.is_empty() {
            return Some(draft);
        }
        let mut counts: HashMap<String, usize> = HashMap::new();
        let is_whole = ListingRows(&self.store).pages(listing, |_, items| {
            let is_duplicate = |item: &Item| duplicate_hashes.contains(&xxh3_64(item.rating_key.as_bytes()));
            for item in items.into_iter().filter(is_duplicate) {
                *counts.entry(item.rating_key).or_default() += 1;
            }
        });
        let is_last = |item: &Item| {
            let remaining = counts.get_mut(&item.rating_key).map(|count| {
                *count -= 1;
                *count
            });
            remaining.is_none_or(|remaining| remaining == 0)
        };
        self.fill_draft(row, listing, is_last).filter(|_| is_whole)
    }

    /// Creates a draft with the stored items of a listing that `keeps` accepts; `None` if its stored pages are damaged.
    fn fill_draft(
        &self,
        row: &LibraryRow,
        listing: &Listing,
        mut keeps: impl FnMut(&Item) -> bool,
    ) -> Option<ListingDraft> {
        // Without the items of before, all count as shown by this listing.
        let before = ItemRows(&self.store)
            .of(row.id)
            .ok()
            .filter(|items| items.name.is_some());
        let assigned = before.as_ref().map_or(listing.asked, StoredItems::assigned);
        let mut draft = ListingDraft {
            builder: self.builder(&Self::name_of(listing), row, assigned),
            pages: Vec::new(),
            before,
        };
        let is_whole = ListingRows(&self.store).pages(listing, |requested_at, mut items| {
            items.retain(&mut keeps);
            draft.push_page(requested_at, &items);
        });
        is_whole.then_some(draft)
    }

    /// Creates a name for a listing's segment, with a new random number, so that no two files have the same name. The
    /// segment contains all changes to single items up to the start of the listing.
    fn name_of(listing: &Listing) -> String {
        new_listing_name(listing.library, listing.generation, listing.asked)
    }

    /// Returns whether `draft`, built from all pages of a listing, has the same content as the current segment, and
    /// therefore needs no new segment. Returns `false` if the current segment is missing or damaged.
    pub fn has_same_content(&self, row: &LibraryRow, draft: &ListingDraft) -> bool {
        let ListingBuilder { items, content, .. } = draft.builder;
        let stored = |stored: StoredItems| stored.has_same_content(items, content);
        row.generation.is_fetched() && ItemRows(&self.store).of(row.id).is_ok_and(stored)
    }

    /// Writes the segment that `draft` has built from all pages of `listing`, and opens it. Returns the segment with
    /// the draft's key hashes and pages, which tell [`Self::publish`] when plexindex requested each item.
    pub fn write_draft(&self, row: &LibraryRow, listing: &Listing, draft: ListingDraft) -> Result<NewListing> {
        let name = Self::name_of(listing);
        let ListingDraft { mut builder, pages, .. } = draft;
        let key_hashes = std::mem::take(&mut builder.key_hashes);
        self.write_segment(builder, &name, row)?;
        let segment = self.open_file(&name)?;
        Ok(NewListing {
            name,
            segment,
            key_hashes,
            pages,
        })
    }

    /// Publishes a complete listing, and returns the library's new row; `None` if a second listing must confirm it. `new`:
    /// the new segment; `None` keeps the current segment, which has the same content. If the database does not accept the
    /// new segment, removes its file.
    pub fn publish(
        &self,
        listing: &Listing,
        finished: &ListingResult,
        new: Option<NewListing>,
        deadline: Deadline,
    ) -> Result<Option<LibraryRow>> {
        let published = ListingRows(&self.store).finish_listing(listing, finished, new.as_ref(), deadline);
        if let Some(NewListing { name, segment, .. }) = new
            && matches!(&published, Ok(row) if row.as_ref().and_then(|row| row.segment.as_ref()) != Some(&name))
        {
            drop(segment); // Windows cannot remove a mapped file
            let _ = files::remove(&self.path(&name));
        }
        published
    }

    /// Creates an empty builder for the segment with this name.
    pub(in crate::engine) fn builder(&self, name: &str, row: &LibraryRow, assigned: Sequence) -> ListingBuilder {
        let meta = ListingMeta {
            library: row.library.uuid.clone(),
            mappings: self.mappings.clone(),
            assigned: assigned.0,
        };
        ListingBuilder::new(meta, &self.path(name))
    }

    /// Finishes a segment and writes it to the file with this name.
    pub(in crate::engine) fn write_segment(&self, builder: ListingBuilder, name: &str, row: &LibraryRow) -> Result<()> {
        let start = Instant::now();
        let items = builder.items;
        let bytes = builder.finish(&self.path(name), self.store.key().name_mac(name))?;
        self.counters.add_time(Activity::ListingSegment, start.elapsed());
        log::debug!(
            "wrote the segment of '{}': {items} items, {bytes} bytes",
            row.library.title
        );
        Ok(())
    }

    /// Returns the path of the segment that has this name and this handle's mappings. Each set of mappings has its own
    /// file, because a segment contains mapped paths.
    pub(in crate::engine) fn path(&self, name: &str) -> PathBuf {
        self.store.folder.listing_segment(name, self.mappings.digest())
    }

    /// Opens the segment that has this name and was built with this handle's mappings.
    pub(in crate::engine) fn open_file(&self, name: &str) -> Result<ListingSegment> {
        ListingSegment::open(&self.path(name), self.store.map_mode(), self.store.key().name_mac(name))
    }
}

/// Maximum number of changed items that the feed always reports. If a listing changes more items, and more than a fifth
/// of all items, readers must list again.
const RELIST_ABOVE: u64 = 20;
/// Maximum number of attempts to publish a listing if another process replaces the current segment during each attempt.
const MAX_COMPARISONS: usize = 4;

/// The segment of a complete listing that is not published yet.
pub struct NewListing {
    pub name: String,
    pub segment: ListingSegment,
    /// Hashes of the rating keys, in page order.
    pub key_hashes: Vec<u64>,
    /// For each page, the end of its keys in `key_hashes`, and the ticket of its request.
    pub pages: Vec<(usize, Ticket)>,
}

impl NewListing {
    /// Maps each hash in `wanted` (hashes of rating keys) to the interval of the last page with the key. Omits keys
    /// that are on no page. A page had arrived when the next one was requested. `came`: the change sequence of the
    /// publication.
    fn intervals(&self, wanted: &HashSet<u64>, came: Ticket) -> HashMap<u64, Interval> {
        let mut intervals = HashMap::new();
        let mut page_start = 0;
        for (index, (end, asked)) in self.pages.iter().enumerate() {
            let next = self.pages.get(index + 1);
            let interval = Interval {
                asked: *asked,
                came: next.map_or(came, |(_, asked)| *asked),
            };
            for hash in self.key_hashes[page_start..*end]
                .iter()
                .filter(|hash| wanted.contains(hash))
            {
                intervals.insert(*hash, interval);
            }
            page_start = *end;
        }
        intervals
    }
}

/// The differences between a library's current segment and a new segment.
struct Comparison {
    /// Name of the current segment; `None` if there is no current segment.
    segment: Option<String>,
    old: Option<ListingSegment>,
    /// The differences; `None` if there are too many to report, or the current segment cannot be read.
    differences: Option<Vec<Difference>>,
}

/// The outcome of one attempt to publish a listing.
enum Published {
    Done(Box<LibraryRow>),
    /// Another process has taken over the listing.
    TakenOver,
    /// A second listing must confirm it.
    HeldBack,
    /// Another process replaced the current segment.
    SegmentReplaced,
}

impl ListingRows<'_> {
    /// Publishes a listing in one transaction, and returns the library's new row. Returns `None` if a second listing must
    /// confirm it, in case a disk is not mounted: then discards it, and keeps the current listing, which is then doubted.
    /// `finished`: its time, and whether it may lack items. `new`: its segment; `None` if the current generation has the
    /// same content and stays current.
    ///
    /// # Errors
    /// [`Status::Timeout`] if another process has continued or restarted the listing; [`crate::error::Status::Store`],
    /// [`crate::error::Status::StoreFull`].
    pub fn finish_listing(
        &self,
        listing: &Listing,
        finished: &ListingResult,
        new: Option<&NewListing>,
        deadline: Deadline,
    ) -> Result<Option<LibraryRow>> {
        for _ in 0..MAX_COMPARISONS {
            // Compare before the transaction, which then stays short. The transaction checks that no other process has
            // replaced the compared segment or taken over the listing.
            let compared = new.map(|new| self.compare(listing, new)).transpose()?;
            let published = self.0.write(deadline, |tx| {
                let stored_row = tx.expect_library(listing.library)?;
                // Without a new segment, the current generation must still be as the listing.
                let is_fetched = stored_row.generation.is_fetched();
                let has_changed = new.is_none() && (!is_fetched || count_changes(tx, listing.library)? > 0);
                if !is_own(tx, listing)? || has_changed {
                    return Ok(Published::TakenOver);
                }
                let folding = Folding::open(self.0, tx, listing.library, &|_, _| Vec::new())?;
                if compared
                    .as_ref()
                    .is_some_and(|compared| folding.row.segment != compared.segment)
                {
                    return Ok(Published::SegmentReplaced);
                }
                let whole = Interval {
                    asked: listing.asked,
                    came: tx.sequence,
                };
                let wanted = folding.item_keys().iter().map(|key| xxh3_64(key.as_bytes())).collect();
                let intervals = new.map(|new| new.intervals(&wanted, tx.sequence)).unwrap_or_default();
                let listed = |rating_key: &str| {
                    let Some(new) = new else {
                        return (folding.listed(rating_key), whole);
                    };
                    let item = new
                        .segment
                        .find(rating_key)
                        .and_then(|first| new.segment.whole_item(first));
                    // The hashes can collide, so an item that is not found is on no page.
                    let interval = intervals
                        .get(&xxh3_64(rating_key.as_bytes()))
                        .filter(|_| item.is_some());
                    (item, interval.copied().unwrap_or(whole))
                };
                let items = new.map_or(folding.row.items, |new| new.segment.head.items);
                let observation = Observation::Listing {
                    request: &listing.request(),
                    listed: &listed,
                    count: items,
                    is_whole: finished.is_whole,
                    may_shrink: finished.may_shrink,
                    cursor: &finished.cursor,
                };
                let effects = folding.fold(&observation, listing.asked, finished.listed_ms)?;
                if !effects.publishes {
                    folding.apply(&effects)?;
                    tx.run("DELETE FROM listings WHERE library = ?1", [listing.library])?;
                    let is_held_back = effects.raise.iter().any(|doubt| doubt.cause == Cause::HeldBack);
                    // Otherwise, it was evicted, or changes from after its begin are in the segment.
                    let outcome = is_held_back.then_some(Published::HeldBack);
                    return Ok(outcome.unwrap_or(Published::TakenOver));
                }
                if is_older_content(&listing.change.token, folding.row.listed_token()) {
                    end_matches_of_others(&folding, &listed)?;
                }
                if let (Some(new), Some(compared)) = (new, &compared) {
                    let publication = Publication::of(&folding, &effects);
                    publication.publish(tx, listing, new, compared)?;
                }
                folding.apply(&effects)?;
                tx.run("DELETE FROM listings WHERE library = ?1", [listing.library])?;
                let row = one_library(tx.connection, listing.library)?;
                Ok(Published::Done(Box::new(row)))
            })?;
            match published {
                Published::Done(row) => {
                    self.remove_pages(listing);
                    let replaced = compared.and_then(|compared| compared.segment);
                    if let Some(replaced) = replaced.filter(|name| row.segment.as_ref() != Some(name)) {
                        Sweeper(self.0).remove_replaced(&replaced);
                    }
                    return Ok(Some(*row));
                }
                Published::HeldBack => {
                    self.remove_pages(listing);
                    return Ok(None);
                }
                Published::TakenOver => return Err(taken_over()),
                Published::SegmentReplaced => {}
            }
        }
        let why = "cannot publish the listing: the library's segment was replaced during each attempt; try again";
        Err(Error::new(Status::Timeout, why))
    }

    /// Compares a library's current segment with the new segment. Fails if the new segment is damaged. Segments never
    /// change, so the comparison needs no transaction.
    fn compare(&self, listing: &Listing, new: &NewListing) -> Result<Comparison> {
        let row = self.0.read(|c| one_library(c, listing.library))?;
        // The publication also reads blocks that the comparison skips, and must not take a damaged item for a missing
        // one.
        let old = row.segment.as_ref().and_then(|name| self.0.listing_segment(name).ok());
        let old = old.filter(|old| old.verify().is_ok());
        let limit = max_reported(new.segment.head.items);
        let differences = old.as_ref().and_then(|old| old.differences(&new.segment, limit).ok()?);
        // Without a current segment, the publication reads nothing that lookups do not verify. Mapping every block of
        // the new segment would then only cost memory.
        if old.is_some() && new.segment.verify().is_err() {
            let why = "cannot publish the listing: its segment is damaged; try again";
            return Err(Error::new(Status::Store, why));
        }
        Ok(Comparison {
            segment: row.segment,
            old,
            differences,
        })
    }
}

/// Ends the matches that a listing of an earlier history does not confirm, as after a restored backup of the server: it
/// gives the keys of what came after the backup to other items. What was recorded since the earlier history was last seen
/// stays. `listed`: see [`Observation::Listing`].
fn end_matches_of_others(
    folding: &Folding<'_, '_>,
    listed: &dyn Fn(&str) -> (Option<Item>, Interval),
) -> rusqlite::Result<()> {
    let library = folding.row.id;
    let last_seen = folding.tx.time_at(folding.row.checked_ms())?;
    for stored in all_matches_of(folding.tx, library)? {
        if stored.at > last_seen {
            continue; // perhaps of this history
        }
        let key = &stored.rating_key;
        let is_other = match (folding.get(key).value, listed(key).0) {
            (Some(was), Some(now)) => !is_same_item(&was, &now),
            (_, now) => now.is_none(),
        };
        if let Some(table) = folding.row.matches.filter(|_| is_other) {
            folding.tx.remove_match(table, &stored.path)?;
            folding.tx.end_match(library, &stored)?;
        }
    }
    Ok(())
}

/// Returns whether an item is still the same one: it has one of its files, or its GUID, if Plex knows the work.
fn is_same_item(was: &Item, now: &Item) -> bool {
    let has_same_guid = was.guid == now.guid && now.guid.contains("://") && !now.guid.starts_with("local://");
    has_same_guid || was.parts.iter().any(|path| now.parts.contains(path))
}

/// Returns the maximum number of changes that the feed reports for a listing with `items` items: a fifth of the items,
/// within bounds. If there are more changes, readers must list again.
fn max_reported(items: u64) -> usize {
    let max_changes = (items / 5).max(RELIST_ABOVE).min(MAX_FEED_ROWS.cast_unsigned());
    usize::try_from(max_changes).unwrap_or(usize::MAX)
}

/// The single items that affect the publication of a listing.
struct Publication {
    /// The items that the current segment does not have so.
    singles: BTreeMap<String, Option<Item>>,
    /// Rating keys of those that are newer than the listing.
    kept: HashSet<String>,
}

impl Publication {
    /// Reads the single items. `effects`: what the listing changes.
    fn of(folding: &Folding<'_, '_>, effects: &Effects<Item>) -> Self {
        let singles = folding.singles().into_iter();
        Self {
            singles: singles.map(|(key, stored)| (key, stored.value)).collect(),
            kept: effects.put.iter().map(|(key, _)| key.clone()).collect(),
        }
    }

    /// Returns the single item that counts after the publication; `None` if the new segment counts.
    fn single_after(&self, key: &str) -> Option<&Option<Item>> {
        self.singles.get(key).filter(|_| self.kept.contains(key))
    }

    /// Makes the new segment current, and reports the differences to the feed. If there are too many differences,
    /// readers must list the library again.
    fn publish(&self, tx: &Tx<'_>, listing: &Listing, new: &NewListing, compared: &Comparison) -> rusqlite::Result<()> {
        let library = tx.expect_library(listing.library)?;
        let differing = self.differing(new, compared);
        let kept = self.singles.keys();
        let kept = kept.filter_map(|key| Some((&**key, self.single_after(key)?.is_some())));
        let items = count_items_with(Some(&new.segment), kept);
        tx.run(
            "UPDATE libraries SET listed_items = ?2, segment = ?3 WHERE id = ?1",
            params![listing.library, items.cast_signed(), new.name],
        )?;
        // The generation changes only if the content does.
        if library.generation.is_fetched() && differing.as_ref().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        tx.run(
            "UPDATE libraries SET generation = ?2 WHERE id = ?1",
            params![listing.library, tx.sequence],
        )?;
        let (Some(keys), Some(old), true) = (differing, &compared.old, library.generation.is_fetched()) else {
            return tx.relist_in_feed(listing.library);
        };
        let changes = || keys.iter().map(|key| self.versions(key, new, old));
        // A removal and an addition can be one change, so the larger of two counts decides: the differing items that were
        // listed before, and those that are listed after.
        let [before, after] = changes().fold([0, 0], |[before, after], [was, now]| {
            [before + usize::from(was.is_some()), after + usize::from(now.is_some())]
        });
        if before.max(after) > max_reported(items) {
            return tx.relist_in_feed(listing.library);
        }
        for [was, now] in changes() {
            tx.add_to_feed(listing.library, was.as_ref(), now.as_ref())?;
        }
        Ok(())
    }

    /// Returns an item before and after the publication; `None` where it is not listed, or its segment is damaged.
    fn versions(&self, key: &str, new: &NewListing, old: &ListingSegment) -> [Option<Item>; 2] {
        let version = |single: Option<&Option<Item>>, segment: &ListingSegment| match single {
            Some(single) => single.clone(),
            None => segment.whole_item(segment.find(key)?),
        };
        [
            version(self.singles.get(key), old),
            version(self.single_after(key), &new.segment),
        ]
    }

    /// Returns the rating keys of the items that the publication changes; `None` if `compared` does not contain the
    /// differences.
    fn differing<'v>(&'v self, new: &'v NewListing, compared: &'v Comparison) -> Option<Vec<&'v str>> {
        let old = compared.old.as_ref()?;
        // Items without single changes differ only if the segments do.
        let key_of = |difference: &Difference| match *difference {
            Difference::Added(now) | Difference::Changed(_, now) => new.segment.key_and_path(now),
            Difference::Removed(was) => old.key_and_path(was),
        };
        let listed = compared.differences.as_ref()?.iter();
        let listed: Option<Vec<_>> = listed.map(|difference| Some(key_of(difference)?.0)).collect();
        let listed = listed?.into_iter().filter(|key| !self.singles.contains_key(*key));
        // A single item can differ even if the segments do not.
        let singles = self.singles.keys().filter(|key| {
            let [was, now] = self.versions(key, new, old);
            was != now
        });
        Some(listed.chain(singles.map(|key| &**key)).collect())
    }
}
