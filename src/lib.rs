//! Which item of a Plex server is this file? Answered without asking the server.
//!
//! An [`Index`] keeps what the server's libraries list in a folder: it fetches a library when it is first asked, and answers
//! from then on in microseconds, in any number of threads and processes. It asks the server again when a listing has expired,
//! when a path is missing that should be there, and when you have invalidated an answer.
//!
//! ```no_run
//! use plexindex::{Index, Options, Token};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let (url, token) = ("http://127.0.0.1:32400", "YOUR-TOKEN");
//! let index = Index::open(Options {
//!     server_url: Some(url.into()),
//!     token: Token::new(token),
//!     ..Options::new(folder) // is made; nothing is fetched
//! })?;
//! let movies = index.library("Movies")?;
//! let found = movies.match_path("/media/movies/Big Buck Bunny (2008).mkv")?; // fetches the library where it must
//! match found.item() {
//!     Some(item) => println!("{item} is {}", item.key), // Big Buck Bunny (2008) is /library/metadata/1002
//!     None => println!("{:?}: {}", found.status, found.message.as_deref().unwrap_or_default()),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How sure is an answer?
//! A [`Match`] has one item, candidates, or a [`Reason`] why there is none. Its [`Confidence`] is `High` when the path is
//! recorded, listed or mapped, when only its root differs, or when it carries the item's title. Write to an item of high
//! confidence only. Where the server sees other paths than you do, give [mappings](Mapping): [`Index::proposals`] tells
//! which one is missing.
//!
//! # What does a call cost?
//! | call | the server | the time |
//! |---|---|---|
//! | [`Index::open`] | is not asked | milliseconds |
//! | [`Library::lookup_key`] | is never asked | below a microsecond; `None` is no verdict |
//! | [`Library::match_path`] | is asked when it must be | microseconds, else that of the server |
//! | the same with [`Query::offline`] | is not asked | microseconds |
//! | the same with [`Query::deadline`] | of a library that was never fetched: one request for a path that the server lists, three in an empty folder; for any other its listing too, as far as there is time | the deadline at most |
//!
//! Calls wait on the thread that makes them. A future should make them on a thread for such calls (`spawn_blocking` of
//! tokio). A server that is down is no error while there is an old answer: that is given, marked [`stale`](Match::stale).
//!
//! # Threads, handles, logs
//! [`Index`], [`Library`] and [`Table`] are cheap to clone, `Send` and `Sync`. The index closes when its last handle is dropped.
//! Log lines go to the crate `log`, with targets that begin with `plexindex`. No line above `debug` holds the token or a
//! full media path. The HTTP client has targets of its own to filter: `ureq` names requests at `debug`,
//! `ureq_proto` shows their bytes at `trace`, the token included.
//!
//! # Features
//! `tls` (on by default): HTTPS to the server. Without it only plain HTTP works, and the library is 2 MB smaller.
//!
//! One listing for several hosts, through a database in `PostgreSQL`, is the crate `plexindex-sharing`, whose `open` opens an
//! index with [`Options::shared`].
//!
//! `unstable-source`: a source of items of your own, with `Index::open_with_source`. It may change in any release.
//!
//! # Beside `rusqlite`, `sqlx` or `diesel`
//! Cargo links one `sqlite3` into a program. This crate uses `rusqlite` 0.41 with `libsqlite3-sys` 0.39, bundled. Whatever
//! else needs `libsqlite3-sys`, such as the feature `sqlite` of `sqlx` and of `diesel`, must allow this version, and uses
//! the bundled `SQLite` then. The C library has no such limit.
//!
//! # Speed of debug builds
//! `[profile.dev.package."*"] opt-level = 2` in your `Cargo.toml` optimises this crate and `SQLite` in debug builds too.
//!
//! # Platforms and versions
//! Unix; paths are bytes there and need not be UTF-8. Rust 1.89 is needed; raising that is no breaking change. New
//! fields of [`Options`] and new variants are no breaking changes either. What is not on this page is no part of the API,
//! though the C ABI and the tests reach it.
//!
//! # Text and JSON
//! Each plain enum has names for its variants, such as `not_found`: `name()`, `Display` and `serde::Serialize` give them, and
//! `FromStr` reads them. Answers, items, changes, libraries and [`Stats`] are `Serialize`, with the names of the C library and
//! the command.
//!
//! What is not known is absent there. A path that is not UTF-8 is `{"bytes": "<Base64>"}`. The JSON is output: none of them is
//! `Deserialize`.
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

