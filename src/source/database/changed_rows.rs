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
//!
//! A watermark is the database's highest ids and latest changes at one moment. A watermark and the metadata of
//! the files form the change token, which all libraries share.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use rusqlite::{Connection, OptionalExtension};
use xxhash_rust::xxh3::xxh3_64;

use super::super::contract::{Bounds, DeltaCursor, IndexedItems, SourceChanges};
use super::super::plex::item_types_with_files;
use super::PlexDatabase;
use super::database_file::FileState;
use super::item_reader::{ItemReader, for_each_integer, integer, section_id};
use super::read_transaction::ReadTransaction;
use crate::error::Result;
use crate::model::{Item, ItemType, Library, MAY_MISS_NEXT_WRITE};

/// Maximum number of changed rows in a delta. If more rows have changed, a listing is cheaper.
const MAX_CHANGED_ROWS: i64 = 50_000;

/// Selects at most ?4 rows of library ?1: rows that changed after ?2, and rows with a part id above ?3. Also selects the
/// descendants of these rows, because a changed show, season, artist or album changes its items. Includes rows whose
/// counter is not an integer, because they may have changed; SQLite sorts strings and blobs above all numbers.
/// `unlikely` and `+` make SQLite use the index on `changed_at`. `UNION` prevents endless recursion in a damaged file.
const SELECT_CHANGED: &str = "WITH RECURSIVE changed (id) AS (\
     SELECT id FROM metadata_items WHERE unlikely(changed_at > ?2) AND +library_section_id = ?1 \
     UNION SELECT id FROM metadata_items WHERE unlikely(changed_at IS NULL) AND +library_section_id = ?1 \
     UNION SELECT m.metadata_item_id FROM media_parts p CROSS JOIN media_items m ON m.id = p.media_item_id WHERE p.id \
     > ?3 UNION SELECT i.id FROM changed CROSS JOIN metadata_items i ON i.parent_id = changed.id) \
     SELECT id FROM changed LIMIT ?4";

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
        let (section, types) = (section_id(library)?, item_types_with_files(library.kind));
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
            let items = Self::read_until_time_is_up(transaction, library, types, &changed.ids)?;
            let count_items = || ItemReader::new(&transaction.connection, section, types).count_items(i64::MAX);
            let counts = (!no_rows_removed(&changed))
                .then(|| transaction.query(count_items))
                .transpose()?;
            Ok(Some((changed, items, counts.map(|counts| counts.without_trash))))
        })?
        else {
            return Ok(SourceChanges::Unknown);
        };
        items.extend(self.read_items(library, types, &changed.ids[items.len()..], bounds)?);
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
        if counts_agree && !changed.lost_last_change && !has_moved_items {
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

    /// Reads the items of these types with these ids in several read transactions. Returns one entry for each id, in
    /// order; `None` if the library has no such item.
    pub(super) fn read_items(
        &self,
        library: &Library,
        types: &[ItemType],
        ids: &[i64],
        bounds: &Bounds<'_>,
    ) -> Result<Vec<Option<Item>>> {
        let mut items = Vec::new();
        while items.len() < ids.len() {
            let unread = &ids[items.len()..];
            items.extend(self.file.run_in_transaction(bounds, &mut |transaction| {
                Self::read_until_time_is_up(transaction, library, types, unread)
            })?);
        }
        Ok(items)
    }

    /// Reads the items with the first of these ids: at least one item, and more until the transaction's time is up.
    /// Returns one entry for each id that was read; `None` if the library has no item with this id.
    fn read_until_time_is_up(
        transaction: &ReadTransaction<'_>,
        library: &Library,
        types: &[ItemType],
        ids: &[i64],
    ) -> Result<Vec<Option<Item>>> {
        let mut reader = ItemReader::new(&transaction.connection, section_id(library)?, types);
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
    let Some(mut ids) = items_of_moved_trash(connection, &since.trash, &current_watermark.trash)? else {
        return Ok(None);
    };
    let mut keys_elsewhere = Vec::new();
    // Reads one row more than the maximum, to detect that there are too many.
    let params = [
        section,
        delta_base.change_number,
        since.max_part_id,
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
    ids.dedup();
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

/// Returns the items that have moved to the trash or from it, or whose versions or parts have: their rows do not show it.
/// Returns `None` if there were or are too many to know them.
fn items_of_moved_trash(
    connection: &Connection,
    before: &[Trash; 3],
    now: &[Trash; 3],
) -> rusqlite::Result<Option<Vec<i64>>> {
    const ITEM_OF: [&str; 3] = [
        "SELECT id FROM metadata_items WHERE id = ?1",
        "SELECT metadata_item_id FROM media_items WHERE id = ?1 AND metadata_item_id IS NOT NULL",
        "SELECT m.metadata_item_id FROM media_parts p CROSS JOIN media_items m ON m.id = p.media_item_id \
         WHERE p.id = ?1 AND m.metadata_item_id IS NOT NULL",
    ];
    let mut ids = Vec::new();
    for ((before, now), item_of) in before
        .iter()
        .zip(now)
        .zip(ITEM_OF)
        .filter(|((before, now), _)| before != now)
    {
        let (Trash::Ids(before), Trash::Ids(now)) = (before, now) else {
            return Ok(None);
        };
        for id in before.symmetric_difference(now) {
            for_each_integer(connection, item_of, &[*id], &mut |item| ids.push(item))?;
        }
    }
    Ok(Some(ids))
}

/// The rows of a table that are in the trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trash {
    /// Their ids, at most [`Self::MAX_IDS`].
    Ids(BTreeSet<i64>),
    /// A digest of more ids.
    Many(u64),
}

impl Trash {
    /// Maximum number of ids in a token, which each library's row contains.
    const MAX_IDS: usize = 128;

    fn read(connection: &Connection, ids_of_trash: &str) -> rusqlite::Result<Self> {
        let (mut ids, mut digest) = (BTreeSet::new(), 0_u64);
        for_each_integer(connection, ids_of_trash, &[], &mut |id| {
            // In any order, because the index is by time.
            digest = digest.wrapping_add(xxh3_64(&id.to_le_bytes()));
            if ids.len() <= Self::MAX_IDS {
                ids.insert(id);
            }
        })?;
        Ok(if ids.len() > Self::MAX_IDS {
            Self::Many(digest)
        } else {
            Self::Ids(ids)
        })
    }

    fn parse(word: &str) -> Option<Self> {
        if let Some(digest) = word.strip_prefix('m') {
            return u64::from_str_radix(digest, 16).ok().map(Self::Many);
        }
        let ids = word.strip_prefix('t')?.split(',').filter(|id| !id.is_empty());
        ids.map(|id| id.parse().ok()).collect::<Option<_>>().map(Self::Ids)
    }
}

impl fmt::Display for Trash {
    /// As a word of a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ids(ids) => {
                let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
                write!(f, "t{}", ids.join(","))
            }
            Self::Many(digest) => write!(f, "m{digest:x}"),
        }
    }
}

