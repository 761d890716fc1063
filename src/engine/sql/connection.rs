//! The two SQLite connections of a store, which open on first use and can be closed at any time. Creates and finds the
//! database, and renames a damaged database to `.broken`.

use std::cell::Cell;
use std::io;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::ffi::{SQLITE_FCNTL_DATA_VERSION, SQLITE_FCNTL_PERSIST_WAL};
use rusqlite::{Connection, ErrorCode};

use super::migrations::{migrate, renew_forms};
use super::schema::{self, BUSY, LastWrite, WriteState, connect, connect_immutable, journal, warn_of_network};
use super::store_folder::{LOCK_TIMEOUT, NAME, StoreFolder, explain, is_broken};
use crate::engine::version_page::VersionPage;
use crate::error::{Error, Result, Status};
use crate::model::Sequence;
use crate::platform::clock::Deadline;
use crate::platform::files::{self, ExclusiveOpen, Inode};
use crate::platform::fork::{self, ForkAware, ForkLock};
use crate::platform::lock::FileLock;
use crate::platform::sqlite;

/// Maximum wait for other processes to close the database, so that plexindex can turn off the write-ahead log.
const EXCLUSIVE_TIMEOUT: Duration = if cfg!(test) { Duration::from_millis(200) } else { BUSY };

/// WAL length, in pages, that triggers a checkpoint, as in SQLite by default: about 4 MB. With more, a write that begins
/// a checkpoint takes longer than 20 ms if the pages are far apart.
const CHECKPOINT: u32 = 1_000;
/// Size of a WAL frame in bytes: a page and its header.
const WAL_FRAME_BYTES: u64 = 4_096 + 24;
/// WAL length, in bytes, at which opening the writer's connection runs a checkpoint.
const LONG_LOG: u64 = CHECKPOINT as u64 * WAL_FRAME_BYTES;

/// Maximum number of attempts to open a database that another program keeps replacing.
const MAX_OPEN_ATTEMPTS: u32 = 8;

/// The two connections of a store. With its own connection, a reader never waits for a writer in the same process.
pub struct Connections {
    pub reader: Mutex<LazyConnection>,
    pub writer: Mutex<LazyConnection>,
}

impl Connections {
    /// Creates both connections in the closed state, and registers them, so that plexindex closes them before a fork.
    pub fn new(folder: &StoreFolder) -> Arc<Self> {
        let slot = |is_writer| Mutex::new(LazyConnection::new(folder, is_writer));
        let connections = Arc::new(Self {
            reader: slot(false),
            writer: slot(true),
        });
        fork::register_component(&connections);
        connections
    }
}

impl ForkAware for Connections {
    /// Closes both connections, so that the child process does not share them. Returns the locks that keep the
    /// connections closed during the fork.
    fn before(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        let close = |slot: fn(&Self) -> &Mutex<LazyConnection>| {
            let mut locks = fork::lock_for_fork(&self, slot);
            locks.get().close();
            Box::new(locks) as Box<dyn ForkLock>
        };
        vec![
            close(|connections| &connections.writer),
            close(|connections| &connections.reader),
        ]
    }
}

/// A connection that opens on first use, and opens again after the database file was replaced.
pub struct LazyConnection {
    folder: StoreFolder,
    /// Whether this is the writer's connection, not the reader's.
    pub is_writer: bool,
    open: Option<OpenConnection>,
    /// Inode of the database file at the last attempt to open the connection.
    file: Option<Inode>,
    /// Whether this file turned out to be damaged, so that the caller renames the file to `.broken`.
    is_broken: Cell<bool>,
}

pub struct OpenConnection {
    connection: Connection,
    last_write: Cell<Option<LastWrite>>,
    id: u64,
    has_wal: bool,
    /// This must be the last field, so that it is dropped after the connection.
    _exclusive: ExclusiveOpen,
}

