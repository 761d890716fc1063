//! Plex's own database as a [`Source`]: the file in which the server stores its libraries, read while the server runs.
//!
//! `place` finds the file, `slice` opens it for a short read, `slice_lock` serialises slices, `schema` checks the columns,
//! `read` and `items` query them by `cells`, `mark` computes the library version. `reader` is the state between calls,
//! with the read-ahead of `ahead`; `listing` and `changes` are built on these.
//!
//! Uses no network, and counts no requests.

mod ahead;
mod cells;
mod changes;
mod items;
mod listing;
mod mark;
mod place;
mod preferences;
mod read;
mod reader;
mod schema;
mod slice;
mod slice_lock;

use std::ops::RangeInclusive;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::Result;
use crate::model::{Item, Library, Server, Trust};
use crate::platform::fork::{Release, hold};

use super::contract::{
    Abilities, Bounds, Delta, Kind, KnownItems, LocatedItem, PageEnd, PageRequest, Resume, Source, SourceChanges,
    WantedPath,
};

use super::plex::{self, leaf_types, make_uuids_unique};

use self::items::ItemReader;
use self::mark::Mark;
pub use self::reader::PlexDatabase;
use self::reader::PrefetchedPath;
use self::slice_lock::check;

/// The kind of this source: its items have the keys that the server gives them.
pub static KIND: Kind = Kind {
    name: "Plex's database",
    noun: "Plex's database",
    empty_hint: "check whether it is the database of the server that is meant",
    companion: Some("give server_url too"),
    ..plex::KIND
};

impl PlexDatabase {
    /// Returns the identity of the file without opening it.
    pub(super) fn identity(&self) -> Result<String> {
        let state = self.place.state()?; // first, since it finds the path that errors name
        Ok(format!("{} {:x}", self.place.display(), state.file))
    }

    /// Returns the machine identifier of its server, if this user may read it.
    pub(super) fn machine_identifier(&self) -> Option<String> {
        self.place.folder().and_then(preferences::machine_identifier)
    }

    /// Finds the file, and returns a display name with its path, or that of the folder that the host gave.
    pub(super) fn find_display_name(&self) -> String {
        let _ = self.place.file(); // an error is for those who read the file
        format!("Plex's database {}", self.place.display())
    }

    /// Returns a library with items, its last item, and the range of counts that the server may report, since it may
    /// count the trash or not. `None` if no library has items.
    pub(super) fn sample(&self, bounds: Bounds<'_>) -> Result<Option<(Library, Item, RangeInclusive<u64>)>> {
        for library in self.libraries(bounds)? {
            let Some(kind) = leaf_types(library.kind).first() else {
                continue;
            };
            let section = listing::section(&library)?;
            let found = self.place.slice(&bounds, &mut |slice| {
                let mut items = ItemReader::new(&slice.connection, section, std::slice::from_ref(kind));
                slice.query(|| Ok((items.last()?, items.counts(i64::MAX)?)))
            })?;
            if let (Some(last), (all, count)) = found {
                return Ok(Some((library, last, count..=all)));
            }
        }
        Ok(None)
    }
}

