//! The open database and its version page, and checks that both still have their names.
//!
//! Another process can remove or replace the version page. A process that has the old page mapped would continue to
//! read it, although no writer updates it any more. So a check of the names is valid for [`HOLDS_MS`] only, by a clock
//! that needs no system call. A process that creates a new page first leaves the name unused for that long, unless it
//! can mark the old page as retired.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use once_cell::race::OnceBox;
use rusqlite::Connection;

use super::connection::LazyConnection;
use super::folder::StoreFolder;
use super::state_file::{CachedState, StoreFiles};
use super::tx::{RollbackGuard, WaitGuard, sequence_of};
use crate::engine::version_page::{HOLDS_MS, PageState, VersionPage};
use crate::error::Error;
use crate::model::Sequence;
use crate::platform::files::Inode;

/// The files of the open database. When the database or the page is replaced, a new entry is appended. Entries are
/// neither changed nor freed before the store is dropped, so readers need no lock.
#[derive(Default)]
pub struct OpenFiles {
    pub id: u64,
    /// Counts the databases that this store opened. The database id is not enough, as a copy has the same id.
    pub number: u64,
    pub secret: [u8; 32],
    pub page: Option<VersionPage>,
    /// The file that had the database's name.
    file: Option<Inode>,
    database: PathBuf,
    /// The path of the version page.
    page_path: PathBuf,
    /// The paths of `-wal` and `-shm`, and their inodes when they were opened.
    log: [(PathBuf, Option<Inode>); 2],
    /// When the last check of the names expires, by `coarse_ms`.
    until: AtomicU64,
    /// Whether a check found a file's name missing or changed. Never reset, because a file that comes back may have
    /// missed commits.
    gone: AtomicBool,
    next: OnceBox<Self>,
}

impl OpenFiles {
    /// Creates an entry for a database and its page, both opened by name. Their names are checked at the first use of
    /// the page.
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
            page_path: folder.page(),
            log: folder.log().map(|name| (name.to_owned(), Inode::of(name))),
            ..Self::default()
        }
    }

    /// Creates an entry for a database that is not open, because its state file sufficed. The names of page and files
    /// were checked a moment ago.
    pub fn found(folder: &StoreFolder, cached: &CachedState, page: VersionPage, files: &StoreFiles) -> Self {
        let [wal, shm] = &files.log;
        Self {
            id: cached.id,
            secret: cached.secret,
            page: Some(page),
            file: Some(files.database.file),
            database: folder.database().to_owned(),
            page_path: folder.page(),
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

    /// Returns whether a connection has this database open. A copy has the same id, but another inode.
    pub fn is_of(&self, slot: &LazyConnection) -> bool {
        slot.id() == Some(self.id) && slot.file() == self.file
    }

    /// Returns whether `files` are the files of this database.
    pub fn is_of_files(&self, files: &StoreFiles) -> bool {
        let log = self.log.iter().zip(&files.log);
        self.file == Some(files.database.file) && log.into_iter().all(|((_, file), now)| *file == Some(now.file))
    }

    /// Returns whether `-wal` and `-shm` still have their names. If not, other commits may have led to the same change
    /// sequence.
    pub fn has_log(&self) -> bool {
        self.log.iter().all(|(name, file)| Inode::of(name) == *file)
    }

    /// Returns whether the database still has its name.
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

    /// Appends the next entry after this one, unless another thread was faster.
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

    /// Checks that page, database and log still have their names. After a log was lost, other changes may lead to a
    /// change sequence that was read here.
    #[cold]
    #[inline(never)]
    fn check_names(&self, now_ms: u64) -> bool {
        if !self.is_page_valid() || Inode::of(&self.database) != self.file || !self.has_log() {
            self.gone.store(true, Ordering::Relaxed);
            return false;
        }
        // Before the first commit a missing page is replaced at once, so nobody may trust the earlier one.
        let fresh = |page: &VersionPage| matches!(page.state(), PageState::Equal(now) if is_fresh(Sequence(now)));
        if !self.page.as_ref().is_some_and(fresh) {
            self.until.fetch_max(now_ms.saturating_add(HOLDS_MS), Ordering::Relaxed);
        }
        true
    }

    /// Returns whether the page has its name now, and had it at every check.
    pub fn is_page_valid(&self) -> bool {
        self.own_page().is_some_and(|page| page.is_at(&self.page_path))
    }

    /// The page, if it had its name at every check and was not retired.
    pub fn own_page(&self) -> Option<&VersionPage> {
        let is_own = |page: &&VersionPage| !self.gone.load(Ordering::Relaxed) && !page.is_retired();
        self.page.as_ref().filter(is_own)
    }

    /// Marks the mapped page as retired, for all processes that have it mapped.
    pub fn retire_page(&self) {
        if let Some(page) = &self.page {
            page.retire();
        }
    }
}

/// Stores the database's change sequence on the page, which may be new, or whose writer may have died. Does nothing
/// while another process writes, which does it. Returns the change sequence.
pub fn repair(page: &VersionPage, connection: &Connection) -> rusqlite::Result<Sequence> {
    let mut sequence = sequence_of(connection)?;
    if page.state() == PageState::Equal(sequence.0) {
        return Ok(sequence);
    }
    let _no_wait = WaitGuard::new(connection, Duration::ZERO)?;
    if connection.execute_batch("BEGIN IMMEDIATE").is_ok() {
        let _undo = RollbackGuard(connection);
        if let Ok(now) = sequence_of(connection) {
            page.repair(now.0);
            sequence = now;
        }
    }
    Ok(sequence)
}

/// Returns whether nothing was committed to the database yet: its first change sequence is a multiple of 2^36.
pub fn is_fresh(sequence: Sequence) -> bool {
    sequence.0.trailing_zeros() >= 36
}

pub fn warn_of_page(error: &Error) {
    log::warn!("the version page cannot be shared, each lookup asks the database instead: {error}");
}
