//! Derives the column list of a SELECT from the code that reads its rows, so that each column is declared only once.
//!
//! [`FromCells::from_cells`] runs once without a row to collect the column names, and then once for each row to read
//! its cells. Every run must read the same columns in the same order.

use rusqlite::Row;
use rusqlite::types::FromSql;

/// The cells of a row, read from left to right.
pub struct RowCells<'r, 's> {
    /// The row; `None` while the column names are collected.
    row: Option<&'r Row<'s>>,
    names: Vec<&'static str>,
    next_index: usize,
}

impl RowCells<'_, '_> {
    /// Reads the next cell. `column`: the column's name in the SELECT, such as `l.id`. Without a row, collects the name
    /// and returns the default value.
    pub fn get<T: FromSql + Default>(&mut self, column: &'static str) -> rusqlite::Result<T> {
        let index = self.next_index;
        self.next_index += 1;
        if let Some(row) = self.row {
            return row.get(index);
        }
        self.names.push(column);
        Ok(T::default())
    }
}

/// A type that can be read from a row.
pub trait FromCells: Sized {
    /// Reads the value from its cells, which all have default values while the column names are collected.
    fn from_cells(cells: &mut RowCells<'_, '_>) -> rusqlite::Result<Self>;
}

/// Returns the names of a `T`'s columns, in order. Runs `from_cells` without a row, so that it only collects the names.
pub fn names<T: FromCells>() -> Vec<&'static str> {
    let mut cells = RowCells {
        row: None,
        names: Vec::new(),
        next_index: 0,
    };
    let result = T::from_cells(&mut cells);
    debug_assert!(result.is_ok(), "default values are valid");
    cells.names
}

/// Returns the columns of a `T` as a comma-separated list for a SELECT. [`read`] can read the result rows.
pub fn list<T: FromCells>() -> String {
    names::<T>().join(", ")
}

/// Reads a `T` from a row of a SELECT that starts with the columns of [`list`].
pub fn read<T: FromCells>(row: &Row<'_>) -> rusqlite::Result<T> {
    T::from_cells(&mut RowCells {
        row: Some(row),
        names: Vec::new(),
        next_index: 0,
    })
}
