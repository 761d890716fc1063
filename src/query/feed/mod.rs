//! The feed of changes: read from where a reader was, in pages, and waited for.

mod cursor;

use std::fmt;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::room::Queries;
use crate::engine::{FeedPage, ItemChange, LibraryRow, Resolved, places};
use crate::error::{Error, Result, Status, refuse};
use crate::freshness::{Need, need};
use crate::matching::Scope;
use crate::model::{IdentityId, Item, LibraryId};
use crate::platform::clock::coarse_ms;
use crate::sync::{Call, Progress};
use cursor::FeedCursor;

/// How often a waiting call tells the host that it waits, where nothing is committed.
const TOLD: Duration = Duration::from_millis(200);
/// How often at most it asks the database, while others commit all the time.
const LOOKED: Duration = Duration::from_millis(50);
/// How often it asks the database where that cannot be seen without it, and how often at most it ends since the server has to be
/// asked.
const ASKED: Duration = Duration::from_secs(1);

/// What happened to a file, or to a library.
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

/// What happened to a file, or to a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedChange {
    /// Which of these.
    pub kind: ChangeKind,
    /// Title and section id of the library.
    pub library: (String, String),
    /// The item: as it is since, or was before it went. `None` with [`ChangeKind::ListAgain`].
    pub item: Option<Item>,
    /// The file, as the server spells it: an item of several has a change for each. Empty where it has none.
    pub path: String,
    /// Where the file was that moved, or another file that the item lost.
    pub from: Option<String>,
    /// The rating key that the item had, where it has another one since.
    pub from_key: Option<String>,
}

/// A page of the feed.
#[derive(Clone, Debug)]
pub struct Changes {
    /// Oldest first.
    pub changes: Vec<FeedChange>,
    /// Where the next page begins.
    pub token: String,
    /// There is more of what was committed when the first page was read.
    pub more: bool,
}

impl Queries {
    /// What happened since a cursor was given, at most about `limit` items; with an empty one, where a reader begins: now, or
    /// with a full listing as additions. A cursor of all libraries, asked of one, becomes a cursor of that one. Sends no
    /// request. Pages that follow one another end with what was committed when the first of them was read: else a writer that
    /// is faster than the reader would keep it reading.
    pub fn changes(&self, call: &Call<'_>, token: &str, full: bool, limit: usize) -> Result<Changes> {
        if full && !token.is_empty() {
            return refuse("a full listing begins without a cursor");
        }
        self.reading.catch_up()?;
        let (identity, library) = self.asked_for(call)?;
        let mut reader = if token.is_empty() {
            let (line, position) = self.store.feed_begin(identity, library, full)?;
            FeedCursor {
                line,
                identity,
                library,
                position,
                end: None,
            }
        } else {
            let mut reader = FeedCursor::from_text(token)?;
            reader.check(identity, library)?;
            // Of the other libraries nothing is told, so the cursor that it gives is not of all.
            reader.library = library;
            reader
        };
        let page = if token.is_empty() && !full {
            None
        } else {
            Some(
                self.store
                    .feed(identity, library, (reader.line, reader.position), reader.end, limit)?,
            )
        };
        let FeedPage {
            line,
            told,
            next,
            more,
            end,
        } = page.unwrap_or(FeedPage {
            line: reader.line,
            told: Vec::new(),
            next: reader.position,
            more: false,
            end: None,
        });
        (reader.line, reader.position, reader.end) = (line, next, end);
        Ok(Changes {
            changes: told.into_iter().flat_map(changes_of).collect(),
            token: reader.to_text(),
            more,
        })
    }

