//! Parses Plex's replies. A reply is one `MediaContainer` with a few numbers and a list of rows.
//!
//! The fields of the container can be in any order. The parser passes on each row as soon as it is complete.
//! The parser is lenient, so that one odd field does not make a whole row unusable.
//!
//! The types of Plex's fields differ between versions and endpoints: keys are strings or numbers, flags are `1`, `"1"`
//! or `true`, and any field may be missing or `null`. So the parser treats a scalar that it cannot convert as absent,
//! and skips a list or object where a scalar is expected. The parser skips unknown fields without building values.
//!
//! Titles and file names come from disks and web sites, and may contain what JSON forbids: bytes that are not UTF-8,
//! raw control characters, or half a surrogate pair. Tools truncate titles, and Python writes a byte that is not UTF-8
//! as such a half. So strings are bytes here, and the parser restores the bytes that Python wrote.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;

use memchr::memchr2;

use super::super::contract::LocatedItem;
use crate::model::{
    ByteString, FileFacts, Item, ItemFacts, ItemType, KnownFacts, LONGEST_KEY, Library, LibraryKind, TokenReliability,
    uuid_of_section,
};

/// Returns whether a string can be a rating key: Plex's rating keys are numbers. The caller checks the length.
pub(super) fn is_rating_key(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_digit())
}

/// What the parser collects from a reply, in addition to the metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyKind {
    /// Nothing: the parser skips all rows.
    #[default]
    Metadata,
    /// The libraries in `Directory`.
    Libraries,
    /// The items in `Metadata`: the type of items whose row has no type, and the maximum number of rows.
    Items(ItemType, u64),
}

/// A parsed reply. After a failure, contains the complete rows before the failure.
#[derive(Debug, Default, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // independent facts
pub struct Reply {
    /// What the parser collects.
    pub kind: ReplyKind,
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
    /// The libraries.
    pub libraries: Vec<Library>,
    /// The items with a rating key. The section id is empty if the row has none.
    pub items: Vec<LocatedItem>,
    /// Number of rows, including unusable rows.
    pub rows: u64,
    /// Approximate memory use of `items`, in bytes.
    pub(super) memory_bytes: usize,
    /// Whether the reply has too many rows, or its items take more than `MAX_ROWS_BYTES`.
    pub exceeds_limit: bool,
    /// Whether keys were ignored because they cannot be rating keys.
    pub has_invalid_keys: bool,
    pub(super) update_order: UpdateOrder,
}

impl Reply {
    /// Creates a reply that has not been read yet.
    #[must_use]
    pub fn new(kind: ReplyKind) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }
}

/// Checks whether rows are sorted newest first.
#[derive(Debug, Default, PartialEq, Eq)]
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
    let facts = item.facts.0.as_deref();
    let facts_bytes = facts.map_or(0, |facts| {
        facts.files.len() * size_of::<FileFacts>() + facts.text_bytes()
    });
    size_of::<Item>() + list_bytes + text_bytes + facts_bytes
}

/// A function that the parser calls after each row. If the function returns `false`, the parser stops.
pub(super) type MayContinue<'a> = &'a dyn Fn() -> bool;

/// Parses `body` into a new `reply`. Adds complete rows even if an error follows.
///
/// # Errors
/// [`Stop::Malformed`], and [`Stop::Told`] beyond a limit or if `may_continue` returns `false` after a row.
pub(super) fn parse_reply(body: &[u8], reply: &mut Reply, may_continue: MayContinue<'_>) -> Result<(), Stop> {
    let result = parse(body, |fields| {
        while let Some(name) = fields.next()? {
            match &*name {
                LEGACY_CHILDREN | LEGACY_TYPE => {
                    reply.has_legacy_format = true;
                    return Err(Stop::Told);
                }
                b"MediaContainer" => fields.object(|container| reply.read_container(container, may_continue))?,
                _ => fields.skip()?,
            }
        }
        Ok(())
    });
    // The parser has stopped. The caller creates a better error.
    if reply.has_legacy_format { Ok(()) } else { result }
}

/// Fields that only the JSON format of 2015 has.
const LEGACY_CHILDREN: &[u8] = b"_children";
const LEGACY_TYPE: &[u8] = b"_elementType";

