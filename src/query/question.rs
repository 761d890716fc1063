//! The trait of a question, which [`Queries::ask`] answers: for a path, a folder, a GUID or a title.

use super::answer::Answer;
use super::queries::Queries;
use crate::engine::{LibraryRow, Snapshot, places};
use crate::error::{Error, Result, Status};
use crate::freshness::{Need, is_stale, need};
use crate::matching::Scope;
use crate::model::{Generation, IdentityId, Sequence};
use crate::sync::{Call, SearchTarget, Unverified};

/// The snapshot that a question searches, and the call that asks.
pub struct QueryContext<'t> {
    pub queries: &'t Queries,
    pub call: &'t Call<'t>,
    pub snapshot: &'t Snapshot,
    pub scope: Scope,
    /// When the snapshot was read, Unix ms.
    pub now_ms: i64,
    /// Whether this call has searched the server for items of never-fetched libraries.
    pub searched: bool,
}

/// A query for the item at a path or folder, or for the items with a GUID or title.
pub trait Question {
    /// The result of a search of the snapshot.
    type Found<'t>: Default;
    /// Whether to verify invalidated items before refreshing libraries. True for a path, since verifying its item takes
    /// only one request.
    const VERIFIES_FIRST: bool;

    /// Searches the snapshot and fills in `found`, since moving a large result takes long.
    fn find<'t>(&self, context: &QueryContext<'t>, found: &mut Self::Found<'t>) -> Result<()>;
    /// Judges the result by facts that need no reads of the store.
    fn assess(&self, context: &QueryContext<'_>, found: &Self::Found<'_>) -> Assessment;
    /// Passes the indexes of the libraries with items of the result to `each`.
    fn each_found_library(found: &Self::Found<'_>, each: &mut dyn FnMut(usize));
    /// Returns, for each library of the snapshot, whether the library should list the item because one of its locations
    /// contains the path.
    fn owners(&self, context: &QueryContext<'_>) -> Vec<bool>;
    /// Returns the items of the result that were invalidated and not verified since.
    fn unverified_items(&self, context: &QueryContext<'_>, found: &Self::Found<'_>) -> Result<Vec<Unverified>>;
    /// Builds the answer from the result and the steps taken, and passes it to `then`.
    fn answer<R>(
        &self,
        context: &QueryContext<'_>,
        found: &Self::Found<'_>,
        state: QueryState,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R>;

    /// Returns the path or folder to search for on the server; `None` if the server cannot search for the item.
    fn search_target(&self) -> Option<SearchTarget<'_>> {
        None
    }
    /// Returns the unfetched libraries to search on the server, if the call lacks the time to fetch them.
    fn unfetched_to_search(&self, _: &QueryContext<'_>, _: &Self::Found<'_>) -> Vec<LibraryRow> {
        Vec::new()
    }
    /// Returns whether a refresh could not change the result, as for a confirmed match. The call then does not refresh
    /// a stale library.
    fn is_final(&self, _: &QueryContext<'_>, _: &Self::Found<'_>) -> Result<bool> {
        Ok(false)
    }
    /// Returns whether any unfetched library may have the item, although no library owns it.
    fn may_be_anywhere(&self, _: &QueryContext<'_>, _: &Self::Found<'_>) -> bool {
        false
    }
}

/// Facts about a result that need no reads of the store.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // independent facts
pub struct Assessment {
    /// A segment that the question needs is missing or damaged.
    pub needs_rebuild: bool,
    /// The libraries that should list the item do not list it.
    pub is_missing: bool,
    /// The result is final if the library is fresh.
    pub is_final_if_fresh: bool,
    /// The result is final although the search did not read the store.
    pub is_final_without_store: bool,
}

/// A step towards the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Rebuild missing or damaged segments.
    Rebuild,
    /// Verify the invalidated items of the result.
    Verify,
    /// Search unfetched libraries on the server.
    SearchUnfetched,
    /// Refresh stale libraries.
    Refresh,
    /// Probe libraries that should list the item but do not.
    Probe,
    /// Search these libraries on the server.
    Search,
    /// Answer from the current snapshot.
    Answer,
}

/// Facts that decide on the next step and need no reads of the store.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepConditions {
    pub may_ask: bool,
    /// The view of the snapshot.
    pub identity: Option<IdentityId>,
    /// See [`Assessment::needs_rebuild`].
    pub needs_rebuild: bool,
    /// See [`Question::VERIFIES_FIRST`].
    pub verifies_first: bool,
}

/// The steps that were taken for a question, and their results.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // each is a step that is taken once
pub struct QueryState {
    /// The change sequence when the question began. Replies of the server that were stored later are fresh enough.
    pub since: Sequence,
    /// When the question began, Unix ms.
    pub begun_ms: i64,
    /// The status to report if the deadline passed.
    pub timeout_status: Option<Status>,
    /// The error of a request that failed.
    pub failure: Option<Error>,
    /// The call must not wait: the answer comes from memory, without any step.
    pub at_once: bool,
    /// All libraries of the question are fresh, so the answer is not stale.
    pub fresh: bool,
    /// The step [`Step::Verify`] was taken.
    pub verified: bool,
    /// The view whose libraries were refreshed last; id 0 if no view was known then.
    pub refreshed: Option<IdentityId>,
    pub refreshes: u32,
    pub restarts: u32,
    pub rebuilt: u32,
    pub fetched_libraries: bool,
    pub searched_unfetched: bool,
    pub probed: bool,
    pub searched: bool,
}

/// The libraries or items that a step refreshes, searches or verifies.
#[derive(Default)]
pub struct StepTargets {
    pub libraries: Vec<LibraryRow>,
    pub items: Vec<Unverified>,
}

