//! Finds the Plex item for a file without asking the server.
//!
//! An [`Index`] stores the listings of the server's libraries in a folder. The first query fetches the library; later
//! queries take microseconds, in any thread or process. plexindex asks the server again if a listing has expired, if a
//! library should list a path but does not, or if you invalidated an answer.
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
//!     ..Options::new(folder) // created if missing; fetches nothing
//! })?;
//! let movies = index.library("Movies")?;
//! let found = movies.match_path("/media/movies/Big Buck Bunny (2008).mkv")?; // fetches the library if necessary
//! match found.sure() {
//!     Some(item) => println!("{item} is {}", item.key), // Big Buck Bunny (2008) is /library/metadata/1002
//!     None => println!("not sure: {}", found.message.as_deref().unwrap_or_default()),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How certain is an answer?
//! A [`Match`] contains an item, candidates, or the [`Reason`] for a miss. Its [`Confidence`] is `High` if the path is
//! recorded, listed or mapped, or if a listed file has its name and size. Edit only the item of [`Match::sure`]. If the
//! server's paths differ from yours, configure [mappings](Mapping); [`Index::proposals`] suggests them.
//!
//! # What does a call cost?
//! | call | requests | time |
//! |---|---|---|
//! | [`Index::open`] | none | milliseconds |
//! | [`Library::lookup_key`] | none | less than a microsecond; after `None`, use `match_path` |
//! | [`Library::match_path`] | only if necessary | microseconds, plus the time that the server takes |
//! | the same with [`Query::offline`] | none | microseconds |
//! | the same with [`Query::timeout`] | in a library that was never fetched: one for a listed path, or three in a new folder; for an unlisted path also the listing, if time is left | at most the timeout |
//!
//! Calls block their thread. In async code, run them on a thread for blocking calls, for example with tokio's
//! `spawn_blocking`. While the server is down, plexindex returns cached answers and marks them as
//! [`stale`](Match::stale).
//!
//! # Threads, handles, logs
//! [`Index`], [`Library`] and [`Table`] are cheap to clone, `Send` and `Sync`. The index closes when its last handle is
//! dropped. plexindex logs through the crate `log`, with targets that start with `plexindex`. No line contains the
//! token, and only `debug` lines contain full media paths. Filter out the HTTP client's targets: `ureq` logs requests
//! at `debug`, and `ureq_proto` at `trace` the bytes of requests, with a placeholder for the token, and of replies.
//!
//! # Features
//! `tls` (on by default): supports HTTPS. Without this feature, only plain HTTP works, and the library is 2 MB smaller.
//!
//! `unstable-source`: adds `Index::open_with_source`, which accepts a custom source. May change in any release.
//!
//! To share matches between hosts through a `PostgreSQL` database, use the crate `plexindex-sharing`, whose `open`
//! accepts [`Options::shared`].
//!
//! # Use with `rusqlite`, `sqlx` or `diesel`
//! Cargo links only one copy of `sqlite3` into a program. This crate uses `rusqlite` 0.41 with the bundled
//! `libsqlite3-sys` 0.39. Other crates that use `libsqlite3-sys`, such as `sqlx` and `diesel` with the feature
//! `sqlite`, must allow this version; they then share the bundled SQLite. The C library has no such restriction.
//!
//! # Speed of debug builds
//! To optimise this crate and SQLite in debug builds, add `[profile.dev.package."*"] opt-level = 2` to `Cargo.toml`.
//!
//! # Platforms and versions
//! plexindex is for Unix, where paths are bytes and need not be UTF-8. plexindex requires Rust 1.89. A later version
//! may require a newer Rust, and may add fields to [`Options`] and variants to enums without a breaking change. Only
//! the items on this page are the public API; the C ABI and the tests also use hidden items.
//!
//! # Text and JSON
//! Each fieldless enum has a name for each variant, such as `not_found`. `name()`, `Display` and `serde::Serialize`
//! return the name, and `FromStr` parses it. Answers, items, changes, libraries and [`Stats`] implement `Serialize`,
//! with the same field names as the C library and the command. The JSON omits unknown fields. A path that is not UTF-8
//! becomes `{"bytes": "<Base64>"}`. None of these types implements `Deserialize`.
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

