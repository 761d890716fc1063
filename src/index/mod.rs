//! The index: what `api` and `capi` hold of it, [`Index`] and [`Library`]. Each of their methods hands a call to the room
//! that does it; rooms are made and closed here.

mod handle;
mod inner;
mod library;
mod renewing;
mod timing;

pub use crate::disk::{Rule, Rules};
pub use crate::edit::{Edit, EditReport, Edited};
pub use crate::engine::Selector;
pub use crate::engine::StoreFacts;
#[doc(hidden)]
pub use crate::events::DebounceIntervals;
pub use crate::matching::propose::Proposal;
pub use crate::platform::clock::{Clock, ManualClock, SystemClock, hold_coarse};
#[doc(hidden)]
pub use crate::platform::witness;
pub use crate::query::{Answer, Candidate, ChangeKind, Changes, FeedChange, FolderFacts, LibraryFacts, Match, Which};
pub use crate::sync::Progress;
pub use handle::Index;
pub use library::{Deadline, Library, QueryOptions};
