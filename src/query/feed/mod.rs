//! The feed of changes: read from where a reader was, in pages, and waited for.

mod cursor;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::found::Item;
use super::room::Queries;
use crate::engine::{FeedPage, ItemChange, LibraryRow, Resolved, places};
use crate::error::{Error, Result, Status, refuse};
use crate::freshness::{Need, need};
use crate::matching::Scope;
use crate::model::{self, IdentityId, Library, LibraryId};
use crate::platform::clock::coarse_ms;
use crate::source::Kind;
use crate::sync::{Call, Progress};
use cursor::FeedCursor;

/// How often a waiting call tells the host that it waits, where nothing is committed.
const TOLD: Duration = Duration::from_millis(200);
/// How often at most it asks the database, while others commit all the time.
const LOOKED: Duration = Duration::from_millis(50);
/// How often it asks the database where that cannot be seen without it, and how often at most it ends since the server has to be
/// asked.
const ASKED: Duration = Duration::from_secs(1);

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// The item came to the listing.
    Added,
    /// The item is not listed any more.
    Removed,
    /// The item differs; the file is where it was, or came to it. With `from`: it has that file no more.
    Changed,
    /// The item's file has another path.
    Moved,
    /// So much happened to the library, or so long ago, that it has to be listed again.
    ListAgain,
}

impl ChangeKind {
    /// The word for it in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Moved => "moved",
            Self::ListAgain => "list_again",
        }
    }
}

/// The word that the command and the Python package use.
impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A change of an item's file, or of a library. It is displayed as its kind and the item.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Which of these.
    pub kind: ChangeKind,
    /// Section id of the library.
    pub section: String,
    /// Title of the library.
    pub library_title: String,
    /// The item: as it is since, or as it was when it was removed. `None` with [`ChangeKind::ListAgain`].
    pub item: Option<Item>,
    /// The file, as the server spells it: each file of an item has a change. `None` where it has no file.
    pub path: Option<PathBuf>,
    /// Where the file was that moved; with [`ChangeKind::Changed`] another file, which the item has lost.
    pub from: Option<PathBuf>,
    /// The rating key that the item had before, where it has another one since.
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
#[derive(Clone, Debug)]
pub struct ChangePage {
    /// Oldest first.
    pub changes: Vec<Change>,
    /// Where the next page begins.
    pub cursor: String,
    /// There is more of what was committed when the first page was read.
    pub more: bool,
}

impl Queries {
    /// The changes since `cursor`, at most about `limit` items. With an empty cursor: none and the current position, or with
    /// `full` a listing as additions. A cursor of all libraries, asked of one, becomes a cursor of that one. Sends no
    /// request. Pages that follow one another end with what was committed when the first of them was read: else a writer that
    /// is faster than the reader would keep it reading.
    pub fn changes(&self, call: &Call<'_>, cursor: &str, full: bool, limit: usize) -> Result<ChangePage> {
        if full && !cursor.is_empty() {
            return refuse("a full listing begins without a cursor");
        }
        self.reading.catch_up(call.deadline)?;
        let (identity, library) = self.asked_for(call)?;
        if full {
            self.check_fetched(library)?;
        }
        let mut reader = if cursor.is_empty() {
            let (timeline, position) = self.store.feed_begin(identity, library, full)?;
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
            // The page lacks the other libraries, so its cursor is of this one.
            reader.library = library;
            reader
        };
        let page = if cursor.is_empty() && !full {
            None
        } else {
            Some(
                self.store
                    .feed(identity, library, (reader.timeline, reader.position), reader.end, limit)?,
            )
        };
        let FeedPage {
            timeline,
            told,
            next,
            more,
            end,
        } = page.unwrap_or(FeedPage {
            timeline: reader.timeline,
            told: Vec::new(),
            next: reader.position,
            more: false,
            end: None,
        });
        (reader.timeline, reader.position, reader.end) = (timeline, next, end);
        let kind = self.reading.kind();
        Ok(ChangePage {
            changes: told.into_iter().flat_map(|told| changes_of(told, kind)).collect(),
            cursor: reader.to_text(),
            more,
        })
    }

