//! The snapshot that lookups read, and the code that keeps the snapshot current.
//!
//! A snapshot has the libraries in one view, with their segments and memtables; a [`Selection`] finds one by name. One
//! thread at a time adds newer commits to it, or replaces it after other changes. Segments that could not be opened are
//! rebuilt.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use super::sql::{DatabaseNumber, Endpoint, LibraryRow, LibraryRows, ListingSegments, RecordRows, Store, StoreStates};
use crate::engine::memtable::{LOADED_PER_STEP, LibraryChange, MemtableChange, RecordMemories};
use crate::engine::record_rows::ChangedRecord;
use crate::engine::view::{LibraryProperties, LibrarySnapshot, MatchTable, record_of};
use crate::error::{Error, Result, Status, invalid_argument_error, truncate_for_message};
use crate::matching::normal::normal_form;
use crate::matching::{FoundItem, LibraryIndex, Mappings, NormalPath, Resolver, Scope, owns};
use crate::model::{LibraryId, Sequence, ViewId};
use crate::platform::clock::Deadline;
use crate::platform::fork::{SingleThreadProof, lock};
use crate::platform::swap::{Guard, SwapCell};
use crate::stats::{Activity, Counters};

/// The snapshot of the libraries that lookups read. plexindex adds changes to single matches and items to the snapshot,
/// and replaces the snapshot after any other change.
pub type Snapshot = SnapshotOf<SnapshotLibraries>;

/// The libraries in a snapshot.
#[derive(Default)]
pub struct SnapshotLibraries {
    /// The view's id; `None` until plexindex first reached the server.
    pub view_id: Option<ViewId>,
    /// The libraries, in the order in which plexindex first saw them.
    pub rows: Vec<LibraryRow>,
    /// The segments and memtables of the libraries, in the order of `rows`.
    pub libraries: Vec<Arc<LibrarySnapshot>>,
    /// Whether a segment is missing or damaged, or was built with different mappings.
    pub is_incomplete: bool,
}

impl Snapshot {
    /// Returns the libraries that a call selects (`None`: all); `None` if the snapshot has no such library.
    #[inline]
    pub fn scope(&self, selected: Option<&Selection>) -> Result<Option<Scope>> {
        selected.map_or(Ok(Some(Scope::All)), |library| library.resolve(self))
    }

    /// Returns a library's row, and its segment and memtable; `None` if the snapshot has no such library.
    fn library(&self, id: LibraryId) -> Option<(&LibraryRow, &Arc<LibrarySnapshot>)> {
        self.rows.iter().zip(&self.libraries).find(|(row, _)| row.id == id)
    }

    /// Returns the segment and the memtable of a library that has a listing.
    fn fetched_library(&self, id: LibraryId) -> Option<&Arc<LibrarySnapshot>> {
        let (row, view) = self.library(id)?;
        row.generation.is_fetched().then_some(view)
    }

    /// Returns the rows of the libraries in a scope.
    pub fn rows_in(&self, scope: Scope) -> &[LibraryRow] {
        &self.rows[library_indexes(scope, self.rows.len())]
    }

    /// Returns the ticket of the last probe that the snapshot includes.
    pub fn probed_at(&self) -> Sequence {
        let probed = self.rows.iter().map(LibraryRow::probed_at);
        probed.max().unwrap_or_default()
    }

    /// Returns the segments and memtables of the libraries in a scope.
    pub fn libraries_in(&self, scope: Scope) -> &[Arc<LibrarySnapshot>] {
        &self.libraries[library_indexes(scope, self.libraries.len())]
    }

    /// Returns whether the process knows all confirmed matches of the libraries in a scope.
    #[inline]
    pub fn knows_all_matches(&self, scope: Scope) -> bool {
        let knows =
            |view: &Arc<LibrarySnapshot>| view.matches.as_ref().is_none_or(|matches| matches.memory.is_settled());
        self.libraries_in(scope).iter().all(knows)
    }

    /// Returns whether matches of the libraries in a scope were read after a change sequence, at which a lookup began: it
    /// may have seen them, but not what else was changed with them.
    #[inline]
    pub fn has_matches_after(&self, sequence: Sequence, scope: Scope) -> bool {
        let is_newer = |view: &Arc<LibrarySnapshot>| {
            view.matches
                .as_ref()
                .is_some_and(|known| known.memory.newest() > sequence.0)
        };
        self.libraries_in(scope).iter().any(is_newer)
    }