/// Number of recently changed rows in a watermark. A delta is possible as long as one of these rows still exists.
const RECENT_CHANGES: usize = 16;

/// The highest ids and the latest changes at one moment. Comparing two watermarks shows which rows are new or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// Identity of the file. A restored backup is a different file, or has lower ids and change numbers.
    pub file_id: u64,
    /// The highest item id ever assigned; ids are never reused.
    pub max_item_id: i64,
    /// The highest part id ever assigned.
    pub max_part_id: i64,
    /// The items, versions and parts in the trash. They may change while the other fields stay the same.
    pub trash: [Trash; 3],
    /// Change number and id of the rows that changed last, newest first.
    pub recent_changes: Vec<(i64, i64)>,
}

/// The starting point for reading changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaBase {
    /// Rows with a higher change number have changed.
    pub change_number: i64,
    /// Whether the row that had the highest change number has been removed.
    pub lost_last_change: bool,
}

/// Separates the parts of a change token: the watermark, the row count, and the files' stamp.
const SEPARATOR: char = '/';
/// Placeholder for an unknown row count.
const UNCOUNTED: &str = "-";

impl Watermark {
    /// Reads the current watermark. All queries use an index, so they are fast even in a large database.
    pub fn read(connection: &Connection, state: &FileState) -> rusqlite::Result<Self> {
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        // SQLite remembers the highest id that it has ever assigned, even after the row was removed.
        let highest_id = |table: &str| {
            connection.query_row("SELECT max(seq) FROM sqlite_sequence WHERE name = ?1", [table], |row| {
                Ok(integer(row, 0)?.unwrap_or(0))
            })
        };
        let mut recent_changes = Vec::with_capacity(RECENT_CHANGES);
        // Excludes rows whose change number is not an integer: strings and blobs would sort above all numbers.
        let mut changed = connection.prepare(
            "SELECT changed_at, id FROM metadata_items WHERE changed_at BETWEEN 1 AND 9223372036854775807 \
             AND typeof(changed_at) = 'integer' ORDER BY changed_at DESC, id DESC LIMIT ?1",
        )?;
        let mut rows = changed.query([i64::try_from(RECENT_CHANGES).unwrap_or(i64::MAX)])?;
        while let Some(row) = rows.next()? {
            recent_changes.push((row.get(0)?, row.get(1)?));
        }
        Ok(Self {
            file_id: state.file_id,
            max_item_id: count("SELECT coalesce(max(id), 0) FROM metadata_items")?.max(highest_id("metadata_items")?),
            max_part_id: count("SELECT coalesce(max(id), 0) FROM media_parts")?.max(highest_id("media_parts")?),
            trash: [
                Trash::read(connection, "SELECT id FROM metadata_items WHERE deleted_at IS NOT NULL")?,
                Trash::read(connection, "SELECT id FROM media_items WHERE deleted_at IS NOT NULL")?,
                Trash::read(connection, "SELECT id FROM media_parts WHERE deleted_at IS NOT NULL")?,
            ],
            recent_changes,
        })
    }

