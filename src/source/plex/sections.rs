//! The libraries that `/library/sections` lists: each a `Directory` with its folders, and its clocks, which become its change token.

use std::collections::{HashMap, HashSet};

use serde::de::MapAccess;

use crate::model::{Change, LONGEST_KEY, Library, LibraryKind, Trust, uuid_of_section};

use super::lenient::{Elements, LIST_LIMIT, Object, push_new, refuse_long, scalar};

/// When Plex says that a library changed. Neither of them is reliable by itself: `docs/design/sources.md`.
#[derive(Clone, Copy, Default)]
struct Clocks {
    /// A change counter, not a time; 0 for ever in some libraries, and it lags.
    content_changed_at: i64,
    /// When the last scan ended, Unix seconds; also moves on scans that changed nothing.
    scanned_at: i64,
}

impl Clocks {
    fn tell(self, change: &mut Change) {
        change.token = format!("{} {}", self.content_changed_at, self.scanned_at);
        change.trust = Trust::Hint;
        change.scanned_ms = self.scanned_at.saturating_mul(1_000);
    }
}

/// The libraries, one after the other.
pub(super) struct Directories<'a> {
    library: Library,
    clocks: Clocks,
    libraries: &'a mut Vec<Library>,
}

/// Gives a library without a uuid of its own one that tells it from the others: some proxies and tools strip them, and two
/// libraries without one are still two. A section that is listed twice is one.
pub(in crate::source) fn tell_apart(libraries: &mut Vec<Library>) {
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

impl<'a> Directories<'a> {
    /// Libraries to be added to `libraries`.
    pub fn new(libraries: &'a mut Vec<Library>) -> Self {
        Self {
            library: Library::default(),
            clocks: Clocks::default(),
            libraries,
        }
    }
}

pub(super) enum DirectoryField {
    Key,
    Uuid,
    Title,
    Type,
    Location,
    ContentChangedAt,
    ScannedAt,
    Refreshing,
}

impl Object for Directories<'_> {
    type Field = DirectoryField;

    fn field_of(name: &str) -> Option<DirectoryField> {
        Some(match name {
            "key" => DirectoryField::Key,
            "uuid" => DirectoryField::Uuid,
            "title" => DirectoryField::Title,
            "type" => DirectoryField::Type,
            "Location" => DirectoryField::Location,
            "contentChangedAt" => DirectoryField::ContentChangedAt,
            "scannedAt" => DirectoryField::ScannedAt,
            "refreshing" => DirectoryField::Refreshing,
            _ => return None,
        })
    }

    fn fill<'de, A: MapAccess<'de>>(&mut self, field: DirectoryField, map: &mut A) -> Result<(), A::Error> {
        let Library {
            section,
            uuid,
            title,
            kind,
            locations,
            change,
        } = &mut self.library;
        match field {
            DirectoryField::Key => *section = scalar(map)?.unwrap_or_default(),
            DirectoryField::Uuid => *uuid = scalar(map)?.unwrap_or_default(),
            DirectoryField::Title => *title = scalar(map)?.unwrap_or_default(),
            DirectoryField::Type => *kind = scalar(map)?.unwrap_or(LibraryKind::Other),
            DirectoryField::Location => map.next_value_seed(Elements(&mut Locations(locations)))?,
            DirectoryField::ContentChangedAt => self.clocks.content_changed_at = scalar(map)?.unwrap_or_default(),
            DirectoryField::ScannedAt => self.clocks.scanned_at = scalar(map)?.unwrap_or_default(),
            DirectoryField::Refreshing => change.busy = scalar(map)?.unwrap_or_default(),
        }
        Ok(())
    }

    fn after_element(&mut self) -> bool {
        let mut library = std::mem::take(&mut self.library);
        std::mem::take(&mut self.clocks).tell(&mut library.change);
        if refuse_long(&mut library.section) {
            log::warn!(
                "the library '{}' is left out: its key has more than {LONGEST_KEY} bytes",
                library.title
            );
        }
        // Without a section id nothing can be asked of it; and no server has so many.
        if !library.section.is_empty() && self.libraries.len() < LIST_LIMIT {
            self.libraries.push(library);
        }
        true
    }
}

/// The folders of a library.
struct Locations<'a>(&'a mut Vec<String>);

impl Object for Locations<'_> {
    type Field = ();

    fn field_of(name: &str) -> Option<()> {
        (name == "path").then_some(())
    }

    fn fill<'de, A: MapAccess<'de>>(&mut self, (): (), map: &mut A) -> Result<(), A::Error> {
        push_new(self.0, scalar(map)?);
        Ok(())
    }
}