    /// Returns the number of components that a found item's listed path has below its library's location.
    pub fn components_below_location(&self, found: &FoundItem<'_>) -> usize {
        NormalPath::with(found.path, |listed| {
            self.libraries[found.library].components_below_location(listed)
        })
    }

    /// Returns for each library, in the order of `libraries`, whether one of its folders contains the path itself or
    /// the server path that a mapping gives for it.
    pub fn owners(&self, path: &NormalPath<'_>, mappings: &Mappings) -> Vec<bool> {
        let libraries = self.libraries.iter();
        libraries.map(|view| owns(&**view, path, mappings)).collect()
    }
}

/// Selects a library by a name. The variant says which field of a library plexindex compares with the name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Selector {
    /// A UUID, a title, a section id, or a title in a different case, in this order of preference.
    Any(String),
    /// A title, or a title that differs only in case if no library has exactly this title.
    Title(String),
    /// A section id.
    Section(String),
    /// A UUID.
    Uuid(String),
    /// All libraries.
    All,
}

/// A selected library, or all libraries.
#[derive(Debug)]
pub struct Selection {
    selector: Selector,
    /// The last result, to save the comparison of names: the library's index in the low [`INDEX_BITS`] bits, and the
    /// snapshot's number in the high bits.
    cached: AtomicU64,
}

/// Number of bits for a library's index in [`Selection::cached`].
const INDEX_BITS: u32 = 16;

impl Selection {
    /// Creates a selection. Does not look for the library yet.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] if the selector's name is empty.
    pub fn new(selector: Selector) -> Result<Self> {
        if selector.name().is_empty() && selector != Selector::All {
            return invalid_argument_error(
                "the library's name is empty: give a title, a section id or a uuid, or select all libraries",
            );
        }
        Ok(Self {
            selector,
            cached: AtomicU64::new(0),
        })
    }

    /// Returns the name with which the host selected the library, and its kind, without looking for the library.
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// Finds the selected libraries in a snapshot; `None` if no library matches. Fails if several libraries match the
    /// name.
    #[inline]
    pub fn resolve(&self, snapshot: &Snapshot) -> Result<Option<Scope>> {
        match self.cached_index(snapshot) {
            Some(index) => Ok(Some(Scope::One(index))),
            None => self.find(snapshot),
        }
    }

    /// Compares the names.
    fn find(&self, snapshot: &Snapshot) -> Result<Option<Scope>> {
        if self.selector == Selector::All {
            return Ok(Some(Scope::All));
        }
        let mut matching = matching_rows(&self.selector, &snapshot.rows);
        let Some(index) = matching.next() else {
            return Ok(None);
        };
        if let Some(other) = matching.next() {
            let ids: Vec<String> = [index, other]
                .into_iter()
                .chain(matching)
                .filter_map(|index| snapshot.rows.get(index))
                .map(|row| format!("{} ({})", row.library.section, row.library.kind.name()))
                .collect();
            return Err(Error::new(
                Status::LibraryAmbiguous,
                format!(
                    "{} libraries have the name '{}'; use a section id: {}",
                    ids.len(),
                    truncate_for_message(self.selector.name().as_bytes()),
                    ids.join(", ")
                ),
            ));
        }
        let new_cached = snapshot.number << INDEX_BITS | index as u64;
        self.cached.store(new_cached, Ordering::Relaxed);
        Ok(Some(Scope::One(index)))
    }

    /// Returns the library's index in the snapshot if `resolve` last found it in the same snapshot; otherwise `None`.
    #[inline]
    fn cached_index(&self, snapshot: &Snapshot) -> Option<usize> {
        let cached = self.cached.load(Ordering::Relaxed);
        let index = cached & ((1 << INDEX_BITS) - 1); // the low bits
        (cached >> INDEX_BITS == snapshot.number && snapshot.number > 0).then(|| usize::try_from(index).unwrap_or(0))
    }
}

/// Returns the indexes of the rows that a selector matches. [`Selector::Any`] compares the name with only one field:
/// the first of UUID, title and section id that some row has. If no row has the name, compares titles and ignores case.
fn matching_rows<'r>(selector: &'r Selector, rows: &'r [LibraryRow]) -> impl Iterator<Item = usize> + 'r {
    type Field = fn(&LibraryRow) -> &str;
    let (uuid, title, section): (Field, Field, Field) = (
        |row| &row.library.uuid,
        |row| &row.library.title,
        |row| &row.library.section,
    );
    let has_row = |field: Field, name: &str| rows.iter().any(|row| field(row) == name);
    let (field, name): (Field, &str) = match selector {
        Selector::Any(name) if has_row(uuid, name) => (uuid, name),
        Selector::Any(name) if has_row(section, name) && !has_row(title, name) => (section, name),
        Selector::Any(name) | Selector::Title(name) => (title, name),
        Selector::Section(name) => (section, name),
        Selector::Uuid(name) => (uuid, name),
        Selector::All => (uuid, ""), // not used
    };
    let is_title = matches!(selector, Selector::Any(_) | Selector::Title(_));
    let folded = (is_title && !has_row(field, name)).then(|| name.to_lowercase());
    rows.iter()
        .enumerate()
        .filter(move |(_, row)| match &folded {
            Some(folded) => field(row).to_lowercase() == *folded,
            None => field(row) == name,
        })
        .map(|(index, _)| index)
}

