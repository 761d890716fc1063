//! The component that answers queries, and the trait for kinds of queries, which [`Queries::ask`] answers: by path,
//! folder, GUID or title. Collects suffix matches, to propose missing mappings.

use std::borrow::Cow;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::answer::Answer;
use crate::engine::{IndexKey, LibraryRow, Snapshot, Store, library_indexes};
use crate::error::{Error, Result, Status, invalid_argument_error, truncate_for_message};
use crate::knowledge::{Cause, Doubt, PathQuestion, age_ms};
use crate::matching::{MAX_PATH, NormalPath, ProposedMapping, Resolution, Resolver, Samples, Scope, SizeEvidence};
use crate::model::{Generation, LibraryId, MatchKind, Sequence, ViewId};
use crate::options::Options;
use crate::platform::clock::{Clock, Deadline};
use crate::platform::fork::{ForkLock, lock, lock_for_fork};
use crate::platform::size_reader::SizeReader;
use crate::stats::Counters;
use crate::sync::{BACK_OFF_MS, Call, IndexReader, ItemToVerify, Question, SearchCause, SearchTarget, Synchronizer};

/// Maximum number of mappings to try, and to return, for a list of unlisted paths.
const MAX_TRIED: usize = 12;
const MAX_RETURNED: usize = 5;

/// Answers the queries of one handle.
pub struct Queries {
    pub(super) store: Arc<Store>,
    pub(super) reading: Arc<IndexReader>,
    pub(super) sync: Arc<Synchronizer>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: Arc<Counters>,
    pub display: PathDisplay,
    /// The recent suffix matches, which suggest missing mappings.
    pub samples: MappingSamples,
    pub(super) sizes: SizeReader,
    /// Time when a wait for changes last ended because a refresh was due, in milliseconds of the coarse clock.
    pub(super) due_reported_ms: AtomicU64,
    /// Number of calls of [`Self::wake_waiting`].
    pub(super) wakeups: AtomicU64,
}

impl Queries {
    pub fn new(
        store: Arc<Store>,
        reading: Arc<IndexReader>,
        sync: Arc<Synchronizer>,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        options: &Options,
    ) -> Self {
        Self {
            display: PathDisplay::new(Arc::clone(&store), options.obfuscate_paths),
            store,
            reading,
            sync,
            clock,
            counters,
            samples: MappingSamples::default(),
            sizes: SizeReader::default(),
            due_reported_ms: AtomicU64::new(0),
            wakeups: AtomicU64::new(0),
        }
    }

    /// Acquires this component's locks before a fork. Dropping the returned values releases the locks.
    pub fn lock_for_fork(self: &Arc<Self>) -> [Box<dyn ForkLock>; 3] {
        let [worker, state] = SizeReader::lock_for_fork(self, |queries| &queries.sizes);
        [
            Box::new(lock_for_fork(self, |queries| &queries.samples.0)),
            worker,
            state,
        ]
    }

    /// Counts an answer, unless the host's function rejected the answer and `result` is an error. If
    /// `at_once` is true, also counts the call, because [`Counters::finish_call`] counts only calls that
    /// can wait.
    pub fn count_answer<R>(&self, at_once: bool, answer: &Answer<'_>, result: &Result<R>) {
        let match_kind = if answer.status == Status::Ok {
            answer.match_kind
        } else {
            MatchKind::None
        };
        if result.is_ok() {
            self.counters.count_answer(match_kind, answer.stale, at_once);
        } else if at_once {
            self.counters.count_call_at_once();
        }
    }

