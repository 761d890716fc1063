//! What changed since the last look: by the server's own counter, and by the numbers of items that are left.
//!
//! The server raises one counter with every change of an item, and writes it there: what has a higher one than the index
//! knows came or changed. A show's name is in each of its episodes, so a show that changed stands for them.
//!
//! What went leaves nothing. But no number of an item is used twice: so the rows of all libraries, the new ones left out, are
//! as many as before, or some went. To count all rows takes a fourth of the time that a library's does. Where the numbers do not
//! add up, or are not known, the library's items are counted, and where the index has more, all of them are compared. Where it
//! has fewer, items came back: the library is listed.

use crate::error::Result;
use crate::model::{Item, Library};

use super::super::contract::{Bounds, KnownItems, SourceChanges};
use super::super::plex::leaf_types;
use super::cells::numbers;
use super::items::ItemReader;
use super::listing::section;
use super::mark::{Mark, rows_of};
use super::reader::PlexDatabase;
use super::slice::Slice;

/// Above this many a listing is the better way.
const MOST: i64 = 50_000;

/// The rows of a library that changed after ?2, got a part after ?3, or, with ?4, have something in the trash, and all below
/// them: a show, a season, an artist, an album stands for its items. Rows whose number of a change is no whole number may have
/// changed: texts and blobs stand behind all numbers. `UNION` ends where a season is above itself in a damaged file.
const CHANGED: &str = "WITH RECURSIVE changed (id) AS (\
     SELECT id FROM metadata_items WHERE unlikely(changed_at > ?2) AND +library_section_id = ?1 \
     UNION SELECT id FROM metadata_items WHERE unlikely(changed_at IS NULL) AND +library_section_id = ?1 \
     UNION SELECT m.metadata_item_id FROM media_parts p CROSS JOIN media_items m ON m.id = p.media_item_id WHERE p.id > ?3 \
     UNION SELECT m.metadata_item_id FROM media_items d CROSS JOIN media_items m ON m.id = d.id \
     WHERE ?4 AND d.deleted_at IS NOT NULL \
     UNION SELECT m.metadata_item_id FROM media_parts d CROSS JOIN media_parts p ON p.id = d.id \
     CROSS JOIN media_items m ON m.id = p.media_item_id WHERE ?4 AND d.deleted_at IS NOT NULL \
     UNION SELECT i.id FROM changed CROSS JOIN metadata_items i ON i.parent_id = changed.id) \
     SELECT id FROM changed LIMIT ?5";

/// What changed, as numbers of items.
struct ChangedRows {
    now: Mark,
    /// The rows that changed last went.
    went_back: bool,
    /// How many rows are new, of all libraries.
    new: i64,
    ids: Vec<i64>,
    /// Rating keys of those that changed in other libraries: one of them may have been this one's.
    elsewhere: Vec<String>,
}

impl PlexDatabase {
    pub(super) fn changed(
        &self,
        library: &Library,
        known: &dyn KnownItems,
        bounds: &Bounds<'_>,
    ) -> Result<SourceChanges> {
        let Some(since) = Mark::of(known.since()) else {
            return Ok(SourceChanges::Unknown);
        };
        let section = section(library)?;
        // What was counted is of the index, if nothing came or went singly since.
        let is_counted = known.told()? == Some(known.count()?);
        let rows = rows_of(known.since()).zip(rows_of(&library.change.token));
        let rows = rows.filter(|_| is_counted).zip(Mark::of(&library.change.token));
        // From now on probes count the rows, so that the next delta finds what went by that.
        self.counts_rows();
        // What a slice has left is used: to open the file costs more than to read what changed.
        let Some((changed, mut read, count)) = self.place.slice(bounds, &mut |slice| {
            let Some(changed) = slice.ask(|| changed_rows(slice, section, &since))? else {
                return Ok(None);
            };
            let read = Self::read_some(slice, library, &changed.ids)?;
            let adds_up = rows
                .as_ref()
                .is_some_and(|((then, now), mark)| then + changed.new == *now && *mark == changed.now);
            let count = || ItemReader::new(&slice.connection, section, leaf_types(library.kind)).counts(i64::MAX);
            let count = (!adds_up).then(|| slice.ask(count)).transpose()?;
            Ok(Some((changed, read, count.map(|(_, count)| count))))
        })?
        else {
            return Ok(SourceChanges::Unknown);
        };
        read.extend(self.read(library, &changed.ids[read.len()..], bounds)?);
        let (mut came, mut left) = (Vec::with_capacity(read.len()), Vec::new());
        for (id, item) in changed.ids.iter().zip(read) {
            match item {
                Some(item) => came.push(item),
                None => left.push(id.to_string()),
            }
        }
        known.add(&came)?;
        // A restored backup has items again that went before, with the numbers of their old changes: they are listed.
        let ours = known.count()?;
        if count.is_some_and(|count| count > ours) {
            return Ok(SourceChanges::Unknown);
        }
        // Else all numbers are compared.
        let went = known.has_any(&changed.elsewhere)? || known.has_any(&left)?;
        let is_all = count.is_none_or(|count| count == ours);
        if is_all && !changed.went_back && changed.now.trash == since.trash && !went {
            return Ok(SourceChanges::Known { gone: Vec::new() });
        }
        let (gone, count) = self.gone(library, changed.now.items, known, bounds)?;
        if count + gone.len() as u64 > ours {
            return Ok(SourceChanges::Unknown);
        }
        Ok(SourceChanges::Known { gone })
    }