impl Source for PlexDatabase {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            resume: Resume::ByPosition,
            changes: Delta::Complete,
            find: true,
            folders: true,
            items: true,
            events: false,
            edits: false,
            local: true,
        }
    }

    fn server(&self, bounds: Bounds<'_>) -> Result<Server> {
        check(&bounds)?;
        let file = self.place.file()?;
        Ok(Server {
            // Without a machine identifier, the path of the file identifies the server.
            machine_identifier: self
                .machine_identifier()
                .unwrap_or_else(|| format!("database:{:016x}", xxh3_64(file.as_os_str().as_encoded_bytes()))),
            version: String::new(),
        })
    }

    fn prefetch_path(&self, spellings: &[Vec<u8>]) {
        *self.lock_prefetched() = PrefetchedPath {
            spellings: spellings.to_vec(),
            found: None,
        };
    }

    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>> {
        check(&bounds)?;
        self.lock_read_ahead().clear();
        let mut prefetched = std::mem::take(&mut *self.lock_prefetched());
        // Searched once: a result is listed or cached.
        let wanted = prefetched.found.is_none() && !prefetched.spellings.is_empty();
        prefetched.found = None;
        let mut libraries = self.place.slice(&bounds, &mut |slice| {
            slice.query(|| {
                schema::check(&slice.connection)?;
                let mut libraries = read::libraries(&slice.connection)?;
                let mark = Mark::read(&slice.connection, &slice.state)?;
                let rows = self.counts_rows().then(|| mark::count_rows(&slice.connection));
                let token = mark.token(rows.transpose()?, &slice.state);
                for library in &mut libraries {
                    library.change.token.clone_from(&token);
                    library.change.trust = Trust::Exact;
                }
                if wanted {
                    let found = read::with_path(&slice.connection, &libraries, &prefetched.spellings)?;
                    prefetched.found = Some((token, found));
                }
                Ok(libraries)
            })
        })?;
        if wanted {
            *self.lock_prefetched() = prefetched;
        }
        make_uuids_unique(&mut libraries);
        Ok(libraries)
    }

    fn has_moved(&self, token: &str) -> bool {
        // The caller counted the rows, and will look for removals.
        if mark::row_count_in(token).is_some() {
            self.enable_row_counts();
        }
        // If the state is unknown, reading the file reports the error.
        self.place
            .state()
            .map_or(true, |state| !mark::is_current(token, &state))
    }

    fn partitions(&self, library: &Library) -> usize {
        leaf_types(library.kind).len()
    }

    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        self.read_page(request, &bounds, items)
    }

    fn changes(&self, library: &Library, known: &dyn KnownItems, bounds: Bounds<'_>) -> Result<SourceChanges> {
        check(&bounds)?;
        self.read_changes(library, known, &bounds)
    }

    fn find_path(
        &self,
        library: &Library,
        wanted: &WantedPath<'_>,
        bounds: Bounds<'_>,
        is_it: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        check(&bounds)?;
        let section = listing::section(library)?;
        let known = {
            let prefetched = self.lock_prefetched();
            let found = prefetched
                .found
                .as_ref()
                .filter(|_| prefetched.spellings == wanted.spellings);
            found.filter(|(token, _)| !self.has_moved(token)).map(|(_, found)| {
                let own = found.iter().filter(|(of, _)| *of == section);
                own.map(|(_, item)| item.clone()).collect()
            })
        };
        let items = match known {
            Some(items) => items,
            None => self.place.slice(&bounds, &mut |slice| {
                let libraries = std::slice::from_ref(library);
                let found = slice.query(|| read::with_path(&slice.connection, libraries, wanted.spellings))?;
                Ok(found.into_iter().map(|(_, item)| item).collect())
            })?,
        };
        is_it(items)
    }

    fn below(
        &self,
        library: &Library,
        folders: &[Vec<u8>],
        most: usize,
        bounds: Bounds<'_>,
    ) -> Result<Option<Vec<Item>>> {
        check(&bounds)?;
        self.place.slice(&bounds, &mut |slice| {
            slice.query(|| read::below(&slice.connection, library, folders, most, &|| slice.is_over()))
        })
    }

    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        check(&bounds)?;
        if rating_keys.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<i64> = rating_keys.iter().filter_map(|key| key.parse().ok()).collect();
        let libraries = self.libraries(bounds)?;
        let mut items = Vec::new();
        for library in &libraries {
            let read = self.read_items(library, &ids, &bounds)?;
            items.extend(read.into_iter().flatten().map(|item| LocatedItem {
                item,
                section: library.section.clone(),
            }));
        }
        Ok(items)
    }

    fn interrupt_overrun(&self) {
        self.place.slices.interrupt_overrun();
    }

    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        vec![
            // First, since a slice may take long.
            self.place.slices.hold(),
            Box::new(hold(&self, |database| &database.ahead)),
            Box::new(hold(&self, |database| &database.prefetched)),
        ]
    }
}
