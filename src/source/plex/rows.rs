//! Rows of a library, in one of the orders and with one of the filters that servers have.

use crate::model::ItemType;

/// Which rows of a library to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsRequest<'a> {
    /// Section id of the library.
    pub section: &'a str,
    /// The leaf type; [`ItemType::Other`] asks without a type.
    pub kind: ItemType,
    /// Which rows.
    pub rows: Rows<'a>,
    /// Index of the first row.
    pub start: u64,
    /// How many rows at most, 1 to 1,000.
    pub size: u32,
}

/// The order and the filter of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows<'a> {
    /// All rows, by id: the order that is stable between pages.
    All,
    /// All rows, newest updated first.
    NewestUpdated,
    /// Rows whose title holds this text (the server's own idea of it; candidates only).
    Title(&'a str),
    /// Rows with a file whose name holds this text (undocumented, disputed; candidates only).
    FileName(&'a str),
}

/// What is known of a page once its rows were handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowsEnd {
    /// Rows that the server returned, those without a rating key or a usable shape included.
    pub rows: u64,
    /// `totalSize`; `None` when the server did not name it.
    pub total: Option<u64>,
    /// `offset`; `None` when the server did not name it, so that the reply may be the whole library.
    pub offset: Option<u64>,
    /// The rows show that they are not in the order of newest first that was asked for. Rows that do not say when they were
    /// added or updated show nothing: tracks have no `updatedAt`.
    pub disordered: bool,
}
