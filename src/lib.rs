//! plexindex tells which Plex item a file is, without asking the server.
//!
//! The map, from the top: [`capi`] crosses the C boundary; [`index`] acts; `freshness` decides when to ask, `matching`
//! finds, `warm` holds what a hit reads, `store` is `SQLite`, [`source`] the network; [`model`], [`error`], [`options`],
//! [`stats`] and `platform` know nothing of the others. Arrows point down only: `docs/design.md`.

pub mod capi;
mod edit;
pub mod error;
mod events;
mod freshness;
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
