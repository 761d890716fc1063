//! `SQLite`: the one source of truth, and the only place with SQL.
//!
//! A [`Store`] is a folder: the database, the counter page that tells other processes of a commit, warm files, locks, and
//! the client identifier. What a kill at each point of a write leaves behind is argued in `docs/design.md`.

mod connection;
mod facts;
mod folder;
mod guids;
mod hints;
mod host;
mod leases;
mod listing;
mod matches;
mod partition;
mod questions;
mod refusals;
mod rows;
mod single;
mod titles;

pub use folder::Folder;
pub use hints::Mark;
pub use host::HostValue;
pub use listing::{Finished, Listing};
pub use partition::Endpoint;
pub use rows::{Change, ChangeKind, LibraryRow, State};

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use once_cell::race::OnceBox;
use rusqlite::{Connection, ErrorCode};

use crate::error::{Error, Result, Status};
use crate::platform::fork::{self, Forks, Release, Side};
use crate::warm::{CounterPage, State as PageState};
use connection::Slot;

/// An open store. Usable from many threads; every call is short, and none waits for the network.
pub struct Store {
    folder: Folder,
    connections: Arc<Connections>,
    /// Whether the counter page is believed, and not only kept right for those who do.
    believes: bool,
    opened: Opened,
    /// Episodes were swept: shows may be left without any.
    orphans: AtomicBool,
}

/// What is known of the database that is open. When another takes its place, or the page is made anew, the next one is
/// hung behind it: readers come here without a lock, so none is ever changed or freed before the end.
#[derive(Default)]
struct Opened {
    id: u64,
    secret: [u8; 32],
    page: Option<CounterPage>,
    next: OnceBox<Opened>,
}

impl Opened {
    #[inline]
    fn newest(&self) -> &Self {
        let mut newest = self;
        while let Some(next) = newest.next.get() {
            newest = next;
        }
        newest
    }
}

/// The two connections of a process: readers never wait for a writer of the same process.
struct Connections {
    reader: Mutex<Slot>,
    writer: Mutex<Slot>,
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

impl Tx<'_> {
    /// Ends the transaction with an error when the library is gone: cleared by another process, or it belongs to a
    /// database that was set aside. No number of a library is ever used twice.
    fn expect_library(&self, library: i64) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("SELECT 1 FROM libraries WHERE id = ?1 AND identity > 0")?
            .query_row([library], |_| Ok(()))
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
        let slot = |role| Mutex::new(Slot::new(&folder, role));
        let connections = Arc::new(Connections {
            reader: slot(connection::Role::Reader),
            writer: slot(connection::Role::Writer),
        });
        fork::watch(&connections);
        let mut store = Self {
            folder,
            connections,
            believes,
            opened: Opened::default(),
            orphans: AtomicBool::new(false),
        };
        let known = {
            let mut writer = lock(&store.connections.writer);
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
        Ok(store)
    }

    /// What the writer's connection has open.
    fn look(&self, writer: &mut Slot) -> Result<Opened> {
        let (connection, id) = writer.connection()?;
        add_tables(connection).map_err(|error| self.trouble(&error, writer))?;
        let (connection, _) = writer.connection()?;
        let secret = connection
            .query_row("SELECT secret FROM store", [], |row| row.get::<_, [u8; 32]>(0))
            .map_err(|error| self.trouble(&error, writer))?;
        let opened = Opened {
            id,
            secret,
            page: self.page_of(id),
            next: OnceBox::new(),
        };
        if let Some(page) = &opened.page {
            let (connection, _) = writer.connection()?;
            repair(page, connection).map_err(|error| self.trouble(&error, writer))?;
        }
        Ok(opened)
    }

    fn page_of(&self, id: u64) -> Option<CounterPage> {
        if !self.folder.shares_memory() {
            return None;
        }
        CounterPage::open(&self.folder.page(), id)
            .inspect_err(warn_of_page)
            .ok()
    }

