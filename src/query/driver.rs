//! The loop of every query: read the snapshot, plan the next step, execute it, until there is an answer.

use super::answer::Answer;
use super::planner::{Facts, KnownLibraries, ListStep, QueryState, QueryStep};
use super::queries::Queries;
use crate::engine::{EvictionPin, LibraryRow, Snapshot, nothing_known};
use crate::error::{Error, Meaning, Result, Status};
use crate::freshness::is_stale;
use crate::matching::Scope;
use crate::model::{Generation, IdentityId};
use crate::platform::swap::Guard;
use crate::sync::{
    BACK_OFF_MS, BACK_OFF_NOT_FETCHED_MS, Call, RefreshReason, RequestCounts, SHORTLY, Syncing, Unverified,
};

/// The snapshot and the facts that one turn of a query reads.
pub struct Turn<'t> {
    pub queries: &'t Queries,
    pub call: &'t Call<'t>,
    pub snapshot: &'t Snapshot,
    pub scope: Scope,
    /// When the snapshot was taken, Unix ms.
    pub now_ms: i64,
}

/// A query: by path, folder, GUID or title.
pub trait Question {
    /// The result of one turn.
    type Found<'t>: Default;
    /// See [`Facts::verifies_first`].
    const VERIFIES_FIRST: bool;

    /// Tells the source what is searched next, before it is asked for its libraries.
    fn announce(&self, _: &Syncing) {}
    /// Prefetches memory of the library that is searched next.
    fn prefetch(&self, _: &Snapshot, _index: usize) {}
    /// Returns whether the question is valid.
    fn is_valid(&self, _: &Queries) -> bool {
        true
    }
    /// Searches the snapshot, and fills in `found`, which may be large.
    fn find<'t>(&self, turn: &Turn<'t>, found: &mut Self::Found<'t>) -> Result<()>;
    /// If the query names no library: passes the indexes of the libraries that it concerns to `each`.
    fn each_library(&self, turn: &Turn<'_>, found: &Self::Found<'_>, each: &mut dyn FnMut(usize));
    /// Returns whether a library was removed from the store after the snapshot, so that items may be missing.
    fn was_evicted(&self, _: &Self::Found<'_>) -> bool {
        false // segments do not change while they are read
    }
    /// Returns whether a segment that this question needs is missing or damaged.
    fn is_lost(&self, _: &Turn<'_>, _: &Self::Found<'_>) -> bool {
        false
    }
    /// Returns the items of the result that were invalidated.
    fn unverified(&self, turn: &Turn<'_>, found: &Self::Found<'_>) -> Result<Vec<Unverified>>;
    /// Returns whether the result is final even if the library is stale. `searched`: the server was just searched.
    fn is_settled(&self, _: &Turn<'_>, _: &Self::Found<'_>, _searched: bool) -> Result<bool> {
        Ok(false)
    }
    /// Returns whether a hit that was found without the store is enough. If not, the full query runs.
    fn is_exact_hit(&self, _: &Self::Found<'_>) -> bool {
        true
    }
    /// Returns whether the result is final unless its library is stale. So only [`Facts::stale`] is
    /// left to check.
    fn is_plain(&self, _: &Turn<'_>, _: &Self::Found<'_>) -> bool {
        false
    }
    /// The unfetched libraries that may have the item, to be searched if the caller lacks the time to fetch them.
    fn unfetched(&self, _: &Turn<'_>, _: &Self::Found<'_>) -> Vec<LibraryRow> {
        Vec::new()
    }
    /// Libraries that the question needs and that are not fresh.
    fn stale(&self, turn: &Turn<'_>, found: &Self::Found<'_>) -> Vec<LibraryRow>;
    /// Libraries that should list the item but do not: it may be new.
    fn missing(&self, turn: &Turn<'_>, found: &Self::Found<'_>) -> Vec<LibraryRow>;
    /// Searches these libraries on the server. Returns the server's error, if any. `unfetched`: none was ever fetched.
    fn search(
        &self,
        _: &Syncing,
        _: &Call<'_>,
        _: IdentityId,
        _libraries: &[LibraryRow],
        _unfetched: bool,
    ) -> Result<Option<Error>> {
        Ok(None)
    }
    /// Passes the answer to `then`.
    fn answer<R>(
        &self,
        turn: &Turn<'_>,
        found: &Self::Found<'_>,
        state: QueryState,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R>;
}

/// The facts of one turn, computed when the planner reads them.
pub struct TurnFacts<'k, 't, Q: Question> {
    pub turn: &'k Turn<'t>,
    pub question: &'k Q,
    pub found: &'k Q::Found<'t>,
}

impl<Q: Question> TurnFacts<'_, '_, Q> {
    /// Passes the indexes of the libraries that the query concerns to `each`.
    pub fn each_library(&self, each: &mut dyn FnMut(usize)) {
        match self.turn.scope {
            Scope::One(index) => each(index),
            Scope::All => self.question.each_library(self.turn, self.found, each),
        }
    }

