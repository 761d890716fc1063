//! Maintains a store: opens, compacts and repairs segments, removes dead rows and unused files, and limits the folder's
//! size.
//! To limit the size, evicts one listing at a time, starting with the least recently refreshed library.

use std::error::Error as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::engine::segment::{ListingBuilder, ListingSegment, log_unusable};
use crate::engine::sql::{
    FeedRows, ItemRows, ItemVisitor, LibraryRow, LibraryRows, ListingSegments, Store, StoredItems, Sweeper, Totals,
    new_listing_name,
};
use crate::error::Result;
use crate::model::{LibraryId, Sequence, ViewId};
use crate::platform::clock::{Clock, Deadline};
use crate::platform::fork::{ForkLock, lock, lock_for_fork};
use crate::stats::{Activity, Counters};

/// Maximum time to wait for the database's write lock in order to store the counters.
const COUNTERS_LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum number of transactions in one [`StoreWriter::sweep`].
const MAX_SWEEPS: usize = 50;

/// Writes what a handle records in the store, and maintains the store.
pub struct StoreWriter {
    store: Arc<Store>,
    counters: Arc<Counters>,
    /// Maximum size of all confirmed matches, in bytes.
    pub matches_limit: u64,
    /// Whether this handle sweeps after its own writes. A handle that fetches listings sweeps after them.
    sweeps: bool,
    /// This handle's numbers of requests and of answers that are already in the store.
    stored_counts: Mutex<(u64, u64)>,
}

impl StoreWriter {
    /// Creates the writer for a handle. `sweeps`: whether the handle sweeps after its own writes.
    pub fn new(store: Arc<Store>, counters: Arc<Counters>, matches_limit: u64, sweeps: bool) -> Self {
        Self {
            store,
            counters,
            matches_limit,
            sweeps,
            stored_counts: Mutex::new((0, 0)),
        }
    }

    /// Locks the counts of requests and answers for a fork until the result is dropped, so that they are consistent in
    /// the child.
    pub fn hold(self: &Arc<Self>) -> Box<dyn ForkLock> {
        Box::new(lock_for_fork(self, |all| &all.stored_counts))
    }

    /// In the child after a fork, where only the forking thread continues, no call runs. Marks all earlier counts as
    /// stored, because the parent stores them.
    pub fn after_fork(&self) {
        if let Ok(mut stored) = self.stored_counts.try_lock() {
            self.counters.running.store(0, Ordering::Relaxed);
            *stored = self.counters.totals();
        }
    }

    /// Adds this handle's new requests and answers to the store's totals.
    pub fn flush_counters(&self, deadline: Deadline) -> Result<()> {
        let mut stored = lock(&self.stored_counts);
        // Read the totals under the lock, so that another thread cannot store newer totals first.
        let totals = self.counters.totals();
        if *stored == totals || self.store.folder.is_read_only {
            return Ok(());
        }
        // Storing the counters is not worth a long wait. `.0` is the number of requests, `.1` of answers.
        let deadline = deadline.at_most(COUNTERS_LOCK_TIMEOUT);
        if Totals::add(&self.store, totals.0 - stored.0, totals.1 - stored.1, deadline)? {
            *stored = totals;
        } else {
            log::debug!("cannot store the counters: other processes are writing to the store; will retry later");
        }
        Ok(())
    }

    /// Stores the counters when a handle is closed. If only answers are new, adds the answers to the version page,
    /// which needs no write transaction. [`Totals::add`] later moves answers from the version page to the store.
    pub fn flush_counters_on_close(&self) -> Result<()> {
        {
            let mut stored = lock(&self.stored_counts);
            let totals = self.counters.totals();
            // No new requests (`.0`), only answers (`.1`).
            if totals.0 == stored.0 && Totals::count_on_page(&self.store, totals.1 - stored.1) {
                *stored = totals;
                return Ok(());
            }
        }
        self.flush_counters(Deadline::NONE)
    }

    /// Removes unused files after a library was cleared, and rows that no reader can see if this handle does not fetch.
    pub fn sweep_after_clear(&self) {
        if self.sweeps {
            self.sweep_rows(Deadline::NONE);
        }
        Sweeper(&self.store).sweep_segments();
        // The removals have enlarged the write-ahead log, so checkpoint it.
        self.store.checkpoint();
    }

