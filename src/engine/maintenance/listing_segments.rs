//! The listing segments of a store: builds, opens and compacts them.

use std::sync::Arc;
use std::time::Instant;

use crate::engine::segment::{ListingBuilder, ListingMeta, ListingSegment, log_unusable};
use crate::engine::sql::{ItemRows, LibraryRow, LibraryRows, Store, StoreFolder, Sweeper, Totals};
use crate::error::{Error, Result, Status};
use crate::matching::Mappings;
use crate::model::{Generation, IdentityId, ListingName, Sequence};
use crate::platform::deadline::Deadline;
use crate::stats::{Counters, Spent};

/// A listing's segment is rebuilt after one added or removed item for this many items, within the bounds below.
const ITEMS_PER_CHANGE: u64 = 256;
/// Bounds of the number of changes that cause a rebuild: each new process reads these changes, and a memtable must hold
/// them.
const FEWEST_CHANGES: u64 = 512;
const MOST_CHANGES: u64 = 4096;

/// The segments of one store under one set of mappings.
pub struct ListingSegments {
    store: Arc<Store>,
    mappings: Mappings,
    counters: Arc<Counters>,
    no_mmap: bool,
}

impl ListingSegments {
    pub fn new(store: Arc<Store>, mappings: Mappings, counters: Arc<Counters>, no_mmap: bool) -> Self {
        Self {
            store,
            mappings,
            counters,
            no_mmap,
        }
    }

    /// Builds a new segment that includes the changes of a full memtable.
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

    /// Rebuilds a listing's segment, including all single changes.
    pub fn compact_listing(&self, identity: IdentityId, row: &LibraryRow, deadline: Deadline) -> Result<()> {
        let name = self.build(row, row.generation)?;
        self.touch(row);
        LibraryRows(&self.store).set_segment(identity, &name, deadline)
    }

    /// Keeps the file of a segment that is being replaced for a minute.
    pub fn touch(&self, row: &LibraryRow) {
        if let Some(name) = &row.segment {
            StoreFolder::touch(&self.store.folder().listing_segment(name, self.mappings.digest()));
        }
    }

    /// Builds the segment of a generation; returns its name.
    pub fn build(&self, row: &LibraryRow, generation: Generation) -> Result<ListingName> {
        let sequence = Totals::of(&self.store)?.sequence;
        let name = StoreFolder::new_listing_name(row.id, generation, sequence);
        self.build_as(&name, row, generation, sequence)?;
        Ok(name)
    }

    fn build_as(&self, name: &ListingName, row: &LibraryRow, generation: Generation, sequence: Sequence) -> Result<()> {
        let begun = Instant::now();
        let builder = self.listing_builder(row, generation, sequence)?;
        self.counters.add_time(Spent::ListingSegment, begun.elapsed());
        self.write(builder, name, row)
    }

    /// Creates a builder that writes to a file, with the items of a stored generation.
    fn listing_builder(&self, row: &LibraryRow, generation: Generation, sequence: Sequence) -> Result<ListingBuilder> {
        ListingBuilder::check_memory(row.items)?;
        let mut builder = self.builder(row, generation, sequence);
        ItemRows(&self.store).for_each_item(row.id, generation, &mut |item, added_at| {
            builder.push_single(&item, added_at.0);
            Ok(())
        })?;
        Ok(builder)
    }

    /// Creates an empty builder for the segment of a generation at a change sequence.
    pub fn builder(&self, row: &LibraryRow, generation: Generation, sequence: Sequence) -> ListingBuilder {
        let name = StoreFolder::new_listing_name(row.id, generation, sequence);
        let place = self.store.folder().listing_segment(&name, self.mappings.digest());
        let meta = ListingMeta {
            library: row.library.uuid.clone(),
            generation: generation.0.cast_unsigned(),
            sequence: sequence.0,
            mappings: self.mappings.clone(),
        };
        ListingBuilder::new(meta, &place)
    }

    /// Writes a segment under this name.
    pub fn write(&self, builder: ListingBuilder, name: &ListingName, row: &LibraryRow) -> Result<()> {
        let begun = Instant::now();
        let path = self.store.folder().listing_segment(name, self.mappings.digest());
        let info = builder.finish(&path, self.store.key().name_mac(name))?;
        self.counters.add_time(Spent::ListingSegment, begun.elapsed());
        log::debug!(
            "segment of '{}': {} items, {} bytes",
            row.library.title,
            info.items,
            info.bytes
        );
        Ok(())
    }

    /// Opens the segment named in the database; `None` if that fails.
    pub fn open(&self, row: &LibraryRow) -> Option<Arc<ListingSegment>> {
        let (name, mappings) = (row.segment.as_ref()?, &self.mappings);
        let path = self.store.folder().listing_segment(name, mappings.digest());
        let mode = self.store.folder().map_mode(self.no_mmap);
        match ListingSegment::open(&path, mode, self.store.key().name_mac(name)) {
            // It was built with other mapping rules, so it has other mapped paths.
            Ok(segment) if segment.mappings() != mappings.digest() => None,
            Ok(segment) => Some(Arc::new(segment)),
            Err(error) => {
                log_unusable("a segment", &path, &error);
                None
            }
        }
    }

    /// Rebuilds a segment that the database still names.
    pub fn rebuild_segment(&self, identity: IdentityId, row: &LibraryRow, deadline: Deadline) -> Result<()> {
        if !self.is_named(row) {
            return Ok(());
        }
        match self.make_file(identity, row, deadline) {
            // The database names another segment by now, and the caller reads that one.
            Err(_) if !self.is_named(row) => Ok(()),
            done => done,
        }
    }

    /// Returns whether the database still names this row's segment and generation.
    fn is_named(&self, row: &LibraryRow) -> bool {
        let now = LibraryRows(&self.store).library_row(row.id);
        now.is_ok_and(|now| now.generation == row.generation && now.segment == row.segment)
    }

    /// Rebuilds the file of a segment and checks that it opens.
    fn make_file(&self, identity: IdentityId, row: &LibraryRow, deadline: Deadline) -> Result<()> {
        log::warn!(
            "a segment of '{}' is missing or damaged; rebuilding it",
            row.library.title
        );
        // A damaged file may be mapped by others, so the new one gets another name.
        let Some(name) = row.segment.as_ref().filter(|name| !self.has_file(name)) else {
            self.compact_listing(identity, row, deadline)?;
            Sweeper(&self.store).sweep_segments();
            return Ok(());
        };
        // A missing file is built under the same name, because other processes may have a good file of that name, built
        // with other mappings. The new file includes later changes already; applying them again has no effect.
        self.build_as(name, row, row.generation, row.segment_sequence)?;
        self.open(row).map(|_| ()).ok_or_else(|| {
            Error::new(
                Status::Store,
                format!("cannot open the segment of '{}'", row.library.title),
            )
        })
    }

    /// Returns whether a file of this segment with our mappings exists.
    fn has_file(&self, name: &ListingName) -> bool {
        let path = self.store.folder().listing_segment(name, self.mappings.digest());
        path.symlink_metadata().is_ok_and(|facts| facts.is_file())
    }
}
