//! Migrates the databases of earlier formats, each in one transaction, and computes normal forms again for another build.

use std::time::{Duration, Instant};

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Statement, params, params_from_iter};

use super::record_encoding::{RecordKind, encode_match, path_of, sum_of};
use super::schema::{
    BUSY, CachedStatements, FIRST_ROWS, RollbackGuard, SCHEMA_VERSION, failure, last_position_of, schema, sequence_of,
    version_error, version_of,
};
use super::store_folder::is_broken;
use crate::knowledge::Cause;
use crate::matching::normal::{form_tag, normal_form};
use crate::model::TableId;
use crate::platform::clock::{Clock as _, SystemClock};

/// Maximum wait for another process that migrates the database, which takes some ten seconds with a million records.
const MIGRATION_WAIT: Duration = Duration::from_secs(60);

/// The oldest format that plexindex can migrate.
const OLDEST_VERSION: i64 = 3;
/// The first format whose listings have the sizes of files.
const FIRST_WITH_SIZES: i64 = 13;
/// Doubts each library since the last commit, so that it is listed again at once.
const DOUBT_ALL: &str = "INSERT OR REPLACE INTO doubts (library, scope, cause, path, raised, raised_ms) \
    SELECT libraries.id, x'', ?1, x'', sequence, 0 FROM libraries, meta";

/// Migrates a database to the current format in one transaction. Does nothing if the database has the current format.
/// Waits at most `patience` for other processes; [`MIGRATION_WAIT`] if the caller waits as long as for any write.
///
/// Processes of the older format may have the database open. Since format 4, each transaction checks the format.
/// Processes of format 3 start every write, and every read of new data, with the table `store`, which they no longer
/// find.
///
/// # Errors
/// `SQLITE_NOTADB` if the file is not a store's database, an error that names both formats if the database's is newer,
/// and SQLite's errors.
pub fn migrate(connection: &Connection, patience: Duration) -> rusqlite::Result<()> {
    if !is_older(version_of(connection)?)? {
        return Ok(());
    }
    let start = Instant::now();
    connection.busy_timeout(if patience == BUSY { MIGRATION_WAIT } else { patience })?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    connection.busy_timeout(patience)?;
    let _rollback_guard = RollbackGuard(connection);
    // Another process may have migrated the database while this one waited for the lock.
    let version = version_of(connection)?;
    if !is_older(version)? {
        return Ok(());
    }
    let moved = change_tables(connection)?;
    if version < FIRST_WITH_SIZES {
        connection.execute(DOUBT_ALL, [Cause::Partial as i64])?;
    }
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    connection.execute_batch("COMMIT")?;
    log::info!(
        "migrated the store from format {version} to format {SCHEMA_VERSION}, with {moved} recorded matches and entries, \
         in {} ms",
        start.elapsed().as_millis()
    );
    Ok(())
}

/// The tables that lead to confirmed matches, in any format; the last two have the matches.
const TABLES_OF_MATCHES: [&str; 7] = [
    "servers",
    "identities",
    "views",
    "libraries",
    "tables",
    "records",
    "matches",
];

/// What a database that lost a write can have, but no index allows: two rows of a path, and two tables of a library. The
/// later one counts.
const LATER_ROWS: [(&str, &str); 2] = [
    (
        "matches",
        "DELETE FROM matches WHERE id NOT IN (SELECT max(id) FROM matches GROUP BY in_table, form, spelling)",
    ),
    (
        "tables",
        "DELETE FROM tables WHERE library IS NOT NULL AND id NOT IN (SELECT max(id) FROM tables GROUP BY library)",
    ),
];

