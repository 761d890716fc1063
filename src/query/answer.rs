//! A query's answer, which borrows from a snapshot.

use std::sync::Arc;

use super::media::MatchedFile;
use crate::engine::{LibraryRow, LibrarySnapshot, Snapshot, is_locked};
use crate::error::{Error, Status};
use crate::matching::{FolderResolution, FoundItem, Resolution};
use crate::model::{Confidence, ItemType, Library, MatchKind, Reason};
use crate::source::SourceKind;

/// The answer to a query. An answer borrows from a snapshot, so callers must copy the fields that they keep.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// [`Status::Ok`] for one item; otherwise the status of a miss, of several matches, or of a passed deadline. In a
    /// batch, also the status of an error.
    pub status: Status,
    /// The kind of match.
    pub match_kind: MatchKind,
    /// The confidence that the item belongs to the path.
    pub confidence: Confidence,
    /// The reason for a miss or for several items, or the evidence for a suffix match.
    pub reason: Reason,
    /// Number of matching items.
    pub total: usize,
    /// A sentence for users; empty if there is nothing to explain.
    pub message: &'a str,
    /// Whether the answer may be outdated, because a listing has expired or the server failed.
    pub stale: bool,
    /// Milliseconds since plexindex last checked that the listing is current. `None` without a listing, or if the clock
    /// was set back.
    pub age_ms: Option<i64>,
    /// The kind of source, which determines the format of keys.
    pub kind: &'static SourceKind,
    /// What the folder of the query contains.
    pub folder: FolderFacts,
    /// The candidates, whose `library` fields are indexes into `rows`.
    found: &'a [FoundItem<'a>],
    rows: &'a [LibraryRow],
    /// The libraries of the rows, in the answer for a path; otherwise empty.
    libraries: &'a [Arc<LibrarySnapshot>],
}

impl<'a> Answer<'a> {
    /// Creates the answer for a path. The caller must set message, age and staleness.
    pub(super) fn of(
        kind: &'static SourceKind,
        outcome: &'a Resolution<'_>,
        snapshot: &'a Snapshot,
        status: Status,
    ) -> Self {
        let rows = &snapshot.rows;
        Self {
            libraries: &snapshot.libraries,
            status,
            match_kind: outcome.match_kind,
            confidence: outcome.confidence,
            reason: outcome.reason,
            ..Self::of_items(kind, outcome.found(), outcome.total, rows)
        }
    }

    /// Creates the answer for a folder. `rows`: the snapshot's libraries. The caller must set message, age and
    /// staleness.
    pub(super) fn of_folder(
        kind: &'static SourceKind,
        outcome: &'a FolderResolution<'a>,
        rows: &'a [LibraryRow],
        status: Status,
    ) -> Self {
        Self {
            status,
            match_kind: outcome.match_kind,
            confidence: outcome.confidence,
            reason: outcome.reason,
            folder: FolderFacts {
                kind: outcome.kind,
                items: outcome.items,
                files: outcome.files,
            },
            ..Self::of_items(kind, &outcome.found, outcome.total, rows)
        }
    }

    /// Creates an answer from items that match equally well. `total` counts all matching items, including items that
    /// are not in `found`. `rows`: the libraries that the items' `library` fields index.
    pub(super) fn of_items(
        kind: &'static SourceKind,
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
            folder: FolderFacts::default(),
            found,
            rows,
            libraries: &[],
        }
    }

    /// Creates the answer of a call that must not wait, when no answer is available without waiting.
    #[must_use]
    pub fn not_yet(kind: &'static SourceKind) -> Self {
        Self {
            status: Status::NotYet,
            reason: Reason::None,
            message: "no answer is available without waiting: call again without AT_ONCE, or offline",
            ..Self::of_items(kind, &[], 0, &[])
        }
    }

    /// Creates the answer for a path whose lookup failed in a batch.
    pub(super) fn failed(kind: &'static SourceKind, error: &'a Error) -> Self {
        Self {
            status: error.status,
            reason: Reason::None,
            message: &error.message,
            ..Self::of_items(kind, &[], 0, &[])
        }
    }

    /// Sets `age_ms` to the age of the oldest listing in `rows`, the libraries in scope; `None` without a listing, or
    /// if an item is from an unfetched library. `age_of`: the age of a listing.
    pub(super) fn set_age(&mut self, rows: &[LibraryRow], age_of: impl Fn(&LibraryRow) -> Option<i64>) {
        let is_listed = |found: &FoundItem<'_>| self.rows[found.library].generation.is_fetched();
        if !self.found.iter().all(is_listed) {
            self.age_ms = None;
            return;
        }
        let listings = rows.iter().filter(|row| row.generation.is_fetched());
        let ages = listings.map(age_of);
        self.age_ms = ages.reduce(|a, b| Some(a?.max(b?))).flatten();
    }

    /// Marks the answer as stale if a request failed (`failure`), because the server may list the missing item. For a
    /// missing item, changes `NotFound` to `NotYet` after a timeout if the call has a deadline, and the reason to
    /// [`Reason::Unavailable`] if the server failed. Does not change a confirmed match.
    pub(super) fn mark_stale(&mut self, failure: Option<&Error>, has_deadline: bool) {
        let Some(failure) = failure.filter(|_| self.match_kind != MatchKind::Confirmed) else {
            return;
        };
        self.stale = true;
        if self.status == Status::NotFound {
            if has_deadline && failure.status == Status::Timeout {
                self.status = Status::NotYet;
            }
            // A store error does not mean that the server is unavailable.
            if failure.status.is_server_error()
                && !is_locked(failure)
                && matches!(self.reason, Reason::NotListed | Reason::NoLocation | Reason::Empty)
            {
                self.reason = Reason::Unavailable;
            }
        }
    }

    /// Changes the reason for a missing item to [`Reason::NotAsked`], because the query has not asked the server,
    /// unless the message needs the old reason.
    pub(super) fn mark_not_asked(&mut self) {
        if self.status == Status::NotFound
            && matches!(self.reason, Reason::NotListed | Reason::NoLocation | Reason::Empty)
        {
            self.reason = Reason::NotAsked;
        }
    }

    /// Returns the item if exactly one item matches; otherwise `None`.
    #[must_use]
    pub fn item(&self) -> Option<&FoundItem<'a>> {
        if self.status == Status::Ok {
            self.found.first()
        } else {
            None
        }
    }

    /// Returns the matching items, best first, at most [`crate::matching::MAX_CANDIDATES`].
    #[must_use]
    pub fn candidates(&self) -> &'a [FoundItem<'a>] {
        self.found
    }

    /// Returns what Plex lists of a candidate's file. `None` in an answer that is not for a path, or if the server was not
    /// asked. Reads the item from the index, so that answers whose file nobody needs are as fast as before.
    #[must_use]
    pub fn file(&self, candidate: &FoundItem<'_>) -> Option<MatchedFile> {
        let item = self
            .libraries
            .get(candidate.library)?
            .stored_item(candidate.item.rating_key)?;
        MatchedFile::of(&item, candidate.path)
    }

    /// Returns a candidate's library; `None` in an answer without libraries.
    #[must_use]
    pub fn library(&self, candidate: &FoundItem<'_>) -> Option<&'a Library> {
        self.rows.get(candidate.library).map(|row| &row.library)
    }
}

/// Additional fields of the answer for a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FolderFacts {
    /// Show, season, artist or album if the folder belongs to one, or the type of the only item; otherwise
    /// [`ItemType::Other`].
    pub kind: ItemType,
    /// Number of items with a file below the folder.
    pub items: u64,
    /// Number of files below the folder.
    pub files: u64,
}
