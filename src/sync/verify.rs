//! Invalidates paths, items and libraries, without a deadline, because a wrong answer is worse than a delay.
//! Verifies doubted items: fetches them from the server before plexindex returns them again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use super::call::Call;
use super::job::{SyncJob, Synchronizer};
use super::reading::{IndexReader, segments_lost_error};
use crate::engine::{Invalidated, ItemReply, LibraryRow, LibraryRows, Selection, Selector, Snapshot, library_indexes};
use crate::error::{Error, Result, RetryAdvice, Status};
use crate::matching::{LibraryIndex, Scope};
use crate::model::{LibraryId, Sequence, ViewId};
use crate::platform::clock::Deadline;
use crate::source::LocatedItem;

/// Maximum number of attempts for a write while other threads clear the same library.
pub const MAX_RETRIES: u32 = 100;

/// Returns the error for a library that other calls cleared during all [`MAX_RETRIES`] attempts.
pub fn cleared_repeatedly_error(library: &str) -> Error {
    Error::new(
        Status::Store,
        format!("cannot use library '{library}': other calls cleared it during each attempt; try again later"),
    )
}

/// The view's id, and the ids of the libraries that a write changed.
type WriteTarget = (ViewId, Vec<LibraryId>);

impl IndexReader {
    /// Repeats `write` until no other call has cleared the changed libraries during the write, because a cleared
    /// library gets a new id. `write` returns the view and the libraries that it changed, or `None` if there was
    /// nothing to change.
    ///
    /// Stops without an error if another thread sets a token with a different view, which the write must not change.
    pub fn retry_until_current(&self, mut write: impl FnMut() -> Result<Option<WriteTarget>>) -> Result<()> {
        let token_number = self.tokens.current().number();
        for attempt in 0..MAX_RETRIES {
            self.catch_up(Deadline::NONE)?;
            if attempt > 0 && self.tokens.current_if_same_view(token_number).is_none() {
                return Ok(());
            }
            let Some((view_id, libraries)) = write()? else {
                // If a retry has nothing to change, an earlier attempt has already succeeded.
                return if attempt == 0 { self.check_accepted() } else { Ok(()) };
            };
            self.catch_up(Deadline::NONE)?;
            let snapshot = self.snapshot();
            let is_current = |id: &LibraryId| snapshot.rows.iter().any(|row| row.id == *id);
            if snapshot.view_id == Some(view_id) && libraries.iter().all(is_current) {
                return Ok(());
            }
        }
        Err(Error::new(
            Status::Store,
            "cannot write: other calls cleared the libraries during each attempt; try again later",
        ))
    }

    /// Returns the result of `read` for the current snapshot without damaged segments. Repairs damaged segments first.
    pub(super) fn read_undamaged<T>(&self, read: impl Fn(&Snapshot) -> Result<T>) -> Result<T> {
        self.catch_up(Deadline::NONE)?;
        for _ in 0..2 {
            self.rebuild_broken(Deadline::NONE)?;
            let snapshot = self.snapshot();
            let result = read(&snapshot)?;
            if !snapshot.libraries.iter().any(|view| view.is_broken()) {
                return Ok(result);
            }
        }
        Err(segments_lost_error())
    }

    /// Invalidates a path or an item in the selected libraries, and removes its confirmed matches. `path` or `rating_key` is
    /// empty.
    pub fn invalidate_one(&self, library: &Selection, path: &[u8], rating_key: &str) -> Result<()> {
        self.retry_until_current(|| {
            let Some((view_id, ids)) = self.resolve_selection(library)? else {
                return Ok(None);
            };
            // Also in libraries that the server does not list now: they may come back.
            let gone = LibraryRows(&self.store).gone_libraries(view_id)?;
            let in_library = |library: &LibraryId| Invalidated {
                library: *library,
                path,
                rating_key,
            };
            let invalidated: Vec<_> = ids.iter().chain(&gone).map(in_library).collect();
            LibraryRows(&self.store).invalidate(&invalidated, Deadline::NONE)?;
            Ok(Some((view_id, ids)))
        })
    }

