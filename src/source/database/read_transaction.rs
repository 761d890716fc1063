//! Opens the database and reads it in short transactions, without side effects.
//!
//! A read transaction has three guarantees:
//!
//! - It writes, creates and removes no files, and holds no lock after it has ended.
//! - Only SQLite opens the database, its WAL and its shared memory: closing any descriptor of these files would drop
//!   the locks of other code in this process.
//! - All data of a transaction comes from the same moment.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::error::{Error, Result, RetryAdvice, Status};
use crate::platform::clock::Deadline;
use crate::platform::files::{self, ExclusiveOpen, Inode};
use crate::platform::sqlite::{StatementLimit, file_uri};

use super::super::contract::Bounds;
use super::database_file::{
    DatabaseFile, FileFailures, FileState, ReadGuard, RunningTransaction, check_bounds, companion_path,
};
use super::item_reader::COLUMNS_READ;

/// Target duration of a read transaction. It is short, because the server cannot restart its WAL during a read.
const TARGET_DURATION: Duration = Duration::from_millis(40);
/// Time limit of a read transaction whose call has no deadline. A transaction that ends at this limit leaves its pages
/// in the system's cache, so the next transaction reads further.
const MAX_DURATION: Duration = Duration::from_secs(15);
/// Maximum number of attempts if the server changes the files during a read transaction.
const MAX_ATTEMPTS: u32 = 4;

/// A short read transaction, which callers must drop before any wait.
pub struct ReadTransaction<'p> {
    file: &'p DatabaseFile,
    pub connection: Connection,
    /// Time when the work should end.
    target_end: Instant,
    /// State of the files when the transaction started.
    pub state: FileState,
    // This field is last, so that it is dropped after the connection.
    _exclusive: Vec<ExclusiveOpen>,
}

impl ReadTransaction<'_> {
    /// Runs `read`, and converts a SQLite error to a message for users. If tables or columns are missing, the message
    /// lists them.
    pub fn query<T>(&self, read: impl FnOnce() -> rusqlite::Result<T>) -> Result<T> {
        read().map_err(|error| match describe_missing(&self.connection) {
            Ok(Some(missing)) => self.file.error(
                Status::NotPlex,
                &format!(
                    "lacks {missing}: it is not a Plex library database, or this version of plexindex does not support \
                     it; use server_url instead"
                ),
            ),
            _ => self.file.sqlite_error(&error),
        })
    }

    /// Returns whether the transaction's target duration has passed. The caller should then end its work, so that the
    /// server can restart its WAL.
    pub fn is_time_up(&self) -> bool {
        Instant::now() >= self.target_end
    }
}

