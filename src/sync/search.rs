//! Searches the server for paths.
//!
//! Searches have two uses. If a library was never fetched and the caller has little time, a search can find the answer.
//! If a path in a library's folder is not in the listing, the file may be new, and a search follows the question
//! ([`super::path_question`]).
//!
//! A hit is an item with exactly the requested path. A search without a hit proves nothing. The store records searches,
//! so that other processes do not repeat them.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::call::Call;
use super::job::{SyncJob, Synchronizer};
use crate::engine::{ItemRows, LibraryRow, PathRequests, QuestionOutcome, SearchRows};
use crate::error::{Error, Result};
use crate::knowledge::{
    MAX_UNFETCHED_SEARCHES, PATH_REQUEST_INTERVAL_MS, may_search_again, was_found_recently, was_missed_recently,
};
use crate::matching::path_search::{file_name, is_same_file, other_unicode_spelling, title_in};
use crate::matching::{NormalPath, folder_form};
use crate::model::{ByteString, Item, LibraryId, ViewId};
use crate::source::WantedPath;

/// Maximum time for a search if plexindex can answer without the search.
pub const SEARCH_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum number of files in a folder search. For a larger folder, plexindex fetches a listing.
const MAX_FOLDER_FILES: usize = 1_000;

/// A file or folder that plexindex searches for.
#[derive(Clone, Copy)]
pub enum SearchTarget<'q> {
    Path(&'q NormalPath<'q>),
    /// The path of a folder, to search for all files below it.
    Folder(&'q NormalPath<'q>),
}

impl SearchTarget<'_> {
    /// Returns the hash under which the store records searches for the target. A folder's hash has a prefix that starts
    /// with NUL, so that it differs from a path's hash, because no path starts with NUL.
    pub fn hash(self) -> u64 {
        match self {
            Self::Path(path) => path.hash(),
            Self::Folder(path) => xxh3_64(&[b"\0folder\0", folder_form(path)].concat()),
        }
    }

    /// Returns the hash of the folder that contains the target.
    pub(super) fn folder_hash(self) -> u64 {
        let (Self::Path(path) | Self::Folder(path)) = self;
        let raw = path.raw();
        xxh3_64(&raw[..raw.len() - file_name(raw).map_or(0, str::len)])
    }
}

/// Why a call searches for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchCause {
    /// The libraries were never fetched, so several searches in a short time are allowed.
    Unfetched,
    /// The target is not listed, and the libraries have changed.
    Changed,
    /// The target is not listed, and the libraries have not changed.
    Unlisted,
}

/// What a search for a target found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Hit,
    /// Another call has stored something else since the request, so that the reply is no answer.
    Overtaken,
}

impl Found {
    fn of(is_hit: bool, is_stored: bool) -> Self {
        match (is_hit, is_stored) {
            (_, false) => Self::Overtaken,
            (true, true) => Self::Hit,
            (false, true) => Self::Nothing,
        }
    }
}

/// What a question or a search said about an unlisted path.
#[derive(Debug, Default)]
pub struct PathAnswer {
    /// The error of a failed request.
    pub failure: Option<Error>,
    /// Why to search for the path next; `None`: no search is necessary or allowed.
    pub search: Option<SearchCause>,
    /// Whether a later call must ask, because this call has not asked.
    pub is_postponed: bool,
    /// Libraries that need a full listing, which this call has not fetched yet.
    pub unlisted: Vec<LibraryId>,
    /// Number of requests that were taken from the budget.
    pub requests: u64,
}

impl PathAnswer {
    /// Creates the answer of a call that has not asked the server.
    pub(super) fn postponed() -> Self {
        Self {
            is_postponed: true,
            ..Self::default()
        }
    }

    /// Returns the answer of a job, which may have failed.
    pub(super) fn of(result: Result<Self>) -> Self {
        result.unwrap_or_else(|error| Self {
            failure: Some(error),
            ..Self::default()
        })
    }
}

