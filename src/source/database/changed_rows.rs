//! Finds changes since the last read, by the server's change counter and by item counts.
//!
//! The server has one change counter. It increments the counter with every change of an item and stores the new value
//! in the item's row (`changed_at`). Rows with a higher value than at the last read were added or changed. Each episode
//! includes the name of its show, so all episodes of a changed show are read again.
//!
//! A removed row leaves no trace, but the server never reuses ids. So rows were removed exactly if the number of rows,
//! minus the new rows, has shrunk. Counting all rows takes a quarter of the time that counting one library takes. If
//! the row counts differ or are unknown, plexindex counts the library's items:
//!
//! - the index has more items: all ids are compared;
//! - the index has fewer items: removed items came back, and a full listing is needed.

use crate::error::Result;
use crate::model::{Item, Library};

use super::super::contract::{Bounds, KnownItems, SourceChanges};
use super::super::plex::leaf_types;
use super::cells::for_each_integer;
use super::item_reader::ItemReader;
use super::listing_reader::section_id;
use super::mark::{Mark, row_count_in};
use super::plex_database::PlexDatabase;
use super::slice::Slice;

/// Maximum number of changed rows in a delta. If more rows changed, a listing is cheaper.
const MAX_CHANGED_ROWS: i64 = 50_000;

/// Selects at most ?5 rows of library ?1: rows that changed after ?2, rows with a part id above ?3, if ?4 is 1 rows
/// with a version or part in the trash, and all rows below these, since a changed show, season, artist or album changes
/// its items. Includes rows whose counter is not an integer, which may have changed: `SQLite` sorts texts and blobs
/// above all numbers. `UNION` ends the recursion if a season of a damaged file is its own ancestor.
const SELECT_CHANGED: &str = "WITH RECURSIVE changed (id) AS (\
     SELECT id FROM metadata_items WHERE unlikely(changed_at > ?2) AND +library_section_id = ?1 \
     UNION SELECT id FROM metadata_items WHERE unlikely(changed_at IS NULL) AND +library_section_id = ?1 \
     UNION SELECT m.metadata_item_id FROM media_parts p CROSS JOIN media_items m ON m.id = p.media_item_id WHERE p.id \
     > ?3 UNION SELECT m.metadata_item_id FROM media_items d CROSS JOIN media_items m ON m.id = d.id \
     WHERE ?4 AND d.deleted_at IS NOT NULL \
     UNION SELECT m.metadata_item_id FROM media_parts d CROSS JOIN media_parts p ON p.id = d.id \
     CROSS JOIN media_items m ON m.id = p.media_item_id WHERE ?4 AND d.deleted_at IS NOT NULL \
     UNION SELECT i.id FROM changed CROSS JOIN metadata_items i ON i.parent_id = changed.id) \
     SELECT id FROM changed LIMIT ?5";

/// The rows that changed since a mark.
struct ChangedRows {
    /// The mark of the database when the rows were read.
    current_mark: Mark,
    /// Whether the row with the highest change number at the earlier mark was removed since.
    lost_last_change: bool,
    /// Number of new rows in all libraries.
    new_rows: i64,
    /// Item ids of the changed rows in this library, sorted.
    ids: Vec<i64>,
    /// Rating keys of the changed rows in other libraries; one may have moved from this library.
    keys_elsewhere: Vec<String>,
}