/// Returns a database in memory with the confirmed matches of a damaged database that can be read, and whether some could
/// not. It has the current format.
pub fn salvage(damaged: &Connection) -> rusqlite::Result<(Connection, bool)> {
    // SQLite then also opens a file that was cut short, or whose list of tables is damaged. Only the first statement that
    // needs the list fails.
    damaged.execute_batch("PRAGMA writable_schema = ON")?;
    let _ = objects(damaged, "table");
    let is_older = is_older(version_of(damaged)?)?;
    let salvaged = Connection::open_in_memory()?;
    salvaged.execute_batch("PRAGMA foreign_keys = OFF")?;
    let mut is_whole = true;
    for (name, create) in objects(damaged, "table")? {
        if let Err(error) = salvaged.execute_batch(&create) {
            log::debug!("the table {name} cannot be read: {error}"); // if it leads to matches, the export fails
            continue;
        }
        match &*name {
            // Its row may be damaged, and an export needs none of its values.
            "store" | "meta" => {
                let row = format!("INSERT INTO {name} (one, store_id, secret, sequence) VALUES (1, 0, x'', 0)");
                salvaged.execute(&row, [])?;
            }
            _ if TABLES_OF_MATCHES.contains(&&*name) => is_whole &= copy_readable(damaged, &salvaged, &name)?,
            _ => {}
        }
    }
    for (name, delete_earlier) in LATER_ROWS {
        if !columns(&salvaged, name)?.is_empty() {
            salvaged.execute_batch(delete_earlier)?;
        }
    }
    if is_older {
        change_tables(&salvaged)?;
    }
    Ok((salvaged, is_whole))
}

/// Copies the rows of a table that can be read, the last first. Returns whether these are all.
fn copy_readable(damaged: &Connection, salvaged: &Connection, table: &str) -> rusqlite::Result<bool> {
    let last = format!("SELECT rowid, * FROM {table} NOT INDEXED WHERE rowid <= ?1 ORDER BY rowid DESC");
    let mut rows_from = damaged.prepare(&last)?;
    let columns = rows_from.column_count() - 1;
    let places = vec!["?"; columns].join(", ");
    let mut insert = salvaged.prepare(&format!("INSERT OR IGNORE INTO {table} VALUES ({places})"))?;
    let (mut next, mut is_whole) = (i64::MAX, true);
    loop {
        let mut rows = rows_from.query([next])?;
        let error = loop {
            match rows.next() {
                Ok(Some(row)) => {
                    next = next.min(row.get::<_, i64>(0)?.saturating_sub(1)); // an id may be damaged, too
                    // As they are: a text may be damaged, too.
                    let values = (1..=columns).map(|column| Ok(ToSqlOutput::Borrowed(row.get_ref(column)?)));
                    let values = values.collect::<rusqlite::Result<Vec<_>>>()?;
                    match insert.execute(params_from_iter(values)) {
                        // A cell of another type is damage, too.
                        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                            is_whole = false;
                        }
                        inserted => drop(inserted?),
                    }
                }
                Ok(None) => return Ok(is_whole),
                Err(error) => break error,
            }
        };
        if !is_broken(&error) {
            return Err(error);
        }
        log::warn!("some confirmed matches cannot be read: {error}");
        is_whole = false;
        drop(rows);
        let Some(readable) = before_damage(&mut rows_from, next) else {
            return Ok(false);
        };
        next = readable;
    }
}

/// Returns an id below `damaged` from which on `rows_from` finds a row that can be read, or the end; `None` if there is none.
fn before_damage(rows_from: &mut Statement<'_>, damaged: i64) -> Option<i64> {
    let mut is_readable = |distance: i64| {
        let id = damaged.saturating_sub(distance);
        let found = rows_from.query_row([id], |row| row.get::<_, i64>(0)).optional();
        found.is_ok_and(|found| found.is_none_or(|found| found <= id))
    };
    // Most damage is that of a page, which has few rows.
    let mut distance: i64 = 1;
    while !is_readable(distance) {
        distance = distance.checked_mul(2).or((distance < i64::MAX).then_some(i64::MAX))?;
    }
    let mut nearer = distance / 2;
    while distance - nearer > 1 {
        let middle = nearer + (distance - nearer) / 2;
        if is_readable(middle) {
            distance = middle;
        } else {
            nearer = middle;
        }
    }
    Some(damaged.saturating_sub(distance))
}

/// Returns whether a database has a table with this column. This, not the number of the format, tells what a migration
/// has to do, because a build between two formats may have made the database.
fn has_column(c: &Connection, table: &str, column: &str) -> rusqlite::Result<bool> {
    c.prepare("SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2")?
        .exists([table, column])
}

/// Names tables and columns of format 3 as in later formats.
fn rename_tables(c: &Connection) -> rusqlite::Result<()> {
    if !has_column(c, "store", "one")? {
        return Ok(());
    }
    c.execute_batch(
        "ALTER TABLE store RENAME TO meta;
        ALTER TABLE identities RENAME TO views;
        ALTER TABLE endpoints RENAME COLUMN identity TO view_id;
        ALTER TABLE libraries RENAME COLUMN identity TO view_id;
        ALTER TABLE shared RENAME COLUMN identity TO view_id;
        ALTER TABLE outbox RENAME COLUMN identity TO view_id;",
    )
}

