//! Searches the server for paths.
//!
//! Searches have two uses. If a library was never fetched and the caller has little time, a search can find the answer.
//! If a path in a library's folder is not in the listing, the file may be new, and a search follows the question,
//! by the rules of [`path_question`].
//!
//! A hit is an item with exactly the requested path. A search without a hit proves nothing. The store records searches,
//! so that other processes do not repeat them.
//!
//! Pauses requests after the server or the store has failed. While another process keeps the store locked, no call could
//! store a reply, so only a check asks; the pause ends with the lock.

use std::sync::atomic::Ordering;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::call::{Batch, Call, RefreshReason};
use super::job::{LastFailure, NEVER_MS, SyncJob, Synchronizer, is_storable};
use crate::engine::{
    LIBRARY_LIST, LastQuestion, LibraryRow, LibraryRows, PathRequests, QuestionOutcome, SearchRows, is_locked,
};
use crate::error::{Error, Result, RetryAdvice, Status};
use crate::knowledge::{
    Cause, DOWN_SERVER_INTERVAL_MS, MAX_UNFETCHED_SEARCHES, PATH_REQUEST_INTERVAL_MS, PathQuestion, is_pause_over,
    may_search_again, path_question, was_found_recently, was_missed_recently,
};
use crate::matching::path_search::{file_name, is_same_file, other_unicode_spelling, title_in};
use crate::matching::{NormalPath, folder_form};
use crate::model::{ByteString, Item, LibraryId, PathSearch, Sequence, ViewId};
use crate::platform::clock::Deadline;
use crate::platform::fork::lock;
use crate::source::{Bounds, RequestKind, SourceKind, WantedPath};

/// Maximum time for a search if plexindex can answer without the search.
pub const SEARCH_TIMEOUT: Duration = Duration::from_secs(1);

/// A file or folder about which plexindex asks. Only a file can be searched for.
#[derive(Clone, Copy)]
pub enum SearchTarget<'q> {
    Path(&'q NormalPath<'q>),
    Folder(&'q NormalPath<'q>),
}

impl<'q> SearchTarget<'q> {
    /// Returns the hash under which the store records questions about the target. A folder's hash has a prefix that starts
    /// with NUL, so that it differs from a path's hash, because no path starts with NUL.
    pub fn hash(self) -> u64 {
        match self {
            Self::Path(path) => path.hash(),
            Self::Folder(path) => xxh3_64(&[b"\0folder\0", folder_form(path)].concat()),
        }
    }

    /// Returns the path of the file or folder.
    pub fn path(self) -> &'q NormalPath<'q> {
        let (Self::Path(path) | Self::Folder(path)) = self;
        path
    }

