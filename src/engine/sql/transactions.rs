//! Reading and writing: one short transaction each, on the database that has the store's name.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::cached::CachedStatements;
use super::changes::trim_now_and_then;
use super::connection::LazyConnection;
use super::lock_wait::{BUSY, lock_by};
use super::open::{LastWrite, Store};
use super::opened::is_fresh;
use super::schema::failure;
use super::tx::{CheckpointGuard, NoWaitGuard, RollbackGuard, Tx, sequence_of};
use crate::error::{Error, Result, Status};
use crate::platform::deadline::Deadline;
use crate::platform::mutex::{lock, try_lock};
use crate::platform::stamp::FolderStamp;

impl Store {
    /// Reads in one short transaction. `work` runs again if the database was replaced.
    pub(super) fn read<T>(&self, work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        // No thread holds the reader for long.
        self.with(|| Some(lock(&self.connections.reader)), in_one(work))
    }

    /// Reads when no other thread does and the connection is open; `None` otherwise, at once. An error when another
    /// process keeps the database locked: this waits for none.
    pub(super) fn try_read<T>(&self, work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Option<Result<T>> {
        self.read_with(&try_lock, work)
    }

    /// Reads as [`Store::read`] does if the caller is `patient`. Else, for lookups, another thread that reads is waited for a
    /// moment only.
    pub(super) fn read_if<T>(
        &self,
        patient: bool,
        work: impl FnMut(&Connection) -> rusqlite::Result<T>,
    ) -> Option<Result<T>> {
        if patient {
            return Some(self.read(work));
        }
        self.read_with(&|slot| self.short.lock(slot), work)
    }

    /// Reads with a connection that is open; `lock` locks it.
    fn read_with<'s, T>(
        &'s self,
        lock: &dyn Fn(&'s Mutex<LazyConnection>) -> Option<MutexGuard<'s, LazyConnection>>,
        work: impl FnMut(&Connection) -> rusqlite::Result<T>,
    ) -> Option<Result<T>> {
        let mut work = in_one(work);
        let mut hasty = |connection: &Connection| {
            let _hasty = NoWaitGuard::new(connection)?;
            work(connection)
        };
        let mut slot = self.open_slot(lock).or_else(|| {
            self.open_late(Duration::ZERO);
            self.open_slot(lock)
        })?;
        let known = self.folder.broken();
        match self.run(&mut slot, &mut hasty) {
            Attempt::Returned(done) => Some(done),
            Attempt::Stale => {
                // The next call that can wait finds the damage itself. A mark that waits may outlive the file: the one that
                // is made in its place can get its number.
                if known.is_none() {
                    self.folder.mark_broken(None);
                }
                None
            }
        }
    }

    /// Reads as [`Store::read`] does, but with the connection that is open: to open a second one takes as long as the
    /// first, and a process that only looks up needs none.
    pub(super) fn read_first<T>(&self, work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let mut work = in_one(work);
        let mut patient = |connection: &Connection| {
            connection.busy_timeout(BUSY)?;
            work(connection)
        };
        if let Some(mut slot) = self.open_slot(&try_lock)
            && let Attempt::Returned(done) = self.run(&mut slot, &mut patient)
        {
            return done;
        }
        self.with(|| Some(lock(&self.connections.reader)), patient)
    }

    /// Returns an open connection to read with: the reader's, or the writer's while only that is open. Opens none,
    /// since that may wait for a process that creates or recovers the database.
    fn open_slot<'s>(
        &'s self,
        lock: &dyn Fn(&'s Mutex<LazyConnection>) -> Option<MutexGuard<'s, LazyConnection>>,
    ) -> Option<MutexGuard<'s, LazyConnection>> {
        let is_open = |slot: &MutexGuard<'_, LazyConnection>| slot.id().is_some();
        let reader = lock(&self.connections.reader)?;
        if is_open(&reader) {
            return Some(reader);
        }
        drop(reader);
        lock(&self.connections.writer).filter(is_open)
    }

    /// Opens a connection if opening was postponed because the state file was current. Never waits for another thread,
    /// and for other processes at most `patience`.
    pub(super) fn open_late(&self, patience: Duration) {
        if !self.is_late.load(Ordering::Relaxed) {
            return;
        }
        let Some(mut writer) = try_lock(&self.connections.writer).filter(|writer| !self.is_stale(writer)) else {
            return;
        };
        if writer.open_within(patience).is_ok() {
            self.is_late.store(false, Ordering::Relaxed);
        } else {
            // The next call that can wait finds the damage itself, as in `try_read`.
            self.folder.mark_broken(None);
        }
    }

    /// Opens the reader's connection before the first write: lookups of other threads do not wait for that.
    fn open_reader(&self) {
        // Another thread that holds it has opened it. The write reports its errors.
        if let Some(mut reader) = try_lock(&self.connections.reader)
            && reader.id().is_none()
            && !self.is_stale(&reader)
        {
            let _ = reader.connection();
        }
    }

