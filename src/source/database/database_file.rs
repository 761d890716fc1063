//! The location and state of the database file, and the server's machine identifier beside it. Serializes read
//! transactions: the lock, the pauses between transactions, and the back-off after failures.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use once_cell::race::OnceBox;
use rusqlite::{ErrorCode, InterruptHandle};
use xxhash_rust::xxh3::xxh3_64;
use zeroize::Zeroize;

use super::super::contract::Bounds;
use crate::error::{Error, Result, Status};
use crate::platform::clock::{Clock, Deadline};
use crate::platform::files::{self, FileStamp, Inode, canonical};
use crate::platform::fork::{ForkLock, HeldLock, lock, lock_for_fork};
use crate::platform::sqlite::ReadOnlyWalVfs;

/// File name of the database.
const NAME: &str = "com.plexapp.plugins.library.db";
/// Path of the database in the folder 'Plex Media Server'.
const PATH_IN_SERVER_FOLDER: &str = "Plug-in Support/Databases/com.plexapp.plugins.library.db";

/// The database file of a Plex Media Server.
pub struct DatabaseFile {
    /// The path that the host specified, of the file or of a folder.
    given_path: PathBuf,
    /// The resolved path of the file, once the file has been found.
    path: OnceBox<PathBuf>,
    pub(super) vfs: Option<ReadOnlyWalVfs>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) read_lock: Arc<ReadLock>,
}

/// The state of the database file, its WAL, its shared memory and its journal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent facts
pub struct FileState {
    /// Identity of the database file.
    pub file_id: u64,
    /// A hash of the files' metadata. Every write changes the hash, unless `detects_next_write` is false.
    pub stamp: u64,
    /// Whether the next write is certain to change `stamp`. Two writes in quick succession may have the same file time.
    pub detects_next_write: bool,
    pub(super) has_wal: bool,
    pub(super) has_shm: bool,
    /// Whether a rollback journal exists: a write is in progress, or was interrupted.
    pub(super) has_journal: bool,
}

#[cfg(test)]
impl FileState {
    /// Creates the state of a database without a WAL.
    pub fn for_tests(stamp: u64, detects_next_write: bool) -> Self {
        Self {
            file_id: 1,
            stamp,
            detects_next_write,
            has_wal: false,
            has_shm: false,
            has_journal: false,
        }
    }
}

impl std::fmt::Debug for DatabaseFile {
    /// Writes the file's path.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.display().fmt(f)
    }
}

impl DatabaseFile {
    /// Reads no file yet. `given_path` is the path of the database file, or of a folder that [`DatabaseFile::path`]
    /// searches.
    pub fn new(given_path: &Path, clock: Arc<dyn Clock>) -> Self {
        Self {
            given_path: given_path.to_owned(),
            path: OnceBox::new(),
            vfs: ReadOnlyWalVfs::new(),
            clock,
            read_lock: Arc::default(),
        }
    }

    /// Returns the file's path. Resolves symbolic links, because the WAL is next to the real file. If the host
    /// specified a folder, finds the file in this folder.
    pub fn path(&self) -> Result<&Path> {
        if let Some(path) = self.path.get() {
            return Ok(path);
        }
        let path = canonical(&self.given_path).and_then(|path| {
            if fs::metadata(&path)?.is_dir() {
                find_in_folder(&path)
            } else {
                Ok(path)
            }
        });
        match path {
            Ok(path) => Ok(self.path.get_or_init(|| Box::new(path))),
            Err(error) => Err(self.io_error(&error)),
        }
    }

    /// Returns the folder 'Plex Media Server' if the file has its usual path in this folder; otherwise `None`.
    pub fn server_folder(&self) -> Option<&Path> {
        let path = self.path().ok()?;
        let is_usual_path = path.ends_with(PATH_IN_SERVER_FOLDER);
        // The path in the server's folder has three components.
        is_usual_path.then(|| path.ancestors().nth(3)).flatten()
    }

