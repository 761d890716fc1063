//! `SQLite`: the one source of truth, and the only place with SQL.
//!
//! A [`Store`] is a folder: the database, the counter page that tells other processes of a commit, images, locks, and
//! the client identifier. What a kill at each point of a write leaves behind is argued in `docs/design.md`.

mod connection;
#[cfg(test)]
mod connection_tests;
mod facts;
mod folder;
mod guids;
mod hints;
mod host;
mod leases;
mod listing;
mod matches;
mod opened;
mod partition;
mod patience;
mod path_searches;
#[cfg(test)]
mod random_tests;
mod refusals;
mod rows;
mod single;
#[cfg(test)]
mod store_tests;
mod titles;

pub use folder::Folder;
pub use hints::Mark;
pub use host::HostValue;
pub use listing::{Finished, Listing};
pub use partition::{Endpoint, USE_NOTED_MS};
pub use patience::Patience;
pub use rows::{Change, ChangeKind, LibraryRow, State};

use std::any::Any;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use crate::error::{Error, Result, Status};
use crate::image::{CounterPage, State as PageState};
use crate::platform::clock::coarse_ms;
use crate::platform::fork::{self, Forks, Release, Side};
use connection::{Journal, Slot};
use opened::{Opened, is_fresh, repair, warn_of_page};

/// An open store. Usable from many threads; every call is short, and none waits for the network.
pub struct Store {
    folder: Folder,
    connections: Arc<Connections>,
    /// Whether the counter page is believed, and not only kept right for those who do.
    believes: bool,
    opened: Opened,
    /// No page can be mapped, and all who had one have noticed that it is gone.
    unheard: AtomicBool,
    /// Episodes were swept: shows may be left without any.
    orphans: AtomicBool,
    /// [`Journal::losses`] when the whole state was last read.
    losses: AtomicU64,
}

/// The two connections of a store: readers never wait for a writer of the same process.
struct Connections {
    reader: Mutex<Slot>,
    writer: Mutex<Slot>,
    here: Arc<Here>,
}

/// What the stores of this process in one folder share.
struct Here {
    path: Box<Path>,
    journal: Arc<Journal>,
    /// Changed while new ones are kept from being watched, read by who holds the lock of a connection: so a fork finds it
    /// unlocked.
    all: Mutex<Vec<Weak<Connections>>>,
}

impl Connections {
    /// New ones, which know of those that this process has in the same folder.
    fn new(folder: &Folder) -> Arc<Self> {
        fork::watch_beside(|told| {
            let known = told
                .iter()
                .filter_map(|one| (&**one as &dyn Any).downcast_ref::<Self>())
                .map(|one| &one.here)
                .find(|here| *here.path == *folder.path());
            let here = known.cloned().unwrap_or_else(|| {
                Arc::new(Here {
                    path: folder.path().into(),
                    journal: Arc::default(),
                    all: Mutex::default(),
                })
            });
            let slot = |role| Mutex::new(Slot::new(folder, &here.journal, role));
            let made = Arc::new(Self {
                reader: slot(connection::Role::Reader),
                writer: slot(connection::Role::Writer),
                here: Arc::clone(&here),
            });
            let mut all = lock(&here.all);
            all.retain(|one| one.strong_count() > 0);
            all.push(Arc::downgrade(&made));
            drop(all);
            made
        })
    }

    /// Closes those of the other stores of this process in the same folder, all at once; `false` when one is in use. The
    /// caller has its own closed, and their locks.
    fn close_others(&self) -> bool {
        let all: Vec<Arc<Self>> = lock(&self.here.all).iter().filter_map(Weak::upgrade).collect();
        let others = all.iter().filter(|one| !std::ptr::eq(Arc::as_ptr(one), self));
        let mut held = Vec::new();
        for slot in others.flat_map(|one| [&one.writer, &one.reader]) {
            match slot.try_lock() {
                Ok(guard) => held.push(guard),
                Err(TryLockError::Poisoned(poisoned)) => held.push(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => return false,
            }
        }
        for slot in &mut held {
            slot.close();
        }
        true
    }
}

impl Forks for Connections {
    fn before(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        let close = |slot: fn(&Self) -> &Mutex<Slot>| {
            let mut held = fork::hold(&self, slot);
            held.get().close();
            Box::new(held) as Box<dyn Release>
        };
        vec![close(|all| &all.writer), close(|all| &all.reader)]
    }

