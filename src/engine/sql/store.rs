//! Opens and closes a store, and opens its database again after the database was replaced. Announces transactions on
//! the version page, and to the observer that shares a host's writes.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use serde::Serialize;

use super::connection::{Connections, LazyConnection};
use super::opened_files::{
    CachedEndpoint, CachedState, DatabaseNumber, OpenFiles, is_first_sequence, read_state_file, repair, warn_of_page,
};
use super::schema::{CachedStatements, patience, sequence_of};
use super::store_folder::{StoreFolder, StoreKey, UnusableDatabase, explain, is_broken};
use crate::engine::memtable::StoreMemories;
use crate::engine::version_page::{PageState, VersionPage};
use crate::error::{Error, Result, Status};
use crate::matching::byte_string;
use crate::model::Sequence;
use crate::platform::clock::{Deadline, coarse_ms};
use crate::platform::fork::{ShortWait, lock, try_lock};
use crate::platform::map::MapMode;
use crate::platform::{files, lock};

/// An open store, which any number of threads can use. Calls are short and never wait for the network.
pub struct Store {
    pub(super) folder: StoreFolder,
    pub(super) connections: Arc<Connections>,
    /// Whether lookups in this process use the version page. Writes update the page in any case.
    pub(super) uses_version_page: bool,
    pub(super) opened: OpenFiles,
    /// The content of the state file, until the first read of a state takes it.
    pub(super) cached_state: Mutex<Option<CachedState>>,
    /// The change sequence and the endpoint (server URL and user) of the state that was taken from the state file.
    pub(super) cache_used: Mutex<Option<(Sequence, CachedEndpoint)>>,
    /// Whether the warning about several views was logged.
    pub(super) warned_of_views: AtomicBool,
    /// Is told of writes that other hosts must get.
    listener: OnceLock<Weak<dyn SharedWriteListener>>,
    /// Whether such writes sync to disk before they return.
    pub(super) syncs_shared: AtomicBool,
    /// Whether there are such writes of which the listener was not told.
    pub(super) has_undelivered: AtomicBool,
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
        let folder = StoreFolder::open(directory)?;
        // Opening a store does not always write, so report a read-only folder now instead of at the first write.
        files::expect_writable(folder.path()).map_err(|error| folder.cannot("write to", &error))?;
        let connections = Connections::new(&folder);
        let mut store = Self {
            folder,
            connections,
            uses_version_page,
            opened: OpenFiles::default(),
            cached_state: Mutex::default(),
            cache_used: Mutex::default(),
            warned_of_views: AtomicBool::new(false),
            listener: OnceLock::new(),
            syncs_shared: AtomicBool::new(false),
            has_undelivered: AtomicBool::new(false),
            short_wait: ShortWait::default(),
        };
        if store.open_from_state_file() {
            return Ok(store);
        }
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

    /// Tells the listener of the last write if other hosts must get it. The caller must hold no connection, because the
    /// listener uses locks that a fork takes before the connections' locks.
    pub(super) fn notify_listener(&self) {
        if self.has_undelivered.swap(false, Ordering::Relaxed)
            && let Some(listener) = self.listener.get().and_then(Weak::upgrade)
        {
            listener.after_commit();
        }
    }

    /// Opens the store from the state file, so that the database opens only on first use. Returns `false` if the state
    /// file is missing or outdated.
    fn open_from_state_file(&mut self) -> bool {
        let can_use_page = self.uses_version_page && self.folder.shares_memory();
        if !can_use_page {
            return false;
        }
        let Some((cached, page, files)) = read_state_file(&self.folder) else {
            return false;
        };
        self.opened = OpenFiles::from_state_file(&self.folder, &cached, page, &files);
        self.cached_state = Mutex::new(Some(cached));
        true
    }

