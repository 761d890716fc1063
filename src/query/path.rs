//! Answers for paths. The server is asked if that is necessary and allowed.

use std::cell::Cell;
use std::time::Instant;

use super::answer::Answer;
use super::driver::{Question, Turn};
use super::explain::{AnswerContext, folder_of};
use super::planner::QueryState;
use super::queries::Queries;
use crate::engine::{EvictionPin, LibraryRow, Snapshot, places};
use crate::error::{Error, Result, Status};
use crate::freshness::{Need, need};
use crate::matching::{FirstEntry, MAX_PATH, Normal, Resolution, Resolver, Scope, Spelling, View, tidy};
use crate::model::{Confidence, IdentityId, MatchKind, Reason};
use crate::sync::{Call, SearchTarget, Syncing, TICK, Unverified};

/// A query for a path, which was normalised once.
struct PathQuestion<'p> {
    path: &'p Normal<'p>,
    /// The position of the path in the library that is searched first, found by the prefetch and used by the search.
    first: Cell<Option<FirstEntry>>,
}

impl<'p> PathQuestion<'p> {
    fn new(path: &'p Normal<'p>) -> Self {
        Self {
            path,
            first: Cell::new(None),
        }
    }
}

impl Queries {
    pub fn match_path<R>(
        &self,
        call: &Call<'_>,
        path: &[u8],
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        self.match_among(&mut self.reading.eviction_pin(), call, path, then)
    }

    /// Answers from the current snapshot, or returns `then` unused. Never waits for a thread, the server or the
    /// database.
    pub fn match_at_once<R, F>(&self, call: &Call<'_>, path: &[u8], then: F) -> std::result::Result<Result<R>, F>
    where
        F: FnOnce(&Answer<'_>) -> Result<R>,
    {
        if path.len() > MAX_PATH {
            return Err(then);
        }
        Normal::with_cached_form(
            path,
            |spelling, buffer| self.known_form(call, spelling, buffer),
            |path| self.answer_at_once(call, &PathQuestion::new(path), then, |then, answer| then(answer)),
        )
    }

    /// Copies the normal form of a path from the segment that lists this spelling, and returns its length. A stale
    /// segment serves as well: the form depends on the spelling only.
    fn known_form(&self, call: &Call<'_>, spelling: &Spelling<'_>, buffer: &mut [u8]) -> Option<usize> {
        let snapshot = self.reading.snapshot();
        let Ok(Some(Scope::One(index))) = call.scope(&snapshot) else {
            return None;
        };
        let view = snapshot.views.get(index)?;
        let form = view.form_of(spelling, view.first(spelling.hash(), 2 * spelling.raw().len()))?;
        buffer.get_mut(..form.len())?.copy_from_slice(form);
        Some(form.len())
    }

    /// Answers for one path. Empty components and `.` are removed, unless the path is known with them.
    fn match_among<R>(
        &self,
        pin: &mut EvictionPin<'_>,
        call: &Call<'_>,
        path: &[u8],
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        self.shown.check_path(path)?;
        let tidied = tidy(path);
        let path = match &tidied {
            Some(tidied) if !self.is_listed_as_spelled(call, path)? => tidied,
            _ => path,
        };
        Normal::with(path, |path| {
            self.answer_among(pin, call, &PathQuestion::new(path), then)
        })
    }

    /// Returns whether this spelling of a path is recorded or listed, byte for byte.
    fn is_listed_as_spelled(&self, call: &Call<'_>, path: &[u8]) -> Result<bool> {
        self.reading.catch_up(call.deadline)?;
        let snapshot = self.reading.snapshot();
        let Some(scope) = call.scope(&snapshot)? else {
            return Ok(false);
        };
        let found = Resolver::new(&snapshot.views, scope, self.reading.mappings()).resolve(path);
        Ok(is_known(&found))
    }

    /// Answers for many paths, in order, each passed to `each`. An error that concerns one path becomes its answer.
    pub fn match_paths(&self, call: &Call<'_>, paths: &[&[u8]], mut each: impl FnMut(&Answer<'_>)) -> Result<()> {
        let mut pin = self.reading.eviction_pin();
        let mut failed: Option<Error> = None;
        // With a deadline of zero no request is sent, and the store answers.
        let had_time = !call.deadline.has_passed();
        let mut told = Instant::now();
        for (position, path) in paths.iter().enumerate() {
            if had_time && position > 0 && call.deadline.has_passed() {
                let why = "the deadline passed before this path was looked up: allow more time, or give fewer paths";
                each(&Answer::failed(self.reading.kind(), &Error::new(Status::NotYet, why)));
                continue;
            }
            if told.elapsed() >= TICK {
                told = Instant::now();
                call.tell_progress()?;
            }
            // After a failure the server is not asked for the other paths.
            let call = Call {
                failure: failed.as_ref().or(call.failure),
                ..*call
            };
            let result = self.match_among(&mut pin, &call, path, |answer| {
                each(answer);
                Ok(())
            });
            match result {
                Ok(()) => {}
                Err(error) if error.status == Status::Aborted || self.sync.renews_after(&call, &error) => {
                    return Err(error);
                }
                // An error of the source for the first path concerns all of them.
                Err(error) if position == 0 && !error.status.is_of_caller() => return Err(error),
                Err(error) => {
                    each(&Answer::failed(self.reading.kind(), &error));
                    if !error.status.is_of_caller() {
                        failed.get_or_insert(error);
                    }
                }
            }
        }
        Ok(())
    }
}

impl PathQuestion<'_> {
    /// Returns whether a recent path search gives the answer for an unfetched library.
    fn is_remembered(&self, turn: &Turn<'_>, outcome: &Resolution<'_>, searched: bool) -> Result<bool> {
        if outcome.match_kind == MatchKind::None || outcome.unverified {
            return Ok(false);
        }
        let (Some(found), Some(identity)) = (outcome.single(), turn.snapshot.identity) else {
            return Ok(false);
        };
        let row = &turn.snapshot.rows[found.library];
        if row.generation.is_fetched() || row.due || !matches!(outcome.match_kind, MatchKind::Exact | MatchKind::Mapped)
        {
            return Ok(false);
        }
        let sync = &turn.queries.sync;
        Ok((searched || !sync.has_moved(row)) && sync.remembers(identity, row, SearchTarget::Path(self.path))?)
    }

