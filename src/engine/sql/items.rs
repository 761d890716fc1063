//! Items, and the seasons and shows they belong to.
//!
//! A row of `items` is visible in the generations from `born` on and before `died`.

use rusqlite::{Connection, params};
use xxhash_rust::xxh3::xxh3_64;

use super::cached::CachedStatements;
use super::columns::{FromCells, RowCells, list, read};
use super::libraries::LibraryRow;
use super::store::Store;
use super::texts::ItemTexts;
use crate::error::Result;
use crate::model::{Generation, Item, ItemType, LibraryId, Sequence};

/// A row of `items` with its season and show: the result of a SELECT from `items i` and [`ABOVE`].
pub struct ItemRow {
    /// The number of the row.
    pub id: i64,
    /// The item itself.
    pub item: Item,
    /// The change sequence at which the item was added one by one; 0 if a listing added it.
    pub since: Sequence,
}

/// Joins the season and the show of `items i`.
pub const ABOVE: &str = "LEFT JOIN parents p ON p.id = i.parent AND p.above IS NOT NULL \
     LEFT JOIN parents s ON s.id = coalesce(p.above, i.parent)";

/// A library of more pages than this is read in the order of the table, see [`batch`].
const MAX_SORTED_PAGES: i64 = 4;
/// Row numbers per item that a page scans before it uses the library's index.
const MAX_SCAN_PER_ITEM: i64 = 64;

impl FromCells for ItemRow {
    fn from_cells(cells: &mut RowCells<'_, '_>) -> rusqlite::Result<Self> {
        let text =
            |cells: &mut RowCells<'_, '_>, column| cells.get::<Option<String>>(column).map(Option::unwrap_or_default);
        let ItemTexts {
            title,
            guid,
            guids,
            parts,
        } = cells.get("i.texts")?;
        Ok(Self {
            id: cells.get("i.id")?,
            since: cells.get("i.since")?,
            item: Item {
                rating_key: cells.get("i.rating_key")?,
                kind: ItemType::from_number(cells.get("i.kind")?),
                title,
                year: cells.get("i.year")?,
                show_title: text(cells, "s.title")?,
                show_rating_key: text(cells, "s.rating_key")?,
                show_guid: text(cells, "s.guid")?,
                season_title: text(cells, "p.title")?,
                season_rating_key: text(cells, "p.rating_key")?,
                season_guid: text(cells, "p.guid")?,
                season: cells.get("i.season")?,
                episode: cells.get("i.episode")?,
                guid,
                guids,
                parts,
            },
        })
    }
}

/// A store's rows of items.
pub struct ItemRows<'s>(pub &'s Store);

