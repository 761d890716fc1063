//! Adds rows of items, and rows of their seasons and shows.

use std::ops::Range;

use rusqlite::params;
use rusqlite::types::ToSql;

use super::cached::CachedStatements;
use super::texts::Packer;
use super::tx::Tx;
use crate::model::{Generation, Item, LibraryId, Sequence};
use crate::platform::bytes::same;

/// Rows per INSERT. Each run of a statement opens the table and its indexes again and searches for their ends, so fewer
/// runs are faster.
const ROWS_PER_INSERT: usize = if cfg!(test) { 3 } else { 32 };

/// Columns that all rows of a batch share.
#[derive(Clone, Copy)]
pub struct RowDefaults {
    pub library: LibraryId,
    /// The generation in which the rows begin.
    pub generation: Generation,
    /// The change sequence at which they are added one by one; 0 for rows of a listing.
    pub since: Sequence,
}

/// Adds rows of items, several by one statement.
pub struct BulkInsert<'t, 'i> {
    tx: &'t Tx<'t>,
    defaults: RowDefaults,
    /// An estimate of how many rows will be added.
    expected: usize,
    /// Row numbers that are reserved and not used yet.
    reserved: Range<i64>,
    pending: Vec<PendingRow<'i>>,
    packer: Packer,
    /// The encoded texts of the pending rows, one after another.
    packed: Vec<u8>,
    parents: Parents<'t>,
}

/// A row that is not yet in the database.
struct PendingRow<'i> {
    id: i64,
    item: &'i Item,
    parent: Option<i64>,
    texts: Range<usize>,
    digest: i64,
}

/// The columns of the INSERT, in the order in which [`BulkInsert::insert`] binds them.
const COLUMNS: &str = "id, library, rating_key, kind, year, parent, season, episode, texts, digest, born, since";
const COUNT: usize = 12;

impl<'t, 'i> BulkInsert<'t, 'i> {
    /// Creates an insert without pending rows. `expected`: an estimate of how many rows will be added.
    pub fn new(tx: &'t Tx<'t>, defaults: RowDefaults, expected: usize) -> Self {
        Self {
            tx,
            defaults,
            expected,
            reserved: 0..0,
            pending: Vec::new(),
            packer: Packer::default(),
            packed: Vec::new(),
            parents: Parents {
                tx,
                show: None,
                season: None,
            },
        }
    }

    /// Adds a row for `item`, which has this digest. Returns the row number. The row is in the table only after
    /// [`BulkInsert::end`].
    pub fn add(&mut self, item: &'i Item, digest: i64) -> rusqlite::Result<i64> {
        let parent = self.parents.parent_row(self.defaults.library, item)?;
        if self.reserved.is_empty() {
            self.reserved = reserve(self.tx, self.expected.max(1))?;
        }
        let id = self.reserved.start;
        self.reserved.start += 1;
        let begin = self.packed.len();
        self.packed.extend_from_slice(self.packer.pack(item));
        self.pending.push(PendingRow {
            id,
            item,
            parent,
            texts: begin..self.packed.len(),
            digest,
        });
        if self.pending.len() == ROWS_PER_INSERT {
            self.end()?;
        }
        Ok(id)
    }

    /// Writes the pending rows.
    pub fn end(&mut self) -> rusqlite::Result<()> {
        let at_once = if self.pending.len() == ROWS_PER_INSERT {
            ROWS_PER_INSERT
        } else {
            1
        };
        for rows in self.pending.chunks(at_once) {
            self.insert(rows)?;
        }
        self.pending.clear();
        self.packed.clear();
        Ok(())
    }

