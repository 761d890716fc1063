//! The rows of hosts' tables and of confirmed matches.

use serde::{Deserialize, Serialize};

use crate::model::{LibraryId, Sequence, TableId};

/// Maximum length of a value that a process keeps in memory, in bytes.
pub const MAX_INLINE: usize = 1000;

/// An entry of a host's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// The length of the value in bytes.
    pub length: u64,
    /// The value; `None` if it is longer than [`MAX_INLINE`].
    pub value: Option<Vec<u8>>,
    /// Expiry time in Unix ms; `None` if the value never expires.
    pub expires_ms: Option<i64>,
}

/// A confirmed match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StoredMatch {
    /// The change sequence at which the match was recorded.
    pub sequence: Sequence,
    /// The path as the host passed it.
    pub path: Vec<u8>,
    pub rating_key: String,
}

/// The matches of a library that a new snapshot has in memory from the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableMatches {
    pub table: TableId,
    pub matches: Vec<StoredMatch>,
}

/// A path whose confirmed matches have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedMatch {
    pub library: LibraryId,
    pub table: TableId,
    /// The path's normal form.
    pub form: Vec<u8>,
}

/// The id and the name of a host's table.
pub type NamedTable = (TableId, Vec<u8>);

/// The changes in hosts' tables since a snapshot.
#[derive(Clone, Debug, Default)]
pub struct TableChanges {
    /// The change sequence of the database.
    pub sequence: Sequence,
    /// The names of the tables, and the change sequence at which a table was last created or cleared; `None` if the
    /// snapshot has them.
    pub tables: Option<(Sequence, Vec<NamedTable>)>,
    /// The names of the changed entries; `None` if there are too many, so that the snapshot must forget all entries.
    pub entries: Option<Vec<(TableId, Vec<u8>)>>,
}
