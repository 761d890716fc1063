//! The component that answers queries.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::answer::Answer;
use super::samples::MappingSamples;
use super::shown::PathDisplay;
use super::walks::Walks;
use crate::engine::Store;
use crate::error::{Result, Status};
use crate::freshness::Policy;
use crate::model::MatchKind;
use crate::options::Options;
use crate::platform::clock::Clock;
use crate::platform::fork::Release;
use crate::stats::Counters;
use crate::sync::{Reading, Syncing};

/// The queries of one handle.
pub struct Queries {
    pub(super) store: Arc<Store>,
    pub(super) reading: Arc<Reading>,
    pub(super) sync: Arc<Syncing>,
    pub(super) policy: Policy,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: Arc<Counters>,
    pub shown: PathDisplay,
    pub(super) samples: MappingSamples,
    pub(super) walks: Walks,
    /// When a wait for changes last ended because a refresh was due, by the coarse clock.
    pub(super) due_reported_ms: AtomicU64,
}

impl Queries {
    pub fn new(
        store: Arc<Store>,
        reading: Arc<Reading>,
        sync: Arc<Syncing>,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        options: &Options,
    ) -> Self {
        Self {
            shown: PathDisplay::new(Arc::clone(&store), options.obfuscate_paths),
            store,
            reading,
            sync,
            policy: Policy::new(options),
            clock,
            counters,
            samples: MappingSamples::default(),
            walks: Walks::default(),
            due_reported_ms: AtomicU64::new(0),
        }
    }

    /// Its locks, held through a fork.
    pub fn hold(self: &Arc<Self>) -> [Box<dyn Release>; 2] {
        [
            MappingSamples::hold(self, |queries| &queries.samples),
            Walks::hold(self, |queries| &queries.walks),
        ]
    }

    /// Validates a path.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`].
    pub fn check_path(&self, path: &[u8]) -> Result<()> {
        self.shown.check_path(path)
    }

    /// The mappings that suffix matches propose.
    pub fn samples(&self) -> &MappingSamples {
        &self.samples
    }

    /// Passes an answer to the host, and counts it unless the host returns an error. Also counts calls that are
    /// answered at once; [`Counters::call_ends`] counts the others.
    pub fn deliver<R>(
        &self,
        at_once: bool,
        answer: &Answer<'_>,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let match_kind = if answer.status == Status::Ok {
            answer.match_kind
        } else {
            MatchKind::None
        };
        match then(answer) {
            Ok(result) if at_once => {
                self.counters.count_answer_at_once(match_kind, answer.stale);
                Ok(result)
            }
            Ok(result) => {
                self.counters.count_answer(match_kind, answer.stale);
                Ok(result)
            }
            Err(error) => {
                if at_once {
                    self.counters.count_call_at_once();
                }
                Err(error)
            }
        }
    }
}
