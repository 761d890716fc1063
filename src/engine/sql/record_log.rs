//! The log of records: entries in hosts' tables, and confirmed matches. Each row sets or removes the value of a name.
//!
//! plexindex builds segments from the log, and can rebuild them. If too many rows are in no segment yet, a write
//! flushes them into a segment. A write also deletes replaced rows, removals that a segment contains, and rows of
//! cleared tables.

use std::cell::Cell;
use std::mem;

use rusqlite::ffi::SQLITE_CORRUPT;
use rusqlite::{CachedStatement, Connection, params};

use super::schema::{CachedStatements, FromCells, RowCells, list, read};
use super::schema::{NUMBER_MASK, failure, last_position_of, position_of};
use super::schema::{Tx, sequence_of};
use super::store::Store;
use super::store_folder::{segment_name, segment_text};
use super::sweeper::sweep_cleared;
use crate::engine::record_rows::{
    MAX_INLINE, Manifest, NamedSegment, RecordRow, RecordTable, RecordsState, TableRow, UnmergedRows,
};
use crate::error::Result;
use crate::model::{SegmentName, Sequence, TableId};
use crate::platform::deadline::Deadline;

/// The log of records at one change sequence.
pub struct RecordLog<'c> {
    pub(super) connection: &'c Connection,
    pub sequence: Sequence,
}

/// A write transaction on the log of records.
pub struct RecordTx<'t> {
    pub(super) tx: &'t Tx<'t>,
    /// The log of records, with the change sequence before this transaction.
    pub log: RecordLog<'t>,
    /// The statement of [`Self::add`], because finding it among the cached statements takes half as long as running it.
    insert: Cell<Option<CachedStatement<'t>>>,
}

impl FromCells for Manifest {
    /// Reads the manifest from a row of the table `meta`.
    fn from_cells(cells: &mut RowCells<'_, '_>) -> rusqlite::Result<Self> {
        Ok(Self {
            changed: cells.get("manifest")?,
            merged: cells.get("merged")?,
            segments: parse_segments(&cells.get::<String>("segments")?),
        })
    }
}

/// Reads the manifest: the list of record segments.
pub fn manifest(connection: &Connection) -> rusqlite::Result<Manifest> {
    connection.row(&format!("SELECT {} FROM meta", list::<Manifest>()), [], read)
}

/// Parses segments from text of the form `name:records name:records …`. Skips invalid segments.
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

/// Reads the hosts' tables.
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

/// Number of rows that one statement of [`RecordTx::add_all`] appends.
const ROWS_PER_INSERT: usize = 16;
/// Maximum value length that excludes all values, even empty ones.
pub(super) const NO_VALUES: i64 = -1;

