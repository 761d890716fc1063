//! What changed since the last look: by the server's own counter, and by the numbers of items that are left.
//!
//! The server raises one counter with every change of an item, and writes it there: what has a higher one than the index
//! knows came or changed. A show's name is in each of its episodes, so a show that changed stands for them.
//!
//! What went leaves nothing. But no number of an item is used twice: so the rows of all libraries, the new ones left out, are
//! as many as before, or some went. To count all rows takes a fourth of the time that a library's does. Where the numbers do not
//! add up, or are not known, the library's items are counted, and where the index has more, all of them are compared. Where it
//! has fewer, items came back: the library is listed.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::model::{Item, Library};

use super::super::bounds::Bounds;
use super::super::contract::{Changes, Known};
use super::cells::{number, numbers};
use super::items::Items;
use super::listing::{section, types};
use super::mark::{Mark, rows_of};
use super::place::Slice;
use super::reader::PlexDatabase;

/// Above this many a listing is the better way.
const MOST: usize = 50_000;

/// What changed, as numbers of items.
struct Moved {
    now: Mark,
    /// The rows that changed last went.
    went_back: bool,
    /// How many rows are new, of all libraries.
    new: i64,
    ids: BTreeSet<i64>,
    /// Rating keys of those that changed in other libraries: one of them may have been this one's.
    elsewhere: Vec<String>,
}

impl PlexDatabase {
    pub(super) fn changed(&self, library: &Library, known: &dyn Known, bounds: &Bounds<'_>) -> Result<Changes> {
        let Some(since) = Mark::of(known.since()) else {
            return Ok(Changes::Unknown);
        };
        let section = section(library)?;
        // What was counted is of the index, if nothing came or went singly since.
        let is_counted = known.told()? == Some(known.count()?);
        let rows = rows_of(known.since()).zip(rows_of(&library.change.token));
        let rows = rows.filter(|_| is_counted).zip(Mark::of(&library.change.token));
        // From now on probes count the rows, so that the next delta finds what went by that.
        self.counts_rows();
        // What a slice has left is used: to open the file costs more than to read what changed.
        let Some((moved, read, count)) = self.place.slice(bounds, &mut |slice| {
            let told = |error: rusqlite::Error| self.place.unasked(slice, &error);
            let Some(moved) = moved(slice, section, &since).map_err(told)? else {
                return Ok(None);
            };
            let ids: Vec<i64> = moved.ids.iter().copied().collect();
            let read = self.read_some(slice, library, &ids)?;
            let adds_up = rows
                .as_ref()
                .is_some_and(|((then, now), mark)| then + moved.new == *now && *mark == moved.now);
            let items = Items::new(&slice.connection, section, types(library));
            let count = (!adds_up).then(|| items.count(None)).transpose().map_err(told)?;
            Ok(Some((moved, read, count)))
        })?
        else {
            return Ok(Changes::Unknown);
        };
        let ids: Vec<i64> = moved.ids.iter().copied().collect();
        let (mut came, mut left) = (Vec::with_capacity(ids.len()), Vec::new());
        let mut sort = |id: i64, item| match item {
            Some(item) => came.push(item),
            None => left.push(id.to_string()),
        };
        let (first, rest) = ids.split_at(read.len());
        first.iter().zip(read).for_each(|(id, item)| sort(*id, item));
        self.read(library, rest, bounds, &mut sort)?;
        known.add(&came)?;
        // A restored backup has items again that went before, with the numbers of their old changes: they are listed.
        let ours = known.count()?;
        if count.is_some_and(|count| count > ours) {
            return Ok(Changes::Unknown);
        }
        // Else all numbers are compared.
        let went = known.has_any(&moved.elsewhere)? || known.has_any(&left)?;
        let is_all = count.is_none_or(|count| count == ours);
        if is_all && !moved.went_back && moved.now.trash == since.trash && !went {
            return Ok(Changes::Known { gone: Vec::new() });
        }
        let (gone, count) = self.gone(library, moved.now.items, known, bounds)?;
        if count + gone.len() as u64 > ours {
            return Ok(Changes::Unknown);
        }
        Ok(Changes::Known { gone })
    }

    /// What the index has and the database has not, and how many items with a number up to `last` the database has: newer
    /// ones came since the changes were read.
    fn gone(&self, library: &Library, last: i64, known: &dyn Known, bounds: &Bounds<'_>) -> Result<(Vec<String>, u64)> {
        let section = section(library)?;
        let mut there: Vec<i64> = Vec::new();
        loop {
            let after = there.last().copied().unwrap_or(0);
            let before = there.len();
            let done = self.place.slice(bounds, &mut |slice| {
                there.truncate(before);
                let mut statement = slice
                    .connection
                    .prepare_cached(
                        "SELECT id FROM metadata_items WHERE library_section_id = ?1 AND id > ?2 ORDER BY id",
                    )
                    .map_err(|error| self.place.unasked(slice, &error))?;
                let mut read = || -> rusqlite::Result<bool> {
                    let mut rows = statement.query([section, after])?;
                    while let Some(row) = rows.next()? {
                        there.push(row.get(0)?);
                        if there.len().is_multiple_of(1_024) && slice.is_over() {
                            return Ok(false);
                        }
                    }
                    Ok(true)
                };
                read().map_err(|error| self.place.unasked(slice, &error))
            })?;
            if done {
                break;
            }
        }
        let (trashed, count) = self.place.slice(bounds, &mut |slice| {
            let told = |error: rusqlite::Error| self.place.unasked(slice, &error);
            let mut trashed = BTreeSet::new();
            numbers(
                &slice.connection,
                "SELECT d.id FROM metadata_items d CROSS JOIN metadata_items i ON i.id = d.id \
                 WHERE d.deleted_at IS NOT NULL AND +i.library_section_id = ?1",
                &[section],
                &mut |id| {
                    trashed.insert(id);
                },
            )
            .map_err(told)?;
            let items = Items::new(&slice.connection, section, types(library));
            Ok((trashed, items.count(Some(last)).map_err(told)?))
        })?;
        let mut gone = Vec::new();
        known.keys(&mut |key| {
            let is_there = key
                .parse()
                .is_ok_and(|id: i64| there.binary_search(&id).is_ok() && !trashed.contains(&id));
            if !is_there {
                gone.push(key.to_owned());
            }
        })?;
        Ok((gone, count))
    }

