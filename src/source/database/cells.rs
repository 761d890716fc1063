//! Cells of rows, whatever was stored in them: columns have a type that `SQLite` does not enforce.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

type Sql<T> = rusqlite::Result<T>;

/// Hands the numbers that a statement gives to `each`.
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

/// A text, whatever was stored; one with a NUL is absent, as over HTTP.
pub fn text(row: &Row<'_>, column: usize) -> Sql<Option<String>> {
    let text = match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Null => return Ok(None),
    };
    Ok((!text.contains('\0')).then_some(text))
}

/// A whole number, whatever was stored.
pub fn number(row: &Row<'_>, column: usize) -> Sql<Option<i64>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(number) => Some(number),
        ValueRef::Text(text) => std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()),
        _ => None,
    })
}

/// The same, where it is small enough.
pub fn small(row: &Row<'_>, column: usize) -> Sql<Option<i32>> {
    Ok(number(row, column)?.and_then(|number| i32::try_from(number).ok()))
}

/// A date in Unix seconds: dates were texts until 2023 at least, in UTC, and are numbers now. 0 without one.
pub fn moment(row: &Row<'_>, column: usize) -> Sql<i64> {
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
    // Years that begin in March: then the day that is sometimes there is the last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    let part = |at: usize| time.get(at).copied().unwrap_or(0);
    Ok(days * 86_400 + part(0) * 3_600 + part(1) * 60 + part(2))
}