    fn after(&self, _side: &Side) {}
}

/// A write transaction under way.
pub struct Tx<'c> {
    connection: &'c Connection,
    /// The change sequence that this transaction becomes.
    pub sequence: u64,
    changes: std::cell::Cell<i64>,
}

/// A library that belongs to an identity, as it is under the write lock.
struct Living {
    id: i64,
    identity: i64,
    generation: i64,
    epoch: i64,
}

impl Tx<'_> {
    /// The library as it is now. Ends the transaction with an error when it is gone: cleared by another process, or it
    /// belongs to a database that was set aside. No number of a library is ever used twice.
    fn expect_library(&self, library: i64) -> rusqlite::Result<Living> {
        self.connection
            .prepare_cached("SELECT identity, generation, epoch FROM libraries WHERE id = ?1 AND identity > 0")?
            .query_row([library], |row| {
                Ok(Living {
                    id: library,
                    identity: row.get(0)?,
                    generation: row.get(1)?,
                    epoch: row.get(2)?,
                })
            })
    }
}

/// Rolls back when it is dropped, unless the transaction is over by then: also when its work panics.
struct Undo<'c>(&'c Connection);

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}

impl Store {
    /// Opens the store in `folder`, making what is missing. A database that is none, or is broken, is set aside.
    /// With `believes` unset the counter page is not relied upon: each lookup asks the database.
    ///
    /// # Errors
    /// [`Status::Store`] when the folder cannot be made or written, [`Status::StoreFull`].
    pub fn open(directory: &Path, believes: bool) -> Result<Self> {
        let folder = Folder::open(directory)?;
        let connections = Connections::new(&folder);
        let mut store = Self {
            folder,
            connections,
            believes,
            opened: Opened::default(),
            unheard: AtomicBool::new(false),
            orphans: AtomicBool::new(false),
            losses: AtomicU64::new(0),
        };
        let known = {
            let mut writer = lock(&store.connections.writer);
            if writer.is_moved() {
                // Another store of this process has to let go first.
                drop(writer);
                store.renew()?;
                writer = lock(&store.connections.writer);
            }
            match store.look(&mut writer) {
                Err(_) if store.folder.broken().is_some() => {
                    writer.close();
                    store.folder.set_aside()?;
                    store.look(&mut writer)?
                }
                other => other?,
            }
        };
        store.opened = known;
        // Nothing was read yet.
        store.losses = store.losses_now().into();
        Ok(store)
    }

    /// What the writer's connection has open.
    fn look(&self, writer: &mut Slot) -> Result<Opened> {
        let (connection, id) = writer.connection()?;
        let (secret, sequence) = connection
            .query_row("SELECT secret, sequence FROM store", [], |row| {
                Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
            })
            .map_err(|error| self.trouble(&error, writer))?;
        let page = if self.folder.shares_memory() {
            let page = CounterPage::open(&self.folder.page(), id, is_fresh(sequence));
            page.inspect_err(warn_of_page).ok()
        } else {
            None
        };
        if let Some(page) = &page {
            let (connection, _) = writer.connection()?;
            repair(page, connection).map_err(|error| self.trouble(&error, writer))?;
        }
        Ok(Opened::new(&self.folder, id, secret, writer.file(), page))
    }

    /// The folder of the store.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Whether nothing was committed since `sequence`, for the price of some loads. `false` when that cannot be told
    /// without asking the database.
    #[must_use]
    pub fn is_current(&self, sequence: u64) -> bool {
        self.believes && self.opened.newest().state(coarse_ms()) == PageState::Equal(sequence) && !self.went_back()
    }

    /// Whether what was read before may be in the database no more, so that its change sequence says nothing: the log was
    /// lost.
    #[inline]
    fn went_back(&self) -> bool {
        self.losses_now() != self.losses.load(Ordering::Acquire)
    }

    #[inline]
    fn losses_now(&self) -> u64 {
        self.connections.here.journal.losses()
    }

    /// The whole state was read when there were so many losses.
    fn caught_up_with(&self, losses: u64) {
        self.losses.store(losses, Ordering::Release);
    }

    /// What stands for a token: equal for equal tokens of this store, and of no use elsewhere. Another one when the
    /// database had to be made anew.
    #[must_use]
    pub fn fingerprint(&self, token: &str) -> Vec<u8> {
        self.keyed(token.as_bytes()).to_vec()
    }

