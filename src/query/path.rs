//! From a path to an answer, by way of the server where that is needed and allowed.

use super::answer::Answer;
use super::room::{Queries, QueryState};
use crate::error::{Error, Result, Status};
use crate::freshness::{Need, is_stale, need};
use crate::matching::{Outcome, Scope, climb};
use crate::model::{Reason, Rung};
use crate::reading::{Snapshot, age};
use crate::store::{LibraryRow, Patience};
use crate::sync::{Call, Unverified};

/// How often a query makes images anew that are lost again before it is answered.
const REBUILDS: u32 = 3;

impl Queries {
    /// The answers for many paths, in order, each borrowed by `each` in turn; an error of one path is its answer.
    pub fn match_paths(&self, call: &Call<'_>, paths: &[&[u8]], mut each: impl FnMut(&Answer<'_>)) -> Result<()> {
        let mut failed: Option<Error> = None;
        for (place, path) in paths.iter().enumerate() {
            // A server that failed once is not asked again for each of the others.
            let call = Call {
                offline: call.offline || failed.is_some(),
                ..*call
            };
            let answered = self.match_path(&call, path, |answer| {
                each(answer);
                Ok(())
            });
            match answered {
                Ok(()) => {}
                Err(error) if error.status == Status::Aborted => return Err(error),
                // Nothing could be fetched for the first: that concerns all of them.
                Err(error) if place == 0 && error.status as i32 >= 200 => return Err(error),
                Err(error) => {
                    // What follows a server's failure fails for the same reason.
                    let reason = failed.as_ref().filter(|_| error.status == Status::Offline);
                    each(&Answer::failed(reason.unwrap_or(&error)));
                    if error.status as i32 >= Status::Store as i32 {
                        failed.get_or_insert(error);
                    }
                }
            }
        }
        Ok(())
    }

    pub fn match_path<R>(
        &self,
        call: &Call<'_>,
        path: &[u8],
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        self.shown.check_path(path)?;
        let _held = Patience::now().until(call.until).hold();
        let mut state = self.begin()?;
        loop {
            self.reading.catch_up()?;
            let snapshot = self.reading.snapshot();
            let Some(scope) = self.scope(call, &snapshot, &mut state)? else {
                drop(snapshot);
                self.ask_for_libraries(call, &mut state)?;
                continue;
            };
            let outcome = climb(&snapshot.views, scope, self.reading.mappings(), path);
            let lost = outcome.broken || snapshot.incomplete;
            if lost && state.rebuilt == REBUILDS {
                return Err(Error::new(
                    Status::Store,
                    "an image is missing or damaged, and as often as it is made anew: see the log, and look for who \
                     removes or overwrites files in cache_dir",
                ));
            }
            if lost || state.rebuilt == 0 && self.reading.images_are_due() {
                state.rebuilt += 1;
                drop(snapshot);
                self.reading.rebuild_broken()?;
                continue;
            }
            if outcome.unverified && !state.confirmed && self.sync.may_ask(call) {
                state.confirmed = true;
                // What the server says of the item is news enough: whether its file became another item, the next
                // query about it asks.
                (state.looked, state.questioned) = (true, true);
                let unverified: Vec<Unverified> = outcome
                    .found()
                    .iter()
                    .filter(|found| snapshot.is_suspect(found.library, path, found.path, found.item.rating_key))
                    .map(|found| Unverified {
                        row: snapshot.rows[found.library].clone(),
                        rating_key: found.item.rating_key.to_owned(),
                        paths: vec![path.to_vec(), found.path.to_vec()],
                    })
                    .collect();
                drop(snapshot);
                if let Err(error) = self.sync.verify(call, &unverified) {
                    self.back_off_after(&mut state, error)?;
                }
                continue;
            }
            // A confirmed match has no expiry: it needs nobody.
            let settled = (outcome.rung == Rung::Confirmed && !outcome.unverified && !outcome.is_ambiguous())
                || self.is_remembered(&snapshot, &outcome, path)?;
            if !settled
                && !state.questioned_cold
                && let Some(identity) = self.may_question(call, &snapshot, &state)
            {
                state.questioned_cold = true;
                let cold = self.cold(call, &snapshot, scope, path);
                if !cold.is_empty() && self.sync.back_off().last(0).is_none() {
                    drop(snapshot);
                    let failure = self.sync.find_path(call, identity, &cold, path, true)?;
                    self.note_failure(&mut state, failure)?;
                    continue;
                }
            }
            if !settled && state.refreshed != Some(snapshot.identity.unwrap_or_default()) && self.sync.may_ask(call) {
                let stale = self.stale(&snapshot, scope, path);
                if !stale.is_empty() {
                    let cold = stale.iter().any(|row| !row.generation.is_fetched());
                    // Another server may answer: then its libraries are wanted next.
                    state.refreshed = Some(snapshot.identity.unwrap_or_default());
                    drop(snapshot);
                    self.freshen(call, &stale, cold, &mut state)?;
                    continue;
                }
            }
            if !settled
                && !state.questioned
                && let Some(identity) = self.may_question(call, &snapshot, &state)
                && state.late.is_none()
            {
                let owners_without_it = self.owners_without_it(&snapshot, scope, &outcome, path);
                if !owners_without_it.is_empty() && self.sync.back_off().last(0).is_none() {
                    drop(snapshot);
                    if state.looked {
                        state.questioned = true;
                        let failure = self.sync.find_path(call, identity, &owners_without_it, path, false)?;
                        self.note_failure(&mut state, failure)?;
                    } else {
                        state.looked = true;
                        let failure = self.sync.look(call, identity, &owners_without_it, state.since)?;
                        self.note_failure(&mut state, failure)?;
                    }
                    continue;
                }
            }
            return self.conclude(&snapshot, scope, &outcome, path, state, then);
        }
    }

    /// Libraries that this query needs and that are not fresh.
    fn stale(&self, snapshot: &Snapshot, scope: Scope, path: &[u8]) -> Vec<LibraryRow> {
        let now = self.clock.now_ms();
        let fresh = |row: &LibraryRow| need(&age(row), &self.policy, now) == Need::Nothing;
        // What most calls are; allocates nothing.
        if snapshot.asked(scope).iter().all(fresh) {
            return Vec::new();
        }
        let asked: Vec<usize> = match scope {
            Scope::One(place) => vec![place],
            // Those that can own the path, and those that were fetched before: a library that cannot own it is not
            // fetched for it.
            Scope::All => snapshot
                .owners(path, self.reading.mappings())
                .into_iter()
                .enumerate()
                .filter(|(place, owns)| *owns || snapshot.rows[*place].generation.is_fetched())
                .map(|(place, _)| place)
                .collect(),
        };
        asked
            .into_iter()
            .filter_map(|place| snapshot.rows.get(place))
            .filter(|row| !fresh(row))
            .cloned()
            .collect()
    }

    fn conclude<R>(
        &self,
        snapshot: &Snapshot,
        scope: Scope,
        outcome: &Outcome<'_>,
        path: &[u8],
        state: QueryState,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let rows = snapshot.asked(scope);
        let unfetched = rows.iter().all(|row| !row.generation.is_fetched());
        let status = if outcome.unverified {
            Status::NotFound
        } else if outcome.is_ambiguous() {
            Status::Ambiguous
        } else if outcome.single().is_some() {
            Status::Ok
        } else if let Some(late) = state.late {
            late
        } else {
            Status::NotFound
        };
        if unfetched && status != Status::Ok {
            if let Some(error) = state.failure {
                return Err(error);
            }
            if !rows.is_empty() && state.late.is_none() && !self.sync.has_source() && status == Status::NotFound {
                log::debug!("nothing was fetched, and nobody may be asked");
            }
        }
        let mut answer = Answer::of(outcome, &snapshot.rows, status);
        let message;
        if outcome.unverified {
            answer.reason = Reason::Unconfirmed;
        }
        if status != Status::Ok || answer.reason != Reason::None {
            message = self.explain(&answer, rows, path, state.failure.as_ref());
            answer.message = &message;
        }
        log::debug!(
            "'{}': {}, rung {}",
            self.shown.path(path),
            status.name(),
            outcome.rung.name()
        );
        if matches!(outcome.rung, Rung::Suffix | Rung::FileName)
            && status == Status::Ok
            && outcome.reason != Reason::Contradicted
            && let Some(found) = outcome.single()
        {
            self.samples.saw(path, found.path);
        }
        let now = self.clock.now_ms();
        let fetched = || rows.iter().filter(|row| row.generation.is_fetched());
        answer.age_ms = fetched().map(|row| now - row.checked_ms).max();
        let stale = |row: &LibraryRow| {
            // 'At once' asks for each query; this one did.
            let seen = state.refreshed.is_some() && row.checked_ms >= state.begun_ms;
            is_stale(&age(row), &self.policy, now) && (!seen || row.held_back || row.due)
        };
        // What a query found a while ago for a library that was never fetched has an age too.
        let old = outcome
            .single()
            .is_some_and(|found| !snapshot.rows[found.library].generation.is_fetched())
            && !self.is_remembered(snapshot, outcome, path)?;
        answer.stale = outcome.rung != Rung::Confirmed && (old || fetched().any(stale));
        self.hand_over(&answer, then)
    }
}