    /// Returns the hash of the folder that contains the target.
    pub(super) fn folder_hash(self) -> u64 {
        let raw = self.path().raw();
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
    /// Returns whether a search in this library less than a TTL ago found the path, so that no new search is needed.
    pub fn has_recent_hit(&self, view_id: ViewId, row: &LibraryRow, path: &NormalPath<'_>) -> Result<bool> {
        let search = SearchRows(&self.store).path_search(view_id, row.id, path.hash())?;
        Ok(was_found_recently(search.as_ref(), &self.policy, self.clock.now_ms()))
    }

    /// Returns whether a search in this library less than a TTL ago did not find the path.
    pub fn was_missed_recently(&self, view_id: ViewId, row: &LibraryRow, path: &NormalPath<'_>) -> Result<bool> {
        let search = SearchRows(&self.store).path_search(view_id, row.id, path.hash())?;
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
        spellings.extend(self.reading.mappings.server_paths(path.raw()));
        let others: Vec<_> = spellings
            .iter()
            .filter_map(|path| other_unicode_spelling(path))
            .collect();
        spellings.extend(others);
        spellings
    }

    /// Searches the server for a question's target in each library in which no process has searched for it recently, and
    /// stores the hits. `cause`: why the call searches, which determines the limit.
    pub fn search(&self, call: &Call<'_>, question: &Question<'_>, cause: SearchCause) -> PathAnswer {
        if !self.can_search(question.target) {
            return PathAnswer::default();
        }
        // The search uses at most half of the remaining time, because a listing may need the rest.
        let call = Call {
            deadline: call.deadline.half().at_most(SEARCH_TIMEOUT),
            ..*call
        };
        let (started_ms, requests_before) = (self.clock.now_ms(), self.request_counts());
        let result = self.job(&call, |job| {
            let search = || job.search_libraries(question, cause, started_ms, requests_before);
            job.single_flight(&self.server_lock_name("path_search"), job.bounds, search)?
                .ok_or_else(|| job.deadline_error())
        });
        PathAnswer::of(result)
    }

    /// Returns whether to search for a target. `changed_ms`: when the call saw the change, after which only a search that
    /// began later is an answer, such as another thread's; `None` without a change, so that each search has a pause.
    fn is_search_due(&self, question: &Question<'_>, row: &LibraryRow, changed_ms: Option<i64>) -> Result<bool> {
        let rows = SearchRows(&self.store);
        if let Some(changed_ms) = changed_ms {
            let last = rows.question(question.view_id, row.id, question.hash)?;
            return Ok(last.is_none_or(|last| last.found || last.last_ms < changed_ms));
        }
        let earlier = rows.path_search(question.view_id, row.id, question.hash)?;
        let may_search = || may_search_again(earlier.as_ref(), &self.policy, self.clock.now_ms());
        Ok(self.is_local() || may_search())
    }

    /// Returns whether the source can search for the target.
    pub(super) fn can_search(&self, target: SearchTarget<'_>) -> bool {
        match target {
            SearchTarget::Path(path) => self.source.is_some() && file_name(path.raw()).is_some(),
            SearchTarget::Folder(_) => false,
        }
    }

    /// Returns whether the limit for searches for all targets allows another search, in `libraries`.
    fn may_search_now(&self, question: &Question<'_>, libraries: &[&LibraryRow], cause: SearchCause) -> Result<bool> {
        if self.is_local() {
            return Ok(true);
        }
        let (view_id, now_ms) = (question.view_id, self.clock.now_ms());
        Ok(match cause {
            SearchCause::Unfetched => self.may_search(view_id, libraries.iter().copied()),
            // Other calls' searches may have failed while this call waited.
            _ if self.recent_question_error(view_id, libraries)?.is_some() => false,
            SearchCause::Unlisted => true, // the question before the search has recorded it
            SearchCause::Changed => {
                question.always_asks
                    || SearchRows(&self.store)
                        .of_view(view_id, now_ms)?
                        .budget
                        .has_room(now_ms)
            }
        })
    }
}

impl SyncJob<'_> {
    /// Searches the server for a question's target, and records the searches. `started_ms`, `requests_before`: the time
    /// and the request counts before the job.
    fn search_libraries(
        &self,
        question: &Question<'_>,
        cause: SearchCause,
        started_ms: i64,
        requests_before: RequestCounts,
    ) -> Result<PathAnswer> {
        let (sync, hash) = (self.sync, question.hash);
        let has_changed = cause == SearchCause::Changed;
        // All libraries that may contain the path are searched, because two hits make the answer ambiguous.
        let mut due = Vec::new();
        for row in question.libraries {
            if sync.is_search_due(question, row, has_changed.then_some(started_ms))? {
                due.push(row);
            }
        }
        if due.is_empty() || !sync.may_search_now(question, &due, cause)? {
            return Ok(PathAnswer {
                // After a change the search is necessary, so a later call must search.
                is_postponed: has_changed && !due.is_empty(),
                ..PathAnswer::default()
            });
        }
        let begun_ms = sync.clock.now_ms();
        let (mut searches, mut questions, mut outcome) = (Vec::new(), Vec::new(), None);
        let mut is_overtaken = false;
        let result = due.into_iter().try_for_each(|row| {
            let asked_after = sync.request_counts();
            let result = self.search_path(row, question.target.path());
            let error = result.as_ref().err();
            let failed = error.map(|error| sync.question_outcome(error, asked_after));
            // Failed and slow searches are also recorded, so that no process repeats them soon; but the next call can
            // repeat a search that the host stopped, or whose token was rejected.
            if failed != Some(QuestionOutcome::UnderWay) {
                searches.push((row.id, hash, matches!(result, Ok((true, true)))));
                outcome = failed;
            }
            // After a change, the search answers the question that preceded it. A reply that was overtaken is no answer,
            // so that a later call asks.
            let is_open = matches!(result, Ok((_, false)));
            is_overtaken |= is_open;
            if is_open || has_changed && result.is_ok() {
                questions.push((row.id, hash));
            }
            result.map(drop)
        });
        let is_answered = has_changed && result.is_ok() && !is_overtaken;
        if let Some(batch) = question.batch.filter(|_| is_answered) {
            let folder = question.target.folder_hash();
            batch.state().searched_folders.insert(folder);
        }
        let mut record = PathRequests {
            searches: &searches,
            questions: &questions,
            are_open: is_overtaken,
            ..PathRequests::default()
        };
        if cause != SearchCause::Unfetched {
            record.requests = sync.requests_since(requests_before);
            record.outcome = outcome;
        }
        SearchRows(&sync.store).note_path_requests(question.view_id, begun_ms, &record);
        result.map(|()| PathAnswer {
            is_postponed: is_overtaken,
            requests: record.requests,
            ..PathAnswer::default()
        })
    }

