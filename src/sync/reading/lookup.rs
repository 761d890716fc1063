//! Fast lookups, which return an item's rating key from memory, without requests.

use super::reading_state::IndexReader;
use super::selection::{Resolved, Selection};
use crate::engine::Snapshot;
use crate::matching::{FoldBuffers, MAX_BATCH, MAX_PATH, Resolver, Scope};
use crate::model::MatchKind;

impl IndexReader {
    /// Finds the item with this path, and returns the result of `use_key` for its rating key; `None` if the snapshot
    /// has no item for the path with high confidence.
    ///
    /// Two memory loads show whether the snapshot is current. If it is not, this call first reads the new changes.
    pub fn lookup_key<R>(&self, library: &Selection, path: &[u8], use_key: impl FnOnce(&str) -> R) -> Option<R> {
        if path.is_empty() || path.len() > MAX_PATH {
            return None;
        }
        if let Some(snapshot) = self.try_current()
            && let Some(scope) = resolve_scope(library, &snapshot)
            && let Some(hit) = Resolver::new(&snapshot.views, scope, self.mappings()).fast_lookup(path)
        {
            self.counters.count_lookups(hit.match_kind, 1);
            return Some(use_key(hit.rating_key));
        }
        self.counters.count_lookup_misses(1);
        None
    }

    /// Looks up many paths in memory. Calls `each` once per path, in order, with the rating key, or with `None` for a
    /// miss. This method is faster than single calls, because the processor loads memory for a group of paths in
    /// parallel.
    pub fn lookup_keys<'p>(
        &self,
        library: &Selection,
        paths: impl Iterator<Item = &'p [u8]>,
        mut each: impl FnMut(Option<&str>),
    ) {
        let mut paths = paths.peekable();
        let mut buffers = FoldBuffers::default();
        while paths.peek().is_some() {
            let mut group: [&[u8]; MAX_BATCH] = [b""; MAX_BATCH];
            let mut count = 0;
            for (slot, path) in group.iter_mut().zip(&mut paths) {
                // An empty path is always a miss.
                *slot = if path.len() > MAX_PATH { b"" } else { path };
                count += 1;
            }
            let group = &group[..count];
            // Load the snapshot again for each group, so that later groups see newer commits.
            let scope_and_snapshot = self
                .try_current()
                .and_then(|snapshot| Some((resolve_scope(library, &snapshot)?, snapshot)));
            let Some((scope, snapshot)) = scope_and_snapshot else {
                self.counters.count_lookup_misses(count as u64);
                for _ in group {
                    each(None);
                }
                continue;
            };
            // Count the hits once per group, because counting is slow compared with a lookup.
            let mut hits = [0; MatchKind::COUNT];
            let mut misses = 0;
            Resolver::new(&snapshot.views, scope, self.mappings()).fast_lookup_batch(group, &mut buffers, |hit| {
                match &hit {
                    Some(hit) => hits[hit.match_kind as usize] += 1,
                    None => misses += 1,
                }
                each(hit.map(|hit| hit.rating_key));
            });
            for match_kind in MatchKind::ALL {
                match hits[*match_kind as usize] {
                    0 => {}
                    count => self.counters.count_lookups(*match_kind, count),
                }
            }
            if misses > 0 {
                self.counters.count_lookup_misses(misses);
            }
        }
    }
}

/// Returns the libraries that a selection contains in this snapshot; `None` if the selection is unknown or ambiguous.
#[inline]
fn resolve_scope(library: &Selection, snapshot: &Snapshot) -> Option<Scope> {
    if let Some(index) = library.cached_index(snapshot) {
        return Some(Scope::One(index));
    }
    match library.resolve(snapshot) {
        Ok(Resolved::Scope(scope)) => Some(scope),
        _ => None,
    }
}
