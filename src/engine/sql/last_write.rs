//! Data of a connection's last write that the next write reuses.

use crate::model::{Generation, IdentityId, LibraryId, Sequence, TableId};

/// A library that belongs to an identity, as read under the write lock.
#[derive(Clone, Copy)]
pub struct LibraryState {
    pub id: LibraryId,
    pub identity: IdentityId,
    pub generation: Generation,
    /// The table of the library's confirmed matches.
    pub matches: Option<TableId>,
}

/// Data that the next write need not read again, unless another connection has written since.
pub struct LastWrite {
    /// `SQLite`'s number for the content of the database. Each commit of any connection changes it.
    pub data_version: u32,
    /// The change sequence.
    pub sequence: Sequence,
    /// The library that matches were recorded for, if nothing in it is invalidated.
    pub library: Option<LibraryState>,
}
