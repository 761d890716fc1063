//! Lists a library in short read transactions: its items with their parents, files and external ids. SQLite does not
//! enforce column types, so each cell may have any type.
//!
//! The queries return the same data as the HTTP API. They use ordinary columns and the server's own indexes, because the
//! server's full-text tables and collation need code that only the server has.

use std::collections::HashMap;
use std::rc::Rc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

use super::super::contract::{Bounds, PageEnd, PageRequest};
use super::super::plex::{item_types_with_files, push_file, push_unique};
use super::PlexDatabase;
use super::database_file::check_bounds;
use crate::error::{Error, Result, Status};
use crate::model::{ByteString, FileFacts, Item, ItemFacts, ItemType, KnownFacts, Library, LibraryKind, SourceState};

type Sql<T> = rusqlite::Result<T>;

/// The tables, each with the columns that plexindex reads. Plex has not changed their names for years.
pub const COLUMNS_READ: &[(&str, &[&str])] = &[
    (
        "library_sections",
        &["id", "name", "section_type", "uuid", "scanned_at"],
    ),
    ("section_locations", &["id", "library_section_id", "root_path"]),
    (
        "metadata_items",
        &[
            "id",
            "library_section_id",
            "parent_id",
            "metadata_type",
            "guid",
            "title",
            "index",
            "absolute_index",
            "year",
            "added_at",
            "duration",
            "deleted_at",
            "changed_at",
        ],
    ),
    (
        "media_items",
        &[
            "id",
            "metadata_item_id",
            "duration",
            "container",
            "proxy_type",
            "width",
            "height",
            "deleted_at",
        ],
    ),
    ("media_parts", &["id", "media_item_id", "file", "size", "deleted_at"]),
    ("tags", &["id", "tag", "tag_type"]),
    ("taggings", &["id", "metadata_item_id", "tag_id"]),
    ("sqlite_sequence", &["name", "seq"]),
];

/// Number of rows per query.
const BATCH: usize = 256;

/// Selects the first ?4 rows of library ?1 with ids above ?2 and up to ?3.
const SELECT_ROWS: &str = "SELECT id, metadata_type, deleted_at, title, guid, year, [index], absolute_index, parent_id, \
     added_at, duration, edition_title FROM metadata_items WHERE library_section_id = ?1 AND id > ?2 AND id <= ?3 ORDER BY id LIMIT ?4";

/// Selects the items' files from all versions, including optimized versions. Remote versions have no file.
const SELECT_FILES: &str = "SELECT i.id, p.file, p.size, p.id, m.id, m.duration, m.container, m.proxy_type, m.width, m.height FROM metadata_items i CROSS JOIN media_items m ON m.metadata_item_id \
     = i.id CROSS JOIN media_parts p ON p.media_item_id = m.id WHERE i.library_section_id = ?1 AND i.id > ?2 AND i.id \
     <= ?3 AND +m.deleted_at IS NULL AND +p.deleted_at IS NULL ORDER BY i.id, m.id, p.id";

/// Selects the external ids of items, which Plex stores as tags of type 314.
const SELECT_EXTERNAL_IDS: &str = "SELECT i.id, t.tag FROM metadata_items i CROSS JOIN taggings g ON \
     g.metadata_item_id = i.id CROSS JOIN tags t ON t.id = g.tag_id WHERE i.library_section_id = ?1 AND i.id > ?2 AND \
     i.id <= ?3 AND +t.tag_type = 314 ORDER BY i.id, g.id";

/// Reads items of one library during a read transaction.
pub struct ItemReader<'c> {
    connection: &'c Connection,
    section: i64,
    /// The item types that have files in this kind of library.
    types: &'c [ItemType],
    /// [`SELECT_ROWS`] for this database.
    select_rows: String,
    parents: HashMap<i64, Rc<Parent>>,
}

/// A season or album, or a show or artist.
struct Parent {
    /// Season number; -1 if the parent has no number.
    index: i32,
    title: String,
    guid: String,
    /// Id of a season's show or an album's artist.
    grandparent_id: Option<i64>,
}

/// A library's item counts.
pub struct ItemCounts {
    pub with_trash: u64,
    pub without_trash: u64,
}

/// Returns the title of an item's season or album, as the server displays it. Most seasons have no title in the
/// database; like the server, this function then creates the title from the season number.
fn season_title(item_type: ItemType, season: &Parent) -> String {
    match season.index {
        _ if item_type != ItemType::Episode || !season.title.is_empty() => season.title.clone(),
        0 => "Specials".to_owned(),
        number @ 1.. => format!("Season {number}"),
        _ => String::new(),
    }
}

