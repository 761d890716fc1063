//! Combines the listing segment, the confirmed matches, and the memtable of one library, for the crate `matching`.

mod folders;
mod library_view;
mod stored_items;

pub use library_view::{LibraryView, ViewFacts};

#[cfg(test)]
mod tests;
