//! Indexes of items that are made when they are first asked for, and done without where they cannot be stored.

use std::time::Duration;

use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension, Params, Statement, params};

use super::columns::{FromCells, list, read};
use super::evicting::answers;
use super::items::{ABOVE, ItemRow};
use super::libraries::LibraryRow;
use super::open::Store;
use super::patience::LockTimeout;
use super::tx::Tx;
use crate::error::Result;
use crate::model::{Item, LibraryId};

/// How long a query waits for other writers until an index is made: without one it takes longer, and is answered.
const SHORTLY: Duration = Duration::from_secs(1);

/// Row numbers that one transaction indexes, or looks through in the order of the table.
const SLICE: i64 = if cfg!(test) { 20 } else { 20_000 };
/// Rows of other libraries that each call may look through again, before it is noted that they were.
const FEW: i64 = if cfg!(test) { 2 } else { 100 };

/// What an item has in an index.
pub trait Indexed: FromCells {
    /// What it is found by.
    type Key: Ord + ToSql;
    /// What the keys are, for people.
    const NAME: &'static str;
    /// The column of `libraries` that says up to which row its items are in the index.
    const UPTO: &'static str;
    /// Adds an entry: of the library ?1, the key ?2, the item ?3.
    const ADD: &'static str;
    /// Removes it.
    const REMOVE: &'static str;

    /// The item's row number.
    fn item(&self) -> i64;
    /// Its keys.
    fn keys(&self) -> impl Iterator<Item = Self::Key>;
}

/// Removes an item's entries.
pub fn forget<I: Indexed>(tx: &Tx<'_>, library: LibraryId, item: &I) -> rusqlite::Result<()> {
    let mut statement = tx.connection.prepare_cached(I::REMOVE)?;
    for key in item.keys() {
        statement.execute(params![library, key, item.item()])?;
    }
    Ok(())
}

impl Store {
    /// Finds items of a library in an index that is brought up to date first. `find` is called with `false` where the index
    /// cannot be stored: the rows know the same.
    pub(super) fn find_indexed<I: Indexed>(
        &self,
        row: &LibraryRow,
        mut find: impl FnMut(&Connection, bool) -> rusqlite::Result<ItemHits>,
    ) -> Result<Hits> {
        // Mostly the index lacks nothing, and all is read in one transaction.
        let known = self.read(|connection| {
            let lacks = gap::<I>(connection, row.id)?.is_some_and(|gap| gap.is_worth_closing());
            (!lacks)
                .then(|| hits(connection, row, find(connection, true)?))
                .transpose()
        })?;
        if let Some(hits) = known {
            return Ok(hits);
        }
        let is_indexed = self.is_indexed::<I>(row.id);
        self.read(|connection| hits(connection, row, find(connection, is_indexed)?))
    }

    /// Brings an index of a library up to date. `false` where the store cannot be written.
    fn is_indexed<I: Indexed>(&self, library: LibraryId) -> bool {
        let _held = LockTimeout::now().at_most(SHORTLY).hold();
        let done = self.index::<I>(library);
        if let Err(error) = &done {
            log::warn!(
                "the index of {} cannot be stored now, every row is read instead: {error}",
                I::NAME
            );
        }
        done.is_ok()
    }

    /// The same in slices.
    fn index<I: Indexed>(&self, library: LibraryId) -> Result<()> {
        let columns = list::<I>();
        loop {
            let Some(lacking) = self.read(|connection| gap::<I>(connection, library))? else {
                return Ok(());
            };
            if lacking.first.is_none() {
                // Where others write now, a later call notes it.
                if lacking.is_worth_closing()
                    && let Some(Err(error)) = self.try_write(|tx| note_others::<I>(tx, library))
                {
                    log::debug!("how far the index of {} is was not noted: {error}", I::NAME);
                }
                return Ok(());
            }
            self.write(|tx| {
                let c = tx.connection;
                let Some(IndexGap {
                    first: Some(first),
                    last,
                    ..
                }) = gap::<I>(c, library)?
                else {
                    return Ok(());
                };
                let last = last.min(first.saturating_add(SLICE - 1));
                let rows: Vec<I> = c
                    .prepare_cached(&format!(
                        "SELECT {columns} FROM items i {ABOVE} WHERE +i.library = ?1 AND i.id BETWEEN ?2 AND ?3"
                    ))?
                    .query_map(params![library, first, last], read)?
                    .collect::<rusqlite::Result<_>>()?;
                let mut entries: Vec<(I::Key, i64)> = rows
                    .iter()
                    .flat_map(|row| row.keys().map(|key| (key, row.item())))
                    .collect();
                entries.sort_unstable(); // in the order of the table: three times as fast
                let mut add = c.prepare_cached(I::ADD)?;
                for (key, item) in entries {
                    add.execute(params![library, key, item])?;
                }
                note::<I>(c, library, last)
            })?;
        }
    }
}

