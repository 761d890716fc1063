//! One library as `matching` reads it: the segment of its listing, its confirmed matches, and the memtable over both.

mod folders;
mod library_view;
mod stored_items;

pub use library_view::{LibraryView, ViewFacts};

#[cfg(test)]
mod tests;