    /// Waits until there is something since a cursor was given ([`Status::Ok`]), or the deadline comes ([`Status::NotYet`]).
    /// Something is also that the server has to be asked: an event said so, or a listing has expired.
    pub fn wait_for_changes(&self, call: &Call<'_>, token: &str) -> Result<Status> {
        let begun = Instant::now();
        let reader = FeedCursor::from_text(token)?;
        let mut looked_at_age: Option<Instant> = None;
        // What the version page showed when the database was asked, and when that was.
        let mut seen: Option<(Option<u64>, Instant)> = None;
        loop {
            let wait = self.store.commit_waited_for();
            let shown = self.store.shown_sequence();
            let is_known = match seen {
                Some((Some(before), _)) if shown == Some(before) => true,
                // Where commits cannot be seen they are asked for, but not all the time.
                Some((_, at)) if shown.is_none() => at.elapsed() < ASKED,
                _ => false,
            };
            // What makes the server due is committed, but for an age.
            let is_old = looked_at_age.is_none_or(|at| at.elapsed() >= ASKED);
            let looks_at_age = !call.offline && (!is_known || is_old);
            if !is_known {
                seen = Some((shown, Instant::now()));
                self.reading.catch_up()?;
                if !self.reading.awaits_acceptance()? {
                    let (identity, library) = self.asked_for(call)?;
                    reader.check(identity, library)?;
                    if self.store.feed_has(identity, library, (reader.line, reader.position))? {
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
                    library: "",
                    items: 0,
                    total: 0,
                    elapsed: now.duration_since(begun),
                };
                if !progress(&waiting) {
                    return Err(Error::new(
                        Status::Aborted,
                        "the progress callback ended the wait for changes",
                    ));
                }
            }
            let left = call.until.map(|until| until.saturating_duration_since(now));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Status::NotYet);
            }
            let at_most = |time: Duration| left.map_or(time, |left| left.min(time));
            wait(at_most(TOLD));
            sleep(at_most(LOOKED).saturating_sub(now.elapsed()));
        }
    }

    /// Makes the waits that are under way tell their hosts so now.
    pub fn wake_waiting(&self) {
        self.store.wake_waiting();
    }

    /// Whether the server has to be asked before what is listed is what it has.
    fn is_something_due(&self, call: &Call<'_>) -> Result<bool> {
        let snapshot = self.reading.snapshot();
        let scope = match call.library {
            None => Scope::All,
            Some(library) => match library.resolve(&snapshot)? {
                Resolved::Scope(scope) => scope,
                Resolved::Unknown => return Ok(false),
            },
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
        // Of two threads one tells.
        is_time
            && self
                .due_told_ms
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
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

/// What is told of an item: a change for each of its files, those that it lost included.
fn changes_of(told: ItemChange) -> Vec<FeedChange> {
    let again = told.is_again();
    let ItemChange { library, was, now } = told;
    let library = (library.library.title, library.library.section);
    let change = |kind, item: Option<&Item>, path: &str, from: Option<&str>, from_key: Option<&str>| FeedChange {
        kind,
        library: library.clone(),
        item: item.cloned(),
        path: path.to_owned(),
        from: from.map(str::to_owned),
        from_key: from_key.map(str::to_owned),
    };
    let each = |kind, item: &Item| {
        // An item that has no file is told too.
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
            let mut told: Vec<FeedChange> = Vec::with_capacity(since.len());
            for file in &since {
                let from = if before.contains(file) { None } else { gone.next() };
                let kind = from.map_or(ChangeKind::Changed, |_| ChangeKind::Moved);
                told.push(change(kind, Some(&now), file, from.copied(), from_key));
            }
            // What it lost is told beside a file that it has.
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
fn files_of(item: &Item) -> Vec<&str> {
    let mut files: Vec<&str> = Vec::with_capacity(item.parts.len());
    for part in &item.parts {
        if !files.contains(&part.as_str()) {
            files.push(part);
        }
    }
    files
}

impl Changes {
    /// A JSON object; `key` gives an item's public key.
    #[must_use]
    pub fn to_json(&self, key: impl Fn(&Item) -> String) -> String {
        let changes: Vec<Value> = self.changes.iter().map(|change| change.to_json(&key)).collect();
        json!({"changes": changes, "token": self.token, "more": self.more}).to_string()
    }
}

impl FeedChange {
    fn to_json(&self, key: impl Fn(&Item) -> String) -> Value {
        let (title, section) = &self.library;
        json!({
            "change": self.kind.name(),
            "library": title,
            "section": section,
            "path": if self.path.is_empty() { Value::Null } else { json!(self.path) },
            "from": self.from,
            "from_key": self.from_key,
            "item": self.item.as_ref().map(|item| item.to_value(&key(item))),
        })
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
