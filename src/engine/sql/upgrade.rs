//! Databases of earlier versions brought up to date.

use std::path::Path;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::explain::is_broken;
use super::places::place_of;
use super::schema::{MADE, OLDEST, connect, failure, journal, schema};
use crate::engine::segment::match_value;
use crate::model::Sequence;
use crate::platform::files;

/// To 10: who is the same user under another token. GUIDs of seasons and albums are indexed too.
const TO_10: &str = "ALTER TABLE identities ADD COLUMN same_user BLOB; \
     ALTER TABLE endpoints ADD COLUMN until_ms INTEGER NOT NULL DEFAULT 0; \
     DELETE FROM guids; UPDATE libraries SET guids_upto = 0;";

/// To 11, behind the tables of `schema.sql` that it brings: entries of hosts' tables are records of a log.
const TO_11: &str = "ALTER TABLE store ADD COLUMN segments TEXT NOT NULL DEFAULT ''; \
     ALTER TABLE store ADD COLUMN merged INTEGER NOT NULL DEFAULT 0; \
     ALTER TABLE store ADD COLUMN manifest INTEGER NOT NULL DEFAULT 0; \
     INSERT INTO records (id, in_table, name, expires_ms, value) \
     SELECT ((sequence & 0xFFFFFFFF) << 31) | (row_number() OVER (PARTITION BY sequence ORDER BY in_table, e.name) - 1), \
     in_table, e.name, expires_ms, value FROM entries e JOIN tables t ON t.id = in_table AND t.name IS NOT NULL \
     WHERE value IS NOT NULL; \
     DROP TABLE entries; DELETE FROM tables WHERE name IS NULL; UPDATE tables SET entries = 0, bytes = 0; \
     ALTER TABLE tables DROP COLUMN loose; ALTER TABLE tables DROP COLUMN image; \
     ALTER TABLE tables DROP COLUMN compacted; ALTER TABLE tables DROP COLUMN changed; \
     ALTER TABLE tables ADD COLUMN swept INTEGER NOT NULL DEFAULT 0;";

/// To 12, behind what carries confirmed matches over: they are records of the log. Its segments are made anew.
const TO_12: &str = "UPDATE store SET sequence = max(sequence, coalesce((SELECT max(sequence) FROM changes), 0), \
     (sequence & ~0xFFFFFFFF) | (coalesce((SELECT max(id) FROM records), 0) >> 31)); \
     DROP TABLE matches; DELETE FROM changes WHERE kind IN (1, 2); ALTER TABLE store DROP COLUMN folded; \
     ALTER TABLE libraries DROP COLUMN epoch; ALTER TABLE libraries DROP COLUMN epoch_seq; \
     ALTER TABLE libraries DROP COLUMN dead_matches; ALTER TABLE libraries DROP COLUMN match_count; \
     ALTER TABLE libraries DROP COLUMN match_bytes; ALTER TABLE libraries DROP COLUMN matches_image; \
     ALTER TABLE libraries DROP COLUMN matches_compacted; \
     UPDATE store SET segments = 'plexindex-3-r0-0:0', merged = sequence, manifest = sequence \
     WHERE EXISTS (SELECT 1 FROM records);";

/// Confirmed matches as they were before 12: what waited in `changes` took the place of what was in the table.
const MATCHES_OF_11: &str = "SELECT library, path, rating_key, sequence FROM (SELECT m.library, m.path, m.rating_key, m.sequence \
     FROM matches m JOIN libraries l ON l.id = m.library AND l.identity > 0 AND l.epoch = m.epoch UNION ALL \
     SELECT c.library, c.path, c.rating_key, c.sequence FROM changes c \
     JOIN libraries l ON l.id = c.library AND l.identity > 0 AND c.sequence > l.epoch_seq \
     WHERE c.id > (SELECT ((folded & 0xFFFFFFFF) << 31) | 0x7FFFFFFF FROM store) AND c.kind = 1) ORDER BY sequence";

