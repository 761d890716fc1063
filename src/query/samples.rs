//! Collects suffix matches, and proposes missing mappings.

use std::sync::{Arc, Mutex};

use crate::matching::{ProposedMapping, Samples, SizeEvidence};
use crate::model::ViewId;
use crate::platform::fork::lock;

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
