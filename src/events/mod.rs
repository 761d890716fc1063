//! Receives events, and stores change hints: which libraries may have changed, and which items were deleted.

mod debounce;
mod payload;
mod watch;

pub use debounce::DebounceIntervals;
pub use watch::{Events, Notified};
