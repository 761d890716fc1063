//! The file behind the [`VersionCounters`]: one page, mapped by every process that has the store open.

mod counters;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::error::{Error, Result, Status};
use crate::platform::clock::wait_coarse;
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
/// Counts how often the page was retired and filled anew. Odd: it is retired, and not filled yet.
const AT_INCARNATION: usize = 18;
/// Answers of processes that wrote nothing, which the store's counters lack.
const AT_ANSWERS: usize = 24;
/// Calls that wait for a commit, and those that were killed while they did: where it is 0 a commit wakes none.
const AT_WAITING: usize = 32;

/// For so many milliseconds a reader believes a page that it has seen under its name.
pub const HOLDS_MS: u64 = 500;
/// When all readers have noticed that a page lost its name: the clock by which they believe it lags a little.
const NOTICED: Duration = Duration::from_millis(HOLDS_MS + 60);

/// How long another process may make a page.
const PATIENCE: Duration = Duration::from_secs(20);

/// The coherence counters of a store, shared between processes.
pub struct VersionPage {
    page: SharedPage,
    file: Inode,
    /// As it was when it was mapped: any other says that this one is retired.
    incarnation: u64,
}

impl VersionPage {
    /// Maps the page at `path`, making it when it is missing. One that is retired, or belongs to another store (`store_id`), is
    /// filled anew in its place: others may have the file mapped, so it is neither replaced nor shortened, and a word in it says
    /// to those that it is not theirs any more. Both counters of a new page are 0: call [`VersionPage::repair`] under the
    /// database's write lock before it is relied upon.
    ///
    /// A missing page may have been removed, and others may have it mapped: it is made when they have noticed. A store that is
    /// `fresh` has none yet: nothing was ever committed to it.
    ///
    /// # Errors
    /// [`Status::Store`] when the file cannot be made or mapped; then every lookup has to ask the database.
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
        // Two processes that both find it missing must not end up with a page each. The holder of the folder's lock looks
        // again. Where locks do not work, mapping cannot be relied upon either, and no page is made.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let _exclusive = FileLock::on_folder(folder, Some(Instant::now() + PATIENCE), &|| false)
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

    /// The page, if there is one and it is this store's.
    ///
    /// # Errors
    /// When there is a file that cannot be mapped.
    pub fn existing(path: &Path, store_id: u64) -> io::Result<Option<Self>> {
        let found = Self::mapped(path)?;
        Ok(found.filter(|page| page.is_of(store_id) && !page.is_retired()))
    }

    /// The file at the path, whatever is in it; `None` where there is none, or not a whole one.
    fn mapped(path: &Path) -> io::Result<Option<Self>> {
        let file = match files::existing(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // A link, a pipe, a directory: to be replaced.
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
            // Before all else is read: who fills it anew meanwhile changes it.
            incarnation: page.words()[AT_INCARNATION].load(Ordering::SeqCst),
            page,
        }))
    }

    /// Whether it was filled for this store.
    fn is_of(&self, store_id: u64) -> bool {
        [(AT_MAGIC, MAGIC), (AT_VERSION, VERSION), (AT_STORE, store_id)]
            .into_iter()
            .all(|(at, word)| self.word(at) == word)
    }

    /// Makes a page, or fills the file that is there.
    fn make(path: &Path, store_id: u64, fresh: bool) -> io::Result<()> {
        // A file that is no page, no process maps; and it may be a link to one that is precious.
        if let Some(page) = Self::mapped(path)?.filter(|page| page.word(AT_MAGIC) == MAGIC) {
            // Those who have it mapped must not go on believing it.
            page.retire();
            // Others may have one mapped that was removed before this one came.
            if !fresh && !page.is_of(store_id) {
                wait_coarse(NOTICED);
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

    /// Makes a retired page that of a store. A kill in between leaves it retired. A writer that was within its transaction may
    /// still note its number here: that makes the counters differ, or leads a reader to the database.
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

    /// Takes away what has the page's name, where this process cannot map it, and returns when all who have a page mapped have
    /// noticed: from then on they ask the database. With `noticed` set they have, unless there was one again.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn take_away(path: &Path, noticed: bool) -> io::Result<()> {
        // By its path: a process that has no descriptor left has to do this too.
        match fs::remove_file(path) {
            // What is no file, such as a directory, cannot be mapped.
            Err(error) if error.kind() != io::ErrorKind::NotFound && path.is_file() => return Err(error),
            Err(_) if noticed => {}
            _ => wait_coarse(NOTICED),
        }
        Ok(())
    }

    /// Whether the file at `path` is still this page. If the file was removed or replaced, a process that opens it now does
    /// not see this page's counters, nor this page what that process writes: a writer asks before it writes, a reader
    /// twice a second.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        !self.is_retired() && Inode::of(path) == Some(self.file)
    }

    /// It is not the store's any more: processes that have it mapped ask the database from now on.
    pub fn retire(&self) {
        self.page.words()[AT_INCARNATION].fetch_or(1, Ordering::SeqCst);
        self.wake();
    }

    /// Counts answers until a writer takes them.
    pub fn count_answers(&self, answers: u64) {
        self.page.words()[AT_ANSWERS].fetch_add(answers, Ordering::Relaxed);
    }

    /// How many are counted.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.page.words()[AT_ANSWERS].load(Ordering::Relaxed)
    }

    /// Takes what is counted.
    #[must_use]
    pub fn take_answers(&self) -> u64 {
        self.page.words()[AT_ANSWERS].swap(0, Ordering::Relaxed)
    }

    /// Whether it was retired since it was mapped, or before.
    #[inline]
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.page.words()[AT_INCARNATION].load(Ordering::SeqCst) != self.incarnation || self.incarnation % 2 == 1
    }

    /// Before the commit of transaction `sequence`, under the database's write lock.
    pub fn begin(&self, sequence: u64) {
        self.counters().begin(sequence);
    }

    /// After the commit, before any reader is told of it.
    pub fn commit(&self, sequence: u64) {
        self.counters().commit(sequence);
        self.wake();
    }

    /// Under the write lock and with no transaction under way: makes the page agree with the database.
    pub fn repair(&self, sequence: u64) {
        self.counters().repair(sequence);
        self.wake();
    }

    /// What is compared to wait for the next commit: read it before looking at what was committed.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.page.words()[AT_DONE].load(Ordering::SeqCst)
    }

    /// Waits until something is committed since [`VersionPage::done`], a signal comes, [`VersionPage::wake`] is called, or for
    /// so long. It may return for nothing.
    pub fn wait(&self, done: u64, most: Duration) {
        let waiting = &self.page.words()[AT_WAITING];
        // Before the word is compared: a commit that sees none waiting was finished before, and is not waited for.
        waiting.fetch_add(1, Ordering::SeqCst);
        self.page.wait(AT_DONE, done, most);
        waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// Ends the waits of all who have the page mapped.
    pub fn wake(&self) {
        if self.page.words()[AT_WAITING].load(Ordering::SeqCst) != 0 {
            self.page.wake(AT_DONE);
        }
    }

    /// What the counters say: a snapshot is current if this is [`PageState::Equal`] with the snapshot's own sequence.
    /// A page that lost its place says [`PageState::Pending`] for ever.
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
