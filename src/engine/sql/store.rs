//! Opens and closes a store, and opens its database again after the database was replaced.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use super::cached::CachedStatements;
use super::connection::Connections;
use super::connection::LazyConnection;
use super::incarnation::Incarnation;
use super::incarnation::{OpenFiles, is_first_sequence, repair, warn_of_page};
use super::local_write::WriteObserver;
use super::state_file::{CachedEndpoint, CachedState, read_state_file};
use super::store_errors::{explain, is_broken};
use super::store_folder::StoreFolder;
use super::store_key::StoreKey;
use super::tx::sequence_of;
use crate::engine::version_page::{PageState, VersionPage};
use crate::error::{Error, Result, Status};
use crate::model::Sequence;
use crate::platform::clock::coarse_ms;
use crate::platform::files;
use crate::platform::mutex::{ShortWait, lock, try_lock};

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
    /// Number of the incarnation whose timeline is known to be stored, plus 1; 0 if none is.
    pub(super) on_timeline: AtomicU64,
    /// Whether the warning about several views was logged.
    pub(super) warned_of_views: AtomicBool,
    /// Number of calls to [`Store::wake_waiting`], so that a wait notices a call before it starts.
    pub(super) wakeups: AtomicU64,
    /// The observer of writes by hosts and events.
    pub(super) observer: OnceLock<Weak<dyn WriteObserver>>,
    /// Whether writes that add entries to the outbox sync to disk before they return.
    pub(super) syncs_outbox: AtomicBool,
    /// Whether the outbox has new entries about which the observer was not notified.
    pub(super) has_enqueued: AtomicBool,
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
            on_timeline: AtomicU64::new(0),
            warned_of_views: AtomicBool::new(false),
            wakeups: AtomicU64::new(0),
            observer: OnceLock::new(),
            syncs_outbox: AtomicBool::new(false),
            has_enqueued: AtomicBool::new(false),
            short_wait: ShortWait::default(),
        };
        if store.open_from_state_file() {
            return Ok(store);
        }
        let opened = {
            let mut writer = lock(&store.connections.writer);
            match store.inspect(&mut writer) {
                // The database is damaged, so create a new one.
                Err(_) if store.folder.broken().is_some() => {
                    writer.close();
                    store.folder.rename_broken()?;
                    store.inspect(&mut writer)?
                }
                other => other?,
            }
        };
        store.opened = opened;
        Ok(store)
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

    /// Opens the writer's connection, maps the version page, and returns the database's file and the page. Creates a
    /// missing page, and repairs a page whose last writer may have died.
    fn inspect(&self, writer: &mut LazyConnection) -> Result<OpenFiles> {
        let (connection, id) = writer.connection()?;
        let (secret, sequence) = connection
            .value::<[u8; 32]>("SELECT secret FROM meta", [])
            .and_then(|secret| Ok((secret, sequence_of(connection)?)))
            .map_err(|error| self.explain_error(&error, writer))?;
        let page = if self.folder.shares_memory() {
            let page = VersionPage::open(&self.folder.page(), id, is_first_sequence(sequence));
            page.inspect_err(warn_of_page).ok()
        } else {
            None
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

    /// Returns the current incarnation, to which later reads belong.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        Incarnation(self.opened.newest().number)
    }

    /// Returns whether `sequence` is the newest commit in this incarnation. Returns `false` if the version page cannot
    /// show the newest commit. Takes only a few memory loads.
    #[inline]
    #[must_use]
    pub fn is_current_in(&self, incarnation: Incarnation, sequence: Sequence) -> bool {
        let opened = self.opened.newest();
        self.uses_version_page
            && opened.state(coarse_ms()) == PageState::Equal(sequence.0)
            && incarnation == Incarnation(opened.number)
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

    /// Returns a function that waits for the first commit after this call. The wait also ends on a call to
    /// [`Store::wake_waiting`], on a signal, at the timeout, and sometimes earlier. Without a version page, the
    /// function returns at once.
    pub fn commit_waiter(&self) -> impl Fn(Duration) {
        let page = self.opened.newest().page.as_ref().filter(|_| self.uses_version_page);
        let page = page.map(|page| (page, page.done()));
        let wakeups = self.wakeups.load(Ordering::SeqCst);
        move |timeout| match page {
            // The wait misses a wake-up between this check and the wait, and then ends at its timeout.
            _ if self.wakeups.load(Ordering::SeqCst) != wakeups => {}
            Some((page, done)) => page.wait(done, timeout),
            None => {}
        }
    }

    /// Ends all running waits for a commit, so that the waiting calls run their progress callbacks.
    pub fn wake_waiting(&self) {
        self.wakeups.fetch_add(1, Ordering::SeqCst);
        if let Some(page) = &self.opened.newest().page {
            page.wake();
        }
    }

    /// Returns the key for this store's keyed hashes. Each database has its own key.
    #[must_use]
    pub fn key(&self) -> StoreKey<'_> {
        StoreKey(&self.opened.newest().secret)
    }

    /// Returns whether the caller must reopen a connection, because its database is broken, or was removed or replaced.
    pub(super) fn is_stale(&self, slot: &LazyConnection) -> bool {
        self.folder.broken().is_some() || slot.is_moved()
    }

    /// Converts a SQLite error to an error for users. If the error shows that the database is damaged, marks the
    /// database as broken, unless it was removed or replaced.
    pub(super) fn explain_error(&self, error: &rusqlite::Error, slot: &LazyConnection) -> Error {
        if is_broken(error) && !slot.is_moved() {
            self.folder.mark_broken(slot.file());
        }
        explain(error, &self.folder)
    }

    /// Closes the connections, and opens or creates the database at the store's path. Starts a new incarnation. Does
    /// nothing if another thread has already done so.
    pub(super) fn reopen_database(&self) -> Result<()> {
        // Lock the connections in the same order as a fork.
        let mut writer = lock(&self.connections.writer);
        let mut reader = lock(&self.connections.reader);
        let newest = self.opened.newest();
        // A connection is outdated if its database was removed or replaced, or is not the store's newest one.
        let is_outdated = |slot: &LazyConnection| slot.is_moved() || slot.id().is_some() && !newest.is_open_in(slot);
        if self.folder.broken().is_none() && !is_outdated(&writer) && !is_outdated(&reader) {
            return Ok(()); // another thread has opened the new database
        }
        writer.close();
        reader.close();
        if self.folder.broken().is_some() {
            self.folder.rename_broken()?;
        } else {
            log::warn!(
                "the database in {} was removed or replaced while it was open; reopening the database",
                self.folder.path().display()
            );
        }
        let mut reopened = self.inspect(&mut writer)?;
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
