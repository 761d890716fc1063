//! The rows of the log of records, of its tables, and of the list of segments.

use serde::{Deserialize, Serialize};

use crate::model::{SegmentName, Sequence, TableId};

/// Maximum length of a value in segments and memtables, in bytes. Longer values are only in the database.
pub const MAX_INLINE: usize = 1000;

/// The list of record segments, which contain tables and confirmed matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The change sequence of the last write that changed the list of segments, or created or cleared a table.
    pub changed: Sequence,
    /// The change sequence up to which the segments contain all records.
    pub merged: Sequence,
    /// The segments, newest first.
    pub segments: Vec<NamedSegment>,
}

/// A segment in the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedSegment {
    pub name: SegmentName,
    pub records: u64,
}

/// A host's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRow {
    pub id: TableId,
    pub name: Vec<u8>,
    /// Number of the table's entries in segments, including expired entries.
    pub entries: i64,
    /// Total size, in bytes, of the table's entries in segments.
    pub bytes: i64,
}

/// A host's table, or a library's match table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordTable {
    pub id: TableId,
    /// Whether the table contains confirmed matches, whose names are paths.
    pub is_paths: bool,
    /// Number of the table's entries in segments, including expired entries, and their total size in bytes.
    pub counts: [i64; 2],
}

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRow {
    /// The row ID: the change sequence and the row's number in its transaction, combined.
    pub id: i64,
    pub table: TableId,
    pub name: Vec<u8>,
    /// The value and its length; `None` for a removal. A value that is too long or was not requested is `None`.
    pub value: Option<(Option<Vec<u8>>, u64)>,
    /// Expiry time in Unix ms; `None` if the value never expires.
    pub expires_ms: Option<i64>,
}

/// What a connection knows of the rows that are in no segment, so that a write need not read them.
#[derive(Default)]
pub enum UnmergedRows {
    #[default]
    Unknown,
    /// Only their number, because another connection has written some of them.
    Counted(usize),
    /// All rows, in order. May include rows that were replaced and deleted.
    Known(Vec<RecordRow>),
}

impl UnmergedRows {
    /// Adds a row that the connection has written.
    pub fn add(&mut self, row: impl FnOnce() -> RecordRow) {
        match self {
            Self::Unknown => {}
            Self::Counted(count) => *count += 1,
            Self::Known(rows) => rows.push(row()),
        }
    }

    /// Returns the number of rows; `None` if it is unknown.
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::Unknown => None,
            Self::Counted(count) => Some(*count),
            Self::Known(rows) => Some(rows.len()),
        }
    }
}

/// The changes to records since a snapshot, or all records.
#[derive(Clone, Debug)]
pub struct RecordsState {
    /// The change sequence of the database.
    pub sequence: Sequence,
    /// The manifest and the hosts' tables; `None` if they have not changed.
    pub manifest: Option<(Manifest, Vec<TableRow>)>,
    /// The records since the snapshot or, if `manifest` is set, the records that its segments do not contain.
    pub rows: Vec<RecordRow>,
}
