//! The log of records: entries of hosts' tables, and confirmed matches. A row is a value under a name, or the removal
//! of a name. Segments are built from the log, and can be rebuilt from it. A row is deleted when it is replaced, when a
//! segment holds it as a removal, or when its table is cleared. A write that leaves too many unmerged rows flushes them
//! into a segment.

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
    /// The change sequence at which segments or tables last changed.
    pub changed: Sequence,
    /// Records up to this change sequence are in segments.
    pub merged: Sequence,
    /// The newest first.
    pub segments: Vec<NamedSegment>,
}

/// A segment in the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedSegment {
    /// Its name.
    pub name: SegmentName,
    /// Number of its records.
    pub records: u64,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRow {
    /// Its number in the store.
    pub id: TableId,
    /// Its name.
    pub name: Vec<u8>,
    /// Number of entries in segments, including expired ones.
    pub entries: i64,
    /// Size of these entries in bytes.
    pub bytes: i64,
}

/// A table of a host, or the table of a library's confirmed matches, with counts of what its segments hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Its number in the store.
    pub id: TableId,
    /// It holds the confirmed matches of a library; entry names are paths.
    pub is_paths: bool,
    /// Entries in segments, and their bytes, as in [`TableRow`].
    pub counts: [i64; 2],
}

/// A record as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRow {
    /// Its row number.
    pub id: i64,
    /// The table.
    pub table: TableId,
    /// The entry's name.
    pub name: Vec<u8>,
    /// The value, unless it is long, and its length. `None` for a removal.
    pub value: Option<(Option<Vec<u8>>, u64)>,
    /// When it expires, Unix ms.
    pub expires_ms: Option<i64>,
}

/// The changes since a snapshot.
#[derive(Clone, Debug)]
pub struct RecordsState {
    /// The change sequence at which they were read.
    pub sequence: Sequence,
    /// Manifest and tables, if they changed.
    pub manifest: Option<(Manifest, Vec<TableRow>)>,
    /// Records since the snapshot; with a manifest, the records that its segments lack.
    pub rows: Vec<RecordRow>,
}

/// The log at one change sequence.
pub struct RecordLog<'c> {
    pub(super) connection: &'c Connection,
    /// The change sequence at which it is read.
    pub sequence: Sequence,
}

/// A write of records under way.
pub struct RecordTx<'t> {
    pub(super) tx: &'t Tx<'t>,
    /// The log as it was before.
    pub log: RecordLog<'t>,
}

impl FromCells for Manifest {
    fn from_cells(cells: &mut RowCells<'_, '_>) -> rusqlite::Result<Self> {
        Ok(Self {
            changed: cells.get("manifest")?,
            merged: cells.get("merged")?,
            segments: segments_of(&cells.get::<String>("segments")?),
        })
    }
}

/// The manifest, as the connection sees it.
pub fn manifest(connection: &Connection) -> rusqlite::Result<Manifest> {
    connection.row(&format!("SELECT {} FROM store", list::<Manifest>()), [], read)
}

/// The inverse of [`text_of`].
fn segments_of(text: &str) -> Vec<NamedSegment> {
    let each = text.split_ascii_whitespace().filter_map(|one| {
        let (name, records) = one.split_once(':')?;
        Some(NamedSegment {
            name: segment_name(name)?,
            records: records.parse().ok()?,
        })
    });
    each.collect()
}

