//! Indexes of items by GUID and title, built at the first search.

use rusqlite::types::ToSql;
use rusqlite::{Connection, Params, Statement, params};

use super::cached::CachedStatements;
use super::columns::{FromCells, list, read};
use super::items::{ABOVE, ItemRow, ItemRows};
use super::libraries::{LibraryRow, is_current};
use super::tx::Tx;
use crate::error::Result;
use crate::model::{Item, LibraryId};
use crate::platform::deadline::Deadline;

/// With more rows than this without an index entry, a search brings the index up to date first.
const MAX_UNINDEXED: i64 = 1_000;

/// Row numbers that one transaction indexes.
const SLICE: i64 = if cfg!(test) { 20 } else { 20_000 };

/// The entries of an item in an index.
pub trait Indexed: FromCells {
    /// The type of the keys.
    type Key: Ord + ToSql;
    /// The column of `store` with the row number up to which all items are in the index.
    const UPTO: &'static str;
    /// The statement that adds an entry: library ?1, key ?2, item ?3.
    const ADD: &'static str;
    /// The statement that removes an entry.
    const REMOVE: &'static str;

    /// The item's library and row number.
    fn item(&self) -> (LibraryId, i64);
    /// Its keys.
    fn keys(&self) -> impl Iterator<Item = Self::Key>;
}

/// Removes an item's entries.
pub fn forget<I: Indexed>(tx: &Tx<'_>, item: &I) -> rusqlite::Result<()> {
    let (library, id) = item.item();
    let mut statement = tx.prepare_cached(I::REMOVE)?;
    for key in item.keys() {
        statement.execute(params![library, key, id])?;
    }
    Ok(())
}

impl ItemRows<'_> {
    /// Brings an index up to date if necessary, and finds items with `find`.
    pub(super) fn find_indexed<I: Indexed>(
        &self,
        row: &LibraryRow,
        deadline: Deadline,
        find: impl Fn(&Connection) -> rusqlite::Result<Hits>,
    ) -> Result<Hits> {
        let hits = |connection: &Connection| {
            let found = find(connection)?;
            let is_current = is_current(connection, row)?;
            Ok(Hits { is_current, ..found })
        };
        // Usually the index has all items of the library, and one transaction is enough.
        let known = self.0.read(|c| {
            let lacks_some = match gap::<I>(c)? {
                Some((upto, last)) => last - upto > MAX_UNINDEXED || has_items_after(c, row.id, upto)?,
                None => false,
            };
            (!lacks_some).then(|| hits(c)).transpose()
        })?;
        if let Some(hits) = known {
            return Ok(hits);
        }
        while self.0.write(deadline, index_slice::<I>)? {}
        self.0.read(hits)
    }
}

/// The row number up to which an index has all items, and the last one in use; `None` if the index is complete.
fn gap<I: Indexed>(c: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    c.find(
        &format!("SELECT {}, last_item FROM store WHERE {0} < last_item", I::UPTO),
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Returns whether a library has items after this row.
fn has_items_after(c: &Connection, library: LibraryId, row: i64) -> rusqlite::Result<bool> {
    c.query_row(
        "SELECT EXISTS (SELECT 1 FROM items WHERE +library = ?1 AND id > ?2)",
        params![library, row],
        |found| found.get(0),
    )
}

/// Indexes a slice of the rows that an index lacks. Returns whether more are left.
fn index_slice<I: Indexed>(tx: &Tx<'_>) -> rusqlite::Result<bool> {
    let c = tx.connection;
    let Some((upto, last_item)) = gap::<I>(c)? else {
        return Ok(false);
    };
    // Deleted rows leave gaps, so a slice of an old store has few rows.
    let last = last_item.min(upto.saturating_add(SLICE));
    let rows: Vec<I> = c.rows(
        &format!(
            "SELECT {} FROM items i {ABOVE} WHERE i.id > ?1 AND i.id <= ?2",
            list::<I>()
        ),
        [upto, last],
        read,
    )?;
    let mut entries: Vec<(LibraryId, I::Key, i64)> = Vec::with_capacity(rows.len());
    for row in &rows {
        let (library, id) = row.item();
        entries.extend(row.keys().map(|key| (library, key, id)));
    }
    entries.sort_unstable(); // adding them in the order of the table is three times as fast
    let mut add = c.prepare_cached(I::ADD)?;
    for (library, key, item) in entries {
        add.execute(params![library, key, item])?;
    }
    c.run(&format!("UPDATE store SET {} = ?1", I::UPTO), [last])?;
    Ok(last < last_item)
}

/// The statement that reads the listed items of a library (?1) with an entry `e` of this index.
pub fn items_of(index: &str, condition: &str) -> String {
    format!(
        "SELECT {} FROM {index} e CROSS JOIN items i ON i.id = e.item CROSS JOIN libraries l ON l.id = i.library {ABOVE} \
         WHERE i.library = ?1 AND {condition} AND i.born <= l.generation AND (i.died IS NULL OR i.died > l.generation) \
         ORDER BY e.item",
        list::<ItemRow>()
    )
}

/// Items found in a library.
#[derive(Debug, Default, PartialEq)]
pub struct Hits {
    /// At most the requested number of items.
    pub items: Vec<Item>,
    /// The number of all items found.
    pub total: usize,
    /// Whether no item has this title, so that `items` have its words instead.
    pub by_words: bool,
    /// Whether the caller's listing was still current. If not, items may be missing.
    pub is_current: bool,
}

impl Hits {
    /// Counts the rows for which `is_hit` is true, and keeps at most `limit` of them.
    pub fn add(
        &mut self,
        select: &mut Statement<'_>,
        params: impl Params,
        limit: usize,
        is_hit: impl Fn(&Item) -> bool,
    ) -> rusqlite::Result<()> {
        for row in select.query_map(params, read::<ItemRow>)? {
            let item = row?.item;
            if is_hit(&item) {
                self.total += 1;
                if self.items.len() < limit {
                    self.items.push(item);
                }
            }
        }
        Ok(())
    }
}
