//! A handle's snapshot: keeps it current by adding newer commits, loads it again after other changes, and rebuilds
//! segments that it could not open.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::data::{Snapshot, SnapshotLibraries, is_usable};
use crate::engine::current::{CurrentSnapshot, OpenSegments, SnapshotOf};
use crate::engine::memtable::{LibraryChange, MEMTABLE_CAPACITY, MemtableChange};
use crate::engine::records::Records;
use crate::engine::segment::{Matches, SegmentsLost};
use crate::engine::sql::{
    DatabaseNumber, Endpoint, LibraryRow, LibraryRows, RecordRows, Store, StoreState, StoreStates,
};
use crate::engine::view::{LibraryProperties, LibrarySnapshot};
use crate::engine::writing::ListingSegments;
use crate::error::Result;
use crate::matching::Mappings;
use crate::model::{LibraryId, Sequence, ViewId};
use crate::platform::deadline::Deadline;
use crate::platform::swap::Guard;
use crate::stats::{Activity, Counters};

/// Returns the server URL and the user whose libraries the snapshot contains; `None` without a server.
pub type CurrentEndpoint = Box<dyn Fn() -> Option<Endpoint> + Send + Sync>;

/// A handle's snapshot, and the components that update the snapshot.
pub struct LiveSnapshot {
    pub store: Arc<Store>,
    listings: Arc<ListingSegments>,
    pub records: Arc<Records>,
    mappings: Mappings,
    pub counters: Arc<Counters>,
    endpoint: CurrentEndpoint,
    pub snapshot: CurrentSnapshot<SnapshotLibraries>,
    /// Locked while a thread rebuilds segments.
    pub rebuilding: Mutex<()>,
}

impl LiveSnapshot {
    /// Starts with an empty snapshot. The first catch-up loads the libraries.
    pub fn new(
        store: Arc<Store>,
        listings: Arc<ListingSegments>,
        records: Arc<Records>,
        mappings: Mappings,
        counters: Arc<Counters>,
        endpoint: CurrentEndpoint,
    ) -> Self {
        Self {
            snapshot: CurrentSnapshot::new(Arc::clone(&store)),
            store,
            listings,
            records,
            mappings,
            counters,
            endpoint,
            rebuilding: Mutex::new(()),
        }
    }

    /// Returns the snapshot without checking for newer commits.
    #[inline]
    pub fn snapshot(&self) -> Guard<'_, Snapshot> {
        self.snapshot.read()
    }

    /// Returns the id of the snapshot's view; `None` until plexindex first reached the server.
    pub fn view_id(&self) -> Option<ViewId> {
        self.snapshot.read().view_id
    }

    /// Returns the rules that translate between host paths and server paths.
    #[inline]
    pub fn mappings(&self) -> &Mappings {
        &self.mappings
    }

    /// Calls `change`, which changes the server URL or the user, and loads a snapshot for them. Until the new snapshot
    /// is loaded, lookups find no libraries. The caller must have locked `snapshot.catching_up`.
    pub fn change_endpoint(&self, change: impl FnOnce()) -> Result<()> {
        // First make the snapshot empty, so that no call with the new user reads the old user's libraries.
        let last_snapshot = self.snapshot.read();
        let empty_snapshot = SnapshotOf::after(
            &last_snapshot,
            Sequence::default(),
            Arc::default(),
            SnapshotLibraries::default(),
        );
        drop(last_snapshot);
        self.snapshot.replace(empty_snapshot);
        change();
        self.reload_locked(Some(Deadline::NONE))
    }
}

/// Maximum number of changes from one of this process's writes that are added to the snapshot directly. After a larger
/// write, the next catch-up reads the changes from the database.
const MAX_APPLIED: usize = 1024;
/// Maximum number of attempts to load a snapshot while other processes replace its segments.
const MAX_LOADS: u32 = 4;
/// When a memtable is full and at least this many records are in no segment, plexindex rebuilds the record segments.
const MANY_UNMERGED: usize = MEMTABLE_CAPACITY / 2;

