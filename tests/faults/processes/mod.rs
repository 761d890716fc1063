//! Several processes on one store: what one commits the others see, what is killed loses nothing, and one fetch is made
//! where many are wanted.
#![allow(clippy::case_sensitive_file_extension_comparisons)] // the names are our own
#![allow(unsafe_code)] // fork, clocks and signals have no safe door

mod coherence;
mod crash;
mod deep;
mod feed;
#[cfg(unix)]
mod fork;
mod kills;
mod load;
mod merging;
#[cfg(unix)]
mod page;
mod races;
mod segments;
#[cfg(unix)]
mod signals;
mod single_flight;
#[cfg(unix)]
mod storm;
#[cfg(unix)]
mod waiting;

/// What workers of these tests do.
pub const ROLES: &[Role] = &[
    ("coherence", coherence::answer),
    ("half a commit", coherence::half_a_commit),
    ("record", crash::record),
    ("list", crash::list),
    ("begin", crash::begin),
    ("invalidation", crash::invalidation),
    ("feed: list", feed::list),
    #[cfg(unix)]
    ("fork", fork::busy),
    ("act", kills::act),
    #[cfg(unix)]
    ("fork while fetching", fork::fetching),
    #[cfg(unix)]
    ("fork and count", fork::counting),
    #[cfg(unix)]
    ("fork and look up", fork::looking_up),
    #[cfg(unix)]
    ("look up beside writers", fork::looking_up_beside_writers),
    #[cfg(unix)]
    ("fork while connecting", fork::connecting),
    #[cfg(unix)]
    ("fork while opening", fork::opening),
    ("newcomer", segments::newcomer),
    ("race", races::race),
    ("make", races::make),
    ("flight", single_flight::ask),
    #[cfg(unix)]
    ("recover", waiting::recover),
    #[cfg(unix)]
    ("storm", storm::storm),
    #[cfg(unix)]
    ("interrupted", signals::interrupted),
    ("load: read", load::read),
    ("load: write", load::write),
    ("load: refresh", load::refresh),
];

use crate::support::worker::Role;