    /// Proposes mappings for the unlisted paths among `paths`. Returns each mapping with its gain: the number of paths
    /// that match with this mapping but with none of the earlier mappings.
    pub fn propose_mappings(&self, paths: &[&[u8]]) -> Result<Vec<(ProposedMapping, usize)>> {
        paths.iter().try_for_each(|path| self.display.check_path(path))?;
        self.reading.catch_up(Deadline::NONE)?;
        self.reading.check_accepted()?;
        let snapshot = self.reading.snapshot();
        let resolver = Resolver::new(&snapshot.libraries, Scope::All, self.reading.mappings());
        // While other processes keep writing, some paths cannot be resolved, and count as unlisted.
        let resolve = |path: &[u8]| {
            let asked = self
                .reading
                .ask_matches(&snapshot, Scope::All, path, Some(Deadline::NONE));
            asked.map(|_| self.resolve_with_size(&resolver, path))
        };
        let is_single_listed =
            |resolution: &Resolution<'_>| resolution.match_kind.is_listed() && resolution.single().is_some();
        let (mut samples, mut unlisted) = (Samples::default(), Vec::new());
        for path in paths {
            let resolution = resolve(path)?;
            if !is_single_listed(&resolution) {
                unlisted.push(*path);
                if let Some(found) = resolution.mapping_sample() {
                    let below = snapshot.components_below_location(found);
                    samples.add(path, found.path, below, resolution.size_evidence());
                }
            }
        }
        // Try each mapping on the paths for which no earlier mapping has found an item.
        let mut useful = Vec::new();
        for pair in samples.proposals().into_iter().take(MAX_TRIED) {
            let rule = pair.rule();
            let finds = |path: &NormalPath<'_>| {
                rule.rewrite(path, &mut |path| {
                    resolve(path).is_ok_and(|found| is_single_listed(&found))
                })
            };
            let still_unlisted: Vec<&[u8]> = (unlisted.iter().copied())
                .filter(|path| NormalPath::with(path, finds) != Some(true))
                .collect();
            let gain = unlisted.len() - still_unlisted.len();
            // With 20 paths or more, a mapping for one path, or for about 1 % of the paths, may be a coincidence.
            if useful.len() < MAX_RETURNED && (gain > 1 + paths.len() / 100 || gain > 0 && paths.len() < 20) {
                useful.push((pair, gain));
                unlisted = still_unlisted;
            }
        }
        Ok(useful)
    }
}

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
    /// The indexes that the search needs, and the libraries of which one has none yet.
    pub needed_index: Option<(IndexKey, Scope)>,
}

/// A step that a query takes before the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Rebuild missing or damaged segments.
    Rebuild,
    /// Build the missing indexes of these libraries.
    Index(IndexKey, Scope),
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
    Answer,
}

