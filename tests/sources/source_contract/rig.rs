//! What a source is put on for the suite: a server that can be changed, and broken.

use std::sync::Arc;

use crate::support::rows_of;
use plexindex::error::{Error, Result};
use plexindex::model::{Item, Library};
use plexindex::source::{Bounds, Source};

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
    /// An answer takes longer than a second.
    Slow,
}

/// A server with one library of films called [`TITLE`] below [`FOLDER`].
pub trait Rig {
    /// So many films, each with one file.
    fn new(films: u32) -> Self;
    /// A source that never asked anything.
    fn source(&self) -> Arc<dyn Source>;
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
}

/// A source of the rig, and its library.
pub fn source_of<R: Rig>(rig: &R) -> (Arc<dyn Source>, Library) {
    let source = rig.source();
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
            let request = rows_of(library, partition, position, size);
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
    let first = |item: &Item| item.parts.first().map(ToString::to_string).unwrap_or_default();
    let pairs = items.iter().map(|item| (item.rating_key.clone(), first(item)));
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort();
    pairs
}
