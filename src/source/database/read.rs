//! What the database says, in the words of the HTTP API. Only plain columns are read, and by the indexes that the server keeps:
//! its tables of words and its collation need what only the server has.

use std::collections::HashMap;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

use crate::model::{Change, Item, ItemType, Library, LibraryKind};

use super::super::plex::push_new;

type Sql<T> = rusqlite::Result<T>;

/// How many items are completed at once.
const BATCH: usize = 256;
/// Up to which distance two items' rows are read in one go, whatever lies between them.
const CLOSE: i64 = 16;

/// The libraries, each with its change token still to come.
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
            push_new(&mut locations, text(folder, 0)?);
        }
        let scanned = moment(row, 4)?;
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

/// Items of one library, read one after the other in a slice.
pub struct Items<'c> {
    connection: &'c Connection,
    section: i64,
    /// The types of leaves that the library has, as the server numbers them.
    types: Vec<u8>,
    parents: HashMap<i64, Parent>,
}

/// A season or album, or a show or artist.
#[derive(Clone, Default)]
struct Parent {
    index: i32,
    above: Option<i64>,
    title: String,
    guid: String,
}

/// The columns of an item.
const COLUMNS: &str = "i.id, i.metadata_type, i.title, i.year, i.[index], i.absolute_index, i.parent_id, i.guid";

impl<'c> Items<'c> {
    pub fn new(connection: &'c Connection, section: i64, types: &[ItemType]) -> Self {
        let leaves = [
            ItemType::Movie,
            ItemType::Episode,
            ItemType::Track,
            ItemType::Clip,
            ItemType::Photo,
        ];
        // A kind of library that is not known is listed without a type.
        let types = if types == [ItemType::Other] { &leaves[..] } else { types };
        Self {
            connection,
            section,
            types: types.iter().map(|kind| kind.number()).collect(),
            parents: HashMap::new(),
        }
    }

    fn types(&self) -> String {
        let types: Vec<String> = self.types.iter().map(u8::to_string).collect();
        types.join(", ")
    }

