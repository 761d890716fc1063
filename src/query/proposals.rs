//! Tries missing mappings on paths.

use super::room::Queries;
use crate::error::Result;
use crate::matching::propose::{PrefixPair, Samples};
use crate::matching::{Normal, Resolution, Resolver, Scope};
use crate::model::{MatchKind, Reason};
use crate::platform::deadline::Deadline;

/// Most proposals that are tried, and that are worth a word.
const TRIED: usize = 12;
const WORTHY: usize = 5;

impl Queries {
    /// Mappings for paths that are not listed, each with the number of paths that it has listed, of those that the ones
    /// before it leave.
    pub fn try_mappings(&self, paths: &[&[u8]]) -> Result<Vec<(PrefixPair, usize)>> {
        paths.iter().try_for_each(|path| self.shown.check_path(path))?;
        self.reading.catch_up_without_noting(Deadline::NONE)?;
        self.reading.check_accepted()?;
        let snapshot = self.reading.snapshot();
        let resolver = Resolver::new(&snapshot.views, Scope::All, self.reading.mappings());
        let is_sure = |found: &Resolution<'_>| found.match_kind.is_listed() && found.single().is_some();
        let (mut samples, mut unsure) = (Samples::default(), Vec::new());
        for path in paths {
            let found = resolver.resolve(path);
            if !is_sure(&found) {
                unsure.push(*path);
                let speaks = found.match_kind == MatchKind::Suffix
                    && !matches!(found.reason, Reason::Contradicted | Reason::NotListed);
                if let Some(one) = found.single().filter(|_| speaks) {
                    samples.add(path, [one.path]);
                }
            }
        }
        let mut worthy = Vec::new();
        for pair in samples.proposals().into_iter().take(TRIED) {
            let rule = pair.rule();
            let lists = |path: &Normal<'_>| rule.rewrite(path, &mut |path| is_sure(&resolver.resolve(path)));
            let still: Vec<&[u8]> = (unsure.iter().copied())
                .filter(|path| Normal::with(path, lists) != Some(true))
                .collect();
            let gain = unsure.len() - still.len();
            // A mapping for fewer files is a coincidence, unless there are few.
            if worthy.len() < WORTHY && (gain > 1 + paths.len() / 100 || gain > 0 && paths.len() < 20) {
                worthy.push((pair, gain));
                unsure = still;
            }
        }
        Ok(worthy)
    }
}
