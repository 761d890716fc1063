//! Combines one library's listing segment, confirmed matches and memtable, so that the crate `matching` can search
//! them.

mod folders;
mod library_snapshot;
mod stored_items;

pub use library_snapshot::{LibraryProperties, LibrarySnapshot};

#[cfg(test)]
mod tests;
