//! A source that calls a test before each request, after it and within it, and may lie about what it was answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::Scene;
use crate::index::{Index, ManualClock};
use plexindex::error::{Result, Status};
use plexindex::model::{Item, Library, Server};
use plexindex::options::Options;
use plexindex::source::plex::PlexHttp;
use plexindex::source::{
    Abilities, Bounds, Event, IndexedItems, LocatedItem, PageEnd, PageRequest, Source, SourceChanges, SourceKind,
    WantedPath,
};

/// How long the server may be silent, and failures are retried; `None` for as long as the options allow.
pub type Patience = [Option<Duration>; 2];
/// Called when an answer has arrived and before it is used, with the request.
pub type Hook = Arc<dyn Fn(&'static str, Patience) + Send + Sync>;

/// So many pages and no more: an index that asks for ever fails then.
const MOST_PAGES: u64 = 100_000;

type Page = dyn Fn(&PageRequest<'_>, &mut Vec<Item>, PageEnd) -> PageEnd + Send + Sync;
type Shown = dyn Fn(u64, Vec<Library>) -> Vec<Library> + Send + Sync;

/// How answers are changed on their way, and how many there were.
pub struct Lies {
    pub page: Box<Page>,
    /// With the number of the call.
    pub shown: Box<Shown>,
    pub pages: AtomicU64,
    pub probes: AtomicU64,
}

impl Default for Lies {
    fn default() -> Self {
        Self {
            page: Box::new(|_, _, end| end),
            shown: Box::new(|_, shown| shown),
            pages: AtomicU64::new(0),
            probes: AtomicU64::new(0),
        }
    }
}

/// A source over others.
pub struct Hooked {
    /// The one that answers now.
    pub real: Box<dyn Fn() -> Arc<dyn Source> + Send + Sync>,
    /// Called before each request.
    pub begins: Box<dyn Fn(&'static str) + Send + Sync>,
    pub hook: Hook,
    /// Called after each request that failed.
    pub fails: Box<dyn Fn(Status) + Send + Sync>,
    pub lies: Arc<Lies>,
}

impl Hooked {
    /// One that does nothing yet.
    pub fn new(real: Arc<dyn Source>) -> Self {
        Self {
            real: Box::new(move || Arc::clone(&real)),
            begins: Box::new(|_| ()),
            hook: Arc::new(|_, _| ()),
            fails: Box::new(|_| ()),
            lies: Arc::default(),
        }
    }

    /// An honest one.
    pub fn over(real: impl Source + 'static, hook: Hook) -> Arc<dyn Source> {
        Arc::new(Self {
            hook,
            ..Self::new(Arc::new(real))
        })
    }

    fn hook(&self, request: &'static str, bounds: Bounds<'_>) {
        (self.hook)(request, [bounds.max_silence, bounds.retry_for]);
    }

    fn call<T>(
        &self,
        request: &'static str,
        bounds: Bounds<'_>,
        ask: impl FnOnce(&dyn Source) -> Result<T>,
    ) -> Result<T> {
        (self.begins)(request);
        let answer = ask(&*(self.real)());
        self.hook(request, bounds);
        answer.inspect_err(|error| (self.fails)(error.status))
    }
}

impl Source for Hooked {
    fn kind(&self) -> &'static SourceKind {
        (self.real)().kind()
    }

    fn abilities(&self) -> Abilities {
        (self.real)().abilities()
    }

    fn server(&self, bounds: Bounds<'_>) -> Result<Server> {
        self.call("server", bounds, |real| real.server(bounds))
    }

    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>> {
        let number = self.lies.probes.fetch_add(1, Ordering::Relaxed);
        let shown = self.call("libraries", bounds, |real| real.libraries(bounds))?;
        Ok((self.lies.shown)(number, shown))
    }

    fn may_have_changed(&self, token: &str) -> bool {
        (self.real)().may_have_changed(token)
    }

    fn partitions(&self, library: &Library) -> usize {
        (self.real)().partitions(library)
    }

    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        let number = self.lies.pages.fetch_add(1, Ordering::Relaxed);
        assert!(number < MOST_PAGES, "asked for pages without end");
        let end = self.call("page", bounds, |real| real.page(request, bounds, items))?;
        Ok((self.lies.page)(request, items, end))
    }

    fn changes(&self, library: &Library, known: &dyn IndexedItems, bounds: Bounds<'_>) -> Result<SourceChanges> {
        self.call("changes", bounds, |real| real.changes(library, known, bounds))
    }

    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        self.call("items", bounds, |real| real.items(rating_keys, bounds))
    }

    fn find_path(
        &self,
        library: &Library,
        wanted: &WantedPath<'_>,
        bounds: Bounds<'_>,
        is_it: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        let mut hit = |items| {
            self.hook("hit", bounds);
            is_it(items)
        };
        self.call("path", bounds, |real| real.find_path(library, wanted, bounds, &mut hit))
    }

    fn events(&self, bounds: Bounds<'_>, sink: &mut dyn FnMut(Event) -> bool) -> Result<()> {
        self.call("events", bounds, |real| real.events(bounds, sink))
    }

    fn after_fork(&self) {
        (self.real)().after_fork();
    }
}

/// Opens an index over this server.
pub fn open(options: Options, clock: &Arc<ManualClock>, hook: Hook) -> Index {
    Index::open_with(options, Arc::clone(clock) as _, |options, id, counters| {
        Ok(Hooked::over(PlexHttp::new(options, id, counters)?, hook))
    })
    .expect("the index opens")
}

/// Opens an index that calls `act` once, when the first reply to such a request has arrived, and before it counts.
pub fn interrupted(at: &Scene, request: &'static str, act: impl FnOnce() + Send + 'static) -> Index {
    let act = Mutex::new(Some(act));
    let hook: Hook = Arc::new(move |called, _| {
        let act = (called == request).then(|| act.lock().expect("unpoisoned").take());
        if let Some(act) = act.flatten() {
            act();
        }
    });
    open(at.options.clone(), &at.clock, hook)
}
