//! Plex's database with the HTTP API as its fallback: the file serves listings, changes and path searches; the server
//! serves edits, events and single items. If the file is unavailable or belongs to another server, HTTP serves
//! everything.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::error::{Meaning, Result, Status};
use crate::model::{Item, Library, Server};
use crate::platform::fork::{Release, hold};
use crate::platform::mutex::lock;

use super::contract::{
    Abilities, Bounds, EditRequest, Event, Kind, KnownItems, LocatedItem, PageEnd, PageRequest, Source, SourceChanges,
    Tokens, WantedPath,
};
use super::database::PlexDatabase;

/// How long a file that was readable before is retried: the server may be restarting.
const RESTART_TIME: Duration = Duration::from_secs(15);

/// A database and the server that it should belong to.
pub struct FallbackSource {
    database: Arc<PlexDatabase>,
    server: Arc<dyn Source>,
    /// URL of the server.
    url: String,
    is_unavailable: AtomicBool,
    file: Mutex<FileStatus>,
    /// Two fixed variants, one that uses the file and one that uses only the server. A job uses one of them
    /// throughout. `None` in the variants themselves.
    pinned: Option<[Box<FallbackSource>; 2]>,
}

/// The precondition as text: this file belongs to this server.
fn precondition(identity: &str, url: &str) -> String {
    format!("{identity} is of {url}")
}

/// Returns the precondition of a database and its server, without reading the database; `None` if there is no such
/// file.
pub fn precondition_of(database: &Path, url: &str) -> Option<String> {
    let identity = PlexDatabase::new(database).identity_from_outside().ok()?;
    Some(precondition(&identity, url))
}

/// State of the file.
#[derive(Default)]
struct FileStatus {
    /// The file was used successfully.
    was_used: bool,
    /// Since when the file has been unusable.
    failing: Option<Instant>,
    /// The last warning logged about the file, to avoid repeating it.
    last_warning: String,
}

/// Warning for a file of another server, or an old file of this server.
const OTHER_SERVER: &str = "is not what the server has";

impl FallbackSource {
    /// Creates a source from both. Sends no request.
    pub fn new(database: &Arc<PlexDatabase>, server: &Arc<dyn Source>, url: &str) -> Self {
        let made = |is_unavailable, pinned| Self {
            database: Arc::clone(database),
            server: Arc::clone(server),
            url: url.to_owned(),
            is_unavailable: AtomicBool::new(is_unavailable),
            file: Mutex::default(),
            pinned,
        };
        let pinned = [false, true].map(|is_unavailable| Box::new(made(is_unavailable, None)));
        made(false, Some(pinned))
    }

    /// Returns the file while it is usable, otherwise the server.
    fn available(&self) -> &dyn Source {
        if self.is_unavailable() {
            &*self.server
        } else {
            &*self.database
        }
    }

    /// Returns whether an empty database belongs to this server: they share a library, or neither has any.
    fn have_same_libraries(&self, bounds: Bounds<'_>) -> Result<bool> {
        let (ours, theirs) = (self.database.libraries(bounds)?, self.server.libraries(bounds)?);
        let is_shared = |library: &Library| theirs.iter().any(|other| other.uuid == library.uuid);
        Ok(ours.iter().any(is_shared) || (ours.is_empty() && theirs.is_empty()))
    }

    fn warn_once(&self, why: String) {
        let mut file = lock(&self.file);
        if file.last_warning != why {
            log::warn!("{why}; the server at {} is asked instead", self.url);
            file.last_warning = why;
        }
    }
}