    /// For a path outside of the queried library's folders: the title of another library that has it in one of its
    /// folders.
    fn owner_elsewhere<'t>(&self, turn: &Turn<'t>, reason: Reason) -> Option<&'t str> {
        let Scope::One(_) = turn.scope else { return None };
        if reason != Reason::NoLocation {
            return None;
        }
        let owns = turn.snapshot.owners(self.path, turn.queries.reading.mappings());
        let index = owns.iter().position(|owns| *owns)?;
        Some(turn.snapshot.rows[index].library.title.as_str())
    }

    /// For a path that is not listed: the recorded item and its library's title, if that library does not list the item
    /// either.
    fn recorded_unlisted<'t>(&self, turn: &Turn<'t>, outcome: &Resolution<'_>) -> Option<(&'t str, &'t str)> {
        if !matches!(
            outcome.match_kind,
            MatchKind::None | MatchKind::Suffix | MatchKind::FileName
        ) {
            return None;
        }
        places(turn.scope, turn.snapshot.rows.len()).find_map(|index| {
            let view = &turn.snapshot.views[index];
            let mut recorded = None;
            view.recorded(self.path, |hit| recorded = Some(view.facts(hit).0));
            let key = recorded.filter(|key| view.find(key).is_none())?;
            Some((key, turn.snapshot.rows[index].library.title.as_str()))
        })
    }

    /// Returns whether to fetch unfetched libraries for this path: it is outside all locations, perhaps because its
    /// root differs on the server. `false` if the item is found with high confidence, or if some library is fetched
    /// and the server failed recently.
    fn may_be_anywhere(&self, turn: &Turn<'_>, outcome: &Resolution<'_>) -> bool {
        let rows = &turn.snapshot.rows;
        let is_found = outcome.single().is_some() && outcome.confidence == Confidence::High;
        let failed = || turn.queries.sync.recent_failure(0).is_some();
        !is_found
            && folder_of(rows, self.path.raw()).is_none()
            && !(rows.iter().any(|row| row.generation.is_fetched()) && failed())
    }

    /// Returns the libraries in scope that have a location above the path.
    fn owners(&self, turn: &Turn<'_>) -> Vec<LibraryRow> {
        let owns = turn.snapshot.owners(self.path, turn.queries.reading.mappings());
        places(turn.scope, turn.snapshot.rows.len())
            .filter(|index| owns[*index])
            .map(|index| turn.snapshot.rows[index].clone())
            .collect()
    }
}