    /// Searches the server for a path, and adds the hits to the store. Returns whether there are any, and whether they are
    /// stored: if another call has stored something else since the request, the reply is no answer.
    fn search_path(&self, row: &LibraryRow, path: &NormalPath<'_>) -> Result<(bool, bool)> {
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
        Ok((is_hit, are_merged))
    }

    /// Returns whether one of the item's files is exactly the requested file (the first of `wanted.candidate_paths`),
    /// either directly or through a mapping. Returns `false` for an item that cannot be stored.
    fn is_hit(&self, wanted: &WantedPath<'_>, item: &Item) -> bool {
        let is_file = |part: &ByteString| {
            let path = wanted.candidate_paths.first(); // the requested path itself
            path.is_some_and(|path| is_same_file(&self.sync.reading.mappings, path, part.as_bytes()))
        };
        is_storable(item) && item.parts.iter().any(is_file)
    }
}

/// Maximum time to wait for another thread's or process's question.
const QUESTION_WAIT: Duration = Duration::from_millis(1_500);

/// A question about an unlisted path.
pub struct Question<'q> {
    pub view_id: ViewId,
    /// The libraries that may contain the path, as the call has read them.
    pub libraries: &'q [LibraryRow],
    pub target: SearchTarget<'q>,
    /// The hash of the target.
    pub hash: u64,
    /// The change sequence when the call started.
    pub since: Sequence,
    pub always_asks: bool,
    /// Whether a refresh of this call has found a change.
    pub has_changed: bool,
    pub batch: Option<&'q Batch>,
}

impl<'q> Question<'q> {
    /// Creates a question of a call. `since`: the change sequence when the call started.
    pub fn new(
        call: &Call<'q>,
        view_id: ViewId,
        libraries: &'q [LibraryRow],
        target: SearchTarget<'q>,
        since: Sequence,
    ) -> Self {
        Self {
            view_id,
            libraries,
            target,
            hash: target.hash(),
            since,
            always_asks: call.always_asks,
            has_changed: false,
            batch: call.batch,
        }
    }
}

impl Synchronizer {
    /// Asks the server whether libraries that may contain an unlisted path have changed, and merges the changes, but
    /// fetches no full listing. `what_to_do`: the result of
    /// [`Self::path_question`].
    pub fn ask_about_path(
        &self,
        call: &Call<'_>,
        question: &Question<'_>,
        what_to_do: PathQuestion,
    ) -> Result<PathAnswer> {
        match what_to_do {
            PathQuestion::Ask => {}
            PathQuestion::Probed => return self.answer_after_probe(question, PathRequests::default()),
            PathQuestion::Answered => return Ok(PathAnswer::default()),
            PathQuestion::Postponed => return Ok(PathAnswer::postponed()),
        }
        let call = Call {
            deadline: call.deadline.at_most(SEARCH_TIMEOUT),
            skips_listings: true,
            ..*call
        };
        let requests_before = self.request_counts();
        let result = self.job(&call, |job| {
            // Another thread's question usually ends soon.
            let bounds = Bounds {
                deadline: job.bounds.deadline.earliest(Deadline::after(QUESTION_WAIT)),
                ..job.bounds
            };
            let ask = || job.ask_about_path(question, requests_before);
            let answer = job.single_flight(&self.server_lock_name("path_question"), bounds, ask)?;
            Ok(answer.unwrap_or_else(PathAnswer::postponed))
        });
        Ok(PathAnswer::of(result))
    }

