//! What a question is, and what one look at a snapshot shows of it.

use super::answer::Answer;
use super::queries::Queries;
use crate::engine::{LibraryRow, Snapshot, places};
use crate::error::{Error, Result, Status};
use crate::freshness::{Need, is_stale, need};
use crate::matching::Scope;
use crate::model::{Generation, IdentityId, Sequence};
use crate::sync::{Call, SearchTarget, Unverified};

/// One look at a snapshot.
pub struct Look<'t> {
    pub queries: &'t Queries,
    pub call: &'t Call<'t>,
    pub snapshot: &'t Snapshot,
    pub scope: Scope,
    /// When the snapshot was taken, Unix ms.
    pub now_ms: i64,
    /// The server was just searched in libraries that were never fetched.
    pub searched: bool,
}

/// What differs between questions by path, folder, GUID and title.
pub trait Question {
    /// What one look finds.
    type Found<'t>: Default;
    /// Whether invalidated items are verified before libraries are refreshed. True for a path, where it is one item
    /// and one request.
    const VERIFIES_FIRST: bool;

    /// Searches the snapshot, and fills in `found`, which may be large.
    fn find<'t>(&self, look: &Look<'t>, found: &mut Self::Found<'t>) -> Result<()>;
    /// What is cheap to say of the result.
    fn seen(&self, look: &Look<'_>, found: &Self::Found<'_>) -> Seen;
    /// Passes the libraries of the result to `each`.
    fn each_found(found: &Self::Found<'_>, each: &mut dyn FnMut(usize));
    /// For each library of the snapshot, whether the item should be in it.
    fn owners(&self, look: &Look<'_>) -> Vec<bool>;
    /// Returns the items of the result that were invalidated.
    fn unverified(&self, look: &Look<'_>, found: &Self::Found<'_>) -> Result<Vec<Unverified>>;
    /// Passes the answer to `then`.
    fn answer<R>(
        &self,
        look: &Look<'_>,
        found: &Self::Found<'_>,
        asked: Asked,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R>;

    /// What can be searched on the server.
    fn target(&self) -> Option<SearchTarget<'_>> {
        None
    }
    /// The unfetched libraries to be searched, if the caller lacks the time to fetch them.
    fn unfetched(&self, _: &Look<'_>, _: &Self::Found<'_>) -> Vec<LibraryRow> {
        Vec::new()
    }
    /// Returns whether the result is final even if the library is stale.
    fn is_settled(&self, _: &Look<'_>, _: &Self::Found<'_>) -> Result<bool> {
        Ok(false)
    }
    /// Without owners: returns whether unfetched libraries may have the item all the same.
    fn may_be_anywhere(&self, _: &Look<'_>, _: &Self::Found<'_>) -> bool {
        false
    }
}

/// What one look shows at once.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // independent facts
pub struct Seen {
    /// A segment that the question needs is missing or damaged.
    pub lost: bool,
    /// Its owners should list the item, but do not.
    pub missed: bool,
    /// The result is final unless its library is stale.
    pub plain: bool,
    /// A hit that was found without the store is enough. If not, the full question is asked.
    pub exact: bool,
}

/// The next step.
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
    /// Answer from this look.
    Answer,
}

/// What decides on the next step and costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    pub may_ask: bool,
    /// The view that answers.
    pub identity: Option<IdentityId>,
    /// See [`Seen::lost`].
    pub lost: bool,
    /// See [`Question::VERIFIES_FIRST`].
    pub verifies_first: bool,
}

/// What was done for a question so far, and what came of it.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // each is a step that is taken once
pub struct Asked {
    /// The change sequence when the question began: newer replies of the server are current enough.
    pub since: Sequence,
    /// When the question began, Unix ms.
    pub begun_ms: i64,
    /// The status to report because the deadline passed, if it did.
    pub timeout_status: Option<Status>,
    /// The error of a request that failed.
    pub failure: Option<Error>,
    /// The question must be answered from memory, without any step.
    pub at_once: bool,
    /// All libraries of the question are fresh, so the answer is not stale.
    pub fresh: bool,
    /// The server was asked for items that were invalidated.
    pub verified: bool,
    /// The view whose libraries were refreshed last; id 0 if no view was known yet.
    pub refreshed: Option<IdentityId>,
    pub refreshes: u32,
    pub restarts: u32,
    pub rebuilt: u32,
    pub listed_libraries: bool,
    pub searched_unfetched: bool,
    pub probed: bool,
    pub searched: bool,
}

/// The libraries or items that a step is about.
#[derive(Default)]
pub struct Concerned {
    pub libraries: Vec<LibraryRow>,
    pub items: Vec<Unverified>,
}

impl<'t> Look<'t> {
    pub fn facts<Q: Question>(&self, seen: Seen) -> Facts {
        Facts {
            may_ask: self.queries.sync.may_ask(self.call),
            identity: self.snapshot.identity,
            lost: seen.lost,
            verifies_first: Q::VERIFIES_FIRST,
        }
    }

