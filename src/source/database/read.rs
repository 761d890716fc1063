//! Queries that give the same data as the HTTP API. They read plain columns by the server's own indexes; its full-text
//! tables and its collation need code that only the server has.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use crate::model::{Change, Item, Library, LibraryKind};

use super::super::plex::{leaf_types, push_unique};
use super::cells::{number, text, unix_seconds};
use super::items::ItemReader;

type Sql<T> = rusqlite::Result<T>;

/// Reads the libraries, without what tells whether they changed.
pub fn libraries(connection: &Connection) -> Sql<Vec<Library>> {
    let mut sections =
        connection.prepare("SELECT id, uuid, name, section_type, scanned_at FROM library_sections ORDER BY id")?;
    let mut folders =
        connection.prepare("SELECT root_path FROM section_locations WHERE library_section_id = ?1 ORDER BY id")?;
    let mut libraries = Vec::new();
    let mut rows = sections.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let mut locations = Vec::new();
        let mut found = folders.query([id])?;
        while let Some(folder) = found.next()? {
            push_unique(&mut locations, text(folder, 0)?);
        }
        let scanned = unix_seconds(row, 4)?;
        libraries.push(Library {
            section: id.to_string(),
            uuid: text(row, 1)?.unwrap_or_default(),
            title: text(row, 2)?.unwrap_or_default(),
            kind: match number(row, 3)? {
                Some(1) => LibraryKind::Movie,
                Some(2) => LibraryKind::Show,
                Some(8) => LibraryKind::Artist,
                Some(13) => LibraryKind::Photo,
                _ => LibraryKind::Other,
            },
            locations,
            change: Change {
                scanned_ms: scanned.saturating_mul(1_000),
                ..Change::default()
            },
        });
    }
    Ok(libraries)
}

/// Returns the items of these libraries with a file at one of these paths, each with its section id.
pub fn with_path(connection: &Connection, libraries: &[Library], spellings: &[Vec<u8>]) -> Sql<Vec<(i64, Item)>> {
    let mut ids = Vec::new();
    // The server keeps an index on `file`.
    let mut found = connection.prepare(
        "SELECT m.metadata_item_id FROM media_parts p CROSS JOIN media_items m ON m.id = p.media_item_id \
         WHERE p.file = ?1",
    )?;
    for spelling in spellings {
        let Ok(spelling) = std::str::from_utf8(spelling) else {
            continue;
        };
        let mut rows = found.query([spelling])?;
        while let Some(row) = rows.next()? {
            ids.extend(number(row, 0)?);
        }
    }
    let mut items = Vec::new();
    for library in libraries.iter().filter(|_| !ids.is_empty()) {
        let Ok(section) = library.section.parse() else { continue };
        let mut reader = ItemReader::new(connection, section, leaf_types(library.kind));
        for id in &ids {
            items.extend(reader.one(*id)?.map(|item| (section, item)));
        }
    }
    Ok(items)
}

/// Returns the items of a library with a file below one of these folders, which end in a separator; `None` if there are
/// more than `most` files, or `is_over` returns `true` first.
pub fn below(
    connection: &Connection,
    library: &Library,
    folders: &[Vec<u8>],
    most: usize,
    is_over: &dyn Fn() -> bool,
) -> Sql<Option<Vec<Item>>> {
    let mut ids = BTreeSet::new();
    let mut left = most;
    // Uses the index on paths, in byte order. The table of folders is unreliable: it may still have trashed folders.
    let mut found = connection.prepare(
        "SELECT m.metadata_item_id FROM media_parts p CROSS JOIN media_items m ON m.id = p.media_item_id \
         WHERE p.file > ?1 AND p.file < ?2 LIMIT ?3",
    )?;
    for folder in folders {
        let Some((Ok(first), last)) = folder.split_last().map(|(end, all)| (str::from_utf8(all), *end)) else {
            continue;
        };
        let behind = |end: u8| format!("{first}{}", char::from(end));
        let limit = i64::try_from(left + 1).unwrap_or(i64::MAX);
        let mut rows = found.query(params![behind(last), behind(last + 1), limit])?;
        while let Some(row) = rows.next()? {
            if left == 0 {
                return Ok(None);
            }
            left -= 1;
            ids.extend(number(row, 0)?);
        }
    }
    let Ok(section) = library.section.parse() else {
        return Ok(None);
    };
    let mut reader = ItemReader::new(connection, section, leaf_types(library.kind));
    let mut items = Vec::new();
    for id in ids {
        if is_over() {
            return Ok(None);
        }
        items.extend(reader.one(id)?);
    }
    Ok(Some(items))
}
