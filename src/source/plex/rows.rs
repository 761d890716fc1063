//! Describes which rows of a library to request.

use crate::model::{ItemType, LibraryKind};

/// A request for rows of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsRequest<'a> {
    /// Section id of the library.
    pub section: &'a str,
    /// Item type of the rows; [`ItemType::Other`] disables the type filter.
    pub kind: ItemType,
    /// Sort order and filter.
    pub rows: Rows<'a>,
    /// Index of the first row.
    pub start: u64,
    /// Maximum number of rows, from 1 to 1,000.
    pub size: u32,
}

/// The sort order and filter of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows<'a> {
    /// All rows, sorted by id, so that rows do not shift between pages.
    All,
    /// All rows, most recently updated first.
    NewestUpdated,
    /// Rows whose files are missing on the server's disk. plexindex uses those that are in the trash.
    Trash,
    /// Rows whose title contains this string. The server may return rows that do not match, and omit rows that match.
    Title(&'a str),
    /// Rows with a file whose name contains this string. Plex does not document this filter. The server may return rows
    /// that do not match, and omit rows that match.
    FileName(&'a str),
}

/// The metadata of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowsEnd {
    /// Number of rows that the server returned, including unusable rows.
    pub rows: u64,
    /// `totalSize`; `None` if missing.
    pub total: Option<u64>,
    /// `offset`; `None` if missing. The reply may then contain the whole library.
    pub offset: Option<u64>,
    /// Whether the rows are not sorted newest first, according to their times. Tracks have no times (`updatedAt`).
    pub is_disordered: bool,
    /// Update times of the first and the last row that has a time; `None` if no row has a time.
    pub update_times: Option<(i64, i64)>,
}

/// Returns the item types that have files in this kind of library. Each of these types is a partition of the listing.
pub(in crate::source) fn item_types_with_files(kind: LibraryKind) -> &'static [ItemType] {
    match kind {
        LibraryKind::Movie => &[ItemType::Movie],
        LibraryKind::Show => &[ItemType::Episode],
        LibraryKind::Artist => &[ItemType::Track],
        LibraryKind::Photo => &[ItemType::Photo, ItemType::Clip],
        _ => &[ItemType::Other],
    }
}