    /// Waits until there is something since a cursor was given ([`Status::Ok`]), or the deadline comes ([`Status::NotYet`]).
    /// Something is also that the server has to be asked: an event said so, or a listing has expired.
    pub fn wait_for_changes(&self, call: &Call<'_>, cursor: &str) -> Result<Status> {
        let begun = Instant::now();
        let reader = FeedCursor::from_text(cursor)?;
        let mut looked_at_age: Option<Instant> = None;
        // The sequence on the version page when the database was last asked, and the time.
        let mut seen: Option<(Option<u64>, Instant)> = None;
        loop {
            let wait = self.store.commit_waited_for();
            let shown = self.store.shown_sequence();
            let is_known = match seen {
                Some((Some(before), _)) if shown == Some(before) => true,
                // Without a version page the database is asked, once a second at most.
                Some((_, at)) if shown.is_none() => at.elapsed() < ASKED,
                _ => false,
            };
            // All reasons to ask the server are committed, except the age of a listing.
            let is_old = looked_at_age.is_none_or(|at| at.elapsed() >= ASKED);
            let looks_at_age = !call.offline && (!is_known || is_old);
            if !is_known {
                seen = Some((shown, Instant::now()));
                self.reading.catch_up(call.deadline)?;
                if !self.reading.awaits_acceptance()? {
                    let (identity, library) = self.asked_for(call)?;
                    reader.check(identity, library)?;
                    if self
                        .store
                        .feed_has(identity, library, (reader.timeline, reader.position))?
                    {
                        return Ok(Status::Ok);
                    }
                }
            }
            if looks_at_age {
                looked_at_age = Some(Instant::now());
                let is_due = self.reading.awaits_acceptance()? || self.is_something_due(call)?;
                if is_due && self.may_tell_due() {
                    return Ok(Status::Ok);
                }
            }
            let now = Instant::now();
            if let Some(progress) = call.progress {
                let waiting = Progress {
                    library: None,
                    items: 0,
                    total: None,
                    elapsed: now.duration_since(begun),
                };
                if !progress(&waiting) {
                    return Err(Error::new(
                        Status::Aborted,
                        "the progress callback ended the wait for changes",
                    ));
                }
            }
            if call.deadline.has_passed() {
                return Ok(Status::NotYet);
            }
            wait(call.deadline.wait(TOLD));
            sleep(call.deadline.wait(LOOKED).saturating_sub(now.elapsed()));
        }
    }

    /// Makes the waits that are under way tell their hosts so now.
    pub fn wake_waiting(&self) {
        self.store.wake_waiting();
    }

    /// Whether the server has to be asked before what is listed is what it has.
    fn is_something_due(&self, call: &Call<'_>) -> Result<bool> {
        let snapshot = self.reading.snapshot();
        let Some(scope) = call.scope(&snapshot)? else {
            return Ok(false);
        };
        let now = self.clock.now_ms();
        let mut rows = places(scope, snapshot.rows.len()).filter_map(|place| snapshot.rows.get(place));
        let is_due = |row: &LibraryRow| need(&self.sync.age(row), &self.policy, now) != Need::Nothing;
        Ok(rows.any(|row| row.generation.is_fetched() && is_due(row)) || self.sync.has_invalidated(&snapshot, scope))
    }

