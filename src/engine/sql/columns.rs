//! Declares columns once: the code that reads a row also creates the column list of the SELECT.
//!
//! [`FromCells::from_cells`] runs once without a row to collect the names of the columns, and then once per row to read
//! the cells in the same order. It must read the same columns each time.

use rusqlite::Row;
use rusqlite::types::FromSql;

/// The cells of a row, read one after the other.
pub struct RowCells<'r, 's> {
    /// `None` in the run that collects the column names.
    row: Option<&'r Row<'s>>,
    names: Vec<&'static str>,
    next_index: usize,
}

impl RowCells<'_, '_> {
    /// Reads the next cell. `column`: its name in the statement, with the alias of the table.
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
    /// Reads the value. Without a row, which only collects the column names, all cells have their default values.
    fn from_cells(cells: &mut RowCells<'_, '_>) -> rusqlite::Result<Self>;
}

/// Returns the names of the columns of a `T`, in order.
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

/// Returns the column list of a SELECT for [`read`].
pub fn list<T: FromCells>() -> String {
    names::<T>().join(", ")
}

/// Reads a row of a SELECT that begins with [`list`].
pub fn read<T: FromCells>(row: &Row<'_>) -> rusqlite::Result<T> {
    T::from_cells(&mut RowCells {
        row: Some(row),
        names: Vec::new(),
        next_index: 0,
    })
}
