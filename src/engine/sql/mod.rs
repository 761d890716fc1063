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
mod connection;
mod migrations;
mod record_encoding;
mod schema;
mod store;
mod store_folder;

// The tables.
mod confirmed_matches;
mod doubts;
mod evicting;
mod feed_rows;
mod knowledge_rows;
mod library_rows;
mod listings;
mod overlay;
mod record_rows;
mod record_writes;
mod shared_rows;
mod store_state;
mod stored_items;
mod sweeper;
mod views;

#[cfg(test)]
mod connection_tests;
#[cfg(test)]
mod feed_rows_tests;
#[cfg(test)]
pub(super) mod for_tests;
#[cfg(test)]
mod listing_tests;
#[cfg(test)]
mod overlay_tests;
#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod probes_tests;
#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod store_tests;

pub use confirmed_matches::{Invalidated, LibraryHint};
pub use feed_rows::{FeedCursor, FeedPage, FeedRows, ItemChange, ListedItems};
pub use knowledge_rows::{
    Folded, ItemReply, KnowledgeRows, LIBRARY_LIST, LastQuestion, MAX_DELTA_ITEMS, PathRequests, QuestionOutcome,
    Replies, SearchRows,
};
pub use library_rows::{LibraryRow, LibraryRows, ShowRows};
pub use listings::{Listing, ListingDraft, ListingResult, ListingRows, ListingSegments};
pub use record_encoding::RecordKind;
pub use record_rows::RecordRows;
pub use record_writes::Limited;
pub use schema::{SEQUENCE_BITS, Tx};
pub use shared_rows::{SharedPosition, SharedRow, SharedRows, SharedState, SharedStep};
pub use store::{DatabaseNumber, SharedWriteListener, Store};
pub use store_folder::{is_locked, new_listing_name};
pub use store_state::StoreStates;
pub use stored_items::{ItemRows, ItemVisitor, StoredItems};
pub use sweeper::{StoreInfo, Sweeper, Totals};
pub use views::{ClaimedUserHash, Endpoint};
