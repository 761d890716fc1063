//! Exchanges entries with other hosts that use the same server, through a log in `PostgreSQL`.
//!
//! The folder is authoritative for this host; the log contains copies. The exchange thread delivers this host's entries
//! and applies other hosts' entries, and so does a job before it refreshes a library. While the log is unavailable,
//! lookups answer from the folder, and no call waits for the log twice.

mod applied;
mod core;
mod incoming;
mod outgoing;
mod running;

pub use core::{Exchange, SLOW_LOG_TIMEOUT, creates_no_entries, set_waits_for_slow_log};
