//! Proposes missing mappings: for example, 482 of 500 files match if the host maps `/mnt/media` to `/data/media`.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::normal::{NormalPath, normal_form};
use super::path_shape::PathShape;
use super::rewrite::{PrefixRule, is_absolute};
use super::roots::{has_hidden_root, is_specific_file_name, may_map_another_work};

/// Number of files that a mapping must match if the files have only their names in common with listed files.
const MIN_NAMES: usize = 3;

/// A prefix mapping that would translate host paths to listed paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedMapping {
    /// The folder as the host spells it.
    pub from: Vec<u8>,
    /// The folder as the server spells it.
    pub to: Vec<u8>,
    /// Number of paths that would match.
    pub matched: usize,
    /// Number of paths examined.
    pub examined: usize,
}

impl ProposedMapping {
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
    pairs: HashMap<(Vec<u8>, Vec<u8>), Pair>,
}

#[derive(Debug)]
struct Pair {
    mapping: ProposedMapping,
    /// Number of matching paths whose answers have high confidence.
    certain: usize,
}

impl Samples {
    /// Returns the number of paths examined.
    #[must_use]
    pub fn count(&self) -> usize {
        self.examined
    }

    /// Adds a sample: an unlisted host path, and the listed path with the longest common suffix. `below` is the number
    /// of components that the listed path has below its location. Counts no mapping unless all of these components are
    /// equal, since only then may both be the same file, nor if the host path's root is hidden, which suggests a copy.
    /// `is_certain`: the answer for the host path has high confidence; otherwise, the path counts only if the file's
    /// name is specific.
    pub fn add(&mut self, host_path: &[u8], listed: &[u8], below: usize, is_certain: bool) {
        self.examined += 1;
        let Some((from, to)) = differing_roots(host_path, listed, below, is_certain) else {
            return;
        };
        let pair = self.pairs.entry((normal_form(from), normal_form(to)));
        let pair = pair.or_insert_with(|| Pair {
            mapping: ProposedMapping {
                from: from.to_vec(),
                to: to.to_vec(),
                matched: 0,
                examined: 0,
            },
            certain: 0,
        });
        pair.mapping.matched += 1;
        pair.certain += usize::from(is_certain);
    }

    /// Returns all mappings with at least two matching paths, best first. If only one path was examined, one is enough.
    /// If no answer has high confidence, three are necessary.
    #[must_use]
    pub fn proposals(&self) -> Vec<ProposedMapping> {
        let is_supported = |pair: &&Pair| {
            let matched = if pair.certain > 0 { pair.mapping.matched } else { 0 };
            matched > 1 || matched == 1 && self.examined == 1 || pair.mapping.matched >= MIN_NAMES
        };
        let with_examined = |pair: &Pair| ProposedMapping {
            examined: self.examined,
            ..pair.mapping.clone()
        };
        let supported_pairs = self.pairs.values().filter(is_supported);
        let mut proposals: Vec<ProposedMapping> = supported_pairs.map(with_examined).collect();
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
/// path. `None` if the suffix has fewer than `below` components, if `below` is 0, if the answer is not certain and
/// the name is generic or the folders may be another work's, if the host path's root is hidden, or if no rule can
/// replace one root with the other.
fn differing_roots<'a>(
    host_path: &'a [u8],
    server_path: &'a [u8],
    below: usize,
    is_certain: bool,
) -> Option<(&'a [u8], &'a [u8])> {
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
    let is_hidden = || NormalPath::with(host_path, |path| has_hidden_root(path, common_components));
    let name = split_last(server_path, windows_server).1;
    let is_specific = || is_certain || is_specific_file_name(name) && !may_map_another_work(from, to, name);
    (below > 0 && common_components >= below && is_rule && !is_hidden() && is_specific()).then_some((from, to))
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