// For maintainers: the section 'Layers' of `docs/design.md` describes these modules, and
// `tests/behaviour/source_layers.rs` checks their dependencies. The module `api` is the Rust API. Other public modules
// are for the C functions, tests, fuzz targets and benchmarks.
#[macro_use]
extern crate plexindex_matching as matching;

mod api;
#[allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate
)] // only `peers` exports it
mod engine;
mod events;
mod knowledge;
#[doc(hidden)]
pub mod options;
mod platform;
mod query;
#[doc(hidden)]
pub mod source;
#[doc(hidden)]
pub mod stats;
#[allow(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)] // for the same reason as `engine`
mod sync;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing;

/// The host's key-value tables.
#[doc(hidden)]
pub mod tables {
    pub use crate::engine::{LONGEST_NAME, Op, Table, TableLimits, Tables};
}

/// The interface for a custom source, which [`Index::open_with_source`] accepts. May change in any release.
///
/// [`Source`](unstable_source::Source) is the trait to implement; the example `memory_source` implements it.
///
/// In this module, `Item`, `Library` and `Change` are types that a source returns, not the types with the same names in
/// the crate root. A `Status` is an outcome, with its number in the C ABI.
#[cfg(feature = "unstable-source")]
pub mod unstable_source {
    #[doc(inline)]
    pub use crate::error::{RetryAdvice, Status};
    #[doc(inline)]
    pub use crate::model::{ByteString, Item, ItemType, Library, LibraryKind, Server, SourceState, TokenReliability};
    pub use crate::platform::clock::Deadline;
    pub use crate::platform::fork::ForkLock;
    pub use crate::source::{
        Abilities, Bounds, DeltaCursor, Event, IndexedItems, LocatedItem, Notification, PageEnd, PageRequest, Session,
        Source, SourceChanges, SourceKind, TokenOwner, Tokens, WantedPath,
    };
}

/// Internal items for the C functions and the tests.
#[doc(hidden)]
pub mod inside {
    pub use crate::engine::{Op, Table, TableLimits, Tables};
    pub use crate::events::DebounceIntervals;
    pub use crate::matching::byte_string::ByteString;
    pub use crate::matching::{FoundItem, GuidRef, MAX_PATH, Mappings, NormalPath, Presence, Relation};
    pub use crate::platform::SQLITE_VERSION;
    pub use crate::platform::bytes::ascii_fast_str;
    pub use crate::platform::clock::{Clock, Deadline, SystemClock};
    pub use crate::platform::files::path_from_bytes;
    pub use crate::platform::fork::{self, ForkAware, ForkLock, lock, try_lock};
    pub use crate::platform::thread::call_host;
    pub use crate::query::{Answer, ChangePage};
    pub use crate::sync::{RefreshReason, ScanTarget};
}

/// Internal items for the crate `plexindex-sharing`.
#[doc(hidden)]
pub mod peers {
    pub mod engine {
        pub use crate::engine::{
            LibraryRow, LibraryRows, RecordTime, SharedPosition, SharedRow, SharedRows, SharedState, SharedStep,
            SharedWriteListener, Store, StoreWriter,
        };
    }
    pub mod matching {
        pub use crate::matching::normal::{normal_form, one_spelling};
        pub use crate::matching::{Mappings, NormalPath, PathShape, lies_under};
    }
    pub mod platform {
        pub use crate::platform::clock::{Clock, Deadline, SystemClock, unix_us};
        pub use crate::platform::files::{is_open_to_others, open_host_file};
        pub use crate::platform::fork::{ForkLock, lock, lock_for_fork};
        pub use crate::platform::thread::Worker;
    }
    pub mod sync {
        pub use crate::sync::{IndexReader, PeerComponents, Peers, not_shared_error, on_worker};
    }
}

pub use api::*;
#[doc(hidden)]
pub use matching::{error, model};
