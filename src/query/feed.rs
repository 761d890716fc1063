//! Reads pages of changes from the feed, starting at a cursor, and waits for changes.
//!
//! A cursor is a reader's position in the feed, as a string. Any process can use a cursor later. A cursor contains the
//! view and the library for which the cursor is valid.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::answer::{Item, Match};
use super::queries::Queries;
use crate::engine::{FeedCursor, FeedPage, FeedRows, ItemChange, LibraryRow, library_indexes};
use crate::error::{Error, Result, Status, invalid_argument_error};
use crate::matching::{Scope, byte_string};
use crate::model::{self, Library, LibraryId, ViewId};
use crate::platform::clock::coarse_ms;
use crate::platform::files::path_from_bytes;
use crate::source::SourceKind;
use crate::sync::Call;

/// Interval at which a waiting call reports progress to the host.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);
/// Interval at which a waiting call looks at the version page.
const PAGE_INTERVAL: Duration = Duration::from_millis(50);
/// Interval between reads of the database if there is no version page, and between checks for expired listings. Also
/// the minimum interval between two waits that end because a refresh is due.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Reports progress while a call waits, so that the host can end the wait.
struct WaitReports {
    start: Instant,
    /// The time of the last report, and the number of wake-ups at that time.
    last: Option<(Instant, u64)>,
}

impl WaitReports {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            last: None,
        }
    }

    /// Reports if [`PROGRESS_INTERVAL`] has passed or the host woke the call. Fails if the host ends the wait.
    fn report(&mut self, queries: &Queries, call: &Call<'_>) -> Result<()> {
        let wakeups = queries.wakeups.load(Ordering::Relaxed);
        let is_recent = |(at, woken): (Instant, u64)| woken == wakeups && at.elapsed() < PROGRESS_INTERVAL;
        if self.last.is_some_and(is_recent) {
            return Ok(());
        }
        self.last = Some((Instant::now(), wakeups));
        // A wait has no fetch that the next call could resume.
        let cancelled = |_| Error::new(Status::Aborted, "the progress callback cancelled the wait");
        call.report_progress(self.start.elapsed()).map_err(cancelled)
    }
}

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// The item was added to the listing.
    Added,
    /// The item was removed from the listing.
    Removed,
    /// A field of the item changed, or the item gained the file `path`. If `from` is set, the item lost the file
    /// `from`.
    Changed,
    /// The item's file has a new path.
    Moved,
    /// The library was added, removed or renamed, or changed too much: list the library again. If listing fails with
    /// [`ErrorKind::LibraryNotFound`](crate::ErrorKind::LibraryNotFound), the library was removed: drop its items.
    ListAgain,
}

enum_names! { ChangeKind: Added "added", Removed "removed", Changed "changed", Moved "moved", ListAgain "list_again" }

/// A change to a library, or to one file of an item.
///
/// `Display` shows the kind and the item.
///
/// The JSON uses the field names, except `change` for `kind` and `library` for `library_title`, and omits fields that
/// are `None`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Change {
    /// The kind of change.
    #[serde(rename = "change")]
    pub kind: ChangeKind,
    /// Section ID of the library.
    pub section: String,
    /// Title of the library.
    #[serde(rename = "library")]
    pub library_title: String,
    /// The item as it is now, or the removed item; `None` for [`ChangeKind::ListAgain`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<Item>,
    /// The file's path in the server's spelling; `None` for an item without files.
    #[serde(
        serialize_with = "byte_string::path_or_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<byte_string::ByteString>"))]
    pub path: Option<PathBuf>,
    /// Old path of a moved file; for [`ChangeKind::Changed`], the path of a file that the item lost.
    #[serde(
        serialize_with = "byte_string::path_or_null",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<byte_string::ByteString>"))]
    pub from: Option<PathBuf>,
    /// The old rating key, if the rating key changed.
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
    /// Cursor for the next page.
    pub cursor: String,
    /// Whether more pages follow. Pages contain only changes that were committed before the caller read the first page.
    pub more: bool,
}

