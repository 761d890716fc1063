//! The storage engine: SQLite, and mapped segments of listings. Readers take no lock.
//!
//! The database ([`sql`]) stores all data that plexindex cannot fetch again. Segments ([`segment`]) are immutable
//! mapped files, built from listings. Memory ([`memtable`]) contains the changes since the segments were built, and the
//! records that a process knows. [`view`] combines the segment and memtable of one library. [`snapshot`] contains the
//! state of all libraries. The version page ([`version_page`]) shows whether a snapshot is current. [`records`] are
//! hosts' tables. [`writing`] rebuilds and repairs listing segments, removes what is dead, and limits the folder's
//! size. The rest of the crate uses only the items that this module exports.

mod common_clock;
mod memtable;
mod record_rows;
mod records;
mod segment;
mod snapshot;
mod sql;
mod version_page;
mod view;
mod writing;

pub use memtable::MemtableChange;
pub use record_rows::RecordTime;
pub use records::{LONGEST_NAME, Op, Table, TableLimits, Tables};
pub use snapshot::{LiveSnapshot, MAX_QUESTIONS, Selection, Selector, Snapshot, library_indexes};
pub use sql::{
    ClaimedUserHash, Endpoint, FeedCursor, FeedPage, FeedRows, Folded, Invalidated, ItemChange, ItemReply, ItemRows,
    KnowledgeRows, LIBRARY_LIST, LastQuestion, LibraryHint, LibraryRow, LibraryRows, ListedItems, Listing,
    ListingDraft, ListingResult, ListingRows, ListingSegments, MAX_DELTA_ITEMS, PathRequests, QuestionOutcome,
    RecordRows, Replies, SearchRows, SharedPosition, SharedRow, SharedRows, SharedState, SharedStep,
    SharedWriteListener, ShowRows, Store, StoreInfo, StoredItems, Sweeper, Totals, is_locked,
};
pub use view::LibrarySnapshot;
pub use writing::{FolderLimit, StoreWriter};

/// Additional exports for tests, fuzz targets and benchmarks.
#[cfg(feature = "testing")]
pub mod testing {
    pub use super::memtable::{MemtableChange, StoreMemories};
    pub use super::record_rows::{RecordTime, StoredMatch};
    pub use super::segment::{ListingBuilder, ListingMeta, ListingSegment};
    pub use super::version_page::VersionPage;
    pub use super::view::{LibraryProperties, LibrarySnapshot, MatchTable};
    pub use crate::knowledge::FileTickets;
}
