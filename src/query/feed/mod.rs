//! Reads the feed of changes in pages, from a cursor on, and waits for changes.

mod cursor;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::found::Item;
use super::queries::Queries;
use crate::engine::{FeedPage, FeedPosition, FeedRows, ItemChange, LibraryRow, places};
use crate::error::{Error, Result, Status, refuse};
use crate::freshness::{Need, need};
use crate::matching::Scope;
use crate::model::{self, IdentityId, Library, LibraryId};
use crate::platform::clock::coarse_ms;
use crate::source::Kind;
use crate::sync::{Call, Progress, Resolved};
use cursor::FeedCursor;

/// Interval at which a waiting call reports progress to the host while no process commits.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);
/// Minimum interval between reads of the database while other processes commit continuously.
const MIN_READ_INTERVAL: Duration = Duration::from_millis(50);
/// Interval between reads of the database without a version page, and between checks for listings that have expired.
/// Also the minimum interval between two waits that end because a refresh is due.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// The item was added to the listing.
    Added,
    /// The item was removed from the listing.
    Removed,
    /// A field of the item changed, or the item has the new file `path`. With `from`, the item lost the file `from`.
    Changed,
    /// The file of the item has a new path.
    Moved,
    /// List the library again: it was added, removed or renamed, or changed too much. If listing it fails with
    /// [`ErrorKind::LibraryNotFound`](crate::ErrorKind::LibraryNotFound), the library was removed: drop its items.
    ListAgain,
}

enum_names! { ChangeKind: Added "added", Removed "removed", Changed "changed", Moved "moved", ListAgain "list_again" }

/// A change of an item's file, or of a library.
///
/// Displayed as its kind and the item.
///
/// Its JSON has these fields by their names, but `change` for the kind and `library` for the library's title, without
/// those that are `None`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Change {
    /// The kind of change.
    #[serde(rename = "change")]
    pub kind: ChangeKind,
    /// Section id of the library.
    pub section: String,
    /// Title of the library.
    #[serde(rename = "library")]
    pub library_title: String,
    /// The item after the change, or the removed item. `None` with [`ChangeKind::ListAgain`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<Item>,
    /// The file in the server's spelling; `None` for an item without a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Old path of a moved file; with [`ChangeKind::Changed`], a file that the item lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// The old rating key, if it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_key: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.item {
            Some(item) => write!(f, "{}: {item}", self.kind),
            None => write!(f, "{}: library '{}'", self.kind, self.library_title),
        }
    }
}

/// A page of the feed.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChangePage {
    /// The changes, oldest first.
    pub changes: Vec<Change>,
    /// Cursor of the next page.
    pub cursor: String,
    /// Whether more pages follow with changes committed before the first page was read.
    pub more: bool,
}

impl Queries {
    /// Returns the changes since `cursor`, for about `limit` items. With an empty cursor, returns the current position
    /// without changes, or with `full` the whole listing as additions. A cursor of all libraries that is used for one
    /// library becomes a cursor of that library. Sends no request.
    ///
    /// Consecutive pages end with the changes that were committed when the first page was read. Otherwise a reader would
    /// never finish while a writer is faster.
    pub fn changes(&self, call: &Call<'_>, cursor: &str, full: bool, limit: usize) -> Result<ChangePage> {
        if full && !cursor.is_empty() {
            return refuse("a full listing begins without a cursor: pass no cursor, or ask for changes only");
        }
        self.reading.catch_up(call.deadline)?;
        let (identity, library) = self.identity_and_library(call)?;
        if full {
            self.check_fetched(library)?;
        }
        let mut reader = if cursor.is_empty() {
            let (timeline, position) = FeedRows(&self.store).begin(identity, library, full)?;
            FeedCursor {
                timeline,
                identity,
                library,
                position,
                end: None,
            }
        } else {
            let mut reader = FeedCursor::from_text(cursor)?;
            reader.check(identity, library)?;
            // The page lacks the changes of other libraries, so the new cursor is valid for this library only.
            reader.library = library;
            reader
        };
        let page = match reader.position {
            FeedPosition::Log(_) if cursor.is_empty() => None,
            FeedPosition::Log(place) => {
                let place = (reader.timeline, place);
                Some(FeedRows(&self.store).page(identity, library, place, reader.end, limit)?)
            }
            FeedPosition::Full { .. } => Some(self.full_page(call, &reader, limit)?),
        };
        let FeedPage {
            timeline,
            changes,
            next,
            more,
            end,
        } = page.unwrap_or(FeedPage {
            timeline: reader.timeline,
            changes: Vec::new(),
            next: reader.position,
            more: false,
            end: None,
        });
        (reader.timeline, reader.position, reader.end) = (timeline, next, end);
        let kind = self.reading.kind();
        Ok(ChangePage {
            changes: changes
                .into_iter()
                .flat_map(|changes| changes_of(changes, kind))
                .collect(),
            cursor: reader.to_text(),
            more,
        })
    }

