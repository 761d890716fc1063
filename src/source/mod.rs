//! Sources of items: the trait [`Source`] and its implementations for the Plex HTTP API and Plex's own database.
//!
//! Apart from the shared log, only this folder accesses the network and reads the files of other programs. A source
//! does not know the store, the index or freshness: it performs one operation and reports exactly how the operation
//! failed. `contract` hides the formats of keys and versions, paging, and change detection.

mod contract;
pub mod database;
mod database_and_server;
mod open;
pub mod plex;

pub use crate::platform::deadline::Deadline;
pub use contract::{
    Abilities, Bounds, Delta, DeltaWatermark, EditRequest, Event, FieldChange, IndexedItems, LocatedItem, Lock, Meter,
    Notification, PageEnd, PageRequest, RequestKind, Resume, Session, Source, SourceChanges, SourceKind, TokenOwner,
    Tokens, TokensState, View, Viewer, WantedPath,
};
pub use open::{check, kind, open, view};
pub use plex::check_token;
