//! The listing segments of a store: builds, publishes, opens and compacts them.

use std::collections::HashMap;
use std::error::Error as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use xxhash_rust::xxh3::xxh3_64;

use super::draft::ListingDraft;
use crate::engine::segment::{ListingBuilder, ListingMeta, ListingSegment, log_unusable};
use crate::engine::sql::{
    ItemRows, LibraryRow, LibraryRows, Listing, ListingResult, ListingRows, NewListing, Store, StoreFolder, Sweeper,
    Totals,
};
use crate::error::{Error, Result, Status};
use crate::matching::Mappings;
use crate::model::{IdentityId, Item, ListingName, Sequence};
use crate::platform::deadline::Deadline;
use crate::platform::files;
use crate::stats::{Counters, Spent};

/// plexindex rebuilds a listing's segment after one added or removed item for this many items of the listing, within
/// the bounds below.
const ITEMS_PER_CHANGE: u64 = 256;
/// Bounds of the number of changes that cause a rebuild: each new process reads these changes, and a memtable must hold
/// them.
const FEWEST_CHANGES: u64 = 512;
const MOST_CHANGES: u64 = 4096;

/// The listing segments of one store, built with one set of mappings.
pub struct ListingSegments {
    store: Arc<Store>,
    mappings: Mappings,
    counters: Arc<Counters>,
    no_mmap: bool,
}

impl ListingSegments {
    /// Creates the segments of a store. `no_mmap`: whether to read segments into memory instead of mapping them.
    pub fn new(store: Arc<Store>, mappings: Mappings, counters: Arc<Counters>, no_mmap: bool) -> Self {
        Self {
            store,
            mappings,
            counters,
            no_mmap,
        }
    }

    /// Builds a new segment with the changes of a library whose memtable is full, so that a new memtable can begin
    /// empty.
    pub fn compact_full_memtable(&self, identity: IdentityId, row: &LibraryRow, deadline: Deadline) -> Result<()> {
        if row.generation.is_fetched() {
            self.compact_listing(identity, row, deadline)?;
        }
        Sweeper(&self.store).sweep_segments();
        Ok(())
    }

    /// Returns whether enough single items were added or removed to rebuild the listing's segment. The threshold grows
    /// with the listing, so the bytes written for each change stay the same. Example: a million items with 50 changes a
    /// minute are rebuilt every 78 minutes.
    pub fn has_many_changes(&self, row: &LibraryRow) -> Result<bool> {
        let many = (row.items / ITEMS_PER_CHANGE).clamp(FEWEST_CHANGES, MOST_CHANGES);
        Ok(LibraryRows(&self.store).unmerged_items(row.id)? >= many)
    }

    /// Rebuilds a listing's segment, including all single changes. A damaged listing is lost.
    pub fn compact_listing(&self, identity: IdentityId, row: &LibraryRow, deadline: Deadline) -> Result<()> {
        let compacted = self.compact(identity, row, deadline);
        self.lose_if_damaged(row, compacted, deadline)
    }

    fn compact(&self, identity: IdentityId, row: &LibraryRow, deadline: Deadline) -> Result<()> {
        // Changes after this sequence may be in the segment too; applying them again has no effect.
        let sequence = Totals::of(&self.store)?.sequence;
        let name = StoreFolder::new_listing_name(row.id, row.generation, sequence);
        let items = ItemRows(&self.store).of(row)?;
        self.write_items(&name, row, |each| items.for_each(each))?;
        self.touch(row);
        LibraryRows(&self.store).set_segment(identity, &name, deadline)
    }

