//! How the database is opened and read for a moment, without a trace.
//!
//! What is done here keeps three promises. Nothing is written, made, removed or locked for longer than a slice. Nothing but
//! `SQLite` opens the database, its log or its index of the log, for closing any descriptor of theirs would drop the locks of
//! whatever has them open in this process. And what was read is of one moment.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::error::{Error, Meaning, Result, Status};
use crate::platform::exclusive_open::ExclusiveOpen;
use crate::platform::files::{self, Inode};
use crate::platform::foreign::Limit;

use super::super::contract::Bounds;
use super::place::{DatabaseFile, FileState, beside};
use super::schema;
use super::turns::{RunningSlice, SliceGuard, check};

/// For how long a slice reads: the server's log cannot be begun anew while one does.
const SLICE: Duration = Duration::from_millis(40);
/// A slice without a deadline is ended after this, whatever it reads. What it has read is in the system's memory by then, so
/// the next one comes further.
const LONGEST: Duration = Duration::from_secs(15);
/// How often a slice is begun again that the server came between.
const ATTEMPTS: u32 = 4;

/// One short look into the database. Dropped before anything is waited for.
pub struct Slice<'p> {
    file: &'p DatabaseFile,
    pub connection: Connection,
    /// When it should end.
    pub until: Instant,
    pub state: FileState,
    // Let go after the connection.
    _sole: Vec<ExclusiveOpen>,
}

impl Slice<'_> {
    /// Runs statements. The error of one that the database cannot be asked says which columns it lacks.
    pub fn ask<T>(&self, read: impl FnOnce() -> rusqlite::Result<T>) -> Result<T> {
        read().map_err(|error| match schema::missing(&self.connection) {
            Ok(Some(missing)) => self.file.error(
                Status::NotPlex,
                &format!(
                    "lacks {missing}: it is no library database of Plex's, or one of a version that this plexindex does not \
                     know; use server_url instead"
                ),
            ),
            _ => self.file.explain(&error),
        })
    }

    /// Whether its time is over.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

impl DatabaseFile {
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
            return Err(self.error(
                Status::Starting,
                "changed while it was read: its server is starting or stopping; try again",
            ));
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
                "has a journal beside it, -journal: a program is changing it, or was killed while it did; it is read once its \
                 server has put that right, which it does when it starts",
            ));
        }
        let how = match (state.log, state.shared) {
            (true, true) => "mode=ro&readonly_shm=1",
            // Not open anywhere, and whole in itself.
            (false, false) => "mode=ro&immutable=1",
            (log, _) => {
                let (there, missing) = if log { ("-wal", "-shm") } else { ("-shm", "-wal") };
                return Err(self.error(
                    Status::Starting,
                    &format!(
                        "has {there} beside it and lacks {missing}: its server is starting or stopping, and it is read once \
                         that is over; where it is a copy, copy {missing} too, or let \
                         `sqlite3 COPY 'PRAGMA wal_checkpoint(TRUNCATE)'` complete it"
                    ),
                ));
            }
        };
        let mut sole = Vec::new();
        for one in [file.to_owned(), beside(file, "-wal"), beside(file, "-shm")] {
            let Some(inode) = Inode::of(&one) else { continue };
            sole.push(ExclusiveOpen::take(&one, inode).ok_or_else(|| {
                self.error(
                    Status::Connect,
                    "is open in this process already, and closing it here would drop the locks of what has it open: close it \
                     there first",
                )
            })?);
        }
        let Some(vfs) = &self.vfs else {
            return Err(Error::new(Status::Connect, "SQLite has no VFS here"));
        };
        let connection = vfs.open(&uri(file, how)).map_err(|error| self.explain(&error))?;
        let slice = Slice {
            file: self,
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
