//! Indexes of items that are made when they are first asked for, and done without where they cannot be stored.

use std::time::Duration;

use rusqlite::types::ToSql;
use rusqlite::{Params, Statement, params};

use super::columns::{FromCells, list, read};
use super::items::{FROM, ItemRow};
use super::open::Store;
use super::patience::Patience;
use super::tx::Tx;
use crate::error::Result;
use crate::model::{Item, LibraryId};

/// How long a query waits for other writers until an index is made: without one it takes longer, and is answered.
const SHORTLY: Duration = Duration::from_secs(1);

/// Rows that one transaction indexes.
const SLICE: i64 = 20_000;

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
    /// Brings an index of a library up to date. `false` where the store cannot be written: the rows know the same.
    pub(super) fn is_indexed<I: Indexed>(&self, library: LibraryId) -> bool {
        let _held = Patience::now().at_most(SHORTLY).hold();
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
        let (upto, columns) = (I::UPTO, list::<I>());
        loop {
            let behind: bool = self.read(|connection| {
                connection
                    .prepare_cached(&format!(
                        "SELECT EXISTS (SELECT 1 FROM libraries l JOIN items i ON i.library = l.id \
                         WHERE l.id = ?1 AND i.id > l.{upto})"
                    ))?
                    .query_row([library], |row| row.get(0))
            })?;
            if !behind {
                return Ok(());
            }
            self.write(|tx| {
                let c = tx.connection;
                let rows: Vec<I> = c
                    .prepare_cached(&format!(
                        "SELECT {columns} {FROM} JOIN libraries l ON l.id = i.library \
                         WHERE l.id = ?1 AND i.id > l.{upto} ORDER BY i.id LIMIT ?2"
                    ))?
                    .query_map(params![library, SLICE], read)?
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
                if let Some(last) = rows.last() {
                    c.prepare_cached(&format!("UPDATE libraries SET {upto} = ?2 WHERE id = ?1"))?
                        .execute(params![library, last.item()])?;
                }
                Ok(())
            })?;
        }
    }
}

/// Items found so far: at most `limit`, and the count of all.
pub struct Found {
    pub items: Vec<Item>,
    pub total: usize,
    limit: usize,
}

impl Found {
    pub fn new(limit: usize) -> Self {
        Self {
            items: Vec::new(),
            total: 0,
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
