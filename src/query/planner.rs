//! Plans the next step of a query. Pure: the facts and the steps done so far determine it.
//!
//! A step is recorded in the state when it is given, so none is taken twice: whatever is found out on the way, the plan
//! ends with an answer or a refusal (the random walks in the tests).

use crate::error::{Error, Result, Status};
use crate::model::{IdentityId, Sequence};

/// Attempts to rebuild segments in one query.
const REBUILDS: u32 = 3;
/// How often it brings libraries up to date, each time of another identity: another server answers behind the URL.
const REFRESHES: u32 = 3;
/// Restarts of one query because libraries that it needs were evicted.
const AGAIN: u32 = 8;

/// Steps that a query has done.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // each is one step, taken once
pub struct QueryState {
    /// The change sequence when the query came: what was asked later need not be asked again.
    pub since: Sequence,
    /// When that was, Unix ms.
    pub begun_ms: i64,
    /// The deadline came first.
    pub late: Option<Status>,
    /// A request failed.
    pub failure: Option<Error>,
    /// Libraries were brought up to date, as far as it went: last those of this identity (0: none yet).
    pub refreshed: Option<IdentityId>,
    /// None of the libraries asked has expired, so the answer is not stale.
    pub fresh: bool,
    /// It is answered from what is at hand.
    pub at_once: bool,
    refreshes: u32,
    begun_again: u32,
    listed_libraries: bool,
    rebuilt: u32,
    verified: bool,
    searched_unfetched: bool,
    probed: bool,
    searched: bool,
}

/// Whether the requested library is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownLibraries {
    /// It is known, or all are asked and some are.
    Known,
    /// All are asked, and none is known.
    None,
    /// It is not known; `others` says whether any library is.
    Unknown { others: bool },
}

/// The next step before the library is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListStep {
    /// The query goes on with what is known.
    GoOn,
    /// Fetch the libraries of the server.
    Ask,
    /// The library does not exist, as far as may be found out.
    Refuse,
}

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryStep {
    /// Rebuild missing or damaged segments.
    Rebuild,
    /// End the query: segments are lost after every rebuild.
    GiveUp,
    /// Verify the invalidated items of the result.
    Verify,
    /// Search the unfetched libraries of this identity on the server.
    SearchUnfetched(IdentityId),
    /// Refresh stale libraries.
    Refresh,
    /// The clocks of libraries of this identity are read: what they should list is missing.
    Probe(IdentityId),
    /// A request searches them.
    Search(IdentityId),
    /// Answer from the current snapshot.
    Answer,
}

/// The facts of one turn. Each is computed when it is read: most answers need only the first ones.
pub trait Facts {
    /// Whether the server may be asked at all.
    fn may_ask(&self) -> bool;
    /// Returns the view that answers.
    fn identity(&self) -> Option<IdentityId>;
    /// Returns whether a segment is missing or damaged.
    fn lost(&self) -> bool;
    /// Returns whether it is time to try again to write segments.
    fn rebuild_due(&self) -> bool;
    /// Returns whether invalidated items are verified before libraries are refreshed. True for a path, where it is one
    /// item and one request.
    fn verifies_first(&self) -> bool;
    /// Returns whether the result has invalidated items.
    fn unverified(&self) -> Result<bool>;
    /// Returns whether the result is final even if the library is stale. `searched`: the server was just searched for
    /// it.
    fn settled(&self, searched: bool) -> Result<bool>;
    /// Whether a library that was never fetched is worth a search.
    fn unfetched(&self) -> bool;
    /// Whether a library is stale.
    fn stale(&self) -> bool;
    /// Whether a library should list it and does not.
    fn missing(&self) -> bool;
}

impl QueryState {
    /// A query that begins.
    pub fn new(since: Sequence, begun_ms: i64) -> Self {
        Self {
            since,
            begun_ms,
            ..Self::default()
        }
    }

    /// The first step of a question: decides whether the libraries must be listed before it can go on.
    pub fn list_step(&mut self, libraries: KnownLibraries, may_ask: bool) -> ListStep {
        let ask = may_ask && !self.listed_libraries;
        match libraries {
            KnownLibraries::Known => ListStep::GoOn,
            // There is nothing to look in: the answer says why.
            KnownLibraries::Unknown { others: false } if self.late.is_some() => ListStep::GoOn,
            _ if ask => {
                self.listed_libraries = true;
                ListStep::Ask
            }
            KnownLibraries::None => ListStep::GoOn,
            KnownLibraries::Unknown { .. } => ListStep::Refuse,
        }
    }

    /// The next step. It is recorded as taken.
    ///
    /// # Errors
    /// Those of the facts.
    pub fn next(&mut self, facts: &impl Facts) -> Result<QueryStep> {
        let lost = facts.lost();
        if lost && self.rebuilt == REBUILDS {
            return Ok(QueryStep::GiveUp);
        }
        if lost || self.rebuilt == 0 && facts.rebuild_due() {
            self.rebuilt += 1;
            return Ok(QueryStep::Rebuild);
        }
        if facts.verifies_first() && self.verifies(facts)? {
            return Ok(QueryStep::Verify);
        }
        if facts.may_ask() && !facts.settled(self.searched_unfetched)? {
            // The server is not asked for more when it just failed.
            let searchable = |state: &Self| facts.identity().filter(|_| state.failure.is_none());
            if !self.searched_unfetched
                && let Some(identity) = searchable(self)
                && facts.unfetched()
            {
                self.searched_unfetched = true;
                return Ok(QueryStep::SearchUnfetched(identity));
            }
            let identity = facts.identity().unwrap_or_default();
            if self.refreshed != Some(identity) && self.refreshes < REFRESHES && facts.stale() {
                self.refreshed = Some(identity);
                self.refreshes += 1;
                return Ok(QueryStep::Refresh);
            }
            if !self.searched
                && self.late.is_none()
                && let Some(identity) = searchable(self)
                && facts.missing()
            {
                if self.probed {
                    self.searched = true;
                    return Ok(QueryStep::Search(identity));
                }
                self.probed = true;
                return Ok(QueryStep::Probe(identity));
            }
        }
        if !facts.verifies_first() && self.failure.is_none() && self.verifies(facts)? {
            return Ok(QueryStep::Verify);
        }
        Ok(QueryStep::Answer)
    }

    /// Returns whether the server was searched in libraries that were never fetched.
    pub fn has_searched(&self) -> bool {
        self.searched_unfetched
    }

    /// Returns whether the query refreshed libraries without an error and before the deadline.
    pub fn was_refreshed(&self) -> bool {
        self.refreshed.is_some() && self.failure.is_none() && self.late.is_none()
    }

    /// Restarts the query after libraries were evicted during it, so that they may be refreshed once more. Returns
    /// `false` after too many restarts: the host has to retry.
    pub fn begin_again(&mut self) -> bool {
        if self.begun_again == AGAIN {
            self.late.get_or_insert(Status::NotYet);
            return false;
        }
        self.begun_again += 1;
        if self.refreshed.take().is_some() {
            self.refreshes -= 1;
        }
        true
    }

    fn verifies(&mut self, facts: &impl Facts) -> Result<bool> {
        if self.verified || !facts.may_ask() || !facts.unverified()? {
            return Ok(false);
        }
        // The server's reply about the item is enough: the next query checks whether its file became another item.
        (self.verified, self.probed, self.searched) = (true, true, true);
        Ok(true)
    }
}

#[cfg(test)]
#[path = "planner_tests.rs"]
mod tests;
