//! What Plex's replies look like: one `MediaContainer` with a few numbers and a list.
//!
//! The keys of the container come in any order, so the numbers may follow the rows. Rows are handed over one by one
//! while they are parsed; nothing here grows with their number.

use std::io::{BufReader, Read};

use serde::de::{DeserializeSeed, Error as _, MapAccess};

use crate::model::{Item, ItemType, Library};

use super::lenient::{Elements, Fields, Object, push_new, refuse_long, scalar, text};
use super::sanitize::{Sanitized, sanitize};
use super::sections::Directories;

/// What a reply said besides its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// There was a `MediaContainer`: a Plex server, or something that plays one, answered.
    pub is_plex: bool,
    /// There was a `_children` or `_elementType`: the JSON of servers of 2015 and before, which nothing here reads. The rest of
    /// such a reply is not looked at.
    pub is_ancient: bool,
    /// `totalSize`.
    pub total: Option<u64>,
    /// `offset`.
    pub offset: Option<u64>,
    /// `machineIdentifier`.
    pub machine_identifier: Option<String>,
    /// `version`.
    pub version: Option<String>,
    /// `librarySectionID`: of all rows.
    pub section: Option<String>,
}

/// Where the rows of a reply go.
pub(super) enum Lists<'a> {
    /// Nowhere: the reply has none that matter.
    None,
    /// The items of `Metadata`.
    Rows(Rows<'a>),
    /// The libraries of `Directory`.
    Libraries(Vec<Library>),
}

impl Lists<'_> {
    /// Another reply is going to be read.
    pub fn begin(&mut self) {
        self.start_over();
        if let Self::Rows(rows) = self {
            rows.known = 0;
            rows.kept = 0;
            rows.updated = Newest::default();
        }
    }

    /// The same reply is going to be read once more from its beginning.
    fn start_over(&mut self) {
        match self {
            Self::None => {}
            Self::Rows(rows) => {
                rows.known = rows.count;
                rows.count = 0;
                rows.updated = Newest::default();
            }
            Self::Libraries(libraries) => libraries.clear(),
        }
    }
}

/// Counts rows and hands the usable ones over.
pub(super) struct Rows<'a> {
    /// Rows seen, those without a rating key and those that are no objects included.
    pub count: u64,
    /// Rows handed over.
    pub taken: u64,
    /// So many rows were handed over by an earlier look at the same reply.
    known: u64,
    /// The most rows that a reply may have.
    most: u64,
    /// What the rows that were handed over take in memory, about.
    kept: usize,
    /// The reply has more than that, or takes more than [`KEPT`].
    is_over: bool,
    /// Keys were left out, for they were longer than any.
    pub has_long_keys: bool,
    /// In which order the rows were updated, as far as they say.
    pub updated: Newest,
    /// What an item is when it does not say.
    kind: ItemType,
    sink: &'a mut dyn FnMut(Item),
    /// Items that are needed no more: rows are read into their memory.
    used: Option<&'a mut Vec<Item>>,
    /// The same of texts.
    texts: Vec<String>,
    /// Which library each row that was handed over is in, as far as it says.
    sections: Option<&'a mut Vec<Option<String>>>,
}

impl<'a> Rows<'a> {
    /// Rows of this kind unless they say otherwise, handed to `sink`.
    pub fn new(kind: ItemType, sink: &'a mut dyn FnMut(Item)) -> Self {
        Self {
            count: 0,
            taken: 0,
            known: 0,
            most: u64::MAX,
            kept: 0,
            is_over: false,
            has_long_keys: false,
            updated: Newest::default(),
            kind,
            sink,
            used: None,
            texts: Vec::new(),
            sections: None,
        }
    }

    /// The same, with the section id that each row says.
    pub fn with_sections(self, sections: &'a mut Vec<Option<String>>) -> Self {
        Self {
            sections: Some(sections),
            ..self
        }
    }

    /// The same, read into the memory of these items.
    pub fn reusing(self, used: &'a mut Vec<Item>) -> Self {
        Self {
            used: Some(used),
            ..self
        }
    }

    /// An item of which nothing is known yet.
    fn blank(&mut self) -> Item {
        let used = self.used.as_mut().and_then(|used| used.pop());
        let mut item = used.unwrap_or_default().emptied(&mut self.texts);
        item.kind = self.kind;
        item
    }

