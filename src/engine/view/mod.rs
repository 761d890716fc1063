//! One library as `matching` sees it: the segment of its listing and its confirmed matches under a memtable.

mod folders;
mod library;

pub use library::{LibraryView, ViewFacts};

#[cfg(test)]
mod tests;
