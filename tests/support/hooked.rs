//! A source over a real server that calls a test within each request.

use std::sync::Arc;
use std::time::Duration;

use crate::index::{Index, ManualClock};
use plexindex::error::Result;
use plexindex::model::{Item, Library, Server};
use plexindex::options::Options;
use plexindex::source::plex::PlexHttp;
use plexindex::source::{Abilities, Bounds, LocatedItem, PageEnd, PageRequest, Source, SourceKind, WantedPath};

/// How long the server may be silent, and failures are retried; `None` for as long as the options allow.
pub type Patience = [Option<Duration>; 2];
/// Called when an answer has arrived and before it is used, with the request.
pub type Hook = Arc<dyn Fn(&'static str, Patience) + Send + Sync>;

struct Hooked {
    plex: PlexHttp,
    hook: Hook,
}

impl Source for Hooked {
    fn kind(&self) -> &'static SourceKind {
        self.plex.kind()
    }

    fn abilities(&self) -> Abilities {
        self.plex.abilities()
    }

    fn server(&self, bounds: Bounds<'_>) -> Result<Server> {
        self.plex.server(bounds)
    }

    fn libraries(&self, bounds: Bounds<'_>) -> Result<Vec<Library>> {
        let came = self.plex.libraries(bounds);
        (self.hook)("libraries", [bounds.max_silence, bounds.retry_for]);
        came
    }

    fn page(&self, request: &PageRequest<'_>, bounds: Bounds<'_>, items: &mut Vec<Item>) -> Result<PageEnd> {
        let came = self.plex.page(request, bounds, items);
        (self.hook)("page", [bounds.max_silence, bounds.retry_for]);
        came
    }

    fn items(&self, rating_keys: &[&str], bounds: Bounds<'_>) -> Result<Vec<LocatedItem>> {
        let came = self.plex.items(rating_keys, bounds);
        (self.hook)("items", [bounds.max_silence, bounds.retry_for]);
        came
    }

    fn find_path(
        &self,
        library: &Library,
        wanted: &WantedPath<'_>,
        bounds: Bounds<'_>,
        is_it: &mut dyn FnMut(Vec<Item>) -> Result<bool>,
    ) -> Result<bool> {
        let came = self.plex.find_path(library, wanted, bounds, is_it);
        (self.hook)("path", [bounds.max_silence, bounds.retry_for]);
        came
    }

    fn after_fork(&self) {
        self.plex.after_fork();
    }
}

/// Opens an index over this server.
pub fn open(options: Options, clock: &Arc<ManualClock>, hook: Hook) -> Index {
    Index::open_with(options, Arc::clone(clock) as _, |options, id, meter| {
        let plex = PlexHttp::new(options, id, meter)?;
        Ok(Arc::new(Hooked { plex, hook }) as Arc<dyn Source>)
    })
    .expect("the index opens")
}
