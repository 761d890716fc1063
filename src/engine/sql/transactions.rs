//! Short read and write transactions on the database at the store's path.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::ffi::SQLITE_BUSY;
use rusqlite::{Connection, ErrorCode};

use super::connection::{LazyConnection, OpenConnection};
use super::migrations::check_version;
use super::opened_files::is_first_sequence;
use super::schema::{CachedStatements, RollbackGuard, Tx, WaitGuard, lock_by, patience, sequence_of};
use super::store::Store;
use super::store_folder::{UnusableDatabase, explain, is_locked};
use crate::error::{Error, Result, Status};
use crate::model::Sequence;
use crate::platform::clock::Deadline;
use crate::platform::files::write_out;
use crate::platform::fork::try_lock;

/// Number of writes after which plexindex tells the system to write the WAL to disk.
const WRITE_OUT_EVERY: u64 = 128;
/// Maximum number of times that a call runs if the database is replaced during each attempt.
const MAX_ATTEMPTS: u32 = 4;
/// The same for a call that hardly waits.
const MAX_SHORT_ATTEMPTS: u32 = 2;

impl Store {
    /// Runs `work` in a short read transaction. Runs `work` again if the database was replaced.
    pub(super) fn read<T>(&self, work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.with(Deadline::NONE, &self.connections.reader, in_transaction(work))
    }

    /// Returns the change sequence of the last commit.
    pub fn sequence(&self) -> Result<Sequence> {
        self.read(sequence_of)
    }

    /// Takes the ticket for a request: the change sequence of a commit of its own, so that it is unique, and later than
    /// everything that is stored.
    pub fn ticket(&self, deadline: Deadline) -> Result<Sequence> {
        self.write(deadline, |tx| Ok(tx.sequence))
    }

