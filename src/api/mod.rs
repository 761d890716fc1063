//! The Rust API: an index, its libraries and tables, and queries. The crate root re-exports this module, and
//! `bindings/c` wraps it for C.

mod facts;
mod index;
mod library;
mod opened;
mod query_builder;
mod recording;

pub use crate::engine::{Selector, StoreInfo};
#[doc(inline)]
pub use crate::error::{Error, ErrorKind, Result};
pub use crate::events::Notified;
#[doc(inline)]
pub use crate::model::{Confidence, FolderKind, ItemType, LibraryInfo, LibraryKind, MatchKind, Reason, Token};
#[doc(inline)]
pub use crate::options::{Mapping, MappingKind, Options, Pattern, Renewal, Ttl};
pub use crate::query::{
    Change, ChangeKind, Folder, Item, Match, MatchStatus, MatchedFile, Media, MediaFacts, MediaPart, Season, Show,
};
pub use crate::source::RequestKind;
pub use crate::stats::Stats;
pub use crate::sync::Progress;
pub use facts::{Proposal, Refreshed, ServerInfo, WaitOutcome};
pub use index::Watch;
pub use library::{Changes, Items, ItemsBelow};
pub use opened::{Index, Library, WeakIndex};
pub use query_builder::Query;
pub use recording::{ImportedMatches, Names, RecordedMatch, Table, TableChange, Terms};