    /// A page of a full listing. It is read after the reader's place in the log, so that the log has all later changes.
    fn full_page(&self, call: &Call<'_>, reader: &FeedCursor, limit: usize) -> Result<FeedPage> {
        self.reading.catch_up(call.deadline)?;
        let position = (reader.timeline, reader.position);
        let items = |row: &LibraryRow, after, limit| self.reading.stored_items(row.id, after, limit);
        FeedRows(&self.store).full_page(reader.identity, reader.library, position, limit, &items)
    }

    /// Waits until there are changes since a cursor ([`Status::Ok`]), or until the deadline ([`Status::NotYet`]). Also
    /// returns [`Status::Ok`] when a refresh is due: because of an event, or because a listing has expired.
    pub fn wait_for_changes(&self, call: &Call<'_>, cursor: &str) -> Result<Status> {
        let start = Instant::now();
        if cursor.is_empty() {
            return refuse("the cursor is empty: get one from a page of changes first");
        }
        let reader = FeedCursor::from_text(cursor)?;
        let mut last_age_check: Option<Instant> = None;
        // The sequence on the version page at the last read of the database, and the time of that read.
        let mut last_read: Option<(Option<u64>, Instant)> = None;
        loop {
            let wait = self.store.commit_waited_for();
            let sequence = self.store.shown_sequence();
            let is_unchanged = match last_read {
                Some((Some(read_sequence), _)) if sequence == Some(read_sequence) => true,
                // Without a version page, read the database once a second.
                Some((_, read_at)) if sequence.is_none() => read_at.elapsed() < POLL_INTERVAL,
                _ => false,
            };
            // Every reason for a refresh comes with a commit, except that a listing expires.
            let is_age_check_due = last_age_check.is_none_or(|checked_at| checked_at.elapsed() >= POLL_INTERVAL);
            let must_check_ages = !call.offline && (!is_unchanged || is_age_check_due);
            if !is_unchanged {
                last_read = Some((sequence, Instant::now()));
                if self.has_changes(call, &reader)? {
                    return Ok(Status::Ok);
                }
            }
            if must_check_ages {
                last_age_check = Some(Instant::now());
                let is_due = self.reading.awaits_acceptance()? || self.is_refresh_due(call)?;
                if is_due && self.may_report_due() {
                    return Ok(Status::Ok);
                }
            }
            let now = Instant::now();
            report_wait(call, now.duration_since(start))?;
            if call.deadline.has_passed() {
                return Ok(Status::NotYet);
            }
            wait(call.deadline.wait(PROGRESS_INTERVAL));
            sleep(call.deadline.wait(MIN_READ_INTERVAL).saturating_sub(now.elapsed()));
        }
    }

    /// Reads the database and returns whether the feed has changes after the reader's position.
    fn has_changes(&self, call: &Call<'_>, reader: &FeedCursor) -> Result<bool> {
        self.reading.catch_up(call.deadline)?;
        if self.reading.awaits_acceptance()? {
            return Ok(false);
        }
        let (identity, library) = self.identity_and_library(call)?;
        reader.check(identity, library)?;
        FeedRows(&self.store).has(identity, library, (reader.timeline, reader.position))
    }

    /// Wakes all waiting calls, so that they report progress at once.
    pub fn wake_waiting(&self) {
        self.store.wake_waiting();
    }

    /// Returns whether a refresh is due: a listing expired, an event arrived, or items were invalidated.
    fn is_refresh_due(&self, call: &Call<'_>) -> Result<bool> {
        let snapshot = self.reading.snapshot();
        let Some(scope) = call.scope(&snapshot)? else {
            return Ok(false);
        };
        let now = self.clock.now_ms();
        let mut rows = places(scope, snapshot.rows.len()).filter_map(|index| snapshot.rows.get(index));
        let is_due = |row: &LibraryRow| need(&self.sync.age(row), &self.policy, now) != Need::Nothing;
        Ok(rows.any(|row| row.generation.is_fetched() && is_due(row)) || self.sync.has_invalidated(&snapshot, scope))
    }

