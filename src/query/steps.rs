//! Takes the steps of a query: repairs a segment, verifies items, searches the server, and refreshes
//! libraries. Decides whether plexindex can still answer after a failure.

use std::time::Instant;

use super::ask::{QueryState, Step, StepTargets};
use super::queries::Queries;
use crate::engine::{LibraryRow, LibraryRows, Snapshot, is_locked};
use crate::error::{Error, Result, RetryAdvice, Status};
use crate::model::{Sequence, ViewId};
use crate::sync::{
    BACK_OFF_MS, BACK_OFF_NOT_FETCHED_MS, Call, Question, RefreshReason, RequestCounts, SEARCH_TIMEOUT, SearchCause,
    SearchTarget,
};

impl Queries {
    /// Executes a step on its `targets`. Stores a failure in `state` if plexindex can still answer; otherwise returns
    /// the failure. `target` is the path or folder to search for on the server, and `view_id` the snapshot's view.
    pub(super) fn execute(
        &self,
        step: Step,
        call: &Call<'_>,
        target: Option<SearchTarget<'_>>,
        view_id: ViewId,
        targets: &StepTargets,
        state: &mut QueryState,
    ) -> Result<()> {
        let (sync, libraries, requests) = (&self.sync, &targets.libraries, self.sync.request_counts());
        let has_unfetched = libraries.iter().any(|row| !row.generation.is_fetched());
        let started_at = Instant::now();
        // If a stored listing can answer the query, the call waits only briefly for the server.
        let limited_call = match step {
            Step::Answer | Step::Rebuild | Step::SearchUnfetched => Some(*call),
            Step::Refresh if has_unfetched => Some(*call),
            _ if sync.is_local() => Some(*call),
            _ => state.limit_wait(call),
        };
        let Some(limited_call) = &limited_call else {
            state.is_postponed = true;
            return Ok(());
        };
        let failure = match step {
            Step::Answer => None,
            Step::Rebuild => return self.reading.rebuild_broken(call.deadline),
            Step::Verify => {
                let is_down = |error: &Error| error.status.retry_advice() == RetryAdvice::NotNow && !call.always_asks;
                if let Some(error) = sync.recent_failure_for_path().filter(is_down) {
                    state.failure = Some(error);
                    return Ok(());
                }
                sync.verify(limited_call, &targets.items).err()
            }
            Step::SearchUnfetched => {
                let question = target.map(|target| Question::new(call, view_id, libraries, target, state.since));
                let searched = question.map(|question| sync.search(call, &question, SearchCause::Unfetched));
                // Ignore a timeout of the search, because the next step fetches the listing in the remaining time.
                let failure = searched.and_then(|searched| searched.failure);
                failure.filter(|error| error.status != Status::Timeout)
            }
            Step::Refresh => {
                let refresh_call = Call {
                    skips_listings: targets.searches_first,
                    ..*limited_call
                };
                return self.refresh(&refresh_call, libraries, requests, state).inspect(|()| {
                    if !has_unfetched {
                        state.add_wait(call, started_at.elapsed());
                    }
                });
            }
            Step::Ask | Step::Search(_) => {
                state.failure = sync.recent_failure_for_path().filter(|_| !call.always_asks);
                let Some(target) = target.filter(|_| state.failure.is_none()) else {
                    return Ok(());
                };
                let question = Question {
                    has_changed: state.has_changed,
                    ..Question::new(limited_call, view_id, libraries, target, state.since)
                };
                let answer = if let Step::Search(cause) = step {
                    sync.search(limited_call, &question, cause)
                } else {
                    sync.ask_about_path(limited_call, &question, targets.path_question)?
                };
                state.search = answer.search;
                state.is_postponed |= answer.is_postponed;
                state.requests += answer.requests;
                state.unlisted.extend(answer.unlisted);
                if answer.failure.is_none() {
                    // After another call's recent failure, this call does not send another request.
                    state.failure = sync.recent_question_error(view_id, libraries)?;
                }
                answer.failure
            }
            Step::List => match sync.update(limited_call, libraries, state.since, RefreshReason::Missing) {
                Ok(updated) => {
                    let is_listed = |row: LibraryRow| {
                        row.listing_asked() > state.since || row.listed_token() == row.library.change.token
                    };
                    if updated.status == Status::Ok {
                        let rows = LibraryRows(&self.store);
                        state.unlisted.retain(|id| !rows.library_row(*id).is_ok_and(is_listed));
                    }
                    None
                }
                Err(error) => Some(error),
            },
        };
        state.add_wait(call, started_at.elapsed());
        failure.map_or(Ok(()), |error| self.handle_failure(call, state, error, requests))
    }