impl Synchronizer {
    /// Returns whether a search in this library less than a TTL ago found the target, so that no new search is needed.
    pub fn has_recent_hit(&self, view_id: ViewId, row: &LibraryRow, target: SearchTarget<'_>) -> Result<bool> {
        let search = SearchRows(&self.store).path_search(view_id, row.id, target.hash())?;
        let now_ms = self.clock.now_ms();
        Ok(was_found_recently(search.as_ref(), &self.policy, now_ms))
    }

    /// Returns whether a search in this library less than a TTL ago did not find the target.
    pub fn was_missed_recently(&self, view_id: ViewId, row: &LibraryRow, target: SearchTarget<'_>) -> Result<bool> {
        let search = SearchRows(&self.store).path_search(view_id, row.id, target.hash())?;
        Ok(was_missed_recently(search.as_ref(), &self.policy, self.clock.now_ms()))
    }

    /// Returns whether to search libraries that were never fetched. Returns `false` after several searches in a short
    /// time, because a listing then costs less.
    pub fn may_search<'r>(&self, view_id: ViewId, libraries: impl Iterator<Item = &'r LibraryRow>) -> bool {
        let now_ms = self.clock.now_ms();
        let since_ms = now_ms - PATH_REQUEST_INTERVAL_MS;
        let count_in = |row: &LibraryRow| {
            SearchRows(&self.store)
                .count_searches(view_id, row.id, since_ms, now_ms)
                .ok()
        };
        let counts: Option<Vec<u64>> = libraries.map(count_in).collect();
        counts.is_some_and(|counts| counts.iter().sum::<u64>() < MAX_UNFETCHED_SEARCHES)
    }

    /// Returns the paths that `path` may have on the server: `path` itself, and one from each mapping that applies; then
    /// the same paths with composed or decomposed letters, where that differs.
    fn possible_server_paths(&self, path: &NormalPath<'_>) -> Vec<Vec<u8>> {
        let mut spellings = vec![path.raw().to_vec()];
        self.reading.mappings().to_server(path, |mapped| {
            spellings.push(mapped.to_vec());
            None::<()> // continue with the next mapping
        });
        let others: Vec<_> = spellings
            .iter()
            .filter_map(|path| other_unicode_spelling(path))
            .collect();
        spellings.extend(others);
        spellings
    }

    /// Searches the server for the target in each of `libraries` that no process has searched for it recently, and
    /// stores the hits. `cause`: why the call searches, which determines the limit.
    pub fn search(
        &self,
        call: &Call<'_>,
        view_id: ViewId,
        libraries: &[LibraryRow],
        target: SearchTarget<'_>,
        cause: SearchCause,
    ) -> Result<PathAnswer> {
        if !self.can_search(target) {
            return Ok(PathAnswer::default());
        }
        let (hash, started_ms) = (target.hash(), self.clock.now_ms());
        let has_changed = cause == SearchCause::Changed;
        let is_due = |row: &LibraryRow| self.is_search_due(view_id, row, hash, has_changed.then_some(started_ms));
        // All libraries that may contain the path are searched, because two hits make the answer ambiguous.
        let mut due = Vec::new();
        for row in libraries {
            if is_due(row)? {
                due.push(row);
            }
        }
        if due.is_empty() {
            return Ok(PathAnswer::default());
        }
        let always_asks = call.always_asks;
        let may_search = || self.may_search_now(always_asks, view_id, &due, cause);
        // After a change the search is necessary, so a later call must search.
        let refused = || PathAnswer {
            is_postponed: has_changed,
            ..PathAnswer::default()
        };
        if !may_search()? {
            return Ok(refused());
        }
        // The search uses at most half of the remaining time, because a listing may need the rest.
        let call = Call {
            deadline: call.deadline.half().at_most(SEARCH_TIMEOUT),
            ..*call
        };
        let requests_before = self.request_counts();
        let result = self.job(&call, |job| {
            let search_all = || {
                if !may_search()? {
                    return Ok(refused());
                }
                let begun_ms = self.clock.now_ms();
                let (mut searches, mut questions, mut outcome) = (Vec::new(), Vec::new(), None);
                let mut is_overtaken = false;
                let result = due.iter().try_for_each(|row| {
                    if !is_due(row)? {
                        return Ok(());
                    }
                    let asked_after = self.request_counts();
                    let result = match target {
                        SearchTarget::Path(path) => job.search_path(row, path),
                        SearchTarget::Folder(path) => job.search_folder(row, path),
                    };
                    let failed = result
                        .as_ref()
                        .err()
                        .map(|error| self.question_outcome(error, asked_after));
                    // Failed and slow searches are also recorded, so that no process repeats them soon; but the next
                    // call can repeat a search that the host stopped, or whose token was rejected.
                    if failed != Some(QuestionOutcome::UnderWay) {
                        searches.push((row.id, hash, matches!(result, Ok(Found::Hit))));
                        outcome = failed;
                    }
                    // After a change, the search answers the question that preceded it. A reply that was overtaken is
                    // no answer, so that a later call asks.
                    let is_open = matches!(result, Ok(Found::Overtaken));
                    is_overtaken |= is_open;
                    if is_open || has_changed && result.is_ok() {
                        questions.push((row.id, hash));
                    }
                    result.map(drop)
                });
                let is_answered = has_changed && result.is_ok() && !is_overtaken;
                if let Some(batch) = call.batch.filter(|_| is_answered) {
                    batch.state().searched_folders.insert(target.folder_hash());
                }
                let mut record = PathRequests {
                    searches: &searches,
                    questions: &questions,
                    are_open: is_overtaken,
                    ..PathRequests::default()
                };
                if cause != SearchCause::Unfetched {
                    record.requests = self.requests_since(requests_before);
                    record.outcome = outcome;
                }
                SearchRows(&self.store).note_path_requests(view_id, begun_ms, &record);
                result.map(|()| PathAnswer {
                    is_postponed: is_overtaken,
                    requests: record.requests,
                    ..PathAnswer::default()
                })
            };
            job.single_flight(&self.server_lock_name("path_search"), search_all)?
                .ok_or_else(|| job.deadline_error())
        });
        Ok(PathAnswer::of(result))
    }

    /// Returns whether to search for a target. `changed_ms`: when the call saw the change, after which only a search that
    /// began later is an answer, such as another thread's; `None` without a change, so that each search has a pause.
    fn is_search_due(&self, view_id: ViewId, row: &LibraryRow, hash: u64, changed_ms: Option<i64>) -> Result<bool> {
        let rows = SearchRows(&self.store);
        if let Some(changed_ms) = changed_ms {
            let last = rows.question(view_id, row.id, hash)?;
            return Ok(last.is_none_or(|last| last.found || last.last_ms < changed_ms));
        }
        let earlier = rows.path_search(view_id, row.id, hash)?;
        let may_search = || may_search_again(earlier.as_ref(), &self.policy, self.clock.now_ms());
        Ok(self.is_local() || may_search())
    }

    /// Returns whether the source can search for the target.
    pub(super) fn can_search(&self, target: SearchTarget<'_>) -> bool {
        self.capabilities().is_some_and(|abilities| match target {
            SearchTarget::Path(path) => abilities.find && file_name(path.raw()).is_some(),
            SearchTarget::Folder(_) => abilities.folders,
        })
    }

    /// Returns whether the limit for searches for all targets allows another search. `always_asks`: the host wants the
    /// call to ask the server.
    fn may_search_now(
        &self,
        always_asks: bool,
        view_id: ViewId,
        libraries: &[&LibraryRow],
        cause: SearchCause,
    ) -> Result<bool> {
        if self.is_local() {
            return Ok(true);
        }
        let now_ms = self.clock.now_ms();
        Ok(match cause {
            SearchCause::Unfetched => self.may_search(view_id, libraries.iter().copied()),
            // Other calls' searches may have failed while this call waited.
            _ if self.recent_question_error(view_id, libraries)?.is_some() => false,
            SearchCause::Unlisted => true, // the question before the search has recorded it
            SearchCause::Changed => always_asks || SearchRows(&self.store).budget(view_id, now_ms)?.has_room(now_ms),
        })
    }
}

