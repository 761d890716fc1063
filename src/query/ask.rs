//! Answers every query in the same way: finds the libraries, searches the snapshot, takes the necessary steps (repair,
//! verify, search the server, refresh), searches the snapshot again after each step, and returns the answer. Decides whether
//! plexindex can still answer after a failure.
//!
//! [`Queries::ask`] is the loop, and [`QueryState::next_step`] determines the order of the steps. [`QueryKind`] is what
//! kinds of queries differ in: by path, folder, GUID or title. The loop takes each step a limited number of times, so
//! every query ends with an answer or an error. The tests check this with random sequences of conditions.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::queries::Queries;
use crate::engine::{LibraryRow, LibraryRows, MAX_QUESTIONS, SearchRows, Snapshot, is_locked, library_indexes};
use crate::error::{Error, Result, RetryAdvice, Status};
use crate::knowledge::{PathQuestion, age_ms};
use crate::matching::Scope;
use crate::model::{LibraryId, Sequence, ViewId};
use crate::platform::clock::Deadline;
use crate::platform::fork::lock;
use crate::platform::swap::Guard;
use crate::sync::{
    BACK_OFF_MS, BACK_OFF_NOT_FETCHED_MS, Call, EvictionPin, ItemToVerify, Question, RefreshReason, RequestCounts,
    SEARCH_TIMEOUT, SearchCause, SearchTarget, segments_lost_error,
};

/// Maximum number of attempts to rebuild segments in one query.
const MAX_REBUILDS: u32 = 3;
/// Maximum number of refreshes in one query. A query needs a second refresh only if a different server answers at the
/// URL, or if the server has a new library.
const MAX_REFRESHES: u32 = 3;
/// Maximum duration of a step that does not count as a wait for the server.
const SHORT_STEP: Duration = Duration::from_millis(50);
/// Maximum number of times that one query restarts because its libraries were evicted.
const MAX_RESTARTS: u32 = 8;

/// The snapshot that a query searches, and the call that made the query.
pub struct QueryContext<'t> {
    pub queries: &'t Queries,
    pub call: &'t Call<'t>,
    pub snapshot: &'t Snapshot,
    pub scope: Scope,
    /// Time when the snapshot was read, in Unix milliseconds.
    pub now_ms: i64,
    /// Whether this query has already searched unfetched libraries on the server.
    pub searched: bool,
    /// The change sequence when the query started.
    pub since: Sequence,
}

/// A query for the item at a path or folder, or for the items with a GUID or title.
pub trait QueryKind {
    /// The result of searching the snapshot.
    type Found<'t>: Default;
    /// Whether to verify invalidated items before refreshing libraries. True for paths, because verifying one path's
    /// items takes only one request.
    const VERIFIES_FIRST: bool;

    /// Searches the snapshot, and writes the result to `found`, because moving a large result is slow.
    fn find<'t>(&self, context: &QueryContext<'t>, found: &mut Self::Found<'t>) -> Result<()>;
    /// Assesses the result without reading the store.
    fn assess(&self, context: &QueryContext<'_>, found: &Self::Found<'_>) -> Assessment;
    /// Calls `each` with the index of each library that has an item in the result.
    fn each_found_library(found: &Self::Found<'_>, each: &mut dyn FnMut(usize));
    /// Returns, for each library in the snapshot, whether the library should list the item, because a location of the
    /// library contains the path.
    fn owner_flags(&self, context: &QueryContext<'_>) -> Vec<bool>;
    /// Returns the items in the result that were invalidated, and not verified since.
    fn unverified_items(&self, context: &QueryContext<'_>, found: &Self::Found<'_>) -> Result<Vec<ItemToVerify>>;
    /// Builds the answer from the result and the steps taken, and passes the answer to `then`.
    fn answer<R>(
        &self,
        context: &QueryContext<'_>,
        found: &Self::Found<'_>,
        state: QueryState,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R>;

    /// Returns the path or folder to ask the server about, whose confirmed matches the search needs; `None` for a query by
    /// something else.
    fn search_target(&self) -> Option<SearchTarget<'_>> {
        None
    }
    /// Returns the unfetched libraries that plexindex should search on the server, since searching is faster than
    /// fetching.
    fn unfetched_to_search(&self, _: &QueryContext<'_>, _: &Self::Found<'_>) -> Vec<LibraryRow> {
        Vec::new()
    }
    /// Returns whether the result is final even if a library is stale, so that the query need not refresh the library.
    /// For example, a confirmed match is final.
    fn needs_no_refresh(&self, _: &QueryContext<'_>, _: &Self::Found<'_>) -> Result<bool> {
        Ok(false)
    }
    /// Returns whether any unfetched library may have the item, even though no location contains the path.
    fn may_be_anywhere(&self, _: &QueryContext<'_>, _: &Self::Found<'_>) -> bool {
        false
    }
}

/// Facts about a result that need no reads of the store.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // independent facts
pub struct Assessment {
    /// A segment that the query needs is missing or damaged.
    pub needs_rebuild: bool,
    /// The libraries that should list the item do not list the item.
    pub is_missing: bool,
    /// The result is final if the library is fresh.
    pub is_final_if_fresh: bool,
    /// The result is final even if the search did not read the store, or the file.
    pub is_final_without_store: bool,
}

/// A step that a query takes before the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Rebuild missing or damaged segments.
    Rebuild,
    /// Verify the invalidated items in the result.
    Verify,
    /// Search unfetched libraries on the server.
    SearchUnfetched,
    /// Refresh stale libraries.
    Refresh,
    /// Ask the server about an item that libraries should list but do not.
    Ask,
    /// Search the server for such an item.
    Search(SearchCause),
    /// Fetch the full listings that the query has skipped, because a search is faster.
    List,
    Answer,
}

/// Facts that determine the next step without reading the store.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepConditions {
    pub may_send_requests: bool,
    pub view_id: Option<ViewId>,
    /// Number of libraries in the view.
    pub libraries: usize,
    /// Whether a segment that the query needs is missing or damaged.
    pub needs_rebuild: bool,
    /// Whether to verify invalidated items before refreshing libraries.
    pub verifies_first: bool,
}