    /// What the index has and the database has not, and how many items with a number up to `last` the database has: newer
    /// ones came since the changes were read.
    fn gone(
        &self,
        library: &Library,
        last: i64,
        known: &dyn KnownItems,
        bounds: &Bounds<'_>,
    ) -> Result<(Vec<String>, u64)> {
        let section = section(library)?;
        let mut there: Vec<i64> = Vec::new();
        let count = loop {
            let (after, before) = (there.last().copied().unwrap_or(0), there.len());
            let count = self.place.slice(bounds, &mut |slice| {
                there.truncate(before);
                slice.ask(|| {
                    let mut statement = slice.connection.prepare_cached(
                        "SELECT id FROM metadata_items WHERE library_section_id = ?1 AND id > ?2 \
                         AND id NOT IN (SELECT d.id FROM metadata_items d WHERE d.deleted_at IS NOT NULL) ORDER BY id",
                    )?;
                    let mut rows = statement.query([section, after])?;
                    while let Some(row) = rows.next()? {
                        there.push(row.get(0)?);
                        if there.len().is_multiple_of(1_024) && slice.is_over() {
                            return Ok(None);
                        }
                    }
                    let items = ItemReader::new(&slice.connection, section, leaf_types(library.kind));
                    items.counts(last).map(|(_, count)| Some(count))
                })
            })?;
            if let Some(count) = count {
                break count;
            }
        };
        let mut gone = Vec::new();
        known.keys(&mut |key| {
            if !key.parse().is_ok_and(|id: i64| there.binary_search(&id).is_ok()) {
                gone.push(key.to_owned());
            }
        })?;
        Ok((gone, count))
    }

    /// Reads the items with these numbers that the library has, in slices; `None` for each other number.
    pub(super) fn read(&self, library: &Library, ids: &[i64], bounds: &Bounds<'_>) -> Result<Vec<Option<Item>>> {
        let mut items = Vec::new();
        while items.len() < ids.len() {
            let rest = &ids[items.len()..];
            items.extend(
                self.place
                    .slice(bounds, &mut |slice| Self::read_some(slice, library, rest))?,
            );
        }
        Ok(items)
    }

    /// The first of the items with these numbers, as many as a slice has time for: one at least.
    fn read_some(slice: &Slice<'_>, library: &Library, ids: &[i64]) -> Result<Vec<Option<Item>>> {
        let mut reader = ItemReader::new(&slice.connection, section(library)?, leaf_types(library.kind));
        let mut items = Vec::new();
        for id in ids {
            items.push(slice.ask(|| reader.one(*id))?);
            if slice.is_over() {
                break;
            }
        }
        Ok(items)
    }
}

/// What changed; `None` where that cannot be told, or is too much.
fn changed_rows(slice: &Slice<'_>, section: i64, since: &Mark) -> rusqlite::Result<Option<ChangedRows>> {
    let connection = &slice.connection;
    let now = Mark::read(connection, &slice.state)?;
    let Some(base) = since.base(&now, connection)? else {
        return Ok(None);
    };
    // There is no telling what came to the trash.
    let trash_moved = i64::from(now.trash[1..] != since.trash[1..]);
    let (mut ids, mut elsewhere) = (Vec::new(), Vec::new());
    let since_when = [section, base.changed, since.parts, trash_moved, MOST + 1];
    numbers(connection, CHANGED, &since_when, &mut |id| ids.push(id))?;
    numbers(
        connection,
        "SELECT id FROM metadata_items WHERE unlikely(changed_at > ?2) AND +library_section_id IS NOT ?1 \
         UNION ALL SELECT id FROM metadata_items WHERE unlikely(changed_at IS NULL) AND +library_section_id IS NOT ?1 LIMIT ?3",
        &[section, base.changed, MOST + 1],
        &mut |id| elsewhere.push(id.to_string()),
    )?;
    let most = usize::try_from(MOST).unwrap_or(usize::MAX);
    if ids.len() > most || elsewhere.len() > most {
        return Ok(None);
    }
    ids.sort_unstable();
    let new = connection.query_row(
        "SELECT count(*) FROM metadata_items WHERE id > ?1",
        [since.items],
        |row| row.get(0),
    )?;
    Ok(Some(ChangedRows {
        now,
        went_back: base.went_back,
        new,
        ids,
        elsewhere,
    }))
}