impl Reply {
    /// Reads the `MediaContainer`, and its rows or libraries.
    fn read_container(&mut self, container: &mut Fields<'_, '_>, may_continue: MayContinue<'_>) -> Result<(), Stop> {
        self.is_plex = true;
        while let Some(name) = container.next()? {
            match (&*name, self.kind) {
                (LEGACY_CHILDREN | LEGACY_TYPE, _) => {
                    self.has_legacy_format = true;
                    return Err(Stop::Told);
                }
                (b"totalSize", _) => self.total = container.scalar()?.number(),
                (b"offset", _) => self.offset = container.scalar()?.number(),
                (b"machineIdentifier", _) => self.machine_identifier = container.scalar()?.text(),
                (b"version", _) => self.version = container.scalar()?.text(),
                (b"librarySectionID", _) => self.section = container.scalar()?.text(),
                (b"size", ReplyKind::Libraries) => {
                    self.lists_libraries |= container.scalar()?.number() == Some(0);
                }
                (b"Metadata", ReplyKind::Items(default_type, max_rows)) => {
                    container.objects(|row| self.read_row(row, default_type, max_rows, may_continue))?;
                }
                (b"Directory", ReplyKind::Libraries) => {
                    self.lists_libraries = true;
                    container.objects(|directory| read_library(directory, &mut self.libraries))?;
                }
                _ => container.skip()?,
            }
        }
        Ok(())
    }

