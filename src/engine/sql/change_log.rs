//! The change log, from which other processes read what each transaction changed. Later transactions trim the log. Also
//! the counters of the store, and sweeps of rows that no reader can see.

use std::sync::Arc;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::schema::{CachedStatements, FromCells, LibraryState, RowCells, Tx, last_position_of, position_of};
use super::store::Store;
use crate::engine::memtable::MemtableChange;
use crate::engine::version_page::VersionPage;
use crate::error::Result;
use crate::model::{Item, LibraryId, Sequence, TableId, ViewId};
use crate::platform::deadline::Deadline;

/// A change in a library, which processes apply to their earlier snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedChange {
    /// The library id; 0 for all libraries.
    pub library: LibraryId,
    /// The change of a match, an item or an invalidation; `None` if libraries changed. Other processes must then load a
    /// new snapshot, because an old one cannot include this change.
    pub change: Option<MemtableChange>,
}

// The kinds of changes, as stored in the database. Confirmed matches are in `records`.
const UNVERIFIED_PATH: i64 = 3;
const UNVERIFIED_ITEM: i64 = 4;
const VERIFIED_ITEM: i64 = 6;
const LIBRARY: i64 = 7;
const REMOVED: i64 = 8;
const ADDED: i64 = 9;
/// A reply about a single item was as the listing has it. Readers need not know. A statement that leaves it out still names
/// it (`kind IN (8, 9, 11) AND kind <> 11`), because SQLite uses the index of single items only then.
pub const AS_LISTED: i64 = 11;

impl FromCells for LoggedChange {
    /// Reads a change from its row in the table `changes`. An unknown kind comes from another version, such as 10 from
    /// an older one, and becomes a change of libraries, because loading a new snapshot is always correct.
    fn from_cells(cells: &mut RowCells<'_, '_>) -> rusqlite::Result<Self> {
        let (library, kind): (_, i64) = (cells.get("library")?, cells.get("kind")?);
        let (path, rating_key): (Vec<u8>, String) = (cells.get("path")?, cells.get("rating_key")?);
        let (sequence, item): (Sequence, Option<PackedItem>) = (cells.get("sequence")?, cells.get("item")?);
        let change = match kind {
            UNVERIFIED_PATH => Some(MemtableChange::UnverifiedPath {
                path,
                raised: sequence.0,
            }),
            UNVERIFIED_ITEM => Some(MemtableChange::UnverifiedItem { rating_key }),
            VERIFIED_ITEM => Some(MemtableChange::VerifiedItem { rating_key }),
            REMOVED => Some(MemtableChange::Removed { rating_key }),
            ADDED => item.map(|packed| MemtableChange::Added {
                item: Arc::new(packed.0),
                asked: asked_in(&path, sequence).0,
            }),
            _ => None,
        };
        Ok(Self { library, change })
    }
}

impl Tx<'_> {
    /// Logs a single item; `None` if it was removed. `asked`: the ticket of the request, which the column `path` stores.
    pub fn log_item(
        &self,
        library: &LibraryState,
        asked: Sequence,
        rating_key: &str,
        item: Option<&Item>,
    ) -> rusqlite::Result<()> {
        let kind = if item.is_some() { ADDED } else { REMOVED };
        self.log(
            library.view_id,
            library.id,
            kind,
            &asked.0.to_be_bytes(),
            rating_key,
            item,
        )
    }

    /// Logs that a reply about a single item was as the listing has it.
    pub fn log_as_listed(&self, library: &LibraryState, asked: Sequence, rating_key: &str) -> rusqlite::Result<()> {
        self.log(
            library.view_id,
            library.id,
            AS_LISTED,
            &asked.0.to_be_bytes(),
            rating_key,
            None,
        )
    }

    /// Logs whether an item is doubted.
    pub fn log_item_doubt(
        &self,
        view_id: ViewId,
        library: LibraryId,
        rating_key: &str,
        is_doubted: bool,
    ) -> rusqlite::Result<()> {
        let kind = if is_doubted { UNVERIFIED_ITEM } else { VERIFIED_ITEM };
        self.log(view_id, library, kind, b"", rating_key, None)
    }

    /// Logs that a path is doubted from now on.
    pub fn log_path_doubt(&self, view_id: ViewId, library: LibraryId, path: &[u8]) -> rusqlite::Result<()> {
        self.log(view_id, library, UNVERIFIED_PATH, path, "", None)
    }

    /// Appends a row to the change log, so that other processes apply the change to their snapshots. `view_id`: the
    /// library's view. `path` or `rating_key` is empty if the change affects no path or no item. `item`: the added
    /// item; `None` for other kinds of change.
    pub fn log(
        &self,
        view_id: ViewId,
        library: LibraryId,
        kind: i64,
        path: &[u8],
        rating_key: &str,
        item: Option<&Item>,
    ) -> rusqlite::Result<()> {
        let position = position_of(self.sequence, self.next_log_number());
        self.connection.run(
            "INSERT INTO changes (id, sequence, view_id, library, kind, path, rating_key, item) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                position,
                self.sequence,
                view_id,
                library,
                kind,
                path,
                rating_key,
                item.map(pack).transpose()?
            ],
        )
    }

    /// Logs that a view's libraries, their listings, or the ages of these changed, so that other processes load a new
    /// snapshot.
    pub fn libraries_changed(&self, view_id: ViewId) -> rusqlite::Result<()> {
        self.log(view_id, LibraryId::ALL, LIBRARY, b"", "", None)
    }
}