impl ItemRows<'_> {
    /// Passes the items of a generation to `each`, in the order of their rows, with [`ItemRow::since`].
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], or an error of `each`.
    pub fn for_each_item(
        &self,
        library: LibraryId,
        generation: Generation,
        each: &mut dyn FnMut(Item, Sequence) -> Result<()>,
    ) -> Result<()> {
        // Read in batches: between them the connection is unlocked, and no read transaction is open.
        let mut after = 0_i64;
        loop {
            let batch = self.0.read(|c| {
                check_whole(c, library, generation)?;
                batch(c, library, generation, after, 10_000)
            })?;
            let Some(last) = batch.last() else {
                return Ok(());
            };
            after = last.id;
            for row in batch {
                each(row.item, row.since)?;
            }
        }
    }

    /// At most `limit` items of a generation whose row numbers are above `after`, with their row numbers.
    pub fn items_after(
        &self,
        library: LibraryId,
        generation: Generation,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Item)>> {
        let rows = self.0.read(|c| batch(c, library, generation, after, limit))?;
        Ok(rows.into_iter().map(|row| (row.id, row.item)).collect())
    }

    /// Returns whether the current generation has exactly this item, with equal content.
    pub fn has(&self, row: &LibraryRow, item: &Item) -> Result<bool> {
        let known = self.0.read(|c| visible(c, row.id, row.generation, &item.rating_key))?;
        Ok(known.is_some_and(|(_, known)| known == digest(item)))
    }

    /// Returns whether the current generation has an item with one of these rating keys.
    pub fn has_any(&self, row: &LibraryRow, rating_keys: &[String]) -> Result<bool> {
        if rating_keys.is_empty() {
            return Ok(false);
        }
        self.0.read(|connection| {
            for key in rating_keys {
                if visible(connection, row.id, row.generation, key)?.is_some() {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// Passes the rating keys of the current generation to `each`, in no order.
    pub fn keys(&self, row: &LibraryRow, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.0.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT rating_key FROM items WHERE library = ?1 AND born <= ?2 AND (died IS NULL OR died > ?2)",
            )?;
            let mut keys = statement.query(params![row.id, row.generation])?;
            while let Some(key) = keys.next()? {
                each(key.get_ref(0)?.as_str()?);
            }
            Ok(())
        })
    }
}

/// The item of a row, if the current generation of its library shows it.
pub fn live_item(connection: &Connection, id: i64) -> rusqlite::Result<Option<Item>> {
    let is_live = "i.born <= l.generation AND (i.died IS NULL OR i.died > l.generation)";
    let row = connection.find(
        &format!(
            "SELECT {} FROM items i JOIN libraries l ON l.id = i.library {ABOVE} WHERE i.id = ?1 AND {is_live}",
            list::<ItemRow>()
        ),
        [id],
        read::<ItemRow>,
    )?;
    Ok(row.map(|row| row.item))
}

/// Returns whether the current generation of a library has an item with this key.
pub fn is_shown(connection: &Connection, library: LibraryId, rating_key: &str) -> rusqlite::Result<bool> {
    let generation = connection.value("SELECT generation FROM libraries WHERE id = ?1", [library])?;
    Ok(visible(connection, library, generation, rating_key)?.is_some())
}

/// Fails if rows of this generation may have been swept: a later generation is current, or the library was removed. A
/// segment built from the remaining rows would lack items without notice.
fn check_whole(connection: &Connection, library: LibraryId, generation: Generation) -> rusqlite::Result<()> {
    // A negative generation was evicted. 1 - ?2: the generation before this one was evicted while this one was being
    // fetched. -?2: this one was evicted.
    connection.row(
        "SELECT 1 FROM libraries WHERE id = ?1 AND identity > 0 AND generation BETWEEN min(0, 1 - ?2) AND ?2",
        params![library, generation],
        |_| Ok(()),
    )
}

/// At most `limit` rows of a generation with row numbers above `after`, in order.
///
/// A large library is read in the order of the table, since its rows mostly have consecutive numbers. If many rows of
/// other libraries lie between them, the library's index finds the next rows. The index alone would need quadratic
/// time, because `SQLite` sorts all remaining rows for each page.
pub fn batch(
    connection: &Connection,
    library: LibraryId,
    generation: Generation,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Vec<ItemRow>> {
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let listed: i64 = connection
        .find_value("SELECT listed_items FROM libraries WHERE id = ?1", [library])?
        .unwrap_or(0);
    // `no_index` is empty, or the unary `+`, which keeps SQLite from using the library's index.
    let rows_between = |no_index: &str, after: i64, last: i64, most: i64| {
        connection.rows(
            &format!(
                "SELECT {} FROM items i {ABOVE} WHERE {no_index}i.library = ?1 AND i.id > ?3 AND i.id <= ?5 AND i.born <= ?2 \
                 AND (i.died IS NULL OR i.died > ?2) ORDER BY i.id LIMIT ?4 + 0",
                list::<ItemRow>()
            ),
            params![library, generation, after, most, last],
            read,
        )
    };
    let (mut rows, mut after) = (Vec::new(), after);
    if listed > most.saturating_mul(MAX_SORTED_PAGES) {
        let last = after.saturating_add(most.saturating_mul(MAX_SCAN_PER_ITEM));
        rows = rows_between("+", after, last, most)?;
        after = last;
    }
    if rows.len() < limit {
        rows.extend(rows_between(
            "",
            after,
            i64::MAX,
            most - i64::try_from(rows.len()).unwrap_or(0),
        )?);
    }
    Ok(rows)
}

/// The row of an item that a generation shows, and its digest.
pub fn visible(
    connection: &Connection,
    library: LibraryId,
    generation: Generation,
    rating_key: &str,
) -> rusqlite::Result<Option<(i64, i64)>> {
    connection.find(
        "SELECT id, digest FROM items WHERE library = ?1 AND rating_key = ?2 AND born <= ?3 \
         AND (died IS NULL OR died > ?3)",
        params![library, rating_key, generation],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Returns a digest of an item, equal for items with equal content.
pub fn digest(item: &Item) -> i64 {
    digest_in(&mut Vec::with_capacity(512), item)
}

/// [`digest`], with a buffer that is reused.
pub fn digest_in(buffer: &mut Vec<u8>, item: &Item) -> i64 {
    let Item {
        rating_key,
        kind,
        title,
        year,
        show_title,
        show_rating_key,
        show_guid,
        season_title,
        season_rating_key,
        season_guid,
        season,
        episode,
        guid,
        guids,
        parts,
    } = item;
    buffer.clear();
    let mut text = |text: &str| {
        buffer.extend_from_slice(&(text.len() as u64).to_le_bytes());
        buffer.extend_from_slice(text.as_bytes());
    };
    for field in [rating_key, title, show_title, show_rating_key, show_guid, guid] {
        text(field);
    }
    for field in [season_title, season_rating_key, season_guid] {
        text(field);
    }
    for field in guids.iter().chain(parts) {
        text(field);
    }
    for number in [
        i64::from(kind.number()),
        i64::from(*year),
        i64::from(*season),
        i64::from(*episode),
        i64::try_from(guids.len()).unwrap_or(i64::MAX),
    ] {
        buffer.extend_from_slice(&number.to_le_bytes());
    }
    xxh3_64(buffer).cast_signed()
}