/// Facts that determine the next step without reading the store.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepConditions {
    pub may_send_requests: bool,
    pub view_id: Option<ViewId>,
    /// Number of libraries in the view.
    pub libraries: usize,
    /// Whether a segment that the query needs is missing or damaged.
    pub needs_rebuild: bool,
    /// The indexes that the search needs.
    pub needed_index: Option<(IndexKey, Scope)>,
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
    /// The view whose libraries were refreshed last, and their number; ID 0 if no view was known.
    pub refreshed: Option<(ViewId, usize)>,
    pub refreshes: u32,
    pub restarts: u32,
    pub rebuilt: u32,
    /// Number of times that the query has built an index, or tried to.
    pub indexed: u32,
    pub fetched_libraries: bool,
    pub searched_unfetched: bool,
    /// Whether the query has asked the server about a missing path, or need not ask.
    pub asked: bool,
    /// Why to search the server for the path; `None`: no search is necessary, or it is done.
    pub search: Option<SearchCause>,
    /// Whether a full listing, which the query has skipped, was fetched after the search.
    pub listed: bool,
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
        Err(self.queries.reading.never_fetched_error(self.call.library))
    }

    /// Collects the facts that determine the next step without reading the store. `assessment` is of the result so far.
    pub fn step_conditions<Q: QueryKind>(&self, assessment: Assessment) -> StepConditions {
        StepConditions {
            may_send_requests: self.queries.sync.may_send_requests(self.call),
            view_id: self.snapshot.view_id,
            libraries: self.snapshot.rows.len(),
            needs_rebuild: assessment.needs_rebuild,
            needed_index: assessment.needed_index,
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
            // `next_step` never asks for `Rebuild` and `Index`.
            Step::Rebuild | Step::Index(..) | Step::Answer => {
                return Ok(!self.call.always_asks && query.needs_no_refresh(self, found)?);
            }
            Step::Verify => {
                targets.items = query.unverified_items(self, found)?;
                return Ok(!targets.items.is_empty());
            }
            Step::SearchUnfetched => query.unfetched_to_search(self, found),
            Step::Refresh => self.stale_libraries(query, found),
            Step::List => return Ok(assessment.is_missing),
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
        Ok(!(targets.libraries.is_empty()
            || step == Step::SearchUnfetched && sync.recent_failure(BACK_OFF_MS).is_some()))
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

    /// Returns the query's libraries that are due for a refresh.
    fn stale_libraries<Q: QueryKind>(&self, query: &Q, found: &Q::Found<'_>) -> Vec<LibraryRow> {
        let (queries, rows) = (self.queries, &self.snapshot.rows);
        let is_fresh = |row: &LibraryRow| {
            (!self.call.always_asks || row.probed_at() > self.since) && queries.sync.need(row, self.now_ms).is_none()
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
        age_ms(row.checked_ms(), self.now_ms)
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

/// Maximum number of suffix matches to count.
const MAX_SAMPLES: usize = 500;

/// The suffix matches in one view, and a sentence about the mapping that most suffix matches suggest.
#[derive(Default)]
pub struct MappingSamples(pub(super) Mutex<SampleCounts>);

#[derive(Default)]
pub struct SampleCounts {
    /// The view that the samples are from; `None` if no view was known. Other views get no proposed mappings from them.
    view_id: Option<ViewId>,
    samples: Samples,
    /// The sentence and the mapping's server folder; empty if there is no proposal. `None` after a new sample, so that
    /// the next reader rebuilds the sentence.
    sentence: Option<(Arc<str>, Vec<u8>)>,
}

impl MappingSamples {
    /// Counts a suffix match in a view between a host path and a listed path, which has `below` components below its
    /// location. Does nothing after [`MAX_SAMPLES`]
    /// matches, or while another thread holds the lock, so that no query waits.
    pub fn add(&self, view_id: Option<ViewId>, host_path: &[u8], listed: &[u8], below: usize, evidence: SizeEvidence) {
        let Ok(mut counts) = self.0.try_lock() else { return };
        if counts.view_id != view_id {
            *counts = SampleCounts {
                view_id,
                ..SampleCounts::default()
            };
        }
        if counts.samples.count() < MAX_SAMPLES {
            counts.samples.add(host_path, listed, below, evidence);
            counts.sentence = None;
        }
    }

    /// Returns the mappings that suffix matches in the view suggest, best first.
    pub fn proposals(&self, view_id: Option<ViewId>) -> Vec<ProposedMapping> {
        let counts = lock(&self.0);
        if counts.view_id == view_id {
            counts.samples.proposals()
        } else {
            Vec::new()
        }
    }

    /// Returns a sentence about the mapping with the most support; `None` if no mapping has enough support, or if
    /// `accepts` rejects the mapping's server folder. The sentence is cached, so `format_folder` must always return the
    /// same string for the same folder.
    pub fn best_mapping_sentence(
        &self,
        view_id: Option<ViewId>,
        format_folder: &dyn Fn(&[u8]) -> String,
        accepts: impl Fn(&[u8]) -> bool,
    ) -> Option<Arc<str>> {
        let mut counts = lock(&self.0);
        if counts.view_id != view_id {
            return None;
        }
        if counts.sentence.is_none() {
            let best = counts.samples.proposals().into_iter().find(is_well_supported);
            let sentence = best.as_ref().map(|best| {
                format!(
                    "{} of {} suffix matches suggest the mapping {} -> {}",
                    best.matched,
                    best.examined,
                    format_folder(&best.from),
                    format_folder(&best.to)
                )
            });
            let server_folder = best.as_ref().map(|best| best.to.clone());
            counts.sentence = Some((sentence.unwrap_or_default().into(), server_folder.unwrap_or_default()));
        }
        let (sentence, server_folder) = counts.sentence.as_ref()?;
        (!sentence.is_empty() && accepts(server_folder)).then(|| Arc::clone(sentence))
    }
}

/// Returns whether a proposal may appear in answers. A proposal needs more than one matching path, and must not map to
/// a root, because such a mapping would affect too many paths.
fn is_well_supported(proposal: &ProposedMapping) -> bool {
    proposal.matched > 1 && !proposal.to.iter().all(|byte| matches!(byte, b'/' | b'\\'))
}

/// Number of hash bytes in an obfuscated path, enough to distinguish the paths in a log.
const HASH_BYTES: usize = 5;
/// Maximum length in bytes of a path that is shown in full; a longer path is cut.
const MAX_SHOWN_PATH: usize = 4_096;
/// Maximum length of an extension shown in an obfuscated path. A longer extension may be part of a title.
const MAX_EXTENSION: usize = 5;

/// Formats and validates media paths.
pub struct PathDisplay {
    store: Arc<Store>,
    is_obfuscated: bool,
}

impl PathDisplay {
    /// Creates a formatter. `is_obfuscated` is the value of
    /// [`Options::obfuscate_paths`](crate::Options::obfuscate_paths).
    pub fn new(store: Arc<Store>, is_obfuscated: bool) -> Self {
        Self { store, is_obfuscated }
    }

    /// Formats a path for an error or a log line. An obfuscated path consists of `path-`, a keyed hash and the
    /// extension, and is always the same within one store. Without the store's key, an attacker cannot test a guess.
    pub fn path<'p>(&self, path: &'p [u8]) -> Cow<'p, str> {
        if !self.is_obfuscated {
            return match std::str::from_utf8(path) {
                _ if path.len() > MAX_SHOWN_PATH => truncate_for_message(path),
                Ok(text) => Cow::Borrowed(text), // much faster than the lossy conversion
                Err(_) => String::from_utf8_lossy(path),
            };
        }
        // The prefix `path ` separates these hashes from other uses of the key. Five bytes are ten hexadecimal digits.
        let hash = self.store.key().keyed(&[b"path ", path].concat());
        let hash = hash[..HASH_BYTES]
            .iter()
            .fold(0, |hash: u64, byte| hash << 8 | u64::from(*byte));
        Cow::Owned(format!("path-{hash:010x}{}", extension(path)))
    }

    /// Validates a path, which must not be empty, contain a NUL byte, or exceed [`MAX_PATH`].
    ///
    /// # Errors
    /// Returns [`Status::InvalidArgument`](crate::error::Status::InvalidArgument) if the path is invalid.
    pub fn check_path(&self, path: &[u8]) -> Result<()> {
        if path.is_empty() {
            return invalid_argument_error("the path is empty: specify the path of a file or folder");
        }
        if path.len() > MAX_PATH {
            return invalid_argument_error(format!(
                "the path that starts with '{}' is {} bytes long; the limit is {MAX_PATH} bytes",
                self.path(&path[..32]),
                path.len(),
            ));
        }
        if memchr::memchr(0, path).is_some() {
            return invalid_argument_error(format!(
                "the path '{}' contains a NUL byte, which file names cannot contain",
                self.path(path)
            ));
        }
        Ok(())
    }
}

/// Returns a path's extension, including the dot; an empty string if the path has no extension.
pub fn extension(path: &[u8]) -> &str {
    let name = path
        .rsplit(|byte| matches!(byte, b'/' | b'\\'))
        .next()
        .unwrap_or_default();
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0) else {
        return "";
    };
    let letters = &name[dot + 1..];
    let is_extension =
        !letters.is_empty() && letters.len() <= MAX_EXTENSION && letters.iter().all(u8::is_ascii_alphanumeric);
    std::str::from_utf8(&name[dot..])
        .ok()
        .filter(|_| is_extension)
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::extension;

    #[test]
    fn an_extension_is_short_and_plain() {
        assert_eq!(extension(b"/media/A Film (1999).mkv"), ".mkv");
        assert_eq!(extension(b"D:\\Films\\x.M2TS"), ".M2TS");
        for none in [
            &b"/media/film"[..],
            b"/media.d/film",
            b"/media/.hidden",
            b"/a/b.a secret",
            b"/a/b.",
            b"/a/b.\xff",
        ] {
            assert_eq!(extension(none), "");
        }
    }
}