/// Reads the ticket of the request for a single item from the column `path`. A change from an earlier version has none:
/// then, its request began before the commit (`came`).
pub fn asked_in(path: &[u8], came: Sequence) -> Sequence {
    let bytes = <[u8; 8]>::try_from(path);
    bytes.map_or(came.previous(), |bytes| Sequence(u64::from_be_bytes(bytes)))
}

/// Number of transactions between two trims of the change log.
const TRIM_EVERY: u64 = 1_024;
/// Number of transactions whose changes a trim keeps, for processes with an earlier snapshot.
const LOGGED_TRANSACTIONS: u64 = 4 * TRIM_EVERY;

/// Once every [`TRIM_EVERY`] transactions, trims the change log to the last [`LOGGED_TRANSACTIONS`] transactions, so
/// that the log stays small.
pub fn trim_now_and_then(tx: &Tx<'_>) -> rusqlite::Result<()> {
    if tx.sequence.0.is_multiple_of(TRIM_EVERY) {
        trim(tx, Sequence(tx.sequence.0.saturating_sub(LOGGED_TRANSACTIONS)))?;
    }
    Ok(())
}

/// Deletes the changes up to the change sequence `upto`. A process with an earlier snapshot then loads a new snapshot.
/// Keeps changes to single items that a library's current segment or its unfinished listing does not contain yet.
pub fn trim(tx: &Tx<'_>, upto: Sequence) -> rusqlite::Result<()> {
    // Kinds 8, 9 and 11 are replies about single items. A removed library has a negative `view_id`. `id` contains only the
    // low bits of a change sequence, but is the primary key.
    tx.run(
        "DELETE FROM changes WHERE id <= ?2 AND sequence <= ?1 AND NOT (kind IN (8, 9, 11) AND EXISTS \
         (SELECT 1 FROM libraries l LEFT JOIN listings n ON n.library = l.id WHERE l.id = changes.library \
         AND l.view_id > 0 AND changes.sequence > min(l.segment_seq, coalesce(n.begun_seq, l.segment_seq))))",
        params![upto, last_position_of(upto)],
    )?;
    tx.run("UPDATE meta SET trimmed = max(trimmed, ?1)", [upto])
}

/// Encodes an item for a cell.
pub fn pack(item: &Item) -> rusqlite::Result<Vec<u8>> {
    postcard::to_stdvec(item).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// An item that a cell contains in encoded form.
pub struct PackedItem(pub Item);

impl FromSql for PackedItem {
    /// Decodes an item from a cell.
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let item = postcard::from_bytes(value.as_blob()?);
        item.map(Self).map_err(|error| FromSqlError::Other(error.into()))
    }
}

/// Maximum number of rows that one write examines in order to sweep cleared tables.
const CLEARED_PER_WRITE: i64 = 400;

/// Removes rows and files that a store no longer needs.
pub struct Sweeper<'s>(pub &'s Store);