    /// Reads the files' state from their metadata, without opening the files.
    pub fn read_state(&self) -> Result<FileState> {
        let path = self.path()?;
        let database = FileStamp::of(path).ok_or_else(|| match fs::metadata(path) {
            Ok(_) => self.error(
                Status::NotPlex,
                "is not a regular file; specify Plex's database, or the folder 'Plex Media Server'",
            ),
            Err(error) => self.io_error(&error),
        })?;
        let wal = FileStamp::of(&companion_path(path, "-wal"));
        let shm_path = companion_path(path, "-shm");
        let has_shm = Inode::of(&shm_path).is_some();
        // In journal mode TRUNCATE, SQLite keeps the journal file, and empties it after each transaction.
        let journal = fs::symlink_metadata(companion_path(path, "-journal"));
        let has_journal = journal.is_ok_and(|metadata| metadata.len() > 0);
        let mut stamped_bytes = database.bytes;
        let mut detects_next_write = database.is_settled;
        if let Some(wal) = &wal {
            // Includes the WAL, after a separator. Windows updates file times late, so there the hash also includes the
            // header of `-shm`.
            stamped_bytes.push(0);
            stamped_bytes.extend(&wal.bytes);
            detects_next_write &= wal.is_settled;
            stamped_bytes.extend(files::log_version(&shm_path).iter().flatten());
        }
        Ok(FileState {
            file_id: xxh3_64(format!("{:?}", database.file).as_bytes()),
            stamp: xxh3_64(&stamped_bytes),
            detects_next_write,
            has_wal: wal.is_some(),
            has_shm,
            has_journal,
        })
    }

    /// Creates the error for a failed SQLite call, with a status and a remedy that fit the cause.
    pub(super) fn sqlite_error(&self, error: &rusqlite::Error) -> Error {
        let (status, remedy) = match error.sqlite_error_code() {
            // While the server starts or stops, SQLite reports the same codes as for missing permissions.
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::CannotOpen | ErrorCode::ReadOnly)
                if self.read_state().is_ok() && self.is_readable() =>
            {
                (Status::Starting, "its server is starting or stopping; try again")
            }
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => (
                Status::Forbidden,
                "this user cannot read it or its -wal and -shm files; join the group that owns Plex's files",
            ),
            Some(ErrorCode::NotADatabase) => (
                Status::NotPlex,
                "it is not a database; specify com.plexapp.plugins.library.db",
            ),
            Some(ErrorCode::DatabaseCorrupt) => (
                Status::BadAnswer,
                "it is damaged, or was copied during a write; use server_url instead",
            ),
            _ => (Status::ServerError, "try again, or use server_url instead"),
        };
        // Omits the URI with which SQLite's message ends if SQLite cannot open the file.
        let message = error.to_string();
        let message = message.split(": file:").next().unwrap_or_default();
        Error::new(
            status,
            format!("cannot read Plex's database {}: {message}; {remedy}", self.display()),
        )
    }

    /// Returns whether the permissions allow this process's user to read all existing files. Opens no file, because
    /// closing the file would drop SQLite's locks.
    fn is_readable(&self) -> bool {
        self.path().is_ok_and(|path| {
            ["", "-wal", "-shm"]
                .into_iter()
                .map(|suffix| companion_path(path, suffix))
                // The server may remove a file between the checks, or make it.
                .all(|file| files::may_read(&file) || Inode::of(&file).is_none() || files::may_read(&file))
        })
    }

    /// Creates an error about this file. `problem` continues a sentence that starts with the file's path.
    pub(super) fn error(&self, status: Status, problem: &str) -> Error {
        Error::new(status, format!("Plex's database {} {problem}", self.display()))
    }

    /// Creates the error for a failed system call, with a status and a remedy that fit the cause.
    fn io_error(&self, error: &std::io::Error) -> Error {
        let (status, remedy) = match error.kind() {
            std::io::ErrorKind::NotFound => (
                Status::Connect,
                "specify com.plexapp.plugins.library.db, or the folder 'Plex Media Server' that contains it",
            ),
            std::io::ErrorKind::PermissionDenied => (
                Status::Forbidden,
                "this user cannot read it or a folder above it; join the group that owns Plex's files",
            ),
            _ => (Status::Connect, "check that its disk is mounted"),
        };
        let text = format!("cannot read Plex's database {}: {error}; {remedy}", self.display());
        Error::new(status, text).with_io_source(error)
    }

    /// Displays the file's path, or, until the file has been found, the path that the host specified.
    pub fn display(&self) -> std::path::Display<'_> {
        self.path.get().unwrap_or(&self.given_path).display()
    }
}

