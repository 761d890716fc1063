//! Parses Plex's replies. A reply is one `MediaContainer` with a few numbers and a list of rows.
//!
//! The fields of the container can be in any order. The parser passes on each row as soon as it is complete.

use std::collections::{HashMap, HashSet};

use crate::model::{
    ByteString, FileFacts, Item, ItemFacts, ItemType, KnownFacts, LONGEST_KEY, Library, LibraryKind, TokenReliability,
    uuid_of_section,
};

use super::super::contract::LocatedItem;
use super::lenient::{self, Fields, LIST_LIMIT, Stop, push_file};

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
    let result = lenient::parse(body, |fields| {
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
        let (trashed, files): (Vec<_>, Vec<_>) = versions.into_iter().partition(|file| file.is_trashed);
        let is_item_trashed = item.trashed;
        let trashed = trashed.into_iter().filter(|_| is_item_trashed);
        item.facts = KnownFacts(Some(Box::new(facts)));
        for file in files.into_iter().chain(trashed) {
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
    for file in &mut files[first..] {
        file.facts = FileFacts {
            part_id: file.facts.part_id,
            ..facts.clone()
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

#[cfg(test)]
#[path = "replies_tests.rs"]
mod tests;
