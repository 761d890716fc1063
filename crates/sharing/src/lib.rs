//! Shares entries between the indexes of several hosts, through a log in `PostgreSQL`. [`open`] opens an index with
//! [`Options::shared`](plexindex::Options::shared); the trait [`SharedIndex`] adds methods to the index.
//!
//! ```no_run
//! use plexindex::{Options, Token};
//! use plexindex_sharing::SharedIndex;
//!
//! # let folder = tempfile::tempdir()?;
//! let index = plexindex_sharing::open(Options {
//!     server_url: Some("http://127.0.0.1:32400".into()),
//!     token: Token::new("YOUR-TOKEN"),
//!     shared: Some("postgresql://plexindex@db.example/plexindex".into()),
//!     ..Options::new(folder.path())
//! })?;
//! println!("{:?}", index.shared_status()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(missing_docs)]

// Design: `docs/design/sharing.md`. The log is a table of named entries. A new entry replaces the entry with the same
// name, and gets the next number in its view. A host reads the entries that follow the last number that it has read.

#[doc(hidden)]
mod contract;
mod entries;
mod exchange;
#[doc(hidden)]
pub mod postgres;
mod sharing;
mod status;
mod system;
mod wake;

// Import plexindex's internal modules, so that paths such as `crate::sync` also work in this crate.
use plexindex::peers::{engine, matching, platform, sync};
use plexindex::{error, model, options, source, stats};

#[doc(inline)]
pub use contract::SharedTables;
#[doc(hidden)]
pub use contract::{
    Entry, EntryKind, EntryName, EntryPage, HostId, LARGEST_BATCH, LARGEST_ENTRY, LogSummary, NewEntry, Position,
    SharedLog, ViewNumber,
};
pub use sharing::open;
#[doc(hidden)]
pub use sharing::{SharedProgress, open_with_clock, open_with_log};
pub use status::{SharedFollower, SharedIndex, SharedStatus, SharedView};
