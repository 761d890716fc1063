//! Queries that return the same data as the HTTP API. These queries use ordinary columns and the server's own indexes,
//! because the server's full-text tables and collation need code that only the server has. SQLite does not
//! enforce column types, so each cell may have any type.

use std::collections::{BTreeSet, HashMap};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

use crate::model::{ByteString, Item, Library, LibraryKind, SourceState};

use super::super::plex::{item_types_with_files, push_unique};
use super::item_reader::ItemReader;

type Sql<T> = rusqlite::Result<T>;

/// Reads the libraries and their locations. The caller must set the libraries' change tokens.
pub fn read_libraries(connection: &Connection) -> Sql<Vec<Library>> {
    let mut sections =
        connection.prepare("SELECT id, uuid, name, section_type, scanned_at FROM library_sections ORDER BY id")?;
    // Reads all locations at once, because the server has no index for the locations of one library.
    let mut folders: HashMap<i64, Vec<String>> = HashMap::new();
    let mut locations =
        connection.prepare("SELECT root_path, library_section_id FROM section_locations ORDER BY id")?;
    let mut rows = locations.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(id) = integer(row, 1)? {
            push_unique(folders.entry(id).or_default(), text(row, 0)?);
        }
    }
    let mut libraries = Vec::new();
    let mut rows = sections.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let scanned_at = unix_seconds(row, 4)?;
        libraries.push(Library {
            section: id.to_string(),
            uuid: text(row, 1)?.unwrap_or_default(),
            title: text(row, 2)?.unwrap_or_default(),
            // Plex's numbers for library types.
            kind: match integer(row, 3)? {
                Some(1) => LibraryKind::Movie,
                Some(2) => LibraryKind::Show,
                Some(8) => LibraryKind::Artist,
                Some(13) => LibraryKind::Photo,
                _ => LibraryKind::Other,
            },
            locations: folders.remove(&id).unwrap_or_default(),
            change: SourceState {
                scanned_ms: scanned_at.saturating_mul(1_000),
                ..SourceState::default()
            },
        });
    }
    Ok(libraries)
}

/// Returns the items in these libraries that have a file at one of the paths `spellings`, each with its section id.
/// Skips paths that are not UTF-8.
pub fn find_items_by_path(
    connection: &Connection,
    libraries: &[Library],
    spellings: &[Vec<u8>],
) -> Sql<Vec<(i64, Item)>> {
    let mut ids = Vec::new();
    // The server maintains an index on `file`. `CROSS JOIN` makes SQLite start with this index.
    let mut select_ids = connection.prepare(
        "SELECT m.metadata_item_id FROM media_parts p CROSS JOIN media_items m ON m.id = p.media_item_id \
         WHERE p.file = ?1",
    )?;
    for spelling in spellings {
        let Ok(spelling) = std::str::from_utf8(spelling) else {
            continue;
        };
        let mut rows = select_ids.query([spelling])?;
        while let Some(row) = rows.next()? {
            ids.extend(integer(row, 0)?);
        }
    }
    let mut items = Vec::new();
    for library in libraries.iter().filter(|_| !ids.is_empty()) {
        let Ok(section) = library.section.parse() else { continue };
        let mut reader = ItemReader::new(connection, section, item_types_with_files(library.kind));
        for id in &ids {
            items.extend(reader.read_item(*id)?.map(|item| (section, item)));
        }
    }
    Ok(items)
}

/// Returns the items in a library that have a file below one of these folders. Each folder ends with a separator.
/// Returns `None` if the folders contain more than `max_files` files of any library, if the time is over before all
/// items are read, or if the section id is not a number. Skips folders that are not UTF-8.
pub fn find_items_below(
    connection: &Connection,
    library: &Library,
    folders: &[Vec<u8>],
    max_files: usize,
    is_time_over: &dyn Fn() -> bool,
) -> Sql<Option<Vec<Item>>> {
    let mut ids = BTreeSet::new();
    let mut remaining = max_files;
    // Uses the index on paths, in byte order. The server's own table of folders is no alternative, because it may
    // contain deleted folders.
    let mut select_ids = connection.prepare(
        "SELECT m.metadata_item_id FROM media_parts p CROSS JOIN media_items m ON m.id = p.media_item_id \
         WHERE p.file > ?1 AND p.file < ?2 LIMIT ?3",
    )?;
    for folder in folders {
        let Some((Ok(path), separator)) = folder.split_last().map(|(end, path)| (str::from_utf8(path), *end)) else {
            continue;
        };
        // A path below the folder is greater than the folder, and less than the folder with its last byte incremented.
        let bound = |last_byte: u8| format!("{path}{}", char::from(last_byte));
        let limit = i64::try_from(remaining + 1).unwrap_or(i64::MAX);
        let mut rows = select_ids.query(params![bound(separator), bound(separator + 1), limit])?;
        while let Some(row) = rows.next()? {
            if remaining == 0 {
                return Ok(None);
            }
            remaining -= 1;
            ids.extend(integer(row, 0)?);
        }
    }
    let Ok(section) = library.section.parse() else {
        return Ok(None);
    };
    let mut reader = ItemReader::new(connection, section, item_types_with_files(library.kind));
    let mut items = Vec::new();
    for id in ids {
        if is_time_over() {
            return Ok(None);
        }
        items.extend(reader.read_item(id)?);
    }
    Ok(Some(items))
}

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