impl Sweeper<'_> {
    /// Deletes rows that no reader can see. Returns whether more rows may remain.
    pub fn sweep(&self, deadline: Deadline) -> Result<bool> {
        self.0.write(deadline, |tx| {
            // A removed library has a negative `view_id`. Without a library, its match table counts as cleared.
            tx.run(
                "UPDATE tables SET library = NULL WHERE library IN (SELECT id FROM libraries WHERE view_id < 0)",
                [],
            )?;
            if sweep_cleared(tx.connection)? {
                return Ok(true);
            }
            // The kinds 8, 9 and 11 are replies about single items.
            for statement in [
                "DELETE FROM changes WHERE kind IN (8, 9, 11) AND library IN (SELECT id FROM libraries WHERE view_id < 0)",
                "DELETE FROM shows WHERE library IN (SELECT id FROM libraries WHERE view_id < 0)",
                "DELETE FROM doubts WHERE library IN (SELECT id FROM libraries WHERE view_id < 0)",
                "DELETE FROM listings WHERE library IN (SELECT id FROM libraries WHERE view_id < 0)",
                "DELETE FROM libraries WHERE view_id < 0",
                "PRAGMA incremental_vacuum(256)", // only 256 pages, so that the write stays short
            ] {
                let mut statement = tx.prepare_cached(statement)?;
                let mut rows = statement.raw_query();
                while rows.next()?.is_some() {} // run the pragma to completion
            }
            Ok(false)
        })
    }
}

/// Deletes some records of a cleared table, or the table's row if no records are left. Returns whether there was a
/// cleared table, so that a later call must continue.
pub fn sweep_cleared(c: &Connection) -> rusqlite::Result<bool> {
    let cleared: Option<(TableId, i64)> = c.find(
        "SELECT id, swept FROM tables WHERE name IS NULL AND library IS NULL LIMIT 1",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let Some((id, swept_upto)) = cleared else {
        return Ok(false);
    };
    let last_row: Option<i64> = c.value(
        "SELECT max(id) FROM (SELECT id FROM records WHERE id > ?1 ORDER BY id LIMIT ?2)",
        params![swept_upto, CLEARED_PER_WRITE],
    )?;
    let Some(last_row) = last_row else {
        c.run("DELETE FROM tables WHERE id = ?1", [id])?;
        return Ok(true);
    };
    c.run(
        "DELETE FROM records WHERE id > ?1 AND id <= ?2 AND in_table = ?3",
        params![swept_upto, last_row, id],
    )?;
    c.run("UPDATE tables SET swept = ?2 WHERE id = ?1", params![id, last_row])?;
    Ok(true)
}

/// Counters since the creation of the store: requests to the server, answered lookups, and evictions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub requests: u64,
    pub answers: u64,
    pub evictions: u64,
}

impl Totals {
    /// Reads the counters, including answers that are counted only on the version page.
    pub fn of(store: &Store) -> Result<Self> {
        let answers_on_page = store.opened.newest().page.as_ref().map_or(0, VersionPage::answers);
        store.read(|connection| {
            connection.row("SELECT requests, answers, evictions FROM meta", [], |row| {
                Ok(Totals {
                    requests: row.get::<_, i64>(0)?.cast_unsigned(),
                    answers: row.get::<_, i64>(1)?.cast_unsigned() + answers_on_page,
                    evictions: row.get::<_, i64>(2)?.cast_unsigned(),
                })
            })
        })
    }

    /// Adds new `requests` and `answers` to the store's counters, and moves the answer count from the version page to
    /// the store. Adds nothing and returns `false` if other processes keep writing until the deadline.
    pub fn add(store: &Store, requests: u64, answers: u64, deadline: Deadline) -> Result<bool> {
        let answers_on_page = store
            .opened
            .newest()
            .page
            .as_ref()
            .map_or(0, VersionPage::take_answer_count);
        let added = store.write_unless_busy(deadline, |tx| {
            tx.run(
                "UPDATE meta SET requests = requests + ?1, answers = answers + ?2",
                [requests.cast_signed(), (answers + answers_on_page).cast_signed()],
            )
        });
        // If the store has not counted the answers, move them back to the page.
        if !matches!(added, Ok(Some(()))) {
            Self::count_on_page(store, answers_on_page);
        }
        Ok(added?.is_some())
    }

    /// Adds `answers` to the answer count on the version page, so that a process that only does lookups need not write
    /// to the store. A later writer moves the count to the store. Returns `false` if there is no valid page.
    pub fn count_on_page(store: &Store, answers: u64) -> bool {
        let opened = store.opened.newest();
        let page = opened.page.as_ref().filter(|_| opened.is_page_valid());
        page.inspect(|page| page.count_answers(answers)).is_some()
    }
}
