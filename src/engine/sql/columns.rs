//! Columns by name, declared once: what reads a row also makes the list of the SELECT, and what fills a row also makes the
//! list of the INSERT.
//!
//! [`FromCells::from_cells`] is run without a row to learn the names that it asks for, and with each row to read the cells
//! in that order. So each column that is read is selected, in its place. It asks for the same columns whatever it finds.

use rusqlite::types::{FromSql, ToSql, Value};
use rusqlite::{CachedStatement, Connection, Row};

/// The cells of a row, taken one after the other.
pub struct RowCells<'r, 's> {
    from: Source<'r, 's>,
    names: Vec<&'static str>,
    next: usize,
}

/// Where cells come from.
enum Source<'r, 's> {
    /// Nowhere: only their names are wanted.
    Nothing,
    Row(&'r Row<'s>),
    /// A row that was read before.
    CachedState(&'r [Value]),
}

impl RowCells<'_, '_> {
    /// The cell of this column, as the tables of the statement call it.
    pub fn get<T: FromSql + Default>(&mut self, column: &'static str) -> rusqlite::Result<T> {
        let place = self.next;
        self.next += 1;
        match self.from {
            Source::Nothing => {
                self.names.push(column);
                Ok(T::default())
            }
            Source::Row(row) => row.get(place),
            Source::CachedState(cells) => {
                let cell = cells.get(place).ok_or(rusqlite::Error::InvalidColumnIndex(place))?;
                Ok(T::column_result(cell.into())?)
            }
        }
    }
}

/// What is read from a row.
pub trait FromCells: Sized {
    /// Reads it. Called without a row for the names of the columns, so an empty cell is no error.
    fn from_cells(cells: &mut RowCells<'_, '_>) -> rusqlite::Result<Self>;
}

/// The names of the columns that a `T` is read from, in order.
pub fn names<T: FromCells>() -> Vec<&'static str> {
    let mut cells = RowCells {
        from: Source::Nothing,
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
        from: Source::Row(row),
        names: Vec::new(),
        next: 0,
    })
}

/// Reads a row whose cells were kept: as many as `T` has columns, in their order.
pub fn read_kept<T: FromCells>(cells: &[Value]) -> rusqlite::Result<T> {
    T::from_cells(&mut RowCells {
        from: Source::CachedState(cells),
        names: Vec::new(),
        next: 0,
    })
}

/// The cells of a row as they are, to be kept.
pub fn cells_of(row: &Row<'_>) -> rusqlite::Result<Vec<Value>> {
    (0..row.as_ref().column_count()).map(|place| row.get(place)).collect()
}

/// The cells that a row is made of, each with its column's name.
pub type Filled<'c> = [(&'static str, &'c dyn ToSql)];

/// Runs an INSERT of these cells; `verb` names the table, `end` is what follows.
pub fn insert(connection: &Connection, verb: &str, cells: &Filled<'_>, end: &str) -> rusqlite::Result<()> {
    let cells_only = cells.iter().map(|(_, cell)| *cell);
    connection
        .prepare_cached(&text_of(verb, cells, 1, end))?
        .execute(rusqlite::params_from_iter(cells_only))?;
    Ok(())
}

/// The text of an INSERT of so many rows of these columns.
fn text_of(verb: &str, cells: &Filled<'_>, rows: usize, end: &str) -> String {
    let mut text = String::with_capacity(512);
    text.push_str(verb);
    for (at, (name, _)) in cells.iter().enumerate() {
        text.push_str(if at == 0 { " (" } else { ", " });
        text.push_str(name);
    }
    for row in 0..rows {
        text.push_str(if row == 0 { ") VALUES (?" } else { "), (?" });
        text.push_str(&", ?".repeat(cells.len() - 1));
    }
    text.push_str(") ");
    text.push_str(end);
    text
}

/// An INSERT that runs for many rows of the same columns: to make its text, and to find it prepared, takes as long as a row.
pub struct Insert<'c> {
    connection: &'c Connection,
    verb: &'static str,
    rows: usize,
    prepared: Option<(Vec<&'static str>, CachedStatement<'c>)>,
}

impl<'c> Insert<'c> {
    /// One that `verb` begins, which names the table.
    pub fn new(connection: &'c Connection, verb: &'static str) -> Self {
        Self::of_many(connection, verb, 1)
    }

    /// The same, of so many rows at once.
    pub fn of_many(connection: &'c Connection, verb: &'static str, rows: usize) -> Self {
        Self {
            connection,
            verb,
            rows,
            prepared: None,
        }
    }

    /// How many rows it adds.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row of these cells.
    pub fn run(&mut self, cells: &Filled<'_>) -> rusqlite::Result<()> {
        self.fill(0, cells)?;
        self.run_filled()
    }

    /// Fills a row of those that [`Insert::run_filled`] adds.
    pub fn fill(&mut self, row: usize, cells: &Filled<'_>) -> rusqlite::Result<()> {
        let names = || cells.iter().map(|(name, _)| *name);
        // The names of a place in the source are the same bytes in memory each time: most are not read.
        let same = |known: &[&str]| {
            known.len() == cells.len()
                && known
                    .iter()
                    .zip(names())
                    .all(|(one, own)| std::ptr::eq(*one, own) || *one == own)
        };
        if !self.prepared.as_ref().is_some_and(|(known, _)| same(known)) {
            let text = text_of(self.verb, cells, self.rows, "");
            self.prepared = Some((names().collect(), self.connection.prepare_cached(&text)?));
        }
        if let Some((_, statement)) = &mut self.prepared {
            for (at, (_, cell)) in cells.iter().enumerate() {
                statement.raw_bind_parameter(row * cells.len() + at + 1, cell)?;
            }
        }
        Ok(())
    }

    /// Adds the rows, all of which were filled.
    pub fn run_filled(&mut self) -> rusqlite::Result<()> {
        if let Some((_, statement)) = &mut self.prepared {
            statement.raw_execute()?;
        }
        Ok(())
    }
}

/// What makes a row that is there already like the one that was to be inserted.
pub fn replaced(cells: &Filled<'_>) -> String {
    let each: Vec<String> = cells
        .iter()
        .map(|(name, _)| format!("{name} = excluded.{name}"))
        .collect();
    each.join(", ")
}
