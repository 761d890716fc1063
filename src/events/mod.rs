//! Receives change events from the server or the host, and writes them to the store as hints.

mod debounce;
mod payload;
mod watch;

pub use debounce::DebounceIntervals;
pub use watch::{Events, Notified};