impl Queries {
    /// Returns a page of changes since `cursor`, for about `limit` items. If the cursor is empty, returns the current
    /// position without changes, or, with `full`, the whole listing as additions. If the cursor is for all libraries
    /// and the call is for one library, the returned cursor is for this library. Sends no request.
    ///
    /// A series of pages ends with the changes that were committed when the first page was read. Without this limit, a
    /// reader would never catch up with a faster writer.
    pub fn changes(&self, call: &Call<'_>, cursor: &str, full: bool, limit: usize) -> Result<ChangePage> {
        if full && !cursor.is_empty() {
            return invalid_argument_error("a full listing takes no cursor: omit the cursor, or request only changes");
        }
        self.reading.catch_up(call.deadline)?;
        let (view_id, library) = self.view_and_library(call)?;
        if full {
            self.check_fetched(library)?;
        }
        let feed = FeedRows(&self.store);
        let reader = if cursor.is_empty() {
            feed.start(view_id, library, full)?
        } else {
            let reader = FeedCursor::from_text(cursor)?;
            reader.check(view_id, library)?;
            // The page lacks the other libraries' changes, so the new cursor is valid only for this library.
            FeedCursor { library, ..reader }
        };
        let page = if cursor.is_empty() && reader.listing.is_none() {
            // The caller needs only the current position.
            FeedPage {
                changes: Vec::new(),
                next: reader,
            }
        } else {
            feed.page(&reader, limit, &*self.reading)?
        };
        let kind = self.reading.kind;
        let changes = page.changes.into_iter();
        Ok(ChangePage {
            changes: changes.flat_map(|changes| changes_per_file(changes, kind)).collect(),
            cursor: page.next.to_text(),
            more: page.next.has_more(),
        })
    }

    /// Waits for changes after a cursor. Returns [`Status::Ok`] if there are changes, or if a refresh is due because of
    /// an event or an expired listing. Returns [`Status::NotYet`] at the deadline.
    pub fn wait_for_changes(&self, call: &Call<'_>, cursor: &str) -> Result<Status> {
        if cursor.is_empty() {
            return invalid_argument_error("the cursor is empty: pass a cursor from a page of changes");
        }
        let reader = FeedCursor::from_text(cursor)?;
        let mut last_age_check: Option<Instant> = None;
        let mut reports = WaitReports::new();
        // The time of the last database read, and the sequence on the version page at that time.
        let mut last_read: Option<(Option<u64>, Instant)> = None;
        loop {
            let sequence = self.store.shown_sequence();
            let is_unchanged = match last_read {
                Some((Some(read_sequence), _)) if sequence == Some(read_sequence) => true,
                // Without a version page, only the database shows changes, so read it once per second.
                Some((_, read_at)) if sequence.is_none() => read_at.elapsed() < POLL_INTERVAL,
                _ => false,
            };
            // Every reason for a refresh comes with a commit, except the expiry of a listing.
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
            reports.report(self, call)?;
            if call.deadline.has_passed() {
                return Ok(Status::NotYet);
            }
            sleep(call.deadline.wait(PAGE_INTERVAL));
        }
    }

    /// Waits until a path has a match with high confidence. Looks every [`PROGRESS_INTERVAL`], which sends no request
    /// unless an event arrived, and asks the server for changes at each interval `every`. Returns the last answer at the
    /// deadline.
    pub fn wait_for_path(&self, call: &Call<'_>, path: &[u8], every: Duration) -> Result<Match> {
        let mut reports = WaitReports::new();
        let mut next_check = Instant::now().checked_add(every);
        loop {
            let mut look = *call;
            if next_check.is_some_and(|at| at <= Instant::now()) {
                next_check = Instant::now().checked_add(every);
                (look.always_asks, look.listed_wait) = (true, Duration::MAX);
            }
            let answer = match self.match_path(&mut self.reading.eviction_pin(), &look, path, Match::of) {
                Ok(found) if found.sure().is_some() => return Ok(found),
                // The store is empty, and the server is unreachable, but the server may return in time.
                Err(error) if error.status == Status::Connect && call.deadline.wait(every) == every => Err(error),
                answer => Ok(answer?),
            };
            let pause = if answer.is_ok() { PROGRESS_INTERVAL } else { every };
            let pause_start = Instant::now();
            while pause_start.elapsed() < pause {
                reports.report(self, call)?;
                if call.deadline.has_passed() {
                    return answer;
                }
                sleep(call.deadline.wait(PAGE_INTERVAL));
            }
        }
    }

