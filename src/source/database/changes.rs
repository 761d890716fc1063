//! Finds changes since the last read, by the server's change counter and by item counts.
//!
//! The server increments one counter with every change of an item, and stores it in the row: rows with a higher value
//! were added or changed. A show's name is part of each of its episodes, so a changed show stands for its episodes.
//!
//! Removed rows leave no trace. But ids are never reused, so the number of all rows without the new ones is the same as
//! before, unless rows were removed. Counting all rows takes a quarter of the time that counting a library takes. If
//! the counts differ or are unknown, the library's items are counted; if the index has more, all ids are compared. If
//! the index has fewer, items came back, and the library is listed.

use crate::error::Result;
use crate::model::{Item, Library};

use super::super::contract::{Bounds, KnownItems, SourceChanges};
use super::super::plex::leaf_types;
use super::cells::numbers;
use super::items::ItemReader;
use super::listing::section;
use super::mark::{Mark, row_count_in};
use super::reader::PlexDatabase;
use super::slice::Slice;

/// Maximum number of changed rows; above, a listing is cheaper.
const MAX_CHANGED: i64 = 50_000;

/// Rows of library ?1 that changed after ?2, got a part after ?3, or, with ?4, have something in the trash, and all
/// rows below them: a changed show, season, artist or album stands for its items. Rows whose counter is not an integer
/// may have changed: texts and blobs sort above all numbers. `UNION` ends the recursion where a season is its own
/// ancestor in a damaged file. At most ?5 rows.
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

/// Changed rows, as item ids.
struct ChangedRows {
    now: Mark,
    /// The row that had changed last was removed.
    lost_last_change: bool,
    /// Number of new rows in all libraries.
    new: i64,
    ids: Vec<i64>,
    /// Rating keys of rows that changed in other libraries; one may have moved from this library.
    elsewhere: Vec<String>,
}

impl PlexDatabase {
    pub(super) fn read_changes(
        &self,
        library: &Library,
        known: &dyn KnownItems,
        bounds: &Bounds<'_>,
    ) -> Result<SourceChanges> {
        let Some(since) = Mark::parse(known.since()) else {
            return Ok(SourceChanges::Unknown);
        };
        let section = section(library)?;
        // Row counts are valid for the index if no single item was added or removed since.
        let is_counted = known.count_at_since()? == Some(known.count()?);
        let token = &library.change.token;
        let nothing_removed = |changed: &ChangedRows| {
            let rows = row_count_in(known.since()).map(|rows| rows + changed.new);
            let is_at_mark = || Mark::parse(token).as_ref() == Some(&changed.now);
            is_counted && rows.is_some() && rows == row_count_in(token) && is_at_mark()
        };
        // Lets later probes count the rows, so that the next delta detects removals by the count.
        self.enable_row_counts();
        // Reads items in the rest of this slice: opening the file costs more than reading changes.
        let Some((changed, mut read, count)) = self.place.slice(bounds, &mut |slice| {
            let Some(changed) = slice.query(|| changed_rows(slice, section, &since))? else {
                return Ok(None);
            };
            let read = Self::read_some(slice, library, &changed.ids)?;
            let count = || ItemReader::new(&slice.connection, section, leaf_types(library.kind)).counts(i64::MAX);
            let count = (!nothing_removed(&changed)).then(|| slice.query(count)).transpose()?;
            Ok(Some((changed, read, count.map(|(_, count)| count))))
        })?
        else {
            return Ok(SourceChanges::Unknown);
        };
        read.extend(self.read_items(library, &changed.ids[read.len()..], bounds)?);
        let (mut present, mut absent) = (Vec::with_capacity(read.len()), Vec::new());
        for (id, item) in changed.ids.iter().zip(read) {
            match item {
                Some(item) => present.push(item),
                None => absent.push(id.to_string()),
            }
        }
        known.add(&present)?;
        // The index lacks items, as after a restored backup, where items come back with old change numbers.
        let indexed = known.count()?;
        if count.is_some_and(|count| count > indexed) {
            return Ok(SourceChanges::Unknown);
        }
        // Without a sign of removed items the delta is complete. Otherwise all ids are compared.
        let has_moved_away = known.has_any(&changed.elsewhere)? || known.has_any(&absent)?;
        let is_all = count.is_none_or(|count| count == indexed);
        if is_all && !changed.lost_last_change && changed.now.trash == since.trash && !has_moved_away {
            return Ok(SourceChanges::Known { gone: Vec::new() });
        }
        let (gone, count) = self.find_gone(library, changed.now.items, known, bounds)?;
        if count + gone.len() as u64 > indexed {
            return Ok(SourceChanges::Unknown);
        }
        Ok(SourceChanges::Known { gone })
    }

