//! Opens and reads the database for a short slice of time, without side effects.
//!
//! Three guarantees hold. Nothing is written, created, removed or locked beyond a slice. Only `SQLite` opens the
//! database, its WAL or its shared memory, since closing any descriptor of these files would drop the locks of other
//! users in this process. And all data of a slice is from one moment.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::error::{Error, Meaning, Result, Status};
use crate::platform::deadline::Deadline;
use crate::platform::exclusive_open::ExclusiveOpen;
use crate::platform::files::{self, Inode};
use crate::platform::foreign::StatementLimit;

use super::super::contract::Bounds;
use super::place::{DatabaseFile, FileState, companion_path};
use super::schema;
use super::slice_lock::{RunningSlice, SliceGuard, check};

/// Target length of a slice: the server cannot restart its WAL while a reader is active.
const SLICE: Duration = Duration::from_millis(40);
/// Limit of a slice without a deadline. Its pages are in the system's cache by then, so the next slice gets further.
const MAX_SLICE: Duration = Duration::from_secs(15);
/// Maximum number of attempts if the server changes the files meanwhile.
const MAX_ATTEMPTS: u32 = 4;

/// A short read transaction. Must be dropped before any wait.
pub struct Slice<'p> {
    file: &'p DatabaseFile,
    pub connection: Connection,
    /// When the slice should end.
    pub until: Instant,
    pub state: FileState,
    // Dropped after the connection.
    _exclusive: Vec<ExclusiveOpen>,
}

impl Slice<'_> {
    /// Runs statements. If the schema does not match, the error names the missing columns.
    pub fn query<T>(&self, read: impl FnOnce() -> rusqlite::Result<T>) -> Result<T> {
        read().map_err(|error| match schema::missing(&self.connection) {
            Ok(Some(missing)) => self.file.error(
                Status::NotPlex,
                &format!(
                    "lacks {missing}: it is not a Plex library database, or its version is unknown to this \
                     plexindex; use server_url instead"
                ),
            ),
            _ => self.file.sqlite_error(&error),
        })
    }

    /// Returns whether the slice should end.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

