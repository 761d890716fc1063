//! The log of records: entries of hosts' tables, and confirmed matches. A row is a value under a name, or the removal
//! of a name.
//!
//! Segments are built from the log and can be rebuilt from it. A write that leaves too many unmerged rows flushes them
//! into a segment. A row is deleted when a later row replaces it, when a segment has its removal, or when its table is
//! cleared.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::cached::CachedStatements;
use super::columns::{FromCells, RowCells, list, read};
use super::ids::{segment_name, segment_text};
use super::places::{NUMBER, end_of, place_of};
use super::store::Store;
use super::sweeping::sweep_cleared;
use super::tx::{Tx, sequence_of};
use crate::error::Result;
use crate::model::{SegmentName, Sequence, TableId};
use crate::platform::deadline::Deadline;

/// The segments of the records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The change sequence of the last change of segments or tables.
    pub changed: Sequence,
    /// The change sequence up to which the segments have all records.
    pub merged: Sequence,
    /// The newest first.
    pub segments: Vec<NamedSegment>,
}

/// A segment in the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedSegment {
    pub name: SegmentName,
    /// Number of records.
    pub records: u64,
}

/// A table of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRow {
    pub id: TableId,
    pub name: Vec<u8>,
    /// Number of entries in segments, including expired ones.
    pub entries: i64,
    /// Size of these entries in bytes.
    pub bytes: i64,
}

/// A table of a host, or the table of a library's confirmed matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collection {
    pub id: TableId,
    /// Whether it has the confirmed matches of a library, whose names are paths.
    pub is_paths: bool,
    /// The number of entries in segments, and their bytes, as in [`TableRow`].
    pub counts: [i64; 2],
}

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRow {
    /// The row id, which is a position ([`place_of`]).
    pub id: i64,
    pub table: TableId,
    /// The entry's name.
    pub name: Vec<u8>,
    /// The value, or `None` if it is long or was not requested, and its length. `None` for a removal.
    pub value: Option<(Option<Vec<u8>>, u64)>,
    /// Time of expiry in Unix ms; `None` for never.
    pub expires_ms: Option<i64>,
}

/// The changes since a snapshot.
#[derive(Clone, Debug)]
pub struct RecordsState {
    /// The change sequence of the database.
    pub sequence: Sequence,
    /// Manifest and tables, if they changed.
    pub manifest: Option<(Manifest, Vec<TableRow>)>,
    /// Records since the snapshot; with a manifest, the records that its segments lack.
    pub rows: Vec<RecordRow>,
}

/// The log at one change sequence.
pub struct RecordLog<'c> {
    pub(super) connection: &'c Connection,
    /// The change sequence of the database.
    pub sequence: Sequence,
}

/// A write transaction on the log.
pub struct RecordTx<'t> {
    pub(super) tx: &'t Tx<'t>,
    /// The log, with the change sequence before this transaction.
    pub log: RecordLog<'t>,
}

impl FromCells for Manifest {
    fn from_cells(cells: &mut RowCells<'_, '_>) -> rusqlite::Result<Self> {
        Ok(Self {
            changed: cells.get("manifest")?,
            merged: cells.get("merged")?,
            segments: parse_segments(&cells.get::<String>("segments")?),
        })
    }
}

/// Reads the manifest.
pub fn manifest(connection: &Connection) -> rusqlite::Result<Manifest> {
    connection.row(&format!("SELECT {} FROM store", list::<Manifest>()), [], read)
}

/// Parses the text of [`encode_segments`].
fn parse_segments(text: &str) -> Vec<NamedSegment> {
    let segments = text.split_ascii_whitespace().filter_map(|segment| {
        let (name, records) = segment.split_once(':')?;
        Some(NamedSegment {
            name: segment_name(name)?,
            records: records.parse().ok()?,
        })
    });
    segments.collect()
}

/// Encodes segments as `name:records name:records …`.
fn encode_segments(segments: &[NamedSegment]) -> String {
    let texts = segments
        .iter()
        .map(|segment| format!("{}:{}", segment_text(&segment.name), segment.records));
    texts.collect::<Vec<_>>().join(" ")
}

