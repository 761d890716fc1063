//! Answers that wait for nothing: neither for a request nor for another thread or the store.

use super::answer::Answer;
use super::driver::{Question, Turn, TurnFacts};
use super::planner::{QueryState, QueryStep};
use super::queries::Queries;
use crate::engine::Snapshot;
use crate::error::Result;
use crate::freshness::is_stale;
use crate::sync::Call;

/// Returns whether a library of a settled snapshot can answer without a write to the store.
#[inline]
fn can_answer(snapshot: &Snapshot, index: usize, now_ms: i64) -> bool {
    snapshot.rows[index].generation.is_fetched() && snapshot.rows[index].checked_ms <= now_ms
}

impl Queries {
    /// Answers if the plan's first step is [`QueryStep::Answer`] and nothing has to be written. `give` passes the
    /// answer to `then`. Returns `then` unused if another step comes first. The question must not read the store.
    pub fn answer_at_once<Q: Question, R, F>(
        &self,
        call: &Call<'_>,
        question: &Q,
        then: F,
        give: impl FnOnce(F, &Answer<'_>) -> Result<R>,
    ) -> std::result::Result<Result<R>, F> {
        let snapshot = self.reading.snapshot();
        let Ok(Some(scope)) = call.scope(&snapshot) else {
            return Err(then);
        };
        let only = scope.only();
        if let Some(index) = only {
            // First of all: loading this memory takes longer than the work up to its use.
            question.prefetch(&snapshot, index);
        }
        if !question.is_valid(self) {
            return Err(then);
        }
        // Without a single library: which ones the answer concerns is known when it is found.
        let is_usable = |now_ms| match only {
            Some(index) => can_answer(&snapshot, index, now_ms),
            None => snapshot.rows.iter().all(|row| row.checked_ms <= now_ms),
        };
        // Times stored in the last few milliseconds may be later than the coarse clock.
        let usable_at = |now_ms| (self.reading.is_settled(&snapshot) && is_usable(now_ms)).then_some(now_ms);
        let Some(now_ms) = usable_at(self.clock.coarse_now_ms()).or_else(|| usable_at(self.clock.now_ms())) else {
            return Err(then);
        };
        let is_fresh = || {
            let is_stale = |index: usize| is_stale(&self.sync.age(&snapshot.rows[index]), &self.policy, now_ms);
            only.is_some_and(|index| !is_stale(index))
        };
        // A local source is checked for changes only if the result depends on it.
        let known_fresh = (!self.sync.is_local()).then(is_fresh);
        let turn = Turn {
            queries: self,
            call,
            snapshot: &snapshot,
            scope,
            now_ms,
        };
        let mut found = Q::Found::default();
        if question.find(&turn, &mut found).is_err() {
            return Err(then);
        }
        let facts = TurnFacts {
            turn: &turn,
            question,
            found: &found,
        };
        if only.is_none() {
            // `None`: it concerns no library, so the libraries may not be known yet.
            let mut can_all = None;
            facts.each_library(&mut |index| {
                can_all = Some(can_all.unwrap_or(true) && can_answer(&snapshot, index, now_ms));
            });
            if can_all != Some(true) {
                return Err(then);
            }
        }
        let mut state = QueryState::new(snapshot.sequence(), now_ms);
        state.at_once = true;
        // The usual case. The planner would find that no step is needed too, but takes longer.
        state.fresh = question.is_plain(&turn, &found) && known_fresh.unwrap_or_else(is_fresh);
        if !state.fresh && !Self::needs_no_step(&facts, &mut state) {
            return Err(then);
        }
        Ok(question.answer(&turn, &found, state, |answer| give(then, answer)))
    }

    /// Returns whether the plan's first step is the answer, and a fast lookup's hit is enough.
    #[inline(never)]
    fn needs_no_step<Q: Question>(facts: &TurnFacts<'_, '_, Q>, state: &mut QueryState) -> bool {
        matches!(state.next(facts), Ok(QueryStep::Answer)) && facts.question.is_exact_hit(facts.found)
    }
}
