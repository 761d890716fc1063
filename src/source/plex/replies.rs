//! Parses Plex's replies. A reply is one `MediaContainer` with a few numbers and a list of rows.
//!
//! The fields of the container can be in any order. The parser passes on each row as soon as it is complete.

use serde::de::{DeserializeSeed, Error as _, MapAccess};

use crate::model::{ByteString, Item, ItemType, LONGEST_KEY, Library};

use super::lenient::{
    LIST_LIMIT, Object, ObjectFiller, TextFields, collect_from_each, fill, push_unique, scalar, skip, text,
};
use super::sanitize::sanitize;
use super::sections::Directories;

/// Returns whether a string can be a rating key: Plex's rating keys are numbers. The caller checks the length.
pub(super) fn is_rating_key(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_digit())
}

/// The metadata of a reply: its fields except the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyMetadata {
    /// Whether the reply contains a `MediaContainer`, as every reply from a Plex server does.
    pub is_plex: bool,
    /// Whether the reply contains `_children` or `_elementType`, which only the unsupported JSON format of 2015
    /// contains. The parser then skips the rest of the reply.
    pub has_legacy_format: bool,
    /// Whether the reply lists libraries, or says that there are none (`size`).
    pub lists_libraries: bool,
    /// `totalSize`: number of rows in the whole list.
    pub total: Option<u64>,
    /// `offset`: index of the first row in the whole list.
    pub offset: Option<u64>,
    /// `machineIdentifier`, in the reply to `/identity`.
    pub machine_identifier: Option<String>,
    /// The server's `version`, in the reply to `/identity`.
    pub version: Option<String>,
    /// `librarySectionID`; servers send it if all rows have the same section id.
    pub section: Option<String>,
}

/// What the parser collects from a reply, in addition to its [`ReplyMetadata`].
pub(super) enum ReplyContent<'a> {
    /// Nothing: the parser skips all rows.
    None,
    /// The items in `Metadata`.
    Rows(RowReader<'a>),
    /// The libraries in `Directory`.
    Libraries(Vec<Library>),
}

impl ReplyContent<'_> {
    /// Discards the last reply's data, before another reply is read. Keeps `emitted_items`, which counts all attempts.
    pub fn reset(&mut self) {
        match self {
            Self::None => {}
            Self::Rows(rows) => {
                rows.count = 0;
                rows.memory_bytes = 0;
                rows.update_order = UpdateOrder::default();
            }
            Self::Libraries(libraries) => libraries.clear(),
        }
    }
}

/// Reads rows, counts them, and passes items with a rating key to a sink.
pub(super) struct RowReader<'a> {
    /// Number of rows, including unusable rows.
    pub count: u64,
    /// Number of items passed to the sink in all attempts.
    pub emitted_items: u64,
    max_rows: u64,
    /// Approximate memory use of the items passed to the sink, in bytes.
    memory_bytes: usize,
    /// Whether the reply has more than `max_rows` rows, or its items take more than [`MAX_ROWS_BYTES`].
    exceeds_limit: bool,
    /// Whether keys were ignored because they cannot be rating keys.
    pub has_invalid_keys: bool,
    pub update_order: UpdateOrder,
    /// Type of items whose row has no type.
    kind: ItemType,
    sink: RowSink<'a>,
}

/// Receives an item and, if the row contains it, the section id of the item's library.
pub(super) type RowSink<'a> = &'a mut dyn FnMut(Item, Option<String>);

impl<'a> RowReader<'a> {
    /// Creates a reader that passes items to `sink` and fails after `max_rows` rows. `kind` is the default item type.
    pub fn new(kind: ItemType, max_rows: u64, sink: RowSink<'a>) -> Self {
        Self {
            count: 0,
            emitted_items: 0,
            max_rows,
            memory_bytes: 0,
            exceeds_limit: false,
            has_invalid_keys: false,
            update_order: UpdateOrder::default(),
            kind,
            sink,
        }
    }

    /// Returns the maximum number of rows, for the error message, if the reply has more rows, or if its items take more
    /// memory than [`MAX_ROWS_BYTES`]; otherwise `None`.
    pub fn max_rows_if_exceeded(&self) -> Option<u64> {
        self.exceeds_limit.then_some(self.max_rows)
    }
}

/// Checks whether rows are sorted newest first.
#[derive(Default)]
pub(super) struct UpdateOrder {
    /// The first and the last time; `None` if no row has a time.
    pub times: Option<(i64, i64)>,
    pub is_disordered: bool,
}

impl UpdateOrder {
    /// Adds the next row's time, which must not be later than the previous time; `None` if the row has no time.
    fn add(&mut self, time: Option<i64>) {
        if let Some(time) = time {
            let (first, last) = self.times.unwrap_or((time, time));
            self.is_disordered |= last < time;
            self.times = Some((first, time));
        }
    }
}