    /// Hands over the items with a number above `after`, by number, until `each` has enough: `false` ends it.
    pub fn after(&mut self, after: i64, each: &mut dyn FnMut(i64, Item) -> bool) -> Sql<()> {
        // With a plus in front no index is chosen by these.
        let sql = format!(
            "SELECT {COLUMNS} FROM metadata_items i WHERE i.library_section_id = ?1 AND i.id > ?2 \
             AND +i.metadata_type IN ({}) AND +i.deleted_at IS NULL ORDER BY i.id",
            self.types()
        );
        let connection = self.connection;
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![self.section, after])?;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            while batch.len() < BATCH
                && let Some(row) = rows.next()?
            {
                batch.push(self.item(row)?);
            }
            if batch.is_empty() {
                return Ok(());
            }
            self.fill(&mut batch)?;
            for (id, item) in batch.drain(..) {
                if !each(id, item) {
                    return Ok(());
                }
            }
        }
    }

    /// The item with this number, if it is one of this library's leaves, and not in the trash.
    pub fn one(&mut self, id: i64) -> Sql<Option<Item>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM metadata_items i WHERE i.id = ?2 AND +i.library_section_id = ?1 \
             AND +i.metadata_type IN ({}) AND +i.deleted_at IS NULL",
            self.types()
        );
        let connection = self.connection;
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![self.section, id])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let mut found = [self.item(row)?];
        self.fill(&mut found)?;
        let [(_, item)] = found;
        Ok(Some(item))
    }

    /// The last one.
    pub fn last(&mut self) -> Sql<Option<Item>> {
        let sql = format!(
            "SELECT id FROM metadata_items WHERE library_section_id = ?1 AND +metadata_type IN ({}) \
             AND +deleted_at IS NULL ORDER BY id DESC LIMIT 1",
            self.types()
        );
        let mut last = None;
        numbers(self.connection, &sql, &[self.section], &mut |id| last = Some(id))?;
        match last {
            Some(id) => self.one(id),
            None => Ok(None),
        }
    }

    /// How many there are, by an index that has library and type: those in the trash included.
    pub fn count_with_trash(&self) -> Sql<u64> {
        let sql = format!(
            "SELECT count(*) FROM metadata_items WHERE library_section_id = ?1 AND metadata_type IN ({})",
            self.types()
        );
        let count: i64 = self.connection.query_row(&sql, [self.section], |row| row.get(0))?;
        Ok(count.cast_unsigned())
    }

    /// How many there are.
    pub fn count(&self) -> Sql<u64> {
        // What is in the trash is little, and has an index of its own, which is used where nothing but the numbers is wanted.
        let sql = format!(
            "SELECT count(*) FROM metadata_items d CROSS JOIN metadata_items i ON i.id = d.id \
             WHERE d.deleted_at IS NOT NULL AND +i.library_section_id = ?1 AND +i.metadata_type IN ({})",
            self.types()
        );
        let trashed: i64 = self.connection.query_row(&sql, [self.section], |row| row.get(0))?;
        Ok(self.count_with_trash()?.saturating_sub(trashed.cast_unsigned()))
    }

    fn item(&mut self, row: &Row<'_>) -> Sql<(i64, Item)> {
        let id: i64 = row.get(0)?;
        let kind = u8::try_from(number(row, 1)?.unwrap_or(0)).map_or(ItemType::Other, ItemType::from_number);
        let mut item = Item {
            rating_key: id.to_string(),
            kind,
            title: text(row, 2)?.unwrap_or_default(),
            year: small(row, 3)?.unwrap_or(0),
            guid: text(row, 7)?.unwrap_or_default(),
            season: -1,
            episode: -1,
            ..Item::default()
        };
        let index = small(row, 4)?.unwrap_or(-1);
        let parent = number(row, 6)?;
        match kind {
            ItemType::Episode | ItemType::Track => {
                let season = self.parent(parent)?;
                item.episode = index;
                // Of a track it is the disc, which no album has.
                item.season = match kind {
                    ItemType::Track => small(row, 5)?.unwrap_or(season.index),
                    _ => season.index,
                };
                if let Some(above) = season.above {
                    let show = self.parent(Some(above))?;
                    item.show_rating_key = above.to_string();
                    item.show_title = show.title;
                    item.show_guid = show.guid;
                }
            }
            ItemType::Photo | ItemType::Clip => {
                item.episode = index;
                item.season = self.parent(parent)?.index;
            }
            _ => {}
        }
        Ok((id, item))
    }

    /// Adds files and external ids to items, which are in the order of their numbers. Those that stand close together are
    /// asked for at once: the rows that belong to them do, too.
    fn fill(&self, items: &mut [(i64, Item)]) -> Sql<()> {
        for run in items.chunk_by_mut(|(one, _), (next, _)| next - one <= CLOSE) {
            self.external_ids(run)?;
            self.parts(run)?;
        }
        Ok(())
    }

    fn parent(&mut self, id: Option<i64>) -> Sql<Parent> {
        let Some(id) = id else {
            return Ok(Parent {
                index: -1,
                ..Parent::default()
            });
        };
        if let Some(known) = self.parents.get(&id) {
            return Ok(known.clone());
        }
        let mut statement = self
            .connection
            .prepare_cached("SELECT [index], parent_id, title, guid FROM metadata_items WHERE id = ?1")?;
        let mut rows = statement.query([id])?;
        let parent = match rows.next()? {
            Some(row) => Parent {
                index: small(row, 0)?.unwrap_or(-1),
                above: number(row, 1)?,
                title: text(row, 2)?.unwrap_or_default(),
                guid: text(row, 3)?.unwrap_or_default(),
            },
            None => Parent {
                index: -1,
                ..Parent::default()
            },
        };
        self.parents.insert(id, parent.clone());
        Ok(parent)
    }

    fn external_ids(&self, run: &mut [(i64, Item)]) -> Sql<()> {
        let sql = "SELECT g.metadata_item_id, t.tag FROM taggings g CROSS JOIN tags t ON t.id = g.tag_id \
             WHERE g.metadata_item_id BETWEEN ?1 AND ?2 AND +t.tag_type = 314 ORDER BY g.metadata_item_id, g.id";
        self.of_run(sql, run, &|item| &mut item.guids)
    }

    /// The files of all versions, optimized ones too: theirs are the item's as well. Remote ones have no file.
    fn parts(&self, run: &mut [(i64, Item)]) -> Sql<()> {
        let sql = "SELECT m.metadata_item_id, p.file FROM media_items m CROSS JOIN media_parts p ON p.media_item_id = m.id \
             WHERE m.metadata_item_id BETWEEN ?1 AND ?2 AND +m.deleted_at IS NULL AND +p.deleted_at IS NULL \
             ORDER BY m.metadata_item_id, m.id, p.id";
        self.of_run(sql, run, &|item| &mut item.parts)
    }

    /// Hands the texts that a statement gives for numbers of items to those that have these numbers.
    fn of_run(&self, sql: &str, run: &mut [(i64, Item)], list: &dyn Fn(&mut Item) -> &mut Vec<String>) -> Sql<()> {
        let (Some((from, _)), Some((to, _))) = (run.first(), run.last()) else {
            return Ok(());
        };
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([*from, *to])?;
        let mut at = 0;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            while run.get(at).is_some_and(|(one, _)| *one < id) {
                at += 1;
            }
            if let Some((one, item)) = run.get_mut(at)
                && *one == id
            {
                push_new(list(item), text(row, 1)?);
            }
        }
        Ok(())
    }
}

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
fn text(row: &Row<'_>, column: usize) -> Sql<Option<String>> {
    let text = match row.get_ref(column)? {
        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Null => return Ok(None),
    };
    Ok((!text.contains('\0')).then_some(text))
}

/// A whole number, whatever was stored.
fn number(row: &Row<'_>, column: usize) -> Sql<Option<i64>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(number) => Some(number),
        ValueRef::Text(text) => std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()),
        _ => None,
    })
}

/// A date in Unix seconds: dates were texts until 2023 at least, in UTC, and are numbers now. 0: there is none.
fn moment(row: &Row<'_>, column: usize) -> Sql<i64> {
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

fn small(row: &Row<'_>, column: usize) -> Sql<Option<i32>> {
    Ok(number(row, column)?.and_then(|number| i32::try_from(number).ok()))
}