impl Question for PathQuestion<'_> {
    type Found<'t> = Resolution<'t>;
    const VERIFIES_FIRST: bool = true;

    fn announce(&self, sync: &Syncing) {
        sync.expect_path(self.path);
    }

    fn prefetch(&self, snapshot: &Snapshot, index: usize) {
        self.first.set(Some(
            snapshot.views[index].first(self.path.hash(), 2 * self.path.raw().len()),
        ));
    }

    fn is_valid(&self, queries: &Queries) -> bool {
        queries.shown.check_path(self.path.raw()).is_ok()
    }

    fn find<'t>(&self, turn: &Turn<'t>, outcome: &mut Resolution<'t>) -> Result<()> {
        let (mappings, first) = (turn.queries.reading.mappings(), self.first.take());
        Resolver::new(&turn.snapshot.views, turn.scope, mappings).resolve_normal(self.path, first, outcome);
        Ok(())
    }

    /// The libraries that have the path; if none has it, those with a location above it.
    fn each_library(&self, turn: &Turn<'_>, outcome: &Resolution<'_>, each: &mut dyn FnMut(usize)) {
        let found = outcome.found();
        for one in found {
            each(one.library);
        }
        if found.is_empty() {
            let owns = turn.snapshot.owners(self.path, turn.queries.reading.mappings());
            (0..owns.len()).filter(|index| owns[*index]).for_each(each);
        }
    }

    fn is_lost(&self, turn: &Turn<'_>, outcome: &Resolution<'_>) -> bool {
        outcome.broken || turn.snapshot.incomplete
    }

    fn unverified(&self, turn: &Turn<'_>, outcome: &Resolution<'_>) -> Result<Vec<Unverified>> {
        if !outcome.unverified {
            return Ok(Vec::new());
        }
        let snapshot = turn.snapshot;
        let found = outcome.found().iter();
        Ok(found
            .filter(|found| snapshot.is_unverified(found.library, self.path, found.path, found.item.rating_key))
            .map(|found| Unverified {
                row: snapshot.rows[found.library].clone(),
                rating_key: found.item.rating_key.to_owned(),
                paths: vec![self.path.raw().to_vec(), found.path.to_vec()],
            })
            .collect())
    }

    fn is_settled(&self, turn: &Turn<'_>, outcome: &Resolution<'_>, searched: bool) -> Result<bool> {
        // A confirmed match never expires.
        Ok(
            (outcome.match_kind == MatchKind::Confirmed && !outcome.unverified && !outcome.is_ambiguous())
                || self.is_remembered(turn, outcome, searched)?,
        )
    }

    fn is_exact_hit(&self, outcome: &Resolution<'_>) -> bool {
        is_known(outcome) || tidy(self.path.raw()).is_none()
    }

    fn is_plain(&self, turn: &Turn<'_>, outcome: &Resolution<'_>) -> bool {
        is_known(outcome) && outcome.total == 1 && !outcome.unverified && !self.is_lost(turn, outcome)
    }

    fn unfetched(&self, turn: &Turn<'_>, _: &Resolution<'_>) -> Vec<LibraryRow> {
        let is_unfetched = |row: &LibraryRow| !row.generation.is_fetched();
        let rows = turn.snapshot.rows_in(turn.scope);
        // A search of a local source costs no request, so the first answers always come from searches.
        let sync = &turn.queries.sync;
        let is_due = if sync.is_local() {
            turn.snapshot.identity.is_some_and(|identity| sync.may_search(identity))
        } else {
            turn.call.deadline.is_set()
        };
        if !is_due || !rows.iter().any(is_unfetched) {
            return Vec::new();
        }
        match turn.scope {
            Scope::One(_) => rows.to_vec(),
            Scope::All => self.owners(turn).into_iter().filter(is_unfetched).collect(),
        }
    }

    fn stale(&self, turn: &Turn<'_>, outcome: &Resolution<'_>) -> Vec<LibraryRow> {
        let (queries, snapshot) = (turn.queries, turn.snapshot);
        let fresh = |row: &LibraryRow| need(&queries.sync.age(row), &queries.policy, turn.now_ms) == Need::Nothing;
        // The common case first, without an allocation.
        if snapshot.rows_in(turn.scope).iter().all(fresh) {
            return Vec::new();
        }
        let concerned: Vec<usize> = match turn.scope {
            Scope::One(index) => vec![index],
            // Libraries with a location above the path, and fetched ones. All others only if the path is outside of
            // all locations.
            Scope::All => {
                let owns = snapshot.owners(self.path, queries.reading.mappings());
                let may_be_anywhere = !owns.contains(&true) && self.may_be_anywhere(turn, outcome);
                owns.into_iter()
                    .enumerate()
                    .filter(|(index, owns)| {
                        let row = &snapshot.rows[*index];
                        *owns || row.generation.is_fetched() || may_be_anywhere && !queries.reading.is_evicted(row)
                    })
                    .map(|(index, _)| index)
                    .collect()
            }
        };
        concerned
            .into_iter()
            .filter_map(|index| snapshot.rows.get(index))
            .filter(|row| !fresh(row))
            .cloned()
            .collect()
    }

    fn missing(&self, turn: &Turn<'_>, outcome: &Resolution<'_>) -> Vec<LibraryRow> {
        let is_missed = match outcome.match_kind {
            MatchKind::None => true,
            MatchKind::Suffix | MatchKind::FileName => outcome.confidence == Confidence::Low,
            _ => false,
        };
        if !is_missed || outcome.unverified {
            return Vec::new();
        }
        let mut owners = self.owners(turn);
        owners.retain(|row| row.generation.is_fetched());
        owners
    }

    fn search(
        &self,
        sync: &Syncing,
        call: &Call<'_>,
        identity: IdentityId,
        libraries: &[LibraryRow],
        unfetched: bool,
    ) -> Result<Option<Error>> {
        sync.search(call, identity, libraries, SearchTarget::Path(self.path), unfetched)
    }

    fn answer<R>(
        &self,
        turn: &Turn<'_>,
        outcome: &Resolution<'_>,
        state: QueryState,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let (queries, snapshot, path) = (turn.queries, turn.snapshot, self.path.raw());
        let rows = snapshot.rows_in(turn.scope);
        let unfetched = rows.iter().all(|row| !row.generation.is_fetched());
        let status = if outcome.unverified {
            Status::NotFound
        } else if outcome.is_ambiguous() {
            Status::Ambiguous
        } else if outcome.single().is_some() {
            Status::Ok
        } else if let Some(status) = state.timeout_status {
            status
        } else {
            Status::NotFound
        };
        if unfetched && status != Status::Ok {
            if let Some(error) = state.failure {
                return Err(error);
            }
            if !rows.is_empty()
                && state.timeout_status.is_none()
                && !queries.sync.has_source()
                && status == Status::NotFound
            {
                log::debug!("nothing was fetched, and this call may not ask a server");
            }
        }
        let mut answer = Answer::of(queries.reading.kind(), outcome, &snapshot.rows, status);
        let message;
        if outcome.unverified {
            (answer.reason, answer.confidence) = (Reason::Unconfirmed, Confidence::Low);
        } else if rows.is_empty() && state.timeout_status == Some(status) {
            // No library is known for it.
            answer.reason = Reason::NotFetched;
        }
        let status = answer.status;
        if status != Status::Ok || answer.reason != Reason::None {
            let context = AnswerContext {
                owner: self.owner_elsewhere(turn, answer.reason),
                recorded: self.recorded_unlisted(turn, outcome),
                identity: snapshot.identity,
            };
            message = queries.explain(&answer, rows, path, &context, state.failure.as_ref());
            answer.message = &message;
        }
        log::debug!(
            "'{}': {}, match kind {}",
            queries.shown.path(path),
            status.name(),
            outcome.match_kind.name()
        );
        // A suffix match may show a missing mapping. Not for a bare file name, which has no folders, and not for a path
        // in a library's folder, which needs no mapping.
        if outcome.match_kind == MatchKind::Suffix
            && status == Status::Ok
            && !matches!(outcome.reason, Reason::Contradicted | Reason::NotListed)
            && let Some(found) = outcome.single()
        {
            queries.samples.add(snapshot.identity, path, found.path);
        }
        let now = turn.now_ms;
        answer.set_age(rows, now);
        let fetched = || rows.iter().filter(|row| row.generation.is_fetched());
        // An item from a search of an unfetched library expires with that search.
        let is_outdated = outcome
            .single()
            .is_some_and(|found| !snapshot.rows[found.library].generation.is_fetched())
            && !self.is_remembered(turn, outcome, state.has_searched())?;
        answer.stale = outcome.match_kind != MatchKind::Confirmed
            && (is_outdated || fetched().any(|row| queries.has_expired(&state, row, now)));
        // The server was asked for an item that is gone, and not yet what its file is now.
        answer.stale |= state.has_verified() && status == Status::NotFound;
        answer.mark_stale(state.failure.as_ref(), turn.call.deadline.is_set());
        queries.deliver(&state, &answer, then)
    }
}

/// Returns whether the path itself is recorded or listed.
fn is_known(outcome: &Resolution<'_>) -> bool {
    outcome.match_kind.is_listed()
}
