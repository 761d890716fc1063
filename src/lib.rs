//! plexindex tells which Plex item a file is, without asking the server.
//!
//! The map, from the top: [`capi`] crosses the C boundary; [`index`] acts; `freshness` decides when to ask; `store` is
//! `SQLite`; [`stats`] counts; `image` holds what a hit reads, `matching` finds, [`source`] is the network; [`options`],
//! [`error`], [`model`] and `platform` know nothing of the others. Arrows point down only: `docs/design.md`, and
//! `tests/map.rs`.

pub mod capi;
pub mod error;
mod freshness;
mod image;
pub mod index;
mod matching;
pub mod model;
pub mod options;
mod platform;
pub mod source;
pub mod stats;
mod store;
