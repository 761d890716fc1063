//! A page of the feed, and the position of a reader.

use super::super::library_rows::LibraryRow;
use crate::model::{Item, LibraryId, Sequence};

/// A reader's position. The feed has reported everything before the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedPosition {
    /// In the log of changes.
    Log(FeedLogPosition),
    /// In a full listing: in `library`, after the item with the cursor `after` (0: at the start). After the listing,
    /// the reader continues in the log at `log_start`.
    Full {
        log_start: Sequence,
        library: LibraryId,
        after: i64,
    },
}

/// The position of the next log entry to report. At number 0 of a transaction, the feed first names the libraries that
/// the reader must list again, in the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeedLogPosition {
    pub sequence: Sequence,
    /// Number of the change within its transaction, starting at 1; 0 for libraries that the reader must list again.
    pub change_number: i64,
    /// If `change_number` is 0: the feed has already named the libraries below this id.
    pub next_library: i64,
}

impl FeedLogPosition {
    /// Returns the position before all changes with this change sequence.
    #[must_use]
    pub fn at(sequence: Sequence) -> Self {
        Self {
            sequence,
            change_number: 0,
            next_library: 0,
        }
    }
}

/// A change to an item, or the instruction to list a whole library again.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemChange {
    pub library: LibraryRow,
    /// The item before the change; `None` if it was not listed, or if the reader must list the library again.
    pub was: Option<Item>,
    /// The item after the change; `None` if it is no longer listed, or if the reader must list the library again.
    pub now: Option<Item>,
}

impl ItemChange {
    /// Returns whether this change tells the reader to list the whole library again. Such a change contains no items.
    #[must_use]
    pub fn is_relist_marker(&self) -> bool {
        self.was.is_none() && self.now.is_none()
    }
}

/// A page of changes from the log, or of items from a full listing.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// Id of the timeline to which `next` belongs.
    pub timeline: i64,
    /// The changes, oldest first.
    pub changes: Vec<ItemChange>,
    /// The start of the next page.
    pub next: FeedPosition,
    /// Whether more changes or items are ready to read.
    pub has_more: bool,
    /// The change sequence at which the following pages of the log end, although there may be newer commits; `None` if
    /// no page follows.
    pub end: Option<Sequence>,
}