    /// Inserts rows with one statement.
    fn insert(&self, rows: &[PendingRow<'_>]) -> rusqlite::Result<()> {
        // OR FAIL: SQLite need not copy pages to undo this statement alone, since an error ends the transaction.
        let row = format!("({})", ["?"; COUNT].join(", "));
        let mut insert = self.tx.prepare_cached(&format!(
            "INSERT OR FAIL INTO items ({COLUMNS}) VALUES {}",
            vec![&*row; rows.len()].join(", ")
        ))?;
        for (at, row) in rows.iter().enumerate() {
            // No `..`: a new field of `Item` must get a column here, or be named as one without.
            let Item {
                rating_key,
                kind,
                title: _, // these four are in the texts
                year,
                show_title: _, // and these in the parent's row
                show_rating_key: _,
                show_guid: _,
                season_title: _,
                season_rating_key: _,
                season_guid: _,
                season,
                episode,
                guid: _,
                guids: _,
                parts: _,
            } = row.item;
            let texts = &self.packed[row.texts.clone()];
            let RowDefaults {
                library,
                generation,
                since,
            } = &self.defaults;
            let kind = kind.number();
            let cells: [&dyn ToSql; COUNT] = [
                &row.id,
                library,
                rating_key,
                &kind,
                year,
                &row.parent,
                season,
                episode,
                &texts,
                &row.digest,
                generation,
                since,
            ];
            for (column, cell) in cells.iter().enumerate() {
                insert.raw_bind_parameter(at * COUNT + column + 1, cell)?;
            }
        }
        insert.raw_execute().map(|_| ())
    }
}

/// Reserves `count` row numbers that were never used. `AUTOINCREMENT` would reserve each one singly, which adds a third
/// to the time of storing a row.
fn reserve(tx: &Tx<'_>, count: usize) -> rusqlite::Result<Range<i64>> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let last: i64 = tx.value(
        "UPDATE store SET last_item = last_item + ?1 RETURNING last_item",
        [count],
    )?;
    Ok(last - count + 1..last + 1)
}

/// Rating key, title and GUID of a show or a season.
type Parent<'p> = [&'p String; 3];

/// Finds and adds the rows of shows and seasons. Items of one season come one after another.
struct Parents<'t> {
    tx: &'t Tx<'t>,
    /// The last show and the last season, with their row numbers.
    show: Option<([String; 3], i64)>,
    season: Option<([String; 3], i64)>,
}

impl Parents<'_> {
    /// The row number of the item's season, or of its show if it has no season; adds the rows that are missing.
    fn parent_row(&mut self, library: LibraryId, item: &Item) -> rusqlite::Result<Option<i64>> {
        let show = [&item.show_rating_key, &item.show_title, &item.show_guid];
        let season = [&item.season_rating_key, &item.season_title, &item.season_guid];
        let are_empty = |texts: Parent<'_>| texts.into_iter().all(String::is_empty);
        let id_if_last = |last: &Option<([String; 3], i64)>, texts: Parent<'_>| {
            let last = last
                .as_ref()
                .filter(|(known, _)| known.iter().zip(texts).all(|(known, text)| same(known, text)));
            last.map(|(_, id)| *id)
        };
        if are_empty(show) && are_empty(season) {
            return Ok(None);
        }
        let show_id = if let Some(id) = id_if_last(&self.show, show) {
            id
        } else {
            let id = self.row(library, None, show)?;
            self.season = None;
            self.show.insert((show.map(Clone::clone), id)).1
        };
        if are_empty(season) {
            return Ok(Some(show_id));
        }
        if let Some(id) = id_if_last(&self.season, season) {
            return Ok(Some(id));
        }
        let id = self.row(library, Some(show_id), season)?;
        Ok(Some(self.season.insert((season.map(Clone::clone), id)).1))
    }

    /// Returns the row number of a show, or of a season of the show `above`. Adds the row if it is missing.
    fn row(&self, library: LibraryId, above: Option<i64>, [key, title, guid]: Parent<'_>) -> rusqlite::Result<i64> {
        let c = self.tx.connection;
        let known = c.find_value(
            "SELECT id FROM parents WHERE library = ?1 AND rating_key = ?2 AND title = ?3 AND guid = ?4 \
             AND above IS ?5",
            params![library, key, title, guid, above],
        )?;
        if let Some(id) = known {
            return Ok(id);
        }
        c.prepare_cached("INSERT INTO parents (library, above, rating_key, title, guid) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .insert(params![library, above, key, title, guid])
    }
}
