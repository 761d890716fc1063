//! Plex's database combined with the HTTP API. Listings, changes and path searches read the database; edits, events and
//! lookups of single items use the server.

use std::sync::Arc;

use crate::error::{Error, Result, Status};
use crate::model::{Item, Library, Server};
use crate::platform::fork::ForkLock;

use super::contract::{
    Abilities, Bounds, EditRequest, Event, IndexedItems, LocatedItem, PageEnd, PageRequest, Source, SourceChanges,
    SourceKind, Tokens, WantedPath,
};
use super::database::PlexDatabase;

/// A database and its server. [`Source::check_precondition`] checks that the database belongs to the server.
pub struct DatabaseAndServer {
    database: Arc<PlexDatabase>,
    server: Arc<dyn Source>,
    server_url: String,
}

impl DatabaseAndServer {
    /// Creates a source from a database and a server. Sends no request.
    pub fn new(database: Arc<PlexDatabase>, server: Arc<dyn Source>, server_url: &str) -> Self {
        Self {
            database,
            server,
            server_url: server_url.to_owned(),
        }
    }

    /// Returns whether the database and the server share a library, or both have no libraries. This check is for a
    /// database without items: there is no item to compare.
    fn have_common_library(&self, bounds: Bounds<'_>) -> Result<bool> {
        let (in_database, on_server) = (self.database.libraries(bounds)?, self.server.libraries(bounds)?);
        let is_on_server = |library: &Library| on_server.iter().any(|other| other.uuid == library.uuid);
        Ok(in_database.iter().any(is_on_server) || (in_database.is_empty() && on_server.is_empty()))
    }

    /// Returns whether the database belongs to the server.
    ///
    /// Compares the machine identifiers if the database's identifier is known. Then compares one library's last item
    /// and item count, with one request. Equal machine identifiers are not enough: when a server's data is moved, an
    /// old database with the same identifier may remain.
    fn database_belongs_to_server(&self, bounds: Bounds<'_>) -> Result<bool> {
        if let Some(identifier) = self.database.machine_identifier()
            && self.server.server(bounds)?.machine_identifier != identifier
        {
            return Ok(false);
        }
        let Some((library, last_item, counts)) = self.database.sample_library(bounds)? else {
            return self.have_common_library(bounds);
        };
        let request = PageRequest {
            library: &library,
            partition: 0,
            // The last item's position depends on how many of the rows before it are in the trash.
            position: counts.start().saturating_sub(1),
            size: u32::try_from(counts.end() - counts.start()).map_or(1_000, |trashed| trashed.min(999) + 1),
        };
        let mut items = Vec::new();
        let page = match self.server.page(&request, bounds, &mut items) {
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
}

impl Source for DatabaseAndServer {
    /// Returns the server's kind, because plexindex uses the server's keys, edits and events.
    fn kind(&self) -> &'static SourceKind {
        self.server.kind()
    }

    /// Returns the server's abilities for items, events and edits, and otherwise the database's abilities.
    fn abilities(&self) -> Abilities {
        let server = self.server.abilities();
        Abilities {
            items: server.items,
            events: server.events,
            edits: server.edits,
            ..self.database.abilities()
        }
    }

    /// Returns a text for the condition that the database belongs to the server; `None` if there is no file to read.
    fn precondition(&self) -> Option<String> {
        let identity = self.database.identity().ok()?;
        Some(format!("{identity} is of {}", self.server_url))
    }

    /// Fails if the database does not belong to the server.
    fn check_precondition(&self, bounds: Bounds<'_>) -> Result<()> {
        if self.database_belongs_to_server(bounds)? {
            return Ok(());
        }
        Err(Error::new(
            Status::NotPlex,
            format!(
                "{} is not the database of the server at {}: it belongs to a different server, or is an old copy; \
                 specify this server's database, or omit `database` or `server_url`",
                self.database.display_name(),
                self.server_url
            ),
        ))
    }

    /// Returns the machine identifier of the database's server, without a request.
    fn server(&self, bounds: Bounds<'_>) -> Result<Server> {
        self.database.server(bounds)
    }

    /// Sends a request to the server, because reading the database does not show whether the server is running.
    fn ping(&self, bounds: Bounds<'_>) -> Result<Server> {
        self.server.server(bounds)
    }

    /// Reads the libraries and change tokens from the database, without a request.
    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>> {
        self.database.libraries(bounds)
    }

    /// Compares the files' state with the change token, because all change tokens come from the database.
    fn may_have_changed(&self, token: &str) -> bool {
        self.database.may_have_changed(token)
    }

    /// Returns the library's partition count, which is the same for the database and the server.
    fn partitions(&self, library: &Library) -> usize {
        self.server.partitions(library)
    }

    /// Reads a page from the database, which costs the server no request.
    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        self.database.page(request, bounds, items)
    }

    /// Requests the items from the server, because plexindex reads no trash from the database.
    fn trash(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        self.server.trash(request, bounds, items)
    }

    /// Reads the shows from the database, which costs the server no request.
    fn shows(&self, library: &Library, bounds: Bounds<'_>) -> Result<Option<Vec<Item>>> {
        self.database.shows(library, bounds)
    }

    /// Reads the changes from the database, which shows every change.
    fn changes(&self, library: &Library, known: &dyn IndexedItems, bounds: Bounds<'_>) -> Result<SourceChanges> {
        self.database.changes(library, known, bounds)
    }

    /// Searches the database, because its search finds every path.
    fn find_path(
        &self,
        library: &Library,
        wanted: &WantedPath<'_>,
        bounds: Bounds<'_>,
        accept: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        self.database.find_path(library, wanted, bounds, accept)
    }

    /// Searches the database, because Plex's HTTP API cannot search by folder.
    fn items_in_folders(
        &self,
        library: &Library,
        folders: &[Vec<u8>],
        max_files: usize,
        bounds: Bounds<'_>,
    ) -> Result<Option<Vec<Item>>> {
        self.database.items_in_folders(library, folders, max_files, bounds)
    }

    /// Requests the items from the server, whose reply is current even while the database is changing.
    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        self.server.items(rating_keys, bounds)
    }

    /// Edits through the server, because plexindex never writes to the database.
    fn edit(&self, request: &EditRequest<'_>, bounds: Bounds<'_>) -> Result<()> {
        self.server.edit(request, bounds)
    }

    fn scan(&self, section: &str, folder: &[u8], bounds: Bounds<'_>) -> Result<()> {
        self.server.scan(section, folder, bounds)
    }

    /// Receives the server's events, because the database has none.
    fn events(&self, bounds: Bounds<'_>, sink: &mut dyn FnMut(Event) -> bool) -> Result<()> {
        self.server.events(bounds, sink)
    }

    fn interrupt_events(&self) {
        self.server.interrupt_events();
    }

    fn tokens(&self) -> Option<Arc<Tokens>> {
        self.server.tokens()
    }

    /// Takes and returns the database's and the server's locks, because a lock that another thread held would stay
    /// locked in the child.
    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        let mut locks = Arc::clone(&self.database).before_fork();
        locks.extend(Arc::clone(&self.server).before_fork());
        locks
    }

    /// Drops the connections to the server. The database source has no connection between calls.
    fn after_fork(&self) {
        self.server.after_fork();
    }

    fn interrupt_overrun(&self) {
        self.database.interrupt_overrun();
    }

    fn interrupt(&self) {
        self.server.interrupt();
    }
}