impl<'c> ItemReader<'c> {
    /// Creates a reader for the items of these types.
    pub fn new(connection: &'c Connection, section: i64, types: &'c [ItemType]) -> Self {
        // `Other` denotes a library of an unknown kind, whose items can have any of these types.
        let types = if types == [ItemType::Other] {
            &[
                ItemType::Movie,
                ItemType::Episode,
                ItemType::Track,
                ItemType::Clip,
                ItemType::Photo,
            ]
        } else {
            types
        };
        let has_editions = connection
            .prepare("SELECT edition_title FROM metadata_items WHERE id = 0")
            .is_ok();
        Self {
            connection,
            section,
            types,
            // Servers before 2022 have no editions.
            select_rows: if has_editions {
                SELECT_ROWS.to_owned()
            } else {
                SELECT_ROWS.replace("edition_title", "NULL")
            },
            parents: HashMap::new(),
        }
    }

    /// Returns the numbers of the wanted item types, separated by commas for SQL.
    fn sql_types(&self) -> String {
        let types: Vec<String> = self.types.iter().map(|kind| kind.number().to_string()).collect();
        types.join(", ")
    }

    /// Returns the first `max_items` items with ids above `after_id`, sorted by id, and whether there are no more.
    pub fn read_after(&mut self, mut after_id: i64, max_items: usize) -> Sql<(Vec<(i64, Item)>, bool)> {
        let mut items = Vec::new();
        while items.len() < max_items {
            let batch = BATCH.min(max_items - items.len());
            match self.read_rows(after_id, i64::MAX, batch, &mut items)? {
                Some(last_id) => after_id = last_id,
                None => return Ok((items, true)),
            }
        }
        Ok((items, false))
    }

    /// Returns the item with this id; `None` if there is no such item, or if it is in a different library, has a
    /// different type, or is in the trash. Items have positive ids, and so rating keys as the server has them.
    pub fn read_item(&mut self, id: i64) -> Sql<Option<Item>> {
        let mut items = Vec::new();
        self.read_rows(id.saturating_sub(1).max(0), id, 1, &mut items)?;
        Ok(items.pop().map(|(_, item)| item))
    }

