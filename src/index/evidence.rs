//! What answers by the end of a path tell of the mapping that is missing.

use std::borrow::Cow;
use std::sync::Mutex;

use crate::matching::propose::{Proposal, propose};

/// How many answers are remembered: enough to weigh, and bounded.
const SAMPLES: usize = 500;

/// Pairs of a path asked for and the listed path that has the same end.
#[derive(Default)]
pub struct Evidence(pub(super) Mutex<Vec<(Vec<u8>, Vec<u8>)>>);

impl Evidence {
    /// Remembers an answer, unless there are enough, or another thread is at it.
    pub fn saw(&self, asked: &[u8], listed: &[u8]) {
        if let Ok(mut samples) = self.0.try_lock()
            && samples.len() < SAMPLES
        {
            samples.push((asked.to_vec(), listed.to_vec()));
        }
    }

    /// Mappings that these answers speak for, the one for which most does first.
    pub fn proposals(&self) -> Vec<Proposal> {
        let samples = super::lock(&self.0);
        let pairs = samples
            .iter()
            .map(|(asked, listed)| (asked.as_slice(), [listed.as_slice()]));
        propose(pairs)
    }

    /// The mapping for which most speaks, in a sentence; `shown` says how folders are written.
    pub fn proposal(&self, shown: &dyn Fn(&[u8]) -> String) -> Option<String> {
        let best = self.proposals().into_iter().next()?;
        Some(format!(
            "{} of {} paths that were found by their end agree on {} -> {}",
            best.matched,
            best.of,
            shown(&best.from),
            shown(&best.to)
        ))
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
