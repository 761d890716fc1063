//! Proposes missing mappings from suffix matches.

use std::sync::{Arc, Mutex};

use crate::matching::propose::{PrefixPair, Samples};
use crate::model::IdentityId;
use crate::platform::fork::{Release, hold};
use crate::platform::mutex::lock;

/// Maximum number of answers to count.
const SAMPLES: usize = 500;

/// Counts of prefix pairs, and the sentence built from them when it is first read.
#[derive(Default)]
pub struct MappingSamples(Mutex<SampleCounts>);

#[derive(Default)]
struct SampleCounts {
    /// The view that the samples come from: other views get no proposals from them.
    identity: Option<IdentityId>,
    samples: Samples,
    /// The sentence and the server's folder: empty if nothing is proposed; `None` after a new sample.
    sentence: Option<(Arc<str>, Vec<u8>)>,
}

impl MappingSamples {
    /// Its lock, held through a fork.
    pub fn hold<O: 'static>(owner: &Arc<O>, within: fn(&O) -> &Self) -> Box<dyn Release> {
        Box::new(hold(owner, |owner| &within(owner).0))
    }

    /// Counts an answer from this view. Does nothing after [`SAMPLES`] answers, or while another thread holds the lock.
    pub fn add(&self, identity: Option<IdentityId>, host: &[u8], listed: &[u8]) {
        let Ok(mut counts) = self.0.try_lock() else { return };
        if counts.identity != identity {
            *counts = SampleCounts {
                identity,
                ..SampleCounts::default()
            };
        }
        if counts.samples.count() < SAMPLES {
            counts.samples.add(host, [listed]);
            counts.sentence = None;
        }
    }

    /// The mappings that answers from this view suggest, best supported first.
    pub fn proposals(&self, identity: Option<IdentityId>) -> Vec<PrefixPair> {
        let counts = lock(&self.0);
        if counts.identity == identity {
            counts.samples.proposals()
        } else {
            Vec::new()
        }
    }

    /// A sentence with the best supported mapping, if `wanted` accepts its server folder. `shown` formats folders,
    /// always in the same way.
    pub fn proposal(
        &self,
        identity: Option<IdentityId>,
        shown: &dyn Fn(&[u8]) -> String,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Option<Arc<str>> {
        let mut counts = lock(&self.0);
        if counts.identity != identity {
            return None;
        }
        if counts.sentence.is_none() {
            let best = counts.samples.proposals().into_iter().find(is_well_supported);
            let sentence = best.as_ref().map(|best| {
                format!(
                    "{} of {} paths that were found by their end agree on {} -> {}",
                    best.matched,
                    best.of,
                    shown(&best.from),
                    shown(&best.to)
                )
            });
            let to = best.as_ref().map(|best| best.to.clone());
            counts.sentence = Some((sentence.unwrap_or_default().into(), to.unwrap_or_default()));
        }
        let (sentence, to) = counts.sentence.as_ref()?;
        (!sentence.is_empty() && wanted(to)).then(|| Arc::clone(sentence))
    }
}

/// Returns whether a proposal is supported well enough to appear in answers. A single path proves too little, and a
/// mapping onto a root would apply to every path.
fn is_well_supported(proposal: &PrefixPair) -> bool {
    proposal.matched > 1 && !proposal.to.iter().all(|byte| matches!(byte, b'/' | b'\\'))
}
