//! The open database and its version page, and checks that both still have their names.
//!
//! A process may have a page mapped that was removed or replaced, so that no writer updates it. So a check of the names
//! is valid for only [`HOLDS_MS`], by a clock that needs no system call. A process that creates a page waits that long
//! first.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use once_cell::race::OnceBox;
use rusqlite::Connection;

use super::connection::LazyConnection;
use super::places::SEQUENCE_BITS;
use super::state_file::{CachedState, StoreFiles};
use super::store_folder::StoreFolder;
use super::tx::{RollbackGuard, WaitGuard, sequence_of};
use crate::engine::version_page::{HOLDS_MS, PageState, VersionPage};
use crate::error::Error;
use crate::model::Sequence;
use crate::platform::files::Inode;

/// Counts the databases that this handle opened. A new incarnation begins when the database is replaced, for example by
/// a restored backup. Change sequences and segment names of two incarnations must not be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incarnation(pub(super) u64);

/// The files of the open database, as an entry of a linked list. When the database or the page is replaced, a new entry
/// is appended. Entries live as long as the store, so readers need no lock.
#[derive(Default)]
pub struct OpenFiles {
    pub id: u64,
    /// The number of the [`Incarnation`]. The database id does not suffice, since a copy has the same id.
    pub number: u64,
    pub secret: [u8; 32],
    pub page: Option<VersionPage>,
    /// The database file.
    file: Option<Inode>,
    database: PathBuf,
    /// The path of the version page.
    page_path: PathBuf,
    /// When the last check of the names expires, by the coarse clock.
    valid_until_ms: AtomicU64,
    /// Whether a check found that a file lost its name. Never reset, since a file that comes back may lack commits.
    is_lost: AtomicBool,
    next: OnceBox<Self>,
}

impl OpenFiles {
    /// Creates an entry for a database and its page, both opened by name. The first use of the page checks the names.
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

    /// Creates an entry for a database that need not be opened, since its state file suffices. The caller has just
    /// checked the names of the page and the files.
    pub fn found(folder: &StoreFolder, cached: &CachedState, page: VersionPage, files: &StoreFiles) -> Self {
        Self {
            id: cached.id,
            secret: cached.secret,
            page: Some(page),
            file: Some(files.database.file),
            database: folder.database().to_owned(),
            page_path: folder.page(),
            valid_until_ms: AtomicU64::new(files.looked_ms.saturating_add(HOLDS_MS)),
            ..Self::default()
        }
    }

    /// Returns an entry for the same database with another page.
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

    /// Returns the last entry of the list: the files of the database that is open now.
    #[inline]
    pub fn newest(&self) -> &Self {
        let mut newest = self;
        while let Some(next) = newest.next.get() {
            newest = next;
        }
        newest
    }

    /// Appends `next` after this entry, the newest one, because the database or the page was replaced. Does nothing if
    /// there is a next entry already. Callers hold the writer's lock, so they never race.
    pub fn follow(&self, next: Self) {
        let _ = self.next.set(Box::new(next));
    }

    /// Returns the state of the version page, or [`PageState::Pending`] if the page cannot be trusted. `now_ms`: the
    /// coarse clock before this call.
    #[inline]
    pub fn state(&self, now_ms: u64) -> PageState {
        match &self.page {
            Some(page) if now_ms < self.valid_until_ms.load(Ordering::Relaxed) || self.check_names(now_ms) => {
                page.state()
            }
            _ => PageState::Pending,
        }
    }

    /// Returns whether page and database still have their names. If so, the page can be trusted for [`HOLDS_MS`].
    #[cold]
    #[inline(never)]
    fn check_names(&self, now_ms: u64) -> bool {
        if !self.is_page_valid() || !self.has_database() {
            self.is_lost.store(true, Ordering::Relaxed);
            return false;
        }
        // Before the first commit, a process may replace a missing page without waiting, so each use checks the names.
        let is_before_commits =
            |page: &VersionPage| matches!(page.state(), PageState::Equal(sequence) if is_fresh(Sequence(sequence)));
        if !self.page.as_ref().is_some_and(is_before_commits) {
            let valid_until_ms = now_ms.saturating_add(HOLDS_MS);
            self.valid_until_ms.fetch_max(valid_until_ms, Ordering::Relaxed);
        }
        true
    }

    /// Returns whether the page has its name now, and had it at every check.
    pub fn is_page_valid(&self) -> bool {
        let has_name = |page: &VersionPage| page.is_at(&self.page_path);
        !self.is_lost.load(Ordering::Relaxed) && self.page.as_ref().is_some_and(has_name)
    }
}

/// Sets the page to the database's change sequence, because the page is new or its writer died. Does nothing while
/// another process writes, which sets the page itself. Returns the change sequence.
pub fn repair(page: &VersionPage, connection: &Connection) -> rusqlite::Result<Sequence> {
    let mut sequence = sequence_of(connection)?;
    if page.state() == PageState::Equal(sequence.0) {
        return Ok(sequence);
    }
    let _no_wait = WaitGuard::new(connection, Duration::ZERO)?;
    if connection.execute_batch("BEGIN IMMEDIATE").is_ok() {
        let _undo = RollbackGuard(connection);
        if let Ok(current) = sequence_of(connection) {
            page.repair(current.0);
            sequence = current;
        }
    }
    Ok(sequence)
}

/// Returns whether nothing was committed to the database yet: the first change sequence of a database is a multiple of
/// 2^36.
pub fn is_fresh(sequence: Sequence) -> bool {
    sequence.0.trailing_zeros() >= SEQUENCE_BITS
}

/// Logs why the version page cannot be used, and the consequence.
pub fn warn_of_page(error: &Error) {
    log::warn!("cannot use the version page; each lookup queries the database instead: {error}");
}