    /// Returns the starting point for reading all changes between this watermark and the watermark `now`. Returns
    /// `None` if the database is a different file or a restored backup, or if all rows in `recent_changes` were
    /// removed.
    ///
    /// The starting point is the newest of the recently changed rows that still exists. The highest change number alone
    /// would not do: if its row was removed, the server may reuse the number. A row that now has a lower change number
    /// reveals a restored backup.
    pub fn delta_base(&self, now: &Self, connection: &Connection) -> rusqlite::Result<Option<DeltaBase>> {
        if self.file_id != now.file_id || self.max_item_id > now.max_item_id || self.max_part_id > now.max_part_id {
            return Ok(None);
        }
        let mut statement = connection.prepare_cached(
            "SELECT changed_at FROM metadata_items WHERE id = ?1 AND typeof(changed_at) IN ('integer', 'null')",
        )?;
        let mut delta_base = None;
        for (index, (change_number, id)) in self.recent_changes.iter().enumerate() {
            let current: Option<Option<i64>> = statement.query_row([id], |row| row.get(0)).optional()?;
            let Some(current) = current else { continue };
            // Checks every row: after a backup was restored, the newest row may have changed again.
            if current < Some(*change_number) {
                return Ok(None);
            }
            delta_base.get_or_insert(DeltaBase {
                change_number: *change_number,
                lost_last_change: index > 0,
            });
        }
        if delta_base.is_some() {
            return Ok(delta_base);
        }
        // A database without changed rows had no items, so all rows are new.
        Ok(self.recent_changes.is_empty().then_some(DeltaBase {
            change_number: 0,
            lost_last_change: false,
        }))
    }

