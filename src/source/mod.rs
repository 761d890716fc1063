//! Where items come from: the trait [`Source`], and the Plex HTTP API that implements it.
//!
//! The only place with network. Nothing here knows of SQL, of the index or of freshness: a source answers what it
//! is asked, once, and says exactly what went wrong. What it alone knows stays behind `contract`: how its keys look, what
//! tells that a library changed, how a listing is paged, how to find out what is new.

mod bounds;
mod contract;
mod edit;
mod event;
mod kind;
mod meter;
mod open;
pub mod plex;

pub use bounds::Bounds;
pub use contract::{Abilities, Changes, Delta, Known, PageEnd, PageRequest, Resume, Source, WantedPath};
pub use edit::{EditRequest, FieldChange, Lock};
pub use event::Event;
pub use kind::{Kind, View, Viewer};
pub use meter::{Meter, RequestKind};
pub use open::{kind, open, view};
