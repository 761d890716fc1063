//! The version of the database: its counters and the metadata of its files. It is the library version of all its
//! libraries.

use std::fmt::Write as _;

use rusqlite::{Connection, OptionalExtension};

use super::cells::number;
use super::place::FileState;

/// Number of recently changed rows in a mark: as many may be removed without a new listing.
const TOP: usize = 16;

/// The counters of the database at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Identity of the file. A restored backup is another file, or its counters decreased.
    pub file: u64,
    /// The highest item id ever used; ids are never reused.
    pub items: i64,
    /// The highest part id ever used.
    pub parts: i64,
    /// Number of items, versions and parts in the trash. It is unknown whether other counters reflect such changes.
    pub trash: [i64; 3],
    /// The rows changed last, newest first: change number and id.
    pub top: Vec<(i64, i64)>,
}

/// The starting point for reading changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaBase {
    /// Changes with a higher number are read.
    pub changed: i64,
    /// The row that had changed last was removed.
    pub lost_last_change: bool,
}

/// Separates the counters, the number of rows, and the file metadata.
const FACTS: char = '/';
/// Placeholder for an unknown number of rows.
const UNCOUNTED: &str = "-";
/// Suffix of file metadata that may not show the next write.
const UNSETTLED: char = '~';

impl Mark {
    /// Reads the current counters. All queries use an index, so the size of the database does not matter.
    pub fn read(connection: &Connection, state: &FileState) -> rusqlite::Result<Self> {
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        // SQLite keeps the highest id that it ever assigned.
        let highest_id = |table: &str| {
            connection.query_row("SELECT max(seq) FROM sqlite_sequence WHERE name = ?1", [table], |row| {
                Ok(number(row, 0)?.unwrap_or(0))
            })
        };
        let mut top = Vec::with_capacity(TOP);
        // Skips rows whose change number is not an integer. Texts and blobs sort above all numbers.
        let mut changed = connection.prepare(
            "SELECT changed_at, id FROM metadata_items WHERE changed_at BETWEEN 1 AND 9223372036854775807 \
             AND typeof(changed_at) = 'integer' ORDER BY changed_at DESC, id DESC LIMIT ?1",
        )?;
        let mut rows = changed.query([i64::try_from(TOP).unwrap_or(i64::MAX)])?;
        while let Some(row) = rows.next()? {
            top.push((row.get(0)?, row.get(1)?));
        }
        Ok(Self {
            file: state.file,
            items: count("SELECT coalesce(max(id), 0) FROM metadata_items")?.max(highest_id("metadata_items")?),
            parts: count("SELECT coalesce(max(id), 0) FROM media_parts")?.max(highest_id("media_parts")?),
            trash: [
                count("SELECT count(*) FROM metadata_items WHERE deleted_at IS NOT NULL")?,
                count("SELECT count(*) FROM media_items WHERE deleted_at IS NOT NULL")?,
                count("SELECT count(*) FROM media_parts WHERE deleted_at IS NOT NULL")?,
            ],
            top,
        })
    }

    /// Returns the starting point from which to read changes so that none after this mark is missed; `None` if the
    /// database is another file or a restored backup.
    ///
    /// Uses the newest of the rows changed last that still exists; rows that changed after it, up to this mark, were
    /// removed. Its number is the base rather than the highest one, since the server may reuse the numbers of removed
    /// rows. A row with a lower number than before shows a restored backup. A backup that was made after the change
    /// misses nothing.
    pub fn delta_base(&self, now: &Self, connection: &Connection) -> rusqlite::Result<Option<DeltaBase>> {
        if self.file != now.file || self.items > now.items || self.parts > now.parts {
            return Ok(None);
        }
        let mut statement = connection.prepare_cached(
            "SELECT changed_at FROM metadata_items WHERE id = ?1 AND typeof(changed_at) IN ('integer', 'null')",
        )?;
        let mut delta_base = None;
        for (index, (changed, id)) in self.top.iter().enumerate() {
            let current: Option<Option<i64>> = statement.query_row([id], |row| row.get(0)).optional()?;
            let Some(current) = current else { continue };
            // Checks each row: the last one may have changed again since a backup was restored.
            if current < Some(*changed) {
                return Ok(None);
            }
            delta_base.get_or_insert(DeltaBase {
                changed: *changed,
                lost_last_change: index > 0,
            });
        }
        if delta_base.is_some() {
            return Ok(delta_base);
        }
        Ok(self.top.is_empty().then_some(DeltaBase {
            changed: 0,
            lost_last_change: false,
        }))
    }

    /// Encodes the mark as a library version, with the state of the files at that time and the number of rows if
    /// counted.
    pub fn token(&self, rows: Option<i64>, state: &FileState) -> String {
        let Self {
            file,
            items,
            parts,
            trash: [a, b, c],
            top,
        } = self;
        let rows = rows.map_or_else(|| UNCOUNTED.to_owned(), |rows| rows.to_string());
        let mut token = format!("{file:x} {items} {parts} {a} {b} {c}");
        for (changed, id) in top {
            let _ = write!(token, " {changed:x} {id:x}");
        }
        let _ = write!(token, "{FACTS}{rows}{FACTS}{:x}", state.stamp);
        if !state.is_settled {
            token.push(UNSETTLED);
        }
        token
    }

    /// Decodes a mark; `None` for a version of another kind of source.
    pub fn parse(token: &str) -> Option<Self> {
        // Behind the counters come the number of rows and the file metadata. A mark has neither.
        let (counters, facts) = token.split_once(FACTS)?;
        facts.split_once(FACTS)?;
        let mut words = counters.split(' ');
        let file = u64::from_str_radix(words.next()?, 16).ok()?;
        let mut number = || words.next()?.parse().ok();
        let (items, parts, trash) = (number()?, number()?, [number()?, number()?, number()?]);
        let top = words.map(|word| i64::from_str_radix(word, 16).ok());
        let top: Vec<i64> = top.collect::<Option<_>>()?;
        let (pairs, []) = top.as_chunks::<2>() else {
            return None;
        };
        Some(Self {
            file,
            items,
            parts,
            trash,
            top: pairs.iter().map(|[changed, id]| (*changed, *id)).collect(),
        })
    }
}

/// Returns the number of rows in a library version, of all libraries and including shows and seasons; `None` if not
/// counted.
pub fn row_count_in(token: &str) -> Option<i64> {
    token.split(FACTS).nth(1)?.parse().ok()
}

/// Counts all rows, by the smallest index.
pub fn count_rows(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT count(*) FROM metadata_items", [], |row| row.get(0))
}

/// Returns whether the files are unchanged since this version, by their metadata.
pub fn is_current(token: &str, state: &FileState) -> bool {
    token
        .rsplit_once(FACTS)
        .is_some_and(|(_, facts)| !facts.ends_with(UNSETTLED) && facts == format!("{:x}", state.stamp))
}

#[cfg(test)]
#[path = "mark_tests.rs"]
mod tests;
