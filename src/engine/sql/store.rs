//! An open store: opens it, opens its database again if that is replaced, and closes it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use super::cached::CachedStatements;
use super::connection::Connections;
use super::connection::LazyConnection;
use super::incarnation::Incarnation;
use super::incarnation::{OpenFiles, is_fresh, repair, warn_of_page};
use super::local_write::WriteObserver;
use super::state_file::{CachedEndpoint, CachedState, find};
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

/// An open store, for any number of threads. Calls are short, and never wait for the network.
pub struct Store {
    pub(super) folder: StoreFolder,
    pub(super) connections: Arc<Connections>,
    /// Whether lookups of this process trust the version page. Every process updates it.
    pub(super) believes: bool,
    pub(super) opened: OpenFiles,
    /// The content of the state file, until it is used.
    pub(super) cached_state: Mutex<Option<CachedState>>,
    /// The change sequence and the endpoint of the state that was taken from the state file.
    pub(super) cache_used: Mutex<Option<(Sequence, CachedEndpoint)>>,
    /// The number, plus 1, of the opened database whose timeline is stored; 0 for none.
    pub(super) on_timeline: AtomicU64,
    /// Whether the warning about several views was logged.
    pub(super) warned_of_views: AtomicBool,
    /// Number of times that waits for a commit were ended without a commit.
    pub(super) wakeups: AtomicU64,
    /// Called after a write put entries into the outbox.
    pub(super) observer: OnceLock<Weak<dyn WriteObserver>>,
    /// Whether such a write is forced to the disk before it returns.
    pub(super) syncs_outbox: AtomicBool,
    /// The outbox got entries of which the observer was not told yet.
    pub(super) has_enqueued: AtomicBool,
    /// How long lookups wait for other threads and processes.
    pub short_wait: ShortWait,
}

impl Store {
    /// Opens the store in `directory`, and creates missing files. Foreign or corrupt databases are renamed to
    /// `.broken`. Without `believes`, each lookup reads the database instead of the version page.
    ///
    /// # Errors
    /// [`Status::Store`] if the folder cannot be created or written; [`Status::StoreFull`].
    pub fn open(directory: &Path, believes: bool) -> Result<Self> {
        let folder = StoreFolder::open(directory)?;
        // Opening need not write, so report a read-only folder now and not at the first write.
        files::expect_writable(folder.path()).map_err(|error| folder.cannot("write to", &error))?;
        let connections = Connections::new(&folder);
        let mut store = Self {
            folder,
            connections,
            believes,
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
        let known = {
            let mut writer = lock(&store.connections.writer);
            match store.inspect(&mut writer) {
                Err(_) if store.folder.broken().is_some() => {
                    writer.close();
                    store.folder.rename_broken()?;
                    store.inspect(&mut writer)?
                }
                other => other?,
            }
        };
        store.opened = known;
        Ok(store)
    }

    /// Opens the store from the state file if that is current. The database is then opened at its first use.
    fn open_from_state_file(&mut self) -> bool {
        let shares = self.believes && self.folder.shares_memory();
        if !shares {
            return false;
        }
        let Some((cached, page, files)) = find(&self.folder) else {
            return false;
        };
        self.opened = OpenFiles::found(&self.folder, &cached, page, &files);
        self.cached_state = Mutex::new(Some(cached));
        true
    }

    /// Identifies the files that the writer's connection has open, and maps the version page.
    fn inspect(&self, writer: &mut LazyConnection) -> Result<OpenFiles> {
        let (connection, id) = writer.connection()?;
        let (secret, sequence) = connection
            .value::<[u8; 32]>("SELECT secret FROM store", [])
            .and_then(|secret| Ok((secret, sequence_of(connection)?)))
            .map_err(|error| self.explained(&error, writer))?;
        let page = if self.folder.shares_memory() {
            let page = VersionPage::open(&self.folder.page(), id, is_fresh(sequence));
            page.inspect_err(warn_of_page).ok()
        } else {
            None
        };
        if let Some(page) = &page {
            let (connection, _) = writer.connection()?;
            repair(page, connection).map_err(|error| self.explained(&error, writer))?;
        }
        Ok(OpenFiles::new(&self.folder, id, secret, writer.file(), page))
    }

    /// Returns the folder of the store.
    pub fn folder(&self) -> &StoreFolder {
        &self.folder
    }

    /// Returns the incarnation that reads from now on belong to.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        Incarnation(self.opened.newest().number)
    }

