//! Eviction: measures the folder, finds the library that was refreshed longest ago, and removes its listing.

use rusqlite::{Connection, OptionalExtension, params};

use super::cached::CachedStatements;
use super::history::restart_history;
use super::ids::listing_text;
use super::library_rows::{LibraryRow, LibraryRows};
use super::store_folder::NAME;
use super::sweeping::Sweeper;
use super::tx::Tx;
use crate::error::Result;
use crate::model::LibraryId;
use crate::platform::deadline::Deadline;

/// A listing whose last page was stored less than this ago counts as active: its library is not evicted.
const ACTIVE_LISTING_MS: i64 = 600_000;
/// A stored time further in the future comes from a wrong clock.
const CLOCK_TOLERANCE_MS: i64 = 60_000;
/// Database pages that one transaction returns to the disk.
const VACUUM_PAGES: i64 = 1_000;

impl Sweeper<'_> {
    /// Returns the size of the folder in bytes, without free pages of the database, the write-ahead log, and dead
    /// segments, which stay on Windows as long as a process has them mapped.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn bytes_after_vacuum(&self) -> Result<u64> {
        let database: i64 = self.0.read(|connection| {
            connection.query_row(
                "SELECT (page_count - freelist_count) * page_size \
                 FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
                [],
                |row| row.get(0),
            )
        })?;
        let [own, log] = ["", "-wal"].map(|end| format!("{NAME}.db{end}"));
        let named = self.named_segments()?;
        let counts = |name: &str| name != own && name != log && !named.lack(name);
        Ok(database.cast_unsigned() + self.0.folder.bytes_of(counts))
    }

    /// Returns up to [`VACUUM_PAGES`] free pages of the database to the disk. Returns whether more are free.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn vacuum(&self, deadline: Deadline) -> Result<bool> {
        let free =
            |connection: &Connection| connection.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0));
        let before = self.0.read(free)?;
        if before == 0 {
            return Ok(false);
        }
        let left = self.0.write(deadline, |tx| {
            let mut vacuum = tx.prepare_cached(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
            let mut rows = vacuum.raw_query();
            while rows.next()?.is_some() {} // a pragma returns rows
            free(tx.connection)
        })?;
        Ok(0 < left && left < before)
    }
}

impl LibraryRows<'_> {
    /// Returns the libraries that may be evicted, the one refreshed longest ago first. A library can be evicted if it
    /// has items, from a complete listing or from an abandoned one. Excludes the library that was refreshed last, and
    /// those that are being listed.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn evictable(&self, now_ms: i64) -> Result<Vec<(LibraryId, String)>> {
        let mut libraries: Vec<(LibraryId, String)> = self.0.read(|connection| {
            connection.rows(
                "SELECT l.id, l.title \
                 FROM libraries l LEFT JOIN listings n ON n.library = l.id \
                 WHERE l.identity > 0 AND (l.generation > 0 OR n.library IS NOT NULL) \
                 AND coalesce(n.touched_ms, 0) NOT BETWEEN ?1 - ?2 AND ?1 + ?3 \
                 AND (l.listed_items > 0 OR n.library IS NOT NULL) \
                 ORDER BY CASE WHEN l.checked_ms > ?1 + ?3 THEN 0 ELSE l.checked_ms END, l.listed_ms, \
                 l.generation_seq",
                params![now_ms, ACTIVE_LISTING_MS, CLOCK_TOLERANCE_MS],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })?;
        libraries.pop(); // the call that listed it reads it
        Ok(libraries)
    }

    /// Evicts a library to free space in the folder, in one short transaction: from then on the library counts as never
    /// fetched. Confirmed matches and invalidations stay. Returns `false` if the library is gone, or is being listed.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn evict(&self, library: LibraryId, now_ms: i64, deadline: Deadline) -> Result<bool> {
        let is_evicted = self.0.write(deadline, |tx| {
            let Some(library_state) = tx.expect_library(library).optional()? else {
                return Ok(false);
            };
            let c = tx.connection;
            let busy = c.has(
                "SELECT 1 FROM libraries l LEFT JOIN listings n ON n.library = l.id WHERE l.id = ?1 \
                 AND n.touched_ms BETWEEN ?2 - ?3 AND ?2 + ?4",
                params![library, now_ms, ACTIVE_LISTING_MS, CLOCK_TOLERANCE_MS],
            )?;
            if busy {
                return Ok(false);
            }
            // A negative generation means 'never fetched'. A higher `begun_seq` ends an invalidation, so that the
            // library is not due. A higher `segment_seq` hides the single items, whose changes have the kinds 8 and 9.
            c.execute(
                "UPDATE libraries SET generation = -abs(generation), begun_seq = ?2, segment_seq = ?2 WHERE id = ?1",
                params![library, tx.sequence],
            )?;
            drop_listing(tx, library)?;
            c.execute("DELETE FROM changes WHERE library = ?1 AND kind IN (8, 9)", [library])?;
            c.execute("DELETE FROM listings WHERE library = ?1", [library])?;
            c.execute("DELETE FROM path_searches WHERE library = ?1", [library])?;
            c.execute("UPDATE store SET evictions = evictions + 1", [])?;
            tx.libraries_changed(library_state.identity)?;
            Ok(true)
        })?;
        if is_evicted {
            Sweeper(self.0).remove_segments_of(&[library]);
        }
        Ok(is_evicted)
    }

    /// Gives up a listing whose segment is missing or damaged: the library counts as never fetched, and a full listing
    /// is due. Single items since the listing stay. Returns `false` if the library has another segment now.
    pub fn lose_listing(&self, row: &LibraryRow, deadline: Deadline) -> Result<bool> {
        self.0.write(deadline, |tx| {
            let Some(library) = tx.expect_library(row.id).optional()? else {
                return Ok(false);
            };
            let segment = row.segment.as_ref().map(listing_text).unwrap_or_default();
            let lost = tx.connection.execute(
                "UPDATE libraries SET generation = -generation, due_seq = ?3 WHERE id = ?1 AND generation > 0 \
                 AND segment = ?2",
                params![row.id, segment, tx.sequence],
            )?;
            if lost > 0 {
                drop_listing(tx, row.id)?;
                tx.libraries_changed(library.identity)?;
            }
            Ok(lost > 0)
        })
    }
}

/// Removes the listing of a library from its row. The file of its segment stays for a while.
fn drop_listing(tx: &Tx<'_>, library: LibraryId) -> rusqlite::Result<()> {
    tx.run(
        "UPDATE libraries SET generation_seq = ?2, listed_items = 0, listed_ms = 0, checked_ms = 0, provisional = 0, \
         shrunk = -1, shrunk_ms = 0, segment = '' WHERE id = ?1",
        params![library, tx.sequence],
    )?;
    restart_history(tx, library)
}