    /// Returns whether a wait may end because a refresh is due, which it may once per [`POLL_INTERVAL`]. The refresh may
    /// fail, or stay due while the server scans.
    fn may_report_due(&self) -> bool {
        let (now, last) = (coarse_ms(), self.due_reported_ms.load(Ordering::Relaxed));
        let interval = u64::try_from(POLL_INTERVAL.as_millis()).unwrap_or(u64::MAX);
        let has_interval_passed = last == 0 || now.saturating_sub(last) >= interval;
        // Of two threads, only the one that stores the time may report.
        has_interval_passed
            && self
                .due_reported_ms
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Returns an error if no library in scope was fetched, since a full listing would look like an empty library.
    fn check_fetched(&self, library: Option<LibraryId>) -> Result<()> {
        let snapshot = self.reading.snapshot();
        let mut rows = snapshot.rows.iter().filter(|row| library.is_none_or(|id| id == row.id));
        if rows.any(|row| row.generation.is_fetched()) {
            return Ok(());
        }
        let text = "no library was fetched completely yet: fetch one first (refresh)";
        Err(self.reading.refused_or(Error::new(Status::NotFetched, text)))
    }

    /// Returns the view and the library of a call; `None` for all libraries. If the server refused the token, the error
    /// says so.
    fn identity_and_library(&self, call: &Call<'_>) -> Result<(IdentityId, Option<LibraryId>)> {
        self.find_identity_and_library(call)
            .map_err(|error| self.reading.refused_or(error))
    }

    /// [`Queries::identity_and_library`] without a hint about a refused token.
    fn find_identity_and_library(&self, call: &Call<'_>) -> Result<(IdentityId, Option<LibraryId>)> {
        let snapshot = self.reading.snapshot();
        let resolved = call.library.map(|library| (library, library.resolve(&snapshot)));
        let row = match resolved {
            None => None,
            Some((library, resolved)) => match resolved? {
                Resolved::Scope(Scope::All) => None,
                Resolved::Scope(Scope::One(index)) => snapshot.rows.get(index),
                Resolved::Unknown if self.reading.awaits_acceptance()? => None,
                Resolved::Unknown => return Err(library.not_stored(&snapshot, &self.reading)),
            },
        };
        let Some(identity) = snapshot.identity else {
            self.reading.check_accepted()?;
            let text = "no library was ever fetched: fetch one first (refresh)";
            return Err(Error::new(Status::NotFetched, text));
        };
        Ok((identity, row.map(|row: &LibraryRow| row.id)))
    }
}

/// Reports to the progress callback that a call waits for changes. Fails if the callback ends the wait.
fn report_wait(call: &Call<'_>, elapsed: Duration) -> Result<()> {
    let waiting = Progress {
        library: None,
        items: 0,
        total: None,
        elapsed,
    };
    if call.progress.is_none_or(|may_continue| may_continue(&waiting)) {
        return Ok(());
    }
    Err(Error::new(
        Status::Aborted,
        "the progress callback ended the wait for changes",
    ))
}

/// Converts the change of an item to one change for each file, including files that the item lost.
fn changes_of(changes: ItemChange, source: &Kind) -> Vec<Change> {
    let must_relist = changes.is_relist_marker();
    let ItemChange { library, was, now } = changes;
    let Library { title, section, .. } = library.library;
    let change = |kind, item: Option<&model::Item>, path: &str, from: Option<&str>, from_key: Option<&str>| {
        let path = Some(path).filter(|path| !path.is_empty()).map(PathBuf::from);
        let item = item.map(|item| Item {
            path: path.clone(),
            section: Some(section.clone()),
            library_title: Some(title.clone()),
            ..Item::of(item.clone(), source)
        });
        Change {
            kind,
            section: section.clone(),
            library_title: title.clone(),
            item,
            path,
            from: from.map(PathBuf::from),
            from_key: from_key.map(str::to_owned),
        }
    };
    let one_per_file = |kind, item: &model::Item| {
        // An item without files has one change too.
        let files = files_of(item);
        let files = if files.is_empty() { vec![""] } else { files };
        files
            .into_iter()
            .map(|path| change(kind, Some(item), path, None, None))
            .collect()
    };
    match (was, now) {
        _ if must_relist => vec![change(ChangeKind::ListAgain, None, "", None, None)],
        (None, None) => Vec::new(),
        (None, Some(item)) => one_per_file(ChangeKind::Added, &item),
        (Some(item), None) => one_per_file(ChangeKind::Removed, &item),
        (Some(was), Some(now)) => {
            let from_key = (was.rating_key != now.rating_key).then_some(was.rating_key.as_str());
            let (old_files, new_files) = (files_of(&was), files_of(&now));
            let mut lost_files = old_files.iter().filter(|file| !new_files.contains(file));
            let mut changes: Vec<Change> = Vec::with_capacity(new_files.len());
            for file in &new_files {
                let from = if old_files.contains(file) {
                    None
                } else {
                    lost_files.next()
                };
                let kind = from.map_or(ChangeKind::Changed, |_| ChangeKind::Moved);
                changes.push(change(kind, Some(&now), file, from.copied(), from_key));
            }
            // Each further lost file is reported together with a file that the item still has.
            let path = new_files.first().copied().unwrap_or_default();
            changes.extend(lost_files.map(|lost| change(ChangeKind::Changed, Some(&now), path, Some(lost), from_key)));
            if changes.is_empty() {
                changes.push(change(ChangeKind::Changed, Some(&now), "", None, from_key));
            }
            changes
        }
    }
}

/// The files of an item, without duplicates.
fn files_of(item: &model::Item) -> Vec<&str> {
    let mut files: Vec<&str> = Vec::with_capacity(item.parts.len());
    for part in &item.parts {
        if !files.contains(&part.as_str()) {
            files.push(part);
        }
    }
    files
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