    /// Reads a row. Stops the parser beyond a limit or if the call must end.
    fn read_row(
        &mut self,
        row: &mut Fields<'_, '_>,
        default_type: ItemType,
        max_rows: u64,
        may_continue: MayContinue<'_>,
    ) -> Result<(), Stop> {
        // -1 means that there is no season or episode.
        let mut item = Item {
            kind: default_type,
            season: -1,
            episode: -1,
            ..Item::default()
        };
        let mut section = String::new();
        let (mut facts, mut versions) = (ItemFacts::default(), Vec::new());
        while let Some(name) = row.next()? {
            match &*name {
                b"ratingKey" => item.rating_key = row.text()?,
                b"type" => item.kind = row.scalar()?.item_type().unwrap_or(default_type),
                b"title" => item.title = row.text()?,
                b"year" => item.year = row.scalar()?.number().unwrap_or_default(),
                b"guid" => item.guid = row.text()?,
                b"Guid" => row.texts(b"id", &mut item.guids)?,
                b"grandparentTitle" => item.show_title = row.text()?,
                b"grandparentRatingKey" => item.show_rating_key = row.text()?,
                b"grandparentGuid" => item.show_guid = row.text()?,
                b"parentTitle" => item.season_title = row.text()?,
                b"parentRatingKey" => item.season_rating_key = row.text()?,
                b"parentGuid" => item.season_guid = row.text()?,
                b"parentIndex" => item.season = row.scalar()?.number().unwrap_or(-1),
                b"index" => item.episode = row.scalar()?.number().unwrap_or(-1),
                b"updatedAt" => self.update_order.add(row.scalar()?.number()),
                b"librarySectionID" => section = row.text()?,
                b"deletedAt" => item.trashed = row.scalar()?.is_set(),
                b"addedAt" => facts.added_at = row.scalar()?.number().unwrap_or_default(),
                b"duration" => facts.duration_ms = row.scalar()?.number().unwrap_or_default(),
                b"editionTitle" => facts.edition = row.text()?,
                b"Media" => row.objects(|version| read_version(version, &mut versions))?,
                _ => row.skip()?,
            }
        }
        self.rows += 1;
        for key in [
            &mut item.rating_key,
            &mut item.show_rating_key,
            &mut item.season_rating_key,
        ] {
            if key.len() > LONGEST_KEY || !is_rating_key(key) {
                self.has_invalid_keys = true;
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
        // The files in the trash come last, and only to an item that is there, too.
        versions.retain(|file| item.trashed || !file.is_trashed);
        versions.sort_by_key(|file| file.is_trashed);
        item.facts = KnownFacts(Some(Box::new(facts)));
        for file in versions {
            push_file(&mut item, file.path, file.size, file.facts);
        }
        self.exceeds_limit = self.rows > max_rows || self.memory_bytes > MAX_ROWS_BYTES;
        if self.exceeds_limit {
            return Err(Stop::Told);
        }
        if !item.rating_key.is_empty() {
            self.memory_bytes += estimate_bytes(&item);
            self.items.push(LocatedItem { item, section });
        }
        if may_continue() { Ok(()) } else { Err(Stop::Told) }
    }
}

/// A file of an item.
struct ListedFile {
    path: ByteString,
    size: u64,
    facts: FileFacts,
    is_trashed: bool,
}

/// Number of Plex's type for a version that the server has made itself.
const OPTIMIZED: u32 = 42;

/// Reads one version of an item, and adds its files to `files`.
fn read_version(version: &mut Fields<'_, '_>, files: &mut Vec<ListedFile>) -> Result<(), Stop> {
    let (first, mut facts, mut is_trashed) = (files.len(), FileFacts::default(), false);
    while let Some(name) = version.next()? {
        match &*name {
            b"Part" => version.objects(|part| {
                let (mut path, mut file) = (None, (0, 0, false));
                while let Some(name) = part.next()? {
                    match &*name {
                        b"file" => path = part.scalar()?.bytes(),
                        b"size" => file.0 = part.scalar()?.number().unwrap_or_default(),
                        b"id" => file.1 = part.scalar()?.number().unwrap_or_default(),
                        b"deletedAt" => file.2 = part.scalar()?.is_set(),
                        _ => part.skip()?,
                    }
                }
                if let Some(path) = path.filter(|_| files.len() < LIST_LIMIT) {
                    let (size, part_id, is_trashed) = file;
                    let facts = FileFacts {
                        part_id,
                        ..FileFacts::default()
                    };
                    files.push(ListedFile {
                        path,
                        size,
                        facts,
                        is_trashed,
                    });
                }
                Ok(())
            })?,
            b"id" => facts.media_id = version.scalar()?.number().unwrap_or_default(),
            b"duration" => facts.duration_ms = version.scalar()?.number().unwrap_or_default(),
            b"videoResolution" => facts.resolution = version.text()?,
            b"container" => facts.container = version.text()?,
            b"proxyType" => facts.is_optimized = version.scalar()?.number() == Some(OPTIMIZED),
            b"deletedAt" => is_trashed = version.scalar()?.is_set(),
            _ => version.skip()?,
        }
    }
    let of_each = std::iter::repeat_n(facts, files.len() - first);
    for (file, facts) in files[first..].iter_mut().zip(of_each) {
        file.facts = FileFacts {
            part_id: file.facts.part_id,
            ..facts
        };
        file.is_trashed |= is_trashed;
    }
    Ok(())
}

/// Reads a library. Its change token combines two times, because neither is reliable alone.
fn read_library(directory: &mut Fields<'_, '_>, libraries: &mut Vec<Library>) -> Result<(), Stop> {
    let mut library = Library::default();
    // A change counter, in spite of the name. The counter changes late, and is always 0 in some libraries.
    let mut content_changed_at = 0_i64;
    // End of the last scan in Unix seconds. This time changes even if the scan found nothing new.
    let mut scanned_at = 0_i64;
    while let Some(name) = directory.next()? {
        match &*name {
            b"key" => library.section = directory.text()?,
            b"uuid" => library.uuid = directory.text()?,
            b"title" => library.title = directory.text()?,
            b"type" => library.kind = LibraryKind::from_name(&directory.text()?),
            b"Location" => directory.texts(b"path", &mut library.locations)?,
            b"contentChangedAt" => content_changed_at = directory.scalar()?.number().unwrap_or_default(),
            b"scannedAt" => scanned_at = directory.scalar()?.number().unwrap_or_default(),
            b"refreshing" => library.change.busy = directory.scalar()?.is_set(),
            _ => directory.skip()?,
        }
    }
    library.change.token = format!("{content_changed_at} {scanned_at}");
    library.change.trust = TokenReliability::Hint;
    library.change.scanned_ms = scanned_at.saturating_mul(1_000);
    if library.section.len() > LONGEST_KEY {
        log::warn!(
            "ignoring library '{}': its key has more than {LONGEST_KEY} bytes",
            library.title
        );
    // plexindex cannot read a library without a section id. No real server has more libraries than the limit.
    } else if !library.section.is_empty() && libraries.len() < LIST_LIMIT {
        libraries.push(library);
    }
    Ok(())
}

/// Makes uuids unique, because they identify libraries: derives a uuid from the section id if a library's uuid is a
/// duplicate, or is missing because a proxy removed it. Drops libraries with a duplicate section id.
pub(in crate::source) fn make_uuids_unique(libraries: &mut Vec<Library>) {
    let mut sections = HashSet::new();
    libraries.retain(|library| sections.insert(library.section.clone()));
    let mut counts: HashMap<String, u32> = HashMap::new();
    for library in libraries.iter() {
        *counts.entry(library.uuid.clone()).or_default() += 1;
    }
    for library in libraries {
        if library.uuid.is_empty() || counts.get(&library.uuid).is_some_and(|count| *count > 1) {
            library.uuid = uuid_of_section(&library.section);
        }
    }
}

/// A scalar in JSON from a server, or what stands in its place.
pub(super) enum Scalar<'de> {
    /// A string, borrowed from the text if it contains no escapes.
    Text(Cow<'de, [u8]>),
    Integer(i128),
    Bool(bool),
    /// `null`, a fraction, a list or an object.
    Absent,
}

impl<'de> Scalar<'de> {
    /// Converts a string or an integer to a string, with U+FFFD for bytes that are not UTF-8. Returns `None` for other
    /// types, and for a string with a NUL: Plex never sends a NUL, and C code would read a shorter string, such as the
    /// key of a different item.
    pub fn text(self) -> Option<String> {
        let text = String::from_utf8(self.raw_text()?.into_owned());
        Some(text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// Converts like [`Scalar::text`], and keeps bytes that are not UTF-8, as in names of files.
    pub fn bytes(self) -> Option<ByteString> {
        self.raw_text().map(|text| ByteString(text.into_owned()))
    }

    fn raw_text(self) -> Option<Cow<'de, [u8]>> {
        match self {
            Self::Text(text) => (!text.contains(&0)).then_some(text),
            Self::Integer(number) => Some(number.to_string().into_bytes().into()),
            Self::Bool(_) | Self::Absent => None,
        }
    }

    /// Converts to an integer, also from a string; `None` for other values, or if the integer is out of range.
    pub fn number<T: TryFrom<i128>>(self) -> Option<T> {
        let number = match self {
            Self::Text(text) => str::from_utf8(&text).ok()?.trim().parse().ok()?,
            Self::Integer(number) => number,
            Self::Bool(_) | Self::Absent => return None,
        };
        number.try_into().ok()
    }

    /// Returns whether the value is a set flag or a time, such as that in `deletedAt`: `false` for 0, `"0"`, `"false"`
    /// and an empty string.
    pub fn is_set(&self) -> bool {
        match self {
            Self::Text(text) => !matches!(text.trim_ascii(), b"" | b"0" | b"false"),
            Self::Integer(number) => *number != 0,
            Self::Bool(flag) => *flag,
            Self::Absent => false,
        }
    }

    /// Converts the name or number of an item type; `None` for other values.
    pub fn item_type(self) -> Option<ItemType> {
        match self {
            Self::Text(name) => Some(ItemType::from_name(str::from_utf8(&name).unwrap_or_default())),
            other => other.number().map(ItemType::from_number),
        }
    }
}

/// Why the parser stopped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The function that reads the objects wants no more.
    Told,
    /// The text is not JSON at this offset.
    Malformed { at: usize, length: usize },
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told => f.write_str("stopped"),
            Self::Malformed { at, length } => write!(f, "at byte {at} of {length}"),
        }
    }
}

