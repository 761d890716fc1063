//! What answers by the end of a path tell of the mapping that is missing.

use std::sync::Mutex;

use crate::matching::propose::propose;

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

    /// The mapping for which most speaks, in a sentence.
    pub fn proposal(&self) -> Option<String> {
        let samples = super::lock(&self.0);
        let pairs = samples
            .iter()
            .map(|(asked, listed)| (asked.as_slice(), [listed.as_slice()]));
        let best = propose(pairs).into_iter().next()?;
        Some(format!(
            "{} of {} paths that were found by their end agree on {} -> {}",
            best.matched,
            best.of,
            String::from_utf8_lossy(&best.from),
            String::from_utf8_lossy(&best.to)
        ))
    }
}
