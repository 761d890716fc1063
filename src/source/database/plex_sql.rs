//! Queries that return the same data as the HTTP API. These queries use ordinary columns and the server's own indexes,
//! because the server's full-text tables and collation need code that only the server has.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, params};

use crate::model::{Item, Library, LibraryKind, SourceState};

use super::super::plex::{item_types_with_files, push_unique};
use super::item_reader::{ItemReader, integer, text, unix_seconds};

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

/// Returns the items in a library that have a file at one of the paths `spellings`. Skips paths that are not UTF-8.
pub fn find_items_by_path(
    connection: &Connection,
    section: i64,
    kind: LibraryKind,
    spellings: &[Vec<u8>],
) -> Sql<Vec<Item>> {
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
    let mut reader = ItemReader::new(connection, section, item_types_with_files(kind));
    for id in ids {
        items.extend(reader.read_item(id)?);
    }
    Ok(items)
}

/// Returns the items in a library that have a file below one of these folders. Each folder ends with a separator.
/// Returns `None` if the folders contain more than `max_files` files of any library, or if the time is over before all
/// items are read. Skips folders that are not UTF-8.
pub fn find_items_below(
    connection: &Connection,
    section: i64,
    kind: LibraryKind,
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
    let mut reader = ItemReader::new(connection, section, item_types_with_files(kind));
    let mut items = Vec::new();
    for id in ids {
        if is_time_over() {
            return Ok(None);
        }
        items.extend(reader.read_item(id)?);
    }
    Ok(Some(items))
}
