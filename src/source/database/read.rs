//! What the database says, in the words of the HTTP API. Only plain columns are read, and by the indexes that the server keeps:
//! its tables of words and its collation need what only the server has.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

use crate::model::{Change, Item, ItemType, Library, LibraryKind};

use super::super::plex::push_new;

type Sql<T> = rusqlite::Result<T>;

/// How many items are completed at once.
const BATCH: usize = 256;
/// Up to which distance two items' rows are read in one go, whatever lies between them.
const CLOSE: i64 = 16;
/// Up to how many versions and parts in the trash are remembered, so that each other one need not be asked.
const FEW: i64 = 1_000;
/// How many tags are remembered that are no external ids: genres and people come again and again.
const TAGS: usize = 1 << 16;
/// The type of a tag that is an external id.
const EXTERNAL: i64 = 314;

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
    parents: HashMap<i64, Rc<Parent>>,
    /// What stood above the last item: those of a season come together.
    above: Option<(i64, Above)>,
    /// Tags that are no external ids.
    other_tags: HashSet<i64>,
    /// Where they are few: the versions and the parts in the trash.
    trashed: Option<[HashSet<i64>; 2]>,
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
fn title_of_season(of: ItemType, season: &Parent) -> String {
    match season.index {
        _ if of != ItemType::Episode || !season.title.is_empty() => season.title.clone(),
        0 => "Specials".to_owned(),
        number @ 1.. => format!("Season {number}"),
        _ => String::new(),
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
            other_tags: HashSet::new(),
            trashed: None,
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
        self.trashed = few_trashed(connection)?;
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
        match kind {
            ItemType::Episode | ItemType::Track => {
                item.episode = index;
                if let Some(above) = self.above(number(row, 6)?)? {
                    let (key, season) = &above.season;
                    item.season = season.index;
                    item.season_rating_key.clone_from(key);
                    item.season_title = title_of_season(kind, season);
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
            ItemType::Photo | ItemType::Clip => {
                item.episode = index;
                item.season = self.above(number(row, 6)?)?.map_or(-1, |above| above.season.1.index);
            }
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
                title: text(row, 2)?.unwrap_or_default(),
                guid: text(row, 3)?.unwrap_or_default(),
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
        let mut tags = connection.prepare_cached("SELECT tag_type, tag FROM tags WHERE id = ?1")?;
        let mut rows = taggings.query(range)?;
        let mut place = Place::default();
        while let Some(row) = rows.next()? {
            let (Some(item), Some(tag)) = (place.of(run, row.get(0)?), number(row, 1)?) else {
                continue;
            };
            if self.other_tags.contains(&tag) {
                continue;
            }
            let mut found = tags.query([tag])?;
            match found.next()? {
                Some(tag) if number(tag, 0)? == Some(EXTERNAL) => push_new(&mut item.guids, text(tag, 1)?),
                _ if self.other_tags.len() < TAGS => drop(self.other_tags.insert(tag)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The files of all versions, optimized ones too: theirs are the item's as well. Remote ones have no file.
    fn parts(&self, run: &mut [(i64, Item)]) -> Sql<()> {
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
            if let Some([versions, parts]) = &self.trashed
                && (versions.contains(&row.get(1)?) || parts.contains(&row.get(2)?))
            {
                continue;
            }
            push_new(&mut item.parts, text(row, 3)?);
        }
        Ok(())
    }
}

/// The first and the last number of a run.
fn range_of(run: &[(i64, Item)]) -> Option<[i64; 2]> {
    Some([run.first()?.0, run.last()?.0])
}

/// A place in a run of items, which goes forward as rows come in the order of their numbers.
#[derive(Default)]
struct Place(usize);

impl Place {
    /// The item with this number.
    fn of<'i>(&mut self, run: &'i mut [(i64, Item)], id: i64) -> Option<&'i mut Item> {
        while run.get(self.0).is_some_and(|(one, _)| *one < id) {
            self.0 += 1;
        }
        run.get_mut(self.0).filter(|(one, _)| *one == id).map(|(_, item)| item)
    }
}

/// The versions and the parts in the trash; `None` where they are many.
fn few_trashed(connection: &Connection) -> Sql<Option<[HashSet<i64>; 2]>> {
    let mut trashed = [HashSet::new(), HashSet::new()];
    for (sql, trashed) in [
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
        ValueRef::Text(text) | ValueRef::Blob(text) => match std::str::from_utf8(text) {
            Ok(text) => text.to_owned(),
            Err(_) => String::from_utf8_lossy(text).into_owned(),
        },
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Null => return Ok(None),
    };
    Ok((!text.as_bytes().contains(&0)).then_some(text))
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