/// Tables with what plexindex can fetch again, or need not know. If their columns have changed, they become empty.
const FETCHED: [&str; 5] = ["listings", "doubts", "overlay", "feed", "path_searches"];
/// What a library keeps of a format before 10, which had the single items in a log of changes. The library is listed again.
const LIBRARY_COLUMNS: [&str; 5] = ["id", "view_id", "uuid", "plex", "gone_ms"];
/// Before format 15, each field of a library had a column.
const LIBRARIES_AS_JSON: &str = "
    ALTER TABLE libraries ADD COLUMN plex TEXT NOT NULL DEFAULT '{}';
    UPDATE libraries SET plex = json_object('section', section, 'title', title, 'kind', kind,
        'locations', json(iif(json_valid(locations), locations, '[]')));
";
/// The same of what is known about a library.
const KNOWLEDGE_AS_JSON: &str = "
    ALTER TABLE libraries ADD COLUMN knowledge TEXT NOT NULL DEFAULT '{}';
    UPDATE libraries SET knowledge = json_object(
        'probed', json(iif(seen_asked > 0, json_object(
            'state', json_object('token', token, 'trust', trust, 'busy', json(iif(busy, 'true', 'false')),
                'scanned_ms', scanned_ms),
            'interval', json_object('asked', seen_asked, 'came', seen_came)), NULL)),
        'base', json_object('asked', base_asked, 'came', base_came),
        'listing', json(iif(generation > 0, json_object('listed_ms', listed_ms, 'checked_ms', checked_ms,
            'token', listed_token, 'synced', synced_asked, 'cursor', cursor, 'items', listed_items), NULL)));
";
/// The times of what hosts had shared before format 12 are numbers of that format's log: a store had what the log said up
/// to the number that it had read. The checksum of a row is now XOR its time, which SQLite has no operator for.
const TIMES_OF_SHARED: &str = "
    UPDATE matches SET at = number FROM (SELECT t.id, min(number) AS number FROM tables t
        JOIN libraries l ON l.id = t.library JOIN shared USING (view_id) GROUP BY t.id) AS read WHERE in_table = read.id;
    UPDATE matches SET sum = (sum | at) - (sum & at);
";

/// Gives a database the tables and indexes of `schema.sql`. Each table keeps the columns that both formats have. Returns
/// how many records were moved.
///
/// May drop data that plexindex can fetch again, but never confirmed matches, hosts' tables or the outbox.
fn change_tables(c: &Connection) -> rusqlite::Result<usize> {
    let model = Connection::open_in_memory()?;
    model.execute_batch(&schema())?;
    let tables = objects(&model, "table")?;
    rename_tables(c)?;
    let is_listed_again = !has_column(c, "overlay", "library")?;
    if is_listed_again {
        c.execute_batch("UPDATE meta SET sequence = max(sequence, (SELECT coalesce(max(sequence), 0) FROM changes))")?;
    }
    if has_column(c, "libraries", "present")? {
        c.execute_batch("UPDATE libraries SET gone_ms = iif(present, 0, max(gone_ms, 1))")?;
    }
    if !has_column(c, "libraries", "plex")? {
        c.execute_batch(LIBRARIES_AS_JSON)?;
        if !is_listed_again {
            c.execute_batch(KNOWLEDGE_AS_JSON)?;
        }
    }
    for (name, create) in &tables {
        if columns(c, name)?.is_empty() {
            c.execute_batch(create)?;
        }
    }
    let has_log = has_column(c, "records", "id")?;
    let moved = if has_log { move_records(c)? } else { 0 };
    if has_column(c, "outbox", "sent")? {
        if !has_log {
            c.execute_batch(TIMES_OF_SHARED)?;
        }
        // Hosts no longer share searches and hints.
        c.execute_batch("DELETE FROM outbox WHERE sent <> 0 OR kind > 7")?;
    }
    for (name, create) in &tables {
        change_table(c, name, create, &columns(&model, name)?, is_listed_again)?;
    }
    let has = |some: &[(String, String)], name: &str| some.iter().any(|(known, _)| known == name);
    for (name, _) in objects(c, "table")?.iter().filter(|(name, _)| !has(&tables, name)) {
        c.execute_batch(&format!("DROP TABLE {name}"))?;
    }
    // The indexes of many moved rows are made in one go.
    let indexes = objects(c, "index")?;
    for (name, create) in objects(&model, "index")? {
        if !has(&indexes, &name) {
            c.execute_batch(&create)?;
        }
    }
    c.execute_batch(FIRST_ROWS)?;
    if has_log {
        c.execute("UPDATE meta SET form_tag = ?1", [form_tag()])?;
    }
    Ok(moved)
}

