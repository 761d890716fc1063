//! The listing segments of a store: builds, opens, compacts and removes them, or keeps them in memory if they cannot be
//! written.

use std::sync::Arc;
use std::time::Instant;

use super::in_memory::{InMemorySegment, InMemorySegments};
use crate::engine::segment::{ListingBuilder, ListingMeta, ListingSegment, log_unusable};
use crate::engine::sql::{LibraryRow, Store, StoreFolder};
use crate::error::{Error, Result, Status};
use crate::matching::Mappings;
use crate::model::{Generation, IdentityId, ListingName, Sequence};
use crate::platform::clock::Clock;
use crate::platform::deadline::Deadline;
use crate::platform::fork::Release;
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
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    no_mmap: bool,
    in_memory: InMemorySegments,
}

impl ListingSegments {
    pub fn new(
        store: Arc<Store>,
        mappings: Mappings,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        no_mmap: bool,
    ) -> Self {
        Self {
            store,
            mappings,
            clock,
            counters,
            no_mmap,
            in_memory: InMemorySegments::default(),
        }
    }

    /// Takes its locks for a fork.
    pub fn hold(self: &Arc<Self>) -> Box<dyn Release> {
        InMemorySegments::hold(self, |segments| &segments.in_memory)
    }

    /// Opens the segment of a listing: the one in memory if its file could not be written, else the file.
    pub fn open(&self, row: &LibraryRow) -> Option<Arc<ListingSegment>> {
        let stands_in = self.in_memory.of(row, self.store.incarnation());
        stands_in.or_else(|| self.open_file(row))
    }

    /// Raises a row's `segment_sequence` to that of its segment in memory, which may be newer than the file.
    pub fn raise(&self, row: &mut LibraryRow) {
        self.in_memory.raise(row, self.store.incarnation());
    }

    /// Returns whether it is time to retry writing the files.
    pub fn is_retry_due(&self) -> bool {
        self.in_memory.backoff.is_due(|| self.clock.now_ms())
    }

    /// Returns whether this segment is kept in memory because its file could not be written.
    pub fn stands_in(&self, segment: &Arc<ListingSegment>) -> bool {
        self.in_memory.contains(segment)
    }

    /// Removes segments in memory that belong to none of these libraries.
    pub fn prune(&self, rows: &[LibraryRow]) {
        self.in_memory.prune(rows, self.store.incarnation());
    }

    /// Records an attempt to write the files of segments in memory, and schedules the next one.
    pub fn record_attempt(&self) {
        self.in_memory.record_attempt(self.clock.now_ms());
    }

    /// Builds a new segment that includes the changes of a full memtable.
    pub fn compact_full_memtable(&self, identity: IdentityId, row: &LibraryRow, deadline: Deadline) -> Result<()> {
        if row.generation.is_fetched() {
            self.compact_listing(identity, row, deadline)
                .or_else(|error| self.keep_in_memory(row, &error))?;
        }
        self.store.sweep_segments();
        Ok(())
    }

    /// Returns whether enough single items were added or removed to rebuild the listing's segment. The threshold grows
    /// with the listing, so the bytes written for each change stay the same. Example: a million items with 50 changes a
    /// minute are rebuilt every 78 minutes.
    pub fn has_many_changes(&self, row: &LibraryRow) -> Result<bool> {
        let many = (row.items / ITEMS_PER_CHANGE).clamp(FEWEST_CHANGES, MOST_CHANGES);
        Ok(self.store.unmerged_items(row.id)? >= many)
    }

    /// Rebuilds a listing's segment, including all single changes.
    pub fn compact_listing(&self, identity: IdentityId, row: &LibraryRow, deadline: Deadline) -> Result<()> {
        let name = self.build(row, row.generation)?;
        self.store.set_segment(identity, &name, deadline)
    }

    /// Builds the segment of a generation; returns its name.
    pub fn build(&self, row: &LibraryRow, generation: Generation) -> Result<ListingName> {
        let sequence = self.store.totals()?.sequence;
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
        ListingBuilder::check_memory_for_file(row.items)?;
        self.fill(self.builder(row, generation, sequence), row, generation)
    }

    /// Creates a builder in memory, with the items of the current generation.
    fn listing_in_memory(&self, row: &LibraryRow, sequence: Sequence) -> Result<ListingBuilder> {
        ListingBuilder::check_memory(row.items)?;
        let builder = ListingBuilder::new(self.meta_of_listing(row, row.generation, sequence));
        self.fill(builder, row, row.generation)
    }

    fn fill(&self, mut builder: ListingBuilder, row: &LibraryRow, generation: Generation) -> Result<ListingBuilder> {
        self.store.for_each_item(row.id, generation, &mut |item, added_at| {
            builder.push_single(&item, added_at.0);
            Ok(())
        })?;
        Ok(builder)
    }

    /// Creates an empty builder for the segment of a generation at a change sequence.
    pub fn builder(&self, row: &LibraryRow, generation: Generation, sequence: Sequence) -> ListingBuilder {
        let name = StoreFolder::new_listing_name(row.id, generation, sequence);
        let place = self.store.folder().listing_segment(&name, self.mappings.digest());
        ListingBuilder::in_file(self.meta_of_listing(row, generation, sequence), &place)
    }

