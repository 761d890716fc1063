//! The version page: a file with the [`VersionCounters`], which every process maps while it has the store open.

mod counters;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::{Error, Result, Status};
use crate::platform::clock::{Deadline, sleep_coarse};
use crate::platform::files::{self, Inode};
use crate::platform::lock::FileLock;
use crate::platform::map::{PAGE, SharedPage};
use counters::VersionCounters;

const MAGIC: u64 = u64::from_le_bytes(*b"PLXCOUNT");
const VERSION: u64 = 3;

// Indexes of 64-bit words in the page. The counters and the constant words are in different cache lines.
const MAGIC_WORD: usize = 0;
const VERSION_WORD: usize = 1;
const STORE_ID_WORD: usize = 2;
const PENDING_WORD: usize = 16;
const DONE_WORD: usize = 17;
/// The number of lookups that read-only processes answered and that the store has not counted yet.
const ANSWERS_WORD: usize = 24;

/// Interval in milliseconds at which a reader checks whether the page's file was removed or replaced.
pub const PAGE_CHECK_MS: u64 = 500;
/// Time after which every reader has noticed that the file was removed or replaced. Includes the lag of coarse clocks.
const NOTICE_TIME: Duration = Duration::from_millis(PAGE_CHECK_MS + 60);

/// Value of `pending` on a page that no process may use any longer. No change sequence reaches it.
const CLOSED: u64 = u64::MAX;

/// Maximum time to wait while another process creates a page.
const CREATE_TIMEOUT: Duration = Duration::from_secs(20);

/// Returns a page's constant words, which identify its format and its store, each with its index in the page.
fn constant_words(store_id: u64) -> [(usize, u64); 3] {
    [(MAGIC_WORD, MAGIC), (VERSION_WORD, VERSION), (STORE_ID_WORD, store_id)]
}

/// The version counters of a store, shared between processes.
pub struct VersionPage {
    page: SharedPage,
    file: Inode,
}

impl VersionPage {
    /// Maps the page at `path`. Creates a page if there is none, or if the existing page belongs to another store. In a
    /// new page, both counters are 0, so call [`VersionCounters::repair`] under the database's write lock.
    ///
    /// Other processes may still have a removed page mapped, so this function waits until they have noticed the
    /// removal. If `is_fresh` is set, the store has no commit yet, so no process can have an older page mapped, and
    /// this function does not wait.
    pub fn open(path: &Path, store_id: u64, is_fresh: bool) -> Result<Self> {
        let failed = |error: io::Error| {
            Error::new(
                Status::Store,
                format!("cannot map the version page {}: {error}", path.display()),
            )
        };
        if let Some(page) = Self::existing(path, store_id).map_err(failed)? {
            return Ok(page);
        }
        // The folder's lock ensures that only one process creates a page. Another process may create one while this
        // process waits for the lock. On a file system without locks, shared maps are unreliable too, so this function
        // fails. `|| false`: nothing but the timeout ends the wait.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let _exclusive = FileLock::on_folder(folder, Deadline::after(CREATE_TIMEOUT), &|| false)
            .map_err(failed)?
            .ok_or_else(|| failed(io::ErrorKind::TimedOut.into()))?;
        if let Some(page) = Self::existing(path, store_id).map_err(failed)? {
            return Ok(page);
        }
        Self::create(path, store_id, is_fresh).map_err(failed)?;
        Self::existing(path, store_id)
            .map_err(failed)?
            .ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))
    }

    /// Maps the page if it exists, belongs to this store and is not closed; otherwise returns `None`. Fails if the file
    /// exists but cannot be opened or mapped.
    pub fn existing(path: &Path, store_id: u64) -> io::Result<Option<Self>> {
        let file = match files::open_existing(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // Something other than a file, such as a link, has the page's name. A new page will replace it.
            Err(error) if files::is_obstacle_error(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let page = match SharedPage::map(&file) {
            Ok(page) => page,
            // The file is too short to be a page.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        };
        let words = page.words();
        let is_of_store = words[PENDING_WORD].load(Ordering::SeqCst) != CLOSED
            && constant_words(store_id)
                .into_iter()
                .all(|(index, word)| words[index].load(Ordering::SeqCst) == word);
        let file = Inode::of_open(&file)?;
        Ok(is_of_store.then_some(Self { page, file }))
    }

    /// Creates a page at `path` and replaces any existing file. Waits until other processes no longer use the old page,
    /// unless `is_fresh` is set: a store without commits has no old page. The caller must have locked the folder.
    fn create(path: &Path, store_id: u64, is_fresh: bool) -> io::Result<()> {
        if !is_fresh {
            // `false`: wait even if there is no file, because a process may have a removed page mapped.
            Self::remove_file(path, false)?;
        }
        let mut bytes = [0; PAGE];
        for (index, word) in constant_words(store_id) {
            bytes[index * 8..index * 8 + 8].copy_from_slice(&word.to_ne_bytes()); // a word has eight bytes
        }
        let temporary = path.with_extension(format!("{}.new", std::process::id()));
        files::write_whole(path, &temporary, &bytes, false)
    }

    /// Removes the page's file. Returns after all other processes have noticed the removal, so that they query the
    /// database. If `is_unused` is set and the file does not exist, no process has a page mapped, so this function does
    /// not wait.
    pub fn remove_file(path: &Path, is_unused: bool) -> io::Result<()> {
        // Use `fs::remove_file`, which, unlike `files::remove`, needs no free file descriptor.
        match fs::remove_file(path) {
            // If the path is not a regular file, no process can have it mapped, so ignore the error.
            Err(error) if error.kind() != io::ErrorKind::NotFound && path.is_file() => return Err(error),
            Err(_) if is_unused => {}
            _ => sleep_coarse(NOTICE_TIME),
        }
        Ok(())
    }

    /// Closes the page for all processes, because another database has replaced the page's. Their lookups then query the
    /// database, even if the page's file has lost its name.
    pub fn close(&self) {
        self.counters().begin(CLOSED);
    }

    /// Returns whether the file at `path` is still this page. If not, other processes use a different page and do not
    /// see the commits that this process announces. Writers check this before each write, readers twice a second.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        Inode::of(path) == Some(self.file)
    }

    /// Adds `answers` to the number of answered lookups on the page, so that a process that only does lookups need not
    /// write to the store. The next writer moves the number to the store.
    pub fn count_answers(&self, answers: u64) {
        self.page.words()[ANSWERS_WORD].fetch_add(answers, Ordering::Relaxed);
    }

    /// Returns the number of answered lookups that the store has not counted yet.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.page.words()[ANSWERS_WORD].load(Ordering::Relaxed)
    }

    /// Returns the number of answered lookups that the store has not counted yet, and resets the number to 0. The
    /// caller must add the number to the store's statistics.
    #[must_use]
    pub fn take_answer_count(&self) -> u64 {
        self.page.words()[ANSWERS_WORD].swap(0, Ordering::Relaxed)
    }

    /// Returns access to the counters `pending` and `done` on the page. A snapshot is current if their state is
    /// its sequence.
    #[inline]
    #[must_use]
    pub fn counters(&self) -> VersionCounters<'_> {
        let words = self.page.words();
        VersionCounters::new(&words[PENDING_WORD], &words[DONE_WORD])
    }
}
