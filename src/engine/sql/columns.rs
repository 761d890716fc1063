//! Columns by name, declared once: what reads a row also makes the list of the SELECT.
//!
//! [`FromCells::from_cells`] is run without a row to learn the names that it asks for, and with each row to read the cells
//! in that order. So each column that is read is selected, in its place. It asks for the same columns whatever it finds.

use rusqlite::Row;
use rusqlite::types::FromSql;

/// The cells of a row, taken one after the other.
pub struct RowCells<'r, 's> {
    /// `None`: only the names of the columns are wanted.
    row: Option<&'r Row<'s>>,
    names: Vec<&'static str>,
    next: usize,
}

impl RowCells<'_, '_> {
    /// The cell of this column, as the tables of the statement call it.
    pub fn get<T: FromSql + Default>(&mut self, column: &'static str) -> rusqlite::Result<T> {
        let place = self.next;
        self.next += 1;
        if let Some(row) = self.row {
            return row.get(place);
        }
        self.names.push(column);
        Ok(T::default())
    }
}

/// A type that is read from a row.
pub trait FromCells: Sized {
    /// Reads it. Called without a row for the names of the columns, so an empty cell is no error.
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
