//! Plex's own database as a source: what is read of it, when, and that nothing of it is touched.

mod alone;
mod beside;
mod between;
mod damaged;
mod gone;
mod odd;
mod opening;
mod recorded;
mod untouched;

use crate::support::rows_of;
use crate::support::worker::Role;

use std::path::Path;
use std::sync::Arc;

use crate::support::index::{Ask as _, Index, ManualClock};
use plexindex::error::Status;
use plexindex::model::{Item, Library};
use plexindex::options::Options;
use plexindex::source::database::PlexDatabase;
use plexindex::source::{Bounds, Source};

/// What workers of these tests do.
pub const ROLES: &[Role] = &[("write", untouched::write), ("hold", untouched::hold)];

/// Options for this database, and a store in this folder.
fn options(folder: &Path, database: &Path) -> Options {
    Options {
        database: Some(database.to_owned()),
        ..Options::new(folder)
    }
}

/// An index on a database, with a clock that stands still.
fn open(options: Options, clock: &Arc<ManualClock>) -> Index {
    let database = options.database.clone().expect("a database");
    Index::open_with(options, Arc::clone(clock) as _, move |_, _, _| {
        Ok(Arc::new(PlexDatabase::new(&database)) as Arc<dyn Source>)
    })
    .expect("the index opens")
}

/// The key of the item with this path, if an index finds it.
fn key_of(index: &Index, path: &str) -> Option<String> {
    let found = index.query().answer(path);
    found.key().filter(|_| found.status == Status::Ok)
}

/// The library with this title.
fn library(source: &dyn Source, title: &str) -> Library {
    let mut libraries = source.libraries(Bounds::NONE).expect("libraries").into_iter();
    libraries.find(|one| one.title == title).expect("such a library")
}

/// All items of a library, by key.
fn list(source: &dyn Source, library: &Library) -> Vec<Item> {
    let mut items = Vec::new();
    for partition in 0..source.partitions(library) {
        let mut position = Some(0);
        while let Some(at) = position {
            let request = rows_of(library, partition, at, 1_000);
            position = source.page(&request, Bounds::NONE, &mut items).expect("a page").next;
        }
    }
    items.sort_by_key(|item| item.rating_key.parse::<i64>().expect("a number"));
    items
}
