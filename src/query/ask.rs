//! Answers every query in the same way: finds the libraries, searches the snapshot, takes the necessary steps (repair,
//! verify, search the server, refresh), searches the snapshot again after each step, and returns the answer.
//!
//! [`Queries::ask`] is the loop, and [`QueryState::next_step`] determines the order of the steps. The loop
//! takes each step a limited number of times, so every query ends with an answer or an error. The tests check this with
//! random sequences of conditions.

use std::time::{Duration, Instant};

use super::answer::Answer;
use super::queries::{Assessment, Queries, QueryContext, QueryKind, QueryState, Step, StepConditions, StepTargets};
use crate::engine::{IndexKey, LibraryRow, LibraryRows, MAX_QUESTIONS, SearchRows, Snapshot, is_locked};
use crate::error::{Error, Result, RetryAdvice, Status};
use crate::matching::Scope;
use crate::model::{Sequence, ViewId};
use crate::platform::clock::Deadline;
use crate::platform::swap::Guard;
use crate::sync::{
    BACK_OFF_MS, BACK_OFF_NOT_FETCHED_MS, Batch, Call, EvictionPin, Question, RefreshReason, RequestCounts,
    SEARCH_TIMEOUT, SearchCause, SearchTarget, segments_lost_error,
};

/// Maximum number of attempts to rebuild segments in one query.
const MAX_REBUILDS: u32 = 3;
/// Maximum number of times that one query builds indexes: of the stored listings, and of those that it fetches.
const MAX_INDEXED: u32 = 4;
/// Maximum number of refreshes in one query. A query needs a second refresh only if a different server answers at the
/// URL, or if the server has a new library.
const MAX_REFRESHES: u32 = 3;
/// Maximum duration of a step that does not count as a wait for the server.
const SHORT_STEP: Duration = Duration::from_millis(50);
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
        query: &Q,
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
                    let (view_id, seen) = (snapshot.view_id, snapshot.probed_at());
                    drop(snapshot);
                    let is_asked = self.sync.should_ask_for_library(call, view_id)?;
                    if is_asked {
                        self.fetch_libraries(call, seen, &mut state)?;
                    }
                    (snapshot, now_ms) = self.read_snapshot(call)?;
                    if is_asked && state.failure.is_none() && state.timeout_status.is_none() {
                        self.sync.note_library_question(call);
                    }
                    continue;
                }
            }
            let (scope, sequence) = (scope.unwrap_or(Scope::All), snapshot.sequence());
            if let Some(path) = query.recorded_path()
                && !self.reading.ask_matches(&snapshot, scope, path, Some(call.deadline))?
            {
                drop(snapshot);
                (snapshot, now_ms) = self.read_newer_snapshot(call, &mut state)?;
                continue;
            }
            let context = QueryContext {
                queries: self,
                call,
                snapshot: &snapshot,
                scope,
                now_ms,
                searched: state.searched_unfetched,
                since: state.since,
            };
            let mut found = Q::Found::default();
            query.find(&context, &mut found)?;
            if snapshot.has_matches_after(sequence, scope) {
                drop(found);
                drop(snapshot);
                (snapshot, now_ms) = self.read_newer_snapshot(call, &mut state)?;
                continue;
            }
            let assessment = query.assess(&context, &found);
            let mut targets = StepTargets::default();
            let step = state.next_step(&context.step_conditions::<Q>(assessment), |step| {
                context.is_due(query, &found, assessment, step, &mut targets)
            })?;
            if step != Step::Answer {
                // Pinning prevents eviction of the libraries that the next step reads or fetches.
                context.each_library(query, &found, &mut |index| pin.pin(snapshot.rows[index].id));
                targets.libraries.iter().for_each(|row| pin.pin(row.id));
            } else if !(context.was_evicted(query, &found, &state) && state.restart()) {
                if state.requests > 0 && !assessment.is_missing {
                    let view_id = snapshot.view_id.unwrap_or_default();
                    SearchRows(&self.store).refund(view_id, state.requests, self.clock.now_ms());
                }
                return query.answer(&context, &found, state, then);
            }
            if step == Step::List {
                let rows = snapshot.rows.iter();
                targets.libraries = rows.filter(|row| state.unlisted.contains(&row.id)).cloned().collect();
            }
            // For a missing path, a search is faster than a listing.
            targets.searches_first = step == Step::Refresh && !context.libraries_to_ask(query, assessment).is_empty();
            // Take the step, and read a newer snapshot. After a restart, the step does nothing.
            let view_id = snapshot.view_id.unwrap_or_default();
            drop(found); // borrows from the snapshot
            drop(snapshot); // so that other threads can replace the snapshot during the step
            self.execute(step, call, query.search_target(), view_id, &targets, &mut state)?;
            (snapshot, now_ms) = self.read_snapshot(call)?;
        }
    }

    /// Answers a query from the given snapshot if no step is due, and passes the answer to `then`. Otherwise returns
    /// `then` unused in `Err`, so that the caller can pass it to [`Queries::ask`], which can wait. `query` must not
    /// read the store.
    pub fn answer_at_once<Q: QueryKind, R, F>(
        &self,
        call: &Call<'_>,
        snapshot: &Snapshot,
        scope: Scope,
        query: &Q,
        then: F,
    ) -> std::result::Result<Result<R>, F>
    where
        F: FnOnce(&Answer<'_>) -> Result<R>,
    {
        if call.always_asks {
            return Err(then);
        }
        let (rows, only_index) = (&snapshot.rows, scope.only());
        let can_answer =
            |index: usize, now_ms| rows[index].generation.is_fetched() && rows[index].checked_ms() <= now_ms;
        // If all libraries are in scope, the search decides which libraries the answer uses, so their check follows the
        // search.
        let is_usable = |now_ms| match only_index {
            Some(index) => can_answer(index, now_ms),
            None => rows.iter().all(|row| row.checked_ms() <= now_ms),
        };
        // Recently stored times may be a few milliseconds ahead of the coarse clock, so try the precise clock too.
        let usable_at = |now_ms| (self.reading.snapshot.is_current(snapshot) && is_usable(now_ms)).then_some(now_ms);
        let Some(now_ms) = usable_at(self.clock.coarse_now_ms()).or_else(|| usable_at(self.clock.now_ms())) else {
            return Err(then);
        };
        let is_fresh = || only_index.is_some_and(|index| !self.sync.is_stale(&rows[index], now_ms));
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
        let sequence = snapshot.sequence();
        let knows_matches = query.recorded_path().is_none_or(|path| {
            let asked = self.reading.ask_matches(snapshot, scope, path, None);
            asked.is_ok_and(|is_known| is_known)
        });
        if !knows_matches || query.find(&context, &mut found).is_err() || snapshot.has_matches_after(sequence, scope) {
            return Err(then);
        }
        if only_index.is_none() {
            // If the answer uses no library, the variable remains `None`: the list of libraries may be incomplete.
            let mut can_all_answer = None;
            context.each_library(query, &found, &mut |index| {
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
        let assessment = query.assess(&context, &found);
        // Fast path: most queries are final on a fresh library, so the slower check of each step is unnecessary.
        state.known_fresh = assessment.is_final_if_fresh && early_is_fresh.unwrap_or_else(is_fresh);
        if !state.known_fresh && !context.can_answer_now(query, &found, assessment, &mut state) {
            return Err(then);
        }
        Ok(query.answer(&context, &found, state, then))
    }

    /// Reads a snapshot like [`Self::read_snapshot`], because the database has newer matches. If that happens again and
    /// again, loads the whole snapshot once, and then fails.
    fn read_newer_snapshot(&self, call: &Call<'_>, state: &mut QueryState) -> Result<(Guard<'_, Snapshot>, i64)> {
        state.outdated_reads += 1;
        if state.outdated_reads > 2 * MAX_QUESTIONS {
            return Err(self.store.locked_error());
        }
        if state.outdated_reads == MAX_QUESTIONS {
            self.reading.reload(call.deadline)?;
        }
        self.read_snapshot(call)
    }

    /// Brings the snapshot up to date. Returns the snapshot and the current time in Unix milliseconds. Fails if the
    /// index's token was replaced during the call.
    fn read_snapshot(&self, call: &Call<'_>) -> Result<(Guard<'_, Snapshot>, i64)> {
        self.reading.catch_up(call.deadline)?;
        let snapshot = self.reading.snapshot();
        self.sync.check_view(call, &snapshot)?;
        Ok((snapshot, self.clock.now_ms()))
    }
}

impl QueryContext<'_> {
    /// Returns whether the result is final: no step is due, and the search did not need the store. Never inlined,
    /// because most queries do not need this check.
    #[inline(never)]
    fn can_answer_now<Q: QueryKind>(
        &self,
        query: &Q,
        found: &Q::Found<'_>,
        assessment: Assessment,
        state: &mut QueryState,
    ) -> bool {
        let mut targets = StepTargets::default();
        let is_due = |step| match step {
            Step::Ask => Ok(!self.libraries_to_ask(query, assessment).is_empty()), // without a read
            _ => self.is_due(query, found, assessment, step, &mut targets),
        };
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
        if let Some((key, scope)) = conditions.needed_index.filter(|_| self.indexed < MAX_INDEXED) {
            self.indexed += 1;
            return Ok(Step::Index(key, scope));
        }
        if conditions.verifies_first && self.take_verify_step(conditions, &mut is_due)? {
            return Ok(Step::Verify);
        }
        if conditions.may_send_requests && !is_due(Step::Answer)? {
            // After a failed request, the query sends no search.
            let may_search = conditions.view_id.is_some() && self.failure.is_none();
            if !self.searched_unfetched && may_search && is_due(Step::SearchUnfetched)? {
                self.searched_unfetched = true;
                return Ok(Step::SearchUnfetched);
            }
            let libraries = (conditions.view_id.unwrap_or_default(), conditions.libraries);
            // One refresh is enough, unless a different server answers, which changes the view, or has a new library.
            // A question has fetched the changes, or another call fetches them.
            if (!self.asked || self.verified)
                && self.refreshed != Some(libraries)
                && self.refreshes < MAX_REFRESHES
                && is_due(Step::Refresh)?
            {
                self.refreshed = Some(libraries);
                self.refreshes += 1;
                return Ok(Step::Refresh);
            }
            if self.timeout_status.is_none() && may_search && !self.is_postponed {
                if !self.asked && is_due(Step::Ask)? {
                    self.asked = true;
                    return Ok(Step::Ask);
                }
                if let Some(step) = self.search.take().map(Step::Search)
                    && is_due(step)?
                {
                    return Ok(step);
                }
                if !self.listed && !self.unlisted.is_empty() && is_due(Step::List)? {
                    self.listed = true;
                    return Ok(Step::List);
                }
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
        // The server's reply about the item is enough for this query, so no question or search follows. The next query
        // checks whether the file now belongs to a different item.
        (self.verified, self.asked, self.search) = (true, true, None);
        Ok(true)
    }

    /// Returns the call with the limit for waits if a stored listing can answer; `None` if no time is left.
    pub(super) fn limit_wait<'c>(&self, call: &Call<'c>) -> Option<Call<'c>> {
        let waited = self.waited.max(call.batch.map_or(Duration::ZERO, Batch::waited));
        let left = call.listed_wait.checked_sub(waited).filter(|left| !left.is_zero())?;
        Some(Call {
            deadline: call.deadline.earliest(Deadline::after(left)),
            ..*call
        })
    }

    /// Adds a wait for the server; ignores short steps, which are mostly reads of the store.
    pub(super) fn add_wait(&mut self, call: &Call<'_>, time: Duration) {
        if time < SHORT_STEP {
            return;
        }
        self.waited += time;
        if let Some(batch) = call.batch {
            batch.add_wait(time);
        }
    }

    /// Returns whether a later query must ask the server, because this query has not asked, or because the server has
    /// changes that plexindex has not fetched.
    pub fn was_not_asked(&self) -> bool {
        self.is_postponed || !self.unlisted.is_empty()
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
            Step::Answer | Step::Rebuild | Step::Index(..) | Step::SearchUnfetched => Some(*call),
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
            Step::Index(key, scope) => {
                let prepared = self.reading.prepare_indexes(key, scope, call.deadline);
                if !matches!(prepared, Ok(true)) {
                    state.indexed = MAX_INDEXED;
                }
                return match prepared {
                    // Without a size, the answer is only not certain.
                    Err(error) if key == IndexKey::Size => {
                        log::debug!("sizes cannot be searched: {error}");
                        Ok(())
                    }
                    prepared => prepared.map(drop),
                };
            }
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
                    batch.note_change();
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
}

#[cfg(test)]
#[path = "ask_tests.rs"]
mod tests;
