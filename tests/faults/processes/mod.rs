//! Several processes on one store: what one commits the others see, what is killed loses nothing, and one fetch is made
//! where many are wanted.
#![allow(clippy::case_sensitive_file_extension_comparisons)] // the names are our own
#![allow(unsafe_code)] // fork, clocks and signals have no safe door

pub mod coherence;
mod crash;
#[cfg(unix)]
mod fork;
#[cfg(unix)]
mod page;
#[cfg(unix)]
mod signals;
mod single_flight;
#[cfg(unix)]
mod waiting;

/// What workers of these tests do.
pub const ROLES: &[Role] = &[
    ("coherence", coherence::opened),
    ("list", crash::list),
    #[cfg(unix)]
    ("fork while fetching", fork::fetching),
    #[cfg(unix)]
    ("fork and count", fork::counting),
    #[cfg(unix)]
    ("fork and look up", fork::looking_up),
    #[cfg(unix)]
    ("fork while connecting", fork::opening::connecting),
    #[cfg(unix)]
    ("fork while opening", fork::opening::opening),
    ("flight", single_flight::ask),
    #[cfg(unix)]
    ("recover", waiting::recover),
    #[cfg(unix)]
    ("hold", waiting::hold),
    #[cfg(unix)]
    ("interrupted", signals::interrupted),
];

use crate::support::worker::Role;
