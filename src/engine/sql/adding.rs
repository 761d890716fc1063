//! Rows of items that are added, and of the seasons and shows that they belong to.

use std::ops::Range;

use rusqlite::{CachedStatement, OptionalExtension, params};

use super::columns;
use super::texts::Packer;
use super::tx::Tx;
use crate::model::{Generation, Item, LibraryId, Sequence};
use crate::platform::bytes::same;

/// How many rows are added by one statement: each that runs opens the table and its indexes, and finds where they end.
const AT_ONCE: usize = if cfg!(test) { 3 } else { 32 };

/// What rows of items have in common.
#[derive(Clone, Copy)]
pub struct RowDefaults {
    pub library: LibraryId,
    /// The one that they are born with.
    pub generation: Generation,
    /// The change sequence at which they come singly; 0: with a listing.
    pub since: Sequence,
}

/// Adds rows of items: what they have in common is prepared once.
pub struct BulkInsert<'t, 'i> {
    tx: &'t Tx<'t>,
    shared: RowDefaults,
    first: columns::Insert<'t>,
    next: columns::Insert<'t>,
    many: columns::Insert<'t>,
    /// How many rows are added at most, about.
    expected: usize,
    /// Numbers that are reserved, and follow the last row's.
    reserved: Range<i64>,
    waiting: Vec<PendingRow<'i>>,
    packer: Packer,
    /// The texts of those that wait, one behind the other.
    packed: Vec<u8>,
    parents: Parents<'t>,
}

/// A row that is still to be added.
struct PendingRow<'i> {
    item: &'i Item,
    parent: Option<i64>,
    texts: Range<usize>,
    digest: i64,
}

impl<'t, 'i> BulkInsert<'t, 'i> {
    /// None yet, of about so many.
    pub fn new(tx: &'t Tx<'t>, shared: RowDefaults, expected: usize) -> Self {
        // FAIL: what a row does that fails ends the transaction, so none of many is undone singly. SQLite would keep copies.
        let insert = |rows| columns::Insert::of_many(tx.connection, "INSERT OR FAIL INTO items", rows);
        Self {
            tx,
            shared,
            first: insert(1),
            next: insert(1),
            many: insert(AT_ONCE),
            expected,
            reserved: 0..0,
            waiting: Vec::new(),
            packer: Packer::default(),
            packed: Vec::new(),
            parents: Parents::new(tx),
        }
    }

    /// Adds a row; `digest` is the item's. Gives its number. It is there once [`BulkInsert::end`] was called.
    pub fn add(&mut self, item: &'i Item, digest: i64) -> rusqlite::Result<i64> {
        let parent = self.parents.of(self.shared.library, item)?;
        let begin = self.packed.len();
        self.packed.extend_from_slice(self.packer.pack(item));
        let row = PendingRow {
            item,
            parent,
            texts: begin..self.packed.len(),
            digest,
        };
        if let Some(number) = self.reserved.next() {
            self.waiting.push(row);
            if self.waiting.len() == AT_ONCE {
                self.end()?;
            }
            return Ok(number);
        }
        self.end_waiting()?;
        let count = self.expected.max(1);
        let first = reserve(self.tx, count)?;
        self.reserved = first + 1..first.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
        fill(&mut self.first, 0, self.shared, &self.packed, Some(first), &row)?;
        self.first.run_filled()?;
        self.packed.clear();
        Ok(first)
    }

    /// Adds those that wait.
    pub fn end(&mut self) -> rusqlite::Result<()> {
        self.end_waiting()?;
        self.packed.clear();
        Ok(())
    }

    fn end_waiting(&mut self) -> rusqlite::Result<()> {
        for some in self.waiting.chunks(AT_ONCE) {
            let insert = if some.len() == AT_ONCE {
                &mut self.many
            } else {
                &mut self.next
            };
            for rows in some.chunks(insert.rows()) {
                for (at, row) in rows.iter().enumerate() {
                    fill(insert, at, self.shared, &self.packed, None, row)?;
                }
                insert.run_filled()?;
            }
        }
        self.waiting.clear();
        Ok(())
    }
}