/// Returns the database's resolved path: in this folder, or below it if it is the folder 'Plex Media Server'.
fn find_in_folder(folder: &Path) -> std::io::Result<PathBuf> {
    let is_not_found = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    let path = canonical(&folder.join(PATH_IN_SERVER_FOLDER));
    if !path.as_ref().is_err_and(is_not_found) {
        return path;
    }
    canonical(&folder.join(NAME)).map_err(|error| {
        if is_not_found(&error) {
            std::io::Error::new(
                error.kind(),
                format!("this folder contains neither {NAME} nor {PATH_IN_SERVER_FOLDER}"),
            )
        } else {
            error
        }
    })
}

/// Returns the path of a file next to the database, such as the WAL for the suffix `-wal`.
pub(super) fn companion_path(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    name.into()
}

/// File name of the server's preferences.
const PREFERENCES: &str = "Preferences.xml";
/// The text before the machine identifier. The space excludes attributes whose names have the same ending.
const BEFORE_IDENTIFIER: &str = " ProcessedMachineIdentifier=\"";

/// Reads the machine identifier from the server's preferences; `None` if it is unreadable or invalid. The file also
/// contains the server's own token, so this function parses nothing else, and erases the content from memory.
pub fn machine_identifier(server_folder: &Path) -> Option<String> {
    let mut content = fs::read(server_folder.join(PREFERENCES)).ok()?;
    let identifier = std::str::from_utf8(&content).ok().and_then(|xml| {
        let (_, value) = xml.split_once(BEFORE_IDENTIFIER)?;
        let (identifier, _) = value.split_once('"')?;
        let is_alphanumeric = identifier.bytes().all(|byte| byte.is_ascii_alphanumeric());
        ((1..=64).contains(&identifier.len()) && is_alphanumeric).then(|| identifier.to_owned())
    });
    content.zeroize();
    identifier
}

/// Total reading time after which a pause follows.
const MAX_READ_TIME: Duration = Duration::from_millis(20);
/// Length of a pause while the server is running. The server can restart its WAL only while no process is reading;
/// until then, its WAL grows, and each of its commits attempts a checkpoint.
const PAUSE: Duration = Duration::from_millis(15);
/// Interval at which a waiting thread checks its call's limits.
const POLL: Duration = Duration::from_millis(20);
/// Total time of failed read transactions after which plexindex suspends reads.
const MAX_FAILURE_TIME: Duration = Duration::from_millis(250);
/// How long reads stay suspended if the file is unchanged.
const SUSPENDED_MS: i64 = 15_000;
/// How long reads stay suspended if the file has changed since the failure.
const SUSPENDED_CHANGED_MS: i64 = 2_000;

/// The lock that every read transaction holds. A thread that waits for the lock respects its call's limits, and
/// interrupts a transaction that exceeds its time limit.
#[derive(Default)]
pub struct ReadLock {
    state: Mutex<ReadLockState>,
    released: Condvar,
    /// Number of forks that wait for the lock or hold it.
    forks: AtomicU32,
}

#[derive(Default)]
pub struct ReadLockState {
    is_locked: bool,
    /// The transaction of the thread that holds the lock, once the transaction has started. Other threads can interrupt
    /// it.
    pub running: Option<RunningTransaction>,
    pub pause_schedule: PauseSchedule,
    pub failures: FileFailures,
}

/// A running read transaction. Normally, a transaction ends by itself. But in a damaged file, a single SQLite
/// instruction may take very long; a waiting thread then interrupts the transaction.
pub struct RunningTransaction {
    /// Interrupts the transaction's current SQL statement.
    pub handle: InterruptHandle,
    /// Time from which any waiting thread may interrupt the transaction.
    pub end: Deadline,
    /// Time from which a fork may interrupt the transaction.
    pub target_end: Instant,
}

impl ReadLockState {
    /// Interrupts the running transaction if it has exceeded its time limit, or, for a waiting fork, its target
    /// duration.
    fn interrupt_overrun(&self, has_waiting_fork: bool) {
        let Some(running) = &self.running else { return };
        let end = if has_waiting_fork {
            Deadline::at(running.target_end)
        } else {
            running.end
        };
        if end.has_passed() {
            running.handle.interrupt();
        }
    }
}

