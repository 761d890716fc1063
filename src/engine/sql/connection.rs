//! One connection to `SQLite`: opened when needed, closed at any time.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, FileControl};

use super::explain::{explain, is_broken};
use super::folder::StoreFolder;
use super::last_write::{LastWrite, LibraryState};
use super::lock_wait::BUSY;
use super::schema::{MADE, connect, failure, journal, warn_of_network};
use crate::error::{Error, Result, Status};
use crate::model::Sequence;
use crate::platform::deadline::Deadline;
use crate::platform::exclusive_open::ExclusiveOpen;
use crate::platform::files::Inode;
use crate::platform::lock::{FileLockGuard, OpenLock};
use crate::platform::log_sync;
use crate::platform::mutex::lock;

/// Longest wait for other processes to close a database that has a write-ahead log.
const EXCLUSIVE_TIMEOUT: Duration = if cfg!(test) { Duration::from_millis(200) } else { BUSY };

/// Interval between attempts to save a log that lost its name. It is longer than the interval at which others try the
/// lock.
const RETRY_INTERVAL: Duration = Duration::from_millis(30);

/// Length of the log, in pages, at which a checkpoint copies it into the database: some 5 MB. A checkpoint waits for
/// the disk as long as a thousand single records of matches take.
pub const CHECKPOINT: u32 = 1_200;
/// Length of the log, in bytes, at which opening the writer makes a checkpoint.
const LONG_LOG: u64 = CHECKPOINT as u64 * (4_096 + 24);
/// [`CHECKPOINT`] while a library is listed: some 15 MB. Pages that change several times are then written once, and a
/// checkpoint waits for the disk a third as often.
pub const CHECKPOINT_OF_LISTING: u32 = 3_600;

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionRole {
    Reader,
    Writer,
}

/// The files of one database that this process has open, in all its connections.
///
/// `SQLite` opens `-wal` and `-shm` by name once, and keeps using these files even if they are renamed or removed. No
/// later process sees its writes there. So the names are compared with the opened files. They are not opened for that,
/// because closing `-shm` would free the locks that this process has on it.
#[derive(Debug, Default)]
pub struct WalIdentity {
    seen: Mutex<OpenWal>,
    /// Number of connections closed after their log had lost its name. Data that they had read may not be in the
    /// database.
    losses: AtomicU64,
}

#[derive(Debug, Default)]
struct OpenWal {
    /// Number of open connections.
    open: u32,
    /// The identities of `-wal` and `-shm` when the first of these connections was opened; `None` without a write-ahead
    /// log.
    files: Option<[Option<Inode>; 2]>,
    /// The second lock of a write, open as long as the connections are. `SQLite`'s own lock is in `-shm`, and does not
    /// exclude a process that has another `-shm` open.
    lock: Option<Arc<OpenLock>>,
}

impl WalIdentity {
    fn now(folder: &StoreFolder) -> [Option<Inode>; 2] {
        folder.log().map(Inode::of)
    }

    /// Returns whether an open log was removed, renamed or replaced. The caller holds the lock of a connection, so that
    /// no fork happens meanwhile.
    pub fn is_lost(&self, folder: &StoreFolder) -> bool {
        let seen = lock(&self.seen);
        seen.open > 0
            && seen
                .files
                .is_some_and(|files| files.contains(&None) || files != Self::now(folder))
    }

    /// Returns whether a checkpoint of the open log is still safe, because no process has a newer log.
    fn may_be_saved(&self, folder: &StoreFolder) -> bool {
        let Some([_, shm]) = lock(&self.seen).files else {
            return false;
        };
        // A process that opens the database creates a log. If that log is empty and has our index, the process has
        // written nothing.
        match folder.log()[0].symlink_metadata() {
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
            Ok(facts) => facts.len() == 0 && shm.is_some() && Self::now(folder)[1] == shm,
        }
    }

    /// Number of connections closed after their log had lost its name.
    #[inline]
    pub fn losses(&self) -> u64 {
        self.losses.load(Ordering::Acquire)
    }

    /// Locks out other writers until the result is dropped, and processes that open the database while a log may have
    /// lost its name. `Err` if another process holds the lock for longer than `patience`. `None` if locks do not work,
    /// or without a log.
    pub fn alone(&self, patience: Duration) -> std::result::Result<Option<FileLockGuard>, ()> {
        let open = lock(&self.seen).lock.clone();
        match open.map(|open| open.take(Deadline::after(patience))) {
            None | Some(Err(_)) => Ok(None),
            Some(Ok(taken)) => taken.map(Some).ok_or(()),
        }
    }

