//! Asks the server about unlisted paths, by the rules in [`crate::freshness`].

use std::sync::atomic::Ordering;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::call::{Batch, Call, RefreshReason};
use super::job::Synchronizer;
use super::search::{PathAnswer, RequestCounts, SEARCH_TIMEOUT, SearchTarget};
use crate::engine::{EarlierQuestions, LastProbe, LibraryRow, LibraryRows, ProbeOutcome, SearchRows};
use crate::error::{Error, Result, Status};
use crate::freshness::{self, PathQuestion};
use crate::model::{LibraryId, Sequence, TokenReliability, ViewId};
use crate::platform::deadline::Deadline;
use crate::source::Bounds;

/// Maximum time to wait for another thread's or process's probe.
const PROBE_WAIT: Duration = Duration::from_millis(1_500);

/// A question about an unlisted path.
struct Question<'q> {
    view_id: ViewId,
    /// The libraries that may contain the path, as the call has read them.
    libraries: &'q [LibraryRow],
    /// The hash of the path.
    hash: u64,
    /// The change sequence when the call started.
    since: Sequence,
    checks: bool,
}

impl Synchronizer {
    /// Asks the server whether libraries that may contain an unlisted path have changed, and merges the changes, but
    /// fetches no full listing. `since`: the change sequence when the call started. [`crate::freshness::questions`]
    /// contains the rules.
    pub fn ask_about_path(
        &self,
        call: &Call<'_>,
        view_id: ViewId,
        libraries: &[LibraryRow],
        target: Option<SearchTarget<'_>>,
        since: Sequence,
    ) -> Result<PathAnswer> {
        let question = Question {
            view_id,
            libraries,
            hash: target.map_or(0, SearchTarget::hash),
            since,
            checks: call.checks,
        };
        let Some(earlier) = self.earlier_questions(&question)? else {
            self.note_answered(call, &question);
            return Ok(self.answer_after_probe(call, &question));
        };
        match self.path_question(&question, &earlier) {
            PathQuestion::Ask => {}
            PathQuestion::Answered => return Ok(PathAnswer::default()),
            PathQuestion::Postponed => return Ok(PathAnswer::postponed()),
        }
        let call = Call {
            deadline: call.deadline.at_most(SEARCH_TIMEOUT),
            skips_listings: true,
            ..*call
        };
        let requests_before = self.request_counts();
        let has_answered = std::sync::atomic::AtomicBool::new(false);
        let result = self.job(&call, |job| {
            let deadline = job.bounds.deadline;
            // Another thread's probe usually finishes soon.
            let bounds = Bounds {
                deadline: deadline.earliest(Deadline::after(PROBE_WAIT)),
                ..job.bounds
            };
            let result = job.single_flight_within(bounds, &self.server_lock_name("path_probe"), || {
                let Some(earlier) = self.earlier_questions(&question)? else {
                    return Ok(true);
                };
                if !question.checks
                    && (self.recent_probe_error(view_id, libraries)?.is_some()
                        || self.path_question(&question, &earlier) != PathQuestion::Ask)
                {
                    return Ok(false);
                }
                // Without the record, each process would ask about each path.
                if !SearchRows(&self.store).begin_probe(view_id, self.clock.now_ms()) {
                    return Ok(false);
                }
                let requests_before = self.request_counts();
                let update = |row: &LibraryRow| job.update_one(row, row.id, since, RefreshReason::Missing).map(drop);
                let result = libraries.iter().try_for_each(update);
                let outcome = match &result {
                    // The server has answered the probe, but needs too long for the changes.
                    Err(error) if error.status == Status::Timeout && job.report.has_answered() => {
                        ProbeOutcome::Answered
                    }
                    result => self.probe_outcome(result.as_ref().err(), requests_before),
                };
                self.note_probe_outcome(view_id, outcome);
                result.map(|()| true)
            });
            has_answered.store(job.report.has_answered(), Ordering::Relaxed);
            result
        });
        let requests = self.requests_since(requests_before);
        let is_asked = match result {
            Ok(is_asked) => is_asked == Some(true),
            Err(error) if error.status == Status::Timeout && has_answered.load(Ordering::Relaxed) => false,
            Err(error) => {
                self.note_questions(view_id, &[], requests);
                return Ok(PathAnswer {
                    failure: Some(error),
                    ..PathAnswer::default()
                });
            }
        };
        if !is_asked {
            return Ok(PathAnswer::postponed());
        }
        let targets: Vec<_> = libraries.iter().map(|row| (row.id, question.hash)).collect();
        self.note_questions(view_id, &targets, requests);
        Ok(PathAnswer {
            requests,
            ..self.answer_after_probe(&call, &question)
        })
    }

    /// Records questions about paths, and spends `requests` of the budget.
    pub fn note_questions(&self, view_id: ViewId, targets: &[(LibraryId, u64)], requests: u64) {
        SearchRows(&self.store).note_questions(view_id, targets, requests, self.clock.now_ms());
    }

    /// Records the questions that the batch's probe has answered.
    pub fn finish_batch(&self, batch: &Batch) {
        let questions = std::mem::take(&mut batch.state().questions);
        if let Some(view_id) = self.reading.view_id() {
            self.note_questions(view_id, &questions, 0);
        }
    }

