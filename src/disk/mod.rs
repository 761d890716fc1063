//! Walks folders on this machine by the rules of Plex's scanner. The caller's callbacks look up files in the index.

mod ignored;
mod rules;
mod walk;
mod walk_request;
mod walk_rules;

pub use rules::{MediaTypes, Rules};
pub use walk::walk;
pub use walk_request::{Finding, ListedStatus, Location, WalkFindings, WalkProgress, WalkRequest, WalkStarts};

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
