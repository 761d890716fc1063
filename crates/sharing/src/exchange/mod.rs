//! The exchange with other hosts of the server, by a log that all share.
//!
//! The folder is the truth of this host, and the log holds copies. A thread of the library delivers what this host
//! wrote, and takes what others wrote. Jobs that would ask the server look into the log first, and ask under a lease of
//! it. If the log is away, nothing waits for it twice: answers come from the folder, and after a while the server is
//! asked without it.

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