impl PlexDatabase {
    /// Adds the items that changed since the index's mark to the index, and returns the keys of the removed items.
    /// `Unknown` if only a listing can show all changes.
    pub(super) fn read_changes(
        &self,
        library: &Library,
        index: &dyn KnownItems,
        bounds: &Bounds<'_>,
    ) -> Result<SourceChanges> {
        let Some(since) = Mark::parse(index.since()) else {
            return Ok(SourceChanges::Unknown);
        };
        let section = section_id(library)?;
        // The row count in the index's mark is useless if the index gained or lost single items since.
        let is_row_count_valid = index.count_at_since()? == Some(index.count()?);
        let token = &library.change.token;
        let no_rows_removed = |changed: &ChangedRows| {
            let expected_rows = row_count_in(index.since()).map(|rows| rows + changed.new_rows);
            let is_at_mark = || Mark::parse(token).as_ref() == Some(&changed.current_mark);
            is_row_count_valid && expected_rows.is_some() && expected_rows == row_count_in(token) && is_at_mark()
        };
        // Later probes count the rows, so that the next delta can detect removals by the count.
        self.enable_row_counts();
        // Uses the rest of this slice for items, since opening the file takes longer than reading the changes.
        let Some((changed, mut items, library_count)) = self.file.run_in_slice(bounds, &mut |slice| {
            let Some(changed) = slice.query(|| read_changed_rows(slice, section, &since))? else {
                return Ok(None);
            };
            let items = Self::read_until_slice_ends(slice, library, &changed.ids)?;
            let count = || ItemReader::new(&slice.connection, section, leaf_types(library.kind)).count_items(i64::MAX);
            let counts = (!no_rows_removed(&changed)).then(|| slice.query(count)).transpose()?;
            Ok(Some((changed, items, counts.map(|counts| counts.without_trash))))
        })?
        else {
            return Ok(SourceChanges::Unknown);
        };
        items.extend(self.read_items(library, &changed.ids[items.len()..], bounds)?);
        let (mut present, mut absent) = (Vec::with_capacity(items.len()), Vec::new());
        for (id, item) in changed.ids.iter().zip(items) {
            match item {
                Some(item) => present.push(item),
                None => absent.push(id.to_string()),
            }
        }
        index.add(&present)?;
        // After a restored backup, items come back with old change numbers, and the index lacks them.
        let index_count = index.count()?;
        if library_count.is_some_and(|count| count > index_count) {
            return Ok(SourceChanges::Unknown);
        }
        // Without a sign of removed items, the delta is complete. Otherwise the function compares all ids.
        let has_moved_items = index.has_any(&changed.keys_elsewhere)? || index.has_any(&absent)?;
        let counts_agree = library_count.is_none_or(|count| count == index_count);
        let is_trash_unchanged = changed.current_mark.trash == since.trash;
        if counts_agree && !changed.lost_last_change && is_trash_unchanged && !has_moved_items {
            return Ok(SourceChanges::Known { gone: Vec::new() });
        }
        let (gone, count) = self.find_gone(library, changed.current_mark.max_item_id, index, bounds)?;
        if count + gone.len() as u64 > index_count {
            return Ok(SourceChanges::Unknown);
        }
        Ok(SourceChanges::Known { gone })
    }

    /// Returns the rating keys that only the index has, and the number of items in the database with ids up to
    /// `last_id`: items with higher ids were added after the changes were read.
    fn find_gone(
        &self,
        library: &Library,
        last_id: i64,
        index: &dyn KnownItems,
        bounds: &Bounds<'_>,
    ) -> Result<(Vec<String>, u64)> {
        let section = section_id(library)?;
        let mut present: Vec<i64> = Vec::new();
        let count = loop {
            let (after_id, read_before) = (present.last().copied().unwrap_or(0), present.len());
            let count = self.file.run_in_slice(bounds, &mut |slice| {
                // An interrupted slice runs again, so this drops the ids that it had read.
                present.truncate(read_before);
                slice.query(|| {
                    let mut statement = slice.connection.prepare_cached(
                        "SELECT id FROM metadata_items WHERE library_section_id = ?1 AND id > ?2 \
                         AND id NOT IN (SELECT d.id FROM metadata_items d WHERE d.deleted_at IS NOT NULL) ORDER BY id",
                    )?;
                    let mut rows = statement.query([section, after_id])?;
                    while let Some(row) = rows.next()? {
                        present.push(row.get(0)?);
                        if present.len().is_multiple_of(1_024) && slice.is_over() {
                            return Ok(None);
                        }
                    }
                    let reader = ItemReader::new(&slice.connection, section, leaf_types(library.kind));
                    reader.count_items(last_id).map(|counts| Some(counts.without_trash))
                })
            })?;
            if let Some(count) = count {
                break count;
            }
        };
        let mut gone = Vec::new();
        index.keys(&mut |key| {
            if !key.parse().is_ok_and(|id: i64| present.binary_search(&id).is_ok()) {
                gone.push(key.to_owned());
            }
        })?;
        Ok((gone, count))
    }

