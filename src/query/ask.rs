//! How every question is answered: know the libraries → look → repair, verify, search, refresh → look again → answer.
//!
//! [`Queries::ask`] is the loop, and [`Asked::next`] the order of the steps. Each step is taken only once, so every
//! question ends with an answer or an error. Random walks in the tests check that.

use super::answer::Answer;
use super::queries::Queries;
use super::question::{Asked, Concerned, Facts, Look, Question, Seen, Step};
use crate::engine::{LibraryRow, Snapshot};
use crate::error::{Error, Meaning, Result, Status};
use crate::freshness::is_stale;
use crate::matching::Scope;
use crate::model::{IdentityId, Sequence};
use crate::platform::swap::Guard;
use crate::sync::{
    BACK_OFF_MS, BACK_OFF_NOT_FETCHED_MS, Call, EvictionPin, RefreshReason, RequestCounts, SHORTLY, SearchTarget,
    segments_lost,
};

/// Attempts to rebuild segments for one question.
const MAX_REBUILDS: u32 = 3;
/// Maximum number of refreshes for one question. A second one happens only if another server answers at the URL.
const MAX_REFRESHES: u32 = 3;
/// Maximum number of restarts of one question because its libraries were evicted.
const MAX_RESTARTS: u32 = 8;

/// How to go on before the library is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListStep {
    /// Continue with the known libraries.
    GoOn,
    /// Fetch the libraries of the server.
    Ask,
    /// Return an error: the library does not exist as far as is known, or nothing is known.
    Refuse,
}

impl Queries {
    /// Answers a question, with as many steps as necessary. `pin` keeps the libraries that it reads from being evicted.
    pub fn ask<Q: Question, R>(
        &self,
        pin: &mut EvictionPin<'_>,
        call: &Call<'_>,
        question: &Q,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let (mut snapshot, mut now_ms) = self.read_snapshot(call)?;
        let mut asked = Asked::new(snapshot.sequence(), now_ms);
        loop {
            let scope = call.scope(&snapshot)?;
            match asked.list_step(scope, !snapshot.rows.is_empty(), self.sync.may_ask(call)) {
                ListStep::GoOn => {}
                ListStep::Refuse => return Err(self.unknown_library(call, &snapshot, asked.failure)),
                ListStep::Ask => {
                    drop(snapshot);
                    if let Some(SearchTarget::Path(path)) = question.target() {
                        self.sync.expect_path(path);
                    }
                    self.fetch_libraries(call, &mut asked)?;
                    (snapshot, now_ms) = self.read_snapshot(call)?;
                    continue;
                }
            }
            let look = Look {
                queries: self,
                call,
                snapshot: &snapshot,
                scope: scope.unwrap_or(Scope::All),
                now_ms,
                searched: asked.searched_unfetched,
            };
            let mut found = Q::Found::default();
            question.find(&look, &mut found)?;
            let seen = question.seen(&look, &found);
            let mut concerned = Concerned::default();
            let step = asked.next(&look.facts::<Q>(seen), |step| {
                look.is_due(question, &found, seen, step, &mut concerned)
            })?;
            if step != Step::Answer {
                // What is read or fetched next must not be evicted.
                look.each_library(question, &found, &mut |index| pin.pin(snapshot.rows[index].id));
                concerned.libraries.iter().for_each(|row| pin.pin(row.id));
            } else if !(look.was_evicted(question, &found, &asked) && asked.restart()) {
                return question.answer(&look, &found, asked, then);
            }
            let identity = snapshot.identity.unwrap_or_default();
            drop(found); // it borrows from the snapshot
            drop(snapshot); // others may replace it while this waits for the server
            self.take(step, call, (question.target(), identity), &concerned, &mut asked)?;
            (snapshot, now_ms) = self.read_snapshot(call)?;
        }
    }

