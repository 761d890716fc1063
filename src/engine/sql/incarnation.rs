//! The open database and its version page. Checks that both files still have their names.
//!
//! A process may have a removed or replaced page mapped, which no writer updates. A check of the names is therefore
//! valid only for [`PAGE_CHECK_MS`], measured by a clock that needs no system call. Before a process creates a page, it
//! waits for [`PAGE_CHECK_MS`], so that no other process still uses the old page.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use once_cell::race::OnceBox;
use rusqlite::Connection;

use super::connection::LazyConnection;
use super::row_positions::SEQUENCE_BITS;
use super::state_file::{CachedState, StoreFiles};
use super::store_folder::StoreFolder;
use super::tx::{RollbackGuard, WaitGuard, sequence_of};
use crate::engine::version_page::{PAGE_CHECK_MS, PageState, VersionPage};
use crate::error::Error;
use crate::model::Sequence;
use crate::platform::files::Inode;

/// The number of databases that this handle opened before the current one. Each replacement of the database, for
/// example by a restored backup, starts a new incarnation. Change sequences and segment names from different
/// incarnations must not be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incarnation(pub(super) u64);

/// A database and its version page, as an entry in a linked list. plexindex appends a new entry when the database or
/// the page is replaced. Entries live as long as the store, so readers need no lock.
#[derive(Default)]
pub struct OpenFiles {
    pub id: u64,
    /// The number of the [`Incarnation`]. The store's id is not enough, because a copy of the database has the same id.
    pub number: u64,
    /// The key for hashing tokens, which is in the database.
    pub secret: [u8; 32],
    /// The version page; `None` if all lookups query the database.
    pub page: Option<VersionPage>,
    file: Option<Inode>,
    database: PathBuf,
    page_path: PathBuf,
    /// Time when the last check of the names expires, by the coarse clock.
    valid_until_ms: AtomicU64,
    /// Whether a check found that a file had lost its name. Stays set, because a file that returns may lack commits.
    is_lost: AtomicBool,
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
            database: folder.database().to_owned(),
            page_path: folder.page(),
            ..Self::default()
        }
    }

    /// Creates an entry for a database that stays closed, because the state file has all necessary data. The caller has
    /// just opened the page and inspected `files` by name.
    pub fn from_state_file(folder: &StoreFolder, cached: &CachedState, page: VersionPage, files: &StoreFiles) -> Self {
        Self {
            id: cached.id,
            secret: cached.secret,
            page: Some(page),
            file: Some(files.database.file),
            database: folder.database().to_owned(),
            page_path: folder.page(),
            valid_until_ms: AtomicU64::new(files.inspected_ms.saturating_add(PAGE_CHECK_MS)),
            ..Self::default()
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

    /// Returns whether the inspected `files` belong to this database, and not to its replacement.
    pub fn is_of_files(&self, files: &StoreFiles) -> bool {
        self.file == Some(files.database.file)
    }

    /// Returns whether the database still has its name, so that no other database has replaced it.
    pub fn has_database(&self) -> bool {
        Inode::of(&self.database) == self.file
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

    /// Appends `next` to the list, because the database or the page was replaced. This entry must be the newest one.
    /// Callers hold the writer's lock, so no other thread appends an entry.
    pub fn append(&self, next: Self) {
        let _ = self.next.set(Box::new(next));
    }

    /// Returns the version page's state, or [`PageState::Pending`] without a valid page, so that the caller queries the
    /// database. `now_ms`: the coarse clock's time before this call.
    #[inline]
    pub fn state(&self, now_ms: u64) -> PageState {
        match &self.page {
            Some(page) if now_ms < self.valid_until_ms.load(Ordering::Relaxed) || self.check_names(now_ms) => {
                page.state()
            }
            _ => PageState::Pending,
        }
    }

    /// Returns whether the page and the database still have their names. If so, the page stays valid for
    /// [`PAGE_CHECK_MS`] after `now_ms`, the coarse clock's time. If not, the page is never valid again.
    #[cold]
    #[inline(never)]
    fn check_names(&self, now_ms: u64) -> bool {
        if !self.is_page_valid() || !self.has_database() {
            self.is_lost.store(true, Ordering::Relaxed);
            return false;
        }
        // Before the first commit, a process can replace a missing page without a wait, so check the names on each use.
        let is_before_commits = |page: &VersionPage| match page.state() {
            PageState::Equal(sequence) => is_first_sequence(Sequence(sequence)),
            PageState::Pending => false,
        };
        if !self.page.as_ref().is_some_and(is_before_commits) {
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
    if page.state() == PageState::Equal(sequence.0) {
        return Ok(sequence);
    }
    // While another process is writing, BEGIN fails at once. The lock keeps the sequence unchanged until it is set.
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

/// Returns whether a change sequence is a database's first one, before any commit. If so, no process can have a removed
/// version page mapped. The first change sequence is a multiple of 2^36, and a database has at most 2^36 of them.
pub fn is_first_sequence(sequence: Sequence) -> bool {
    sequence.0.trailing_zeros() >= SEQUENCE_BITS
}

/// Logs a warning that the version page cannot be used.
pub fn warn_of_page(error: &Error) {
    log::warn!("cannot use the version page: {error}; each lookup queries the database instead");
}