    fn meta_of_listing(&self, row: &LibraryRow, generation: Generation, sequence: Sequence) -> ListingMeta {
        ListingMeta {
            library: row.library.uuid.clone(),
            generation: generation.0.cast_unsigned(),
            sequence: sequence.0,
            mappings: self.mappings.clone(),
        }
    }

    /// Writes a segment under this name.
    pub fn write(&self, builder: ListingBuilder, name: &ListingName, row: &LibraryRow) -> Result<()> {
        let begun = Instant::now();
        let path = self.store.folder().listing_segment(name, self.mappings.digest());
        let info = builder.finish(&path, self.store.name_mac(name))?;
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
    fn open_file(&self, row: &LibraryRow) -> Option<Arc<ListingSegment>> {
        let (name, mappings) = (row.segment.as_ref()?, &self.mappings);
        let path = self.store.folder().listing_segment(name, mappings.digest());
        let mode = self.store.folder().map_mode(self.no_mmap);
        match ListingSegment::open(&path, mode, self.store.name_mac(name)) {
            // It was built with other mapping rules, so it has other mapped paths.
            Ok(segment) if segment.mappings() != mappings.digest() => None,
            Ok(segment) => Some(Arc::new(segment)),
            Err(error) => {
                log_unusable("a segment", &path, &error);
                None
            }
        }
    }

    /// Rebuilds a segment that the database still names, in memory if its file cannot be written.
    pub fn rebuild_segment(&self, identity: IdentityId, row: &LibraryRow, deadline: Deadline) -> Result<()> {
        match self.rebuild_if_named(identity, row, deadline) {
            // The database names another segment by now, and the caller reads that one.
            Err(_) if !self.is_named(row) => Ok(()),
            done => done,
        }
    }

    /// Returns whether the database still names this row's segment and generation.
    fn is_named(&self, row: &LibraryRow) -> bool {
        let now = self.store.library_row(row.id);
        now.is_ok_and(|now| now.generation == row.generation && now.segment == row.segment)
    }

    /// Rebuilds a segment in a file, or in memory, if the database still names it.
    fn rebuild_if_named(&self, identity: IdentityId, row: &LibraryRow, deadline: Deadline) -> Result<()> {
        if !self.is_named(row) {
            return Ok(());
        }
        // Another process may have built it meanwhile.
        let was_in_memory = self.in_memory.of(row, self.store.incarnation()).is_some();
        let attempt = if was_in_memory && self.open_file(row).is_some() {
            Ok(())
        } else {
            self.make_file(identity, row, deadline)
        };
        match attempt {
            Ok(()) => self.in_memory.forget(row.id),
            Err(_) if was_in_memory => {}
            Err(error) => return self.keep_in_memory(row, &error),
        }
        Ok(())
    }

    /// Rebuilds the file of a segment and checks that it opens.
    fn make_file(&self, identity: IdentityId, row: &LibraryRow, deadline: Deadline) -> Result<()> {
        if self.in_memory.of(row, self.store.incarnation()).is_none() {
            log::warn!(
                "a segment of '{}' is missing or damaged; it is made anew",
                row.library.title
            );
        }
        // A damaged file may be mapped by others, so the new one gets another name.
        let Some(name) = row.segment.as_ref().filter(|name| !self.has_file(name)) else {
            self.compact_listing(identity, row, deadline)?;
            self.store.sweep_segments();
            return Ok(());
        };
        // A missing file is built under the same name, because other processes may have a good file of that name, built
        // with other mappings. The new file includes later changes already; applying them again has no effect.
        self.build_as(name, row, row.generation, row.segment_sequence)?;
        self.open_file(row).map(|_| ()).ok_or_else(|| {
            Error::new(
                Status::Store,
                format!("the segment of '{}' cannot be opened", row.library.title),
            )
        })
    }

    /// Returns whether a file of this segment with our mappings exists.
    fn has_file(&self, name: &ListingName) -> bool {
        let path = self.store.folder().listing_segment(name, self.mappings.digest());
        path.symlink_metadata().is_ok_and(|facts| facts.is_file())
    }

    /// Builds a segment in memory, since its file cannot be written for the reason `why`.
    fn keep_in_memory(&self, row: &LibraryRow, why: &Error) -> Result<()> {
        log::warn!(
            "{why}; what it would hold of '{}' is kept in memory, and the file is tried again later",
            row.library.title
        );
        let begun = Instant::now();
        let incarnation = self.store.incarnation();
        let upto = self.store.totals()?.sequence;
        let builder = self.listing_in_memory(row, upto)?;
        let segment = Arc::new(builder.finish_in_memory().and_then(ListingSegment::in_memory)?);
        self.counters.add_time(Spent::ListingSegment, begun.elapsed());
        let kept = InMemorySegment {
            library: row.id,
            incarnation,
            name: row.segment,
            generation: row.generation,
            upto,
            segment,
        };
        self.in_memory.insert(kept, self.clock.now_ms());
        Ok(())
    }
}
