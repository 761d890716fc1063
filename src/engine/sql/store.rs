//! Opens and closes a store, and opens its database again after the database was replaced. Announces transactions on
//! the version page, and to the observer that shares a host's writes. Read and write transactions on
//! the database at the store's path are short.
//!
//! Checks that the database and its version page still have their names. A process may have a removed or replaced page
//! mapped, which no writer updates. A check of the names is therefore valid only for [`PAGE_CHECK_MS`], measured by a
//! clock that needs no system call. Before a process creates a page, it waits for [`PAGE_CHECK_MS`], so that no other
//! process still uses the old page.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::{Duration, Instant};

use once_cell::race::OnceBox;
use rusqlite::ffi::{SQLITE_BUSY, SQLITE_CORRUPT, SQLITE_READONLY_DBMOVED};
use rusqlite::{Connection, ErrorCode};

use super::connection::{Connections, LazyConnection, OpenConnection};
use super::schema::{
    BUSY, CachedStatements, LastWrite, RollbackGuard, SEQUENCE_BITS, Tx, WaitGuard, check_version, failure, sequence_of,
};
use super::store_folder::{StoreFolder, StoreKey, explain, is_broken, is_locked};
use crate::engine::common_clock::CommonClock;
use crate::engine::memtable::StoreMemories;
use crate::engine::version_page::{PAGE_CHECK_MS, VersionPage};
use crate::error::{Error, Result, Status};
use crate::model::Sequence;
use crate::platform::clock::{Deadline, coarse_ms};
use crate::platform::files::{self, Inode, write_out};
use crate::platform::fork::{self, ShortWait, lock, try_lock};
use crate::platform::map::MapMode;

/// An open store, which any number of threads can use. Calls are short and never wait for the network.
pub struct Store {
    /// The folder that contains the store's files.
    pub folder: StoreFolder,
    pub(super) connections: Arc<Connections>,
    /// Whether lookups in this process use the version page. Writes update the page in any case.
    pub(super) uses_version_page: bool,
    pub(super) opened: OpenFiles,
    /// Whether the warning about several views was logged.
    pub(super) warned_of_views: AtomicBool,
    /// Is told of writes that other hosts must get.
    listener: OnceLock<Weak<dyn SharedWriteListener>>,
    /// Whether such writes sync to disk before they return.
    pub(super) syncs_shared: AtomicBool,
    /// Whether there are such writes of which the listener was not told.
    pub(super) has_undelivered: AtomicBool,
    pub(super) common_clock: CommonClock,
    /// Maximum time that lookups wait for other threads and processes.
    pub short_wait: ShortWait,
}

impl Store {
    /// Opens the store in `directory`, and creates missing files. Renames a foreign or damaged database to `.broken`.
    /// If `uses_version_page` is `false`, each lookup queries the database instead of the version page.
    ///
    /// # Errors
    /// [`Status::Store`] if the folder cannot be created or is read-only; [`Status::StoreFull`].
    pub fn open(directory: &Path, uses_version_page: bool) -> Result<Self> {
        Self::open_for(directory, uses_version_page, false)
    }

    /// As [`Store::open`]. If `is_offline`, the store can also be in a folder that this user cannot write to.
    pub fn open_for(directory: &Path, uses_version_page: bool, is_offline: bool) -> Result<Self> {
        let mut folder = StoreFolder::open(directory)?;
        // Opening a store does not always write, so report a read-only folder now instead of at the first write.
        if let Err(error) = files::expect_writable(folder.path()) {
            if !is_offline {
                return Err(folder.cannot("write to", &error));
            }
            folder = folder.for_reading(&error)?;
        }
        Self::open_in(folder, uses_version_page)
    }

    pub(super) fn open_in(folder: StoreFolder, uses_version_page: bool) -> Result<Self> {
        let mut store = Self {
            connections: Connections::new(&folder),
            opened: OpenFiles::new(&folder, 0, [0; 32], None, None),
            folder,
            uses_version_page,
            warned_of_views: AtomicBool::new(false),
            listener: OnceLock::new(),
            syncs_shared: AtomicBool::new(false),
            has_undelivered: AtomicBool::new(false),
            common_clock: CommonClock::default(),
            short_wait: ShortWait::default(),
        };
        let opened = {
            let mut writer = lock(&store.connections.writer);
            let result = store.inspect(&mut writer, Some(Deadline::NONE));
            if let Some(broken) = writer.broken_file() {
                // The database is damaged, so create a new one.
                writer.close();
                store.folder.rename_broken(broken)?;
                store.inspect(&mut writer, Some(Deadline::NONE))?
            } else {
                result?
            }
        };
        store.opened = opened;
        Ok(store)
    }