/// Matches stand behind the records of hosts' tables that the same write made.
const BEHIND: i64 = 1 << 24;

fn carry_matches_over(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "ALTER TABLE tables ADD COLUMN library INTEGER; \
         CREATE UNIQUE INDEX tables_library ON tables (library) WHERE library IS NOT NULL; \
         INSERT INTO tables (library) SELECT id FROM libraries WHERE identity > 0;",
    )?;
    let mut add = connection.prepare(
        "INSERT INTO records (id, in_table, name, value) SELECT ?1, id, ?3, ?4 FROM tables WHERE library = ?2",
    )?;
    let mut given = connection.prepare(MATCHES_OF_11)?;
    let mut rows = given.query([])?;
    let (mut last, mut number) = (Sequence(0), 0);
    while let Some(row) = rows.next()? {
        let sequence: Sequence = row.get(3)?;
        number = if sequence == last { number + 1 } else { BEHIND };
        last = sequence;
        let value = match_value(row.get_ref(2)?.as_str()?, sequence);
        add.execute(params![
            place_of(sequence, number),
            row.get::<_, i64>(0)?,
            row.get_ref(1)?.as_blob()?,
            value
        ])?;
    }
    Ok(())
}

/// Copies a database of the format before this one, as it is in this moment, and brings the copy up to date. Gives what keeps
/// others from writing to it until its files are gone; `None`: there is none, or none that can be read.
///
/// # Errors
/// It may be carried over later: it is locked, or the disk is full.
pub fn carry_over(earlier: &Path, to: &Path, wal: bool) -> rusqlite::Result<Option<Connection>> {
    if !earlier.symlink_metadata().is_ok_and(|facts| facts.is_file()) {
        return Ok(None);
    }
    match copy(earlier, to, wal) {
        Ok(held) => Ok(Some(held)),
        Err(error) if is_broken(&error) => {
            log::warn!("the store of an earlier format cannot be read, and stays where it is: {error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn copy(earlier: &Path, to: &Path, wal: bool) -> rusqlite::Result<Connection> {
    let unmade = |_| failure(rusqlite::ffi::SQLITE_CANTOPEN);
    drop(files::fresh(to).map_err(unmade)?);
    let held = connect(earlier)?;
    let made: i64 = held.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if made < OLDEST {
        return Err(failure(rusqlite::ffi::SQLITE_NOTADB));
    }
    // What an earlier version of the library writes from now on would be lost.
    held.execute_batch("BEGIN IMMEDIATE")?;
    let place = ToSqlOutput::Borrowed(ValueRef::Text(to.as_os_str().as_encoded_bytes()));
    connect(earlier)?.execute("VACUUM INTO ?1", [place])?;
    let copy = connect(to)?;
    copy.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY;")?;
    upgrade(&copy)?;
    // Segments of listings have names of the format before, and are made anew.
    copy.execute("UPDATE libraries SET image = ''", [])?;
    let wanted = journal(wal);
    copy.query_row(&format!("PRAGMA journal_mode = {wanted}"), [], |_| Ok(()))?;
    copy.close().map_err(|(_, error)| error)?;
    Ok(held)
}

/// Brings a database of a lower `user_version` up to date, in one transaction.
pub fn upgrade(connection: &Connection) -> rusqlite::Result<()> {
    let made = || connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    if made()? >= MADE {
        return Ok(());
    }
    let tx = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let from = made()?;
    if from < 10 {
        tx.execute_batch(TO_10)?;
    }
    if from < 11 {
        let schema = schema();
        let records = schema.find("CREATE TABLE records").unwrap_or(schema.len());
        tx.execute_batch(&schema[records..])?; // it is the last
        tx.execute_batch(TO_11)?;
    }
    if from < 12 {
        carry_matches_over(&tx)?;
        tx.execute_batch(TO_12)?;
    }
    if from < MADE {
        tx.pragma_update(None, "user_version", MADE)?;
    }
    tx.commit()
}