    /// Invalidates the selected libraries (`None`: all libraries in the view), so that each needs a full listing.
    pub fn invalidate(&self, library: Option<&Selection>) -> Result<()> {
        let selected = library.filter(|library| *library.selector() != Selector::All);
        self.retry_until_current(|| {
            let Some(library) = selected else {
                let Some(view_id) = self.view_id() else {
                    return Ok(None);
                };
                LibraryRows(&self.store).invalidate_libraries(view_id, None, Deadline::NONE)?;
                // No library id to check: the write covers all libraries that exist now.
                return Ok(Some((view_id, Vec::new())));
            };
            let Some((view_id, ids)) = self.resolve_selection(library)? else {
                return Ok(None);
            };
            for id in &ids {
                LibraryRows(&self.store).invalidate_libraries(view_id, Some(*id), Deadline::NONE)?;
            }
            Ok(Some((view_id, ids)))
        })?;
        match selected {
            Some(library) => log::info!("invalidated library '{}'", library.selector().name()),
            None => log::info!("invalidated all libraries"),
        }
        Ok(())
    }

    /// Returns the view's id and the ids of the selected libraries; `None` if nothing is stored. Fails if the server lists no
    /// such library, unless it is one that the server does not list now. Repairs damaged segments first, because a fast
    /// lookup after the write cannot.
    fn resolve_selection(&self, library: &Selection) -> Result<Option<WriteTarget>> {
        self.rebuild_broken(Deadline::NONE)?;
        let snapshot = self.snapshot();
        let Some(view_id) = snapshot.view_id else {
            return Ok(None);
        };
        let scope = library.resolve(&snapshot)?;
        let rows = scope.map_or(&[][..], |scope| snapshot.rows_in(scope));
        let ids: Vec<LibraryId> = rows.iter().map(|row| row.id).collect();
        let is_unknown = ids.is_empty() && !snapshot.rows.is_empty();
        if is_unknown && LibraryRows(&self.store).gone_libraries(view_id)?.is_empty() {
            return Err(self.missing_library_error(Some(library), &snapshot, false));
        }
        Ok(Some((view_id, ids)))
    }
}

/// A doubted item, or an item to which a doubted path leads.
#[derive(Clone)]
pub struct ItemToVerify {
    pub row: LibraryRow,
    pub rating_key: String,
}

impl ItemToVerify {
    /// Returns the items of a library with these rating keys.
    pub fn all(row: &LibraryRow, rating_keys: Vec<String>) -> impl Iterator<Item = Self> {
        rating_keys.into_iter().map(|rating_key| Self {
            row: row.clone(),
            rating_key,
        })
    }
}

/// Maximum number of items per request.
const MAX_BATCH: usize = 100;
/// Maximum number of items per refresh. Lookups fetch the remaining items.
const MAX_ITEMS: usize = 256;
/// Maximum number of failed requests per batch. Eight requests isolate a single item for which the server always fails.
const MAX_FAILURES: u32 = 8;
/// Maximum number of items that plexindex asks about because their files belong to other items.
const MAX_RIVALS: usize = 256;
/// After a request for invalidated items has failed, refreshes fetch no such items for this time, in milliseconds.
const RETRY_AFTER_MS: i64 = 30_000;

impl Synchronizer {
    /// Returns whether the libraries in scope contain invalidated items that a refresh can fetch now.
    pub fn has_invalidated(&self, snapshot: &Snapshot, scope: Scope) -> bool {
        self.may_fetch_invalidated() && self.has_doubted_items(snapshot, scope)
    }

    /// Returns whether the libraries in scope contain items that are doubted, or withheld.
    pub(super) fn has_doubted_items(&self, snapshot: &Snapshot, scope: Scope) -> bool {
        library_indexes(scope, snapshot.rows.len()).any(|index| !self.invalidated_in(snapshot, index, 1).is_empty())
    }

    /// Returns at most `limit` invalidated items in the library with this index.
    fn invalidated_in(&self, snapshot: &Snapshot, index: usize, limit: usize) -> Vec<String> {
        snapshot.libraries[index].invalidated_items(None, &self.reading.mappings, limit)
    }

