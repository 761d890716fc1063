//! Finds the changes since the last read, using the server's change counter and item counts.
//!
//! The server has one change counter. With every change of an item, the server increments the counter and stores the
//! new value in the item's row (`changed_at`). Rows with a higher value than at the last read were added or changed. An
//! indexed episode includes the name of its show, so plexindex reads all episodes of a changed show again.
//!
//! A removed row leaves no trace, but the server never reuses ids. So rows were removed if and only if the row count,
//! minus the new rows, has decreased. Counting all rows takes a quarter as long as counting one library. If the row
//! counts differ or are unknown, plexindex counts the library's items:
//!
//! - If the index has more items, plexindex compares all ids.
//! - If the index has fewer items, removed items have come back, and plexindex needs a full listing.

use crate::error::Result;
use crate::model::{Item, Library};

use super::super::contract::{Bounds, DeltaCursor, IndexedItems, SourceChanges};
use super::super::plex::item_types_with_files;
use super::PlexDatabase;
use super::item_reader::{ItemReader, for_each_integer};
use super::listing_reader::section_id;
use super::read_transaction::ReadTransaction;
use super::watermark::{Watermark, parse_row_count};

/// Maximum number of changed rows in a delta. If more rows have changed, a listing is cheaper.
const MAX_CHANGED_ROWS: i64 = 50_000;

/// Selects at most ?5 rows of library ?1: rows that changed after ?2, rows with a part id above ?3, and, if ?4 is 1,
/// rows with a version or part in the trash. Also selects the descendants of these rows, because a changed show,
/// season, artist or album changes its items. Includes rows whose counter is not an integer, because they may have
/// changed; SQLite sorts strings and blobs above all numbers. `unlikely` and `+` make SQLite use the index on
/// `changed_at`. `UNION` prevents endless recursion in a damaged file.
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

/// The rows that have changed since a watermark.
struct ChangedRows {
    /// The database's watermark when the rows were read.
    current_watermark: Watermark,
    /// Whether the row that had the highest change number has been removed.
    lost_last_change: bool,
    /// Number of new rows in all libraries.
    new_rows: i64,
    /// Item ids of the changed rows in this library, sorted.
    ids: Vec<i64>,
    /// Rating keys of the changed rows in other libraries, some of which may have moved from this library.
    keys_elsewhere: Vec<String>,
}

