//! Exchanges entries with other hosts that use the same server, through a log in `PostgreSQL`.
//!
//! The folder is authoritative for this host; the log contains copies. The exchange thread delivers this host's entries
//! and applies other hosts' entries. A job reads the log before it sends requests to the server, and fetches a library
//! under a lease from the log. While the log is unavailable, lookups answer from the folder, and no call waits for the
//! log twice. After `Options::shared_retry`, this host sends requests to the server without a lease.

mod applied;
mod chunks;
mod core;
mod incoming;
mod jobs;
mod leases;
mod outgoing;
mod publish;
mod running;

pub use core::{Exchange, SLOW_LOG_TIMEOUT, creates_no_entries, set_waits_for_slow_log};
