//! Items of one library, with all that is theirs: rows of several tables, each read in the order of its index.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::rc::Rc;

use rusqlite::{Connection, Row, params};

use crate::model::{Item, ItemType};

use super::super::plex::push_new;
use super::cells::{number, numbers, put_number, small, text_into};

type Sql<T> = rusqlite::Result<T>;

/// How many items are completed at once.
const BATCH: usize = 256;
/// Up to which distance two items' rows are read in one go, whatever lies between them.
const CLOSE: i64 = 16;
/// Up to how many items, versions and parts in the trash are remembered, so that each other one need not be asked.
const FEW: i64 = 1_000;
/// Tags below this number are remembered where they are no external ids: genres and people come again and again.
const TAGS: usize = 1 << 22;
/// The type of a tag that is an external id.
const EXTERNAL: i64 = 314;

/// Items of one library, read one after the other in a slice.
pub struct Items<'c> {
    connection: &'c Connection,
    section: i64,
    /// The types of leaves that the library has, as the server numbers them.
    types: Vec<u8>,
    parents: HashMap<i64, Rc<Parent>>,
    /// What stood above the last item: those of a season come together.
    above: Option<(i64, Above)>,
    /// Tags that are no external ids.
    other_tags: Numbers,
    /// Of the items at hand: which tag each has, and the external ids among those, by number.
    tags: Vec<(i64, i64)>,
    ids: Vec<(i64, Option<String>)>,
    /// Where they are few: the items, the versions and the parts in the trash.
    trashed: Option<[HashSet<i64>; 3]>,
    /// Items that are needed no more, and texts: what is read next is read into their memory.
    used: Option<&'c mut Vec<Item>>,
    texts: Vec<String>,
}

/// Numbers of rows, a bit each: those below [`TAGS`].
#[derive(Default)]
struct Numbers(Vec<u64>);

impl Numbers {
    fn place(number: i64) -> Option<(usize, u64)> {
        let number = usize::try_from(number).ok().filter(|number| *number < TAGS)?;
        Some((number / 64, 1 << (number % 64)))
    }

    fn has(&self, number: i64) -> bool {
        Self::place(number).is_some_and(|(word, bit)| self.0.get(word).is_some_and(|bits| bits & bit != 0))
    }

