//! Tries missing mappings on paths.

use super::queries::Queries;
use crate::error::Result;
use crate::matching::propose::{PrefixPair, Samples};
use crate::matching::{Normal, Resolution, Resolver, Scope};
use crate::model::{MatchKind, Reason};
use crate::platform::deadline::Deadline;

/// Maximum number of proposals to try.
const MAX_TRIED: usize = 12;
/// Maximum number of proposals to return.
const MAX_RETURNED: usize = 5;

impl Queries {
    /// Proposes mappings for paths that are not listed. Each comes with its gain: how many paths it adds to those that
    /// the mappings before it find.
    pub fn try_mappings(&self, paths: &[&[u8]]) -> Result<Vec<(PrefixPair, usize)>> {
        paths.iter().try_for_each(|path| self.shown.check_path(path))?;
        self.reading.catch_up(Deadline::NONE)?;
        self.reading.check_accepted()?;
        let snapshot = self.reading.snapshot();
        let resolver = Resolver::new(&snapshot.views, Scope::All, self.reading.mappings());
        let is_single_listed = |found: &Resolution<'_>| found.match_kind.is_listed() && found.single().is_some();
        let (mut samples, mut unlisted) = (Samples::default(), Vec::new());
        for path in paths {
            let found = resolver.resolve(path);
            if !is_single_listed(&found) {
                unlisted.push(*path);
                let is_evidence = found.match_kind == MatchKind::Suffix
                    && !matches!(found.reason, Reason::Contradicted | Reason::NotListed);
                if let Some(one) = found.single().filter(|_| is_evidence) {
                    samples.add(path, [one.path]);
                }
            }
        }
        let mut useful = Vec::new();
        for pair in samples.proposals().into_iter().take(MAX_TRIED) {
            let rule = pair.rule();
            let lists = |path: &Normal<'_>| rule.rewrite(path, &mut |path| is_single_listed(&resolver.resolve(path)));
            let still_unlisted: Vec<&[u8]> = (unlisted.iter().copied())
                .filter(|path| Normal::with(path, lists) != Some(true))
                .collect();
            let gain = unlisted.len() - still_unlisted.len();
            // A mapping for fewer files may be a coincidence, unless there are few files.
            if useful.len() < MAX_RETURNED && (gain > 1 + paths.len() / 100 || gain > 0 && paths.len() < 20) {
                useful.push((pair, gain));
                unlisted = still_unlisted;
            }
        }
        Ok(useful)
    }
}
