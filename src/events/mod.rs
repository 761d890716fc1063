//! Receives events, and stores change hints. A change hint says that a library may have changed, or which items were
//! deleted; the next query then asks the server.

mod debounce;
mod moved_files;
mod watch;

pub use debounce::DebounceIntervals;
pub use watch::{Events, Notified};