    /// Writes a segment with the items that `read` passes on, each with the change sequence at which it was added after
    /// the listing, or 0.
    fn write_items(
        &self,
        name: &ListingName,
        row: &LibraryRow,
        read: impl FnOnce(&mut dyn FnMut(Item, Sequence) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let begun = Instant::now();
        ListingBuilder::check_memory(row.items)?;
        let mut builder = self.builder(name, row);
        read(&mut |item, added_at| {
            builder.push_single(&item, added_at.0);
            Ok(())
        })?;
        self.counters.add_time(Spent::ListingSegment, begun.elapsed());
        self.write(builder, name, row)
    }

    /// Updates the time of the segment file that is about to be replaced, so that sweeps spare it for a minute: other
    /// processes may be opening it.
    pub fn touch(&self, row: &LibraryRow) {
        if let Some(name) = &row.segment {
            StoreFolder::touch(&self.path(name));
        }
    }

    /// Begins the segment of a listing under way, with the pages that are stored already. `None` if these are damaged.
    pub fn draft(&self, row: &LibraryRow, listing: &Listing) -> Option<ListingDraft> {
        let mut draft = self.empty_draft(row, listing);
        let is_whole =
            ListingRows(&self.store).pages(listing, |requested_at, items| draft.push_page(requested_at, &items));
        is_whole.then_some(draft)
    }

    /// Begins the segment of a listing, without any page.
    pub fn empty_draft(&self, row: &LibraryRow, listing: &Listing) -> ListingDraft {
        ListingDraft::new(self.builder(&Self::name_of(listing), row))
    }

    /// Makes a name for the segment of a listing, with a new random number. The segment has all single changes up to
    /// the begin of the listing.
    fn name_of(listing: &Listing) -> ListingName {
        StoreFolder::new_listing_name(listing.library, listing.generation, listing.begun_sequence)
    }

    /// Returns the draft without items whose keys later items have too, because rows moved on the server between two
    /// pages. Reads the stored pages again if there are such items.
    pub fn without_twins(&self, row: &LibraryRow, listing: &Listing, draft: ListingDraft) -> Result<ListingDraft> {
        let twins = draft.twins();
        if twins.is_empty() {
            return Ok(draft);
        }
        let rows = ListingRows(&self.store);
        let mut counts: HashMap<String, usize> = HashMap::new();
        let mut is_whole = rows.pages(listing, |_, items| {
            let has_twin = |item: &Item| twins.contains(&xxh3_64(item.rating_key.as_bytes()));
            for item in items.into_iter().filter(has_twin) {
                *counts.entry(item.rating_key).or_default() += 1;
            }
        });
        let mut single = self.empty_draft(row, listing);
        is_whole &= rows.pages(listing, |requested_at, mut items| {
            items.retain(|item| {
                let left = counts.get_mut(&item.rating_key).map(|count| {
                    *count -= 1;
                    *count
                });
                left.is_none_or(|left| left == 0)
            });
            single.push_page(requested_at, &items);
        });
        if is_whole {
            return Ok(single);
        }
        let why = format!(
            "the pages of '{}' were damaged while it was fetched; retry",
            row.library.title
        );
        Err(Error::new(Status::Store, why))
    }

    /// Returns whether a listing has the same content as the current one, so that it needs no new segment.
    pub fn is_current(&self, row: &LibraryRow, listing: &Listing, draft: &ListingDraft) -> Result<bool> {
        if !row.generation.is_fetched() {
            return Ok(false);
        }
        let Ok(items) = ItemRows(&self.store).of(row) else {
            return Ok(false);
        };
        let builder = &draft.builder;
        items.is_segment(builder.items(), builder.content(), listing.begun_sequence)
    }

    /// Writes the segment of a complete listing, and opens it.
    pub fn write_draft(&self, row: &LibraryRow, listing: &Listing, draft: ListingDraft) -> Result<NewListing> {
        let name = Self::name_of(listing);
        let ListingDraft { mut builder, pages } = draft;
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

    /// Publishes a complete listing, and returns the new row of the library. `new`: the segment; `None` if its content
    /// is that of the current one. Removes the file of a new segment that the database did not accept.
    pub fn publish(
        &self,
        identity: IdentityId,
        row: &LibraryRow,
        listing: &Listing,
        finished: &ListingResult,
        new: Option<NewListing>,
        deadline: Deadline,
    ) -> Result<LibraryRow> {
        self.touch(row);
        let published = ListingRows(&self.store).finish_listing(identity, listing, finished, new.as_ref(), deadline);
        if let Some(NewListing { name, segment, .. }) = new
            && published.as_ref().is_ok_and(|row| row.segment != Some(name))
        {
            drop(segment); // Windows removes no file that is mapped
            let _ = files::remove(&self.path(&name));
        }
        published
    }

    /// Creates an empty builder of a segment.
    fn builder(&self, name: &ListingName, row: &LibraryRow) -> ListingBuilder {
        let meta = ListingMeta {
            library: row.library.uuid.clone(),
            generation: name.generation.0.cast_unsigned(),
            sequence: name.sequence.0,
            mappings: self.mappings.clone(),
        };
        ListingBuilder::new(meta, &self.path(name))
    }

    /// Writes a segment under this name.
    fn write(&self, builder: ListingBuilder, name: &ListingName, row: &LibraryRow) -> Result<()> {
        let begun = Instant::now();
        let info = builder.finish(&self.path(name), self.store.key().name_mac(name))?;
        self.counters.add_time(Spent::ListingSegment, begun.elapsed());
        log::debug!(
            "segment of '{}': {} items, {} bytes",
            row.library.title,
            info.items,
            info.bytes
        );
        Ok(())
    }

    /// Returns the path of a segment with this handle's mappings.
    fn path(&self, name: &ListingName) -> PathBuf {
        self.store.folder().listing_segment(name, self.mappings.digest())
    }

    /// Opens the segment with this name that was built under this handle's mappings.
    fn open_file(&self, name: &ListingName) -> Result<ListingSegment> {
        let mode = self.store.folder().map_mode(self.no_mmap);
        ListingSegment::open(&self.path(name), mode, self.store.key().name_mac(name))
    }

    /// Opens the segment that the row names; `None` if it is missing or damaged, or was built with other mapping rules.
    pub fn open(&self, row: &LibraryRow) -> Option<Arc<ListingSegment>> {
        let name = row.segment.as_ref()?;
        match self.open_file(name) {
            // With other mapping rules, a segment has other mapped paths.
            Ok(segment) if segment.mappings() != self.mappings.digest() => None,
            Ok(segment) => Some(Arc::new(segment)),
            Err(error) => {
                log_unusable("a segment", &self.path(name), &error);
                None
            }
        }
    }

    /// Replaces a missing or damaged segment, if the database still names it, by a copy of a segment with other
    /// mappings, which has the same items. If there is none, the listing is lost, and plexindex fetches it again.
    pub fn replace_segment(&self, identity: IdentityId, row: &LibraryRow, deadline: Deadline) -> Result<()> {
        let Some(name) = row.segment.as_ref().filter(|_| self.is_named(row)) else {
            return Ok(()); // the caller reads the segment that the database names by now
        };
        let replaced = match self.copy_segment(name, row) {
            // A damaged file may be mapped by others, so the new one gets another name.
            Ok(true) => self.compact(identity, row, deadline),
            copied => copied.map(drop),
        };
        self.lose_if_damaged(row, replaced, deadline)
    }

    /// Makes the file of a segment from a segment with other mappings. Returns `true` if that is impossible, because a
    /// damaged file has its name.
    fn copy_segment(&self, name: &ListingName, row: &LibraryRow) -> Result<bool> {
        if self.path(name).symlink_metadata().is_ok_and(|facts| facts.is_file()) {
            return Ok(true);
        }
        let segment = self.store.listing_segment(name)?;
        self.write_items(name, row, |each| {
            segment.for_each_item(|item, added_sequence| each(item, Sequence(added_sequence)))
        })?;
        self.open_file(name).map(|_| false)
    }

    /// If reading a listing failed because it is missing or damaged, marks the listing as lost, so that plexindex
    /// fetches it again. Returns other errors.
    fn lose_if_damaged(&self, row: &LibraryRow, done: Result<()>, deadline: Deadline) -> Result<()> {
        let Err(error) = done else { return Ok(()) };
        if !self.is_named(row) {
            return Ok(()); // the caller reads the segment that the database names by now
        }
        if !row.segment.as_ref().is_some_and(|name| self.is_damaged(name)) {
            return Err(error);
        }
        if LibraryRows(&self.store).lose_listing(row, deadline)? {
            let title = &row.library.title;
            log::warn!("the listing of '{title}' is lost and will be fetched again: {error}");
        }
        Sweeper(&self.store).sweep_segments();
        Ok(())
    }

    /// Returns whether a segment is missing or damaged. If the operating system cannot read it now, it may do so later.
    fn is_damaged(&self, name: &ListingName) -> bool {
        match self.store.listing_segment(name) {
            Ok(segment) => segment.for_each_item(|_, _| Ok(())).is_err(),
            Err(error) => error.source().is_none(),
        }
    }

    /// Returns whether the database still names this row's segment and generation.
    fn is_named(&self, row: &LibraryRow) -> bool {
        let now = LibraryRows(&self.store).library_row(row.id);
        now.is_ok_and(|now| now.generation == row.generation && now.segment == row.segment)
    }
}
