//! The index: what is known of each library, kept on the disk and in memory, and read without a lock.
//!
//! It is a log-structured merge tree over `SQLite`. [`sql`] is the truth. Segments are immutable, mapped and derived
//! ([`segment`]); memtables hold what changed since ([`memtable`]). A [`view`] is one library of both, a snapshot all libraries at one
//! moment ([`snapshot`]), and the version page tells for some loads whether that is current ([`version_page`]). What hosts record by
//! exact name is in [`records`]; segments are made, replaced and swept in [`compaction`] too. The rest of the crate uses what is
//! named here, and nothing else.

mod compaction;
mod memtable;
mod records;
mod segment;
mod snapshot;
mod sql;
mod version_page;
mod view;

pub use compaction::{ListingSegments, Maintenance};
pub use records::{LONGEST_NAME, Op, Records, Table, Tables, Terms};
pub use segment::ListingBuilder;
pub use snapshot::{
    EvictionPin, MAX_RETRIES, Reading, Resolved, Selection, Selector, Snapshot, age, cleared_again, places,
};
pub use sql::{
    Endpoint, FeedPage, FeedPlace, FeedPosition, Invalidation, ItemChange, LibraryHint, LibraryRow, Listing,
    ListingResult, LockTimeout, ProbeOutcome, Store, StoreFolder, StoreInfo,
};

/// What the fuzz targets and benchmarks reach besides.
pub mod for_fuzzing {
    pub use super::memtable::MemtableChange;
    pub use super::segment::{
        ListingBuilder, ListingMeta, ListingSegment, Matches, Record, RecordSegment, RecordSegmentBuilder,
        RecordSegments, Stored, match_value, record_hash,
    };
    pub use super::version_page::{PageState, VersionPage};
    pub use super::view::{LibraryView, ViewFacts};
}