impl<N: Into<String>> From<N> for Selector {
    fn from(name: N) -> Self {
        Self::Any(name.into())
    }
}

impl Selector {
    /// Returns the name; an empty string for [`Selector::All`].
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Any(name) | Self::Title(name) | Self::Section(name) | Self::Uuid(name) => name,
            Self::All => "",
        }
    }
}

/// Returns the index range of the libraries in a scope. `count`: the total number of libraries.
pub fn library_indexes(scope: Scope, count: usize) -> std::ops::Range<usize> {
    match scope {
        Scope::One(index) => index..index + 1,
        Scope::All => 0..count,
    }
}

/// Returns the server URL and the user whose libraries the snapshot contains; `None` without a server.
pub type CurrentEndpoint = Box<dyn Fn() -> Option<Endpoint> + Send + Sync>;

/// A handle's snapshot, and the components that update the snapshot.
pub struct LiveSnapshot {
    pub store: Arc<Store>,
    listings: Arc<ListingSegments>,
    /// The rules that translate between host paths and server paths.
    pub mappings: Mappings,
    pub counters: Arc<Counters>,
    endpoint: CurrentEndpoint,
    pub snapshot: CurrentSnapshot<SnapshotLibraries>,
    /// Locked while a thread rebuilds segments, or builds an index of one.
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
/// Maximum number of times that a lookup reads matches, while other processes commit in between.
const MAX_READS: u32 = 64;
/// Maximum number of times that a lookup asks for matches or an entry, while other processes change them.
pub const MAX_QUESTIONS: u32 = 4;

impl LiveSnapshot {
    /// Updates the snapshot, or waits for a thread that is updating it. If a memtable cannot contain all changes, writes
    /// the changes to a segment.
    pub fn catch_up(&self, deadline: Deadline) -> Result<()> {
        let deadline = Some(deadline.at_least_shortest());
        let current = self.snapshot.read_current(deadline, || self.catch_up_locked(deadline));
        current.map(drop)
    }

