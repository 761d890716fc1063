//! Proposes missing mappings from suffix matches.

use std::sync::{Arc, Mutex};

use crate::matching::propose::{PrefixPair, Samples};
use crate::model::IdentityId;
use crate::platform::fork::{Release, hold};
use crate::platform::mutex::lock;

/// How many answers are counted: enough to weigh, and bounded.
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

    /// Counts an answer from this view. Does nothing if there are `SAMPLES` already or another thread holds the lock.
    pub fn saw(&self, identity: Option<IdentityId>, asked: &[u8], listed: &[u8]) {
        let Ok(mut told) = self.0.try_lock() else { return };
        if told.identity != identity {
            *told = SampleCounts {
                identity,
                ..SampleCounts::default()
            };
        }
        if told.samples.count() < SAMPLES {
            told.samples.add(asked, [listed]);
            told.sentence = None;
        }
    }

    /// Mappings that the answers from this view speak for, the one for which most does first.
    pub fn proposals(&self, identity: Option<IdentityId>) -> Vec<PrefixPair> {
        let told = lock(&self.0);
        if told.identity == identity {
            told.samples.proposals()
        } else {
            Vec::new()
        }
    }

    /// The mapping for which most speaks, in a sentence, if its folder of the server's is one that is `wanted`; `shown`
    /// says how folders are written, always the same way.
    pub fn proposal(
        &self,
        identity: Option<IdentityId>,
        shown: &dyn Fn(&[u8]) -> String,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Option<Arc<str>> {
        let mut told = lock(&self.0);
        if told.identity != identity {
            return None;
        }
        if told.sentence.is_none() {
            let best = told.samples.best().filter(is_telling);
            let best = best.or_else(|| told.samples.proposals().into_iter().find(is_telling));
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
            told.sentence = Some((sentence.unwrap_or_default().into(), to.unwrap_or_default()));
        }
        let (sentence, to) = told.sentence.as_ref()?;
        (!sentence.is_empty() && wanted(to)).then(|| Arc::clone(sentence))
    }
}

/// Whether a proposal is worth a word in each answer: what one path shows may be that path's alone, and a rule onto a root
/// would move every path.
fn is_telling(proposal: &PrefixPair) -> bool {
    proposal.matched > 1 && !proposal.to.iter().all(|byte| matches!(byte, b'/' | b'\\'))
}
