//! A handle's snapshot: keeps it current by adding newer commits, loads it again after other changes, and rebuilds
//! segments that it could not open.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::data::{Snapshot, SnapshotLibraries, is_usable, library_indexes};
use crate::engine::current::{CurrentSnapshot, SnapshotOf};
use crate::engine::memtable::{LibraryChange, LoadAfter, MemtableChange, RecordMemories};
use crate::engine::record_rows::{ChangedRecord, TableMatches};
use crate::engine::sql::{
    Changes, DatabaseNumber, Endpoint, HeldMatches, LibraryRow, LibraryRows, RecordRows, Store, StoreState, StoreStates,
};
use crate::engine::view::{FormMatches, LibraryProperties, LibrarySnapshot, MatchTable};
use crate::engine::writing::ListingSegments;
use crate::error::Result;
use crate::matching::normal::normal_form;
use crate::matching::{Mappings, NormalPath, Scope};
use crate::model::{LibraryId, Sequence, ViewId};
use crate::platform::clock::Deadline;
use crate::platform::swap::Guard;
use crate::stats::{Activity, Counters};

/// Returns the server URL and the user whose libraries the snapshot contains; `None` without a server.
pub type CurrentEndpoint = Box<dyn Fn() -> Option<Endpoint> + Send + Sync>;