impl DatabaseFile {
    /// Runs `work` in a read transaction. Runs `work` again if the server or a fork interrupted the transaction.
    ///
    /// `work` must therefore discard what an interrupted run has collected. Fails if the deadline passes, if the host
    /// aborts the call, if reads are suspended after failures, or after [`MAX_ATTEMPTS`] attempts if the server is
    /// starting.
    pub fn run_in_transaction<T>(
        &self,
        bounds: &Bounds<'_>,
        work: &mut dyn FnMut(&ReadTransaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut guard = self.read_lock.acquire(bounds)?;
        let (stamp, now_ms) = (|| self.stamp(), self.clock.now_ms());
        if let Some(error) = guard.state().failures.suspending_failure(stamp, now_ms) {
            return Err(error);
        }
        // A call without a deadline lets the server restart its WAL first.
        if !bounds.deadline.is_set() {
            let pause = guard.state().pause_schedule.next_pause();
            std::thread::sleep(pause);
        }
        let started_at = Instant::now();
        let end = bounds.deadline.earliest(Deadline::at(started_at + MAX_DURATION));
        let mut attempts = 0;
        loop {
            check_bounds(bounds)?;
            if attempts > 0 {
                // Gives the server a moment: 1 ms longer after each attempt.
                std::thread::sleep(Duration::from_millis(u64::from(attempts)));
            }
            let target_end = Instant::now() + TARGET_DURATION;
            // Interrupts the transaction if the host aborts the call, or if a fork waits after the target duration.
            let must_stop =
                || (bounds.aborted)() || (Instant::now() >= target_end && self.read_lock.has_waiting_fork());
            let limit = StatementLimit::new(end, &must_stop);
            let to_running = |transaction: &ReadTransaction| RunningTransaction {
                handle: transaction.connection.get_interrupt_handle(),
                end,
                target_end,
            };
            let error = match limit.run(|| self.run_attempt(work, &to_running, &guard)) {
                Ok(value) => {
                    guard.state().failures = FileFailures::default();
                    return Ok(value);
                }
                Err(error) => error,
            };
            let is_interrupted = limit.was_reached() || end.has_passed() || must_stop();
            let error = match is_interrupted {
                _ if (bounds.aborted)() => return Err(check_bounds(bounds).err().unwrap_or(error)),
                true if limit.is_stuck() || end.has_passed() => self.time_limit_error(),
                // A fork interrupted the transaction: lets the fork take the lock, and then runs `work` again.
                true => {
                    drop(guard);
                    guard = self.read_lock.acquire(bounds)?;
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
            if error.status.retry_advice() == RetryAdvice::Failed {
                let (duration, stamp) = (started_at.elapsed(), self.stamp());
                guard.state().failures.add(&error, duration, stamp, self.clock.now_ms());
            }
            // The call's own deadline ended the work, so this call gets `Timeout`. Later calls get the recorded failure
            // while reads are suspended.
            let is_timeout = is_interrupted && bounds.deadline.has_passed();
            return Err(if is_timeout {
                Error::new(Status::Timeout, error.message)
            } else {
                error
            });
        }
    }

    /// Opens the database and runs `work` once. `to_running` returns the handle for interrupting the transaction.
    fn run_attempt<T>(
        &self,
        work: &mut dyn FnMut(&ReadTransaction<'_>) -> Result<T>,
        to_running: &dyn Fn(&ReadTransaction<'_>) -> RunningTransaction,
        guard: &ReadGuard<'_>,
    ) -> Result<T> {
        let started_at = Instant::now();
        let transaction = self.open_transaction()?;
        guard.state().running = Some(to_running(&transaction));
        let start_result = Self::start_reading(&transaction.connection).map_err(|error| self.sqlite_error(&error));
        let result = start_result.and_then(|()| work(&transaction));
        let state = transaction.state.clone();
        drop(transaction);
        if state.has_wal {
            guard.state().pause_schedule.add(started_at.elapsed());
        }
        // A read of a database without a WAL takes no lock. If the database changed during the read, the result is
        // invalid, whether it is a success or an error.
        if !state.has_wal && self.read_state()? != state {
            return Err(self.error(
                Status::Starting,
                "changed during the read: its server is starting or stopping; try again",
            ));
        }
        result
    }

    /// Returns a hash that changes with every write to the files; `None` if their state is unknown.
    fn stamp(&self) -> Option<u64> {
        self.read_state().ok().map(|state| state.stamp)
    }

    /// Returns the error for a read transaction that reached its time limit.
    fn time_limit_error(&self) -> Error {
        Error::new(
            Status::ServerError,
            format!(
                "cannot read Plex's database {} in time: it or its -wal is damaged, its disk is slow, or a \
                 suspended program has it open; restart Plex Media Server, which repairs it, or use server_url \
                 instead",
                self.display()
            ),
        )
    }

    /// Opens a read-only connection in the mode that suits the files' state. Fails if no mode is safe.
    fn open_transaction(&self) -> Result<ReadTransaction<'_>> {
        let file = self.path()?;
        let state = self.read_state()?;
        let folder = file.parent().unwrap_or(file);
        // Reading is safe only if this process sees the locks and the shared memory of Plex's processes.
        let disk = files::file_system_of(folder);
        if !disk.shares_memory {
            return Err(self.error(
                Status::Forbidden,
                &format!(
                    "is on {}, which does not share locks and memory with the machine on which Plex runs; run \
                     plexindex on that machine, or specify a copy of the file",
                    disk.kind.as_deref().unwrap_or("a network or a shared folder")
                ),
            ));
        }
        if state.has_journal {
            return Err(self.error(
                Status::Starting,
                "has a journal file (-journal): a program is changing it, or was killed while changing it; restart \
                 Plex Media Server, which repairs the file",
            ));
        }
        let parameters = match (state.has_wal, state.has_shm) {
            // The server is using the database: reads its WAL, without writing to its shared memory.
            (true, true) => "mode=ro&readonly_shm=1",
            // No server is using the database, and the database is complete without a WAL.
            (false, false) => "mode=ro&immutable=1",
            (has_wal, _) => {
                let (present, missing) = if has_wal { ("-wal", "-shm") } else { ("-shm", "-wal") };
                return Err(self.error(
                    Status::Starting,
                    &format!(
                        "has {present} but not {missing}: its server is starting or stopping, so try again; if it is \
                         a copy, also copy {missing}, or run `sqlite3 COPY 'PRAGMA wal_checkpoint(TRUNCATE)'`"
                    ),
                ));
            }
        };
        // Registers the files, and fails if other code in this process has them open.
        let mut exclusive = Vec::new();
        for suffix in ["", "-wal", "-shm"] {
            let companion = companion_path(file, suffix);
            let Some(inode) = Inode::of(&companion) else { continue };
            exclusive.push(ExclusiveOpen::register(&companion, inode).ok_or_else(|| {
                self.error(
                    Status::Connect,
                    "is already open in this process: reading it would drop the locks of the code that opened it; \
                     close it first",
                )
            })?);
        }
        let Some(vfs) = &self.vfs else {
            return Err(Error::new(Status::Connect, "SQLite has no VFS on this system"));
        };
        let connection = vfs
            .open(&file_uri(file, parameters))
            .map_err(|error| self.sqlite_error(&error))?;
        Ok(ReadTransaction {
            file: self,
            connection,
            target_end: Instant::now() + TARGET_DURATION,
            state,
            _exclusive: exclusive,
        })
    }

    /// Configures the connection to read without side effects, and starts the read transaction.
    fn start_reading(connection: &Connection) -> rusqlite::Result<()> {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_prepared_statement_cache_capacity(32);
        // One read transaction makes all statements see the same data. The cache takes at most 2 MiB. SQLite uses no
        // memory map: if a program truncated the file, the map would crash this process.
        connection
            .execute_batch("PRAGMA query_only = 1; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2048; BEGIN")?;
        // SQLite starts the transaction at the first read.
        connection
            .query_row("SELECT 1 FROM sqlite_master LIMIT 1", [], |_| Ok(()))
            .or_else(|error| match error {
                rusqlite::Error::QueryReturnedNoRows => Ok(()),
                error => Err(error),
            })
    }
}

/// Fails if a table or column is missing. Prepares statements without running them.
pub fn check_schema(connection: &Connection) -> rusqlite::Result<()> {
    for (table, columns) in COLUMNS_READ {
        // The names are in brackets, because SQLite would treat an unknown name in double quotes as a string. `rowid`
        // excludes views, which may be endless.
        connection.prepare(&format!("SELECT rowid, [{}] FROM [{table}]", columns.join("], [")))?;
    }
    Ok(())
}

/// Describes the missing tables and columns; `None` if all are present.
fn describe_missing(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut missing = Vec::new();
    for (table, columns) in COLUMNS_READ {
        let mut names = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let names: Vec<String> = names
            .query_map([table], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        if names.is_empty() || connection.prepare(&format!("SELECT rowid FROM [{table}]")).is_err() {
            missing.push(format!("the table {table}"));
            continue;
        }
        for column in *columns {
            if !names.iter().any(|name| name.eq_ignore_ascii_case(column)) {
                missing.push(format!("the column {table}.{column}"));
            }
        }
    }
    Ok((!missing.is_empty()).then(|| missing.join(", ")))
}
