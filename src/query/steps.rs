//! Executes the steps of a query.

use std::time::Instant;

use super::queries::Queries;
use super::query_kind::{QueryState, Step, StepTargets};
use crate::engine::{LibraryRow, LibraryRows};
use crate::error::{Error, Result, RetryAdvice, Status};
use crate::model::{LibraryId, Sequence, ViewId};
use crate::sync::{
    BACK_OFF_MS, BACK_OFF_NOT_FETCHED_MS, Call, RefreshReason, RequestCounts, SEARCH_TIMEOUT, SearchCause, SearchTarget,
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
            Step::Verify => sync.verify(limited_call, &targets.items).err(),
            Step::SearchUnfetched => {
                let searched =
                    target.map(|target| sync.search(call, view_id, libraries, target, SearchCause::Unfetched));
                // Ignore a timeout of the search, because the next step fetches the listing in the remaining time.
                searched
                    .transpose()?
                    .and_then(|searched| searched.failure)
                    .filter(|error| error.status != Status::Timeout)
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
            Step::Probe | Step::Search => {
                state.failure = sync.recent_failure_for_path();
                if state.failure.is_some() {
                    return Ok(());
                }
                let step_failure = self.ask_about_path(step, limited_call, target, view_id, libraries, state)?;
                if step_failure.is_none() {
                    // After another call's recent failure, this call does not send another request.
                    state.failure = sync.recent_probe_error(view_id, libraries)?;
                }
                step_failure
            }
            Step::List => match sync.update(limited_call, libraries, state.since, RefreshReason::Missing) {
                Ok(updated) => {
                    state.finish_listing(&updated, &self.newly_listed(libraries, state.since));
                    None
                }
                Err(error) => Some(error),
            },
        };
        state.add_wait(call, started_at.elapsed());
        failure.map_or(Ok(()), |error| self.handle_failure(call, state, error, requests))
    }

    /// Asks the server about a missing path: executes the step [`Step::Probe`] or [`Step::Search`]. Returns the error of
    /// a failed request.
    fn ask_about_path(
        &self,
        step: Step,
        call: &Call<'_>,
        target: Option<SearchTarget<'_>>,
        view_id: ViewId,
        libraries: &[LibraryRow],
        state: &mut QueryState,
    ) -> Result<Option<Error>> {
        let answer = match (state.has_changed, target) {
            _ if step == Step::Probe => {
                let since = state.since;
                let answer = self.sync.ask_about_path(call, view_id, libraries, target, since)?;
                let has_changed = answer.has_changed;
                state.has_changed = has_changed.map(|changed| changed || state.has_changed == Some(true));
                answer
            }
            (Some(true), Some(target)) => self
                .sync
                .search(call, view_id, libraries, target, SearchCause::Changed)?,
            (Some(false), Some(target)) => self
                .sync
                .search(call, view_id, libraries, target, SearchCause::Unlisted)?,
            _ => return Ok(None), // without a question, there is nothing to search for
        };
        state.is_postponed |= answer.is_postponed;
        state.requests += answer.requests;
        state.unlisted.extend(answer.unlisted);
        Ok(answer.failure)
    }

    /// Returns the ids of the libraries whose listing was fetched after the change sequence `since`.
    fn newly_listed(&self, libraries: &[LibraryRow], since: Sequence) -> Vec<LibraryId> {
        let rows = libraries
            .iter()
            .filter_map(|row| LibraryRows(&self.store).library_row(row.id).ok());
        rows.filter(|row| row.begun_sequence > since || row.listed_token == row.library.change.token)
            .map(|row| row.id)
            .collect()
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
        // A failure counts while more than this part of the pause after it, in milliseconds, remains. So the pause is
        // shorter if there is no old listing to answer from.
        if let Some(error) = self.sync.recent_failure(if has_unfetched {
            BACK_OFF_MS - BACK_OFF_NOT_FETCHED_MS
        } else {
            0
        }) && (!has_unfetched || error.status.retry_advice() == RetryAdvice::NotNow)
        {
            state.failure = Some(error);
            return Ok(());
        }
        let mut refresh_call = *call;
        if !has_unfetched && !call.checks {
            refresh_call.deadline = call.deadline.at_most(SEARCH_TIMEOUT);
        }
        match self
            .sync
            .update(&refresh_call, libraries, state.since, call.refresh_reason())
        {
            Ok(updated) => {
                state.unlisted.extend(&updated.unlisted);
                if updated.has_changed {
                    state.has_changed = Some(true);
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
                    let text = format!("{} did not reply within the timeout", self.reading.kind().noun);
                    return self.handle_failure(call, state, Error::new(Status::Timeout, text), requests);
                }
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
                self.sync.back_off().record_failure(&error); // so that other calls do not wait for the new token
            }
            return Err(error);
        }
        if error.status.is_answer_or_caller_error() {
            return Err(error);
        }
        // The failure of an earlier attempt, or a timeout before the first request, says nothing new about the server,
        // so it starts no pause.
        if call.failure.is_none() && !self.sync.timed_out_before_request(&error, requests) {
            self.sync.back_off().record_failure(&error);
        }
        state.failure = Some(error);
        Ok(())
    }
}
