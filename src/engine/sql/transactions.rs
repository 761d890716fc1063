//! Reads and writes in short transactions, on the database that has the store's name.

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::cached::CachedStatements;
use super::change_log::trim_now_and_then;
use super::connection::{LazyConnection, OpenConnection};
use super::incarnation::is_fresh;
use super::lock_wait::{BUSY, lock_by};
use super::schema::failure;
use super::store::Store;
use super::timelines::begin_timeline_if_needed;
use super::tx::{CheckpointGuard, RollbackGuard, Tx, WaitGuard, sequence_of};
use crate::error::{Error, Result, Status};
use crate::platform::deadline::Deadline;
use crate::platform::files;
use crate::platform::mutex::{lock, try_lock};
use crate::platform::write_out::write_out;

/// Number of writes after which the log is written out, so that a checkpoint waits for little of it.
const WRITE_OUT_EVERY: u64 = 128;

impl Store {
    /// Reads in one short transaction. `work` runs again if the database was replaced.
    pub(super) fn read<T>(&self, work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        // A short wait at most: no thread holds the reader for long.
        self.with(|| Some(lock(&self.connections.reader)), in_one(work))
    }

    /// Reads with any open connection, so that a process that only looks up opens one. If not `patient`, it waits for
    /// other threads and processes for a moment only, and then fails.
    pub(super) fn read_if<T>(&self, patient: bool, work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let patience = if patient { BUSY } else { self.short_wait.patience() };
        let mut work = in_one(work);
        let mut work = |connection: &OpenConnection| {
            let _wait = WaitGuard::new(connection, patience)?;
            work(connection)
        };
        let is_open = |slot: &MutexGuard<'_, LazyConnection>| slot.id().is_some();
        let slots = [&self.connections.reader, &self.connections.writer];
        let open = slots.into_iter().filter_map(try_lock).find(is_open);
        if patient {
            if let Some(mut slot) = open
                && let Attempt::Returned(done) = self.run(&mut slot, patience, &mut work)
            {
                return done;
            }
            return self.with(|| Some(lock(&self.connections.reader)), work);
        }
        let slot = open.or_else(|| self.short_wait.lock(&self.connections.reader));
        let mut slot = slot.ok_or_else(|| self.locked_error())?;
        let (was_open, known) = (is_open(&slot), self.folder.broken());
        // Only a call that can wait makes a database, or repairs one: it removes the mark of a damaged one too, as a new
        // file may get its inode.
        if was_open || self.opened.newest().has_database() {
            match self.run(&mut slot, patience, &mut work) {
                Attempt::Returned(Ok(value)) => return Ok(value),
                Attempt::Stale if !was_open => slot.close(),
                _ => {}
            }
            if known.is_none() {
                self.folder.mark_broken(None);
            }
        }
        self.short_wait.gave_up(patience);
        Err(self.locked_error())
    }

    /// Opens the reader's connection before the first write, so that lookups of other threads do not wait for the
    /// write.
    fn open_reader(&self) {
        // If another thread holds it, that thread has opened it. Errors are ignored, as the write reports them.
        if let Some(mut reader) = try_lock(&self.connections.reader)
            && reader.id().is_none()
            && !self.is_stale(&reader)
        {
            let _ = reader.connection();
        }
    }

