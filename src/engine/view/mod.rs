//! Combines the listing segment, the confirmed matches, and the memtable of one library, for the crate `matching`.

mod folders;
mod library_snapshot;
mod stored_items;

pub use library_snapshot::{LibraryProperties, LibrarySnapshot};

#[cfg(test)]
mod tests;