    /// The same, of a reply that ends at so many rows whatever the server sends.
    pub fn at_most(self, most: u64) -> Self {
        Self { most, ..self }
    }

    /// The most rows, where a reply was ended because it had more, or took more memory than any page.
    pub fn is_over(&self) -> Option<u64> {
        self.is_over.then_some(self.most)
    }
}

/// Whether times come newest first.
#[derive(Default)]
pub(super) struct Newest {
    last: Option<i64>,
    pub is_disordered: bool,
}

impl Newest {
    /// The next row's.
    fn next(&mut self, time: Option<i64>) {
        if let Some(time) = time {
            self.is_disordered |= self.last.is_some_and(|last| last < time);
            self.last = Some(time);
        }
    }
}

/// The most that the rows of a reply may take in memory, about: twenty times a page of 1,000 movies.
const KEPT: usize = 32 << 20;

/// What an item takes in memory, about: a text costs some bytes besides its own.
fn weight(item: &Item) -> usize {
    let lists = item.guids.iter().chain(&item.parts);
    let lists: usize = lists.map(|text| text.len() + 48).sum();
    let own: usize = item.texts().into_iter().map(|text| text.len() + 16).sum();
    size_of::<Item>() + lists + own
}

/// Asked after each row; `false` stops the parsing.
pub(super) type GoOn<'a> = &'a dyn Fn() -> bool;

/// Parses a reply held in memory; where that fails, sanitizes it in place and goes on behind the rows handed over.
///
/// # Errors
/// What is wrong with the JSON, or that `go_on` stopped it. Rows before that place were handed over.
pub(super) fn read_slice(
    body: &mut Vec<u8>,
    lists: &mut Lists<'_>,
    go_on: GoOn<'_>,
) -> Result<Head, serde_json::Error> {
    // Checked once for the whole body, which is several times faster than once for each string. Sanitizing is for what
    // needs it: looking for all that it sanitizes would cost a sixth of the time.
    if let Ok(text) = std::str::from_utf8(body) {
        match read(serde_json::Deserializer::from_str(text), lists, go_on) {
            Err(error) if error.is_syntax() => {}
            result => return result,
        }
    }
    sanitize(body);
    lists.start_over();
    read(serde_json::Deserializer::from_slice(body), lists, go_on)
}

/// Parses a reply while it arrives, for those that are too large to be held.
///
/// # Errors
/// As [`read_slice`], and what the reader failed with.
pub(super) fn read_stream(body: impl Read, lists: &mut Lists<'_>, go_on: GoOn<'_>) -> Result<Head, serde_json::Error> {
    // The parser takes single bytes, which only a buffer of std's gives quickly.
    let body = BufReader::with_capacity(64 << 10, Sanitized::new(body));
    read(serde_json::Deserializer::from_reader(body), lists, go_on)
}

fn read<'de, R: serde_json::de::Read<'de>>(
    mut deserializer: serde_json::Deserializer<R>,
    lists: &mut Lists<'_>,
    go_on: GoOn<'_>,
) -> Result<Head, serde_json::Error> {
    let mut reply = Reply {
        head: Head::default(),
        lists,
        go_on,
    };
    let parsed = Fields(&mut reply).deserialize(&mut deserializer);
    let head = reply.head;
    if !head.is_ancient {
        parsed?;
        deserializer.end()?;
    }
    Ok(head)
}

/// The outermost object.
struct Reply<'r, 'a> {
    head: Head,
    lists: &'r mut Lists<'a>,
    go_on: GoOn<'r>,
}

enum ReplyField {
    MediaContainer,
    Children,
}

impl Object for Reply<'_, '_> {
    type Field = ReplyField;

    fn field_of(name: &str) -> Option<ReplyField> {
        match name {
            "MediaContainer" => Some(ReplyField::MediaContainer),
            "_children" | "_elementType" => Some(ReplyField::Children),
            _ => None,
        }
    }

    fn fill<'de, A: MapAccess<'de>>(&mut self, field: ReplyField, map: &mut A) -> Result<(), A::Error> {
        match field {
            ReplyField::MediaContainer => {
                self.head.is_plex = true;
                map.next_value_seed(Fields(&mut Container {
                    head: &mut self.head,
                    lists: self.lists,
                    go_on: self.go_on,
                }))
            }
            ReplyField::Children => {
                self.head.is_ancient = true;
                Err(A::Error::custom("`_children`"))
            }
        }
    }
}