    /// Opens a store like another process: with memories of its own.
    #[cfg(test)]
    pub fn open_elsewhere(directory: &Path) -> Self {
        let store = Self::open(directory, true).expect("the store opens");
        store.opened.newest().have_own_memories();
        store
    }

    /// Sets who is told of writes that other hosts must get. Only the first call has an effect. `syncs`: whether such writes
    /// sync to disk before they return, so that a power cut loses none.
    pub fn listen(&self, listener: Weak<dyn SharedWriteListener>, syncs: bool) {
        let _ = self.listener.set(listener);
        self.syncs_shared.store(syncs, Ordering::Relaxed);
    }

    /// Opens the writer's connection, maps the version page, and returns the database's file and the page. Repairs a
    /// page whose last writer may have died. Creates a missing page, unless `deadline` is `None`, for a call that waits
    /// only a moment.
    fn inspect(&self, writer: &mut LazyConnection, deadline: Option<Deadline>) -> Result<OpenFiles> {
        writer.open_within(self.patience(deadline))?;
        let (connection, id) = writer.connection()?;
        let (secret, sequence) = connection
            .value::<[u8; 32]>("SELECT secret FROM meta", [])
            .and_then(|secret| Ok((secret, sequence_of(connection)?)))
            .map_err(|error| self.explain_error(&error, writer))?;
        let page = match deadline {
            _ if !self.folder.shares_memory => None,
            Some(_) => {
                let page = VersionPage::open(&self.folder.page(), id, is_first_sequence(sequence));
                page.inspect_err(warn_of_page).ok()
            }
            None => VersionPage::existing(&self.folder.page(), id).ok().flatten(),
        };
        if let Some(page) = &page {
            let (connection, _) = writer.connection()?;
            repair(page, connection).map_err(|error| self.explain_error(&error, writer))?;
        }
        Ok(OpenFiles::new(&self.folder, id, secret, writer.file(), page))
    }

    /// Returns how to read segments: mapped, unless the host or the file system rules out shared memory.
    pub fn map_mode(&self) -> MapMode {
        if self.uses_version_page && self.folder.shares_memory {
            MapMode::Map
        } else {
            MapMode::Read
        }
    }

    /// Returns the current database, to which later reads belong.
    #[must_use]
    pub fn database_number(&self) -> DatabaseNumber {
        DatabaseNumber(self.opened.newest().number)
    }

    /// Returns what this process has in memory of a database's records.
    #[must_use]
    pub fn memories(&self, database: DatabaseNumber) -> &StoreMemories {
        self.opened.of(database).memories()
    }

    /// Returns whether `sequence` is the newest commit in this database. Returns `false` if the version page cannot
    /// show the newest commit. Takes only a few memory loads.
    #[inline]
    #[must_use]
    pub fn is_current_in(&self, database_number: DatabaseNumber, sequence: Sequence) -> bool {
        let opened = self.opened.newest();
        let is_newest = if self.folder.is_read_only {
            opened.has_names() // what changes is another database
        } else {
            self.uses_version_page && opened.page_state() == Some(sequence.0)
        };
        is_newest && database_number == DatabaseNumber(opened.number)
    }

    /// Returns the newest commit's change sequence, so that a waiting reader of the feed notices commits; `None` if the
    /// version page does not show it. Takes only a few memory loads.
    #[must_use]
    pub fn shown_sequence(&self) -> Option<u64> {
        self.opened.newest().page_state().filter(|_| self.uses_version_page)
    }

