//! Cells of rows, whatever was stored in them: columns have a type that `SQLite` does not enforce.

use std::fmt::Write as _;

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
    let mut text = String::new();
    Ok(text_into(&mut text, row.get_ref(column)?).then_some(text))
}

/// The same in the place of what `text` holds; empty and `false` where it is absent.
pub fn text_into(text: &mut String, cell: ValueRef<'_>) -> bool {
    text.clear();
    match cell {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => match std::str::from_utf8(bytes) {
            Ok(known) => text.push_str(known),
            Err(_) => text.push_str(&String::from_utf8_lossy(bytes)),
        },
        ValueRef::Integer(number) => put_number(text, number),
        ValueRef::Real(number) => text.push_str(&number.to_string()),
        ValueRef::Null => return false,
    }
    // Without a branch for each byte: so many are looked at in one step.
    if text.bytes().fold(u8::MAX, u8::min) == 0 {
        text.clear();
        return false;
    }
    true
}

/// A number in the place of what `text` holds.
pub fn put_number(text: &mut String, number: i64) {
    text.clear();
    let _ = write!(text, "{number}");
}

/// A whole number, whatever was stored.
pub fn number(row: &Row<'_>, column: usize) -> Sql<Option<i64>> {
    row.get_ref(column).map(number_of)
}

/// The same of a cell.
pub fn number_of(cell: ValueRef<'_>) -> Option<i64> {
    match cell {
        ValueRef::Integer(number) => Some(number),
        ValueRef::Text(text) => std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()),
        _ => None,
    }
}

/// A date in Unix seconds: dates were texts until 2023 at least, in UTC, and are numbers now. 0: there is none.
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

pub fn small(cell: ValueRef<'_>) -> Option<i32> {
    number_of(cell).and_then(|number| i32::try_from(number).ok())
}
