//! Writes that hosts make to this folder, and the observer that shares these writes with other hosts.

use crate::entries::NewEntry;
use crate::model::{Library, LibraryId};

/// A write by a host, for the observer. Contains the whole request, because another host may know a path
/// that this folder does not know.
#[derive(Clone, Copy, Debug)]
pub enum LocalWrite<'w> {
    /// Confirmed matches in a library: paths and rating keys.
    Matches(&'w Library, &'w [(&'w [u8], &'w str)]),
    /// Invalidated paths in these libraries.
    Paths(&'w [LibraryId], &'w [&'w [u8]]),
    /// Invalidated items in these libraries.
    Items {
        libraries: &'w [LibraryId],
        rating_keys: &'w [&'w str],
        /// Whether the items' confirmed matches are removed too.
        with_matches: bool,
    },
    /// An invalidated library; `None` for all libraries.
    Library(Option<LibraryId>),
}

impl LocalWrite<'_> {
    /// A write that affects no path, item or library.
    pub const NONE: Self = LocalWrite::Paths(&[], &[]);
}

/// An observer of writes by hosts. It adds entries to the outbox, from which they go to the shared log.
pub trait WriteObserver: Send + Sync {
    /// Returns whether the observer wants to be called for writes on this thread. Returns `false` while the thread
    /// applies other hosts' writes, which must not go back to the log.
    fn observes(&self) -> bool;

    /// Returns the entries that a write adds to the outbox. Called in the write's transaction. `libraries`: the view's
    /// libraries by id; empty for [`LocalWrite::Matches`], which contains its library.
    fn entries(&self, libraries: &[(LibraryId, Library)], write: &LocalWrite<'_>) -> Vec<NewEntry>;

    /// Called after a commit that added entries to the outbox, so that they are delivered soon. Runs on the writing
    /// thread, which holds no connection's lock.
    fn after_commit(&self);
}
