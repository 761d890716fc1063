//! Walks folders of this machine, and knows which files Plex ignores when it scans. A callback tells whether a file is
//! listed.

mod ignored;
mod paths;
mod progress;
mod request;
mod rules;
mod walk;

pub use progress::WalkProgress;
pub use request::{Location, WalkFindings, WalkRequest};
pub use rules::{Kinds, Rules};
pub use walk::walk;

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
