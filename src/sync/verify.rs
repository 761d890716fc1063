//! Verification: invalidated items are fetched again before they are returned.

use std::sync::atomic::Ordering;

use super::call::{Call, RefreshReason};
use super::job::Syncing;
use crate::engine::{ItemRows, LibraryRow, LibraryRows, Snapshot, Totals, places};
use crate::error::{Error, Meaning, Result, Status};
use crate::matching::{Folders, Invalidated, Scope};
use crate::platform::deadline::Deadline;
use crate::source::LocatedItem;

/// An invalidated item, or an invalidated path that leads to it.
pub struct Unverified {
    pub row: LibraryRow,
    pub rating_key: String,
    /// The paths that lead to it; empty for the item itself.
    pub paths: Vec<Vec<u8>>,
}

/// Items in one request.
const MAX_BATCH: usize = 64;
/// Items in one refresh. Others are fetched when they are looked up.
const MAX_ITEMS: usize = 4 * MAX_BATCH;
/// Failed requests allowed for one batch: seven isolate a single item that the server fails on.
const MAX_FAILURES: u32 = 8;
/// Pause of refreshes between fetches of invalidated items after the server did not answer.
const RETRY_AFTER_MS: i64 = 30_000;

impl Syncing {
    /// Returns whether a call's libraries have invalidated items for a refresh to fetch.
    pub fn has_invalidated(&self, snapshot: &Snapshot, scope: Scope) -> bool {
        self.may_fetch_invalidated()
            && places(scope, snapshot.rows.len()).any(|index| !self.invalidated_in(snapshot, index, 1).is_empty())
    }

    fn invalidated_in(&self, snapshot: &Snapshot, index: usize, limit: usize) -> Vec<Invalidated> {
        snapshot.views[index].invalidated(None, self.reading.mappings(), limit)
    }

    /// Fetches the invalidated items of a call's libraries, for readers of the feed, who look nothing up. Items without
    /// a reply stay invalidated; that is no error of the refresh, as the listings are right.
    pub(super) fn verify_invalidated(&self, call: &Call<'_>) -> Result<Status> {
        if !self.may_fetch_invalidated() {
            return Ok(Status::Ok);
        }
        // One call fetches them for all others, which wake at the same commit and do not wait for it.
        let done = self.run_unless_running(&self.server_lock_name("verify"), || self.verify_all(call))?;
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
            for index in places(scope, snapshot.rows.len()) {
                let items = self.invalidated_in(&snapshot, index, MAX_ITEMS - unverified.len());
                unverified.extend(items.into_iter().map(|(rating_key, paths)| Unverified {
                    row: snapshot.rows[index].clone(),
                    rating_key,
                    paths,
                }));
            }
        }
        for unverified in unverified.chunks(MAX_BATCH) {
            match self.verify(call, unverified) {
                Err(error) if error.status == Status::Timeout && call.deadline.is_set() => return Ok(Status::NotYet),
                Err(error) if !matches!(error.status, Status::Aborted | Status::Store) => {
                    log::warn!("invalidated items will be verified at their next lookup or later: {error}");
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

    /// Returns whether a refresh fetches invalidated items: not soon after the server did not answer.
    fn may_fetch_invalidated(&self) -> bool {
        let since = self.clock.now_ms() - self.failed_ms.load(Ordering::Relaxed);
        self.can_fetch_items() && !(0..RETRY_AFTER_MS).contains(&since)
    }

    /// Returns whether the source can fetch single items; else the library is listed.
    fn can_fetch_items(&self) -> bool {
        self.abilities().is_some_and(|can| can.items)
    }

    /// Fetches invalidated items in one request, and stores them.
    pub fn verify(&self, call: &Call<'_>, unverified: &[Unverified]) -> Result<()> {
        if !self.can_fetch_items() {
            // The source cannot fetch single items: a listing verifies them all.
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
        // Read before the request: another token may change the view meanwhile.
        let (identity, rows) = {
            let snapshot = self.reading.snapshot();
            (snapshot.identity, snapshot.rows.clone())
        };
        let Some(identity) = identity else {
            return Ok(());
        };
        // Read before the request: the reply may not reflect later invalidations.
        let since = Totals::of(&self.store)?.sequence;
        let keys: Vec<&str> = unverified.iter().map(|one| one.rating_key.as_str()).collect();
        let mut replies = ItemReplies::default();
        self.fetch_in_halves(call, &keys, &mut replies)?;
        for Unverified { row, rating_key, paths } in unverified {
            if replies.unanswered.contains(&rating_key.as_str()) {
                continue;
            }
            let found = replies
                .items
                .iter()
                .find(|located| located.item.rating_key == *rating_key);
            if let Some(located) = found.filter(|located| located.is_in(&row.library.section)) {
                // Rows from the server are valid whether or not the path changed: a changed item is merged.
                let item = std::slice::from_ref(&located.item);
                ItemRows(&self.store).merge_items(row, item, None, call.deadline)?;
                self.peers.note_verified(&row.library.uuid, item, &[]);
            } else {
                if let Some(located) = found {
                    self.merge_elsewhere(&rows, located, call.deadline)?;
                }
                let confirmed = self.reading.matches_of_item(&[row.id], rating_key)?;
                ItemRows(&self.store).remove_item(row, rating_key, &confirmed, call.deadline)?;
                self.peers.note_verified(&row.library.uuid, &[], &[rating_key]);
                let whence = if found.is_some() { "its library" } else { "the server" };
                log::info!("item {rating_key} is no longer in {whence}; it is no longer returned");
            }
            // The index is up to date now: the invalidation ends.
            LibraryRows(&self.store).verified(identity, row.id, paths, &[rating_key], since, call.deadline)?;
        }
        replies.failure.map_or(Ok(()), Err)
    }

    /// Fetches items. If a batch fails, fetches its halves: a single item may cause the failure.
    fn fetch_in_halves<'k>(&self, call: &Call<'_>, keys: &[&'k str], replies: &mut ItemReplies<'k>) -> Result<()> {
        match self.items(call, keys) {
            Ok(items) => replies.items.extend(items),
            Err(error) if !matches!(error.status, Status::BadAnswer | Status::ServerError) => return Err(error),
            Err(error) => {
                replies.failures += 1;
                if keys.len() > 1 && replies.failures < MAX_FAILURES {
                    for half in keys.chunks(keys.len().div_ceil(2)) {
                        self.fetch_in_halves(call, half, replies)?;
                    }
                } else {
                    replies.unanswered.extend(keys);
                    replies.failure = Some(error);
                }
            }
        }
        Ok(())
    }

    /// Merges an item that moved to another library.
    fn merge_elsewhere(&self, rows: &[LibraryRow], located: &LocatedItem, deadline: Deadline) -> Result<()> {
        let is_there = |row: &&LibraryRow| row.library.section == located.section && row.generation.is_fetched();
        match rows.iter().find(is_there) {
            Some(row) => ItemRows(&self.store).merge_items(row, std::slice::from_ref(&located.item), None, deadline),
            None => Ok(()),
        }
    }
}

/// The replies to requests for items.
#[derive(Default)]
struct ItemReplies<'k> {
    items: Vec<LocatedItem>,
    /// Keys without a reply, and the number of failed requests.
    unanswered: Vec<&'k str>,
    failures: u32,
    failure: Option<Error>,
}