    /// Returns the key for this store's keyed hashes. Each database has its own key.
    #[must_use]
    pub fn key(&self) -> StoreKey<'_> {
        StoreKey(&self.opened.newest().secret)
    }

    /// Converts a SQLite error to an error for users. If the error shows that the database is damaged, marks its
    /// connection, unless the database was removed or replaced.
    fn explain_error(&self, error: &rusqlite::Error, slot: &LazyConnection) -> Error {
        if is_broken(error) && !slot.is_moved() {
            slot.mark_broken();
        }
        explain(error, &self.folder)
    }

    /// Closes the connections, and opens or creates the database at the store's path. Does nothing if another
    /// thread has already done so. If `deadline` is `None`, waits only a moment, and fails if the database must be created
    /// or repaired.
    fn reopen_database(&self, deadline: Option<Deadline>) -> Result<()> {
        // Lock the connections in the same order as a fork.
        let mut writer = self.lock_by(deadline, &self.connections.writer)?;
        let mut reader = self.lock_by(deadline, &self.connections.reader)?;
        let newest = self.opened.newest();
        // A connection is outdated if its database was removed or replaced, or is not the store's newest one.
        let is_outdated = |slot: &LazyConnection| slot.is_moved() || slot.id().is_some() && !newest.is_open_in(slot);
        let broken = writer.broken_file().or_else(|| reader.broken_file());
        if broken.is_none() && newest.has_database() && !is_outdated(&writer) && !is_outdated(&reader) {
            return Ok(()); // another thread has opened the new database
        }
        if deadline.is_none() && (broken.is_some() || self.folder.find_database()?.is_none()) {
            return Err(self.locked_error());
        }
        writer.close();
        reader.close();
        // Other processes that map the same page then query the database, and so notice the replacement at once.
        if let Some(page) = &newest.page {
            page.close();
        }
        if let Some(broken) = broken {
            self.folder.rename_broken(broken)?;
        } else {
            log::warn!(
                "the database in {} was removed or replaced while it was open; reopening the database",
                self.folder.path().display()
            );
        }
        let reopened = self.inspect(&mut writer, deadline);
        if writer.broken_file().is_some() {
            return Ok(()); // the new database is damaged, too; the caller tries again
        }
        let mut reopened = reopened?;
        reopened.number = newest.number + 1;
        newest.append(reopened);
        Ok(())
    }

    /// Copies the WAL into the database and truncates the WAL, unless another thread or process is using the database.
    pub fn checkpoint(&self) {
        if let Some(writer) = try_lock(&self.connections.writer) {
            writer.checkpoint();
        }
    }

    /// Closes the connections, which open again when needed. If no other process has the database open, SQLite then
    /// copies the WAL into the database.
    pub fn close(&self) {
        lock(&self.connections.reader).close();
        let mut writer = lock(&self.connections.writer);
        writer.checkpoint_when_closed();
        writer.close();
    }
}

impl Drop for Store {
    /// Closes the connections while fork handlers still know them, so that no connection is half closed during a fork.
    fn drop(&mut self) {
        self.close();
    }
}

impl Store {
    /// Announces the transaction `sequence` on the version page, so that lookups query the database until the commit.
    /// `before`: the last commit's change sequence. Returns the page, on which the caller confirms the commit; `None`
    /// if there is no page, because then all lookups query the database. The caller holds the write lock.
    ///
    /// If the page's file was removed or replaced, first creates a new page, because processes that open the store now
    /// would not see the old page.
    fn begin_on_page(&self, before: Sequence, sequence: Sequence) -> rusqlite::Result<Option<&VersionPage>> {
        if !self.folder.shares_memory {
            return Ok(None);
        }
        let mut opened = self.opened.newest();
        if !opened.is_page_valid() {
            // If another database has replaced the open one, the page file belongs to that database, so keep the file.
            if !opened.has_database() {
                return Err(failure(SQLITE_READONLY_DBMOVED)); // the caller retries with the new database
            }
            // Before the first commit, no process can have an old page mapped, so `open` need not wait for processes.
            let page = VersionPage::open(&self.folder.page(), opened.id, is_first_sequence(before));
            // Remove a page that this process cannot map: this process's commits could not change the page's counters.
            if let Err(error) = &page {
                // Waits until other processes have noticed the removal, unless there was no page. If the removal fails,
                // the transaction fails with the page's error, wrapped as a rusqlite error.
                VersionPage::remove_file(&self.folder.page(), opened.page.is_none())
                    .map_err(|_| rusqlite::Error::ToSqlConversionFailure(Box::new(error.clone())))?;
                if opened.page.is_none() {
                    return Ok(None); // there was no page before
                }
                warn_of_page(error);
            }
            opened.append(opened.with_page(&self.folder, page.ok()));
            opened = self.opened.newest();
        }
        Ok(opened.page.as_ref().inspect(|page| page.counters().begin(sequence.0)))
    }

