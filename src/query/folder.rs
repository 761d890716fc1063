//! Answers for folders: the show, season, artist, album or item of a folder.

use std::cell::Cell;

use super::answer::{Answer, FolderFacts};
use super::below::without_dot;
use super::explain::explain_folder;
use super::queries::Queries;
use super::question::{Asked, Look, Question, Seen};
use crate::engine::LibraryRow;
use crate::error::{Result, Status};
use crate::matching::{
    FolderPosition, FolderResolution, FolderResolver, Folders, MAX_CANDIDATES, Normal, Resolution, Resolver,
    folder_positions, tidy,
};
use crate::model::{Confidence, ItemType, MatchKind, Reason};
use crate::sync::{Call, SearchTarget, Syncing, Unverified};

/// A query for a folder, whose path was normalised once.
struct FolderQuestion<'p> {
    path: &'p Normal<'p>,
    /// Additional fields of the answer, read by the caller afterwards.
    facts: Cell<FolderFacts>,
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
            self.ask(&mut self.reading.eviction_pin(), call, &question, |answer| {
                then(answer, question.facts.get())
            })
        })
    }

    /// Answers at once if the listed files below the folder belong to one item or show. Otherwise, or if it would have
    /// to wait, returns `then` unused.
    pub fn match_folder_at_once<R, F>(&self, call: &Call<'_>, path: &[u8], then: F) -> std::result::Result<Result<R>, F>
    where
        F: FnOnce(&Answer<'_>, FolderFacts) -> Result<R>,
    {
        let snapshot = self.reading.snapshot();
        let Some(scope) = call.scope(&snapshot).ok().flatten() else {
            return Err(then);
        };
        if self.shown.check_path(path).is_err() {
            return Err(then);
        }
        let path = without_dot(path);
        let tidied = tidy(path);
        Normal::with(tidied.as_deref().unwrap_or(path), |path| {
            let question = FolderQuestion::new(path, true);
            let give = |then: F, answer: &Answer<'_>| then(answer, question.facts.get());
            self.answer_at_once(call, (&snapshot, scope), &question, then, give)
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
            at_once,
        }
    }
}

impl FolderQuestion<'_> {
    /// For each library, where the folder lies relative to the library's locations.
    fn positions(&self, look: &Look<'_>) -> Vec<FolderPosition> {
        folder_positions(&look.snapshot.views, look.queries.reading.mappings(), self.path)
    }

    /// Returns whether everything below the folder is known in those unfetched libraries that may have files there.
    fn is_whole(&self, look: &Look<'_>) -> bool {
        let sync = &look.queries.sync;
        let Some(identity) = look.snapshot.identity.filter(|_| can_list_folders(sync)) else {
            return false;
        };
        let owns = self.owners(look);
        let mut unfetched = look.owned(owns).filter(|row| !row.generation.is_fetched());
        unfetched.all(|row| {
            !row.due
                && (look.searched || !sync.has_moved(row))
                && sync
                    .has_recent_hit(identity, row, SearchTarget::Folder(self.path))
                    .unwrap_or(false)
        })
    }
}

impl Question for FolderQuestion<'_> {
    type Found<'t> = FoundFolder<'t>;
    const VERIFIES_FIRST: bool = false;

    fn find<'t>(&self, look: &Look<'t>, found: &mut FoundFolder<'t>) -> Result<()> {
        let (views, mappings) = (&look.snapshot.views, look.queries.reading.mappings());
        let resolver = || FolderResolver::new(views, look.scope, mappings, self.path);
        found.outcome = resolver().resolve();
        if self.at_once {
            return Ok(());
        }
        found.is_listed = found.outcome.match_kind != MatchKind::None;
        if !found.is_listed {
            let mut file = Resolution::default();
            Resolver::new(views, look.scope, mappings).resolve_normal(self.path, None, &mut file);
            found.is_file = matches!(file.match_kind, MatchKind::Exact | MatchKind::Mapped);
        }
        if found.outcome.reason == Reason::NotFetched {
            let whole = self.is_whole(look).then(|| resolver().resolve_unfetched()).flatten();
            if let Some(outcome) = whole {
                (found.outcome, found.is_whole) = (outcome, true);
            }
        }
        Ok(())
    }

    fn seen(&self, look: &Look<'_>, found: &FoundFolder<'_>) -> Seen {
        let is_known = matches!(found.outcome.match_kind, MatchKind::Exact | MatchKind::Mapped);
        Seen {
            lost: found.outcome.broken || look.snapshot.incomplete,
            // No file below it is listed: the folder may be new.
            missed: !found.is_file && !is_known,
            plain: false,
            exact: is_known && found.outcome.total == 1,
        }
    }

    fn each_found(found: &FoundFolder<'_>, each: &mut dyn FnMut(usize)) {
        found.outcome.folders.iter().for_each(|folder| each(folder.library));
    }

    /// The libraries with a location at, above or below the folder.
    fn owners(&self, look: &Look<'_>) -> Vec<bool> {
        let positions = self.positions(look).into_iter();
        positions.map(|position| position > FolderPosition::Elsewhere).collect()
    }

    /// Invalidated items below the folder, if it was found with certainty. At most as many as one request can verify.
    fn unverified(&self, look: &Look<'_>, found: &FoundFolder<'_>) -> Result<Vec<Unverified>> {
        let outcome = &found.outcome;
        let mut unverified = Vec::new();
        let mappings = look.queries.reading.mappings();
        let sure = matches!(outcome.match_kind, MatchKind::Exact | MatchKind::Mapped)
            || outcome.confidence == Confidence::High;
        for folder in outcome.folders.iter().filter(|_| sure) {
            let most = MAX_CANDIDATES - unverified.len();
            let view = &look.snapshot.views[folder.library];
            for (rating_key, paths) in view.invalidated(Some((&folder.form, folder.mapped)), mappings, most) {
                unverified.push(Unverified {
                    row: look.snapshot.rows[folder.library].clone(),
                    rating_key,
                    paths,
                });
            }
        }
        Ok(unverified)
    }

    /// Only unfetched libraries are searched for it: in fetched ones, the probe has merged new items.
    fn target(&self) -> Option<SearchTarget<'_>> {
        Some(SearchTarget::Folder(self.path))
    }

    fn is_settled(&self, _: &Look<'_>, found: &FoundFolder<'_>) -> Result<bool> {
        Ok(found.is_whole)
    }

    /// The unfetched libraries with a location above the folder, if the source can list folders.
    fn unfetched(&self, look: &Look<'_>, found: &FoundFolder<'_>) -> Vec<LibraryRow> {
        let sync = &look.queries.sync;
        let may_search = |identity| !sync.is_local() || sync.may_search(identity);
        if !can_list_folders(sync) || found.is_listed || !look.snapshot.identity.is_some_and(may_search) {
            return Vec::new();
        }
        let is_above = |position: &FolderPosition| *position == FolderPosition::Within;
        let owns: Vec<bool> = self.positions(look).iter().map(is_above).collect();
        let owned = look.owned(owns).filter(|row| !row.generation.is_fetched());
        owned.cloned().collect()
    }

    fn may_be_anywhere(&self, _: &Look<'_>, found: &FoundFolder<'_>) -> bool {
        found.outcome.match_kind == MatchKind::None
    }

    fn answer<R>(
        &self,
        look: &Look<'_>,
        found: &FoundFolder<'_>,
        asked: Asked,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let (queries, snapshot, outcome) = (look.queries, look.snapshot, &found.outcome);
        let rows = snapshot.rows_in(look.scope);
        let unfetched = rows.iter().all(|row| !row.generation.is_fetched());
        let status = match (outcome.total, asked.timeout_status) {
            (0, Some(status)) => status,
            (0, None) => Status::NotFound,
            (1, _) => Status::Ok,
            _ => Status::Ambiguous,
        };
        if unfetched
            && outcome.total == 0
            && let Some(error) = asked.failure
        {
            return Err(error);
        }
        let mut answer = Answer::of_folder(queries.reading.kind(), outcome, &snapshot.rows, status);
        if rows.is_empty() && asked.timeout_status == Some(status) {
            // No library is known for it.
            answer.reason = Reason::NotFetched;
        }
        answer.set_age(rows, look.now_ms);
        // Also stale with invalidated items that could not be verified: they may be gone.
        answer.stale = look.has_expired(&asked) || !self.unverified(look, found)?.is_empty();
        let message;
        if status != Status::Ok || answer.reason != Reason::None {
            let description = (self.path.raw(), found.is_file, look.owner_elsewhere(self));
            message = explain_folder(queries, &answer, outcome, rows, description, asked.failure.as_ref());
            answer.message = &message;
        }
        answer.mark_stale(asked.failure.as_ref(), look.call.deadline.is_set());
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
        queries.deliver(asked.at_once, &answer, then)
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
