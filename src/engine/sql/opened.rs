//! The database that is open, its version page, and whether both still have their names.
//!
//! Removing or replacing the version page takes nothing from those who have it mapped: they would go on believing a
//! page that no writer writes to any more. So what a check of the names showed holds for [`HOLDS_MS`] and no longer, by a
//! clock that costs no system call; and a process that makes a new page, where it cannot tell those who have the old one, first
//! leaves the name free for that long.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use once_cell::race::OnceBox;
use rusqlite::Connection;

use super::connection::LazyConnection;
use super::folder::StoreFolder;
use super::state_file::{CachedState, StoreFiles};
use super::tx::{NoWaitGuard, RollbackGuard, sequence_of};
use crate::engine::version_page::{HOLDS_MS, PageState, VersionPage};
use crate::error::Error;
use crate::model::Sequence;
use crate::platform::files::Inode;

/// The files of the open database. When the database or the page is replaced, the next entry is appended behind this one:
/// readers take no lock, so an entry is never changed, or freed before the store.
#[derive(Default)]
pub struct OpenFiles {
    pub id: u64,
    /// Counts the databases that were opened here: a copy that took the place of one has its id.
    pub number: u64,
    pub secret: [u8; 32],
    pub page: Option<VersionPage>,
    /// The file that had the database's name.
    file: Option<Inode>,
    database: PathBuf,
    place: PathBuf,
    /// The paths of `-wal` and `-shm`, and the files that were opened.
    log: [(PathBuf, Option<Inode>); 2],
    /// The last check of the names is valid until then.
    until: AtomicU64,
    /// A check found another file, or none, under a name. What comes back later may have missed commits.
    gone: AtomicBool,
    next: OnceBox<Self>,
}

impl OpenFiles {
    /// A database and its page, both opened by their names; they are checked when the page is asked first.
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
            database: folder.database().to_owned(),
            place: folder.page(),
            log: folder.log().map(|name| (name.to_owned(), Inode::of(name))),
            ..Self::default()
        }
    }

    /// The same, of a database that is not opened: its state file was found. Page and files had their names a moment ago, which is
    /// as good as a check of them.
    pub fn found(folder: &StoreFolder, kept: &CachedState, page: VersionPage, files: &StoreFiles) -> Self {
        let [wal, shm] = &files.log;
        Self {
            id: kept.id,
            secret: kept.secret,
            page: Some(page),
            file: Some(files.database.file),
            database: folder.database().to_owned(),
            place: folder.page(),
            log: [(0, wal), (1, shm)].map(|(at, file)| (folder.log()[at].to_owned(), Some(file.file))),
            until: AtomicU64::new(files.looked_ms.saturating_add(HOLDS_MS)),
            ..Self::default()
        }
    }

    /// The same database with another page.
    pub fn with_page(&self, folder: &StoreFolder, page: Option<VersionPage>) -> Self {
        Self {
            number: self.number,
            ..Self::new(folder, self.id, self.secret, self.file, page)
        }
    }

    /// Whether an open connection leads to this database. A copy has the same id, but is another file.
    pub fn is_of(&self, slot: &LazyConnection) -> bool {
        slot.id() == Some(self.id) && slot.file() == self.file
    }

    /// Whether these are the files of this database.
    pub fn is_of_files(&self, files: &StoreFiles) -> bool {
        let log = self.log.iter().zip(&files.log);
        self.file == Some(files.database.file) && log.into_iter().all(|((_, file), now)| *file == Some(now.file))
    }

    /// Whether what `SQLite` keeps beside the database is what it was. If not, the change sequence may have come to the same
    /// number another way.
    pub fn has_log(&self) -> bool {
        self.log.iter().all(|(name, file)| Inode::of(name) == *file)
    }

    /// Whether the database has its name.
    pub fn has_database(&self) -> bool {
        Inode::of(&self.database) == self.file
    }

    /// The last entry of the chain.
    #[inline]
    pub fn newest(&self) -> &Self {
        let mut newest = self;
        while let Some(next) = newest.next.get() {
            newest = next;
        }
        newest
    }

    /// Appends the next entry behind this one, unless another thread was faster.
    pub fn follow(&self, next: Self) {
        let _ = self.next.set(Box::new(next));
    }

    /// The state of the version page, or [`PageState::Pending`] if it cannot be trusted. `now_ms` was read before.
    #[inline]
    pub fn state(&self, now_ms: u64) -> PageState {
        match &self.page {
            Some(page) if now_ms < self.until.load(Ordering::Relaxed) || self.check_names(now_ms) => page.state(),
            _ => PageState::Pending,
        }
    }

    /// Whether page and database still have their names, and what `SQLite` keeps beside it. After the log was lost, other
    /// changes may lead to the very change sequence that was read here.
    #[cold]
    #[inline(never)]
    fn check_names(&self, now_ms: u64) -> bool {
        if !self.is_page_valid() || Inode::of(&self.database) != self.file || !self.has_log() {
            self.gone.store(true, Ordering::Relaxed);
            return false;
        }
        // Before the first commit a page that is missing is made at once: none may go on believing the one before it.
        let fresh = |page: &VersionPage| matches!(page.state(), PageState::Equal(now) if is_fresh(Sequence(now)));
        if !self.page.as_ref().is_some_and(fresh) {
            self.until.fetch_max(now_ms.saturating_add(HOLDS_MS), Ordering::Relaxed);
        }
        true
    }

    /// Whether the page has its name now, and had it at every check.
    pub fn is_page_valid(&self) -> bool {
        self.own_page().is_some_and(|page| page.is_at(&self.place))
    }

    /// The page, if it had its name at every check and was not retired.
    pub fn own_page(&self) -> Option<&VersionPage> {
        let is_own = |page: &&VersionPage| !self.gone.load(Ordering::Relaxed) && !page.is_retired();
        self.page.as_ref().filter(is_own)
    }

    /// Tells all who have this page mapped that it is not the store's any more.
    pub fn retire_page(&self) {
        if let Some(page) = &self.page {
            page.retire();
        }
    }
}

/// Makes the page agree with the database where it does not: it is new, its writer died, or the machine did. When
/// another process is writing, that is left to it. Gives the database's change sequence.
pub fn repair(page: &VersionPage, connection: &Connection) -> rusqlite::Result<Sequence> {
    let mut sequence = sequence_of(connection)?;
    if page.state() == PageState::Equal(sequence.0) {
        return Ok(sequence);
    }
    let _hasty = NoWaitGuard::new(connection)?;
    if connection.execute_batch("BEGIN IMMEDIATE").is_ok() {
        let _undo = RollbackGuard(connection);
        if let Ok(now) = sequence_of(connection) {
            page.repair(now.0);
            sequence = now;
        }
    }
    Ok(sequence)
}

/// Whether nothing was ever committed to the database with this change sequence: it begins at a multiple.
pub fn is_fresh(sequence: Sequence) -> bool {
    sequence.0.trailing_zeros() >= 32
}

pub fn warn_of_page(error: &Error) {
    log::warn!("the version page cannot be shared, each lookup asks the database instead: {error}");
}