impl<'t> QueryContext<'t> {
    /// Collects the facts that decide on the next step.
    pub fn conditions<Q: Question>(&self, assessment: Assessment) -> StepConditions {
        StepConditions {
            may_ask: self.queries.sync.may_ask(self.call),
            identity: self.snapshot.identity,
            needs_rebuild: assessment.needs_rebuild,
            verifies_first: Q::VERIFIES_FIRST,
        }
    }

    /// Returns whether a step is due, and fills in its targets. For [`Step::Answer`], returns whether the result is
    /// final even if the libraries are stale.
    pub fn is_due<Q: Question>(
        &self,
        question: &Q,
        found: &Q::Found<'_>,
        assessment: Assessment,
        step: Step,
        targets: &mut StepTargets,
    ) -> Result<bool> {
        let sync = &self.queries.sync;
        targets.libraries = match step {
            Step::Rebuild | Step::Answer => return question.is_final(self, found),
            Step::Verify => {
                targets.items = question.unverified_items(self, found)?;
                return Ok(!targets.items.is_empty());
            }
            Step::SearchUnfetched => question.unfetched_to_search(self, found),
            Step::Refresh => self.stale_libraries(question, found),
            // A local source needs no search: if it changed, a refresh has read all changes.
            Step::Probe | Step::Search if sync.is_local() || !assessment.is_missing => Vec::new(),
            Step::Probe | Step::Search => {
                let owned = self.libraries_where(question.owners(self)).cloned();
                owned.filter(|row| row.generation.is_fetched()).collect()
            }
        };
        // After a recent failure, the call skips the search; the refresh reports the failure.
        Ok(!(targets.libraries.is_empty() || step == Step::SearchUnfetched && sync.recent_failure(0).is_some()))
    }

    /// Passes the indexes of the question's libraries to `each`: the library in scope, or else the libraries with items
    /// of the result, or else the owners of the item.
    pub fn each_library<Q: Question>(&self, question: &Q, found: &Q::Found<'_>, each: &mut dyn FnMut(usize)) {
        if let Scope::One(index) = self.scope {
            return each(index);
        }
        let mut is_found = false;
        Q::each_found_library(found, &mut |index| {
            is_found = true;
            each(index);
        });
        if !is_found {
            let owns = question.owners(self);
            (0..owns.len()).filter(|index| owns[*index]).for_each(each);
        }
    }

    /// Returns the libraries in scope for whose index `selected` is true.
    pub fn libraries_where(&self, selected: Vec<bool>) -> impl Iterator<Item = &LibraryRow> {
        let rows = &self.snapshot.rows;
        places(self.scope, rows.len())
            .filter(move |index| selected[*index])
            .map(|index| &rows[index])
    }

    /// Returns the libraries of the question that are due for a refresh.
    fn stale_libraries<Q: Question>(&self, question: &Q, found: &Q::Found<'_>) -> Vec<LibraryRow> {
        let (queries, rows) = (self.queries, &self.snapshot.rows);
        let is_fresh = |row: &LibraryRow| need(&queries.sync.age(row), &queries.policy, self.now_ms) == Need::Nothing;
        // Fast path for most questions, without an allocation.
        if self.snapshot.rows_in(self.scope).iter().all(is_fresh) {
            return Vec::new();
        }
        if let Scope::One(index) = self.scope {
            return vec![rows[index].clone()];
        }
        // Owners and fetched libraries count. Other libraries count only if the item has no owner.
        let owns = question.owners(self);
        let may_be_anywhere = !owns.contains(&true) && question.may_be_anywhere(self, found);
        let targets = rows.iter().zip(owns).filter(|(row, owns)| {
            *owns || row.generation.is_fetched() || may_be_anywhere && !queries.reading.is_evicted(row)
        });
        targets
            .map(|(row, _)| row)
            .filter(|row| !is_fresh(row))
            .cloned()
            .collect()
    }

    /// Returns whether a library of the question was evicted after its refresh, so that the answer would lack its
    /// items.
    pub fn was_evicted<Q: Question>(&self, question: &Q, found: &Q::Found<'_>, state: &QueryState) -> bool {
        let mut is_evicted = false;
        if state.refreshed.is_some() && state.failure.is_none() && state.timeout_status.is_none() {
            let rows = &self.snapshot.rows;
            self.each_library(question, found, &mut |index| {
                is_evicted |= rows[index].generation < Generation::default();
            });
        }
        is_evicted
    }

    /// Returns the title of a library outside of the question's scope that should list the item, for the message.
    pub fn owner_elsewhere<Q: Question>(&self, question: &Q) -> Option<&'t str> {
        let Scope::One(_) = self.scope else { return None };
        let index = question.owners(self).iter().position(|owns| *owns)?;
        Some(self.snapshot.rows[index].library.title.as_str())
    }

    /// Returns whether a listing in scope has expired, so that the answer is stale.
    pub fn has_expired(&self, state: &QueryState) -> bool {
        if state.fresh {
            return false;
        }
        let (sync, policy) = (&self.queries.sync, &self.queries.policy);
        let mut fetched_rows = (self.snapshot.rows_in(self.scope).iter()).filter(|row| row.generation.is_fetched());
        fetched_rows.any(|row| {
            // With a TTL of 0 every listing is stale, but this query has just checked it. A check in the future was
            // stored before the clock was set back.
            let is_just_checked = state.refreshed.is_some() && (state.begun_ms..=self.now_ms).contains(&row.checked_ms);
            is_stale(&sync.age(row), policy, self.now_ms) && (!is_just_checked || row.held_back || row.due)
        })
    }
}