fn text_of(segments: &[NamedSegment]) -> String {
    let each = segments
        .iter()
        .map(|one| format!("{}:{}", segment_text(&one.name), one.records));
    each.collect::<Vec<_>>().join(" ")
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

/// Returns rows of the log that satisfy the condition `which`, with values of at most `long` bytes; with -1, without
/// values.
pub(super) fn rows(
    connection: &Connection,
    which: &str,
    from: i64,
    long: i64,
    most: usize,
) -> rusqlite::Result<Vec<RecordRow>> {
    connection.rows(
        &format!(
            "SELECT id, in_table, name, length(value), CASE WHEN length(value) <= ?2 THEN value END, expires_ms \
             FROM records WHERE {which} LIMIT ?3 + 0",
        ),
        params![from, long, i64::try_from(most).unwrap_or(i64::MAX)],
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

/// Condition for tables of matches whose library is not cleared. Matches of a cleared library are swept later.
pub(super) const OF_A_LIBRARY: &str = "library IN (SELECT id FROM libraries WHERE identity > 0)";

// Conditions for rows of the log after row ?1: all of them, or records of hosts' tables.
pub(super) const ROWS_AFTER: &str = "id > ?1 ORDER BY id";
const HOST_RECORDS_AFTER: &str = "id > ?1 AND in_table IN (SELECT id FROM tables WHERE name IS NOT NULL) ORDER BY id";

/// The changes since a snapshot; everything if `since` is `None` or the manifest changed.
fn state(
    connection: &Connection,
    since: Option<(Sequence, Sequence)>,
    now: Sequence,
    long: usize,
) -> rusqlite::Result<RecordsState> {
    if let Some((since, _)) = since
        && since == now
    {
        return Ok(RecordsState {
            sequence: now,
            manifest: None,
            rows: Vec::new(),
        });
    }
    let manifest = manifest(connection)?;
    let known = since.filter(|(since, changed)| *since <= now && *changed == manifest.changed);
    let from = known.map_or(manifest.merged, |(since, _)| since);
    Ok(RecordsState {
        sequence: now,
        rows: rows(connection, HOST_RECORDS_AFTER, end_of(from), bytes(long), usize::MAX)?,
        manifest: match known {
            Some(_) => None,
            None => Some((manifest, tables(connection)?)),
        },
    })
}

/// The number of the write that made a row: equal for rows of one write.
#[must_use]
pub fn write_of(row: i64) -> i64 {
    row & !NUMBER
}

/// The last row that a write of this change sequence may have made.
#[must_use]
pub fn last_row(sequence: Sequence) -> i64 {
    end_of(sequence)
}

/// A store's rows of confirmed matches and tables.
pub struct RecordRows<'s>(pub &'s Store);

impl RecordRows<'_> {
    /// The changes since a snapshot of this change sequence and manifest; `None`: everything. Fails if not `patient` and
    /// the database is locked. Values of more than `long` bytes stay in the log.
    pub fn records_since(
        &self,
        since: Option<(Sequence, Sequence)>,
        long: usize,
        patient: bool,
    ) -> Result<RecordsState> {
        let work = |connection: &Connection| state(connection, since, sequence_of(connection)?, long);
        self.0.read_if(patient, work)
    }

    /// Writes records in one transaction. `work` may be run again.
    pub fn write_records<T>(
        &self,
        deadline: Deadline,
        mut work: impl FnMut(&RecordTx<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.0.write(deadline, |tx| {
            let records = RecordTx::new(tx);
            let done = work(&records)?;
            sweep_cleared(tx.connection)?;
            Ok(done)
        })
    }

    /// Clears all tables of hosts.
    pub fn clear_tables(&self, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            tx.run("UPDATE tables SET name = NULL WHERE name IS NOT NULL", [])?;
            manifest_changed(tx)
        })
    }

    /// Reads the log in one transaction. `work` may be run again.
    pub fn read_records<T>(&self, mut work: impl FnMut(&RecordLog<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.0.read(|connection| {
            let sequence = sequence_of(connection)?;
            work(&RecordLog { connection, sequence })
        })
    }

    /// Passes the row's value of at most `room` bytes to `then`. Returns its length; `None` if the row is gone.
    pub fn long_value(&self, row: i64, room: usize, then: &mut dyn FnMut(&[u8])) -> Result<Option<usize>> {
        let row = self
            .0
            .read(|connection| rows(connection, "id = ?1", row, bytes(room), 1))?
            .pop();
        Ok(row.and_then(|row| row.value).map(|(value, length)| {
            value.as_deref().map(then);
            usize::try_from(length).unwrap_or(0)
        }))
    }
}

fn bytes(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

/// Makes readers reload manifest and tables. Stores the sequence, because this write may remove the last record, from
/// which the sequence is derived otherwise.
fn manifest_changed(tx: &Tx<'_>) -> rusqlite::Result<()> {
    tx.run("UPDATE store SET manifest = ?1, sequence = ?1", [tx.sequence])
}

impl RecordLog<'_> {
    /// The changes since a snapshot, as [`RecordRows::records_since`].
    pub fn state(&self, since: Option<(Sequence, Sequence)>, long: usize) -> rusqlite::Result<RecordsState> {
        state(self.connection, since, self.sequence, long)
    }

    /// The current manifest.
    pub fn manifest(&self) -> rusqlite::Result<Manifest> {
        manifest(self.connection)
    }

    /// Returns all collections that are not cleared. The matches of a cleared library do not count towards the limit.
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

    /// Counts records of writes later than `since`, up to `most`.
    pub fn count_since(&self, since: Sequence, most: usize) -> rusqlite::Result<usize> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.connection
            .value::<i64>(
                "SELECT count(*) FROM (SELECT 1 FROM records WHERE id > ?1 LIMIT ?2)",
                params![end_of(since), most],
            )
            .map(|count| usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Records of writes later than `since`, with values of at most `long` bytes.
    pub fn rows_since(&self, since: Sequence, long: usize) -> rusqlite::Result<Vec<RecordRow>> {
        rows(self.connection, ROWS_AFTER, end_of(since), bytes(long), usize::MAX)
    }

    /// At most `most` rows after this one, in order, without values.
    pub fn rows_after(&self, row: i64, most: usize) -> rusqlite::Result<Vec<RecordRow>> {
        rows(self.connection, ROWS_AFTER, row, -1, most)
    }

    /// At most `most` rows that have expired at `now_ms`, without values.
    pub fn expired(&self, now_ms: i64, most: usize) -> rusqlite::Result<Vec<RecordRow>> {
        rows(
            self.connection,
            "expires_ms <= ?1 ORDER BY expires_ms",
            now_ms,
            -1,
            most,
        )
    }

    /// Returns the value of a row, unless it is longer than `long`, and its length.
    pub fn row(&self, id: i64, long: usize) -> rusqlite::Result<Option<(Option<Vec<u8>>, u64)>> {
        let row = rows(self.connection, "id = ?1", id, bytes(long), 1)?.pop();
        Ok(row.and_then(|row| row.value))
    }
}

impl<'t> RecordTx<'t> {
    /// The records of a write transaction under way.
    pub(super) fn new(tx: &'t Tx<'t>) -> Self {
        let log = RecordLog {
            connection: tx.connection,
            sequence: Sequence(tx.sequence.0 - 1),
        };
        Self { tx, log }
    }

    /// The change sequence of this write.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.tx.sequence
    }

    /// Adds a record at the end of the log; returns its row.
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

    /// The number that the next row gets.
    pub fn next_row(&self) -> i64 {
        place_of(self.tx.sequence, self.tx.next_change())
    }

    /// Deletes a dead row.
    pub fn delete(&self, row: i64) -> rusqlite::Result<()> {
        self.tx.run("DELETE FROM records WHERE id = ?1", [row])
    }

    /// Makes a table.
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

    /// Stores the manifest, newest segment first. These segments have the records up to this write.
    pub fn name_segments(&self, segments: &[NamedSegment]) -> rusqlite::Result<()> {
        let new_segment = segments.first().map(|one| one.name);
        self.tx
            .new_segments
            .set(new_segment.filter(|name| name.sequence == self.tx.sequence));
        self.tx.run(
            "UPDATE store SET segments = ?1, merged = ?2",
            params![text_of(segments), self.tx.sequence],
        )?;
        manifest_changed(self.tx)
    }

    /// Replaces consecutive segments by one, if the manifest still names them.
    pub fn replace_segments(&self, old: &[SegmentName], new: NamedSegment) -> rusqlite::Result<bool> {
        let mut segments = manifest(self.tx.connection)?.segments;
        let windows = segments.windows(old.len());
        let Some(at) = windows
            .map(|some| some.iter().map(|one| one.name).eq(old.iter().copied()))
            .position(|is_match| is_match)
        else {
            return Ok(false);
        };
        segments.splice(at..at + old.len(), [new]);
        self.tx.run("UPDATE store SET segments = ?1", [text_of(&segments)])?;
        manifest_changed(self.tx)?;
        Ok(true)
    }

    /// Stores the counts of a table's entries in segments.
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
