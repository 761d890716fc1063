//! The file with the [`VersionCounters`]: one page, mapped by every process that has the store open.

mod counters;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::error::{Error, Result, Status};
use crate::platform::clock::wait_coarse;
use crate::platform::deadline::Deadline;
use crate::platform::files::{self, Inode};
use crate::platform::lock::FileLock;
use crate::platform::map::{PAGE, SharedPage};
pub use counters::PageState;
use counters::VersionCounters;

/// `PLXCOUNT`, and the layout's version in the next word.
const MAGIC: u64 = u64::from_le_bytes(*b"PLXCOUNT");
const VERSION: u64 = 3;

// Positions in words. The counters lie on a cache line of their own, apart from what never changes.
const AT_MAGIC: usize = 0;
const AT_VERSION: usize = 1;
const AT_STORE: usize = 2;
const AT_PENDING: usize = 16;
const AT_DONE: usize = 17;
/// Answers of processes that only read, which the store has not counted yet.
const AT_ANSWERS: usize = 24;
/// Number of waits for a commit, including those of killed processes. At 0 a commit need not wake anyone.
const AT_WAITING: usize = 32;

/// Milliseconds between a reader's checks that the page still has its name.
pub const HOLDS_MS: u64 = 500;
/// After this time all readers have noticed that a page lost its name. It includes the lag of their coarse clock.
const NOTICE_TIME: Duration = Duration::from_millis(HOLDS_MS + 60);

/// Longest wait for another process that makes a page.
const CREATE_TIMEOUT: Duration = Duration::from_secs(20);

/// The version counters of a store, shared between processes.
pub struct VersionPage {
    page: SharedPage,
    file: Inode,
}

