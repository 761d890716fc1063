//! This host's undelivered matches and invalidations. Once delivered, these entries follow all current log entries, so
//! they override entries that this host reads before the delivery.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::contract::{Entry, EntryKind, HostId};
use crate::engine::OutboxRow;

/// Undelivered matches and invalidations by library UUID.
#[derive(Default)]
pub struct Undelivered(HashMap<String, LibraryEntries>);

/// Undelivered matches and invalidations of one library.
#[derive(Default)]
struct LibraryEntries {
    /// Whether the library was invalidated, which invalidates all its matches in the log.
    is_invalidated: bool,
    /// Rating keys of invalidated items, whose matches in the log are therefore invalidated.
    invalidated_items: HashSet<Vec<u8>>,
    /// Matches by server path; `None` for an invalidated path.
    matches: HashMap<Vec<u8>, Option<OutboxRow>>,
}

impl Undelivered {
    /// Collects the matches and invalidations of an outbox. `rows`: the outbox rows in the order in which they were
    /// written, since later rows override earlier rows.
    pub fn new(rows: Vec<OutboxRow>) -> Self {
        let mut undelivered = Self::default();
        for row in rows {
            let name = &row.entry.name;
            let library = undelivered.0.entry(name.library.clone()).or_default();
            let key = name.key.clone();
            match name.kind {
                EntryKind::Match => drop(library.matches.insert(key, Some(row))),
                EntryKind::InvalidPath => drop(library.matches.insert(key, None)),
                EntryKind::InvalidItem if !row.entry.body.is_empty() => {
                    // The body of a match is the item's rating key.
                    for undelivered_match in library.matches.values_mut() {
                        undelivered_match.take_if(|row| row.entry.body == key);
                    }
                    library.invalidated_items.insert(key);
                }
                EntryKind::InvalidLibrary => {
                    library.is_invalidated = true;
                    library.matches.clear();
                }
                _ => {}
            }
        }
        undelivered
    }

    /// Returns whether `entry` is a match in the log that an undelivered entry overrides: a match for the same path, or
    /// an invalidation of the path, of the match's item or of the library. The undelivered entry will come later in the
    /// log.
    pub fn overrides(&self, entry: &Entry) -> bool {
        let is_match = entry.name.kind == EntryKind::Match;
        is_match
            && self.0.get(&entry.name.library).is_some_and(|library| {
                library.is_invalidated
                    || library.invalidated_items.contains(&entry.body)
                    || library.matches.contains_key(&entry.name.key)
            })
    }

    /// Returns the undelivered matches as entries, so that the caller can record them again after other hosts'
    /// invalidations.
    pub fn matches(self) -> Vec<Entry> {
        let matches = self.0.into_values().flat_map(|library| library.matches.into_values());
        // Recording a match uses only the entry's name and body.
        let entry = |row: OutboxRow| Entry {
            name: row.entry.name,
            body: row.entry.body,
            number: 0,
            host: HostId(row.host.0),
            age: Duration::ZERO,
            requested_ms: 0,
            answered_ms: 0,
        };
        matches.flatten().map(entry).collect()
    }
}

/// Returns whether applying an entry may remove one of this host's matches, so that undelivered matches must be
/// recorded again.
pub fn may_remove_matches(entry: &Entry) -> bool {
    use EntryKind::{InvalidItem, InvalidLibrary, InvalidPath, Match};
    match entry.name.kind {
        InvalidItem | InvalidLibrary | InvalidPath => true,
        Match => entry.body.is_empty(),
        _ => false,
    }
}