    /// Answers from this snapshot if no step is due and nothing has to be written. `give` passes the answer to `then`,
    /// which is returned unused otherwise. The question must not read the store.
    pub fn answer_at_once<Q: Question, R, F>(
        &self,
        call: &Call<'_>,
        (snapshot, scope): (&Snapshot, Scope),
        question: &Q,
        then: F,
        give: impl FnOnce(F, &Answer<'_>) -> Result<R>,
    ) -> std::result::Result<Result<R>, F> {
        let (rows, only) = (&snapshot.rows, scope.only());
        let can_answer = |index: usize, now_ms| rows[index].generation.is_fetched() && rows[index].checked_ms <= now_ms;
        // Without a single library: which ones the answer concerns is known when it is found.
        let is_usable = |now_ms| match only {
            Some(index) => can_answer(index, now_ms),
            None => rows.iter().all(|row| row.checked_ms <= now_ms),
        };
        // Times stored in the last few milliseconds may be later than the coarse clock.
        let usable_at = |now_ms| (self.reading.is_settled(snapshot) && is_usable(now_ms)).then_some(now_ms);
        let Some(now_ms) = usable_at(self.clock.coarse_now_ms()).or_else(|| usable_at(self.clock.now_ms())) else {
            return Err(then);
        };
        let is_fresh = || only.is_some_and(|index| !is_stale(&self.sync.age(&rows[index]), &self.policy, now_ms));
        // A local source is checked for changes only if the result depends on it.
        let known_fresh = (!self.sync.is_local()).then(is_fresh);
        let look = Look {
            queries: self,
            call,
            snapshot,
            scope,
            now_ms,
            searched: false,
        };
        let mut found = Q::Found::default();
        if question.find(&look, &mut found).is_err() {
            return Err(then);
        }
        if only.is_none() {
            // `None`: it concerns no library, so the libraries may not be known yet.
            let mut can_all = None;
            look.each_library(question, &found, &mut |index| {
                can_all = Some(can_all.unwrap_or(true) && can_answer(index, now_ms));
            });
            if can_all != Some(true) {
                return Err(then);
            }
        }
        let mut asked = Asked {
            at_once: true,
            ..Asked::new(snapshot.sequence(), now_ms)
        };
        let seen = question.seen(&look, &found);
        // The usual case. The steps would show that none is due too, but that takes longer.
        asked.fresh = seen.plain && known_fresh.unwrap_or_else(is_fresh);
        if !asked.fresh && !look.needs_no_step(question, &found, seen, &mut asked) {
            return Err(then);
        }
        Ok(question.answer(&look, &found, asked, |answer| give(then, answer)))
    }

    /// Brings the snapshot up to date. Returns it with the time, which is read once per look.
    fn read_snapshot(&self, call: &Call<'_>) -> Result<(Guard<'_, Snapshot>, i64)> {
        self.reading.catch_up(call.deadline)?;
        let snapshot = self.reading.snapshot();
        self.sync.check_view(call, &snapshot)?;
        Ok((snapshot, self.clock.now_ms()))
    }

    /// Takes a step. A failure that still allows an answer is stored in `asked`.
    fn take(
        &self,
        step: Step,
        call: &Call<'_>,
        (target, identity): (Option<SearchTarget<'_>>, IdentityId),
        concerned: &Concerned,
        asked: &mut Asked,
    ) -> Result<()> {
        let (sync, libraries, requests) = (&self.sync, &concerned.libraries, self.sync.request_counts());
        let search = |unfetched| match target {
            Some(target) => sync.search(call, identity, libraries, target, unfetched),
            None => Ok(None),
        };
        let failure = match step {
            Step::Answer => None,
            Step::Rebuild => return self.reading.rebuild_broken(call.deadline),
            Step::Verify => sync.verify(call, &concerned.items).err(),
            // After a timeout the next step fetches the listing, as far as time is left.
            Step::SearchUnfetched => search(true)?.filter(|error| error.status != Status::Timeout),
            Step::Refresh => return self.refresh(call, libraries, requests, asked),
            Step::Probe | Step::Search => {
                asked.failure = sync.recent_failure_for_path();
                if asked.failure.is_some() {
                    return Ok(());
                }
                let failed = match step {
                    Step::Probe => sync.probe_for_path(call, identity, libraries, asked.since)?,
                    _ => search(false)?,
                };
                if failed.is_none() {
                    // The server is also left alone if it recently failed for another call.
                    asked.failure = sync.failed_for_path(identity, libraries)?;
                }
                failed
            }
        };
        failure.map_or(Ok(()), |error| self.back_off_after(call, asked, error, requests))
    }

    /// Refreshes libraries for a query, unless the server failed recently.
    fn refresh(
        &self,
        call: &Call<'_>,
        libraries: &[LibraryRow],
        requests: RequestCounts,
        asked: &mut Asked,
    ) -> Result<()> {
        let unfetched = libraries.iter().any(|row| !row.generation.is_fetched());
        // The pause after a failure is shorter if no old listing can answer.
        if let Some(error) = self.sync.recent_failure(if unfetched {
            BACK_OFF_MS - BACK_OFF_NOT_FETCHED_MS
        } else {
            0
        }) && (!unfetched || error.status.meaning() == Meaning::NotNow)
        {
            asked.failure = Some(error);
            return Ok(());
        }
        // If an old listing can answer, the call waits only briefly to store a new one.
        let mut update = *call;
        if !unfetched {
            update.deadline = call.deadline.at_most(SHORTLY);
        }
        match self.sync.update(&update, libraries, asked.since, RefreshReason::Due) {
            Ok(Status::Ok) => Ok(()),
            Ok(status) => {
                if status == Status::NeedsWarm && !unfetched {
                    let text = format!("{} did not answer within the deadline", self.reading.kind().noun);
                    return self.back_off_after(call, asked, Error::new(Status::Timeout, text), requests);
                }
                asked.timeout_status = Some(status);
                Ok(())
            }
            Err(error) => self.back_off_after(call, asked, error, requests),
        }
    }

    /// Stores an error for the answer, or returns it if it ends the call. Errors of the store and the server do not
    /// end it, since a listed item can still be returned. `requests`: the counts before the step that failed.
    fn back_off_after(&self, call: &Call<'_>, asked: &mut Asked, error: Error, requests: RequestCounts) -> Result<()> {
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
        asked.failure = Some(error);
        Ok(())
    }
}

impl Look<'_> {
    /// Returns whether no step is due, and a hit without the store is enough.
    #[inline(never)]
    fn needs_no_step<Q: Question>(&self, question: &Q, found: &Q::Found<'_>, seen: Seen, asked: &mut Asked) -> bool {
        let mut concerned = Concerned::default();
        let is_due = |step| self.is_due(question, found, seen, step, &mut concerned);
        seen.exact && matches!(asked.next(&self.facts::<Q>(seen), is_due), Ok(Step::Answer))
    }
}

impl Asked {
    pub fn new(since: Sequence, begun_ms: i64) -> Self {
        Self {
            since,
            begun_ms,
            ..Self::default()
        }
    }

