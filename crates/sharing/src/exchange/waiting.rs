//! What this host has told, and the log refuses to take for now. It will be behind everything that the log has, so it
//! decides.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::contract::{Entry, EntryKind, HostId};
use crate::engine::OutboxRow;

/// The matches and invalidations of this host that wait to be delivered.
#[derive(Default)]
pub struct Waiting(HashMap<String, OfLibrary>);

#[derive(Default)]
struct OfLibrary {
    /// All matches that the log has are void.
    is_void: bool,
    /// So are those of these items.
    void_keys: HashSet<Vec<u8>>,
    /// What this host says of a path, in the server's spelling; `None` if its match is void.
    matches: HashMap<Vec<u8>, Option<OutboxRow>>,
}

impl Waiting {
    /// Of the entries that wait, in their order.
    pub fn new(rows: Vec<OutboxRow>) -> Self {
        let mut waiting = Self::default();
        for row in rows {
            let name = &row.entry.name;
            let library = waiting.0.entry(name.library.clone()).or_default();
            let key = name.key.clone();
            match name.kind {
                EntryKind::Match => drop(library.matches.insert(key, Some(row))),
                EntryKind::InvalidPath => drop(library.matches.insert(key, None)),
                EntryKind::InvalidItem if !row.entry.body.is_empty() => {
                    for known in library.matches.values_mut() {
                        known.take_if(|known| known.entry.body == key);
                    }
                    library.void_keys.insert(key);
                }
                EntryKind::InvalidLibrary => {
                    library.is_void = true;
                    library.matches.clear();
                }
                _ => {}
            }
        }
        waiting
    }

    /// Returns whether this host says something else of what a match of the log is about.
    pub fn overrides(&self, entry: &Entry) -> bool {
        let is_match = entry.name.kind == EntryKind::Match;
        is_match
            && self.0.get(&entry.name.library).is_some_and(|library| {
                library.is_void
                    || library.void_keys.contains(&entry.body)
                    || library.matches.contains_key(&entry.name.key)
            })
    }

    /// The matches that are to be recorded again after invalidations of other hosts, as the log will have them.
    pub fn matches(self) -> Vec<Entry> {
        let matches = self.0.into_values().flat_map(|library| library.matches.into_values());
        let entry = |row: OutboxRow| Entry {
            name: row.entry.name,
            body: row.entry.body,
            number: 0,
            host: HostId(row.host.0),
            age: Duration::ZERO,
        };
        matches.flatten().map(entry).collect()
    }
}

/// Returns whether an entry can make a match of this host wrong: an invalidation, or another match of its path.
pub fn voids(entry: &Entry) -> bool {
    use EntryKind::{InvalidItem, InvalidLibrary, InvalidPath, Match};
    match entry.name.kind {
        InvalidItem | InvalidLibrary | InvalidPath => true,
        Match => entry.body.is_empty(),
        _ => false,
    }
}
