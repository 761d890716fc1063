//! A source that calls a test within each request.

use std::sync::Arc;
use std::time::Duration;

use crate::index::{Index, ManualClock};
use plexindex::error::Result;
use plexindex::model::{Item, Library, Server};
use plexindex::options::Options;
use plexindex::source::plex::PlexHttp;
use plexindex::source::{
    Abilities, Bounds, IndexedItems, LocatedItem, PageEnd, PageRequest, Source, SourceChanges, SourceKind, WantedPath,
};

/// How long the server may be silent, and failures are retried; `None` for as long as the options allow.
pub type Patience = [Option<Duration>; 2];
/// Called when an answer has arrived and before it is used, with the request.
pub type Hook = Arc<dyn Fn(&'static str, Patience) + Send + Sync>;

/// A source over another one.
pub struct Hooked<S> {
    pub real: S,
    pub hook: Hook,
}

impl<S> Hooked<S> {
    fn call<T>(&self, request: &'static str, bounds: Bounds<'_>, answer: T) -> T {
        (self.hook)(request, [bounds.max_silence, bounds.retry_for]);
        answer
    }
}

impl<S: Source> Source for Hooked<S> {
    fn kind(&self) -> &'static SourceKind {
        self.real.kind()
    }

    fn abilities(&self) -> Abilities {
        self.real.abilities()
    }

    fn server(&self, bounds: Bounds<'_>) -> Result<Server> {
        self.real.server(bounds)
    }

    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>> {
        self.call("libraries", bounds, self.real.libraries(bounds))
    }

    fn may_have_changed(&self, token: &str) -> bool {
        self.real.may_have_changed(token)
    }

    fn partitions(&self, library: &Library) -> usize {
        self.real.partitions(library)
    }

    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        self.call("page", bounds, self.real.page(request, bounds, items))
    }

    fn changes(&self, library: &Library, known: &dyn IndexedItems, bounds: Bounds<'_>) -> Result<SourceChanges> {
        self.call("changes", bounds, self.real.changes(library, known, bounds))
    }

    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        self.call("items", bounds, self.real.items(rating_keys, bounds))
    }

    fn find_path(
        &self,
        library: &Library,
        wanted: &WantedPath<'_>,
        bounds: Bounds<'_>,
        is_it: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        let mut hit = |items| is_it(self.call("hit", bounds, items));
        self.call("path", bounds, self.real.find_path(library, wanted, bounds, &mut hit))
    }

    fn items_in_folders(
        &self,
        library: &Library,
        folders: &[Vec<u8>],
        most: usize,
        bounds: Bounds<'_>,
    ) -> Result<Option<Vec<Item>>> {
        self.call(
            "folder",
            bounds,
            self.real.items_in_folders(library, folders, most, bounds),
        )
    }

    fn after_fork(&self) {
        self.real.after_fork();
    }
}

/// Opens an index over this server.
pub fn open(options: Options, clock: &Arc<ManualClock>, hook: Hook) -> Index {
    Index::open_with(options, Arc::clone(clock) as _, |options, id, meter| {
        let real = PlexHttp::new(options, id, meter)?;
        Ok(Arc::new(Hooked { real, hook }) as Arc<dyn Source>)
    })
    .expect("the index opens")
}