    /// Returns the rating keys that only the index has, and the number of items in the database with ids up to `last`:
    /// newer ones were added since the changes were read.
    fn find_gone(
        &self,
        library: &Library,
        last: i64,
        known: &dyn KnownItems,
        bounds: &Bounds<'_>,
    ) -> Result<(Vec<String>, u64)> {
        let section = section(library)?;
        let mut present: Vec<i64> = Vec::new();
        let count = loop {
            let (after, read_before) = (present.last().copied().unwrap_or(0), present.len());
            let count = self.place.slice(bounds, &mut |slice| {
                // The slice may be run again after an interruption: drop what it had read.
                present.truncate(read_before);
                slice.query(|| {
                    let mut statement = slice.connection.prepare_cached(
                        "SELECT id FROM metadata_items WHERE library_section_id = ?1 AND id > ?2 \
                         AND id NOT IN (SELECT d.id FROM metadata_items d WHERE d.deleted_at IS NOT NULL) ORDER BY id",
                    )?;
                    let mut rows = statement.query([section, after])?;
                    while let Some(row) = rows.next()? {
                        present.push(row.get(0)?);
                        if present.len().is_multiple_of(1_024) && slice.is_over() {
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
            if !key.parse().is_ok_and(|id: i64| present.binary_search(&id).is_ok()) {
                gone.push(key.to_owned());
            }
        })?;
        Ok((gone, count))
    }

    /// Reads the items with these ids in slices; `None` for ids that are not in the library.
    pub(super) fn read_items(&self, library: &Library, ids: &[i64], bounds: &Bounds<'_>) -> Result<Vec<Option<Item>>> {
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

    /// Reads items with these ids until the slice is over, at least one.
    fn read_some(slice: &Slice<'_>, library: &Library, ids: &[i64]) -> Result<Vec<Option<Item>>> {
        let mut reader = ItemReader::new(&slice.connection, section(library)?, leaf_types(library.kind));
        let mut items = Vec::new();
        for id in ids {
            items.push(slice.query(|| reader.one(*id))?);
            if slice.is_over() {
                break;
            }
        }
        Ok(items)
    }
}

/// Returns the changed rows; `None` if unknown or too many.
fn changed_rows(slice: &Slice<'_>, section: i64, since: &Mark) -> rusqlite::Result<Option<ChangedRows>> {
    let connection = &slice.connection;
    let now = Mark::read(connection, &slice.state)?;
    let Some(delta_base) = since.delta_base(&now, connection)? else {
        return Ok(None);
    };
    // Rows moved to or from the trash cannot be identified.
    let trash_moved = i64::from(now.trash[1..] != since.trash[1..]);
    let (mut ids, mut elsewhere) = (Vec::new(), Vec::new());
    let since_when = [section, delta_base.changed, since.parts, trash_moved, MAX_CHANGED + 1];
    numbers(connection, CHANGED, &since_when, &mut |id| ids.push(id))?;
    numbers(
        connection,
        "SELECT id FROM metadata_items WHERE unlikely(changed_at > ?2) AND +library_section_id IS NOT ?1 \
         UNION ALL SELECT id FROM metadata_items WHERE unlikely(changed_at IS NULL) AND +library_section_id IS NOT ?1 LIMIT ?3",
        &[section, delta_base.changed, MAX_CHANGED + 1],
        &mut |id| elsewhere.push(id.to_string()),
    )?;
    let most = usize::try_from(MAX_CHANGED).unwrap_or(usize::MAX);
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
        lost_last_change: delta_base.lost_last_change,
        new,
        ids,
        elsewhere,
    }))
}
