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
    Abilities, Bounds, EditRequest, Event, Kind, KnownItems, PageEnd, PageRequest, Placed, Source, SourceChanges,
    Tokens, WantedPath,
};
use super::database::PlexDatabase;

/// How long a file that was readable before is retried: the server may be restarting.
const RESTART: Duration = Duration::from_secs(15);

/// A database, and the server that it should be of.
pub struct FallbackSource {
    database: Arc<PlexDatabase>,
    server: Arc<dyn Source>,
    /// The server's place.
    url: String,
    is_unavailable: AtomicBool,
    file: Mutex<File>,
    /// Two fixed variants, one that uses the file and one that uses only the server. A job uses one of them
    /// throughout. `None` in the variants themselves.
    settled: Option<[Box<FallbackSource>; 2]>,
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
struct File {
    /// It was used.
    was_used: bool,
    /// When it became unusable.
    failing: Option<Instant>,
    /// The last warning logged about the file: the same one is not logged twice in a row.
    told: String,
}

/// The verdict on a file that is another server's, or an old one of this server.
const OTHER_SERVER: &str = "is not what the server has";

impl FallbackSource {
    /// Neither is asked anything yet.
    pub fn new(database: &Arc<PlexDatabase>, server: &Arc<dyn Source>, url: &str) -> Self {
        let made = |is_unavailable, settled| Self {
            database: Arc::clone(database),
            server: Arc::clone(server),
            url: url.to_owned(),
            is_unavailable: AtomicBool::new(is_unavailable),
            file: Mutex::default(),
            settled,
        };
        let settled = [false, true].map(|is_unavailable| Box::new(made(is_unavailable, None)));
        made(false, Some(settled))
    }

    /// The file, while it can be used; else the server.
    fn available(&self) -> &dyn Source {
        if self.is_unavailable() {
            &*self.server
        } else {
            &*self.database
        }
    }

    fn tell(&self, why: String) {
        let mut file = lock(&self.file);
        if file.told != why {
            log::warn!("{why}; the server at {} is asked instead", self.url);
            file.told = why;
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

    /// What the database depends on, if it can be read now. Half of the call's time is the server's, which answers where it cannot.
    fn precondition(&self, bounds: Bounds<'_>) -> Option<String> {
        let half = Bounds {
            deadline: bounds.left().map(|left| Instant::now() + left / 2),
            ..bounds
        };
        match self.database.identity(&half) {
            Ok(identity) => {
                lock(&self.file).failing = None;
                Some(precondition(&identity, &self.url))
            }
            // That this call has no time says nothing of the file.
            Err(error) if matches!(error.status, Status::Timeout | Status::Aborted) => None,
            Err(error) => {
                let waits = {
                    let mut file = lock(&self.file);
                    let since = *file.failing.get_or_insert_with(Instant::now);
                    file.was_used && error.status.meaning() == Meaning::NotNow && since.elapsed() < RESTART
                };
                // Meanwhile its old answers stand in.
                if !waits {
                    self.is_unavailable.store(true, Ordering::Release);
                    self.tell(error.message);
                }
                None
            }
        }
    }

    /// The server's name, where its file's is known. Then one request: the last item of a library, as both have it, and how many
    /// there are. The name alone proves little: a server that keeps its data elsewhere leaves its file behind.
    fn check_precondition(&self, bounds: Bounds<'_>) -> Result<bool> {
        if let Some(name) = self.database.machine_identifier()
            && self.server.server(bounds)?.machine_identifier != name
        {
            return Ok(false);
        }
        let Some((library, last, counts)) = self.database.sample(bounds)? else {
            // An empty database: it is this server's if it has one of its libraries, or neither has any.
            let (ours, theirs) = (self.database.libraries(bounds)?, self.server.libraries(bounds)?);
            let uuids = |library: &Library| theirs.iter().any(|other| other.uuid == library.uuid);
            return Ok(ours.iter().any(uuids) || (ours.is_empty() && theirs.is_empty()));
        };
        let request = PageRequest {
            library: &library,
            partition: 0,
            position: counts.start().saturating_sub(1),
            size: 1,
        };
        let mut items = Vec::new();
        let page = match self.server.page(&request, bounds, &mut items) {
            // The server has no such library, or shows it to others only.
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

    fn settle(&self, holds: bool) {
        self.is_unavailable.store(!holds, Ordering::Release);
        if holds {
            let mut file = lock(&self.file);
            file.was_used = true;
            file.told.clear();
        } else {
            // The file may be known by its folder at first. That is no other verdict.
            let is_told = lock(&self.file).told.ends_with(OTHER_SERVER);
            if !is_told {
                self.tell(format!("{} {OTHER_SERVER}", self.database.shown()));
            }
        }
    }

    fn is_unavailable(&self) -> bool {
        self.is_unavailable.load(Ordering::Acquire)
    }

    fn settled(&self) -> Option<&dyn Source> {
        let [file, server] = self.settled.as_ref()?;
        Some(if self.is_unavailable() { &**server } else { &**file })
    }

    fn why_unavailable(&self) -> Option<String> {
        self.is_unavailable().then(|| lock(&self.file).told.clone())
    }

    fn server(&self, bounds: Bounds<'_>) -> Result<Server> {
        self.available().server(bounds)
    }

    fn reach(&self, bounds: Bounds<'_>) -> Result<Server> {
        self.server.server(bounds)
    }

    fn expect(&self, spellings: &[Vec<u8>]) {
        self.available().expect(spellings);
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

    fn find_title(
        &self,
        library: &Library,
        title: &str,
        bounds: Bounds<'_>,
        sink: &mut dyn FnMut(Vec<Item>) -> Result<()>,
    ) -> Result<bool> {
        self.available().find_title(library, title, bounds, sink)
    }

    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<Placed>> {
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

    fn recall(&self, words: &str) {
        self.server.recall(words);
    }

    fn learned(&self) -> String {
        self.server.learned()
    }

    fn is_limited(&self) -> bool {
        self.is_unavailable() && self.server.is_limited()
    }

    fn tokens(&self) -> Option<Arc<Tokens>> {
        self.server.tokens()
    }

    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn Release>> {
        let mut held: Vec<Box<dyn Release>> = vec![Box::new(hold(&self, |beside| &beside.file))];
        held.extend(Arc::clone(&self.database).before_fork());
        held.extend(Arc::clone(&self.server).before_fork());
        held
    }

    fn after_fork(&self) {
        self.server.after_fork();
    }

    fn overdue(&self) -> Option<String> {
        self.server.overdue()
    }

    fn interrupt_overrun(&self) {
        self.database.interrupt_overrun();
    }

    fn interrupt(&self) {
        self.server.interrupt();
    }
}
