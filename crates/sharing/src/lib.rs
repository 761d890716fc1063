//! Shares what hosts record between the indexes of several hosts, through a database in `PostgreSQL`. [`open`] opens an
//! index with [`Options::shared`](plexindex::Options::shared); the trait [`SharedIndex`] adds methods to the index.
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

// Design: `docs/design/sharing.md`.

#[doc(hidden)]
pub mod address;
mod database;
mod exchange;
mod failure;
mod paths;
mod sharing;

// Import plexindex's internal modules, so that paths such as `crate::sync` also work in this crate.
use plexindex::peers::{engine, matching, platform, sync};
use plexindex::{error, model, options, source};

#[doc(inline)]
pub use database::{SharedStatus, SharedTables, SharedView};
#[doc(hidden)]
pub use sharing::open_with_clock;
pub use sharing::{SharedIndex, open};