/// Reads the tables of hosts.
fn tables(connection: &Connection) -> rusqlite::Result<Vec<TableRow>> {
    connection.rows(
        "SELECT id, name, entries, bytes FROM tables WHERE name IS NOT NULL",
        [],
        |row| {
            Ok(TableRow {
                id: row.get(0)?,
                name: row.get(1)?,
                entries: row.get(2)?,
                bytes: row.get(3)?,
            })
        },
    )
}

/// A maximum length of values that excludes even empty ones.
pub(super) const NO_VALUES: i64 = -1;

/// Returns at most `max_rows` rows of the log that satisfy a condition with the parameter ?1. Includes values of at
/// most `max_value` bytes.
pub(super) fn rows(
    connection: &Connection,
    condition: &str,
    param: i64,
    max_value: i64,
    max_rows: usize,
) -> rusqlite::Result<Vec<RecordRow>> {
    connection.rows(
        &format!(
            "SELECT id, in_table, name, length(value), CASE WHEN length(value) <= ?2 THEN value END, expires_ms \
             FROM records WHERE {condition} LIMIT ?3 + 0",
        ),
        params![param, max_value, i64::try_from(max_rows).unwrap_or(i64::MAX)],
        |row| {
            let length: Option<i64> = row.get(3)?;
            let value = length.map(|length| Ok::<_, rusqlite::Error>((row.get(4)?, length.cast_unsigned())));
            Ok(RecordRow {
                id: row.get(0)?,
                table: row.get(1)?,
                name: row.get(2)?,
                value: value.transpose()?,
                expires_ms: row.get(5)?,
            })
        },
    )
}

/// Condition for tables of matches whose library is not cleared. A cleared library has no identity until it is swept.
pub(super) const OF_A_LIBRARY: &str = "library IN (SELECT id FROM libraries WHERE identity > 0)";

// Conditions for rows of the log after row ?1: all rows, and rows of hosts' tables.
pub(super) const ROWS_AFTER: &str = "id > ?1 ORDER BY id";
const HOST_RECORDS_AFTER: &str = "id > ?1 AND in_table IN (SELECT id FROM tables WHERE name IS NOT NULL) ORDER BY id";

/// Reads the changes since a snapshot with these change sequences of its own and its manifest. Reads the complete state
/// if `since` is `None` or the manifest has changed.
fn read_state(
    connection: &Connection,
    since: Option<(Sequence, Sequence)>,
    current: Sequence,
    max_value: usize,
) -> rusqlite::Result<RecordsState> {
    if let Some((since, _)) = since
        && since == current
    {
        return Ok(RecordsState {
            sequence: current,
            manifest: None,
            rows: Vec::new(),
        });
    }
    let manifest = manifest(connection)?;
    let since = since.filter(|(since, changed)| *since <= current && *changed == manifest.changed);
    let rows_since = since.map_or(manifest.merged, |(since, _)| since);
    let after_row = end_of(rows_since);
    Ok(RecordsState {
        sequence: current,
        rows: rows(connection, HOST_RECORDS_AFTER, after_row, to_i64(max_value), usize::MAX)?,
        manifest: match since {
            Some(_) => None,
            None => Some((manifest, tables(connection)?)),
        },
    })
}

/// Returns a number that is equal for the rows of one write.
#[must_use]
pub fn write_of(row: i64) -> i64 {
    row & !NUMBER
}

/// Returns the highest row id that a write with this change sequence can have.
#[must_use]
pub fn last_row(sequence: Sequence) -> i64 {
    end_of(sequence)
}

/// A store's rows of confirmed matches and tables.
pub struct RecordRows<'s>(pub &'s Store);