    /// Refreshes libraries for a query, unless the server failed recently. Stores a failure in `state` if plexindex can
    /// still answer. `requests` contains the request counts before the refresh.
    fn refresh(
        &self,
        call: &Call<'_>,
        libraries: &[LibraryRow],
        requests: RequestCounts,
        state: &mut QueryState,
    ) -> Result<()> {
        let has_unfetched = libraries.iter().any(|row| !row.generation.is_fetched());
        // The pause is shorter if there is no old listing to answer from.
        let pause_ms = if has_unfetched {
            BACK_OFF_NOT_FETCHED_MS
        } else {
            BACK_OFF_MS
        };
        if let Some(error) = self.sync.recent_failure(pause_ms)
            && (!has_unfetched || error.status.retry_advice() == RetryAdvice::NotNow)
            // A check always asks.
            && !call.always_asks
        {
            state.failure = Some(error);
            return Ok(());
        }
        let reason = if call.always_asks {
            RefreshReason::Check
        } else {
            RefreshReason::Due
        };
        let mut refresh_call = *call;
        if !has_unfetched && !call.always_asks {
            refresh_call.deadline = call.deadline.at_most(SEARCH_TIMEOUT);
        }
        match self.sync.update(&refresh_call, libraries, state.since, reason) {
            Ok(updated) => {
                state.unlisted.extend(&updated.unlisted);
                state.has_changed |= updated.has_changed;
                // A search must follow for each missing path of the batch.
                if let Some(batch) = call.batch.filter(|_| updated.has_changed) {
                    batch.state().has_changed = true;
                }
                if updated.status == Status::Ok {
                    return Ok(());
                }
                if has_unfetched {
                    state.timeout_status = Some(updated.status);
                } else if updated.has_answered {
                    // The old listing can answer the query, and the next call continues the listing.
                    state.listed = true;
                    state.unlisted.extend(libraries.iter().map(|row| row.id));
                } else {
                    let text = format!("{} did not reply within the timeout", self.reading.kind.noun);
                    return self.handle_failure(call, state, Error::new(Status::Timeout, text), requests);
                }
                Ok(())
            }
            // Nothing of the library can be stored yet; the next call continues.
            Err(error) if has_unfetched && error.status == Status::Timeout && is_locked(&error) => {
                state.timeout_status = Some(Status::NotYet);
                Ok(())
            }
            Err(error) => self.handle_failure(call, state, error, requests),
        }
    }

    /// Stores a server or store error in `state`, because a cached answer is better than no answer, and starts a pause
    /// if the server failed. Returns any other error. `requests` contains the request counts before the failed step,
    /// which show whether the step sent a request.
    fn handle_failure(
        &self,
        call: &Call<'_>,
        state: &mut QueryState,
        error: Error,
        requests: RequestCounts,
    ) -> Result<()> {
        if self.sync.should_retry_with_new_token(call, &error) {
            if call.will_retry_with_new_token {
                self.sync.record_failure(&error); // so that other calls do not wait for the new token
            }
            return Err(error);
        }
        if error.status.is_answer_or_caller_error() {
            return Err(error);
        }
        // The failure of an earlier attempt, or a timeout before the first request, says nothing new about the server,
        // so it starts no pause.
        if call.failure.is_none() && !self.sync.timed_out_before_request(&error, requests) {
            self.sync.record_failure(&error);
        }
        state.failure = Some(error);
        Ok(())
    }

    /// Fetches the list of libraries from the server. Returns an error only if the call is for one library, was
    /// cancelled, or must be repeated with a new token. Otherwise the query continues, with the failure or the timeout
    /// in `state` for the answer's message.
    /// `seen`: the last probe that the query has seen.
    pub fn fetch_libraries(&self, call: &Call<'_>, seen: Sequence, state: &mut QueryState) -> Result<()> {
        match self.sync.probe(call, seen) {
            Ok(_) => Ok(()),
            Err(error) if error.status == Status::Timeout && call.deadline.is_set() => {
                // Once the lock is free, the same timeout can be long enough.
                let is_locked = is_locked(&error);
                state.timeout_status = Some(if is_locked { Status::NotYet } else { Status::NeedsWarm });
                Ok(())
            }
            Err(error)
                if call.library.is_none()
                    && error.status != Status::Aborted
                    && !self.sync.should_retry_with_new_token(call, &error) =>
            {
                state.failure = Some(error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the error for a call whose library is unknown, or for an index without libraries. `failure`: the error
    /// of the attempt to fetch the list of libraries, if the attempt failed; this error takes precedence.
    pub fn library_error(&self, call: &Call<'_>, snapshot: &Snapshot, failure: Option<Error>) -> Error {
        failure.unwrap_or_else(|| {
            let is_asked = self.sync.may_send_requests(call);
            self.reading.missing_library_error(call.library, snapshot, is_asked)
        })
    }
}