    /// Hands over the items with these numbers that the library has, in slices.
    pub(super) fn read(
        &self,
        library: &Library,
        ids: &[i64],
        bounds: &Bounds<'_>,
        each: &mut dyn FnMut(i64, Option<Item>),
    ) -> Result<()> {
        let mut done = 0;
        while done < ids.len() {
            let items = self
                .place
                .slice(bounds, &mut |slice| self.read_some(slice, library, &ids[done..]))?;
            let read = items.len();
            for (id, item) in ids[done..].iter().zip(items) {
                each(*id, item);
            }
            done += read;
        }
        Ok(())
    }

    /// The first of the items with these numbers, as many as a slice has time for: one at least.
    fn read_some(&self, slice: &Slice, library: &Library, ids: &[i64]) -> Result<Vec<Option<Item>>> {
        let mut reader = Items::new(&slice.connection, section(library)?, types(library));
        let mut items = Vec::new();
        for id in ids {
            items.push(reader.one(*id).map_err(|error| self.place.unasked(slice, &error))?);
            if slice.is_over() {
                break;
            }
        }
        Ok(items)
    }
}

/// What changed; `None` where that cannot be told.
fn moved(slice: &Slice, section: i64, since: &Mark) -> rusqlite::Result<Option<Moved>> {
    let connection = &slice.connection;
    let now = Mark::read(connection, &slice.state)?;
    let Some(base) = since.base(&now, connection)? else {
        return Ok(None);
    };
    let (mut ids, mut elsewhere) = (BTreeSet::new(), Vec::new());
    let mut above = Vec::new();
    {
        // Rows whose cell is no whole number may have changed: texts and blobs stand behind all numbers.
        let mut statement = connection.prepare_cached(
            "SELECT id, metadata_type, library_section_id FROM metadata_items WHERE changed_at > ?1 OR changed_at IS NULL",
        )?;
        let mut rows = statement.query([base.changed])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            if number(row, 2)? != Some(section) {
                elsewhere.push(id.to_string());
                if elsewhere.len() > MOST {
                    return Ok(None);
                }
                continue;
            }
            match number(row, 1)? {
                // A show, a season, an artist, an album: all below it.
                Some(2 | 3 | 8 | 9 | 14) => above.push(id),
                _ => drop(ids.insert(id)),
            }
            if ids.len() + above.len() > MOST {
                return Ok(None);
            }
        }
    }
    let mut seen = BTreeSet::new();
    while let Some(parent) = above.pop() {
        // In a damaged file a season may be above itself.
        if !seen.insert(parent) {
            continue;
        }
        let mut statement =
            connection.prepare_cached("SELECT id, metadata_type FROM metadata_items WHERE parent_id = ?1")?;
        let mut rows = statement.query([parent])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            match number(row, 1)? {
                Some(3 | 9 | 14) => above.push(id),
                _ => drop(ids.insert(id)),
            }
        }
        if ids.len() > MOST {
            return Ok(None);
        }
    }
    // A file that came to an item, should that ever not count as a change of it.
    if now.parts > since.parts {
        numbers(
            connection,
            "SELECT m.metadata_item_id FROM media_parts p CROSS JOIN media_items m ON m.id = p.media_item_id WHERE p.id > ?1",
            &[since.parts],
            &mut |id| {
                ids.insert(id);
            },
        )?;
    }
    // What is in the trash: there is no telling what came to it.
    if now.trash[1..] != since.trash[1..] {
        for sql in [
            "SELECT m.metadata_item_id FROM media_items d CROSS JOIN media_items m ON m.id = d.id \
             WHERE d.deleted_at IS NOT NULL",
            "SELECT m.metadata_item_id FROM media_parts d CROSS JOIN media_parts p ON p.id = d.id \
             CROSS JOIN media_items m ON m.id = p.media_item_id WHERE d.deleted_at IS NOT NULL",
        ] {
            numbers(connection, sql, &[], &mut |id| {
                ids.insert(id);
            })?;
        }
    }
    if ids.len() > MOST {
        return Ok(None);
    }
    let new = connection.query_row(
        "SELECT count(*) FROM metadata_items WHERE id > ?1",
        [since.items],
        |row| row.get(0),
    )?;
    Ok(Some(Moved {
        now,
        went_back: base.went_back,
        new,
        ids,
        elsewhere,
    }))
}
