//! Columns by name, declared once. The code that reads a row also creates the column list of the SELECT.
//!
//! [`FromCells::from_cells`] runs once without a row to collect the column names, and then once for each row to read
//! the cells in the same order. It must read the same columns each time.

use rusqlite::Row;
use rusqlite::types::FromSql;

/// The cells of a row, taken one after the other.
pub struct RowCells<'r, 's> {
    /// `None` while only the column names are collected.
    row: Option<&'r Row<'s>>,
    names: Vec<&'static str>,
    next: usize,
}

impl RowCells<'_, '_> {
    /// Reads the next cell. `column` is its name in the statement, with the table's alias.
    pub fn get<T: FromSql + Default>(&mut self, column: &'static str) -> rusqlite::Result<T> {
        let index = self.next;
        self.next += 1;
        if let Some(row) = self.row {
            return row.get(index);
        }
        self.names.push(column);
        Ok(T::default())
    }
}

/// A type that is read from a row.
pub trait FromCells: Sized {
    /// Reads the value. It is also called without a row, to collect the column names; cells are then default values.
    fn from_cells(cells: &mut RowCells<'_, '_>) -> rusqlite::Result<Self>;
}

/// The names of the columns that a `T` is read from, in order.
pub fn names<T: FromCells>() -> Vec<&'static str> {
    let mut cells = RowCells {
        row: None,
        names: Vec::new(),
        next: 0,
    };
    let read = T::from_cells(&mut cells);
    debug_assert!(read.is_ok(), "a row of empty cells is read");
    cells.names
}

/// The list of a SELECT whose rows [`read`] takes.
pub fn list<T: FromCells>() -> String {
    names::<T>().join(", ")
}

/// Reads a row of a SELECT that begins with [`list`].
pub fn read<T: FromCells>(row: &Row<'_>) -> rusqlite::Result<T> {
    T::from_cells(&mut RowCells {
        row: Some(row),
        names: Vec::new(),
        next: 0,
    })
}