/// Fills a row of a statement. The greatest number is the last row's, so `SQLite` gives the one behind it: it need not look
/// whether that is free.
fn fill(
    insert: &mut columns::Insert<'_>,
    at: usize,
    shared: RowDefaults,
    packed: &[u8],
    number: Option<i64>,
    row: &PendingRow<'_>,
) -> rusqlite::Result<()> {
    // Whole: a field that has no column here does not compile.
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
    let cells: &columns::Filled<'_> = &[
        ("id", &number),
        ("library", &shared.library),
        ("rating_key", rating_key),
        ("kind", &kind.number()),
        ("year", year),
        ("parent", &row.parent),
        ("season", season),
        ("episode", episode),
        ("texts", &&packed[row.texts.clone()]),
        ("digest", &row.digest),
        ("born", &shared.generation),
        ("since", &shared.since),
    ];
    // With a listing it is the column's own.
    let end = cells.len() - usize::from(shared.since == Sequence::default());
    insert.fill(at, &cells[usize::from(number.is_none())..end])
}

/// Reserves so many numbers that no row ever had; gives the first. AUTOINCREMENT would do so for each row, which takes a third
/// of the time that storing it does.
fn reserve(tx: &Tx<'_>, count: usize) -> rusqlite::Result<i64> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let last: i64 = tx
        .connection
        .prepare_cached("UPDATE store SET last_item = last_item + ?1 RETURNING last_item")?
        .query_row([count], |row| row.get(0))?;
    Ok(last - count + 1)
}

/// Rating key, title and GUID of a show or a season.
type Parent<'p> = [&'p String; 3];

/// What items belong to, shows and seasons: those of one come together.
struct Parents<'t> {
    tx: &'t Tx<'t>,
    find: Option<CachedStatement<'t>>,
    insert: columns::Insert<'t>,
    /// The last show and the last season: what it is, and the number of its row.
    show: Option<([String; 3], i64)>,
    season: Option<([String; 3], i64)>,
}

impl<'t> Parents<'t> {
    fn new(tx: &'t Tx<'t>) -> Self {
        Self {
            tx,
            find: None,
            insert: columns::Insert::new(tx.connection, "INSERT INTO parents"),
            show: None,
            season: None,
        }
    }

    /// The number of the season's row, else of the show's.
    fn of(&mut self, library: LibraryId, item: &Item) -> rusqlite::Result<Option<i64>> {
        let show = [&item.show_rating_key, &item.show_title, &item.show_guid];
        let season = [&item.season_rating_key, &item.season_title, &item.season_guid];
        let none = |texts: Parent<'_>| texts.into_iter().all(String::is_empty);
        let known = |last: &Option<([String; 3], i64)>, texts: Parent<'_>| {
            let last = last
                .as_ref()
                .filter(|(known, _)| known.iter().zip(texts).all(|(known, text)| same(known, text)));
            last.map(|(_, id)| *id)
        };
        if none(show) && none(season) {
            return Ok(None);
        }
        let above = if let Some(id) = known(&self.show, show) {
            id
        } else {
            let id = self.row(library, None, show)?;
            self.season = None;
            self.show.insert((show.map(Clone::clone), id)).1
        };
        if none(season) {
            return Ok(Some(above));
        }
        let id = if let Some(id) = known(&self.season, season) {
            id
        } else {
            let id = self.row(library, Some(above), season)?;
            self.season.insert((season.map(Clone::clone), id)).1
        };
        Ok(Some(id))
    }

    /// The number of a show's row, or of a season's of the show `above`.
    fn row(&mut self, library: LibraryId, above: Option<i64>, texts: Parent<'_>) -> rusqlite::Result<i64> {
        let [rating_key, title, guid] = texts;
        let find = match &mut self.find {
            Some(find) => find,
            none => none.insert(self.tx.connection.prepare_cached(
                "SELECT id FROM parents WHERE library = ?1 AND rating_key = ?2 AND title = ?3 AND guid = ?4 AND above IS ?5",
            )?),
        };
        let known = find.query_row(params![library, rating_key, title, guid, above], |row| row.get(0));
        if let Some(id) = known.optional()? {
            return Ok(id);
        }
        self.insert.run(&[
            ("library", &library),
            ("above", &above),
            ("rating_key", rating_key),
            ("title", title),
            ("guid", guid),
        ])?;
        Ok(self.tx.connection.last_insert_rowid())
    }
}