    /// Reads the first `max_rows` rows with ids above `after_id` and up to `end_id`, and appends those that are items
    /// of the wanted types to `items`. Returns the last row's id; `None` if there are no rows.
    fn read_rows(
        &mut self,
        after_id: i64,
        end_id: i64,
        max_rows: usize,
        items: &mut Vec<(i64, Item)>,
    ) -> Sql<Option<i64>> {
        let (connection, section, items_before) = (self.connection, self.section, items.len());
        let mut last_id = None;
        // Creates items from the rows and their parents. Skips other types, and rows in the trash (`deleted_at`). The
        // numbers below are the indexes of the columns in `SELECT_ROWS`.
        let mut statement = connection.prepare_cached(&self.select_rows)?;
        let max_rows = i64::try_from(max_rows).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![section, after_id, end_id, max_rows])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            last_id = Some(id);
            let kind = integer(row, 1)?.and_then(|kind| u8::try_from(kind).ok());
            let kind = ItemType::from_number(kind.unwrap_or(0));
            if !self.types.contains(&kind) || row.get_ref(2)? != ValueRef::Null {
                continue;
            }
            let mut item = Item {
                rating_key: id.to_string(),
                kind,
                title: text(row, 3)?.unwrap_or_default(),
                guid: text(row, 4)?.unwrap_or_default(),
                year: integer_32(row, 5)?.unwrap_or(0),
                season: -1,
                episode: -1,
                facts: KnownFacts(Some(Box::new(ItemFacts {
                    added_at: u64::try_from(unix_seconds(row, 9)?).unwrap_or(0),
                    duration_ms: unsigned(row, 10)?,
                    edition: text(row, 11)?.unwrap_or_default(),
                    ..ItemFacts::default()
                }))),
                ..Item::default()
            };
            // A photo's index in its album is not an episode number.
            if matches!(kind, ItemType::Episode | ItemType::Track) {
                item.episode = integer_32(row, 6)?.unwrap_or(-1);
                self.set_parents(&mut item, integer(row, 8)?)?;
            }
            // For a track, this column contains the disc number.
            if kind == ItemType::Track
                && let Some(disc) = integer_32(row, 7)?
            {
                item.season = disc;
            }
            items.push((id, item));
        }
        // Adds the files and external ids of all these items with one query each.
        if let Some(last_id) = last_id {
            let range = [section, after_id, last_id];
            let new_items = &mut items[items_before..];
            for_each_cell(connection, SELECT_FILES, range, new_items, |item, row| {
                if let Some(path) = bytes(row, 1)? {
                    let facts = FileFacts {
                        part_id: unsigned(row, 3)?,
                        media_id: unsigned(row, 4)?,
                        duration_ms: unsigned(row, 5)?,
                        container: text(row, 6)?.unwrap_or_default(),
                        is_optimized: unsigned(row, 7)? != 0,
                        resolution: resolution(unsigned(row, 8)?, unsigned(row, 9)?).to_owned(),
                    };
                    push_file(item, path, unsigned(row, 2)?, facts);
                }
                Ok(())
            })?;
            for_each_cell(connection, SELECT_EXTERNAL_IDS, range, new_items, |item, row| {
                push_unique(&mut item.guids, text(row, 1)?);
                Ok(())
            })?;
        }
        Ok(last_id)
    }

    /// Returns the library's item with the highest id; `None` if the library has no items.
    pub fn last_item(&mut self) -> Sql<Option<Item>> {
        let sql = format!(
            "SELECT id FROM metadata_items WHERE library_section_id = ?1 AND +metadata_type IN ({}) \
             AND +deleted_at IS NULL ORDER BY id DESC LIMIT 1",
            self.sql_types()
        );
        let mut last_id = None;
        for_each_integer(self.connection, &sql, &[self.section], &mut |id| last_id = Some(id))?;
        last_id.map_or(Ok(None), |id| self.read_item(id))
    }

    /// Counts the items with ids up to `last_id`, with and without the trash.
    pub fn count_items(&self, last_id: i64) -> Sql<ItemCounts> {
        let count = |sql: &str| {
            let read_count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
            self.connection.query_row(sql, [self.section, last_id], read_count)
        };
        // `+id` makes SQLite use the index on library and type.
        let all = count(&format!(
            "SELECT count(*) FROM metadata_items WHERE library_section_id = ?1 AND +id BETWEEN 1 AND ?2 AND metadata_type IN ({})",
            self.sql_types()
        ))?;
        // The trash is small and has its own index. SQLite uses this index for a query that reads only ids, hence the
        // join.
        let trashed = count(&format!(
            "SELECT count(*) FROM metadata_items d CROSS JOIN metadata_items i ON i.id = d.id \
             WHERE d.deleted_at IS NOT NULL AND +i.library_section_id = ?1 AND +i.id BETWEEN 1 AND ?2 AND +i.metadata_type IN \
             ({})",
            self.sql_types()
        ))?;
        Ok(ItemCounts {
            with_trash: all.cast_unsigned(),
            without_trash: all.saturating_sub(trashed).cast_unsigned(),
        })
    }

    /// Sets the item's fields that describe its season and show, or its album and artist.
    fn set_parents(&mut self, item: &mut Item, parent_id: Option<i64>) -> Sql<()> {
        let Some(id) = parent_id else { return Ok(()) };
        let season = self.read_parent(id)?;
        item.season = season.index;
        item.season_rating_key = id.to_string();
        item.season_title = season_title(item.kind, &season);
        item.season_guid.clone_from(&season.guid);
        if let Some(id) = season.grandparent_id {
            let show = self.read_parent(id)?;
            item.show_rating_key = id.to_string();
            item.show_title.clone_from(&show.title);
            item.show_guid.clone_from(&show.guid);
        }
        Ok(())
    }

    /// Returns the season, album, show or artist with this id, from memory if it was read before. If the row is
    /// missing, returns an empty parent.
    fn read_parent(&mut self, id: i64) -> Sql<Rc<Parent>> {
        if let Some(cached) = self.parents.get(&id) {
            return Ok(Rc::clone(cached));
        }
        let mut parent = Parent {
            index: -1,
            title: String::new(),
            guid: String::new(),
            grandparent_id: None,
        };
        let mut statement = self
            .connection
            .prepare_cached("SELECT [index], parent_id, title, guid FROM metadata_items WHERE id = ?1")?;
        let mut rows = statement.query([id])?;
        if let Some(row) = rows.next()? {
            parent.index = integer_32(row, 0)?.unwrap_or(-1);
            parent.grandparent_id = integer(row, 1)?;
            parent.title = text(row, 2)?.unwrap_or_default();
            parent.guid = text(row, 3)?.unwrap_or_default();
        }
        let parent = Rc::new(parent);
        self.parents.insert(id, Rc::clone(&parent));
        Ok(parent)
    }
}