    /// Maps a version page that another process created, so that lookups need not query the database. Does nothing if
    /// this process has a valid page, or if another thread is using the writer's connection. Never waits.
    pub fn map_existing_page(&self) {
        let opened = self.opened.newest();
        let is_page_valid = || opened.page_state().is_some() || opened.is_page_valid();
        if !self.uses_version_page || !self.folder.shares_memory || is_page_valid() {
            return;
        }
        let Ok(mut writer) = self.connections.writer.try_lock() else {
            return;
        };
        // The page must belong to the database that the writer's connection has open.
        if writer.is_stale() || !opened.is_open_in(&writer) {
            return;
        }
        // Use the page only if it shows the database's change sequence.
        if let Ok(Some(page)) = VersionPage::existing(&self.folder.page(), opened.id)
            && let Ok((connection, _)) = writer.connection()
            && let Ok(sequence) = repair(&page, connection)
            && page.counters().state() == Some(sequence.0)
        {
            opened.append(opened.with_page(&self.folder, Some(page)));
        }
    }
}

/// The number of databases that this handle opened before the current one: one more after each replacement of the
/// database, for example by a restored backup. Change sequences and segment names from different databases must not be
/// compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabaseNumber(pub(super) u64);

/// A database and its version page, as an entry in a linked list. plexindex appends a new entry when the database or
/// the page is replaced. Entries live as long as the store, so readers need no lock.
pub struct OpenFiles {
    pub id: u64,
    /// A [`DatabaseNumber`]. The store's id is not enough, because a copy of the database has the same id.
    pub number: u64,
    /// The key for hashing tokens, which is in the database.
    pub secret: [u8; 32],
    /// The version page; `None` if all lookups query the database.
    pub page: Option<VersionPage>,
    pub file: Option<Inode>,
    folder: StoreFolder,
    page_path: PathBuf,
    /// Time when the last check of the names expires, by the coarse clock.
    valid_until_ms: AtomicU64,
    /// Whether a check found that a file had lost its name. Stays set, because a file that returns may lack commits.
    is_lost: AtomicBool,
    /// What the process has in memory of the database's records.
    memories: OnceLock<Arc<StoreMemories>>,
    next: OnceBox<Self>,
}

impl OpenFiles {
    /// Creates an entry with number 0 for a database and its page, both opened by name. `file`: the database file's
    /// inode. The first use of the page checks the names.
    pub fn new(
        folder: &StoreFolder,
        id: u64,
        secret: [u8; 32],
        file: Option<Inode>,
        page: Option<VersionPage>,
    ) -> Self {
        Self {
            id,
            secret,
            page,
            file,
            folder: folder.clone(),
            page_path: folder.page(),
            number: 0,
            valid_until_ms: AtomicU64::default(),
            is_lost: AtomicBool::default(),
            memories: OnceLock::new(),
            next: OnceBox::default(),
        }
    }

    /// Returns an entry for the same database with a different page; `None` for no page.
    pub fn with_page(&self, folder: &StoreFolder, page: Option<VersionPage>) -> Self {
        Self {
            number: self.number,
            ..Self::new(folder, self.id, self.secret, self.file, page)
        }
    }

    /// Returns whether the connection `connection` has this database open, and not a copy, which has a different inode.
    pub fn is_open_in(&self, connection: &LazyConnection) -> bool {
        connection.id() == Some(self.id) && connection.file() == self.file
    }

    /// Returns whether the database still has its name, so that no other database has replaced it.
    pub fn has_database(&self) -> bool {
        self.folder.database_file() == self.file
    }

    /// Returns the newest entry in the list, with the files of the database that is open now.
    #[inline]
    pub fn newest(&self) -> &Self {
        let mut newest = self;
        while let Some(next) = newest.next.get() {
            newest = next;
        }
        newest
    }

