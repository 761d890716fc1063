//! Answers for folders: the show, season, artist, album or item of a folder.

use std::cell::Cell;

use super::answer::{Answer, FolderFacts};
use super::below::without_dot;
use super::driver::{Question, Turn};
use super::explain::explain_folder;
use super::planner::QueryState;
use super::queries::Queries;
use crate::engine::{LibraryRow, places};
use crate::error::{Error, Result, Status};
use crate::freshness::{Need, need};
use crate::matching::{
    FolderPosition, FolderResolution, FolderResolver, Folders, MAX_CANDIDATES, Normal, Resolution, Resolver, Scope,
    folder_positions, tidy,
};
use crate::model::{Confidence, IdentityId, ItemType, MatchKind, Reason};
use crate::sync::{Call, SearchTarget, Syncing, Unverified};

/// A query for a folder, whose path was normalised once.
struct FolderQuestion<'p> {
    path: &'p Normal<'p>,
    /// Additional fields of the answer, read by the caller afterwards.
    facts: Cell<FolderFacts>,
    /// Whether the files below the folder were just requested.
    has_requested_files: Cell<bool>,
    /// The query may not read the store: only segments and memtables answer.
    at_once: bool,
}

/// The result for a folder.
#[derive(Default)]
struct FoundFolder<'t> {
    outcome: FolderResolution<'t>,
    /// Listed files lie below it.
    is_listed: bool,
    /// The path is a listed file, not a folder.
    is_file: bool,
    /// All unfetched libraries were searched for everything below the folder.
    is_whole: bool,
}

impl Queries {
    pub fn match_folder<R>(
        &self,
        call: &Call<'_>,
        path: &[u8],
        then: impl FnOnce(&Answer<'_>, FolderFacts) -> Result<R>,
    ) -> Result<R> {
        self.shown.check_path(path)?;
        let path = without_dot(path);
        let tidied = tidy(path);
        Normal::with(tidied.as_deref().unwrap_or(path), |path| {
            let question = FolderQuestion::new(path, false);
            self.answer(call, &question, |answer| then(answer, question.facts.get()))
        })
    }

    /// Answers at once if the listed files below the folder belong to one item or show. Otherwise, or if it would have
    /// to wait, returns `then` unused.
    pub fn match_folder_at_once<R, F>(&self, call: &Call<'_>, path: &[u8], then: F) -> std::result::Result<Result<R>, F>
    where
        F: FnOnce(&Answer<'_>, FolderFacts) -> Result<R>,
    {
        if self.shown.check_path(path).is_err() {
            return Err(then);
        }
        let path = without_dot(path);
        let tidied = tidy(path);
        Normal::with(tidied.as_deref().unwrap_or(path), |path| {
            let question = FolderQuestion::new(path, true);
            let give = |then: F, answer: &Answer<'_>| then(answer, question.facts.get());
            self.answer_at_once(call, &question, then, give)
        })
    }
}

fn can_list_folders(sync: &Syncing) -> bool {
    sync.abilities().is_some_and(|can| can.folders)
}

impl<'p> FolderQuestion<'p> {
    fn new(path: &'p Normal<'p>, at_once: bool) -> Self {
        Self {
            path,
            facts: Cell::default(),
            has_requested_files: Cell::default(),
            at_once,
        }
    }
}

impl FolderQuestion<'_> {
    /// For each library, where the folder lies relative to the library's locations.
    fn positions(&self, turn: &Turn<'_>) -> Vec<FolderPosition> {
        folder_positions(&turn.snapshot.views, turn.queries.reading.mappings(), self.path)
    }

    /// The libraries in scope with a location at, above or below the folder.
    fn owners(&self, turn: &Turn<'_>) -> Vec<LibraryRow> {
        let positions = self.positions(turn);
        places(turn.scope, turn.snapshot.rows.len())
            .filter(|index| positions[*index] > FolderPosition::Elsewhere)
            .map(|index| turn.snapshot.rows[index].clone())
            .collect()
    }

    /// The title of a library outside of the question's scope that owns the folder.
    fn owner_elsewhere<'t>(&self, turn: &Turn<'t>) -> Option<&'t str> {
        let Scope::One(_) = turn.scope else { return None };
        let index = self
            .positions(turn)
            .iter()
            .position(|position| *position > FolderPosition::Elsewhere)?;
        Some(turn.snapshot.rows[index].library.title.as_str())
    }

