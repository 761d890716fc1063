//! One connection to `SQLite`: opened when needed, closed at any time.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::folder::Folder;
use super::{explain, is_broken};
use crate::error::{Error, Result, Status};
use crate::platform::files;

/// How long a write waits for another process's.
const BUSY: Duration = Duration::from_secs(10);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Reader,
    Writer,
}

/// A place for a connection.
pub struct Slot {
    folder: Folder,
    role: Role,
    open: Option<Connection>,
    /// The inode that the connection has open: when somebody removed or replaced the file, it is opened again.
    file: Option<(u64, u64)>,
}

impl Slot {
    pub fn new(folder: &Folder, role: Role) -> Self {
        Self {
            folder: folder.clone(),
            role,
            open: None,
            file: None,
        }
    }

    /// Closes it, if it is open.
    pub fn close(&mut self) {
        self.open = None;
    }

    /// The connection, opened now if it is not.
    pub fn connection(&mut self) -> Result<&Connection> {
        if self.role == Role::Writer && self.open.is_some() && self.file != identity(&self.folder.database()) {
            log::warn!("the store's database was removed or replaced while it was open; it is opened again");
            self.open = None;
        }
        if self.open.is_none() {
            let connection = open(&self.folder, self.role)?;
            self.file = identity(&self.folder.database());
            self.open = Some(connection);
        }
        self.open
            .as_ref()
            .ok_or_else(|| Error::new(Status::Store, "the store is closed"))
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    path.metadata().ok().map(|facts| (facts.dev(), facts.ino()))
}

fn open(folder: &Folder, role: Role) -> Result<Connection> {
    let path = folder.database();
    // Made by us first: SQLite would give it the umask's mode, and its companions take the database's.
    files::private(&path).map_err(|error| folder.cannot("open", &error))?;
    let opened = Connection::open_with_flags(
        &path,
        // NO_MUTEX: a connection is used behind our own lock.
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .and_then(|connection| {
        prepare(&connection, folder, role)?;
        Ok(connection)
    });
    opened.map_err(|error| {
        if is_broken(&error) {
            folder.mark_broken();
        }
        explain(&error, folder)
    })
}

fn prepare(connection: &Connection, folder: &Folder, role: Role) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    // NORMAL: with WAL a kill loses nothing that was committed; a power cut may lose the last commits, never the form.
    connection.execute_batch(
        "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY; \
         PRAGMA journal_size_limit = 16777216;",
    )?;
    if role == Role::Reader && is_made(connection)? {
        return Ok(());
    }
    if !is_made(connection)? {
        make(connection, folder)?;
    }
    Ok(())
}

fn is_made(connection: &Connection) -> rusqlite::Result<bool> {
    // user_version is set last, in the transaction that makes the tables.
    connection.query_row("PRAGMA user_version", [], |row| {
        row.get::<_, i64>(0).map(|version| version > 0)
    })
}

fn make(connection: &Connection, folder: &Folder) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL;")?;
    let wanted = if folder.shares_memory() { "WAL" } else { "TRUNCATE" };
    let mode: String = connection.query_row(&format!("PRAGMA journal_mode = {wanted}"), [], |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        log::warn!(
            "this file system does not share memory between processes: the store works without WAL, more slowly"
        );
    }
    let random = |_| rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR), None);
    let store_id = i64::from_le_bytes(files::random().map_err(random)?);
    let secret: [u8; 32] = files::random().map_err(random)?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let done = (|| {
        if is_made(connection)? {
            return Ok(()); // another process was faster
        }
        connection.execute_batch(include_str!("schema.sql"))?;
        connection.execute(
            "INSERT INTO store (one, store_id, secret, sequence) VALUES (1, ?1, ?2, 1)",
            rusqlite::params![store_id, secret],
        )?;
        connection.execute_batch("PRAGMA user_version = 1")
    })();
    connection.execute_batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    done
}