impl PlexDatabase {
    /// Adds the items that have changed since the last read to the index, and returns the rating keys of the removed
    /// items. Returns [`SourceChanges::Unknown`] if only a listing can show all changes.
    pub(super) fn read_changes(
        &self,
        library: &Library,
        index: &dyn IndexedItems,
        bounds: &Bounds<'_>,
    ) -> Result<SourceChanges> {
        let Some(since) = Watermark::parse(index.base_token()) else {
            return Ok(SourceChanges::Unknown);
        };
        let section = section_id(library)?;
        // The row count in the change token is useless if single items were later added to or removed from the index.
        let is_row_count_valid = index.cursor().items == Some(index.count()?);
        let token = &library.change.token;
        // The row count in the new token must have grown exactly by the new rows, and no write may have followed that
        // token.
        let no_rows_removed = |changed: &ChangedRows| {
            let expected_rows = parse_row_count(index.base_token()).map(|rows| rows + changed.new_rows);
            let no_later_write = || Watermark::parse(token).as_ref() == Some(&changed.current_watermark);
            is_row_count_valid && expected_rows.is_some() && expected_rows == parse_row_count(token) && no_later_write()
        };
        // Makes later probes count the rows, so that the next delta can use the row count to detect removals.
        self.enable_row_counts();
        // Reads the changes, and as many of the changed items as possible in the same read transaction, because opening
        // the file takes longer than reading the changes. Counts the library's items unless the row count rules out
        // removals.
        let Some((changed, mut items, library_count)) = self.file.run_in_transaction(bounds, &mut |transaction| {
            let Some(changed) = transaction.query(|| read_changed_rows(transaction, section, &since))? else {
                return Ok(None);
            };
            let items = Self::read_until_time_is_up(transaction, library, &changed.ids)?;
            let count_items = || {
                ItemReader::new(&transaction.connection, section, item_types_with_files(library.kind))
                    .count_items(i64::MAX)
            };
            let counts = (!no_rows_removed(&changed))
                .then(|| transaction.query(count_items))
                .transpose()?;
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
        // After a restored backup, items with old change numbers come back, and the index does not contain them.
        let index_count = index.count()?;
        if library_count.is_some_and(|count| count > index_count) {
            return Ok(SourceChanges::Unknown);
        }
        // If there is no sign of removed items, the delta is complete. Otherwise, this function compares all ids.
        let has_moved_items = index.has_any(&changed.keys_elsewhere)? || index.has_any(&absent)?;
        let counts_agree = library_count.is_none_or(|count| count == index_count);
        let is_trash_unchanged = changed.current_watermark.trash == since.trash;
        if counts_agree && !changed.lost_last_change && is_trash_unchanged && !has_moved_items {
            return Ok(SourceChanges::Known {
                removed_keys: Vec::new(),
                cursor: DeltaCursor::default(),
            });
        }
        let (removed_keys, count) =
            self.find_removed_keys(library, changed.current_watermark.max_item_id, index, bounds)?;
        // The database has items that the index still lacks.
        if count + removed_keys.len() as u64 > index_count {
            return Ok(SourceChanges::Unknown);
        }
        Ok(SourceChanges::Known {
            removed_keys,
            cursor: DeltaCursor::default(),
        })
    }

    /// Returns the rating keys that only the index contains, and the number of the library's items in the database. The
    /// count excludes ids above `last_id`, because these items were added after the changes were read.
    fn find_removed_keys(
        &self,
        library: &Library,
        last_id: i64,
        index: &dyn IndexedItems,
        bounds: &Bounds<'_>,
    ) -> Result<(Vec<String>, u64)> {
        let section = section_id(library)?;
        // Reads the ids of all rows that are not in the trash, in as many read transactions as necessary. Checks the
        // time only once per 1,024 rows, because reading the clock is slow.
        let mut present: Vec<i64> = Vec::new();
        let count = loop {
            let (after_id, read_before) = (present.last().copied().unwrap_or(0), present.len());
            let count = self.file.run_in_transaction(bounds, &mut |transaction| {
                // Drops the ids that an interrupted transaction had read, because the transaction runs again.
                present.truncate(read_before);
                transaction.query(|| {
                    let mut statement = transaction.connection.prepare_cached(
                        "SELECT id FROM metadata_items WHERE library_section_id = ?1 AND id > ?2 \
                         AND id NOT IN (SELECT d.id FROM metadata_items d WHERE d.deleted_at IS NOT NULL) ORDER BY id",
                    )?;
                    let mut rows = statement.query([section, after_id])?;
                    while let Some(row) = rows.next()? {
                        present.push(row.get(0)?);
                        if present.len().is_multiple_of(1_024) && transaction.is_time_up() {
                            return Ok(None);
                        }
                    }
                    let reader = ItemReader::new(&transaction.connection, section, item_types_with_files(library.kind));
                    reader.count_items(last_id).map(|counts| Some(counts.without_trash))
                })
            })?;
            if let Some(count) = count {
                break count;
            }
        };
        let mut removed_keys = Vec::new();
        index.keys(&mut |key| {
            if !key.parse().is_ok_and(|id: i64| present.binary_search(&id).is_ok()) {
                removed_keys.push(key.to_owned());
            }
        })?;
        Ok((removed_keys, count))
    }

    /// Reads the items with these ids in several read transactions. Returns one entry for each id, in order; `None` if
    /// the library has no item with this id.
    pub(super) fn read_items(&self, library: &Library, ids: &[i64], bounds: &Bounds<'_>) -> Result<Vec<Option<Item>>> {
        let mut items = Vec::new();
        while items.len() < ids.len() {
            let unread = &ids[items.len()..];
            items.extend(self.file.run_in_transaction(bounds, &mut |transaction| {
                Self::read_until_time_is_up(transaction, library, unread)
            })?);
        }
        Ok(items)
    }

    /// Reads the items with the first of these ids: at least one item, and more until the transaction's time is up.
    /// Returns one entry for each id that was read; `None` if the library has no item with this id.
    fn read_until_time_is_up(
        transaction: &ReadTransaction<'_>,
        library: &Library,
        ids: &[i64],
    ) -> Result<Vec<Option<Item>>> {
        let mut reader = ItemReader::new(
            &transaction.connection,
            section_id(library)?,
            item_types_with_files(library.kind),
        );
        let mut items = Vec::new();
        for id in ids {
            items.push(transaction.query(|| reader.read_item(*id))?);
            if transaction.is_time_up() {
                break;
            }
        }
        Ok(items)
    }
}

/// Returns the rows that have changed since the watermark `since`, for the library `section`. Returns `None` if too
/// many rows have changed, or if the database is a different file or a restored backup.
fn read_changed_rows(
    transaction: &ReadTransaction<'_>,
    section: i64,
    since: &Watermark,
) -> rusqlite::Result<Option<ChangedRows>> {
    let connection = &transaction.connection;
    let current_watermark = Watermark::read(connection, &transaction.state)?;
    let Some(delta_base) = since.delta_base(&current_watermark, connection)? else {
        return Ok(None);
    };
    // The rows do not show which versions and parts were moved to or from the trash. So if the trash has changed, the
    // query selects all items with a version or part in the trash.
    let is_trash_changed = i64::from(current_watermark.trash[1..] != since.trash[1..]);
    let (mut ids, mut keys_elsewhere) = (Vec::new(), Vec::new());
    // Reads one row more than the maximum, to detect that there are too many.
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
        current_watermark,
        lost_last_change: delta_base.lost_last_change,
        new_rows,
        ids,
        keys_elsewhere,
    }))
}
