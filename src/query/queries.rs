//! The component that answers queries.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::answer::Answer;
use super::path_display::PathDisplay;
use super::samples::MappingSamples;
use crate::engine::Store;
use crate::error::{Result, Status};
use crate::matching::{NormalPath, ProposedMapping, Resolution, Resolver, Samples, Scope};
use crate::model::MatchKind;
use crate::options::Options;
use crate::platform::clock::{Clock, Deadline};
use crate::platform::fork::{ForkLock, lock_for_fork};
use crate::platform::size_reader::SizeReader;
use crate::stats::Counters;
use crate::sync::{IndexReader, Synchronizer};

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
