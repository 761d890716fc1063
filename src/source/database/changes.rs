//! What changed since the last look: by the server's own counter, and by the numbers of items that are left.
//!
//! The server raises one counter with every change of an item, and writes it there: what has a higher one than the index
//! knows came or changed. A show's name is in each of its episodes, so a show that changed stands for them.
//!
//! What went leaves nothing. But no number of an item is used twice: so the rows of all libraries, the new ones left out, are
//! as many as before, or some went. To count all rows takes a fourth of the time that a library's does. Where the numbers do not
//! add up, or are not known, the library's items are counted, and where those are not as many as the index has, all of them
//! are compared.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::model::{Item, Library};

use super::super::bounds::Bounds;
use super::super::contract::{Changes, Known};
use super::cells::numbers;
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
        let (token, before) = (&library.change.token, known.count()?);
        // From now on probes count the rows, so that the next delta finds what went by that.
        self.counts_rows();
        // What a slice has left is used: to open the file costs more than to read what changed.
        let Some((moved, read)) = self.place.slice(bounds, &mut |slice| {
            let moved = moved(slice, section, &since).map_err(|error| self.place.unasked(slice, &error))?;
            let Some(moved) = moved else { return Ok(None) };
            let ids: Vec<i64> = moved.ids.iter().copied().collect();
            let read = self.read_some(slice, library, &ids)?;
            Ok(Some((moved, read)))
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
        let told = known.told()?;
        known.add(&came)?;
        // Else all numbers are compared.
        let went = known.has_any(&moved.elsewhere)? || known.has_any(&left)?;
        if !moved.went_back && moved.now.trash == since.trash && !went {
            // What was counted is of the moment that was just read, and the index had then what the database had.
            let is_counted = Mark::of(token).as_ref() == Some(&moved.now) && told == Some(before);
            let rows = rows_of(known.since()).zip(rows_of(token)).filter(|_| is_counted);
            if rows.is_some_and(|(then, now)| then + moved.new == now) {
                return Ok(Changes::Known { gone: Vec::new() });
            }
            // All that is left is known now: so many of each are the same ones.
            if self.count(library, bounds)? == known.count()? {
                return Ok(Changes::Known { gone: Vec::new() });
            }
        }
        let gone = self.gone(section, known, bounds)?;
        // In a restored backup there may be something that went before, and came back with it: then all of it is read.
        if moved.went_back && self.count(library, bounds)? + gone.len() as u64 != known.count()? {
            return Ok(Changes::Unknown);
        }
        Ok(Changes::Known { gone })
    }

    fn count(&self, library: &Library, bounds: &Bounds<'_>) -> Result<u64> {
        let section = section(library)?;
        self.place.slice(bounds, &mut |slice| {
            let items = Items::new(&slice.connection, section, types(library));
            items.count().map_err(|error| self.place.unasked(slice, &error))
        })
    }

    /// What the index has and the database has not.
    fn gone(&self, section: i64, known: &dyn Known, bounds: &Bounds<'_>) -> Result<Vec<String>> {
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
        let trashed = self.place.slice(bounds, &mut |slice| {
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
            .map_err(|error| self.place.unasked(slice, &error))?;
            Ok(trashed)
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
        Ok(gone)
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
    if now.top != since.top {
        let mut statement = connection
            .prepare_cached("SELECT id, metadata_type, library_section_id FROM metadata_items WHERE changed_at > ?1")?;
        let mut rows = statement.query([base.changed])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            if row.get::<_, Option<i64>>(2)? != Some(section) {
                elsewhere.push(id.to_string());
                if elsewhere.len() > MOST {
                    return Ok(None);
                }
                continue;
            }
            match row.get::<_, Option<i64>>(1)? {
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
            match row.get::<_, Option<i64>>(1)? {
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
