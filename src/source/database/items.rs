//! Reads the items of one library, with their parents, files and external ids.

use std::collections::HashMap;
use std::rc::Rc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use crate::model::{Item, ItemType};

use super::super::plex::push_unique;
use super::cells::{number, numbers, small_number, text};

type Sql<T> = rusqlite::Result<T>;

/// Number of rows read at once.
const BATCH: usize = 256;

/// The first ?4 rows of library ?1 with ids above ?2 up to ?3.
const ROWS: &str = "SELECT id, metadata_type, deleted_at, title, guid, year, [index], absolute_index, parent_id \
     FROM metadata_items WHERE library_section_id = ?1 AND id > ?2 AND id <= ?3 ORDER BY id LIMIT ?4";

/// Files of all versions, including optimized ones, which belong to the item too. Remote versions have no file.
const FILES: &str = "SELECT i.id, p.file FROM metadata_items i CROSS JOIN media_items m ON m.metadata_item_id = i.id \
     CROSS JOIN media_parts p ON p.media_item_id = m.id WHERE i.library_section_id = ?1 AND i.id > ?2 AND i.id <= ?3 \
     AND +m.deleted_at IS NULL AND +p.deleted_at IS NULL ORDER BY i.id, m.id, p.id";

/// External ids are tags of type 314.
const EXTERNAL_IDS: &str = "SELECT i.id, t.tag FROM metadata_items i CROSS JOIN taggings g ON g.metadata_item_id = i.id \
     CROSS JOIN tags t ON t.id = g.tag_id WHERE i.library_section_id = ?1 AND i.id > ?2 AND i.id <= ?3 \
     AND +t.tag_type = 314 ORDER BY i.id, g.id";

/// Reads items of one library during a slice.
pub struct ItemReader<'c> {
    connection: &'c Connection,
    section: i64,
    /// The leaf types of the library.
    types: &'c [ItemType],
    parents: HashMap<i64, Rc<Parent>>,
}

/// A season or album, or a show or artist.
struct Parent {
    index: i32,
    title: String,
    guid: String,
    grandparent: Option<i64>,
}

/// The title of a season. Most seasons have none in the database; the server then names them by number.
fn season_title(of: ItemType, season: &Parent) -> String {
    match season.index {
        _ if of != ItemType::Episode || !season.title.is_empty() => season.title.clone(),
        0 => "Specials".to_owned(),
        number @ 1.. => format!("Season {number}"),
        _ => String::new(),
    }
}

impl<'c> ItemReader<'c> {
    pub fn new(connection: &'c Connection, section: i64, types: &'c [ItemType]) -> Self {
        // A library of unknown kind is listed without a type filter.
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
        Self {
            connection,
            section,
            types,
            parents: HashMap::new(),
        }
    }

    fn types(&self) -> String {
        let types: Vec<String> = self.types.iter().map(|kind| kind.number().to_string()).collect();
        types.join(", ")
    }

    /// Reads items with ids above `after` in ascending order, in batches, until there are `most` or `enough` returns
    /// `true`. Returns whether the end was reached.
    pub fn after(
        &mut self,
        mut after: i64,
        most: usize,
        items: &mut Vec<(i64, Item)>,
        enough: &mut dyn FnMut(usize) -> bool,
    ) -> Sql<bool> {
        loop {
            let some = BATCH.min(most.saturating_sub(items.len()).max(1));
            match self.read(after, i64::MAX, some, items)? {
                Some(last) => after = last,
                None => return Ok(true),
            }
            if items.len() >= most || enough(items.len()) {
                return Ok(false);
            }
        }
    }

    /// Returns the item with this id, if it is a leaf of this library and not in the trash.
    pub fn one(&mut self, id: i64) -> Sql<Option<Item>> {
        let mut found = Vec::new();
        self.read(id.saturating_sub(1), id, 1, &mut found)?;
        Ok(found.pop().map(|(_, item)| item))
    }

