//! Answers for paths. The server is asked if that is necessary and allowed.

use std::cell::Cell;
use std::time::Instant;

use super::answer::Answer;
use super::explain::{AnswerContext, folder_of};
use super::queries::Queries;
use super::question::{Asked, Look, Question, Seen};
use crate::engine::{LibraryRow, places};
use crate::error::{Error, Result, Status};
use crate::matching::{FirstEntry, MAX_PATH, Normal, Resolution, Resolver, Scope, Spelling, View, tidy};
use crate::model::{Confidence, MatchKind, Reason};
use crate::sync::{Call, EvictionPin, SearchTarget, TICK, Unverified};

/// A query for a path, which was normalised once.
struct PathQuestion<'p> {
    path: &'p Normal<'p>,
    /// The position of the path in the library that is searched first, found by the prefetch and used by the search.
    first: Cell<Option<FirstEntry>>,
}

impl Queries {
    /// Answers from the current snapshot, or returns `then` unused. Never waits for a thread, the server or the
    /// database.
    pub fn match_at_once<R, F>(&self, call: &Call<'_>, path: &[u8], then: F) -> std::result::Result<Result<R>, F>
    where
        F: FnOnce(&Answer<'_>) -> Result<R>,
    {
        let snapshot = self.reading.snapshot();
        let Some(scope) = call.scope(&snapshot).ok().flatten().filter(|_| path.len() <= MAX_PATH) else {
            return Err(then);
        };
        let view = scope.only().map(|index| &snapshot.views[index]);
        let first = |hash, length: usize| view.map(|view| view.first(hash, 2 * length));
        // The form of a path depends on its spelling only: the one stored in a stale segment is right too.
        let known_form = |spelling: &Spelling<'_>, buffer: &mut [u8]| {
            let form = view?.form_of(spelling, first(spelling.hash(), spelling.raw().len())?)?;
            buffer.get_mut(..form.len())?.copy_from_slice(form);
            Some(form.len())
        };
        Normal::with_cached_form(path, known_form, |path| {
            // First of all: loading this memory takes longer than the work up to its use.
            let first = Cell::new(first(path.hash(), path.raw().len()));
            if self.shown.check_path(path.raw()).is_err() {
                return Err(then);
            }
            let question = PathQuestion { path, first };
            self.answer_at_once(call, (&snapshot, scope), &question, then, |then, answer| then(answer))
        })
    }

    /// Answers for one path, with as many steps as necessary. Empty components and `.` are removed, unless the path is
    /// known with them.
    pub fn match_path<R>(
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
            let first = Cell::new(None);
            self.ask(pin, call, &PathQuestion { path, first }, then)
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
        Ok(found.match_kind.is_listed())
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
                call.report_progress()?;
            }
            // After a failure the server is not asked for the other paths.
            let call = Call {
                failure: failed.as_ref().or(call.failure),
                ..*call
            };
            let result = self.match_path(&mut pin, &call, path, |answer| {
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
    fn is_remembered(&self, look: &Look<'_>, outcome: &Resolution<'_>) -> Result<bool> {
        if outcome.match_kind == MatchKind::None || outcome.unverified {
            return Ok(false);
        }
        let (Some(found), Some(identity)) = (outcome.single(), look.snapshot.identity) else {
            return Ok(false);
        };
        let row = &look.snapshot.rows[found.library];
        if row.generation.is_fetched() || row.due || !matches!(outcome.match_kind, MatchKind::Exact | MatchKind::Mapped)
        {
            return Ok(false);
        }
        let sync = &look.queries.sync;
        Ok((look.searched || !sync.has_moved(row))
            && sync.has_recent_hit(identity, row, SearchTarget::Path(self.path))?)
    }

    /// For a path that is not listed: the recorded item and its library's title, if that library does not list the item
    /// either.
    fn recorded_unlisted<'t>(&self, look: &Look<'t>, outcome: &Resolution<'_>) -> Option<(&'t str, &'t str)> {
        if !matches!(
            outcome.match_kind,
            MatchKind::None | MatchKind::Suffix | MatchKind::FileName
        ) {
            return None;
        }
        places(look.scope, look.snapshot.rows.len()).find_map(|index| {
            let view = &look.snapshot.views[index];
            let mut recorded = None;
            view.recorded(self.path, |hit| recorded = Some(view.facts(hit).0));
            let key = recorded.filter(|key| view.find(key).is_none())?;
            Some((key, look.snapshot.rows[index].library.title.as_str()))
        })
    }
}

impl Question for PathQuestion<'_> {
    type Found<'t> = Resolution<'t>;
    const VERIFIES_FIRST: bool = true;

    fn find<'t>(&self, look: &Look<'t>, outcome: &mut Resolution<'t>) -> Result<()> {
        let (mappings, first) = (look.queries.reading.mappings(), self.first.take());
        Resolver::new(&look.snapshot.views, look.scope, mappings).resolve_normal(self.path, first, outcome);
        Ok(())
    }

