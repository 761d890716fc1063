//! Plex's own database as a [`Source`]: the file in which the server stores its libraries, read while the server runs.
//!
//! `database_file` finds the file, and serializes the short read transactions of `read_transaction`. `item_reader`
//! reads the columns and lists a library. `changed_rows` computes the change token, and finds changes.
//!
//! Listings, changes and path searches read the file and send no network request. If the host also specified the
//! server, scans, events and lookups of single items use the server. plexindex checks that the database belongs to it.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use self::changed_rows::Watermark;
use self::database_file::{DatabaseFile, check_bounds, machine_identifier};
use self::item_reader::{ItemReader, section_id};
use self::read_transaction::check_schema;
use super::contract::{
    Abilities, Bounds, Event, IndexedItems, LocatedItem, PageEnd, PageRequest, Source, SourceChanges, SourceKind,
    Tokens, WantedPath,
};
use super::plex::{self, item_types_with_files, make_uuids_unique};
use crate::error::{Error, Result, Status};
use crate::model::{Item, Library, Server, TokenReliability};
use crate::platform::clock::{Clock, SystemClock};
use crate::platform::fork::ForkLock;

mod changed_rows;
mod database_file;
mod item_reader;
mod read_transaction;

/// The constants of this kind of source. Its items have the server's rating keys.
pub static KIND: SourceKind = SourceKind {
    name: "Plex's database",
    noun: "Plex's database",
    empty_hint: "check that this is the database of the right server",
    enabling_option_advice: Some("set server_url too"),
    ..plex::KIND
};

/// The library database of a Plex Media Server.
pub struct PlexDatabase {
    pub(super) file: DatabaseFile,
    /// Whether each probe counts the rows. Deltas need the count, but counting would delay the first answer.
    pub(super) counts_rows: AtomicBool,
    server: Option<(Arc<dyn Source>, String)>,
}

impl PlexDatabase {
    /// Creates a source for the database file, its folder, or the folder 'Plex Media Server'. Reads nothing yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self::with_clock(path, Arc::new(SystemClock))
    }

    /// Creates a source for the database file, its folder, or the folder 'Plex Media Server'. `clock` measures how long
    /// reads stay suspended after failures. Reads nothing yet.
    #[must_use]
    pub fn with_clock(path: &Path, clock: Arc<dyn Clock>) -> Self {
        Self {
            file: DatabaseFile::new(path, clock),
            counts_rows: AtomicBool::new(false),
            server: None,
        }
    }

    /// Adds the server at `url`. [`Source::check_precondition`] checks that the database belongs to it.
    #[must_use]
    pub fn with_server(mut self, server: Arc<dyn Source>, url: &str) -> Self {
        self.server = Some((server, url.to_owned()));
        self
    }

    /// Returns the server; `None` if the host specified none.
    fn server_source(&self) -> Option<&dyn Source> {
        self.server.as_ref().map(|(server, _)| server.as_ref())
    }

    /// Returns the server, for an operation that the file does not support.
    fn require_server(&self) -> Result<&dyn Source> {
        self.server_source()
            .ok_or_else(|| KIND.unsupported("is only read", "set server_url too"))
    }

    /// Makes each later probe count the rows, so that deltas can detect removals.
    pub(super) fn enable_row_counts(&self) {
        self.counts_rows.store(true, Ordering::Relaxed);
    }

    /// Returns the machine identifier of the database's server; `None` if this process's user cannot read the server's
    /// preferences.
    pub(super) fn machine_identifier(&self) -> Option<String> {
        self.file.server_folder().and_then(machine_identifier)
    }
}

