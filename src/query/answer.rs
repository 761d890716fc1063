//! Answers that borrow from the snapshot.

use crate::engine::LibraryRow;
use crate::error::{Error, Status};
use crate::freshness;
use crate::matching::{FolderResolution, FoundItem, Resolution};
use crate::model::{Confidence, ItemType, Library, MatchKind, Reason};
use crate::source::Kind;

/// The answer to a query. It borrows from the snapshot, so copy the fields that you keep.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// [`Status::Ok`] for one item, [`Status::NotFound`] or [`Status::Ambiguous`]; an error only in a batch.
    pub status: Status,
    /// The kind of match.
    pub match_kind: MatchKind,
    /// The confidence that the item belongs to the path.
    pub confidence: Confidence,
    /// Why there is no single item.
    pub reason: Reason,
    /// Number of items that match.
    pub total: usize,
    /// A sentence for users; empty if there is one item.
    pub message: &'a str,
    /// Whether the listing behind the answer has expired.
    pub stale: bool,
    /// Milliseconds since the listing was last seen to be current; `None` without a listing, or if the clock was set
    /// back since then.
    pub age_ms: Option<i64>,
    /// Kind of the source, which determines the form of keys.
    pub kind: &'static Kind,
    /// The candidates. Their library numbers are indexes of `rows`.
    found: &'a [FoundItem<'a>],
    rows: &'a [LibraryRow],
}

impl<'a> Answer<'a> {
    /// Returns the answer for a path. Callers then set the message, the age and staleness.
    pub(super) fn of(kind: &'static Kind, outcome: &'a Resolution<'_>, rows: &'a [LibraryRow], status: Status) -> Self {
        Self {
            status,
            match_kind: outcome.match_kind,
            confidence: outcome.confidence,
            reason: outcome.reason,
            ..Self::of_items(kind, outcome.found(), outcome.total, rows)
        }
    }

    /// Returns the answer for a folder.
    pub(super) fn of_folder(
        kind: &'static Kind,
        outcome: &'a FolderResolution<'a>,
        rows: &'a [LibraryRow],
        status: Status,
    ) -> Self {
        Self {
            status,
            match_kind: outcome.match_kind,
            confidence: outcome.confidence,
            reason: outcome.reason,
            ..Self::of_items(kind, &outcome.found, outcome.total, rows)
        }
    }

    /// Returns the answer for the items with a GUID or title, which is also the base of other answers. `total` counts
    /// all matching items.
    pub(super) fn of_items(
        kind: &'static Kind,
        found: &'a [FoundItem<'a>],
        total: usize,
        rows: &'a [LibraryRow],
    ) -> Self {
        let (status, confidence, reason) = match total {
            0 => (Status::NotFound, Confidence::None, Reason::NotListed),
            1 => (Status::Ok, Confidence::High, Reason::None),
            _ => (Status::Ambiguous, Confidence::Low, Reason::SeveralItems),
        };
        Self {
            status,
            match_kind: if total == 0 { MatchKind::None } else { MatchKind::Exact },
            confidence,
            reason,
            total,
            message: "",
            stale: false,
            age_ms: None,
            kind,
            found,
            rows,
        }
    }

    /// Returns the answer of a call that must not wait, if no answer is available without waiting.
    #[must_use]
    pub fn not_yet(kind: &'static Kind) -> Self {
        Self {
            status: Status::NotYet,
            reason: Reason::None,
            message: "no answer is available without waiting: call again without AT_ONCE, or offline",
            ..Self::of_items(kind, &[], 0, &[])
        }
    }

    /// Returns the answer for a path of a batch whose lookup failed.
    pub(super) fn failed(kind: &'static Kind, error: &'a Error) -> Self {
        Self {
            status: error.status,
            message: &error.message,
            ..Self::of_items(kind, &[], 0, &[])
        }
    }

    /// Sets the age to that of the oldest listing of `rows`. An item that a search found in an unfetched library has no
    /// age.
    pub(super) fn set_age(&mut self, rows: &[LibraryRow], now_ms: i64) {
        let is_listed = |found: &FoundItem<'_>| self.rows[found.library].generation.is_fetched();
        if !self.found.iter().all(is_listed) {
            self.age_ms = None;
            return;
        }
        let listings = rows.iter().filter(|row| row.generation.is_fetched());
        let ages = listings.map(|row| freshness::age_ms(row.checked_ms, now_ms));
        self.age_ms = ages.reduce(|a, b| Some(a?.max(b?))).flatten();
    }

    /// Marks the answer as stale after a failed request, since the server may list a missing item. With `has_deadline`,
    /// `NotFound` after a timeout becomes `NotYet`. Does nothing without a failure, and for a confirmed match.
    pub(super) fn mark_stale(&mut self, failure: Option<&Error>, has_deadline: bool) {
        let Some(failure) = failure.filter(|_| self.match_kind != MatchKind::Confirmed) else {
            return;
        };
        self.stale = true;
        if self.status == Status::NotFound {
            if has_deadline && failure.status == Status::Timeout {
                self.status = Status::NotYet;
            }
            // After an error of the store, the server may still be available.
            if failure.status.is_of_server()
                && matches!(self.reason, Reason::NotListed | Reason::NoLocation | Reason::Empty)
            {
                self.reason = Reason::Unavailable;
            }
        }
    }

    /// Returns the item, if there is exactly one.
    #[must_use]
    pub fn item(&self) -> Option<&FoundItem<'a>> {
        if self.status == Status::Ok {
            self.found.first()
        } else {
            None
        }
    }

    /// Returns all items that match, best first, at most [`crate::matching::MAX_CANDIDATES`] of them.
    #[must_use]
    pub fn candidates(&self) -> &'a [FoundItem<'a>] {
        self.found
    }

    /// Returns the library of a candidate.
    #[must_use]
    pub fn library(&self, candidate: &FoundItem<'_>) -> Option<&'a Library> {
        self.rows.get(candidate.library).map(|row| &row.library)
    }
}

/// Additional fields of the answer for a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderFacts {
    /// The type of the folder: a show, season, artist or album, or the type of its only item. [`ItemType::Other`] for
    /// any other folder.
    pub kind: ItemType,
    /// Number of items with a file below the folder.
    pub items: u64,
    /// Number of files below the folder.
    pub files: u64,
}