/// The steps that a query has taken, and their results.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // each is a step that is taken once
pub struct QueryState {
    /// Number of times that the database had newer matches than the snapshot.
    pub outdated_reads: u32,
    /// The change sequence when the query started. Server replies that were stored later are fresh enough.
    pub since: Sequence,
    /// Time when the query started, in Unix milliseconds.
    pub started_ms: i64,
    /// The status of the answer if the deadline passed and no item matches.
    pub timeout_status: Option<Status>,
    /// The error of a failed request.
    pub failure: Option<Error>,
    /// Whether the query must not wait, so that the answer is from memory, without any step.
    pub at_once: bool,
    /// Whether plexindex already knows that the query's library is fresh, so that the answer is not stale.
    pub known_fresh: bool,
    pub verified: bool,
    /// The view whose libraries were refreshed last, and their number; ID 0 if no view was known.
    pub refreshed: Option<(ViewId, usize)>,
    pub refreshes: u32,
    pub restarts: u32,
    pub rebuilt: u32,
    pub fetched_libraries: bool,
    pub searched_unfetched: bool,
    /// Whether the query has asked the server about a missing path, or need not ask.
    pub asked: bool,
    /// Why to search the server for the path; `None`: no search is necessary, or it is done.
    pub search: Option<SearchCause>,
    /// Whether a full listing, which the query has skipped, was fetched after the search.
    pub listed: bool,
    /// Whether a refresh has found a change in a library that may contain the path.
    pub has_changed: bool,
    /// Whether a later query must ask the server about the path, because this query has not asked.
    pub is_postponed: bool,
    /// Libraries that need a full listing, which the query has skipped.
    pub unlisted: Vec<LibraryId>,
    /// Requests that the query has taken from the budget for fruitless requests.
    pub requests: u64,
    /// Time that the query has waited for the server although a stored listing can answer.
    pub waited: Duration,
}

/// The libraries or items that a step refreshes, searches or verifies.
#[derive(Default)]
pub struct StepTargets {
    pub libraries: Vec<LibraryRow>,
    pub items: Vec<ItemToVerify>,
    /// What to do about a missing path.
    pub path_question: PathQuestion,
    /// Whether a search follows the refresh, so that the refresh fetches no full listing.
    pub searches_first: bool,
}

impl<'t> QueryContext<'t> {
    /// Fails if a query that found nothing says nothing about the server: no library in scope has a listing, and the
    /// fetch failed (`failure`) or the call must not send requests.
    pub fn check_miss(&self, failure: Option<&Error>) -> Result<()> {
        let rows = self.snapshot.rows_in(self.scope);
        if rows.iter().any(|row| row.generation.is_fetched()) {
            return Ok(());
        }
        if let Some(error) = failure {
            return Err(error.clone());
        }
        if self.queries.sync.may_send_requests(self.call) {
            return Ok(());
        }
        Err(self.queries.reading.never_fetched_error(self.call.library))
    }

