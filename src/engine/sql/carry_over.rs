//! Copies the store of format 2 into a new database.

use std::path::Path;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, params};

use super::places::place_of;
use crate::engine::segment::match_value;
use crate::model::Sequence;
use crate::platform::local_path::for_sqlite;

/// Tables whose rows are copied, with the columns that both formats have. Listings under way start again, and the
/// indexes of GUIDs and titles are rebuilt.
const COPIED_TABLES: [&str; 15] = [
    "store",
    "servers",
    "identities",
    "endpoints",
    "libraries",
    "parents",
    "items",
    "unverified",
    "changes",
    "timelines",
    "days",
    "path_searches",
    "refusals",
    "tables",
    "records",
];

/// Copies entries of hosts' tables as records of the log.
const ENTRIES: &str = "INSERT INTO main.records (id, in_table, name, expires_ms, value) \
     SELECT ((sequence & 0xFFFFFFFF) << 31) | (row_number() OVER (PARTITION BY sequence ORDER BY in_table, e.name) - 1), \
     in_table, e.name, expires_ms, value FROM earlier.entries e JOIN earlier.tables t ON t.id = in_table \
     WHERE t.name IS NOT NULL AND value IS NOT NULL; DELETE FROM main.tables WHERE name IS NULL;";

/// Selects the confirmed matches. Unmerged rows of `changes` come last, and replace those of `matches`.
const MATCHES: &str = "SELECT library, path, rating_key, sequence FROM (SELECT m.library, m.path, m.rating_key, m.sequence \
     FROM earlier.matches m JOIN earlier.libraries l ON l.id = m.library AND l.identity > 0 AND l.epoch = m.epoch UNION ALL \
     SELECT c.library, c.path, c.rating_key, c.sequence FROM earlier.changes c \
     JOIN earlier.libraries l ON l.id = c.library AND l.identity > 0 AND c.sequence > l.epoch_seq \
     WHERE c.id > (SELECT ((folded & 0xFFFFFFFF) << 31) | 0x7FFFFFFF FROM earlier.store) AND c.kind = 1) ORDER BY sequence";

/// Resets the names of segments, so that they are rebuilt.
const RESET_SEGMENTS: &str = "DELETE FROM main.changes WHERE kind IN (1, 2); UPDATE main.tables SET entries = 0, bytes = 0; \
     UPDATE main.store SET sequence = max(sequence, coalesce((SELECT max(sequence) FROM earlier.changes), 0), \
     (sequence & ~0xFFFFFFFF) | (coalesce((SELECT max(id) FROM main.records), 0) >> 31)); \
     UPDATE main.store SET segments = 'plexindex-3-r0-0:0', merged = sequence, manifest = sequence, guids_upto = 0, \
     titles_upto = 0; \
     UPDATE main.libraries SET segment_seq = (SELECT sequence FROM main.store); \
     UPDATE main.sqlite_sequence SET seq = max(seq, (SELECT seq FROM earlier.sqlite_sequence e \
     WHERE e.name = sqlite_sequence.name)) WHERE name IN (SELECT name FROM earlier.sqlite_sequence);";

/// Listings under way start again. `changed` is set, as rows that they stored may differ from the current listing.
const LISTINGS: &str = "INSERT INTO main.listings (library, generation, begun_seq, touched_ms, position, pages, changed, progress) \
     SELECT library, generation, begun_seq, 0, 0, 0, 1, x'' FROM earlier.listings";

/// Offset of the row numbers of matches, so that they come after the records of the same write.
const MATCHES_OFFSET: i64 = 1 << 24;

/// Attaches a store of format 2 to a connection, as `earlier`.
pub fn attach(connection: &Connection, earlier: &Path) -> rusqlite::Result<()> {
    let earlier = for_sqlite(earlier);
    let place = ToSqlOutput::Borrowed(ValueRef::Text(earlier.as_os_str().as_encoded_bytes()));
    connection.execute("ATTACH ?1 AS earlier", [place]).map(|_| ())
}

/// Copies everything from the attached store into a new database.
pub fn fill(c: &Connection) -> rusqlite::Result<()> {
    let has = |table: &str| c.table_exists(Some("earlier"), table);
    c.execute_batch("DELETE FROM main.store")?;
    for table in COPIED_TABLES {
        let earlier = if table == "timelines" && has("lines")? {
            "lines"
        } else {
            table
        };
        let columns: String = c.query_row(
            "SELECT coalesce(group_concat(name), '') FROM pragma_table_info(?1, 'main') \
             WHERE name IN (SELECT name FROM pragma_table_info(?2, 'earlier'))",
            [table, earlier],
            |row| row.get(0),
        )?;
        if !columns.is_empty() {
            c.execute_batch(&format!(
                "INSERT INTO main.{table} ({columns}) SELECT {columns} FROM earlier.{earlier}"
            ))?;
        }
    }
    if has("entries")? {
        c.execute_batch(ENTRIES)?;
    }
    if has("listings")? {
        c.execute_batch(LISTINGS)?;
    }
    if has("matches")? {
        fill_matches(c)?;
    }
    c.execute_batch(RESET_SEGMENTS)
}

/// Copies the confirmed matches as records of the log.
fn fill_matches(c: &Connection) -> rusqlite::Result<()> {
    c.execute_batch("INSERT INTO main.tables (library) SELECT id FROM main.libraries WHERE identity > 0")?;
    let mut add = c.prepare(
        "INSERT INTO records (id, in_table, name, value) SELECT ?1, id, ?3, ?4 FROM tables WHERE library = ?2",
    )?;
    let mut statement = c.prepare(MATCHES)?;
    let mut rows = statement.query([])?;
    let (mut last, mut number) = (Sequence(0), 0);
    while let Some(row) = rows.next()? {
        let sequence: Sequence = row.get(3)?;
        number = if sequence == last { number + 1 } else { MATCHES_OFFSET };
        last = sequence;
        let value = match_value(row.get_ref(2)?.as_str()?, sequence);
        let (library, path): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        add.execute(params![place_of(sequence, number), library, path, value])?;
    }
    Ok(())
}