impl DatabaseFile {
    /// Runs `work` in a slice. Calls it again if the server or a fork interrupted it. Fails at the deadline, when the
    /// host aborts the call, while reads are suspended after failures, and after [`MAX_ATTEMPTS`] attempts while the
    /// server starts.
    pub fn slice<T>(&self, bounds: &Bounds<'_>, work: &mut dyn FnMut(&Slice<'_>) -> Result<T>) -> Result<T> {
        let mut guard = self.slices.acquire(bounds)?;
        if let Some(error) = guard.suspended_by(|| self.stamp(), self.clock.now_ms()) {
            return Err(error);
        }
        if !bounds.deadline.is_set() {
            std::thread::sleep(guard.pause());
        }
        let begun = Instant::now();
        let end = bounds.deadline.earliest(Deadline::at(begun + MAX_SLICE));
        let mut attempts = 0;
        loop {
            check(bounds)?;
            if attempts > 0 {
                std::thread::sleep(Duration::from_millis(u64::from(attempts)));
            }
            let (overrun, slices) = (Instant::now() + SLICE, &self.slices);
            let is_unwanted = || (bounds.aborted)() || (Instant::now() >= overrun && slices.has_waiting_fork());
            let limit = StatementLimit::new(end, &is_unwanted);
            let runs = |slice: &Slice| RunningSlice {
                handle: slice.connection.get_interrupt_handle(),
                end,
                overrun,
            };
            let error = match limit.run(|| self.run_once(work, &runs, &mut guard)) {
                Ok(done) => {
                    guard.reset_failures();
                    return Ok(done);
                }
                Err(error) => error,
            };
            let is_interrupted = limit.was_hit() || end.has_passed() || is_unwanted();
            let error = match is_interrupted {
                _ if (bounds.aborted)() => return Err(check(bounds).err().unwrap_or(error)),
                true if limit.is_stuck() || end.has_passed() => self.timed_out(),
                true => {
                    drop(guard);
                    guard = self.slices.acquire(bounds)?;
                    continue;
                }
                false if error.status == Status::Starting => {
                    attempts += 1;
                    if attempts < MAX_ATTEMPTS {
                        continue;
                    }
                    return Err(error);
                }
                false => error,
            };
            if error.status.meaning() == Meaning::Failed {
                guard.add_failure(&error, begun.elapsed(), self.stamp(), self.clock.now_ms());
            }
            // This call reports its own deadline. Later calls get the stored failure.
            let is_late = is_interrupted && bounds.deadline.has_passed();
            return Err(if is_late {
                Error::new(Status::Timeout, error.message)
            } else {
                error
            });
        }
    }

    /// Opens the database and runs `work` once.
    fn run_once<T>(
        &self,
        work: &mut dyn FnMut(&Slice<'_>) -> Result<T>,
        runs: &dyn Fn(&Slice<'_>) -> RunningSlice,
        guard: &mut SliceGuard<'_>,
    ) -> Result<T> {
        let begun = Instant::now();
        let slice = self.open()?;
        guard.set_running(runs(&slice));
        let started = Self::start_reading(&slice.connection).map_err(|error| self.sqlite_error(&error));
        let done = started.and_then(|()| work(&slice));
        let state = slice.state.clone();
        drop(slice);
        if state.log {
            guard.add_read_time(begun.elapsed());
        }
        // Without a WAL, the file may have changed while it was read: neither the result nor an error is valid then.
        if !state.log && self.state()? != state {
            return Err(self.error(
                Status::Starting,
                "changed while it was read: its server is starting or stopping; try again",
            ));
        }
        done
    }

    /// A value that changes with the files; `None` if their state is unknown.
    fn stamp(&self) -> Option<u64> {
        self.state().ok().map(|state| state.stamp)
    }

    /// The error for a slice that did not end in time.
    fn timed_out(&self) -> Error {
        Error::new(
            Status::ServerError,
            format!(
                "cannot read Plex's database {} in time: it or its -wal is damaged, its disk is slow, or a program \
                 that has it open was stopped; restart its server, which repairs it, or use server_url instead",
                self.display()
            ),
        )
    }

    fn open(&self) -> Result<Slice<'_>> {
        let file = self.file()?;
        let state = self.state()?;
        let folder = file.parent().unwrap_or(file);
        let disk = files::disk(folder);
        if !disk.shares_memory {
            return Err(self.error(
                Status::Forbidden,
                &format!(
                    "lies on {}, which does not share locks and memory with the machine that Plex runs on: run this on that \
                     machine, or give a copy of the file",
                    disk.kind.as_deref().unwrap_or("a network or a shared folder")
                ),
            ));
        }
        if state.journal {
            return Err(self.error(
                Status::Starting,
                "has a journal file (-journal): a program is changing it, or was killed while changing it; its server \
                 repairs it at its next start",
            ));
        }
        let parameters = match (state.log, state.shared) {
            (true, true) => "mode=ro&readonly_shm=1",
            // Not in use, and complete without a WAL.
            (false, false) => "mode=ro&immutable=1",
            (log, _) => {
                let (there, missing) = if log { ("-wal", "-shm") } else { ("-shm", "-wal") };
                return Err(self.error(
                    Status::Starting,
                    &format!(
                        "has {there} but not {missing}: its server is starting or stopping, so try again; if it is a \
                         copy, copy {missing} too, or let `sqlite3 COPY 'PRAGMA wal_checkpoint(TRUNCATE)'` complete \
                         it"
                    ),
                ));
            }
        };
        let mut exclusive = Vec::new();
        for one in [
            file.to_owned(),
            companion_path(file, "-wal"),
            companion_path(file, "-shm"),
        ] {
            let Some(inode) = Inode::of(&one) else { continue };
            exclusive.push(ExclusiveOpen::take(&one, inode).ok_or_else(|| {
                self.error(
                    Status::Connect,
                    "is already open in this process, and closing it here would drop the other user's locks: close it \
                     there first",
                )
            })?);
        }
        let Some(vfs) = &self.vfs else {
            return Err(Error::new(Status::Connect, "SQLite has no VFS on this system"));
        };
        let connection = vfs
            .open(&file_uri(file, parameters))
            .map_err(|error| self.sqlite_error(&error))?;
        Ok(Slice {
            file: self,
            connection,
            until: Instant::now() + SLICE,
            state,
            _exclusive: exclusive,
        })
    }

    /// Restricts the connection to reading without side effects, then starts the read transaction.
    fn start_reading(connection: &Connection) -> rusqlite::Result<()> {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_prepared_statement_cache_capacity(32);
        // One read transaction, so that all statements see the same moment. No memory mapping, so that truncating the
        // file cannot kill the process.
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
}

/// Encodes the path as a URI; special bytes are percent-encoded.
fn file_uri(file: &Path, parameters: &str) -> String {
    use std::fmt::Write as _;
    let mut file_uri = String::from("file:");
    for byte in files::bytes_of(file) {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => file_uri.push(char::from(*byte)),
            other => {
                let _ = write!(file_uri, "%{other:02X}");
            }
        }
    }
    file_uri + "?" + parameters
}