impl Deref for OpenConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl OpenConnection {
    /// Takes the last write's data, so that the next write need not read the data again; `None` if there is none, or if
    /// another connection has written since. The caller must hold the write lock, so that no commit follows.
    pub fn take_last_write(&self) -> rusqlite::Result<Option<LastWrite>> {
        let Some(last) = self.last_write.take() else {
            return Ok(None);
        };
        let data_version = self.data_version()?;
        Ok(Some(last).filter(|last| last.data_version == data_version))
    }

    /// Stores what a committed write knows, so that the next write need not read it again.
    pub fn note_write(&self, sequence: Sequence, known: WriteState) {
        let write = self.data_version().map(|data_version| LastWrite {
            data_version,
            sequence,
            known,
        });
        self.last_write.set(write.ok());
    }

    /// Forces all commits to disk. Does nothing without a WAL, because SQLite then syncs each commit itself.
    pub fn sync_log(&self) -> rusqlite::Result<()> {
        if self.has_wal {
            sqlite::sync_wal(&self.connection)
        } else {
            Ok(())
        }
    }

    /// Returns SQLite's data version, which changes with each commit of any connection.
    fn data_version(&self) -> rusqlite::Result<i32> {
        let mut version = 0;
        sqlite::file_control(&self.connection, SQLITE_FCNTL_DATA_VERSION, &mut version)?;
        Ok(version)
    }
}

impl Drop for LazyConnection {
    /// Closes the connection, and records its statements in tests.
    fn drop(&mut self) {
        self.close();
    }
}

impl LazyConnection {
    /// Creates a connection that is still closed.
    pub fn new(folder: &StoreFolder, is_writer: bool) -> Self {
        Self {
            folder: folder.clone(),
            is_writer,
            open: None,
            file: None,
            is_broken: Cell::new(false),
        }
    }

    /// Closes the connection. In tests, first records its prepared statements, so that a test can check their plans.
    pub fn close(&mut self) {
        #[cfg(test)]
        if let Some(open) = &self.open {
            super::for_tests::record_statements(&open.connection);
        }
        self.open = None;
        self.is_broken.set(false);
    }

    /// Marks the database file as damaged, until the connection closes.
    pub fn mark_broken(&self) {
        self.is_broken.set(true);
    }

    /// Returns the damaged database file; `None` if the file is not known to be damaged.
    pub fn broken_file(&self) -> Option<Inode> {
        self.file.filter(|_| self.is_broken.get())
    }

    /// Returns whether the WAL is long enough for a checkpoint.
    fn has_long_log(&self) -> bool {
        let wal = self.folder.wal_and_shm()[0].symlink_metadata();
        wal.is_ok_and(|wal| wal.len() >= LONG_LOG)
    }

    /// Returns the connection if it is open; `None` if its database was replaced, because the WAL may belong to the new
    /// one.
    fn current(&self) -> Option<&Connection> {
        let open = self.open.as_ref().filter(|_| !self.is_moved())?;
        Some(&open.connection)
    }

    /// Copies the WAL into the database and truncates the WAL, unless another connection is using it, so that new
    /// processes need not read a long WAL. Never waits for other processes.
    pub fn checkpoint(&self) {
        if let Some(connection) = self.current() {
            let result = connection
                .busy_timeout(Duration::ZERO)
                .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
            if let Err(error) = result {
                log::debug!("cannot truncate the write-ahead log: {error}; a later checkpoint will retry");
            }
            let _ = connection.busy_timeout(BUSY);
        }
    }