    /// Records the questions that the batch's probe has answered. `since`, `started_ms`: when the batch started.
    pub fn finish_batch(&self, batch: &Batch, since: Sequence, started_ms: i64) {
        let questions = std::mem::take(&mut batch.state().questions);
        if let Some(view_id) = self.reading.view_id() {
            let record = PathRequests {
                questions: &questions,
                since,
                ..PathRequests::default()
            };
            SearchRows(&self.store).note_path_requests(view_id, started_ms, &record);
        }
    }

    /// Returns whether to request the list of libraries for a call that selects an unknown library, or whose server had
    /// no library: once in 30 s for the same selection, and then ever more rarely.
    pub fn should_ask_for_library(&self, call: &Call<'_>, view_id: Option<ViewId>) -> Result<bool> {
        let Some(view_id) = view_id.filter(|_| !call.always_asks && !self.is_local()) else {
            return Ok(true);
        };
        let earlier = SearchRows(&self.store).path_search(view_id, LIBRARY_LIST, selection_hash(call))?;
        Ok(may_search_again(earlier.as_ref(), &self.policy, self.clock.now_ms()))
    }

    /// Records that the server has answered a request for the list of libraries for this call.
    pub fn note_library_question(&self, call: &Call<'_>) {
        if let Some(view_id) = self.reading.view_id() {
            let rows = SearchRows(&self.store);
            rows.note_search(view_id, LIBRARY_LIST, selection_hash(call), self.clock.now_ms(), false);
        }
    }

    /// Returns what to do about an unlisted path: asks unless an earlier question answers it in all libraries. In a
    /// batch, the first path's probe answers for the others, without a read. `rows`: the libraries as they are now.
    pub fn path_question(&self, question: &Question<'_>, rows: &[LibraryRow]) -> Result<PathQuestion> {
        if rows.iter().all(|row| row.probed_at() > question.since) {
            return Ok(PathQuestion::Probed);
        }
        if question.always_asks {
            return Ok(PathQuestion::Ask);
        }
        let (searches, now_ms) = (SearchRows(&self.store), self.clock.now_ms());
        let ids: Vec<LibraryId> = rows.iter().map(|row| row.id).collect();
        let (view, questions) = searches.earlier_questions(question.view_id, &ids, question.hash, now_ms)?;
        let answer_in = |(row, last): (&LibraryRow, Option<PathSearch>)| {
            let has_news = last.is_some_and(|PathSearch { asked, .. }| {
                row.doubts.iter().any(|doubt| doubt.is_news() && doubt.raised > asked)
                    || row.is_behind() && row.probed_at() > asked
            });
            path_question(last.as_ref(), has_news, view.budget, &self.policy, now_ms)
        };
        let mut answers = rows.iter().zip(questions).map(answer_in);
        if let Some(open) = answers.find(|answer| *answer != PathQuestion::Answered) {
            return Ok(open);
        }
        // If a later question about any path failed, the answer says so.
        let error = view.last.and_then(|last| self.question_error(last, rows));
        Ok(error.map_or(PathQuestion::Answered, |_| PathQuestion::Postponed))
    }