    /// Returns whether a connection opened now may get another log than a write under way in another process uses.
    fn may_differ(&self, folder: &StoreFolder) -> bool {
        folder.shares_memory()
            && lock(&self.seen).open == 0
            && (self.losses() > 0 || Inode::of(folder.log()[1]).is_none())
    }

    /// Counts a connection that was opened while the names led to `before`. Returns `false` if they changed meanwhile,
    /// as the connection may have opened other files.
    fn opened(&self, folder: &StoreFolder, has_log: bool, before: [Option<Inode>; 2]) -> bool {
        let mut seen = lock(&self.seen);
        if seen.open == 0 {
            if has_log && Self::now(folder) != before {
                return false;
            }
            seen.files = has_log.then_some(before);
            seen.lock = if has_log {
                OpenLock::open(&folder.store_lock()).ok().map(Arc::new)
            } else {
                None
            };
        }
        seen.open += 1;
        true
    }

    fn closed(&self) {
        let mut seen = lock(&self.seen);
        seen.open -= 1;
        if seen.open == 0 {
            seen.lock = None;
        }
    }
}

/// A connection that is opened when first needed, and again when the database file was replaced.
pub struct LazyConnection {
    folder: StoreFolder,
    journal: Arc<WalIdentity>,
    role: ConnectionRole,
    open: Option<OpenConnection>,
    /// The file of the last attempt to open it.
    file: Option<Inode>,
}

/// An open connection.
pub struct OpenConnection {
    connection: Connection,
    /// The last write through this connection.
    last_write: Cell<Option<LastWrite>>,
    /// Id of the store.
    id: u64,
    /// Whether it writes to a write-ahead log.
    has_log: bool,
    /// Released after the connection.
    _sole: ExclusiveOpen,
}

impl Deref for OpenConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl OpenConnection {
    /// Takes the last write; `None` if another connection has written since. Call it within a transaction.
    pub fn take_last_write(&self) -> rusqlite::Result<Option<LastWrite>> {
        let Some(last) = self.last_write.take() else {
            return Ok(None);
        };
        let now = self.data_version()?;
        Ok(Some(last).filter(|last| last.data_version == now))
    }

    /// Stores a committed write for [`Self::take_last_write`].
    pub fn note_write(&self, sequence: Sequence, library: Option<LibraryState>) {
        let write = self.data_version().map(|data_version| LastWrite {
            data_version,
            sequence,
            library,
        });
        self.last_write.set(write.ok());
    }

    /// Forces what was committed to the disk. Without a write-ahead log each commit is: see [`open`].
    pub fn sync_log(&self) -> rusqlite::Result<()> {
        if self.has_log {
            log_sync::sync_log(&self.connection)
        } else {
            Ok(())
        }
    }

    fn data_version(&self) -> rusqlite::Result<u32> {
        let mut version = 0;
        self.connection
            .file_control(None::<&str>, FileControl::DataVersion(&mut version))?;
        Ok(version)
    }
}

impl Drop for LazyConnection {
    fn drop(&mut self) {
        self.close();
    }
}

/// Prepares the close of a connection whose log lost its name. A usual close could copy the old log into a newer
/// database, and remove its log.
fn abandon(connection: &Connection, folder: &StoreFolder, journal: &WalIdentity) {
    let give_up = Instant::now() + BUSY;
    let _ = connection.busy_timeout(Duration::ZERO);
    loop {
        // Release the lock between attempts: saving fails during a write, and a process that began a write waits for
        // it.
        let alone = journal.alone(BUSY);
        if !journal.may_be_saved(folder) {
            break;
        }
        let saved = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        if matches!(saved, Ok(0)) {
            break;
        }
        if Instant::now() >= give_up {
            log::warn!(
                "the write-ahead log of the database in {} was removed while it was open, and what it held could not be \
                 saved ({saved:?}): the last matches may be missing",
                folder.path().display()
            );
            break;
        }
        drop(alone);
        std::thread::sleep(RETRY_INTERVAL);
    }
    if let Err(error) = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
        log::debug!("cannot disable the checkpoint at close: {error}");
    }
}