/// Returns the names and the statements of a database's tables or indexes.
fn objects(c: &Connection, kind: &str) -> rusqlite::Result<Vec<(String, String)>> {
    let all = "SELECT name, sql FROM sqlite_schema WHERE type = ?1 AND name NOT LIKE 'sqlite%' ORDER BY rowid";
    c.rows(all, [kind], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Returns the names of a table's columns, sorted; none if there is no such table.
fn columns(c: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    c.values("SELECT name FROM pragma_table_info(?1) ORDER BY name", [table])
}

/// Replaces a table by one with other columns, if it has not got them. `is_listed_again`: whether what was fetched goes.
fn change_table(
    c: &Connection,
    name: &str,
    create: &str,
    new: &[String],
    is_listed_again: bool,
) -> rusqlite::Result<()> {
    let mut kept = columns(c, name)?;
    let is_fetched = FETCHED.contains(&name);
    if kept == new && !(is_listed_again && (is_fetched || name == "libraries")) {
        return Ok(());
    }
    kept.retain(|column| new.contains(column));
    if is_listed_again && name == "libraries" {
        kept.retain(|column| LIBRARY_COLUMNS.contains(&&**column));
    }
    let columns = kept.join(", ");
    let copy = match name {
        _ if is_fetched => String::new(),
        // A view is shared from the beginning.
        "shared" => {
            "SELECT DISTINCT view_id, 0, 0, 0, 0, 0, 0 FROM shared WHERE view_id IN (SELECT id FROM views)".into()
        }
        _ => format!("({columns}) SELECT {columns} FROM {name}"),
    };
    c.execute_batch(&create.replacen(name, &format!("new_{name}"), 1))?;
    // Ids are never used again.
    c.execute(
        "INSERT INTO sqlite_sequence (name, seq) SELECT 'new_' || name, seq FROM sqlite_sequence WHERE name = ?1",
        [name],
    )?;
    if !copy.is_empty() {
        c.execute_batch(&format!("INSERT INTO new_{name} {copy}"))?;
    }
    c.execute_batch(&format!("DROP TABLE {name}; ALTER TABLE new_{name} RENAME TO {name}"))
}

/// The change sequence of a database before format 11.
const SEQUENCE_OF_LOG: &str = "UPDATE meta SET sequence = max(sequence, (sequence & ~0xFFFFFFFFF) \
     | (coalesce((SELECT max(id) FROM records), 0) >> 27))";
/// The last row of each name in the log, if it can be read: not if it is a removal, has expired, or is of a cleared table.
/// In this form, SQLite sorts names and ids, but no values.
/// Also the number of the shared log that format 11 would have given it as a time.
const LAST_ROWS: &str = "SELECT r.id, r.in_table, r.name, r.value, r.expires_ms, t.name IS NULL, \
     (SELECT min(number) FROM libraries l JOIN shared USING (view_id) WHERE l.id = t.library) \
     FROM records r CROSS JOIN tables t ON t.id = r.in_table AND (t.name IS NOT NULL \
     OR t.library IN (SELECT id FROM libraries WHERE view_id > 0)) \
     WHERE r.id IN (SELECT max(id) FROM records GROUP BY in_table, name) AND r.value IS NOT NULL \
     AND (r.expires_ms IS NULL OR r.expires_ms > ?1) ORDER BY r.id";
const INSERT_MATCH: &str = "INSERT INTO matches (id, in_table, form, spelling, item, at, total, sum) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// Moves the rows of the log `records`, which had confirmed matches and entries before format 11. Returns their number.
fn move_records(c: &Connection) -> rusqlite::Result<usize> {
    c.execute_batch(SEQUENCE_OF_LOG)?;
    let mut count = 0;
    let mut insert_match = c.prepare(INSERT_MATCH)?;
    let mut insert_entry = c.prepare(
        "INSERT INTO entries (id, in_table, name, expires_ms, at, total, sum, value) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7)",
    )?;
    let mut last = c.prepare(LAST_ROWS)?;
    let mut rows = last.query([SystemClock.now_ms()])?;
    while let Some(row) = rows.next()? {
        let (id, table): (i64, TableId) = (row.get(0)?, row.get(1)?);
        let (name, value) = (row.get_ref(2)?.as_blob()?, row.get_ref(3)?.as_blob()?);
        let at = row.get::<_, Option<i64>>(6)?.unwrap_or(id >> 27); // the order only
        if !row.get(5)? {
            let expires_ms: Option<i64> = row.get(4)?;
            let sum = sum_of(id, table, [name, b"", value], expires_ms);
            insert_entry.execute(params![id, table, name, expires_ms, at, sum, value])?;
        } else if let Some(rating_key) = decode_match(value) {
            write_match(&mut insert_match, (id, table, at, 0), name, rating_key)?;
        } else {
            continue;
        }
        count += 1;
    }
    for kind in RecordKind::ALL {
        kind.store_total(c, kind.count_total(c)?)?;
    }
    Ok(count)
}

/// Inserts the row of a match with [`INSERT_MATCH`]: with its id, its table, its time and the total that it stores.
fn write_match(
    insert: &mut Statement<'_>,
    (id, table, at, total): (i64, TableId, i64, i64),
    path: &[u8],
    rating_key: &str,
) -> rusqlite::Result<()> {
    let form = normal_form(path);
    let (spelling, sum) = encode_match(id, table, (&form, path), rating_key);
    insert.execute(params![id, table, form, spelling, rating_key, at, total, sum ^ at])?;
    Ok(())
}

/// Makes the normal forms of all matches anew if they are of other rules or another Unicode version than this build's.
pub fn renew_forms(c: &Connection) -> rusqlite::Result<()> {
    let is_current = || {
        c.query_row("SELECT form_tag = ?1 FROM meta", [form_tag()], |row| {
            row.get::<_, bool>(0)
        })
    };
    if is_current()? {
        return Ok(());
    }
    c.execute_batch("BEGIN IMMEDIATE")?;
    let _rollback_guard = RollbackGuard(c);
    if is_current()? {
        return Ok(());
    }
    let mut changed: Vec<(i64, TableId, Vec<u8>, String, i64, i64)> = Vec::new();
    let mut all = c.prepare("SELECT id, in_table, form, spelling, item, at, total FROM matches")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let form = row.get_ref(2)?.as_blob()?;
        let path = path_of(form, row.get_ref(3)?.as_blob()?);
        if normal_form(&path) != form {
            changed.push((row.get(0)?, row.get(1)?, path, row.get(4)?, row.get(5)?, row.get(6)?));
        }
    }
    drop(rows);
    for (id, ..) in &changed {
        c.execute("DELETE FROM matches WHERE id = ?1", [id])?;
    }
    let mut insert = c.prepare(INSERT_MATCH)?;
    for (id, table, path, item, at, total) in &changed {
        write_match(&mut insert, (*id, *table, *at, *total), path, item)?;
    }
    // Whoever follows forgets what it knows.
    let now = last_position_of(sequence_of(c)?);
    c.execute("DELETE FROM removed", [])?;
    c.execute(
        "INSERT INTO removed (id, number, in_table, name) VALUES (?1, 0, 0, x'')",
        [now],
    )?;
    c.execute("UPDATE meta SET form_tag = ?1", [form_tag()])?;
    c.execute_batch("COMMIT")
}

/// Returns the rating key of a match in format 10, which follows a number of seven bits per byte.
fn decode_match(value: &[u8]) -> Option<&str> {
    let length = value.iter().position(|byte| *byte < 0x80)? + 1;
    std::str::from_utf8(value.get(length..)?)
        .ok()
        .filter(|key| !key.is_empty())
}

/// Returns whether a format is older than the current one, and can be migrated.
fn is_older(version: i64) -> rusqlite::Result<bool> {
    match version {
        SCHEMA_VERSION => Ok(false),
        OLDEST_VERSION..SCHEMA_VERSION => Ok(true),
        // An unfinished database never has the database's name, and no release has used an older format.
        ..OLDEST_VERSION => Err(failure(rusqlite::ffi::SQLITE_NOTADB)),
        newer => Err(version_error(newer)),
    }
}
