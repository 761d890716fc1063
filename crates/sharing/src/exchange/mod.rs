//! Exchanges entries with the other hosts of a server, through a log in `PostgreSQL`.
//!
//! The folder is authoritative for this host; the log holds copies. A thread of the library delivers this host's
//! entries and applies those of other hosts. A job that would ask the server reads the log first, and asks the server
//! only under a lease of the log. While the log is unavailable, lookups answer from the folder, and no call waits for
//! the log twice. After `Options::shared_retry`, this host asks the server without the log.

mod applied;
mod chunks;
mod core;
mod incoming;
mod jobs;
mod leases;
mod outgoing;
mod publish;
mod running;
mod searches;
mod waiting;

pub use core::{Exchange, STEP, is_quiet, set_patient};