    /// The libraries that a step concerns.
    fn libraries_of(&self, step: QueryStep) -> Vec<LibraryRow> {
        match step {
            QueryStep::SearchUnfetched(_) => self.question.unfetched(self.turn, self.found),
            QueryStep::Refresh => self.question.stale(self.turn, self.found),
            QueryStep::Probe(_) | QueryStep::Search(_) => self.question.missing(self.turn, self.found),
            QueryStep::Rebuild | QueryStep::GiveUp | QueryStep::Verify | QueryStep::Answer => Vec::new(),
        }
    }

    /// The invalidated items that a step concerns.
    fn items_of(&self, step: QueryStep) -> Result<Vec<Unverified>> {
        match step {
            QueryStep::Verify => self.question.unverified(self.turn, self.found),
            _ => Ok(Vec::new()),
        }
    }

    /// Keeps the libraries of the query, and those that a step fetches, from being evicted.
    fn pin_for_fetch(&self, pin: &mut EvictionPin<'_>, fetched: &[LibraryRow]) {
        let rows = &self.turn.snapshot.rows;
        self.each_library(&mut |index| pin.pin(rows[index].id));
        for row in fetched {
            pin.pin(row.id);
        }
    }

    /// Returns whether a library was removed from the store during the query, so that the answer would lack its items.
    fn was_evicted(&self, state: &QueryState) -> bool {
        let mut is_evicted = self.question.was_evicted(self.found);
        if state.was_refreshed() {
            let rows = &self.turn.snapshot.rows;
            self.each_library(&mut |index| is_evicted |= rows[index].generation < Generation::default());
        }
        is_evicted
    }
}

impl<Q: Question> Facts for TurnFacts<'_, '_, Q> {
    fn may_ask(&self) -> bool {
        self.turn.queries.sync.may_ask(self.turn.call)
    }

    fn identity(&self) -> Option<IdentityId> {
        self.turn.snapshot.identity
    }

    fn lost(&self) -> bool {
        self.question.is_lost(self.turn, self.found)
    }

    fn verifies_first(&self) -> bool {
        Q::VERIFIES_FIRST
    }

    fn unverified(&self) -> Result<bool> {
        Ok(!self.items_of(QueryStep::Verify)?.is_empty())
    }

    fn settled(&self, searched: bool) -> Result<bool> {
        self.question.is_settled(self.turn, self.found, searched)
    }

    fn unfetched(&self) -> bool {
        // Not after a recent failure: the refresh step reports that.
        !self.question.unfetched(self.turn, self.found).is_empty() && self.turn.queries.sync.recent_failure(0).is_none()
    }

    fn stale(&self) -> bool {
        !self.libraries_of(QueryStep::Refresh).is_empty()
    }

    fn missing(&self) -> bool {
        // A local source that has not changed has no items beyond the listing.
        !self.turn.queries.sync.is_local() && !self.question.missing(self.turn, self.found).is_empty()
    }
}

impl Queries {
    /// Answers a question, with as many steps as necessary.
    pub fn answer<Q: Question, R>(
        &self,
        call: &Call<'_>,
        question: &Q,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        self.answer_among(&mut self.reading.eviction_pin(), call, question, then)
    }

