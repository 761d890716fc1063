//! Describes rows of a library, by order and filter.

use crate::model::{ItemType, LibraryKind};

/// A request for rows of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsRequest<'a> {
    /// Section id of the library.
    pub section: &'a str,
    /// Leaf type; [`ItemType::Other`] for no type filter.
    pub kind: ItemType,
    /// Order and filter.
    pub rows: Rows<'a>,
    /// Index of the first row.
    pub start: u64,
    /// Maximum number of rows, 1 to 1,000.
    pub size: u32,
}

/// The order and the filter of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows<'a> {
    /// All rows by id, the order that is stable between pages.
    All,
    /// All rows, newest updated first.
    NewestUpdated,
    /// Rows whose title holds this text (the server's own idea of it; candidates only).
    Title(&'a str),
    /// Rows with a file whose name holds this text (undocumented, disputed; candidates only).
    FileName(&'a str),
}

/// The metadata of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowsEnd {
    /// Number of rows that the server returned, including unusable ones.
    pub rows: u64,
    /// `totalSize`; `None` if missing.
    pub total: Option<u64>,
    /// `offset`; `None` if missing: then the reply may be the whole library.
    pub offset: Option<u64>,
    /// The rows are provably not newest first. Rows without times prove nothing: tracks have no `updatedAt`.
    pub disordered: bool,
}

/// Returns the leaf types of a library, which together have all its files: its partitions.
pub(in crate::source) fn leaf_types(kind: LibraryKind) -> &'static [ItemType] {
    match kind {
        LibraryKind::Movie => &[ItemType::Movie],
        LibraryKind::Show => &[ItemType::Episode],
        LibraryKind::Artist => &[ItemType::Track],
        LibraryKind::Photo => &[ItemType::Photo, ItemType::Clip],
        _ => &[ItemType::Other],
    }
}
