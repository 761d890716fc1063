//! Invalidated items are fetched again before they are answered.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::Ordering;

use super::call::Call;
use super::job::Syncing;
use super::refresh::RefreshReason;
use crate::engine::{Invalidation, LibraryRow, Snapshot, places};
use crate::error::{Error, Meaning, Result, Status};
use crate::matching::{Folders, Invalidated, Scope};
use crate::model::LibraryId;
use crate::platform::deadline::Deadline;
use crate::source::LocatedItem;

/// An item that was invalidated, or the path that it is found by.
pub struct Unverified {
    pub row: LibraryRow,
    pub rating_key: String,
    /// How it is found.
    pub paths: Vec<Vec<u8>>,
}

/// Items in one request; items in one refresh. Others are fetched when they are looked up.
const AT_ONCE: usize = 64;
const MOST: usize = 4 * AT_ONCE;
/// Failed requests allowed for one batch: seven isolate a single item that the server fails on.
const FAILURES: u32 = 8;
/// For how long refreshes fetch no invalidated items after the server did not answer.
const RETRY_AFTER_MS: i64 = 30_000;

impl Syncing {
    /// Whether a call's libraries have items that a refresh asks for.
    pub fn has_invalidated(&self, snapshot: &Snapshot, scope: Scope) -> bool {
        self.may_fetch_invalidated()
            && places(scope, snapshot.rows.len()).any(|at| !self.invalidated_in(snapshot, at, 1).is_empty())
    }

    fn invalidated_in(&self, snapshot: &Snapshot, at: usize, most: usize) -> Vec<Invalidated> {
        snapshot.views[at].invalidated(None, self.reading.mappings(), most)
    }

    /// Asks for the items of a call's libraries that were invalidated: who follows the feed looks none of them up. What the
    /// server does not answer stays invalidated, and is no error of a refresh: the listings are right.
    pub(super) fn verify_invalidated(&self, call: &Call<'_>) -> Result<Status> {
        if !self.may_fetch_invalidated() {
            return Ok(Status::Ok);
        }
        // A call that asks for them does so for all: the others wake at the same commit, and do not wait for it.
        let done = self.unless_under_way("verify", call.deadline, || self.verify_all(call))?;
        Ok(done.unwrap_or(Status::Ok))
    }

    fn verify_all(&self, call: &Call<'_>) -> Result<Status> {
        self.reading.catch_up(call.deadline)?;
        let mut unverified = Vec::new();
        {
            let snapshot = self.reading.snapshot();
            let Some(scope) = call.scope(&snapshot)? else {
                return Ok(Status::Ok);
            };
            for at in places(scope, snapshot.rows.len()) {
                let items = self.invalidated_in(&snapshot, at, MOST - unverified.len());
                unverified.extend(items.into_iter().map(|(rating_key, paths)| Unverified {
                    row: snapshot.rows[at].clone(),
                    rating_key,
                    paths,
                }));
            }
        }
        for unverified in unverified.chunks(AT_ONCE) {
            match self.verify(call, unverified) {
                Err(error) if error.status == Status::Timeout && call.deadline.is_set() => return Ok(Status::NotYet),
                Err(error) if !matches!(error.status, Status::Aborted | Status::Store) => {
                    log::warn!("items that were invalidated are asked for when they are looked up, or later: {error}");
                    self.failed_ms.store(self.clock.now_ms(), Ordering::Relaxed);
                    if error.status.meaning() == Meaning::NotNow {
                        break;
                    }
                }
                done => done?,
            }
        }
        if !unverified.is_empty() {
            self.reading.catch_up(call.deadline)?;
        }
        Ok(Status::Ok)
    }

    /// Whether a refresh asks for what was invalidated: not soon after a server gave no answer.
    fn may_fetch_invalidated(&self) -> bool {
        let since = self.clock.now_ms() - self.failed_ms.load(Ordering::Relaxed);
        self.can_fetch_items() && !(0..RETRY_AFTER_MS).contains(&since)
    }

    /// Whether the source answers for single items; else a listing tells.
    fn can_fetch_items(&self) -> bool {
        self.abilities().is_some_and(|can| can.items)
    }

