//! Answers every query in the same way: finds the libraries, searches the snapshot, takes the necessary steps (repair,
//! verify, search the server, refresh), searches the snapshot again after each step, and returns the answer.
//!
//! [`Queries::ask`] is the loop, and [`QueryState::next_step`] determines the order of the steps. The loop
//! takes each step a limited number of times, so every query ends with an answer or an error. The tests check this with
//! random sequences of conditions.

use super::answer::Answer;
use super::queries::Queries;
use super::query_kind::{Assessment, QueryContext, QueryKind, QueryState, Step, StepConditions, StepTargets};
use crate::engine::{LibraryRow, Snapshot};
use crate::error::{Error, Result, RetryAdvice, Status};
use crate::freshness::is_stale;
use crate::matching::Scope;
use crate::model::{Sequence, ViewId};
use crate::platform::swap::Guard;
use crate::sync::{
    BACK_OFF_MS, BACK_OFF_NOT_FETCHED_MS, Call, EvictionPin, RequestCounts, SEARCH_TIMEOUT, SearchTarget,
    segments_lost_error,
};

/// Maximum number of attempts to rebuild segments in one query.
const MAX_REBUILDS: u32 = 3;
/// Maximum number of refreshes in one query. A query needs a second refresh only if a different server answers at the
/// URL.
const MAX_REFRESHES: u32 = 3;
/// Maximum number of times that one query restarts because its libraries were evicted.
const MAX_RESTARTS: u32 = 8;

/// The first step of a query, which determines the libraries to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LibraryStep {
    /// Continue with the known libraries.
    Continue,
    /// Fetch the list of libraries from the server.
    Fetch,
    /// Return an error, because the library is unknown or the index has no libraries.
    Fail,
}

impl Queries {
    /// Answers a query in as many steps as necessary, passes the answer to `then`, and returns the result of `then`.
    /// `pin` protects the query's libraries from eviction between the steps.
    pub fn ask<Q: QueryKind, R>(
        &self,
        pin: &mut EvictionPin<'_>,
        call: &Call<'_>,
        question: &Q,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let (mut snapshot, mut now_ms) = self.read_snapshot(call)?;
        let (since, begun_ms) = call.batch_start.unwrap_or((snapshot.sequence(), now_ms));
        let mut state = QueryState::new(since, begun_ms);
        loop {
            let scope = call.scope(&snapshot)?;
            match state.library_step(scope, !snapshot.rows.is_empty(), self.sync.may_send_requests(call)) {
                LibraryStep::Continue => {}
                LibraryStep::Fail => return Err(self.library_error(call, &snapshot, state.failure)),
                LibraryStep::Fetch => {
                    drop(snapshot);
                    if let Some(SearchTarget::Path(path)) = question.search_target() {
                        // The source can combine the search with the request for the list.
                        self.sync.announce_search(path);
                    }
                    self.fetch_libraries(call, &mut state)?;
                    (snapshot, now_ms) = self.read_snapshot(call)?;
                    continue;
                }
            }
            let context = QueryContext {
                queries: self,
                call,
                snapshot: &snapshot,
                scope: scope.unwrap_or(Scope::All),
                now_ms,
                searched: state.searched_unfetched,
                since: state.since,
            };
            let mut found = Q::Found::default();
            question.find(&context, &mut found)?;
            let assessment = question.assess(&context, &found);
            let mut targets = StepTargets::default();
            let step = state.next_step(&context.step_conditions::<Q>(assessment), |step| {
                context.is_due(question, &found, assessment, step, &mut targets)
            })?;
            if step != Step::Answer {
                // Pinning prevents eviction of the libraries that the next step reads or fetches.
                context.each_library(question, &found, &mut |index| pin.pin(snapshot.rows[index].id));
                targets.libraries.iter().for_each(|row| pin.pin(row.id));
            } else if !(context.was_evicted(question, &found, &state) && state.restart()) {
                return question.answer(&context, &found, state, then);
            }
            // Take the step, and read a newer snapshot. After a restart, the step does nothing.
            let identity = snapshot.identity.unwrap_or_default();
            drop(found); // borrows from the snapshot
            drop(snapshot); // so that other threads can replace the snapshot during the step
            self.execute(step, call, (question.search_target(), identity), &targets, &mut state)?;
            (snapshot, now_ms) = self.read_snapshot(call)?;
        }
    }

