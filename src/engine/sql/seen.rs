//! The rows that a listing under way has found, one set for each page. At its end, rows that it did not find are marked
//! as gone.

use rusqlite::{Connection, params};

use super::cached::CachedStatements;
use super::tx::Tx;

use crate::engine::segment::{put_varint, varint};
use crate::model::LibraryId;

/// From this page number on, `seen` has single items that were merged while a listing was under way.
const MERGED_PAGES: i64 = 1 << 40;

/// Stores the row numbers of a page, in any order.
pub fn note_page(tx: &Tx<'_>, library: LibraryId, page: i64, ids: Vec<i64>) -> rusqlite::Result<()> {
    tx.run(
        "INSERT OR REPLACE INTO seen (library, page, ids) VALUES (?1, ?2, ?3)",
        params![library, page, packed(ids)],
    )
}

/// Stores the row of an item that was merged one by one as a separate page, so that a listing under way does not mark
/// it as gone.
pub fn note_merged(tx: &Tx<'_>, library: LibraryId, id: i64) -> rusqlite::Result<()> {
    note_page(tx, library, MERGED_PAGES + id, vec![id])
}

/// Returns whether items were merged singly while the listing was under way.
pub fn has_merged(connection: &Connection, library: LibraryId) -> rusqlite::Result<bool> {
    connection.has(
        "SELECT 1 FROM seen WHERE library = ?1 AND page >= ?2",
        params![library, MERGED_PAGES],
    )
}

/// Removes all pages of a library.
pub fn forget(tx: &Tx<'_>, library: LibraryId) -> rusqlite::Result<()> {
    tx.run("DELETE FROM seen WHERE library = ?1", [library])
}

/// The row numbers of all pages.
pub fn all(connection: &Connection, library: LibraryId) -> rusqlite::Result<SeenRows> {
    let mut runs = Vec::new();
    let mut statement = connection.prepare_cached("SELECT ids FROM seen WHERE library = ?1")?;
    let mut rows = statement.query([library])?;
    while let Some(row) = rows.next()? {
        unpack(row.get_ref(0)?.as_blob()?, &mut runs);
    }
    Ok(SeenRows::new(runs))
}

/// A set of row numbers, as sorted runs without gaps. Rows that are stored together have consecutive numbers, so there
/// are few runs.
#[derive(Debug, PartialEq, Eq)]
pub struct SeenRows(Vec<(i64, i64)>);

impl SeenRows {
    /// Sorts and joins runs. A run is its first and its last number, inclusive.
    fn new(mut runs: Vec<(i64, i64)>) -> Self {
        runs.sort_unstable();
        runs.dedup_by(|next, run| {
            let joins = next.0 <= run.1.saturating_add(1);
            if joins {
                run.1 = run.1.max(next.1);
            }
            joins
        });
        Self(runs)
    }

    /// The number of row numbers.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|(first, last)| first.abs_diff(*last) + 1).sum()
    }

    /// All row numbers.
    pub fn ids(&self) -> impl Iterator<Item = i64> {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// Returns whether the set has this number.
    pub fn has(&self, id: i64) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= id);
        after > 0 && id <= self.0[after - 1].1
    }
}

/// Encodes row numbers for a cell. Each run has two varints: its distance from the run before, and its length less one.
fn packed(ids: Vec<i64>) -> Vec<u8> {
    let mut cell = Vec::new();
    let mut last_end = 0;
    for (first, last) in SeenRows::new(ids.into_iter().map(|id| (id, id)).collect()).0 {
        put_varint(&mut cell, first.abs_diff(last_end));
        put_varint(&mut cell, first.abs_diff(last));
        last_end = last;
    }
    cell
}

/// Appends the runs of a cell made by [`packed`].
fn unpack(mut cell: &[u8], runs: &mut Vec<(i64, i64)>) {
    let mut last = 0_i64;
    while let Some((gap, gap_bytes)) = varint(cell)
        && let Some((length_less_one, length_bytes)) = varint(&cell[gap_bytes..])
    {
        let first = last.saturating_add_unsigned(gap);
        last = first.saturating_add_unsigned(length_less_one);
        runs.push((first, last));
        cell = &cell[gap_bytes + length_bytes..];
    }
}

#[cfg(test)]
#[path = "seen_tests.rs"]
mod tests;