impl VersionPage {
    /// Maps the page at `path`, and creates it if it is missing, or that of another store. Both counters of a new page are
    /// 0, so call [`VersionPage::repair`] under the database's write lock.
    ///
    /// Other processes may still have a removed page mapped. A new page is created only after they have noticed the
    /// removal. `fresh`: the store has no commit yet, so no process can have an older page mapped, and no wait is
    /// needed.
    ///
    /// # Errors
    /// [`Status::Store`] if the file cannot be created or mapped.
    pub fn open(path: &Path, store_id: u64, fresh: bool) -> Result<Self> {
        let failed = |error: io::Error| {
            Error::new(
                Status::Store,
                format!("cannot map the version page {}: {error}", path.display()),
            )
        };
        if let Some(page) = Self::existing(path, store_id).map_err(failed)? {
            return Ok(page);
        }
        // The folder's lock prevents two processes from creating two pages, so look again under the lock. A file system
        // without working locks has no reliable mappings either, so no page is created there.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let _exclusive = FileLock::on_folder(folder, Deadline::after(CREATE_TIMEOUT), &|| false)
            .map_err(failed)?
            .ok_or_else(|| failed(io::ErrorKind::TimedOut.into()))?;
        if let Some(page) = Self::existing(path, store_id).map_err(failed)? {
            return Ok(page);
        }
        Self::make(path, store_id, fresh).map_err(failed)?;
        Self::existing(path, store_id)
            .map_err(failed)?
            .ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))
    }

    /// Maps the page if it exists and is this store's.
    ///
    /// # Errors
    /// If the file cannot be mapped.
    pub fn existing(path: &Path, store_id: u64) -> io::Result<Option<Self>> {
        let file = match files::existing(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // A link, a pipe or a directory is replaced.
            Err(error) if files::is_in_the_way(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let page = match SharedPage::map(&file) {
            Ok(page) => page,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        };
        let words = page.words();
        let is_own = [(AT_MAGIC, MAGIC), (AT_VERSION, VERSION), (AT_STORE, store_id)]
            .into_iter()
            .all(|(at, word)| words[at].load(Ordering::SeqCst) == word);
        let file = Inode::of_open(&file)?;
        Ok(is_own.then_some(Self { page, file }))
    }

    /// Makes a page, in place of whatever has its name.
    fn make(path: &Path, store_id: u64, fresh: bool) -> io::Result<()> {
        if !fresh {
            Self::take_away(path, false)?;
        }
        let mut bytes = [0; PAGE];
        for (at, word) in [(AT_MAGIC, MAGIC), (AT_VERSION, VERSION), (AT_STORE, store_id)] {
            bytes[at * 8..at * 8 + 8].copy_from_slice(&word.to_ne_bytes());
        }
        let temporary = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = files::fresh(&temporary)?;
        let written = file.write_all(&bytes).and_then(|()| files::rename(&temporary, path));
        if written.is_err() {
            let _ = files::remove(&temporary);
        }
        written
    }

    /// Removes the page's file. Returns after all other processes have noticed the removal, and query the database.
    /// `unused`: nobody has it mapped if there is no file.
    ///
    /// # Errors
    /// If the file cannot be removed.
    pub fn take_away(path: &Path, unused: bool) -> io::Result<()> {
        // Remove it by path, because this must work without a free descriptor.
        match fs::remove_file(path) {
            // Anything else, such as a directory, cannot be mapped.
            Err(error) if error.kind() != io::ErrorKind::NotFound && path.is_file() => return Err(error),
            Err(_) if unused => {}
            _ => wait_coarse(NOTICE_TIME),
        }
        Ok(())
    }

    /// Returns whether the file at `path` is still this page. If not, new processes use another page. They miss commits
    /// announced here, and this process misses theirs. Writers check this before each write, readers twice a second.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        Inode::of(path) == Some(self.file)
    }

    /// Adds answers for the next writer to store.
    pub fn count_answers(&self, answers: u64) {
        self.page.words()[AT_ANSWERS].fetch_add(answers, Ordering::Relaxed);
    }

    /// The answers not stored yet.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.page.words()[AT_ANSWERS].load(Ordering::Relaxed)
    }

    /// Takes the answers and resets them to 0.
    #[must_use]
    pub fn take_answers(&self) -> u64 {
        self.page.words()[AT_ANSWERS].swap(0, Ordering::Relaxed)
    }

    /// Announces transaction `sequence`. Call it before the commit, under the database's write lock.
    pub fn begin(&self, sequence: u64) {
        self.counters().begin(sequence);
    }

    /// Announces that the transaction is finished. Call it after the commit, before returning to the caller.
    pub fn commit(&self, sequence: u64) {
        self.counters().commit(sequence);
        self.wake();
    }

    /// Sets the counters to the database's change sequence. Call it under the write lock, with no transaction under
    /// way.
    pub fn repair(&self, sequence: u64) {
        self.counters().repair(sequence);
        self.wake();
    }

    /// Returns the value to wait on for the next commit. Read it before checking for commits.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.page.words()[AT_DONE].load(Ordering::SeqCst)
    }

    /// Waits until a commit after [`VersionPage::done`], a signal, [`VersionPage::wake`] or the timeout. May return
    /// early.
    pub fn wait(&self, done: u64, timeout: Duration) {
        let waiting = &self.page.words()[AT_WAITING];
        // Count before the comparison in `wait`: a commit that sees no waiter has changed the value by then.
        waiting.fetch_add(1, Ordering::SeqCst);
        self.page.wait(AT_DONE, done, timeout);
        waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// Wakes all waits, in all processes that have the page mapped.
    pub fn wake(&self) {
        if self.page.words()[AT_WAITING].load(Ordering::SeqCst) != 0 {
            self.page.wake(AT_DONE);
        }
    }

    /// The counters' state: a snapshot is current if it is [`PageState::Equal`] with the snapshot's sequence.
    #[inline]
    #[must_use]
    pub fn state(&self) -> PageState {
        self.counters().state()
    }

    fn counters(&self) -> VersionCounters<'_, std::sync::atomic::AtomicU64> {
        let words = self.page.words();
        VersionCounters::new(&words[AT_PENDING], &words[AT_DONE])
    }
}