    /// Answers a question. `pin` keeps the libraries that it reads from being evicted.
    pub fn answer_among<Q: Question, R>(
        &self,
        pin: &mut EvictionPin<'_>,
        call: &Call<'_>,
        question: &Q,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let (mut snapshot, mut now_ms) = self.read_snapshot(call)?;
        let mut state = QueryState::new(snapshot.sequence(), now_ms);
        loop {
            let Some(scope) = self.find_scope(call, &snapshot, &mut state)? else {
                drop(snapshot);
                question.announce(&self.sync);
                self.fetch_libraries(call, &mut state)?;
                (snapshot, now_ms) = self.read_snapshot(call)?;
                continue;
            };
            let turn = Turn {
                queries: self,
                call,
                snapshot: &snapshot,
                scope,
                now_ms,
            };
            let mut found = Q::Found::default();
            question.find(&turn, &mut found)?;
            let facts = TurnFacts {
                turn: &turn,
                question,
                found: &found,
            };
            let step = state.next(&facts)?;
            if step == QueryStep::Answer && !(facts.was_evicted(&state) && state.restart()) {
                return question.answer(&turn, &found, state, then);
            }
            let (libraries, unverified) = (facts.libraries_of(step), facts.items_of(step)?);
            if step != QueryStep::Answer {
                facts.pin_for_fetch(pin, &libraries);
            }
            drop(found); // it borrows from the snapshot
            drop(snapshot); // others may replace it while this waits for the server
            self.execute(step, call, question, &libraries, &unverified, &mut state)?;
            (snapshot, now_ms) = self.read_snapshot(call)?;
        }
    }

    /// The libraries of a call in this snapshot; `None` if they must be requested from the server first.
    fn find_scope(&self, call: &Call<'_>, snapshot: &Snapshot, state: &mut QueryState) -> Result<Option<Scope>> {
        let (scope, others) = (call.scope(snapshot)?, !snapshot.rows.is_empty());
        let libraries = match scope {
            Some(Scope::All) if !others => KnownLibraries::None,
            Some(_) => KnownLibraries::Known,
            None => KnownLibraries::Unknown { others },
        };
        match state.list_step(libraries, self.sync.may_ask(call)) {
            ListStep::GoOn => Ok(Some(scope.unwrap_or(Scope::All))),
            ListStep::Ask => Ok(None),
            ListStep::Refuse => Err(self.unknown_library(call, snapshot, state.failure.take())),
        }
    }

    /// Brings the snapshot up to date. Returns it with the time, which is read once per turn.
    fn read_snapshot(&self, call: &Call<'_>) -> Result<(Guard<'_, Snapshot>, i64)> {
        self.reading.catch_up(call.deadline)?;
        let snapshot = self.reading.snapshot();
        self.sync.check_view(call, &snapshot)?;
        Ok((snapshot, self.clock.now_ms()))
    }

    /// Returns whether an answer from a fetched library must be marked as stale, given the steps of the query.
    pub fn has_expired(&self, state: &QueryState, row: &LibraryRow, now_ms: i64) -> bool {
        if state.fresh {
            return false;
        }
        // With a time to live of 0 each query refreshes, and this one did. A check in the future was stored before the
        // clock was set back.
        let seen = state.refreshed.is_some() && (state.begun_ms..=now_ms).contains(&row.checked_ms);
        is_stale(&self.sync.age(row), &self.policy, now_ms) && (!seen || row.held_back || row.due)
    }

    /// Executes a step of the plan. A failure that still allows an answer is stored in `state`.
    fn execute<Q: Question>(
        &self,
        step: QueryStep,
        call: &Call<'_>,
        question: &Q,
        libraries: &[LibraryRow],
        unverified: &[Unverified],
        state: &mut QueryState,
    ) -> Result<()> {
        let requests = self.sync.request_counts();
        let failure = match step {
            QueryStep::Answer => None,
            QueryStep::GiveUp => return Err(segments_lost()),
            QueryStep::Rebuild => return self.reading.rebuild_broken(call.deadline),
            QueryStep::Verify => self.sync.verify(call, unverified).err(),
            QueryStep::SearchUnfetched(identity) => question
                .search(&self.sync, call, identity, libraries, true)?
                // After a timeout the next step fetches the listing, as far as time is left.
                .filter(|error| error.status != Status::Timeout),
            QueryStep::Refresh => return self.refresh(call, libraries, requests, state),
            QueryStep::Probe(identity) | QueryStep::Search(identity) => {
                state.failure = self.sync.recent_failure_for_path();
                if state.failure.is_some() {
                    return Ok(());
                }
                let failed = match step {
                    QueryStep::Probe(_) => self.sync.probe_for_path(call, identity, libraries, state.since)?,
                    _ => question.search(&self.sync, call, identity, libraries, false)?,
                };
                if failed.is_none() {
                    // The server is also left alone if it recently failed for another call.
                    state.failure = self.sync.failed_for_path(identity, libraries)?;
                }
                failed
            }
        };
        failure.map_or(Ok(()), |error| self.back_off_after(call, state, error, requests))
    }