/// Approximate memory limit for the items in a reply, in bytes: twenty times a page of 1,000 movies.
const MAX_ROWS_BYTES: usize = 32 << 20;
/// Approximate overhead of a string in a list, in bytes.
const LIST_TEXT_OVERHEAD: usize = 48;
/// Approximate overhead of a string in a field, in bytes.
const TEXT_OVERHEAD: usize = 16;

/// Estimates an item's memory in bytes, for [`MAX_ROWS_BYTES`].
fn estimate_bytes(item: &Item) -> usize {
    let lengths = item
        .guids
        .iter()
        .map(String::len)
        .chain(item.parts.iter().map(|part| part.len()));
    let list_bytes: usize = lengths.map(|length| length + LIST_TEXT_OVERHEAD).sum();
    let text_bytes: usize = item
        .string_fields()
        .into_iter()
        .map(|text| text.len() + TEXT_OVERHEAD)
        .sum();
    size_of::<Item>() + list_bytes + text_bytes
}

/// A function that the parser calls after each row. If the function returns `false`, the parser stops.
pub(super) type MayContinue<'a> = &'a dyn Fn() -> bool;

/// Parses a reply, after replacing the bytes and escapes that JSON forbids. Passes complete rows to `content`, even if
/// an error follows.
///
/// # Errors
/// Those of the JSON parser, and an error if `may_continue` returns `false` after a row.
pub(super) fn parse_reply(
    body: &mut Vec<u8>,
    content: &mut ReplyContent<'_>,
    may_continue: MayContinue<'_>,
) -> Result<ReplyMetadata, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(sanitize(body));
    let mut reply = Reply {
        head: ReplyMetadata::default(),
        content,
        may_continue,
    };
    let filler = ObjectFiller {
        object: &mut reply,
        is_list: false,
    };
    let result = filler.deserialize(&mut deserializer);
    let metadata = reply.head;
    // For the JSON format of 2015 (`has_legacy_format`), the parser has stopped with an error. The caller creates a
    // better error.
    if !metadata.has_legacy_format {
        result?;
        deserializer.end()?;
    }
    Ok(metadata)
}

/// Parses the outermost object, and the `MediaContainer` in it.
struct Reply<'r, 'a> {
    head: ReplyMetadata,
    content: &'r mut ReplyContent<'a>,
    may_continue: MayContinue<'r>,
}

