//! A page of the feed, and the position of a reader.

use super::super::library_rows::LibraryRow;
use crate::model::{Item, LibraryId, Sequence};

/// The position of a reader. Everything before it was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedPosition {
    /// In the log of changes.
    Log(FeedPlace),
    /// In a full listing, after the item with this cursor. The reader continues in the log at `then`.
    Full {
        then: Sequence,
        library: LibraryId,
        after: i64,
    },
}

/// A place in the log: the next change to report. Number 0 of a transaction stands for 'list again', which the feed
/// reports for each library, in the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeedPlace {
    pub sequence: Sequence,
    /// Number of the change within its transaction, from 1.
    pub n: i64,
    /// For number 0: the next library to report.
    pub reported: i64,
}

impl FeedPlace {
    /// Returns the place before all changes of a change sequence.
    #[must_use]
    pub fn at(sequence: Sequence) -> Self {
        Self {
            sequence,
            n: 0,
            reported: 0,
        }
    }
}

/// A change of an item, or of a whole library.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemChange {
    /// The library.
    pub library: LibraryRow,
    /// The item before; `None` if it was not listed, or if the whole library must be listed again.
    pub was: Option<Item>,
    /// The item after; `None` if it is no longer listed, or if the whole library must be listed again.
    pub now: Option<Item>,
}

impl ItemChange {
    /// Returns whether the whole library must be listed again: its changes are not known.
    #[must_use]
    pub fn is_relist_marker(&self) -> bool {
        self.was.is_none() && self.now.is_none()
    }
}

/// A page of the feed.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// The timeline of `next`.
    pub timeline: i64,
    /// The changes, oldest first.
    pub changes: Vec<ItemChange>,
    /// Where the next page begins.
    pub next: FeedPosition,
    /// Whether more follows before the end.
    pub more: bool,
    /// The end that the reader asked for if more of the log follows, else the newest change sequence.
    pub end: Option<Sequence>,
}
