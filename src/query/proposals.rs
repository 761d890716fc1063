//! Proposes mappings for a list of unlisted paths.

use super::queries::Queries;
use crate::error::Result;
use crate::matching::mapping_proposals::{ProposedMapping, Samples};
use crate::matching::{NormalPath, Resolution, Resolver, Scope};
use crate::model::{Confidence, MatchKind, Reason};
use crate::platform::deadline::Deadline;

const MAX_TRIED: usize = 12;
const MAX_RETURNED: usize = 5;

impl Queries {
    /// Proposes mappings for the unlisted paths among `paths`. Returns each mapping with its gain: the number of paths
    /// that match with this mapping but with none of the earlier mappings.
    pub fn propose_mappings(&self, paths: &[&[u8]]) -> Result<Vec<(ProposedMapping, usize)>> {
        paths.iter().try_for_each(|path| self.display.check_path(path))?;
        self.reading.catch_up(Deadline::NONE)?;
        self.reading.check_accepted()?;
        let snapshot = self.reading.snapshot();
        let resolver = Resolver::new(&snapshot.libraries, Scope::All, self.reading.mappings());
        let is_single_listed =
            |resolution: &Resolution<'_>| resolution.match_kind.is_listed() && resolution.single().is_some();
        let (mut samples, mut unlisted) = (Samples::default(), Vec::new());
        for path in paths {
            let resolution = resolver.resolve(path);
            if !is_single_listed(&resolution) {
                unlisted.push(*path);
                let is_suffix = matches!(resolution.match_kind, MatchKind::Suffix | MatchKind::FileName);
                let is_sample = is_suffix && resolution.reason != Reason::NotListed;
                if let Some(found) = resolution.single().filter(|_| is_sample) {
                    let is_certain = resolution.confidence == Confidence::High;
                    samples.add(path, found.path, snapshot.components_below_location(found), is_certain);
                }
            }
        }
        // Try each mapping on the paths for which no earlier mapping has found an item.
        let mut useful = Vec::new();
        for pair in samples.proposals().into_iter().take(MAX_TRIED) {
            let rule = pair.rule();
            let finds =
                |path: &NormalPath<'_>| rule.rewrite(path, &mut |path| is_single_listed(&resolver.resolve(path)));
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
