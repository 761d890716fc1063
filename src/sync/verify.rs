//! Verification: plexindex fetches invalidated items again before it returns them.

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
    /// The invalidated paths that lead to the item; empty if the item itself was invalidated.
    pub paths: Vec<Vec<u8>>,
}

/// Maximum number of items in one request.
const MAX_BATCH: usize = 64;
/// Maximum number of items in one refresh. Lookups fetch the others.
const MAX_ITEMS: usize = 4 * MAX_BATCH;
/// Maximum number of failed requests for one batch. Seven isolate a single item with which the server fails.
const MAX_FAILURES: u32 = 8;
/// Pause of refreshes between fetches of invalidated items after the server did not answer.
const RETRY_AFTER_MS: i64 = 30_000;

impl Syncing {
    /// Returns whether libraries in scope have invalidated items that a refresh can fetch now.
    pub fn has_invalidated(&self, snapshot: &Snapshot, scope: Scope) -> bool {
        self.may_fetch_invalidated()
            && places(scope, snapshot.rows.len()).any(|index| !self.invalidated_in(snapshot, index, 1).is_empty())
    }

    /// Returns at most `limit` invalidated items of the library with this index.
    fn invalidated_in(&self, snapshot: &Snapshot, index: usize, limit: usize) -> Vec<Invalidated> {
        snapshot.views[index].invalidated(None, self.reading.mappings(), limit)
    }

    /// Fetches the invalidated items of a call's libraries, for readers of the feed, who look nothing up. Items without
    /// a reply stay invalidated. The refresh does not fail for that reason, since the listings are right.
    pub(super) fn verify_invalidated(&self, call: &Call<'_>) -> Result<Status> {
        if !self.may_fetch_invalidated() {
            return Ok(Status::Ok);
        }
        // One call fetches the items for all others, which wake at the same commit and do not wait for this call.
        let done = self.run_unless_running(&self.server_lock_name("verify"), || self.verify_all(call))?;
        Ok(done.unwrap_or(Status::Ok))
    }

    /// Fetches the invalidated items of a call's libraries, while this thread holds the lock for it.
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
                    log::warn!("cannot verify invalidated items now: {error}; a later lookup or refresh will");
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

    /// Returns whether a refresh may fetch invalidated items now. It must not do so soon after the server did not
    /// answer.
    fn may_fetch_invalidated(&self) -> bool {
        let since = self.clock.now_ms() - self.failed_ms.load(Ordering::Relaxed);
        self.can_fetch_items() && !(0..RETRY_AFTER_MS).contains(&since)
    }

    /// Returns whether the source can fetch single items. If not, plexindex lists the library instead.
    fn can_fetch_items(&self) -> bool {
        self.abilities().is_some_and(|can| can.items)
    }

    /// Fetches invalidated items in one request, stores the replies, and ends the invalidation of these items.
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
        // Reads the snapshot before the request, since another token may change the view meanwhile.
        let (identity, rows) = {
            let snapshot = self.reading.snapshot();
            (snapshot.identity, snapshot.rows.clone())
        };
        let Some(identity) = identity else {
            return Ok(());
        };
        // Reads the sequence before the request, since the reply may not reflect later invalidations.
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
                // Rows from the server are valid even if the item's paths changed, so they are merged.
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
                log::info!("item {rating_key} is no longer in {whence}; plexindex no longer returns it");
            }
            // The index is up to date now: the invalidation ends.
            LibraryRows(&self.store).verified(identity, row.id, paths, &[rating_key], since, call.deadline)?;
        }
        replies.failure.map_or(Ok(()), Err)
    }

    /// Fetches items and adds the replies. If a batch fails, fetches its halves, since a single item may cause the
    /// failure.
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

    /// Merges an item that moved to another library, if that library is known and fetched.
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
    /// Keys of items without a reply.
    unanswered: Vec<&'k str>,
    /// Number of failed requests.
    failures: u32,
    failure: Option<Error>,
}
