//! What answers by the end of a path tell of the mapping that is missing.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use crate::matching::propose::{Proposal, Samples};
use crate::platform::fork::{Release, hold};
use crate::platform::mutex::lock;

/// How many answers are counted: enough to weigh, and bounded.
const SAMPLES: usize = 500;

/// What the answers tell, as counts, and the sentence that is made of them when it is first read.
#[derive(Default)]
pub struct MappingSamples(Mutex<Told>);

#[derive(Default)]
struct Told {
    samples: Samples,
    /// Empty when nothing is proposed; none when samples came since.
    sentence: Option<Arc<str>>,
}

impl MappingSamples {
    /// Its lock, held through a fork.
    pub fn hold<O: 'static>(owner: &Arc<O>, within: fn(&O) -> &Self) -> Box<dyn Release> {
        Box::new(hold(owner, |owner| &within(owner).0))
    }

    /// Counts an answer, unless there are enough, or another thread is at it.
    pub fn saw(&self, asked: &[u8], listed: &[u8]) {
        if let Ok(mut told) = self.0.try_lock()
            && told.samples.count() < SAMPLES
        {
            told.samples.add(asked, [listed]);
            told.sentence = None;
        }
    }

    /// Mappings that these answers speak for, the one for which most does first.
    pub fn proposals(&self) -> Vec<Proposal> {
        lock(&self.0).samples.proposals()
    }

    /// The mapping for which most speaks, in a sentence; `shown` says how folders are written, always the same way.
    pub fn proposal(&self, shown: &dyn Fn(&[u8]) -> String) -> Option<Arc<str>> {
        let mut told = lock(&self.0);
        if told.sentence.is_none() {
            let best = told.samples.best();
            let sentence = best.map(|best| {
                format!(
                    "{} of {} paths that were found by their end agree on {} -> {}",
                    best.matched,
                    best.of,
                    shown(&best.from),
                    shown(&best.to)
                )
            });
            told.sentence = Some(sentence.unwrap_or_default().into());
        }
        told.sentence.clone().filter(|sentence| !sentence.is_empty())
    }
}

/// Mappings as a JSON array. Folders that are not UTF-8 are left out: JSON has no words for them.
pub fn to_json(proposals: &[Proposal]) -> String {
    let text = |folder: &[u8]| match String::from_utf8_lossy(folder) {
        Cow::Borrowed(text) => Some(text.to_owned()),
        Cow::Owned(_) => None,
    };
    let array: Vec<_> = proposals
        .iter()
        .filter_map(|one| {
            Some(serde_json::json!({
                "from": text(&one.from)?, "to": text(&one.to)?, "matched": one.matched, "of": one.of,
            }))
        })
        .collect();
    serde_json::Value::Array(array).to_string()
}
