//! The writes of hosts and events to this folder, and the observer that sees each of them in its transaction.

use crate::entries::NewEntry;
use crate::model::{Hint, Library, LibraryId};

/// Reports of events about one library, or about all: whether to probe it, and which items were deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LibraryHint {
    /// Its section id; `None` for every library.
    pub section: Option<String>,
    /// Whether to probe it, and why.
    pub hint: Hint,
    /// Items that events reported as deleted. Each must be verified before it is returned again.
    pub deleted: Vec<String>,
}

/// A write of hosts or events. It contains the whole request, even if less changes in this folder: another host may
/// know a path that this folder does not know.
#[derive(Clone, Copy, Debug)]
pub enum LocalWrite<'w> {
    /// These matches of a library are confirmed: paths and rating keys.
    Matches(&'w Library, &'w [(&'w [u8], &'w str)]),
    /// These paths of libraries are invalidated.
    Paths(&'w [LibraryId], &'w [&'w [u8]]),
    /// These items of libraries are invalidated.
    Items {
        /// The libraries.
        libraries: &'w [LibraryId],
        /// Rating keys of the items.
        rating_keys: &'w [&'w str],
        /// Whether their matches are removed too.
        with_matches: bool,
    },
    /// A library is invalidated, or all libraries for `None`.
    Library(Option<LibraryId>),
    /// Events reported this.
    Hints(&'w [LibraryHint]),
}

impl LocalWrite<'_> {
    /// A write that concerns no path, item or library.
    pub const NONE: Self = LocalWrite::Paths(&[], &[]);
}

/// Sees each write of hosts and events before it is committed.
pub trait WriteObserver: Send + Sync {
    /// Returns whether the observer wants to see the writes of this thread.
    fn observes(&self) -> bool;

    /// Returns the entries that a write puts into the outbox. `libraries`: those that the write may name by their ids.
    fn entries(&self, libraries: &[(LibraryId, Library)], write: &LocalWrite<'_>) -> Vec<NewEntry>;

    /// Called after a commit with entries, on the thread that wrote, which holds no connection.
    fn committed(&self);
}