    /// Deletes rows that no reader can see, in several transactions, and removes unused files.
    pub fn sweep(&self, deadline: Deadline) {
        self.sweep_rows(deadline);
        Sweeper(&self.store).sweep_segments();
    }

    /// Deletes rows that no reader can see, in several transactions. Only logs errors, because a later sweep retries.
    fn sweep_rows(&self, deadline: Deadline) {
        for _ in 0..MAX_SWEEPS {
            match Sweeper(&self.store).sweep(deadline) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    log::warn!("cannot remove dead rows: {error}; a later sweep will retry");
                    break;
                }
            }
        }
    }
}

/// plexindex rebuilds a listing's segment once the number of added and removed items reaches the number of listed items
/// divided by this constant, within the bounds below.
const ITEMS_PER_CHANGE: u64 = 256;
/// Bounds on the number of changes that cause a rebuild, because each new process reads the changes into its memtable.
const FEWEST_CHANGES: u64 = 512;
const MOST_CHANGES: u64 = 4096;

impl ListingSegments {
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
        let Some(old) = &items.name else { return Ok(()) };
        let name = new_listing_name(row.id, row.generation, self.store.sequence()?);
        self.write_items(&name, row, items.assigned(), |each| items.for_each(upto, each))?;
        LibraryRows(&self.store).set_segment((view_id, row.id), [old, &name], (upto, needs_listing), deadline)
    }

    /// Writes a segment with the items that `read` passes to its argument.
    fn write_items(
        &self,
        name: &str,
        row: &LibraryRow,
        assigned: Sequence,
        read: impl FnOnce(ItemVisitor<'_>) -> Result<()>,
    ) -> Result<()> {
        let start = Instant::now();
        ListingBuilder::check_memory(row.items)?;
        let mut builder = self.builder(name, row, assigned);
        read(&mut |item, last, shown| {
            builder.push_item(&item, last, shown);
            Ok(())
        })?;
        self.counters.add_time(Activity::ListingSegment, start.elapsed());
        self.write_segment(builder, name, row)
    }

    /// Opens a library's segment; `None` if it is missing or damaged, or was built with different mappings.
    pub fn open(&self, row: &LibraryRow) -> Option<Arc<ListingSegment>> {
        let name = row.segment.as_ref()?;
        match self.open_file(name) {
            // A segment that was built with different mappings contains different mapped paths.
            Ok(segment) if segment.head.is_earlier || segment.head.mappings != self.mappings.digest() => None,
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
    fn copy_segment(&self, name: &str, row: &LibraryRow) -> Result<bool> {
        if self.path(name).symlink_metadata().is_ok_and(|file| file.is_file()) {
            return Ok(true);
        }
        let segment = self.store.listing_segment(name)?;
        let assigned = Sequence(segment.assigned_or(row.listed_sequence().0));
        self.write_items(name, row, assigned, |each| segment.for_each_item(each))?;
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
    fn is_missing_or_damaged(&self, name: &str) -> bool {
        match self.store.listing_segment(name) {
            Ok(segment) => segment.for_each_item(|_, _, _| Ok(())).is_err(),
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

/// Maximum time that an eviction waits for the database's write lock.
const EVICTION_LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// The size limit that one handle applies to its folder.
pub struct FolderLimit {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    /// The maximum size of the folder; `None`: no limit.
    pub bytes: Option<u64>,
    /// Whether a thread is evicting. This flag is not a lock, because a fork would have to wait for a lock, and an
    /// eviction can take a long time.
    evicting: AtomicBool,
    /// Whether plexindex has already warned that the limit is too small.
    warned: AtomicBool,
}

/// Marks an eviction as running until dropped, so that other threads start none.
struct EvictionGuard<'l>(&'l AtomicBool);

impl Drop for EvictionGuard<'_> {
    /// Lets the next eviction start, even after a panic.
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl FolderLimit {
    /// Creates a handle's size limit. `bytes`: the maximum size of the folder in bytes; `None`: no limit.
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>, bytes: Option<u64>) -> Self {
        Self {
            store,
            clock,
            bytes,
            evicting: AtomicBool::new(false),
            warned: AtomicBool::new(false),
        }
    }

    /// In the child after a fork, marks the eviction as finished, because a running eviction continues only in the
    /// parent.
    pub fn after_fork(&self) {
        self.evicting.store(false, Ordering::Release);
    }

    /// Returns by how many bytes the folder exceeds the limit; 0 if it does not. Excludes space that plexindex can free
    /// without evicting anything. Any excess after [`FolderLimit::enforce`] is content that plexindex cannot evict.
    pub fn excess_bytes(&self) -> Result<u64> {
        self.bytes.map_or(Ok(0), |limit| {
            Ok(Sweeper(&self.store).bytes_after_vacuum()?.saturating_sub(limit))
        })
    }

    /// Evicts libraries until the folder is within the limit, or until the deadline. Keeps libraries for which
    /// `is_in_use` returns `true`. Only logs errors, because the caller's answer does not depend on the eviction.
    pub fn enforce(&self, deadline: Deadline, is_in_use: &dyn Fn(LibraryId) -> bool) {
        let Some(limit) = self.bytes else { return };
        if self.evicting.swap(true, Ordering::AcqRel) {
            return; // another thread is already evicting
        }
        let _busy = EvictionGuard(&self.evicting);
        if let Err(error) = self.evict_down_to(limit, deadline.at_most(EVICTION_LOCK_TIMEOUT), is_in_use) {
            log::warn!("cannot reduce the folder to size_limit: {error}; plexindex will retry later");
        }
    }

    /// Evicts libraries until the folder's size is at most `limit` bytes, or until the deadline. Keeps libraries for
    /// which `is_in_use` returns `true`.
    fn evict_down_to(&self, limit: u64, deadline: Deadline, is_in_use: &dyn Fn(LibraryId) -> bool) -> Result<()> {
        let mut may_have_history = true;
        loop {
            // First compare the files' sizes, which needs no database.
            if self.store.folder.disk_bytes() <= limit {
                self.warned.store(false, Ordering::Relaxed);
                return Ok(());
            }
            if !self.reclaim_space(deadline)? {
                return Ok(());
            }
            // `bytes_after_vacuum` excludes the write-ahead log, which stays large while other processes read it.
            let bytes = Sweeper(&self.store).bytes_after_vacuum()?;
            if bytes <= limit {
                self.warn_of_broken_databases(limit);
                return Ok(());
            }
            // Remove the feed's history before any listing.
            if may_have_history && FeedRows(&self.store).remove_all_history(deadline)? {
                may_have_history = false;
                continue;
            }
            // Read the time again in each round, because sweeping can take a long time.
            let now_ms = self.clock.now_ms();
            let libraries = LibraryRows(&self.store).evictable_libraries(now_ms)?;
            let Some((library, title)) = libraries.iter().find(|(library, _)| !is_in_use(*library)) else {
                // The next listing retries the eviction.
                if libraries.is_empty() && !self.warned.swap(true, Ordering::Relaxed) {
                    log::warn!(
                        "{} uses {bytes} bytes, more than size_limit={limit}, and nothing else can be evicted: \
                         confirmed matches, tables and the last refreshed library are always kept; raise size_limit",
                        self.store.folder.path().display()
                    );
                }
                return Ok(());
            };
            // Evict the least recently refreshed library, and check the size again.
            if !LibraryRows(&self.store).evict(*library, now_ms, deadline)? {
                return Ok(()); // the library is gone or being listed; the next listing retries the eviction
            }
            log::info!(
                "evicted library '{title}', which was refreshed longest ago: the folder used {bytes} bytes, more than \
                 size_limit={limit}; the next query fetches the library again"
            );
        }
    }

    /// Logs a warning, once, if only damaged databases make the folder larger than the limit.
    fn warn_of_broken_databases(&self, limit: u64) {
        let folder = &self.store.folder;
        let names = folder.broken_databases();
        if !names.is_empty() && !self.warned.swap(true, Ordering::Relaxed) {
            log::warn!(
                "{} exceeds size_limit={limit} because of {}, which plexindex never removes; `plexindex doctor` explains \
                 how to recover confirmed matches from a damaged database",
                folder.path().display(),
                names.join(" and ")
            );
        }
    }

    /// Removes rows that no reader sees, unused files and free database pages. Returns `false` if the deadline passed.
    fn reclaim_space(&self, deadline: Deadline) -> Result<bool> {
        while Sweeper(&self.store).sweep(deadline)? {
            if deadline.moment().is_some_and(|moment| self.clock.has_passed(moment)) {
                return Ok(false);
            }
        }
        Sweeper(&self.store).sweep_segments();
        self.store.checkpoint();
        Ok(true)
    }
}