    /// Whether that was not told within [`ASKED`]: a server that does not answer, or scans, is asked no more often.
    fn may_tell_due(&self) -> bool {
        let (now, last) = (coarse_ms(), self.due_told_ms.load(Ordering::Relaxed));
        let pause = u64::try_from(ASKED.as_millis()).unwrap_or(u64::MAX);
        let is_time = last == 0 || now.saturating_sub(last) >= pause;
        // Only one of two threads reports it.
        is_time
            && self
                .due_told_ms
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Refuses a full listing while no library in scope was fetched: it would look like an empty one.
    fn check_fetched(&self, library: Option<LibraryId>) -> Result<()> {
        let snapshot = self.reading.snapshot();
        let mut rows = snapshot.rows.iter().filter(|row| library.is_none_or(|id| id == row.id));
        if rows.any(|row| row.generation.is_fetched()) {
            return Ok(());
        }
        let why = "no library was fetched completely yet: do so first (refresh)";
        Err(Error::new(Status::LibraryNotFound, why))
    }

    /// The identity, and the library that a call names.
    fn asked_for(&self, call: &Call<'_>) -> Result<(IdentityId, Option<LibraryId>)> {
        let snapshot = self.reading.snapshot();
        let resolved = call.library.map(|library| (library, library.resolve(&snapshot)));
        let row = match resolved {
            None => None,
            Some((library, resolved)) => match resolved? {
                Resolved::Scope(Scope::All) => None,
                Resolved::Scope(Scope::One(place)) => snapshot.rows.get(place),
                Resolved::Unknown if self.reading.awaits_acceptance()? => None,
                Resolved::Unknown if snapshot.rows.is_empty() => return Err(library.never_fetched(&self.reading)),
                Resolved::Unknown => return Err(library.unknown(&snapshot, &self.reading)),
            },
        };
        let Some(identity) = snapshot.identity else {
            self.reading.check_accepted()?;
            let why = "no library was ever fetched: do so first (refresh)";
            return Err(Error::new(Status::LibraryNotFound, why));
        };
        Ok((identity, row.map(|row: &LibraryRow| row.id)))
    }
}

/// The changes of an item: one for each of its files, those that it lost included.
fn changes_of(told: ItemChange, source: &Kind) -> Vec<Change> {
    let again = told.is_again();
    let ItemChange { library, was, now } = told;
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
    let each = |kind, item: &model::Item| {
        // An item without a file has a change too.
        let files = files_of(item);
        let files = if files.is_empty() { vec![""] } else { files };
        files
            .into_iter()
            .map(|path| change(kind, Some(item), path, None, None))
            .collect()
    };
    match (was, now) {
        _ if again => vec![change(ChangeKind::ListAgain, None, "", None, None)],
        (None, None) => Vec::new(),
        (None, Some(item)) => each(ChangeKind::Added, &item),
        (Some(item), None) => each(ChangeKind::Removed, &item),
        (Some(was), Some(now)) => {
            let from_key = (was.rating_key != now.rating_key).then_some(was.rating_key.as_str());
            let (before, since) = (files_of(&was), files_of(&now));
            let mut gone = before.iter().filter(|file| !since.contains(file));
            let mut told: Vec<Change> = Vec::with_capacity(since.len());
            for file in &since {
                let from = if before.contains(file) { None } else { gone.next() };
                let kind = from.map_or(ChangeKind::Changed, |_| ChangeKind::Moved);
                told.push(change(kind, Some(&now), file, from.copied(), from_key));
            }
            // A lost file is reported beside one that the item has.
            let first = since.first().copied().unwrap_or_default();
            told.extend(gone.map(|file| change(ChangeKind::Changed, Some(&now), first, Some(file), from_key)));
            if told.is_empty() {
                told.push(change(ChangeKind::Changed, Some(&now), "", None, from_key));
            }
            told
        }
    }
}

/// The files of an item, each once.
fn files_of(item: &model::Item) -> Vec<&str> {
    let mut files: Vec<&str> = Vec::with_capacity(item.parts.len());
    for part in &item.parts {
        if !files.contains(&part.as_str()) {
            files.push(part);
        }
    }
    files
}

impl ChangePage {
    /// A JSON object.
    pub fn to_json(&self) -> Value {
        let changes: Vec<Value> = self.changes.iter().map(Change::to_json).collect();
        json!({"changes": changes, "cursor": self.cursor, "more": self.more})
    }
}

impl Change {
    fn to_json(&self) -> Value {
        json!({
            "change": self.kind.name(),
            "library": self.library_title,
            "section": self.section,
            "path": self.path,
            "from": self.from,
            "from_key": self.from_key,
            "item": self.item.as_ref().map(Item::to_json),
        })
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