impl LiveSnapshot {
    /// Updates the snapshot, or waits for a thread that is updating it. If a memtable cannot contain all changes, writes
    /// the changes to a segment.
    pub fn catch_up(&self, deadline: Deadline) -> Result<()> {
        let deadline = deadline.at_least_shortest();
        self.snapshot
            .read_current(deadline, |_| true, || self.catch_up_locked(Some(deadline)))?;
        Ok(())
    }

    /// Adds to the snapshot the changes that this thread has just committed (`own`), each with its library, without
    /// reading them from the database. `written_at`: the database and the change sequence of the commit. Does
    /// nothing if the snapshot lacks any other commit; the next catch-up then reads all changes.
    pub fn apply_committed(
        &self,
        view_id: ViewId,
        (database_number, sequence): (DatabaseNumber, Sequence),
        own: Vec<(LibraryId, MemtableChange)>,
    ) {
        let _catching_up = self.snapshot.lock();
        let snapshot = self.snapshot.read();
        let is_next =
            snapshot.view_id == Some(view_id) && self.snapshot.lacks_only(&snapshot, database_number, sequence);
        if !is_next || own.len() > MAX_APPLIED {
            return;
        }
        for (library, change) in own {
            if !self.apply(&snapshot, library, change) {
                return; // the memtable is full; the next catch-up applies all changes (again, without effect)
            }
        }
        snapshot.advance_to(sequence);
    }

    /// Reads the commits since the snapshot. Without a `deadline`, fails rather than wait long for the database. The
    /// caller must have locked `catching_up`.
    fn catch_up_locked(&self, deadline: Option<Deadline>) -> Result<()> {
        let snapshot = self.snapshot.read();
        let (since, database_number) = (snapshot.sequence(), snapshot.open.database_number);
        let (sequence, changes) =
            StoreStates(&self.store).changes(snapshot.view_id, since, database_number, deadline)?;
        if changes.is_some_and(|changes| {
            changes
                .into_iter()
                .all(|LibraryChange { library, change, .. }| self.apply(&snapshot, library, change))
        }) {
            snapshot.advance_to(sequence);
            return Ok(());
        }
        drop(snapshot);
        self.reload_locked(deadline)
    }

    /// Reloads the snapshot from the database.
    pub fn reload(&self, deadline: Deadline) -> Result<()> {
        let deadline = deadline.at_least_shortest();
        let _catching_up = self.store.lock_by(deadline, &self.snapshot.catching_up)?;
        self.reload_locked(Some(deadline))
    }

    /// Reloads the snapshot from the database. The caller must have locked `snapshot.catching_up`. Writes changes that
    /// do not fit into memtables to segments. Without a `deadline`, fails if this needs a write or a long wait.
    fn reload_locked(&self, deadline: Option<Deadline>) -> Result<()> {
        for attempt in 0.. {
            let load_start = Instant::now();
            let (snapshot, full_libraries) = self.load_complete(deadline)?;
            self.counters.add_time(Activity::ListingSegment, load_start.elapsed());
            self.counters.add_time(Activity::NotMatching, load_start.elapsed());
            // Use a snapshot with all changes; after two attempts, also one without some changes.
            let (Some(view_id), false, true) = (snapshot.view_id, full_libraries.is_empty(), attempt < 2) else {
                self.snapshot.replace(snapshot);
                break;
            };
            // Write the changes to segments, which the next attempt loads.
            let deadline = deadline.ok_or_else(|| self.store.locked_error())?;
            let segments = Arc::clone(&snapshot.open);
            // Changes to items also fill memtables, so rebuild the record segments only if many records are in no
            // segment.
            let unmerged = RecordRows(&self.store)
                .read_record_log(|log| log.count_since(segments.manifest.merged, MANY_UNMERGED))?;
            if unmerged == MANY_UNMERGED {
                self.records.rebuild(&segments, deadline)?;
            }
            for row in full_libraries {
                self.listings.compact_full_memtable(view_id, &row, deadline)?;
                // A segment cannot contain invalidations, so these still fill the memtable. One request for a full
                // listing replaces them.
                if attempt > 0 {
                    LibraryRows(&self.store).invalidate_all_paths(view_id, row.id, deadline)?;
                }
            }
        }
        Ok(())
    }