    /// Runs `work` in one write transaction, which raises the change sequence. `work` runs again if the database had to
    /// be created anew. Without a deadline it waits for other threads, and up to [`BUSY`] for other processes.
    pub(super) fn write<T>(
        &self,
        deadline: Deadline,
        mut work: impl FnMut(&Tx<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.open_reader();
        let done = self.with(
            || lock_by(deadline, &self.connections.writer),
            |connection| self.transaction(connection, deadline.wait(BUSY), &mut work),
        );
        self.tell_observer();
        done
    }

    /// [`Store::write`] that returns `None` if other processes write until the deadline.
    pub(super) fn write_in_turn<T>(
        &self,
        deadline: Deadline,
        mut work: impl FnMut(&Tx<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let done = self.with(
            || lock_by(deadline, &self.connections.writer),
            |connection| match self.transaction(connection, deadline.wait(BUSY), &mut work) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(None),
                done => done.map(Some),
            },
        );
        self.tell_observer();
        done
    }

    /// Runs `work` as a write transaction with the next change sequence. Announces it on the version page before, and
    /// confirms it after the commit.
    fn transaction<T>(
        &self,
        connection: &OpenConnection,
        patience: Duration,
        work: &mut impl FnMut(&Tx<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        connection.busy_timeout(patience)?;
        // IMMEDIATE: no other transaction can get the same sequence before this one ends.
        connection.run("BEGIN IMMEDIATE", [])?;
        let undo = RollbackGuard(connection);
        let last_write = connection.take_last_write()?;
        let before = match &last_write {
            Some(last) => last.sequence,
            None => sequence_of(connection)?,
        };
        if is_fresh(before.next()) {
            // The store has used all change sequences. CORRUPT makes the caller create a new database.
            return Err(failure(rusqlite::ffi::SQLITE_CORRUPT));
        }
        let mut tx = Tx::new(connection, before.next());
        tx.last_library = last_write.and_then(|last| last.library);
        let page = self.begin_on_page(before, tx.sequence)?;
        let done = begin_timeline_if_needed(self, &tx)
            .and_then(|()| work(&tx))
            .and_then(|value| {
                trim_now_and_then(&tx)?;
                if tx.is_silent() {
                    connection.run("UPDATE store SET sequence = ?1", [tx.sequence])?;
                }
                let _long = tx.lists.get().then(|| CheckpointGuard::new(connection)).transpose()?;
                connection.run("COMMIT", [])?;
                connection.note_write(tx.sequence, tx.next_library.take());
                Ok(value)
            });
        if done.is_err()
            && let Some(name) = tx.new_segments.take()
        {
            let _ = files::remove(&self.folder.segment(&name));
        }
        if let Some(page) = page {
            if done.is_ok() {
                page.commit(tx.sequence.0);
            } else if !connection.is_autocommit() {
                // The write lock is still ours, so withdraw the announcement. If SQLite has rolled back by itself
                // instead, readers query the database until the next writer repairs the page.
                page.repair(before.0);
            }
        }
        drop(undo);
        if done.is_ok() && tx.enqueues.get() {
            self.has_enqueued.store(true, Ordering::Relaxed);
            if self.syncs_outbox.load(Ordering::Relaxed) {
                connection.sync_log()?;
            }
        }
        if self.folder.shares_memory() && tx.sequence.0.is_multiple_of(WRITE_OUT_EVERY) {
            write_out(self.folder.log()[0]);
        }
        done
    }

    /// Runs `work` on a connection to the store's database, which `lock` locks. If the database was removed or
    /// replaced, or is broken, it is opened or created again, and `work` is repeated.
    fn with<'s, T>(
        &'s self,
        lock: impl Fn() -> Option<MutexGuard<'s, LazyConnection>>,
        mut work: impl FnMut(&OpenConnection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        for _ in 0..4 {
            let mut locked = lock().ok_or_else(|| self.locked_error())?;
            if let Attempt::Returned(done) = self.run(&mut locked, BUSY, &mut work) {
                return done;
            }
            drop(locked);
            match self.renew() {
                Err(_) if self.folder.broken().is_some() => {} // the new database is broken too
                done => done?,
            }
        }
        Err(self.replaced("its database is"))
    }

    /// The error of a call whose time was up.
    pub fn locked_error(&self) -> Error {
        Error::new(
            Status::Store,
            format!(
                "store in {}: another thread kept it locked until the time was up: try again",
                self.folder.path().display()
            ),
        )
    }

    /// Opens a connection if necessary, waiting for at most `patience`, and runs `work` on it, unless it does not lead to
    /// the store's database.
    fn run<T>(
        &self,
        slot: &mut LazyConnection,
        patience: Duration,
        work: &mut impl FnMut(&OpenConnection) -> rusqlite::Result<T>,
    ) -> Attempt<T> {
        // A write checks the name when it is done.
        if self.folder.broken().is_some() || !slot.writes() && slot.is_moved() {
            return Attempt::Stale;
        }
        match slot.open_within(patience) {
            Ok(()) => {}
            Err(_) if self.folder.broken().is_some() => return Attempt::Stale,
            Err(error) => return Attempt::Returned(Err(error)),
        }
        // A connection opened just now must lead to the database that has the name now.
        if !self.opened.newest().is_of(slot) {
            return Attempt::Stale;
        }
        let connection = match slot.connection() {
            Ok((connection, _)) => connection,
            Err(error) => return Attempt::Returned(Err(error)),
        };
        let done = work(connection).map_err(|error| self.explained(&error, slot));
        // Repeat a write into a database that lost its name meanwhile, and a call that failed because of that.
        if self.folder.broken().is_some() || (done.is_err() || slot.writes()) && slot.is_moved() {
            return Attempt::Stale;
        }
        Attempt::Returned(done)
    }
}

/// The outcome of a call.
enum Attempt<T> {
    /// The call returned this result.
    Returned(Result<T>),
    /// The connection does not lead to the store's database.
    Stale,
}

/// Wraps `work` in one short read transaction.
fn in_one<T>(
    mut work: impl FnMut(&Connection) -> rusqlite::Result<T>,
) -> impl FnMut(&OpenConnection) -> rusqlite::Result<T> {
    move |connection| {
        let tx = connection.unchecked_transaction()?;
        let value = work(&tx)?;
        tx.finish()?;
        Ok(value)
    }
}