/// Parses a JSON text, and passes it to `read` if it is an object. `read` must read all fields, or stop.
pub(super) fn parse<'de>(
    text: &'de [u8],
    read: impl FnMut(&mut Fields<'_, 'de>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut json = Json { text, position: 0 };
    json.object(read)?;
    json.peek().map_or(Ok(()), |_| json.malformed())
}

/// The fields of a JSON object that are left. The same field may come twice. After each name, the caller must read or
/// skip the value.
pub(super) struct Fields<'p, 'de> {
    json: &'p mut Json<'de>,
    has_begun: bool,
    has_ended: bool,
}

impl<'de> Fields<'_, 'de> {
    /// Reads the next field's name.
    pub fn next(&mut self) -> Result<Option<Cow<'de, [u8]>>, Stop> {
        self.has_ended = self.has_ended || !self.json.has_next(b'}', &mut self.has_begun)?;
        if self.has_ended {
            return Ok(None);
        }
        let name = self.json.string()?;
        self.json.expect(b':')?;
        Ok(Some(name))
    }

    /// Skips the field's value.
    pub fn skip(&mut self) -> Result<(), Stop> {
        self.json.skip()
    }

    /// Reads the field's value, of whatever type, as a scalar.
    pub fn scalar(&mut self) -> Result<Scalar<'de>, Stop> {
        self.json.scalar()
    }

    /// Passes the object in the field's value to `read`. Skips other values.
    pub fn object(&mut self, read: impl FnMut(&mut Fields<'_, 'de>) -> Result<(), Stop>) -> Result<(), Stop> {
        self.json.object(read).map(drop)
    }

    /// Passes the object in the field's value to `read`, or each element of the list there, one by one. An element that
    /// is no object counts as one without fields. Skips other values.
    pub fn objects(&mut self, mut read: impl FnMut(&mut Fields<'_, 'de>) -> Result<(), Stop>) -> Result<(), Stop> {
        if !self.json.eat(b'[') {
            return self.object(read);
        }
        let mut has_begun = false;
        while self.json.has_next(b']', &mut has_begun)? {
            if !self.json.object(&mut read)? {
                read(&mut Fields {
                    json: &mut *self.json,
                    has_begun: false,
                    has_ended: true,
                })?;
            }
        }
        Ok(())
    }

    /// Reads the field's value as a string, which may be a number. Returns an empty string for other types.
    pub fn text(&mut self) -> Result<String, Stop> {
        Ok(self.scalar()?.text().unwrap_or_default())
    }

    /// Adds the strings in the field `wanted` of each object in the field's value to `list`.
    pub fn texts(&mut self, wanted: &[u8], list: &mut Vec<String>) -> Result<(), Stop> {
        self.objects(|object| {
            while let Some(name) = object.next()? {
                if *name == *wanted {
                    push_unique(list, object.scalar()?.text());
                } else {
                    object.skip()?;
                }
            }
            Ok(())
        })
    }
}