    fn seen(&self, look: &Look<'_>, outcome: &Resolution<'_>) -> Seen {
        let is_known = outcome.match_kind.is_listed();
        let lost = outcome.broken || look.snapshot.incomplete;
        let is_uncertain = match outcome.match_kind {
            MatchKind::None => true,
            MatchKind::Suffix | MatchKind::FileName => outcome.confidence == Confidence::Low,
            _ => false,
        };
        Seen {
            lost,
            missed: is_uncertain && !outcome.unverified,
            plain: is_known && outcome.total == 1 && !outcome.unverified && !lost,
            exact: is_known || tidy(self.path.raw()).is_none(),
        }
    }

    fn each_found(outcome: &Resolution<'_>, each: &mut dyn FnMut(usize)) {
        outcome.found().iter().for_each(|one| each(one.library));
    }

    /// The libraries with a location above the path.
    fn owners(&self, look: &Look<'_>) -> Vec<bool> {
        look.snapshot.owners(self.path, look.queries.reading.mappings())
    }

    fn unverified(&self, look: &Look<'_>, outcome: &Resolution<'_>) -> Result<Vec<Unverified>> {
        if !outcome.unverified {
            return Ok(Vec::new());
        }
        let snapshot = look.snapshot;
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

    fn target(&self) -> Option<SearchTarget<'_>> {
        Some(SearchTarget::Path(self.path))
    }

    /// A confirmed match never expires.
    fn is_settled(&self, look: &Look<'_>, outcome: &Resolution<'_>) -> Result<bool> {
        Ok(
            (outcome.match_kind == MatchKind::Confirmed && !outcome.unverified && !outcome.is_ambiguous())
                || self.is_remembered(look, outcome)?,
        )
    }

    fn unfetched(&self, look: &Look<'_>, _: &Resolution<'_>) -> Vec<LibraryRow> {
        let is_unfetched = |row: &LibraryRow| !row.generation.is_fetched();
        let rows = look.snapshot.rows_in(look.scope);
        // A search of a local source costs no request, so the first answers always come from searches.
        let sync = &look.queries.sync;
        let is_due = if sync.is_local() {
            look.snapshot.identity.is_some_and(|identity| sync.may_search(identity))
        } else {
            look.call.deadline.is_set()
        };
        if !is_due || !rows.iter().any(is_unfetched) {
            return Vec::new();
        }
        match look.scope {
            Scope::One(_) => rows.to_vec(),
            Scope::All => {
                let owned = look.owned(self.owners(look)).cloned();
                owned.filter(is_unfetched).collect()
            }
        }
    }

    /// `true` for a path outside of all locations, perhaps because its root differs on the server. `false` if the item
    /// is found with high confidence, or if some library is fetched and the server failed recently.
    fn may_be_anywhere(&self, look: &Look<'_>, outcome: &Resolution<'_>) -> bool {
        let rows = &look.snapshot.rows;
        let is_found = outcome.single().is_some() && outcome.confidence == Confidence::High;
        let failed = || look.queries.sync.recent_failure(0).is_some();
        !is_found
            && folder_of(rows, self.path.raw()).is_none()
            && !(rows.iter().any(|row| row.generation.is_fetched()) && failed())
    }

    fn answer<R>(
        &self,
        look: &Look<'_>,
        outcome: &Resolution<'_>,
        asked: Asked,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let (queries, snapshot, path) = (look.queries, look.snapshot, self.path.raw());
        let rows = snapshot.rows_in(look.scope);
        let unfetched = rows.iter().all(|row| !row.generation.is_fetched());
        let status = if outcome.unverified {
            Status::NotFound
        } else if outcome.is_ambiguous() {
            Status::Ambiguous
        } else if outcome.single().is_some() {
            Status::Ok
        } else if let Some(status) = asked.timeout_status {
            status
        } else {
            Status::NotFound
        };
        if unfetched && status != Status::Ok {
            if let Some(error) = asked.failure {
                return Err(error);
            }
            if !rows.is_empty()
                && asked.timeout_status.is_none()
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
        } else if rows.is_empty() && asked.timeout_status == Some(status) {
            // No library is known for it.
            answer.reason = Reason::NotFetched;
        }
        let status = answer.status;
        if status != Status::Ok || answer.reason != Reason::None {
            let context = AnswerContext {
                // Only for a path outside of the queried library's folders.
                owner: (answer.reason == Reason::NoLocation)
                    .then(|| look.owner_elsewhere(self))
                    .flatten(),
                recorded: self.recorded_unlisted(look, outcome),
                identity: snapshot.identity,
            };
            message = queries.explain(&answer, rows, path, &context, asked.failure.as_ref());
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
        answer.set_age(rows, look.now_ms);
        // An item from a search of an unfetched library expires with that search.
        let is_outdated = outcome
            .single()
            .is_some_and(|found| !snapshot.rows[found.library].generation.is_fetched())
            && !self.is_remembered(look, outcome)?;
        answer.stale = outcome.match_kind != MatchKind::Confirmed && (is_outdated || look.has_expired(&asked));
        // The server was asked for an item that is gone, and not yet what its file is now.
        answer.stale |= asked.verified && status == Status::NotFound;
        answer.mark_stale(asked.failure.as_ref(), look.call.deadline.is_set());
        queries.deliver(asked.at_once, &answer, then)
    }
}
