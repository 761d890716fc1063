//! The libraries that `/library/sections` lists: each a `Directory` with its folders and its clocks.

use std::collections::{HashMap, HashSet};

use serde::de::MapAccess;

use crate::model::{Clocks, Library, LibraryKind, uuid_of_section};

use super::lenient::{Elements, LIST_LIMIT, Object, push_new, scalar};

/// The libraries, one after the other.
pub(super) struct Directories<'a> {
    library: Library,
    libraries: &'a mut Vec<Library>,
}

/// Gives a library without a uuid of its own one that tells it from the others: some proxies and tools strip them, and two
/// libraries without one are still two. A section that is listed twice is one.
pub(super) fn tell_apart(libraries: &mut Vec<Library>) {
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
    UpdatedAt,
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
            "updatedAt" => DirectoryField::UpdatedAt,
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
            clocks,
        } = &mut self.library;
        let Clocks {
            content_changed_at,
            scanned_at,
            updated_at,
            refreshing,
        } = clocks;
        match field {
            DirectoryField::Key => *section = scalar(map)?.unwrap_or_default(),
            DirectoryField::Uuid => *uuid = scalar(map)?.unwrap_or_default(),
            DirectoryField::Title => *title = scalar(map)?.unwrap_or_default(),
            DirectoryField::Type => *kind = scalar(map)?.unwrap_or(LibraryKind::Other),
            DirectoryField::Location => map.next_value_seed(Elements(&mut Locations(locations)))?,
            DirectoryField::ContentChangedAt => *content_changed_at = scalar(map)?.unwrap_or_default(),
            DirectoryField::ScannedAt => *scanned_at = scalar(map)?.unwrap_or_default(),
            DirectoryField::UpdatedAt => *updated_at = scalar(map)?.unwrap_or_default(),
            DirectoryField::Refreshing => *refreshing = scalar(map)?.unwrap_or_default(),
        }
        Ok(())
    }

    fn after_element(&mut self) -> bool {
        let library = std::mem::take(&mut self.library);
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