    /// Returns what a probe since the call started says about the path, and records it: compares the libraries with
    /// their rows before the call. `record`: what the call has requested so far.
    fn answer_after_probe(&self, question: &Question<'_>, record: PathRequests<'_>) -> Result<PathAnswer> {
        let (mut has_changed, mut are_listed, mut unlisted) = (false, true, Vec::new());
        let mut asked = None;
        for before in question.libraries {
            let row = match LibraryRows(&self.store).library_row(before.id) {
                Ok(row) if row.present => row,
                _ => continue, // the library was removed or cleared
            };
            asked = Some(asked.map_or(row.probed_at(), |asked: Sequence| asked.min(row.probed_at())));
            are_listed &= row.listing_asked() > question.since;
            has_changed |= row.is_behind()
                || row.library.change.busy
                || row.listed_token() != before.listed_token()
                || !row.doubts.is_empty();
            if row.is_behind() && !row.has_doubt(Cause::HeldBack) {
                unlisted.push(row.id);
            }
        }
        if let Some(batch) = question.batch {
            let mut state = batch.state();
            state.has_changed |= has_changed;
            // A full listing since then shows the path, so another path's change needs no search.
            has_changed |= state.has_changed && !are_listed;
        }
        let (rows, now_ms) = (SearchRows(&self.store), self.clock.now_ms());
        let mut search = self.can_search(question.target).then_some(SearchCause::Changed);
        // The search after an earlier change may have been refused, or may have failed.
        let awaits_search = |row: &LibraryRow| {
            let last = rows.question(question.view_id, row.id, question.hash);
            last.is_ok_and(|last| last.is_some_and(|last| last.found))
        };
        if search.is_some() && !(has_changed || question.has_changed || question.libraries.iter().any(awaits_search)) {
            let view = rows.of_view(question.view_id, now_ms)?;
            let is_allowed = is_pause_over(view.unchanged_search_ms, PATH_REQUEST_INTERVAL_MS, now_ms)
                && view.budget.spend(record.requests, now_ms).has_room(now_ms);
            search = is_allowed.then_some(SearchCause::Unlisted);
        }
        // In a batch, one search in a folder since the change is enough.
        let is_searched = |batch: &Batch| batch.state().searched_folders.contains(&question.target.folder_hash());
        if search == Some(SearchCause::Changed) && question.batch.is_some_and(is_searched) {
            search = None;
        }
        // After a change, the path is answered only once the search has succeeded, which records it.
        let is_open = search == Some(SearchCause::Changed);
        let mut questions: Vec<_> = (question.libraries.iter()).map(|row| (row.id, question.hash)).collect();
        // In a batch, once for all paths that need no request of their own.
        if let Some(batch) = question.batch.filter(|_| record.outcome.is_none() && !is_open) {
            batch.state().questions.append(&mut questions);
        }
        let record = PathRequests {
            questions: &questions,
            since: asked.unwrap_or_default().max(question.since),
            are_open: is_open,
            begins_unchanged_search: search == Some(SearchCause::Unlisted),
            ..record
        };
        if !rows.note_path_requests(question.view_id, now_ms, &record) {
            // Without the record, no limit would hold for the next search. Another call may have begun one meanwhile.
            search = search.filter(|cause| *cause == SearchCause::Changed);
        }
        Ok(PathAnswer {
            search,
            unlisted,
            requests: record.requests,
            ..PathAnswer::default()
        })
    }
}

impl SyncJob<'_> {
    /// Asks the server about an unlisted path, unless another job has asked while this one waited for the lock.
    /// `requests_before`: the request counts before the job.
    fn ask_about_path(&self, question: &Question<'_>, requests_before: RequestCounts) -> Result<PathAnswer> {
        let (sync, view_id) = (self.sync, question.view_id);
        let rows = SearchRows(&sync.store);
        let stored = question
            .libraries
            .iter()
            .filter_map(|row| LibraryRows(&sync.store).library_row(row.id).ok());
        let stored: Vec<LibraryRow> = stored.collect();
        match sync.path_question(question, &stored)? {
            PathQuestion::Probed => return sync.answer_after_probe(question, PathRequests::default()),
            PathQuestion::Ask
                if question.always_asks || sync.recent_question_error(view_id, question.libraries)?.is_none() => {}
            _ => return Ok(PathAnswer::postponed()),
        }
        let asked_after = sync.request_counts();
        let update = |row: &LibraryRow| {
            self.update_one(row, row.id, question.since, RefreshReason::Missing)
                .map(drop)
        };
        let result = question.libraries.iter().try_for_each(update);
        // The server has answered the probe, but needs too long for the changes.
        let has_answered = self.report.has_answered();
        let is_late =
            matches!(&result, Err(error) if error.status == Status::Timeout && has_answered && !is_locked(error));
        let record = PathRequests {
            outcome: Some(match &result {
                Err(error) if !is_late => sync.question_outcome(error, asked_after),
                _ => QuestionOutcome::Answered,
            }),
            requests: if is_late {
                0
            } else {
                sync.requests_since(requests_before)
            },
            ..PathRequests::default()
        };
        if result.is_ok() {
            return sync.answer_after_probe(question, record);
        }
        rows.note_path_requests(view_id, sync.clock.now_ms(), &record);
        match result {
            // No reply could be stored.
            Err(error) if !is_late && !is_locked(&error) => Err(error),
            _ => Ok(PathAnswer::postponed()),
        }
    }
}