    /// Collects the facts that determine the next step without reading the store. `assessment` is of the result so far.
    pub fn step_conditions<Q: QueryKind>(&self, assessment: Assessment) -> StepConditions {
        StepConditions {
            may_send_requests: self.queries.sync.may_send_requests(self.call),
            view_id: self.snapshot.view_id,
            libraries: self.snapshot.rows.len(),
            needs_rebuild: assessment.needs_rebuild,
            verifies_first: Q::VERIFIES_FIRST,
        }
    }

    /// Returns whether a step is due, and sets `targets` to the step's libraries or items. For [`Step::Answer`],
    /// returns whether the result is final even if the libraries are stale.
    pub fn is_due<Q: QueryKind>(
        &self,
        query: &Q,
        found: &Q::Found<'_>,
        assessment: Assessment,
        step: Step,
        targets: &mut StepTargets,
    ) -> Result<bool> {
        let sync = &self.queries.sync;
        targets.libraries = match step {
            // `next_step` never asks for `Rebuild`.
            Step::Rebuild | Step::Answer => {
                return Ok(!self.call.always_asks && query.needs_no_refresh(self, found)?);
            }
            Step::Verify => {
                targets.items = query.unverified_items(self, found)?;
                return Ok(!targets.items.is_empty());
            }
            Step::SearchUnfetched => query.unfetched_to_search(self, found),
            Step::Refresh => self.stale_libraries(query, found),
            Step::List => return Ok(assessment.is_missing),
            Step::Ask | Step::Search(_) => self.libraries_to_ask(query, assessment),
        };
        if step == Step::Ask
            && !targets.libraries.is_empty()
            && let Some(target) = query.search_target()
        {
            let view_id = self.snapshot.view_id.unwrap_or_default();
            let question = Question::new(self.call, view_id, &targets.libraries, target, self.since);
            targets.path_question = sync.path_question(&question, &targets.libraries)?;
            return Ok(targets.path_question != PathQuestion::Answered || sync.recent_failure_for_path().is_some());
        }
        // Until the pause after a failure is over, the query skips the search, and the refresh reports the failure.
        Ok(!(targets.libraries.is_empty()
            || step == Step::SearchUnfetched && sync.recent_failure(BACK_OFF_MS).is_some()))
    }

    /// Passes the indexes of the query's libraries to `each`: the only library in scope, or the libraries with items in
    /// the result, or, without items, the libraries that should list the item.
    pub fn each_library<Q: QueryKind>(&self, query: &Q, found: &Q::Found<'_>, each: &mut dyn FnMut(usize)) {
        if let Scope::One(index) = self.scope {
            return each(index);
        }
        let mut is_found = false;
        Q::each_found_library(found, &mut |index| {
            is_found = true;
            each(index);
        });
        if !is_found {
            let flags = query.owner_flags(self);
            (0..flags.len()).filter(|index| flags[*index]).for_each(each);
        }
    }

    /// Iterates over the libraries in scope whose element in `selected` is true.
    pub fn libraries_where(&self, selected: Vec<bool>) -> impl Iterator<Item = &LibraryRow> {
        let rows = &self.snapshot.rows;
        library_indexes(self.scope, rows.len())
            .filter(move |index| selected[*index])
            .map(|index| &rows[index])
    }

    /// Returns the fetched libraries that should list a missing item; none for a local source, because a refresh reads
    /// all changes.
    pub fn libraries_to_ask<Q: QueryKind>(&self, query: &Q, assessment: Assessment) -> Vec<LibraryRow> {
        if self.queries.sync.is_local() || !assessment.is_missing {
            return Vec::new();
        }
        let owned = self.libraries_where(query.owner_flags(self)).cloned();
        owned.filter(|row| row.generation.is_fetched()).collect()
    }

    /// Returns the query's libraries that are due for a refresh.
    fn stale_libraries<Q: QueryKind>(&self, query: &Q, found: &Q::Found<'_>) -> Vec<LibraryRow> {
        let (queries, rows) = (self.queries, &self.snapshot.rows);
        let is_fresh = |row: &LibraryRow| {
            (!self.call.always_asks || row.probed_at() > self.since) && queries.sync.need(row, self.now_ms).is_none()
        };
        // Fast path: most queries need no refresh and no allocation.
        if self.snapshot.rows_in(self.scope).iter().all(is_fresh) {
            return Vec::new();
        }
        if let Scope::One(index) = self.scope {
            return vec![rows[index].clone()];
        }
        // The query refreshes fetched libraries, and fetches libraries that should list the item. It fetches the other
        // libraries only if any library may have the item.
        let mut flags = query.owner_flags(self);
        let may_be_anywhere = !flags.contains(&true) && query.may_be_anywhere(self, found);
        // A match waits for the listing that its library lost.
        Q::each_found_library(found, &mut |index| {
            flags[index] |= rows[index].generation.is_lost();
        });
        let targets = rows.iter().zip(flags).filter(|(row, should_list_item)| {
            *should_list_item || row.generation.is_fetched() || may_be_anywhere && !queries.reading.is_evicted(row)
        });
        targets
            .map(|(row, _)| row)
            .filter(|row| !is_fresh(row))
            .cloned()
            .collect()
    }

