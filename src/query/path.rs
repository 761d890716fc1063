//! Answers path queries, and, at once, every query whose answer is in the snapshot.

use std::cell::{Cell, OnceCell};
use std::ops::Deref;
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::ask::{Assessment, QueryContext, QueryKind, QueryState, Step, StepTargets};
use super::explain::{ExplanationContext, library_at_or_below};
use super::queries::Queries;
use crate::engine::{FeedRows, LibraryRow, Snapshot, library_indexes};
use crate::error::{Error, Result, Status};
use crate::knowledge::{Cause, Doubt, DoubtScope};
use crate::matching::{
    ExactBytes, FoundItem, HitDoubt, LibraryIndex, MAX_PATH, NormalPath, OnlyEntry, QueriedSize, Resolution, Resolver,
    Scope,
};
use crate::model::{Confidence, MatchKind, Reason, Sequence};
use crate::platform::clock::Deadline;
use crate::sync::{BACK_OFF_MS, Batch, Call, EvictionPin, FileSize, ItemToVerify, SearchTarget, TICK};

/// A query for the item at a path.
struct PathQuery<'p> {
    path: &'p NormalPath<'p>,
    /// The only entry with the path's hash in the only library in scope; `None` if the caller has not looked up the
    /// entry. The search consumes this value.
    only_entry: Cell<Option<OnlyEntry>>,
    /// The size of the file in bytes, 0 if it cannot be known; empty before it is needed.
    size: OnceCell<u64>,
    /// Whether the query must not wait, and so not read the size.
    at_once: bool,
}