    /// Returns the error for a library that is unknown, or for a store without libraries.
    fn unknown_library(&self, call: &Call<'_>, snapshot: &Snapshot, failure: Option<Error>) -> Error {
        match (failure, call.library) {
            (Some(error), _) => error,
            (None, Some(library)) if !snapshot.rows.is_empty() || self.sync.may_ask(call) => {
                library.unknown(snapshot, &self.reading)
            }
            (None, library) => nothing_known(library, &self.reading),
        }
    }

    /// Requests the libraries from the server. A failure ends the call if the call names a library.
    fn fetch_libraries(&self, call: &Call<'_>, state: &mut QueryState) -> Result<()> {
        match self.sync.probe(call, state.since) {
            Ok(()) => Ok(()),
            Err(error) if error.status == Status::Timeout && call.deadline.is_set() => {
                state.timeout_status = Some(Status::NeedsWarm);
                Ok(())
            }
            Err(error)
                if call.library.is_none()
                    && error.status != Status::Aborted
                    && !self.sync.renews_after(call, &error) =>
            {
                state.failure = Some(error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Refreshes libraries for a query, unless the server failed recently.
    fn refresh(
        &self,
        call: &Call<'_>,
        libraries: &[LibraryRow],
        requests: RequestCounts,
        state: &mut QueryState,
    ) -> Result<()> {
        let unfetched = libraries.iter().any(|row| !row.generation.is_fetched());
        // The pause after a failure is shorter if no old listing can answer.
        if let Some(error) = self.sync.recent_failure(if unfetched {
            BACK_OFF_MS - BACK_OFF_NOT_FETCHED_MS
        } else {
            0
        }) && (!unfetched || error.status.meaning() == Meaning::NotNow)
        {
            state.failure = Some(error);
            return Ok(());
        }
        // If an old listing can answer, the call waits only briefly to store a new one.
        let mut update = *call;
        if !unfetched {
            update.deadline = call.deadline.at_most(SHORTLY);
        }
        match self.sync.update(&update, libraries, state.since, RefreshReason::Due) {
            Ok(Status::Ok) => Ok(()),
            Ok(status) => {
                if status == Status::NeedsWarm && !unfetched {
                    let text = format!("{} did not answer within the deadline", self.reading.kind().noun);
                    return self.back_off_after(call, state, Error::new(Status::Timeout, text), requests);
                }
                state.timeout_status = Some(status);
                Ok(())
            }
            Err(error) => self.back_off_after(call, state, error, requests),
        }
    }

    /// Stores an error for the answer, or returns it if it ends the call. Errors of the store and the server do not
    /// end it, since a listed item can still be returned. `requests`: the counts before the step that failed.
    fn back_off_after(
        &self,
        call: &Call<'_>,
        state: &mut QueryState,
        error: Error,
        requests: RequestCounts,
    ) -> Result<()> {
        if self.sync.renews_after(call, &error) {
            if call.renews {
                self.sync.back_off().begin(&error); // other calls do not wait for the new token
            }
            return Err(error);
        }
        if error.status.is_of_caller() {
            return Err(error);
        }
        if call.failure.is_none() && !self.sync.was_not_asked(&error, requests) {
            self.sync.back_off().begin(&error);
        }
        state.failure = Some(error);
        Ok(())
    }
}

/// The error for segments that are damaged again after each rebuild.
pub(super) fn segments_lost() -> Error {
    Error::new(
        Status::Store,
        "a segment is missing or damaged after each repair: see the log, and look for the program that removes or \
         overwrites files in cache_dir",
    )
}
