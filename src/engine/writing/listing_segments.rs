//! Builds, publishes, opens and compacts a store's listing segments.

use std::collections::{HashMap, HashSet};
use std::error::Error as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use xxhash_rust::xxh3::xxh3_64;

use crate::engine::segment::{ListingBuilder, ListingMeta, ListingSegment, log_unusable};
use crate::engine::sql::{
    ItemRows, LibraryRow, LibraryRows, Listing, ListingResult, ListingRows, NewListing, Store, StoredItems, Sweeper,
    new_listing_name,
};
use crate::error::{Error, Result, Status};
use crate::matching::Mappings;
use crate::model::{Item, ListingName, Sequence, ViewId};
use crate::platform::clock::Deadline;
use crate::platform::files;
use crate::stats::{Activity, Counters};

/// plexindex rebuilds a listing's segment once the number of added and removed items reaches the number of listed items
/// divided by this constant, within the bounds below.
const ITEMS_PER_CHANGE: u64 = 256;
/// Bounds on the number of changes that cause a rebuild, because each new process reads the changes into its memtable.
const FEWEST_CHANGES: u64 = 512;
const MOST_CHANGES: u64 = 4096;

/// A handle's access to the store's listing segments.
pub struct ListingSegments {
    store: Arc<Store>,
    mappings: Mappings,
    counters: Arc<Counters>,
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

    /// Rebuilds the segment of a library whose memtable is full, so that the new segment's memtable starts empty.
    pub fn compact_full_memtable(&self, view_id: ViewId, row: &LibraryRow, deadline: Deadline) -> Result<()> {
        if row.generation.is_fetched() {
            let compacted = self.compact(view_id, row, true, deadline);
            self.discard_if_damaged(row, compacted, deadline)?;
        }
        Sweeper(&self.store).sweep_segments();
        Ok(())
    }

    /// Returns whether so many single items were added or removed that the listing's segment should be rebuilt. The
    /// threshold grows with the listing, so that the number of bytes written per change stays constant. Example: a
    /// segment with a million items and 50 changes per minute is rebuilt every 78 minutes.
    pub fn has_many_changes(&self, row: &LibraryRow) -> Result<bool> {
        let threshold = (row.items / ITEMS_PER_CHANGE).clamp(FEWEST_CHANGES, MOST_CHANGES);
        Ok(LibraryRows(&self.store).unmerged_items(row)? >= threshold)
    }

    /// Rebuilds a listing's segment so that it contains all changes to single items. If the old segment is missing or
    /// damaged, discards the listing, so that plexindex fetches the listing again.
    pub fn compact_listing(&self, view_id: ViewId, row: &LibraryRow, deadline: Deadline) -> Result<()> {
        let compacted = self.compact(view_id, row, false, deadline);
        self.discard_if_damaged(row, compacted, deadline)
    }

    /// Rebuilds a listing's segment so that it contains the single items up to the last delta, or all of them (`takes_all`),
    /// if there are any. Fails if the old segment is missing or damaged.
    fn compact(&self, view_id: ViewId, row: &LibraryRow, takes_all: bool, deadline: Deadline) -> Result<()> {
        let items = ItemRows(&self.store).of(row.id)?;
        let (known, all) = items.mergeable();
        let upto = if takes_all { all } else { known };
        if upto > Sequence::default() {
            // What no delta knows yet needs a listing once it is in the segment.
            self.rebuild(view_id, row, &items, (upto, upto > known), deadline)?;
        }
        Ok(())
    }

    /// Rebuilds a listing's segment so that it contains the single items that came up to `upto`. `needs_listing`: whether
    /// the last delta does not know some of them.
    fn rebuild(
        &self,
        view_id: ViewId,
        row: &LibraryRow,
        items: &StoredItems,
        (upto, needs_listing): (Sequence, bool),
        deadline: Deadline,
    ) -> Result<()> {
        let Some(old) = items.segment_name() else { return Ok(()) };
        let name = new_listing_name(row.id, row.generation, self.store.sequence()?);
        self.write_items(&name, row, items.assigned(), |each| items.for_each(upto, each))?;
        LibraryRows(&self.store).set_segment(view_id, (&old, &name), (upto, needs_listing), deadline)
    }

