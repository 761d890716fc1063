//! The fast path: a key from memory, or nothing.

use super::data::Snapshot;
use super::reading::Reading;
use super::selection::{Resolved, Selection};
use crate::matching::{GROUP, Rooms, Scope, fast_lookup, fast_lookup_all};
use crate::model::Rung;

impl Reading {
    /// Hands the rating key of the item with this path to `then`, if a fast lookup knows it.
    ///
    /// Two loads tell that nothing was committed since the snapshot; the rest are loads from mapped memory. After a
    /// commit, here or in another process, the change is read first, by this thread or by the one that is at it.
    pub fn lookup_key<R>(&self, library: &Selection, path: &[u8], then: impl FnOnce(&str) -> R) -> Option<R> {
        if path.is_empty() {
            return None;
        }
        if let Some(snapshot) = self.whole()
            && let Some(scope) = scope(library, &snapshot)
            && let Some(hit) = fast_lookup(&snapshot.views, scope, &self.mappings, path)
        {
            snapshot.asked[hit.library].touch();
            self.counters.looked_up(hit.rung, 1);
            return Some(then(hit.rating_key));
        }
        self.counters.lookups_missed(1);
        None
    }

    /// The same for many paths: `each` gets what is known of each, in order. Faster for each than one by one, since the
    /// memory that they need is asked for at once.
    pub fn lookup_keys<'p>(
        &self,
        library: &Selection,
        paths: impl Iterator<Item = &'p [u8]>,
        mut each: impl FnMut(Option<&str>),
    ) {
        let mut paths = paths.peekable();
        let mut rooms = Rooms::default();
        while paths.peek().is_some() {
            let mut group: [&[u8]; GROUP] = [b""; GROUP];
            let mut count = 0;
            for (slot, path) in group.iter_mut().zip(&mut paths) {
                *slot = path;
                count += 1;
            }
            let group = &group[..count];
            // Once a group: a commit that returned while the batch is under way shows in what follows.
            let known = self
                .whole()
                .and_then(|snapshot| Some((scope(library, &snapshot)?, snapshot)));
            let Some((scope, snapshot)) = known else {
                self.counters.lookups_missed(count as u64);
                for _ in group {
                    each(None);
                }
                continue;
            };
            // Counted once a group: each count takes as long as a part of a lookup.
            let mut answers = [0; Rung::ALL.len()];
            let mut missed = 0;
            fast_lookup_all(&snapshot.views, scope, &self.mappings, group, &mut rooms, |hit| {
                match &hit {
                    Some(hit) => {
                        snapshot.asked[hit.library].touch();
                        answers[hit.rung as usize] += 1;
                    }
                    None => missed += 1,
                }
                each(hit.map(|hit| hit.rating_key));
            });
            for (rung, answers) in Rung::ALL.into_iter().zip(answers).filter(|(_, answers)| *answers > 0) {
                self.counters.looked_up(rung, answers);
            }
            if missed > 0 {
                self.counters.lookups_missed(missed);
            }
        }
    }
}

/// What the library is in this snapshot, if that is known.
#[inline]
fn scope(library: &Selection, snapshot: &Snapshot) -> Option<Scope> {
    if let Some(place) = library.remembered(snapshot) {
        return Some(Scope::One(place));
    }
    match library.resolve(snapshot) {
        Ok(Resolved::Scope(scope)) => Some(scope),
        _ => None,
    }
}
