//! Plex's own database as a [`Source`]: the file that the server keeps its libraries in, read beside the running server.
//!
//! `place` is where the file is, `slice` how a short look into it leaves no trace, `turns` who looks when; `schema` what is read of
//! it, `read` what that means, in the words of the HTTP API, and `items` the same of all that is an item's, by `cells`; `mark` what tells that something changed. `reader` is what there is between questions, with what was
//! read `ahead`; `listing` and `changes` are made of them.
//!
//! Nothing here asks for anything over a network, and nothing is counted as a request.

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
mod turns;

use std::ops::RangeInclusive;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::Result;
use crate::model::{Item, Library, Server, Trust};
use crate::platform::fork::{Release, hold};

use super::contract::{
    Abilities, Bounds, Delta, Kind, KnownItems, PageEnd, PageRequest, Placed, Resume, Source, SourceChanges, WantedPath,
};

use super::plex::{self, leaf_types, tell_apart};

use self::items::ItemReader;
use self::mark::Mark;
use self::place::FileState;
pub use self::reader::PlexDatabase;
use self::reader::PrefetchedPath;
use self::turns::check;

/// What is known of every database of Plex's: its items go by the names that the server gives them.
pub static KIND: Kind = Kind {
    name: "Plex's database",
    asked: "Plex's database",
    empty: "check whether it is the database of the server that is meant",
    beside: Some("give server_url too"),
    ..plex::KIND
};

impl PlexDatabase {
    /// Which file it is, if it can be read here.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn identity(&self, bounds: &Bounds<'_>) -> Result<String> {
        let state = self.place.slice(bounds, &mut |slice| {
            slice.ask(|| schema::check(&slice.connection))?;
            Ok(slice.state.clone())
        })?;
        Ok(self.identity_of(&state))
    }

    /// The same from outside, whether it can be read or not.
    pub(super) fn identity_from_outside(&self) -> Result<String> {
        Ok(self.identity_of(&self.place.state()?))
    }

    fn identity_of(&self, state: &FileState) -> String {
        format!("{} {:x}", self.place.shown(), state.file)
    }

    /// The machine identifier of its server, where this user may read that.
    pub(super) fn machine_identifier(&self) -> Option<String> {
        self.place.folder().and_then(preferences::machine_identifier)
    }

    /// Its name, for people.
    pub(super) fn shown(&self) -> String {
        format!("Plex's database {}", self.place.shown())
    }

    /// A library with items, the last of them, and how many its server may count: it may count those in the trash or not.
    /// `None`: no library has any.
    pub(super) fn sample(&self, bounds: Bounds<'_>) -> Result<Option<(Library, Item, RangeInclusive<u64>)>> {
        for library in self.libraries(bounds)? {
            let Some(kind) = leaf_types(library.kind).first() else {
                continue;
            };
            let section = listing::section(&library)?;
            let found = self.place.slice(&bounds, &mut |slice| {
                let mut items = ItemReader::new(&slice.connection, section, std::slice::from_ref(kind));
                slice.ask(|| Ok((items.last()?, items.counts(i64::MAX)?)))
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
            titles: false,
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
            // A server without a name goes by where its file lies.
            machine_identifier: self
                .machine_identifier()
                .unwrap_or_else(|| format!("database:{:016x}", xxh3_64(file.as_os_str().as_encoded_bytes()))),
            version: String::new(),
        })
    }

    fn expect(&self, spellings: &[Vec<u8>]) {
        *self.expected() = PrefetchedPath {
            spellings: spellings.to_vec(),
            found: None,
        };
    }

    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>> {
        check(&bounds)?;
        self.ahead().clear();
        let mut expected = std::mem::take(&mut *self.expected());
        // Once: where it was found, it is listed or remembered.
        let wanted = expected.found.is_none() && !expected.spellings.is_empty();
        expected.found = None;
        let mut libraries = self.place.slice(&bounds, &mut |slice| {
            slice.ask(|| {
                schema::check(&slice.connection)?;
                let mut libraries = read::libraries(&slice.connection)?;
                let mark = Mark::read(&slice.connection, &slice.state)?;
                let rows = self.does_count_rows().then(|| mark::count_rows(&slice.connection));
                let token = mark.token(rows.transpose()?, &slice.state);
                for library in &mut libraries {
                    library.change.token.clone_from(&token);
                    library.change.trust = Trust::Exact;
                }
                if wanted {
                    let found = read::with_path(&slice.connection, &libraries, &expected.spellings)?;
                    expected.found = Some((token, found));
                }
                Ok(libraries)
            })
        })?;
        if wanted {
            *self.expected() = expected;
        }
        tell_apart(&mut libraries);
        Ok(libraries)
    }

    fn has_moved(&self, token: &str) -> bool {
        // Who had them counted will ask what went.
        if mark::rows_of(token).is_some() {
            self.counts_rows();
        }
        // What cannot be looked at is read, which says why not.
        self.place
            .state()
            .map_or(true, |state| !mark::still_holds(token, &state))
    }

    fn partitions(&self, library: &Library) -> usize {
        leaf_types(library.kind).len()
    }

    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        self.listed(request, &bounds, items)
    }

    fn changes(&self, library: &Library, known: &dyn KnownItems, bounds: Bounds<'_>) -> Result<SourceChanges> {
        check(&bounds)?;
        self.changed(library, known, &bounds)
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
            let expected = self.expected();
            let found = expected
                .found
                .as_ref()
                .filter(|_| expected.spellings == wanted.spellings);
            found.filter(|(token, _)| !self.has_moved(token)).map(|(_, found)| {
                let own = found.iter().filter(|(of, _)| *of == section);
                own.map(|(_, item)| item.clone()).collect()
            })
        };
        let items = match known {
            Some(items) => items,
            None => self.place.slice(&bounds, &mut |slice| {
                let libraries = std::slice::from_ref(library);
                let found = slice.ask(|| read::with_path(&slice.connection, libraries, wanted.spellings))?;
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
            slice.ask(|| read::below(&slice.connection, library, folders, most, &|| slice.is_over()))
        })
    }

    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<Placed>> {
        check(&bounds)?;
        if rating_keys.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<i64> = rating_keys.iter().filter_map(|key| key.parse().ok()).collect();
        let libraries = self.libraries(bounds)?;
        let mut items = Vec::new();
        for library in &libraries {
            let read = self.read(library, &ids, &bounds)?;
            items.extend(read.into_iter().flatten().map(|item| Placed {
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
            // First: a slice may last.
            self.place.slices.hold(),
            Box::new(hold(&self, |database| &database.ahead)),
            Box::new(hold(&self, |database| &database.expected)),
        ]
    }

    fn after_fork(&self) {}
}
