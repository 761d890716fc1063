//! Pauses requests after the server or the store has failed. While another process keeps the store locked, no call could
//! store a reply, so only a check asks; the pause ends with the lock.

use std::sync::atomic::Ordering;

use super::job::{LastFailure, NEVER_MS, SyncJob, Synchronizer};
use crate::engine::{LastQuestion, LibraryRow, PathRequests, QuestionOutcome, SearchRows, is_locked};
use crate::error::{Error, Result, RetryAdvice, Status};
use crate::knowledge::{DOWN_SERVER_INTERVAL_MS, PATH_REQUEST_INTERVAL_MS, is_pause_over};
use crate::model::ViewId;
use crate::platform::fork::lock;
use crate::source::{RequestKind, SourceKind};

/// Length of the pause after a failure, if stale answers are available.
pub const BACK_OFF_MS: i64 = 15_000;
/// Length of the pause after a failure if no stale answers are available: so short that users hardly notice it.
pub const BACK_OFF_NOT_FETCHED_MS: i64 = 2_000;

/// Number of requests by this process, by kind.
pub type RequestCounts = [u64; RequestKind::COUNT];

impl Synchronizer {
    /// Starts a pause after a failure of the server or the store. Logs repeated failures only once.
    pub fn record_failure(&self, error: &Error) {
        self.counters.count_failure();
        let mut failure = lock(&self.failure);
        if failure.as_ref().is_none_or(|last| last.error != *error) {
            let operation = failed_operation(error, self.reading.kind());
            log::warn!("{operation}: {error}; serving cached answers");
        }
        *failure = Some(LastFailure {
            error: error.clone(),
            failed_ms: self.clock.now_ms(),
        });
    }

    /// Ends the pause, because the server has answered.
    pub fn record_success(&self) {
        if lock(&self.failure).take().is_some() {
            log::info!("answers are current again");
        }
    }

    /// Forgets earlier failures, because the host has set a new token. The next call then sends a request.
    pub fn forget_failures(&self) {
        *lock(&self.failure) = None;
        self.last_failure_ms.store(NEVER_MS, Ordering::Relaxed);
    }

    /// Returns the last failure if more than `remaining_ms` of the pause after it remains; otherwise `None`, and the
    /// caller may send a request. With a larger `remaining_ms`, the caller waits for a shorter time. Always returns
    /// `None` for a local source, which needs no pauses.
    pub fn recent_failure(&self, remaining_ms: i64) -> Option<Error> {
        if self.is_local() {
            return None;
        }
        // A negative age means that the clock was set back, so the pause is over.
        let ages = 0..BACK_OFF_MS - remaining_ms;
        let now_ms = self.clock.now_ms();
        let failure = lock(&self.failure)
            .as_ref()
            .filter(|failure| ages.contains(&now_ms.saturating_sub(failure.failed_ms)))
            .map(|failure| failure.error.clone());
        failure.filter(|error| !is_locked(error) || self.store.is_locked())
    }

    /// Returns the message of the last failure, even if the pause is over; `None` if a request has succeeded since.
    pub fn last_error_message(&self) -> Option<String> {
        lock(&self.failure).as_ref().map(|failure| failure.error.to_string())
    }

    /// Returns this handle's last failure; `None` once the pause before the next request for a path is over. After some
    /// failures, this pause is shorter than the pause for other requests.
    pub fn recent_failure_for_path(&self) -> Option<Error> {
        let failure = self.recent_failure(0)?; // 0: recent until the pause is over
        self.recent_failure(BACK_OFF_MS - pause_after(Some(failure.status)).min(BACK_OFF_MS))
    }

    /// Returns the error of the last question about an unlisted path by any process, if the question failed and the
    /// pause after it is not over. Returns `None` if later probes found all of `libraries` current.
    pub fn recent_question_error(
        &self,
        view_id: ViewId,
        libraries: &[impl std::borrow::Borrow<LibraryRow>],
    ) -> Result<Option<Error>> {
        let last = SearchRows(&self.store).last_question(view_id)?;
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
            status.unwrap_or(Status::Timeout),
            format!(
                "{} did not answer {} s ago; the next attempt is in {} s",
                self.reading.kind().noun,
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
        QuestionOutcome::Failed(Some(error.status))
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
            && let Ok(Some(last)) = SearchRows(&sync.store).last_question(view_id)
            && is_recent_success(last)
        {
            let record = PathRequests {
                outcome: Some(QuestionOutcome::Failed(Some(error.status))),
                ..PathRequests::default()
            };
            SearchRows(&sync.store).note_path_requests(view_id, now_ms, &record);
        }
    }
}

/// Returns the pause, in milliseconds, before the next question about an unlisted path after one failed with `status`.
fn pause_after(status: Option<Status>) -> i64 {
    match status {
        Some(Status::Connect | Status::Starting) => DOWN_SERVER_INTERVAL_MS,
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
