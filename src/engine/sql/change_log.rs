//! The change log, from which other processes read what each transaction changed. Later transactions trim the log.

use std::sync::Arc;

use rusqlite::params;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

use super::cached::CachedStatements;
use super::columns::{FromCells, RowCells};
use super::last_write::LibraryState;
use super::packed_items::{PackedItem, pack};
use super::row_positions::{last_position_of, position_of};
use super::timelines::trim_timelines;
use super::tx::Tx;

use crate::model::{Item, LibraryId, Sequence, ViewId};

/// A change in a library, which processes apply to their earlier snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedChange {
    /// The library id; 0 for all libraries.
    pub library: LibraryId,
    pub kind: LoggedKind,
    /// The path; empty if the change does not affect a path.
    pub path: Vec<u8>,
    /// The rating key; empty if the change does not affect an item.
    pub rating_key: String,
    pub sequence: Sequence,
    /// The added item; `None` for other kinds of change.
    pub item: Option<Arc<Item>>,
}

/// The kinds of changes. Their numbers are stored in the database and must not change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(i64)]
pub enum LoggedKind {
    /// A host confirmed a match. The table `changes` never contains this kind, because `records` has the match.
    MatchRecorded = 1,
    /// A confirmed match was removed. The table `changes` never contains this kind, because `records` has the removal.
    MatchRemoved = 2,
    /// A path was invalidated. plexindex must verify the path before it returns the path's item again.
    UnverifiedPath = 3,
    /// An item was invalidated. plexindex must verify the item before it returns the item again.
    UnverifiedItem = 4,
    /// A request to the server confirmed an invalidated path.
    VerifiedPath = 5,
    /// A request to the server confirmed an invalidated item.
    VerifiedItem = 6,
    /// Libraries changed. Other processes must load a new snapshot, because an old one cannot include this change.
    #[default]
    Library = 7,
    /// A single item was removed from a library's listing.
    Removed = 8,
    /// A single item was added to a library's listing, or replaced in the listing.
    Added = 9,
    /// Only change tokens, item counts or hints changed, so lookups return the same results.
    Freshness = 10,
}

impl LoggedKind {
    /// Converts a number from the database to a kind. The database never contains 1 and 2. An unknown number comes from
    /// a newer version and becomes `Library`, because loading a new snapshot is always correct.
    fn from_number(number: i64) -> Self {
        match number {
            3 => Self::UnverifiedPath,
            4 => Self::UnverifiedItem,
            5 => Self::VerifiedPath,
            6 => Self::VerifiedItem,
            8 => Self::Removed,
            9 => Self::Added,
            10 => Self::Freshness,
            _ => Self::Library,
        }
    }
}

impl FromSql for LoggedKind {
    /// Reads a kind from a column.
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(Self::from_number)
    }
}

impl ToSql for LoggedKind {
    /// Converts a kind to its number for a column.
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok((*self as i64).into())
    }
}

impl FromCells for LoggedChange {
    /// Reads a change from its row in the table `changes`.
    fn from_cells(cells: &mut RowCells<'_, '_>) -> rusqlite::Result<Self> {
        Ok(Self {
            library: cells.get("library")?,
            kind: cells.get("kind")?,
            path: cells.get("path")?,
            rating_key: cells.get("rating_key")?,
            sequence: cells.get("sequence")?,
            item: cells
                .get::<Option<PackedItem>>("item")?
                .map(|packed| Arc::new(packed.0)),
        })
    }
}