/// A handle's snapshot, and the components that update the snapshot.
pub struct LiveSnapshot {
    pub store: Arc<Store>,
    listings: Arc<ListingSegments>,
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
        mappings: Mappings,
        counters: Arc<Counters>,
        endpoint: CurrentEndpoint,
    ) -> Self {
        Self {
            snapshot: CurrentSnapshot::new(Arc::clone(&store)),
            store,
            listings,
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
            DatabaseNumber::default(),
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
/// Number of forms that a step of loading matches reads, which takes less than a millisecond.
const LOADED_PER_STEP: usize = 512;
/// Maximum number of times that a lookup reads matches, while other processes commit in between.
const MAX_READS: u32 = 64;
/// Maximum number of times that a lookup asks for matches, while other processes change them.
pub const MAX_QUESTIONS: u32 = 4;

impl LiveSnapshot {
    /// Updates the snapshot, or waits for a thread that is updating it. If a memtable cannot contain all changes, writes
    /// the changes to a segment.
    pub fn catch_up(&self, deadline: Deadline) -> Result<()> {
        let deadline = deadline.at_least_shortest();
        self.snapshot
            .read_current(deadline, |_| true, || self.catch_up_locked(Some(deadline)))?;
        Ok(())
    }

    /// Adds to the snapshot the changes that this thread has just committed (`own`) in a library, without reading them from
    /// the database, and marks the matches of `paths` as outdated. `written_at`: the database and the change sequence of
    /// the commit. Does nothing if the snapshot lacks any other commit; the next catch-up then reads all changes.
    pub fn apply_committed<'p>(
        &self,
        view_id: ViewId,
        library: LibraryId,
        (database_number, sequence): (DatabaseNumber, Sequence),
        own: Vec<MemtableChange>,
        paths: impl ExactSizeIterator<Item = &'p [u8]>,
    ) {
        let _catching_up = self.snapshot.lock();
        let snapshot = self.snapshot.read();
        let is_next =
            snapshot.view_id == Some(view_id) && self.snapshot.lacks_only(&snapshot, database_number, sequence);
        if !is_next || own.len().max(paths.len()) > MAX_APPLIED {
            return;
        }
        let index = snapshot.rows.iter().position(|row| row.id == library);
        let Some(matches) = index.and_then(|index| snapshot.libraries[index].matches.as_ref()) else {
            return; // the first match of a library; the next catch-up loads the library again
        };
        for change in own {
            if !self.apply(&snapshot, library, change) {
                return; // the memtable is full; the next catch-up applies all changes (again, without effect)
            }
        }
        let changed = paths.map(|path| ChangedRecord {
            sequence,
            table: matches.table,
            key: normal_form(path),
            library: Some(library),
        });
        let changed: Vec<ChangedRecord> = changed.collect();
        self.matches(database_number)
            .follow(snapshot.sequence(), sequence, Some(&changed));
        snapshot.advance_to(sequence);
    }

    /// Reads the commits since the snapshot. Without a `deadline`, fails rather than wait long for the database. The
    /// caller must have locked `catching_up`.
    fn catch_up_locked(&self, deadline: Option<Deadline>) -> Result<()> {
        let snapshot = self.snapshot.read();
        let (since, database_number) = (snapshot.sequence(), snapshot.database_number);
        let (sequence, changes) =
            StoreStates(&self.store).changes(snapshot.view_id, since, database_number, deadline)?;
        if let Some(Changes { changes, matches }) = changes
            && matches.iter().all(|changed| has_table(&snapshot, changed))
        {
            // Doubts come first: whoever no longer sees a match must see the doubt about its path.
            let mut changes = changes.into_iter();
            if changes.all(|LibraryChange { library, change, .. }| self.apply(&snapshot, library, change)) {
                self.matches(database_number).follow(since, sequence, Some(&matches));
                snapshot.advance_to(sequence);
                return Ok(());
            }
        }
        drop(snapshot);
        self.reload_locked(deadline)
    }

    /// Reloads the snapshot from the database.
    pub fn reload(&self, deadline: Deadline) -> Result<()> {
        let deadline = deadline.at_least_shortest();
        let _catching_up = self.snapshot.lock_by(Some(deadline))?;
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

    /// Returns a current snapshot; `None` if the caller would have to wait, or if a segment is missing.
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
        let held = self.held_matches();
        let (view_id, state) = StoreStates(&self.store).state_at((self.endpoint)().as_ref(), &held, deadline)?;
        let StoreState {
            sequence,
            database_number,
            libraries: rows,
            matches,
            changed_matches,
            is_from_file,
            changes,
        } = state;
        let memories = self.matches(database_number);
        let since = if is_from_file { sequence } else { held.since };
        memories.follow(since, sequence, changed_matches.as_deref());
        let load_few = |few: TableMatches| {
            let table = MatchTable::new(few.table, memories.memory(few.table));
            table.load_all(few.matches, sequence);
            table
        };
        // Memories live while they are in use.
        let _loaded: Vec<MatchTable> = matches.into_iter().map(load_few).collect();
        let libraries = rows
            .iter()
            .map(|row| {
                let last_library = last_snapshot
                    .rows
                    .iter()
                    .position(|old| old.id == row.id && last_snapshot.database_number == database_number)
                    .map(|index| (&last_snapshot.rows[index], &*last_snapshot.libraries[index]));
                let table = row.matches.map(|id| MatchTable::new(id, memories.memory(id)));
                Arc::new(self.load_library(row, last_library, table))
            })
            .collect::<Vec<Arc<LibrarySnapshot>>>();
        let lacks_segment =
            |(row, view): (&LibraryRow, &Arc<LibrarySnapshot>)| row.generation.is_fetched() && view.segment.is_none();
        let is_incomplete = rows.iter().zip(&libraries).any(lacks_segment);
        let part = SnapshotLibraries {
            view_id,
            rows,
            libraries,
            is_incomplete,
        };
        let snapshot = SnapshotOf::after(&last_snapshot, sequence, database_number, part);
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

    /// Returns what the process has in memory of the matches in a database.
    fn matches(&self, database: DatabaseNumber) -> &RecordMemories {
        &self.store.memories(database).matches
    }

    /// Returns which matches the process has in memory, so that they need not be read again.
    fn held_matches(&self) -> HeldMatches {
        let database_number = self.store.database_number();
        let (since, tables) = self.matches(database_number).held();
        HeldMatches {
            database_number,
            since,
            tables,
        }
    }

    /// Creates a library's part of a new snapshot, with an empty memtable. `known`: the library in the last snapshot,
    /// whose unchanged segment is reused. `matches`: its confirmed matches.
    fn load_library(
        &self,
        row: &LibraryRow,
        known: Option<(&LibraryRow, &LibrarySnapshot)>,
        matches: Option<MatchTable>,
    ) -> LibrarySnapshot {
        let segment = match known {
            Some((old, view)) if old.segment == row.segment && is_usable(view.segment.as_ref()) => view.segment.clone(),
            _ => self.listings.open(row),
        };
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

    /// Returns the number of the view's confirmed matches.
    pub fn count_matches(&self) -> Result<u64> {
        self.view_id()
            .map_or(Ok(0), |view_id| RecordRows(&self.store).count_matches(view_id))
    }

    /// Makes known what hosts recorded for a path in the libraries of a scope: asks the database where the process does
    /// not know it. Returns `false` if that was read after the snapshot, so that the caller needs a newer one. Without a
    /// `deadline`, fails rather than wait long for the database.
    #[inline]
    pub fn ask_matches(
        &self,
        snapshot: &Snapshot,
        scope: Scope,
        path: &[u8],
        deadline: Option<Deadline>,
    ) -> Result<bool> {
        if snapshot.knows_all_matches(scope) {
            return Ok(true);
        }
        NormalPath::with(path, |path| self.ask_unknown_matches(snapshot, scope, path, deadline))
    }

    /// Asks like [`Self::ask_matches`].
    #[cold]
    fn ask_unknown_matches(
        &self,
        snapshot: &Snapshot,
        scope: Scope,
        path: &NormalPath<'_>,
        deadline: Option<Deadline>,
    ) -> Result<bool> {
        let knows = |view: &Arc<LibrarySnapshot>| view.matches.as_ref().is_none_or(|matches| matches.knows(path));
        if snapshot.libraries_in(scope).iter().all(knows) {
            return Ok(true);
        }
        let _catching_up = self.snapshot.lock_by(deadline)?;
        for _ in 0..MAX_READS {
            let current = self.snapshot.read();
            if current.number != snapshot.number {
                return Ok(false);
            }
            let (mut is_current, mut has_full) = (true, false);
            for index in library_indexes(scope, current.libraries.len()) {
                if let Some(matches) = current.libraries[index]
                    .matches
                    .as_ref()
                    .filter(|matches| !matches.knows(path))
                {
                    is_current &= self.fill(matches, path.form(), current.sequence(), deadline)?;
                    has_full |= matches.memory.must_renew();
                }
            }
            drop(current);
            if has_full {
                self.reload_locked(deadline)?;
                return Ok(false);
            }
            if is_current {
                return Ok(true);
            }
            // Another process has committed since: read that, too.
            self.catch_up_locked(deadline)?;
        }
        Ok(false)
    }

    /// Reads the matches of a form from the database, and some more if the process keeps asking. Returns `false` if the
    /// database has changed since `sequence`.
    fn fill(&self, matches: &MatchTable, form: &[u8], sequence: Sequence, deadline: Option<Deadline>) -> Result<bool> {
        let rows = RecordRows(&self.store);
        let Some(found) = rows.matches_of_form(matches.table, form, sequence, deadline)? else {
            return Ok(false);
        };
        if !matches.put(sequence, &[(form.to_vec(), found)]) {
            return Ok(matches.memory.must_renew());
        }
        // If a step of loading fails, or the database changes, a later one loads more.
        if let Some(after) = matches.memory.count_question()
            && let LoadAfter(after_form) = &after
            && let Ok((read_at, found)) =
                rows.matches_after(matches.table, after_form.as_deref(), LOADED_PER_STEP, deadline)
            && read_at == sequence
        {
            let last = found.last().map(|(last, _)| last.clone());
            let mut forms: Vec<FormMatches> = Vec::new();
            for (form, stored) in found {
                match forms.last_mut() {
                    Some((last, matches)) if *last == form => matches.extend(stored),
                    _ => forms.push((form, stored.into_iter().collect())),
                }
            }
            matches.load(sequence, &after, &forms, last.as_deref());
        }
        Ok(true)
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
        let Some(view_id) = snapshot.view_id.filter(|_| !listings.is_empty()) else {
            return Ok(());
        };
        drop(snapshot);
        for (row, is_missing) in &listings {
            // Another process may have built a segment that was missing when the snapshot was loaded.
            if !is_missing || self.listings.open(row).is_none() {
                self.listings.replace_segment(view_id, row, deadline)?;
            }
        }
        self.reload(deadline)
    }
}

/// Returns whether the snapshot has the table of a changed match. If not, it must be loaded again.
fn has_table(snapshot: &Snapshot, changed: &ChangedRecord) -> bool {
    let Some(index) = snapshot.rows.iter().position(|row| Some(row.id) == changed.library) else {
        return true; // a library that is not in the snapshot
    };
    let matches = snapshot.libraries[index].matches.as_ref();
    matches.is_some_and(|matches| matches.table == changed.table)
}
