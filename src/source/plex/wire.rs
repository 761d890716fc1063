//! Parses Plex's replies: one `MediaContainer` with a few numbers and a list.
//!
//! The container's keys come in any order, so the numbers may follow the rows. Rows are passed on one by one while they
//! are parsed.

use serde::de::{DeserializeSeed, Error as _, MapAccess};

use crate::model::{Item, ItemType, LONGEST_KEY, Library};

use super::lenient::{Fields, Object, TextFields, fill, fill_each, scalar, skip, text};
use super::sanitize::sanitize;
use super::sections::Directories;

/// Plex's keys are numbers.
pub(super) fn is_rating_key(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_digit())
}

/// The fields of a reply besides its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyHead {
    /// A `MediaContainer` was present: the reply is from a Plex server or an imitation.
    pub is_plex: bool,
    /// `_children` or `_elementType` was present: the unsupported JSON of servers of 2015 and before. The rest of the
    /// reply is not parsed.
    pub is_ancient: bool,
    /// `totalSize`.
    pub total: Option<u64>,
    /// `offset`.
    pub offset: Option<u64>,
    /// `machineIdentifier`.
    pub machine_identifier: Option<String>,
    /// `version`.
    pub version: Option<String>,
    /// `librarySectionID` of all rows.
    pub section: Option<String>,
}

/// The destination of a reply's rows.
pub(super) enum Lists<'a> {
    /// Rows are ignored.
    None,
    /// The items of `Metadata`.
    Rows(ReplyRows<'a>),
    /// The libraries of `Directory`.
    Libraries(Vec<Library>),
}

impl Lists<'_> {
    /// Resets the state before another reply is read.
    pub fn reset(&mut self) {
        match self {
            Self::None => {}
            Self::Rows(rows) => {
                rows.count = 0;
                rows.kept = 0;
                rows.updated = UpdateOrder::default();
            }
            Self::Libraries(libraries) => libraries.clear(),
        }
    }
}

/// Counts rows and passes the usable ones on.
pub(super) struct ReplyRows<'a> {
    /// Number of rows, including unusable ones.
    pub count: u64,
    /// Number of rows passed on.
    pub taken: u64,
    /// Maximum number of rows.
    most: u64,
    /// Approximate memory of the rows passed on, in bytes.
    kept: usize,
    /// The reply has more than `most` rows, or takes more than [`KEPT`].
    is_over: bool,
    /// Keys were left out that no call takes.
    pub has_invalid_keys: bool,
    /// Whether the rows are newest first.
    pub updated: UpdateOrder,
    /// Default type of items.
    kind: ItemType,
    sink: RowSink<'a>,
}

/// Receives an item, and the section id of its library if the row has it.
pub(super) type RowSink<'a> = &'a mut dyn FnMut(Item, Option<String>);

impl<'a> ReplyRows<'a> {
    /// Passes rows to `sink`, with `kind` as default type. The reply ends after `most` rows, whatever the server sends.
    pub fn new(kind: ItemType, most: u64, sink: RowSink<'a>) -> Self {
        Self {
            count: 0,
            taken: 0,
            most,
            kept: 0,
            is_over: false,
            has_invalid_keys: false,
            updated: UpdateOrder::default(),
            kind,
            sink,
        }
    }

    /// Returns the maximum number of rows if the reply exceeded it or the memory limit.
    pub fn is_over(&self) -> Option<u64> {
        self.is_over.then_some(self.most)
    }
}

/// Checks whether times are newest first.
#[derive(Default)]
pub(super) struct UpdateOrder {
    last: Option<i64>,
    pub is_disordered: bool,
}

impl UpdateOrder {
    /// Adds the time of the next row.
    fn add(&mut self, time: Option<i64>) {
        if let Some(time) = time {
            self.is_disordered |= self.last.is_some_and(|last| last < time);
            self.last = Some(time);
        }
    }
}

/// Approximate memory limit for the rows of a reply, in bytes: twenty times a page of 1,000 movies.
const KEPT: usize = 32 << 20;

/// Estimates the memory of an item in bytes, with an overhead per text.
fn estimated_bytes(item: &Item) -> usize {
    let lists = item.guids.iter().chain(&item.parts);
    let lists: usize = lists.map(|text| text.len() + 48).sum();
    let own: usize = item.texts().into_iter().map(|text| text.len() + 16).sum();
    size_of::<Item>() + lists + own
}

/// Called after each row; `false` stops the parsing.
pub(super) type GoOn<'a> = &'a dyn Fn() -> bool;

/// Parses a reply, and replaces what JSON forbids.
///
/// # Errors
/// Those of the JSON, or if `go_on` stopped it. The rows before were passed on.
pub(super) fn read(body: &mut Vec<u8>, lists: &mut Lists<'_>, go_on: GoOn<'_>) -> Result<ReplyHead, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(sanitize(body));
    let mut reply = Reply {
        head: ReplyHead::default(),
        lists,
        go_on,
    };
    let fields = Fields {
        object: &mut reply,
        is_list: false,
    };
    let parsed = fields.deserialize(&mut deserializer);
    let head = reply.head;
    if !head.is_ancient {
        parsed?;
        deserializer.end()?;
    }
    Ok(head)
}