/// Runs a query whose rows begin with an item id, and calls `each` with the item with this id and the row. `range`
/// contains the query's parameters. The items must be sorted by id.
fn for_each_cell(
    connection: &Connection,
    sql: &str,
    range: [i64; 3],
    items: &mut [(i64, Item)],
    each: fn(&mut Item, &Row<'_>) -> Sql<()>,
) -> Sql<()> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(range)?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        if let Ok(index) = items.binary_search_by_key(&id, |(id, _)| *id) {
            each(&mut items[index].1, row)?;
        }
    }
    Ok(())
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

/// Reads a cell as a number that is not negative; 0 for other cells.
fn unsigned(row: &Row<'_>, column: usize) -> Sql<u64> {
    Ok(integer(row, column)?
        .and_then(|number| u64::try_from(number).ok())
        .unwrap_or(0))
}

/// Returns the name of a resolution, which the database does not have. Wide pictures lack lines, and others columns.
fn resolution(width: u64, height: u64) -> &'static str {
    const NAMES: [(u64, u64, &str); 5] = [
        (3_200, 1_800, "4k"),
        (1_600, 900, "1080"),
        (1_000, 620, "720"),
        (960, 540, "576"),
        (640, 460, "480"),
    ];
    if width == 0 || height == 0 {
        return "";
    }
    let name = NAMES
        .iter()
        .find(|(columns, lines, _)| width >= *columns || height >= *lines);
    name.map_or("sd", |(_, _, name)| name)
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
        let library = Library {
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
        };
        libraries.push(library);
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

/// Returns a library's section id as a number, for SQL. Fails if the id is not a number, because the database then has
/// no such library.
pub fn section_id(library: &Library) -> Result<i64> {
    library.section.parse().map_err(|_| library_not_found(library))
}

fn library_not_found(library: &Library) -> Error {
    Error::new(
        Status::NotOnServer,
        format!("library section {} is no longer in Plex's database", library.section),
    )
}

impl PlexDatabase {
    /// Appends a page of a listing to `items`, and returns the page's metadata. A position is the preceding item's id.
    pub(super) fn read_page(
        &self,
        request: &PageRequest<'_>,
        bounds: &Bounds<'_>,
        items: &mut Vec<Item>,
    ) -> Result<PageEnd> {
        let library = request.library;
        let types = item_types_with_files(library.kind);
        let Some(kind) = types.get(request.partition) else {
            return Ok(PageEnd::default());
        };
        check_bounds(bounds)?;
        let section = section_id(library)?;
        // A call without a deadline lists the whole library, and later deltas need row counts.
        if !bounds.deadline.is_set() {
            self.enable_row_counts();
        }
        let page = self.file.run_in_transaction(bounds, &mut |transaction| {
            transaction.query(|| {
                let count_library = "SELECT count(*) FROM library_sections WHERE id = ?1";
                let connection = &transaction.connection;
                if !connection.query_row(count_library, [section], |row| row.get::<_, bool>(0))? {
                    return Ok(None);
                }
                let mut reader = ItemReader::new(connection, section, std::slice::from_ref(kind));
                let is_first_page = request.position == 0;
                let counts = is_first_page.then(|| reader.count_items(i64::MAX)).transpose()?;
                let after_id = i64::try_from(request.position).unwrap_or(i64::MAX);
                let (read, reaches_end) = reader.read_after(after_id, request.size as usize)?;
                Ok(Some((counts.map(|counts| counts.without_trash), read, reaches_end)))
            })
        })?;
        let (total, read, reaches_end) = page.ok_or_else(|| library_not_found(library))?;
        let last = read.last().map_or(request.position, |(id, _)| id.cast_unsigned());
        let end = PageEnd {
            rows: read.len() as u64,
            total,
            next: (!reaches_end).then_some(last),
            has_shifted: false,
        };
        items.extend(read.into_iter().map(|(_, item)| item));
        Ok(end)
    }

    /// Returns the shows of a library, with their GUIDs and external ids.
    pub(super) fn read_shows(&self, library: &Library, bounds: &Bounds<'_>) -> Result<Vec<Item>> {
        let section = section_id(library)?;
        let ids = self.file.run_in_transaction(bounds, &mut |transaction| {
            let mut ids = Vec::new();
            let select = "SELECT id FROM metadata_items WHERE library_section_id = ?1 AND metadata_type = 2";
            transaction
                .query(|| for_each_integer(&transaction.connection, select, &[section], &mut |id| ids.push(id)))?;
            ids.sort_unstable();
            Ok(ids)
        })?;
        // Types without files have no name of their own.
        let shows = self.read_items(library, &[ItemType::Show, ItemType::Other], &ids, bounds)?;
        Ok(shows.into_iter().flatten().collect())
    }
}