    /// Returns the first entry of the database with this number; the newest entry if there is none.
    pub fn of(&self, database: DatabaseNumber) -> &Self {
        let mut of = self;
        while of.number != database.0
            && let Some(next) = of.next.get()
        {
            of = next;
        }
        of
    }

    /// Returns what the process has in memory of the database's records.
    pub fn memories(&self) -> &StoreMemories {
        self.memories
            .get_or_init(|| StoreMemories::of(self.file.map(|file| (self.id, file))))
    }

    /// Makes the memories be those of another process.
    #[cfg(test)]
    pub fn have_own_memories(&self) {
        let set = self.memories.set(StoreMemories::of(None));
        assert!(set.is_ok(), "no memory is in use");
    }

    /// Appends `next` to the list, because the database or the page was replaced. This entry must be the newest one.
    /// Callers hold the writer's lock, so no other thread appends an entry.
    pub fn append(&self, next: Self) {
        let _ = self.next.set(Box::new(next));
    }

    /// Returns the change sequence that the version page shows; `None` without a valid page, so that the caller queries the
    /// database.
    #[inline]
    pub fn page_state(&self) -> Option<u64> {
        let page = self.page.as_ref()?;
        if self.has_names() {
            page.counters().state()
        } else {
            None
        }
    }

    /// Returns whether the database and a page still have their names, or had them [`PAGE_CHECK_MS`] ago.
    #[inline]
    pub fn has_names(&self) -> bool {
        let now_ms = coarse_ms();
        now_ms < self.valid_until_ms.load(Ordering::Relaxed) || self.check_names(now_ms)
    }

    /// Returns whether the page and the database still have their names. If so, the page stays valid for
    /// [`PAGE_CHECK_MS`] after `now_ms`, the coarse clock's time. If not, the page is never valid again.
    #[cold]
    #[inline(never)]
    fn check_names(&self, now_ms: u64) -> bool {
        let had_names = !self.is_lost.load(Ordering::Relaxed);
        let has_page = self.page.as_ref().is_none_or(|page| page.is_at(&self.page_path));
        if !(had_names && has_page && self.has_database()) {
            self.is_lost.store(true, Ordering::Relaxed);
            return false;
        }
        // Before the first commit, a process can replace a missing page without a wait, so check the names on each use.
        let shown = self.page.as_ref().and_then(|page| page.counters().state());
        if !shown.is_some_and(|sequence| is_first_sequence(Sequence(sequence))) {
            let valid_until_ms = now_ms.saturating_add(PAGE_CHECK_MS);
            self.valid_until_ms.fetch_max(valid_until_ms, Ordering::Relaxed);
        }
        true
    }

    /// Returns whether the page has its name now, and had its name at every earlier check.
    pub fn is_page_valid(&self) -> bool {
        let has_name = |page: &VersionPage| page.is_at(&self.page_path);
        !self.is_lost.load(Ordering::Relaxed) && self.page.as_ref().is_some_and(has_name)
    }
}

/// Sets both counters on the page to the database's change sequence, because the page may be new or its last writer may
/// have died. Does nothing while another process is writing, because that process sets the counters. Returns the change
/// sequence.
pub fn repair(page: &VersionPage, connection: &Connection) -> rusqlite::Result<Sequence> {
    let mut sequence = sequence_of(connection)?;
    if page.counters().state() == Some(sequence.0) {
        return Ok(sequence);
    }
    // While another process is writing, BEGIN fails at once. The lock keeps the sequence unchanged until it is set.
    let _no_wait = WaitGuard::new(connection, Duration::ZERO)?;
    if connection.execute_batch("BEGIN IMMEDIATE").is_ok() {
        let _undo = RollbackGuard(connection);
        if let Ok(current) = sequence_of(connection) {
            page.counters().repair(current.0);
            sequence = current;
        }
    }
    Ok(sequence)
}

/// Returns whether a change sequence is a database's first one, before any commit. If so, no process can have a removed
/// version page mapped. The first change sequence is a multiple of 2^36, and a database has at most 2^36 of them.
pub fn is_first_sequence(sequence: Sequence) -> bool {
    sequence.0.trailing_zeros() >= SEQUENCE_BITS
}

