//! Eviction: the size of the folder, the least recently used library, and the removal of its listing.

use rusqlite::{Connection, OptionalExtension, params};

use super::cached::CachedStatements;
use super::folder::NAME;
use super::history::begin_anew;
use super::libraries::LibraryRow;
use super::open::Store;
use super::seen;
use crate::error::Result;
use crate::model::LibraryId;
use crate::platform::deadline::Deadline;

/// A listing under way that was touched so lately goes on: the library is being read.
const UNDER_WAY_MS: i64 = 600_000;
/// A stored time further in the future comes from a wrong clock.
const AHEAD_MS: i64 = 60_000;
/// Database pages that one transaction returns to the disk.
const GIVEN_BACK: i64 = 1_000;

/// Whether this listing is still current.
pub fn answers(connection: &Connection, row: &LibraryRow) -> rusqlite::Result<bool> {
    connection.has(
        "SELECT 1 FROM libraries WHERE id = ?1 AND identity > 0 AND generation = ?2",
        params![row.id, row.generation],
    )
}

impl Store {
    /// Notes when libraries were last used; `false` if another process is writing.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn note_asked(&self, asked: &[(LibraryId, i64)]) -> Result<bool> {
        let noted = self.try_write(|tx| {
            let mut note = tx.prepare_cached(
                "UPDATE libraries SET asked_ms = ?2 WHERE id = ?1 AND asked_ms NOT BETWEEN ?2 AND ?2 + ?3",
            )?;
            for (library, ms) in asked {
                note.execute(params![library, ms, AHEAD_MS])?;
            }
            Ok(())
        });
        Ok(noted.transpose()?.is_some())
    }

    /// Bytes that the folder takes once what is free in the database, and the log, are given back.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn bytes_kept(&self) -> Result<u64> {
        let database: i64 = self.read(|connection| {
            connection.query_row(
                "SELECT (page_count - freelist_count) * page_size \
                 FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
                [],
                |row| row.get(0),
            )
        })?;
        let [own, log] = ["", "-wal"].map(|end| format!("{NAME}.db{end}"));
        Ok(database.cast_unsigned() + self.folder.bytes_of(|name| name != own && name != log))
    }

    /// Gives free pages of the database back to the disk, a slice of them. Gives whether some are left.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn give_back(&self, deadline: Deadline) -> Result<bool> {
        let free =
            |connection: &Connection| connection.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0));
        let before = self.read(free)?;
        if before == 0 {
            return Ok(false);
        }
        let left = self.write(deadline, |tx| {
            let mut vacuum = tx.prepare_cached(&format!("PRAGMA incremental_vacuum({GIVEN_BACK})"))?;
            let mut rows = vacuum.raw_query();
            while rows.next()?.is_some() {} // a pragma gives rows
            free(tx.connection)
        })?;
        Ok(0 < left && left < before)
    }

    /// The libraries that have listed items, or some of a listing that was given up: the one that was asked for longest ago
    /// first. Without the one that was asked for last, those that are being listed, and those that were and are about to be
    /// read.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn evictable(&self, now_ms: i64) -> Result<Vec<(LibraryId, String)>> {
        let mut libraries: Vec<(LibraryId, String, bool)> = self.read(|connection| {
            connection.rows(
                "SELECT l.id, l.title, l.wanted_ms BETWEEN ?1 + 1 AND ?1 + ?3 AS wanted \
                 FROM libraries l LEFT JOIN listings n ON n.library = l.id \
                 WHERE l.identity > 0 AND (l.generation > 0 OR n.library IS NOT NULL) \
                 AND coalesce(n.touched_ms, 0) NOT BETWEEN ?1 - ?2 AND ?1 + ?3 \
                 AND EXISTS (SELECT 1 FROM items i WHERE i.library = l.id) \
                 ORDER BY wanted, CASE WHEN l.asked_ms > ?1 + ?3 THEN 0 ELSE l.asked_ms END, l.listed_ms, l.id",
                params![now_ms, UNDER_WAY_MS, AHEAD_MS],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
        })?;
        libraries.pop(); // it would be fetched again at once
        let free = libraries.into_iter().filter(|(.., wanted)| !wanted);
        Ok(free.map(|(id, title, _)| (id, title)).collect())
    }

    /// Unpins libraries that a call has read after fetching them. Returns whether some were pinned.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn have_read(&self, libraries: &[LibraryId], deadline: Deadline) -> Result<bool> {
        if libraries.is_empty() {
            return Ok(false);
        }
        let wanted: Vec<LibraryId> = self.read(|connection| {
            let mut wanted = connection.prepare_cached("SELECT id FROM libraries WHERE wanted_ms <> 0")?;
            wanted.query_map([], |row| row.get(0))?.collect()
        })?;
        if !wanted.iter().any(|id| libraries.contains(id)) {
            return Ok(false);
        }
        self.write(deadline, |tx| {
            let mut read = tx.prepare_cached("UPDATE libraries SET wanted_ms = 0 WHERE id = ?1")?;
            for library in libraries {
                read.execute([library])?;
            }
            Ok(true)
        })
    }

    /// Whether these listings still answer: none was evicted since, made anew, or cleared. What was read of one that was may
    /// be less than there is.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn still_answer<'r>(&self, rows: &(impl Iterator<Item = &'r LibraryRow> + Clone)) -> Result<bool> {
        self.read(|connection| {
            for row in rows.clone() {
                if !answers(connection, row)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Makes a library one that was never fetched, but for its matches and what was invalidated: one short transaction. Its
    /// items are swept by later ones. `false`: it is gone, or is being listed or read by now.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn evict(&self, library: LibraryId, now_ms: i64, deadline: Deadline) -> Result<bool> {
        self.write(deadline, |tx| {
            let Some(living) = tx.expect_library(library).optional()? else {
                return Ok(false);
            };
            let c = tx.connection;
            let busy = c.has(
                "SELECT 1 FROM libraries l LEFT JOIN listings n ON n.library = l.id WHERE l.id = ?1 \
                 AND (n.touched_ms BETWEEN ?2 - ?3 AND ?2 + ?4 OR l.wanted_ms BETWEEN ?2 + 1 AND ?2 + ?4)",
                params![library, now_ms, UNDER_WAY_MS, AHEAD_MS],
            )?;
            if busy {
                return Ok(false);
            }
            // The number stays at or above that of every row not swept yet, so the next generation gets a new one.
            // `begun_seq` moves on, so that a segment begun before this cannot be entered in `segment` any more.
            c.execute(
                "UPDATE libraries SET generation = -max(abs(generation), \
                 coalesce((SELECT generation FROM listings WHERE library = ?1), 0)), generation_seq = ?2, begun_seq = ?2, \
                 listed_items = 0, listed_ms = 0, checked_ms = 0, provisional = 0, shrunk = -1, shrunk_ms = 0, \
                 segment = '', segment_seq = ?2, asked_ms = 0, dead_items = 1 WHERE id = ?1",
                params![library, tx.sequence],
            )?;
            begin_anew(tx, library)?;
            c.execute("DELETE FROM listings WHERE library = ?1", [library])?;
            seen::forget(tx, library)?;
            c.execute("DELETE FROM path_searches WHERE library = ?1", [library])?;
            c.execute("UPDATE store SET evictions = evictions + 1", [])?;
            tx.libraries_changed(living.identity)?;
            Ok(true)
        })
    }
}
