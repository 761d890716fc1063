//! The storage engine: a log-structured merge tree over `SQLite`. Readers take no lock.
//!
//! The database ([`sql`]) has what cannot be fetched again. Segments are immutable mapped files: listings, and records
//! built from the database ([`segment`]).
//! Memtables hold the changes since then ([`memtable`]). A [`view`] combines both for one library, a [`snapshot`] for
//! all libraries. The version page shows whether a snapshot is current ([`version_page`]). Confirmed matches and tables
//! are [`records`]. [`maintenance`] writes, replaces and removes the segments of listings, and keeps the folder small.
//! The rest of the crate uses only the names exported here.

mod current;
mod maintenance;
mod memtable;
mod records;
mod segment;
mod snapshot;
mod sql;
mod version_page;
mod view;

pub use maintenance::{FolderLimit, ListingDraft, ListingSegments, Maintenance};
pub use records::{LONGEST_NAME, Op, Records, Table, TableLimits, Tables};
pub use snapshot::{LiveSnapshot, Snapshot, age, places};
pub use sql::{
    Endpoint, FeedPage, FeedPlace, FeedPosition, FeedRows, ItemChange, ItemRows, LibraryHint, LibraryRow, LibraryRows,
    Listing, ListingResult, ListingRows, LocalWrite, LoggedKind, NewListing, Outbox, OutboxRow, ProbeOutcome,
    RecordRows, SameUser, SearchRows, SharedPlace, Store, StoreInfo, StoreStates, StoredItems, Sweeper, Totals, WAITS,
    WriteObserver, unverified_kind,
};

/// Further exports for tests, fuzz targets and benchmarks.
#[cfg(feature = "testing")]
pub mod testing {
    pub use super::memtable::MemtableChange;
    pub use super::segment::{
        ListingBuilder, ListingMeta, ListingSegment, Matches, Record, RecordSegment, RecordSegmentBuilder,
        RecordSegments, Stored, match_value, record_hash,
    };
    pub use super::version_page::{PageState, VersionPage};
    pub use super::view::{LibraryView, ViewFacts};
}