    /// Writes, in one transaction that raises the change sequence: all of it or nothing. `work` may be run again, when
    /// the database had to be made anew. Without a deadline it waits for other threads, and [`BUSY`] for other processes.
    pub(super) fn write<T>(
        &self,
        deadline: Deadline,
        mut work: impl FnMut(&Tx<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.open_reader();
        self.with(
            || lock_by(deadline, &self.connections.writer),
            |connection| self.transaction(connection, deadline.wait(BUSY), &mut work),
        )
    }

    /// The same; `None` when other processes write until the deadline.
    pub(super) fn write_in_turn<T>(
        &self,
        deadline: Deadline,
        mut work: impl FnMut(&Tx<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        self.with(
            || lock_by(deadline, &self.connections.writer),
            |connection| match self.transaction(connection, deadline.wait(BUSY), &mut work) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(None),
                done => done.map(Some),
            },
        )
    }

    /// Writes when no one else does, in this or another process; `None` otherwise, at once.
    pub(super) fn try_write<T>(&self, mut work: impl FnMut(&Tx<'_>) -> rusqlite::Result<T>) -> Option<Result<T>> {
        let mut slot = self.connections.writer.try_lock().ok()?;
        let done = self.run(
            &mut slot,
            &mut |connection| match self.transaction(connection, Duration::ZERO, &mut work) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(None),
                done => done.map(Some),
            },
        );
        match done {
            Attempt::Returned(done) => done.transpose(),
            Attempt::Stale => None,
        }
    }

    fn transaction<T>(
        &self,
        connection: &Connection,
        patience: Duration,
        work: &mut impl FnMut(&Tx<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        connection.busy_timeout(patience)?;
        // IMMEDIATE: no other transaction gets the sequence read here before the end.
        connection.run("BEGIN IMMEDIATE", [])?;
        let undo = RollbackGuard(connection);
        // Those who share our index of the log wait for this transaction, and those who open another one wait for `_alone`:
        // what is right now stays right until its end.
        let journal = &self.connections.here.journal;
        let Ok(_alone) = journal.alone(patience) else {
            return Err(failure(rusqlite::ffi::SQLITE_BUSY));
        };
        let folder = self.folder.stamp();
        let named = self.knows_names(folder);
        // Asked before the names are looked at: what changes later makes another stamp.
        let tells = !named && folder.is_some_and(|folder| folder.detects_later_changes());
        if !named && (journal.is_lost(&self.folder) || !self.opened.newest().has_database()) {
            return Err(failure(rusqlite::ffi::SQLITE_BUSY)); // and is done again
        }
        let before = sequence_of(connection)?;
        if is_fresh(before.next()) {
            // The next number may be another store's first, and `changes` would begin anew: so this one is made anew.
            return Err(failure(rusqlite::ffi::SQLITE_CORRUPT));
        }
        let mut tx = Tx::new(connection, before.next());
        let incarnation = self.incarnation();
        let left = lock(&self.left).take().filter(|left| left.at == (incarnation, before));
        tx.left = left.map(|left| left.library);
        let page = self.begin_on_page(before, tx.sequence, named)?;
        if !named {
            *lock(&self.named) = folder.filter(|_| page.is_some() && tells);
        }
        let done = self.keep_to_timeline(&tx).and_then(|()| work(&tx)).and_then(|value| {
            trim_now_and_then(&tx)?;
            if tx.is_silent() {
                connection.run("UPDATE store SET sequence = ?1", [tx.sequence])?;
            }
            let _long = tx.lists.get().then(|| CheckpointGuard::new(connection)).transpose()?;
            connection.run("COMMIT", [])?;
            *lock(&self.left) = tx.leaves.take().map(|library| LastWrite {
                at: (incarnation, tx.sequence),
                library,
            });
            Ok(value)
        });
        if done.is_err() {
            self.remove_segments(tx.made.take().as_slice());
        }
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

    /// Whether a write found all names right when the folder was as it is now.
    fn knows_names(&self, now: Option<FolderStamp>) -> bool {
        now.is_some() && *lock(&self.named) == now
    }

    /// Runs `work` on a connection to the database that has the store's name; `lock` locks it, or gives up. When the database
    /// was removed, replaced or found to be broken, another one takes its place first.
    fn with<'s, T>(
        &'s self,
        lock: impl Fn() -> Option<MutexGuard<'s, LazyConnection>>,
        mut work: impl FnMut(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        for _ in 0..4 {
            let mut locked = lock().ok_or_else(|| self.is_written())?;
            if let Attempt::Returned(done) = self.run(&mut locked, &mut work) {
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

    fn run<T>(
        &self,
        slot: &mut LazyConnection,
        work: &mut impl FnMut(&Connection) -> rusqlite::Result<T>,
    ) -> Attempt<T> {
        // What writes looks at the names under the write lock, and behind it.
        let looks_later = slot.writes() && slot.id().is_some();
        if self.folder.broken().is_some() || !looks_later && slot.is_moved() {
            return Attempt::Stale;
        }
        let was_open = slot.id().is_some();
        match slot.connection() {
            Ok(_) => {}
            Err(_) if self.folder.broken().is_some() => return Attempt::Stale,
            Err(error) => return Attempt::Returned(Err(error)),
        }
        // One that was opened just now leads to what has the name now, and to the log that has its own.
        let opened = self.opened.newest();
        if !opened.is_of(slot) || !was_open && !opened.has_log() {
            return Attempt::Stale;
        }
        let connection = match slot.connection() {
            Ok((connection, _)) => connection,
            Err(error) => return Attempt::Returned(Err(error)),
        };
        let done = work(connection).map_err(|error| self.explained(&error, slot));
        // A write into a database that was renamed to `.broken` meanwhile is repeated in its successor.
        // So is what was written into a log that lost its name, and what failed for it.
        let may_be_moved = done.is_err() || slot.writes() && !self.knows_names(self.folder.stamp());
        if self.folder.broken().is_some() || may_be_moved && slot.is_moved() {
            return Attempt::Stale;
        }
        Attempt::Returned(done)
    }
}

/// The outcome of a call.
enum Attempt<T> {
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