impl Tx<'_> {
    /// Logs a change in a library, so that other processes apply the change to their snapshots. `identity`: the
    /// library's view. `path` or `rating_key` is empty if the change affects no path or no item. Not for the kinds
    /// `Added` and `Removed`, which [`Tx::log_item_change`] logs with their items.
    pub fn log_change(
        &self,
        identity: ViewId,
        library: LibraryId,
        kind: LoggedKind,
        path: &[u8],
        rating_key: &str,
    ) -> rusqlite::Result<()> {
        self.log((identity, library), kind, (path, rating_key), None)
    }

    /// Logs that a single item was added, changed or removed. If the library has a listing, also adds the change to the
    /// feed, unless the item is listed neither before nor after. `old_item` and `new_item`: the item before and after
    /// the change; `None` if not listed.
    pub fn log_item_change(
        &self,
        library: &LibraryState,
        rating_key: &str,
        old_item: Option<&Item>,
        new_item: Option<&Item>,
    ) -> rusqlite::Result<()> {
        let kind = if new_item.is_some() {
            LoggedKind::Added
        } else {
            LoggedKind::Removed
        };
        self.log((library.identity, library.id), kind, (b"", rating_key), new_item)?;
        if library.generation.is_fetched() && (old_item.is_some() || new_item.is_some()) {
            self.add_to_feed(library.id, old_item, new_item)?;
        }
        Ok(())
    }

    /// Appends a row to the change log. `identity`: the library's view. `path` or `rating_key` is empty if the change
    /// affects no path or no item. `item`: the added item; `None` for other kinds of change.
    fn log(
        &self,
        (identity, library): (ViewId, LibraryId),
        kind: LoggedKind,
        (path, rating_key): (&[u8], &str),
        item: Option<&Item>,
    ) -> rusqlite::Result<()> {
        let position = position_of(self.sequence, self.next_log_number());
        self.connection.run(
            "INSERT INTO changes (id, sequence, view_id, library, kind, path, rating_key, item) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                position,
                self.sequence,
                identity,
                library,
                kind,
                path,
                rating_key,
                item.map(pack).transpose()?
            ],
        )
    }

    /// Adds an item's change to the feed. `old_item` and `new_item`: the item before and after the change; `None` if
    /// not listed.
    pub fn add_to_feed(
        &self,
        library: LibraryId,
        old_item: Option<&Item>,
        new_item: Option<&Item>,
    ) -> rusqlite::Result<()> {
        let [old_item, new_item] = [old_item.map(pack).transpose()?, new_item.map(pack).transpose()?];
        self.connection.run(
            "INSERT INTO feed (id, sequence, library, was, now) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                position_of(self.sequence, self.next_feed_number()),
                self.sequence,
                library,
                old_item,
                new_item
            ],
        )
    }

    /// Logs that a view's libraries or their listings changed, so that other processes load a new snapshot.
    pub fn libraries_changed(&self, identity: ViewId) -> rusqlite::Result<()> {
        self.log_change(identity, LibraryId::ALL, LoggedKind::Library, b"", "")
    }

    /// Logs that only change tokens, item counts or hints in a view changed, so fast lookups keep their snapshots.
    pub fn freshness_changed(&self, identity: ViewId) -> rusqlite::Result<()> {
        self.log_change(identity, LibraryId::ALL, LoggedKind::Freshness, b"", "")
    }
}

/// Number of transactions between two trims of the change log.
const TRIM_EVERY: u64 = 1_024;
/// Number of transactions whose changes a trim keeps, for processes with an earlier snapshot.
const LOGGED_TRANSACTIONS: u64 = 4 * TRIM_EVERY;

/// Once every [`TRIM_EVERY`] transactions, trims the change log to the last [`LOGGED_TRANSACTIONS`] transactions, so
/// that the log stays small, and deletes old timelines.
pub fn trim_now_and_then(tx: &Tx<'_>) -> rusqlite::Result<()> {
    if tx.sequence.0.is_multiple_of(TRIM_EVERY) {
        trim(tx, Sequence(tx.sequence.0.saturating_sub(LOGGED_TRANSACTIONS)))?;
        trim_timelines(tx)?;
    }
    Ok(())
}

/// Deletes the changes up to the change sequence `upto`. A process with an earlier snapshot then loads a new snapshot.
/// Keeps changes to single items that a library's current segment or its unfinished listing does not contain yet.
pub fn trim(tx: &Tx<'_>, upto: Sequence) -> rusqlite::Result<()> {
    // Kinds 8 and 9 are changes to single items. A removed library has a negative `view_id`. `id` contains only the
    // low bits of a change sequence, but is the primary key.
    tx.run(
        "DELETE FROM changes WHERE id <= ?2 AND sequence <= ?1 AND NOT (kind IN (8, 9) AND EXISTS \
         (SELECT 1 FROM libraries l LEFT JOIN listings n ON n.library = l.id WHERE l.id = changes.library \
         AND l.view_id > 0 AND changes.sequence > min(l.segment_seq, coalesce(n.begun_seq, l.segment_seq))))",
        params![upto, last_position_of(upto)],
    )?;
    tx.run("UPDATE meta SET trimmed = max(trimmed, ?1)", [upto])
}