impl Object for Reply<'_, '_> {
    /// Reads one field of the reply, or of its container once the parser is in the container (`is_plex`).
    fn fill<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match (name, &mut *self.content) {
            ("_children" | "_elementType", _) => {
                self.head.has_legacy_format = true;
                return Err(A::Error::custom("`_children`")); // stops the parser
            }
            ("MediaContainer", _) if !self.head.is_plex => {
                self.head.is_plex = true; // so that this function accepts the fields of the container
                self.head.is_plex = fill(map, self)?; // false if the value is not an object
            }
            _ if !self.head.is_plex => skip(map)?,
            ("totalSize", _) => self.head.total = scalar(map)?.number(),
            ("offset", _) => self.head.offset = scalar(map)?.number(),
            ("machineIdentifier", _) => self.head.machine_identifier = scalar(map)?.text(),
            ("version", _) => self.head.version = scalar(map)?.text(),
            ("librarySectionID", _) => self.head.section = scalar(map)?.text(),
            ("size", ReplyContent::Libraries(_)) => {
                self.head.lists_libraries |= scalar(map)?.number() == Some(0);
            }
            ("Metadata", ReplyContent::Rows(reader)) => {
                let mut row = Row {
                    item: empty_item(reader.kind),
                    section: None,
                    trashed_files: Vec::new(),
                    reader,
                    may_continue: self.may_continue,
                };
                collect_from_each(map, &mut row)?;
            }
            ("Directory", ReplyContent::Libraries(libraries)) => {
                self.head.lists_libraries = true;
                // Lends the list to `Directories`, and takes it back even after an error.
                let mut directories = Directories::default();
                std::mem::swap(&mut directories.libraries, libraries);
                let result = collect_from_each(map, &mut directories);
                *libraries = directories.libraries;
                result?;
            }
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// Parses rows one by one.
struct Row<'r, 'a> {
    item: Item,
    section: Option<String>,
    /// The item's files that are in the trash.
    trashed_files: Vec<ByteString>,
    reader: &'r mut RowReader<'a>,
    may_continue: MayContinue<'r>,
}

/// Creates an item without strings and numbers. -1 means that there is no season or episode.
fn empty_item(kind: ItemType) -> Item {
    Item {
        kind,
        season: -1,
        episode: -1,
        ..Item::default()
    }
}

impl Object for Row<'_, '_> {
    /// Reads one field of a row into the item.
    fn fill<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let item = &mut self.item;
        match name {
            "ratingKey" => item.rating_key = text(map)?,
            "type" => item.kind = scalar(map)?.item_type().unwrap_or(self.reader.kind),
            "title" => item.title = text(map)?,
            "year" => item.year = scalar(map)?.number().unwrap_or_default(),
            "guid" => item.guid = text(map)?,
            "Guid" => {
                let list = &mut item.guids;
                collect_from_each(map, &mut TextFields { name: "id", list })?;
            }
            "grandparentTitle" => item.show_title = text(map)?,
            "grandparentRatingKey" => item.show_rating_key = text(map)?,
            "grandparentGuid" => item.show_guid = text(map)?,
            "parentTitle" => item.season_title = text(map)?,
            "parentRatingKey" => item.season_rating_key = text(map)?,
            "parentGuid" => item.season_guid = text(map)?,
            "parentIndex" => item.season = scalar(map)?.number().unwrap_or(-1),
            "index" => item.episode = scalar(map)?.number().unwrap_or(-1),
            "updatedAt" => self.reader.update_order.add(scalar(map)?.number()),
            "librarySectionID" => self.section = scalar(map)?.text(),
            "deletedAt" => item.trashed = scalar(map)?.is_set(),
            "Media" => {
                let mut versions = MediaVersions {
                    files: [&mut item.parts, &mut self.trashed_files],
                    version: VersionFiles::default(),
                };
                collect_from_each(map, &mut versions)?;
            }
            _ => skip(map)?,
        }
        Ok(())
    }

    /// Checks a complete row's item, and passes the item to the sink. Returns `false`, which stops the parser, beyond a
    /// limit or if the call must end.
    fn after_element(&mut self) -> bool {
        let reader = &mut *self.reader;
        reader.count += 1;
        let mut item = std::mem::replace(&mut self.item, empty_item(reader.kind));
        for key in [
            &mut item.rating_key,
            &mut item.show_rating_key,
            &mut item.season_rating_key,
        ] {
            if key.len() > LONGEST_KEY || !is_rating_key(key) {
                reader.has_invalid_keys = true;
                key.clear();
            }
        }
        // Hidden seasons have no key, and the parents of photos and clips are not seasons.
        if item.season_rating_key.is_empty() || !matches!(item.kind, ItemType::Episode | ItemType::Track) {
            item.season_rating_key.clear();
            item.season_title.clear();
            item.season_guid.clear();
        }
        // A photo's index in its album is not an episode number.
        if matches!(item.kind, ItemType::Photo | ItemType::Clip) {
            (item.season, item.episode) = (-1, -1);
        }
        let trashed_files = std::mem::take(&mut self.trashed_files);
        if item.trashed {
            for file in trashed_files {
                push_unique(&mut item.parts, Some(file));
            }
        }
        let section = self.section.take();
        reader.exceeds_limit = reader.count > reader.max_rows || reader.memory_bytes > MAX_ROWS_BYTES;
        if reader.exceeds_limit {
            return false;
        }
        if !item.rating_key.is_empty() {
            reader.emitted_items += 1;
            reader.memory_bytes += estimate_bytes(&item);
            (reader.sink)(item, section);
        }
        (self.may_continue)()
    }
}

/// Collects an item's files from all versions, including optimized versions.
struct MediaVersions<'a> {
    /// The files that exist, and the files in the trash.
    files: [&'a mut Vec<ByteString>; 2],
    /// The version that is being parsed.
    version: VersionFiles,
}

impl Object for MediaVersions<'_> {
    /// Reads the files of one version.
    fn fill<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "Part" => collect_from_each(map, &mut self.version)?,
            "deletedAt" => self.version.is_trashed = scalar(map)?.is_set(),
            _ => skip(map)?,
        }
        Ok(())
    }

    /// Adds a version's files to the item's files.
    fn after_element(&mut self) -> bool {
        let version = std::mem::take(&mut self.version);
        for (file, is_trashed) in version.files {
            let list = &mut *self.files[usize::from(is_trashed || version.is_trashed)];
            push_unique(list, Some(file));
        }
        true
    }
}

/// Collects the files of one version.
#[derive(Default)]
struct VersionFiles {
    /// The files, and whether each is in the trash.
    files: Vec<(ByteString, bool)>,
    is_trashed: bool,
    /// The file that is being parsed, and whether it is in the trash.
    file: (Option<ByteString>, bool),
}

impl Object for VersionFiles {
    /// Reads one field of a file.
    fn fill<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "file" => self.file.0 = scalar(map)?.bytes(),
            "deletedAt" => self.file.1 = scalar(map)?.is_set(),
            _ => skip(map)?,
        }
        Ok(())
    }

    /// Adds a complete file to the list.
    fn after_element(&mut self) -> bool {
        let (file, is_trashed) = std::mem::take(&mut self.file);
        if self.files.len() < LIST_LIMIT {
            self.files.extend(file.map(|file| (file, is_trashed)));
        }
        true
    }
}

#[cfg(test)]
#[path = "replies_tests.rs"]
mod tests;