    /// Before anything is looked up: whether the libraries must be requested. `scope`: those of the question, if they
    /// are known; `any`: some library is.
    pub fn list_step(&mut self, scope: Option<Scope>, any: bool, may_ask: bool) -> ListStep {
        match scope {
            Some(Scope::One(_)) => ListStep::GoOn,
            Some(Scope::All) if any => ListStep::GoOn,
            // There is no library to search; the answer will say why.
            None if !any && self.timeout_status.is_some() => ListStep::GoOn,
            _ if may_ask && !self.listed_libraries => {
                self.listed_libraries = true;
                ListStep::Ask
            }
            // The server shows none, or failed: the answer will say so.
            Some(Scope::All) if self.listed_libraries => ListStep::GoOn,
            Some(Scope::All) | None => ListStep::Refuse,
        }
    }

    /// The next step, which is recorded as taken. `is_due` returns whether a step is due; for [`Step::Answer`] whether
    /// the result is final even if the library is stale. It is called only where that matters: it may read the store.
    ///
    /// # Errors
    /// Errors of `is_due`; [`Status::Store`] if segments are lost after every rebuild.
    pub fn next(&mut self, facts: &Facts, mut is_due: impl FnMut(Step) -> Result<bool>) -> Result<Step> {
        if facts.lost {
            self.rebuilt += 1;
            return if self.rebuilt > MAX_REBUILDS {
                Err(segments_lost())
            } else {
                Ok(Step::Rebuild)
            };
        }
        if facts.verifies_first && self.verifies(facts, &mut is_due)? {
            return Ok(Step::Verify);
        }
        if facts.may_ask && !is_due(Step::Answer)? {
            // No further searches after a failure.
            let may_search = facts.identity.is_some() && self.failure.is_none();
            if !self.searched_unfetched && may_search && is_due(Step::SearchUnfetched)? {
                self.searched_unfetched = true;
                return Ok(Step::SearchUnfetched);
            }
            let identity = facts.identity.unwrap_or_default();
            if self.refreshed != Some(identity) && self.refreshes < MAX_REFRESHES && is_due(Step::Refresh)? {
                self.refreshed = Some(identity);
                self.refreshes += 1;
                return Ok(Step::Refresh);
            }
            if !self.searched && self.timeout_status.is_none() && may_search && is_due(Step::Probe)? {
                self.searched = std::mem::replace(&mut self.probed, true);
                return Ok(if self.searched { Step::Search } else { Step::Probe });
            }
        }
        if !facts.verifies_first && self.failure.is_none() && self.verifies(facts, &mut is_due)? {
            return Ok(Step::Verify);
        }
        Ok(Step::Answer)
    }

    fn verifies(&mut self, facts: &Facts, is_due: &mut impl FnMut(Step) -> Result<bool>) -> Result<bool> {
        if self.verified || !facts.may_ask || !is_due(Step::Verify)? {
            return Ok(false);
        }
        // The server's reply about the item is enough: the next question checks whether its file became another item.
        (self.verified, self.probed, self.searched) = (true, true, true);
        Ok(true)
    }

    /// Starts again after libraries were evicted meanwhile, so that they may be refreshed once more. Returns `false`
    /// after too many restarts: the host has to retry.
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
