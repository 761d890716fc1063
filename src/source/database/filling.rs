//! What belongs to items: their files and their external ids, which are rows of other tables, each read in the order of its
//! index.

use std::collections::HashSet;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::model::Item;
use crate::platform::rows::each;

use super::super::plex::push_new;
use super::cells::{number_of, numbers, text_into};

type Sql<T> = rusqlite::Result<T>;

/// Up to which distance two items' rows are read in one go, whatever lies between them.
const CLOSE: i64 = 16;
/// Up to how many items, versions and parts in the trash are remembered, so that each other one need not be asked.
const FEW: i64 = 1_000;
/// Tags below this number are remembered where they are no external ids: genres and people come again and again.
const TAGS: usize = 1 << 22;
/// The type of a tag that is an external id.
const EXTERNAL: i64 = 314;

/// Adds to items what belongs to them. Its memory is used again.
#[derive(Default)]
pub struct Filling {
    /// Tags that are no external ids.
    other_tags: Numbers,
    /// Of the items at hand: which tag each has, by the number of what ties them; and the external ids among those, by number.
    tags: Vec<(i64, i64, i64)>,
    ids: Vec<(i64, Option<String>)>,
    /// Of the items at hand: their versions, and the item of each; and the files of some of these, by part.
    versions: Vec<(i64, i64)>,
    files: Vec<(i64, i64, String)>,
    /// Where they are few: the items, the versions and the parts in the trash.
    trashed: Option<[HashSet<i64>; 3]>,
    /// Texts that are needed no more: what is read next is read into their memory.
    pub texts: Vec<String>,
}

/// What has a date in the trash's column, or is among those that have.
#[derive(Clone, Copy)]
pub enum Kind {
    Item,
    Version,
    Part,
}

impl Filling {
    /// Remembers what is in the trash, where that is little: the column need not be read then.
    pub fn look_at_trash(&mut self, connection: &Connection) -> Sql<()> {
        self.trashed = few_trashed(connection)?;
        Ok(())
    }

    /// Whether it is known what is in the trash.
    pub fn knows_trash(&self) -> bool {
        self.trashed.is_some()
    }

    /// Whether a row is in the trash; `since` is its date, read where that is not known by itself.
    #[inline]
    pub fn is_trashed(&self, kind: Kind, id: i64, since: ValueRef<'_>) -> bool {
        match &self.trashed {
            Some(known) => {
                let known = &known[kind as usize];
                !known.is_empty() && known.contains(&id)
            }
            None => since != ValueRef::Null,
        }
    }

    /// Adds files and external ids to items, which are in the order of their numbers. Those that stand close together are
    /// asked for at once: the rows that belong to them do, too.
    pub fn fill(&mut self, connection: &Connection, items: &mut [(i64, Item)]) -> Sql<()> {
        for run in items.chunk_by_mut(|(one, _), (next, _)| next - one <= CLOSE) {
            self.external_ids(connection, run)?;
            self.parts(connection, run)?;
        }
        Ok(())
    }

    fn external_ids(&mut self, connection: &Connection, run: &mut [(i64, Item)]) -> Sql<()> {
        let Some(range) = range_of(run) else { return Ok(()) };
        let Self {
            other_tags,
            tags,
            ids,
            texts,
            ..
        } = self;
        tags.clear();
        ids.clear();
        let mut taggings = connection.prepare_cached(
            "SELECT 1 FROM taggings WHERE metadata_item_id BETWEEN ?1 AND ?2 AND hand(metadata_item_id, id, tag_id)",
        )?;
        each(&mut taggings, range, &mut |cells| {
            if let Some(tag) = number_of(cells.get(2))
                && !other_tags.has(tag)
            {
                tags.push((cells.id(0), cells.id(1), tag));
                ids.push((tag, None));
            }
            true
        })?;
        in_order(tags);
        ids.sort_unstable();
        ids.dedup();
        let is_shared = ids.len() < tags.len();
        // Those of items that came together stand together, too.
        let mut statement = connection.prepare_cached(
            "SELECT 1 FROM tags WHERE id BETWEEN ?1 AND ?2 AND hand(id, tag_type, CASE tag_type WHEN 314 THEN tag END)",
        )?;
        for some in ids.chunk_by_mut(|(one, _), (next, _)| next - one <= CLOSE) {
            let Some(range) = range_of(some) else { continue };
            let mut place = Place::default();
            each(&mut statement, range, &mut |cells| {
                if number_of(cells.get(1)) == Some(EXTERNAL)
                    && let Some(id) = place.of(some, cells.id(0))
                {
                    *id = text(texts, cells.get(2));
                }
                true
            })?;
        }
        let mut place = Place::default();
        for (item, _, tag) in tags {
            let known = ids.binary_search_by_key(tag, |(id, _)| *id);
            match known.ok().and_then(|at| ids.get_mut(at)) {
                Some((_, id @ Some(_))) => {
                    if let Some(item) = place.of(run, *item) {
                        push_new(&mut item.guids, if is_shared { id.clone() } else { id.take() });
                    }
                }
                _ => other_tags.add(*tag),
            }
        }
        Ok(())
    }

