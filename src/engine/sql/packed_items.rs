//! Encodes and decodes items in database cells.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};

use crate::model::Item;

/// Encodes an item for a cell.
pub fn pack(item: &Item) -> rusqlite::Result<Vec<u8>> {
    postcard::to_stdvec(item).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// An item that a cell contains in encoded form.
pub struct PackedItem(pub Item);

impl FromSql for PackedItem {
    /// Decodes an item from a cell.
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let item = postcard::from_bytes(value.as_blob()?);
        item.map(Self).map_err(|error| FromSqlError::Other(error.into()))
    }
}
