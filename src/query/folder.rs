//! From a folder to an answer: which show, season, artist, album or item it is.

use std::cell::{Cell, OnceCell};

use super::answer::{Answer, FolderFacts};
use super::below::without_dot;
use super::driver::{Question, Turn};
use super::explain::explain_folder;
use super::first_file::first_file;
use super::path::tidy;
use super::planner::QueryState;
use super::room::Queries;
use crate::engine::{LibraryRow, places};
use crate::error::{Error, Result, Status};
use crate::freshness::{Need, need};
use crate::matching::{
    FolderPosition, FolderResolution, FolderResolver, Folders, MAX_CANDIDATES, Normal, Resolution, Resolver, Scope,
    folder_positions,
};
use crate::model::{Confidence, IdentityId, ItemType, LibraryKind, MatchKind, Reason};
use crate::platform::files::{bytes_of, named};
use crate::sync::{Call, SearchTarget, Syncing, Unverified};

/// A folder in question, normalised once.
struct FolderQuestion<'p> {
    path: &'p Normal<'p>,
    /// Further fields of the answer, which the caller reads afterwards.
    facts: Cell<FolderFacts>,
    /// Whether the files below it were just requested.
    is_asked: Cell<bool>,
    /// A file below it on this machine, after a search.
    file: OnceCell<Option<Vec<u8>>>,
    /// Whether only listed files count: the store is not read.
    at_once: bool,
}

/// The result for a folder.
#[derive(Default)]
struct FoundFolder<'t> {
    outcome: FolderResolution<'t>,
    /// Files are listed below it.
    is_listed: bool,
    /// It is no folder, but a file that is listed.
    is_file: bool,
    /// All that is below it is known, of libraries that were never fetched.
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

    /// The answer where one item is listed below the folder, as one show, and nothing has to be waited for; else `then` comes back.
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
            is_asked: Cell::default(),
            file: OnceCell::new(),
            at_once,
        }
    }
}

