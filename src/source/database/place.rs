//! Where the database is, in what state, and how it is opened without a trace.
//!
//! What is done here keeps three promises. Nothing is written, made, removed or locked for longer than a slice. Nothing but
//! `SQLite` opens the database, its log or its index of the log, for closing any descriptor of theirs would drop the locks of
//! whatever has them open in this process. And what was read is of one moment.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use once_cell::race::OnceBox;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Meaning, Result, Status};
use crate::platform::clock::Clock;
use crate::platform::files::{self, Inode};
use crate::platform::foreign::{Limit, ReadOnlyWalVfs};
use crate::platform::fork::Release;
use crate::platform::sole::Sole;
use crate::platform::stamp::{Compared, FileStamp};

use super::super::contract::Bounds;
use super::schema;
use super::turns::{RunningSlice, SliceGuard, SliceLock, check};

/// Its name.
const NAME: &str = "com.plexapp.plugins.library.db";
/// Where it lies in the folder 'Plex Media Server'.
const IN_FOLDER: &str = "Plug-in Support/Databases/com.plexapp.plugins.library.db";
/// For how long a slice reads: the server's log cannot be begun anew while one does.
const SLICE: Duration = Duration::from_millis(40);
/// A slice without a deadline is ended after this, whatever it reads. What it has read is in the system's memory by then, so
/// the next one comes further.
const LONGEST: Duration = Duration::from_secs(15);
/// How often a slice is begun again that the server came between.
const ATTEMPTS: u32 = 4;

/// The database of a Plex Media Server, as a host named it.
pub struct DatabaseFile {
    /// As it was named.
    named: PathBuf,
    /// What that led to, once it was there.
    file: OnceBox<PathBuf>,
    vfs: Option<ReadOnlyWalVfs>,
    clock: Arc<dyn Clock>,
    slices: SliceLock,
}

/// The database and its companions at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent facts
pub struct FileState {
    /// Which file it is, as a number.
    pub file: u64,
    /// Differs when anything was written since.
    pub stamp: u64,
    /// Whether the next write would show in `stamp`.
    pub is_settled: bool,
    log: bool,
    shared: bool,
    /// A change of the database is under way that is not whole, or was left so.
    journal: bool,
}

#[cfg(test)]
impl FileState {
    pub fn for_tests(stamp: u64, is_settled: bool) -> Self {
        Self {
            file: 1,
            stamp,
            is_settled,
            log: false,
            shared: false,
            journal: false,
        }
    }
}

/// One short look into the database. Dropped before anything is waited for.
pub struct Slice<'p> {
    place: &'p DatabaseFile,
    pub connection: Connection,
    /// When it should end.
    pub until: Instant,
    pub state: FileState,
    // Let go after the connection.
    _sole: Vec<Sole>,
}

impl Slice<'_> {
    /// Runs statements. The error of one that the database cannot be asked says which columns it lacks.
    pub fn ask<T>(&self, read: impl FnOnce() -> rusqlite::Result<T>) -> Result<T> {
        read().map_err(|error| match schema::missing(&self.connection) {
            Ok(Some(missing)) => Error::new(
                Status::NotPlex,
                format!(
                    "{} lacks {missing}: it is no library database of Plex's, or one of a version that this plexindex does not \
                     know; use server_url instead",
                    self.place.shown()
                ),
            ),
            _ => self.place.explain(&error),
        })
    }

    /// Whether its time is over.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

impl std::fmt::Debug for DatabaseFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.shown().fmt(f)
    }
}

impl DatabaseFile {
    pub fn new(named: &Path, clock: Arc<dyn Clock>) -> Self {
        Self {
            named: named.to_owned(),
            file: OnceBox::new(),
            vfs: ReadOnlyWalVfs::new(),
            clock,
            slices: SliceLock::default(),
        }
    }

