//! The libraries that `/library/sections` lists: each a `Directory` with its folders, and its clocks, which become its change token.

use std::collections::{HashMap, HashSet};

use serde::de::MapAccess;

use crate::model::{Change, LONGEST_KEY, Library, LibraryKind, Trust, uuid_of_section};

use super::lenient::{LIST_LIMIT, Object, Texts, empty_long_key, fill_each, scalar, skip, text};

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

impl Object for Directories<'_> {
    fn fill<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let library = &mut self.library;
        match name {
            "key" => library.section = text(map)?,
            "uuid" => library.uuid = text(map)?,
            "title" => library.title = text(map)?,
            "type" => library.kind = LibraryKind::from_name(&text(map)?),
            "Location" => {
                let list = &mut library.locations;
                fill_each(map, &mut Texts { name: "path", list })?;
            }
            "contentChangedAt" => self.clocks.content_changed_at = scalar(map)?.number().unwrap_or_default(),
            "scannedAt" => self.clocks.scanned_at = scalar(map)?.number().unwrap_or_default(),
            "refreshing" => library.change.busy = scalar(map)?.flag(),
            _ => skip(map)?,
        }
        Ok(())
    }

    fn after_element(&mut self) -> bool {
        let mut library = std::mem::take(&mut self.library);
        std::mem::take(&mut self.clocks).tell(&mut library.change);
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
