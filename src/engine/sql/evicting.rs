//! Eviction: measures the folder, and removes the least recently refreshed library's listing, or the oldest records.
//! Removes a library a month after the server stopped listing it. Also exports confirmed matches, from the store or
//! from a database that was renamed to `.broken`.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::ffi::SQLITE_CORRUPT;
use rusqlite::{Connection, OptionalExtension, params};

use super::library_rows::{LibraryRow, LibraryRows, detach_libraries, json, library_in, one_library};
use super::migrations::salvage;
use super::record_rows::{RecordRows, all_matches_in};
use super::schema::{CachedStatements, DAY_MS, Tx, connect, failure};
use super::store_folder::{BROKEN, NAME};
use super::sweeper::Sweeper;
use crate::error::{Error, Result, Status, invalid_argument_error};
use crate::knowledge::Cause;
use crate::model::{Library, LibraryId, TableId, ViewId};
use crate::platform::clock::Deadline;
use crate::platform::files;

/// Time in ms during which plexindex does not evict a library after it stored a page of the library's listing.
const ACTIVE_LISTING_MS: i64 = 600_000;
/// Maximum time in ms by which a stored time can be in the future. A later time comes from a wrong clock.
const CLOCK_TOLERANCE_MS: i64 = 60_000;

impl Sweeper<'_> {
    /// Returns the folder's size in bytes, excluding space that eviction cannot or need not free: damaged databases,
    /// free database pages, the write-ahead log and unreferenced segments. On Windows, an unreferenced segment remains
    /// while a process has it mapped.
    pub fn bytes_after_vacuum(&self) -> Result<u64> {
        let used_bytes: i64 = self.0.read(|connection| {
            connection.query_row(
                "SELECT (page_count - freelist_count) * page_size \
                 FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
                [],
                |row| row.get(0),
            )
        })?;
        // Of the database file, only the pages in use count, not its length.
        let [database_name, wal_name] = ["", "-wal"].map(|suffix| format!("{NAME}.db{suffix}"));
        let is_unreferenced = self.unreferenced()?;
        let is_counted =
            |name: &str| name != database_name && name != wal_name && !name.contains(BROKEN) && !is_unreferenced(name);
        Ok(used_bytes.cast_unsigned() + self.0.folder.bytes_of(is_counted))
    }
}

impl LibraryRows<'_> {
    /// Returns the ids and titles of the libraries that plexindex can evict, least recently refreshed first: libraries
    /// with items from a complete or abandoned listing. Excludes the most recently refreshed library, and libraries
    /// that are being listed.
    pub fn evictable_libraries(&self, now_ms: i64) -> Result<Vec<(LibraryId, String)>> {
        let mut libraries = self.0.read(|connection| {
            connection.rows(
                "SELECT l.*, NULL AS matches FROM libraries l LEFT JOIN listings n ON n.library = l.id \
                 WHERE l.view_id > 0 AND (l.generation > 0 OR n.library IS NOT NULL) \
                 AND coalesce(n.touched_ms, 0) NOT BETWEEN ?1 - ?2 AND ?1 + ?3 \
                 AND (l.listed_items > 0 OR n.library IS NOT NULL)",
                params![now_ms, ACTIVE_LISTING_MS, CLOCK_TOLERANCE_MS],
                library_in,
            )
        })?;
        libraries.sort_by_key(|row| {
            // A check time in the future comes from a wrong clock, so it counts as the oldest.
            let is_future = row.checked_ms() > now_ms + CLOCK_TOLERANCE_MS;
            let checked_ms = if is_future { 0 } else { row.checked_ms() };
            (checked_ms, row.listed_ms(), row.listed_sequence())
        });
        libraries.pop(); // the call that refreshed this library still reads it
        Ok(libraries.into_iter().map(|row| (row.id, row.library.title)).collect())
    }

    /// Evicts a library to free space in the folder: removes its items, so that the next query fetches it again. Keeps
    /// confirmed matches and invalidations. Returns `false` if the library no longer exists or is being listed.
    pub fn evict(&self, library: LibraryId, now_ms: i64, deadline: Deadline) -> Result<bool> {
        let is_evicted = self.0.write(deadline, |tx| {
            let Some(library_state) = tx.expect_library(library).optional()? else {
                return Ok(false);
            };
            // Another process may have started a listing since the caller selected the library.
            let being_listed = "SELECT 1 FROM listings WHERE library = ?1 AND touched_ms BETWEEN ?2 - ?3 AND ?2 + ?4";
            if tx.has(
                being_listed,
                params![library, now_ms, ACTIVE_LISTING_MS, CLOCK_TOLERANCE_MS],
            )? {
                return Ok(false);
            }
            remove_items(tx, library)?;
            tx.run("DELETE FROM path_searches WHERE library IN (?1, -?1)", [library])?;
            tx.run("UPDATE meta SET evictions = evictions + 1", [])?;
            tx.libraries_changed(library_state.view_id)?;
            Ok(true)
        })?;
        if is_evicted {
            Sweeper(self.0).remove_segments_of(&[library]);
        }
        Ok(is_evicted)
    }

    /// Discards the listing in `row`, whose segment is missing or damaged, and requests a full listing. Keeps later
    /// changes to single items. Returns `false` if the library no longer exists or has a different segment now.
    pub fn discard_listing(&self, row: &LibraryRow, deadline: Deadline) -> Result<bool> {
        self.0.write(deadline, |tx| {
            let Some(library) = tx.expect_library(row.id).optional()? else {
                return Ok(false);
            };
            let segment = row.segment.as_deref().unwrap_or_default();
            // A negative generation means that the listing was lost.
            let changed_rows = tx.connection.execute(
                "UPDATE libraries SET generation = -generation WHERE id = ?1 AND generation > 0 AND segment = ?2",
                params![row.id, segment],
            )?;
            if changed_rows > 0 {
                drop_listing(tx, row.id)?;
                tx.doubt_library(library.view_id, row.id, Cause::Invalidated, 0)?;
            }
            Ok(changed_rows > 0)
        })
    }
}