impl Queries {
    /// Finds the item for a path in the current snapshot, without waiting for another thread, the server or the
    /// database. Returns `then` unused in `Err` if the answer requires waiting.
    pub fn match_path_at_once<R, F>(&self, call: &Call<'_>, path: &[u8], then: F) -> std::result::Result<Result<R>, F>
    where
        F: FnOnce(&Answer<'_>) -> Result<R>,
    {
        let snapshot = self.reading.snapshot();
        let Some(scope) = snapshot
            .scope(call.library)
            .ok()
            .flatten()
            .filter(|_| path.len() <= MAX_PATH)
        else {
            return Err(then);
        };
        let view = scope.only().map(|index| &snapshot.libraries[index]);
        // Prefetches the path and its normal form, each about as long as the path.
        let only_entry = |hash, length: usize| view.map(|view| view.only_entry(hash, 2 * length));
        // The normal form depends only on the path's bytes, so even a stale segment has the right normal form.
        let cached_form = |spelling: &ExactBytes<'_>, buffer: &mut [u8]| {
            let form = view?.stored_form(spelling, only_entry(spelling.hash(), spelling.raw().len())?)?;
            buffer.get_mut(..form.len())?.copy_from_slice(form);
            Some(form.len())
        };
        NormalPath::with_cached_form(path, cached_form, |path| {
            // The prefetch starts before the checks below, because loading the memory takes longer than the checks.
            let only_entry = Cell::new(only_entry(path.hash(), path.raw().len()));
            if self.display.check_path(path.raw()).is_err() {
                return Err(then);
            }
            let query = PathQuery {
                path,
                only_entry,
                size: OnceCell::new(),
                at_once: true,
            };
            self.answer_at_once(call, &snapshot, scope, &query, then)
        })
    }

    /// Answers a query from the given snapshot if no step is due, and passes the answer to `then`. Otherwise returns
    /// `then` unused in `Err`, so that the caller can pass it to [`Queries::ask`], which can wait. `query` must not
    /// read the store.
    pub fn answer_at_once<Q: QueryKind, R, F>(
        &self,
        call: &Call<'_>,
        snapshot: &Snapshot,
        scope: Scope,
        query: &Q,
        then: F,
    ) -> std::result::Result<Result<R>, F>
    where
        F: FnOnce(&Answer<'_>) -> Result<R>,
    {
        if call.always_asks {
            return Err(then);
        }
        let (rows, only_index) = (&snapshot.rows, scope.only());
        let can_answer =
            |index: usize, now_ms| rows[index].generation.is_fetched() && rows[index].checked_ms() <= now_ms;
        // If all libraries are in scope, the search decides which libraries the answer uses, so their check follows the
        // search.
        let is_usable = |now_ms| match only_index {
            Some(index) => can_answer(index, now_ms),
            None => rows.iter().all(|row| row.checked_ms() <= now_ms),
        };
        // Recently stored times may be a few milliseconds ahead of the coarse clock, so try the precise clock too.
        let usable_at = |now_ms| (self.reading.snapshot.is_current(snapshot) && is_usable(now_ms)).then_some(now_ms);
        let Some(now_ms) = usable_at(self.clock.coarse_now_ms()).or_else(|| usable_at(self.clock.now_ms())) else {
            return Err(then);
        };
        let is_fresh = || only_index.is_some_and(|index| !self.sync.is_stale(&rows[index], now_ms));
        // For a local source, this check reads the disk, so it waits until the result is needed.
        let early_is_fresh = (!self.sync.is_local()).then(is_fresh);
        let context = QueryContext {
            queries: self,
            call,
            snapshot,
            scope,
            now_ms,
            searched: false,
            since: snapshot.sequence(),
        };
        let mut found = Q::Found::default();
        let sequence = snapshot.sequence();
        let knows_matches = query.search_target().is_none_or(|target| {
            let asked = self.reading.ask_matches(snapshot, scope, target.path().raw(), None);
            asked.is_ok_and(|is_known| is_known)
        });
        if !knows_matches || query.find(&context, &mut found).is_err() || snapshot.has_matches_after(sequence, scope) {
            return Err(then);
        }
        if only_index.is_none() {
            // If the answer uses no library, the variable remains `None`: the list of libraries may be incomplete.
            let mut can_all_answer = None;
            context.each_library(query, &found, &mut |index| {
                can_all_answer = Some(can_all_answer.unwrap_or(true) && can_answer(index, now_ms));
            });
            if can_all_answer != Some(true) {
                return Err(then);
            }
        }
        let mut state = QueryState {
            at_once: true,
            ..QueryState::new(snapshot.sequence(), now_ms)
        };
        let assessment = query.assess(&context, &found);
        // Fast path: most queries are final on a fresh library, so the slower check of each step is unnecessary.
        state.known_fresh = assessment.is_final_if_fresh && early_is_fresh.unwrap_or_else(is_fresh);
        if !state.known_fresh && !context.can_answer_now(query, &found, assessment, &mut state) {
            return Err(then);
        }
        Ok(query.answer(&context, &found, state, then))
    }

    /// Finds the item for a path, in as many steps as necessary, and passes the answer to `then`. `pin` protects the
    /// query's libraries from eviction.
    pub fn match_path<R>(
        &self,
        pin: &mut EvictionPin<'_>,
        call: &Call<'_>,
        path: &[u8],
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        self.display.check_path(path)?;
        NormalPath::with(path, |path| {
            let query = PathQuery {
                path,
                only_entry: Cell::new(None),
                size: OnceCell::new(),
                at_once: false,
            };
            self.ask(pin, call, &query, then)
        })
    }

    /// Finds the items for many paths, and passes the index and the answer of each to `each` in order. If a reply for one
    /// path changed items, finds all once more, since it may contradict earlier answers. An error that concerns only one
    /// path becomes the answer for that path.
    pub fn match_paths(
        &self,
        call: &Call<'_>,
        paths: &[&[u8]],
        mut each: impl FnMut(usize, &Answer<'_>),
    ) -> Result<()> {
        self.reading.catch_up(call.deadline)?;
        let (batch, started_ms) = (Batch::default(), self.clock.now_ms());
        let (since, view_id) = {
            let snapshot = self.reading.snapshot();
            (snapshot.sequence(), snapshot.view_id)
        };
        let (feed, sent) = (FeedRows(&self.store), self.sync.request_counts());
        let view_id = view_id.filter(|_| paths.len() > 1 && self.sync.may_send_requests(call));
        // Without the feed, the answers of the first pass are better than none.
        let before = view_id.and_then(|view_id| feed.start(view_id, None, false).ok());
        let batch_call = Call {
            batch_start: Some((since, started_ms)),
            batch: Some(&batch),
            ..*call
        };
        let mut result = self.match_batch(&batch_call, paths, &mut each);
        if let Some(before) = before.filter(|_| result.is_ok() && self.sync.request_counts() != sent)
            && feed.has(&before).is_ok_and(|has_changes| has_changes)
        {
            result = self.match_batch(&batch_call, paths, &mut each);
        }
        self.sync.finish_batch(&batch, since, started_ms);
        result
    }

    /// Finds the items for the paths of a batch, and passes the answers to `each` in order.
    fn match_batch(&self, call: &Call<'_>, paths: &[&[u8]], mut each: impl FnMut(usize, &Answer<'_>)) -> Result<()> {
        let mut pin = self.reading.eviction_pin();
        let mut first_failure: Option<Error> = None;
        // If the deadline is zero, plexindex sends no requests, and answers all paths from the store.
        let had_time = !call.deadline.has_passed();
        let mut last_progress = Instant::now();
        for (index, path) in paths.iter().enumerate() {
            if had_time && index > 0 && call.deadline.has_passed() {
                let text =
                    "the timeout passed before this path was looked up: set a longer timeout or pass fewer paths";
                each(index, &Answer::without_item(self.reading.kind, Status::NotYet, text));
                continue;
            }
            if last_progress.elapsed() >= TICK {
                last_progress = Instant::now();
                call.report_progress(Duration::ZERO)?;
            }
            // After a failure, plexindex sends no requests for the remaining paths.
            let call = Call {
                failure: first_failure.as_ref().or(call.failure),
                ..*call
            };
            let result = self.match_path(&mut pin, &call, path, |answer| {
                each(index, answer);
                Ok(())
            });
            match result {
                Ok(()) => {}
                Err(error)
                    if error.status == Status::Aborted || self.sync.should_retry_with_new_token(&call, &error) =>
                {
                    return Err(error);
                }
                // A source error for the first path affects all paths.
                Err(error) if index == 0 && !error.status.is_answer_or_caller_error() => return Err(error),
                Err(error) => {
                    each(
                        index,
                        &Answer::without_item(self.reading.kind, error.status, &error.message),
                    );
                    if !error.status.is_answer_or_caller_error() {
                        first_failure.get_or_insert(error);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Queries {
    /// Returns the size of a file on this machine in bytes; 0 if there is none, or it cannot be read in time.
    pub(super) fn size_of(&self, path: &[u8], deadline: Deadline) -> u64 {
        self.sizes.size_of(path, deadline).unwrap_or(0)
    }

    /// Resolves a path, with the size of its file if that can decide.
    pub(super) fn resolve_with_size<'v, V: Deref<Target: LibraryIndex + 'v>>(
        &self,
        resolver: &Resolver<'v, '_, V>,
        path: &[u8],
    ) -> Resolution<'v> {
        let size = OnceCell::new();
        let read = || Some(*size.get_or_init(|| self.size_of(path, Deadline::NONE)));
        let mut resolution = Resolution::default();
        NormalPath::with(path, |path| {
            resolver.resolve_normal(path, QueriedSize::Read(&read), None, false, &mut resolution);
        });
        resolution
    }
}

impl QueryContext<'_> {
    /// Returns whether nothing that is known of a library is later than the request that brought this item: no doubt, except
    /// that other items may differ, too, and no token that tells of a change.
    fn is_current(&self, library: usize, rating_key: &str) -> bool {
        let (row, view) = (&self.snapshot.rows[library], &self.snapshot.libraries[library]);
        let asked = Sequence(view.asked_of(rating_key));
        let is_later =
            |doubt: &Doubt| doubt.is_about_library() && doubt.cause != Cause::Differs && doubt.raised > asked;
        let tells_change = row.generation.is_fetched() && row.listed_token() != row.library.change.token;
        !(row.doubts.iter().any(is_later) || tells_change && row.probed_at() > asked)
    }

    /// Returns whether a request that began after the change sequence `since` has brought this item, and nothing that is
    /// known of the library is later.
    fn is_shown_since(&self, library: usize, rating_key: &str, since: Sequence) -> bool {
        let asked = self.snapshot.libraries[library].asked_of(rating_key);
        asked > since.0 && self.is_current(library, rating_key)
    }

    /// Returns whether the result is final: no step is due, and the search did not need the store. Never inlined,
    /// because most queries do not need this check.
    #[inline(never)]
    fn can_answer_now<Q: QueryKind>(
        &self,
        query: &Q,
        found: &Q::Found<'_>,
        assessment: Assessment,
        state: &mut QueryState,
    ) -> bool {
        let mut targets = StepTargets::default();
        let is_due = |step| match step {
            Step::Ask => Ok(!self.libraries_to_ask(query, assessment).is_empty()), // without a read
            _ => self.is_due(query, found, assessment, step, &mut targets),
        };
        assessment.is_final_without_store
            && matches!(
                state.next_step(&self.step_conditions::<Q>(assessment), is_due),
                Ok(Step::Answer)
            )
    }
}

/// Returns whether the size of the file must be read, because it can decide the answer: the path is neither recorded nor
/// listed nor mapped.
fn wants_size(context: &QueryContext<'_>, outcome: &Resolution<'_>) -> bool {
    context.call.file_size == FileSize::Read
        && !outcome.match_kind.is_listed()
        && outcome.confidence != Confidence::High
        && !outcome.is_broken
}

/// Returns whether a library in which an item was found is doubted as a whole, so that the item may be gone.
fn is_invalidated(context: &QueryContext<'_>, outcome: &Resolution<'_>) -> bool {
    let is_invalidated = |doubt: &Doubt| doubt.cause == Cause::Invalidated && doubt.scope == DoubtScope::Library;
    let mut libraries = outcome
        .found()
        .iter()
        .map(|found| &context.snapshot.rows[found.library]);
    libraries.any(|row| row.doubts.iter().any(is_invalidated))
}

impl PathQuery<'_> {
    /// Returns whether an unfetched library may have the item under a different root.
    fn is_anywhere(&self, context: &QueryContext<'_>, outcome: &Resolution<'_>) -> bool {
        let is_found = outcome.single().is_some() && outcome.confidence == Confidence::High;
        !is_found && library_at_or_below(&context.snapshot.rows, self.path).is_none()
    }

    /// Returns the recent failure of the server because of which plexindex fetches no further library, if it has one.
    fn pause(context: &QueryContext<'_>) -> Option<Error> {
        let mut rows = context.snapshot.rows.iter();
        rows.any(|row| row.generation.is_fetched())
            .then(|| context.queries.sync.recent_failure(BACK_OFF_MS))
            .flatten()
    }

    /// Returns whether the answer is a file elsewhere, although a library should list the path itself, and the server was not
    /// searched for it lately.
    fn is_unasked(&self, context: &QueryContext<'_>, outcome: &Resolution<'_>, state: &QueryState) -> Result<bool> {
        if !outcome.is_by_size || !outcome.is_owned {
            return Ok(false);
        }
        let sync = &context.queries.sync;
        let may_ask = sync.may_send_requests(context.call)
            && state.failure.is_none()
            && state.timeout_status.is_none()
            && !state.verified
            && !state.was_not_asked();
        if !may_ask || sync.is_local() {
            return Ok(!may_ask);
        }
        let view_id = context.snapshot.view_id.unwrap_or_default();
        for row in context.libraries_where(self.owner_flags(context)) {
            if !sync.was_missed_recently(view_id, row, self.path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns whether the item is from a recent search in a library that was never fetched, so that the library need
    /// not be fetched now.
    fn is_recent_search_result(&self, context: &QueryContext<'_>, outcome: &Resolution<'_>) -> Result<bool> {
        if outcome.match_kind == MatchKind::None || outcome.doubt != HitDoubt::None {
            return Ok(false);
        }
        let (Some(found), Some(view_id)) = (outcome.single(), context.snapshot.view_id) else {
            return Ok(false);
        };
        let row = &context.snapshot.rows[found.library];
        if row.generation.is_fetched()
            || !context.is_current(found.library, found.item.rating_key)
            || !outcome.match_kind.is_by_plex()
        {
            return Ok(false);
        }
        let sync = &context.queries.sync;
        Ok((context.searched || !sync.source_may_have_changed(row)) && sync.has_recent_hit(view_id, row, self.path)?)
    }

    /// Returns the index of the library and the rating key of a confirmed match that does not count because its item is not
    /// listed. Returns `None` if the path is listed, or has no such match.
    fn unlisted_match<'t>(&self, context: &QueryContext<'t>, outcome: &Resolution<'_>) -> Option<(usize, &'t str)> {
        if outcome.match_kind.is_listed() {
            return None;
        }
        library_indexes(context.scope, context.snapshot.rows.len()).find_map(|index| {
            let view = &context.snapshot.libraries[index];
            let mut confirmed_key = None;
            view.each_confirmed(self.path, |hit| {
                confirmed_key = view.key_and_path(hit).map(|(key, _)| key);
            });
            let key = confirmed_key.filter(|key| view.find_item(key).is_none())?;
            Some((index, key))
        })
    }
}

impl QueryKind for PathQuery<'_> {
    type Found<'t> = Resolution<'t>;
    const VERIFIES_FIRST: bool = true;

    fn find<'t>(&self, context: &QueryContext<'t>, outcome: &mut Resolution<'t>) -> Result<()> {
        let (libraries, mappings) = (&context.snapshot.libraries, &context.queries.reading.mappings);
        let resolver = Resolver::new(libraries, context.scope, mappings);
        let read = || {
            // Once for all steps of the query, also if it cannot be read.
            let size = || context.queries.size_of(self.path.raw(), context.call.deadline);
            (!self.at_once).then(|| *self.size.get_or_init(size))
        };
        let size = match context.call.file_size {
            FileSize::Known(size) => QueriedSize::Known(size),
            FileSize::Read => QueriedSize::Read(&read),
            FileSize::Unread => QueriedSize::UNKNOWN,
        };
        resolver.resolve_normal(self.path, size, self.only_entry.take(), true, outcome);
        Ok(())
    }

    /// Assesses the result. A path is missing if it is neither listed nor mapped, and has no confirmed match.
    fn assess(&self, context: &QueryContext<'_>, outcome: &Resolution<'_>) -> Assessment {
        let is_listed = outcome.match_kind.is_listed();
        let needs_rebuild = outcome.is_broken || context.snapshot.is_incomplete;
        Assessment {
            needs_rebuild,
            is_missing: !is_listed && outcome.doubt == HitDoubt::None,
            is_final_if_fresh: is_listed && outcome.total == 1 && outcome.doubt == HitDoubt::None && !needs_rebuild,
            is_final_without_store: !wants_size(context, outcome),
        }
    }

    fn each_found_library(outcome: &Resolution<'_>, each: &mut dyn FnMut(usize)) {
        outcome.found().iter().for_each(|found| each(found.library));
    }

    /// For each library, returns whether a location contains the path or the server path that a mapping gives for it.
    fn owner_flags(&self, context: &QueryContext<'_>) -> Vec<bool> {
        context.snapshot.owners(self.path, &context.queries.reading.mappings)
    }

    /// Returns the candidates that were invalidated, and not verified since.
    fn unverified_items(&self, context: &QueryContext<'_>, outcome: &Resolution<'_>) -> Result<Vec<ItemToVerify>> {
        let (snapshot, rows) = (context.snapshot, &context.snapshot.rows);
        if let Some((index, rating_key)) = self.unlisted_match(context, outcome)
            && snapshot.libraries[index].is_doubted(rating_key)
        {
            return Ok(vec![ItemToVerify {
                row: rows[index].clone(),
                rating_key: rating_key.to_owned(),
            }]);
        }
        if outcome.doubt == HitDoubt::None {
            return Ok(Vec::new());
        }
        let found = outcome.found().iter();
        let is_doubted = |found: &FoundItem<'_>| {
            let (view, key) = (&snapshot.libraries[found.library], found.item.rating_key);
            view.doubt(self.path, found.path, key) != HitDoubt::None && !view.lacks_listing_of(self.path, key)
        };
        Ok(found
            .filter(|found| is_doubted(found))
            .map(|found| ItemToVerify {
                row: rows[found.library].clone(),
                rating_key: found.item.rating_key.to_owned(),
            })
            .collect())
    }

    /// Returns the path, which plexindex can search for on the server.
    fn search_target(&self) -> Option<SearchTarget<'_>> {
        Some(SearchTarget::Path(self.path))
    }

    /// Returns whether the result is a confirmed match, which never expires, or is from a recent search.
    fn needs_no_refresh(&self, context: &QueryContext<'_>, outcome: &Resolution<'_>) -> Result<bool> {
        let is_recorded = outcome.match_kind == MatchKind::Confirmed
            && outcome.doubt == HitDoubt::None
            && !outcome.is_ambiguous()
            && !is_invalidated(context, outcome);
        Ok(is_recorded || self.is_recent_search_result(context, outcome)?)
    }

    /// Returns the unfetched libraries in scope to search on the server: those with a location above the path, because
    /// Plex lists no other paths. Returns none if the call has no deadline, because plexindex then fetches the
    /// libraries.
    fn unfetched_to_search(&self, context: &QueryContext<'_>, _: &Resolution<'_>) -> Vec<LibraryRow> {
        let is_unfetched = |row: &LibraryRow| !row.generation.is_fetched();
        let rows = context.snapshot.rows_in(context.scope);
        // Searching a local source sends no request, so a local search does not depend on a deadline.
        let sync = &context.queries.sync;
        let may_search = if sync.is_local() {
            context
                .snapshot
                .view_id
                .is_some_and(|view_id| sync.may_search(view_id, rows.iter()))
        } else {
            context.call.deadline.is_set()
        };
        if !may_search || !rows.iter().any(is_unfetched) {
            return Vec::new();
        }
        let owned = context.libraries_where(self.owner_flags(context)).cloned();
        owned.filter(is_unfetched).collect()
    }

    /// Returns whether an unfetched library may have the item under a different root. Returns `false` if the path is or
    /// contains a library location, if an item matches with high confidence, or if the server failed recently.
    fn may_be_anywhere(&self, context: &QueryContext<'_>, outcome: &Resolution<'_>) -> bool {
        self.is_anywhere(context, outcome) && Self::pause(context).is_none()
    }

    /// Builds the answer, passes the answer to `then`, and updates the statistics.
    fn answer<R>(
        &self,
        context: &QueryContext<'_>,
        outcome: &Resolution<'_>,
        mut state: QueryState,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let (queries, snapshot, path) = (context.queries, context.snapshot, self.path.raw());
        let rows = snapshot.rows_in(context.scope);
        let is_unfetched = |row: &LibraryRow| !row.generation.is_fetched() && !queries.reading.is_evicted(row);
        if state.failure.is_none()
            && queries.sync.may_send_requests(context.call)
            && rows.iter().any(is_unfetched)
            && self.is_anywhere(context, outcome)
            && !self.owner_flags(context).contains(&true)
        {
            state.failure = Self::pause(context);
        }
        let unlisted = self.unlisted_match(context, outcome);
        let status = if outcome.doubt == HitDoubt::Path {
            Status::NotFound
        } else if outcome.is_ambiguous() {
            Status::Ambiguous
        } else if outcome.single().is_some() {
            Status::Ok
        } else if let Some(status) = state.timeout_status {
            status
        } else {
            Status::NotFound
        };
        if status != Status::Ok {
            context.check_miss(state.failure.as_ref())?;
        }
        let mut answer = Answer::of(queries.reading.kind, outcome, snapshot, status);
        let message;
        if outcome.doubt == HitDoubt::Path {
            (answer.reason, answer.confidence) = (Reason::Unconfirmed, Confidence::Low);
        } else if self.is_unasked(context, outcome, &state)? {
            (answer.reason, answer.confidence) = (Reason::NotListed, Confidence::Low);
        } else if rows.is_empty() && state.timeout_status == Some(status) {
            // The deadline passed before the server returned the list of libraries.
            answer.reason = Reason::NotFetched;
        }
        if state.failure.is_none() && state.was_not_asked() {
            answer.mark_not_asked();
        }
        let status = answer.status;
        if status != Status::Ok || answer.reason != Reason::None {
            let explanation = ExplanationContext {
                // The message mentions an owner only for a path outside the locations of the libraries in scope.
                owner: (answer.reason == Reason::NoLocation)
                    .then(|| context.owner_out_of_scope(self))
                    .flatten(),
                unlisted_match: unlisted.map(|(index, key)| (key, snapshot.rows[index].library.title.as_str())),
                view_id: snapshot.view_id,
            };
            message = queries.explain(&answer, rows, self.path, &explanation, state.failure.as_ref());
            answer.message = &message;
        }
        log::debug!(
            "'{}': {}, match kind {}",
            queries.display.path(path),
            status.name(),
            outcome.match_kind.name()
        );
        // A suffix match can suggest a missing mapping; a file name match only if the file is directly in its location.
        if status == Status::Ok
            && let Some(found) = outcome.mapping_sample()
        {
            let below = snapshot.components_below_location(found);
            if outcome.match_kind == MatchKind::Suffix || below == 1 {
                let evidence = outcome.size_evidence();
                queries.samples.add(snapshot.view_id, path, found.path, below, evidence);
            }
        }
        answer.age_ms = context.age_of(&answer);
        // An item from a search in an unfetched library expires when the search result expires.
        let is_outdated = outcome
            .single()
            .is_some_and(|found| !snapshot.rows[found.library].generation.is_fetched())
            && !self.is_recent_search_result(context, outcome)?;
        // A request that began after this query, or its batch, has shown the item.
        let is_shown =
            |found: &FoundItem<'_>| context.is_shown_since(found.library, found.item.rating_key, state.since);
        let is_just_found = || {
            !state.verified
                && outcome.match_kind.is_listed()
                && outcome.single().is_some_and(is_shown)
                && !queries.sync.is_past_ttl(state.started_ms, context.now_ms)
        };
        answer.stale = if outcome.match_kind == MatchKind::Confirmed {
            is_invalidated(context, outcome)
        } else {
            is_outdated || context.is_answer_stale(&state) && !is_just_found()
        };
        // The server was not asked about a doubted item, or about that of a confirmed match.
        answer.stale |= outcome.doubt != HitDoubt::None
            || unlisted.is_some_and(|(index, key)| snapshot.libraries[index].is_doubted(key));
        // The server no longer has the item, but may list the file for a different item.
        answer.stale |= state.verified && status == Status::NotFound;
        answer.mark_stale(state.failure.as_ref(), context.call.deadline.is_set());
        let result = then(&answer);
        queries.count_answer(state.at_once, &answer, &result);
        result
    }
}
