//! Fast lookups, which return an item's rating key from memory, and reads of stored items. Sends no request.

use super::reading_state::IndexReader;
use super::selection::{Resolved, Selection, never_fetched_error};
use crate::engine::{LibraryRow, ListedItems, MAX_QUESTIONS, Snapshot};
use crate::error::{Error, Result, Status, invalid_argument_error};
use crate::matching::{FoldBuffers, MAX_BATCH, MAX_PATH, Resolver, Scope};
use crate::model::{Item, LibraryId, MatchKind};
use crate::platform::clock::Deadline;

impl IndexReader {
    /// Finds the item with this path, and returns the result of `use_key` for its rating key; `None` if the snapshot
    /// has no item for the path with high confidence.
    ///
    /// Two memory loads show whether the snapshot is current. If it is not, this call first reads the new changes. Asks the
    /// database what hosts recorded for the path, unless the process knows.
    pub fn lookup_key<R>(&self, library: &Selection, path: &[u8], use_key: impl FnOnce(&str) -> R) -> Option<R> {
        if path.is_empty() || path.len() > MAX_PATH {
            return None;
        }
        let mut use_key = Some(use_key);
        for _ in 0..MAX_QUESTIONS {
            let Some(snapshot) = self.try_current() else { break };
            let Some(scope) = resolve_scope(library, &snapshot) else {
                break;
            };
            let sequence = snapshot.sequence();
            match self.ask_matches(&snapshot, scope, path, None) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(_) => break,
            }
            let hit = Resolver::new(&snapshot.libraries, scope, self.mappings()).fast_lookup(path);
            if snapshot.has_matches_after(sequence, scope) {
                continue;
            }
            let Some(hit) = hit else { break };
            self.counters.count_lookups(hit.match_kind, 1);
            return use_key.take().map(|use_key| use_key(hit.rating_key));
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
            // Without all matches in memory, the paths of the group are looked up one by one; also those for which this
            // lookup may have seen a newer match, but not what changed with it.
            let sequence = snapshot.sequence();
            if !snapshot.knows_all_matches(scope) {
                drop(snapshot);
                for path in group {
                    let key = self.lookup_key(library, path, str::to_owned);
                    each(key.as_deref());
                }
                continue;
            }
            // Count the hits once per group, because counting is slow compared with a lookup.
            let mut hits = [0; MatchKind::COUNT];
            let mut misses = 0;
            let mut group_paths = group.iter();
            Resolver::new(&snapshot.libraries, scope, self.mappings()).fast_lookup_batch(group, &mut buffers, |hit| {
                let path = group_paths.next().copied().unwrap_or_default();
                if snapshot.has_matches_after(sequence, scope) {
                    let key = self.lookup_key(library, path, str::to_owned);
                    return each(key.as_deref());
                }
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

impl IndexReader {
    /// Returns about `limit` items in a library after `cursor`, each with the cursor from which the next call
    /// continues: a few more if several items have the last cursor. Fails if the library was never fetched.
    pub fn items(&self, library: &Selection, cursor: i64, limit: usize) -> Result<Vec<(i64, Item)>> {
        self.catch_up(Deadline::NONE)?;
        self.read_undamaged(|snapshot| {
            let index = match library.resolve(snapshot)? {
                Resolved::Scope(Scope::One(index)) => index,
                Resolved::Scope(Scope::All) => {
                    return invalid_argument_error(
                        "cannot list the items of all libraries at once: specify one library",
                    );
                }
                Resolved::Unknown => return Err(library.not_stored_error(snapshot, self)),
            };
            // Without a listing, an empty page would look like the end of the items.
            if !snapshot.rows[index].generation.is_fetched() {
                return Err(never_fetched_error(Some(library), self));
            }
            Ok(snapshot.libraries[index].items_after(cursor, limit))
        })
    }

    /// Returns the item with this rating key; `None` if no selected library contains the item. Fails if plexindex has
    /// fetched none of the selected libraries, because the item may exist on the server.
    pub fn item(&self, library: &Selection, rating_key: &str) -> Result<Option<Item>> {
        self.catch_up(Deadline::NONE)?;
        self.read_undamaged(|snapshot| {
            let libraries = match library.resolve(snapshot)? {
                Resolved::Scope(scope) => snapshot.libraries_in(scope),
                Resolved::Unknown => &[],
            };
            match libraries.iter().find_map(|view| view.stored_item(rating_key)) {
                None => library.fetched_scope(snapshot, self).map(|_| None),
                found => Ok(found),
            }
        })
    }
}

impl ListedItems for IndexReader {
    /// Returns a few more items than `limit` if several items have the last cursor.
    fn items_after(&self, library: LibraryId, after: i64, limit: usize) -> Result<Vec<(i64, Item)>> {
        self.catch_up(Deadline::NONE)?;
        self.read_undamaged(|snapshot| {
            let index = listed_index(snapshot, library)?;
            Ok(snapshot.libraries[index].items_after(after, limit))
        })
    }

    /// Reads all items from one snapshot.
    fn items(&self, wanted: &[(LibraryId, &str)]) -> Result<Vec<Option<Item>>> {
        self.catch_up(Deadline::NONE)?;
        self.read_undamaged(|snapshot| {
            let item = |(library, rating_key): &(LibraryId, &str)| {
                let index = listed_index(snapshot, *library)?;
                Ok(snapshot.libraries[index].stored_item(rating_key))
            };
            wanted.iter().map(item).collect()
        })
    }
}

/// Returns the index of a library that had a listing when the feed chose it. Fails if it has none now.
fn listed_index(snapshot: &Snapshot, library: LibraryId) -> Result<usize> {
    let is_listed = |row: &LibraryRow| row.id == library && row.generation.is_fetched();
    let text = "a library was removed, or its listing was damaged or evicted: list again in full";
    let index = snapshot.rows.iter().position(is_listed);
    index.ok_or_else(|| Error::new(Status::ListAgain, text))
}

/// Returns the error for segments that are missing or damaged again after a repair.
pub fn segments_lost_error() -> Error {
    Error::new(
        Status::Store,
        "a segment is missing or damaged again after its repair: see the log, and find the program that removes or \
         overwrites files in cache_dir",
    )
}
