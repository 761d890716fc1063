//! Combines one library's listing segment, confirmed matches and memtable, so that the crate `matching` can search
//! them.

mod folders;
mod library_snapshot;

pub use library_snapshot::{LibrarySnapshot, MatchTable, RecordedMatch, record_of};

use crate::engine::memtable::MemtableEntry;
use crate::model::LibraryKind;

/// Properties of a library, without its items.
#[derive(Clone, Debug, Default)]
pub struct LibraryProperties {
    pub uuid: String,
    pub kind: LibraryKind,
    pub locations: Vec<String>,
    /// Change sequence at which the newest listing was published.
    pub listed_at: u64,
    /// Ticket of the newest listing.
    pub listing_asked: u64,
    /// Whether the library has a listing.
    pub fetched: bool,
    /// Change sequence at which its listing was evicted or lost; 0 if it was not.
    pub evicted_at: u64,
}

/// A listed or confirmed path in a library.
#[derive(Clone, Copy)]
pub enum Hit<'v> {
    /// A path in the listing segment: the entry's number.
    Listed(u32),
    Matched(RecordedMatch<'v>),
    /// A file of an added item in the memtable: the change, and the index in the item's parts.
    Added(&'v MemtableEntry, u32),
}

#[cfg(test)]
mod tests;
