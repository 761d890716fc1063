//! A source in memory: libraries that tests change as they like, behind the contract of every source. Its keys are 32 hex
//! digits, its listings have three partitions, and its change tokens may be exact, late or wrong. It starts no thread, reads
//! no clock and opens no connection: the same calls give the same answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::NOW_MS;
use crate::index::{Index, ManualClock};
use plexindex::error::{Error, Result, Status};
use plexindex::model::{
    ByteString, Item, ItemType, Library, LibraryKind, Server, SourceState, TokenReliability, uuid_of_section,
};
use plexindex::options::Options;
use plexindex::source::{
    Abilities, Bounds, Counters, DeltaCursor, Event, IndexedItems, LocatedItem, Notification, PageEnd, PageRequest,
    RequestKind, Source, SourceChanges, SourceKind, WantedPath,
};

/// The kind of every server in memory.
pub static KIND: SourceKind = SourceKind {
    name: "Memory",
    noun: "the server",
    empty_hint: "check whether it has any",
    key_prefix: "memory:items:",
    is_rating_key: |key| !key.contains(['/', ',']),
    parse_notification: read_events,
    enabling_option_advice: None,
};

/// Rows of a delta's page.
const DELTA_ROWS: usize = 3;
/// Partitions of a library's listing.
const PARTITIONS: usize = 3;

/// How a change token behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// Exact: moves with each change.
    Exact,
    /// A hint that moves when items are added or removed, not when one changes.
    Coarse,
    /// A hint that moves when [`Memory::catch_up`] is called.
    Lagging,
    /// A hint that never moves.
    Lying,
}

/// A fault of each request from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No server answers.
    Down,
    /// The server is starting.
    Starting,
    /// The token is refused.
    Unauthorized,
    /// The user has no permission.
    Forbidden,
    /// Pages end after this many rows.
    CutAfter(usize),
    /// This many pages are answered, and nothing after that.
    DownAfterPages(u64),
    /// Each answer takes this long; with a shorter deadline there is none.
    Slow(Duration),
}

/// An item and its history on the server.
struct Row {
    item: Item,
    /// The library's version when it was added: its place in the listing.
    born: u64,
    /// The library's version when it changed last.
    changed: u64,
    /// Whether only an exact token shows that change.
    silent: bool,
}

struct Stock {
    library: Library,
    rows: Vec<Row>,
    /// Versions at which items were removed, with their keys.
    gone: Vec<(u64, String)>,
    /// Counts changes.
    version: u64,
    /// The version that the token shows.
    told: u64,
    /// Its disk is not mounted: it lists nothing.
    unmounted: bool,
}

impl Stock {
    /// Its visible items, in the order of the listing.
    fn shown(&self, sees: fn(&str) -> bool) -> impl Iterator<Item = &Row> {
        (self.rows.iter()).filter(move |row| !self.unmounted && sees(&row.item.rating_key))
    }

    /// The same of one partition.
    fn partition(&self, partition: usize, sees: fn(&str) -> bool) -> impl Iterator<Item = &Row> {
        self.shown(sees).filter(move |row| partition_of(&row.item) == partition)
    }

    fn find(&mut self, key: &str) -> &mut Row {
        let row = self.rows.iter_mut().find(|row| row.item.rating_key == key);
        row.unwrap_or_else(|| panic!("no item {key}"))
    }
}

fn partition_of(item: &Item) -> usize {
    item.rating_key.bytes().map(usize::from).sum::<usize>() % PARTITIONS
}

struct State {
    token: Token,
    number: usize,
    has_uuids: bool,
    stocks: Vec<Stock>,
    made: u64,
    fault: Option<Fault>,
    /// The rating key of an item at which each request for items fails.
    poison: Option<String>,
    events: Vec<Event>,
    /// How often a listener came and received everything.
    listened: usize,
    requests: BTreeMap<&'static str, u64>,
}

/// A server in memory. Clones are the same server.
#[derive(Clone)]
pub struct Memory(Arc<Mutex<State>>);

impl Memory {
    /// A server without libraries.
    pub fn new(token: Token) -> Self {
        Self::numbered(0, token, true)
    }

