//! Where items come from: the trait [`Source`], and what implements it: the Plex HTTP API, and Plex's own database.
//!
//! The only place with network and with files of other programs. Nothing here knows of the store, of the index or of
//! freshness: a source answers what it is asked, once, and says exactly what went wrong. What it alone knows stays behind `contract`: how its keys look, what
//! tells that a library changed, how a listing is paged, how to find out what is new.

mod beside;
mod bounds;
mod contract;
pub mod database;
mod edit;
mod event;
mod kind;
mod meter;
mod open;
pub mod plex;
mod tokens;

pub use bounds::Bounds;
pub use contract::{Abilities, Changes, Delta, Known, PageEnd, PageRequest, Placed, Resume, Source, WantedPath};
pub use edit::{EditRequest, FieldChange, Lock};
pub use event::{Event, Notification};
pub use kind::{Kind, View, Viewer};
pub use meter::{Meter, RequestKind};
pub use open::{check, kind, open, premise, view, view_aside};
pub use plex::check_token;
pub use tokens::{Next, Session, State as TokensState, Tokens};
