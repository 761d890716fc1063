//! Reading and writing: one short transaction each, on the database that has the store's name.

use std::sync::Mutex;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::changes::trim_now_and_then;
use super::connection::Slot;
use super::open::Store;
use super::patience::Patience;
use super::schema::failure;
use super::tx::{Hasty, Tx, Undo, sequence_of};
use crate::error::{Error, Result, Status};
use crate::platform::mutex::{lock, try_lock};

impl Store {
    /// Reads, in one short transaction. `work` may be run again, when the database had to be made anew.
    pub(super) fn read<T>(&self, work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.with(&self.connections.reader, in_one(work))
    }

    /// Reads when no other thread does and the connection is open; `None` otherwise, at once. An error when another
    /// process keeps the database locked: this waits for none.
    pub(super) fn try_read<T>(&self, work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Option<Result<T>> {
        let mut work = in_one(work);
        let mut hasty = |connection: &Connection| {
            let _hasty = Hasty::new(connection)?;
            work(connection)
        };
        let mut slot = try_lock(&self.connections.reader)?;
        // Opening a database takes its time, and may wait for the process that makes or recovers it.
        slot.id()?;
        let known = self.folder.broken();
        match self.run(&mut slot, &mut hasty) {
            Done::Returned(done) => Some(done),
            Done::Stale => {
                // The next call that can wait finds the damage itself. A mark that waits may outlive the file: the one that
                // is made in its place can get its number.
                if known.is_none() {
                    self.folder.mark_broken(None);
                }
                None
            }
        }
    }

    /// Writes, in one transaction that raises the change sequence: all of it or nothing. `work` may be run again, when
    /// the database had to be made anew. Waits for other writers as long as this thread's [`Patience`] lasts.
    pub(super) fn write<T>(&self, mut work: impl FnMut(&Tx<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.with(&self.connections.writer, |connection| {
            connection.busy_timeout(Patience::now().left())?;
            self.transaction(connection, &mut work)
        })
    }

    /// The same; `None` when other processes write until this thread's [`Patience`] ends.
    pub(super) fn write_in_turn<T>(&self, mut work: impl FnMut(&Tx<'_>) -> rusqlite::Result<T>) -> Result<Option<T>> {
        self.with(&self.connections.writer, |connection| {
            connection.busy_timeout(Patience::now().left())?;
            match self.transaction(connection, &mut work) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(None),
                done => done.map(Some),
            }
        })
    }

    /// Writes when no one else does, in this or another process; `None` otherwise, at once.
    pub(super) fn try_write<T>(&self, mut work: impl FnMut(&Tx<'_>) -> rusqlite::Result<T>) -> Option<Result<T>> {
        let mut slot = self.connections.writer.try_lock().ok()?;
        let done = self.run(&mut slot, &mut |connection| {
            connection.busy_timeout(Duration::ZERO)?;
            match self.transaction(connection, &mut work) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(None),
                done => done.map(Some),
            }
        });
        match done {
            Done::Returned(done) => done.transpose(),
            Done::Stale => None,
        }
    }

    fn transaction<T>(
        &self,
        connection: &Connection,
        work: &mut impl FnMut(&Tx<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        // IMMEDIATE: no other transaction gets the sequence read here before the end.
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let undo = Undo(connection);
        // Those who share our index of the log wait for this transaction: what is right now stays right until its end.
        if self.connections.here.journal.is_lost(&self.folder) {
            return Err(failure(rusqlite::ffi::SQLITE_BUSY)); // and is done again
        }
        let before = sequence_of(connection)?;
        let tx = Tx::new(connection, before.next());
        let page = self.begin_on_page(before, tx.sequence)?;
        let done = work(&tx).and_then(|value| {
            trim_now_and_then(&tx)?;
            connection
                .prepare_cached("UPDATE store SET sequence = ?1")?
                .execute([tx.sequence])?;
            connection.execute_batch("COMMIT")?;
            Ok(value)
        });
        if let Some(page) = page {
            if done.is_ok() {
                page.commit(tx.sequence.0);
            } else if !connection.is_autocommit() {
                // The write lock is still ours: what was announced will not come. Where SQLite rolled back by itself
                // it is not; then readers ask the database until the next writer repairs the page.
                page.repair(before.0);
            }
        }
        drop(undo);
        done
    }

    /// Runs `work` on a connection to the database that has the store's name. When it was removed, replaced or found to
    /// be broken, another one takes its place first.
    fn with<T>(&self, slot: &Mutex<Slot>, mut work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        for _ in 0..4 {
            let mut locked = if std::ptr::eq(slot, &raw const self.connections.reader) {
                lock(slot) // none holds it for long
            } else {
                Patience::now().lock(slot).ok_or_else(|| self.is_written())?
            };
            if let Done::Returned(done) = self.run(&mut locked, &mut work) {
                return done;
            }
            drop(locked);
            match self.renew() {
                Err(_) if self.folder.broken().is_some() => {} // what took its place is broken too
                done => done?,
            }
        }
        Err(self.replaced("its database is"))
    }

    fn is_written(&self) -> Error {
        Error::new(
            Status::Store,
            format!(
                "store in {}: another thread kept it locked until the time was up: try again",
                self.folder.path().display()
            ),
        )
    }

    fn run<T>(&self, slot: &mut Slot, work: &mut impl FnMut(&Connection) -> rusqlite::Result<T>) -> Done<T> {
        if self.is_stale(slot) {
            return Done::Stale;
        }
        let (connection, id) = match slot.connection() {
            Ok(open) => open,
            Err(_) if self.folder.broken().is_some() => return Done::Stale,
            Err(error) => return Done::Returned(Err(error)),
        };
        if id != self.opened.newest().id {
            return Done::Stale;
        }
        let done = work(connection).map_err(|error| self.explained(&error, slot));
        // What was written into a database that was set aside meanwhile is written again into the one that took its place.
        // So is what was written into a log that lost its name, and what failed for it.
        if self.folder.broken().is_some() || (done.is_err() || slot.writes()) && slot.is_moved() {
            return Done::Stale;
        }
        Done::Returned(done)
    }
}

/// What became of a call.
enum Done<T> {
    /// It returned this.
    Returned(Result<T>),
    /// Its connection leads to a database that is not, or not any more, the store's.
    Stale,
}

/// Work in one short read transaction.
fn in_one<T>(
    mut work: impl FnMut(&Connection) -> rusqlite::Result<T>,
) -> impl FnMut(&Connection) -> rusqlite::Result<T> {
    move |connection| {
        let tx = connection.unchecked_transaction()?;
        let value = work(&tx)?;
        tx.finish()?;
        Ok(value)
    }
}
