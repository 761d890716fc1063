//! The change log: changes for other processes, written in the transaction that makes them, and trimmed later.

use std::sync::Arc;

use rusqlite::params;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

use super::cached::CachedStatements;
use super::columns::{FromCells, RowCells};
use super::last_write::LibraryState;
use super::packed_items::{PackedItem, pack};
use super::places::{end_of, place_of};
use super::tx::Tx;

use crate::model::{IdentityId, Item, LibraryId, Sequence};

/// A change of one library, for processes that have an earlier snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedChange {
    /// The library's number; 0: all.
    pub library: LibraryId,
    /// The kind of change.
    pub kind: LoggedKind,
    /// The path; empty if the change concerns no path.
    pub path: Vec<u8>,
    /// The rating key; empty if the change concerns no item.
    pub rating_key: String,
    /// The change sequence when it happened.
    pub sequence: Sequence,
    /// The item that it added; `None` for other changes.
    pub item: Option<Arc<Item>>,
}

/// Kinds of change. The numbers are on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(i64)]
pub enum LoggedKind {
    /// The host confirmed a match. This is a record, and not a row of the change log.
    Matched = 1,
    /// A confirmed match was removed. This is a record too.
    Forgotten = 2,
    /// A path was invalidated. plexindex must verify it before it returns it again.
    UnverifiedPath = 3,
    /// An item was invalidated.
    UnverifiedItem = 4,
    /// A request confirmed the path.
    VerifiedPath = 5,
    /// A request confirmed the item.
    VerifiedItem = 6,
    /// Rows of libraries changed. Other processes must read the state again.
    #[default]
    Library = 7,
    /// A single item was removed from the listing.
    Removed = 8,
    /// A single item was added to the listing, or changed.
    Added = 9,
    /// Change tokens, counts or hints of libraries changed, but no item of an answer.
    Freshness = 10,
}

impl LoggedKind {
    /// Converts the number of a kind in the database.
    fn from_number(number: i64) -> Self {
        match number {
            3 => Self::UnverifiedPath,
            4 => Self::UnverifiedItem,
            5 => Self::VerifiedPath,
            6 => Self::VerifiedItem,
            8 => Self::Removed,
            9 => Self::Added,
            10 => Self::Freshness,
            // A newer version wrote it. Reloading everything is always correct.
            _ => Self::Library,
        }
    }
}

impl FromSql for LoggedKind {
    /// Reads a kind from a cell. An unknown number becomes `Library`, which makes the reader reload everything.
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(Self::from_number)
    }
}

impl ToSql for LoggedKind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok((*self as i64).into())
    }
}

impl FromCells for LoggedChange {
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
    /// Logs a change of a library, so that other processes add it to their snapshots. For changes of items see
    /// [`Tx::change_item`]. Path and rating key may both be empty.
    pub fn change(
        &self,
        identity: IdentityId,
        library: LibraryId,
        kind: LoggedKind,
        path: &[u8],
        rating_key: &str,
    ) -> rusqlite::Result<()> {
        self.log((identity, library), kind, (path, rating_key), None)
    }

    /// Logs that a single item was added, changed or removed, and adds the change to the feed if the library is
    /// fetched. `was` and `now`: the item before and after.
    pub fn change_item(
        &self,
        library: &LibraryState,
        rating_key: &str,
        was: Option<&Item>,
        now: Option<&Item>,
    ) -> rusqlite::Result<()> {
        let kind = if now.is_some() {
            LoggedKind::Added
        } else {
            LoggedKind::Removed
        };
        self.log((library.identity, library.id), kind, (b"", rating_key), now)?;
        if library.generation.is_fetched() && (was.is_some() || now.is_some()) {
            self.report(library.id, was, now)?;
        }
        Ok(())
    }

    /// Adds a row to the change log. `item`: the item of an addition.
    fn log(
        &self,
        (identity, library): (IdentityId, LibraryId),
        kind: LoggedKind,
        (path, rating_key): (&[u8], &str),
        item: Option<&Item>,
    ) -> rusqlite::Result<()> {
        let position = place_of(self.sequence, self.next_change());
        self.connection.run(
            "INSERT INTO changes (id, sequence, identity, library, kind, path, rating_key, item) \
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

    /// Adds a change of an item to the feed. `was` and `now`: the item before and after; `None` if the library did not
    /// list it.
    pub fn report(&self, library: LibraryId, was: Option<&Item>, now: Option<&Item>) -> rusqlite::Result<()> {
        let [was, now] = [was.map(pack).transpose()?, now.map(pack).transpose()?];
        self.connection.run(
            "INSERT INTO feed (id, sequence, library, was, now) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                place_of(self.sequence, self.next_report()),
                self.sequence,
                library,
                was,
                now
            ],
        )
    }

    /// Logs that rows of libraries changed, so that other processes reload everything before they answer.
    pub fn libraries_changed(&self, identity: IdentityId) -> rusqlite::Result<()> {
        self.change(identity, LibraryId::ALL, LoggedKind::Library, b"", "")
    }

    /// Logs that the freshness of libraries changed. Fast lookups continue with their snapshot.
    pub fn freshness_changed(&self, identity: IdentityId) -> rusqlite::Result<()> {
        self.change(identity, LibraryId::ALL, LoggedKind::Freshness, b"", "")
    }
}

/// Number of transactions between two trims of old changes.
const TRIM_EVERY: u64 = 1_024;
/// Number of transactions whose changes are kept for processes with an earlier snapshot.
const LOGGED_TRANSACTIONS: u64 = 4 * TRIM_EVERY;

/// Trims the change log once in a while, so that it stays bounded.
pub fn trim_now_and_then(tx: &Tx<'_>) -> rusqlite::Result<()> {
    if tx.sequence.0.is_multiple_of(TRIM_EVERY) {
        trim(tx, Sequence(tx.sequence.0.saturating_sub(LOGGED_TRANSACTIONS)))?;
    }
    Ok(())
}

/// Removes changes up to a sequence, except items that no segment of their library has yet: neither the current one,
/// nor that of a listing under way. Processes with an earlier snapshot reload everything.
pub fn trim(tx: &Tx<'_>, upto: Sequence) -> rusqlite::Result<()> {
    tx.run(
        "DELETE FROM changes WHERE id <= ?2 AND sequence <= ?1 AND NOT (kind IN (8, 9) AND EXISTS \
         (SELECT 1 FROM libraries l LEFT JOIN listings n ON n.library = l.id WHERE l.id = changes.library \
         AND l.identity > 0 AND changes.sequence > min(l.segment_seq, coalesce(n.begun_seq, l.segment_seq))))",
        params![upto, end_of(upto)],
    )?;
    tx.run("UPDATE store SET trimmed = max(trimmed, ?1)", [upto])
}
