//! What tells that the database changed: its counters, and its files' facts. Together they are the change token of each of its
//! libraries.

use std::fmt::Write as _;

use rusqlite::{Connection, OptionalExtension};

use super::cells::number;
use super::place::FileState;

/// How many of the rows that changed last are remembered: so many may go at once without a new listing.
const TOP: usize = 16;

/// How far the database had come at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which file it is: a restored backup is another one, or its counters went back.
    pub file: u64,
    /// The highest number that an item ever had: none is used twice.
    pub items: i64,
    /// The highest number that a part ever had.
    pub parts: i64,
    /// How many items, versions and parts are in the trash. Whether a change of that is counted elsewhere is not known.
    pub trash: [i64; 3],
    /// The rows that changed last, the last one first: the number that the server gave to the change, and the row's.
    pub top: Vec<(i64, i64)>,
}

/// Since when changes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaBase {
    /// Changes with a higher number.
    pub changed: i64,
    /// Rows that had a higher one went.
    pub went_back: bool,
}

/// What stands between the counters and the number of rows, and between that and the facts of the files.
const FACTS: char = '/';
/// Stands for a number of rows that was not counted.
const UNCOUNTED: &str = "-";
/// Ends the facts where the next write may not show in them.
const UNSETTLED: char = '~';

impl Mark {
    /// The counters as they are now. All by an index, at any size.
    pub fn read(connection: &Connection, state: &FileState) -> rusqlite::Result<Self> {
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        // SQLite keeps the highest number that it gave to a row, whatever became of the row.
        let given = |table: &str| {
            connection.query_row("SELECT max(seq) FROM sqlite_sequence WHERE name = ?1", [table], |row| {
                Ok(number(row, 0)?.unwrap_or(0))
            })
        };
        let mut top = Vec::with_capacity(TOP);
        // When a row changed whose cell is no whole number is not known. Texts and blobs stand behind all numbers.
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
            items: count("SELECT coalesce(max(id), 0) FROM metadata_items")?.max(given("metadata_items")?),
            parts: count("SELECT coalesce(max(id), 0) FROM media_parts")?.max(given("media_parts")?),
            trash: [
                count("SELECT count(*) FROM metadata_items WHERE deleted_at IS NOT NULL")?,
                count("SELECT count(*) FROM media_items WHERE deleted_at IS NOT NULL")?,
                count("SELECT count(*) FROM media_parts WHERE deleted_at IS NOT NULL")?,
            ],
            top,
        })
    }

    /// Since when changes have to be read of a database that is at `now`, so that none after this mark is missed; `None` where
    /// they cannot be told: it is another file, or a restored backup.
    ///
    /// Of the rows that changed last, the first one that is left stands where it stood, or higher: so all that changed after
    /// it, up to this mark, went. Its number, and not the highest one, is the base, for whether the server goes on counting
    /// where it was before those went is not known. In a backup the row has a lower number, or the backup was made after it:
    /// then nothing is lost that is left here.
    pub fn base(&self, now: &Self, connection: &Connection) -> rusqlite::Result<Option<DeltaBase>> {
        if self.file != now.file || self.items > now.items || self.parts > now.parts {
            return Ok(None);
        }
        let mut statement = connection.prepare_cached(
            "SELECT changed_at FROM metadata_items WHERE id = ?1 AND typeof(changed_at) IN ('integer', 'null')",
        )?;
        let mut base = None;
        for (place, (changed, id)) in self.top.iter().enumerate() {
            let stands: Option<Option<i64>> = statement.query_row([id], |row| row.get(0)).optional()?;
            let Some(stands) = stands else { continue };
            // Each of them: that which changed last may have changed again since a backup was put back.
            if stands < Some(*changed) {
                return Ok(None);
            }
            base.get_or_insert(DeltaBase {
                changed: *changed,
                went_back: place > 0,
            });
        }
        if base.is_some() {
            return Ok(base);
        }
        Ok(self.top.is_empty().then_some(DeltaBase {
            changed: 0,
            went_back: false,
        }))
    }

    /// The change token of this mark, read when the files were so, and with so many rows where they were counted.
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

    /// The mark in a token; `None` for one of another kind of source.
    pub fn of(token: &str) -> Option<Self> {
        let (counters, rest) = token.split_once(FACTS)?;
        rest.split_once(FACTS)?;
        let mut words = counters.split(' ');
        let file = u64::from_str_radix(words.next()?, 16).ok()?;
        let mut number = || words.next()?.parse().ok();
        let (items, parts, trash) = (number()?, number()?, [number()?, number()?, number()?]);
        let rest = words.map(|word| i64::from_str_radix(word, 16).ok());
        let rest: Vec<i64> = rest.collect::<Option<_>>()?;
        let (pairs, []) = rest.as_chunks::<2>() else {
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

/// How many rows there were when this token was given, shows and seasons of all libraries included, if they were counted.
pub fn rows_of(token: &str) -> Option<i64> {
    token.split(FACTS).nth(1)?.parse().ok()
}

/// How many rows there are, by the smallest index there is.
pub fn count_rows(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT count(*) FROM metadata_items", [], |row| row.get(0))
}

/// Whether the files are, as far as their facts tell, as they were when this token was given.
pub fn still_holds(token: &str, state: &FileState) -> bool {
    token
        .rsplit_once(FACTS)
        .is_some_and(|(_, facts)| !facts.ends_with(UNSETTLED) && facts == format!("{:x}", state.stamp))
}

#[cfg(test)]
#[path = "mark_tests.rs"]
mod tests;
