//! `SQLite`: the one source of truth, and the only place with SQL.
//!
//! A [`Store`] is a folder: the database, the version page that tells other processes of a commit, segments, locks, and
//! the client identifier. What a kill at each point of a write leaves behind is argued in `docs/design/crashes.md`.
//!
//! A method that gives a [`crate::error::Result`] fails with [`Status::Store`](crate::error::Status::Store), and one that
//! writes with [`Status::StoreFull`](crate::error::Status::StoreFull) too; what else it may fail with stands there.
//!
//! One file for each kind of thing that is stored, on top of those that open a database and write to it. No file uses one
//! that uses it.

// The folder and the database in it.
mod cached;
mod carry_over;
mod client;
mod connection;
mod connections;
mod database;
mod explain;
mod facts;
mod folder;
mod lock_wait;
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
mod leases;
mod libraries;
mod listings;
mod matches;
mod merging;
mod path_searches;
mod places;
mod probes;
mod records;
mod refusals;
mod seen;
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
pub use identities::{NEVER_FORGOTTEN, SameUser, USE_NOTED_MS};
pub use incarnation::Incarnation;
pub use libraries::LibraryRow;
pub use listings::{Listing, ListingResult};
pub use matches::RecordedMatches;
pub use open::Store;
pub use path_searches::ProbeOutcome;
pub use records::{
    Collection, Manifest, NamedSegment, RecordLog, RecordRow, RecordTx, RecordsState, TableRow, last_row, write_of,
};
#[cfg(test)]
pub use state::DatabaseSequences;
pub use state::{KnownSequences, StoreState};
pub use unverified::Invalidation;
