//! The table `overlay`: single items that replies brought after the listing, over which they win.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Params, Row, params};
use serde::Serialize;

use super::doubts::OF_A_PATH;
use super::schema::{CachedStatements, Tx};
use crate::engine::memtable::{LibraryChange, MemtableChange};
use crate::knowledge::{FileTickets, Interval};
use crate::model::{Item, LibraryId, Sequence};

/// What a reply said about a single item.
#[derive(Clone, Debug, PartialEq)]
pub enum SingleItem {
    /// The server has it no more.
    Removed,
    /// It is as the listing has it.
    AsListed,
    /// It is new, or different from the listing. `shown`: the tickets of the requests that first showed its files.
    Item { item: Arc<Item>, shown: FileTickets },
}

impl SingleItem {
    /// Returns whether the listing has it otherwise.
    pub fn is_change(&self) -> bool {
        *self != Self::AsListed
    }
}

impl ToSql for SingleItem {
    /// Encodes an item for a cell: NULL if it was removed, and empty if it is as listed.
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Removed => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::AsListed => ToSqlOutput::Borrowed(ValueRef::Blob(b"")),
            Self::Item { item, shown } => {
                let latest = shown.latest();
                let each = if shown.are_all(latest) {
                    Vec::new()
                } else {
                    pack(shown)?
                };
                ToSqlOutput::from([pack(item)?, pack(&latest)?, each].concat())
            }
        })
    }
}

impl FromSql for SingleItem {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_blob_or_null()? {
            None => Ok(Self::Removed),
            Some([]) => Ok(Self::AsListed),
            Some(bytes) => {
                let (item, rest) = match postcard::take_from_bytes(bytes) {
                    Ok(decoded) => decoded,
                    Err(_) => (PackedItem::column_result(value)?.0, &[][..]),
                };
                // Earlier versions wrote only the latest ticket, or none: `OverlayRow::read` then takes the last request.
                let (latest, each) = postcard::take_from_bytes(rest).unwrap_or((Sequence(u64::MAX), b""));
                let shown = postcard::from_bytes(each).unwrap_or(FileTickets::from(latest));
                Ok(Self::Item {
                    item: Arc::new(item),
                    shown,
                })
            }
        }
    }
}

/// Encodes a value for a cell.
pub fn pack<T: Serialize>(value: &T) -> rusqlite::Result<Vec<u8>> {
    postcard::to_stdvec(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// An item that a cell contains in encoded form.
pub struct PackedItem(pub Item);

impl FromSql for PackedItem {
    /// Decodes an item from a cell.
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        // What an earlier version encoded ends before the facts: the byte says that they are unknown.
        let item = postcard::from_bytes(bytes).or_else(|_| postcard::from_bytes(&[bytes, &[0]].concat()));
        item.map(Self).map_err(|error| FromSqlError::Other(error.into()))
    }
}

/// A single item, and when the server sent it.
#[derive(Clone, Debug, PartialEq)]
pub struct OverlayRow {
    pub interval: Interval,
    pub item: SingleItem,
}

/// The columns of an [`OverlayRow`].
const COLUMNS: &str = "asked, came, item";

impl OverlayRow {
    /// Reads a row from the adjacent [`COLUMNS`]. `column`: the index of the first one.
    fn read(row: &Row<'_>, column: usize) -> rusqlite::Result<Self> {
        let (asked, mut single): (Sequence, SingleItem) = (row.get(column)?, row.get(column + 2)?);
        if let SingleItem::Item { shown, .. } = &mut single {
            *shown = std::mem::take(shown).until(asked);
        }
        Ok(Self {
            interval: Interval {
                asked,
                came: row.get(column + 1)?,
            },
            item: single,
        })
    }

    /// Returns whether the server has the item.
    pub fn has_item(&self) -> bool {
        self.item != SingleItem::Removed
    }

    /// Returns the change that a snapshot needs.
    fn into_change(self, rating_key: String) -> MemtableChange {
        let asked = self.interval.asked.0;
        match self.item {
            SingleItem::Removed => MemtableChange::Removed { rating_key, asked },
            SingleItem::AsListed => MemtableChange::AsListed { rating_key, asked },
            SingleItem::Item { item, shown } => MemtableChange::Added { item, asked, shown },
        }
    }
}

/// A library's single items, by rating key.
pub type Overlay = BTreeMap<String, OverlayRow>;

/// Returns a library's single items.
pub fn overlay(c: &Connection, library: LibraryId) -> rusqlite::Result<Overlay> {
    let text = format!("SELECT rating_key, {COLUMNS} FROM overlay WHERE library = ?1");
    let rows = c.rows(&text, [library], |row| Ok((row.get(0)?, OverlayRow::read(row, 1)?)))?;
    Ok(rows.into_iter().collect())
}

/// Returns a single item; `None` if only the listing can have it.
pub fn overlay_row(c: &Connection, library: LibraryId, rating_key: &str) -> rusqlite::Result<Option<OverlayRow>> {
    let text = format!("SELECT {COLUMNS} FROM overlay WHERE library = ?1 AND rating_key = ?2");
    c.find(&text, params![library, rating_key], |row| OverlayRow::read(row, 0))
}

/// Returns the number of single items that a library's listing has otherwise.
pub fn count_changes(c: &Connection, library: LibraryId) -> rusqlite::Result<u64> {
    let text = "SELECT count(*) FROM overlay WHERE library = ?1 AND item IS NOT x''";
    c.value(text, [library]).map(i64::cast_unsigned)
}

/// Returns the single items that a library's listing has otherwise, as changes of a snapshot, and those that were asked
/// for after a path was doubted, which may lead to them.
pub fn changes_of(c: &Connection, library: LibraryId) -> rusqlite::Result<Vec<LibraryChange>> {
    let condition = format!(
        "library = ?1 AND (item IS NOT x'' OR asked > \
         (SELECT min(raised) FROM doubts WHERE library = ?1 AND {OF_A_PATH}))"
    );
    changes_where(c, &condition, [library])
}

/// Returns the single items of all libraries that replies brought after `since`, at most `most`, as changes of a snapshot.
pub fn changes_since(c: &Connection, since: Sequence, most: i64) -> rusqlite::Result<Vec<LibraryChange>> {
    changes_where(c, "came > ?1 ORDER BY came LIMIT ?2", params![since, most])
}

fn changes_where(c: &Connection, condition: &str, values: impl Params) -> rusqlite::Result<Vec<LibraryChange>> {
    let text = format!("SELECT library, rating_key, {COLUMNS} FROM overlay WHERE {condition}");
    c.rows(&text, values, |row| {
        let single = OverlayRow::read(row, 2)?;
        Ok(LibraryChange {
            sequence: single.interval.came,
            library: row.get(0)?,
            change: single.into_change(row.get(1)?),
        })
    })
}

impl Tx<'_> {
    /// Writes a single item, in place of an earlier reply.
    pub fn write_overlay(
        &self,
        library: LibraryId,
        rating_key: &str,
        interval: Interval,
        item: &SingleItem,
    ) -> rusqlite::Result<()> {
        self.run(
            "INSERT OR REPLACE INTO overlay (library, rating_key, asked, came, item) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![library, rating_key, interval.asked, interval.came, item],
        )
    }

    /// Removes the single items up to the change sequence `upto`, which the library's segment now has.
    pub fn trim_overlay(&self, library: LibraryId, upto: Sequence) -> rusqlite::Result<()> {
        self.run(
            "DELETE FROM overlay WHERE library = ?1 AND came <= ?2",
            params![library, upto],
        )
    }
}
