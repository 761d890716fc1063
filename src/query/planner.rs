//! Plans the next step of a query. Pure: the facts and the earlier steps determine it.
//!
//! Each step is recorded in the state and taken only once, so every plan ends with an answer or an error. Random walks
//! in the tests check that.

use crate::error::{Error, Result, Status};
use crate::model::{IdentityId, Sequence};

/// Attempts to rebuild segments in one query.
const MAX_REBUILDS: u32 = 3;
/// Maximum number of refreshes in one query. A second one happens only if another server answers at the URL.
const MAX_REFRESHES: u32 = 3;
/// Maximum number of restarts of one query because its libraries were evicted.
const MAX_RESTARTS: u32 = 8;

/// The state of a query: the steps taken so far, and their results.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // each is a step that is taken once
pub struct QueryState {
    /// The change sequence when the query began: newer replies of the server are current enough.
    pub since: Sequence,
    /// When the query began, Unix ms.
    pub begun_ms: i64,
    /// The status to report because the deadline passed, if it did.
    pub timeout_status: Option<Status>,
    /// The error of a request that failed.
    pub failure: Option<Error>,
    /// The view whose libraries this query refreshed last; id 0 if no view was known yet.
    pub refreshed: Option<IdentityId>,
    /// All libraries of the query are fresh, so the answer is not stale.
    pub fresh: bool,
    /// The query must answer from memory, without any other step.
    pub at_once: bool,
    refreshes: u32,
    restarts: u32,
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
    /// It is known; or the query is for all libraries, and some are known.
    Known,
    /// The query is for all libraries, and none is known.
    None,
    /// It is not known; `others` says whether any library is.
    Unknown { others: bool },
}

/// The next step before the library is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListStep {
    /// Continue with the known libraries.
    GoOn,
    /// Fetch the libraries of the server.
    Ask,
    /// Return an error: the library does not exist as far as is known, or nothing is known.
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
    /// Probe the libraries of this view: something that they should list is missing.
    Probe(IdentityId),
    /// Search these libraries on the server.
    Search(IdentityId),
    /// Answer from the current snapshot.
    Answer,
}

/// The facts of one turn. Each is computed when it is read, as most queries need only the first ones.
pub trait Facts {
    /// Returns whether requests are allowed.
    fn may_ask(&self) -> bool;
    /// Returns the view that answers.
    fn identity(&self) -> Option<IdentityId>;
    /// Returns whether a segment is missing or damaged.
    fn lost(&self) -> bool;
    /// Returns whether invalidated items are verified before libraries are refreshed. True for a path, where it is one
    /// item and one request.
    fn verifies_first(&self) -> bool;
    /// Returns whether the result has invalidated items.
    fn unverified(&self) -> Result<bool>;
    /// Returns whether the result is final even if the library is stale. `searched`: the server was just searched for
    /// it.
    fn settled(&self, searched: bool) -> Result<bool>;
    /// Returns whether an unfetched library should be searched.
    fn unfetched(&self) -> bool;
    /// Returns whether a library is stale.
    fn stale(&self) -> bool;
    /// Returns whether a library should list the item but does not.
    fn missing(&self) -> bool;
}

impl QueryState {
    /// The state of a query that begins.
    pub fn new(since: Sequence, begun_ms: i64) -> Self {
        Self {
            since,
            begun_ms,
            ..Self::default()
        }
    }

    /// The first step of a query: decides whether the libraries must be requested before it can continue.
    pub fn list_step(&mut self, libraries: KnownLibraries, may_ask: bool) -> ListStep {
        let ask = may_ask && !self.listed_libraries;
        match libraries {
            KnownLibraries::Known => ListStep::GoOn,
            // There is no library to search; the answer will say why.
            KnownLibraries::Unknown { others: false } if self.timeout_status.is_some() => ListStep::GoOn,
            _ if ask => {
                self.listed_libraries = true;
                ListStep::Ask
            }
            // The server shows none, or failed: the answer will say so.
            KnownLibraries::None if self.listed_libraries => ListStep::GoOn,
            KnownLibraries::None | KnownLibraries::Unknown { .. } => ListStep::Refuse,
        }
    }

    /// The next step, which is recorded as taken.
    ///
    /// # Errors
    /// Errors of the facts.
    pub fn next(&mut self, facts: &impl Facts) -> Result<QueryStep> {
        let lost = facts.lost();
        if lost && self.rebuilt == MAX_REBUILDS {
            return Ok(QueryStep::GiveUp);
        }
        if lost {
            self.rebuilt += 1;
            return Ok(QueryStep::Rebuild);
        }
        if facts.verifies_first() && self.verifies(facts)? {
            return Ok(QueryStep::Verify);
        }
        if facts.may_ask() && !facts.settled(self.searched_unfetched)? {
            // No further searches after a failure.
            let searchable = |state: &Self| facts.identity().filter(|_| state.failure.is_none());
            if !self.searched_unfetched
                && let Some(identity) = searchable(self)
                && facts.unfetched()
            {
                self.searched_unfetched = true;
                return Ok(QueryStep::SearchUnfetched(identity));
            }
            let identity = facts.identity().unwrap_or_default();
            if self.refreshed != Some(identity) && self.refreshes < MAX_REFRESHES && facts.stale() {
                self.refreshed = Some(identity);
                self.refreshes += 1;
                return Ok(QueryStep::Refresh);
            }
            if !self.searched
                && self.timeout_status.is_none()
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

    /// Returns whether the server was asked for items that were invalidated.
    pub fn has_verified(&self) -> bool {
        self.verified
    }

    /// Returns whether the query refreshed libraries without an error and before the deadline.
    pub fn was_refreshed(&self) -> bool {
        self.refreshed.is_some() && self.failure.is_none() && self.timeout_status.is_none()
    }

    /// Restarts the query after libraries were evicted during it, so that they may be refreshed once more. Returns
    /// `false` after too many restarts: the host has to retry.
    pub fn restart(&mut self) -> bool {
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
