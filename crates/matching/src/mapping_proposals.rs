//! Proposes missing mappings: for example, 482 of 500 files match if the host maps `/mnt/media` to `/data/media`.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::normal::{NormalPath, normal_form};
use super::path_shape::PathShape;
use super::rewrite::{PrefixRule, is_absolute};

/// Number of files whose sizes agree that make a mapping certain.
const MIN_CERTAIN: usize = 10;

/// What the size of a file shows about the listed file that has the same end of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeEvidence {
    /// Nothing, because a size is unknown.
    None,
    /// It is this file.
    Same,
    /// It is another file.
    Other,
}

/// A prefix mapping that would translate host paths to listed paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedMapping {
    /// The folder as the host spells it.
    pub from: Vec<u8>,
    /// The folder as the server spells it.
    pub to: Vec<u8>,
    /// Number of paths that would match, with the size that Plex lists.
    pub matched: usize,
    /// Number of paths that speak against the mapping: it would lead to a file of another size, or another folder has the
    /// same files.
    pub contradicted: usize,
    /// Number of paths examined.
    pub examined: usize,
}

impl ProposedMapping {
    /// Returns whether sizes leave no doubt about the mapping.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.matched >= MIN_CERTAIN && self.contradicted == 0
    }

    /// Compiles the mapping, so that the caller can apply the mapping to more paths.
    #[must_use]
    pub fn rule(&self) -> PrefixRule {
        PrefixRule::new(&self.from, &self.to)
    }
}

/// Counts how many host paths each prefix mapping would translate to a listed path. Memory use grows with the number of
/// mappings, not with the number of paths.
#[derive(Debug, Default)]
pub struct Samples {
    examined: usize,
    /// The mappings, keyed by the normal forms of `from` and `to`.
    pairs: HashMap<(Vec<u8>, Vec<u8>), ProposedMapping>,
}

impl Samples {
    /// Returns the number of paths examined.
    #[must_use]
    pub fn count(&self) -> usize {
        self.examined
    }

    /// Adds a sample: an unlisted host path, and the listed path with the longest common suffix. `below` is the number
    /// of components that the listed path has below its location. Counts no mapping unless all of these components are
    /// equal, since only then would a mapping lead to this file. Names alone are no evidence.
    pub fn add(&mut self, host_path: &[u8], listed: &[u8], below: usize, evidence: SizeEvidence) {
        self.examined += 1;
        if evidence == SizeEvidence::None {
            return;
        }
        let Some((from, to)) = differing_roots(host_path, listed, below) else {
            return;
        };
        let mapping = self.pairs.entry((normal_form(from), normal_form(to)));
        let mapping = mapping.or_insert_with(|| ProposedMapping {
            from: from.to_vec(),
            to: to.to_vec(),
            matched: 0,
            contradicted: 0,
            examined: 0,
        });
        let count = match evidence {
            SizeEvidence::Same => &mut mapping.matched,
            _ => &mut mapping.contradicted,
        };
        *count += 1;
    }

    /// Returns all mappings with at least two matching paths, best first. If only one path was examined, one is enough. More
    /// paths must agree than contradict.
    #[must_use]
    pub fn proposals(&self) -> Vec<ProposedMapping> {
        let is_supported = |mapping: &&ProposedMapping| {
            (mapping.matched > 1 || mapping.matched == 1 && self.examined == 1)
                && mapping.matched > mapping.contradicted
        };
        let with_examined = |mapping: &ProposedMapping| ProposedMapping {
            examined: self.examined,
            ..mapping.clone()
        };
        let mut proposals: Vec<ProposedMapping> = self.pairs.values().filter(is_supported).map(with_examined).collect();
        let mut of_server: HashMap<Vec<u8>, usize> = HashMap::new();
        for proposal in &proposals {
            *of_server.entry(normal_form(&proposal.to)).or_default() += proposal.matched;
        }
        for proposal in &mut proposals {
            proposal.contradicted += of_server[&normal_form(&proposal.to)] - proposal.matched;
        }
        proposals.sort_by(compare_support);
        proposals
    }
}

/// Sorts by the number of matching paths, in descending order. The folders break ties, so that the order is
/// reproducible.
fn compare_support(a: &ProposedMapping, b: &ProposedMapping) -> Ordering {
    b.matched
        .cmp(&a.matched)
        .then_with(|| (&a.from, &a.to).cmp(&(&b.from, &b.to)))
}

/// Removes the longest common suffix from both paths, and returns the remaining roots of the host path and the server
/// path. `None` if the suffix has fewer than `below` components, if `below` is 0, or if no rule can replace one root with
/// the other.
fn differing_roots<'a>(host_path: &'a [u8], server_path: &'a [u8], below: usize) -> Option<(&'a [u8], &'a [u8])> {
    let (mut from, mut to) = (host_path, server_path);
    let (windows_host, windows_server) = (PathShape::of(host_path).windows, PathShape::of(server_path).windows);
    let mut common_components = 0;
    loop {
        let (host_parent, host_name) = split_last(from, windows_host);
        let (server_parent, server_name) = split_last(to, windows_server);
        if host_name.is_empty() || server_name.is_empty() || normal_form(host_name) != normal_form(server_name) {
            break;
        }
        common_components += 1;
        (from, to) = (host_parent, server_parent);
    }
    let (from, to) = (non_empty_root(from, host_path), non_empty_root(to, server_path));
    // Rules with a relative folder are invalid.
    let is_rule = is_absolute(from) && is_absolute(to) && rewrites(from, to, host_path, server_path);
    (below > 0 && common_components >= below && is_rule).then_some((from, to))
}

/// Returns whether a rule that replaces `from` with `to` rewrites the host path to the server path. Also returns
/// `false` if the two paths are equal, since they need no rule.
fn rewrites(from: &[u8], to: &[u8], host_path: &[u8], server_path: &[u8]) -> bool {
    let rewritten = NormalPath::with(host_path, |path| {
        PrefixRule::new(from, to).rewrite(path, &mut normal_form)
    });
    let server_form = normal_form(server_path);
    normal_form(host_path) != server_form && rewritten == Some(server_form)
}

/// Splits a path into its parent, without a trailing separator, and its last component. `windows`: `\` is a separator,
/// like `/`.
pub(super) fn split_last(path: &[u8], windows: bool) -> (&[u8], &[u8]) {
    let is_separator = |byte: &u8| *byte == b'/' || (windows && *byte == b'\\');
    let trimmed = |path: &'_ [u8]| {
        path.iter()
            .rposition(|byte| !is_separator(byte))
            .map_or(0, |last| last + 1)
    };
    let path = &path[..trimmed(path)];
    let name_start = path.iter().rposition(is_separator).map_or(0, |separator| separator + 1);
    let (parent, name) = path.split_at(name_start);
    (&parent[..trimmed(parent)], name)
}

/// Returns `root`, or the leading separator of `path` if `root` is empty. [`split_last`] strips trailing separators, so
/// the root `/` becomes empty, but a mapping needs a non-empty folder.
fn non_empty_root<'a>(root: &'a [u8], path: &'a [u8]) -> &'a [u8] {
    if root.is_empty() {
        &path[..path.len().min(1)]
    } else {
        root
    }
}