impl RecordRows<'_> {
    /// Returns the changes since a snapshot with these change sequences of its own and its manifest, or the complete
    /// state for `None`. Leaves out values of more than `max_value` bytes. If not `patient`, fails while the database
    /// is locked.
    pub fn records_since(
        &self,
        since: Option<(Sequence, Sequence)>,
        max_value: usize,
        patient: bool,
    ) -> Result<RecordsState> {
        let work = |connection: &Connection| read_state(connection, since, sequence_of(connection)?, max_value);
        self.0.read_if(patient, work)
    }

    /// Writes records in one transaction. May call `work` several times.
    pub fn write_records<T>(
        &self,
        deadline: Deadline,
        mut work: impl FnMut(&RecordTx<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.0.write(deadline, |tx| {
            let records = RecordTx::new(tx);
            let result = work(&records)?;
            sweep_cleared(tx.connection)?;
            Ok(result)
        })
    }

    /// Clears all tables of hosts.
    pub fn clear_tables(&self, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            tx.run("UPDATE tables SET name = NULL WHERE name IS NOT NULL", [])?;
            manifest_changed(tx)
        })
    }

    /// Reads the log in one transaction. May call `work` several times.
    pub fn read_records<T>(&self, mut work: impl FnMut(&RecordLog<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.0.read(|connection| {
            let sequence = sequence_of(connection)?;
            work(&RecordLog { connection, sequence })
        })
    }

    /// Passes the value of a row to `use_value` if it has at most `max_length` bytes. Returns its length; `None` if the
    /// row does not exist.
    pub fn long_value(&self, row: i64, max_length: usize, use_value: &mut dyn FnMut(&[u8])) -> Result<Option<usize>> {
        let row = self
            .0
            .read(|connection| rows(connection, "id = ?1", row, to_i64(max_length), 1))?
            .pop();
        Ok(row.and_then(|row| row.value).map(|(value, length)| {
            value.as_deref().map(use_value);
            usize::try_from(length).unwrap_or(0)
        }))
    }
}