    /// Runs `work` in a short read transaction on any open connection, so that a process that only does lookups opens
    /// only one connection. If `deadline` is `None`, waits only a moment for other threads and processes, and then
    /// fails.
    pub(super) fn read_by<T>(
        &self,
        deadline: Option<Deadline>,
        work: impl FnMut(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.query_by(deadline, in_transaction(work))
    }

    /// Runs `work` like [`Self::read_by`], but without a transaction, for single statements, of which each reads what was
    /// committed last.
    pub(super) fn query_by<T>(
        &self,
        deadline: Option<Deadline>,
        mut work: impl FnMut(&OpenConnection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let patience = deadline.map_or_else(|| self.short_wait.current_timeout(), patience);
        let mut work = |connection: &OpenConnection| {
            let _wait = WaitGuard::new(connection, patience)?;
            work(connection)
        };
        let is_open = |slot: &MutexGuard<'_, LazyConnection>| slot.id().is_some();
        let slots = [&self.connections.reader, &self.connections.writer];
        // Prefer a connection that is open and not in use.
        let open_slot = || slots.into_iter().filter_map(try_lock).find(is_open);
        if let Some(deadline) = deadline {
            if let Some(mut slot) = open_slot()
                && let Attempt::Returned(result) = self.run(&mut slot, patience, &mut work)
            {
                return result.map_err(|error| at_deadline(deadline, error));
            }
            return self.with(deadline, &self.connections.reader, work);
        }
        for _ in 0..MAX_SHORT_ATTEMPTS {
            let slot = open_slot().or_else(|| self.short_wait.lock(&self.connections.reader));
            let Some(mut slot) = slot else { break };
            let was_open = is_open(&slot);
            // Creating or repairing a database takes long, so this call does neither. Nor does it leave a mark that a
            // damaged file must be renamed: another file could have the same inode later.
            let may_close = !was_open && slot.broken_file().is_none();
            if was_open || self.opened.newest().has_database() {
                match self.run(&mut slot, patience, &mut work) {
                    Attempt::Returned(Ok(value)) => return Ok(value),
                    Attempt::Returned(Err(_)) => break,
                    Attempt::Stale if may_close => slot.close(),
                    Attempt::Stale => {}
                }
            }
            drop(slot);
            if self.reopen_database(None).is_err() {
                break;
            }
        }
        // For some seconds, such calls do not wait at all.
        self.short_wait.note_timeout(patience);
        Err(self.locked_error())
    }

    /// Opens the reader's connection before the first write, so that other threads' lookups can use it during the
    /// write.
    fn open_reader(&self) {
        // If the reader is locked, another thread is opening or using it. The write itself reports errors.
        if let Some(mut reader) = try_lock(&self.connections.reader)
            && reader.id().is_none()
            && !reader.is_stale()
        {
            let _ = reader.connection();
        }
    }

    /// Runs `work` in a write transaction, which increments the change sequence. Runs `work` again if the database was
    /// replaced. Without a deadline, waits indefinitely for other threads, and at most [`super::schema::BUSY`] for
    /// other processes. Fails with [`Status::Timeout`] if the store is locked until the deadline.
    pub(super) fn write<T>(
        &self,
        deadline: Deadline,
        mut work: impl FnMut(&Tx<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.open_reader();
        let result = self.with(deadline, &self.connections.writer, |connection| {
            self.transaction(connection, deadline, &mut work)
        });
        self.notify_listener();
        result
    }

    /// Runs `work` in a write transaction. Runs `work` again if the database was replaced. Returns `None` if other
    /// processes keep writing until the deadline, so that a caller can postpone a write that is not urgent.
    pub(super) fn write_unless_busy<T>(
        &self,
        deadline: Deadline,
        mut work: impl FnMut(&Tx<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let result = self.with(deadline, &self.connections.writer, |connection| {
            match self.transaction(connection, deadline, &mut work) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(None),
                result => result.map(Some),
            }
        });
        self.notify_listener();
        result
    }

    /// Runs `work` in a write transaction with the next change sequence. Announces the transaction on the version page
    /// before `work`, and confirms it after the commit. Waits for other processes at most until the deadline.
    fn transaction<T>(
        &self,
        connection: &OpenConnection,
        deadline: Deadline,
        work: &mut impl FnMut(&Tx<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        connection.busy_timeout(patience(deadline))?;
        // IMMEDIATE acquires the write lock, so that no other transaction gets the same change sequence.
        connection.run("BEGIN IMMEDIATE", [])?;
        let rollback_guard = RollbackGuard(connection);
        let last_write = connection.take_last_write()?;
        let last_sequence = if let Some(last) = &last_write {
            last.sequence
        } else {
            check_version(connection)?;
            sequence_of(connection)?
        };
        if is_first_sequence(last_sequence.next()) {
            return Err(UnusableDatabase::UsedUp.into()); // the caller creates a new database
        }
        let mut tx = Tx::new(connection, last_sequence.next());
        if let Some(last) = last_write {
            tx.last_library = last.library;
            tx.totals = last.totals.map(Cell::new);
            tx.clock = Cell::new(last.clock);
        }
        // From here until `page.commit`, readers query the database.
        let page = self.begin_on_page(last_sequence, tx.sequence)?;
        let result = work(&tx).and_then(|value| {
            // A row with a position contains the change sequence. Without one, store the sequence itself.
            if tx.has_no_log_rows() {
                connection.run("UPDATE meta SET sequence = ?1", [tx.sequence])?;
            }
            connection.run("COMMIT", [])?;
            connection.note_write(&tx);
            Ok(value)
        });
        if let Some(page) = page {
            if result.is_ok() {
                page.counters().commit(tx.sequence.0);
            } else if !connection.is_autocommit() {
                // The transaction still has the write lock, so it can withdraw the announcement. If SQLite has already
                // rolled back, readers query the database until the next writer repairs the page.
                page.counters().repair(last_sequence.0);
            }
        }
        drop(rollback_guard);
        if result.is_ok() && tx.is_shared.get() {
            self.has_undelivered.store(true, Ordering::Relaxed);
            if self.syncs_shared.load(Ordering::Relaxed) {
                connection.sync_log()?;
            }
        }
        // The system now writes the WAL to disk in the background, so that the next checkpoint takes less time.
        if self.folder.shares_memory() && tx.sequence.0.is_multiple_of(WRITE_OUT_EVERY) {
            write_out(self.folder.wal_and_shm()[0]);
        }
        result
    }

    /// Runs `work` on a connection, for which it waits until the deadline. If the database was removed or replaced, or
    /// is broken, opens or creates the database and runs `work` again.
    fn with<T>(
        &self,
        deadline: Deadline,
        connection: &Mutex<LazyConnection>,
        mut work: impl FnMut(&OpenConnection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        for _ in 0..MAX_ATTEMPTS {
            let mut slot = self.lock_by(deadline, connection)?;
            if let Attempt::Returned(result) = self.run(&mut slot, patience(deadline), &mut work) {
                return result.map_err(|error| at_deadline(deadline, error));
            }
            drop(slot);
            self.reopen_database(Some(deadline))?;
        }
        Err(self.replaced_error("the database was"))
    }

    /// Locks a mutex that threads hold while they wait for the store. Without a deadline, waits indefinitely.
    pub fn lock_by<'m, T>(&self, deadline: Deadline, mutex: &'m Mutex<T>) -> Result<MutexGuard<'m, T>> {
        lock_by(deadline, mutex).ok_or_else(|| {
            // The thread that holds the mutex may itself wait for another process.
            let busy = rusqlite::ffi::Error::new(SQLITE_BUSY);
            let error = rusqlite::Error::SqliteFailure(busy, Some("database is locked".to_owned()));
            at_deadline(deadline, explain(&error, &self.folder))
        })
    }

    /// Returns the error for a call that hardly waits, and could not lock the store at once.
    pub fn locked_error(&self) -> Error {
        Error::new(
            Status::Store,
            format!(
                "store in {}: another thread or process keeps it locked; try again",
                self.folder.path().display()
            ),
        )
    }

    /// Returns whether another process or thread keeps the store locked for writing. Never waits.
    pub fn is_locked(&self) -> bool {
        let now = Deadline::after(Duration::ZERO);
        let locked = self.with(now, &self.connections.writer, |connection| {
            connection.busy_timeout(Duration::ZERO)?;
            let _rollback_guard = RollbackGuard(connection);
            connection.run("BEGIN IMMEDIATE", [])
        });
        locked.is_err_and(|error| is_locked(&error))
    }

    /// Runs `work` on a connection. If the connection is closed, opens it first, and waits at most `patience` for other
    /// processes. Returns [`Attempt::Stale`] if the connection's database is not the database at the store's path.
    fn run<T>(
        &self,
        slot: &mut LazyConnection,
        patience: Duration,
        work: &mut impl FnMut(&OpenConnection) -> rusqlite::Result<T>,
    ) -> Attempt<T> {
        // A write to a replaced database would append to the log of the new one.
        if slot.is_stale() {
            return Attempt::Stale;
        }
        match slot.open_within(patience) {
            Ok(()) => {}
            Err(_) if slot.broken_file().is_some() => return Attempt::Stale,
            Err(error) => return Attempt::Returned(Err(error)),
        }
        // A new connection must have opened the newest database that this store knows.
        if !self.opened.newest().is_open_in(slot) {
            return Attempt::Stale;
        }
        let connection = match slot.connection() {
            Ok((connection, _)) => connection,
            Err(error) => return Attempt::Returned(Err(error)),
        };
        let result = work(connection);
        let is_other_version =
            matches!(&result, Err(error) if error.sqlite_error_code() == Some(ErrorCode::SchemaChanged));
        let result = result.map_err(|error| self.explain_error(&error, slot));
        if is_other_version {
            slot.close(); // the next call opens the database again, or reports its format again
        }
        // After a replacement of the database, run `work` again: a write is lost, and an error may be a consequence.
        if slot.broken_file().is_some() || (result.is_err() || slot.is_writer) && slot.is_moved() {
            return Attempt::Stale;
        }
        Attempt::Returned(result)
    }
}

/// Returns `error`, but with [`Status::Timeout`] if the store was locked until the call's deadline.
fn at_deadline(deadline: Deadline, error: Error) -> Error {
    if !is_locked(&error) || !deadline.has_passed() {
        return error;
    }
    Error::new(Status::Timeout, format!("the timeout passed: {error}"))
        .with_source(rusqlite::ffi::Error::new(SQLITE_BUSY))
}

/// The outcome of an attempt to run a call on a connection.
enum Attempt<T> {
    Returned(Result<T>),
    /// The connection's database is not the store's current database.
    Stale,
}

/// Wraps `work` in a read transaction, so that all its statements see the same state.
fn in_transaction<T>(
    mut work: impl FnMut(&Connection) -> rusqlite::Result<T>,
) -> impl FnMut(&OpenConnection) -> rusqlite::Result<T> {
    move |connection| {
        let tx = connection.unchecked_transaction()?;
        check_version(&tx)?;
        let value = work(&tx)?;
        tx.finish()?;
        Ok(value)
    }
}