/// Removes a library's items: its listing, its single items and an unfinished listing. Keeps its confirmed matches and
/// invalidations.
fn remove_items(tx: &Tx<'_>, library: LibraryId) -> rusqlite::Result<()> {
    // A negative generation means that the listing was removed.
    tx.run(
        "UPDATE libraries SET generation = -abs(generation) WHERE id = ?1",
        [library],
    )?;
    drop_listing(tx, library)?;
    tx.trim_overlay(library, tx.sequence)?;
    tx.run("DELETE FROM listings WHERE library = ?1", [library])
}

/// Resets a library's row to the state without a listing, except the generation, which the caller sets. Keeps the
/// segment file, which a later sweep removes.
fn drop_listing(tx: &Tx<'_>, library: LibraryId) -> rusqlite::Result<()> {
    let mut knowledge = one_library(tx, library)?.knowledge;
    knowledge.discard_listing(tx.sequence);
    tx.write_knowledge(library, &knowledge)?;
    tx.run(
        "UPDATE libraries SET listed_items = 0, segment = '' WHERE id = ?1",
        [library],
    )?;
    tx.run("DELETE FROM shows WHERE library = ?1", [library])?;
    // What the listing had is not known any more.
    tx.run("DELETE FROM overlay WHERE library = ?1 AND item = x''", [library])?;
    tx.relist_in_feed(library)
}

/// Retention time for a library that the server no longer lists: 30 days.
const VANISHED_KEPT_MS: i64 = 30 * DAY_MS;

/// Removes libraries that the server has not listed for a month. Confirmed matches do not expire: a library with
/// matches loses only its items, until the server lists the library again.
pub fn remove_vanished(tx: &Tx<'_>, view_id: ViewId, now_ms: i64) -> rusqlite::Result<()> {
    let c = tx.connection;
    // Start the month now if its start is in the future because the clock was set back.
    c.execute(
        "UPDATE libraries SET gone_ms = ?2 WHERE view_id = ?1 AND gone_ms <> 0 AND gone_ms NOT BETWEEN 1 AND ?2",
        params![view_id, now_ms],
    )?;
    let limit_ms = now_ms.saturating_sub(VANISHED_KEPT_MS);
    // Skip libraries that have only matches, because an earlier call removed their items.
    let vanished: Vec<(LibraryId, bool)> = c.rows(
        "SELECT id, matches FROM (SELECT *, EXISTS (SELECT 1 FROM tables WHERE library = libraries.id) AS matches \
         FROM libraries) l WHERE view_id = ?1 AND gone_ms BETWEEN 1 AND ?2 \
         AND (NOT matches OR generation > 0 \
         OR EXISTS (SELECT 1 FROM overlay WHERE library = l.id))",
        params![view_id, limit_ms],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    for (id, has_matches) in vanished {
        if has_matches {
            remove_items(tx, id)?;
        } else {
            detach_libraries(tx, "id", id)?;
        }
    }
    Ok(())
}

/// A confirmed match, with the names of its library.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExportedMatch {
    pub library_uuid: String,
    pub path: Vec<u8>,
    pub rating_key: String,
    pub library_title: String,
    /// The server's machine identifier.
    pub server: String,
}

