//! A page of the feed, and where a reader of it is.

use super::super::libraries::LibraryRow;
use crate::model::{Generation, Item, LibraryId, Sequence};

/// The position of a reader: everything before it was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedPosition {
    /// In the log of changes.
    Log(FeedPlace),
    /// In a full listing, after the item of this row; the log goes on from `then`.
    Full {
        then: Sequence,
        library: LibraryId,
        generation: Generation,
        after: i64,
    },
}

/// A place in the log: the change that is told next, and how much of it was told. Change 0 of a transaction is 'list again',
/// told of libraries in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeedPlace {
    pub sequence: Sequence,
    pub n: i64,
    pub told: i64,
}

impl FeedPlace {
    /// Before all that happens at a change sequence.
    #[must_use]
    pub fn at(sequence: Sequence) -> Self {
        Self {
            sequence,
            n: 0,
            told: 0,
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
    /// The library has to be listed again: of what happened to it no more is known.
    #[must_use]
    pub fn is_again(&self) -> bool {
        self.was.is_none() && self.now.is_none()
    }
}

/// A page of the feed.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// The timeline of `next`: `timelines.rs`.
    pub timeline: i64,
    /// Oldest first.
    pub told: Vec<ItemChange>,
    /// Where the next page begins.
    pub next: FeedPosition,
    /// There is more, up to the end.
    pub more: bool,
    /// If there is more of the log: the requested end, else the newest change sequence.
    pub end: Option<Sequence>,
}