impl LazyConnection {
    pub fn new(folder: &StoreFolder, journal: &Arc<WalIdentity>, role: ConnectionRole) -> Self {
        Self {
            folder: folder.clone(),
            journal: Arc::clone(journal),
            role,
            open: None,
            file: None,
        }
    }

    /// Closes the connection, if it is open.
    pub fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        #[cfg(test)]
        super::statements::record(&open.connection);
        if self.journal.is_lost(&self.folder) {
            self.journal.losses.fetch_add(1, Ordering::AcqRel);
            abandon(&open.connection, &self.folder, &self.journal);
        }
        drop(open);
        self.journal.closed();
    }

    fn has_long_log(&self) -> bool {
        let log = self.folder.log()[0].symlink_metadata();
        log.is_ok_and(|log| log.len() >= LONG_LOG)
    }

    /// Copies the log into the database and empties it, unless a process reads or writes.
    pub fn checkpoint(&self) {
        let Ok(_alone) = self.journal.alone(Duration::ZERO) else {
            return;
        };
        if self.journal.is_lost(&self.folder) {
            return;
        }
        if let Some(OpenConnection { connection, .. }) = &self.open {
            let done = connection
                .busy_timeout(Duration::ZERO)
                .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
            if let Err(error) = done {
                log::debug!("the write-ahead log will be truncated later: {error}");
            }
            let _ = connection.busy_timeout(BUSY);
        }
    }

    /// Makes the last connection of all processes empty the log when it closes, so that the log stays small. `-wal` and
    /// `-shm` are not removed.
    pub fn checkpoint_when_closed(&self) {
        if let Some(OpenConnection { connection, .. }) = &self.open {
            let done = connection
                .file_control(None::<&str>, FileControl::PersistWal(&mut 1))
                .and_then(|()| connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false));
            if let Err(error) = done {
                log::debug!("the write-ahead log will be truncated later: {error}");
            }
        }
    }

    /// Returns the connection, opened if necessary, and the id of the store.
    pub fn connection(&mut self) -> Result<(&OpenConnection, u64)> {
        self.open_within(BUSY)?;
        self.open
            .as_ref()
            .map(|open| (open, open.id))
            .ok_or_else(|| Error::new(Status::Store, "the store is closed"))
    }

    /// Opens the connection if it is closed, and waits for other processes for at most `patience`.
    pub fn open_within(&mut self, patience: Duration) -> Result<()> {
        if self.open.is_none() {
            self.open = Some(self.open_now(patience)?);
            // Processes that end without closing never empty the log, and each new process reads all of it.
            if self.writes() && !patience.is_zero() && self.has_long_log() {
                self.checkpoint();
            }
        }
        Ok(())
    }

    /// The id of the open store.
    pub fn id(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.id)
    }

    /// Returns whether this is the connection for writes.
    pub fn writes(&self) -> bool {
        self.role == ConnectionRole::Writer
    }

    /// The file of the last attempt to open it.
    pub fn file(&self) -> Option<Inode> {
        self.file
    }

    /// Returns whether the open database or its log was removed, renamed or replaced. A closed connection must then
    /// stay closed, because the connections of a process share files.
    pub fn is_moved(&self) -> bool {
        self.open.is_some() && self.file != Inode::of(self.folder.database()) || self.journal.is_lost(&self.folder)
    }

    /// Opens the database by name, with its companions. Opens it again if it was replaced meanwhile, because it may
    /// have got the companions of its successor.
    fn open_now(&mut self, patience: Duration) -> Result<OpenConnection> {
        for _ in 0..8 {
            self.file = self.folder.find_database()?;
            let Some(file) = self.file else {
                self.folder.make_database()?;
                continue;
            };
            let Some(sole) = ExclusiveOpen::take(self.folder.database(), file) else {
                return Err(Error::new(
                    Status::Store,
                    format!(
                        "{} is open in this process already, through another copy of this library or of SQLite, and two \
                         copies in one process lose each other's writes: use one copy, close what else has the file open, \
                         or choose another cache_dir",
                        self.folder.database().display()
                    ),
                ));
            };
            // A write under way may use another log. Wait for its commit; a later write notices our log.
            let _alone = if self.journal.may_differ(&self.folder) {
                if patience.is_zero() {
                    return Err(explain(&failure(rusqlite::ffi::SQLITE_BUSY), &self.folder));
                }
                self.folder.exclusive()?
            } else {
                None
            };
            let before = WalIdentity::now(&self.folder);
            let opened = open(&self.folder, sole, patience);
            if self.file != Inode::of(self.folder.database()) {
                continue;
            }
            match opened {
                Ok(open) if self.journal.opened(&self.folder, open.has_log, before) => return Ok(open),
                Ok(_) => {} // the log was created just now, or replaced
                // The log may be that of another database, so the error says nothing about this one.
                Err(error) if is_broken(&error) && WalIdentity::now(&self.folder) != before => {}
                Err(error) => {
                    if is_broken(&error) {
                        self.folder.mark_broken(self.file);
                    }
                    return Err(explain(&error, &self.folder));
                }
            }
        }
        Err(Error::new(
            Status::Store,
            format!(
                "{} keeps being replaced: find the program that does it",
                self.folder.database().display()
            ),
        ))
    }
}