/// Logs a warning that the version page cannot be used.
pub fn warn_of_page(error: &Error) {
    log::warn!("cannot use the version page: {error}; each lookup queries the database instead");
}

/// Is told of writes that other hosts must get.
pub trait SharedWriteListener: Send + Sync {
    /// Called after a commit of such a write, on the writing thread, which holds no connection's lock.
    fn after_commit(&self);
}

/// Number of writes after which plexindex tells the system to write the WAL to disk.
const WRITE_OUT_EVERY: u64 = 128;
/// Maximum number of times that a call runs if the database is replaced during each attempt.
const MAX_ATTEMPTS: u32 = 4;
/// The same for a call that hardly waits.
const MAX_SHORT_ATTEMPTS: u32 = 2;

impl Store {
    /// Runs `work` in a short read transaction. Runs `work` again if the database was replaced.
    pub(super) fn read<T>(&self, work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        // Not on the writer's connection, since a write with a deadline may come.
        self.with(Some(Deadline::NONE), &[&self.connections.reader], in_transaction(work))
    }

    /// Returns the change sequence of the last commit.
    pub fn sequence(&self) -> Result<Sequence> {
        self.read(sequence_of)
    }

    /// Takes the ticket for a request: the change sequence of a commit of its own, so that it is unique, and later than
    /// everything that is stored.
    pub fn ticket(&self, deadline: Deadline) -> Result<Sequence> {
        self.write(deadline, |tx| Ok(tx.sequence))
    }

