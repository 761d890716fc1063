//! The shared log: what several hosts of one server tell each other, so that one of them asks for all.
//!
//! Each host keeps its own folder and answers from it. The log holds copies: the last probe, listings in chunks, single
//! items, confirmed matches and invalidations. It is a table of named entries: an entry replaces the one of its name,
//! and gets the next number of its view. A host reads the entries behind the number that it read last.
//!
//! [`SharedLog`] is the interface. `PostgreSQL` implements it.

pub mod bodies;
mod contract;
#[cfg(feature = "shared")]
pub mod postgres;

use std::sync::Arc;

pub use contract::{
    Entry, EntryKind, EntryName, HostId, LARGEST_BATCH, LARGEST_CHUNK, LARGEST_ENTRY, LEASE, Lease, LogSummary,
    NewEntry, News, Position, SharedLog, SharedTables, ViewNumber,
};

use crate::error::Result;
#[cfg(not(feature = "shared"))]
use crate::error::{Error, Status};

/// Checks an address without connecting.
///
/// # Errors
/// [`Status::InvalidArgument`], naming what is wrong; also where this build has no `PostgreSQL`.
pub fn check(address: &str) -> Result<()> {
    open(address).map(drop)
}

/// The log at an address such as `postgresql://user@host/database`. Connects at its first call.
///
/// # Errors
/// As [`check`].
#[cfg(feature = "shared")]
pub fn open(address: &str) -> Result<Arc<dyn SharedLog>> {
    let address = postgres::parse(address, |name| std::env::var(name).ok())?;
    Ok(Arc::new(postgres::Postgres::new(address)))
}

/// The log at an address; this build has none.
///
/// # Errors
/// [`Status::InvalidArgument`].
#[cfg(not(feature = "shared"))]
pub fn open(_address: &str) -> Result<Arc<dyn SharedLog>> {
    Err(Error::new(
        Status::InvalidArgument,
        "the option 'shared' needs a build with PostgreSQL (cargo feature `shared`), and this one has none",
    ))
}