    /// Makes SQLite truncate the WAL, but keep the files, when the last process closes its last connection. Until this
    /// call, a connection keeps the whole WAL when it closes.
    pub fn checkpoint_when_closed(&self) {
        if let Some(connection) = self.current() {
            let result = sqlite::file_control(connection, SQLITE_FCNTL_PERSIST_WAL, &mut 1)
                .and_then(|()| connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false));
            if let Err(error) = result {
                log::debug!("cannot truncate the write-ahead log: {error}; a later checkpoint will retry");
            }
        }
    }

    /// Returns the connection and the store's id. Opens the connection if it is closed.
    pub fn connection(&mut self) -> Result<(&OpenConnection, u64)> {
        self.open_within(BUSY)?;
        self.open
            .as_ref()
            .map(|open| (open, open.id))
            .ok_or_else(|| Error::new(Status::Store, "the store is closed"))
    }

    /// Opens the connection if it is closed. Waits at most `patience` for other processes.
    pub fn open_within(&mut self, patience: Duration) -> Result<()> {
        if self.open.is_none() {
            self.open = Some(self.open_now(patience)?);
            // A process that exits without closing the store can leave a long WAL, which each new process would read. A
            // call without patience skips the checkpoint, which waits for the disk.
            if self.is_writer && !patience.is_zero() && self.has_long_log() {
                self.checkpoint();
            }
        }
        Ok(())
    }

    /// Returns the store's id; `None` if the connection is closed.
    pub fn id(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.id)
    }

    /// Returns the database file's inode at the last attempt to open the connection; `None` before the first attempt,
    /// or if there was no file.
    pub fn file(&self) -> Option<Inode> {
        self.file
    }

    /// Returns whether the caller must reopen the connection, because its database is damaged, or was removed or
    /// replaced.
    pub fn is_stale(&self) -> bool {
        self.broken_file().is_some() || self.is_moved()
    }

    /// Returns whether the open database file was removed, renamed or replaced; `false` if the connection is closed.
    pub fn is_moved(&self) -> bool {
        self.open.is_some() && self.file != self.folder.database_file()
    }

    /// Opens the database by name, or creates it if it is missing. If another program replaces the file during the
    /// attempt, tries again, because SQLite may have combined the old database with the WAL of the new one. Each
    /// attempt waits at most `patience` for other processes.
    fn open_now(&mut self, patience: Duration) -> Result<OpenConnection> {
        for _ in 0..MAX_OPEN_ATTEMPTS {
            let Some(file) = self.folder.find_database()? else {
                self.file = None;
                self.folder.make_database()?;
                continue;
            };
            self.file = Some(file);
            if self.folder.is_read_only {
                self.folder.expect_no_log()?;
                self.file = self.folder.database_file();
                if self.file.is_none() {
                    continue; // it has gone, or its log has content now
                }
            }
            // A second copy of SQLite in this process would release this copy's POSIX locks.
            let Some(exclusive) = ExclusiveOpen::register(self.folder.database(), file) else {
                return Err(Error::new(
                    Status::Store,
                    format!(
                        "cannot open {}: another copy of plexindex or SQLite in this process has the file open, and \
                         two copies would lose each other's writes; use only one copy, close the file in the other \
                         copy, or choose another cache_dir",
                        self.folder.database().display()
                    ),
                ));
            };
            let result = open(&self.folder, exclusive, patience);
            // SQLite opened the file by name, so check whether the name still belongs to the same file.
            if self.file != self.folder.database_file() {
                continue;
            }
            return result.map_err(|error| {
                if is_broken(&error) {
                    self.mark_broken(); // the caller renames the database to `.broken` and retries
                }
                explain(&error, &self.folder)
            });
        }
        Err(Error::new(
            Status::Store,
            format!(
                "cannot open {}: another program keeps replacing the file; find and stop this program",
                self.folder.database().display()
            ),
        ))
    }
}

