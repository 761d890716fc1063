//! Reads and writes in short transactions, on the database that has the store's name.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::cached::CachedStatements;
use super::changes::trim_now_and_then;
use super::connection::{LazyConnection, OpenConnection};
use super::lock_wait::{BUSY, lock_by};
use super::open::Store;
use super::opened::is_fresh;
use super::schema::failure;
use super::tx::{CheckpointGuard, NoWaitGuard, RollbackGuard, Tx, sequence_of};
use crate::error::{Error, Result, Status};
use crate::platform::deadline::Deadline;
use crate::platform::mutex::{lock, try_lock};
use crate::platform::stamp::FolderStamp;
use crate::platform::write_out::write_out;

/// Number of writes after which the log is written out, so that a checkpoint waits for little of it.
const WRITE_OUT_EVERY: u64 = 128;

impl Store {
    /// Reads in one short transaction. `work` runs again if the database was replaced.
    pub(super) fn read<T>(&self, work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        // A short wait at most: no thread holds the reader for long.
        self.with(|| Some(lock(&self.connections.reader)), in_one(work))
    }

    /// Reads if no other thread reads and a connection is open, else returns `None` at once. Does not wait for other
    /// processes: fails if one has locked the database.
    pub(super) fn try_read<T>(&self, work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Option<Result<T>> {
        self.read_with(&try_lock, work)
    }

    /// [`Store::read`] if the caller is `patient`. Otherwise waits only a moment for other threads, as lookups do.
    pub(super) fn read_if<T>(
        &self,
        patient: bool,
        work: impl FnMut(&Connection) -> rusqlite::Result<T>,
    ) -> Option<Result<T>> {
        if patient {
            return Some(self.read(work));
        }
        self.read_with(&|slot| self.short_lock.lock(slot), work)
    }

    /// Reads with a connection that is already open; `lock` locks it.
    fn read_with<'s, T>(
        &'s self,
        lock: &dyn Fn(&'s Mutex<LazyConnection>) -> Option<MutexGuard<'s, LazyConnection>>,
        work: impl FnMut(&Connection) -> rusqlite::Result<T>,
    ) -> Option<Result<T>> {
        let mut work = in_one(work);
        let mut work_without_wait = |connection: &OpenConnection| {
            let _no_wait = NoWaitGuard::new(connection)?;
            work(connection)
        };
        let mut slot = self.open_slot(lock).or_else(|| {
            self.open_late(Duration::ZERO);
            self.open_slot(lock)
        })?;
        let known = self.folder.broken();
        match self.run(&mut slot, &mut work_without_wait) {
            Attempt::Returned(done) => Some(done),
            Attempt::Stale => {
                // A call that can wait finds and repairs the damage itself, so remove the mark that this attempt set: a
                // new file may get the inode of the marked one.
                if known.is_none() {
                    self.folder.mark_broken(None);
                }
                None
            }
        }
    }

    /// [`Store::read`] with any open connection, so that a process that only looks up does not open a second one.
    pub(super) fn read_first<T>(&self, work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let mut work = in_one(work);
        let mut work_with_wait = |connection: &OpenConnection| {
            connection.busy_timeout(BUSY)?;
            work(connection)
        };
        if let Some(mut slot) = self.open_slot(&try_lock)
            && let Attempt::Returned(done) = self.run(&mut slot, &mut work_with_wait)
        {
            return done;
        }
        self.with(|| Some(lock(&self.connections.reader)), work_with_wait)
    }

    /// Returns an open connection to read with: the reader's, or the writer's while only that is open. Does not open
    /// one, as that may wait for a process that creates or recovers the database.
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

    /// Opens a connection, if the state file made that unnecessary until now, or a fork closed it. Does not wait for
    /// other threads, and waits at most `patience` for other processes.
    pub(super) fn open_late(&self, patience: Duration) {
        let opens_later = &self.connections.opens_later;
        if !opens_later.load(Ordering::Relaxed) {
            return;
        }
        let Some(mut writer) = try_lock(&self.connections.writer).filter(|writer| !self.is_stale(writer)) else {
            return;
        };
        if writer.open_within(patience).is_ok() {
            opens_later.store(false, Ordering::Relaxed);
            // Files that were replaced while no connection was open: a call that can wait opens the store again.
            let opened = self.opened.newest();
            if !opened.is_of(&writer) || !opened.has_log() {
                writer.close();
            }
        } else {
            // A call that can wait finds and repairs the damage itself, so remove the mark.
            self.folder.mark_broken(None);
        }
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
        self.tell_exchange();
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
        self.tell_exchange();
        done
    }

    /// Writes if no other thread or process does, else returns `None` at once.
    pub(super) fn try_write<T>(&self, mut work: impl FnMut(&Tx<'_>) -> rusqlite::Result<T>) -> Option<Result<T>> {
        let mut slot = self.connections.writer.try_lock().ok()?;
        let done = self.run(
            &mut slot,
            &mut |connection| match self.transaction(connection, Duration::ZERO, &mut work) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(None),
                done => done.map(Some),
            },
        );
        drop(slot);
        self.tell_exchange();
        match done {
            Attempt::Returned(done) => done.transpose(),
            Attempt::Stale => None,
        }
    }

    /// Passes on that the outbox got entries. The caller holds no connection: the exchange has locks that a fork takes
    /// before those of connections.
    fn tell_exchange(&self) {
        if self.has_told.swap(false, Ordering::Relaxed)
            && let Some(tell) = self.on_told.get()
        {
            tell();
        }
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
        // No process can replace the files before COMMIT, so the checks below stay valid: a process with the same WAL
        // index waits for the write lock, a process with another one for `alone`.
        let journal = &self.connections.here.journal;
        let Ok(alone) = journal.alone(patience) else {
            return Err(failure(rusqlite::ffi::SQLITE_BUSY));
        };
        let folder = self.folder.stamp();
        let files_checked = self.were_files_checked(folder);
        // The stamp was taken before the check of the files, so a change after the check gives another stamp.
        let stamp_is_reliable = !files_checked && folder.is_some_and(|folder| folder.detects_later_changes());
        if !files_checked && (journal.is_lost(&self.folder) || !self.opened.newest().has_database()) {
            return Err(failure(rusqlite::ffi::SQLITE_BUSY)); // the caller tries again
        }
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
        let page = self.begin_on_page(before, tx.sequence, files_checked)?;
        if !files_checked {
            *lock(&self.names_checked_at) = folder.filter(|_| page.is_some() && stamp_is_reliable);
        }
        let done = self
            .begin_timeline_if_needed(&tx)
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
        if done.is_err() {
            self.remove_segments(tx.new_segments.take().as_slice());
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
        drop((undo, alone));
        if done.is_ok() && tx.tells.get() {
            self.has_told.store(true, Ordering::Relaxed);
            if self.syncs_told.load(Ordering::Relaxed) {
                connection.sync_log()?;
            }
        }
        if self.folder.shares_memory() && tx.sequence.0.is_multiple_of(WRITE_OUT_EVERY) {
            write_out(self.folder.log()[0]);
        }
        done
    }

    /// Returns whether a write already checked the files while the folder had this stamp.
    fn were_files_checked(&self, now: Option<FolderStamp>) -> bool {
        now.is_some() && *lock(&self.names_checked_at) == now
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
            if let Attempt::Returned(done) = self.run(&mut locked, &mut work) {
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

    fn locked_error(&self) -> Error {
        Error::new(
            Status::Store,
            format!(
                "store in {}: another thread kept it locked until the time was up: try again",
                self.folder.path().display()
            ),
        )
    }

    /// Opens a connection if necessary, and runs `work` on it, unless it does not lead to the store's database.
    fn run<T>(
        &self,
        slot: &mut LazyConnection,
        work: &mut impl FnMut(&OpenConnection) -> rusqlite::Result<T>,
    ) -> Attempt<T> {
        // A write checks the names later, under the write lock.
        let checks_later = slot.writes() && slot.id().is_some();
        if self.folder.broken().is_some() || !checks_later && slot.is_moved() {
            return Attempt::Stale;
        }
        let was_open = slot.id().is_some();
        match slot.connection() {
            Ok(_) => {}
            Err(_) if self.folder.broken().is_some() => return Attempt::Stale,
            Err(error) => return Attempt::Returned(Err(error)),
        }
        // A connection opened just now must lead to the database and the log that have the names now.
        let opened = self.opened.newest();
        if !opened.is_of(slot) || !was_open && !opened.has_log() {
            return Attempt::Stale;
        }
        let connection = match slot.connection() {
            Ok((connection, _)) => connection,
            Err(error) => return Attempt::Returned(Err(error)),
        };
        let done = work(connection).map_err(|error| self.explained(&error, slot));
        // Repeat a write into a database that was renamed to `.broken` meanwhile, a write into a log that lost its
        // name, and a call that failed because of either.
        let may_be_moved = done.is_err() || slot.writes() && !self.were_files_checked(self.folder.stamp());
        if self.folder.broken().is_some() || may_be_moved && slot.is_moved() {
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
