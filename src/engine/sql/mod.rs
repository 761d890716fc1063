//! `SQLite`: the source of truth, and the only place with SQL.
//!
//! A [`Store`] is a folder: the database, the version page that shows other processes each commit, segments, locks, and
//! the client identifier. `docs/design.md` lists what a kill at each point of a write leaves.
//!
//! A method that returns a [`crate::error::Result`] fails with [`Status::Store`](crate::error::Status::Store), and one
//! that writes also with [`Status::StoreFull`](crate::error::Status::StoreFull). Its comment names further errors.
//!
//! Each kind of stored data has a source file. These files use the files that open the database and write to it. There
//! are no cycles between files.

// The folder and the database in it.
mod cached;
mod client;
mod connection;
mod connections;
mod database;
mod explain;
mod facts;
mod folder;
mod lock_wait;
mod oldest;
mod open;
mod opened;
mod page;
mod schema;
mod segment_files;
mod state_file;
mod transactions;
mod tx;

// The tables.
mod adding;
mod changes;
mod columns;
mod endpoints;
mod evicting;
mod feed;
mod guids;
mod hints;
mod history;
mod identities;
mod ids;
mod incarnation;
mod indexing;
mod invalidation;
mod items;
mod keeping;
mod known;
mod last_write;
mod libraries;
mod listings;
mod matches;
mod merging;
mod path_searches;
mod places;
mod probes;
mod records;
mod seen;
mod shared;
mod state;
mod sweeping;
mod texts;
mod timelines;
mod titles;
mod totals;
mod unverified;

#[cfg(test)]
mod columns_tests;
#[cfg(test)]
mod connection_tests;
#[cfg(test)]
mod feed_tests;
#[cfg(test)]
mod for_tests;
#[cfg(test)]
mod history_tests;
#[cfg(test)]
mod indexing_tests;
#[cfg(test)]
mod listing_tests;
#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod statements;
#[cfg(test)]
mod store_tests;

pub use changes::{LoggedChange, LoggedKind};
pub use endpoints::Endpoint;
pub use facts::StoreInfo;
pub use feed::{FeedPage, FeedPlace, FeedPosition, ItemChange};
pub use folder::StoreFolder;
pub use hints::LibraryHint;
pub use identities::SameUser;
pub use incarnation::Incarnation;
pub use libraries::LibraryRow;
pub use listings::{Listing, ListingResult};
pub use matches::RecordedMatches;
pub use open::Store;
pub use path_searches::ProbeOutcome;
pub use records::{
    Collection, Manifest, NamedSegment, RecordLog, RecordRow, RecordTx, RecordsState, TableRow, last_row, write_of,
};
pub use shared::{OutboxRow, SharedPlace, WAITS};
pub use state::StoreState;
pub use unverified::unverified_kind;
