//! The SQLite database, with the data that plexindex cannot fetch again. This module contains all SQL.
//!
//! A [`Store`] is a folder with the database, the version page that announces commits to other processes, segments,
//! lock files, and the client identifier. Types such as [`LibraryRows`] and [`Outbox`] borrow the store, and each type
//! gives access to one kind of data. `docs/design.md` describes what a crash leaves.
//!
//! Methods that return a [`crate::error::Result`] can fail with [`Status::Store`](crate::error::Status::Store). Methods
//! that write can also fail with [`Status::StoreFull`](crate::error::Status::StoreFull). Each method's documentation
//! lists further errors.

// The folder and the database in it.
mod announce;
mod cached;
mod client_identifier;
mod connection;
mod incarnation;
mod lock_wait;
mod migrations;
mod oldest;
mod schema;
mod segment_files;
mod state_file;
mod store;
mod store_database;
mod store_errors;
mod store_folder;
mod store_info;
mod store_key;
mod transactions;
mod tx;

// The tables.
mod change_log;
mod columns;
mod confirmed_matches;
mod endpoints;
mod evicting;
mod exported_matches;
mod feed_rows;
mod hints;
mod history;
mod identities;
mod ids;
mod invalidation;
mod item_rows;
mod last_write;
mod library_rows;
mod listings;
mod local_write;
mod outbox;
mod packed_items;
mod path_searches;
mod probes;
mod publishing;
mod record_log;
mod row_positions;
mod shows;
mod store_state;
mod sweeping;
mod timelines;
mod totals;
mod unverified;

#[cfg(test)]
mod columns_tests;
#[cfg(test)]
mod connection_tests;
#[cfg(test)]
mod feed_rows_tests;
#[cfg(test)]
mod for_tests;
#[cfg(test)]
mod history_tests;
#[cfg(test)]
mod listing_tests;
#[cfg(test)]
mod outbox_tests;
#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod prepared_statements;
#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod store_tests;

pub use change_log::{LoggedChange, LoggedKind};
pub use confirmed_matches::RecordedMatches;
pub use endpoints::Endpoint;
pub use feed_rows::{FeedLogPosition, FeedPage, FeedPosition, FeedRows, ItemChange};
pub use hints::LibraryHint;
pub use identities::ClaimedUserHash;
pub use incarnation::Incarnation;
pub use item_rows::{ItemRows, MergedChanges, StoredItems};
pub use library_rows::{LibraryRow, LibraryRows};
pub use listings::{Listing, ListingResult, ListingRows};
pub use local_write::{LocalWrite, WriteObserver};
pub use outbox::{Outbox, OutboxRow, SharedLogPosition, UNDELIVERED};
pub use path_searches::{LastProbe, ProbeOutcome, SearchRows};
pub use publishing::NewListing;
pub use record_log::{
    Manifest, NamedSegment, RecordLog, RecordRow, RecordRows, RecordTable, RecordTx, RecordsState, TableRow,
    last_row_id_of, write_of,
};
pub use segment_files::{new_listing_name, new_segment_name, touch_segment};
pub use shows::ShowRows;
pub use store::Store;
pub use store_info::StoreInfo;
pub use store_state::{StoreState, StoreStates};
pub use sweeping::Sweeper;
pub use totals::Totals;
pub use unverified::unverified_kind;