    /// The files of all versions, optimized ones too: theirs are the item's as well. Remote ones have no file.
    fn parts(&mut self, connection: &Connection, run: &mut [(i64, Item)]) -> Sql<()> {
        let Some(range) = range_of(run) else { return Ok(()) };
        let (mut versions, mut files) = (std::mem::take(&mut self.versions), std::mem::take(&mut self.files));
        versions.clear();
        // Of the versions nothing is read but what the index has, unless it must be.
        let mut statement = connection.prepare_cached(if self.knows_trash() {
            "SELECT 1 FROM media_items WHERE metadata_item_id BETWEEN ?1 AND ?2 AND hand(metadata_item_id, id)"
        } else {
            "SELECT 1 FROM media_items WHERE metadata_item_id BETWEEN ?1 AND ?2 AND hand(metadata_item_id, id, deleted_at)"
        })?;
        each(&mut statement, range, &mut |cells| {
            if !self.is_trashed(Kind::Version, cells.id(1), cells.get(2)) {
                versions.push((cells.id(1), cells.id(0)));
            }
            true
        })?;
        in_order(&mut versions);
        let mut statement = connection.prepare_cached(if self.knows_trash() {
            "SELECT 1 FROM media_parts WHERE media_item_id BETWEEN ?1 AND ?2 AND hand(media_item_id, id, file)"
        } else {
            "SELECT 1 FROM media_parts WHERE media_item_id BETWEEN ?1 AND ?2 AND hand(media_item_id, id, file, deleted_at)"
        })?;
        let mut place_of_item = Place::default();
        for some in versions.chunk_by_mut(|(one, _), (next, _)| next - one <= CLOSE) {
            let Some(range) = range_of(some) else { continue };
            files.clear();
            let mut texts = std::mem::take(&mut self.texts);
            each(&mut statement, range, &mut |cells| {
                if !self.is_trashed(Kind::Part, cells.id(1), cells.get(3))
                    && let Some(file) = text(&mut texts, cells.get(2))
                {
                    files.push((cells.id(0), cells.id(1), file));
                }
                true
            })?;
            self.texts = texts;
            in_order(&mut files);
            let mut place = Place::default();
            for (version, _, file) in files.drain(..) {
                if let Some(item) = place.of(some, version).map(|item| *item)
                    && let Some(item) = place_of_item.of(run, item)
                {
                    // Most have one.
                    item.parts.reserve_exact(1);
                    push_new(&mut item.parts, Some(file));
                }
            }
        }
        (self.versions, self.files) = (versions, files);
        Ok(())
    }
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

/// The text of a cell, in the memory of one of these.
pub fn text(texts: &mut Vec<String>, cell: ValueRef<'_>) -> Option<String> {
    let mut text = texts.pop().unwrap_or_default();
    if text_into(&mut text, cell) {
        return Some(text);
    }
    texts.push(text);
    None
}

/// Rows come as an index has them, which is in order where there is one.
fn in_order<T: Ord>(rows: &mut [T]) {
    if !rows.is_sorted() {
        rows.sort_unstable();
    }
}

/// The first and the last number of a run.
fn range_of<T>(run: &[(i64, T)]) -> Option<[i64; 2]> {
    Some([run.first()?.0, run.last()?.0])
}

/// A place in a run: rows mostly come in the order of their numbers.
#[derive(Default)]
struct Place(usize);

impl Place {
    /// What has this number.
    fn of<'i, T>(&mut self, run: &'i mut [(i64, T)], id: i64) -> Option<&'i mut T> {
        if run.get(self.0).is_none_or(|(one, _)| *one > id) {
            self.0 = run.partition_point(|(one, _)| *one < id);
        }
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