    /// Encodes a change token: the file id, the highest item id and part id, the trash of three tables, the recent changes
    /// (change number and id), `/`, the row count, `/`, and the files' stamp. `rows` is the row count; `None` if the
    /// rows were not counted.
    pub fn token(&self, rows: Option<i64>, state: &FileState) -> String {
        let Self {
            file_id,
            max_item_id,
            max_part_id,
            trash: [items, versions, parts],
            recent_changes,
        } = self;
        let rows = rows.map_or_else(|| UNCOUNTED.to_owned(), |rows| rows.to_string());
        let mut token = format!("{file_id:x} {max_item_id} {max_part_id} {items} {versions} {parts}");
        for (change_number, id) in recent_changes {
            let _ = write!(token, " {change_number:x} {id:x}");
        }
        let _ = write!(token, "{SEPARATOR}{rows}{SEPARATOR}{:x}", state.stamp);
        if !state.detects_next_write {
            token.push(MAY_MISS_NEXT_WRITE);
        }
        token
    }

    /// Decodes the watermark in a change token; `None` if a different kind of source wrote the token.
    pub fn parse(token: &str) -> Option<Self> {
        // The row count and the stamp are not part of the watermark, but a valid token contains them.
        let (counters, rows_and_stamp) = token.split_once(SEPARATOR)?;
        rows_and_stamp.split_once(SEPARATOR)?;
        let mut words = counters.split(' ');
        let file_id = u64::from_str_radix(words.next()?, 16).ok()?;
        let mut number = || words.next()?.parse().ok();
        let (max_item_id, max_part_id) = (number()?, number()?);
        let mut trash = || Trash::parse(words.next()?);
        let trash = [trash()?, trash()?, trash()?];
        let numbers: Vec<i64> = words
            .map(|word| i64::from_str_radix(word, 16).ok())
            .collect::<Option<_>>()?;
        let (pairs, []) = numbers.as_chunks::<2>() else {
            return None;
        };
        Some(Self {
            file_id,
            max_item_id,
            max_part_id,
            trash,
            recent_changes: pairs.iter().map(|[change_number, id]| (*change_number, *id)).collect(),
        })
    }
}

/// Returns the row count in a change token, including shows and seasons; `None` if the rows were not counted.
pub fn parse_row_count(token: &str) -> Option<i64> {
    token.split(SEPARATOR).nth(1)?.parse().ok()
}

/// Counts all libraries' rows. SQLite reads the smallest index for this query.
pub fn count_rows(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT count(*) FROM metadata_items", [], |row| row.get(0))
}

/// Returns whether the files are certainly unchanged since this change token, according to their metadata. Opens no
/// file.
pub fn is_token_current(token: &str, state: &FileState) -> bool {
    token
        .rsplit_once(SEPARATOR)
        .is_some_and(|(_, stamp)| !stamp.ends_with(MAY_MISS_NEXT_WRITE) && stamp == format!("{:x}", state.stamp))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Trash, Watermark, parse_row_count};

    #[test]
    fn a_mark_round_trips_through_its_token() {
        let mut mark = Watermark {
            file_id: u64::MAX,
            max_item_id: 202,
            max_part_id: 235,
            trash: [
                Trash::Ids([1].into()),
                Trash::Ids(BTreeSet::new()),
                Trash::Many(u64::MAX),
            ],
            recent_changes: vec![(7254, 202), (7253, 17)],
        };
        let state = super::FileState::for_tests(5, true);
        for rows in [None, Some(1_100_000)] {
            let token = mark.token(rows, &state);
            assert_eq!(
                (Watermark::parse(&token), parse_row_count(&token)),
                (Some(mark.clone()), rows)
            );
            assert!(super::is_token_current(&token, &state));
            assert!(!super::is_token_current(&token, &super::FileState::for_tests(6, true)));
            mark.recent_changes.clear();
        }
        let unstable = super::FileState::for_tests(5, false);
        assert!(
            !super::is_token_current(&mark.token(None, &unstable), &unstable),
            "the next write may not show"
        );
        for other in [
            "",
            "763 1681586700",
            "1 2 3/4",
            "1 2 3 4 5 6",
            "x 1 2 3 4 5/-/7",
            "1 2 3 4 5 6 7/-/7",
        ] {
            assert_eq!(Watermark::parse(other), None, "{other}");
        }
    }
}