    /// Asks for invalidated items, all in one request; stores what they are now.
    pub fn verify(&self, call: &Call<'_>, unverified: &[Unverified]) -> Result<()> {
        if !self.can_fetch_items() {
            // Then a listing tells, and ends all that was invalidated before it.
            let rows: Vec<LibraryRow> = unverified.iter().map(|one| one.row.clone()).collect();
            return self
                .update(
                    call,
                    &rows,
                    self.reading.snapshot().sequence(),
                    RefreshReason::Unverified,
                )
                .map(|_| ());
        }
        // As it is before the request: a token that replaces this one may show others.
        let (identity, rows) = {
            let snapshot = self.reading.snapshot();
            (snapshot.identity, snapshot.rows.clone())
        };
        let Some(identity) = identity else {
            return Ok(());
        };
        // What is invalidated from now on the answer may not know of.
        let mut before: HashMap<LibraryId, Vec<Invalidation>> = HashMap::new();
        for one in unverified {
            if let Entry::Vacant(entry) = before.entry(one.row.id) {
                entry.insert(self.store.unverified(one.row.id)?);
            }
        }
        let keys: Vec<&str> = unverified.iter().map(|one| one.rating_key.as_str()).collect();
        let mut asked = ItemReplies::default();
        self.fetch_in_halves(call, &keys, &mut asked)?;
        for Unverified { row, rating_key, paths } in unverified {
            if asked.unanswered.contains(&rating_key.as_str()) {
                continue;
            }
            let found = asked.items.iter().find(|placed| placed.item.rating_key == *rating_key);
            if let Some(placed) = found.filter(|placed| placed.is_in(&row.library.section)) {
                // Rows that the server gives are true whatever became of the path: a changed item is merged as it is now.
                self.store
                    .merge_items(row, std::slice::from_ref(&placed.item), None, call.deadline)?;
            } else {
                if let Some(placed) = found {
                    self.merge_elsewhere(&rows, placed, call.deadline)?;
                }
                self.store.lose_item(row, rating_key, call.deadline)?;
                let whence = if found.is_some() { "its library" } else { "the server" };
                log::info!("item {rating_key} is gone from {whence}; it is answered no more");
            }
            // The index says what is true now: nothing is left to invalidation.
            let paths = paths.iter().map(Vec::as_slice);
            self.maintenance
                .verified(identity, row, &before[&row.id], paths, call.deadline, |key| {
                    key == rating_key
                })?;
        }
        asked.failure.map_or(Ok(()), Err)
    }

    /// Fetches items. If a batch fails, which one item may cause, its halves are fetched.
    fn fetch_in_halves<'k>(&self, call: &Call<'_>, keys: &[&'k str], asked: &mut ItemReplies<'k>) -> Result<()> {
        match self.items(call, keys) {
            Ok(items) => asked.items.extend(items),
            Err(error) if !matches!(error.status, Status::BadAnswer | Status::ServerError) => return Err(error),
            Err(error) => {
                asked.failures += 1;
                if keys.len() > 1 && asked.failures < FAILURES {
                    for half in keys.chunks(keys.len().div_ceil(2)) {
                        self.fetch_in_halves(call, half, asked)?;
                    }
                } else {
                    asked.unanswered.extend(keys);
                    asked.failure = Some(error);
                }
            }
        }
        Ok(())
    }

    /// An item that is in another library now than it was.
    fn merge_elsewhere(&self, rows: &[LibraryRow], placed: &LocatedItem, deadline: Deadline) -> Result<()> {
        let is_there = |row: &&LibraryRow| row.library.section == placed.section && row.generation.is_fetched();
        match rows.iter().find(is_there) {
            Some(row) => self
                .store
                .merge_items(row, std::slice::from_ref(&placed.item), None, deadline),
            None => Ok(()),
        }
    }
}

/// What became of a question for items.
#[derive(Default)]
struct ItemReplies<'k> {
    items: Vec<LocatedItem>,
    /// Keys that the server gave no answer for, and how often it gave none.
    unanswered: Vec<&'k str>,
    failures: u32,
    failure: Option<Error>,
}
