//! Tests of reading hits, and of resolution over a view.

mod against;
mod folders;
mod listing_segment;
mod memtable;
mod naive;
mod page;
mod random;
mod resolution;
mod right;
mod stored_items;
mod swap;

use std::sync::Arc;

use super::{LibraryProperties, LibrarySnapshot};
use crate::engine::segment::ListingSegment;
use crate::matching::Mappings;
use crate::model::{FileFacts, Item, ItemFacts, KnownFacts, LibraryKind};
use against::{listing, movie};

/// The names under which the fuzz targets use this module.
mod parts {
    pub use crate::engine::memtable::MemtableChange;
    pub use crate::engine::memtable::StoreMemories;
    pub use crate::engine::record_rows::{RecordTime, StoredMatch};
    pub use crate::engine::segment::{ListingBuilder, ListingMeta, ListingSegment};
    pub use crate::engine::view::{LibraryProperties, LibrarySnapshot, MatchTable};
    pub use crate::knowledge::FileTickets;
    pub use crate::platform::map::MapMode;
}

/// A fetched library with these folders and items, without matches.
pub fn library(locations: &[&str], items: &[Item], mappings: &Mappings) -> LibrarySnapshot {
    let properties = LibraryProperties {
        uuid: "uuid".into(),
        kind: LibraryKind::Movie,
        locations: locations.iter().map(|path| (*path).to_owned()).collect(),
        listed_at: 1,
        listing_asked: 1,
        fetched: true,
        evicted_at: 0,
    };
    let segment = ListingSegment::from_bytes(listing(items, mappings)).expect("a segment opens");
    LibrarySnapshot::new(properties, mappings, Some(Arc::new(segment)), None)
}

/// Facts of an item's files, which have these sizes.
pub fn sizes(sizes: &[u64]) -> KnownFacts {
    let mut facts = ItemFacts::default();
    for size in sizes {
        facts.push(*size, FileFacts::default());
    }
    KnownFacts(Some(Box::new(facts)))
}
