//! Migrates the databases of earlier formats, each in one transaction.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::move_records::move_records;
use super::schema::{BUSY, CachedStatements, RollbackGuard, SCHEMA_VERSION, failure};

/// Maximum wait for another process that migrates the database, which takes some ten seconds with a million records.
const MIGRATION_WAIT: Duration = Duration::from_secs(60);

/// The oldest format that plexindex can migrate.
const OLDEST_VERSION: i64 = 3;
/// A table, a column that a migration adds to it, and the migration's statements. A database that already has the column,
/// from a build between two formats, needs neither these statements nor those of earlier migrations.
type Migration = (&'static str, &'static str, &'static str);
/// The statements that migrate a database to the next format; the first ones, from [`OLDEST_VERSION`]. They may drop
/// data that plexindex can fetch again, but never confirmed matches, tables or the outbox.
///
/// Processes of the older format may have the database open. Since format 4, each transaction checks the format.
/// Processes of format 3 start every write, and every read of new data, with the table `store`, which they no longer
/// find.
const MIGRATIONS: [Migration; 11] = [
    (
        "meta",
        "one",
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
    ),
    (
        "libraries",
        "merged_seq",
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
    ),
    (
        "shows",
        "library",
        "
    CREATE TABLE shows (library INTEGER NOT NULL REFERENCES libraries (id), guid TEXT NOT NULL, show TEXT NOT NULL,
        PRIMARY KEY (library, guid, show)) STRICT, WITHOUT ROWID;
    DELETE FROM outbox WHERE kind > 7; -- searches and hints, which hosts no longer share
    ",
    ),
    (
        "libraries",
        "explained_seq",
        "
    ALTER TABLE libraries ADD COLUMN explained_seq INTEGER NOT NULL DEFAULT 0;
    UPDATE libraries SET explained_seq = max(merged_seq, unexplained_seq);
    ",
    ),
    // A reader that has read the whole feed continues; others list again. Its cursor ('c1') has the last timeline, and a
    // sequence after the timeline's first and after all changes of the feed: the row with this mark has that id. The next
    // row has a higher id than the sequence of any cursor.
    (
        "meta",
        "host_id",
        "
    ALTER TABLE meta ADD COLUMN host_id INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE meta ADD COLUMN host_of TEXT NOT NULL DEFAULT '';
    UPDATE meta SET (host_id, host_of) = (SELECT coalesce(max(id), 0), coalesce(max(here), '') FROM
        (SELECT id, here FROM timelines WHERE here IS NOT NULL ORDER BY begun DESC LIMIT 1));
    ALTER TABLE feed RENAME TO old_feed;
    CREATE TABLE feed (id INTEGER PRIMARY KEY, mark INTEGER NOT NULL, library INTEGER NOT NULL,
        rating_key TEXT NOT NULL, was BLOB) STRICT;
    INSERT INTO feed SELECT 1 + max(begun, (SELECT coalesce(max(sequence), 0) FROM old_feed),
        (SELECT coalesce(max(feed_from), 0) FROM libraries), (SELECT coalesce(max(feed_from), 0) FROM views)),
        id, 0, '', NULL FROM timelines ORDER BY begun DESC LIMIT 1;
    INSERT INTO feed SELECT 2 + max(sequence, coalesce((SELECT sequence FROM changes ORDER BY id DESC LIMIT 1), 0),
        (sequence & ~0xFFFFFFFFF) | (coalesce((SELECT max(id) FROM records), 0) >> 27)), random(), 0, '', NULL FROM meta;
    DROP TABLE old_feed;
    DROP TABLE timelines;
    DROP TABLE shared_listings;
    ALTER TABLE views DROP COLUMN feed_from;
    ALTER TABLE libraries DROP COLUMN feed_from;
    ALTER TABLE outbox RENAME COLUMN timeline TO host;
    ",
    ),
    // What was marked, or about to be asked for, needs a listing. A commit after the migration has a higher sequence than
    // `meta`, the logs and all requests.
    (
        "doubts",
        "library",
        "
    CREATE TABLE doubts (library INTEGER NOT NULL REFERENCES libraries (id), scope BLOB NOT NULL, cause INTEGER NOT NULL,
        path BLOB NOT NULL, raised INTEGER NOT NULL, raised_ms INTEGER NOT NULL, PRIMARY KEY (library, scope, cause))
        STRICT, WITHOUT ROWID;
    INSERT INTO doubts SELECT library, CAST(iif(path = x'', 'i' || rating_key, 'p' || CAST(form AS TEXT)) AS BLOB), 0, path,
        sequence, 0 FROM unverified;
    INSERT INTO doubts SELECT id, x'', 0, x'', max(due_seq, hint_seq, probed_seq, begun_seq, generation_seq, merged_seq), 0
        FROM libraries WHERE due_seq > begun_seq OR hint <> 0 OR provisional <> 0 OR shrunk >= 0 OR unexplained_seq <> 0
        OR present AND gone_ms > 0;
    DROP TABLE unverified;
    UPDATE libraries SET gone_ms = iif(present, 0, max(gone_ms, 1));
    ALTER TABLE libraries RENAME COLUMN begun_seq TO base_asked;
    ALTER TABLE libraries RENAME COLUMN probed_seq TO seen_asked;
    ALTER TABLE libraries RENAME COLUMN merged_seq TO synced_asked;
    ALTER TABLE libraries ADD COLUMN base_came INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE libraries ADD COLUMN seen_came INTEGER NOT NULL DEFAULT 0;
    UPDATE libraries SET synced_asked = synced_asked + 1, base_came = max(base_asked, generation_seq),
        seen_came = seen_asked;
    ALTER TABLE libraries DROP COLUMN present;
    ALTER TABLE libraries DROP COLUMN provisional;
    ALTER TABLE libraries DROP COLUMN explained_seq;
    ALTER TABLE libraries DROP COLUMN unexplained_seq;
    ALTER TABLE libraries DROP COLUMN due_seq;
    ALTER TABLE libraries DROP COLUMN shrunk;
    ALTER TABLE libraries DROP COLUMN shrunk_ms;
    ALTER TABLE libraries DROP COLUMN hint;
    ALTER TABLE libraries DROP COLUMN hint_seq;
    ALTER TABLE path_searches ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
    DROP INDEX changes_item;
    CREATE INDEX changes_item ON changes (library, rating_key) WHERE kind IN (8, 9, 11);
    ",
    ),
    // The last reply about each single item that its library's segment does not have. The eight bytes of `path` are the
    // ticket of its request; without them, the request began before the commit, and perhaps before each doubt.
    (
        "overlay",
        "library",
        "
    CREATE TABLE overlay (library INTEGER NOT NULL REFERENCES libraries (id), rating_key TEXT NOT NULL,
        asked INTEGER NOT NULL, came INTEGER NOT NULL, item BLOB, PRIMARY KEY (library, rating_key))
        STRICT, WITHOUT ROWID;
    CREATE INDEX overlay_came ON overlay (came);
    CREATE INDEX doubts_raised ON doubts (raised);
    WITH RECURSIVE digits (place) AS (VALUES (1) UNION ALL SELECT place + 1 FROM digits WHERE place < 16)
    INSERT OR REPLACE INTO overlay SELECT c.library, c.rating_key,
        iif(length(c.path) = 8, (SELECT sum((instr('0123456789ABCDEF', substr(hex(c.path), place, 1)) - 1) << 64 - 4 * place)
            FROM digits), min(c.sequence - 1, coalesce((SELECT min(raised) FROM doubts d WHERE d.library = c.library
            AND d.scope <> x''), c.sequence))),
        c.sequence, CASE c.kind WHEN 8 THEN NULL WHEN 9 THEN c.item ELSE x'' END
        FROM changes c JOIN libraries l ON l.id = c.library
        WHERE c.kind IN (8, 9, 11) AND l.view_id > 0 AND c.sequence > l.segment_seq ORDER BY c.id;
    UPDATE meta SET sequence = max(sequence, coalesce((SELECT sequence FROM changes ORDER BY id DESC LIMIT 1), 0));
    DROP TABLE changes;
    ALTER TABLE meta DROP COLUMN trimmed;
    ALTER TABLE views ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE libraries DROP COLUMN segment_seq;
    ALTER TABLE libraries DROP COLUMN position;
    UPDATE libraries SET generation = sign(generation) * max(generation_seq, 1);
    ALTER TABLE libraries DROP COLUMN generation_seq;
    ALTER TABLE libraries ADD COLUMN cursor TEXT NOT NULL DEFAULT '';
    UPDATE libraries SET cursor = concat(told_items, ' ', left_out, ' ' || newest_update) WHERE generation > 0;
    ALTER TABLE libraries DROP COLUMN told_items;
    ALTER TABLE libraries DROP COLUMN newest_update;
    ALTER TABLE libraries DROP COLUMN left_out;
    ",
    ),
    // `move_records` then fills these tables.
    (
        "matches",
        "form",
        "
    CREATE TABLE matches (id INTEGER PRIMARY KEY, in_table INTEGER NOT NULL, form BLOB NOT NULL, spelling BLOB NOT NULL,
        item TEXT NOT NULL, at INTEGER NOT NULL, total INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT;
    CREATE TABLE entries (id INTEGER PRIMARY KEY, in_table INTEGER NOT NULL, name BLOB NOT NULL, expires_ms INTEGER,
        at INTEGER NOT NULL, total INTEGER NOT NULL, sum INTEGER NOT NULL, value BLOB NOT NULL) STRICT;
    CREATE TABLE removed (id INTEGER PRIMARY KEY, number INTEGER NOT NULL, in_table INTEGER NOT NULL, name BLOB NOT NULL) STRICT;
    ",
    ),
    // The times of what hosts have shared are numbers of the log of format 11: a store had what the log said up to the number
    // that it had read. The checksum of a row is then XOR its time, which SQLite has no operator for.
    (
        "shared",
        "digest",
        "
    UPDATE matches SET at = number FROM (SELECT t.id, min(number) AS number FROM tables t
        JOIN libraries l ON l.id = t.library JOIN shared USING (view_id) GROUP BY t.id) AS read WHERE in_table = read.id;
    UPDATE matches SET sum = (sum | at) - (sum & at);
    CREATE TABLE new_outbox (id INTEGER PRIMARY KEY, view_id INTEGER NOT NULL, kind INTEGER NOT NULL, library TEXT NOT NULL,
        key BLOB NOT NULL, body BLOB NOT NULL) STRICT;
    INSERT INTO new_outbox SELECT id, view_id, kind, library, key, body FROM outbox WHERE sent = 0 ORDER BY id;
    DROP TABLE outbox;
    ALTER TABLE new_outbox RENAME TO outbox;
    DROP TABLE applied;
    ALTER TABLE shared RENAME TO old_shared;
    CREATE TABLE shared (view_id INTEGER NOT NULL REFERENCES views (id), digest INTEGER NOT NULL, seq INTEGER NOT NULL,
        mark INTEGER NOT NULL, delivered INTEGER NOT NULL, latest INTEGER NOT NULL, lost INTEGER NOT NULL,
        PRIMARY KEY (view_id, digest)) STRICT, WITHOUT ROWID;
    INSERT INTO shared SELECT DISTINCT view_id, 0, 0, 0, 0, 0, 0 FROM old_shared WHERE view_id IN (SELECT id FROM views);
    DROP TABLE old_shared;
    CREATE TABLE taken_back (view_id INTEGER NOT NULL REFERENCES views (id), library TEXT NOT NULL, path BLOB NOT NULL,
        at INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (view_id, library, path)) STRICT, WITHOUT ROWID;
    CREATE INDEX taken_back_id ON taken_back (view_id, id);
    ALTER TABLE meta DROP COLUMN host_id;
    ALTER TABLE meta DROP COLUMN host_of;
    ALTER TABLE meta ADD COLUMN clock_us INTEGER NOT NULL DEFAULT 0;
    ",
    ),
    // Items have facts, which earlier versions would read as other items: the files of unfinished listings, and segments.
    (
        "listings",
        "asked",
        "
    DELETE FROM listings;
    ALTER TABLE listings RENAME COLUMN begun_seq TO asked;
    ",
    ),
    // A limit is that of one table.
    (
        "tables",
        "oldest",
        "
    ALTER TABLE tables ADD COLUMN size INTEGER;
    ALTER TABLE tables ADD COLUMN oldest INTEGER NOT NULL DEFAULT 0;
    ",
    ),
];
/// The place of the migration after which [`move_records`] fills tables.
const MOVES_RECORDS: usize = 7;
const _: () = assert!(
    OLDEST_VERSION.abs_diff(SCHEMA_VERSION) == MIGRATIONS.len() as u64,
    "each format needs a migration from the format before"
);

/// Migrates a database to the current format in one transaction. Does nothing if the database has the current format.
/// Waits at most `patience` for other processes; [`MIGRATION_WAIT`] if the caller waits as long as for any write.
///
/// # Errors
/// `SQLITE_NOTADB` if the file is not a store's database, an error that names both formats if the database's is newer,
/// and SQLite's errors.
pub fn migrate(connection: &Connection, patience: Duration) -> rusqlite::Result<()> {
    if migrations_from(version_of(connection)?)?.is_empty() {
        return Ok(());
    }
    let start = Instant::now();
    connection.busy_timeout(if patience == BUSY { MIGRATION_WAIT } else { patience })?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    connection.busy_timeout(patience)?;
    let _rollback_guard = RollbackGuard(connection);
    // Another process may have migrated the database while this one waited for the lock.
    let version = version_of(connection)?;
    let migrations = migrations_from(version)?;
    if migrations.is_empty() {
        return Ok(());
    }
    let mut moved = 0;
    run(connection, migrations, |connection| {
        moved = move_records(connection)?;
        Ok(())
    })?;
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    connection.execute_batch("COMMIT")?;
    log::info!(
        "migrated the store from format {version} to format {SCHEMA_VERSION}, with {moved} recorded matches and entries, \
         in {} ms",
        start.elapsed().as_millis()
    );
    Ok(())
}

/// Migrates a damaged database as far as its records need not be moved. Returns whether they are still in the log.
pub fn migrate_damaged(connection: &Connection) -> rusqlite::Result<bool> {
    let migrations = migrations_from(version_of(connection)?)?;
    let later = MIGRATIONS.len() - MOVES_RECORDS;
    let is_log = migrations.len() >= later;
    run(
        connection,
        &migrations[..migrations.len().saturating_sub(later)],
        |_| Ok(()),
    )?;
    Ok(is_log)
}

/// Runs those of some migrations that the database needs. `move_records` moves its records.
fn run(
    connection: &Connection,
    migrations: &[Migration],
    mut move_records: impl FnMut(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut first = 0;
    for (index, (table, column, _)) in migrations.iter().enumerate() {
        let query = "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2";
        if connection.prepare(query)?.exists([table, column])? {
            first = index + 1;
        }
    }
    for migration in &migrations[first..] {
        connection.execute_batch(migration.2)?;
        if migration.1 == MIGRATIONS[MOVES_RECORDS].1 {
            move_records(connection)?;
        }
    }
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
fn migrations_from(version: i64) -> rusqlite::Result<&'static [Migration]> {
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