    /// Writes a segment with the items that `read` passes to its argument, each with the ticket of the request that first
    /// showed it with its paths, or with 0 if that is not later than `assigned`.
    fn write_items(
        &self,
        name: &ListingName,
        row: &LibraryRow,
        assigned: Sequence,
        read: impl FnOnce(&mut dyn FnMut(Item, Sequence) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let start = Instant::now();
        ListingBuilder::check_memory(row.items)?;
        let mut builder = self.builder(name, row, assigned);
        read(&mut |item, added_at| {
            builder.push_with_sequence(&item, added_at.0);
            Ok(())
        })?;
        self.counters.add_time(Activity::ListingSegment, start.elapsed());
        self.write(builder, name, row)
    }

    /// Creates a running listing's draft, with all pages stored so far; `None` if the stored pages are damaged.
    pub fn draft(&self, row: &LibraryRow, listing: &Listing) -> Option<ListingDraft> {
        let mut draft = self.empty_draft(row, listing);
        let is_whole =
            ListingRows(&self.store).pages(listing, |requested_at, items| draft.push_page(requested_at, &items));
        is_whole.then_some(draft)
    }

    /// Creates a listing's draft, without pages.
    pub fn empty_draft(&self, row: &LibraryRow, listing: &Listing) -> ListingDraft {
        // Without the items of before, all count as shown by this listing.
        let before = ItemRows(&self.store)
            .of(row.id)
            .ok()
            .filter(|items| items.segment_name().is_some());
        let assigned = before.as_ref().map_or(listing.asked, StoredItems::assigned);
        ListingDraft {
            builder: self.builder(&Self::name_of(listing), row, assigned),
            pages: Vec::new(),
            before,
        }
    }

    /// Creates a name for a listing's segment, with a new random number, so that no two files have the same name. The
    /// segment contains all changes to single items up to the start of the listing.
    fn name_of(listing: &Listing) -> ListingName {
        new_listing_name(listing.library, listing.generation, listing.asked)
    }

    /// If several items in the draft have the same rating key, returns a draft with only the last of them. Such
    /// duplicates occur when rows move on the server between two page requests. Reads the stored pages again only if
    /// there are duplicates.
    pub fn without_duplicates(&self, row: &LibraryRow, listing: &Listing, draft: ListingDraft) -> Result<ListingDraft> {
        let duplicate_hashes = draft.duplicate_key_hashes();
        if duplicate_hashes.is_empty() {
            return Ok(draft);
        }
        let rows = ListingRows(&self.store);
        let mut counts: HashMap<String, usize> = HashMap::new();
        // First read the pages to count the items with each duplicate key.
        let mut is_whole = rows.pages(listing, |_, items| {
            let is_duplicate = |item: &Item| duplicate_hashes.contains(&xxh3_64(item.rating_key.as_bytes()));
            for item in items.into_iter().filter(is_duplicate) {
                *counts.entry(item.rating_key).or_default() += 1;
            }
        });
        // Then read the pages again, and keep only the last item with each key.
        let mut deduplicated = self.empty_draft(row, listing);
        is_whole &= rows.pages(listing, |requested_at, mut items| {
            items.retain(|item| {
                let remaining = counts.get_mut(&item.rating_key).map(|count| {
                    *count -= 1;
                    *count
                });
                remaining.is_none_or(|remaining| remaining == 0)
            });
            deduplicated.push_page(requested_at, &items);
        });
        if is_whole {
            return Ok(deduplicated);
        }
        let why = format!(
            "cannot list library '{}': its stored pages are damaged; retry",
            row.library.title
        );
        Err(Error::new(Status::Store, why))
    }

    /// Returns whether `draft`, built from all pages of a listing, has the same content as the current segment, and
    /// therefore needs no new segment. Returns `false` if the current segment is missing or damaged.
    pub fn has_same_content(&self, row: &LibraryRow, draft: &ListingDraft) -> bool {
        if !row.generation.is_fetched() {
            return false;
        }
        let builder = &draft.builder;
        let items = ItemRows(&self.store).of(row.id);
        items.is_ok_and(|items| items.has_same_content(builder.items(), builder.content()))
    }

    /// Writes the segment that `draft` has built from all pages of `listing`, and opens it. Returns the segment with
    /// the draft's key hashes and pages, which tell [`Self::publish`] when plexindex requested each item.
    pub fn write_draft(&self, row: &LibraryRow, listing: &Listing, draft: ListingDraft) -> Result<NewListing> {
        let name = Self::name_of(listing);
        let ListingDraft { mut builder, pages, .. } = draft;
        let key_hashes = std::mem::take(&mut builder.key_hashes);
        self.write(builder, &name, row)?;
        let segment = self.open_file(&name)?;
        Ok(NewListing {
            name,
            segment,
            key_hashes,
            pages,
        })
    }

    /// Publishes a complete listing, and returns the library's new row. `new`: the new segment; `None` keeps the
    /// current segment, which has the same content. If the database does not accept the new segment, removes its file.
    pub fn publish(
        &self,
        listing: &Listing,
        finished: &ListingResult,
        new: Option<NewListing>,
        deadline: Deadline,
    ) -> Result<LibraryRow> {
        let published = ListingRows(&self.store).finish_listing(listing, finished, new.as_ref(), deadline);
        if let Some(NewListing { name, segment, .. }) = new
            && published.as_ref().is_ok_and(|row| row.segment != Some(name))
        {
            drop(segment); // Windows cannot remove a mapped file
            let _ = files::remove(&self.path(&name));
        }
        published
    }

    /// Creates an empty builder for the segment with this name.
    fn builder(&self, name: &ListingName, row: &LibraryRow, assigned: Sequence) -> ListingBuilder {
        let meta = ListingMeta {
            library: row.library.uuid.clone(),
            generation: name.generation.0.cast_unsigned(),
            sequence: name.sequence.0,
            mappings: self.mappings.clone(),
            assigned: assigned.0,
        };
        ListingBuilder::new(meta, &self.path(name))
    }

    /// Finishes a segment and writes it to the file with this name.
    fn write(&self, builder: ListingBuilder, name: &ListingName, row: &LibraryRow) -> Result<()> {
        let start = Instant::now();
        let items = builder.items();
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
    fn path(&self, name: &ListingName) -> PathBuf {
        self.store.folder().listing_segment(name, self.mappings.digest())
    }

    /// Opens the segment that has this name and was built with this handle's mappings.
    fn open_file(&self, name: &ListingName) -> Result<ListingSegment> {
        ListingSegment::open(&self.path(name), self.store.map_mode(), self.store.key().name_mac(name))
    }

    /// Opens a library's segment; `None` if it is missing or damaged, or was built with different mappings.
    pub fn open(&self, row: &LibraryRow) -> Option<Arc<ListingSegment>> {
        let name = row.segment.as_ref()?;
        match self.open_file(name) {
            // A segment that was built with different mappings contains different mapped paths.
            Ok(segment) if segment.mappings_digest() != self.mappings.digest() => None,
            Ok(segment) => Some(Arc::new(segment)),
            Err(error) => {
                log_unusable(&self.path(name), &error);
                None
            }
        }
    }

    /// Replaces a missing or damaged segment, if the database still refers to it. Copies the items from a segment that
    /// was built with different mappings. If there is no such segment, discards the listing, so that plexindex fetches
    /// the listing again.
    pub fn replace_segment(&self, view_id: ViewId, row: &LibraryRow, deadline: Deadline) -> Result<()> {
        let Some(name) = row.segment.as_ref().filter(|_| self.is_row_current(row)) else {
            return Ok(()); // another process has replaced the segment, and the caller reads the new one
        };
        let replaced = match self.copy_segment(name, row) {
            // Other processes may have mapped the damaged file, so the new segment gets a new name.
            Ok(true) => {
                let items = ItemRows(&self.store).of(row.id);
                items.and_then(|items| self.rebuild(view_id, row, &items, (Sequence::default(), false), deadline))
            }
            copied => copied.map(drop),
        };
        self.discard_if_damaged(row, replaced, deadline)
    }

    /// Writes a segment with the items of a segment that was built with different mappings. Returns `true` and writes
    /// nothing if a file already has this name, because the file is then damaged.
    fn copy_segment(&self, name: &ListingName, row: &LibraryRow) -> Result<bool> {
        if self.path(name).symlink_metadata().is_ok_and(|file| file.is_file()) {
            return Ok(true);
        }
        let segment = self.store.listing_segment(name)?;
        let assigned = Sequence(segment.assigned_or(row.listed_sequence().0));
        self.write_items(name, row, assigned, |each| {
            segment.for_each_item(|item, added_sequence| each(item, Sequence(added_sequence)))
        })?;
        self.open_file(name).map(|_| false)
    }

    /// Handles the result `done` of a rebuild. If the rebuild failed because the segment is missing or damaged,
    /// discards the listing, so that plexindex fetches the listing again. Returns all other errors.
    fn discard_if_damaged(&self, row: &LibraryRow, done: Result<()>, deadline: Deadline) -> Result<()> {
        let Err(error) = done else { return Ok(()) };
        if !self.is_row_current(row) {
            return Ok(()); // another process has replaced the segment, and the caller reads the new one
        }
        if !row
            .segment
            .as_ref()
            .is_some_and(|name| self.is_missing_or_damaged(name))
        {
            return Err(error);
        }
        if LibraryRows(&self.store).discard_listing(row, deadline)? {
            let title = &row.library.title;
            log::warn!("'{title}': {error}; plexindex will fetch the listing again");
        }
        Sweeper(&self.store).sweep_segments();
        Ok(())
    }

    /// Returns whether a segment is missing or damaged. Returns `false` if the operating system cannot read the file,
    /// because a later attempt may succeed.
    fn is_missing_or_damaged(&self, name: &ListingName) -> bool {
        match self.store.listing_segment(name) {
            Ok(segment) => segment.for_each_item(|_, _| Ok(())).is_err(),
            // A missing or damaged file causes an error without a source. A source is an error of the operating system.
            Err(error) => error.source().is_none(),
        }
    }

    /// Returns whether the database still has the same segment and generation as this row.
    fn is_row_current(&self, row: &LibraryRow) -> bool {
        let stored_row = LibraryRows(&self.store).library_row(row.id);
        stored_row.is_ok_and(|stored_row| stored_row.generation == row.generation && stored_row.segment == row.segment)
    }
}

/// The segment of a listing that is being fetched, filled page by page.
pub struct ListingDraft {
    pub(super) builder: ListingBuilder,
    /// For each page, the number of items in this page and all earlier pages, and the change sequence at which the page
    /// was requested.
    pub(super) pages: Vec<(usize, Sequence)>,
    /// The items before the listing; `None` if the library was never fetched, or they cannot be read.
    before: Option<StoredItems>,
}

impl ListingDraft {
    /// Appends a page. `requested_at`: the change sequence at which the page was requested.
    pub fn push_page(&mut self, requested_at: Sequence, items: &[Item]) {
        for item in items {
            let shown = self.before.as_ref().map(|before| before.shown_since(item));
            let shown = shown.map_or(Sequence::default(), |since| since.unwrap_or(requested_at));
            self.builder.push_with_sequence(item, shown.0);
        }
        self.pages.push((self.builder.key_hashes.len(), requested_at));
    }

    /// Returns the number of items in all pages so far.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.builder.items()
    }

    /// Returns the hash of each rating key that occurs more than once in the draft. Duplicates occur when rows move on
    /// the server between two page requests.
    pub(super) fn duplicate_key_hashes(&self) -> HashSet<u64> {
        let mut hashes = self.builder.key_hashes.clone();
        hashes.sort_unstable();
        let equal_pairs = hashes.windows(2).filter(|pair| pair[0] == pair[1]);
        equal_pairs.map(|pair| pair[0]).collect()
    }
}