/// The outermost object, and the container in it.
struct Reply<'r, 'a> {
    head: ReplyHead,
    lists: &'r mut Lists<'a>,
    go_on: GoOn<'r>,
}

impl Object for Reply<'_, '_> {
    fn fill<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match (name, &mut *self.lists) {
            ("_children" | "_elementType", _) => {
                self.head.is_ancient = true;
                return Err(A::Error::custom("`_children`"));
            }
            ("MediaContainer", _) if !self.head.is_plex => {
                self.head.is_plex = true; // for the fields in it
                self.head.is_plex = fill(map, self)?;
            }
            _ if !self.head.is_plex => skip(map)?,
            ("totalSize", _) => self.head.total = scalar(map)?.number(),
            ("offset", _) => self.head.offset = scalar(map)?.number(),
            ("machineIdentifier", _) => self.head.machine_identifier = scalar(map)?.text(),
            ("version", _) => self.head.version = scalar(map)?.text(),
            ("librarySectionID", _) => self.head.section = scalar(map)?.text(),
            ("Metadata", Lists::Rows(rows)) => {
                let item = empty_item(rows.kind);
                let (section, go_on) = (None, self.go_on);
                fill_each(
                    map,
                    &mut Row {
                        item,
                        section,
                        rows,
                        go_on,
                    },
                )?;
            }
            ("Directory", Lists::Libraries(libraries)) => {
                let mut directories = Directories::default();
                std::mem::swap(&mut directories.libraries, libraries);
                let filled = fill_each(map, &mut directories);
                *libraries = directories.libraries;
                filled?;
            }
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// The row that is being parsed.
struct Row<'r, 'a> {
    item: Item,
    section: Option<String>,
    rows: &'r mut ReplyRows<'a>,
    go_on: GoOn<'r>,
}

/// Creates an empty item.
fn empty_item(kind: ItemType) -> Item {
    Item {
        kind,
        season: -1,
        episode: -1,
        ..Item::default()
    }
}

impl Object for Row<'_, '_> {
    fn fill<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let item = &mut self.item;
        match name {
            "ratingKey" => item.rating_key = text(map)?,
            "type" => item.kind = scalar(map)?.item_type().unwrap_or(self.rows.kind),
            "title" => item.title = text(map)?,
            "year" => item.year = scalar(map)?.number().unwrap_or_default(),
            "guid" => item.guid = text(map)?,
            "Guid" => {
                let list = &mut item.guids;
                fill_each(map, &mut TextFields { name: "id", list })?;
            }
            "grandparentTitle" => item.show_title = text(map)?,
            "grandparentRatingKey" => item.show_rating_key = text(map)?,
            "grandparentGuid" => item.show_guid = text(map)?,
            "parentTitle" => item.season_title = text(map)?,
            "parentRatingKey" => item.season_rating_key = text(map)?,
            "parentGuid" => item.season_guid = text(map)?,
            "parentIndex" => item.season = scalar(map)?.number().unwrap_or(-1),
            "index" => item.episode = scalar(map)?.number().unwrap_or(-1),
            "updatedAt" => self.rows.updated.add(scalar(map)?.number()),
            "librarySectionID" => self.section = scalar(map)?.text(),
            "Media" => fill_each(map, &mut Versions(&mut item.parts))?,
            _ => skip(map)?,
        }
        Ok(())
    }

    fn after_element(&mut self) -> bool {
        let rows = &mut *self.rows;
        rows.count += 1;
        let mut item = std::mem::replace(&mut self.item, empty_item(rows.kind));
        for key in [
            &mut item.rating_key,
            &mut item.show_rating_key,
            &mut item.season_rating_key,
        ] {
            if key.len() > LONGEST_KEY || !is_rating_key(key) {
                rows.has_invalid_keys = true;
                key.clear();
            }
        }
        // Hidden seasons have no key. Albums of photos are not seasons.
        if item.season_rating_key.is_empty() || !matches!(item.kind, ItemType::Episode | ItemType::Track) {
            item.season_rating_key.clear();
            item.season_title.clear();
            item.season_guid.clear();
        }
        // A photo's index in its album is not an episode number.
        if matches!(item.kind, ItemType::Photo | ItemType::Clip) {
            (item.season, item.episode) = (-1, -1);
        }
        let section = self.section.take();
        rows.is_over = rows.count > rows.most || rows.kept > KEPT;
        if rows.is_over {
            return false;
        }
        if !item.rating_key.is_empty() {
            rows.taken += 1;
            rows.kept += estimated_bytes(&item);
            (rows.sink)(item, section);
        }
        (self.go_on)()
    }
}

/// Collects the files of an item's versions, including optimized ones, which belong to the item too.
struct Versions<'a>(&'a mut Vec<String>);

impl Object for Versions<'_> {
    fn fill<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if name != "Part" {
            return skip(map);
        }
        let (name, list) = ("file", &mut *self.0);
        fill_each(map, &mut TextFields { name, list })
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
