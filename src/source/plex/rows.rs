//! Describes which rows of a library to request.

use crate::model::{ItemType, LibraryKind};

/// A request for rows of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsRequest<'a> {
    /// Section id of the library.
    pub section: &'a str,
    /// Leaf type of the rows; [`ItemType::Other`] means no type filter.
    pub kind: ItemType,
    /// Order and filter.
    pub rows: Rows<'a>,
    /// Index of the first row.
    pub start: u64,
    /// Maximum number of rows, 1 to 1,000.
    pub size: u32,
}

/// The order and the filter of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows<'a> {
    /// All rows by id, the order that is stable between pages.
    All,
    /// All rows, newest updated first.
    NewestUpdated,
    /// Rows whose title contains this text, by the server's rules. The result may have false and missing rows.
    Title(&'a str),
    /// Rows with a file whose name contains this text. Plex does not document this filter, and the result may have
    /// false and missing rows.
    FileName(&'a str),
}

/// The metadata of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowsEnd {
    /// Number of rows that the server returned, including unusable rows.
    pub rows: u64,
    /// `totalSize`; `None` if missing.
    pub total: Option<u64>,
    /// `offset`; `None` if it is missing, since the reply may then contain the whole library.
    pub offset: Option<u64>,
    /// Whether the rows' times show a different order than newest first. Tracks have no times (`updatedAt`).
    pub disordered: bool,
}

/// Returns the leaf types of a library, which together have all its files. Each leaf type is a partition of the
/// listing.
pub(in crate::source) fn leaf_types(kind: LibraryKind) -> &'static [ItemType] {
    match kind {
        LibraryKind::Movie => &[ItemType::Movie],
        LibraryKind::Show => &[ItemType::Episode],
        LibraryKind::Artist => &[ItemType::Track],
        LibraryKind::Photo => &[ItemType::Photo, ItemType::Clip],
        _ => &[ItemType::Other],
    }
}
