//! The trait for kinds of queries, which [`Queries::ask`] answers: by path, folder, GUID or title.

use std::time::Duration;

use super::answer::Answer;
use super::queries::Queries;
use crate::engine::{LibraryRow, Snapshot, library_indexes};
use crate::error::{Error, Result, Status};
use crate::knowledge::{Cause, Doubt, PathQuestion, age_ms};
use crate::matching::Scope;
use crate::model::{Generation, LibraryId, Sequence, ViewId};
use crate::sync::{Call, ItemToVerify, Question, SearchCause, SearchTarget, never_fetched_error};

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

    /// Returns the path whose confirmed matches the search needs; `None` if it needs none.
    fn recorded_path(&self) -> Option<&[u8]> {
        None
    }
    /// Returns the path or folder to search for on the server; `None` if the server cannot search for the item.
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
    /// The index of a library whose listing has no sizes, although the size of the file can decide the answer.
    pub lacks_sizes: Option<usize>,
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
    /// Fetch the listings whose sizes are not known, because a size can decide the answer.
    ListSizes,
    Answer,
}

/// Facts that determine the next step without reading the store.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepConditions {
    pub may_send_requests: bool,
    pub view_id: Option<ViewId>,
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
    /// The view whose libraries were refreshed last; ID 0 if no view was known.
    pub refreshed: Option<ViewId>,
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
    /// Whether the query has fetched, or tried to fetch, listings without sizes.
    pub listed_sizes: bool,
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
    /// Returns whether nothing that is known of a library is later than the request that brought this item: no doubt, except
    /// that other items may differ, too, and no token that tells of a change.
    pub fn is_current(&self, library: usize, rating_key: &str) -> bool {
        let (row, view) = (&self.snapshot.rows[library], &self.snapshot.libraries[library]);
        let asked = Sequence(view.asked_of(rating_key));
        let is_later =
            |doubt: &Doubt| doubt.is_about_library() && doubt.cause != Cause::Differs && doubt.raised > asked;
        let tells_change = row.generation.is_fetched() && row.listed_token() != row.library.change.token;
        !(row.doubts.iter().any(is_later) || tells_change && row.probed_at() > asked)
    }

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
        Err(never_fetched_error(self.call.library, &self.queries.reading))
    }

    /// Collects the facts that determine the next step without reading the store. `assessment` is of the result so far.
    pub fn step_conditions<Q: QueryKind>(&self, assessment: Assessment) -> StepConditions {
        StepConditions {
            may_send_requests: self.queries.sync.may_send_requests(self.call),
            view_id: self.snapshot.view_id,
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
            Step::ListSizes => self.library_without_sizes(assessment),
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
        Ok(!(targets.libraries.is_empty() || step == Step::SearchUnfetched && sync.recent_failure(0).is_some()))
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

    /// Returns the library whose listing lacks sizes, unless the server failed recently, or a listing waits to be confirmed.
    fn library_without_sizes(&self, assessment: Assessment) -> Vec<LibraryRow> {
        let row = assessment.lacks_sizes.map(|index| &self.snapshot.rows[index]);
        let row = row.filter(|row| !row.has_doubt(Cause::HeldBack) && self.queries.sync.recent_failure(0).is_none());
        row.cloned().into_iter().collect()
    }

    /// Returns the query's libraries that are due for a refresh.
    fn stale_libraries<Q: QueryKind>(&self, query: &Q, found: &Q::Found<'_>) -> Vec<LibraryRow> {
        let (queries, rows) = (self.queries, &self.snapshot.rows);
        let is_checked = |row: &LibraryRow| row.probed_at() > self.since && row.tells_changes(self.since);
        let is_fresh = |row: &LibraryRow| {
            (!self.call.always_asks || is_checked(row)) && queries.sync.need(row, self.now_ms).is_none()
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
        let flags = query.owner_flags(self);
        let may_be_anywhere = !flags.contains(&true) && query.may_be_anywhere(self, found);
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
                // Evicted libraries have a negative generation.
                is_evicted |= rows[index].generation < Generation::default();
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

    /// Returns the milliseconds since a listing was last known to be current; `None` if the clock was set back.
    pub fn age_ms(&self, row: &LibraryRow) -> Option<i64> {
        age_ms(self.queries.sync.checked_ms(row), self.now_ms)
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
