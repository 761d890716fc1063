//! Events: what the server tells of changes while it is watched, and what hosts hand over, collected and noted.

mod body;
mod debounce;
mod watch;

pub use debounce::DebounceIntervals;
pub use watch::Events;
