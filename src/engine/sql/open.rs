//! A store that is open: opened, followed when its database is replaced, closed.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::cached::CachedStatements;
use super::connection::LazyConnection;
use super::connections::Connections;
use super::explain::{explain, is_broken};
use super::folder::StoreFolder;
use super::ids::{listing_text, segment_text};
use super::incarnation::Incarnation;
use super::lock_wait::BUSY;
use super::opened::{OpenFiles, is_fresh, repair, warn_of_page};
use super::state_file::{CachedEndpoint, CachedState, find};
use super::tx::{LibraryState, sequence_of};
use crate::engine::version_page::{PageState, VersionPage};
use crate::error::{Error, Result, Status};
use crate::model::{ListingName, SegmentName, Sequence};
use crate::platform::clock::coarse_ms;
use crate::platform::files;
use crate::platform::mutex::{ShortLock, lock, try_lock};
use crate::platform::stamp::FolderStamp;

/// An open store. Usable from many threads; every call is short, and none waits for the network.
pub struct Store {
    pub(super) folder: StoreFolder,
    pub(super) connections: Arc<Connections>,
    /// Whether the version page is believed, and not only kept right for those who do.
    pub(super) believes: bool,
    pub(super) opened: OpenFiles,
    /// No page can be mapped, and all processes that had one have noticed its removal.
    pub(super) unheard: AtomicBool,
    /// The content of the state file, until it is used.
    pub(super) kept: Mutex<Option<CachedState>>,
    /// The change sequence and the endpoint whose state was found in it.
    pub(super) kept_at: Mutex<Option<(Sequence, CachedEndpoint)>>,
    /// No connection is open yet: the state file was enough.
    pub(super) is_late: AtomicBool,
    /// The folder when a write found that the database, its log and the page have their names.
    pub(super) named: Mutex<Option<FolderStamp>>,
    /// The library as the last write of matches left it. Used under the writer's lock, so a fork finds it unlocked.
    pub(super) left: Mutex<Option<LastWrite>>,
    /// Episodes were swept: shows may be left without any.
    pub(super) orphans: AtomicBool,
    /// Which of the opened databases is known to be on its timeline: its number and 1.
    pub(super) timeline_of: AtomicU64,
    /// The changes of a large listing, for readers of its pages.
    pub(super) listed: DiffCache,
    /// The warning about several views was logged.
    pub(super) is_chosen: AtomicBool,
    /// How often those who wait for a commit were woken without one.
    pub(super) woken: AtomicU64,
    /// How lookups wait for other threads.
    pub short: ShortLock,
}

/// A library as the write at this moment left it, with nothing invalidated: the next one need not read it.
pub struct LastWrite {
    pub at: (Incarnation, Sequence),
    pub library: LibraryState,
}

/// The changes of one listing (sequence and number of its row of the log) in pairs of rows, for the next page of the feed.
pub type DiffCache = Mutex<Option<(Incarnation, (Sequence, i64), Arc<Vec<(i64, i64)>>)>>;

impl Store {
    /// Opens the store in `folder`, and makes missing files. Foreign or corrupt databases are renamed to `.broken`.
    /// With `believes` unset the version page is not relied upon: each lookup asks the database.
    ///
    /// # Errors
    /// [`Status::Store`] when the folder cannot be made or written, [`Status::StoreFull`].
    pub fn open(directory: &Path, believes: bool) -> Result<Self> {
        let folder = StoreFolder::open(directory)?;
        // Opening need not write anything, and later is too late to say so.
        files::expect_writable(folder.path()).map_err(|error| folder.cannot("write to", &error))?;
        let connections = Connections::new(&folder);
        let mut store = Self {
            folder,
            connections,
            believes,
            opened: OpenFiles::default(),
            unheard: AtomicBool::new(false),
            kept: Mutex::default(),
            kept_at: Mutex::default(),
            is_late: AtomicBool::new(false),
            named: Mutex::default(),
            left: Mutex::default(),
            orphans: AtomicBool::new(false),
            timeline_of: AtomicU64::new(0),
            is_chosen: AtomicBool::new(false),
            woken: AtomicU64::new(0),
            short: ShortLock::default(),
            listed: DiffCache::default(),
        };
        if store.opens_by_its_state() {
            return Ok(store);
        }
        let known = {
            let mut writer = lock(&store.connections.writer);
            if writer.is_moved() {
                // Another store of this process has to let go first.
                drop(writer);
                store.renew()?;
                writer = lock(&store.connections.writer);
            }
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

    /// Opens the store from the state file, if that is current: the database is opened at its first use.
    fn opens_by_its_state(&mut self) -> bool {
        let shares = self.believes && self.folder.shares_memory();
        if !shares || lock(&self.connections.writer).is_moved() {
            return false;
        }
        let Some((kept, page, files)) = find(&self.folder) else {
            return false;
        };
        self.opened = OpenFiles::found(&self.folder, &kept, page, &files);
        self.kept = Mutex::new(Some(kept));
        self.is_late = AtomicBool::new(true);
        true
    }

    /// Reads what the writer's connection has open, and maps its version page.
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

    /// The folder of the store.
    pub fn folder(&self) -> &StoreFolder {
        &self.folder
    }

    /// The incarnation of what is read from now on.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        Incarnation {
            opened: self.opened.newest().number,
            losses: self.connections.here.journal.losses(),
        }
    }

    /// Whether nothing was committed since `sequence` of this incarnation, for the price of some loads. `false` when that
    /// cannot be told without asking the database.
    #[inline]
    #[must_use]
    pub fn is_current_in(&self, incarnation: Incarnation, sequence: Sequence) -> bool {
        let opened = self.opened.newest();
        self.believes
            && opened.state(coarse_ms()) == PageState::Equal(sequence.0)
            && incarnation.opened == opened.number
            && incarnation.losses == self.connections.here.journal.losses()
    }