    /// The folder of the store.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Whether nothing was committed since `sequence`, for the price of some loads. `false` when that cannot be told
    /// without asking the database.
    #[must_use]
    pub fn is_current(&self, sequence: u64) -> bool {
        let page = self.opened.newest().page.as_ref();
        page.is_some_and(|page| page.state() == PageState::Equal(sequence)) && self.believes
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

    /// Reads, in one short transaction. `work` may be run again, when the database had to be made anew.
    fn read<T>(&self, work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.with(&self.connections.reader, in_one(work))
    }

    /// Reads when no other thread does; `None` otherwise, at once.
    fn try_read<T>(&self, work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Option<Result<T>> {
        let mut slot = match self.connections.reader.try_lock() {
            Ok(slot) => slot,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return None,
        };
        match self.run(&mut slot, &mut in_one(work)) {
            Done::Returned(done) => Some(done),
            // Opening another database takes its time.
            Done::Stale => None,
        }
    }

    /// Writes, in one transaction that raises the change sequence: all of it or nothing. `work` may be run again, when
    /// the database had to be made anew.
    fn write<T>(&self, mut work: impl FnMut(&Tx<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.with(&self.connections.writer, |connection| {
            // IMMEDIATE: the sequence read here is nobody else's until the end.
            connection.execute_batch("BEGIN IMMEDIATE")?;
            let undo = Undo(connection);
            let before = connection
                .prepare_cached("SELECT sequence FROM store")?
                .query_row([], |row| row.get::<_, i64>(0))
                .map(i64::cast_unsigned)?;
            let tx = Tx {
                connection,
                sequence: before + 1,
                changes: std::cell::Cell::new(0),
            };
            let page = self.page_at_its_place();
            if let Some(page) = page {
                page.begin(tx.sequence);
            }
            let done = work(&tx).and_then(|value| {
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
        })
    }

    /// The counter page, made anew when somebody removed or replaced it: those who open it now would not see this one.
    /// Called under the write lock.
    fn page_at_its_place(&self) -> Option<&CounterPage> {
        let opened = self.opened.newest();
        let place = self.folder.page();
        match &opened.page {
            Some(page) if page.is_at(&place) => return Some(page),
            None if !self.folder.shares_memory() => return None,
            _ => {}
        }
        let page = CounterPage::open(&place, opened.id);
        match (&opened.page, &page) {
            (None, Err(_)) => return None, // as it was
            (Some(_), Err(error)) => warn_of_page(error),
            _ => log::info!("the counter page in {} is opened anew", self.folder.path().display()),
        }
        let next = Opened {
            id: opened.id,
            secret: opened.secret,
            page: page.ok(),
            next: OnceBox::new(),
        };
        let _ = opened.next.set(Box::new(next));
        self.opened.newest().page.as_ref()
    }

    /// Runs `work` on a connection to the database that has the store's name. When it was removed, replaced or found to
    /// be broken, another one takes its place first.
    fn with<T>(&self, slot: &Mutex<Slot>, mut work: impl FnMut(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        for _ in 0..4 {
            if let Done::Returned(done) = self.run(&mut lock(slot), &mut work) {
                return done;
            }
            match self.renew() {
                Err(_) if self.folder.broken().is_some() => {} // what took its place is broken too
                done => done?,
            }
        }
        Err(Error::new(
            Status::Store,
            format!(
                "store in {}: its database is replaced or spoilt again and again; look for who does that, or choose \
                 another cache_dir",
                self.folder.path().display()
            ),
        ))
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
        if self.folder.broken().is_some() || done.is_ok() && slot.writes() && slot.is_moved() {
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
        // In the order in which a fork takes them.
        let mut writer = lock(&self.connections.writer);
        let mut reader = lock(&self.connections.reader);
        let known = self.opened.newest();
        let foreign = |slot: &Slot| slot.is_moved() || slot.id().is_some_and(|id| id != known.id);
        if self.folder.broken().is_none() && !foreign(&writer) && !foreign(&reader) {
            return Ok(()); // another thread was faster
        }
        writer.close();
        reader.close();
        if self.folder.broken().is_some() {
            self.folder.set_aside()?;
        } else {
            log::warn!(
                "the database in {} was removed or replaced while it was open; it is opened again",
                self.folder.path().display()
            );
        }
        let opened = self.look(&mut writer)?;
        if opened.id != known.id {
            let _ = known.next.set(Box::new(opened));
        }
        Ok(())
    }

    /// Closes the connections; they are opened again when needed.
    pub fn close(&self) {
        lock(&self.connections.writer).close();
        lock(&self.connections.reader).close();
    }
}

impl Drop for Store {
    /// While the fork handlers still know of the connections: none may be closing at the moment of a fork.
    fn drop(&mut self) {
        self.close();
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

/// Makes the page agree with the database where it does not: it is new, its writer died, or the machine did. When
/// somebody is writing that is left to them.
fn repair(page: &CounterPage, connection: &Connection) -> rusqlite::Result<()> {
    if page.state() == PageState::Equal(sequence_of(connection)?) {
        return Ok(());
    }
    connection.busy_timeout(Duration::ZERO)?;
    if connection.execute_batch("BEGIN IMMEDIATE").is_ok() {
        let _undo = Undo(connection);
        if let Ok(sequence) = sequence_of(connection) {
            page.repair(sequence);
        }
    }
    connection.busy_timeout(connection::BUSY)
}

/// A store of an earlier version of this format gets the tables that are new.
fn add_tables(connection: &Connection) -> rusqlite::Result<()> {
    let newest = "SELECT 1 FROM sqlite_schema WHERE name = 'refusals'";
    if connection.prepare(newest)?.exists([])? {
        return Ok(());
    }
    connection.execute_batch(include_str!("schema.sql"))
}

fn warn_of_page(error: &Error) {
    log::warn!("the counter page cannot be shared, each lookup asks the database instead: {error}");
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

/// The error for people: what, where, and what to do.
fn explain(error: &rusqlite::Error, folder: &Folder) -> Error {
    const FULL: (Status, &str) = (
        Status::StoreFull,
        "the disk is full: free some space, or choose another cache_dir",
    );
    let place = folder.path().display();
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