impl SyncJob<'_> {
    /// Searches the server for a path, and adds the hits to the store.
    fn search_path(&self, row: &LibraryRow, path: &NormalPath<'_>) -> Result<Found> {
        let spellings = self.sync.possible_server_paths(path);
        let name = file_name(path.raw()).unwrap_or_default();
        let title = title_in(name);
        let wanted = WantedPath {
            candidate_paths: &spellings,
            name,
            title: title.as_deref(),
        };
        // Another call may store a newer reply meanwhile.
        let asked = self.sync.store.ticket(self.bounds.deadline)?;
        let mut are_merged = true;
        let mut merge_hits = |mut items: Vec<Item>| {
            items.retain(|item| self.is_hit(&wanted, item));
            if items.is_empty() {
                return Ok(false);
            }
            let replies: Vec<_> = items
                .into_iter()
                .map(|item| (item.rating_key.clone(), Some(item)))
                .collect();
            are_merged &= self
                .sync
                .store_items(row, &replies, (asked, false), self.bounds.deadline)?
                .are_stored;
            Ok(true)
        };
        let is_hit = self
            .source
            .find_path(&row.library, &wanted, self.bounds, &mut merge_hits)?;
        Ok(Found::of(is_hit, are_merged))
    }

    /// Returns whether one of the item's files is exactly the requested file (the first of `wanted.candidate_paths`),
    /// either directly or through a mapping. Returns `false` for an item that cannot be stored.
    fn is_hit(&self, wanted: &WantedPath<'_>, item: &Item) -> bool {
        let is_file = |part: &ByteString| {
            let path = wanted.candidate_paths.first(); // the requested path itself
            path.is_some_and(|path| is_same_file(self.sync.reading.mappings(), path, part.as_bytes()))
        };
        item.is_storable() && item.parts.iter().any(is_file)
    }

    /// Fetches all items below a folder from the server, and adds them to the store. Returns [`Found::Nothing`] if the
    /// folder contains no items, or too many for a search.
    fn search_folder(&self, row: &LibraryRow, path: &NormalPath<'_>) -> Result<Found> {
        // Append a separator, because some mappings apply only to paths below a folder.
        let folder = [trim_end_separators(path.raw()), b"/"].concat();
        let mut folders = NormalPath::with(&folder, |folder| self.sync.possible_server_paths(folder));
        for folder in &mut folders {
            let separator = if folder.contains(&b'\\') { b'\\' } else { b'/' };
            *folder = [trim_end_separators(folder), &[separator]].concat();
        }
        let asked = self.sync.store.ticket(self.bounds.deadline)?;
        let Some(mut items) = self
            .source
            .items_in_folders(&row.library, &folders, MAX_FOLDER_FILES, self.bounds)?
        else {
            return Ok(Found::Nothing);
        };
        items.retain(Item::is_storable);
        let (store, deadline) = (&self.sync.store, self.bounds.deadline);
        let is_below = |item: &Item| {
            let mut parts = item.parts.iter();
            parts.any(|part| folders.iter().any(|folder| part.as_bytes().starts_with(folder)))
        };
        // Remove items that an earlier search found but that are no longer below the folder.
        let mut vanished = Vec::new();
        ItemRows(store).of(row.id)?.for_each(asked, &mut |stored, _| {
            if is_below(&stored) && !items.iter().any(|item| item.rating_key == stored.rating_key) {
                vanished.push(stored.rating_key);
            }
            Ok(())
        })?;
        let is_found = items.iter().any(is_below);
        let found = items.into_iter().map(|item| (item.rating_key.clone(), Some(item)));
        let replies: Vec<_> = vanished.into_iter().map(|key| (key, None)).chain(found).collect();
        let stored = self.sync.store_items(row, &replies, (asked, false), deadline)?;
        Ok(Found::of(is_found, stored.are_stored))
    }
}

/// Removes all trailing slashes and backslashes from a path.
fn trim_end_separators(path: &[u8]) -> &[u8] {
    let last = path.iter().rposition(|byte| !matches!(byte, b'/' | b'\\'));
    &path[..last.map_or(0, |index| index + 1)]
}