/// Returns at most `max_rows` log rows that satisfy an SQL condition, in which `?1` stands for `param`. Omits values
/// longer than `max_value` bytes.
pub(super) fn rows(
    connection: &Connection,
    condition: &str,
    param: i64,
    max_value: i64,
    max_rows: usize,
) -> rusqlite::Result<Vec<RecordRow>> {
    connection.rows(
        // Without `+ 0`, SQLite would plan the statement again for each limit.
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

/// SQL condition for the match tables of existing libraries. A cleared library has a negative `view_id` until a sweep
/// deletes its row.
pub(super) const OF_A_LIBRARY: &str = "library IN (SELECT id FROM libraries WHERE view_id > 0)";

// SQL conditions for rows after the row with the id `?1`: for all rows, and for rows of hosts' tables.
pub(super) const ROWS_AFTER: &str = "id > ?1 ORDER BY id";
const HOST_RECORDS_AFTER: &str = "id > ?1 AND in_table IN (SELECT id FROM tables WHERE name IS NOT NULL) ORDER BY id";

/// Returns a row id without the row's number in its write, which is the same for all rows of one write, so that
/// eviction can remove entries that were written together. `row`: the row id.
#[must_use]
pub fn write_of(row: i64) -> i64 {
    row & !NUMBER_MASK
}

/// Access to a store's confirmed matches and tables.
pub struct RecordRows<'s>(pub &'s Store);

impl RecordRows<'_> {
    /// Returns the changes since a snapshot, or all records if `since` is `None`. `since`: the change sequences of the
    /// snapshot and of its manifest. Omits values longer than [`MAX_INLINE`]. If `deadline` is `None`, waits only a
    /// moment for locks, and then fails.
    pub fn records_since(
        &self,
        since: Option<(Sequence, Sequence)>,
        deadline: Option<Deadline>,
    ) -> Result<RecordsState> {
        self.0
            .read_by(deadline, |connection| RecordLog::of(connection)?.state(since))
    }

    /// Runs `work` in a write transaction. Runs `work` again if the database was replaced.
    pub fn write_records<T>(
        &self,
        deadline: Deadline,
        mut work: impl FnMut(&RecordTx<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.0.write(deadline, |tx| work(&RecordTx::new(tx)))
    }

    /// Clears all hosts' tables. Later writes delete the rows.
    pub fn clear_tables(&self, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            tx.run("UPDATE tables SET name = NULL WHERE name IS NOT NULL", [])?;
            manifest_changed(tx)
        })
    }

    /// Passes the log to `work` in a read transaction. Runs `work` again if the database was replaced.
    pub fn read_record_log<T>(&self, mut work: impl FnMut(&RecordLog<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.0.read(|connection| work(&RecordLog::of(connection)?))
    }

    /// Passes a row's value to `use_value` if the value has at most `max_length` bytes. Returns the value's length;
    /// `None` if the row is missing or is a removal.
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

/// Converts a length or a limit to a statement parameter.
fn to_i64(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Marks the manifest and the tables as changed, so that readers reload them. Also stores the change sequence, because
/// this write may delete the last record, from which [`sequence_of`] usually derives the sequence.
fn manifest_changed(tx: &Tx<'_>) -> rusqlite::Result<()> {
    tx.run("UPDATE meta SET manifest = ?1, sequence = ?1", [tx.sequence])
}

impl<'c> RecordLog<'c> {
    /// Wraps a running read transaction.
    fn of(connection: &'c Connection) -> rusqlite::Result<Self> {
        let sequence = sequence_of(connection)?;
        Ok(Self { connection, sequence })
    }

    /// Returns the changes since a snapshot, or all records if `since` is `None` or the manifest has changed. `since`:
    /// the change sequences of the snapshot and of its manifest. Omits values longer than [`MAX_INLINE`].
    pub fn state(&self, since: Option<(Sequence, Sequence)>) -> rusqlite::Result<RecordsState> {
        let current = self.sequence;
        if let Some((since, _)) = since
            && since == current
        {
            return Ok(RecordsState {
                sequence: current,
                manifest: None,
                rows: Vec::new(),
            });
        }
        let manifest = self.manifest()?;
        // Read everything if the manifest changed, or if the database was restored to a state before the snapshot.
        let since = since.filter(|(since, changed)| *since <= current && *changed == manifest.changed);
        let rows_since = since.map_or(manifest.merged, |(since, _)| since);
        let (c, after_row) = (self.connection, last_position_of(rows_since));
        Ok(RecordsState {
            sequence: current,
            rows: rows(c, HOST_RECORDS_AFTER, after_row, to_i64(MAX_INLINE), usize::MAX)?,
            manifest: match since {
                Some(_) => None,
                None => Some((manifest, tables(c)?)),
            },
        })
    }

    /// Reads the list of record segments.
    pub fn manifest(&self) -> rusqlite::Result<Manifest> {
        manifest(self.connection)
    }

    /// Returns all tables that are not cleared: hosts' tables and match tables.
    pub fn active_tables(&self) -> rusqlite::Result<Vec<RecordTable>> {
        self.connection.rows(
            &format!(
                "SELECT id, library IS NOT NULL, entries, bytes FROM tables WHERE name IS NOT NULL OR {OF_A_LIBRARY}",
            ),
            [],
            |row| {
                Ok(RecordTable {
                    id: row.get(0)?,
                    is_paths: row.get(1)?,
                    counts: [row.get(2)?, row.get(3)?],
                })
            },
        )
    }

    /// Returns the number of rows that writes after the change sequence `since` have added, but at most `max_count`, so
    /// that counting stays fast.
    pub fn count_since(&self, since: Sequence, max_count: usize) -> rusqlite::Result<usize> {
        self.connection
            .value::<i64>(
                "SELECT count(*) FROM (SELECT 1 FROM records WHERE id > ?1 LIMIT ?2)",
                params![last_position_of(since), to_i64(max_count)],
            )
            .map(|count| usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Returns at most `max_rows` rows after the row with the id `row`, in order and without values.
    pub fn rows_after(&self, row: i64, max_rows: usize) -> rusqlite::Result<Vec<RecordRow>> {
        rows(self.connection, ROWS_AFTER, row, NO_VALUES, max_rows)
    }

    /// Returns at most `max_rows` rows that have expired by `now_ms`, earliest expiry first and without values.
    pub fn expired(&self, now_ms: i64, max_rows: usize) -> rusqlite::Result<Vec<RecordRow>> {
        rows(
            self.connection,
            "expires_ms <= ?1 ORDER BY expires_ms",
            now_ms,
            NO_VALUES,
            max_rows,
        )
    }

    /// Returns a row's value and the value's length; `None` if the row is missing or is a removal. The value itself is
    /// `None` if it is longer than `max_value` bytes.
    pub fn row(&self, id: i64, max_value: usize) -> rusqlite::Result<Option<(Option<Vec<u8>>, u64)>> {
        let row = rows(self.connection, "id = ?1", id, to_i64(max_value), 1)?.pop();
        Ok(row.and_then(|row| row.value))
    }
}

impl<'t> RecordTx<'t> {
    /// Wraps a running write transaction. The log has the last commit's change sequence, which is one less than
    /// this write's.
    pub(super) fn new(tx: &'t Tx<'t>) -> Self {
        let log = RecordLog {
            connection: tx.connection,
            sequence: Sequence(tx.sequence.0 - 1),
        };
        Self {
            tx,
            log,
            insert: Cell::default(),
        }
    }

    /// Returns the change sequence of this write.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.tx.sequence
    }

    /// Appends a record to the log, which sets a name's value in a table, or removes the name if `value` is `None`.
    /// `expires_ms`: the expiry time in Unix ms; `None`: never. Returns the row id.
    pub fn add(
        &self,
        table: TableId,
        name: &[u8],
        value: Option<&[u8]>,
        expires_ms: Option<i64>,
    ) -> rusqlite::Result<i64> {
        let id = self.next_row_id();
        let sql = "INSERT INTO records (id, in_table, name, expires_ms, value) VALUES (?1, ?2, ?3, ?4, ?5)";
        let insert = self.insert.take();
        let mut insert = insert.map_or_else(|| self.tx.connection.prepare_cached(sql), Ok)?;
        insert.execute(params![id, table, name, expires_ms, value])?;
        self.insert.set(Some(insert));
        self.note_added(id, table, name, value, expires_ms);
        Ok(id)
    }

    /// Appends records that set names' values in a table, and that never expire. Takes half as long as a call of
    /// [`Self::add`] for each, because one statement appends many rows.
    pub fn add_all(&self, table: TableId, records: &[(&[u8], Vec<u8>)]) -> rusqlite::Result<()> {
        let Some(((name, value), others)) = records.split_first() else {
            return Ok(());
        };
        let mut last_id = self.add(table, name, Some(value), None)?;
        let (chunks, rest) = others.as_chunks::<ROWS_PER_INSERT>();
        if !chunks.is_empty() {
            // Without an id, a row gets the highest id plus 1, for which SQLite need not search the table.
            let rows = ["(?1, ?, ?)"; ROWS_PER_INSERT].join(", ");
            let sql = format!("INSERT INTO records (in_table, name, value) VALUES {rows}");
            let mut insert = self.tx.connection.prepare_cached(&sql)?;
            insert.raw_bind_parameter(1, table)?;
            for chunk in chunks {
                for (index, (name, value)) in (2..).step_by(2).zip(chunk) {
                    insert.raw_bind_parameter(index, name)?;
                    insert.raw_bind_parameter(index + 1, value)?;
                    last_id = self.next_row_id();
                    self.note_added(last_id, table, name, Some(value), None);
                }
                insert.raw_execute()?;
                if self.tx.connection.last_insert_rowid() != last_id {
                    return Err(failure(SQLITE_CORRUPT)); // the log has rows of later writes
                }
            }
        }
        for (name, value) in rest {
            self.add(table, name, Some(value), None)?;
        }
        Ok(())
    }

    /// Adds a row of this write to the rows that are in no segment.
    fn note_added(&self, id: i64, table: TableId, name: &[u8], value: Option<&[u8]>, expires_ms: Option<i64>) {
        self.tx.unmerged.borrow_mut().add(|| RecordRow {
            id,
            table,
            name: name.to_vec(),
            value: value.map(|value| {
                let inline = (value.len() <= MAX_INLINE).then(|| value.to_vec());
                (inline, value.len() as u64)
            }),
            expires_ms,
        });
    }

    /// Returns the number of rows that are in no segment, or a number above `max_count` if there are more. Counting
    /// reads the rows, so the result is cached as long as no other connection commits.
    pub fn count_unmerged(&self, max_count: usize) -> rusqlite::Result<usize> {
        let mut unmerged = self.tx.unmerged.borrow_mut();
        if let Some(count) = unmerged.count() {
            return Ok(count);
        }
        let count = self.log.count_since(self.log.manifest()?.merged, max_count + 1)?;
        *unmerged = UnmergedRows::Counted(count);
        Ok(count)
    }

    /// Returns the rows that are in no segment, without values longer than [`MAX_INLINE`], to write them to a segment.
    /// `merged`: the change sequence up to which the segments contain all records.
    pub fn take_unmerged(&self, merged: Sequence) -> rusqlite::Result<Vec<RecordRow>> {
        match mem::take(&mut *self.tx.unmerged.borrow_mut()) {
            UnmergedRows::Known(rows) => Ok(rows),
            _ => rows(
                self.tx.connection,
                ROWS_AFTER,
                last_position_of(merged),
                to_i64(MAX_INLINE),
                usize::MAX,
            ),
        }
    }

    /// Returns the id for the next row. Each call returns a new id.
    pub fn next_row_id(&self) -> i64 {
        position_of(self.tx.sequence, self.tx.next_log_number())
    }

    /// Deletes a row that readers no longer need. To remove a name, use [`Self::add`].
    pub fn delete(&self, row: i64) -> rusqlite::Result<()> {
        self.tx.run("DELETE FROM records WHERE id = ?1", [row])
    }

    /// Deletes some rows of a cleared table, so that no single call must delete all of them. Returns whether there was a
    /// cleared table.
    pub fn sweep_cleared(&self) -> rusqlite::Result<bool> {
        sweep_cleared(self.tx.connection)
    }

    /// Creates a table with this name, and returns its id.
    pub fn make_table(&self, name: &[u8]) -> rusqlite::Result<TableId> {
        let c = self.tx.connection;
        // The new table has no records up to the last commit, so eviction and sweeps start after it.
        c.run(
            "INSERT INTO tables (name, swept) VALUES (?1, ?2)",
            params![name, last_position_of(self.log.sequence)],
        )?;
        let id = c.last_insert_rowid();
        manifest_changed(self.tx)?;
        Ok(TableId(id))
    }

    /// Clears a table in constant time. The table's id becomes invalid, and later writes delete the table's rows.
    pub fn clear_table(&self, id: TableId) -> rusqlite::Result<()> {
        self.tx.run("UPDATE tables SET name = NULL WHERE id = ?1", [id])?;
        manifest_changed(self.tx)
    }

    /// Stores the list of segments, newest first, in the manifest. The segments must contain all records up to the
    /// change sequence `merged`.
    pub fn set_segments(&self, segments: &[NamedSegment], merged: Sequence) -> rusqlite::Result<()> {
        // A failed transaction must remove the file of a segment that this write has created.
        let new_segment = segments.first().map(|segment| segment.name);
        self.tx
            .new_segments
            .set(new_segment.filter(|name| name.sequence == self.tx.sequence));
        self.tx.run(
            "UPDATE meta SET segments = ?1, merged = ?2",
            params![encode_segments(segments), merged],
        )?;
        // If the segments include this write, no rows remain outside them.
        *self.tx.unmerged.borrow_mut() = if merged == self.tx.sequence {
            UnmergedRows::Known(Vec::new())
        } else {
            UnmergedRows::Unknown
        };
        manifest_changed(self.tx)
    }

    /// Replaces adjacent segments in the manifest by a merged segment. Returns `false` if the manifest no longer
    /// contains the old segments.
    pub fn replace_segments(&self, old: &[SegmentName], new: NamedSegment) -> rusqlite::Result<bool> {
        let mut segments = manifest(self.tx.connection)?.segments;
        let mut windows = segments.windows(old.len());
        let is_old = |window: &[NamedSegment]| window.iter().map(|segment| segment.name).eq(old.iter().copied());
        let Some(start) = windows.position(is_old) else {
            return Ok(false);
        };
        segments.splice(start..start + old.len(), [new]);
        self.tx
            .run("UPDATE meta SET segments = ?1", [encode_segments(&segments)])?;
        manifest_changed(self.tx)?;
        Ok(true)
    }

    /// Stores the number and size of a table's entries in segments.
    pub fn set_segment_counts(&self, table: TableId, [entries, bytes]: [i64; 2]) -> rusqlite::Result<()> {
        self.tx.run(
            "UPDATE tables SET entries = ?2, bytes = ?3 WHERE id = ?1",
            params![table, entries, bytes],
        )
    }
}

#[cfg(test)]
#[path = "record_log_tests.rs"]
mod tests;
