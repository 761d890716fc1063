//! Watermarks of the database: its highest ids and its latest changes at one moment. A watermark and the metadata of
//! the files form the change token, which all libraries share.

use std::fmt::Write as _;

use rusqlite::{Connection, OptionalExtension};

use super::database_file::FileState;
use super::item_reader::integer;
use crate::model::MAY_MISS_NEXT_WRITE;

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
    /// Numbers of items, versions and parts in the trash. These numbers may change while the other fields stay the
    /// same.
    pub trash: [i64; 3],
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
                count("SELECT count(*) FROM metadata_items WHERE deleted_at IS NOT NULL")?,
                count("SELECT count(*) FROM media_items WHERE deleted_at IS NOT NULL")?,
                count("SELECT count(*) FROM media_parts WHERE deleted_at IS NOT NULL")?,
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

    /// Encodes a change token: the file id, the highest item id and part id, the three trash counts, the recent changes
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
        let (max_item_id, max_part_id, trash) = (number()?, number()?, [number()?, number()?, number()?]);
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
    use super::{Watermark, parse_row_count};

    #[test]
    fn a_mark_round_trips_through_its_token() {
        let mut mark = Watermark {
            file_id: u64::MAX,
            max_item_id: 202,
            max_part_id: 235,
            trash: [1, 0, 3],
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