impl Source for PlexDatabase {
    /// Returns the server's kind if there is a server, because plexindex then uses the server's keys, scans and events.
    fn kind(&self) -> &'static SourceKind {
        self.server_source().map_or(&KIND, Source::kind)
    }

    /// Returns this source's abilities: all, but without a server no events and scans, because plexindex only reads the
    /// file.
    fn abilities(&self) -> Abilities {
        Abilities {
            local: true,
            ..self.server_source().map(Source::abilities).unwrap_or_default()
        }
    }

    /// Returns a text for the condition that the database belongs to the server, with the file's path and file id: a
    /// replaced database has a different text. `None` if there is no server or no file to read. Opens no file.
    fn precondition(&self) -> Option<String> {
        let (_, url) = self.server.as_ref()?;
        let state = self.file.read_state().ok()?; // this call is first, because it finds the path to display
        Some(format!("{} {:x} is of {url}", self.file.display(), state.file_id))
    }

    /// Fails if the database does not belong to the server.
    fn check_precondition(&self, bounds: Bounds<'_>) -> Result<()> {
        let Some((server, url)) = &self.server else {
            return Ok(());
        };
        if self.belongs_to(server.as_ref(), bounds)? {
            return Ok(());
        }
        let _ = self.file.path(); // finds the path to display; ignores an error, which a later read reports
        Err(Error::new(
            Status::NotPlex,
            format!(
                "Plex's database {} is not the database of the server at {url}: it belongs to a different server, or \
                 is an old copy; specify this server's database, or omit `database` or `server_url`",
                self.file.display()
            ),
        ))
    }

    /// Returns the machine identifier from the server's preferences, or, if it is unknown, a hash of the file's path.
    fn server(&self, bounds: Bounds<'_>) -> Result<Server> {
        check_bounds(&bounds)?;
        let file = self.file.path()?;
        Ok(Server {
            machine_identifier: self
                .machine_identifier()
                .unwrap_or_else(|| format!("database:{:016x}", xxh3_64(file.as_os_str().as_encoded_bytes()))),
            version: String::new(),
        })
    }

    /// Sends a request to the server, because reading the database does not show whether the server is running.
    fn ping(&self, bounds: Bounds<'_>) -> Result<Server> {
        self.server_source().unwrap_or(self).server(bounds)
    }

    /// Reads the libraries, and sets the same change token for all of them.
    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>> {
        check_bounds(&bounds)?;
        let mut libraries = self.file.run_in_transaction(&bounds, &mut |transaction| {
            transaction.query(|| {
                check_schema(&transaction.connection)?;
                let mut libraries = item_reader::read_libraries(&transaction.connection)?;
                let current_watermark = Watermark::read(&transaction.connection, &transaction.state)?;
                let counts_rows = self.counts_rows.load(Ordering::Relaxed);
                let row_count = counts_rows.then(|| changed_rows::count_rows(&transaction.connection));
                let token = current_watermark.token(row_count.transpose()?, &transaction.state);
                for library in &mut libraries {
                    library.change.token.clone_from(&token);
                    library.change.trust = TokenReliability::Exact;
                }
                Ok(libraries)
            })
        })?;
        make_uuids_unique(&mut libraries);
        Ok(libraries)
    }

    /// Returns whether the files have changed since this change token, according to their metadata. Opens no file.
    fn may_have_changed(&self, token: &str) -> bool {
        // A row count in the token means that some process needs row counts for its deltas.
        if changed_rows::parse_row_count(token).is_some() {
            self.enable_row_counts();
        }
        // Returns `true` after an error: the caller then reads the file and reports the error.
        let state = self.file.read_state();
        state.map_or(true, |state| !changed_rows::is_token_current(token, &state))
    }

    /// Returns the number of item types that have files in this kind of library. Each partition contains one type.
    fn partitions(&self, library: &Library) -> usize {
        item_types_with_files(library.kind).len()
    }

    /// Adds a page to `items`. Positions are item ids.
    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        self.read_page(request, &bounds, items)
    }

    /// Requests the items from the server, because plexindex reads no trash from the database.
    fn trash(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        self.require_server()?.trash(request, bounds, items)
    }

    /// Reads the library's shows in short read transactions.
    fn shows(&self, library: &Library, bounds: Bounds<'_>) -> Result<Option<Vec<Item>>> {
        check_bounds(&bounds)?;
        self.read_shows(library, &bounds).map(Some)
    }

    /// Finds all changes since the last listing or delta: the server's change counter shows changed rows, and the row
    /// count shows whether rows were removed.
    fn changes(&self, library: &Library, known: &dyn IndexedItems, bounds: Bounds<'_>) -> Result<SourceChanges> {
        check_bounds(&bounds)?;
        self.read_changes(library, known, &bounds)
    }

    /// Passes the items with exactly this path to `accept`, and returns its result.
    fn find_path(
        &self,
        library: &Library,
        wanted: &WantedPath<'_>,
        bounds: Bounds<'_>,
        accept: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        check_bounds(&bounds)?;
        let section = section_id(library)?;
        accept(self.file.run_in_transaction(&bounds, &mut |transaction| {
            let spellings = wanted.candidate_paths;
            transaction
                .query(|| item_reader::find_items_by_path(&transaction.connection, section, library.kind, spellings))
        })?)
    }

    /// Requests the items from the server, whose reply is current even while the database is changing. Without a
    /// server, reads the items from all libraries. Ignores keys without an item.
    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        if let Some(server) = self.server_source() {
            return server.items(rating_keys, bounds);
        }
        check_bounds(&bounds)?;
        if rating_keys.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<i64> = rating_keys.iter().filter_map(|key| key.parse().ok()).collect();
        let libraries = self.libraries(bounds)?;
        let mut items = Vec::new();
        for library in &libraries {
            let read = self.read_items(library, item_types_with_files(library.kind), &ids, &bounds)?;
            items.extend(read.into_iter().flatten().map(|item| LocatedItem {
                item,
                section: library.section.clone(),
            }));
        }
        Ok(items)
    }

    fn scan(&self, section: &str, folder: &[u8], bounds: Bounds<'_>) -> Result<()> {
        self.require_server()?.scan(section, folder, bounds)
    }

    fn refresh_item(&self, rating_key: &str, analyzes: bool, bounds: Bounds<'_>) -> Result<()> {
        self.require_server()?.refresh_item(rating_key, analyzes, bounds)
    }

    /// Receives the server's events, because the database has none.
    fn events(&self, bounds: Bounds<'_>, sink: &mut dyn FnMut(Event) -> bool) -> Result<()> {
        self.require_server()?.events(bounds, sink)
    }

    fn interrupt_events(&self) {
        _ = self.server_source().map(Source::interrupt_events);
    }

    fn tokens(&self) -> Option<Arc<Tokens>> {
        self.server_source()?.tokens()
    }

    /// Interrupts a read transaction that has exceeded its time limit.
    fn interrupt_overrun(&self) {
        self.file.read_lock.interrupt_overrun();
    }

    fn interrupt(&self) {
        _ = self.server_source().map(Source::interrupt);
    }

    /// Takes the locks, and the server's. While the read lock is held, no read transaction is running and so no
    /// connection to the database is open.
    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        let mut locks = vec![self.file.read_lock.lock_for_fork()];
        locks.extend(
            self.server
                .iter()
                .flat_map(|(server, _)| Arc::clone(server).before_fork()),
        );
        locks
    }

    /// Drops the connections to the server.
    fn after_fork(&self) {
        _ = self.server_source().map(Source::after_fork);
    }
}