    /// Answers a query from the given snapshot if no step is due: passes `then` and the answer to `call_then`, which
    /// calls `then`. Otherwise returns `then` unused in `Err`, so that the caller can pass it to [`Queries::ask`],
    /// which can wait. `question` must not read the store.
    pub fn answer_at_once<Q: QueryKind, R, F>(
        &self,
        call: &Call<'_>,
        (snapshot, scope): (&Snapshot, Scope),
        question: &Q,
        then: F,
        call_then: impl FnOnce(F, &Answer<'_>) -> Result<R>,
    ) -> std::result::Result<Result<R>, F> {
        if call.checks {
            return Err(then);
        }
        let (rows, only_index) = (&snapshot.rows, scope.only());
        let can_answer = |index: usize, now_ms| rows[index].generation.is_fetched() && rows[index].checked_ms <= now_ms;
        // If all libraries are in scope, the search decides which libraries the answer uses, so their check follows the
        // search.
        let is_usable = |now_ms| match only_index {
            Some(index) => can_answer(index, now_ms),
            None => rows.iter().all(|row| row.checked_ms <= now_ms),
        };
        // Recently stored times may be a few milliseconds ahead of the coarse clock, so try the precise clock too.
        let usable_at = |now_ms| (self.reading.is_settled(snapshot) && is_usable(now_ms)).then_some(now_ms);
        let Some(now_ms) = usable_at(self.clock.coarse_now_ms()).or_else(|| usable_at(self.clock.now_ms())) else {
            return Err(then);
        };
        let is_fresh = || only_index.is_some_and(|index| !is_stale(&self.sync.age(&rows[index]), &self.policy, now_ms));
        // For a local source, this check reads the disk, so it waits until the result is needed.
        let early_is_fresh = (!self.sync.is_local()).then(is_fresh);
        let context = QueryContext {
            queries: self,
            call,
            snapshot,
            scope,
            now_ms,
            searched: false,
            since: snapshot.sequence(),
        };
        let mut found = Q::Found::default();
        if question.find(&context, &mut found).is_err() {
            return Err(then);
        }
        if only_index.is_none() {
            // If the answer uses no library, the variable remains `None`: the list of libraries may be incomplete.
            let mut can_all_answer = None;
            context.each_library(question, &found, &mut |index| {
                can_all_answer = Some(can_all_answer.unwrap_or(true) && can_answer(index, now_ms));
            });
            if can_all_answer != Some(true) {
                return Err(then);
            }
        }
        let mut state = QueryState {
            at_once: true,
            ..QueryState::new(snapshot.sequence(), now_ms)
        };
        let assessment = question.assess(&context, &found);
        // Fast path: most queries are final on a fresh library, so the slower check of each step is unnecessary.
        state.known_fresh = assessment.is_final_if_fresh && early_is_fresh.unwrap_or_else(is_fresh);
        if !state.known_fresh && !context.can_answer_now(question, &found, assessment, &mut state) {
            return Err(then);
        }
        Ok(question.answer(&context, &found, state, |answer| call_then(then, answer)))
    }

    /// Brings the snapshot up to date. Returns the snapshot and the current time in Unix milliseconds. Fails if the
    /// index's token was replaced during the call.
    fn read_snapshot(&self, call: &Call<'_>) -> Result<(Guard<'_, Snapshot>, i64)> {
        self.reading.catch_up(call.deadline)?;
        let snapshot = self.reading.snapshot();
        self.sync.check_view(call, &snapshot)?;
        Ok((snapshot, self.clock.now_ms()))
    }

    /// Executes a step on its `targets`. Stores a failure in `state` if plexindex can still answer; otherwise returns
    /// the failure. `target` is the path or folder to search for on the server, and `identity` the snapshot's view.
    fn execute(
        &self,
        step: Step,
        call: &Call<'_>,
        (target, identity): (Option<SearchTarget<'_>>, ViewId),
        targets: &StepTargets,
        state: &mut QueryState,
    ) -> Result<()> {
        let (sync, libraries, requests) = (&self.sync, &targets.libraries, self.sync.request_counts());
        let search = |unfetched| match target {
            Some(target) => sync.search(call, identity, libraries, target, unfetched),
            None => Ok(None),
        };
        let failure = match step {
            Step::Answer => None,
            Step::Rebuild => return self.reading.rebuild_broken(call.deadline),
            Step::Verify => sync.verify(call, &targets.items).err(),
            // Ignore a timeout of the search, because the next step fetches the listing in the remaining time.
            Step::SearchUnfetched => search(true)?.filter(|error| error.status != Status::Timeout),
            Step::Refresh => return self.refresh(call, libraries, requests, state),
            Step::Probe | Step::Search => {
                state.failure = sync.recent_failure_for_path();
                if state.failure.is_some() {
                    return Ok(());
                }
                let step_failure = match step {
                    Step::Probe => sync.probe_for_path(call, identity, libraries, state.since)?,
                    _ => search(false)?,
                };
                if step_failure.is_none() {
                    // After another call's recent failure, this call does not send another request.
                    state.failure = sync.recent_probe_error(identity, libraries)?;
                }
                step_failure
            }
        };
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
        // If an old listing can answer the query, the call waits only briefly for a new listing.
        let mut refresh_call = *call;
        if !has_unfetched {
            refresh_call.deadline = call.deadline.at_most(SEARCH_TIMEOUT);
        }
        match self
            .sync
            .update(&refresh_call, libraries, state.since, call.refresh_reason())
        {
            Ok(Status::Ok) => Ok(()),
            Ok(status) => {
                // The old listing can answer the query, so the timeout is only a failed refresh.
                if status == Status::NeedsWarm && !has_unfetched {
                    let text = format!("{} did not reply within the timeout", self.reading.kind().noun);
                    return self.handle_failure(call, state, Error::new(Status::Timeout, text), requests);
                }
                state.timeout_status = Some(status);
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

impl QueryContext<'_> {
    /// Returns whether the result is final: no step is due, and the search did not need the store. Never inlined,
    /// because most queries do not need this check.
    #[inline(never)]
    fn can_answer_now<Q: QueryKind>(
        &self,
        question: &Q,
        found: &Q::Found<'_>,
        assessment: Assessment,
        state: &mut QueryState,
    ) -> bool {
        let mut targets = StepTargets::default();
        let is_due = |step| self.is_due(question, found, assessment, step, &mut targets);
        assessment.is_final_without_store
            && matches!(
                state.next_step(&self.step_conditions::<Q>(assessment), is_due),
                Ok(Step::Answer)
            )
    }
}

impl QueryState {
    /// Creates the initial state of a query. `since` is the change sequence at the start, and `begun_ms` the
    /// time in Unix milliseconds.
    pub fn new(since: Sequence, begun_ms: i64) -> Self {
        Self {
            since,
            started_ms: begun_ms,
            ..Self::default()
        }
    }

    /// Returns whether the query continues, must first fetch the list of libraries, or fails. `scope` is `None` if the
    /// query's library is unknown. `has_libraries`: the index has at least one library. `may_send_requests`: the call
    /// may send requests.
    pub fn library_step(&mut self, scope: Option<Scope>, has_libraries: bool, may_send_requests: bool) -> LibraryStep {
        match scope {
            Some(Scope::One(_)) => LibraryStep::Continue,
            Some(Scope::All) if has_libraries => LibraryStep::Continue,
            // The answer's message explains that the deadline passed.
            None if !has_libraries && self.timeout_status.is_some() => LibraryStep::Continue,
            _ if may_send_requests && !self.fetched_libraries => {
                self.fetched_libraries = true;
                LibraryStep::Fetch
            }
            // The answer's message explains that the server has no libraries or failed.
            Some(Scope::All) if self.fetched_libraries => LibraryStep::Continue,
            Some(Scope::All) | None => LibraryStep::Fail,
        }
    }

    /// Returns the next step, and records the step as taken. `is_due` returns whether a step is due; for
    /// [`Step::Answer`], whether the result is final even if the library is stale. `is_due` may read the store, so this
    /// function calls `is_due` only if necessary.
    ///
    /// # Errors
    /// Returns the errors of `is_due`, and [`Status::Store`] if segments are still missing or damaged after
    /// [`MAX_REBUILDS`] attempts.
    pub fn next_step(
        &mut self,
        conditions: &StepConditions,
        mut is_due: impl FnMut(Step) -> Result<bool>,
    ) -> Result<Step> {
        if conditions.needs_rebuild {
            self.rebuilt += 1;
            return if self.rebuilt > MAX_REBUILDS {
                Err(segments_lost_error())
            } else {
                Ok(Step::Rebuild)
            };
        }
        if conditions.verifies_first && self.take_verify_step(conditions, &mut is_due)? {
            return Ok(Step::Verify);
        }
        if conditions.may_send_requests && !is_due(Step::Answer)? {
            // After a failed request, the query sends no search.
            let may_search = conditions.identity.is_some() && self.failure.is_none();
            if !self.searched_unfetched && may_search && is_due(Step::SearchUnfetched)? {
                self.searched_unfetched = true;
                return Ok(Step::SearchUnfetched);
            }
            let identity = conditions.identity.unwrap_or_default();
            // One refresh is enough, unless a different server answers, which changes the view.
            if self.refreshed != Some(identity) && self.refreshes < MAX_REFRESHES && is_due(Step::Refresh)? {
                self.refreshed = Some(identity);
                self.refreshes += 1;
                return Ok(Step::Refresh);
            }
            if !self.searched && self.timeout_status.is_none() && may_search && is_due(Step::Probe)? {
                // The first time, the step is the probe; the second time, the search.
                self.searched = std::mem::replace(&mut self.probed, true);
                return Ok(if self.searched { Step::Search } else { Step::Probe });
            }
        }
        if !conditions.verifies_first && self.failure.is_none() && self.take_verify_step(conditions, &mut is_due)? {
            return Ok(Step::Verify);
        }
        Ok(Step::Answer)
    }

    /// Returns whether [`Step::Verify`] is due, and records a due step as taken.
    fn take_verify_step(
        &mut self,
        conditions: &StepConditions,
        is_due: &mut impl FnMut(Step) -> Result<bool>,
    ) -> Result<bool> {
        if self.verified || !conditions.may_send_requests || !is_due(Step::Verify)? {
            return Ok(false);
        }
        // The server's reply about the item is enough for this query, so no probe or search follows. The next query
        // checks whether the file now belongs to a different item.
        (self.verified, self.probed, self.searched) = (true, true, true);
        Ok(true)
    }

    /// Allows another refresh after the query's libraries were evicted. Returns `false` after [`MAX_RESTARTS`]
    /// restarts; the answer's status then tells the host to retry.
    fn restart(&mut self) -> bool {
        if self.restarts == MAX_RESTARTS {
            self.timeout_status.get_or_insert(Status::NotYet);
            return false;
        }
        self.restarts += 1;
        if self.refreshed.take().is_some() {
            self.refreshes -= 1;
        }
        true
    }
}

#[cfg(test)]
#[path = "ask_tests.rs"]
mod tests;
