//! What a source is put on for the suite: a server that can be changed, and broken.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::support::index::{Index, ManualClock};
use plexindex::error::{Error, Result};
use plexindex::model::{Item, Library};
use plexindex::options::Options;
use plexindex::source::{Bounds, Meter, PageRequest, RequestKind, Source};

/// Long after every clock of any server.
pub const NOW_MS: i64 = 4_000_000_000_000;
/// An hour.
pub const HOUR_MS: i64 = 3_600_000;
/// The title of the rig's library, and its folder.
pub const TITLE: &str = "Movies";
pub const FOLDER: &str = "/data/movies";

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No server is there.
    Down,
    /// It is starting.
    Starting,
    /// It refuses the token.
    Unauthorized,
    /// It does not allow this.
    Forbidden,
    /// Pages are cut off midway.
    CutOff,
    /// Two pages are given, and nothing after that.
    DownAfterTwoPages,
    /// An answer takes longer than a second.
    Slow,
}

/// A server with one library of films called [`TITLE`] below [`FOLDER`].
pub trait Rig {
    /// So many films, each with one file.
    fn new(films: u32) -> Self;
    /// A source that never asked anything.
    fn source(&self, meter: Arc<dyn Meter>) -> Arc<dyn Source>;
    /// Options that name this server: those of a source that is not named by options change nothing.
    fn options(&self, options: Options) -> Options {
        options
    }
    /// Keys and paths, as they are now.
    fn paths(&self) -> Vec<(String, String)>;
    /// A film comes, and the server notices; gives its key.
    fn add(&self, title: &str, path: &str) -> String;
    /// Items go, and the server notices.
    fn remove(&self, keys: &[String]);
    /// A file has another name: no more is noticed than the server cannot help.
    fn rename(&self, key: &str, path: &str);
    /// What goes wrong from now on; `false` for what cannot go wrong with it.
    fn fail(&self, failure: Failure) -> bool;
    /// Nothing goes wrong any more.
    fn heal(&self);
    /// The section id of a library that there is not.
    fn section_that_is_not_there(&self) -> String;
    /// What a host receives when an item changed.
    fn notification(&self, section: &str, key: &str) -> String;
}

/// A folder, a clock and an index on a rig.
pub struct Scene<R: Rig> {
    pub rig: R,
    pub clock: Arc<ManualClock>,
    pub index: Index,
    folder: tempfile::TempDir,
}

impl<R: Rig> Scene<R> {
    /// An index that asked nothing yet.
    pub fn new(films: u32, set: impl FnOnce(&mut Options)) -> Self {
        let (rig, clock) = (R::new(films), Arc::new(ManualClock::new(NOW_MS)));
        let folder = tempfile::tempdir().expect("a folder");
        let index = open(&rig, &clock, folder.path(), set);
        Self {
            rig,
            clock,
            index,
            folder,
        }
    }

    /// The same, listed.
    pub fn listed(films: u32) -> Self {
        let scene = Self::new(films, |_| ());
        scene.list();
        scene
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn list(&self) {
        let query = crate::support::index::QueryOptions::default();
        self.index.refresh(&query, true).expect("listed");
    }

    /// All requests so far.
    pub fn requests(&self) -> u64 {
        self.index.stats().expect("statistics").requests.iter().sum()
    }

    /// Requests of a kind so far.
    pub fn requests_of(&self, kind: RequestKind) -> u64 {
        self.index.stats().expect("statistics").requests[kind as usize]
    }

    /// Requests that this takes.
    pub fn costs<T>(&self, what: impl FnOnce() -> T) -> (T, u64) {
        let before = self.requests();
        let done = what();
        (done, self.requests() - before)
    }
}

/// An index on a rig.
pub fn open<R: Rig>(rig: &R, clock: &Arc<ManualClock>, folder: &Path, set: impl FnOnce(&mut Options)) -> Index {
    let mut options = rig.options(Options {
        cache_dir: folder.to_owned(),
        server_url: Some("http://127.0.0.1:9".to_owned()),
        retry_for: Duration::ZERO,
        ..Options::default()
    });
    set(&mut options);
    Index::open_with(options, Arc::clone(clock) as _, |_, _, meter| Ok(rig.source(meter))).expect("opens")
}

/// Counts nothing.
pub struct NoMeter;

impl Meter for NoMeter {
    fn record_request(&self, _: RequestKind, _: u64, _: Duration) {}
}

/// A source of the rig, and its library.
pub fn source_of<R: Rig>(rig: &R) -> (Arc<dyn Source>, Library) {
    let source = rig.source(Arc::new(NoMeter));
    let library = library_of(&*source);
    (source, library)
}

/// The rig's library as the source shows it now.
pub fn library_of(source: &dyn Source) -> Library {
    let libraries = source.libraries(Bounds::NONE).expect("libraries");
    let library = libraries.into_iter().find(|library| library.title == TITLE);
    library.expect("the rig's library")
}

/// How a listing ended: all of it, or where it stopped.
pub struct Stopped {
    pub partition: usize,
    pub position: u64,
    pub error: Option<Error>,
}

/// Lists from a place on, so many pages at most.
pub fn list_from(
    source: &dyn Source,
    library: &Library,
    (partition, position): (usize, u64),
    size: u32,
    pages: usize,
    items: &mut Vec<Item>,
) -> Option<Stopped> {
    let mut left = pages;
    for partition in partition..source.partitions(library) {
        let mut position = if left == pages { position } else { 0 };
        loop {
            if left == 0 {
                return Some(Stopped {
                    partition,
                    position,
                    error: None,
                });
            }
            left -= 1;
            let request = PageRequest {
                library,
                partition,
                position,
                size,
            };
            let before = items.len();
            let end = match source.page(&request, Bounds::NONE, items) {
                Ok(end) => end,
                Err(error) => {
                    return Some(Stopped {
                        partition,
                        position,
                        error: Some(error),
                    });
                }
            };
            assert!(!end.has_shifted, "nothing moved");
            assert!(items.len() - before <= size as usize, "no more than a page");
            assert!(end.rows >= (items.len() - before) as u64);
            let Some(next) = end.next else { break };
            assert!(next > position, "positions go forward");
            position = next;
        }
    }
    None
}

/// All items of the library.
pub fn list(source: &dyn Source, library: &Library, size: u32) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    match list_from(source, library, (0, 0), size, usize::MAX, &mut items) {
        Some(Stopped { error: Some(error), .. }) => Err(error),
        _ => Ok(items),
    }
}

/// Keys and paths of items, sorted.
pub fn sorted(items: &[Item]) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = items
        .iter()
        .map(|item| {
            (
                item.rating_key.clone(),
                item.parts.first().map(ToString::to_string).unwrap_or_default(),
            )
        })
        .collect();
    pairs.sort();
    pairs
}