impl RecordRows<'_> {
    /// Returns all confirmed matches in a view, sorted by library and path.
    pub fn export(&self, view_id: ViewId) -> Result<Vec<ExportedMatch>> {
        self.0.read(|connection| matches_in(connection, Some(view_id)))
    }

    /// Returns the confirmed matches in `database`, a damaged database of any view that plexindex renamed to `.broken`,
    /// sorted by library and path. Reads the file as far as possible, and does not change it. A name alone is that of a file
    /// in the store's folder.
    pub fn export_broken(&self, database: &Path) -> Result<Vec<ExportedMatch>> {
        let in_folder = self.0.folder.path().join(database);
        let is_name = database.parent() == Some(Path::new(""));
        let database = if is_name { &in_folder } else { database };
        // plexindex never opens a file with such a name, so closing the file releases no locks of this process.
        let name = database.file_name().map(|name| name.to_string_lossy());
        if !name.is_some_and(|name| name.ends_with(BROKEN)) {
            return invalid_argument_error(format!(
                "{} is not a database that plexindex renamed to {BROKEN}; to export from another folder, open an index \
                 there",
                database.display()
            ));
        }
        let random = u64::from_le_bytes(files::random_bytes().unwrap_or_default());
        let copy = self.0.folder.path().join(format!("{NAME}.export.{random:x}.new"));
        let found = copy_database(database, &copy).and_then(|()| {
            let connection = connect(&copy)?;
            // No other process uses the copy, so SQLite needs no shared memory.
            connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY")?;
            let (salvaged, is_whole) = salvage(&connection)?;
            let found = matches_in(&salvaged, None)?;
            if found.is_empty() && !is_whole {
                return Err(failure(SQLITE_CORRUPT).into());
            }
            Ok(found)
        });
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let _ = files::remove(&with_suffix(&copy, suffix));
        }
        found.map_err(|error| {
            let text = format!(
                "cannot read {}: {error}; check the file, or choose another one",
                database.display()
            );
            Error::new(Status::Store, text)
        })
    }
}

/// Copies a damaged database and its log, which may have a commit, or the pages before a commit that was interrupted.
fn copy_database(database: &Path, copy: &Path) -> std::result::Result<(), Box<dyn std::error::Error>> {
    for suffix in ["", "-wal", "-journal"] {
        match fs::File::open(with_suffix(database, suffix)) {
            Ok(mut original) => {
                std::io::copy(&mut original, &mut files::create_new(&with_suffix(copy, suffix))?)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !suffix.is_empty() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Returns the confirmed matches in the libraries of a view; of any view if `view_id` is `None`.
fn matches_in(connection: &Connection, view_id: Option<ViewId>) -> rusqlite::Result<Vec<ExportedMatch>> {
    let libraries: Vec<(TableId, ExportedMatch)> = connection.rows(
        "SELECT t.id, l.uuid, l.plex, s.machine_identifier FROM libraries l JOIN tables t ON t.library = l.id \
         JOIN views v ON v.id = l.view_id JOIN servers s ON s.id = v.server WHERE ?1 IS NULL OR l.view_id = ?1",
        params![view_id],
        |row| {
            // A damaged name costs no match.
            let text = |column: usize| -> rusqlite::Result<String> {
                Ok(String::from_utf8_lossy(row.get_ref(column)?.as_bytes()?).into_owned())
            };
            let library = ExportedMatch {
                library_uuid: text(1)?,
                path: Vec::new(),
                rating_key: String::new(),
                library_title: json::<Library>(row, "plex")?.title,
                server: text(3)?,
            };
            Ok((row.get(0)?, library))
        },
    )?;
    let mut matches = Vec::new();
    for (table, library) in libraries {
        let exported = all_matches_in(connection, table)?
            .into_iter()
            .map(|stored| ExportedMatch {
                path: stored.path,
                rating_key: stored.rating_key,
                ..library.clone()
            });
        matches.extend(exported);
    }
    matches.sort_unstable();
    Ok(matches)
}
