//! Items of one library, with all that is theirs: rows of several tables, each read in the order of its index.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;

use rusqlite::{Connection, OptionalExtension, Statement, params};

use crate::model::{Item, ItemType};
use crate::platform::rows::each;

use super::cells::{number, number_of, numbers, put_number, small, text_into};
use super::filling::{Filling, Kind, text};

type Sql<T> = rusqlite::Result<T>;

/// How many rows are looked at, and their items completed, at once.
const BATCH: usize = 256;

/// Items of one library, read one after the other in a slice.
pub struct Items<'c> {
    connection: &'c Connection,
    section: i64,
    /// The types of leaves that the library has, as the server numbers them.
    types: Vec<u8>,
    parents: HashMap<i64, Rc<Parent>>,
    /// What stood above the last item: those of a season come together.
    above: Option<(i64, Above)>,
    /// Of the items that were read last: what stands above each, and its absolute number.
    places: Vec<(Option<i64>, Option<i32>)>,
    filling: Filling,
    /// Items that are needed no more: what is read next is read into their memory.
    used: Option<&'c mut Vec<Item>>,
}

/// A season or album, or a show or artist.
#[derive(Default)]
struct Parent {
    index: i32,
    title: String,
    guid: String,
    above: Option<i64>,
}

/// What stands above an item.
struct Above {
    /// The season or album, and its rating key.
    season: (String, Rc<Parent>),
    /// The show or artist, and its rating key.
    show: Option<(String, Rc<Parent>)>,
}

/// Seasons mostly have no title in the file: then the server calls them by their number.
fn put_title_of_season(title: &mut String, of: ItemType, season: &Parent) {
    match season.index {
        _ if of != ItemType::Episode || !season.title.is_empty() => title.clone_from(&season.title),
        0 => title.push_str("Specials"),
        number @ 1.. => {
            let _ = write!(title, "Season {number}");
        }
        _ => {}
    }
}