    /// Opens the writer's connection, maps the version page, and returns the database's file and the page. Repairs a
    /// page whose last writer may have died. Creates a missing page, unless `deadline` is `None`, for a call that waits
    /// only a moment.
    fn inspect(&self, writer: &mut LazyConnection, deadline: Option<Deadline>) -> Result<OpenFiles> {
        writer.open_within(deadline.map_or_else(|| self.short_wait.current_timeout(), patience))?;
        let (connection, id) = writer.connection()?;
        let (secret, sequence) = connection
            .value::<[u8; 32]>("SELECT secret FROM meta", [])
            .and_then(|secret| Ok((secret, sequence_of(connection)?)))
            .map_err(|error| self.explain_error(&error, writer))?;
        let page = match deadline {
            _ if !self.folder.shares_memory() => None,
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

    /// Returns the folder that contains the store's files.
    pub fn folder(&self) -> &StoreFolder {
        &self.folder
    }

    /// Returns how to read segments: mapped, unless the host or the file system rules out shared memory.
    pub fn map_mode(&self) -> MapMode {
        if self.uses_version_page && self.folder.shares_memory() {
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
        self.uses_version_page
            && opened.state(coarse_ms()) == PageState::Equal(sequence.0)
            && database_number == DatabaseNumber(opened.number)
    }

    /// Returns the newest commit's change sequence, so that a waiting reader of the feed notices commits; `None` if the
    /// version page does not show it. Takes only a few memory loads.
    #[must_use]
    pub fn shown_sequence(&self) -> Option<u64> {
        match self.opened.newest().state(coarse_ms()) {
            PageState::Equal(sequence) if self.uses_version_page => Some(sequence),
            _ => None,
        }
    }

    /// Returns the key for this store's keyed hashes. Each database has its own key.
    #[must_use]
    pub fn key(&self) -> StoreKey<'_> {
        StoreKey(&self.opened.newest().secret)
    }

    /// Converts a SQLite error to an error for users. If the error shows that the database is damaged, marks its
    /// connection, unless the database was removed or replaced.
    pub(super) fn explain_error(&self, error: &rusqlite::Error, slot: &LazyConnection) -> Error {
        if is_broken(error) && !slot.is_moved() {
            slot.mark_broken();
        }
        explain(error, &self.folder)
    }

    /// Closes the connections, and opens or creates the database at the store's path. Does nothing if another
    /// thread has already done so. If `deadline` is `None`, waits only a moment, and fails if the database must be created
    /// or repaired.
    pub(super) fn reopen_database(&self, deadline: Option<Deadline>) -> Result<()> {
        let lock = |slot| match deadline {
            Some(deadline) => self.lock_by(deadline, slot),
            None => self.short_wait.lock(slot).ok_or_else(|| self.locked_error()),
        };
        // Lock the connections in the same order as a fork.
        let mut writer = lock(&self.connections.writer)?;
        let mut reader = lock(&self.connections.reader)?;
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

    /// Returns the error for a file that was replaced or damaged during each attempt. `what`: the start of a clause,
    /// such as 'the database was'.
    pub(super) fn replaced_error(&self, what: &str) -> Error {
        Error::new(
            Status::Store,
            format!(
                "store in {}: {what} replaced or damaged during each attempt; stop the program that does this, or \
                 choose another cache_dir",
                self.folder.path().display()
            ),
        )
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
    pub(super) fn begin_on_page(&self, before: Sequence, sequence: Sequence) -> rusqlite::Result<Option<&VersionPage>> {
        if !self.folder.shares_memory() {
            return Ok(None);
        }
        let mut opened = self.opened.newest();
        if !opened.is_page_valid() {
            // If another database has replaced the open one, the page file belongs to that database, so keep the file.
            if !opened.has_database() {
                return Err(UnusableDatabase::Replaced.into()); // the caller retries with the new database
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
        let is_page_valid = || matches!(opened.state(coarse_ms()), PageState::Equal(_)) || opened.is_page_valid();
        if !self.uses_version_page || !self.folder.shares_memory() || is_page_valid() {
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
            && page.counters().state() == PageState::Equal(sequence.0)
        {
            opened.append(opened.with_page(&self.folder, Some(page)));
        }
    }
}

/// Properties of a store's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct StoreInfo {
    /// Path of the folder.
    #[serde(serialize_with = "byte_string::path")]
    #[cfg_attr(feature = "schema", schemars(with = "byte_string::ByteString"))]
    pub folder: PathBuf,
    /// Type of the file system, such as `ext4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_system: Option<String>,
    /// SQLite's journal mode: `wal`, or `truncate` if the file system does not support shared memory.
    pub journal: String,
    /// Whether processes can share memory through files in the folder.
    pub shares_memory: bool,
    /// Whether processes notice commits through the version page. If not, each lookup queries the database.
    pub counter_page: bool,
    /// Whether file locks work in the folder.
    pub locks: bool,
    /// The reason why file locks do not work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locks_error: Option<String>,
    /// Names of the damaged databases in the folder, which plexindex renamed to `.broken`.
    pub broken: Vec<String>,
    /// Size of the store in bytes.
    pub disk_bytes: u64,
    /// Free space for this user in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
}

impl StoreInfo {
    /// Determines the properties of a store's folder. Creates a temporary file to test file locks.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn of(store: &Store) -> Result<Self> {
        let folder = store.folder();
        let disk = files::file_system_of(folder.path());
        let trial = folder.lock_trial_path();
        let locks_error = match lock::do_locks_work(&trial) {
            Ok(true) => None,
            Ok(false) => Some("two holders acquired the same lock at the same time".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        let _ = files::remove(&trial);
        Ok(StoreInfo {
            folder: folder.path().to_owned(),
            file_system: disk.kind,
            journal: store.read(|connection| connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)))?,
            shares_memory: folder.shares_memory(),
            counter_page: store.uses_version_page && store.opened.newest().page.is_some(),
            locks: locks_error.is_none(),
            locks_error,
            broken: folder.broken_databases(),
            disk_bytes: folder.disk_bytes(),
            free_bytes: disk.free,
        })
    }
}

/// Is told of writes that other hosts must get.
pub trait SharedWriteListener: Send + Sync {
    /// Called after a commit of such a write, on the writing thread, which holds no connection's lock.
    fn after_commit(&self);
}