    /// The change sequence as the version page shows it, for the price of some loads; `None` where it cannot be told without
    /// asking the database.
    #[must_use]
    pub fn shown_sequence(&self) -> Option<u64> {
        match self.opened.newest().state(coarse_ms()) {
            PageState::Equal(sequence) if self.believes => Some(sequence),
            _ => None,
        }
    }

    /// Gives what waits until something is committed after this call, [`Store::wake_waiting`] is called after it, a signal
    /// comes, or for so long. It may return for nothing, and does where the version page cannot tell.
    pub fn commit_waited_for(&self) -> impl Fn(Duration) {
        let page = self.opened.newest().page.as_ref().filter(|_| self.believes);
        let page = page.map(|page| (page, page.done()));
        let woken = self.woken.load(Ordering::SeqCst);
        move |most| match page {
            // Between this look and the wait are a few instructions: who is woken then notices at its time.
            _ if self.woken.load(Ordering::SeqCst) != woken => {}
            Some((page, done)) => page.wait(done, most),
            None => {}
        }
    }

    /// Ends the waits for a commit that are under way.
    pub fn wake_waiting(&self) {
        self.woken.fetch_add(1, Ordering::SeqCst);
        if let Some(page) = &self.opened.newest().page {
            page.wake();
        }
    }

    /// The keyed hash of a token: equal for equal tokens of this store, useless elsewhere. It changes with a new database.
    #[must_use]
    pub fn fingerprint(&self, token: &str) -> Vec<u8> {
        self.keyed(token.as_bytes()).to_vec()
    }

    /// A hash under the secret of this store: the same for the same bytes, and of no use without the store.
    #[must_use]
    pub fn keyed(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.opened.newest().secret, bytes).as_bytes()
    }

    /// What a segment carries that belongs under this name in this store. The name says all that the file is of:
    /// listing or matches, the library's number, generation and change sequence.
    #[must_use]
    pub fn name_mac(&self, name: &ListingName) -> u64 {
        self.mac_of(&listing_text(name))
    }

    /// The same for a segment of records.
    #[must_use]
    pub fn segment_mac(&self, name: &SegmentName) -> u64 {
        self.mac_of(&segment_text(name))
    }

    fn mac_of(&self, name: &str) -> u64 {
        let mut name_mac = [0; 8];
        name_mac.copy_from_slice(&self.keyed(name.as_bytes())[..8]);
        u64::from_le_bytes(name_mac)
    }

    pub(super) fn is_stale(&self, slot: &LazyConnection) -> bool {
        self.folder.broken().is_some() || slot.is_moved()
    }

    /// The error for people; notes that the database is broken when that is what it says. What was read through a log that
    /// has lost its name says nothing about the database.
    pub(super) fn explained(&self, error: &rusqlite::Error, slot: &LazyConnection) -> Error {
        if is_broken(error) && !slot.is_moved() {
            self.folder.mark_broken(slot.file());
        }
        explain(error, &self.folder)
    }

    /// Closes what is open and opens what has the database's name now, or a new one.
    pub(super) fn renew(&self) -> Result<()> {
        let give_up = Instant::now() + BUSY;
        loop {
            // In the order in which a fork takes them.
            let mut writer = lock(&self.connections.writer);
            let mut reader = lock(&self.connections.reader);
            let known = self.opened.newest();
            let foreign = |slot: &LazyConnection| {
                slot.is_moved() || slot.id().is_some() && !(known.is_of(slot) && known.has_log())
            };
            if self.folder.broken().is_none() && !foreign(&writer) && !foreign(&reader) {
                return Ok(()); // another thread was faster
            }
            let lost = self.connections.here.journal.is_lost(&self.folder);
            writer.close();
            reader.close();
            // The connections of a process share files, which stay open until the last of them is closed. Those of others
            // are only tried: the thread that has one may be waiting for ours.
            if lost && !self.connections.close_others() {
                drop((writer, reader));
                if Instant::now() >= give_up {
                    return Err(self.replaced("the log of its database was"));
                }
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            // Others who have it mapped ask the database too.
            known.retire_page();
            if self.folder.broken().is_some() {
                self.folder.rename_broken()?;
            } else {
                log::warn!(
                    "the database in {}, or what SQLite keeps beside it, was removed or replaced while it was open; it is \
                     opened again",
                    self.folder.path().display()
                );
            }
            let mut next = self.inspect(&mut writer)?;
            next.number = known.number + 1;
            known.follow(next);
            return Ok(());
        }
    }

    pub(super) fn replaced(&self, what: &str) -> Error {
        Error::new(
            Status::Store,
            format!(
                "store in {}: {what} replaced or spoilt again and again; look for the program that does that, or choose \
                 another cache_dir",
                self.folder.path().display()
            ),
        )
    }

    /// Empties the write-ahead log into the database, as far as no process reads, and gives both files' room back. Waits for
    /// no other thread.
    pub fn settle(&self) {
        if let Some(writer) = try_lock(&self.connections.writer) {
            writer.settle();
        }
    }

    /// Closes the connections; they are opened again when needed.
    pub fn close(&self) {
        lock(&self.connections.reader).close();
        let mut writer = lock(&self.connections.writer);
        writer.settle_when_closed();
        writer.close();
    }
}

impl Drop for Store {
    /// While the fork handlers still know of the connections: none may be closing at the moment of a fork.
    fn drop(&mut self) {
        self.close();
    }
}
