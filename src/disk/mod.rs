//! Walks folders of this machine, and knows which files a media server leaves out when it scans. Whether a file is listed is
//! a callback.

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
