//! Proposes missing mappings: '482 of 500 files match if /data/media becomes /mnt/media'.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::normal::{Normal, Shape, normal_form};
use super::rewrite::{PrefixRule, is_full};

/// A prefix mapping that would make paths match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixPair {
    /// The folder as the host spells it.
    pub from: Vec<u8>,
    /// The folder as the server spells it.
    pub to: Vec<u8>,
    /// Number of paths that would match.
    pub matched: usize,
    /// Number of paths examined.
    pub of: usize,
}

impl PrefixPair {
    /// The rule that it proposes.
    #[must_use]
    pub fn rule(&self) -> PrefixRule {
        PrefixRule::new(&self.from, &self.to)
    }
}

/// Sampled paths, counted by pair of roots. Memory grows with the pairs, not with the paths.
#[derive(Debug, Default)]
pub struct Samples {
    of: usize,
    pairs: HashMap<(Vec<u8>, Vec<u8>), PrefixPair>,
}

impl Samples {
    /// Number of paths examined.
    #[must_use]
    pub fn count(&self) -> usize {
        self.of
    }

    /// Adds a host path that is not listed, with the listed paths that share its suffix.
    pub fn add<'a>(&mut self, host: &[u8], listed: impl IntoIterator<Item = &'a [u8]>) {
        self.of += 1;
        let mut seen = Vec::new();
        for server in listed {
            let Some((from, to)) = differing_roots(host, server) else {
                continue;
            };
            let key = (normal_form(from), normal_form(to));
            // Several listed paths may give the same pair; the host path counts once.
            if seen.contains(&key) {
                continue;
            }
            let proposal = self.pairs.entry(key.clone()).or_insert_with(|| PrefixPair {
                from: from.to_vec(),
                to: to.to_vec(),
                matched: 0,
                of: 0,
            });
            proposal.matched += 1;
            seen.push(key);
        }
    }

    /// Returns all mappings with more than one matching path, best first.
    #[must_use]
    pub fn proposals(&self) -> Vec<PrefixPair> {
        let mut proposals: Vec<PrefixPair> = self.pairs.values().filter_map(|pair| self.shown(pair)).collect();
        proposals.sort_by(order);
        proposals
    }

    /// Returns `None` for a pair that matches only one of several files.
    fn shown(&self, pair: &PrefixPair) -> Option<PrefixPair> {
        (pair.matched > 1 || self.of == 1).then(|| PrefixPair {
            of: self.of,
            ..pair.clone()
        })
    }
}

/// Orders by matching paths, most first; a total order, so the same samples give the same text.
fn order(a: &PrefixPair, b: &PrefixPair) -> Ordering {
    b.matched
        .cmp(&a.matched)
        .then_with(|| (&a.from, &a.to).cmp(&(&b.from, &b.to)))
}

/// Removes the longest common suffix, at least two components, from both paths and returns the rests.
fn differing_roots<'a>(host: &'a [u8], server: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (mut from, mut to) = (host, server);
    let (windows_from, windows_to) = (Shape::of(host).windows, Shape::of(server).windows);
    let mut common = 0;
    loop {
        let (shorter_from, a) = last(from, windows_from);
        let (shorter_to, b) = last(to, windows_to);
        if a.is_empty() || b.is_empty() || normal_form(a) != normal_form(b) {
            break;
        }
        common += 1;
        (from, to) = (shorter_from, shorter_to);
    }
    let (from, to) = (or_root(from, host), or_root(to, server));
    // A rule with a relative folder would be refused.
    let is_rule = is_full(from) && is_full(to) && turns_host_into_server(from, to, host, server);
    (common >= 2 && is_rule).then_some((from, to))
}

/// Returns whether this rule rewrites the host's path to the server's. It does not if a path has no folder, or if they
/// also differ elsewhere.
fn turns_host_into_server(from: &[u8], to: &[u8], host: &[u8], server: &[u8]) -> bool {
    let made = Normal::with(host, |host| PrefixRule::new(from, to).rewrite(host, &mut normal_form));
    normal_form(host) != normal_form(server) && made.is_some_and(|made| made == normal_form(server))
}

/// Splits a path into its parent and its last component.
fn last(path: &[u8], windows: bool) -> (&[u8], &[u8]) {
    let separates = |byte: &u8| *byte == b'/' || (windows && *byte == b'\\');
    let end = path.iter().rposition(|byte| !separates(byte)).map_or(0, |at| at + 1);
    let path = &path[..end];
    let at = path.iter().rposition(separates).map_or(0, |at| at + 1);
    let (head, name) = path.split_at(at);
    let end = head.iter().rposition(|byte| !separates(byte)).map_or(0, |at| at + 1);
    (&head[..end], name)
}

fn or_root<'a>(folder: &'a [u8], path: &'a [u8]) -> &'a [u8] {
    if folder.is_empty() {
        &path[..path.len().min(1)]
    } else {
        folder
    }
}
