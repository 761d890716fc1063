//! Fast lookups: a key from memory, or nothing.

use super::selection::{Resolved, Selection};
use super::state::Reading;
use crate::engine::Snapshot;
use crate::matching::{FoldBuffers, GROUP, MAX_PATH, Resolver, Scope};
use crate::model::MatchKind;

impl Reading {
    /// Passes the rating key of the item with this path to `then`, if it is known in memory.
    ///
    /// Two loads show that the snapshot is current; the rest are loads from mapped memory. After a commit, here or in
    /// another process, the change is read first.
    pub fn lookup_key<R>(&self, library: &Selection, path: &[u8], then: impl FnOnce(&str) -> R) -> Option<R> {
        if path.is_empty() || path.len() > MAX_PATH {
            return None;
        }
        if let Some(snapshot) = self.whole()
            && let Some(scope) = scope(library, &snapshot)
            && let Some(hit) = Resolver::new(&snapshot.views, scope, self.mappings()).fast_lookup(path)
        {
            self.counters.count_lookups(hit.match_kind, 1);
            return Some(then(hit.rating_key));
        }
        self.counters.count_lookup_misses(1);
        None
    }

    /// [`Reading::lookup_key`] for many paths. Calls `each` once for each path, in order. Faster than single calls,
    /// since the memory of a group of paths is prefetched together.
    pub fn lookup_keys<'p>(
        &self,
        library: &Selection,
        paths: impl Iterator<Item = &'p [u8]>,
        mut each: impl FnMut(Option<&str>),
    ) {
        let mut paths = paths.peekable();
        let mut buffers = FoldBuffers::default();
        while paths.peek().is_some() {
            let mut group: [&[u8]; GROUP] = [b""; GROUP];
            let mut count = 0;
            for (slot, path) in group.iter_mut().zip(&mut paths) {
                *slot = if path.len() > MAX_PATH { b"" } else { path };
                count += 1;
            }
            let group = &group[..count];
            // Read for each group, so that later groups show commits that return meanwhile.
            let known = self
                .whole()
                .and_then(|snapshot| Some((scope(library, &snapshot)?, snapshot)));
            let Some((scope, snapshot)) = known else {
                self.counters.count_lookup_misses(count as u64);
                for _ in group {
                    each(None);
                }
                continue;
            };
            // Count once per group: counting each lookup would take a good part of its time.
            let mut answers = [0; MatchKind::COUNT];
            let mut missed = 0;
            Resolver::new(&snapshot.views, scope, self.mappings()).fast_lookup_all(group, &mut buffers, |hit| {
                match &hit {
                    Some(hit) => {
                        answers[hit.match_kind as usize] += 1;
                    }
                    None => missed += 1,
                }
                each(hit.map(|hit| hit.rating_key));
            });
            for match_kind in MatchKind::ALL {
                match answers[*match_kind as usize] {
                    0 => {}
                    count => self.counters.count_lookups(*match_kind, count),
                }
            }
            if missed > 0 {
                self.counters.count_lookup_misses(missed);
            }
        }
    }
}

/// Returns the libraries of a selection in this snapshot; `None` if it cannot be resolved.
#[inline]
fn scope(library: &Selection, snapshot: &Snapshot) -> Option<Scope> {
    if let Some(index) = library.remembered(snapshot) {
        return Some(Scope::One(index));
    }
    match library.resolve(snapshot) {
        Ok(Resolved::Scope(scope)) => Some(scope),
        _ => None,
    }
}