/// Opens the database by name, migrates it to the current format and configures the connection. Fails with
/// `SQLITE_NOTADB` if the database is not a store.
/// `exclusive` proves that no other copy of SQLite in this process has the file open. Waits at most `patience` for
/// other processes; later statements wait up to [`BUSY`].
fn open(folder: &StoreFolder, exclusive: ExclusiveOpen, patience: Duration) -> rusqlite::Result<OpenConnection> {
    let connect = if folder.is_read_only {
        connect_immutable
    } else {
        connect
    };
    let connection = connect(folder.database())?;
    // Keep `-wal` and `-shm` when the last connection closes, even if opening fails: reading needs these files, and a
    // full disk has no space for new ones.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(patience)?;
    if !folder.shares_memory && !folder.is_read_only {
        turn_wal_off(&connection)?;
    }
    // With a WAL, NORMAL is enough: a kill loses no commit, and a power cut loses at most the last commits. Without a
    // WAL, a power cut under NORMAL could undo half of a commit, so that an index and its table disagree. Foreign keys
    // must be off, because a removed library's row refers to no row in `views`. After a checkpoint, SQLite cuts a
    // WAL that is longer than 16 MiB.
    let synchronous = if folder.shares_memory { "NORMAL" } else { "FULL" };
    connection.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous}; PRAGMA foreign_keys = OFF; PRAGMA journal_size_limit = 16777216; \
         PRAGMA wal_autocheckpoint = {CHECKPOINT};",
    ))?;
    migrate(&connection, patience)?; // may sort a million rows in a temporary file
    renew_forms(&connection)?;
    connection.execute_batch("PRAGMA temp_store = MEMORY")?;
    let journal_mode = set_journal_mode(&connection, folder)?;
    let id = connection.query_row("SELECT store_id FROM meta", [], |row| row.get::<_, i64>(0))?;
    connection.busy_timeout(BUSY)?;
    Ok(OpenConnection {
        connection,
        last_write: Cell::default(),
        id: id.cast_unsigned(),
        has_wal: journal_mode.eq_ignore_ascii_case("wal"),
        _exclusive: exclusive,
    })
}

/// Sets the journal mode that the file system requires, because the folder may have been moved to a different disk.
/// Returns the mode in effect.
fn set_journal_mode(connection: &Connection, folder: &StoreFolder) -> rusqlite::Result<String> {
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    let required = journal(folder.shares_memory);
    if mode.eq_ignore_ascii_case(required) || folder.is_read_only {
        return Ok(mode);
    }
    let new_mode: rusqlite::Result<String> =
        connection.query_row(&format!("PRAGMA journal_mode = {required}"), [], |row| row.get(0));
    // The mode cannot change while other processes have the database open. A later process changes the mode.
    log::debug!("changing the journal mode from {mode} to {required}: {new_mode:?}");
    Ok(new_mode.unwrap_or(mode))
}

/// Turns off the WAL on a file system without shared memory. This must be the connection's first access to the
/// database, so that SQLite uses a private WAL index (exclusive locking mode). Fails while other processes have the
/// database open, because processes with separate WAL indexes lose each other's commits.
fn turn_wal_off(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
    connection.busy_timeout(EXCLUSIVE_TIMEOUT)?;
    // In this mode, the first access to a WAL database fails while another process has the database open.
    let final_mode = connection
        .query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0))
        .and_then(|mode| {
            if mode.eq_ignore_ascii_case("wal") {
                let mode = connection.query_row("PRAGMA journal_mode = TRUNCATE", [], |row| row.get(0));
                mode.inspect(|_| warn_of_network())
            } else {
                Ok(mode)
            }
        });
    let is_off = match final_mode {
        Err(error) if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) => return Err(error),
        Ok(mode) => !mode.eq_ignore_ascii_case("wal"),
        Err(_) => false, // other processes have the database open
    };
    if !is_off {
        let text = "this file system does not share memory between processes, so plexindex must turn off the \
                    write-ahead log, but another process, possibly on another machine, has the store open";
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        return Err(rusqlite::Error::SqliteFailure(busy, Some(text.to_owned())));
    }
    connection.busy_timeout(BUSY)?;
    // From now on, hold the lock only during transactions.
    connection.execute_batch("PRAGMA locking_mode = NORMAL")
}

/// Suffixes of the files that SQLite creates beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

