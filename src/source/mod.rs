//! Where items come from: the trait [`Source`], and what implements it: the Plex HTTP API, and Plex's own database.
//!
//! The only place with network and with files of other programs. Nothing here knows of the store, of the index or of
//! freshness: a source answers what it is asked, once, and says exactly what went wrong. What it alone knows stays behind `contract`: how its keys look, what
//! tells that a library changed, how a listing is paged, how to find out what is new.

mod contract;
pub mod database;
mod fallback;
mod open;
pub mod plex;

pub use contract::{
    Abilities, Bounds, Delta, EditRequest, Event, FieldChange, Kind, KnownItems, Lock, Meter, Next, Notification,
    PageEnd, PageRequest, Placed, RequestKind, Resume, Session, Source, SourceChanges, Tokens, TokensState, View,
    Viewer, WantedPath,
};
pub use open::{check, fallback_view, kind, open, precondition, view};
pub use plex::check_token;