    /// The lock of slices, held through a fork. A slice that has overrun is interrupted for it, and begun again afterwards.
    pub fn hold<O: 'static>(owner: &Arc<O>, within: fn(&O) -> &Self) -> Box<dyn Release> {
        SliceLock::hold(owner, within, |place| &place.slices)
    }

    /// Ends a slice that takes longer than it may.
    pub fn interrupt_overrun(&self) {
        self.slices.interrupt_overrun();
    }

    /// The file, without links: its log lies beside it. A folder, 'Plex Media Server' or the file's own, stands for the file.
    pub fn file(&self) -> Result<&Path> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let found = fs::canonicalize(&self.named).and_then(|found| {
            if fs::metadata(&found)?.is_dir() {
                in_folder(&found)
            } else {
                Ok(found)
            }
        });
        match found {
            Ok(found) => Ok(self.file.get_or_init(|| Box::new(found))),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// The folder 'Plex Media Server', if the file lies where it does in it.
    pub fn folder(&self) -> Option<&Path> {
        let file = self.file().ok()?;
        file.ends_with(IN_FOLDER).then(|| file.ancestors().nth(3)).flatten()
    }

    /// What the database and its companions are now, by their facts alone.
    pub fn state(&self) -> Result<FileState> {
        let file = self.file()?;
        let database = FileStamp::of(file, Compared::All).ok_or_else(|| match fs::metadata(file) {
            Ok(_) => Error::new(
                Status::NotPlex,
                format!(
                    "{} is no regular file: name Plex's database, or the folder 'Plex Media Server'",
                    self.shown()
                ),
            ),
            Err(error) => self.failed(&error),
        })?;
        let log = FileStamp::of(&beside(file, "-wal"), Compared::All);
        let shared = Inode::of(&beside(file, "-shm")).is_some();
        // An empty one is what is left of it where it is kept.
        let journal = fs::symlink_metadata(beside(file, "-journal")).is_ok_and(|facts| facts.len() > 0);
        let mut facts = database.bytes;
        let mut is_settled = database.is_settled;
        if let Some(log) = &log {
            facts.push(0);
            facts.extend(&log.bytes);
            is_settled &= log.is_settled;
        }
        Ok(FileState {
            file: xxh3_64(format!("{:?}", database.file).as_bytes()),
            stamp: xxh3_64(&facts),
            is_settled,
            log: log.is_some(),
            shared,
            journal,
        })
    }

    /// Reads for a moment; what `work` gives is of that moment. Called again where the server came between, or a fork.
    pub fn slice<T>(&self, bounds: &Bounds<'_>, work: &mut dyn FnMut(&Slice<'_>) -> Result<T>) -> Result<T> {
        let mut turn = self.slices.acquire(bounds)?;
        if let Some(error) = turn.left_alone(|| self.stamp(), self.clock.now_ms()) {
            return Err(error);
        }
        if bounds.deadline.is_none() {
            std::thread::sleep(turn.pause());
        }
        let begun = Instant::now();
        let until = bounds
            .deadline
            .map_or(begun + LONGEST, |deadline| deadline.min(begun + LONGEST));
        let mut attempts = 0;
        loop {
            check(bounds)?;
            if attempts > 0 {
                std::thread::sleep(Duration::from_millis(u64::from(attempts)));
            }
            let (overrun, slices) = (Instant::now() + SLICE, &self.slices);
            let is_over = || {
                let now = Instant::now();
                now >= until || (bounds.aborted)() || (now >= overrun && slices.is_wanted_for_a_fork())
            };
            let limit = Limit::new(&is_over);
            let runs = |slice: &Slice| RunningSlice {
                handle: slice.connection.get_interrupt_handle(),
                until,
                overrun,
            };
            let error = match limit.run(|| self.attempt(work, &runs, &mut turn)) {
                Ok(done) => {
                    turn.succeeded();
                    return Ok(done);
                }
                Err(error) => error,
            };
            let is_interrupted = limit.was_hit() || is_over();
            let error = match is_interrupted {
                _ if (bounds.aborted)() => return Err(check(bounds).err().unwrap_or(error)),
                true if limit.is_stuck() || Instant::now() >= until => self.overdue(),
                true => {
                    drop(turn);
                    turn = self.slices.acquire(bounds)?;
                    continue;
                }
                false if error.status == Status::Starting => {
                    attempts += 1;
                    if attempts < ATTEMPTS {
                        continue;
                    }
                    return Err(error);
                }
                false => error,
            };
            if error.status.meaning() == Meaning::Failed {
                turn.failed(&error, begun.elapsed(), self.stamp(), self.clock.now_ms());
            }
            // To this call it was its own deadline that came first; to others it is a file that cannot be read.
            let is_late = is_interrupted && bounds.left().is_some_and(|left| left.is_zero());
            return Err(if is_late {
                Error::new(Status::Timeout, error.message)
            } else {
                error
            });
        }
    }

    /// One attempt.
    fn attempt<T>(
        &self,
        work: &mut dyn FnMut(&Slice<'_>) -> Result<T>,
        runs: &dyn Fn(&Slice<'_>) -> RunningSlice,
        turn: &mut SliceGuard<'_>,
    ) -> Result<T> {
        let begun = Instant::now();
        let slice = self.open()?;
        turn.runs(runs(&slice));
        let done = work(&slice);
        let state = slice.state.clone();
        drop(slice);
        if state.log {
            turn.read_beside_a_server(begun.elapsed());
        }
        // Without a log nothing kept its writer from writing meanwhile.
        if !state.log && self.state()? != state {
            return Err(self.moving());
        }
        done
    }

    /// What changes with the files, as far as that tells.
    fn stamp(&self) -> Option<u64> {
        self.state().ok().map(|state| state.stamp)
    }

    /// The error for what could not be read in time.
    fn overdue(&self) -> Error {
        Error::new(
            Status::ServerError,
            format!(
                "Plex's database {} could not be read in time: it or its -wal is damaged, its disk is slow, or a program that \
                 has it open was stopped; start its server again, which repairs it, or use server_url instead",
                self.shown()
            ),
        )
    }

    fn open(&self) -> Result<Slice<'_>> {
        let file = self.file()?;
        let state = self.state()?;
        let folder = file.parent().unwrap_or(file);
        let disk = files::disk(folder);
        if !disk.shares_memory {
            return Err(Error::new(
                Status::Forbidden,
                format!(
                    "{} lies on {}, which does not share locks and memory with the machine that Plex runs on: run this on that \
                     machine, or give a copy of the file",
                    self.shown(),
                    disk.kind.as_deref().unwrap_or("a network or a shared folder")
                ),
            ));
        }
        if state.journal {
            return Err(Error::new(
                Status::Starting,
                format!(
                    "{} has a journal beside it, -journal: a program is changing it, or was killed while it did; it is read once \
                     its server has put that right, which it does when it starts",
                    self.shown()
                ),
            ));
        }
        let how = match (state.log, state.shared) {
            (true, true) => "mode=ro&readonly_shm=1",
            // Not open anywhere, and whole in itself.
            (false, false) => "mode=ro&immutable=1",
            (log, _) => {
                let (there, missing) = if log { ("-wal", "-shm") } else { ("-shm", "-wal") };
                return Err(Error::new(
                    Status::Starting,
                    format!(
                        "{} has {there} beside it and lacks {missing}: its server is starting or stopping, and it is read once \
                         that is over; where it is a copy, copy {missing} too, or let `sqlite3 COPY 'PRAGMA wal_checkpoint(TRUNCATE)'` \
                         complete it",
                        self.shown()
                    ),
                ));
            }
        };
        let mut sole = Vec::new();
        for one in [file.to_owned(), beside(file, "-wal"), beside(file, "-shm")] {
            let Some(inode) = Inode::of(&one) else { continue };
            sole.push(Sole::take(&one, inode).ok_or_else(|| {
                Error::new(
                    Status::Connect,
                    format!(
                        "{} is open in this process already, and closing it here would drop the locks of what has it open: \
                         close it there first",
                        self.shown()
                    ),
                )
            })?);
        }
        let Some(vfs) = &self.vfs else {
            return Err(Error::new(Status::Connect, "SQLite has no VFS here"));
        };
        let connection = vfs.open(&uri(file, how)).map_err(|error| self.explain(&error))?;
        let slice = Slice {
            place: self,
            connection,
            until: Instant::now() + SLICE,
            state,
            _sole: sole,
        };
        Self::restrain(&slice.connection).map_err(|error| self.explain(&error))?;
        Ok(slice)
    }

    /// What the connection may not do, and what it must not leave behind; then it begins to read.
    fn restrain(connection: &Connection) -> rusqlite::Result<()> {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_prepared_statement_cache_capacity(32);
        // One read transaction: all statements of the slice see one moment. Nothing is mapped: a file that is cut off ends no
        // process.
        connection
            .execute_batch("PRAGMA query_only = 1; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2048; BEGIN")?;
        // The transaction begins with the first read.
        connection
            .query_row("SELECT 1 FROM sqlite_master LIMIT 1", [], |_| Ok(()))
            .or_else(|error| match error {
                rusqlite::Error::QueryReturnedNoRows => Ok(()),
                error => Err(error),
            })
    }

    fn explain(&self, error: &rusqlite::Error) -> Error {
        let (status, remedy) = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::CannotOpen | ErrorCode::ReadOnly)
                if self.state().is_ok() && self.is_readable() =>
            {
                (Status::Starting, "its server is starting or stopping: try again")
            }
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => (
                Status::Forbidden,
                "it and its -wal and -shm must be readable by this user: join the group that Plex's files belong to",
            ),
            Some(ErrorCode::NotADatabase) => (
                Status::NotPlex,
                "it is no database: name com.plexapp.plugins.library.db",
            ),
            Some(ErrorCode::DatabaseCorrupt) => (
                Status::BadAnswer,
                "it is damaged, or was copied while it was written: use server_url instead",
            ),
            _ => (Status::ServerError, "try again, or use server_url instead"),
        };
        // Of a file that cannot be opened it has the URI.
        let said = error.to_string();
        let said = said.split(": file:").next().unwrap_or_default();
        Error::new(status, format!("Plex's database {}: {said}; {remedy}", self.shown()))
    }

    /// Whether this user may read all that is there. Asked by the rights alone: nothing is opened.
    fn is_readable(&self) -> bool {
        self.file().is_ok_and(|file| {
            ["", "-wal", "-shm"]
                .into_iter()
                .map(|end| beside(file, end))
                .all(|one| Inode::of(&one).is_none() || files::may_read(&one))
        })
    }

    fn moving(&self) -> Error {
        Error::new(
            Status::Starting,
            format!(
                "{} changed while it was read: its server is starting or stopping; try again",
                self.shown()
            ),
        )
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        let (status, remedy) = match error.kind() {
            std::io::ErrorKind::NotFound => (
                Status::Connect,
                "it is not there: name com.plexapp.plugins.library.db, or the folder 'Plex Media Server' that it lies in",
            ),
            std::io::ErrorKind::PermissionDenied => (
                Status::Forbidden,
                "it and the folders above it must be readable by this user: join the group that Plex's files belong to",
            ),
            _ => (Status::Connect, "look whether its disk is there"),
        };
        Error::new(status, format!("Plex's database {}: {error}; {remedy}", self.shown()))
    }

    pub fn shown(&self) -> std::path::Display<'_> {
        self.file.get().map_or(self.named.as_path(), PathBuf::as_path).display()
    }
}

/// The file in the folder 'Plex Media Server', or in its own.
fn in_folder(folder: &Path) -> std::io::Result<PathBuf> {
    let absent = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    let found = fs::canonicalize(folder.join(IN_FOLDER));
    if !found.as_ref().is_err_and(absent) {
        return found;
    }
    fs::canonicalize(folder.join(NAME)).map_err(|error| {
        if absent(&error) {
            std::io::Error::new(
                error.kind(),
                format!("neither {NAME} nor {IN_FOLDER} is in this folder"),
            )
        } else {
            error
        }
    })
}

/// A companion of the file.
fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(end);
    name.into()
}

/// The file as a URI: bytes that mean something there are written as numbers.
fn uri(file: &Path, how: &str) -> String {
    use std::fmt::Write as _;
    let mut uri = String::from("file:");
    for byte in files::bytes_of(file) {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(char::from(*byte)),
            other => {
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri + "?" + how
}