    /// A hash under the secret of this store: the same for the same bytes, and nobody else can try it.
    #[must_use]
    pub fn keyed(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.opened.newest().secret, bytes).as_bytes()
    }

    /// What an image carries that belongs under this name in this store. The name says all that the file is of:
    /// listing or matches, the library's number, generation and change sequence.
    #[must_use]
    pub fn seal(&self, name: &str) -> u64 {
        let mut seal = [0; 8];
        seal.copy_from_slice(&self.keyed(name.as_bytes())[..8]);
        u64::from_le_bytes(seal)
    }

    /// Reads, in one short transaction. `work` may be run again, when the database had to be made anew.
    fn read<T>(&self, work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.with(&self.connections.reader, in_one(work))
    }

    /// Reads when no other thread does and the connection is open; `None` otherwise, at once. An error when another
    /// process keeps the database locked: nobody is waited for.
    fn try_read<T>(&self, work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Option<Result<T>> {
        let mut work = in_one(work);
        let mut hasty = |connection: &Connection| {
            connection.busy_timeout(Duration::ZERO)?;
            let _patient = Patient(connection);
            work(connection)
        };
        let mut slot = match self.connections.reader.try_lock() {
            Ok(slot) => slot,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return None,
        };
        // Opening a database takes its time, and may wait for whoever makes or recovers it.
        slot.id()?;
        match self.run(&mut slot, &mut hasty) {
            Done::Returned(done) => Some(done),
            Done::Stale => None,
        }
    }

    /// Writes, in one transaction that raises the change sequence: all of it or nothing. `work` may be run again, when
    /// the database had to be made anew. Waits for other writers as long as this thread's [`Patience`] lasts.
    fn write<T>(&self, mut work: impl FnMut(&Tx<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.with(&self.connections.writer, |connection| {
            connection.busy_timeout(Patience::now().left())?;
            self.transaction(connection, &mut work)
        })
    }

    /// Writes when no one else does, in this or another process; `None` otherwise, at once.
    fn try_write<T>(&self, mut work: impl FnMut(&Tx<'_>) -> rusqlite::Result<T>) -> Option<Result<T>> {
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
        // IMMEDIATE: the sequence read here is nobody else's until the end.
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let undo = Undo(connection);
        // Those who share our index of the log wait for this transaction: what is right now stays right until its end.
        if self.connections.here.journal.is_lost(&self.folder) {
            return Err(connection::failure(rusqlite::ffi::SQLITE_BUSY)); // and is done again
        }
        let before = connection
            .prepare_cached("SELECT sequence FROM store")?
            .query_row([], |row| row.get::<_, i64>(0))
            .map(i64::cast_unsigned)?;
        let tx = Tx {
            connection,
            sequence: before + 1,
            changes: std::cell::Cell::new(0),
        };
        let page = self.begin_on_page(tx.sequence)?;
        let done = work(&tx).and_then(|value| {
            rows::trim_now_and_then(&tx)?;
            connection
                .prepare_cached("UPDATE store SET sequence = ?1")?
                .execute([tx.sequence.cast_signed()])?;
            connection.execute_batch("COMMIT")?;
            Ok(value)
        });
        if let Some(page) = page {
            if done.is_ok() {
                page.commit(tx.sequence);
            } else if !connection.is_autocommit() {
                // The write lock is still ours: what was announced will not come. Where SQLite rolled back by itself
                // it is not; then readers ask the database until the next writer repairs the page.
                page.repair(before);
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
        let done = work(connection).map_err(|error| self.trouble(&error, slot));
        // What was written into a database that was set aside meanwhile is written again into the one that took its place.
        // So is what was written into a log that lost its name, and what failed for it.
        if self.folder.broken().is_some() || (done.is_err() || slot.writes()) && slot.is_moved() {
            return Done::Stale;
        }
        Done::Returned(done)
    }

    fn is_stale(&self, slot: &Slot) -> bool {
        self.folder.broken().is_some() || slot.is_moved()
    }

    /// The error for people; notes that the database is broken when that is what it says.
    fn trouble(&self, error: &rusqlite::Error, slot: &Slot) -> Error {
        if is_broken(error) {
            self.folder.mark_broken(slot.file());
        }
        explain(error, &self.folder)
    }

    /// Closes what is open and opens what has the database's name now, or a new one.
    fn renew(&self) -> Result<()> {
        let give_up = Instant::now() + connection::BUSY;
        loop {
            // In the order in which a fork takes them.
            let mut writer = lock(&self.connections.writer);
            let mut reader = lock(&self.connections.reader);
            let known = self.opened.newest();
            let foreign = |slot: &Slot| slot.is_moved() || slot.id().is_some_and(|id| id != known.id);
            if self.folder.broken().is_none() && !foreign(&writer) && !foreign(&reader) {
                return Ok(()); // another thread was faster
            }
            let lost = self.connections.here.journal.is_lost(&self.folder);
            writer.close();
            reader.close();
            // The connections of a process share files, which stay open until the last of them is closed. Those of others
            // are only tried: who has one may be waiting for ours.
            if lost && !self.connections.close_others() {
                drop((writer, reader));
                if Instant::now() >= give_up {
                    return Err(self.replaced("the log of its database was"));
                }
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            // Others who have it mapped look at the database too.
            known.retire_page();
            if self.folder.broken().is_some() {
                self.folder.set_aside()?;
            } else {
                log::warn!(
                    "the database in {}, or what SQLite keeps beside it, was removed or replaced while it was open; it is \
                     opened again",
                    self.folder.path().display()
                );
            }
            known.follow(self.look(&mut writer)?);
            return Ok(());
        }
    }

    fn replaced(&self, what: &str) -> Error {
        Error::new(
            Status::Store,
            format!(
                "store in {}: {what} replaced or spoilt again and again; look for who does that, or choose another \
                 cache_dir",
                self.folder.path().display()
            ),
        )
    }

    /// Closes the connections; they are opened again when needed.
    pub fn close(&self) {
        lock(&self.connections.reader).close();
        let mut writer = lock(&self.connections.writer);
        writer.settle();
        writer.close();
    }
}

impl Drop for Store {
    /// While the fork handlers still know of the connections: none may be closing at the moment of a fork.
    fn drop(&mut self) {
        self.close();
    }
}

/// Makes a connection wait for others again.
struct Patient<'c>(&'c Connection);

impl Drop for Patient<'_> {
    fn drop(&mut self) {
        let _ = self.0.busy_timeout(connection::BUSY);
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

fn sequence_of(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .query_row("SELECT sequence FROM store", [], |row| row.get::<_, i64>(0))
        .map(i64::cast_unsigned)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the database itself is damaged, or is no database.
fn is_broken(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Whether a file ended before what was to be read of it.
fn lacks_log(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ)
}

/// The error for people: what, where, and what to do.
fn explain(error: &rusqlite::Error, folder: &Folder) -> Error {
    const FULL: (Status, &str) = (
        Status::StoreFull,
        "the disk is full: free some space, or choose another cache_dir",
    );
    let place = folder.path().display();
    if lacks_log(error) && folder.companion("-wal").metadata().map_or(0, |facts| facts.len()) == 0 {
        return Error::new(
            Status::Store,
            format!(
                "store in {place}: {} was removed or emptied while processes had it open, and they have what it held: let \
                 each of them record or refresh something, or end them, then try again",
                folder.companion("-wal").display()
            ),
        );
    }
    let (status, remedy) = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => FULL,
        // What a full disk does to the memory that processes share, and to some file systems, has no name of its own.
        Some(ErrorCode::SystemIoFailure) if folder.is_full() => FULL,
        Some(ErrorCode::SystemIoFailure) => (
            Status::Store,
            "it cannot be read or written: look for a limit on the size of files (ulimit -f), a quota or a failing disk",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => (
            Status::Store,
            "it cannot be written: check the owner and the mode of the folder and its files",
        ),
        Some(ErrorCode::CannotOpen) => (
            Status::Store,
            "it cannot be opened: check that the folder exists and may be written",
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            Status::Store,
            "another process keeps it locked: try again, and look for a process that hangs",
        ),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (
            Status::Store,
            "the database is broken: it is set aside at the next call",
        ),
        _ if matches!(error, rusqlite::Error::QueryReturnedNoRows) => (
            Status::Store,
            "it was cleared, or made anew, while this call was at it: try again",
        ),
        _ => (Status::Store, "try again, or choose another cache_dir"),
    };
    Error::new(status, format!("store in {place}: {error}; {remedy}"))
}
