//! Reads cells of any type, since `SQLite` does not enforce the types of columns.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

type Sql<T> = rusqlite::Result<T>;

/// Runs a query and calls `each` with every integer in its first column.
pub fn for_each_integer(connection: &Connection, sql: &str, params: &[i64], each: &mut dyn FnMut(i64)) -> Sql<()> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(params))?;
    while let Some(row) = rows.next()? {
        if let Some(number) = integer(row, 0)? {
            each(number);
        }
    }
    Ok(())
}

/// Reads a cell as text. Returns `None` if it is null or contains a NUL; the HTTP source rejects a NUL too.
pub fn text(row: &Row<'_>, column: usize) -> Sql<Option<String>> {
    let text = match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Null => return Ok(None),
    };
    Ok((!text.contains('\0')).then_some(text))
}

/// Reads a cell as an integer, including an integer in a text. Returns `None` for other values.
pub fn integer(row: &Row<'_>, column: usize) -> Sql<Option<i64>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(number) => Some(number),
        ValueRef::Text(text) => std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()),
        _ => None,
    })
}

/// [`integer`] for a 32-bit number. Also returns `None` outside the range of 32 bits.
pub fn integer_32(row: &Row<'_>, column: usize) -> Sql<Option<i32>> {
    Ok(integer(row, column)?.and_then(|number| i32::try_from(number).ok()))
}

/// Days from 1 March of the year 0 to 1 January 1970.
const DAYS_TO_1970: i64 = 719_469;

/// Reads a date as Unix seconds; 0 if the cell has no date. Plex stored dates as UTC text such as `2023-04-15 19:25:00`
/// until at least 2023, and stores them as numbers now.
pub fn unix_seconds(row: &Row<'_>, column: usize) -> Sql<i64> {
    let date = match row.get_ref(column)? {
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        _ => return Ok(integer(row, column)?.unwrap_or(0)),
    };
    let numbers: Vec<i64> = date
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect();
    let &[year @ 1970..=9999, month @ 1..=12, day @ 1..=31, ref time @ ..] = &numbers[..] else {
        return Ok(integer(row, column)?.unwrap_or(0));
    };
    // Counting years from March makes the leap day the last day of a year.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - DAYS_TO_1970;
    let time_part = |index: usize| time.get(index).copied().unwrap_or(0);
    Ok(days * 86_400 + time_part(0) * 3_600 + time_part(1) * 60 + time_part(2))
}