/// Returns the hash of the library that a call selects.
fn selection_hash(call: &Call<'_>) -> u64 {
    xxh3_64(call.library.map_or("", |library| library.selector().name()).as_bytes())
}

/// Length of the pause after a failure, if stale answers are available.
pub const BACK_OFF_MS: i64 = 15_000;
/// Length of the pause after a failure if no stale answers are available: so short that users hardly notice it.
pub const BACK_OFF_NOT_FETCHED_MS: i64 = 2_000;

/// Number of requests by this process, by kind.
pub type RequestCounts = [u64; RequestKind::COUNT];

impl Synchronizer {
    /// Starts a pause after a failure of the server or the store. Logs repeated failures only once.
    pub fn record_failure(&self, error: &Error) {
        self.counters.failures.add(1);
        let mut failure = lock(&self.failure);
        if failure.as_ref().is_none_or(|last| last.error != *error) {
            let operation = failed_operation(error, self.reading.kind);
            log::warn!("{operation}: {error}; serving cached answers");
        }
        *failure = Some(LastFailure {
            error: error.clone(),
            failed_ms: self.clock.now_ms(),
        });
    }

    /// Forgets earlier failures, because the host has set a new token. The next call then sends a request.
    pub fn forget_failures(&self) {
        *lock(&self.failure) = None;
        self.last_failure_ms.store(NEVER_MS, Ordering::Relaxed);
    }

    /// Returns the last failure if a pause of `pause_ms` after it is not over; otherwise `None`, and the caller may send a
    /// request. Always returns `None` for a local source, which needs no pauses.
    pub fn recent_failure(&self, pause_ms: i64) -> Option<Error> {
        let now_ms = self.clock.now_ms();
        let is_recent = |failure: &&LastFailure| !is_pause_over(Some(failure.failed_ms), pause_ms, now_ms);
        let failure = lock(&self.failure)
            .as_ref()
            .filter(is_recent)
            .map(|failure| failure.error.clone());
        failure.filter(|error| !self.is_local() && (!is_locked(error) || self.store.is_locked()))
    }

    /// Returns the message of the last failure, even if the pause is over; `None` if a request has succeeded since.
    pub fn last_error_message(&self) -> Option<String> {
        lock(&self.failure).as_ref().map(|failure| failure.error.to_string())
    }

    /// Returns this handle's last failure; `None` once the pause before the next request for a path is over. After some
    /// failures, this pause is shorter than the pause for other requests.
    pub fn recent_failure_for_path(&self) -> Option<Error> {
        let failure = self.recent_failure(BACK_OFF_MS)?;
        self.recent_failure(pause_after(failure.status).min(BACK_OFF_MS))
    }

    /// Returns the error of the last question about an unlisted path by any process, if the question failed and the
    /// pause after it is not over. Returns `None` if later probes found all of `libraries` current.
    pub fn recent_question_error(
        &self,
        view_id: ViewId,
        libraries: &[impl std::borrow::Borrow<LibraryRow>],
    ) -> Result<Option<Error>> {
        let last = SearchRows(&self.store).of_view(view_id, self.clock.now_ms())?.last;
        Ok(last.and_then(|last| self.question_error(last, libraries)))
    }

