//! The open database and its version page, and checks that both still have their names.
//!
//! A page that was removed or replaced would still be read by a process that has it mapped, although no writer updates it
//! any more. So a check of the names is valid for [`HOLDS_MS`] only, by a clock that needs no system call. A process that
//! creates a new page first leaves the name unused for that long.

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

/// The history that a change sequence or a segment's name belongs to: it counts the databases that this store opened. A
/// new one begins when the database is replaced, such as by a restored copy. Change sequences of two incarnations must not
/// be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incarnation(pub(super) u64);

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
            ..Self::default()
        }
    }

    /// Creates an entry for a database that is not open, because its state file sufficed. The names of page and files
    /// were checked a moment ago.
    pub fn found(folder: &StoreFolder, cached: &CachedState, page: VersionPage, files: &StoreFiles) -> Self {
        Self {
            id: cached.id,
            secret: cached.secret,
            page: Some(page),
            file: Some(files.database.file),
            database: folder.database().to_owned(),
            page_path: folder.page(),
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
        self.file == Some(files.database.file)
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

    /// Checks that page and database still have their names.
    #[cold]
    #[inline(never)]
    fn check_names(&self, now_ms: u64) -> bool {
        if !self.is_page_valid() || !self.has_database() {
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
        let is_at = |page: &VersionPage| page.is_at(&self.page_path);
        !self.gone.load(Ordering::Relaxed) && self.page.as_ref().is_some_and(is_at)
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
    log::warn!("cannot share the version page; each lookup asks the database instead: {error}");
}