impl Source for FallbackSource {
    fn kind(&self) -> &'static Kind {
        self.server.kind()
    }

    fn abilities(&self) -> Abilities {
        let server = self.server.abilities();
        Abilities {
            items: server.items,
            events: server.events,
            edits: server.edits,
            ..self.available().abilities()
        }
    }

    /// Returns the precondition of the file if it is readable now. Leaves half of the call's time to the server, in
    /// case the file is not.
    fn precondition(&self, bounds: Bounds<'_>) -> Option<String> {
        let half = Bounds {
            deadline: bounds.deadline.half(),
            ..bounds
        };
        match self.database.identity(&half) {
            Ok(identity) => {
                lock(&self.file).failing = None;
                Some(precondition(&identity, &self.url))
            }
            // A lack of time says nothing about the file.
            Err(error) if matches!(error.status, Status::Timeout | Status::Aborted) => None,
            Err(error) => {
                let waits = {
                    let mut file = lock(&self.file);
                    let since = *file.failing.get_or_insert_with(Instant::now);
                    file.was_used && error.status.meaning() == Meaning::NotNow && since.elapsed() < RESTART_TIME
                };
                // Until then the store answers.
                if !waits {
                    self.is_unavailable.store(true, Ordering::Release);
                    self.warn_once(error.message);
                }
                None
            }
        }
    }

    /// Compares the machine identifiers if both are known. Then sends one request and compares a library's last item
    /// and the number of items. The machine identifier alone proves little: a server that keeps its data elsewhere
    /// leaves its old file behind.
    fn check_precondition(&self, bounds: Bounds<'_>) -> Result<bool> {
        if let Some(name) = self.database.machine_identifier()
            && self.server.server(bounds)?.machine_identifier != name
        {
            return Ok(false);
        }
        let Some((library, last, counts)) = self.database.sample(bounds)? else {
            return self.have_same_libraries(bounds);
        };
        let request = PageRequest {
            library: &library,
            partition: 0,
            position: counts.start().saturating_sub(1),
            size: 1,
        };
        let mut items = Vec::new();
        let page = match self.server.page(&request, bounds, &mut items) {
            // The server does not have this library, or the user may not see it.
            Err(error) if matches!(error.status, Status::NotOnServer | Status::Forbidden) => return Ok(false),
            page => page?,
        };
        let is_it = |item: &Item| {
            item.rating_key == last.rating_key
                && item.guid == last.guid
                && (item.parts.is_empty() == last.parts.is_empty())
                && (last.parts.is_empty() || item.parts.iter().any(|part| last.parts.contains(part)))
        };
        Ok(items.iter().any(is_it) && page.total.is_none_or(|total| counts.contains(&total)))
    }

    fn set_available(&self, holds: bool) {
        self.is_unavailable.store(!holds, Ordering::Release);
        if holds {
            let mut file = lock(&self.file);
            file.was_used = true;
            file.last_warning.clear();
        } else {
            // The same warning may name the folder first and the file later: do not repeat it.
            let is_repeated = lock(&self.file).last_warning.ends_with(OTHER_SERVER);
            if !is_repeated {
                self.warn_once(format!("{} {OTHER_SERVER}", self.database.find_display_name()));
            }
        }
    }

    fn is_unavailable(&self) -> bool {
        self.is_unavailable.load(Ordering::Acquire)
    }

    fn pinned(&self) -> Option<&dyn Source> {
        let [file, server] = self.pinned.as_ref()?;
        Some(if self.is_unavailable() { &**server } else { &**file })
    }

    fn why_unavailable(&self) -> Option<String> {
        self.is_unavailable().then(|| lock(&self.file).last_warning.clone())
    }

    fn server(&self, bounds: Bounds<'_>) -> Result<Server> {
        self.available().server(bounds)
    }

    fn ping(&self, bounds: Bounds<'_>) -> Result<Server> {
        self.server.server(bounds)
    }

    fn prefetch_path(&self, spellings: &[Vec<u8>]) {
        self.available().prefetch_path(spellings);
    }

    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>> {
        self.available().libraries(bounds)
    }

    fn has_moved(&self, token: &str) -> bool {
        self.available().has_moved(token)
    }

    fn partitions(&self, library: &Library) -> usize {
        self.server.partitions(library)
    }

    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        self.available().page(request, bounds, items)
    }

    fn changes(&self, library: &Library, known: &dyn KnownItems, bounds: Bounds<'_>) -> Result<SourceChanges> {
        self.available().changes(library, known, bounds)
    }

    fn find_path(
        &self,
        library: &Library,
        wanted: &WantedPath<'_>,
        bounds: Bounds<'_>,
        is_it: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        self.available().find_path(library, wanted, bounds, is_it)
    }

    fn below(
        &self,
        library: &Library,
        folders: &[Vec<u8>],
        most: usize,
        bounds: Bounds<'_>,
    ) -> Result<Option<Vec<Item>>> {
        self.available().below(library, folders, most, bounds)
    }

    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        self.server.items(rating_keys, bounds)
    }

    fn edit(&self, request: &EditRequest<'_>, bounds: Bounds<'_>) -> Result<()> {
        self.server.edit(request, bounds)
    }

    fn events(&self, bounds: Bounds<'_>, sink: &mut dyn FnMut(Event) -> bool) -> Result<()> {
        self.server.events(bounds, sink)
    }

    fn interrupt_events(&self) {
        self.server.interrupt_events();
    }

    fn tokens(&self) -> Option<Arc<Tokens>> {
        self.server.tokens()
    }

    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        let mut locks: Vec<Box<dyn Release>> = vec![Box::new(hold(&self, |source| &source.file))];
        locks.extend(Arc::clone(&self.database).before_fork());
        locks.extend(Arc::clone(&self.server).before_fork());
        locks
    }

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