impl StoreFolder {
    /// Creates the database if it does not exist.
    ///
    /// The file gets its final name only when the database is complete, so other processes never open an incomplete
    /// database. The connection that creates the database closes before the rename, because closing it later would
    /// release this process's locks on the file.
    fn make_database(&self) -> Result<()> {
        let cannot = |error: io::Error| self.cannot("create a database in", &error);
        files::create_private_dirs(self.path()).map_err(cannot)?;
        let _exclusive = self.lock_database()?;
        let database = self.database();
        if files::regular_file_inodes(self.path(), [database]).map_err(cannot)? != [None] {
            return Ok(()); // another process created the database
        }
        // The new database must not use the WAL or the version page of a removed database. `true`: if there is no page
        // file, no process has a page mapped.
        for suffix in COMPANIONS {
            ignore_missing(files::remove(&self.companion(suffix))).map_err(cannot)?;
        }
        VersionPage::remove_file(&self.page(), true).map_err(cannot)?;
        let temporary = self.path().join(format!("{NAME}.db.{}.new", std::process::id()));
        let create = || -> Result<()> {
            drop(files::create_new(&temporary).map_err(cannot)?);
            schema::create_database(&temporary, self.shares_memory).map_err(|error| explain(&error, self))?;
            self.name_database(&temporary).map_err(cannot)
        };
        let result = create();
        let _ = files::remove(&temporary);
        result
    }

    /// Renames a complete database to its final name. Creates `-wal` and `-shm` first, so that SQLite need not sync
    /// the folder when it opens the database.
    fn name_database(&self, temporary: &Path) -> io::Result<()> {
        if self.shares_memory {
            for path in self.wal_and_shm() {
                drop(files::create_new(path)?);
            }
        }
        files::sync(&files::open_existing(temporary)?, temporary)?;
        files::rename(temporary, self.database())?;
        files::sync_names(self.path())
    }

    /// Returns the inode of the database; `None` if there is no database. Fails if the database or a file beside it is
    /// not a regular file, because SQLite would follow a link.
    pub fn find_database(&self) -> Result<Option<Inode>> {
        let [wal, shm, journal] = COMPANIONS.map(|suffix| self.companion(suffix));
        let inodes = files::regular_file_inodes(self.path(), [&wal, &shm, &journal, self.database()]);
        let [.., database] = inodes.map_err(|error| self.cannot("open the database in", &error))?;
        Ok(database)
    }

    /// Renames the broken database (`broken`) and the files beside it to `.broken`, so that plexindex can create a new
    /// database. Keeps the broken files, also earlier ones, because they contain confirmed matches that no server has.
    pub fn rename_broken(&self, broken: Inode) -> Result<()> {
        let cannot = |error: io::Error| self.cannot("rename the broken database in", &error);
        let _exclusive = self.lock_database()?;
        // Another process may have already renamed the database and created a new one.
        if self.database_file() == Some(broken) {
            // Rename the database first: other processes then see that it is missing, and wait for this lock before
            // they create a new database.
            let name = self.unused_broken_name();
            for suffix in std::iter::once("").chain(COMPANIONS) {
                let broken_path = self.path().join(format!("{name}{suffix}"));
                ignore_missing(files::rename(&self.companion(suffix), &broken_path)).map_err(cannot)?;
            }
            log::warn!(
                "the database in {} is damaged and was renamed to {name}; plexindex will fetch the libraries again; \
                 `plexindex doctor` explains how to recover confirmed matches, but tables are lost",
                self.path().display()
            );
        }
        Ok(())
    }

    /// Acquires the lock for creating and renaming the database; `None` if the file system does not support locks. Only
    /// the timeout ends the wait.
    fn lock_database(&self) -> Result<Option<FileLock>> {
        match FileLock::acquire(&self.lock_path("store"), Deadline::after(LOCK_TIMEOUT), &|| false) {
            Ok(Some(lock)) => Ok(Some(lock)),
            Ok(None) => Err(self.error(
                "another process has been creating or repairing the database for too long; find and stop the hung process",
            )),
            Err(error) if FileLock::is_unsupported(&error) => Ok(None),
            Err(error) => Err(self.cannot("lock a file in", &error)),
        }
    }
}

/// Returns `Ok` if `result` is the error for a missing file; otherwise returns `result` unchanged.
fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            Ok(())
        } else {
            Err(error)
        }
    })
}