    /// Reads the items with these ids, in as many slices as needed. The result has `None` for an id that is not in the
    /// library.
    pub(super) fn read_items(&self, library: &Library, ids: &[i64], bounds: &Bounds<'_>) -> Result<Vec<Option<Item>>> {
        let mut items = Vec::new();
        while items.len() < ids.len() {
            let unread = &ids[items.len()..];
            items.extend(
                self.file
                    .run_in_slice(bounds, &mut |slice| Self::read_until_slice_ends(slice, library, unread))?,
            );
        }
        Ok(items)
    }

    /// Reads the items with these ids until the slice is over, but at least one. The result may thus be shorter than
    /// `ids`.
    fn read_until_slice_ends(slice: &Slice<'_>, library: &Library, ids: &[i64]) -> Result<Vec<Option<Item>>> {
        let mut reader = ItemReader::new(&slice.connection, section_id(library)?, leaf_types(library.kind));
        let mut items = Vec::new();
        for id in ids {
            items.push(slice.query(|| reader.read_item(*id))?);
            if slice.is_over() {
                break;
            }
        }
        Ok(items)
    }
}

/// Returns the rows that changed since a mark; `None` if `since` is from another database or too many rows changed.
fn read_changed_rows(slice: &Slice<'_>, section: i64, since: &Mark) -> rusqlite::Result<Option<ChangedRows>> {
    let connection = &slice.connection;
    let current_mark = Mark::read(connection, &slice.state)?;
    let Some(delta_base) = since.delta_base(&current_mark, connection)? else {
        return Ok(None);
    };
    // The rows do not show which versions and parts moved to or from the trash, so the query selects all items that
    // have any in the trash.
    let is_trash_changed = i64::from(current_mark.trash[1..] != since.trash[1..]);
    let (mut ids, mut keys_elsewhere) = (Vec::new(), Vec::new());
    let params = [
        section,
        delta_base.change_number,
        since.max_part_id,
        is_trash_changed,
        MAX_CHANGED_ROWS + 1,
    ];
    for_each_integer(connection, SELECT_CHANGED, &params, &mut |id| ids.push(id))?;
    for_each_integer(
        connection,
        "SELECT id FROM metadata_items WHERE unlikely(changed_at > ?2) AND +library_section_id IS NOT ?1 \
         UNION ALL SELECT id FROM metadata_items WHERE unlikely(changed_at IS NULL) AND +library_section_id IS NOT ?1 \
         LIMIT ?3",
        &[section, delta_base.change_number, MAX_CHANGED_ROWS + 1],
        &mut |id| keys_elsewhere.push(id.to_string()),
    )?;
    let max_rows = usize::try_from(MAX_CHANGED_ROWS).unwrap_or(usize::MAX);
    if ids.len() > max_rows || keys_elsewhere.len() > max_rows {
        return Ok(None);
    }
    ids.sort_unstable();
    let new_rows = connection.query_row(
        "SELECT count(*) FROM metadata_items WHERE id > ?1",
        [since.max_item_id],
        |row| row.get(0),
    )?;
    Ok(Some(ChangedRows {
        current_mark,
        lost_last_change: delta_base.lost_last_change,
        new_rows,
        ids,
        keys_elsewhere,
    }))
}