    /// Returns the outcome of a probe or a search, from its error. `requests_before`: the request counts before it.
    pub fn probe_outcome(&self, error: Option<&Error>, requests_before: RequestCounts) -> ProbeOutcome {
        match error {
            None => ProbeOutcome::Answered,
            // The next query can probe again, because an aborted probe, a rejected token, or a deadline before the
            // first request does not prove that the server is down.
            Some(error)
                if matches!(error.status, Status::Aborted | Status::Unauthorized)
                    || self.timed_out_before_request(error, requests_before) =>
            {
                ProbeOutcome::UnderWay
            }
            Some(error) => ProbeOutcome::Failed(Some(error.status)),
        }
    }

    /// Records the outcome of a probe for an unlisted path, so that no process repeats a failed probe soon.
    pub fn note_probe_outcome(&self, view_id: ViewId, outcome: ProbeOutcome) {
        SearchRows(&self.store).note_probe_outcome(view_id, self.clock.now_ms(), outcome);
    }

    /// Returns the number of requests that this process has sent since these counts.
    pub fn requests_since(&self, requests_before: RequestCounts) -> u64 {
        let now: u64 = self.request_counts().iter().sum();
        now.saturating_sub(requests_before.iter().sum())
    }

    /// Returns whether to request the list of libraries for a call that selects an unknown library, or whose server had
    /// no library: once in 30 s for the same selection, and then ever more rarely.
    pub fn should_ask_for_library(&self, call: &Call<'_>, view_id: Option<ViewId>) -> Result<bool> {
        let Some(view_id) = view_id.filter(|_| !call.checks && !self.is_local()) else {
            return Ok(true);
        };
        let earlier = SearchRows(&self.store).library_question(view_id, selection_hash(call))?;
        Ok(freshness::may_search_again(
            earlier.as_ref(),
            &self.policy,
            self.clock.now_ms(),
        ))
    }

    /// Records that the server has answered a request for the list of libraries for this call.
    pub fn note_library_question(&self, call: &Call<'_>) {
        if let Some(view_id) = self.reading.view_id() {
            SearchRows(&self.store).note_library_question(view_id, selection_hash(call), self.clock.now_ms());
        }
    }

    /// Returns what is known about the path of a question; `None` if a probe that began after the call started has
    /// answered the question. In a batch, the first path's probe answers for the others, without a read.
    fn earlier_questions(&self, question: &Question<'_>) -> Result<Option<EarlierQuestions>> {
        let is_probed = |row: &LibraryRow| row.probed_sequence > question.since;
        if question.libraries.iter().all(is_probed) {
            return Ok(None);
        }
        let (rows, now_ms) = (SearchRows(&self.store), self.clock.now_ms());
        let ids: Vec<LibraryId> = question.libraries.iter().map(|row| row.id).collect();
        let earlier = rows.earlier_questions(question.view_id, &ids, question.hash, now_ms)?;
        let answers = |probe: LastProbe| probe.outcome == ProbeOutcome::Answered && probe.begun > question.since;
        Ok((!earlier.last_probe.is_some_and(answers)).then_some(earlier))
    }

    /// Returns what to do about an unlisted path: asks unless an earlier question answers it in all libraries.
    fn path_question(&self, question: &Question<'_>, earlier: &EarlierQuestions) -> PathQuestion {
        if question.checks {
            return PathQuestion::Ask;
        }
        let now_ms = self.clock.now_ms();
        let mut answers = earlier.questions.iter().map(|last| {
            freshness::path_question(last.as_ref(), earlier.has_event, earlier.budget, &self.policy, now_ms)
        });
        answers
            .find(|answer| *answer != PathQuestion::Answered)
            .unwrap_or(PathQuestion::Answered)
    }

    /// Records that another call's probe has answered the question; in a batch, only once for all paths.
    fn note_answered(&self, call: &Call<'_>, question: &Question<'_>) {
        let targets = question.libraries.iter().map(|row| (row.id, question.hash));
        match call.batch {
            Some(batch) => batch.state().questions.extend(targets),
            None => self.note_questions(question.view_id, &targets.collect::<Vec<_>>(), 0),
        }
    }

    /// Compares the libraries with their rows before the call, and returns what a probe says about the path.
    fn answer_after_probe(&self, call: &Call<'_>, question: &Question<'_>) -> PathAnswer {
        let (mut has_changed, mut unlisted) = (false, Vec::new());
        for before in question.libraries {
            let row = match LibraryRows(&self.store).library_row(before.id) {
                Ok(row) if row.present => row,
                _ => continue, // the library was removed or cleared
            };
            let is_behind = row.listed_token != row.library.change.token;
            let is_useless = row.library.change.trust == TokenReliability::Useless;
            if is_behind
                || is_useless
                || row.library.change.busy
                || row.listed_token != before.listed_token
                || row.provisional
            {
                has_changed = true;
            }
            if (is_behind || is_useless) && !row.held_back {
                unlisted.push(row.id);
            }
        }
        if let Some(batch) = call.batch {
            let mut state = batch.state();
            state.has_changed |= has_changed;
            has_changed = state.has_changed;
        }
        PathAnswer {
            has_changed: Some(has_changed),
            unlisted,
            ..PathAnswer::default()
        }
    }
}

/// Returns the hash of the library that a call selects.
fn selection_hash(call: &Call<'_>) -> u64 {
    xxh3_64(call.library.map_or("", |library| library.selector().name()).as_bytes())
}