/// Rows of a library with a number above one, up to another one.
const ROWS: &str = "library_section_id = ?1 AND id > ?2 AND id <= ?3";

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
            above: None,
            places: Vec::new(),
            filling: Filling::default(),
            used: None,
        }
    }

    /// The same, reading into the memory of these items.
    pub fn reusing(mut self, used: &'c mut Vec<Item>) -> Self {
        self.used = Some(used);
        self
    }

    fn types(&self) -> String {
        let types: Vec<String> = self.types.iter().map(u8::to_string).collect();
        types.join(", ")
    }

    /// What [`Items::read`] runs.
    fn statement(&self) -> String {
        // With a plus in front no index is chosen by it. Nothing is read that is not needed: dates stand at a row's end.
        format!(
            "SELECT 1 FROM metadata_items i WHERE {ROWS} AND +i.metadata_type IN ({}) AND hand(i.id, i.metadata_type, \
             i.library_section_id, CASE WHEN ?4 THEN NULL ELSE i.deleted_at END, i.title, i.guid, i.year, i.[index], \
             i.absolute_index, i.parent_id)",
            self.types()
        )
    }

    /// Adds the items with a number above `after` to `items`, by number, some at a time, until they are `most` or `enough`
    /// says that they are: gives whether these are all.
    pub fn after(
        &mut self,
        mut after: i64,
        most: usize,
        items: &mut Vec<(i64, Item)>,
        enough: &mut dyn FnMut(usize) -> bool,
    ) -> Sql<bool> {
        let connection = self.connection;
        self.filling.look_at_trash(connection)?;
        let mut rows = connection.prepare_cached(&self.statement())?;
        let mut bound = connection.prepare_cached(
            "SELECT id FROM metadata_items WHERE library_section_id = ?1 AND id > ?2 ORDER BY id LIMIT 1 OFFSET ?3 + 0",
        )?;
        loop {
            let some = BATCH.min(most.saturating_sub(items.len()).max(1));
            let behind = i64::try_from(some).unwrap_or(1) - 1;
            let last: Option<i64> = bound
                .query_row(params![self.section, after, behind], |row| row.get(0))
                .optional()?;
            self.read(&mut rows, after, last.unwrap_or(i64::MAX), items)?;
            let Some(last) = last else { return Ok(true) };
            after = last;
            if items.len() >= most || enough(items.len()) {
                // Whether there is another one is found out by who asks for it.
                return Ok(false);
            }
        }
    }

    /// The item with this number, if it is one of this library's leaves, and not in the trash.
    pub fn one(&mut self, id: i64) -> Sql<Option<Item>> {
        let mut rows = self.connection.prepare_cached(&self.statement())?;
        let mut found = Vec::new();
        self.read(&mut rows, id.saturating_sub(1), id, &mut found)?;
        Ok(found.pop().map(|(_, item)| item))
    }

    /// Adds the items with a number above `after`, up to `last`, to `items`, by number.
    fn read(&mut self, rows: &mut Statement<'_>, after: i64, last: i64, items: &mut Vec<(i64, Item)>) -> Sql<()> {
        let begun = items.len();
        let Self {
            section,
            types,
            places,
            filling,
            used,
            ..
        } = self;
        places.clear();
        let range = params![*section, after, last, filling.knows_trash()];
        each(rows, range, &mut |cells| {
            let (id, kind) = (
                cells.id(0),
                u8::try_from(number_of(cells.get(1)).unwrap_or(0)).unwrap_or(0),
            );
            if !types.contains(&kind) || cells.id(2) != *section || filling.is_trashed(Kind::Item, id, cells.get(3)) {
                return true;
            }
            let used = used.as_mut().and_then(|used| used.pop()).unwrap_or_default();
            let mut item = used.emptied(&mut filling.texts);
            put_number(&mut item.rating_key, id);
            text_into(&mut item.title, cells.get(4));
            text_into(&mut item.guid, cells.get(5));
            item.kind = ItemType::from_number(kind);
            item.year = small(cells.get(6)).unwrap_or(0);
            if matches!(item.kind, ItemType::Episode | ItemType::Track) {
                item.episode = small(cells.get(7)).unwrap_or(-1);
            }
            places.push((number_of(cells.get(9)), small(cells.get(8))));
            items.push((id, item));
            true
        })?;
        let new = &mut items[begun..];
        let places = std::mem::take(&mut self.places);
        for ((_, item), (parent, absolute)) in new.iter_mut().zip(&places) {
            self.put_above(item, *parent, *absolute)?;
        }
        self.places = places;
        if !new.is_sorted_by_key(|(id, _)| *id) {
            new.sort_by_key(|(id, _)| *id);
        }
        self.filling.fill(self.connection, new)
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
        self.count_all(None)
    }

    /// How many there are; with `last`, only those with a number up to that.
    pub fn count(&self, last: Option<i64>) -> Sql<u64> {
        // What is in the trash is little, and has an index of its own, which is used where nothing but the numbers is wanted.
        let sql = format!(
            "SELECT count(*) FROM metadata_items d CROSS JOIN metadata_items i ON i.id = d.id \
             WHERE d.deleted_at IS NOT NULL AND +i.library_section_id = ?1 AND +i.metadata_type IN ({}) AND {}",
            self.types(),
            last.map_or_else(|| "1".to_owned(), |last| format!("+i.id <= {last}"))
        );
        let trashed: i64 = self.connection.query_row(&sql, [self.section], |row| row.get(0))?;
        Ok(self.count_all(last)?.saturating_sub(trashed.cast_unsigned()))
    }

    fn count_all(&self, last: Option<i64>) -> Sql<u64> {
        let sql = format!(
            "SELECT count(*) FROM metadata_items WHERE library_section_id = ?1 AND metadata_type IN ({}) AND {}",
            self.types(),
            last.map_or_else(|| "1".to_owned(), |last| format!("+id <= {last}"))
        );
        let count: i64 = self.connection.query_row(&sql, [self.section], |row| row.get(0))?;
        Ok(count.cast_unsigned())
    }

    /// Adds what stands above an item.
    fn put_above(&mut self, item: &mut Item, parent: Option<i64>, absolute: Option<i32>) -> Sql<()> {
        // A photo's place in its album is the number of no episode.
        if !matches!(item.kind, ItemType::Episode | ItemType::Track) {
            return Ok(());
        }
        let kind = item.kind;
        if let Some(above) = self.above(parent)? {
            let (key, season) = &above.season;
            item.season = season.index;
            item.season_rating_key.clone_from(key);
            put_title_of_season(&mut item.season_title, kind, season);
            item.season_guid.clone_from(&season.guid);
            if let Some((key, show)) = &above.show {
                item.show_rating_key.clone_from(key);
                item.show_title.clone_from(&show.title);
                item.show_guid.clone_from(&show.guid);
            }
        }
        // Of a track it is the disc, which no album has.
        if kind == ItemType::Track
            && let Some(disc) = absolute
        {
            item.season = disc;
        }
        Ok(())
    }

    /// What stands above an item that has this parent.
    fn above(&mut self, parent: Option<i64>) -> Sql<Option<&Above>> {
        let Some(id) = parent else { return Ok(None) };
        if self.above.as_ref().is_none_or(|(known, _)| *known != id) {
            let season = self.parent(id)?;
            let show = match season.above {
                Some(above) => Some((above.to_string(), self.parent(above)?)),
                None => None,
            };
            self.above = Some((
                id,
                Above {
                    season: (id.to_string(), season),
                    show,
                },
            ));
        }
        Ok(self.above.as_ref().map(|(_, above)| above))
    }

    fn parent(&mut self, id: i64) -> Sql<Rc<Parent>> {
        if let Some(known) = self.parents.get(&id) {
            return Ok(Rc::clone(known));
        }
        let mut statement = self
            .connection
            .prepare_cached("SELECT [index], parent_id, title, guid FROM metadata_items WHERE id = ?1")?;
        let mut rows = statement.query([id])?;
        let parent = match rows.next()? {
            Some(row) => Parent {
                index: small(row.get_ref(0)?).unwrap_or(-1),
                above: number(row, 1)?,
                title: text(&mut self.filling.texts, row.get_ref(2)?).unwrap_or_default(),
                guid: text(&mut self.filling.texts, row.get_ref(3)?).unwrap_or_default(),
            },
            None => Parent {
                index: -1,
                ..Parent::default()
            },
        };
        let parent = Rc::new(parent);
        self.parents.insert(id, Rc::clone(&parent));
        Ok(parent)
    }
}