/// Opens the database by name, and sets it up. Fails with `SQLITE_NOTADB` if it is no store.
fn open(folder: &StoreFolder, sole: ExclusiveOpen, patience: Duration) -> rusqlite::Result<OpenConnection> {
    let connection = connect(folder.database())?;
    // The last connection to close keeps `-wal` and `-shm`, also if opening fails. Nothing can be read without them, and a
    // full disk has no space for new ones.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(patience)?;
    if !folder.shares_memory() {
        turn_wal_off(&connection)?;
    }
    // NORMAL suffices with WAL: a kill loses no commit, and a power cut may lose the last commits, but damages nothing.
    // Without WAL a power cut could undo half of a commit, and leave an index that disagrees with its table. FULL
    // prevents that.
    let synchronous = if folder.shares_memory() { "NORMAL" } else { "FULL" };
    connection.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous}; PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY; \
         PRAGMA journal_size_limit = 16777216; PRAGMA wal_autocheckpoint = {CHECKPOINT};",
    ))?;
    let made: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if made < MADE {
        // A store's database is complete when it gets its name. So this file is empty, foreign, or lacks columns.
        return Err(failure(rusqlite::ffi::SQLITE_NOTADB));
    }
    let journal_mode = set_journal_mode(&connection, folder)?;
    let id = connection.query_row("SELECT store_id FROM store", [], |row| row.get::<_, i64>(0))?;
    connection.busy_timeout(BUSY)?;
    Ok(OpenConnection {
        connection,
        last_write: Cell::default(),
        id: id.cast_unsigned(),
        has_log: journal_mode.eq_ignore_ascii_case("wal"),
        _sole: sole,
    })
}

/// Sets the journal mode that this file system supports, as the folder may have been moved to another disk. Returns the
/// mode in effect.
fn set_journal_mode(connection: &Connection, folder: &StoreFolder) -> rusqlite::Result<String> {
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    let wanted = journal(folder.shares_memory());
    if mode.eq_ignore_ascii_case(wanted) {
        return Ok(mode);
    }
    let changed: rusqlite::Result<String> =
        connection.query_row(&format!("PRAGMA journal_mode = {wanted}"), [], |row| row.get(0));
    // It cannot change while other processes have the database open; a later open changes it.
    log::debug!("journal mode {mode}, wanted {wanted}: {changed:?}");
    Ok(changed.unwrap_or(mode))
}

/// Turns the write-ahead log off on a file system without shared memory. Runs first, in exclusive mode with a private
/// WAL index. No other process may have the database open: processes that only seem to share an index lose each other's
/// commits.
fn turn_wal_off(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
    connection.busy_timeout(EXCLUSIVE_TIMEOUT)?;
    let is_off = connection
        .query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0))
        .and_then(|mode| {
            if mode.eq_ignore_ascii_case("wal") {
                let mode = connection.query_row("PRAGMA journal_mode = TRUNCATE", [], |row| row.get(0));
                mode.inspect(|_| warn_of_network())
            } else {
                Ok(mode)
            }
        });
    let is_off = match is_off {
        Err(error) if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) => return Err(error),
        Ok(mode) => !mode.eq_ignore_ascii_case("wal"),
        Err(_) => false,
    };
    if !is_off {
        let text = "this file system does not share memory between processes, so the store must give its write-ahead log \
                    up, and others have it open: end the other processes that use it, also on other machines";
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        return Err(rusqlite::Error::SqliteFailure(busy, Some(text.to_owned())));
    }
    connection.busy_timeout(BUSY)?;
    connection.execute_batch("PRAGMA locking_mode = NORMAL")
}