    /// Returns the error of the last question (`last`), like [`Self::recent_question_error`].
    pub(super) fn question_error(
        &self,
        last: LastQuestion,
        libraries: &[impl std::borrow::Borrow<LibraryRow>],
    ) -> Option<Error> {
        let (now_ms, ended_ms) = (self.clock.now_ms(), last.ended_ms);
        let QuestionOutcome::Failed(status) = last.outcome else {
            return None;
        };
        let pause = pause_after(status);
        if is_pause_over(Some(ended_ms), pause, now_ms)
            || libraries.iter().all(|row| row.borrow().checked_ms() > ended_ms)
        {
            return None;
        }
        Some(Error::new(
            status,
            format!(
                "{} did not answer {} s ago; the next attempt is in {} s",
                self.reading.kind.noun,
                (now_ms - ended_ms) / 1_000,
                (ended_ms + pause - now_ms + 999) / 1_000, // rounded up
            ),
        ))
    }

    /// Returns the outcome of a question or a search that failed. `requests_before`: the request counts before it.
    pub(super) fn question_outcome(&self, error: &Error, requests_before: RequestCounts) -> QuestionOutcome {
        // The next query can ask again, because an aborted question, a rejected token, a locked store, or a deadline
        // before the first request does not prove that the server is down.
        if matches!(error.status, Status::Aborted | Status::Unauthorized)
            || is_locked(error)
            || self.timed_out_before_request(error, requests_before)
        {
            return QuestionOutcome::UnderWay;
        }
        QuestionOutcome::Failed(error.status)
    }

    /// Returns the number of requests that this process has sent, by kind.
    pub fn request_counts(&self) -> RequestCounts {
        self.counters.read().requests
    }

    /// Returns the number of requests that this process has sent since these counts.
    pub(super) fn requests_since(&self, requests_before: RequestCounts) -> u64 {
        let now: u64 = self.request_counts().iter().sum();
        now.saturating_sub(requests_before.iter().sum())
    }

    /// Returns whether `error` is a timeout that occurred before the first request, so that the server is not its
    /// cause. `requests_before`: the request counts before the operation.
    pub fn timed_out_before_request(&self, error: &Error, requests_before: RequestCounts) -> bool {
        error.status == Status::Timeout && self.request_counts() == requests_before
    }
}

impl SyncJob<'_> {
    /// Records for all processes that the server did not answer a request from this job, so that queries for other
    /// paths can report the reason without a request. Does nothing if the job sent no request. `requests_before`: the
    /// request counts before the job.
    pub fn note_failure(&self, error: &Error, requests_before: RequestCounts) {
        let sync = self.sync;
        // A timeout after a reply or while rows were arriving does not prove that the server has failed.
        let has_answered = error.status == Status::Timeout && self.report.has_answered();
        if sync.is_local()
            || error.status.retry_advice() != RetryAdvice::NotNow
            || has_answered
            || is_locked(error)
            || sync.timed_out_before_request(error, requests_before)
        {
            return;
        }
        // Without a recent success to overwrite, the next query for a path sends its own request.
        let now_ms = sync.clock.now_ms();
        let is_recent_success = |last: LastQuestion| {
            let is_recent = !is_pause_over(Some(last.ended_ms), PATH_REQUEST_INTERVAL_MS, now_ms);
            last.outcome == QuestionOutcome::Answered && is_recent
        };
        if let Ok(Some(view_id)) = self.view_id()
            && let Ok(view) = SearchRows(&sync.store).of_view(view_id, now_ms)
            && let Some(last) = view.last
            && is_recent_success(last)
        {
            let record = PathRequests {
                outcome: Some(QuestionOutcome::Failed(error.status)),
                ..PathRequests::default()
            };
            SearchRows(&sync.store).note_path_requests(view_id, now_ms, &record);
        }
    }
}

/// Returns the pause, in milliseconds, before the next question about an unlisted path after one failed with `status`.
fn pause_after(status: Status) -> i64 {
    match status {
        Status::Connect | Status::Starting => DOWN_SERVER_INTERVAL_MS,
        _ => PATH_REQUEST_INTERVAL_MS,
    }
}

/// Returns the beginning of a message about an error: the operation that failed, such as 'cannot reach the server'.
pub fn failed_operation(error: &Error, kind: &SourceKind) -> String {
    match error.status {
        Status::Store | Status::StoreFull => "cannot write to the store".into(),
        _ if is_locked(error) => "cannot write to the store".into(),
        _ => format!("cannot reach {}", kind.noun),
    }
}