    /// The same with a name of its own; its libraries may have no uuid.
    pub fn numbered(number: usize, token: Token, has_uuids: bool) -> Self {
        Self(Arc::new(Mutex::new(State {
            token,
            number,
            has_uuids,
            stocks: Vec::new(),
            made: 0,
            fault: None,
            poison: None,
            events: Vec::new(),
            listened: 0,
            requests: BTreeMap::new(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, section: &str, how: impl FnOnce(&mut Stock, u64) -> T) -> T {
        let mut state = self.state();
        let token = state.token;
        let stock = (state.stocks.iter_mut())
            .find(|stock| stock.library.section == section)
            .expect("such a library");
        stock.version += 1;
        let version = stock.version;
        let done = how(stock, version);
        if token == Token::Exact {
            stock.told = version;
        }
        done
    }

    /// A source that asks this server.
    pub fn source(&self, counters: Arc<Counters>) -> Arc<dyn Source> {
        self.source_for(counters, |_| true)
    }

    /// The same for a user who sees only the items with these keys.
    pub fn source_for(&self, counters: Arc<Counters>, sees: fn(&str) -> bool) -> Arc<dyn Source> {
        Arc::new(MemorySource {
            memory: self.clone(),
            counters,
            sees,
        })
    }

    /// How often a listener came since [`Memory::hear`].
    pub fn listened(&self) -> usize {
        self.state().listened
    }

    /// Forgets events and listeners. Returns whether an event had not been received.
    pub fn hear(&self) -> bool {
        let mut state = self.state();
        state.listened = 0;
        !std::mem::take(&mut state.events).is_empty()
    }

    /// Whether requests have a fault.
    pub fn is_failing(&self) -> bool {
        self.state().fault.is_some()
    }

    /// Adds a library of films below this folder. Returns its section id.
    pub fn add_library(&self, title: &str, location: &str) -> String {
        let mut state = self.state();
        let section = key(&mut state.made);
        let uuid = if state.has_uuids {
            format!("uuid-of-{section}-{}", state.number)
        } else {
            uuid_of_section(&section)
        };
        state.stocks.push(Stock {
            library: Library {
                section: section.clone(),
                uuid,
                title: title.to_owned(),
                kind: LibraryKind::Movie,
                locations: vec![location.to_owned()],
                ..Library::default()
            },
            rows: Vec::new(),
            gone: Vec::new(),
            version: 1,
            told: 1,
            unmounted: false,
        });
        section
    }

    /// Adds a film with this title and file. Returns its key.
    pub fn add(&self, section: &str, title: &str, path: &str) -> String {
        let rating_key = key(&mut self.state().made);
        self.add_as(section, rating_key, title, path)
    }

    /// The same with a given key.
    pub fn add_as(&self, section: &str, rating_key: String, title: &str, path: &str) -> String {
        let item = Item {
            rating_key: rating_key.clone(),
            kind: ItemType::Movie,
            title: title.to_owned(),
            guid: format!("memory://{rating_key}"),
            parts: vec![path.into()],
            season: -1,
            episode: -1,
            ..Item::default()
        };
        self.change(section, |stock, version| {
            stock.rows.push(Row {
                item,
                born: version,
                changed: version,
                silent: false,
            });
        });
        self.noticed(section);
        rating_key
    }

    /// Removes an item.
    pub fn remove(&self, section: &str, key: &str) {
        self.change(section, |stock, version| {
            stock.find(key);
            stock.rows.retain(|row| row.item.rating_key != key);
            stock.gone.push((version, key.to_owned()));
        });
        self.noticed(section);
    }

    /// Renames or replaces an item's file.
    pub fn rename(&self, section: &str, key: &str, path: &str) {
        self.change(section, |stock, version| {
            let row = stock.find(key);
            row.item.parts = vec![path.into()];
            (row.changed, row.silent) = (version, true);
        });
    }

    /// Two items exchange their files.
    pub fn swap(&self, section: &str, one: &str, other: &str) {
        self.change(section, |stock, version| {
            let files = std::mem::take(&mut stock.find(one).item.parts);
            let others = std::mem::replace(&mut stock.find(other).item.parts, files);
            stock.find(one).item.parts = others;
            for key in [one, other] {
                let row = stock.find(key);
                (row.changed, row.silent) = (version, true);
            }
        });
    }

    /// Moves an item to the trash, or back. The listing contains it either way.
    pub fn trash(&self, section: &str, key: &str, trashed: bool) {
        self.change(section, |stock, version| {
            let row = stock.find(key);
            row.item.trashed = trashed;
            (row.changed, row.silent) = (version, false);
        });
        self.noticed(section);
    }

    /// Gives all items other keys, as when a library is rebuilt.
    pub fn rekey(&self, section: &str) {
        let items: Vec<Item> = self.items(section);
        for item in items {
            self.remove(section, &item.rating_key);
            self.add(section, &item.title, &item.parts[0].to_string());
        }
    }

    /// Unmounts or mounts the library's disk.
    pub fn mount(&self, section: &str, mounted: bool) {
        self.change(section, |stock, version| {
            stock.unmounted = !mounted;
            // A delta sees them as added.
            for row in stock.rows.iter_mut().filter(|_| mounted) {
                (row.changed, row.silent) = (version, false);
            }
        });
        self.noticed(section);
    }

    /// Starts or ends a scan.
    pub fn scan(&self, section: &str, busy: bool) {
        let mut state = self.state();
        let stock = state.stocks.iter_mut().find(|stock| stock.library.section == section);
        stock.expect("such a library").library.change.busy = busy;
    }

    /// Brings late tokens up to date.
    pub fn catch_up(&self) {
        for stock in &mut self.state().stocks {
            stock.told = stock.version;
        }
    }

    /// Items were added or removed: coarse tokens move.
    fn noticed(&self, section: &str) {
        if self.state().token == Token::Coarse {
            self.change(section, |stock, version| stock.told = version);
        }
    }

    /// Each request for items that includes this one fails.
    pub fn poison(&self, rating_key: Option<&str>) {
        self.state().poison = rating_key.map(str::to_owned);
    }

    /// Sets the fault of each request from now on.
    pub fn fail(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// Queues an event for the next listener.
    pub fn tell(&self, event: Event) {
        self.state().events.push(event);
    }

    /// The title and section id of each library.
    pub fn sections(&self) -> Vec<(String, String)> {
        let state = self.state();
        let libraries = state.stocks.iter().map(|stock| &stock.library);
        libraries
            .map(|library| (library.title.clone(), library.section.clone()))
            .collect()
    }

    /// Whether the disk of a library is mounted.
    pub fn is_mounted(&self, section: &str) -> bool {
        let state = self.state();
        let stock = state.stocks.iter().find(|stock| stock.library.section == section);
        stock.is_some_and(|stock| !stock.unmounted)
    }

    /// The items of a library.
    pub fn items(&self, section: &str) -> Vec<Item> {
        let state = self.state();
        let stock = state.stocks.iter().find(|stock| stock.library.section == section);
        let rows = stock.expect("such a library").rows.iter();
        rows.map(|row| row.item.clone()).collect()
    }

    /// Requests since this was called last, by kind.
    pub fn take_requests(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.state().requests)
    }
}

/// A new key of 32 hex digits that shows no order.
fn key(made: &mut u64) -> String {
    *made += 1;
    let mix = |seed: u64| {
        let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    };
    format!("{:016x}{:016x}", mix(*made), mix(!*made))
}

/// `{"section": …, "changed": key}` or `"deleted"`.
fn read_events(json: &[u8]) -> Result<Notification> {
    let refuse = || Error::new(Status::InvalidArgument, "the body is no event of a server in memory");
    let body: serde_json::Value = serde_json::from_slice(json).map_err(|_| refuse())?;
    let text = |name: &str| body.get(name).and_then(|it| it.as_str()).map(str::to_owned);
    let section = text("section");
    let event = match (text("changed"), text("deleted")) {
        (Some(rating_key), _) => Event::Changed {
            section,
            rating_key,
            stamp: None,
        },
        (None, Some(rating_key)) => Event::Deleted { section, rating_key },
        (None, None) => return Err(refuse()),
    };
    Ok(Notification {
        server: None,
        events: vec![event],
    })
}

struct MemorySource {
    memory: Memory,
    counters: Arc<Counters>,
    /// The keys that the user sees.
    sees: fn(&str) -> bool,
}

impl MemorySource {
    /// Begins a request: counts it and applies the fault.
    fn ask(&self, kind: RequestKind, bounds: &Bounds<'_>) -> Result<MutexGuard<'_, State>> {
        if (bounds.aborted)() {
            return Err(Error::new(Status::Aborted, "the host stopped it"));
        }
        let late = || Error::new(Status::Timeout, "the server in memory did not answer in time");
        if bounds.deadline.has_passed() {
            return Err(late());
        }
        self.counters.record_request(kind, 1, Duration::ZERO);
        let mut state = self.memory.state();
        let count = state.requests.entry(kind.name()).or_default();
        *count += 1;
        let pages = *count;
        let failed = |status, text| Err(Error::new(status, text));
        match state.fault {
            Some(Fault::Down) => failed(Status::Connect, "no server in memory is there"),
            Some(Fault::Starting) => failed(Status::Starting, "the server in memory is starting"),
            Some(Fault::Unauthorized) => failed(Status::Unauthorized, "the server in memory refuses the token"),
            Some(Fault::Forbidden) => failed(Status::Forbidden, "the server in memory does not allow this"),
            Some(Fault::Slow(took)) if bounds.deadline.left().is_some_and(|left| left < took) => Err(late()),
            Some(Fault::DownAfterPages(most)) if kind == RequestKind::Page && pages > most => {
                failed(Status::Connect, "the server in memory went away")
            }
            _ => Ok(state),
        }
    }
}

impl State {
    fn stock(&self, library: &Library) -> Result<&Stock> {
        let stock = (self.stocks.iter()).find(|stock| stock.library.section == library.section);
        stock.ok_or_else(|| Error::new(Status::NotOnServer, format!("no library {}", library.section)))
    }
}

impl Source for MemorySource {
    fn kind(&self) -> &'static SourceKind {
        &KIND
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            events: true,
            scans: true,
            local: false,
        }
    }

    fn server(&self, bounds: Bounds<'_>) -> Result<Server> {
        Ok(Server {
            machine_identifier: format!("server {}", self.ask(RequestKind::Identity, &bounds)?.number),
            version: "1".to_owned(),
        })
    }

    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>> {
        let state = self.ask(RequestKind::Probe, &bounds)?;
        let shown = |stock: &Stock| {
            let (token, trust) = match state.token {
                Token::Exact => (stock.told.to_string(), TokenReliability::Exact),
                Token::Coarse | Token::Lagging => (stock.told.to_string(), TokenReliability::Hint),
                Token::Lying => ("as ever".to_owned(), TokenReliability::Hint),
            };
            let change = SourceState {
                token,
                trust,
                ..stock.library.change.clone()
            };
            Library {
                change,
                ..stock.library.clone()
            }
        };
        Ok(state.stocks.iter().map(shown).collect())
    }

    fn partitions(&self, _: &Library) -> usize {
        PARTITIONS
    }

    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        let state = self.ask(RequestKind::Page, &bounds)?;
        let stock = state.stock(request.library)?;
        let total = stock.partition(request.partition, self.sees).count() as u64;
        let size = request.size as usize;
        let by_row = state.token != Token::Exact;
        // A place in the order of the listing, or a number of rows.
        let place = |row: &Row, at: u64| if by_row { at } else { row.born };
        let rows: Vec<(u64, &Row)> = (0..)
            .zip(stock.partition(request.partition, self.sees))
            .map(|(at, row)| (place(row, at), row))
            .skip_while(|(place, _)| *place < request.position)
            .collect();
        for (number, (_, row)) in rows.iter().take(size).enumerate() {
            if (bounds.aborted)() {
                return Err(Error::new(Status::Aborted, "the host stopped it"));
            }
            if matches!(state.fault, Some(Fault::CutAfter(most)) if number == most) {
                return Err(Error::new(Status::BadAnswer, "the answer was cut off"));
            }
            items.push(row.item.clone());
        }
        Ok(PageEnd {
            rows: rows.len().min(size) as u64,
            total: Some(total),
            next: rows.get(size).map(|(place, _)| *place),
            has_shifted: false,
        })
    }

    fn changes(&self, library: &Library, known: &dyn IndexedItems, bounds: Bounds<'_>) -> Result<SourceChanges> {
        // Copied first: this server is locked, and the index may send it requests.
        let (new, mut gone, has_all) = {
            let state = self.ask(RequestKind::Delta, &bounds)?;
            let stock = state.stock(library)?;
            let Ok(since) = known.base_token().parse::<u64>() else {
                return Ok(SourceChanges::Unknown);
            };
            if stock.unmounted {
                return Ok(SourceChanges::Unknown);
            }
            let has_all = state.token == Token::Exact;
            let told = |row: &Row| has_all || !row.silent || row.born > since;
            let is_new = |row: &&Row| row.changed > since && told(row) && (self.sees)(&row.item.rating_key);
            let mut new: Vec<&Row> = stock.rows.iter().filter(is_new).collect();
            new.sort_by_key(|row| std::cmp::Reverse(row.changed));
            let new: Vec<Item> = new.into_iter().map(|row| row.item.clone()).collect();
            let gone = stock
                .gone
                .iter()
                .filter(|(version, key)| *version > since && (self.sees)(key));
            let trashed = new.iter().filter(|item| item.trashed).map(|item| &item.rating_key);
            let gone: Vec<String> = gone.map(|(_, key)| key).chain(trashed).cloned().collect();
            (new, gone, has_all)
        };
        let mut keys = Vec::new();
        for key in gone {
            if known.has_any(std::slice::from_ref(&key))? {
                keys.push(key);
            }
        }
        gone = keys;
        // Newest first, and no further than a page whose last row the index has.
        let mut read = Vec::new();
        for page in new.chunks(DELTA_ROWS) {
            read.extend(page.iter().filter(|item| !item.trashed).cloned());
            if !has_all && !page[page.len() - 1].trashed && known.has(&page[page.len() - 1])? {
                break;
            }
        }
        known.add(&read)?;
        Ok(SourceChanges::Known {
            removed_keys: gone,
            cursor: DeltaCursor::default(),
        })
    }

    fn find_path(
        &self,
        library: &Library,
        wanted: &WantedPath<'_>,
        bounds: Bounds<'_>,
        is_it: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        let found = {
            let state = self.ask(RequestKind::FindPath, &bounds)?;
            let stock = state.stock(library)?;
            let named = |path: &ByteString| path.rsplit(|byte| *byte == b'/').next() == Some(wanted.name.as_bytes());
            let rows = stock
                .shown(self.sees)
                .filter(|row| !row.item.trashed && row.item.parts.iter().any(named));
            rows.map(|row| row.item.clone()).collect()
        };
        is_it(found)
    }

    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        let state = self.ask(RequestKind::Confirm, &bounds)?;
        if state
            .poison
            .as_ref()
            .is_some_and(|poison| rating_keys.contains(&poison.as_str()))
        {
            return Err(Error::new(Status::ServerError, "the server in memory fails at an item"));
        }
        let rows = state.stocks.iter().flat_map(|stock| {
            let section = &stock.library.section;
            stock.rows.iter().map(move |row| (row, section))
        });
        let shown = rows.filter(|(row, _)| !row.item.trashed && (self.sees)(&row.item.rating_key));
        let wanted = shown.filter(|(row, _)| rating_keys.contains(&row.item.rating_key.as_str()));
        let placed = wanted.map(|(row, section)| LocatedItem {
            item: row.item.clone(),
            section: section.clone(),
        });
        Ok(placed.collect())
    }

    /// Sends the queued events; then the server ends the stream.
    fn events(&self, bounds: Bounds<'_>, sink: &mut dyn FnMut(Event) -> bool) -> Result<()> {
        let asked = self.ask(RequestKind::Events, &bounds);
        let told = match asked {
            Ok(mut state) => Ok(std::mem::take(&mut state.events)),
            Err(error) => Err(error),
        };
        let told = told.map(|events| {
            if sink(Event::Connected) {
                events.into_iter().all(sink);
            }
        });
        self.memory.state().listened += 1;
        told
    }
}

/// A server in memory with one library of films, a clock that stands still, and options for an index over it.
pub struct Films {
    pub memory: Memory,
    pub section: String,
    pub clock: Arc<ManualClock>,
    /// Options of indexes opened from now on.
    pub options: Options,
    folder: tempfile::TempDir,
}

impl Films {
    /// So many: 'Film 0' and so on.
    pub fn new(token: Token, films: u32) -> Self {
        let memory = Memory::new(token);
        let section = memory.add_library("Movies", "/data/movies");
        for number in 0..films {
            memory.add(&section, &format!("Film {number}"), &film(number));
        }
        memory.catch_up();
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            memory,
            section,
            clock: Arc::new(ManualClock::new(NOW_MS)),
            options: Options {
                cache_dir: folder.path().to_owned(),
                server_url: Some("http://memory".to_owned()),
                ..Options::default()
            },
            folder,
        }
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub fn open(&self) -> Index {
        self.open_over(|source| source)
    }

    /// An index over what is made of the server's source.
    pub fn open_over(&self, make: impl Fn(Arc<dyn Source>) -> Arc<dyn Source>) -> Index {
        let (options, clock) = (self.options.clone(), Arc::clone(&self.clock));
        let index = Index::open_with(options, clock, |_, _, counters| Ok(make(self.memory.source(counters))));
        index.expect("the index opens")
    }

    pub fn listed(&self) -> Index {
        let index = self.open();
        index.list();
        index
    }
}

/// Where a film of that name or number is.
pub fn file(name: &str) -> String {
    format!("/data/movies/{name}.mkv")
}

pub fn film(number: u32) -> String {
    file(&format!("Film {number}"))
}
