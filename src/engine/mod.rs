//! The storage engine: a log-structured merge tree over SQLite. Readers take no lock.
//!
//! The database ([`sql`]) stores all data that plexindex cannot fetch again. Segments ([`segment`]) are immutable
//! mapped files, built from listings or from records in the database. Memtables ([`memtable`]) contain the changes
//! since the segments were built. [`view`] combines the segment and memtable of one library. [`snapshot`] contains the
//! state of all libraries. The version page ([`version_page`]) shows whether a snapshot is current. [`records`] stores
//! confirmed matches and tables. [`writing`] writes, replaces and removes listing segments, and limits the folder's
//! size. The rest of the crate uses only the items that this module exports.

mod current;
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
pub use records::{LONGEST_NAME, Op, Records, Table, TableLimits, Tables};
pub use snapshot::{LiveSnapshot, Snapshot, library_indexes};
pub use sql::{
    ClaimedUserHash, EarlierQuestions, Endpoint, FeedCursor, FeedPage, FeedRows, Folded, ItemChange, ItemReply,
    ItemRows, KnowledgeRows, LastQuestion, LibraryHint, LibraryRow, LibraryRows, ListedItems, Listing, ListingResult,
    ListingRows, LocalWrite, MAX_DELTA_ITEMS, Outbox, OutboxRow, PathRequests, QuestionOutcome, RecordRows, Replies,
    SearchRows, SharedLogPosition, ShowRows, Store, StoreInfo, StoreStates, StoredItems, Sweeper, Totals, UNDELIVERED,
    WriteObserver, is_locked,
};
pub use writing::{FolderLimit, ListingDraft, ListingSegments, StoreWriter};

/// Additional exports for tests, fuzz targets and benchmarks.
#[cfg(feature = "testing")]
pub mod testing {
    pub use super::memtable::MemtableChange;
    pub use super::segment::{
        ListingBuilder, ListingMeta, ListingSegment, Matches, Record, RecordSegment, RecordSegmentBuilder,
        RecordSegments, StoredValue, encode_match, hash_of, record_hash, upper,
    };
    pub use super::version_page::{PageState, VersionPage};
    pub use super::view::{LibraryProperties, LibrarySnapshot};
}
