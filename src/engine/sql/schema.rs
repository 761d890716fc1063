//! Creates databases and connects to them.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::lock_wait::BUSY;
use crate::platform::files;
use crate::platform::local_path::for_sqlite;

/// The format of databases created from this `schema.sql`, stored as `user_version`.
pub const SCHEMA_VERSION: i64 = 6;

/// Returns SQLite's journal mode for a store. `wal`: whether the file system supports shared memory, which WAL mode
/// requires.
pub fn journal(wal: bool) -> &'static str {
    if wal { "WAL" } else { "TRUNCATE" }
}

/// Opens a connection to an existing database.
pub fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // Use NO_MUTEX, because plexindex guards each connection with its own mutex. Use NOFOLLOW, because the folder may
    // belong to another user.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(for_sqlite(path), flags)?;
    connection.busy_timeout(BUSY)?;
    // Query plans must not depend on bound values; otherwise, SQLite would plan some statements again for each run.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Tests keep all statements cached until their plans are checked.
    connection.set_prepared_statement_cache_capacity(if cfg!(test) { 10_000 } else { 64 });
    Ok(connection)
}

/// Returns the SQLite error with this code, for a failure that callers must handle as if SQLite had reported it.
pub fn failure(code: std::ffi::c_int) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
}

/// Logs a warning about a file system without shared memory, such as a network file system. Called only when a store is
/// created there or moved there.
pub fn warn_of_network() {
    log::warn!(
        "this file system does not share memory between processes; the store works without a WAL, which is slower"
    );
}

/// Creates a complete database in an empty file that no other process knows, and closes the database. `wal`: whether to
/// use a WAL. Does not sync the file: the caller syncs it once, whereas SQLite would sync it a dozen times.
pub fn create_database(path: &Path, wal: bool) -> rusqlite::Result<()> {
    let to_sqlite_error = |_| failure(rusqlite::ffi::SQLITE_IOERR);
    let store_id = i64::from_le_bytes(files::random_bytes().map_err(to_sqlite_error)?);
    let secret: [u8; 32] = files::random_bytes().map_err(to_sqlite_error)?;
    // Change sequences and library ids start at a random multiple of 2^36, so that data from a database that was
    // renamed to `.broken` matches nothing in the new database. 16 random bits keep ids below 2^53, so that they fit
    // into JSON.
    let first_sequence = i64::from(u32::from_le_bytes(files::random_bytes().map_err(to_sqlite_error)?) >> 16) + 1;
    let first_sequence = first_sequence << 36;

    let connection = connect(path)?;
    connection
        .execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; PRAGMA auto_vacuum = INCREMENTAL;")?;
    let tx = connection.unchecked_transaction()?;
    tx.execute_batch(&schema())?;
    tx.execute(
        "INSERT INTO meta (one, store_id, secret, sequence, trimmed) VALUES (1, ?1, ?2, ?3, ?3)",
        rusqlite::params![store_id, secret, first_sequence],
    )?;
    tx.execute(
        "INSERT INTO sqlite_sequence (name, seq) VALUES ('views', ?1), ('libraries', ?1)",
        [first_sequence],
    )?;
    tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    tx.commit()?;
    // Set the mode last, so that the WAL is empty when the database closes. On a full disk, SQLite does not report
    // that it failed to copy the WAL, and the file would get its final name without that data.
    let journal_mode = journal(wal);
    let mode: String = connection.query_row(&format!("PRAGMA journal_mode = {journal_mode}"), [], |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        warn_of_network();
    }
    connection.close().map_err(|(_, error)| error)
}

/// Returns the statements of `schema.sql` without comments, because the database stores their text, and SQLite parses
/// the text each time it opens the database.
pub fn schema() -> String {
    let without_comment = |line: &str| line.split("--").next().unwrap_or_default().trim_end().to_owned();
    include_str!("schema.sql")
        .lines()
        .map(|line| without_comment(line) + "\n")
        .collect()
}