    /// Reads the database, and returns whether the feed has changes after the reader's position.
    fn has_changes(&self, call: &Call<'_>, reader: &FeedCursor) -> Result<bool> {
        self.reading.catch_up(call.deadline)?;
        // Until the server accepts the token, the stored changes may belong to a different user.
        if self.reading.awaits_acceptance()? {
            return Ok(false);
        }
        let (view_id, library) = self.view_and_library(call)?;
        reader.check(view_id, library)?;
        FeedRows(&self.store).has(&FeedCursor { library, ..*reader })
    }

    /// Makes all calls that wait for changes report progress within [`PAGE_INTERVAL`], so that the host can end them.
    pub fn wake_waiting(&self) {
        self.wakeups.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns whether a refresh is due, because a listing has expired, an event arrived, or items were invalidated.
    fn is_refresh_due(&self, call: &Call<'_>) -> Result<bool> {
        let snapshot = self.reading.snapshot();
        let Some(scope) = snapshot.scope(call.library)? else {
            return Ok(false);
        };
        let now_ms = self.clock.now_ms();
        let mut rows = library_indexes(scope, snapshot.rows.len()).filter_map(|index| snapshot.rows.get(index));
        let is_due = |row: &LibraryRow| self.sync.need(row, now_ms).is_some();
        Ok(rows.any(|row| row.generation.is_fetched() && is_due(row)) || self.sync.has_invalidated(&snapshot, scope))
    }

    /// Returns whether a wait may end because a refresh is due: at most once per [`POLL_INTERVAL`], because a refresh
    /// can fail or remain due while the server scans.
    fn may_report_due(&self) -> bool {
        let (now_ms, last_reported_ms) = (coarse_ms(), self.due_reported_ms.load(Ordering::Relaxed));
        let interval = u64::try_from(POLL_INTERVAL.as_millis()).unwrap_or(u64::MAX);
        let has_interval_passed = last_reported_ms == 0 || now_ms.saturating_sub(last_reported_ms) >= interval;
        // If two threads compete, only the thread that stores the time may report.
        has_interval_passed
            && self
                .due_reported_ms
                .compare_exchange(last_reported_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Returns an error if no library in scope was ever fetched, because a full listing of unfetched libraries would
    /// look empty. `library` is `None` for all libraries.
    fn check_fetched(&self, library: Option<LibraryId>) -> Result<()> {
        let snapshot = self.reading.snapshot();
        let mut rows = snapshot.rows.iter().filter(|row| library.is_none_or(|id| id == row.id));
        if rows.any(|row| row.generation.is_fetched()) {
            return Ok(());
        }
        let text = "no library was ever fetched completely: fetch a library first (refresh)";
        Err(self
            .reading
            .explain_rejected_token(Error::new(Status::NotFetched, text)))
    }

    /// Returns the view and the library of a call; the library is `None` for all libraries. If the server rejected the
    /// token, the error says so.
    fn view_and_library(&self, call: &Call<'_>) -> Result<(ViewId, Option<LibraryId>)> {
        let snapshot = self.reading.snapshot();
        let explain = |error| self.reading.explain_rejected_token(error);
        let resolved = call.library.map(|library| (library, library.resolve(&snapshot)));
        let row = match resolved {
            None => None,
            Some((library, resolved)) => match resolved.map_err(explain)? {
                Some(Scope::All) => None,
                Some(Scope::One(index)) => snapshot.rows.get(index),
                // Until the server accepts the token, no library is known, and the check below returns that error.
                None if self.reading.awaits_acceptance()? => None,
                None => {
                    return Err(explain(self.reading.missing_library_error(
                        Some(library),
                        &snapshot,
                        false,
                    )));
                }
            },
        };
        let Some(view_id) = snapshot.view_id else {
            self.reading.check_accepted().map_err(explain)?;
            let text = "no library was ever fetched: fetch a library first (refresh)";
            return Err(explain(Error::new(Status::NotFetched, text)));
        };
        Ok((view_id, row.map(|row: &LibraryRow| row.id)))
    }
}

/// Splits the change of an item into one change for each file, including files that the item lost. The instruction to
/// list a library again remains one change. `source_kind` determines the format of keys.
fn changes_per_file(changes: ItemChange, source_kind: &SourceKind) -> Vec<Change> {
    let must_relist = changes.is_relist_marker();
    let ItemChange { library, was, now } = changes;
    let Library { title, section, .. } = library.library;
    let change = |kind, item: Option<&model::Item>, path: &[u8], from: Option<&[u8]>, from_key: Option<&str>| {
        let path = Some(path).filter(|path| !path.is_empty()).map(path_from_bytes);
        let item = item.map(|item| Item {
            path: path.clone(),
            section: Some(section.clone()),
            library_title: Some(title.clone()),
            ..Item::of(item.clone(), source_kind)
        });
        Change {
            kind,
            section: section.clone(),
            library_title: title.clone(),
            item,
            path,
            from: from.map(path_from_bytes),
            from_key: from_key.map(str::to_owned),
        }
    };
    let one_per_file = |kind, item: &model::Item| {
        // An item without files also has one change.
        let files = unique_files(item);
        let files = if files.is_empty() { vec![&b""[..]] } else { files };
        files
            .into_iter()
            .map(|path| change(kind, Some(item), path, None, None))
            .collect()
    };
    match (was, now) {
        _ if must_relist => vec![change(ChangeKind::ListAgain, None, b"", None, None)],
        (None, None) => Vec::new(),
        (None, Some(item)) => one_per_file(ChangeKind::Added, &item),
        (Some(item), None) => one_per_file(ChangeKind::Removed, &item),
        (Some(old), Some(new)) => {
            let from_key = (old.rating_key != new.rating_key).then_some(old.rating_key.as_str());
            // A new file and a lost file together are a moved file.
            let (old_files, new_files) = (unique_files(&old), unique_files(&new));
            let mut lost_files = old_files.iter().filter(|file| !new_files.contains(file));
            let mut changes: Vec<Change> = Vec::with_capacity(new_files.len());
            for file in &new_files {
                let from = if old_files.contains(file) {
                    None
                } else {
                    lost_files.next()
                };
                let kind = from.map_or(ChangeKind::Changed, |_| ChangeKind::Moved);
                changes.push(change(kind, Some(&new), file, from.copied(), from_key));
            }
            // For each other lost file, the change's path is a file that the item still has.
            let path = new_files.first().copied().unwrap_or_default();
            changes.extend(lost_files.map(|lost| change(ChangeKind::Changed, Some(&new), path, Some(lost), from_key)));
            if changes.is_empty() {
                changes.push(change(ChangeKind::Changed, Some(&new), b"", None, from_key));
            }
            changes
        }
    }
}

/// Returns the item's files without duplicates.
fn unique_files(item: &model::Item) -> Vec<&[u8]> {
    let mut files: Vec<&[u8]> = Vec::with_capacity(item.parts.len());
    for part in &item.parts {
        if !files.contains(&part.as_bytes()) {
            files.push(part);
        }
    }
    files
}

/// The first part of a cursor: the version of the encoding.
const VERSION: &str = "c2";
/// The beginning of a cursor of a store before format 8.
const OLDER_VERSION: &str = "c1.";

impl FeedCursor {
    /// Encodes the cursor as a string that the host keeps between pages: the version, view, library (0 for all), position,
    /// end, newest row with its mark and, in a full listing, the library and its cursor, separated by dots.
    pub fn to_text(self) -> String {
        let Self {
            view_id,
            library,
            position,
            end,
            newest: (id, mark),
            listing,
        } = self;
        let library = library.unwrap_or(LibraryId::ALL);
        let text = format!("{VERSION}.{view_id}.{library}.{position}.{end}.{id}.{mark:x}");
        match listing {
            Some((library, after)) => format!("{text}.{library}.{after}"),
            None => text,
        }
    }

    /// Parses a cursor that the host passed; fails unless [`FeedCursor::to_text`] returned exactly this string. A cursor of
    /// an older store is outdated.
    pub fn from_text(text: &str) -> Result<Self> {
        /// Maximum length of a cursor in bytes, as documented in the C header.
        const MAX_LENGTH: usize = 200;
        /// Maximum number of characters quoted from an invalid cursor.
        const QUOTED: usize = 40;
        // This comparison rejects other spellings of the same numbers, such as leading zeros.
        let exact = |text: &str| parse(text).filter(|cursor| cursor.to_text() == text);
        let is_short = text.len() <= MAX_LENGTH;
        let parsed = is_short.then(|| exact(text)).flatten();
        let Some(cursor) = parsed else {
            if text.starts_with(OLDER_VERSION) {
                return list_again("the cursor belongs to an older store");
            }
            let quoted: String = text.chars().take(QUOTED).collect();
            return invalid_argument_error(format!(
                "'{quoted}' is not a valid cursor: pass a cursor exactly as returned, or omit the cursor to start over"
            ));
        };
        Ok(cursor)
    }

    /// Returns an error if the cursor is from a different view or library. A cursor for all libraries is also valid for
    /// one library. `library` is `None` for all libraries.
    pub fn check(&self, view_id: ViewId, library: Option<LibraryId>) -> Result<()> {
        if self.view_id != view_id {
            return list_again("the cursor belongs to a different server or user, or the store was recreated");
        }
        match (self.library, library) {
            (None, _) => Ok(()),
            (Some(cursor_library), Some(library)) if cursor_library == library => Ok(()),
            (Some(_), Some(_)) => {
                list_again("the cursor belongs to a different library, or the library was removed and added again")
            }
            (Some(_), None) => invalid_argument_error(
                "the cursor belongs to one library: select that library, or omit the cursor to start over",
            ),
        }
    }
}

/// Fails because a reader must list again, and says why.
fn list_again<T>(cause: &str) -> Result<T> {
    Err(Error::new(Status::ListAgain, format!("{cause}: list again in full")))
}

/// Parses a cursor, but may accept other strings for the same numbers; `None` if the cursor is malformed.
fn parse(text: &str) -> Option<FeedCursor> {
    let mut parts = text.strip_prefix(VERSION)?.strip_prefix('.')?.split('.');
    let mut number = || number(parts.next()?);
    let (view_id, library) = (ViewId(number()?), library(number()?));
    let (position, end, id) = (number()?, number()?, number()?);
    let mark = u64::from_str_radix(parts.next()?, 16).ok()?.cast_signed();
    let listing = match parts.next() {
        Some(library) => Some((LibraryId(self::number(library)?), self::number(parts.next()?)?)),
        None => None,
    };
    parts.next().is_none().then_some(FeedCursor {
        view_id,
        library,
        position,
        end,
        newest: (id, mark),
        listing,
    })
}

/// Parses a number that is not negative.
fn number(part: &str) -> Option<i64> {
    part.parse().ok().filter(|number| *number >= 0)
}

/// Returns the library with this number; `None` for all libraries.
fn library(number: i64) -> Option<LibraryId> {
    Some(LibraryId(number)).filter(|library| *library != LibraryId::ALL)
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod feed_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(mark: i64) -> FeedCursor {
        FeedCursor {
            view_id: ViewId(7),
            library: None,
            position: 5,
            end: 1 << 40,
            newest: (1 << 41, mark),
            listing: None,
        }
    }

    #[test]
    fn a_cursor_round_trips() {
        for listing in [None, Some((LibraryId(1 << 50), i64::MAX))] {
            for library in [None, Some(LibraryId(9))] {
                for mark in [i64::MIN, -1, 0, i64::MAX] {
                    let cursor = FeedCursor {
                        library,
                        listing,
                        ..cursor(mark)
                    };
                    assert_eq!(FeedCursor::from_text(&cursor.to_text()), Ok(cursor));
                }
            }
        }
    }

    #[test]
    fn other_texts_are_refused_with_their_name() {
        let given = cursor(0x7edc_ba98).to_text();
        let longer = format!("{given}.1");
        let endless = format!("{given}.1.1.1");
        let other = given.replace("c2.", "c3.");
        let [signed, padded] = ["+5", "05"].map(|number| given.replace(".5.", &format!(".{number}.")));
        for text in [
            "",
            "x",
            &given[..given.len() - 9],
            &longer,
            &endless,
            &other,
            &signed,
            &padded,
            &given.to_uppercase().replace('C', "c"),
            "c2.7.0.5.5.5.-1",
        ] {
            let error = FeedCursor::from_text(text).expect_err(text);
            assert_eq!(error.status, Status::InvalidArgument, "{text}");
            assert!(error.message.contains("not a valid cursor"), "{}", error.message);
        }
        let older = FeedCursor::from_text("c1.0.7.0.5").expect_err("outdated");
        assert_eq!(older.status, Status::ListAgain);
    }
}