/// Length of an escape such as `\ud83d`.
const ESCAPE_LENGTH: usize = 6;

/// A JSON text, of which the bytes before `position` are parsed.
struct Json<'de> {
    text: &'de [u8],
    position: usize,
}

impl<'de> Json<'de> {
    fn malformed<T>(&self) -> Result<T, Stop> {
        let (at, length) = (self.position, self.text.len());
        Err(Stop::Malformed { at, length })
    }

    /// Returns the bytes that are not parsed yet.
    fn rest(&self) -> &'de [u8] {
        self.text.get(self.position..).unwrap_or_default()
    }

    /// Returns the next byte that is neither white space nor a control character; `None` at the end of the text.
    fn peek(&mut self) -> Option<u8> {
        while let Some(..=b' ') = self.text.get(self.position) {
            self.position += 1;
        }
        self.text.get(self.position).copied()
    }

    /// Parses this byte, if it is the next one.
    fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.position += usize::from(is_next);
        is_next
    }

    /// Parses this byte. Fails if another one is next.
    fn expect(&mut self, byte: u8) -> Result<(), Stop> {
        if self.eat(byte) { Ok(()) } else { self.malformed() }
    }

    /// Parses the comma before the next element, if there is one; otherwise the list's or object's end `close`. Returns
    /// whether there is one. `has_begun`: whether it had elements so far.
    fn has_next(&mut self, close: u8, has_begun: &mut bool) -> Result<bool, Stop> {
        if self.eat(close) {
            return Ok(false);
        }
        if std::mem::replace(has_begun, true) {
            self.expect(b',')?;
        }
        Ok(true)
    }

    /// Passes an object to `read`. Skips another value, and returns `false`.
    fn object(&mut self, mut read: impl FnMut(&mut Fields<'_, 'de>) -> Result<(), Stop>) -> Result<bool, Stop> {
        let is_object = self.eat(b'{');
        if is_object {
            read(&mut Fields {
                json: self,
                has_begun: false,
                has_ended: false,
            })?;
        } else {
            self.skip()?;
        }
        Ok(is_object)
    }

    /// Skips a value. Checks only its strings and brackets.
    fn skip(&mut self) -> Result<(), Stop> {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(b'"') => drop(self.string()?),
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.position += 1;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.position += 1;
                }
                Some(b',' | b':') if depth > 0 => self.position += 1,
                _ if self.word().is_empty() => return self.malformed(),
                _ => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// Returns the number or literal at the position; empty if there is none.
    fn word(&mut self) -> &'de [u8] {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let rest = self.rest();
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        self.position += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Reads a value of any type. Converts a whole number below 2^53, such as `1.0`, to an integer. Treats other
    /// fractions as absent.
    fn scalar(&mut self) -> Result<Scalar<'de>, Stop> {
        // 2^53; a larger float may represent several integers.
        const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
        match self.peek() {
            Some(b'"') => return self.string().map(Scalar::Text),
            Some(b'{' | b'[') => return self.skip().map(|()| Scalar::Absent),
            _ => {}
        }
        let word = match self.word() {
            b"true" => return Ok(Scalar::Bool(true)),
            b"false" => return Ok(Scalar::Bool(false)),
            b"null" => return Ok(Scalar::Absent),
            word => str::from_utf8(word).unwrap_or_default(),
        };
        // Nearly all are short, which is parsed twice as fast.
        if let Ok(integer) = word.parse::<i64>().map(i128::from).or_else(|_| word.parse()) {
            return Ok(Scalar::Integer(integer));
        }
        match word.parse::<f64>() {
            // The cast is exact, because the value is an integer in range.
            #[allow(clippy::cast_possible_truncation)]
            Ok(number) if number.fract() == 0.0 && number.abs() < MAX_EXACT => Ok(Scalar::Integer(number as i128)),
            Ok(_) => Ok(Scalar::Absent),
            Err(_) => self.malformed(),
        }
    }

    /// Reads a string, and replaces its escapes.
    fn string(&mut self) -> Result<Cow<'de, [u8]>, Stop> {
        self.expect(b'"')?;
        let piece = self.piece()?;
        if self.text.get(self.position) == Some(&b'"') {
            self.position += 1;
            return Ok(piece.into());
        }
        let mut unescaped = piece.to_vec();
        while self.text.get(self.position) != Some(&b'"') {
            self.unescape(&mut unescaped)?;
            unescaped.extend_from_slice(self.piece()?);
        }
        self.position += 1;
        Ok(unescaped.into())
    }

    /// Returns the string's bytes up to its end or its next escape.
    fn piece(&mut self) -> Result<&'de [u8], Stop> {
        let rest = self.rest();
        let length = memchr2(b'"', b'\\', rest);
        self.position += length.unwrap_or(rest.len());
        length.map_or_else(|| self.malformed(), |length| Ok(rest.get(..length).unwrap_or_default()))
    }

    /// Appends what the escape at the position stands for: a character, or a byte as Python writes it. A half of a
    /// surrogate pair becomes U+FFFD.
    fn unescape(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
        let Some(unit) = self.code_unit() else {
            out.push(match self.rest().get(1) {
                Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                _ => return self.malformed(),
            });
            self.position += 2;
            return Ok(());
        };
        self.position += ESCAPE_LENGTH;
        if let Some(byte @ 0x80..) = unit.checked_sub(0xDC00).and_then(|half| u8::try_from(half).ok()) {
            out.push(byte);
            return Ok(());
        }
        let is_first_half = matches!(unit, 0xD800..=0xDBFF);
        let second_half = self
            .code_unit()
            .filter(|next| is_first_half && matches!(next, 0xDC00..=0xDFFF));
        self.position += second_half.map_or(0, |_| ESCAPE_LENGTH);
        for c in char::decode_utf16([unit].into_iter().chain(second_half)) {
            let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Ok(())
    }

    /// Returns the UTF-16 code unit of the escape `\uXXXX` at the position; `None` if there is no such escape.
    fn code_unit(&self) -> Option<u16> {
        let digits = self.rest().get(..ESCAPE_LENGTH)?.strip_prefix(b"\\u")?;
        // Rejects a sign, which the integer parser accepts.
        let are_hex = digits.iter().all(u8::is_ascii_hexdigit);
        u16::from_str_radix(str::from_utf8(digits).ok().filter(|_| are_hex)?, 16).ok()
    }
}