impl PlexDatabase {
    /// Returns whether the database and the server share a library, or both have no libraries. This check is for a
    /// database without items: there is no item to compare.
    fn have_common_library(&self, server: &dyn Source, bounds: Bounds<'_>) -> Result<bool> {
        let (in_database, on_server) = (self.libraries(bounds)?, server.libraries(bounds)?);
        let is_on_server = |library: &Library| on_server.iter().any(|other| other.uuid == library.uuid);
        Ok(in_database.iter().any(is_on_server) || (in_database.is_empty() && on_server.is_empty()))
    }

    /// Returns whether the database belongs to the server.
    ///
    /// Compares the machine identifiers if the database's identifier is known. Then compares one library's last item
    /// and item count, with one request. Equal machine identifiers are not enough: when a server's data is moved, an
    /// old database with the same identifier may remain.
    fn belongs_to(&self, server: &dyn Source, bounds: Bounds<'_>) -> Result<bool> {
        if let Some(identifier) = self.machine_identifier()
            && server.server(bounds)?.machine_identifier != identifier
        {
            return Ok(false);
        }
        let Some((library, last_item, counts)) = self.sample_library(bounds)? else {
            return self.have_common_library(server, bounds);
        };
        let request = PageRequest {
            library: &library,
            partition: 0,
            // The last item's position depends on how many of the rows before it are in the trash.
            position: counts.start().saturating_sub(1),
            size: u32::try_from(counts.end() - counts.start()).map_or(1_000, |trashed| trashed.min(999) + 1),
        };
        let mut items = Vec::new();
        let page = match server.page(&request, bounds, &mut items) {
            // The server does not have this library, or the user is not allowed to see it.
            Err(error) if matches!(error.status, Status::NotOnServer | Status::Forbidden) => return Ok(false),
            page => page?,
        };
        // An equal item has the same keys, and has a file in common or no files on both sides.
        let is_last_item = |item: &Item| {
            item.rating_key == last_item.rating_key
                && item.guid == last_item.guid
                && (item.parts.is_empty() == last_item.parts.is_empty())
                && (last_item.parts.is_empty() || item.parts.iter().any(|part| last_item.parts.contains(part)))
        };
        Ok(items.iter().any(is_last_item) && page.total.is_none_or(|total| counts.contains(&total)))
    }

    /// Returns a library that has items, its last item, and the range of item counts that the server may report,
    /// because some servers count the trash. Returns `None` if no library has items.
    fn sample_library(&self, bounds: Bounds<'_>) -> Result<Option<(Library, Item, RangeInclusive<u64>)>> {
        for library in self.libraries(bounds)? {
            let Some(kind) = item_types_with_files(library.kind).first() else {
                continue;
            };
            let section = section_id(&library)?;
            let found = self.file.run_in_transaction(&bounds, &mut |transaction| {
                let mut reader = ItemReader::new(&transaction.connection, section, std::slice::from_ref(kind));
                transaction.query(|| Ok((reader.last_item()?, reader.count_items(i64::MAX)?)))
            })?;
            if let (Some(last_item), counts) = found {
                return Ok(Some((library, last_item, counts.without_trash..=counts.with_trash)));
            }
        }
        Ok(None)
    }
}
