//! One library as `matching` reads it: the segment of its listing, its confirmed matches, and the memtable over both.

mod folders;
mod library;
mod stored_items;

pub use library::{LibraryView, ViewFacts};

#[cfg(test)]
mod tests;