// For maintainers: `docs/design.md`, 'Layers', describes these modules, and `tests/behaviour/source_layers.rs` checks that they
// depend in one direction. The Rust API is what `api` re-exports. Other public modules are for the C functions, tests,
// fuzz targets and benchmarks.
#[macro_use]
extern crate plexindex_matching as matching;

mod api;
mod disk;
mod edit;
#[allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate
)] // public in `peers` only
mod engine;
mod entries;
mod events;
mod freshness;
mod meter;
#[doc(hidden)]
pub mod options;
mod platform;
mod query;
#[doc(hidden)]
pub mod source;
#[doc(hidden)]
pub mod stats;
#[allow(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)] // as engine
mod sync;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing;

/// Hosts' own tables.
#[doc(hidden)]
pub mod tables {
    pub use crate::engine::{LONGEST_NAME, Op, Table, Tables, Terms};
}

/// A source of items of your own, for [`Index::open_with_source`]. May change in any release.
///
/// [`Source`](unstable_source::Source) is the contract; the example `memory_source` is a minimal implementation.
///
/// Some names are those of the crate's root with another meaning: `Item`, `Library` and `Change` are what a source gives, not
/// what the index answers, and `Status` is the number of an outcome in the C ABI. Name them by this module.
#[cfg(feature = "unstable-source")]
pub mod unstable_source {
    #[doc(inline)]
    pub use crate::error::{Meaning, Status};
    #[doc(inline)]
    pub use crate::model::{Change, Item, ItemType, Library, LibraryKind, Server, Trust};
    pub use crate::platform::deadline::Deadline;
    pub use crate::platform::fork::Release;
    pub use crate::source::{
        Abilities, Bounds, Delta, EditRequest, Event, FieldChange, Kind, KnownItems, LocatedItem, Lock, Notification,
        PageEnd, PageRequest, Resume, Session, Source, SourceChanges, TokenOwner, Tokens, WantedPath,
    };
}

/// What the C functions and tests of behaviour need besides.
#[doc(hidden)]
pub mod inside {
    pub use crate::disk::{Finding, Rules, WalkStarts};
    pub use crate::edit::Edit;
    pub use crate::engine::{Op, Table, Tables, Terms};
    pub use crate::events::DebounceIntervals;
    pub use crate::matching::byte_string::ByteString;
    pub use crate::matching::{FoundItem, GuidRef, MAX_PATH, Normal, OnDisk, Relation};
    pub use crate::platform::SQLITE_VERSION;
    pub use crate::platform::bytes::text;
    pub use crate::platform::clock::{Clock, SystemClock};
    pub use crate::platform::deadline::Deadline;
    pub use crate::platform::files::named;
    pub use crate::platform::fork::{self, Forks, Release};
    pub use crate::platform::mutex::{lock, try_lock};
    pub use crate::platform::thread::call_host;
    pub use crate::query::{Answer, ChangePage, FileFilter, FolderFacts};
    pub use crate::sync::RefreshReason;
}

/// What the crate `plexindex-sharing` needs: only it joins an index with other hosts.
#[doc(hidden)]
pub mod peers {
    pub mod engine {
        pub use crate::engine::{
            ItemRows, LibraryHint, LibraryRow, LibraryRows, LocalWrite, Maintenance, Outbox, OutboxRow, RecordRows,
            SharedPlace, Store, Totals, WAITS, WriteObserver, age,
        };
    }
    pub mod entries {
        pub use crate::entries::*;
    }
    pub mod freshness {
        pub use crate::freshness::{Need, Policy, is_current, may_ask_again};
    }
    pub mod matching {
        pub use crate::matching::normal::normal_form;
        pub use crate::matching::{Normal, Resolver, Scope, lies_under};
    }
    pub mod platform {
        pub use crate::platform::clock::{Clock, SystemClock};
        pub use crate::platform::deadline::Deadline;
        pub use crate::platform::files::given;
        pub use crate::platform::fork::{Release, hold};
        pub use crate::platform::lock::FileLock;
        pub use crate::platform::mutex::{lock, lock_by};
        pub use crate::platform::thread::{Worker, on_worker};
    }
    pub mod sync {
        pub use crate::sync::{
            AcceptedProbe, MergedDelta, PeerComponents, Peers, Reading, RefreshReason, Selection, Selector, SyncJob,
            TICK, not_shared,
        };
    }
}

pub use api::*;
#[doc(hidden)]
pub use matching::{error, model};
