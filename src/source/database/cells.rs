//! Reads cells of any stored type: `SQLite` does not enforce the types of columns.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

type Sql<T> = rusqlite::Result<T>;

/// Calls `each` for the numbers in a query's first column.
pub fn numbers(connection: &Connection, sql: &str, with: &[i64], each: &mut dyn FnMut(i64)) -> Sql<()> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(with))?;
    while let Some(row) = rows.next()? {
        if let Some(number) = number(row, 0)? {
            each(number);
        }
    }
    Ok(())
}

/// Reads a cell as text; `None` if it is null or contains a NUL, as over HTTP.
pub fn text(row: &Row<'_>, column: usize) -> Sql<Option<String>> {
    let text = match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Null => return Ok(None),
    };
    Ok((!text.contains('\0')).then_some(text))
}

/// Reads a cell as an integer; `None` for other values.
pub fn number(row: &Row<'_>, column: usize) -> Sql<Option<i64>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(number) => Some(number),
        ValueRef::Text(text) => std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()),
        _ => None,
    })
}

/// Reads a cell as a 32-bit integer; `None` for other values.
pub fn small_number(row: &Row<'_>, column: usize) -> Sql<Option<i32>> {
    Ok(number(row, column)?.and_then(|number| i32::try_from(number).ok()))
}

/// Reads a date as Unix seconds; 0 without one. Plex stored dates as UTC text until 2023 at least, and as numbers now.
pub fn unix_seconds(row: &Row<'_>, column: usize) -> Sql<i64> {
    let written = match row.get_ref(column)? {
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        _ => return Ok(number(row, column)?.unwrap_or(0)),
    };
    let numbers: Vec<i64> = written
        .split(|sign: char| !sign.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect();
    let &[year @ 1970..=9999, month @ 1..=12, day @ 1..=31, ref time @ ..] = &numbers[..] else {
        return Ok(number(row, column)?.unwrap_or(0));
    };
    // Years start in March here, so that the leap day is the last day of a year.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    let part = |at: usize| time.get(at).copied().unwrap_or(0);
    Ok(days * 86_400 + part(0) * 3_600 + part(1) * 60 + part(2))
}
