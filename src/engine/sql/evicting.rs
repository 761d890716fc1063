//! Eviction: measures the folder, and removes the listing of the least recently refreshed library.

use rusqlite::{Connection, OptionalExtension, params};

use super::cached::CachedStatements;
use super::history::restart_history;
use super::ids::listing_text;
use super::library_rows::{LibraryRow, LibraryRows};
use super::store_folder::{BROKEN, NAME};
use super::sweeping::Sweeper;
use super::tx::Tx;
use crate::error::Result;
use crate::model::LibraryId;
use crate::platform::deadline::Deadline;

/// Time in ms during which plexindex does not evict a library after it stored a page of the library's listing.
const ACTIVE_LISTING_MS: i64 = 600_000;
/// Maximum time in ms by which a stored time can be in the future. A later time comes from a wrong clock.
const CLOCK_TOLERANCE_MS: i64 = 60_000;
/// Maximum number of free database pages that one transaction releases.
const VACUUM_PAGES: i64 = 1_000;

impl Sweeper<'_> {
    /// Returns the folder's size in bytes, excluding space that eviction cannot or need not free: damaged databases, free
    /// database pages, the write-ahead log and unreferenced segments. On Windows, an unreferenced segment remains while a process has it mapped.
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
        let segments = self.named_segments()?;
        let is_counted = |name: &str| {
            name != database_name && name != wal_name && !name.contains(BROKEN) && !segments.is_unreferenced(name)
        };
        Ok(used_bytes.cast_unsigned() + self.0.folder.bytes_of(is_counted))
    }

    /// Releases up to [`VACUUM_PAGES`] free database pages to the file system. Returns `true` if more pages are free,
    /// and this call released some, so that another call can release more.
    pub fn vacuum(&self, deadline: Deadline) -> Result<bool> {
        let count_free_pages =
            |connection: &Connection| connection.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0));
        let free_before = self.0.read(count_free_pages)?;
        if free_before == 0 {
            return Ok(false);
        }
        let free_after = self.0.write(deadline, |tx| {
            let mut statement = tx.prepare_cached(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
            let mut rows = statement.raw_query();
            while rows.next()?.is_some() {} // run the pragma to completion
            count_free_pages(tx.connection)
        })?;
        Ok(0 < free_after && free_after < free_before)
    }
}

impl LibraryRows<'_> {
    /// Returns the ids and titles of the libraries that plexindex can evict, least recently refreshed first: libraries
    /// with items from a complete or abandoned listing. Excludes the most recently refreshed library, and libraries
    /// that are being listed.
    pub fn evictable_libraries(&self, now_ms: i64) -> Result<Vec<(LibraryId, String)>> {
        // A check time in the future comes from a wrong clock, so it counts as the oldest.
        let mut libraries: Vec<(LibraryId, String)> = self.0.read(|connection| {
            connection.rows(
                "SELECT l.id, l.title \
                 FROM libraries l LEFT JOIN listings n ON n.library = l.id \
                 WHERE l.view_id > 0 AND (l.generation > 0 OR n.library IS NOT NULL) \
                 AND coalesce(n.touched_ms, 0) NOT BETWEEN ?1 - ?2 AND ?1 + ?3 \
                 AND (l.listed_items > 0 OR n.library IS NOT NULL) \
                 ORDER BY CASE WHEN l.checked_ms > ?1 + ?3 THEN 0 ELSE l.checked_ms END, l.listed_ms, \
                 l.generation_seq",
                params![now_ms, ACTIVE_LISTING_MS, CLOCK_TOLERANCE_MS],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })?;
        libraries.pop(); // the call that refreshed this library still reads it
        Ok(libraries)
    }

    /// Evicts a library to free space in the folder: removes its items, so that the next query fetches it again. Keeps
    /// confirmed matches and invalidations. Returns `false` if the library no longer exists or is being listed.
    pub fn evict(&self, library: LibraryId, now_ms: i64, deadline: Deadline) -> Result<bool> {
        let is_evicted = self.0.write(deadline, |tx| {
            let Some(library_state) = tx.expect_library(library).optional()? else {
                return Ok(false);
            };
            let c = tx.connection;
            // Another process may have started a listing since the caller selected the library.
            let is_being_listed = c.has(
                "SELECT 1 FROM libraries l LEFT JOIN listings n ON n.library = l.id WHERE l.id = ?1 \
                 AND n.touched_ms BETWEEN ?2 - ?3 AND ?2 + ?4",
                params![library, now_ms, ACTIVE_LISTING_MS, CLOCK_TOLERANCE_MS],
            )?;
            if is_being_listed {
                return Ok(false);
            }
            // A negative generation means 'evicted'. A higher `begun_seq` ends an invalidation of the library. A higher
            // `segment_seq` hides single items, whose changes have the kinds 8 and 9.
            c.execute(
                "UPDATE libraries SET generation = -abs(generation), begun_seq = ?2, segment_seq = ?2 WHERE id = ?1",
                params![library, tx.sequence],
            )?;
            drop_listing(tx, library)?;
            c.execute("DELETE FROM changes WHERE library = ?1 AND kind IN (8, 9)", [library])?;
            c.execute("DELETE FROM listings WHERE library = ?1", [library])?;
            c.execute("DELETE FROM path_searches WHERE library IN (?1, -?1)", [library])?;
            c.execute("UPDATE meta SET evictions = evictions + 1", [])?;
            tx.libraries_changed(library_state.identity)?;
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
            let segment = row.segment.as_ref().map(listing_text).unwrap_or_default();
            // A negative generation means that the listing was lost, and `due_seq` requests a full listing.
            let changed_rows = tx.connection.execute(
                "UPDATE libraries SET generation = -generation, due_seq = ?3 WHERE id = ?1 AND generation > 0 \
                 AND segment = ?2",
                params![row.id, segment, tx.sequence],
            )?;
            if changed_rows > 0 {
                drop_listing(tx, row.id)?;
                tx.libraries_changed(library.identity)?;
            }
            Ok(changed_rows > 0)
        })
    }
}

/// Resets a library's row to the state without a listing, except the generation, which the caller sets. `shrunk` is -1
/// if no listing is held back. Keeps the segment file, which a later sweep removes.
fn drop_listing(tx: &Tx<'_>, library: LibraryId) -> rusqlite::Result<()> {
    tx.run(
        "UPDATE libraries SET generation_seq = ?2, listed_items = 0, listed_ms = 0, checked_ms = 0, provisional = 0, \
         shrunk = -1, shrunk_ms = 0, segment = '' WHERE id = ?1",
        params![library, tx.sequence],
    )?;
    tx.run("DELETE FROM shows WHERE library = ?1", [library])?;
    restart_history(tx, library)
}
