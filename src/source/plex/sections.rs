//! The libraries that `/library/sections` lists: each a `Directory` with its folders, and its clocks, which become its change token.

use std::collections::{HashMap, HashSet};

use serde::de::MapAccess;

use crate::model::{LONGEST_KEY, Library, LibraryKind, Trust, uuid_of_section};

use super::lenient::{LIST_LIMIT, Object, TextFields, empty_long_key, fill_each, scalar, skip, text};

/// The libraries, one after the other, and when Plex says that each changed. Neither clock is reliable by itself
/// (`docs/design/freshness.md`).
#[derive(Default)]
pub(super) struct Directories {
    pub libraries: Vec<Library>,
    library: Library,
    /// A change counter, not a time; 0 for ever in some libraries, and it lags.
    content_changed_at: i64,
    /// When the last scan ended, Unix seconds; also moves on scans that changed nothing.
    scanned_at: i64,
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

impl Object for Directories {
    fn fill<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let library = &mut self.library;
        match name {
            "key" => library.section = text(map)?,
            "uuid" => library.uuid = text(map)?,
            "title" => library.title = text(map)?,
            "type" => library.kind = LibraryKind::from_name(&text(map)?),
            "Location" => {
                let list = &mut library.locations;
                fill_each(map, &mut TextFields { name: "path", list })?;
            }
            "contentChangedAt" => self.content_changed_at = scalar(map)?.number().unwrap_or_default(),
            "scannedAt" => self.scanned_at = scalar(map)?.number().unwrap_or_default(),
            "refreshing" => library.change.busy = scalar(map)?.flag(),
            _ => skip(map)?,
        }
        Ok(())
    }

    fn after_element(&mut self) -> bool {
        let mut library = std::mem::take(&mut self.library);
        let (content_changed_at, scanned_at) = (self.content_changed_at, self.scanned_at);
        (self.content_changed_at, self.scanned_at) = (0, 0);
        library.change.token = format!("{content_changed_at} {scanned_at}");
        library.change.trust = Trust::Hint;
        library.change.scanned_ms = scanned_at.saturating_mul(1_000);
        if empty_long_key(&mut library.section) {
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
