//! The crate as Rust users see it: the root hands on what stands here. Like `capi` it translates: what the index below says
//! with numbers and empty texts is `Option`, enums, [`std::time::Duration`] and paths here, and statuses of C are no errors.

mod answer;
mod edit;
mod error;
mod facts;
mod feed;
mod library;
mod opened;
mod paths;
mod query;
mod stats;
mod table;
mod words;

pub use crate::edit::{EditReport, Edited};
pub use crate::engine::Selector;
pub use crate::index::ChangeKind;
pub use crate::model::{ItemType, LibraryKind, Token};
pub use crate::options::{Mapping, MappingKind, Options, Pattern, Renewal, Ttl};
pub use crate::source::{FieldChange, Lock, RequestKind};
pub use answer::{Folder, Item, Match};
pub use edit::EditError;
pub use error::{Error, ErrorKind, Result};
pub use facts::{LibraryInfo, Proposal, ServerInfo, StoreInfo};
pub use feed::{Change, Changes};
pub use library::{Items, ItemsBelow, Library};
pub use opened::{Index, Watch};
pub use query::{Progress, Query, Refreshed, Waited};
pub use stats::Stats;
pub use table::{Names, Table, TableChange, Terms};
pub use words::{Confidence, Reason, Rung, Status};
