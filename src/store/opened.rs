//! The database that is open, its counter page, and whether both still have their names.
//!
//! Whoever removes or replaces the counter page takes nothing from those who have it mapped: they would go on believing a
//! page that no writer writes to any more. So what a look at the names showed holds for [`HOLDS_MS`] and no longer, by a
//! clock that costs no system call; and whoever makes a new page, where it cannot tell those who have the old one, first
//! leaves the name free for that long.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use once_cell::race::OnceBox;
use rusqlite::Connection;

use super::connection::Journal;
use super::folder::{Folder, Inode};
use super::{Patient, Store, Undo, sequence_of};
use crate::error::Error;
use crate::image::{CounterPage, HOLDS_MS, State};

/// What is known of the database that is open. When another takes its place, or the page is made anew, the next one is
/// hung behind it: readers come here without a lock, so none is ever changed or freed before the end.
#[derive(Default)]
pub struct Opened {
    pub id: u64,
    pub secret: [u8; 32],
    pub page: Option<CounterPage>,
    /// The file that had the database's name.
    file: Option<Inode>,
    database: PathBuf,
    place: PathBuf,
    /// What `-wal` and `-shm` were, and their names.
    log: [(PathBuf, Option<Inode>); 2],
    /// Until then the last look at the names holds.
    until: AtomicU64,
    /// A look found another file, or none, under a name. What comes back later may have missed commits.
    gone: AtomicBool,
    next: OnceBox<Self>,
}

impl Opened {
    /// A database and its page, both opened by their names; they are looked at when the page is asked first.
    pub fn new(folder: &Folder, id: u64, secret: [u8; 32], file: Option<Inode>, page: Option<CounterPage>) -> Self {
        Self {
            id,
            secret,
            page,
            file,
            database: folder.database(),
            place: folder.page(),
            log: Journal::ENDS.map(|end| {
                let name = folder.companion(end);
                let file = Inode::of(&name);
                (name, file)
            }),
            ..Self::default()
        }
    }

    /// The same database with another page.
    pub fn with_page(&self, folder: &Folder, page: Option<CounterPage>) -> Self {
        Self::new(folder, self.id, self.secret, self.file, page)
    }

    /// The last of the chain.
    #[inline]
    pub fn newest(&self) -> &Self {
        let mut newest = self;
        while let Some(next) = newest.next.get() {
            newest = next;
        }
        newest
    }

    /// Hangs the next one behind this one, unless another thread was faster.
    pub fn follow(&self, next: Self) {
        let _ = self.next.set(Box::new(next));
    }

    /// What the counter page says, or [`State::Pending`] where it cannot be believed. `now_ms` was read before.
    #[inline]
    pub fn state(&self, now_ms: u64) -> State {
        match &self.page {
            Some(page) if now_ms < self.until.load(Ordering::Relaxed) || self.look(now_ms) => page.state(),
            _ => State::Pending,
        }
    }

    /// Whether page and database still have their names, and what `SQLite` keeps beside it: who opens the database after its
    /// log was lost may come to the very change sequence that was read here, by other changes.
    #[cold]
    #[inline(never)]
    fn look(&self, now_ms: u64) -> bool {
        let has_name = |(name, file): &(PathBuf, Option<Inode>)| Inode::of(name) == *file;
        if !self.has_page() || Inode::of(&self.database) != self.file || !self.log.iter().all(has_name) {
            self.gone.store(true, Ordering::Relaxed);
            return false;
        }
        self.until.fetch_max(now_ms.saturating_add(HOLDS_MS), Ordering::Relaxed);
        true
    }

    /// Whether the page has its name, and had it whenever somebody looked.
    pub fn has_page(&self) -> bool {
        let page = self.page.as_ref().filter(|_| !self.gone.load(Ordering::Relaxed));
        page.is_some_and(|page| page.is_at(&self.place))
    }

    /// Tells all who have this page mapped that it is not the store's any more.
    pub fn retire_page(&self) {
        if let Some(page) = &self.page {
            page.retire();
        }
    }
}

impl Store {
    /// Says on the counter page that transaction `sequence` is under way, and gives the page. Called under the write lock.
    ///
    /// A page that somebody removed or replaced is made anew: those who open it now would not see this one. Where it cannot
    /// be mapped it is taken away, so that nobody goes on believing it: others have to see what is written.
    pub(super) fn begin_on_page(&self, sequence: u64) -> rusqlite::Result<Option<&CounterPage>> {
        let opened = self.opened.newest();
        let begun = |page: &CounterPage| page.begin(sequence);
        if !self.folder.shares_memory() {
            return Ok(None);
        }
        if opened.has_page() {
            return Ok(opened.page.as_ref().inspect(|page| begun(page)));
        }
        opened.retire_page();
        let place = self.folder.page();
        let page = CounterPage::open(&place, opened.id, is_fresh(sequence - 1));
        match &page {
            Ok(page) => {
                begun(page);
                self.unheard.store(false, Ordering::Relaxed);
                log::info!("the counter page in {} is opened anew", self.folder.path().display());
            }
            Err(error) => {
                if opened.page.is_some() {
                    warn_of_page(error);
                }
                CounterPage::take_away(&place, self.unheard.load(Ordering::Relaxed))
                    .map_err(|_| rusqlite::Error::ToSqlConversionFailure(Box::new(error.clone())))?;
                self.unheard.store(true, Ordering::Relaxed);
                if opened.page.is_none() {
                    return Ok(None); // as it was
                }
            }
        }
        opened.follow(opened.with_page(&self.folder, page.ok()));
        Ok(self.opened.newest().page.as_ref())
    }

    /// Looks for the counter page that a writer has made where this process has none, or had one that is gone. Waits for
    /// nobody: the next call may find it.
    pub fn find_page(&self) {
        let opened = self.opened.newest();
        if !self.believes || !self.folder.shares_memory() || opened.has_page() {
            return;
        }
        let Ok(mut writer) = self.connections.writer.try_lock() else {
            return;
        };
        if self.is_stale(&writer) || writer.id() != Some(opened.id) {
            return;
        }
        if let Ok(Some(page)) = CounterPage::existing(&self.folder.page(), opened.id)
            && let Ok((connection, _)) = writer.connection()
            && let Ok(sequence) = repair(&page, connection)
            && page.state() == State::Equal(sequence)
        {
            opened.follow(opened.with_page(&self.folder, Some(page)));
        }
    }
}

/// Makes the page agree with the database where it does not: it is new, its writer died, or the machine did. When
/// somebody is writing that is left to them. Gives the database's change sequence.
pub fn repair(page: &CounterPage, connection: &Connection) -> rusqlite::Result<u64> {
    let mut sequence = sequence_of(connection)?;
    if page.state() == State::Equal(sequence) {
        return Ok(sequence);
    }
    connection.busy_timeout(Duration::ZERO)?;
    let _patient = Patient(connection);
    if connection.execute_batch("BEGIN IMMEDIATE").is_ok() {
        let _undo = Undo(connection);
        if let Ok(now) = sequence_of(connection) {
            page.repair(now);
            sequence = now;
        }
    }
    Ok(sequence)
}

/// Whether nothing was ever committed to the database with this change sequence: it begins at a multiple.
pub fn is_fresh(sequence: u64) -> bool {
    sequence.trailing_zeros() >= 32
}

pub fn warn_of_page(error: &Error) {
    log::warn!("the counter page cannot be shared, each lookup asks the database instead: {error}");
}
