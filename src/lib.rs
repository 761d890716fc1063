//! plexindex tells which Plex item a file is, without asking the server.
//!
//! The map, from the top: [`capi`] crosses the C boundary; [`index`] is what hosts hold; `query` answers, `edit` edits,
//! `events` listens; `sync` asks the source, `reading` holds what answers are made of, `maintenance` keeps it small;
//! [`tables`] is what a host keeps itself; `freshness` decides when to ask, `matching` finds, `image` holds what a hit
//! reads, `store` is `SQLite`, [`source`] the network, and [`stats`] counts. [`model`], [`error`], [`options`] and
//! `platform` know nothing of the others. Arrows point down only: `docs/design.md`, and `tests/map.rs`.
//! `fuzzing` shows the fuzz targets of `fuzz/` what is not public, and is no part of the API.

pub mod capi;
mod edit;
pub mod error;
mod events;
mod freshness;
#[doc(hidden)]
pub mod fuzzing;
mod image;
pub mod index;
mod maintenance;
mod matching;
pub mod model;
pub mod options;
mod platform;
mod query;
mod reading;
pub mod source;
pub mod stats;
mod store;
mod sync;
pub mod tables;
