//! Walks folders of this machine by the rules of Plex's scanner. The caller's callbacks tell the walk how the index
//! lists a file.

mod ignored;
mod paths;
mod progress;
mod request;
mod rules;
mod walk;
mod walk_rules;

pub use progress::WalkProgress;
pub use request::{Finding, ListedStatus, Location, WalkFindings, WalkRequest, WalkStarts};
pub use rules::{Kinds, Rules};
pub use walk::walk;

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
