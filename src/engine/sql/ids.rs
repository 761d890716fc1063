//! Encodes numbers and names of the model for the database.

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use super::folder::NAME;
use crate::model::{Generation, IdentityId, LibraryId, ListingName, SegmentName, Sequence, TableId};

/// Implements the conversions of a number. `SQLite` has signed 64-bit integers; unsigned numbers keep their bits.
macro_rules! column {
    ($name:ident, $to:expr, $from:expr) => {
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let to: fn(_) -> i64 = $to;
                Ok(to(self.0).into())
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                i64::column_result(value).map($from).map(Self)
            }
        }
    };
}

column!(IdentityId, |number| number, |number| number);
column!(LibraryId, |number| number, |number| number);
column!(TableId, |number| number, |number| number);
column!(Generation, |number| number, |number| number);
column!(Sequence, u64::cast_signed, i64::cast_unsigned);

impl ToSql for ListingName {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(listing_text(self).into())
    }
}

/// The name of a segment as the database has it, and as its file begins.
pub fn listing_text(name: &ListingName) -> String {
    let ListingName {
        library,
        generation,
        sequence,
        number,
    } = name;
    format!("{NAME}-l{library}-{generation}-{sequence}-{number:x}")
}

/// The inverse of [`listing_text`]; `None` for other texts.
pub fn listing_name(text: &str) -> Option<ListingName> {
    let mut parts = text.strip_prefix(NAME)?.strip_prefix("-l")?.split('-');
    let name = ListingName {
        library: LibraryId(parts.next()?.parse().ok()?),
        generation: Generation(parts.next()?.parse().ok()?),
        sequence: Sequence(parts.next()?.parse().ok()?),
        number: u32::from_str_radix(parts.next()?, 16).ok()?,
    };
    (listing_text(&name) == text).then_some(name)
}

/// The name of a segment of records as the database has it, and as its file begins.
pub fn segment_text(name: &SegmentName) -> String {
    let SegmentName { sequence, number } = name;
    format!("{NAME}-r{sequence}-{number:x}")
}

/// The inverse of [`segment_text`]; `None` for other texts.
pub fn segment_name(text: &str) -> Option<SegmentName> {
    let mut parts = text.strip_prefix(NAME)?.strip_prefix("-r")?.split('-');
    let name = SegmentName {
        sequence: Sequence(parts.next()?.parse().ok()?),
        number: u32::from_str_radix(parts.next()?, 16).ok()?,
    };
    (segment_text(&name) == text).then_some(name)
}

#[cfg(test)]
#[path = "ids_tests.rs"]
mod tests;
