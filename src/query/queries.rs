//! The component that answers queries. Collects suffix matches, to propose missing mappings, and formats paths.

use std::borrow::Cow;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use super::answer::Answer;
use crate::engine::Store;
use crate::error::{Result, Status, invalid_argument_error, truncate_for_message};
use crate::matching::{MAX_PATH, NormalPath, ProposedMapping, Resolution, Resolver, Samples, Scope, SizeEvidence};
use crate::model::{MatchKind, ViewId};
use crate::options::Options;
use crate::platform::clock::{Clock, Deadline};
use crate::platform::fork::{ForkLock, lock, lock_for_fork};
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
            self.counters.calls.add(1);
        }
    }

    /// Proposes mappings for the unlisted paths among `paths`. Returns each mapping with its gain: the number of paths
    /// that match with this mapping but with none of the earlier mappings.
    pub fn propose_mappings(&self, paths: &[&[u8]]) -> Result<Vec<(ProposedMapping, usize)>> {
        paths.iter().try_for_each(|path| self.display.check_path(path))?;
        self.reading.catch_up(Deadline::NONE)?;
        self.reading.check_accepted()?;
        let snapshot = self.reading.snapshot();
        let resolver = Resolver::new(&snapshot.libraries, Scope::All, &self.reading.mappings);
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
                rule.rewrite(path, &mut |path, _| {
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