    /// Adds the items among the first `most` rows with ids above `after`, up to `end`. Returns the last row's id;
    /// `None` without rows.
    fn read(&mut self, after: i64, end: i64, most: usize, items: &mut Vec<(i64, Item)>) -> Sql<Option<i64>> {
        let (connection, section, begun) = (self.connection, self.section, items.len());
        let mut last = None;
        let mut statement = connection.prepare_cached(ROWS)?;
        let mut rows = statement.query(params![section, after, end, i64::try_from(most).unwrap_or(i64::MAX)])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            last = Some(id);
            let kind = number(row, 1)?.and_then(|kind| u8::try_from(kind).ok());
            let kind = ItemType::from_number(kind.unwrap_or(0));
            if !self.types.contains(&kind) || row.get_ref(2)? != ValueRef::Null {
                continue;
            }
            let mut item = Item {
                rating_key: id.to_string(),
                kind,
                title: text(row, 3)?.unwrap_or_default(),
                guid: text(row, 4)?.unwrap_or_default(),
                year: small_number(row, 5)?.unwrap_or(0),
                season: -1,
                episode: -1,
                ..Item::default()
            };
            // A photo's index in its album is not an episode number.
            if matches!(kind, ItemType::Episode | ItemType::Track) {
                item.episode = small_number(row, 6)?.unwrap_or(-1);
                self.set_parents(&mut item, number(row, 8)?)?;
            }
            // For a track, this column is the disc.
            if kind == ItemType::Track
                && let Some(disc) = small_number(row, 7)?
            {
                item.season = disc;
            }
            items.push((id, item));
        }
        if let Some(last) = last {
            let range = [section, after, last];
            attach(connection, FILES, range, &mut items[begun..], |item| &mut item.parts)?;
            attach(connection, EXTERNAL_IDS, range, &mut items[begun..], |item| {
                &mut item.guids
            })?;
        }
        Ok(last)
    }

    /// Returns the item with the highest id.
    pub fn last(&mut self) -> Sql<Option<Item>> {
        let sql = format!(
            "SELECT id FROM metadata_items WHERE library_section_id = ?1 AND +metadata_type IN ({}) \
             AND +deleted_at IS NULL ORDER BY id DESC LIMIT 1",
            self.types()
        );
        let mut last = None;
        numbers(self.connection, &sql, &[self.section], &mut |id| last = Some(id))?;
        last.map_or(Ok(None), |id| self.one(id))
    }

    /// Counts the items with ids up to `last`: including those in the trash, and excluding them.
    pub fn counts(&self, last: i64) -> Sql<(u64, u64)> {
        let count = |sql: &str| {
            let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
            self.connection.query_row(sql, [self.section, last], count)
        };
        // Uses the index on library and type.
        let all = count(&format!(
            "SELECT count(*) FROM metadata_items WHERE library_section_id = ?1 AND +id <= ?2 AND metadata_type IN ({})",
            self.types()
        ))?;
        // The trash is small and has its own index, which is used if only ids are read.
        let trashed = count(&format!(
            "SELECT count(*) FROM metadata_items d CROSS JOIN metadata_items i ON i.id = d.id \
             WHERE d.deleted_at IS NOT NULL AND +i.library_section_id = ?1 AND +i.id <= ?2 AND +i.metadata_type IN ({})",
            self.types()
        ))?;
        Ok((all.cast_unsigned(), all.saturating_sub(trashed).cast_unsigned()))
    }

    /// Sets the fields of the season and show, or album and artist.
    fn set_parents(&mut self, item: &mut Item, parent: Option<i64>) -> Sql<()> {
        let Some(id) = parent else { return Ok(()) };
        let season = self.parent(id)?;
        item.season = season.index;
        item.season_rating_key = id.to_string();
        item.season_title = season_title(item.kind, &season);
        item.season_guid.clone_from(&season.guid);
        if let Some(id) = season.grandparent {
            let show = self.parent(id)?;
            item.show_rating_key = id.to_string();
            item.show_title.clone_from(&show.title);
            item.show_guid.clone_from(&show.guid);
        }
        Ok(())
    }

    fn parent(&mut self, id: i64) -> Sql<Rc<Parent>> {
        if let Some(known) = self.parents.get(&id) {
            return Ok(Rc::clone(known));
        }
        let mut parent = Parent {
            index: -1,
            title: String::new(),
            guid: String::new(),
            grandparent: None,
        };
        let mut statement = self
            .connection
            .prepare_cached("SELECT [index], parent_id, title, guid FROM metadata_items WHERE id = ?1")?;
        let mut rows = statement.query([id])?;
        if let Some(row) = rows.next()? {
            parent.index = small_number(row, 0)?.unwrap_or(-1);
            parent.grandparent = number(row, 1)?;
            parent.title = text(row, 2)?.unwrap_or_default();
            parent.guid = text(row, 3)?.unwrap_or_default();
        }
        let parent = Rc::new(parent);
        self.parents.insert(id, Rc::clone(&parent));
        Ok(parent)
    }
}

/// Adds each text of a query's rows (id, text) to a list of the item with that id.
fn attach(
    connection: &Connection,
    sql: &str,
    range: [i64; 3],
    items: &mut [(i64, Item)],
    list: fn(&mut Item) -> &mut Vec<String>,
) -> Sql<()> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(range)?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        if let Ok(place) = items.binary_search_by_key(&id, |(id, _)| *id) {
            push_unique(list(&mut items[place].1), text(row, 1)?);
        }
    }
    Ok(())
}