/// The lock, held for one read transaction.
pub struct ReadGuard<'l>(&'l ReadLock);

impl ReadLock {
    /// Waits for forks and other threads' transactions, and takes the lock. Fails if the host aborts the call or its
    /// deadline passes.
    pub fn acquire(&self, bounds: &Bounds<'_>) -> Result<ReadGuard<'_>> {
        let mut state = lock(&self.state);
        while state.is_locked || self.has_waiting_fork() {
            check_bounds(bounds)?;
            state.interrupt_overrun(false);
            let waited = self.released.wait_timeout(state, bounds.deadline.wait(POLL));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.is_locked = true;
        Ok(ReadGuard(self))
    }

    /// Interrupts the running transaction if it has exceeded its time limit. Waiting threads call this function
    /// periodically, because a long SQLite instruction does not check the limit itself.
    pub fn interrupt_overrun(&self) {
        lock(&self.state).interrupt_overrun(false);
    }

    /// Returns whether a fork is waiting for the lock or holding it. Until the fork ends, no new transaction starts.
    pub fn has_waiting_fork(&self) -> bool {
        self.forks.load(Ordering::Relaxed) > 0
    }

    /// Takes the lock for a fork; dropping the returned value releases the lock. Interrupts a transaction that exceeds
    /// its target duration; the transaction runs again later.
    pub fn lock_for_fork(self: &Arc<Self>) -> Box<dyn ForkLock> {
        self.forks.fetch_add(1, Ordering::Relaxed);
        let mut state = lock(&self.state);
        while state.is_locked {
            state.interrupt_overrun(true);
            let waited = self.released.wait_timeout(state, POLL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        // No transaction starts between the next two statements, because `forks` is not 0.
        drop(state);
        Box::new(HeldReadLock {
            _state: lock_for_fork(self, |read_lock| &read_lock.state),
            read_lock: Arc::clone(self),
        })
    }
}

/// Holds the lock during a fork.
struct HeldReadLock {
    _state: HeldLock<ReadLock, ReadLockState>,
    read_lock: Arc<ReadLock>,
}

impl ForkLock for HeldReadLock {}

impl Drop for HeldReadLock {
    /// Records that the fork has ended, and wakes the threads that wait for the lock.
    fn drop(&mut self) {
        self.read_lock.forks.fetch_sub(1, Ordering::Relaxed);
        self.read_lock.released.notify_all();
    }
}

impl ReadGuard<'_> {
    /// Returns the state that belongs to the lock's holder. No other thread gets the lock, or learns that the holder
    /// has exceeded its time limit, until the returned value is dropped.
    pub fn state(&self) -> MutexGuard<'_, ReadLockState> {
        lock(&self.0.state)
    }
}

impl Drop for ReadGuard<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.is_locked = false;
        state.running = None;
        drop(state);
        self.0.released.notify_all();
    }
}

/// Fails if the host has aborted the call, or if the call's deadline has passed.
pub fn check_bounds(bounds: &Bounds<'_>) -> Result<()> {
    if (bounds.aborted)() {
        return Err(Error::new(
            Status::Aborted,
            "cannot read Plex's database: the host stopped the call",
        ));
    }
    if bounds.deadline.has_passed() {
        return Err(Error::new(
            Status::Timeout,
            "cannot read Plex's database: the timeout passed; allow more time",
        ));
    }
    Ok(())
}

/// Reading time since the last pause, while the server is running.
#[derive(Debug, Default)]
pub struct PauseSchedule {
    read_time: Duration,
    last_read_end: Option<Instant>,
}

impl PauseSchedule {
    /// Adds a read transaction that has just ended, and how long it ran.
    pub fn add(&mut self, duration: Duration) {
        self.read_time += duration;
        self.last_read_end = Some(Instant::now());
    }

