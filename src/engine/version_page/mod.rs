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
const VERSION: u64 = 2;

// Positions in words. The counters lie on a cache line of their own, apart from what never changes.
const AT_MAGIC: usize = 0;
const AT_VERSION: usize = 1;
const AT_STORE: usize = 2;
const AT_PENDING: usize = 16;
const AT_DONE: usize = 17;
/// Counts retirements and refills of the page. Odd: retired and not refilled yet.
const AT_INCARNATION: usize = 18;
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
    /// The page's generation when it was mapped; if it changes, the page was retired.
    incarnation: u64,
}

impl VersionPage {
    /// Maps the page at `path`, and creates it if it is missing. A page that is retired, or belongs to a store other
    /// than `store_id`, is refilled in place. Other processes that have it mapped then see a new incarnation. Both
    /// counters of a new or refilled page are 0, so call [`VersionPage::repair`] under the database's write lock.
    ///
    /// Other processes may still have a removed page mapped. A new page is created only after they have noticed the
    /// removal. `fresh`: the store has no commit yet, so no process can have an older page mapped, and no wait is
    /// needed.
    ///
    /// # Errors
    /// [`Status::Store`] if the file cannot be created or mapped. Every lookup then has to query the database.
    pub fn open(path: &Path, store_id: u64, fresh: bool) -> Result<Self> {
        let failed = |error: io::Error| {
            Error::new(
                Status::Store,
                format!("the version page {} cannot be mapped: {error}", path.display()),
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
        let found = Self::mapped(path)?;
        Ok(found.filter(|page| page.is_of(store_id) && !page.is_retired()))
    }

    /// Maps the file at the path; `None` if it is missing or too short.
    fn mapped(path: &Path) -> io::Result<Option<Self>> {
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
        Ok(Some(Self {
            file: Inode::of_open(&file)?,
            // Read the incarnation first: a refill after that changes it.
            incarnation: page.words()[AT_INCARNATION].load(Ordering::SeqCst),
            page,
        }))
    }

    /// Returns whether it was filled for this store.
    fn is_of(&self, store_id: u64) -> bool {
        [(AT_MAGIC, MAGIC), (AT_VERSION, VERSION), (AT_STORE, store_id)]
            .into_iter()
            .all(|(at, word)| self.word(at) == word)
    }

    /// Makes a page, or refills the file.
    fn make(path: &Path, store_id: u64, fresh: bool) -> io::Result<()> {
        // Never write into a file that is not a page. No process maps it, and it may be a link to a file of the user.
        if let Some(page) = Self::mapped(path)?.filter(|page| page.word(AT_MAGIC) == MAGIC) {
            // Processes that have it mapped must stop using it.
            page.retire();
            // Others may still map a page that was removed earlier.
            if !fresh && !page.is_of(store_id) {
                wait_coarse(NOTICE_TIME);
            }
            page.fill(store_id);
            return Ok(());
        }
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

    /// Refills a retired page for a store. After a kill in between, the page is still retired. A writer of the old
    /// store may still store its number here; the counters then differ, so readers query the database.
    fn fill(&self, store_id: u64) {
        let words = self.page.words();
        let retired = words[AT_INCARNATION].load(Ordering::SeqCst) | 1;
        for at in [AT_DONE, AT_PENDING, AT_ANSWERS] {
            words[at].store(0, Ordering::SeqCst);
        }
        for (at, word) in [(AT_MAGIC, MAGIC), (AT_VERSION, VERSION), (AT_STORE, store_id)] {
            words[at].store(word, Ordering::SeqCst);
        }
        words[AT_INCARNATION].store(retired.wrapping_add(1), Ordering::SeqCst);
    }

    /// Removes the page's file because this process cannot map it. Returns after all other processes have noticed the
    /// removal, and query the database. `noticed`: they have noticed an earlier removal, so no wait is needed unless
    /// the file exists again.
    ///
    /// # Errors
    /// If the file cannot be removed.
    pub fn take_away(path: &Path, noticed: bool) -> io::Result<()> {
        // Remove it by path, because this must work without a free descriptor.
        match fs::remove_file(path) {
            // Anything else, such as a directory, cannot be mapped.
            Err(error) if error.kind() != io::ErrorKind::NotFound && path.is_file() => return Err(error),
            Err(_) if noticed => {}
            _ => wait_coarse(NOTICE_TIME),
        }
        Ok(())
    }

    /// Returns whether the file at `path` is still this page. If not, new processes use another page. They miss commits
    /// announced here, and this process misses theirs. Writers check this before each write, readers twice a second.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        !self.is_retired() && Inode::of(path) == Some(self.file)
    }

    /// Retires the page. Processes that have it mapped query the database from now on.
    pub fn retire(&self) {
        self.page.words()[AT_INCARNATION].fetch_or(1, Ordering::SeqCst);
        self.wake();
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

    /// Returns whether the page was retired.
    #[inline]
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.page.words()[AT_INCARNATION].load(Ordering::SeqCst) != self.incarnation || self.incarnation % 2 == 1
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
    /// A retired page is [`PageState::Pending`] for ever.
    #[inline]
    #[must_use]
    pub fn state(&self) -> PageState {
        if self.is_retired() {
            return PageState::Pending;
        }
        self.counters().state()
    }

    fn counters(&self) -> VersionCounters<'_, std::sync::atomic::AtomicU64> {
        let words = self.page.words();
        VersionCounters::new(&words[AT_PENDING], &words[AT_DONE])
    }

    fn word(&self, at: usize) -> u64 {
        self.page.words()[at].load(Ordering::SeqCst)
    }
}