    /// Fetches the invalidated items in a call's libraries, so that hosts that only read the feed also learn of the
    /// items' changes. Items without a reply stay invalidated, so the refresh returns `NotYet`. Returns `NotYet` too if
    /// the deadline passes first.
    pub(super) fn verify_invalidated(&self, call: &Call<'_>) -> Result<Status> {
        if !self.may_fetch_invalidated() {
            return Ok(Status::Ok);
        }
        // Only one call fetches the items. Other calls that see the same invalidation do not wait.
        let status = self.run_unless_running(&self.server_lock_name("verify"), || self.verify_all(call))?;
        Ok(status.unwrap_or(Status::Ok))
    }

    /// Fetches the invalidated items in a call's libraries, in batches. The caller must hold the verification lock.
    /// Returns `NotYet` if the deadline passes first.
    fn verify_all(&self, call: &Call<'_>) -> Result<Status> {
        self.reading.catch_up(call.deadline)?;
        // Collect the items in a block, so that no snapshot is in use during the requests.
        let mut unverified = Vec::new();
        {
            let snapshot = self.reading.snapshot();
            let Some(scope) = snapshot.scope(call.library)? else {
                return Ok(Status::Ok);
            };
            for index in library_indexes(scope, snapshot.rows.len()) {
                let items = self.invalidated_in(&snapshot, index, MAX_ITEMS - unverified.len());
                unverified.extend(ItemToVerify::all(&snapshot.rows[index], items));
            }
        }
        // Fetch them. After a failure, continue only if the next batch may succeed.
        for batch in unverified.chunks(MAX_BATCH) {
            match self.verify(call, batch) {
                Err(error) if error.status == Status::Timeout && call.deadline.is_set() => return Ok(Status::NotYet),
                Err(error) if !matches!(error.status, Status::Aborted | Status::Store) => {
                    log::warn!("cannot verify invalidated items: {error}; a later lookup or refresh will retry");
                    self.last_failure_ms.store(self.clock.now_ms(), Ordering::Relaxed);
                    if error.status.retry_advice() == RetryAdvice::NotNow {
                        break;
                    }
                }
                result => result?,
            }
        }
        if !unverified.is_empty() {
            self.reading.catch_up(call.deadline)?;
        }
        Ok(Status::Ok)
    }

    /// Returns whether a refresh may fetch invalidated items now: there is a source, and it did not fail recently.
    fn may_fetch_invalidated(&self) -> bool {
        let since_failure_ms = self.clock.now_ms() - self.last_failure_ms.load(Ordering::Relaxed);
        self.source.is_some() && !(0..RETRY_AFTER_MS).contains(&since_failure_ms)
    }

    /// Fetches doubted items, and stores the replies, which end the doubts. In a batch, the same request fetches other
    /// doubted items of the first item's library, which the next paths may lead to, as after an edit of many items. Fails
    /// only if a reply about an item in `doubted` is missing.
    pub fn verify(&self, call: &Call<'_>, doubted: &[ItemToVerify]) -> Result<()> {
        let mut wanted = doubted.to_vec();
        if let Some(first) = doubted.first().filter(|_| call.batch.is_some()) {
            let snapshot = self.reading.snapshot();
            let index = snapshot.rows.iter().position(|row| row.id == first.row.id);
            let mut others = index.map_or(Vec::new(), |index| self.invalidated_in(&snapshot, index, MAX_BATCH));
            others.retain(|key| doubted.iter().all(|item| item.rating_key != *key));
            others.truncate(MAX_BATCH.saturating_sub(doubted.len()));
            wanted.extend(ItemToVerify::all(&first.row, others));
        }
        self.job(call, |job| {
            job.settle_rivals(job.request_items(&wanted, doubted.len())?)
        })
    }
}