    /// Returns how long to pause now: zero until the reading time exceeds [`MAX_READ_TIME`], and then [`PAUSE`], minus
    /// the time since the last transaction.
    pub fn next_pause(&mut self) -> Duration {
        let remaining = self
            .last_read_end
            .map_or(Duration::ZERO, |end| PAUSE.saturating_sub(end.elapsed()));
        // The server has had a full pause since the last transaction.
        if remaining.is_zero() {
            self.read_time = Duration::ZERO;
        }
        if self.read_time > MAX_READ_TIME {
            self.read_time = Duration::ZERO;
            remaining
        } else {
            Duration::ZERO
        }
    }
}

/// Failures since the last successful read transaction.
#[derive(Debug, Default)]
pub struct FileFailures {
    /// Total time of the failed transactions.
    total_time: Duration,
    /// The failure that suspends reads, the hash of the files' state at that time, and the time in Unix ms.
    suspension: Option<(Error, Option<u64>, i64)>,
}

impl FileFailures {
    /// Adds a failed transaction. Suspends reads when the failures have taken [`MAX_FAILURE_TIME`] in total. `stamp` is
    /// a hash of the files' state.
    pub fn add(&mut self, error: &Error, duration: Duration, stamp: Option<u64>, now_ms: i64) {
        self.total_time += duration;
        if self.total_time >= MAX_FAILURE_TIME {
            self.suspension = Some((error.clone(), stamp, now_ms));
        }
    }

    /// Returns the failure that suspends reads now; `None` if reads may run. A changed hash (`stamp`) shortens the
    /// suspension, because the server may have repaired the file.
    pub fn suspending_failure(&self, stamp: impl FnOnce() -> Option<u64>, now_ms: i64) -> Option<Error> {
        let (error, failure_stamp, failed_ms) = self.suspension.as_ref()?;
        let limit_ms = if stamp() == *failure_stamp {
            SUSPENDED_MS
        } else {
            SUSPENDED_CHANGED_MS
        };
        let age_ms = now_ms.saturating_sub(*failed_ms);
        // A negative age means that the clock was set back. Reads then resume at once.
        (0..limit_ms).contains(&age_ms).then(|| error.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_machine_identifier_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |text: &str| std::fs::write(folder.path().join("Preferences.xml"), text).expect("written");
        assert_eq!(machine_identifier(folder.path()), None, "there is no such file");
        write(
            "<?xml version=\"1.0\"?>\n<Preferences OldestPreviousVersion=\"1\" MachineIdentifier=\"a-b-c\" \
         ProcessedMachineIdentifier=\"0123456789abcdef0123456789abcdef01234567\" PlexOnlineToken=\"secret\"/>",
        );
        assert_eq!(
            machine_identifier(folder.path()).as_deref(),
            Some("0123456789abcdef0123456789abcdef01234567")
        );
        for none in [
            "",
            "<Preferences/>",
            "<P ProcessedMachineIdentifier=\"\"/>",
            "<P ProcessedMachineIdentifier=\"a b\"/>",
        ] {
            write(none);
            assert_eq!(machine_identifier(folder.path()), None, "{none}");
        }
    }

    #[test]
    fn reads_are_suspended_after_slow_failures() {
        let mut failures = FileFailures::default();
        let error = Error::new(Status::ServerError, "not in time");
        let last =
            |failures: &FileFailures, stamp: u64, now_ms: i64| failures.suspending_failure(|| Some(stamp), now_ms);
        failures.add(&error, MAX_FAILURE_TIME / 2, Some(1), 1_000);
        assert_eq!(last(&failures, 1, 1_001), None);
        failures.add(&error, MAX_FAILURE_TIME / 2, Some(1), 2_000);
        for (stamp, now_ms, is_left) in [
            (1, 2_000, true),
            (1, 2_000 + SUSPENDED_MS - 1, true),
            (1, 2_000 + SUSPENDED_MS, false),
            (2, 2_000 + SUSPENDED_CHANGED_MS - 1, true),
            (2, 2_000 + SUSPENDED_CHANGED_MS, false),
            (1, 1_999, false),
        ] {
            assert_eq!(last(&failures, stamp, now_ms).is_some(), is_left, "{stamp} {now_ms}");
        }
        // The next failure suspends reads again at once.
        failures.add(&error, Duration::ZERO, Some(1), 20_000);
        assert_eq!(last(&failures, 1, 20_001), Some(error));
    }
}