    /// Returns whether a step is due, and fills in what it is about. For [`Step::Answer`]: whether the result is final.
    pub fn is_due<Q: Question>(
        &self,
        question: &Q,
        found: &Q::Found<'_>,
        seen: Seen,
        step: Step,
        concerned: &mut Concerned,
    ) -> Result<bool> {
        let sync = &self.queries.sync;
        concerned.libraries = match step {
            Step::Rebuild | Step::Answer => return question.is_settled(self, found),
            Step::Verify => {
                concerned.items = question.unverified(self, found)?;
                return Ok(!concerned.items.is_empty());
            }
            Step::SearchUnfetched => question.unfetched(self, found),
            Step::Refresh => self.stale(question, found),
            // A local source that has not changed has no items beyond the listing.
            Step::Probe | Step::Search if sync.is_local() || !seen.missed => Vec::new(),
            Step::Probe | Step::Search => {
                let owned = self.owned(question.owners(self)).cloned();
                owned.filter(|row| row.generation.is_fetched()).collect()
            }
        };
        // No search after a recent failure: the refresh reports that.
        Ok(!(concerned.libraries.is_empty() || step == Step::SearchUnfetched && sync.recent_failure(0).is_some()))
    }

    /// Passes the libraries that the question concerns to `each`: those with the item, else those that should have it.
    pub fn each_library<Q: Question>(&self, question: &Q, found: &Q::Found<'_>, each: &mut dyn FnMut(usize)) {
        if let Scope::One(index) = self.scope {
            return each(index);
        }
        let mut is_found = false;
        Q::each_found(found, &mut |index| {
            is_found = true;
            each(index);
        });
        if !is_found {
            let owns = question.owners(self);
            (0..owns.len()).filter(|index| owns[*index]).for_each(each);
        }
    }

    /// The libraries in scope that are marked in `owns`.
    pub fn owned(&self, owns: Vec<bool>) -> impl Iterator<Item = &LibraryRow> {
        let rows = &self.snapshot.rows;
        places(self.scope, rows.len())
            .filter(move |index| owns[*index])
            .map(|index| &rows[index])
    }

    /// The libraries that the question needs and that are not fresh.
    fn stale<Q: Question>(&self, question: &Q, found: &Q::Found<'_>) -> Vec<LibraryRow> {
        let (queries, rows) = (self.queries, &self.snapshot.rows);
        let fresh = |row: &LibraryRow| need(&queries.sync.age(row), &queries.policy, self.now_ms) == Need::Nothing;
        // The common case first, without an allocation.
        if self.snapshot.rows_in(self.scope).iter().all(fresh) {
            return Vec::new();
        }
        if let Scope::One(index) = self.scope {
            return vec![rows[index].clone()];
        }
        // Owners and fetched libraries; all others only if nobody owns the item.
        let owns = question.owners(self);
        let may_be_anywhere = !owns.contains(&true) && question.may_be_anywhere(self, found);
        let concerned = rows.iter().zip(owns).filter(|(row, owns)| {
            *owns || row.generation.is_fetched() || may_be_anywhere && !queries.reading.is_evicted(row)
        });
        concerned
            .map(|(row, _)| row)
            .filter(|row| !fresh(row))
            .cloned()
            .collect()
    }

    /// Returns whether a library was removed from the store meanwhile, so that the answer would lack its items.
    pub fn was_evicted<Q: Question>(&self, question: &Q, found: &Q::Found<'_>, asked: &Asked) -> bool {
        let mut is_evicted = false;
        if asked.refreshed.is_some() && asked.failure.is_none() && asked.timeout_status.is_none() {
            let rows = &self.snapshot.rows;
            self.each_library(question, found, &mut |index| {
                is_evicted |= rows[index].generation < Generation::default();
            });
        }
        is_evicted
    }

    /// The title of a library outside of the question's scope that owns the item.
    pub fn owner_elsewhere<Q: Question>(&self, question: &Q) -> Option<&'t str> {
        let Scope::One(_) = self.scope else { return None };
        let index = question.owners(self).iter().position(|owns| *owns)?;
        Some(self.snapshot.rows[index].library.title.as_str())
    }

    /// Returns whether the answer must be marked as stale, given what was asked: a listing in scope has expired.
    pub fn has_expired(&self, asked: &Asked) -> bool {
        if asked.fresh {
            return false;
        }
        let (sync, policy) = (&self.queries.sync, &self.queries.policy);
        let mut listed = (self.snapshot.rows_in(self.scope).iter()).filter(|row| row.generation.is_fetched());
        listed.any(|row| {
            // With a time to live of 0 each query refreshes, and this one did. A check in the future was stored before
            // the clock was set back.
            let seen = asked.refreshed.is_some() && (asked.begun_ms..=self.now_ms).contains(&row.checked_ms);
            is_stale(&sync.age(row), policy, self.now_ms) && (!seen || row.held_back || row.due)
        })
    }
}
