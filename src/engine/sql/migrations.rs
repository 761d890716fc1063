//! Migrates databases of older formats to the current format.

use rusqlite::Connection;

use super::cached::CachedStatements;
use super::schema::{SCHEMA_VERSION, failure};
use super::tx::RollbackGuard;

/// The oldest format that plexindex can migrate.
const OLDEST_VERSION: i64 = 3;
/// The statements that migrate a database to the next format; the first ones, from [`OLDEST_VERSION`]. They may drop data
/// that plexindex can fetch again, but never confirmed matches, tables, the feed or the outbox.
///
/// Processes of the older format may have the database open. Since format 4, each transaction checks the format. Processes
/// of format 3 start every write, and every read of new data, with the table `store`, which they no longer find.
const MIGRATIONS: [&str; 3] = [
    "
    ALTER TABLE store RENAME TO meta;
    ALTER TABLE identities RENAME TO views;
    ALTER TABLE endpoints RENAME COLUMN identity TO view_id;
    ALTER TABLE libraries RENAME COLUMN identity TO view_id;
    ALTER TABLE changes RENAME COLUMN identity TO view_id;
    ALTER TABLE path_searches RENAME COLUMN identity TO view_id;
    ALTER TABLE shared RENAME COLUMN identity TO view_id;
    ALTER TABLE outbox RENAME COLUMN identity TO view_id;
    ",
    "
    CREATE TABLE new_timelines (begun INTEGER PRIMARY KEY, id INTEGER NOT NULL UNIQUE, here TEXT) STRICT;
    INSERT OR REPLACE INTO new_timelines (begun, id, here) SELECT begun, id, here FROM timelines;
    DROP TABLE timelines;
    ALTER TABLE new_timelines RENAME TO timelines;
    CREATE INDEX timelines_here ON timelines (begun) WHERE here IS NOT NULL;
    ALTER TABLE libraries ADD COLUMN merged_seq INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE libraries ADD COLUMN newest_update INTEGER;
    ALTER TABLE libraries ADD COLUMN left_out INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE libraries ADD COLUMN unexplained_seq INTEGER NOT NULL DEFAULT 0;
    ",
    "
    CREATE TABLE shows (library INTEGER NOT NULL REFERENCES libraries (id), guid TEXT NOT NULL, show TEXT NOT NULL,
        PRIMARY KEY (library, guid, show)) STRICT, WITHOUT ROWID;
    DELETE FROM outbox WHERE kind > 7; -- searches and hints, which hosts no longer share
    ",
];
const _: () = assert!(
    OLDEST_VERSION.abs_diff(SCHEMA_VERSION) == MIGRATIONS.len() as u64,
    "each format needs a migration from the format before"
);

/// Migrates a database to the current format in one transaction. Does nothing if the database has the current format.
///
/// # Errors
/// `SQLITE_NOTADB` if the file is not a store's database, an error that names both formats if the database's is newer,
/// and SQLite's errors.
pub fn migrate(connection: &Connection) -> rusqlite::Result<()> {
    if migrations_from(version_of(connection)?)?.is_empty() {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let _rollback_guard = RollbackGuard(connection);
    // Another process may have migrated the database while this one waited for the lock.
    let version = version_of(connection)?;
    for statements in migrations_from(version)? {
        connection.execute_batch(statements)?;
    }
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    connection.execute_batch("COMMIT")?;
    log::info!("migrated the store from format {version} to format {SCHEMA_VERSION}");
    Ok(())
}

/// Fails if the database no longer has the current format, because a newer version of plexindex has migrated it since
/// this connection opened it.
pub fn check_version(connection: &Connection) -> rusqlite::Result<()> {
    match connection.value("PRAGMA user_version", [])? {
        SCHEMA_VERSION => Ok(()),
        other => Err(version_error(other)),
    }
}

/// Returns the migrations from a format to the current one.
fn migrations_from(version: i64) -> rusqlite::Result<&'static [&'static str]> {
    match usize::try_from(version - OLDEST_VERSION) {
        Ok(first) => MIGRATIONS.get(first..).ok_or_else(|| version_error(version)),
        // An unfinished database never has the database's name, and no release has used an older format.
        Err(_) => Err(failure(rusqlite::ffi::SQLITE_NOTADB)),
    }
}

fn version_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Returns the error for a database whose format this version of plexindex does not use.
fn version_error(version: i64) -> rusqlite::Error {
    let text = format!(
        "the store has format {version}, and plexindex {} uses format {SCHEMA_VERSION}",
        env!("CARGO_PKG_VERSION")
    );
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_SCHEMA), Some(text))
}