    /// Returns whether nothing was committed since `sequence` of this incarnation. This takes only some loads. Returns
    /// `false` if only the database knows.
    #[inline]
    #[must_use]
    pub fn is_current_in(&self, incarnation: Incarnation, sequence: Sequence) -> bool {
        let opened = self.opened.newest();
        self.believes
            && opened.state(coarse_ms()) == PageState::Equal(sequence.0)
            && incarnation == Incarnation(opened.number)
    }

    /// Returns the change sequence on the version page; `None` if only the database knows it. This takes only some
    /// loads.
    #[must_use]
    pub fn shown_sequence(&self) -> Option<u64> {
        match self.opened.newest().state(coarse_ms()) {
            PageState::Equal(sequence) if self.believes => Some(sequence),
            _ => None,
        }
    }

    /// Returns a function that waits for a commit after this call, for [`Store::wake_waiting`], a signal, or its
    /// timeout. It may return early. Without a version page it returns at once.
    pub fn commit_waited_for(&self) -> impl Fn(Duration) {
        let page = self.opened.newest().page.as_ref().filter(|_| self.believes);
        let page = page.map(|page| (page, page.done()));
        let wakeups = self.wakeups.load(Ordering::SeqCst);
        move |timeout| match page {
            // A wake-up between this check and the wait is missed: the wait then ends at its time limit.
            _ if self.wakeups.load(Ordering::SeqCst) != wakeups => {}
            Some((page, done)) => page.wait(done, timeout),
            None => {}
        }
    }

    /// Ends the waits for a commit that are under way.
    pub fn wake_waiting(&self) {
        self.wakeups.fetch_add(1, Ordering::SeqCst);
        if let Some(page) = &self.opened.newest().page {
            page.wake();
        }
    }

    /// Returns the key of the store's hashes. A new database has another key.
    #[must_use]
    pub fn key(&self) -> StoreKey<'_> {
        StoreKey(&self.opened.newest().secret)
    }

    /// Returns whether the database that a connection has open is broken or has lost its name, so that it must be
    /// opened again.
    pub(super) fn is_stale(&self, slot: &LazyConnection) -> bool {
        self.folder.broken().is_some() || slot.is_moved()
    }

    /// Returns the error with an explanation. Marks the database as broken if the error says so, unless it has lost its
    /// name.
    pub(super) fn explained(&self, error: &rusqlite::Error, slot: &LazyConnection) -> Error {
        if is_broken(error) && !slot.is_moved() {
            self.folder.mark_broken(slot.file());
        }
        explain(error, &self.folder)
    }

    /// Closes the connections and opens the database that has the name now, or creates one. Begins a new incarnation.
    pub(super) fn renew(&self) -> Result<()> {
        // Locked in the order in which a fork locks them.
        let mut writer = lock(&self.connections.writer);
        let mut reader = lock(&self.connections.reader);
        let known = self.opened.newest();
        // Whether the open database has lost its name, or the connection does not lead to the newest database of this
        // store.
        let is_outdated = |slot: &LazyConnection| slot.is_moved() || slot.id().is_some() && !known.is_of(slot);
        if self.folder.broken().is_none() && !is_outdated(&writer) && !is_outdated(&reader) {
            return Ok(()); // another thread was faster
        }
        writer.close();
        reader.close();
        if self.folder.broken().is_some() {
            self.folder.rename_broken()?;
        } else {
            log::warn!(
                "the database in {} was removed or replaced while it was open; reopening it",
                self.folder.path().display()
            );
        }
        let mut next = self.inspect(&mut writer)?;
        next.number = known.number + 1;
        known.follow(next);
        Ok(())
    }

    /// Returns the error for a file that is replaced or damaged at each attempt. `what`: the begin of a sentence, such
    /// as 'its database is'.
    pub(super) fn replaced(&self, what: &str) -> Error {
        Error::new(
            Status::Store,
            format!(
                "store in {}: {what} replaced or damaged during each attempt; look for the program that does it, or \
                 choose another cache_dir",
                self.folder.path().display()
            ),
        )
    }

    /// Checkpoints the log into the database, as far as readers allow, and truncates both files. Does not wait for
    /// other threads.
    pub fn settle(&self) {
        if let Some(writer) = try_lock(&self.connections.writer) {
            writer.checkpoint();
        }
    }

    /// Closes the connections; they are opened again when needed.
    pub fn close(&self) {
        lock(&self.connections.reader).close();
        let mut writer = lock(&self.connections.writer);
        writer.checkpoint_when_closed();
        writer.close();
    }
}

impl Drop for Store {
    /// Closes the connections while the fork handlers still know them. No connection may be half closed at a fork.
    fn drop(&mut self) {
        self.close();
    }
}
