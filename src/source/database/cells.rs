//! Reads cells that may have any type, because SQLite does not enforce column types.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use crate::model::ByteString;

type Sql<T> = rusqlite::Result<T>;

/// Runs a query, and calls `each` with every integer in the first column of its result. Skips other cells.
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

/// Reads a cell as a string, with U+FFFD for bytes that are not UTF-8. Returns `None` for null, and for a string with a
/// NUL, because C code would read a shorter string.
pub fn text(row: &Row<'_>, column: usize) -> Sql<Option<String>> {
    let bytes = bytes(row, column)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Reads a cell like [`text`], and keeps bytes that are not UTF-8, as in names of files.
pub fn bytes(row: &Row<'_>, column: usize) -> Sql<Option<ByteString>> {
    let bytes = match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.into(),
        ValueRef::Integer(number) => number.to_string().into(),
        ValueRef::Real(number) => number.to_string().into(),
        ValueRef::Null => return Ok(None),
    };
    Ok(Some(bytes).filter(|bytes: &ByteString| !bytes.contains(&0)))
}

/// Reads a cell as an integer, or parses an integer from a string. Returns `None` for other cells.
pub fn integer(row: &Row<'_>, column: usize) -> Sql<Option<i64>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(number) => Some(number),
        ValueRef::Text(text) => std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()),
        _ => None,
    })
}

/// Reads a cell as a 32-bit integer, or parses one from a string. Returns `None` for other cells, or if the integer is
/// out of range.
pub fn integer_32(row: &Row<'_>, column: usize) -> Sql<Option<i32>> {
    Ok(integer(row, column)?.and_then(|number| i32::try_from(number).ok()))
}

/// Number of days from 1 March of the year 0 to 1 January 1970, plus 1, because the days of a month start at 1.
const DAYS_TO_1970: i64 = 719_469;

/// Reads a date as Unix seconds; 0 if the cell contains no date. Until at least 2023, Plex stored dates as UTC strings
/// such as `2023-04-15 19:25:00`; newer versions store numbers.
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
    // Years start in March here, so that the leap day is the last day of a year.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    // The usual day count of the Gregorian calendar. From March on, five months have 153 days.
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - DAYS_TO_1970;
    let time_part = |index: usize| time.get(index).copied().unwrap_or(0);
    Ok(days * 86_400 + time_part(0) * 3_600 + time_part(1) * 60 + time_part(2))
}
