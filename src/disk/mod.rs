//! What lies on a disk, and what of it a media server leaves out when it scans: folders walked, and the rules by name. Knows
//! of no index: whether a file is listed is asked for.

mod ignored;
mod progress;
mod rules;
mod walk;

pub use progress::Progress;
pub use rules::{Kinds, Rules};
pub use walk::{Location, Question, Walked, walk};

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
