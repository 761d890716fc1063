//! The shared log: what several hosts of one server tell each other, so that one of them asks for all.
//!
//! Each host keeps its own folder and answers from it. The log holds copies: the last probe, listings in chunks, single
//! items, confirmed matches and invalidations. It is a table of named entries: an entry replaces the one of its name,
//! and gets the next number of its view. A host reads the entries behind the number that it read last.
//!
//! [`SharedLog`] is the interface. The crate `plexindex-sharing` implements it, with `PostgreSQL`.

pub mod bodies;
mod contract;

pub use contract::{
    Entry, EntryKind, EntryName, HostId, LARGEST_BATCH, LARGEST_CHUNK, LARGEST_ENTRY, LEASE, Lease, LogSummary,
    NewEntry, News, Position, SharedLog, SharedTables, ViewNumber,
};