/// What an index of a library may lack.
struct IndexGap {
    /// Up to this row it lacks nothing.
    upto: i64,
    /// The first row of the library behind that.
    first: Option<i64>,
    /// The last row of all libraries: later ones get higher numbers.
    last: i64,
}

impl IndexGap {
    /// Rows of the library came, or so many of others that not each call should look through them.
    fn is_worth_closing(&self) -> bool {
        self.first.is_some() || self.last - self.upto > FEW
    }
}

/// What an index lacks; `None` where no row of any library came since.
fn gap<I: Indexed>(c: &Connection, library: LibraryId) -> rusqlite::Result<Option<IndexGap>> {
    let stands = c
        .prepare_cached(&format!(
            "SELECT {}, last_item FROM libraries CROSS JOIN store WHERE id = ?1",
            I::UPTO
        ))?
        .query_row([library], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    let Some((upto, last)) = stands.filter(|(upto, last)| upto < last) else {
        return Ok(None);
    };
    // Mostly it is near, or nothing is.
    let near = upto.saturating_add(SLICE);
    let mut first: Option<i64> = c
        .prepare_cached("SELECT id FROM items WHERE +library = ?1 AND id > ?2 AND id <= ?3 ORDER BY id LIMIT 1")?
        .query_row(params![library, upto, near], |row| row.get(0))
        .optional()?;
    if first.is_none() && near < last {
        first = c
            .prepare_cached("SELECT min(+id) FROM items WHERE library = ?1 AND id > ?2")?
            .query_row(params![library, near], |row| row.get(0))?;
    }
    Ok(Some(IndexGap { upto, first, last }))
}

/// Notes that the rows that came are those of other libraries.
fn note_others<I: Indexed>(tx: &Tx<'_>, library: LibraryId) -> rusqlite::Result<()> {
    match gap::<I>(tx.connection, library)? {
        Some(IndexGap { first: None, last, .. }) => note::<I>(tx.connection, library, last),
        _ => Ok(()),
    }
}

/// Notes up to which row the index has all of the library.
fn note<I: Indexed>(c: &Connection, library: LibraryId, upto: i64) -> rusqlite::Result<()> {
    c.prepare_cached(&format!("UPDATE libraries SET {} = ?2 WHERE id = ?1", I::UPTO))?
        .execute(params![library, upto])?;
    Ok(())
}

/// What was found in a library.
#[derive(Debug, PartialEq)]
pub struct Hits {
    /// At most as many as were asked for.
    pub items: Vec<Item>,
    /// The count of all.
    pub total: usize,
    /// Nothing has the title: these have its words.
    pub by_words: bool,
    /// The listing that the caller knows answered: else what was found may be less than there was.
    pub is_current: bool,
}

fn hits(c: &Connection, row: &LibraryRow, found: ItemHits) -> rusqlite::Result<Hits> {
    Ok(Hits {
        items: found.items,
        total: found.total,
        by_words: found.by_words,
        is_current: answers(c, row)?,
    })
}

/// Items found so far: at most `limit`, and the count of all.
pub struct ItemHits {
    pub items: Vec<Item>,
    pub total: usize,
    /// Nothing has the title: these have its words.
    pub by_words: bool,
    pub limit: usize,
}

impl ItemHits {
    pub fn new(limit: usize) -> Self {
        Self {
            items: Vec::new(),
            total: 0,
            by_words: false,
            limit,
        }
    }

    /// Adds what a SELECT of [`ItemRow`]s finds.
    pub fn add(&mut self, select: &mut Statement<'_>, params: impl Params) -> rusqlite::Result<()> {
        self.add_those(select, params, |_| true)
    }

    /// Adds those of them that are `meant`.
    pub fn add_those(
        &mut self,
        select: &mut Statement<'_>,
        params: impl Params,
        meant: impl Fn(&Item) -> bool,
    ) -> rusqlite::Result<()> {
        for row in select.query_map(params, read::<ItemRow>)? {
            let item = row?.item;
            if meant(&item) {
                self.total += 1;
                if self.items.len() < self.limit {
                    self.items.push(item);
                }
            }
        }
        Ok(())
    }
}