    /// Returns whether everything below the folder is known in those unfetched libraries that may have files there.
    fn is_whole(&self, turn: &Turn<'_>) -> bool {
        let (positions, sync) = (self.positions(turn), &turn.queries.sync);
        let Some(identity) = turn.snapshot.identity.filter(|_| can_list_folders(sync)) else {
            return false;
        };
        let mut owners = places(turn.scope, turn.snapshot.rows.len())
            .filter(|index| positions[*index] > FolderPosition::Elsewhere)
            .map(|index| &turn.snapshot.rows[index])
            .filter(|row| !row.generation.is_fetched());
        owners.all(|row| {
            !row.due
                && (self.has_requested_files.get() || !sync.has_moved(row))
                && sync
                    .remembers(identity, row, SearchTarget::Folder(self.path))
                    .unwrap_or(false)
        })
    }
}

impl Question for FolderQuestion<'_> {
    type Found<'t> = FoundFolder<'t>;
    const VERIFIES_FIRST: bool = false;

    fn find<'t>(&self, turn: &Turn<'t>, found: &mut FoundFolder<'t>) -> Result<()> {
        let (views, mappings) = (&turn.snapshot.views, turn.queries.reading.mappings());
        let resolver = || FolderResolver::new(views, turn.scope, mappings, self.path);
        found.outcome = resolver().resolve();
        if self.at_once {
            return Ok(());
        }
        found.is_listed = found.outcome.match_kind != MatchKind::None;
        if !found.is_listed {
            let mut file = Resolution::default();
            Resolver::new(views, turn.scope, mappings).resolve_normal(self.path, None, &mut file);
            found.is_file = matches!(file.match_kind, MatchKind::Exact | MatchKind::Mapped);
        }
        if found.outcome.reason == Reason::NotFetched {
            let whole = self.is_whole(turn).then(|| resolver().resolve_unfetched()).flatten();
            if let Some(outcome) = whole {
                (found.outcome, found.is_whole) = (outcome, true);
            }
        }
        Ok(())
    }

    fn each_library(&self, turn: &Turn<'_>, found: &FoundFolder<'_>, each: &mut dyn FnMut(usize)) {
        if found.outcome.folders.is_empty() {
            // No folder matches: the question concerns the libraries with a location at, above or below this one.
            let positions = self.positions(turn);
            (0..positions.len())
                .filter(|index| positions[*index] > FolderPosition::Elsewhere)
                .for_each(each);
        } else {
            found.outcome.folders.iter().for_each(|folder| each(folder.library));
        }
    }

    fn is_lost(&self, turn: &Turn<'_>, found: &FoundFolder<'_>) -> bool {
        found.outcome.broken || turn.snapshot.incomplete
    }

    /// Invalidated items below the folder, if it was found with certainty. At most as many as one request can verify.
    fn unverified(&self, turn: &Turn<'_>, found: &FoundFolder<'_>) -> Result<Vec<Unverified>> {
        let outcome = &found.outcome;
        let mut unverified = Vec::new();
        let mappings = turn.queries.reading.mappings();
        let sure = matches!(outcome.match_kind, MatchKind::Exact | MatchKind::Mapped)
            || outcome.confidence == Confidence::High;
        for folder in outcome.folders.iter().filter(|_| sure) {
            let most = MAX_CANDIDATES - unverified.len();
            let view = &turn.snapshot.views[folder.library];
            for (rating_key, paths) in view.invalidated(Some((&folder.form, folder.mapped)), mappings, most) {
                unverified.push(Unverified {
                    row: turn.snapshot.rows[folder.library].clone(),
                    rating_key,
                    paths,
                });
            }
        }
        Ok(unverified)
    }

    fn is_exact_hit(&self, found: &FoundFolder<'_>) -> bool {
        found.outcome.total == 1 && matches!(found.outcome.match_kind, MatchKind::Exact | MatchKind::Mapped)
    }

    fn is_settled(&self, _: &Turn<'_>, found: &FoundFolder<'_>, _: bool) -> Result<bool> {
        Ok(found.is_whole)
    }

    /// The unfetched libraries with a location above the folder, if the source can list folders.
    fn unfetched(&self, turn: &Turn<'_>, found: &FoundFolder<'_>) -> Vec<LibraryRow> {
        let sync = &turn.queries.sync;
        let may_search = |identity| !sync.is_local() || sync.may_search(identity);
        if !can_list_folders(sync) || found.is_listed || !turn.snapshot.identity.is_some_and(may_search) {
            return Vec::new();
        }
        let positions = self.positions(turn);
        places(turn.scope, turn.snapshot.rows.len())
            .filter(|index| positions[*index] == FolderPosition::Within)
            .map(|index| turn.snapshot.rows[index].clone())
            .filter(|row| !row.generation.is_fetched())
            .collect()
    }

    fn stale(&self, turn: &Turn<'_>, found: &FoundFolder<'_>) -> Vec<LibraryRow> {
        let (queries, snapshot) = (turn.queries, turn.snapshot);
        let fresh = |row: &LibraryRow| need(&queries.sync.age(row), &queries.policy, turn.now_ms) == Need::Nothing;
        // The common case first, without an allocation.
        if snapshot.rows_in(turn.scope).iter().all(fresh) {
            return Vec::new();
        }
        let positions = self.positions(turn);
        let all = matches!(turn.scope, Scope::All);
        let may_be_anywhere = !positions.iter().any(|position| *position > FolderPosition::Elsewhere)
            && found.outcome.match_kind == MatchKind::None;
        places(turn.scope, snapshot.rows.len())
            .filter(|index| {
                let row = &snapshot.rows[*index];
                !all || positions[*index] > FolderPosition::Elsewhere
                    || row.generation.is_fetched()
                    || may_be_anywhere && !queries.reading.is_evicted(row)
            })
            .map(|index| &snapshot.rows[index])
            .filter(|row| !fresh(row))
            .cloned()
            .collect()
    }

    /// The fetched libraries at, above or below the folder, if no file below it is listed: the folder may be new.
    fn missing(&self, turn: &Turn<'_>, found: &FoundFolder<'_>) -> Vec<LibraryRow> {
        if found.is_file || matches!(found.outcome.match_kind, MatchKind::Exact | MatchKind::Mapped) {
            return Vec::new();
        }
        let mut owners = self.owners(turn);
        owners.retain(|row| row.generation.is_fetched());
        owners
    }

    /// Searches unfetched libraries only. In fetched ones, the probe before this step has merged new items.
    fn search(
        &self,
        sync: &Syncing,
        call: &Call<'_>,
        identity: IdentityId,
        libraries: &[LibraryRow],
        unfetched: bool,
    ) -> Result<Option<Error>> {
        if !unfetched {
            return Ok(None);
        }
        let failed = sync.search(call, identity, libraries, SearchTarget::Folder(self.path), true)?;
        self.has_requested_files.set(true);
        Ok(failed)
    }

    fn answer<R>(
        &self,
        turn: &Turn<'_>,
        found: &FoundFolder<'_>,
        state: QueryState,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let (queries, snapshot, outcome) = (turn.queries, turn.snapshot, &found.outcome);
        let rows = snapshot.rows_in(turn.scope);
        let unfetched = rows.iter().all(|row| !row.generation.is_fetched());
        let status = match (outcome.total, state.timeout_status) {
            (0, Some(status)) => status,
            (0, None) => Status::NotFound,
            (1, _) => Status::Ok,
            _ => Status::Ambiguous,
        };
        if unfetched
            && outcome.total == 0
            && let Some(error) = state.failure
        {
            return Err(error);
        }
        let mut answer = Answer::of_folder(queries.reading.kind(), outcome, &snapshot.rows, status);
        if rows.is_empty() && state.timeout_status == Some(status) {
            // No library is known for it.
            answer.reason = Reason::NotFetched;
        }
        let fetched = || rows.iter().filter(|row| row.generation.is_fetched());
        let now = turn.now_ms;
        answer.set_age(rows, now);
        // Also stale with invalidated items that could not be verified: they may be gone.
        answer.stale =
            fetched().any(|row| queries.has_expired(&state, row, now)) || !self.unverified(turn, found)?.is_empty();
        let message;
        if status != Status::Ok || answer.reason != Reason::None {
            let description = (self.path.raw(), found.is_file, self.owner_elsewhere(turn));
            message = explain_folder(queries, &answer, outcome, rows, description, state.failure.as_ref());
            answer.message = &message;
        }
        answer.mark_stale(state.failure.as_ref(), turn.call.deadline.is_set());
        self.facts.set(FolderFacts {
            kind: outcome.kind,
            items: outcome.items,
            files: outcome.files,
        });
        log::debug!(
            "folder '{}': {}, match kind {}, {} items",
            queries.shown.path(self.path.raw()),
            status.name(),
            outcome.match_kind.name(),
            outcome.items
        );
        queries.deliver(&state, &answer, then)
    }
}

impl Default for FolderFacts {
    fn default() -> Self {
        Self {
            kind: ItemType::Other,
            items: 0,
            files: 0,
        }
    }
}
