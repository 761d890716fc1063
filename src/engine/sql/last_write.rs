//! Data from a connection's last write, which the next write reuses.

use crate::model::{Generation, LibraryId, Sequence, TableId, ViewId};

/// The state of a library, as read in a write transaction.
#[derive(Clone, Copy)]
pub struct LibraryState {
    pub id: LibraryId,
    pub identity: ViewId,
    pub generation: Generation,
    /// The table of the library's confirmed matches; `None` if no match was recorded.
    pub matches: Option<TableId>,
}

/// Data that the next write need not read again, unless another connection has written since.
pub struct LastWrite {
    /// SQLite's data version, which each commit of any connection changes.
    pub data_version: u32,
    pub sequence: Sequence,
    /// The library for which the write recorded matches; `None` if some of its paths or items may be invalidated.
    pub library: Option<LibraryState>,
}