    /// Runs `work` in a short read transaction on any open connection, so that a process that only does lookups opens
    /// only one connection. If `deadline` is `None`, waits only a moment for other threads and processes, and then
    /// fails.
    pub(super) fn read_by<T>(
        &self,
        deadline: Option<Deadline>,
        work: impl FnMut(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let patience = self.patience(deadline);
        let slots = [&self.connections.reader, &self.connections.writer];
        let result = self.with(deadline, &slots, in_transaction(work));
        if deadline.is_none() && result.is_err() {
            // For some seconds, such calls do not wait at all.
            self.short_wait.note_timeout(patience);
            return Err(self.locked_error());
        }
        result
    }

    /// Returns how long to wait for other processes; only a moment without a deadline. In whole ms, so that a deadline has
    /// passed after the wait.
    fn patience(&self, deadline: Option<Deadline>) -> Duration {
        let Some(deadline) = deadline else {
            return self.short_wait.current_timeout();
        };
        let wait_us = deadline.wait(BUSY).as_micros().next_multiple_of(1_000);
        Duration::from_micros(u64::try_from(wait_us).unwrap_or(u64::MAX))
    }

    /// Opens the reader's connection before the first write, so that other threads' lookups can use it during the
    /// write.
    fn open_reader(&self) {
        // If the reader is locked, another thread is opening or using it. The write itself reports errors.
        if let Some(mut reader) = try_lock(&self.connections.reader)
            && reader.id().is_none()
            && !reader.is_stale()
        {
            let _ = reader.connection();
        }
    }

    /// Runs `work` in a write transaction, which increments the change sequence. Runs `work` again if the database was
    /// replaced. Without a deadline, waits indefinitely for other threads, and at most [`super::schema::BUSY`] for
    /// other processes. Fails with [`Status::Timeout`] if the store is locked until the deadline.
    pub(in crate::engine) fn write<T>(
        &self,
        deadline: Deadline,
        work: impl FnMut(&Tx<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.open_reader();
        self.write_last(deadline, work)
    }

    /// Runs `work` like [`Self::write`], but without a connection for readers, because the store may be closed next.
    pub(super) fn write_last<T>(
        &self,
        deadline: Deadline,
        mut work: impl FnMut(&Tx<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let result = self.with(Some(deadline), &[&self.connections.writer], |connection| {
            self.transaction(connection, &mut work)
        });
        // Now that no connection is held, because the listener uses locks that a fork takes before the connections' locks.
        if self.has_undelivered.swap(false, Ordering::Relaxed)
            && let Some(listener) = self.listener.get().and_then(Weak::upgrade)
        {
            listener.after_commit();
        }
        result
    }

    /// Runs `work` in a write transaction with the next change sequence. Announces the transaction on the version page
    /// before `work`, and confirms it after the commit.
    fn transaction<T>(
        &self,
        connection: &OpenConnection,
        work: &mut impl FnMut(&Tx<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        // IMMEDIATE acquires the write lock, so that no other transaction gets the same change sequence.
        connection.run("BEGIN IMMEDIATE", [])?;
        let rollback_guard = RollbackGuard(connection);
        let last = if let Some(last) = connection.take_last_write()? {
            last
        } else {
            check_version(connection)?;
            LastWrite {
                sequence: sequence_of(connection)?,
                ..LastWrite::default()
            }
        };
        let (last_sequence, sequence) = (last.sequence, last.sequence.next());
        if is_first_sequence(sequence) {
            return Err(failure(SQLITE_CORRUPT)); // the caller creates a new database
        }
        let tx = Tx::new(connection, &self.common_clock, sequence, last.known);
        // From here until `page.commit`, readers query the database.
        let page = self.begin_on_page(last_sequence, sequence)?;
        let result = work(&tx).and_then(|value| {
            tx.finish_records()?;
            // A row with a position contains the change sequence. Without one, store the sequence itself.
            if tx.written.get() == 0 {
                connection.run("UPDATE meta SET sequence = ?1", [tx.sequence])?;
            }
            connection.run("COMMIT", [])?;
            Ok(value)
        });
        if let Some(page) = page {
            if result.is_ok() {
                page.counters().commit(sequence.0);
            } else if !connection.is_autocommit() {
                // The transaction still has the write lock, so it can withdraw the announcement. If SQLite has already
                // rolled back, readers query the database until the next writer repairs the page.
                page.counters().repair(last_sequence.0);
            }
        }
        drop(rollback_guard);
        let is_shared = tx.is_shared.get();
        if result.is_ok() {
            connection.note_write(sequence, tx.known);
        }
        if result.is_ok() && is_shared {
            self.has_undelivered.store(true, Ordering::Relaxed);
            if self.syncs_shared.load(Ordering::Relaxed) {
                connection.sync_log()?;
            }
        }
        // The system now writes the WAL to disk in the background, so that the next checkpoint takes less time.
        if self.folder.shares_memory && sequence.0.is_multiple_of(WRITE_OUT_EVERY) {
            write_out(self.folder.wal_and_shm()[0]);
        }
        if result.is_ok() && !self.opened.newest().has_database() {
            return Err(failure(SQLITE_READONLY_DBMOVED)); // the write is lost; the caller retries with the new database
        }
        result
    }

    /// Runs `work` on an open connection that is not in use, otherwise on the first of `slots`, for which it waits until the
    /// deadline. If the database was removed or replaced, or is broken, opens or creates the database and runs `work` again.
    /// Without a deadline, waits only a moment, and fails if the database must be created or repaired.
    fn with<T>(
        &self,
        deadline: Option<Deadline>,
        slots: &[&Mutex<LazyConnection>],
        mut work: impl FnMut(&OpenConnection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let is_open = |slot: &MutexGuard<'_, LazyConnection>| slot.id().is_some();
        let attempts = if deadline.is_some() {
            MAX_ATTEMPTS
        } else {
            MAX_SHORT_ATTEMPTS
        };
        for _ in 0..attempts {
            let open = slots.iter().filter_map(|slot| try_lock(slot)).find(is_open);
            let mut slot = open.map_or_else(|| self.lock_by(deadline, slots[0]), Ok)?;
            // A call that does not repair leaves no mark that a damaged file must be renamed: another file could have the
            // same inode later.
            let may_close = deadline.is_none() && !is_open(&slot) && slot.broken_file().is_none();
            if deadline.is_some() || is_open(&slot) || self.opened.newest().has_database() {
                match self.run(&mut slot, deadline, &mut work) {
                    Some(result) => return result.map_err(|error| at_deadline(deadline, error)),
                    None if may_close => slot.close(),
                    None => {}
                }
            }
            drop(slot);
            self.reopen_database(deadline)?;
        }
        Err(self.folder.error(
            "the database was replaced or damaged during each attempt; stop the program that does this, or choose another \
             cache_dir",
        ))
    }

    /// Locks a mutex that threads hold while they wait for the store. Waits indefinitely for [`Deadline::NONE`], and only a
    /// moment for `None`.
    pub fn lock_by<'m, T>(
        &self,
        deadline: impl Into<Option<Deadline>>,
        mutex: &'m Mutex<T>,
    ) -> Result<MutexGuard<'m, T>> {
        let Some(deadline) = deadline.into() else {
            return self.short_wait.lock(mutex).ok_or_else(|| self.locked_error());
        };
        if deadline == Deadline::NONE {
            return Ok(lock(mutex));
        }
        fork::lock_by(mutex, Instant::now() + deadline.wait(BUSY)).ok_or_else(|| {
            // The thread that holds the mutex may itself wait for another process.
            let busy = rusqlite::ffi::Error::new(SQLITE_BUSY);
            let error = rusqlite::Error::SqliteFailure(busy, Some("database is locked".to_owned()));
            at_deadline(Some(deadline), explain(&error, &self.folder))
        })
    }

    /// Returns the error for a call that hardly waits, and could not lock the store at once.
    pub fn locked_error(&self) -> Error {
        self.folder
            .error("another thread or process keeps it locked; try again")
    }

    /// Returns whether another process or thread keeps the store locked for writing. Never waits.
    pub fn is_locked(&self) -> bool {
        let now = Deadline::after(Duration::ZERO);
        let locked = self.with(Some(now), &[&self.connections.writer], |connection| {
            let _rollback_guard = RollbackGuard(connection);
            connection.run("BEGIN IMMEDIATE", [])
        });
        locked.is_err_and(|error| is_locked(&error))
    }

    /// Runs `work` on a connection. If the connection is closed, opens it first. Waits for other processes as
    /// [`Self::patience`] says. Returns `None` if the connection's database is not the database at the store's path.
    fn run<T>(
        &self,
        slot: &mut LazyConnection,
        deadline: Option<Deadline>,
        work: &mut impl FnMut(&OpenConnection) -> rusqlite::Result<T>,
    ) -> Option<Result<T>> {
        // A write to a replaced database would append to the log of the new one.
        if slot.is_stale() {
            return None;
        }
        match slot.open_within(self.patience(deadline)) {
            Ok(()) => {}
            Err(_) if slot.broken_file().is_some() => return None,
            Err(error) => return Some(Err(error)),
        }
        // A new connection must have opened the newest database that this store knows.
        if !self.opened.newest().is_open_in(slot) {
            return None;
        }
        let connection = match slot.connection() {
            Ok((connection, _)) => connection,
            Err(error) => return Some(Err(error)),
        };
        let result = WaitGuard::new(connection, self.patience(deadline)).and_then(|_wait| work(connection));
        let is_other_version =
            matches!(&result, Err(error) if error.sqlite_error_code() == Some(ErrorCode::SchemaChanged));
        let result = result.map_err(|error| self.explain_error(&error, slot));
        if is_other_version {
            slot.close(); // the next call opens the database again, or reports its format again
        }
        // After a replacement of the database, run `work` again, because the error may be a consequence. In a folder for
        // reading only, SQLite may have read parts of two states.
        let may_be_wrong = result.is_err() || self.folder.is_read_only;
        if slot.broken_file().is_some() || may_be_wrong && slot.is_moved() {
            return None;
        }
        Some(result)
    }
}

/// Returns `error`, but with [`Status::Timeout`] if the store was locked until the call's deadline.
fn at_deadline(deadline: Option<Deadline>, error: Error) -> Error {
    if !is_locked(&error) || !deadline.is_some_and(Deadline::has_passed) {
        return error;
    }
    Error::new(Status::Timeout, format!("the timeout passed: {error}"))
        .with_source(rusqlite::ffi::Error::new(SQLITE_BUSY))
}

/// Wraps `work` in a read transaction, so that all its statements see the same state.
fn in_transaction<T>(
    mut work: impl FnMut(&Connection) -> rusqlite::Result<T>,
) -> impl FnMut(&OpenConnection) -> rusqlite::Result<T> {
    move |connection| {
        connection.run("BEGIN", [])?;
        let _rollback_guard = RollbackGuard(connection);
        check_version(connection)?;
        let value = work(connection)?;
        connection.run("COMMIT", [])?;
        Ok(value)
    }
}