impl FolderQuestion<'_> {
    /// Where each library has its locations, relative to the folder.
    fn positions(&self, turn: &Turn<'_>) -> Vec<FolderPosition> {
        folder_positions(&turn.snapshot.views, turn.queries.reading.mappings(), self.path)
    }

    /// Those of the asked libraries that have a location at, above or below the folder.
    fn owners(&self, turn: &Turn<'_>) -> Vec<LibraryRow> {
        let positions = self.positions(turn);
        places(turn.scope, turn.snapshot.rows.len())
            .filter(|place| positions[*place] > FolderPosition::Elsewhere)
            .map(|place| turn.snapshot.rows[place].clone())
            .collect()
    }

    /// The title of a library outside of the question's scope that owns the folder.
    fn owner_elsewhere<'t>(&self, turn: &Turn<'t>) -> Option<&'t str> {
        let Scope::One(_) = turn.scope else { return None };
        let place = self
            .positions(turn)
            .iter()
            .position(|place| *place > FolderPosition::Elsewhere)?;
        Some(turn.snapshot.rows[place].library.title.as_str())
    }

    /// Looks on the disk, once, for a file below it, as a library of this kind would list one.
    fn find_file(&self, kind: LibraryKind) -> Option<&[u8]> {
        let folder = || first_file(&named(self.path.raw()), kind).map(|file| bytes_of(&file).to_vec());
        self.file.get_or_init(folder).as_deref()
    }

    /// Whether all that is below it is known of the libraries that were never fetched and may have something there.
    fn is_whole(&self, turn: &Turn<'_>) -> bool {
        let (stands, sync) = (self.positions(turn), &turn.queries.sync);
        let Some(identity) = turn.snapshot.identity.filter(|_| can_list_folders(sync)) else {
            return false;
        };
        let mut theirs = places(turn.scope, turn.snapshot.rows.len())
            .filter(|place| stands[*place] > FolderPosition::Elsewhere)
            .map(|place| &turn.snapshot.rows[place])
            .filter(|row| !row.generation.is_fetched());
        theirs.all(|row| {
            !row.due
                && (self.is_asked.get() || !sync.has_moved(row))
                && sync
                    .remembers(identity, row, SearchTarget::Folder(self.path))
                    .unwrap_or(false)
        })
    }

    /// Whether a library that was never fetched answers with what a question for a file below it found a while ago.
    fn is_remembered(&self, turn: &Turn<'_>, outcome: &FolderResolution<'_>, searched: bool) -> Result<bool> {
        let (Some(found), Some(identity)) = (outcome.found.first(), turn.snapshot.identity) else {
            return Ok(false);
        };
        let (row, sync) = (&turn.snapshot.rows[found.library], &turn.queries.sync);
        if !outcome.by_one_file || row.due || sync.has_moved(row) && !searched {
            return Ok(false);
        }
        let file = self.find_file(row.library.kind);
        file.map_or(Ok(false), |file| {
            Normal::with(file, |file| sync.remembers(identity, row, SearchTarget::Path(file)))
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
            found.is_whole = whole.is_some();
            if let Some(outcome) = whole.or_else(|| resolver().resolve_by_one_file()) {
                found.outcome = outcome;
            }
        }
        Ok(())
    }

    fn asks_for(&self, turn: &Turn<'_>, found: &FoundFolder<'_>, each: &mut dyn FnMut(usize)) {
        if found.outcome.folders.is_empty() {
            let stands = self.positions(turn);
            (0..stands.len())
                .filter(|place| stands[*place] > FolderPosition::Elsewhere)
                .for_each(each);
        } else {
            found.outcome.folders.iter().for_each(|folder| each(folder.library));
        }
    }

    /// Segments stay what they are while they are read.
    fn was_evicted(&self, _: &Turn<'_>, _: &FoundFolder<'_>) -> Result<bool> {
        Ok(false)
    }

    fn is_lost(&self, turn: &Turn<'_>, found: &FoundFolder<'_>) -> bool {
        found.outcome.broken || turn.snapshot.incomplete
    }

    /// Some of the items below it, if the folder was found for sure.
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

    /// A call that can wait gets all that is below it.
    fn is_settled(&self, turn: &Turn<'_>, found: &FoundFolder<'_>, searched: bool) -> Result<bool> {
        let has_deadline = turn.call.deadline.is_set();
        Ok(found.is_whole || has_deadline && self.is_remembered(turn, &found.outcome, searched)?)
    }

    /// Asked for a file below it, as for that file, where it lies in one of their folders.
    fn unfetched(&self, turn: &Turn<'_>, found: &FoundFolder<'_>) -> Vec<LibraryRow> {
        let sync = &turn.queries.sync;
        let may_search = |identity| !sync.is_local() || sync.may_search(identity);
        let can_list = can_list_folders(sync);
        let is_due = can_list || turn.call.deadline.is_set();
        if !is_due || found.is_listed || !turn.snapshot.identity.is_some_and(may_search) {
            return Vec::new();
        }
        let stands = self.positions(turn);
        let mut rows: Vec<LibraryRow> = places(turn.scope, turn.snapshot.rows.len())
            .filter(|place| stands[*place] == FolderPosition::Within)
            .map(|place| turn.snapshot.rows[place].clone())
            .filter(|row| !row.generation.is_fetched())
            .collect();
        if !can_list {
            rows.retain(|row| self.find_file(row.library.kind).is_some());
        }
        rows
    }

    fn stale(&self, turn: &Turn<'_>, found: &FoundFolder<'_>) -> Vec<LibraryRow> {
        let (queries, snapshot) = (turn.queries, turn.snapshot);
        let fresh = |row: &LibraryRow| need(&queries.sync.age(row), &queries.policy, turn.now_ms) == Need::Nothing;
        // The usual case, without an allocation.
        if snapshot.asked(turn.scope).iter().all(fresh) {
            return Vec::new();
        }
        let stands = self.positions(turn);
        let all = matches!(turn.scope, Scope::All);
        let others = !stands.iter().any(|place| *place > FolderPosition::Elsewhere)
            && found.outcome.match_kind == MatchKind::None;
        places(turn.scope, snapshot.rows.len())
            .filter(|place| {
                let row = &snapshot.rows[*place];
                !all || stands[*place] > FolderPosition::Elsewhere
                    || row.generation.is_fetched()
                    || others && !queries.reading.is_evicted(row)
            })
            .map(|place| &snapshot.rows[place])
            .filter(|row| !fresh(row))
            .cloned()
            .collect()
    }

    /// It may be new where nothing is listed below it.
    fn missing(&self, turn: &Turn<'_>, found: &FoundFolder<'_>) -> Vec<LibraryRow> {
        if found.is_file || matches!(found.outcome.match_kind, MatchKind::Exact | MatchKind::Mapped) {
            return Vec::new();
        }
        let mut owners = self.owners(turn);
        owners.retain(|row| row.generation.is_fetched());
        owners
    }

    /// Searches unfetched libraries only: in fetched ones, the probe before this step has merged new items.
    fn search(
        &self,
        sync: &Syncing,
        call: &Call<'_>,
        identity: IdentityId,
        libraries: &[LibraryRow],
        unfetched: bool,
    ) -> Result<Option<Error>> {
        // The disk is looked at only where that is of use.
        if !unfetched {
            return Ok(None);
        }
        if can_list_folders(sync) {
            let failed = sync.search(call, identity, libraries, SearchTarget::Folder(self.path), true)?;
            self.is_asked.set(true);
            let mut known = libraries.iter();
            if failed.is_some()
                || known.all(|row| {
                    sync.remembers(identity, row, SearchTarget::Folder(self.path))
                        .unwrap_or(false)
                })
            {
                return Ok(failed);
            }
        }
        let kind = libraries.first().map(|row| row.library.kind).unwrap_or_default();
        let Some(file) = self.find_file(kind) else {
            return Ok(None);
        };
        Normal::with(file, |file| {
            sync.search(call, identity, libraries, SearchTarget::Path(file), true)
        })
    }

    fn answer<R>(
        &self,
        turn: &Turn<'_>,
        found: &FoundFolder<'_>,
        state: QueryState,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let (queries, snapshot, outcome) = (turn.queries, turn.snapshot, &found.outcome);
        let rows = snapshot.asked(turn.scope);
        let unfetched = rows.iter().all(|row| !row.generation.is_fetched());
        let status = match (outcome.total, state.late) {
            (0, Some(late)) => late,
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
        if rows.is_empty() && state.late == Some(status) {
            // Its library is unknown.
            answer.reason = Reason::NotFetched;
        }
        let fetched = || rows.iter().filter(|row| row.generation.is_fetched());
        let now = turn.now_ms;
        answer.age_ms = fetched().map(|row| now - row.checked_ms).max();
        // Invalidated items below it that could not be verified may be gone.
        let old = outcome.by_one_file && !self.is_remembered(turn, outcome, state.has_searched())?;
        answer.stale = old
            || fetched().any(|row| queries.has_expired(&state, row, now))
            || !self.unverified(turn, found)?.is_empty();
        let message;
        if status != Status::Ok || answer.reason != Reason::None {
            let asked = (self.path.raw(), found.is_file, self.owner_elsewhere(turn));
            message = explain_folder(queries, &answer, outcome, rows, asked, state.failure.as_ref());
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
        queries.hand_over(&state, &answer, then)
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