struct Container<'r, 'a> {
    head: &'r mut Head,
    lists: &'r mut Lists<'a>,
    go_on: GoOn<'r>,
}

enum ContainerField {
    TotalSize,
    Offset,
    MachineIdentifier,
    Version,
    Section,
    Metadata,
    Directory,
    Children,
}

impl Object for Container<'_, '_> {
    type Field = ContainerField;

    fn field_of(name: &str) -> Option<ContainerField> {
        Some(match name {
            "totalSize" => ContainerField::TotalSize,
            "offset" => ContainerField::Offset,
            "machineIdentifier" => ContainerField::MachineIdentifier,
            "version" => ContainerField::Version,
            "librarySectionID" => ContainerField::Section,
            "Metadata" => ContainerField::Metadata,
            "Directory" => ContainerField::Directory,
            "_children" => ContainerField::Children,
            _ => return None,
        })
    }

    fn fill<'de, A: MapAccess<'de>>(&mut self, field: ContainerField, map: &mut A) -> Result<(), A::Error> {
        match (field, &mut *self.lists) {
            (ContainerField::TotalSize, _) => self.head.total = scalar(map)?,
            (ContainerField::Offset, _) => self.head.offset = scalar(map)?,
            (ContainerField::MachineIdentifier, _) => self.head.machine_identifier = scalar(map)?,
            (ContainerField::Version, _) => self.head.version = scalar(map)?,
            (ContainerField::Section, _) => self.head.section = scalar(map)?,
            (ContainerField::Metadata, Lists::Rows(rows)) => map.next_value_seed(Elements(&mut Row {
                item: rows.blank(),
                section: None,
                rows,
                go_on: self.go_on,
            }))?,
            (ContainerField::Directory, Lists::Libraries(libraries)) => {
                map.next_value_seed(Elements(&mut Directories::new(libraries)))?;
            }
            (ContainerField::Children, _) => {
                self.head.is_ancient = true;
                return Err(A::Error::custom("`_children`"));
            }
            (ContainerField::Metadata | ContainerField::Directory, _) => {
                map.next_value::<serde::de::IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// The row that is being parsed.
struct Row<'r, 'a> {
    item: Item,
    section: Option<String>,
    rows: &'r mut Rows<'a>,
    go_on: GoOn<'r>,
}

enum RowField {
    RatingKey,
    Type,
    Title,
    Year,
    Guid,
    Guids,
    ShowTitle,
    ShowRatingKey,
    ShowGuid,
    SeasonTitle,
    SeasonRatingKey,
    SeasonGuid,
    Season,
    Episode,
    UpdatedAt,
    Section,
    Media,
}

impl Object for Row<'_, '_> {
    type Field = RowField;

    fn field_of(name: &str) -> Option<RowField> {
        Some(match name {
            "ratingKey" => RowField::RatingKey,
            "type" => RowField::Type,
            "title" => RowField::Title,
            "year" => RowField::Year,
            "guid" => RowField::Guid,
            "Guid" => RowField::Guids,
            "grandparentTitle" => RowField::ShowTitle,
            "grandparentRatingKey" => RowField::ShowRatingKey,
            "grandparentGuid" => RowField::ShowGuid,
            "parentTitle" => RowField::SeasonTitle,
            "parentRatingKey" => RowField::SeasonRatingKey,
            "parentGuid" => RowField::SeasonGuid,
            "parentIndex" => RowField::Season,
            "index" => RowField::Episode,
            "updatedAt" => RowField::UpdatedAt,
            "librarySectionID" => RowField::Section,
            "Media" => RowField::Media,
            _ => return None,
        })
    }

    fn fill<'de, A: MapAccess<'de>>(&mut self, field: RowField, map: &mut A) -> Result<(), A::Error> {
        let item = &mut self.item;
        match field {
            RowField::RatingKey => text(map, &mut item.rating_key)?,
            RowField::Type => item.kind = scalar(map)?.unwrap_or(self.rows.kind),
            RowField::Title => text(map, &mut item.title)?,
            RowField::Year => item.year = scalar(map)?.unwrap_or_default(),
            RowField::Guid => text(map, &mut item.guid)?,
            RowField::Guids => map.next_value_seed(Elements(&mut Guids(List {
                list: &mut item.guids,
                texts: &mut self.rows.texts,
            })))?,
            RowField::ShowTitle => text(map, &mut item.show_title)?,
            RowField::ShowRatingKey => text(map, &mut item.show_rating_key)?,
            RowField::ShowGuid => text(map, &mut item.show_guid)?,
            RowField::SeasonTitle => text(map, &mut item.season_title)?,
            RowField::SeasonRatingKey => text(map, &mut item.season_rating_key)?,
            RowField::SeasonGuid => text(map, &mut item.season_guid)?,
            RowField::Season => item.season = scalar(map)?.unwrap_or(-1),
            RowField::Episode => item.episode = scalar(map)?.unwrap_or(-1),
            RowField::UpdatedAt => self.rows.updated.next(scalar(map)?),
            RowField::Section => self.section = scalar(map)?,
            RowField::Media => map.next_value_seed(Elements(&mut Media(List {
                list: &mut item.parts,
                texts: &mut self.rows.texts,
            })))?,
        }
        Ok(())
    }

    fn after_element(&mut self) -> bool {
        let rows = &mut *self.rows;
        rows.count += 1;
        let mut item = std::mem::replace(&mut self.item, rows.blank());
        for key in [
            &mut item.rating_key,
            &mut item.show_rating_key,
            &mut item.season_rating_key,
        ] {
            rows.has_long_keys |= refuse_long(key);
        }
        // Without a key there is nothing to name, as of hidden seasons; albums of photos are none of theirs.
        if item.season_rating_key.is_empty() || !matches!(item.kind, ItemType::Episode | ItemType::Track) {
            item.season_rating_key.clear();
            item.season_title.clear();
            item.season_guid.clear();
        }
        // Nor is a photo's place in its album the number of an episode.
        if matches!(item.kind, ItemType::Photo | ItemType::Clip) {
            (item.season, item.episode) = (-1, -1);
        }
        let section = self.section.take();
        rows.is_over = rows.count > rows.most || rows.kept > KEPT;
        if rows.is_over {
            return false;
        }
        if rows.count > rows.known && !item.rating_key.is_empty() {
            rows.taken += 1;
            rows.kept += weight(&item);
            (rows.sink)(item);
            if let Some(sections) = &mut rows.sections {
                sections.push(section);
            }
        }
        (self.go_on)()
    }
}

/// A list of texts that is being read.
struct List<'a> {
    list: &'a mut Vec<String>,
    /// Texts that are needed no more.
    texts: &'a mut Vec<String>,
}

impl List<'_> {
    /// Takes the next value of a map, if it is a new text.
    fn push<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        let mut new = self.texts.pop().unwrap_or_default();
        text(map, &mut new)?;
        push_new(self.list, Some(new));
        Ok(())
    }
}

/// The external ids of `Guid[]`.
struct Guids<'a>(List<'a>);

impl Object for Guids<'_> {
    type Field = ();

    fn field_of(name: &str) -> Option<()> {
        (name == "id").then_some(())
    }

    fn fill<'de, A: MapAccess<'de>>(&mut self, (): (), map: &mut A) -> Result<(), A::Error> {
        self.0.push(map)
    }
}

/// The versions of an item; optimized ones count too, since their files are the item's as well.
struct Media<'a>(List<'a>);

impl Object for Media<'_> {
    type Field = ();

    fn field_of(name: &str) -> Option<()> {
        (name == "Part").then_some(())
    }

    fn fill<'de, A: MapAccess<'de>>(&mut self, (): (), map: &mut A) -> Result<(), A::Error> {
        map.next_value_seed(Elements(&mut Parts(&mut self.0)))
    }
}

/// The files of a version.
struct Parts<'s, 'a>(&'s mut List<'a>);

impl Object for Parts<'_, '_> {
    type Field = ();

    fn field_of(name: &str) -> Option<()> {
        (name == "file").then_some(())
    }

    fn fill<'de, A: MapAccess<'de>>(&mut self, (): (), map: &mut A) -> Result<(), A::Error> {
        self.0.push(map)
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