    /// Returns the rating keys among `matches` that a listed library lacks, so that the server must be asked about them.
    pub fn unlisted<'m>(&self, row: &LibraryRow, matches: &[(&[u8], &'m str)]) -> Vec<&'m str> {
        let snapshot = self.snapshot.read();
        let Some(view) = snapshot.fetched_library(row.id) else {
            return Vec::new();
        };
        let keys = matches.iter().map(|(_, key)| *key);
        keys.filter(|key| view.find_item(key).is_none()).collect()
    }

    /// Returns the latest time, in Unix ms, at which a library may first have listed a path for another item; `None` if it
    /// lists the path for the item `rating_key`, or for no item.
    pub fn others_listed_ms(&self, library: LibraryId, path: &[u8], rating_key: &str) -> Option<i64> {
        let snapshot = self.snapshot.read();
        let (row, view) = snapshot
            .library(library)
            .filter(|(row, _)| row.generation.is_fetched())?;
        let resolver = Resolver::new(std::slice::from_ref(view), Scope::One(0), &self.mappings);
        let listed_at = Sequence(resolver.listed_for_others(path, rating_key)?);
        row.knowledge.came_by_ms(listed_at)
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
        let Some(matches) = snapshot.library(library).and_then(|(_, view)| view.matches.as_ref()) else {
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
        if let Some((changes, matches)) = changes
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
        let _catching_up = self.store.lock_by(deadline, &self.snapshot.catching_up)?;
        self.reload_locked(Some(deadline))
    }

    /// Reloads the snapshot from the database. The caller must have locked `snapshot.catching_up`. Writes changes that
    /// do not fit into memtables to segments. Without a `deadline`, fails if this needs a write or a long wait.
    fn reload_locked(&self, deadline: Option<Deadline>) -> Result<()> {
        for attempt in 0.. {
            let load_start = Instant::now();
            let (snapshot, full_libraries) = self.load_complete(deadline)?;
            self.counters.add_time_of_call(Activity::ListingSegment, load_start);
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
        // Ignore changes to a library that is not in the snapshot.
        let known = snapshot.library(library);
        known.is_none_or(|(_, view)| view.memtable.push(change, &self.mappings).is_ok())
    }

    /// Returns a current snapshot; `None` if the caller would have to wait, or if a segment is missing.
    #[inline]
    pub fn try_current(&self) -> Option<Guard<'_, Snapshot>> {
        let current = self.snapshot.read_current(None, || self.catch_up_locked(None));
        current.ok().filter(|snapshot| !snapshot.is_incomplete)
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
        let held_of = self.store.database_number();
        let held = self.matches(held_of).held();
        let held_since = held.0;
        let (view_id, state) =
            StoreStates(&self.store).state_at((self.endpoint)().as_ref(), (held_of, held), deadline)?;
        let (sequence, database_number, rows) = (state.sequence, state.database_number, state.libraries);
        let memories = self.matches(database_number);
        memories.follow(held_since, sequence, state.changed_matches.as_deref());
        let libraries = rows
            .iter()
            .map(|row| {
                let last_library = last_snapshot
                    .library(row.id)
                    .filter(|_| last_snapshot.database_number == database_number);
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
        let mut full_libraries: Vec<LibraryRow> = Vec::new();
        for change in state.changes {
            if !self.apply(&snapshot, change.library, change.change)
                && let Some((row, _)) = snapshot.library(change.library)
                && full_libraries.iter().all(|full| full.id != row.id)
            {
                full_libraries.push(row.clone());
            }
        }
        Ok((snapshot, full_libraries))
    }

    /// Returns what the process has in memory of the matches in a database.
    fn matches(&self, database: DatabaseNumber) -> &RecordMemories {
        &self.store.memories(database).matches
    }

    /// Creates a library's part of a new snapshot, with an empty memtable. `known`: the library in the last snapshot,
    /// whose unchanged segment is reused. `matches`: its confirmed matches.
    fn load_library(
        &self,
        row: &LibraryRow,
        known: Option<(&LibraryRow, &Arc<LibrarySnapshot>)>,
        matches: Option<MatchTable>,
    ) -> LibrarySnapshot {
        let same = known.filter(|(old, _)| old.segment == row.segment);
        let usable = same.and_then(|(_, view)| view.segment.clone().filter(|segment| !segment.is_broken()));
        let segment = usable.or_else(|| self.listings.open(row));
        let properties = LibraryProperties {
            uuid: row.library.uuid.clone(),
            kind: row.library.kind,
            locations: row.library.locations.clone(),
            listed_at: row.listed_sequence().0,
            listing_asked: row.listing_asked().0,
            fetched: row.generation.is_fetched(),
            evicted_at: if row.generation.is_lost() {
                row.knowledge.base.came.0
            } else {
                0
            },
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
        let _catching_up = self.store.lock_by(deadline, &self.snapshot.catching_up)?;
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
        if !matches.put(sequence, &(form.to_vec(), found)) {
            return Ok(matches.memory.must_renew());
        }
        let next = |after: Option<&[u8]>| rows.matches_after(matches.table, after, LOADED_PER_STEP, sequence, deadline);
        matches.memory.load_more(sequence, next, record_of);
        Ok(true)
    }

    /// Opens or builds the indexes of the libraries in scope that lack one, or waits for a thread that does. Returns `false`
    /// if the deadline passes first; the next call then continues.
    pub fn prepare_indexes(&self, snapshot: &Snapshot, scope: Scope, deadline: Deadline) -> Result<bool> {
        let segments = || {
            snapshot
                .libraries_in(scope)
                .iter()
                .filter_map(|view| view.segment.as_ref())
        };
        if segments().all(|segment| segment.has_index()) {
            return Ok(true);
        }
        let start = Instant::now();
        let prepare = |_building: MutexGuard<'_, ()>| {
            for segment in segments() {
                if !segment.prepare_index(deadline)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let locked = self.store.lock_by(deadline, &self.rebuilding);
        let is_ready = locked.map_or(Ok(false), prepare);
        self.counters.add_time_of_call(Activity::Store, start);
        is_ready
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
    let Some((_, view)) = changed.library.and_then(|library| snapshot.library(library)) else {
        return true; // a library that is not in the snapshot
    };
    let matches = view.matches.as_ref();
    matches.is_some_and(|matches| matches.table == changed.table)
}

/// A snapshot of the store's libraries or tables, depending on `P`.
#[derive(Default)]
pub struct SnapshotOf<P> {
    /// Number of the snapshot within its handle, counted from 1. The empty initial snapshot has number 0.
    pub number: u64,
    /// The change sequence up to which the snapshot contains every commit.
    sequence: AtomicU64,
    pub database_number: DatabaseNumber,
    /// The libraries or the tables.
    part: P,
}

impl<P> Deref for SnapshotOf<P> {
    type Target = P;

    /// Returns the libraries or tables in the snapshot.
    #[inline]
    fn deref(&self) -> &P {
        &self.part
    }
}

impl<P> SnapshotOf<P> {
    /// Creates the snapshot that replaces `before`, with the next number, from the libraries or tables `part` of a
    /// database, which contain every commit up to `sequence`.
    pub fn after(before: &Self, sequence: Sequence, database_number: DatabaseNumber, part: P) -> Self {
        Self {
            number: before.number + 1,
            sequence: AtomicU64::new(sequence.0),
            database_number,
            part,
        }
    }

    /// Returns the change sequence up to which the snapshot contains every commit.
    #[inline]
    pub fn sequence(&self) -> Sequence {
        Sequence(self.sequence.load(Ordering::Acquire))
    }

    /// Records that the snapshot now contains every commit up to `sequence`.
    pub fn advance_to(&self, sequence: Sequence) {
        self.sequence.store(sequence.0, Ordering::Release);
    }
}

/// A handle's current snapshot of its libraries or tables (`P`), which lookups read without a lock.
pub struct CurrentSnapshot<P> {
    store: Arc<Store>,
    snapshot: SwapCell<SnapshotOf<P>>,
    /// Locked while a thread updates the snapshot, so that only one thread at a time reads newer commits.
    pub catching_up: Mutex<()>,
}

impl<P: Default> CurrentSnapshot<P> {
    /// Starts with an empty snapshot, which the first update replaces.
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            snapshot: SwapCell::new(SnapshotOf::default()),
            catching_up: Mutex::new(()),
        }
    }

    /// Returns the snapshot without taking a lock. The newest commits may be missing.
    #[inline]
    pub fn read(&self) -> Guard<'_, SnapshotOf<P>> {
        self.snapshot.read()
    }

    /// Replaces the snapshot. The caller must have locked `catching_up`.
    pub fn replace(&self, snapshot: SnapshotOf<P>) {
        self.snapshot.replace(snapshot);
    }

    /// Locks `catching_up`. Waits for a thread that is updating the snapshot.
    pub fn lock(&self) -> MutexGuard<'_, ()> {
        lock(&self.catching_up)
    }

    /// Returns whether the snapshot contains every commit. Takes only a few memory loads.
    #[inline]
    pub fn is_current(&self, snapshot: &SnapshotOf<P>) -> bool {
        // The initial snapshot contains nothing, even where nothing changes.
        snapshot.number > 0 && self.store.is_current_in(snapshot.database_number, snapshot.sequence())
    }

    /// Returns whether the snapshot lacks only the commit with this database and change sequence. If so, the thread
    /// that made the commit can add its changes without reading the database. Compares the database, because two
    /// databases can use the same change sequence for different commits.
    pub fn lacks_only(&self, snapshot: &SnapshotOf<P>, database_number: DatabaseNumber, sequence: Sequence) -> bool {
        snapshot.database_number == database_number
            && self.store.database_number() == database_number
            && snapshot.sequence().next() == sequence
    }

    /// Returns a snapshot with every commit. If a commit is missing, waits for the lock until the deadline, and calls
    /// `read_newer`, which adds newer commits to the snapshot or replaces it. Without a deadline, fails rather than wait
    /// long.
    #[inline]
    pub fn read_current(
        &self,
        deadline: Option<Deadline>,
        read_newer: impl FnOnce() -> Result<()>,
    ) -> Result<Guard<'_, SnapshotOf<P>>> {
        let snapshot = self.read();
        if self.is_current(&snapshot) {
            return Ok(snapshot);
        }
        drop(snapshot);
        let _catching_up = self.store.lock_by(deadline, &self.catching_up)?;
        if !self.is_current(&self.read()) {
            read_newer()?;
            // Perhaps no version page was mapped. Map a page that another process has created, for later checks.
            self.store.map_existing_page();
        }
        Ok(self.read())
    }

    /// In the child after a fork, resets the reader counts of the parent's other threads, which no longer exist.
    /// `alone`: a proof that the child has a single thread.
    pub fn after_fork(&self, alone: &SingleThreadProof) {
        self.snapshot.reset_after_fork(alone);
    }
}