    /// Returns whether one of the query's libraries was evicted after the refresh, so that the answer would lack items.
    pub fn was_evicted<Q: QueryKind>(&self, query: &Q, found: &Q::Found<'_>, state: &QueryState) -> bool {
        let mut is_evicted = false;
        if state.refreshed.is_some() && state.failure.is_none() && state.timeout_status.is_none() {
            let rows = &self.snapshot.rows;
            self.each_library(query, found, &mut |index| {
                is_evicted |= rows[index].generation.is_lost();
            });
        }
        is_evicted
    }

    /// Returns the title of a library that is out of scope but should list the item, for the answer's message; `None`
    /// if there is none, or if all libraries are in scope.
    pub fn owner_out_of_scope<Q: QueryKind>(&self, query: &Q) -> Option<&'t str> {
        let Scope::One(_) = self.scope else { return None };
        let index = query.owner_flags(self).iter().position(|owns| *owns)?;
        Some(self.snapshot.rows[index].library.title.as_str())
    }

    /// Returns the milliseconds since the oldest listing in scope was last known to be current; `None` without a listing,
    /// if the clock was set back, or if an item of the answer is from an unfetched library.
    pub fn age_of(&self, answer: &Answer<'_>) -> Option<i64> {
        let is_fetched = |row: &&LibraryRow| row.generation.is_fetched();
        let mut found_in = answer.candidates.iter().map(|found| &answer.rows[found.library]);
        if !found_in.all(|row| is_fetched(&row)) {
            return None;
        }
        let listings = self.snapshot.rows_in(self.scope).iter().filter(is_fetched);
        let ages = listings.map(|row| age_ms(row.checked_ms(), self.now_ms));
        ages.reduce(|a, b| Some(a?.max(b?))).flatten()
    }

    /// Returns whether the answer is stale, because the query has not fetched what the server may have changed, because
    /// a listing in scope has expired or is due for a refresh, or because plexindex holds back a shorter listing.
    pub fn is_answer_stale(&self, state: &QueryState) -> bool {
        if state.known_fresh {
            return false;
        }
        if state.was_not_asked() {
            return true;
        }
        let sync = &self.queries.sync;
        let mut fetched_rows = (self.snapshot.rows_in(self.scope).iter()).filter(|row| row.generation.is_fetched());
        fetched_rows.any(|row| {
            // With a TTL of 0, every listing is stale, so a listing that this query has just checked is accepted.
            let is_just_checked = state.refreshed.is_some()
                && row.checked_ms() >= state.started_ms
                && !sync.is_past_ttl(row.checked_ms(), self.now_ms);
            if is_just_checked {
                sync.is_doubted(row, self.now_ms)
            } else {
                sync.is_stale(row, self.now_ms)
            }
        })
    }
}

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
            let scope = snapshot.scope(call.library)?;
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
            if let Some(target) = query.search_target()
                && !self
                    .reading
                    .ask_matches(&snapshot, scope, target.path().raw(), Some(call.deadline))?
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

impl Queries {
    /// Executes a step on its `targets`. Stores a failure in `state` if plexindex can still answer; otherwise returns
    /// the failure. `target` is the path or folder to search for on the server, and `view_id` the snapshot's view.
    fn execute(
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
                Ok((status, _)) => {
                    let is_listed = |row: LibraryRow| {
                        row.listing_asked() > state.since || row.listed_token() == row.library.change.token
                    };
                    if status == Status::Ok {
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
            Ok((status, report)) => {
                state.unlisted.append(&mut lock(&report.unlisted));
                let has_changed = report.has_changed.load(Ordering::Relaxed);
                state.has_changed |= has_changed;
                // A search must follow for each missing path of the batch.
                if let Some(batch) = call.batch.filter(|_| has_changed) {
                    batch.state().has_changed = true;
                }
                if status == Status::Ok {
                    return Ok(());
                }
                if has_unfetched {
                    state.timeout_status = Some(status);
                } else if report.has_answered() {
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
        let waited = self
            .waited
            .max(call.batch.map_or(Duration::ZERO, |batch| batch.state().waited));
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
            batch.state().waited += time;
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

#[cfg(test)]
#[path = "ask_tests.rs"]
mod tests;
