//! Items, and the seasons and shows they belong to.
//!
//! A row of `items` is visible in the generations from `born` on and before `died`.

use rusqlite::{Connection, OptionalExtension, params};
use xxhash_rust::xxh3::xxh3_64;

use super::cached::CachedStatements;
use super::columns::{FromCells, RowCells, list, read};
use super::libraries::LibraryRow;
use super::open::Store;
use super::texts::ItemTexts;
use crate::error::Result;
use crate::model::{Generation, Item, ItemType, LibraryId, Sequence};

/// A row of `items`, with its season's and its show's: what a SELECT from `items i` and [`ABOVE`] reads.
pub struct ItemRow {
    /// The number of the row.
    pub id: i64,
    /// The item itself.
    pub item: Item,
    /// The change sequence at which it was added after the listing; 0 if it is from the listing.
    pub since: Sequence,
}

/// Joins the season and the show of `items i`.
pub const ABOVE: &str = "LEFT JOIN parents p ON p.id = i.parent AND p.above IS NOT NULL \
     LEFT JOIN parents s ON s.id = coalesce(p.above, i.parent)";

/// Most pages of a library that is read by its index and sorted, page by page.
const PAGES: i64 = 4;
/// Row numbers that a page scans for each of its items, before it switches to the library's index.
const DENSE: i64 = 64;

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

impl Store {
    /// Hands the items of a generation to `each`, in the order in which they were stored, with the change sequence at which
    /// each came singly; 0 for those that came with a listing.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], or what `each` gives.
    pub fn for_each_item(
        &self,
        library: LibraryId,
        generation: Generation,
        each: &mut dyn FnMut(Item, Sequence) -> Result<()>,
    ) -> Result<()> {
        // Batches: the connection is unlocked between them, and no read transaction outlives a batch.
        let mut after = 0_i64;
        loop {
            let batch = self.read(|c| {
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

    /// Items of a generation whose number in the store is above `after`, with that number, at most `limit`.
    pub fn items_after(
        &self,
        library: LibraryId,
        generation: Generation,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Item)>> {
        let rows = self.read(|c| batch(c, library, generation, after, limit))?;
        Ok(rows.into_iter().map(|row| (row.id, row.item)).collect())
    }

    /// The item with this rating key in the current generation.
    pub fn item(&self, library: LibraryId, generation: Generation, rating_key: &str) -> Result<Option<Item>> {
        Ok(self.items_of(library, generation, &[rating_key])?.pop().flatten())
    }

    /// The items with these rating keys in the current generation, in the keys' order.
    pub fn items_of(
        &self,
        library: LibraryId,
        generation: Generation,
        rating_keys: &[&str],
    ) -> Result<Vec<Option<Item>>> {
        self.read(|connection| {
            let mut find = connection.prepare_cached(&item_by_key())?;
            let find = |key: &&str| {
                let row = find.query_row(params![library, generation, *key], read::<ItemRow>);
                row.optional().map(|row| row.map(|row| row.item))
            };
            rating_keys.iter().map(find).collect()
        })
    }

    /// Whether the current generation has this item without a difference.
    pub fn has(&self, row: &LibraryRow, item: &Item) -> Result<bool> {
        let known = self.read(|c| visible(c, row.id, row.generation, &item.rating_key))?;
        Ok(known.is_some_and(|(_, known)| known == digest(item)))
    }

    /// Whether the current generation has an item with one of these rating keys.
    pub fn has_any(&self, row: &LibraryRow, rating_keys: &[String]) -> Result<bool> {
        if rating_keys.is_empty() {
            return Ok(false);
        }
        self.read(|connection| {
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
        self.read(|connection| {
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

/// The item of a library, in a generation, that has this rating key.
fn item_by_key() -> String {
    format!(
        "SELECT {} FROM items i {ABOVE} WHERE i.library = ?1 AND i.rating_key = ?3 AND i.born <= ?2 \
         AND (i.died IS NULL OR i.died > ?2)",
        list::<ItemRow>()
    )
}

/// Fails if rows of this generation may have been swept: a later generation is current, or the library was removed. A
/// segment built from the remaining rows would lack items without notice.
fn check_whole(connection: &Connection, library: LibraryId, generation: Generation) -> rusqlite::Result<()> {
    // Below 0: the listing of that number was evicted. 1 - ?2 is the one before this, evicted while this is made; -?2 is this.
    connection.row(
        "SELECT 1 FROM libraries WHERE id = ?1 AND identity > 0 AND generation BETWEEN min(0, 1 - ?2) AND ?2",
        params![library, generation],
        |_| Ok(()),
    )
}

/// The rows of a generation with a number above `after`, by number, at most `limit`.
///
/// The rows of a listing are consecutive, so a large library is read in the order of the table. Between them may be rows of
/// other libraries: then the index finds the next ones. Sorting them for each page would take quadratic time.
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
    // `+` keeps SQLite from using the library's index.
    let some = |no_index: &str, after: i64, last: i64, most: i64| {
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
    if listed > most.saturating_mul(PAGES) {
        let last = after.saturating_add(most.saturating_mul(DENSE));
        rows = some("+", after, last, most)?;
        after = last;
    }
    if rows.len() < limit {
        rows.extend(some(
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

/// Equal for items of equal content.
pub fn digest(item: &Item) -> i64 {
    digest_in(&mut Vec::with_capacity(512), item)
}

/// The same with memory that is used again.
pub fn digest_in(whole: &mut Vec<u8>, item: &Item) -> i64 {
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
    whole.clear();
    let mut text = |text: &str| {
        whole.extend_from_slice(&(text.len() as u64).to_le_bytes());
        whole.extend_from_slice(text.as_bytes());
    };
    for one in [rating_key, title, show_title, show_rating_key, show_guid, guid] {
        text(one);
    }
    for one in [season_title, season_rating_key, season_guid] {
        text(one);
    }
    for one in guids.iter().chain(parts) {
        text(one);
    }
    for number in [
        i64::from(kind.number()),
        i64::from(*year),
        i64::from(*season),
        i64::from(*episode),
        i64::try_from(guids.len()).unwrap_or(i64::MAX),
    ] {
        whole.extend_from_slice(&number.to_le_bytes());
    }
    xxh3_64(whole).cast_signed()
}
