//! Asks the server about unlisted paths, by the rules in `knowledge::questions`.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::back_off::RequestCounts;
use super::call::{Batch, Call, RefreshReason};
use super::job::{SyncJob, Synchronizer};
use super::search::{PathAnswer, SEARCH_TIMEOUT, SearchCause, SearchTarget};
use crate::engine::{EarlierQuestions, LibraryRow, LibraryRows, PathRequests, QuestionOutcome, SearchRows, is_locked};
use crate::error::{Result, Status};
use crate::knowledge::{Cause, PATH_REQUEST_INTERVAL_MS, PathQuestion, is_pause_over, may_search_again, path_question};
use crate::model::{LibraryId, PathSearch, Sequence, ViewId};
use crate::platform::clock::Deadline;
use crate::source::Bounds;

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
    /// fetches no full listing. `knowledge::questions` contains the rules. `what_to_do`: the result of
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
            let answer = job.single_flight_within(bounds, &self.server_lock_name("path_question"), ask)?;
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
        let earlier = SearchRows(&self.store).library_question(view_id, selection_hash(call))?;
        Ok(may_search_again(earlier.as_ref(), &self.policy, self.clock.now_ms()))
    }

    /// Records that the server has answered a request for the list of libraries for this call.
    pub fn note_library_question(&self, call: &Call<'_>) {
        if let Some(view_id) = self.reading.view_id() {
            SearchRows(&self.store).note_library_question(view_id, selection_hash(call), self.clock.now_ms());
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
        let earlier = searches.earlier_questions(question.view_id, &ids, question.hash, now_ms)?;
        let EarlierQuestions { budget, .. } = earlier;
        let answer_in = |(row, last): (&LibraryRow, Option<(PathSearch, Sequence)>)| {
            let has_news = last.is_some_and(|(_, asked)| {
                row.doubts.iter().any(|doubt| doubt.is_news() && doubt.raised > asked)
                    || row.listed_token() != row.library.change.token && row.probed_at() > asked
            });
            let last = last.map(|(search, _)| search);
            path_question(last.as_ref(), has_news, budget, &self.policy, now_ms)
        };
        let mut answers = rows.iter().zip(earlier.questions).map(answer_in);
        if let Some(open) = answers.find(|answer| *answer != PathQuestion::Answered) {
            return Ok(open);
        }
        // If a later question about any path failed, the answer says so.
        let error = earlier.last.and_then(|last| self.question_error(last, rows));
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
            let last_ms = rows.last_unchanged_search(question.view_id)?;
            let is_allowed = is_pause_over(last_ms, PATH_REQUEST_INTERVAL_MS, now_ms)
                && rows
                    .budget(question.view_id, now_ms)?
                    .spend(record.requests, now_ms)
                    .has_room(now_ms);
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
