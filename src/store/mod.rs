//! `SQLite`: the one source of truth, and the only place with SQL.
//!
//! A [`Store`] is a folder: the database, the counter page that tells other processes of a commit, warm files, locks, and
//! the client identifier. What a kill at each point of a write leaves behind is argued in `docs/design.md`.

mod connection;
mod folder;
mod guids;
mod listing;
mod matches;
mod partition;
mod rows;
mod single;
mod titles;

pub use folder::Folder;
pub use listing::{Finished, Listing};
pub use partition::Endpoint;
pub use rows::{Change, ChangeKind, LibraryRow, State};

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, ErrorCode};

use crate::error::{Error, Result, Status};
use crate::platform::fork::{self, Forks, Release, Side};
use crate::warm::{CounterPage, State as PageState};
use connection::Slot;

/// An open store. Usable from many threads; every call is short, and none waits for the network.
pub struct Store {
    folder: Folder,
    connections: Arc<Connections>,
    page: Option<CounterPage>,
    id: u64,
    secret: [u8; 32],
}

/// The two connections of a process: readers never wait for a writer of the same process.
struct Connections {
    reader: Arc<Mutex<Slot>>,
    writer: Arc<Mutex<Slot>>,
}

impl Forks for Connections {
    fn before(&self) -> Vec<Box<dyn Release>> {
        [&self.writer, &self.reader]
            .into_iter()
            .map(|slot| {
                let mut held = fork::hold(slot);
                held.get().close();
                Box::new(held) as Box<dyn Release>
            })
            .collect()
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

impl Store {
    /// Opens the store in `folder`, making what is missing. A database that is none, or is broken, is set aside.
    ///
    /// # Errors
    /// [`Status::Store`] when the folder cannot be made or written, [`Status::StoreFull`].
    pub fn open(directory: &Path, mapped: bool) -> Result<Self> {
        let folder = Folder::open(directory)?;
        let slot = |role| Arc::new(Mutex::new(Slot::new(&folder, role)));
        let connections = Arc::new(Connections {
            reader: slot(connection::Role::Reader),
            writer: slot(connection::Role::Writer),
        });
        fork::watch(&connections);
        let mut store = Self {
            folder,
            connections,
            page: None,
            id: 0,
            secret: [0; 32],
        };
        store.begin(mapped)?;
        Ok(store)
    }

    fn begin(&mut self, mapped: bool) -> Result<()> {
        let read = |connection: &Connection| {
            connection.query_row("SELECT store_id, secret FROM store", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?))
            })
        };
        let (store_id, secret) = match self.with(&self.connections.writer, read) {
            Err(error) if self.folder.set_aside_pending() => {
                log::warn!(
                    "the store was broken and is set aside; it is fetched anew: {error}"
                );
                self.folder.set_aside()?;
                self.with(&self.connections.writer, read)?
            }
            other => other?,
        };
        self.id = store_id.cast_unsigned();
        self.secret = secret;
        if mapped && self.folder.shares_memory() {
            match CounterPage::open(&self.folder.page(), self.id) {
                Ok(page) => self.page = Some(page),
                Err(error) => log::warn!(
                    "the counter page cannot be shared, each lookup asks the database instead: {error}"
                ),
            }
        }
        Ok(())
    }

    /// The folder of the store.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Whether nothing was committed since `sequence`, for the price of two loads. `false` when that cannot be told
    /// without asking the database.
    #[must_use]
    pub fn is_current(&self, sequence: u64) -> bool {
        self.page
            .as_ref()
            .is_some_and(|page| page.state() == PageState::Equal(sequence))
    }

    /// What stands for a token: equal for equal tokens of this store, and of no use elsewhere.
    #[must_use]
    pub fn fingerprint(&self, token: &str) -> Vec<u8> {
        blake3::keyed_hash(&self.secret, token.as_bytes())
            .as_bytes()
            .to_vec()
    }

    /// Reads, in one short transaction.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.with(&self.connections.reader, |connection| {
            let tx = connection.unchecked_transaction()?;
            let value = work(&tx)?;
            tx.finish()?;
            Ok(value)
        })
    }

    /// Reads when no other thread does; `None` otherwise, at once.
    fn try_read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Option<Result<T>> {
        let mut slot = match self.connections.reader.try_lock() {
            Ok(slot) => slot,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return None,
        };
        Some(self.run(&mut slot, |connection| {
            let tx = connection.unchecked_transaction()?;
            let value = work(&tx)?;
            tx.finish()?;
            Ok(value)
        }))
    }

    /// Writes, in one transaction that raises the change sequence: all of it or nothing.
    fn write<T>(&self, work: impl FnOnce(&Tx<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.with(&self.connections.writer, |connection| {
            // IMMEDIATE: the sequence read here is nobody else's until the end.
            connection.execute_batch("BEGIN IMMEDIATE")?;
            let before = connection
                .prepare_cached("SELECT sequence FROM store")
                .and_then(|mut row| row.query_row([], |row| row.get::<_, i64>(0)))
                .map(i64::cast_unsigned);
            let done = before.and_then(|before| {
                let tx = Tx {
                    connection,
                    sequence: before + 1,
                    changes: std::cell::Cell::new(0),
                };
                if let Some(page) = &self.page {
                    page.begin(tx.sequence);
                }
                let value = work(&tx)?;
                connection
                    .prepare_cached("UPDATE store SET sequence = ?1")?
                    .execute([tx.sequence.cast_signed()])?;
                connection.execute_batch("COMMIT")?;
                Ok((value, tx.sequence))
            });
            match done {
                Ok((value, sequence)) => {
                    if let Some(page) = &self.page {
                        page.commit(sequence);
                    }
                    Ok(value)
                }
                Err(error) => {
                    // While the write lock is still ours: what was announced will not come. When even the rollback
                    // fails, the page stays as it is: readers ask the database, the next writer repairs it.
                    if let (Some(page), Ok(before)) = (&self.page, sequence_of(connection))
                        && connection.is_autocommit()
                    {
                        page.repair(before);
                    } else {
                        let _ = connection.execute_batch("ROLLBACK");
                    }
                    Err(error)
                }
            }
        })
    }

    fn with<T>(
        &self,
        slot: &Mutex<Slot>,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.run(&mut lock(slot), work)
    }

    fn run<T>(
        &self,
        slot: &mut Slot,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let connection = slot.connection()?;
        work(connection).map_err(|error| {
            if is_broken(&error) {
                self.folder.mark_broken();
                slot.close();
            }
            explain(&error, &self.folder)
        })
    }

    /// Closes the connections; they are opened again when needed.
    pub fn close(&self) {
        lock(&self.connections.writer).close();
        lock(&self.connections.reader).close();
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

/// The error for people: what, where, and what to do.
fn explain(error: &rusqlite::Error, folder: &Folder) -> Error {
    let place = folder.path().display();
    let (status, remedy) = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => (
            Status::StoreFull,
            "the disk is full: free some space, or choose another cache_dir",
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
            "the database is broken: it is set aside when the index is opened again",
        ),
        _ => (Status::Store, "try again, or choose another cache_dir"),
    };
    Error::new(status, format!("store in {place}: {error}; {remedy}"))
}
