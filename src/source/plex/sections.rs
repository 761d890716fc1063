//! Parses the libraries in `/library/sections`. Each library is a `Directory` with locations and two times, which
//! become the library's change token.

use std::collections::{HashMap, HashSet};

use serde::de::MapAccess;

use crate::model::{LONGEST_KEY, Library, LibraryKind, TokenReliability, uuid_of_section};

use super::lenient::{LIST_LIMIT, Object, TextFields, collect_from_each, scalar, skip, text};

/// Collects the libraries. A library's change token combines two times, because neither is reliable alone.
#[derive(Default)]
pub(super) struct Directories {
    pub libraries: Vec<Library>,
    /// The library that is being parsed.
    library: Library,
    /// A change counter, in spite of the name. The counter changes late, and is always 0 in some libraries.
    content_changed_at: i64,
    /// End of the last scan in Unix seconds. This time changes even if the scan found nothing new.
    scanned_at: i64,
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

impl Object for Directories {
    /// Reads one field of a library.
    fn fill<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let library = &mut self.library;
        match name {
            "key" => library.section = text(map)?,
            "uuid" => library.uuid = text(map)?,
            "title" => library.title = text(map)?,
            "type" => library.kind = LibraryKind::from_name(&text(map)?),
            "Location" => {
                let list = &mut library.locations;
                collect_from_each(map, &mut TextFields { name: "path", list })?;
            }
            "contentChangedAt" => self.content_changed_at = scalar(map)?.number().unwrap_or_default(),
            "scannedAt" => self.scanned_at = scalar(map)?.number().unwrap_or_default(),
            "refreshing" => library.change.busy = scalar(map)?.flag(),
            _ => skip(map)?,
        }
        Ok(())
    }

    /// Adds the change token to a complete library, and the library to the list. Returns `true` to continue parsing.
    fn after_element(&mut self) -> bool {
        let mut library = std::mem::take(&mut self.library);
        let (content_changed_at, scanned_at) = (self.content_changed_at, self.scanned_at);
        (self.content_changed_at, self.scanned_at) = (0, 0);
        library.change.token = format!("{content_changed_at} {scanned_at}");
        library.change.trust = TokenReliability::Hint;
        library.change.scanned_ms = scanned_at.saturating_mul(1_000);
        if library.section.len() > LONGEST_KEY {
            log::warn!(
                "ignoring library '{}': its key has more than {LONGEST_KEY} bytes",
                library.title
            );
        // plexindex cannot read a library without a section id. No real server has more libraries than the limit.
        } else if !library.section.is_empty() && self.libraries.len() < LIST_LIMIT {
            self.libraries.push(library);
        }
        true
    }
}