    /// Adds a change to the snapshot. Returns `false` if the memtable is full, so that the caller must reload the snapshot.
    fn apply(&self, snapshot: &Snapshot, library: LibraryId, change: MemtableChange) -> bool {
        let index = snapshot.rows.iter().position(|row| row.id == library);
        // Ignore changes to a library that is not in the snapshot.
        index.is_none_or(|index| snapshot.libraries[index].memtable.push(change, &self.mappings).is_ok())
    }

    /// Returns a current snapshot; `None` if the caller would have to wait, or if a segment is missing, because a
    /// lookup without the segments of confirmed matches could return a wrong item.
    #[inline]
    pub fn try_current(&self) -> Option<Guard<'_, Snapshot>> {
        let (snapshot, ()) = self.snapshot.try_read_current(|_| (), || self.catch_up_locked(None))?;
        (!snapshot.is_incomplete).then_some(snapshot)
    }

    /// Loads a snapshot as [`Self::load`] does. Loads it again if a segment is missing because another process has
    /// replaced it, and removed the file, since this thread read its name.
    fn load_complete(&self, deadline: Option<Deadline>) -> Result<(Snapshot, Vec<LibraryRow>)> {
        let mut loaded = self.load(deadline)?;
        for _ in 1..MAX_LOADS {
            if !loaded.0.is_incomplete || self.snapshot.is_current(&loaded.0) {
                break;
            }
            loaded = self.load(deadline)?;
        }
        Ok(loaded)
    }

    /// Loads a snapshot from the database. Also returns the libraries whose memtables cannot contain all changes, so
    /// that the caller writes the changes to segments. Without a `deadline`, fails rather than wait long for the
    /// database.
    fn load(&self, deadline: Option<Deadline>) -> Result<(Snapshot, Vec<LibraryRow>)> {
        let last_snapshot = self.snapshot.read();
        let (view_id, state) = StoreStates(&self.store).state_at((self.endpoint)().as_ref(), deadline)?;
        let StoreState {
            sequence,
            database_number,
            libraries: rows,
            manifest,
            changes,
        } = state;
        let segments = self.records.open(database_number, manifest);
        let libraries = rows
            .iter()
            .map(|row| {
                let last_library = last_snapshot
                    .rows
                    .iter()
                    .position(|old| old.id == row.id && last_snapshot.open.database_number == database_number)
                    .map(|index| (&last_snapshot.rows[index], &*last_snapshot.libraries[index]));
                Arc::new(self.load_library(row, last_library, &segments, sequence))
            })
            .collect::<Vec<Arc<LibrarySnapshot>>>();
        let lacks_segment =
            |(row, view): (&LibraryRow, &Arc<LibrarySnapshot>)| row.generation.is_fetched() && view.segment.is_none();
        let is_incomplete = segments.are_lost() || rows.iter().zip(&libraries).any(lacks_segment);
        let part = SnapshotLibraries {
            view_id,
            rows,
            libraries,
            is_incomplete,
        };
        let snapshot = SnapshotOf::after(&last_snapshot, sequence, segments, part);
        let full_libraries = self.add_changes(&snapshot, changes);
        Ok((snapshot, full_libraries))
    }

    /// Adds changes to a new snapshot. Returns the libraries whose changes the caller must write to segments, because
    /// the memtable is full.
    fn add_changes(&self, snapshot: &Snapshot, changes: Vec<LibraryChange>) -> Vec<LibraryRow> {
        let mut full_libraries: Vec<LibraryRow> = Vec::new();
        for change in changes {
            if !self.apply(snapshot, change.library, change.change)
                && let Some(row) = snapshot.rows.iter().find(|row| row.id == change.library)
                && full_libraries.iter().all(|full| full.id != row.id)
            {
                full_libraries.push(row.clone());
            }
        }
        full_libraries
    }

    /// Creates a library's part of a new snapshot, with an empty memtable. `known`: the library in the last snapshot,
    /// whose unchanged segment is reused. `open`: the record segments, which contain confirmed matches. `now`: the
    /// store's current change sequence.
    fn load_library(
        &self,
        row: &LibraryRow,
        known: Option<(&LibraryRow, &LibrarySnapshot)>,
        open: &OpenSegments,
        now: Sequence,
    ) -> LibrarySnapshot {
        let segment = match known {
            Some((old, view)) if old.segment == row.segment && is_usable(view.segment.as_ref()) => view.segment.clone(),
            _ => self.listings.open(row),
        };
        // Lookups skip the record segments if these have no confirmed matches of the library, unless a segment is lost.
        let matches = row.matches.and_then(|table| {
            let count = row.merged_matches;
            (count > 0 || open.are_lost()).then(|| Matches::new(Arc::clone(&open.segments), table, count, now))
        });
        let properties = LibraryProperties {
            uuid: row.library.uuid.clone(),
            kind: row.library.kind,
            locations: row.library.locations.clone(),
            listed_at: row.listed_sequence().0,
            listing_asked: row.listing_asked().0,
            fetched: row.generation.is_fetched(),
        };
        LibrarySnapshot::new(properties, &self.mappings, segment, matches)
    }

    /// Rebuilds the segments that the snapshot could not open, if there are any.
    pub fn rebuild_if_incomplete(&self, deadline: Deadline) -> Result<()> {
        if self.snapshot.read().is_incomplete {
            self.rebuild_broken(deadline)
        } else {
            Ok(())
        }
    }

    /// Returns the number of confirmed matches in the snapshot. Rebuilds missing and damaged segments first. Returns 0
    /// if a segment is damaged again after its rebuild.
    pub fn count_matches(&self, deadline: Deadline) -> Result<u64> {
        self.rebuild_if_incomplete(deadline)?;
        let count_in = |snapshot: &Snapshot| -> std::result::Result<u64, SegmentsLost> {
            snapshot.libraries.iter().map(|view| view.count_matches()).sum()
        };
        let count = count_in(&self.snapshot.read());
        if let Ok(count) = count {
            return Ok(count);
        }
        self.rebuild_broken(deadline)?;
        Ok(count_in(&self.snapshot.read()).unwrap_or(0))
    }

    /// Rebuilds all missing and damaged segments, and reloads the snapshot.
    pub fn rebuild_broken(&self, deadline: Deadline) -> Result<()> {
        let deadline = deadline.at_least_shortest();
        // While this thread waited for the lock, another thread may have rebuilt the segments.
        let _rebuilding = self.store.lock_by(deadline, &self.rebuilding)?;
        let snapshot = self.snapshot.read();
        let libraries = snapshot.rows.iter().zip(&snapshot.libraries);
        // Libraries whose listing segment is missing (`true`) or damaged (`false`).
        let listings: Vec<(LibraryRow, bool)> = libraries
            .filter(|(row, view)| match &view.segment {
                Some(segment) => segment.is_broken(),
                None => row.generation.is_fetched(),
            })
            .map(|(row, view)| (row.clone(), view.segment.is_none()))
            .collect();
        let segments = snapshot.open.are_lost().then(|| Arc::clone(&snapshot.open));
        let is_lost = !listings.is_empty() || segments.is_some();
        let Some(view_id) = snapshot.view_id.filter(|_| is_lost) else {
            return Ok(());
        };
        drop(snapshot);
        if let Some(open) = segments {
            self.records.rebuild(&open, deadline)?;
        }
        for (row, is_missing) in &listings {
            // Another process may have built a segment that was missing when the snapshot was loaded.
            if !is_missing || self.listings.open(row).is_none() {
                self.listings.replace_segment(view_id, row, deadline)?;
            }
        }
        self.reload(deadline)
    }
}