impl SyncJob<'_> {
    /// Asks the server about `rivals`, the items that have a file of an item that was added or changed, because nothing
    /// else may show that an older item lost its file; and so on for the files that these items have now. Without a reply,
    /// they stay doubted.
    pub(super) fn settle_rivals(&self, mut rivals: Vec<ItemToVerify>) -> Result<()> {
        let (mut room, mut known) = (MAX_RIVALS, BTreeSet::new());
        while !rivals.is_empty() && rivals.len() <= room {
            room -= rivals.len();
            let next = match self.request_items(&rivals, rivals.len()) {
                Err(error) if error.status == Status::Aborted => return Err(error),
                Err(error) => {
                    log::warn!("cannot find out which item has a file: {error}; a later lookup or refresh will ask");
                    return Ok(());
                }
                Ok(next) => next,
            };
            known.extend(rivals.into_iter().map(|rival| rival.rating_key));
            rivals = next;
            rivals.retain(|rival| !known.contains(&rival.rating_key));
        }
        Ok(())
    }

    /// Requests items, and stores the replies, which end the doubts about them. Returns the items that have a file which
    /// one of these has gained. Items without a reply stay doubted; fails if one of the first `needed` has none.
    fn request_items(&self, wanted: &[ItemToVerify], needed: usize) -> Result<Vec<ItemToVerify>> {
        let (sync, deadline) = (self.sync, self.bounds.deadline);
        let asked = sync.store.ticket(deadline)?;
        let keys: Vec<&str> = wanted.iter().map(|item| item.rating_key.as_str()).collect();
        let mut replies = ItemReplies::default();
        self.fetch_in_halves(&keys, &mut replies)?;
        let mut of_libraries = BTreeMap::<LibraryId, (&LibraryRow, Vec<ItemReply>)>::new();
        for ItemToVerify { row, rating_key } in wanted {
            if replies.unanswered.contains(&rating_key.as_str()) {
                continue;
            }
            let found = replies
                .items
                .iter()
                .find(|located| located.item.rating_key == *rating_key);
            let here = found.filter(|located| located.is_in(&row.library.section));
            if here.is_none() {
                // The item was deleted, or has moved to another library.
                if let Some(located) = found {
                    self.merge_elsewhere(located, asked)?;
                }
                let lost_from = if found.is_some() { "its library" } else { "the server" };
                log::info!("item {rating_key} is no longer in {lost_from}; plexindex no longer returns it");
            }
            let (_, items) = of_libraries.entry(row.id).or_insert((row, Vec::new()));
            items.push((rating_key.clone(), here.map(|located| located.item.clone())));
        }
        let mut rivals = Vec::new();
        for (row, items) in of_libraries.into_values() {
            let folded = sync.store_items(row, &items, (asked, true), deadline)?;
            rivals.extend(ItemToVerify::all(row, folded.rivals));
        }
        let mut needed = wanted.iter().take(needed).map(|item| item.rating_key.as_str());
        match replies.failure {
            Some(failure) if needed.any(|key| replies.unanswered.contains(&key)) => Err(failure),
            _ => Ok(rivals),
        }
    }

    /// Adds fetched items to `replies`, without the items that the server does not have. If a batch fails, fetches each
    /// half separately, because a single item may be the cause.
    fn fetch_in_halves<'k>(&self, keys: &[&'k str], replies: &mut ItemReplies<'k>) -> Result<()> {
        match self.source.items(keys, self.bounds) {
            Ok(items) => replies.items.extend(items),
            Err(error) if error.status.retry_advice() == RetryAdvice::NothingThere => {}
            Err(error) if !matches!(error.status, Status::BadAnswer | Status::ServerError) => return Err(error),
            Err(error) => {
                replies.failures += 1;
                if keys.len() > 1 && replies.failures < MAX_FAILURES {
                    for half in keys.chunks(keys.len().div_ceil(2)) {
                        self.fetch_in_halves(half, replies)?;
                    }
                } else {
                    replies.unanswered.extend(keys);
                    replies.failure = Some(error);
                }
            }
        }
        Ok(())
    }

    /// Merges an item that has moved to another library, if plexindex has fetched that library.
    fn merge_elsewhere(&self, located: &LocatedItem, asked: Sequence) -> Result<()> {
        let Some(view_id) = self.view_id()? else {
            return Ok(());
        };
        let rows = LibraryRows(&self.sync.store).libraries(view_id)?;
        let is_there = |row: &&LibraryRow| row.library.section == located.section && row.generation.is_fetched();
        if let Some(row) = rows.iter().find(is_there) {
            let reply = [(located.item.rating_key.clone(), Some(located.item.clone()))];
            self.sync
                .store_items(row, &reply, (asked, false), self.bounds.deadline)?;
        }
        Ok(())
    }
}

/// Replies to requests for items.
#[derive(Default)]
struct ItemReplies<'k> {
    items: Vec<LocatedItem>,
    /// Keys of items without a reply.
    unanswered: Vec<&'k str>,
    failures: u32,
    /// The last failure that left items without a reply; `None` if every item has a reply.
    failure: Option<Error>,
}
