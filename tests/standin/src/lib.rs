//! A stand-in Plex Media Server for the tests, the demo and the benchmarks of plexindex.
//!
//! It speaks the Plex HTTP API in JSON and XML over generated libraries of any size, counts what it is
//! asked, and misbehaves on request. 'Plex API notes §n' in the comments names
//! a section of the project's notes on that API.
//!
//! ```
//! use plexindex_standin::{Action, Fault, ItemSpec, Kind, LibrarySpec, Standin};
//!
//! let server = Standin::builder()
//!     .library(LibrarySpec::movies(100))
//!     .start()?;
//! let key = server
//!     .change(|state| state.add_items(1, vec![ItemSpec::file("New", "/data/movies/New.mkv")], true))?[0];
//! assert!(key > 1_100);
//! server.fault(Fault::new(Action::Drop).on(Kind::Listing));
//! assert_eq!(server.stats().of(Kind::Listing), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The reader's map: [`Standin`] is the handle; `server` has the sockets, `http` the protocol, `router` the
//! paths; `listing`, `filters`, `metadata`, `edits`, `events` answer; `render`, `containers` and
//! `tree` write; `state`, `changes`, `library`, `model`, `generate`, `paths` hold what is served; `faults`, `control`,
//! `counters` are for tests.

mod ask;
mod builder;
mod cache;
mod changes;
mod config;
mod containers;
mod control;
mod counters;
mod edits;
mod events;
mod faults;
mod filters;
mod generate;
mod http;
mod library;
mod listing;
mod metadata;
mod model;
mod paths;
mod query;
mod render;
mod router;
mod server;
mod spec;
mod state;
mod tree;
mod words;

pub use builder::{Builder, Standin};
pub use config::{Config, Identity, Token};
pub use counters::{Kind, LogEntry, Stats};
pub use events::Event;
pub use faults::{Action, Fault, Script};
pub use generate::{EPISODES_PER_SEASON, Generator, SEASONS_PER_SHOW};
pub use library::{Library, Location};
pub use model::{Item, ItemType, LibraryKind, Link, Media, Part, Text};
pub use spec::{ItemSpec, LibrarySpec, MediaSpec};
pub use state::{FIRST_KEY, Outcome, START_TIME, State};

/// Locks, whatever a thread that panicked left behind.
pub(crate) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