/// Converts a length or a limit to the parameter of a statement.
fn to_i64(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Makes readers reload the manifest and the tables. Also stores the change sequence, since this write may remove the
/// last record, which otherwise shows the change sequence.
fn manifest_changed(tx: &Tx<'_>) -> rusqlite::Result<()> {
    tx.run("UPDATE store SET manifest = ?1, sequence = ?1", [tx.sequence])
}

impl RecordLog<'_> {
    /// Reads the changes since a snapshot, or the complete state, as [`RecordRows::records_since`] does.
    pub fn state(&self, since: Option<(Sequence, Sequence)>, max_value: usize) -> rusqlite::Result<RecordsState> {
        read_state(self.connection, since, self.sequence, max_value)
    }

    /// Reads the manifest.
    pub fn manifest(&self) -> rusqlite::Result<Manifest> {
        manifest(self.connection)
    }

    /// Returns all collections that are not cleared.
    pub fn collections(&self) -> rusqlite::Result<Vec<Collection>> {
        self.connection.rows(
            &format!(
                "SELECT id, library IS NOT NULL, entries, bytes FROM tables WHERE name IS NOT NULL OR {OF_A_LIBRARY}",
            ),
            [],
            |row| {
                Ok(Collection {
                    id: row.get(0)?,
                    is_paths: row.get(1)?,
                    counts: [row.get(2)?, row.get(3)?],
                })
            },
        )
    }

    /// Counts the rows of writes after `since`. Stops at `max_count`.
    pub fn count_since(&self, since: Sequence, max_count: usize) -> rusqlite::Result<usize> {
        self.connection
            .value::<i64>(
                "SELECT count(*) FROM (SELECT 1 FROM records WHERE id > ?1 LIMIT ?2)",
                params![end_of(since), to_i64(max_count)],
            )
            .map(|count| usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Returns the rows of writes after `since`, with values of at most `max_value` bytes.
    pub fn rows_since(&self, since: Sequence, max_value: usize) -> rusqlite::Result<Vec<RecordRow>> {
        rows(
            self.connection,
            ROWS_AFTER,
            end_of(since),
            to_i64(max_value),
            usize::MAX,
        )
    }

    /// Returns at most `max_rows` rows after this one, in order, without values.
    pub fn rows_after(&self, row: i64, max_rows: usize) -> rusqlite::Result<Vec<RecordRow>> {
        rows(self.connection, ROWS_AFTER, row, NO_VALUES, max_rows)
    }

    /// Returns at most `max_rows` rows whose values have expired at `now_ms`, without the values.
    pub fn expired(&self, now_ms: i64, max_rows: usize) -> rusqlite::Result<Vec<RecordRow>> {
        rows(
            self.connection,
            "expires_ms <= ?1 ORDER BY expires_ms",
            now_ms,
            NO_VALUES,
            max_rows,
        )
    }

    /// Returns the value of a row and its length; `None` in place of a value of more than `max_value` bytes.
    pub fn row(&self, id: i64, max_value: usize) -> rusqlite::Result<Option<(Option<Vec<u8>>, u64)>> {
        let row = rows(self.connection, "id = ?1", id, to_i64(max_value), 1)?.pop();
        Ok(row.and_then(|row| row.value))
    }
}

impl<'t> RecordTx<'t> {
    /// Uses a running write transaction.
    pub(super) fn new(tx: &'t Tx<'t>) -> Self {
        let log = RecordLog {
            connection: tx.connection,
            sequence: Sequence(tx.sequence.0 - 1),
        };
        Self { tx, log }
    }

    /// Returns the change sequence of this write.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.tx.sequence
    }

    /// Adds a record at the end of the log: a value, or a removal without one. Returns the row id.
    pub fn add(
        &self,
        table: TableId,
        name: &[u8],
        value: Option<&[u8]>,
        expires_ms: Option<i64>,
    ) -> rusqlite::Result<i64> {
        let id = self.next_row();
        self.tx.run(
            "INSERT INTO records (id, in_table, name, expires_ms, value) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![id, table, name, expires_ms, value],
        )?;
        Ok(id)
    }

    /// Returns the id for the next row. Each call returns another id.
    pub fn next_row(&self) -> i64 {
        place_of(self.tx.sequence, self.tx.next_change())
    }

    /// Deletes a row that readers no longer need.
    pub fn delete(&self, row: i64) -> rusqlite::Result<()> {
        self.tx.run("DELETE FROM records WHERE id = ?1", [row])
    }

    /// Creates a table with this name, and returns its id.
    pub fn make_table(&self, name: &[u8]) -> rusqlite::Result<TableId> {
        let c = self.tx.connection;
        c.run(
            "INSERT INTO tables (name, swept) VALUES (?1, ?2)",
            params![name, end_of(self.log.sequence)],
        )?;
        let id = c.last_insert_rowid();
        manifest_changed(self.tx)?;
        Ok(TableId(id))
    }

    /// Clears a table in constant time. Its id becomes invalid, and later writes sweep its records.
    pub fn clear_table(&self, id: TableId) -> rusqlite::Result<()> {
        self.tx.run("UPDATE tables SET name = NULL WHERE id = ?1", [id])?;
        manifest_changed(self.tx)
    }

    /// Stores the segments in the manifest, the newest first. They must have all records up to this write.
    pub fn name_segments(&self, segments: &[NamedSegment]) -> rusqlite::Result<()> {
        let new_segment = segments.first().map(|segment| segment.name);
        self.tx
            .new_segments
            .set(new_segment.filter(|name| name.sequence == self.tx.sequence));
        self.tx.run(
            "UPDATE store SET segments = ?1, merged = ?2",
            params![encode_segments(segments), self.tx.sequence],
        )?;
        manifest_changed(self.tx)
    }

    /// Replaces adjacent segments by one in the manifest. Returns `false` if the manifest no longer has them.
    pub fn replace_segments(&self, old: &[SegmentName], new: NamedSegment) -> rusqlite::Result<bool> {
        let mut segments = manifest(self.tx.connection)?.segments;
        let mut windows = segments.windows(old.len());
        let is_old = |window: &[NamedSegment]| window.iter().map(|segment| segment.name).eq(old.iter().copied());
        let Some(start) = windows.position(is_old) else {
            return Ok(false);
        };
        segments.splice(start..start + old.len(), [new]);
        self.tx
            .run("UPDATE store SET segments = ?1", [encode_segments(&segments)])?;
        manifest_changed(self.tx)?;
        Ok(true)
    }

    /// Stores how many entries of a table are in segments, and their bytes.
    pub fn count(&self, table: TableId, [entries, bytes]: [i64; 2]) -> rusqlite::Result<()> {
        self.tx.run(
            "UPDATE tables SET entries = ?2, bytes = ?3 WHERE id = ?1",
            params![table, entries, bytes],
        )
    }
}

#[cfg(test)]
#[path = "record_log_tests.rs"]
mod tests;