/// Maximum number of files, external ids or folders in a row; also the maximum number of libraries. Real lists are much
/// shorter, and the search for duplicates in longer lists would be slow.
pub(super) const LIST_LIMIT: usize = 1024;

/// Adds a string to the list. Ignores an absent, empty or duplicate string, and any string if the list is full. Remote
/// trailers have files with empty names, and two versions of an item may have the same file.
pub(in crate::source) fn push_unique<T: AsRef<[u8]> + PartialEq>(list: &mut Vec<T>, text: Option<T>) {
    if let Some(text) = text
        && !text.as_ref().is_empty()
        && list.len() < LIST_LIMIT
        && !list.contains(&text)
    {
        list.push(text);
    }
}

/// Adds a file to an item whose facts are known, unless it has the file.
pub(in crate::source) fn push_file(item: &mut Item, path: ByteString, size: u64, file: FileFacts) {
    let count = item.parts.len();
    push_unique(&mut item.parts, Some(path));
    if let Some(facts) = item.facts.0.as_mut().filter(|_| item.parts.len() > count) {
        facts.push(size, file);
    }
}

#[cfg(test)]
#[path = "replies_tests.rs"]
mod replies_tests;

#[cfg(test)]
#[path = "lenient_tests.rs"]
mod lenient_tests;