    fn add(&mut self, number: i64) {
        if let Some((word, bit)) = Self::place(number) {
            if self.0.len() <= word {
                self.0.resize(word + 1, 0);
            }
            self.0[word] |= bit;
        }
    }
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
            above: None,
            other_tags: Numbers::default(),
            tags: Vec::new(),
            ids: Vec::new(),
            trashed: None,
            used: None,
            texts: Vec::new(),
        }
    }

    /// The same, reading into the memory of these items.
    pub fn reusing(mut self, used: &'c mut Vec<Item>) -> Self {
        self.used = Some(used);
        self
    }

    /// An item without texts.
    fn blank(&mut self) -> Item {
        let used = self.used.as_mut().and_then(|used| used.pop()).unwrap_or_default();
        used.emptied(&mut self.texts)
    }

    fn types(&self) -> String {
        let types: Vec<String> = self.types.iter().map(u8::to_string).collect();
        types.join(", ")
    }

    /// Adds the items with a number above `after` to `items`, by number, some at a time, until they are `most` or `enough`
    /// says that they are: gives whether these are all.
    pub fn after(
        &mut self,
        after: i64,
        most: usize,
        items: &mut Vec<(i64, Item)>,
        enough: &mut dyn FnMut(usize) -> bool,
    ) -> Sql<bool> {
        let connection = self.connection;
        self.trashed = few_trashed(connection)?;
        // With a plus in front no index is chosen by these. Nothing is read that is not needed: dates stand at a row's end.
        let sql = format!(
            "SELECT {COLUMNS} FROM metadata_items i WHERE i.library_section_id = ?1 AND i.id > ?2 \
             AND +i.metadata_type IN ({}) AND (?3 OR +i.deleted_at IS NULL) ORDER BY i.id",
            self.types()
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![self.section, after, self.trashed.is_some()])?;
        loop {
            let begun = items.len();
            let batch = most.min(begun + BATCH);
            while items.len() < batch {
                let Some(row) = rows.next()? else { break };
                if let Some([trashed, ..]) = &self.trashed
                    && trashed.contains(&row.get(0)?)
                {
                    continue;
                }
                items.push(self.item(row)?);
            }
            self.fill(&mut items[begun..])?;
            if items.len() < batch {
                return Ok(true);
            }
            if batch == most || enough(batch) {
                // Whether there is another one is found out by who asks for it.
                return Ok(false);
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
        let mut item = self.blank();
        put_number(&mut item.rating_key, id);
        text_into(&mut item.title, row, 2)?;
        text_into(&mut item.guid, row, 7)?;
        (item.kind, item.year) = (kind, small(row, 3)?.unwrap_or(0));
        let index = small(row, 4)?.unwrap_or(-1);
        match kind {
            ItemType::Episode | ItemType::Track => {
                item.episode = index;
                if let Some(above) = self.above(number(row, 6)?)? {
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
                    && let Some(disc) = small(row, 5)?
                {
                    item.season = disc;
                }
            }
            // A photo's place in its album is the number of no episode.
            _ => {}
        }
        Ok((id, item))
    }

    /// Adds files and external ids to items, which are in the order of their numbers. Those that stand close together are
    /// asked for at once: the rows that belong to them do, too.
    fn fill(&mut self, items: &mut [(i64, Item)]) -> Sql<()> {
        for run in items.chunk_by_mut(|(one, _), (next, _)| next - one <= CLOSE) {
            self.external_ids(run)?;
            self.parts(run)?;
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
                index: small(row, 0)?.unwrap_or(-1),
                above: number(row, 1)?,
                title: text(&mut self.texts, row, 2)?.unwrap_or_default(),
                guid: text(&mut self.texts, row, 3)?.unwrap_or_default(),
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

    fn external_ids(&mut self, run: &mut [(i64, Item)]) -> Sql<()> {
        let Some(range) = range_of(run) else { return Ok(()) };
        let connection = self.connection;
        let mut taggings = connection.prepare_cached(
            "SELECT metadata_item_id, tag_id FROM taggings WHERE metadata_item_id BETWEEN ?1 AND ?2 \
             ORDER BY metadata_item_id, id",
        )?;
        self.tags.clear();
        self.ids.clear();
        let mut rows = taggings.query(range)?;
        while let Some(row) = rows.next()? {
            if let (item, Some(tag)) = (row.get(0)?, number(row, 1)?)
                && !self.other_tags.has(tag)
            {
                self.tags.push((item, tag));
                self.ids.push((tag, None));
            }
        }
        self.ids.sort_unstable();
        self.ids.dedup();
        let is_shared = self.ids.len() < self.tags.len();
        // Those of items that came together stand together, too.
        let mut tags = connection.prepare_cached("SELECT id, tag_type, tag FROM tags WHERE id BETWEEN ?1 AND ?2")?;
        for some in self.ids.chunk_by_mut(|(one, _), (next, _)| next - one <= CLOSE) {
            let Some(range) = range_of(some) else { continue };
            let mut found = tags.query(range)?;
            let mut place = Place::default();
            while let Some(row) = found.next()? {
                if let Some(id) = place.of(some, row.get(0)?)
                    && number(row, 1)? == Some(EXTERNAL)
                {
                    *id = text(&mut self.texts, row, 2)?;
                }
            }
        }
        let mut place = Place::default();
        for (item, tag) in &self.tags {
            let known = self.ids.binary_search_by_key(tag, |(id, _)| *id);
            match known.ok().and_then(|at| self.ids.get_mut(at)) {
                Some((_, id @ Some(_))) => {
                    if let Some(item) = place.of(run, *item) {
                        push_new(&mut item.guids, if is_shared { id.clone() } else { id.take() });
                    }
                }
                _ => self.other_tags.add(*tag),
            }
        }
        Ok(())
    }

    /// The files of all versions, optimized ones too: theirs are the item's as well. Remote ones have no file.
    fn parts(&mut self, run: &mut [(i64, Item)]) -> Sql<()> {
        let Some(range) = range_of(run) else { return Ok(()) };
        let sql = match self.trashed {
            // Of the versions nothing is read but what the index has.
            Some(_) => {
                "SELECT m.metadata_item_id, m.id, p.id, p.file FROM media_items m CROSS JOIN media_parts p \
                 ON p.media_item_id = m.id WHERE m.metadata_item_id BETWEEN ?1 AND ?2 \
                 ORDER BY m.metadata_item_id, m.id, p.id"
            }
            None => {
                "SELECT m.metadata_item_id, m.id, p.id, p.file FROM media_items m CROSS JOIN media_parts p \
                 ON p.media_item_id = m.id WHERE m.metadata_item_id BETWEEN ?1 AND ?2 \
                 AND +m.deleted_at IS NULL AND +p.deleted_at IS NULL ORDER BY m.metadata_item_id, m.id, p.id"
            }
        };
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(range)?;
        let mut place = Place::default();
        while let Some(row) = rows.next()? {
            let Some(item) = place.of(run, row.get(0)?) else {
                continue;
            };
            if let Some([_, versions, parts]) = &self.trashed
                && (versions.contains(&row.get(1)?) || parts.contains(&row.get(2)?))
            {
                continue;
            }
            // Most have one.
            item.parts.reserve_exact(1);
            push_new(&mut item.parts, text(&mut self.texts, row, 3)?);
        }
        Ok(())
    }
}

/// The text of a cell, in the memory of one of these.
fn text(texts: &mut Vec<String>, row: &Row<'_>, column: usize) -> Sql<Option<String>> {
    let mut text = texts.pop().unwrap_or_default();
    if text_into(&mut text, row, column)? {
        return Ok(Some(text));
    }
    texts.push(text);
    Ok(None)
}

/// The first and the last number of a run.
fn range_of<T>(run: &[(i64, T)]) -> Option<[i64; 2]> {
    Some([run.first()?.0, run.last()?.0])
}

/// A place in a run, which goes forward as rows come in the order of their numbers.
#[derive(Default)]
struct Place(usize);

impl Place {
    /// What has this number.
    fn of<'i, T>(&mut self, run: &'i mut [(i64, T)], id: i64) -> Option<&'i mut T> {
        while run.get(self.0).is_some_and(|(one, _)| *one < id) {
            self.0 += 1;
        }
        run.get_mut(self.0).filter(|(one, _)| *one == id).map(|(_, one)| one)
    }
}

/// The items, the versions and the parts in the trash; `None` where they are many.
fn few_trashed(connection: &Connection) -> Sql<Option<[HashSet<i64>; 3]>> {
    let mut trashed = [HashSet::new(), HashSet::new(), HashSet::new()];
    for (sql, trashed) in [
        "SELECT id FROM metadata_items WHERE deleted_at IS NOT NULL LIMIT ?1",
        "SELECT id FROM media_items WHERE deleted_at IS NOT NULL LIMIT ?1",
        "SELECT id FROM media_parts WHERE deleted_at IS NOT NULL LIMIT ?1",
    ]
    .iter()
    .zip(&mut trashed)
    {
        numbers(connection, sql, &[FEW + 1], &mut |id| trashed.extend([id]))?;
        if i64::try_from(trashed.len()).is_ok_and(|count| count > FEW) {
            return Ok(None);
        }
    }
    Ok(Some(trashed))
}
